package catalog

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// principal makes a principal without the cost of a slow hash.
func principal(t *testing.T, c *Catalog, name string) Principal {
	t.Helper()
	defer func(was func(string) string) { c.logins.hash = was }(c.logins.hash)
	c.logins.hash = func(string) string { return "none" }
	p, _, err := c.CreatePrincipal(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParsePrivilege(t *testing.T) {
	for in, want := range map[string]Privilege{
		"USE CATALOG": UseCatalog, "use_catalog": UseCatalog, " Use  Schema ": UseSchema, "USE_SCHEMA": UseSchema, "select": Select,
		"MODIFY": Modify, "create table": CreateTable, "CREATE_SCHEMA": CreateSchema, "all privileges": AllPrivileges, "ALL_PRIVILEGES": AllPrivileges, "ALL": AllPrivileges,
	} {
		if got, err := ParsePrivilege(in); got != want || err != nil {
			t.Errorf("%q is %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "USE", "DROP", "SELECT MODIFY", strings.Repeat("S", 1000)} {
		_, err := ParsePrivilege(in)
		fails(t, err, ErrInvalid, "known are ALL PRIVILEGES, USE CATALOG, USE SCHEMA, CREATE SCHEMA, CREATE TABLE, SELECT, MODIFY")
	}
}

// TestCheck_Inheritance gives one privilege in one place and looks at all privileges in all places.
func TestCheck_Inheritance(t *testing.T) {
	c := open(t)
	for _, n := range []string{"other", "other.default", "main.s2"} {
		addNamespace(t, c, n)
	}
	for _, n := range []string{"main.default.t", "main.default.t2", "main.s2.t", "other.default.t"} {
		addTable(t, c, n)
	}
	all := []string{"main", "main.default", "main.default.t", "main.default.t2", "main.s2", "main.s2.t", "other", "other.default", "other.default.t"}
	inMain := "main main.default main.default.t main.default.t2 main.s2 main.s2.t"
	inDefault := "main.default main.default.t main.default.t2"
	for i, g := range []struct {
		give Privilege
		on   string
		want map[Privilege]string // where Check is true
	}{
		{UseCatalog, "main", map[Privilege]string{UseCatalog: inMain}},
		{UseSchema, "main", map[Privilege]string{UseSchema: inMain}},
		{UseSchema, "main.default", map[Privilege]string{UseSchema: inDefault}},
		{Select, "main", map[Privilege]string{Select: inMain}},
		{Select, "main.default", map[Privilege]string{Select: inDefault}},
		{Select, "main.default.t", map[Privilege]string{Select: "main.default.t"}},
		{Modify, "main.default.t", map[Privilege]string{Modify: "main.default.t"}},
		{Modify, "main", map[Privilege]string{Modify: inMain}},
		{CreateSchema, "main", map[Privilege]string{CreateSchema: inMain}},
		{CreateTable, "main", map[Privilege]string{CreateTable: inMain}},
		{CreateTable, "main.s2", map[Privilege]string{CreateTable: "main.s2 main.s2.t"}},
		{AllPrivileges, "main", map[Privilege]string{AllPrivileges: inMain, UseCatalog: inMain, UseSchema: inMain, Select: inMain, Modify: inMain, CreateSchema: inMain, CreateTable: inMain}},
		{AllPrivileges, "main.default", map[Privilege]string{AllPrivileges: inDefault, UseSchema: inDefault, Select: inDefault, Modify: inDefault, CreateTable: inDefault}},
		{AllPrivileges, "main.default.t", map[Privilege]string{AllPrivileges: "main.default.t", Select: "main.default.t", Modify: "main.default.t"}},
	} {
		p, stranger := principal(t, c, fmt.Sprint("p", i)), principal(t, c, fmt.Sprint("stranger", i))
		if err := c.Grant(p.Name, []Privilege{g.give}, mustName(t, g.on)); err != nil {
			t.Fatal(err)
		}
		for _, priv := range order {
			var got []string
			for _, n := range all {
				if c.Check(p.ID, priv, mustName(t, n)) {
					got = append(got, n)
				}
				if c.Check(stranger.ID, priv, mustName(t, n)) {
					t.Errorf("%s on %s: a stranger has %s on %s", g.give, g.on, priv, n)
				}
			}
			if strings.Join(got, " ") != g.want[priv] {
				t.Errorf("%s on %s: %s holds on %q, want %q", g.give, g.on, priv, got, g.want[priv])
			}
		}
	}
}

func TestCheck_IsFalseForWhatDoesNotExist(t *testing.T) {
	c := open(t)
	p := principal(t, c, "p")
	if err := c.Grant(p.ID, []Privilege{AllPrivileges}, mustName(t, "main")); err != nil {
		t.Fatal(err)
	}
	if !c.Check(p.ID, Select, mustName(t, "main.default")) {
		t.Fatal("the check that the others differ from")
	}
	for _, x := range []struct {
		id   string
		priv Privilege
		on   Name
	}{
		{p.ID, Select, Name{"main", "default", "none"}},
		{p.ID, Select, Name{"main", "none", ""}},
		{p.ID, Select, Name{}},
		{p.ID, Select, Name{"main", "", "t"}},
		{p.ID, Select, Name{"ma in", "", ""}},
		{p.ID, "DROP", Name{"main", "", ""}},
		{p.ID, "", Name{"main", "", ""}},
		{p.Name, Select, Name{"main", "", ""}}, // tokens carry ids
		{uuid.NewString(), Select, Name{"main", "", ""}},
		{"", Select, Name{"main", "", ""}},
	} {
		if ok, err := c.Checked(x.id, x.priv, x.on); ok || err != nil {
			t.Errorf("%+v: %t, %v", x, ok, err)
		}
	}
}

func TestCheck_AClosedStoreIsAFailureAndNotADenial(t *testing.T) {
	c := open(t)
	p := principal(t, c, "p")
	c.Close()
	if _, err := c.Checked(p.ID, Select, mustName(t, "main")); err == nil {
		t.Error("no error")
	}
	if c.Check(p.ID, Select, mustName(t, "main")) {
		t.Error("granted")
	}
}

func TestGrant_Errors(t *testing.T) {
	c := open(t)
	addTable(t, c, "main.default.t")
	principal(t, c, "p")
	for _, x := range []struct {
		who   string
		privs []Privilege
		on    string
		class error
		text  string
	}{
		{"nobody", []Privilege{Select}, "main", ErrNotFound, `principal "nobody" does not exist; zerobus principal list shows those that do, zerobus principal create nobody makes it`},
		{"it's", []Privilege{Select}, "main", ErrNotFound, `create 'it'\''s'`},
		{"0b1c2d3e-0000-4000-8000-000000000001", []Privilege{Select}, "main", ErrNotFound, "principal create NAME"},
		{"", []Privilege{Select}, "main", ErrNotFound, `principal ""`},
		{strings.Repeat("x", 1<<16), []Privilege{Select}, "main", ErrNotFound, "no principal"},
		{"p", []Privilege{Select}, "none", ErrNotFound, "catalog none does not exist"},
		{"p", []Privilege{Select}, "main.default.none", ErrNotFound, "table main.default.none does not exist"},
		{"p", nil, "main", ErrInvalid, "no privilege"},
		{"p", []Privilege{"DROP"}, "main", ErrInvalid, "unknown privilege"},
		{"p", []Privilege{UseCatalog}, "main.default", ErrInvalid, "USE CATALOG cannot be granted on a schema; grant it on a catalog"},
		{"p", []Privilege{Select, UseSchema}, "main.default.t", ErrInvalid, "USE SCHEMA cannot be granted on a table; grant it on a catalog or a schema"},
	} {
		fails(t, c.Grant(x.who, x.privs, mustName(t, x.on)), x.class, x.text)
		fails(t, c.Revoke(x.who, x.privs, mustName(t, x.on)), x.class, x.text)
	}
	fails(t, c.Grant("p", []Privilege{Select}, Name{Table: "t"}), ErrInvalid, "lacks a part")
	if list, err := c.Grants(GrantFilter{}); len(list) != 0 || err != nil {
		t.Errorf("refused grants left %v, %v", list, err)
	}
}

func TestGrantAndRevoke(t *testing.T) {
	c := open(t)
	addTable(t, c, "main.default.t")
	table := mustName(t, "main.default.t")
	a, b := principal(t, c, "a"), principal(t, c, "b")
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(c.Grant("B", []Privilege{Modify, "select", Select}, table))
	do(c.Grant(strings.ToUpper(a.ID), []Privilege{UseSchema}, table.Parent()))
	do(c.Grant(b.ID, []Privilege{Select}, mustName(t, "MAIN")))
	do(c.Grant("b", []Privilege{Select}, table)) // again: no change

	list := func(f GrantFilter) (out []string) {
		t.Helper()
		grants, err := c.Grants(f)
		do(err)
		for _, g := range grants {
			out = append(out, fmt.Sprintf("%s %s %s %s", g.PrincipalName, joinPrivileges(g.Privileges), g.Type, g.On))
		}
		return out
	}
	onTable, onSchema, onCatalog := "b SELECT, MODIFY TABLE main.default.t", "a USE SCHEMA SCHEMA main.default", "b SELECT CATALOG main"
	for _, x := range []struct {
		f    GrantFilter
		want []string
	}{
		{GrantFilter{}, []string{onSchema, onCatalog, onTable}},
		{GrantFilter{Principal: "b"}, []string{onCatalog, onTable}},
		{GrantFilter{Principal: a.ID}, []string{onSchema}},
		{GrantFilter{On: table}, []string{onTable}},
		{GrantFilter{On: table, Inherited: true}, []string{onSchema, onCatalog, onTable}},
		{GrantFilter{On: table.Parent(), Inherited: true}, []string{onSchema, onCatalog}},
		{GrantFilter{Principal: "a", On: table}, nil},
	} {
		if d := cmp.Diff(x.want, list(x.f)); d != "" {
			t.Errorf("%+v: %s", x.f, d)
		}
	}
	_, err := c.Grants(GrantFilter{Principal: "none"})
	fails(t, err, ErrNotFound, `principal "none"`)
	_, err = c.Grants(GrantFilter{On: mustName(t, "main.none")})
	fails(t, err, ErrNotFound, "schema main.none")

	do(c.Revoke("b", []Privilege{Select, UseCatalog}, mustName(t, "main"))) // USE CATALOG was never granted
	do(c.Revoke("b", []Privilege{Modify}, table))
	if d := cmp.Diff([]string{"b SELECT TABLE main.default.t"}, list(GrantFilter{Principal: "b"})); d != "" {
		t.Error(d)
	}
	// ALL PRIVILEGES is one of its own.
	do(c.Grant("b", []Privilege{AllPrivileges}, table))
	do(c.Revoke("b", []Privilege{Select}, table))
	if !c.Check(b.ID, Select, table) {
		t.Error("revoking SELECT took ALL PRIVILEGES away")
	}
	do(c.Grant("b", []Privilege{Select}, table))
	do(c.Revoke("b", []Privilege{AllPrivileges}, table))
	if !c.Check(b.ID, Select, table) || c.Check(b.ID, Modify, table) {
		t.Error("revoking ALL PRIVILEGES does not leave SELECT alone")
	}
}

func TestGrants_VanishWithTheirObject(t *testing.T) {
	c := open(t)
	p := principal(t, c, "p")
	addNamespace(t, c, "x")
	addNamespace(t, c, "x.s")
	for _, n := range []string{"x.s.t", "main.default.t"} {
		addTable(t, c, n)
		if err := c.Grant(p.ID, []Privilege{Select}, mustName(t, n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []string{"x", "x.s"} {
		if err := c.Grant(p.ID, []Privilege{AllPrivileges}, mustName(t, n)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.DropTable(mustName(t, "x.s.t")); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"x.s", "x"} {
		if err := c.DropNamespace(mustName(t, n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []string{"x", "x.s"} {
		addNamespace(t, c, n)
	}
	addTable(t, c, "x.s.t")
	for _, n := range []string{"x", "x.s", "x.s.t"} {
		if c.Check(p.ID, Select, mustName(t, n)) {
			t.Errorf("the grant on the old %s holds on the new one", n)
		}
	}
	list, err := c.Grants(GrantFilter{})
	if err != nil || len(list) != 1 || list[0].On.String() != "main.default.t" {
		t.Errorf("left are %v, %v", list, err)
	}
}

func TestGrants_VanishWithTheirPrincipal(t *testing.T) {
	c := open(t)
	p, q := principal(t, c, "p"), principal(t, c, "q")
	for _, who := range []string{"p", "q"} {
		if err := c.Grant(who, []Privilege{Select}, mustName(t, "main")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.DeletePrincipal("p"); err != nil {
		t.Fatal(err)
	}
	again := principal(t, c, "p")
	if c.Check(p.ID, Select, mustName(t, "main")) || c.Check(again.ID, Select, mustName(t, "main")) || !c.Check(q.ID, Select, mustName(t, "main")) {
		t.Error("the wrong grants are left")
	}
	if list, err := c.Grants(GrantFilter{}); err != nil || len(list) != 1 {
		t.Errorf("left are %v, %v", list, err)
	}
}

func TestGrant_Concurrent(t *testing.T) {
	c := open(t)
	p := principal(t, c, "p")
	var wg sync.WaitGroup
	for _, priv := range []Privilege{Select, Modify, UseSchema, UseCatalog} {
		wg.Go(func() {
			for range 10 {
				if err := c.Grant(p.ID, []Privilege{priv}, mustName(t, "main")); err != nil {
					t.Error(err)
				}
				if !c.Check(p.ID, priv, mustName(t, "main")) {
					t.Errorf("%s was lost", priv)
				}
				if _, err := c.Grants(GrantFilter{}); err != nil {
					t.Error(err)
				}
				if err := c.Revoke(p.ID, []Privilege{priv}, mustName(t, "main")); err != nil {
					t.Error(err)
				}
				if c.Check(p.ID, priv, mustName(t, "main")) {
					t.Errorf("%s is still there", priv)
				}
			}
		})
	}
	wg.Wait()
}
