package catalog

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zerobus-go/zerobus/schema"
)

// foreign is a table that somebody else made.
func foreign(t *testing.T, columns string, partitionBy ...string) *Found {
	t.Helper()
	ct, err := schema.ParseCreateTable("CREATE TABLE t (" + columns + ")")
	if err != nil {
		t.Fatal(err)
	}
	return &Found{ID: "of-spark", Columns: &ct.Columns, PartitionBy: partitionBy, Comment: "theirs", Properties: map[string]string{"delta.enableDeletionVectors": "true", "k": "v"}}
}

func TestExternal_ATableThatIsThereIsRegistered(t *testing.T) {
	e, l := engine(t)
	l.found["/lake/events"] = foreign(t, "id BIGINT NOT NULL, day DATE, s STRUCT<a: INT, b: ARRAY<VARCHAR(3)>>", "day")
	r := run(t, e, "CREATE TABLE main.default.t USING DELTA LOCATION 'file:///lake/events/'")
	if want := "created table main.default.t at /lake/events"; r[0].Message != want {
		t.Errorf("got %q, want %q", r[0].Message, want)
	}
	tb, err := e.catalog.Table(Name{"main", "default", "t"})
	if err != nil {
		t.Fatal(err)
	}
	if !tb.External || tb.Type() != External || tb.Location != "/lake/events" || tb.DeltaID != "of-spark" || tb.Comment != "theirs" || tb.Properties["k"] != "v" || tb.Owner != DefaultOwner {
		t.Errorf("the entry is %+v", tb)
	}
	if got := rows(t, e, "SHOW TABLES"); !cmp.Equal(got, []string{"main.default.t|EXTERNAL|admin|/lake/events|theirs"}) {
		t.Error(got)
	}
	if got := strings.Join(rows(t, e, "DESCRIBE EXTENDED main.default.t"), "\n"); !strings.Contains(got, "\nType|EXTERNAL||\n") || !strings.Contains(got, "\nLocation|/lake/events||\n") {
		t.Error(got)
	}

	// What SHOW CREATE TABLE gives registers the same table again.
	statement := strings.Join(rows(t, e, "SHOW CREATE TABLE main.default.t"), "")
	r = run(t, e, "DROP TABLE main.default.t")
	if want := "dropped table main.default.t; it is external: its files stay at /lake/events"; r[0].Message != want {
		t.Errorf("got %q, want %q", r[0].Message, want)
	}
	run(t, e, statement)
	again, err := e.catalog.Table(Name{"main", "default", "t"})
	if err != nil || again.Location != tb.Location || again.ID == tb.ID || again.DeltaID != tb.DeltaID {
		t.Errorf("%s\nmade %+v, %v", statement, again, err)
	}
	run(t, e, "CREATE TABLE IF NOT EXISTS main.default.t LOCATION '/nowhere'") // it is there, wherever
	if len(l.logs) > 0 {
		t.Errorf("logs were written: %s", l.locations())
	}
}

func TestExternal_WithColumnsATableIsMade(t *testing.T) {
	e, l := engine(t)
	run(t, e, "CREATE TABLE main.default.t (id BIGINT, day DATE) PARTITIONED BY (day) LOCATION '/lake/new' COMMENT 'ours' TBLPROPERTIES ('DELTA.APPENDONLY' = 'TRUE')")
	ct := l.logs["/lake/new"]
	if ct == nil || ct.Comment != "ours" || ct.Properties["delta.appendOnly"] != "true" || len(ct.PartitionBy) != 1 {
		t.Fatalf("made %+v", ct)
	}
	tb, err := e.catalog.Table(Name{"main", "default", "t"})
	if err != nil || tb.DeltaID != tb.ID.String() || !tb.External || tb.Comment != "ours" {
		t.Errorf("the entry is %+v, %v", tb, err)
	}
	// What CREATE TABLE refuses is refused here, too, and so is a writer that was faster.
	_, err = e.Exec(t.Context(), "CREATE TABLE main.default.u (id BIGINT) LOCATION '/lake/u' TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')")
	fails(t, err, ErrInvalid, "property delta.enableChangeDataFeed is not supported")
	_, err = e.Exec(t.Context(), "CREATE TABLE main.default.u (id BIGINT) LOCATION '/lake/u' COMMENT '"+strings.Repeat("x", maxCommentLength+1)+"'")
	fails(t, err, ErrInvalid, "more than the limit of 4096")
	if l.logs["/lake/u"] != nil {
		t.Error("a table was made all the same")
	}
	l.logs["/lake/u"] = ct
	_, err = e.Exec(t.Context(), "CREATE TABLE main.default.u (id BIGINT) LOCATION '/lake/u'")
	fails(t, err, ErrInvalid, "somebody else is making one at /lake/u")
}

