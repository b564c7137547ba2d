package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
	boltErrors "go.etcd.io/bbolt/errors"
)

// The buckets of the file. Objects are kept by full name: a name has no dot inside, so the children of a schema are the keys
// that begin with its name and a dot.
var (
	metaBucket       = []byte("meta")
	catalogsBucket   = []byte("catalogs")        // name -> Namespace
	schemasBucket    = []byte("schemas")         // name -> Namespace
	tablesBucket     = []byte("tables")          // name -> Table
	tableIDsBucket   = []byte("table_ids")       // 16 bytes of the id -> name
	principalsBucket = []byte("principals")      // client id -> credential
	namesBucket      = []byte("principal_names") // name in lower case -> client id
	grantsBucket     = []byte("grants")          // client id, 0, object name -> grantRecord

	allBuckets = [][]byte{metaBucket, catalogsBucket, schemasBucket, tablesBucket, tableIDsBucket, principalsBucket, namesBucket, grantsBucket}

	versionKey = []byte("version")
	idKey      = []byte("id") // 16 bytes; files of before have none until they are opened
)

const (
	fileVersion = "1"

	// lockTimeout is how long Open waits for another process to let go of the file: enough for a command line tool that is
	// about to end, short enough for a person.
	lockTimeout = 500 * time.Millisecond

	// DefaultOwner owns what is made without an owner.
	DefaultOwner = "admin"
)

// Options are the settings of a [Catalog]. The zero value is ready for use.
type Options struct {
	Now         func() time.Time // nil for time.Now
	LockTimeout time.Duration    // how long to wait for another process; default 500 ms
}

// Catalog is the store. It may be used by many goroutines.
type Catalog struct {
	db       *bbolt.DB
	now      func() time.Time
	id       uuid.UUID
	ddl      chan struct{} // taken by the statement that makes or drops something
	logins   logins
	failures failures
}

// Open opens the file, or makes it, readable by its owner only. A new one has the catalog main and the schema main.default.
// The error is [ErrLocked] when another process has it open.
func Open(path string, o Options) (*Catalog, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.LockTimeout <= 0 {
		o.LockTimeout = lockTimeout
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: o.LockTimeout})
	if errors.Is(err, boltErrors.ErrTimeout) {
		return nil, fmt.Errorf("open catalog %s: %w (a running server?); use that server or stop it", path, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("open catalog %s: %w", path, err)
	}
	c := &Catalog{db: db, now: o.Now, ddl: make(chan struct{}, 1)}
	c.logins.init()
	c.failures.init()
	if err := errors.Join(os.Chmod(path, 0o600), c.prepare(), c.identify()); err != nil {
		return nil, errors.Join(fmt.Errorf("open catalog %s: %w", path, err), db.Close())
	}
	return c, nil
}

// prepare checks the file, or fills a new one.
func (c *Catalog) prepare() error {
	isNew := false
	err := c.db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if isNew = meta == nil; isNew {
			return nil
		}
		if v := string(meta.Get(versionKey)); v != fileVersion {
			return fmt.Errorf("the file has version %q, this program reads %q", v, fileVersion)
		}
		for _, name := range allBuckets {
			if tx.Bucket(name) == nil {
				return fmt.Errorf("the file is damaged: part %s is missing", name)
			}
		}
		return nil
	})
	if err != nil || !isNew {
		return err
	}
	return c.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range allBuckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		for _, n := range []Name{{Catalog: "main"}, {Catalog: "main", Schema: "default"}} {
			if err := put(tx, bucketOf(n), []byte(n.String()), c.newNamespace(n, "", DefaultOwner)); err != nil {
				return err
			}
		}
		return tx.Bucket(metaBucket).Put(versionKey, []byte(fileVersion))
	})
}

// identify reads the catalog's id, or makes it.
func (c *Catalog) identify() error {
	read := func(tx *bbolt.Tx) (found bool) {
		meta := tx.Bucket(metaBucket)
		return meta != nil && copy(c.id[:], meta.Get(idKey)) == len(c.id)
	}
	found := false
	err := c.db.View(func(tx *bbolt.Tx) error {
		found = read(tx)
		return nil
	})
	if err != nil || found {
		return err
	}
	return c.db.Update(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if meta == nil {
			return nil // prepare has the error
		}
		c.id = uuid.New()
		return meta.Put(idKey, c.id[:])
	})
}

// ID is a random id that the catalog has for ever: what Unity Catalog calls the metastore's.
func (c *Catalog) ID() uuid.UUID { return c.id }

// Close waits for calls that are under way and lets go of the file. Later calls fail.
func (c *Catalog) Close() error { return c.db.Close() }

// time is the time of a change, as it is kept.
func (c *Catalog) time() time.Time { return c.now().UTC().Truncate(time.Millisecond) }

func bucketOf(n Name) []byte {
	switch n.Type() {
	case TableType:
		return tablesBucket
	case SchemaType:
		return schemasBucket
	}
	return catalogsBucket
}

// put writes v as JSON.
func put(tx *bbolt.Tx, bucket, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.Bucket(bucket).Put(key, b)
}

// get reads what put wrote; ok tells whether there is something.
func get(tx *bbolt.Tx, bucket, key []byte, v any) (ok bool, err error) {
	b := tx.Bucket(bucket).Get(key)
	if b == nil {
		return false, nil
	}
	return true, decode(bucket, key, b, v)
}

func decode(bucket, key, value []byte, v any) error {
	if err := json.Unmarshal(value, v); err != nil {
		return fmt.Errorf("catalog entry %q of %s is damaged: %w", key, bucket, err)
	}
	return nil
}
