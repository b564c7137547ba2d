package catalog

import (
	"bytes"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// maxCommentLength bounds comments, in bytes.
const maxCommentLength = 4096

// Namespace is a catalog or a schema.
type Namespace struct {
	ID      uuid.UUID `json:"id"`
	Name    Name      `json:"name"`
	Comment string    `json:"comment,omitempty"`
	Owner   string    `json:"owner"` // a client id, or DefaultOwner
	Created time.Time `json:"created_at"`
	Updated time.Time `json:"updated_at"`

	Properties map[string]string `json:"properties,omitempty"` // for those who read them; they mean nothing here
}

// Table is a table's entry. Its columns are in its Delta log.
type Table struct {
	ID         uuid.UUID         `json:"id"` // also the log's name for the table; never used again
	Name       Name              `json:"name"`
	Location   string            `json:"location"` // relative to the lake, with slashes; of an external table an absolute directory
	Comment    string            `json:"comment,omitempty"`
	Properties map[string]string `json:"properties,omitempty"` // as given to CREATE TABLE
	Owner      string            `json:"owner"`                // a client id, or DefaultOwner
	Created    time.Time         `json:"created_at"`
	Updated    time.Time         `json:"updated_at"`

	External bool   `json:"external,omitempty"` // not in the lake; its files are not the catalog's
	DeltaID  string `json:"delta_id,omitempty"` // metaData.id of an external table: with another one it is another table
}

// Change is what Alter changes; nil leaves as it is.
type Change struct {
	Comment, Owner *string
	Properties     map[string]string // of a catalog or schema; takes the place of all that it had
}

func (c *Catalog) newNamespace(n Name, comment, owner string) Namespace {
	now := c.time()
	return Namespace{ID: uuid.New(), Name: n, Comment: comment, Owner: ownerOr(owner), Created: now, Updated: now}
}

func ownerOr(owner string) string {
	if owner == "" {
		return DefaultOwner
	}
	return owner
}

// CreateNamespace makes a catalog, or a schema in a catalog that exists. Errors: [ErrExists], [ErrNotFound], [ErrInvalid].
func (c *Catalog) CreateNamespace(n Name, comment, owner string) (Namespace, error) {
	return c.AddNamespace(Namespace{Name: n, Comment: comment, Owner: owner})
}

// AddNamespace is [Catalog.CreateNamespace] with all that can be set: name, comment, owner and properties.
func (c *Catalog) AddNamespace(given Namespace) (Namespace, error) {
	n, err := given.Name.norm()
	if err != nil {
		return Namespace{}, err
	}
	if n.Table != "" {
		return Namespace{}, invalid("%s is not the name of a catalog or a schema", n)
	}
	if err := checkComment(n, given.Comment); err != nil {
		return Namespace{}, err
	}
	if err := checkNamespaceProperties(n, given.Properties); err != nil {
		return Namespace{}, err
	}
	ns := c.newNamespace(n, given.Comment, given.Owner)
	ns.Properties = given.Properties
	return ns, c.db.Update(func(tx *bbolt.Tx) error { return create(tx, n, ns) })
}

// CreateTable registers a table whose log exists already. ID, Name and Location must be set; Created and Updated are set here.
// Errors: [ErrExists], [ErrNotFound] for the schema, [ErrInvalid].
func (c *Catalog) CreateTable(t Table) (Table, error) {
	n, err := t.Name.norm()
	if err == nil {
		err = n.mustBe(TableType)
	}
	if err == nil {
		err = checkComment(n, t.Comment)
	}
	if err != nil {
		return Table{}, err
	}
	if t.ID == uuid.Nil || t.Location == "" {
		return Table{}, invalid("table %s has no id or no location", n)
	}
	t.Name, t.Owner, t.Created = n, ownerOr(t.Owner), c.time()
	t.Updated = t.Created
	return t, c.db.Update(func(tx *bbolt.Tx) error {
		ids := tx.Bucket(tableIDsBucket)
		if other := ids.Get(t.ID[:]); other != nil {
			return exists("table id %s is that of table %s", t.ID, other)
		}
		if err := create(tx, n, t); err != nil {
			return err
		}
		return ids.Put(t.ID[:], []byte(n.String()))
	})
}

// create writes an object whose name is free and whose parents exist.
func create(tx *bbolt.Tx, n Name, v any) error {
	if err := mustHaveParents(tx, n); err != nil {
		return err
	}
	key := []byte(n.String())
	if tx.Bucket(bucketOf(n)).Get(key) != nil {
		return exists("%s exists already", n.kind())
	}
	return put(tx, bucketOf(n), key, v)
}

// mustHaveParents says which statement to run for the first parent that is missing.
func mustHaveParents(tx *bbolt.Tx, n Name) error {
	p := n.Parent()
	if p == (Name{}) {
		return nil
	}
	if err := mustHaveParents(tx, p); err != nil {
		return err
	}
	return mustExist(tx, p)
}

// mustExist says how to make a catalog or schema that is missing.
func mustExist(tx *bbolt.Tx, n Name) error {
	if tx.Bucket(bucketOf(n)).Get([]byte(n.String())) != nil {
		return nil
	}
	switch {
	case n.Type() != TableType:
		return notFound("%s does not exist; run CREATE %s %s", n.kind(), n.Type(), n)
	case mustExist(tx, n.Parent()) != nil:
		return notFound("%s does not exist, nor does %s", n.kind(), n.Parent().kind())
	}
	return notFound("%s does not exist; SHOW TABLES IN %s lists those that do", n.kind(), n.Parent())
}

func checkComment(n Name, s string) error {
	if len(s) > maxCommentLength {
		return invalid("the comment of %s has %d bytes, more than the limit of %d", n.kind(), len(s), maxCommentLength)
	}
	return nil
}

// checkNamespaceProperties bounds what is kept for others.
func checkNamespaceProperties(n Name, given map[string]string) error {
	if len(given) > maxProperties {
		return invalid("%s has %d properties, more than the limit of %d", n.kind(), len(given), maxProperties)
	}
	for _, key := range sortedKeys(given) {
		if key == "" || len(key) > maxPropertyLength || len(given[key]) > maxPropertyLength {
			return invalid("property %q of %s is empty or longer than %d bytes", clip(key), n.kind(), maxPropertyLength)
		}
	}
	return nil
}

// Namespace returns a catalog or a schema, or [ErrNotFound].
func (c *Catalog) Namespace(n Name) (ns Namespace, err error) {
	if n, err = n.norm(); err != nil {
		return ns, err
	}
	if n.Table != "" {
		return ns, invalid("%s is not the name of a catalog or a schema", n)
	}
	return ns, c.load(n, &ns)
}

// Table returns a table, or [ErrNotFound].
func (c *Catalog) Table(n Name) (t Table, err error) {
	if n, err = n.norm(); err == nil {
		err = n.mustBe(TableType)
	}
	if err != nil {
		return t, err
	}
	return t, c.load(n, &t)
}

// TableByID returns the table with this id, or [ErrNotFound].
func (c *Catalog) TableByID(id [16]byte) (t Table, err error) {
	return t, c.db.View(func(tx *bbolt.Tx) error {
		name := tx.Bucket(tableIDsBucket).Get(id[:])
		if name == nil {
			return notFound("no table has the id %s; it may have been dropped", uuid.UUID(id))
		}
		_, err := get(tx, tablesBucket, name, &t)
		return err
	})
}

func (c *Catalog) load(n Name, v any) error {
	return c.db.View(func(tx *bbolt.Tx) error {
		if err := mustExist(tx, n); err != nil {
			return err
		}
		_, err := get(tx, bucketOf(n), []byte(n.String()), v)
		return err
	})
}

// Catalogs lists all catalogs by name.
func (c *Catalog) Catalogs() (list []Namespace, err error) {
	return list, c.db.View(func(tx *bbolt.Tx) error {
		list, err = scan[Namespace](tx, catalogsBucket, "")
		return err
	})
}

// Schemas lists the schemas of a catalog by name; of all catalogs when catalog is empty. The error is [ErrNotFound] when the
// catalog does not exist.
func (c *Catalog) Schemas(catalog string) (list []Namespace, err error) {
	return children[Namespace](c, Name{Catalog: catalog}, schemasBucket)
}

// Tables lists the tables in a schema or in a catalog by name; all tables for the zero Name. The error is [ErrNotFound] when
// the schema or catalog does not exist.
func (c *Catalog) Tables(in Name) ([]Table, error) {
	if in.Table != "" {
		return nil, invalid("%s is not the name of a catalog or a schema", in)
	}
	return children[Table](c, in, tablesBucket)
}

func children[T any](c *Catalog, in Name, bucket []byte) (list []T, err error) {
	prefix := ""
	if in != (Name{}) {
		if in, err = in.norm(); err != nil {
			return nil, err
		}
		prefix = in.String() + "."
	}
	return list, c.db.View(func(tx *bbolt.Tx) error {
		if prefix != "" {
			if err := mustExist(tx, in); err != nil {
				return err
			}
		}
		list, err = scan[T](tx, bucket, prefix)
		return err
	})
}

func scan[T any](tx *bbolt.Tx, bucket []byte, prefix string) ([]T, error) {
	list := []T{}
	cur := tx.Bucket(bucket).Cursor()
	for k, v := cur.Seek([]byte(prefix)); k != nil && strings.HasPrefix(string(k), prefix); k, v = cur.Next() {
		var one T
		if err := decode(bucket, k, v, &one); err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// Alter changes comment or owner of an object, or properties of a catalog or schema. Errors: [ErrNotFound], [ErrInvalid].
func (c *Catalog) Alter(n Name, ch Change) error {
	n, err := n.norm()
	if err != nil {
		return err
	}
	if ch.Comment != nil {
		if err := checkComment(n, *ch.Comment); err != nil {
			return err
		}
	}
	if ch.Properties != nil && n.Table != "" {
		return invalid("the properties of table %s are in its Delta log and cannot be changed here", n)
	}
	if err := checkNamespaceProperties(n, ch.Properties); err != nil {
		return err
	}
	key := []byte(n.String())
	return c.db.Update(func(tx *bbolt.Tx) error {
		if err := mustExist(tx, n); err != nil {
			return err
		}
		if n.Table != "" {
			var t Table
			if _, err := get(tx, tablesBucket, key, &t); err != nil {
				return err
			}
			ch.apply(&t.Comment, &t.Owner)
			t.Updated = c.time()
			return put(tx, tablesBucket, key, t)
		}
		var ns Namespace
		if _, err := get(tx, bucketOf(n), key, &ns); err != nil {
			return err
		}
		ch.apply(&ns.Comment, &ns.Owner)
		if ch.Properties != nil {
			ns.Properties = ch.Properties
		}
		ns.Updated = c.time()
		return put(tx, bucketOf(n), key, ns)
	})
}

func (ch Change) apply(comment, owner *string) {
	if ch.Comment != nil {
		*comment = *ch.Comment
	}
	if ch.Owner != nil {
		*owner = ownerOr(*ch.Owner)
	}
}

// DropNamespace removes an empty catalog or schema and the grants on it. Errors: [ErrNotFound], [ErrNotEmpty].
func (c *Catalog) DropNamespace(n Name) error {
	n, err := n.norm()
	if err != nil {
		return err
	}
	if n.Table != "" {
		return invalid("%s is not the name of a catalog or a schema", n)
	}
	return c.db.Update(func(tx *bbolt.Tx) error {
		if err := mustExist(tx, n); err != nil {
			return err
		}
		prefix := []byte(n.String() + ".")
		for _, bucket := range [][]byte{schemasBucket, tablesBucket} {
			if k, _ := tx.Bucket(bucket).Cursor().Seek(prefix); bytes.HasPrefix(k, prefix) {
				return notEmpty("%s still has %s; drop what is in it first, or run DROP %s %s CASCADE", n.kind(), k, n.Type(), n)
			}
		}
		return drop(tx, n)
	})
}

// DropTable removes a table's entry and the grants on it, not its files, and returns what the entry was. The error is
// [ErrNotFound].
func (c *Catalog) DropTable(n Name) (t Table, err error) {
	if n, err = n.norm(); err == nil {
		err = n.mustBe(TableType)
	}
	if err != nil {
		return t, err
	}
	return t, c.db.Update(func(tx *bbolt.Tx) error {
		if err := mustExist(tx, n); err != nil {
			return err
		}
		if _, err := get(tx, tablesBucket, []byte(n.String()), &t); err != nil {
			return err
		}
		if err := tx.Bucket(tableIDsBucket).Delete(t.ID[:]); err != nil {
			return err
		}
		return drop(tx, n)
	})
}

func drop(tx *bbolt.Tx, n Name) error {
	if err := dropGrants(tx, func(_ string, on []byte) bool { return string(on) == n.String() }); err != nil {
		return err
	}
	return tx.Bucket(bucketOf(n)).Delete([]byte(n.String()))
}
