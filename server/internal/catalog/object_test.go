package catalog

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func TestParseName(t *testing.T) {
	for in, want := range map[string]Name{
		"main":                   {"main", "", ""},
		"Main.Default":           {"main", "default", ""},
		"a.B_2.2020_T":           {"a", "b_2", "2020_t"},
		strings.Repeat("a", 255): {strings.Repeat("a", 255), "", ""},
	} {
		got, err := ParseName(in)
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v", in, got, err)
		}
		if got.String() != strings.ToLower(in) {
			t.Errorf("%q is written %q", in, got)
		}
	}
	for in, want := range map[string]string{
		"":                         "a part of it is empty",
		".":                        "a part of it is empty",
		"a.":                       "a part of it is empty",
		"a..b":                     "a part of it is empty",
		"a.b.c.d":                  "has 4 parts",
		"a b":                      "only letters",
		"a/b":                      "only letters",
		"../x":                     "a part of it is empty",
		"a.b.`c`":                  "only letters",
		"größe":                    "only letters",
		"a\x00b":                   "only letters",
		"a.\xff.c":                 "only letters",
		strings.Repeat("a", 256):   "more than 255 characters",
		strings.Repeat("a.", 5000): "more than a name can have",
	} {
		_, err := ParseName(in)
		fails(t, err, ErrInvalid, want)
		if err != nil && len(err.Error()) > 700 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
	}
}

func TestParseSecurable(t *testing.T) {
	for typ, name := range map[string]string{"CATALOG": "a", "schema": "a.b", "Table": "a.b.c"} {
		n, err := ParseSecurable(typ, name)
		if err != nil || n.String() != name || n.Type() != strings.ToUpper(typ) {
			t.Errorf("%s %s: %v, %v", typ, name, n, err)
		}
	}
	for _, c := range [][3]string{
		{"TABLE", "a.b", "a.b is not the name of a table; expected catalog.schema.table"},
		{"SCHEMA", "a", "a is not the name of a schema; expected catalog.schema"},
		{"CATALOG", "a.b.c", "a.b.c is not the name of a catalog; expected catalog"},
		{"VIEW", "a.b.c", `unknown object type "VIEW"; known are CATALOG, SCHEMA and TABLE`},
		{"TABLE", "a.b c", "only letters"},
	} {
		_, err := ParseSecurable(c[0], c[1])
		fails(t, err, ErrInvalid, c[2])
	}
	if n, err := ParseTableName("A.b.c"); err != nil || n != (Name{"a", "b", "c"}) {
		t.Errorf("%v, %v", n, err)
	}
}

func TestName_Text(t *testing.T) {
	for _, n := range []Name{{}, {"a", "", ""}, {"a", "b", ""}, {"a", "b", "c"}} {
		b, err := n.MarshalText()
		var back Name
		if err = errors.Join(err, back.UnmarshalText(b)); err != nil || back != n {
			t.Errorf("%+v became %+v, %v", n, back, err)
		}
	}
}

