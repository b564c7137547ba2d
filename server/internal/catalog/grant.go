package catalog

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// Grant is what one principal may do with one object.
type Grant struct {
	PrincipalID   string      `json:"principal_id"`
	PrincipalName string      `json:"principal_name"`
	Type          string      `json:"object_type"`
	On            Name        `json:"object"`
	Privileges    []Privilege `json:"privileges"` // in listing order
	Updated       time.Time   `json:"updated_at"`
}

// GrantFilter selects grants; the zero value selects all.
type GrantFilter struct {
	Principal string // client id or name
	On        Name   // only grants on this object
	Inherited bool   // with On: also those on the objects that it is in
}

type grantRecord struct {
	Privileges []Privilege `json:"privileges"`
	Updated    time.Time   `json:"updated_at"`
}

func grantKey(principalID string, on Name) []byte { return []byte(principalID + "\x00" + on.String()) }

func splitGrantKey(k []byte) (principalID string, on []byte) {
	id, on, _ := bytes.Cut(k, []byte{0})
	return string(id), on
}

// Grant gives privileges on an object to a principal, named by client id or name. What was granted before stays.
// Errors: [ErrNotFound], [ErrInvalid].
func (c *Catalog) Grant(principal string, privileges []Privilege, on Name) error {
	return c.changeGrant(principal, privileges, on, func(have, ps []Privilege) []Privilege {
		for _, p := range ps {
			if !slices.Contains(have, p) {
				have = append(have, p)
			}
		}
		return have
	})
}

// Revoke takes privileges away that were granted on this very object. ALL PRIVILEGES is a privilege of its own: revoking it
// leaves the others, and revoking another leaves it. What was not granted is no error. Errors: [ErrNotFound], [ErrInvalid].
func (c *Catalog) Revoke(principal string, privileges []Privilege, on Name) error {
	return c.changeGrant(principal, privileges, on, func(have, ps []Privilege) []Privilege {
		return slices.DeleteFunc(have, func(p Privilege) bool { return slices.Contains(ps, p) })
	})
}

func (c *Catalog) changeGrant(principal string, ps []Privilege, on Name, change func(have, ps []Privilege) []Privilege) error {
	on, err := on.norm()
	if err != nil {
		return err
	}
	if ps, err = checkGrantable(ps, on); err != nil {
		return err
	}
	return c.db.Update(func(tx *bbolt.Tx) error {
		if err := mustExist(tx, on); err != nil {
			return err
		}
		p, err := findPrincipal(tx, principal)
		if err != nil {
			return err
		}
		key := grantKey(p.ID, on)
		var g grantRecord
		if _, err := get(tx, grantsBucket, key, &g); err != nil {
			return err
		}
		g.Privileges = change(g.Privileges, ps)
		g.Updated = c.time()
		if len(g.Privileges) == 0 {
			return tx.Bucket(grantsBucket).Delete(key)
		}
		sortPrivileges(g.Privileges)
		return put(tx, grantsBucket, key, g)
	})
}

// Grants lists grants by principal's name and object. Errors: [ErrNotFound] when principal or object do not exist,
// [ErrInvalid].
func (c *Catalog) Grants(f GrantFilter) (list []Grant, err error) {
	var on []Name
	if f.On != (Name{}) {
		if f.On, err = f.On.norm(); err != nil {
			return nil, err
		}
		on = append(on, f.On)
		for p := f.On.Parent(); f.Inherited && p != (Name{}); p = p.Parent() {
			on = append(on, p)
		}
	}
	list = []Grant{}
	err = c.db.View(func(tx *bbolt.Tx) error {
		if on != nil {
			if err := mustExist(tx, f.On); err != nil {
				return err
			}
		}
		prefix := ""
		if f.Principal != "" {
			p, err := findPrincipal(tx, f.Principal)
			if err != nil {
				return err
			}
			prefix = p.ID + "\x00"
		}
		cur := tx.Bucket(grantsBucket).Cursor()
		for k, v := cur.Seek([]byte(prefix)); k != nil && strings.HasPrefix(string(k), prefix); k, v = cur.Next() {
			g, err := readGrant(tx, k, v)
			if err != nil {
				return err
			}
			if on == nil || slices.Contains(on, g.On) {
				list = append(list, g)
			}
		}
		return nil
	})
	slices.SortStableFunc(list, func(a, b Grant) int {
		return cmp.Or(strings.Compare(a.PrincipalName, b.PrincipalName), strings.Compare(a.On.String(), b.On.String()))
	})
	return list, err
}

func readGrant(tx *bbolt.Tx, k, v []byte) (Grant, error) {
	var r grantRecord
	if err := decode(grantsBucket, k, v, &r); err != nil {
		return Grant{}, err
	}
	id, on := splitGrantKey(k)
	g := Grant{PrincipalID: id, Privileges: r.Privileges, Updated: r.Updated}
	if err := g.On.UnmarshalText(on); err != nil {
		return g, err
	}
	g.Type = g.On.Type()
	var cr credential
	_, err := get(tx, principalsBucket, []byte(id), &cr)
	g.PrincipalName = cr.Name
	return g, err
}

// dropGrants removes the grants that match.
func dropGrants(tx *bbolt.Tx, match func(principalID string, on []byte) bool) error {
	b := tx.Bucket(grantsBucket)
	var keys [][]byte // deleting moves a cursor, so first look, then delete
	err := b.ForEach(func(k, _ []byte) error {
		if match(splitGrantKey(k)) {
			keys = append(keys, bytes.Clone(k))
		}
		return nil
	})
	for _, k := range keys {
		if err == nil {
			err = b.Delete(k)
		}
	}
	return err
}

// Check reports whether the principal with this client id has the privilege on the object, granted there or inherited as the
// package documentation tells. It is false for what does not exist and when the store cannot be read; use [Catalog.Checked]
// to tell these apart.
func (c *Catalog) Check(principalID string, privilege Privilege, on Name) bool {
	ok, err := c.Checked(principalID, privilege, on)
	return ok && err == nil
}

// Checked is [Catalog.Check] with the failure of the store as an error, so that it is not taken for a missing grant.
func (c *Catalog) Checked(principalID string, privilege Privilege, on Name) (ok bool, err error) {
	on, err = on.norm()
	if err != nil {
		return false, nil
	}
	privilege, err = ParsePrivilege(string(privilege))
	if err != nil {
		return false, nil
	}
	return ok, c.db.View(func(tx *bbolt.Tx) error {
		if mustExist(tx, on) != nil || tx.Bucket(principalsBucket).Get([]byte(principalID)) == nil {
			return nil
		}
		for n := on; n != (Name{}); n = n.Parent() {
			if !slices.Contains(grantable[privilege], n.Type()) {
				continue
			}
			var g grantRecord
			if _, err := get(tx, grantsBucket, grantKey(principalID, n), &g); err != nil {
				return err
			}
			if slices.Contains(g.Privileges, privilege) || slices.Contains(g.Privileges, AllPrivileges) {
				ok = true
				return nil
			}
		}
		return nil
	})
}
