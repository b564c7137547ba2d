package catalog

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
)

func TestAccess_AgreesWithChecked(t *testing.T) {
	c := open(t)
	p, q := principal(t, c, "p"), principal(t, c, "q")
	addNamespace(t, c, "own")
	addNamespace(t, c, "own.s")
	addNamespace(t, c, "other")
	for _, n := range []string{"main.default.a", "own.s.t", "main.default.b"} {
		addTable(t, c, n)
	}
	grant := func(who Principal, on string, ps ...Privilege) {
		t.Helper()
		if err := c.Grant(who.ID, ps, mustName(t, on)); err != nil {
			t.Fatal(err)
		}
	}
	grant(p, "main", UseCatalog, Select)
	grant(p, "main.default", UseSchema)
	grant(p, "main.default.b", AllPrivileges)
	grant(q, "main", AllPrivileges)
	for on, owner := range map[string]Principal{"own": p, "main.default.a": q} {
		if err := c.Alter(mustName(t, on), Change{Owner: &owner.ID}); err != nil {
			t.Fatal(err)
		}
	}
	objects := []string{"main", "main.default", "main.default.a", "main.default.b", "own", "own.s", "own.s.t", "other", "none", "main.default.none"}
	for _, who := range []Principal{p, q} {
		a, err := c.Access(who.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			n := mustName(t, o)
			for _, priv := range order {
				checked, err := c.Checked(who.ID, priv, n)
				if err != nil {
					t.Fatal(err)
				}
				// May wants the way to the object open, too; and it has no opinion of what does not exist.
				if want := checked && (n.Parent() == Name{} || a.Sees(n.Parent())); a.May(priv, n) != want && o != "main.default.none" {
					t.Errorf("%s on %s for %s: May says %t, Checked %t", priv, o, who.Name, !want, checked)
				}
			}
		}
	}
	seen := func(a *Access) (s string) {
		for _, o := range objects {
			if n := mustName(t, o); a.Sees(n) {
				s += o
				if a.Manages(n) {
					s += "!"
				}
				s += " "
			}
		}
		return s
	}
	for who, want := range map[string]string{
		p.ID: "main main.default main.default.a main.default.b own! own.s! own.s.t! main.default.none ",
		q.ID: "main main.default main.default.a! main.default.b main.default.none ",
	} {
		a, err := c.Access(who)
		if err != nil {
			t.Fatal(err)
		}
		if got := seen(a); got != want {
			t.Errorf("%s sees %s, want %s", who, got, want)
		}
		if a.Admin() || a.Owner() != who || a.Principal() != who {
			t.Errorf("%+v", a)
		}
	}
	admin := c.AdminAccess()
	if !admin.Admin() || admin.Owner() != DefaultOwner || !admin.Manages(mustName(t, "other")) || !admin.May(CreateTable, mustName(t, "own.s")) {
		t.Error("the administrator may not")
	}
	// The owner of a catalog does not read its tables for that: it would have to grant itself.
	a, _ := c.Access(p.ID)
	if a.May(Select, mustName(t, "own.s.t")) || !a.May(CreateSchema, mustName(t, "own")) {
		t.Error("the owner of a catalog may the wrong things")
	}
	for _, id := range []string{"", uuid.NewString(), "p"} {
		_, err := c.Access(id)
		fails(t, err, ErrNotFound, "does not exist")
	}
	if _, err := c.DeletePrincipal(p.ID); err != nil {
		t.Fatal(err)
	}
	if c.Check(p.ID, UseCatalog, mustName(t, "own")) {
		t.Error("a principal that is gone still owns")
	}
}

// Whoever is called admin is not the administrator, and a name that is used again does not inherit.
func TestAccess_NamesOwnNothing(t *testing.T) {
	c := open(t)
	p := principal(t, c, DefaultOwner)
	a, err := c.Access(p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if n := mustName(t, "main"); a.Sees(n) || a.Manages(n) || c.Check(p.ID, UseCatalog, n) {
		t.Error("a principal has what belongs to the administrator")
	}
}

func TestChangeGrants_AllOrNothing(t *testing.T) {
	c := open(t)
	p, q := principal(t, c, "p"), principal(t, c, "q")
	on := mustName(t, "main.default")
	show := func() string {
		list, err := c.Grants(GrantFilter{On: on})
		if err != nil {
			t.Fatal(err)
		}
		s := ""
		for _, g := range list {
			s += fmt.Sprint(g.PrincipalName, g.Privileges)
		}
		return s
	}
	change := func(changes ...GrantChange) error { return c.ChangeGrants(on, changes...) }
	if err := change(GrantChange{Principal: "p", Add: []Privilege{Select, UseSchema}}, GrantChange{Principal: q.ID, Add: []Privilege{Modify}}); err != nil {
		t.Fatal(err)
	}
	if err := change(GrantChange{Principal: p.ID, Add: []Privilege{"modify"}, Remove: []Privilege{"use_schema"}}, GrantChange{Principal: "q", Remove: []Privilege{Modify}}); err != nil {
		t.Fatal(err)
	}
	const want = "p[SELECT MODIFY]"
	if got := show(); got != want {
		t.Errorf("got %s", got)
	}
	first := GrantChange{Principal: "q", Add: []Privilege{Select}}
	fails(t, change(first, GrantChange{Principal: "none", Add: []Privilege{Select}}), ErrNotFound, "none")
	fails(t, change(first, GrantChange{Principal: "p", Add: []Privilege{UseCatalog}}), ErrInvalid, "USE CATALOG")
	fails(t, change(first, GrantChange{Principal: "p"}), ErrInvalid, "no privilege")
	fails(t, change(GrantChange{Principal: "q", Add: []Privilege{Select}, Remove: []Privilege{"select"}}), ErrInvalid, "at once")
	fails(t, c.ChangeGrants(mustName(t, "none"), first), ErrNotFound, "none")
	if got := show(); got != want {
		t.Errorf("after refusals: %s", got)
	}
}

func TestEffective(t *testing.T) {
	c := open(t)
	p := principal(t, c, "p")
	addTable(t, c, "main.default.t")
	for on, ps := range map[string][]Privilege{"main": {UseCatalog, Select, CreateTable}, "main.default": {AllPrivileges, UseSchema}, "main.default.t": {Modify}} {
		if err := c.Grant(p.ID, ps, mustName(t, on)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := c.Effective(GrantFilter{On: mustName(t, "main.default.t")})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, g := range list {
		got += fmt.Sprint(g.On, g.Privileges, " ")
	}
	if want := "main [SELECT] main.default [ALL PRIVILEGES] main.default.t [MODIFY] "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCatalog_KeepsItsID(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	var ids []uuid.UUID
	for range 2 {
		c, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.ID())
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if ids[0] == uuid.Nil || ids[0] != ids[1] {
		t.Errorf("the ids are %v", ids)
	}
}