func TestExternal_DifferencesAreNamed(t *testing.T) {
	e, l := engine(t)
	l.found["/lake/x"] = foreign(t, "id BIGINT NOT NULL, day DATE, s STRUCT<a: INT, b: ARRAY<VARCHAR(3)>>, m MAP<STRING, INT> COMMENT 'c'", "day")
	const same = "id BIGINT NOT NULL COMMENT 'mine', day DATE, s STRUCT<a: INT, b: ARRAY<VARCHAR(3)>>, m MAP<STRING, INT>"
	for clauses, want := range map[string]string{
		"(" + strings.Replace(same, "BIGINT", "INT", 1) + ") PARTITIONED BY (day)":                   "its column id is bigint, not int",
		"(" + strings.Replace(same, " NOT NULL", "", 1) + ") PARTITIONED BY (day)":                   "its column id is never null",
		"(" + strings.Replace(same, "DATE", "DATE NOT NULL", 1) + ") PARTITIONED BY (day)":           "its column day may be null",
		"(" + strings.Replace(same, "day DATE, ", "", 1) + ")":                                       "its column 2 is day, not s",
		"(" + same + ", more INT) PARTITIONED BY (day)":                                              "it has no column more",
		"(id BIGINT NOT NULL, day DATE) PARTITIONED BY (day)":                                        "it has a column s more; it has a column m more",
		"(" + strings.Replace(same, "VARCHAR(3)", "VARCHAR(4)", 1) + ") PARTITIONED BY (day)":        "its column s.b.element is varchar(3), not varchar(4)",
		"(" + strings.Replace(same, "a: INT", "a: INT NOT NULL", 1) + ") PARTITIONED BY (day)":       "its column s.a may be null",
		"(" + strings.Replace(same, "<STRING, INT>", "<STRING, DATE>", 1) + ") PARTITIONED BY (day)": "its column m.value is int, not date",
		"(" + strings.Replace(same, "MAP<STRING, INT>", "VARIANT", 1) + ") PARTITIONED BY (day)":     "its column m is map<string,int>, not variant",
		"(" + same + ")":                      "it is partitioned by (day), not by ()",
		"(" + same + ") PARTITIONED BY (id)":  "it is partitioned by (day), not by (id)",
		"COMMENT 'mine'":                      `its comment is "theirs"`,
		"TBLPROPERTIES ('k' = 'w', 'l' = '')": `its property k is "v", not "w"; it has no property l`,
		"(a INT, b INT, c INT) COMMENT 'x' TBLPROPERTIES ('1' = '', '2' = '', '3' = '', '4' = '')": "it has no property 2; and 2 more; ",
	} {
		_, err := e.Exec(t.Context(), "CREATE TABLE main.default.t "+clauses+" LOCATION '/lake/x'")
		fails(t, err, ErrInvalid, want)
	}
	run(t, e, "CREATE TABLE main.default.t ("+same+") PARTITIONED BY (day) COMMENT 'theirs' LOCATION '/lake/x' TBLPROPERTIES ('k' = 'v')")
}

func TestExternal_Refused(t *testing.T) {
	e, l := engine(t)
	for _, dir := range []string{"/lake/a", "/lake/a/b", "/lake/ab", "/lake"} {
		l.found[dir] = foreign(t, "id BIGINT")
	}
	run(t, e, "CREATE TABLE main.default.b LOCATION '/lake/a/b'; CREATE TABLE main.default.m (id BIGINT)")
	for script, want := range map[string]string{
		"CREATE TABLE main.default.t LOCATION '/etc'":                      "table main.default.t cannot be created: location \"/etc\": it is not below /lake",
		"CREATE TABLE main.default.t LOCATION '/lake/none'":                "there is no Delta table at /lake/none; give columns to make one",
		"CREATE TABLE main.default.t LOCATION '/lake/a/b'":                 "the directory /lake/a/b is that of table main.default.b",
		"CREATE TABLE main.default.t LOCATION 'file:///lake/a/b/'":         "the directory /lake/a/b is that of table main.default.b",
		"CREATE TABLE main.default.t LOCATION '/lake/a'":                   "the directory /lake/a overlaps with /lake/a/b, the one of table main.default.b",
		"CREATE TABLE main.default.t (id BIGINT) LOCATION '/lake/a/b/c/d'": "the directory /lake/a/b/c/d overlaps with /lake/a/b, the one of table main.default.b",
	} {
		_, err := e.Exec(t.Context(), script)
		fails(t, err, ErrInvalid, want)
	}
	_, err := e.Exec(t.Context(), "CREATE TABLE main.default.b LOCATION '/lake/ab'")
	fails(t, err, ErrExists, "table main.default.b exists already")
	_, err = e.Exec(t.Context(), "CREATE TABLE main.none.b LOCATION '/lake/ab'")
	fails(t, err, ErrNotFound, "schema main.none does not exist")
	run(t, e, "CREATE TABLE main.default.ab LOCATION '/lake/ab'")
	l.findErr = errors.New("no room")
	_, err = e.Exec(t.Context(), "CREATE TABLE main.default.t LOCATION '/lake/c'")
	fails(t, err, ErrInvalid, "table main.default.t cannot be created: no room")
}

func TestExternal_DroppedWithItsSchemaItsFilesStay(t *testing.T) {
	e, l := engine(t)
	run(t, e, "CREATE SCHEMA main.s; CREATE TABLE main.s.t (id BIGINT) LOCATION '/lake/t'; CREATE TABLE main.s.m (id BIGINT); DROP SCHEMA main.s CASCADE")
	if got := l.locations(); got != "/lake/t" {
		t.Errorf("there is %q", got)
	}
	if !cmp.Equal(l.retired, []string{"main.s.t"}) {
		t.Errorf("retired were %q", l.retired)
	}
}
