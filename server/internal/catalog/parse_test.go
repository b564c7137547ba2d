package catalog

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zerobus-go/zerobus/internal/sqltext"
	"github.com/zerobus-go/zerobus/schema"
)

func col(name string, k schema.Kind) schema.Field {
	return schema.Field{Name: name, Type: schema.Type{Kind: k}, Nullable: true}
}

const clientID = "0b1c2d3e-0000-4000-8000-000000000001"

// readme has the statements of the SDK's README as they stand there.
const readme = "CREATE TABLE main.default.air_quality (\n    device_name STRING,\n    temp INT,\n    humidity BIGINT\n)\nUSING DELTA;\n" +
	"GRANT USE CATALOG ON CATALOG main TO `" + clientID + "`;\n" +
	"GRANT USE SCHEMA ON SCHEMA main.default TO `" + clientID + "`;\n" +
	"GRANT SELECT, MODIFY ON TABLE main.default.air_quality TO `" + clientID + "`;\n"

func TestParse_Readme(t *testing.T) {
	got, err := Parse(readme)
	if err != nil {
		t.Fatal(err)
	}
	table := Name{"main", "default", "air_quality"}
	want := []Statement{
		&CreateTableStmt{
			Source: Source{strings.Split(readme, ";")[0], sqltext.Pos{Line: 1, Column: 1}},
			Name:   table,
			Table: &schema.CreateTable{
				Name:    []string{"main", "default", "air_quality"},
				Columns: schema.Struct{Fields: []schema.Field{col("device_name", schema.String), col("temp", schema.Integer), col("humidity", schema.Long)}},
			},
		},
		&GrantStmt{
			Source:     Source{"GRANT USE CATALOG ON CATALOG main TO `" + clientID + "`", sqltext.Pos{Line: 7, Column: 1}},
			Privileges: []Privilege{UseCatalog}, On: Name{Catalog: "main"}, Principal: clientID,
		},
		&GrantStmt{
			Source:     Source{"GRANT USE SCHEMA ON SCHEMA main.default TO `" + clientID + "`", sqltext.Pos{Line: 8, Column: 1}},
			Privileges: []Privilege{UseSchema}, On: table.Parent(), Principal: clientID,
		},
		&GrantStmt{
			Source:     Source{"GRANT SELECT, MODIFY ON TABLE main.default.air_quality TO `" + clientID + "`", sqltext.Pos{Line: 9, Column: 1}},
			Privileges: []Privilege{Select, Modify}, On: table, Principal: clientID,
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestParse_Statements(t *testing.T) {
	c, s, tb := Name{Catalog: "c"}, Name{"c", "s", ""}, Name{"c", "s", "t"}
	for sql, want := range map[string]Statement{
		"CREATE CATALOG c": &CreateNamespaceStmt{Name: c},
		"create catalog if not exists `C` comment 'it''s'": &CreateNamespaceStmt{Name: c, IfNotExists: true, Comment: "it's"},
		"CREATE SCHEMA c.s": &CreateNamespaceStmt{Name: s},
		"CREATE DATABASE IF NOT EXISTS C.S COMMENT \"x\"": &CreateNamespaceStmt{Name: s, IfNotExists: true, Comment: "x"},
		"DROP CATALOG c":                                        &DropStmt{Name: c},
		"DROP CATALOG IF EXISTS c CASCADE":                      &DropStmt{Name: c, IfExists: true, Cascade: true},
		"DROP SCHEMA c.s RESTRICT":                              &DropStmt{Name: s},
		"DROP DATABASE c.s CASCADE":                             &DropStmt{Name: s, Cascade: true},
		"DROP TABLE IF EXISTS c.`s`.t":                          &DropStmt{Name: tb, IfExists: true},
		"GRANT ALL PRIVILEGES ON CATALOG c TO ann":              &GrantStmt{Privileges: []Privilege{AllPrivileges}, On: c, Principal: "ann"},
		"grant use_schema, Create_Table on schema c.s to 'a b'": &GrantStmt{Privileges: []Privilege{UseSchema, CreateTable}, On: s, Principal: "a b"},
		"GRANT SELECT, SELECT ON c.s.t TO `a``b`":               &GrantStmt{Privileges: []Privilege{Select}, On: tb, Principal: "a`b"},
		"REVOKE MODIFY ON TABLE c.s.t FROM `x y`":               &GrantStmt{Revoke: true, Privileges: []Privilege{Modify}, On: tb, Principal: "x y"},
		"REVOKE ALL ON DATABASE c.s FROM x":                     &GrantStmt{Revoke: true, Privileges: []Privilege{AllPrivileges}, On: s, Principal: "x"},
		"SHOW CATALOGS":                                         &ShowNamespacesStmt{},
		"SHOW SCHEMAS":                                          &ShowNamespacesStmt{Schemas: true},
		"SHOW SCHEMAS IN c":                                     &ShowNamespacesStmt{Schemas: true, In: c},
		"show databases from c":                                 &ShowNamespacesStmt{Schemas: true, In: c},
		"SHOW TABLES":                                           &ShowTablesStmt{},
		"SHOW TABLES IN c":                                      &ShowTablesStmt{In: c},
		"SHOW TABLES FROM c.s":                                  &ShowTablesStmt{In: s},
		"SHOW GRANTS":                                           &ShowGrantsStmt{},
		"SHOW GRANTS ON TABLE c.s.t":                            &ShowGrantsStmt{On: tb},
		"SHOW GRANTS ON c.s.t":                                  &ShowGrantsStmt{On: tb},
		"SHOW GRANTS `" + clientID + "`":                        &ShowGrantsStmt{Principal: clientID},
		"SHOW GRANTS TO ann ON CATALOG c":                       &ShowGrantsStmt{Principal: "ann", On: c},
		"SHOW GRANTS `on` ON SCHEMA c.s":                        &ShowGrantsStmt{Principal: "on", On: s},
		"SHOW CREATE TABLE c.s.t":                               &ShowCreateTableStmt{Name: tb},
		"DESCRIBE c.s.t":                                        &DescribeStmt{Name: tb},
		"DESC TABLE c.s.t":                                      &DescribeStmt{Name: tb},
		"DESCRIBE TABLE EXTENDED c.s.t":                         &DescribeStmt{Name: tb, Extended: true},
		"DESCRIBE EXTENDED c.s.t":                               &DescribeStmt{Name: tb, Extended: true},
		"CREATE TABLE IF NOT EXISTS C.S.`T` (a INT)": &CreateTableStmt{Name: tb, Table: &schema.CreateTable{
			Name: []string{"C", "S", "T"}, IfNotExists: true, Columns: schema.Struct{Fields: []schema.Field{col("a", schema.Integer)}},
		}},
	} {
		for _, script := range []string{sql, " ;; -- a comment; \n" + sql + " /* ; */ ;;"} {
			got, err := Parse(script)
			if err != nil || len(got) != 1 {
				t.Errorf("%s: %v, %v", script, got, err)
				continue
			}
			if got[0].Where().Text != sql {
				t.Errorf("%q: the text is %q", script, got[0].Where().Text)
			}
			if d := cmp.Diff(want, got[0], cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Source" }, cmp.Ignore())); d != "" {
				t.Errorf("%s: %s", script, d)
			}
		}
	}
	for _, script := range []string{"", ";", " ; ;\n-- nothing\n", "/* ; */"} {
		if got, err := Parse(script); len(got) != 0 || err != nil {
			t.Errorf("%q: %v, %v", script, got, err)
		}
	}
}

func TestParse_Refuses(t *testing.T) {
	for sql, want := range map[string]string{
		"INSERT INTO t VALUES (1)":       `line 1 column 1: unknown statement "INSERT"; understood are CREATE CATALOG | SCHEMA | TABLE, ALTER TABLE, COMMENT ON TABLE, DROP CATALOG | SCHEMA | TABLE, GRANT, REVOKE, SHOW CATALOGS | SCHEMAS | TABLES | GRANTS | CREATE TABLE, DESCRIBE`,
		"'x'":                            `line 1 column 1: unknown statement the string "x"`,
		"`CREATE` TABLE":                 "line 1 column 1: unknown statement the quoted name \"CREATE\"",
		"CREATE":                         "line 1 column 7: expected CATALOG, SCHEMA, TABLE, DATABASE, got the end of the statement",
		"CREATE VIEW v":                  `line 1 column 8: expected CATALOG, SCHEMA, TABLE, DATABASE, got "VIEW"`,
		"CREATE CATALOG":                 "line 1 column 15: expected the name of a catalog, got the end of the statement",
		"CREATE CATALOG a.b":             "line 1 column 16: a.b is not the name of a catalog; expected catalog",
		"CREATE CATALOG `a b`":           `line 1 column 16: the name "a b": only letters a to z, digits and underscores are allowed`,
		"CREATE CATALOG a b":             `line 1 column 18: unexpected "b"; expected the end of the statement or ;`,
		"CREATE CATALOG a COMMENT b":     `line 1 column 26: expected a string in quotes, got "b"`,
		"CREATE CATALOG a-b":             `line 1 column 17: unexpected "-"`,
		"CREATE SCHEMA s":                "line 1 column 15: s is not the name of a schema; expected catalog.schema",
		"CREATE SCHEMA IF EXISTS s":      `line 1 column 18: expected NOT after IF, got "EXISTS"`,
		"CREATE SCHEMA a.b.c.d":          "line 1 column 15: the name has more than three parts",
		"CREATE TABLE t (a INT)":         "line 1 column 1: t is not the name of a table; expected catalog.schema.table",
		"CREATE TABLE a.b.`c d` (a INT)": `line 1 column 1: the name "a.b.c d": only letters`,
		"SHOW CATALOGS;\n\n  CREATE TABLE a.b.c (\n  a foo)":         "line 4 column 5: unknown type foo",
		"SHOW CATALOGS; CREATE TABLE a.b.c (a foo)":                  "line 1 column 38: unknown type foo",
		"SHOW CATALOGS; CREATE TABLE a.b.c (a INT, A INT)":           "line 1 column 16: column A: the names a and A differ only in case or not at all",
		"SHOW CATALOGS; CREATE TABLE a.b.c (a INT) COMMENT 'x; SHOW": "line 1 column 51: the quote ' is not closed",
		"SHOW CATALOGS; CREATE TABLE a.b.c (a foo) COMMENT 'x; SHOW": "line 1 column 38: unknown type foo",
		"CREATE TABLE a.b.c (a INT":                                  "line 1 column 26: expected , or ) after column a, got the end of the statement",
		"CREATE TABLE a.b.c (a INT) /* x":                            "line 1 column 28: the comment is not closed",
		"DROP TABLE a.b.c CASCADE":                                   `line 1 column 18: unexpected "CASCADE"`,
		"DROP TABLE a.b":                                             "line 1 column 12: a.b is not the name of a table",
		"DROP SCHEMA a.b CASCADE RESTRICT":                           `line 1 column 25: unexpected "RESTRICT"`,
		"GRANT ON TABLE a.b.c TO x":                                  `line 1 column 7: expected a privilege, got "ON"; known are ALL PRIVILEGES`,
		"GRANT FLY ON CATALOG a TO x":                                `line 1 column 7: unknown privilege "FLY"; known are ALL PRIVILEGES`,
		"GRANT SELECT, ON CATALOG a TO x":                            `line 1 column 15: expected a privilege`,
		"GRANT SELECT MODIFY ON CATALOG a TO x":                      `line 1 column 7: unknown privilege "SELECT MODIFY"`,
		"GRANT SELECT TO x":                                          `line 1 column 7: unknown privilege "SELECT TO x"`,
		"GRANT USE CATALOG ON SCHEMA a.b TO x":                       "line 1 column 22: USE CATALOG cannot be granted on a schema; grant it on a catalog",
		"GRANT SELECT ON CATALOG a FROM x":                           `line 1 column 27: expected TO, got "FROM"`,
		"REVOKE SELECT ON CATALOG a TO x":                            `line 1 column 28: expected FROM, got "TO"`,
		"GRANT SELECT ON CATALOG a TO":                               "line 1 column 29: expected a principal's client id or name in backticks, got the end of the statement",
		"GRANT SELECT ON CATALOG a TO ``":                            "line 1 column 30: expected a principal's client id or name in backticks, got the quoted name \"\"",
		"GRANT SELECT ON CATALOG a TO " + clientID:                   "line 1 column 30: put the principal's client id or name in backticks",
		"GRANT SELECT ON CATALOG a TO ab-cd":                         "line 1 column 30: put the principal's client id or name in backticks",
		"GRANT SELECT ON CATALOG a TO x@y.z":                         "line 1 column 30: put the principal's client id or name in backticks",
		"GRANT SELECT ON CATALOG a TO x y":                           `line 1 column 32: unexpected "y"`,
		"GRANT SELECT ON a TO x":                                     "line 1 column 17: a is not the name of a table",
		"SHOW":                                                       "line 1 column 5: expected CATALOGS, SCHEMAS, TABLES, GRANTS, CREATE, DATABASES, got the end of the statement",
		"SHOW TABLES IN a.b.c":                                       "line 1 column 16: a.b.c is the name of a table; expected catalog or catalog.schema",
		"SHOW SCHEMAS IN a.b":                                        "line 1 column 17: a.b is not the name of a catalog",
		"SHOW CREATE a.b.c":                                          `line 1 column 13: expected TABLE, got "a"`,
		"SHOW GRANTS x y":                                            `line 1 column 15: unexpected "y"`,
		"SHOW CATALOGS 'x":                                           "line 1 column 15: the quote ' is not closed",
		"SHOW CATALOGS; 'x":                                          "line 1 column 16: the quote ' is not closed",
		"DESCRIBE a":                                                 "line 1 column 10: a is not the name of a table",
		"SHOW CATALOGS SHOW CATALOGS":                                `line 1 column 15: unexpected "SHOW"; expected the end of the statement or ;`,
		"\xff":                                                       "line 1 column 1: the text is not valid UTF-8",
		strings.Repeat(";", sqltext.MaxLength+1):                     "line 1 column 1: the text has 1048577 bytes",
	} {
		got, err := Parse(sql)
		if got != nil {
			t.Errorf("%.80q was taken", sql)
		}
		fails(t, err, ErrInvalid, want)
		var at *sqltext.Error
		if !errors.As(err, &at) {
			t.Errorf("%.80q: the error has no place: %v", sql, err)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("%.80q: an error of %d bytes", sql, len(err.Error()))
		}
	}
}

// FuzzParse: the parser ends, the text of every statement is in the script where it says, and parsed alone it is the same
// statement.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		readme, "", "DROP SCHEMA IF EXISTS a.b CASCADE; SHOW GRANTS `x` ON a.b.c", "CREATE SCHEMA `a`.b COMMENT 'x;y' ; DESC EXTENDED a.b.c -- ;",
		"REVOKE ALL, use_schema ON DATABASE a.b FROM 'x'", "SHOW TABLES IN a;SHOW SCHEMAS FROM a;SHOW CREATE TABLE a.b.c", "CREATE TABLE a.b.c (a foo",
		"CREATE CATALOG IF NOT EXISTS c COMMENT \"\\n\"", "ALTER TABLE a.b.c ADD COLUMN d INT; COMMENT ON TABLE a.b.c IS 'x'",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, script string) {
		list, err := Parse(script)
		if err != nil {
			var at *sqltext.Error
			if !errors.Is(err, ErrInvalid) || !errors.As(err, &at) || list != nil {
				t.Fatalf("%v with %d statements", err, len(list))
			}
			if lines := strings.Count(script, "\n") + 1; at.Pos.Line < 1 || at.Pos.Line > lines || at.Pos.Column < 1 || at.Pos.Column > len(script)+1 {
				t.Fatalf("the error is at %v of %d lines", at.Pos, lines)
			}
			return
		}
		rest := script
		for _, st := range list {
			src := st.Where()
			i := strings.Index(rest, src.Text)
			if i < 0 || src.Text == "" {
				t.Fatalf("%q is not in the script", src.Text)
			}
			rest = rest[i+len(src.Text):]
			again, err := Parse(src.Text)
			if err != nil || len(again) != 1 {
				t.Fatalf("%q alone is %v, %v", src.Text, again, err)
			}
			want := fmt.Sprintf("%T", st)
			if got := fmt.Sprintf("%T", again[0]); got != want || again[0].Where().Text != src.Text {
				t.Fatalf("%q alone is %s", src.Text, got)
			}
			if d := cmp.Diff(st, again[0], cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Source" }, cmp.Ignore())); d != "" {
				t.Fatal(d)
			}
		}
	})
}
