package catalog

import (
	"maps"
	"slices"

	"go.etcd.io/bbolt"
)

// Access answers what one caller may see and do in the catalog, by the grants of one moment: make one for each request. The
// owner of an object may do with it what any privilege allows; who owns what an object is in may see, grant and drop it, too.
// An Access is for one goroutine at a time.
type Access struct {
	catalog   *Catalog
	principal string // client id; empty for the administrator, who may do everything
	grants    map[Name][]Privilege
	owners    map[Name]string // as far as they were looked up
}

// AdminAccess is the administrator's, who owns everything.
func (c *Catalog) AdminAccess() *Access { return &Access{catalog: c} }

// Access reads the grants of the principal with this client id. The error is [ErrNotFound] when there is none, or none any more.
func (c *Catalog) Access(principalID string) (*Access, error) {
	a := &Access{catalog: c, principal: principalID, grants: map[Name][]Privilege{}, owners: map[Name]string{}}
	return a, c.db.View(func(tx *bbolt.Tx) error {
		if principalID == "" || tx.Bucket(principalsBucket).Get([]byte(principalID)) == nil {
			return notFound("the principal does not exist")
		}
		return grantsOf(tx, principalID, func(g Grant) { a.grants[g.On] = g.Privileges })
	})
}

// Admin reports whether the caller is the administrator.
func (a *Access) Admin() bool { return a.principal == "" }

// Owner is what the caller's objects have as owner.
func (a *Access) Owner() string { return ownerOr(a.principal) }

// Principal is the caller's client id, empty for the administrator.
func (a *Access) Principal() string { return a.principal }

// Know saves looking up the owner of an object that the caller of this method has read.
func (a *Access) Know(n Name, owner string) {
	if !a.Admin() {
		a.owners[n] = owner
	}
}

// Sees reports whether the caller may know of an object: of a catalog or schema by USE CATALOG and USE SCHEMA, of a table by
// SELECT or MODIFY besides. It is false for what does not exist, but for the administrator, who sees everything.
func (a *Access) Sees(n Name) bool {
	switch {
	case a.Admin():
		return true
	case n == Name{}:
		return false
	case n.Type() == CatalogType:
		return a.owns(n) || a.has(UseCatalog, n)
	case !a.Sees(n.Parent()):
		return false
	case a.within(n):
		return true
	case n.Type() == SchemaType:
		return a.has(UseSchema, n)
	}
	return a.has(Select, n) || a.has(Modify, n)
}

// Manages reports whether the caller may drop an object and say who may use it: its owner, the owner of what it is in, and the
// administrator.
func (a *Access) Manages(n Name) bool { return a.Admin() || a.within(n) && a.Sees(n) }

// May reports whether the caller may use a privilege on an object: by a grant, there or from above, or as the owner, and in
// either case only where the caller sees what the object is in.
func (a *Access) May(p Privilege, on Name) bool {
	if a.Admin() {
		return true
	}
	if parent := on.Parent(); parent != (Name{}) && !a.Sees(parent) {
		return false
	}
	return a.owns(on) || a.has(p, on)
}

// has is Checked without the owner.
func (a *Access) has(p Privilege, on Name) bool {
	for n := on; n != (Name{}); n = n.Parent() {
		if grantsIt(a.grants[n], p, n) {
			return true
		}
	}
	return false
}

// grantsIt reports whether what was granted on n has the privilege.
func grantsIt(granted []Privilege, p Privilege, n Name) bool {
	return slices.Contains(grantable[p], n.Type()) && (slices.Contains(granted, p) || slices.Contains(granted, AllPrivileges))
}

// within reports whether the caller owns the object or something that it is in.
func (a *Access) within(n Name) bool {
	for ; n != (Name{}); n = n.Parent() {
		if a.owns(n) {
			return true
		}
	}
	return false
}

func (a *Access) owns(n Name) bool {
	owner, known := a.owners[n]
	if !known {
		// An entry that cannot be read has no owner here; whoever reads it otherwise is told.
		_ = a.catalog.db.View(func(tx *bbolt.Tx) (err error) {
			owner, err = ownerOf(tx, n)
			return err
		})
		a.owners[n] = owner
	}
	return owner != "" && owner == a.principal
}

// ownerOf is empty for what does not exist.
func ownerOf(tx *bbolt.Tx, n Name) (string, error) {
	var entry struct {
		Owner string `json:"owner"`
	}
	_, err := get(tx, bucketOf(n), []byte(n.String()), &entry)
	return entry.Owner, err
}

// Effective lists who has which privileges on an object and where each was granted: there, or on what it is in. Privileges that
// do not count for the object are left out.
func (c *Catalog) Effective(f GrantFilter) ([]Grant, error) {
	f.Inherited = true
	all, err := c.Grants(f)
	if err != nil {
		return nil, err
	}
	on, err := f.On.norm()
	if err != nil {
		return nil, err
	}
	counts := map[Privilege]bool{AllPrivileges: true}
	for p := range maps.Keys(grantable) {
		counts[p] = counts[p] || slices.Contains(grantable[p], on.Type())
	}
	list := []Grant{}
	for _, g := range all {
		g.Privileges = slices.DeleteFunc(g.Privileges, func(p Privilege) bool { return !counts[p] })
		if len(g.Privileges) > 0 {
			list = append(list, g)
		}
	}
	return list, nil
}