func TestNamespaces(t *testing.T) {
	c := open(t)
	ns, err := c.CreateNamespace(Name{Catalog: "Sales"}, "all of it", "ann")
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Namespace(Name{Catalog: "SALES"})
	if d := cmp.Diff(ns, got); d != "" || err != nil || got.Name.Catalog != "sales" || got.Comment != "all of it" || got.Owner != "ann" {
		t.Error(d, err, got)
	}
	_, err = c.CreateNamespace(Name{Catalog: "sAles"}, "", "")
	fails(t, err, ErrExists, "catalog sales exists already")
	_, err = c.CreateNamespace(mustName(t, "none.s"), "", "")
	fails(t, err, ErrNotFound, "catalog none does not exist; run CREATE CATALOG none")
	_, err = c.CreateNamespace(mustName(t, "main.default.t"), "", "")
	fails(t, err, ErrInvalid, "not the name of a catalog or a schema")
	_, err = c.CreateNamespace(Name{Schema: "s"}, "", "")
	fails(t, err, ErrInvalid, "lacks a part")
	_, err = c.CreateNamespace(Name{Catalog: "a b"}, "", "")
	fails(t, err, ErrInvalid, "only letters")
	_, err = c.CreateNamespace(Name{Catalog: "x"}, strings.Repeat("x", maxCommentLength+1), "")
	fails(t, err, ErrInvalid, "the comment of catalog x has 4097 bytes")
	_, err = c.Namespace(mustName(t, "none.s"))
	fails(t, err, ErrNotFound, "schema none.s does not exist; run CREATE SCHEMA none.s")

	addNamespace(t, c, "sales.north")
	addNamespace(t, c, "sales.east")
	addNamespace(t, c, "sales_old") // sorts between sales and sales.*: a prefix must end at the dot
	addNamespace(t, c, "sales_old.north")
	names := func(list []Namespace, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for _, n := range list {
			s = append(s, n.Name.String())
		}
		return strings.Join(s, " ")
	}
	if got := names(c.Catalogs()); got != "main sales sales_old" {
		t.Error(got)
	}
	if got := names(c.Schemas("Sales")); got != "sales.east sales.north" {
		t.Error(got)
	}
	if got := names(c.Schemas("")); got != "main.default sales.east sales.north sales_old.north" {
		t.Error(got)
	}
	_, err = c.Schemas("none")
	fails(t, err, ErrNotFound, "catalog none does not exist")

	fails(t, c.DropNamespace(Name{Catalog: "sales"}), ErrNotEmpty, "catalog sales still has sales.east; drop what is in it first, or run DROP CATALOG sales CASCADE")
	fails(t, c.DropNamespace(Name{Catalog: "none"}), ErrNotFound, "catalog none")
	fails(t, c.DropNamespace(mustName(t, "a.b.c")), ErrInvalid, "a.b.c")
	for _, n := range []string{"sales.east", "sales.north", "sales"} {
		if err := c.DropNamespace(mustName(t, n)); err != nil {
			t.Error(err)
		}
	}
	if got := names(c.Catalogs()); got != "main sales_old" {
		t.Error(got)
	}
}

