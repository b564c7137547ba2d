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

// GrantChange is what one principal, named by client id or name, is to get and to lose.
type GrantChange struct {
	Principal   string
	Add, Remove []Privilege
}

// Grant gives privileges on an object to a principal, named by client id or name. What was granted before stays.
// Errors: [ErrNotFound], [ErrInvalid].
func (c *Catalog) Grant(principal string, privileges []Privilege, on Name) error {
	return c.ChangeGrants(on, GrantChange{Principal: principal, Add: privileges})
}

// Revoke takes privileges away that were granted on this very object. ALL PRIVILEGES is a privilege of its own: revoking it
// leaves the others, and revoking another leaves it. What was not granted is no error. Errors: [ErrNotFound], [ErrInvalid].
func (c *Catalog) Revoke(principal string, privileges []Privilege, on Name) error {
	return c.ChangeGrants(on, GrantChange{Principal: principal, Remove: privileges})
}

// ChangeGrants makes several changes to the grants on one object: all of them, or none after an error. A change that adds and
// removes nothing, or the same privilege, is refused. Errors: [ErrNotFound], [ErrInvalid].
func (c *Catalog) ChangeGrants(on Name, changes ...GrantChange) error {
	on, err := on.norm()
	if err != nil {
		return err
	}
	checked := make([]GrantChange, len(changes))
	for i, ch := range changes {
		if checked[i], err = ch.check(on); err != nil {
			return err
		}
	}
	return c.db.Update(func(tx *bbolt.Tx) error {
		if err := mustExist(tx, on); err != nil {
			return err
		}
		for _, ch := range checked {
			if err := c.changeGrant(tx, on, ch); err != nil {
				return err
			}
		}
		return nil
	})
}

// check normalises the privileges.
func (ch GrantChange) check(on Name) (_ GrantChange, err error) {
	if len(ch.Add) == 0 && len(ch.Remove) == 0 {
		return ch, invalid("no privilege is named")
	}
	for _, ps := range []*[]Privilege{&ch.Add, &ch.Remove} {
		if len(*ps) > 0 {
			if *ps, err = checkGrantable(*ps, on); err != nil {
				return ch, err
			}
		}
	}
	for _, p := range ch.Add {
		if slices.Contains(ch.Remove, p) {
			return ch, invalid("%s is to be added and removed at once", p)
		}
	}
	return ch, nil
}

func (c *Catalog) changeGrant(tx *bbolt.Tx, on Name, ch GrantChange) error {
	p, err := findPrincipal(tx, ch.Principal)
	if err != nil {
		return err
	}
	key := grantKey(p.ID, on)
	var g grantRecord
	if _, err := get(tx, grantsBucket, key, &g); err != nil {
		return err
	}
	g.Privileges = slices.DeleteFunc(g.Privileges, func(p Privilege) bool { return slices.Contains(ch.Remove, p) })
	for _, p := range ch.Add {
		if !slices.Contains(g.Privileges, p) {
			g.Privileges = append(g.Privileges, p)
		}
	}
	g.Updated = c.time()
	if len(g.Privileges) == 0 {
		return tx.Bucket(grantsBucket).Delete(key)
	}
	sortPrivileges(g.Privileges)
	return put(tx, grantsBucket, key, g)
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
		return eachGrant(tx, prefix, func(g Grant) {
			if on == nil || slices.Contains(on, g.On) {
				list = append(list, g)
			}
		})
	})
	slices.SortStableFunc(list, func(a, b Grant) int {
		return cmp.Or(strings.Compare(a.PrincipalName, b.PrincipalName), strings.Compare(a.On.String(), b.On.String()))
	})
	return list, err
}

// grantsOf visits the grants of one principal.
func grantsOf(tx *bbolt.Tx, principalID string, f func(Grant)) error {
	return eachGrant(tx, principalID+"\x00", f)
}

// eachGrant visits the grants whose key begins with prefix.
func eachGrant(tx *bbolt.Tx, prefix string, f func(Grant)) error {
	cur := tx.Bucket(grantsBucket).Cursor()
	for k, v := cur.Seek([]byte(prefix)); k != nil && strings.HasPrefix(string(k), prefix); k, v = cur.Next() {
		g, err := readGrant(tx, k, v)
		if err != nil {
			return err
		}
		f(g)
	}
	return nil
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

// Check reports whether the principal with this client id has the privilege on the object: granted there, inherited as the
// package documentation tells, or as the object's owner. It is false for what does not exist and when the store cannot be read; use [Catalog.Checked]
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
			var g grantRecord
			if _, err := get(tx, grantsBucket, grantKey(principalID, n), &g); err != nil {
				return err
			}
			if grantsIt(g.Privileges, privilege, n) {
				ok = true
				return nil
			}
		}
		owner, err := ownerOf(tx, on)
		ok = owner == principalID
		return err
	})
}