func TestTables(t *testing.T) {
	c := open(t)
	want := Table{ID: uuid.New(), Name: Name{"MAIN", "default", "T"}, Location: "main/default/t", Comment: "c", Properties: map[string]string{"k": "v"}}
	tb, err := c.CreateTable(want)
	if err != nil {
		t.Fatal(err)
	}
	if tb.Created.IsZero() || tb.Created != tb.Updated || tb.Owner != "admin" || tb.Name.String() != "main.default.t" {
		t.Errorf("got %+v", tb)
	}
	got, err := c.Table(Name{"Main", "Default", "t"})
	if d := cmp.Diff(tb, got); d != "" || err != nil {
		t.Error(d, err)
	}
	got, err = c.TableByID(tb.ID)
	if d := cmp.Diff(tb, got); d != "" || err != nil {
		t.Error(d, err)
	}

	_, err = c.CreateTable(Table{ID: uuid.New(), Name: tb.Name, Location: "x"})
	fails(t, err, ErrExists, "table main.default.t exists already")
	_, err = c.CreateTable(Table{ID: tb.ID, Name: mustName(t, "main.default.u"), Location: "x"})
	fails(t, err, ErrExists, "is that of table main.default.t")
	_, err = c.CreateTable(Table{ID: uuid.New(), Name: mustName(t, "main.none.t"), Location: "x"})
	fails(t, err, ErrNotFound, "schema main.none does not exist; run CREATE SCHEMA main.none")
	_, err = c.CreateTable(Table{ID: uuid.New(), Name: mustName(t, "none.none.t"), Location: "x"})
	fails(t, err, ErrNotFound, "catalog none does not exist; run CREATE CATALOG none")
	_, err = c.CreateTable(Table{Name: mustName(t, "main.default.u"), Location: "x"})
	fails(t, err, ErrInvalid, "no id or no location")
	_, err = c.CreateTable(Table{ID: uuid.New(), Name: mustName(t, "main.default"), Location: "x"})
	fails(t, err, ErrInvalid, "main.default is not the name of a table")
	_, err = c.Table(mustName(t, "main.default.u"))
	fails(t, err, ErrNotFound, "table main.default.u does not exist; SHOW TABLES IN main.default lists those that do")
	_, err = c.Table(mustName(t, "main.none.u"))
	fails(t, err, ErrNotFound, "table main.none.u does not exist, nor does schema main.none")
	_, err = c.TableByID(uuid.New())
	fails(t, err, ErrNotFound, "no table has the id")

	addNamespace(t, c, "main.default2")
	addTable(t, c, "main.default2.z")
	addTable(t, c, "main.default.a")
	names := func(in Name) string {
		t.Helper()
		list, err := c.Tables(in)
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for _, n := range list {
			s = append(s, n.Name.String())
		}
		return strings.Join(s, " ")
	}
	if got := names(Name{}); got != "main.default.a main.default.t main.default2.z" {
		t.Error(got)
	}
	if got := names(Name{Catalog: "main"}); got != "main.default.a main.default.t main.default2.z" {
		t.Error(got)
	}
	if got := names(Name{Catalog: "MAIN", Schema: "Default"}); got != "main.default.a main.default.t" {
		t.Error(got)
	}
	_, err = c.Tables(mustName(t, "main.none"))
	fails(t, err, ErrNotFound, "schema main.none does not exist")
	_, err = c.Tables(tb.Name)
	fails(t, err, ErrInvalid, "not the name of a catalog or a schema")

	fails(t, c.DropNamespace(mustName(t, "main.default")), ErrNotEmpty, "DROP SCHEMA main.default CASCADE")
	dropped, err := c.DropTable(tb.Name)
	if d := cmp.Diff(tb, dropped); d != "" || err != nil {
		t.Error(d, err)
	}
	_, err = c.DropTable(tb.Name)
	fails(t, err, ErrNotFound, "table main.default.t")
	_, err = c.TableByID(tb.ID)
	fails(t, err, ErrNotFound, "no table has the id")
	if again := addTable(t, c, "main.default.t"); again.ID == tb.ID {
		t.Error("a new table has the old id")
	}
}

func TestAlter(t *testing.T) {
	c := open(t)
	tb := addTable(t, c, "main.default.t")
	text, owner, none := "new", "ann", ""
	if err := c.Alter(tb.Name, Change{Comment: &text}); err != nil {
		t.Fatal(err)
	}
	if err := c.Alter(tb.Name, Change{Owner: &owner}); err != nil {
		t.Fatal(err)
	}
	got, err := c.Table(tb.Name)
	if err != nil || got.Comment != "new" || got.Owner != "ann" || !got.Updated.After(tb.Updated) || got.Created != tb.Created || got.ID != tb.ID {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := c.Alter(mustName(t, "main"), Change{Comment: &text, Owner: &owner}); err != nil {
		t.Fatal(err)
	}
	if err := c.Alter(mustName(t, "main"), Change{Owner: &none}); err != nil {
		t.Fatal(err)
	}
	ns, err := c.Namespace(mustName(t, "main"))
	if err != nil || ns.Comment != "new" || ns.Owner != "admin" {
		t.Errorf("got %+v, %v", ns, err)
	}
	fails(t, c.Alter(mustName(t, "main.default.none"), Change{}), ErrNotFound, "main.default.none")
	long := strings.Repeat("x", maxCommentLength+1)
	fails(t, c.Alter(tb.Name, Change{Comment: &long}), ErrInvalid, "comment")
}

func TestCreateTable_OneOfManyWins(t *testing.T) {
	c := open(t)
	const n = 16
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() {
			_, errs[i] = c.CreateTable(Table{ID: uuid.New(), Name: Name{"main", "default", "t"}, Location: fmt.Sprint(i)})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, ErrExists) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d won", won)
	}
}
