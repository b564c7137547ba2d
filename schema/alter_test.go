package schema

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseAlterTable(t *testing.T) {
	text := func(s string) *string { return &s }
	abc := []string{"a", "b", "c"}
	for sql, want := range map[string]AlterTable{
		"ALTER TABLE a.b.c ADD COLUMNS (x INT, y STRING COMMENT 'why')": {Name: abc, Add: []Field{
			{Name: "x", Type: Type{Kind: Integer}, Nullable: true}, {Name: "y", Type: Type{Kind: String}, Nullable: true, Comment: "why"},
		}},
		"alter table a.b.c add column (x int);":                                 {Name: abc, Add: []Field{{Name: "x", Type: Type{Kind: Integer}, Nullable: true}}},
		"ALTER TABLE c ADD COLUMN `x y` BIGINT COMMENT 'z'":                     {Name: abc[2:], Add: []Field{{Name: "x y", Type: Type{Kind: Long}, Nullable: true, Comment: "z"}}},
		"ALTER TABLE b.c ALTER COLUMN x COMMENT 'it''s'":                        {Name: abc[1:], Column: "x", Comment: text("it's")},
		"ALTER TABLE b.c CHANGE x COMMENT ''":                                   {Name: abc[1:], Column: "x", Comment: text("")},
		"ALTER TABLE b.c SET TBLPROPERTIES ('p' = 'q', delta.appendOnly=true);": {Name: abc[1:], Set: map[string]string{"p": "q", "delta.appendOnly": "true"}},
		"ALTER TABLE b.c UNSET TBLPROPERTIES ('p', delta.appendOnly)":           {Name: abc[1:], Unset: []string{"p", "delta.appendOnly"}},
		"ALTER TABLE b.c UNSET TBLPROPERTIES IF EXISTS (p)":                     {Name: abc[1:], Unset: []string{"p"}, IfExists: true},
		"COMMENT ON TABLE a.b.c IS 'text'":                                      {Name: abc, Comment: text("text")},
		"COMMENT ON TABLE a.b.c IS NULL":                                        {Name: abc, Comment: text("")},
	} {
		if got, err := ParseAlterTable(sql); err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s\ngot  %+v, %v\nwant %+v", sql, got, err, want)
		}
	}
	for sql, want := range map[string]string{
		"":                        "line 1 column 1: expected ALTER, got the end",
		"ALTER TABLE a.b.c.d ADD": "line 1 column 19: the table's name has more than three parts",
		"ALTER TABLE t ADD x INT": "line 1 column 19: expected COLUMN or COLUMNS",
		"ALTER TABLE t ADD COLUMNS (x INT NOT NULL)":                  "column 27: column x is NOT NULL, but the rows that are there have no value for it",
		"ALTER TABLE t ADD COLUMN x INT NOT NULL":                     "column 26: column x is NOT NULL",
		"ALTER TABLE t ADD COLUMN x INT FIRST":                        "column 32: ",
		"ALTER TABLE t ADD COLUMN x INT AFTER y":                      "column 32: ",
		"ALTER TABLE t ADD COLUMN s.x INT":                            "column 27: expected a type, got \".\"",
		"ALTER TABLE t DROP COLUMN x":                                 "column 15: expected ADD COLUMNS, ALTER COLUMN, SET TBLPROPERTIES or UNSET TBLPROPERTIES, got \"DROP\"",
		"ALTER TABLE t RENAME TO u":                                   "column 15: expected ADD COLUMNS",
		"ALTER TABLE t ALTER COLUMN x SET NOT NULL":                   "column 30: expected COMMENT, got \"SET\": nothing else of a column can be changed",
		"ALTER TABLE t SET TBLPROPERTIES ()":                          "column 34: ",
		"ALTER TABLE t UNSET TBLPROPERTIES ('a', 'a')":                "column 41: property \"a\" is given twice",
		"COMMENT ON TABLE t IS 3":                                     "column 23: expected a string in quotes",
		"COMMENT ON COLUMN t.x IS 'y'":                                "column 12: expected TABLE",
		"ALTER TABLE t ADD COLUMNS (x INT); ALTER TABLE t ADD COLUMN": "column 36: ",
	} {
		if a, err := ParseAlterTable(sql); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot  %+v, %v\nwant %s", sql, a, err, want)
		}
	}
}

func TestAlterTable_Columns(t *testing.T) {
	columns := func(ddl string) *Struct {
		c, err := ParseCreateTable("CREATE TABLE t (" + ddl + ")")
		if err != nil {
			t.Fatal(err)
		}
		return &c.Columns
	}
	before := columns("a INT NOT NULL, B STRING COMMENT 'b'")
	for sql, want := range map[string]string{
		"ALTER TABLE t ADD COLUMNS (c DATE, d DOUBLE COMMENT 'dee')": "a INT NOT NULL, B STRING COMMENT 'b', c DATE, d DOUBLE COMMENT 'dee'",
		"ALTER TABLE t ALTER COLUMN b COMMENT 'c'":                   "a INT NOT NULL, B STRING COMMENT 'c'",
		"ALTER TABLE t ALTER COLUMN b COMMENT ''":                    "a INT NOT NULL, B STRING",
		"COMMENT ON TABLE t IS 'x'":                                  "a INT NOT NULL, B STRING COMMENT 'b'",
	} {
		a, err := ParseAlterTable(sql)
		if err != nil {
			t.Fatal(err)
		}
		after, err := a.Columns(before)
		if err != nil || !reflect.DeepEqual(after, columns(want)) {
			t.Errorf("%s: %+v, %v", sql, after, err)
		}
	}
	if before.Fields[1].Comment != "b" || len(before.Fields) != 2 {
		t.Errorf("the columns before became %+v", before.Fields)
	}
	for sql, want := range map[string]string{
		"ALTER TABLE t ADD COLUMN A INT":           "there is a column a already",
		"ALTER TABLE t ADD COLUMNS (x INT, X INT)": "there is a column x already",
		"ALTER TABLE t ALTER COLUMN x COMMENT 'y'": "there is no column x",
	} {
		a, err := ParseAlterTable(sql)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Columns(before); err == nil || err.Error() != want {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// FuzzParseAlterTable: whatever comes, an answer; and what is added can be written down again.
func FuzzParseAlterTable(f *testing.F) {
	f.Add("ALTER TABLE a.b.c ADD COLUMNS (x INT, y STRUCT<a: ARRAY<INT>> COMMENT 'why')")
	f.Add("ALTER TABLE c ALTER `x` COMMENT 'z'")
	f.Add("ALTER TABLE c SET TBLPROPERTIES ('a' = 'b')")
	f.Add("ALTER TABLE c UNSET TBLPROPERTIES IF EXISTS ('a', b.c)")
	f.Add("COMMENT ON TABLE c IS NULL;")
	f.Fuzz(func(t *testing.T, sql string) {
		a, err := ParseAlterTable(sql)
		if err != nil {
			return
		}
		n := 0
		for _, has := range []bool{len(a.Add) > 0, a.Comment != nil, len(a.Set) > 0, len(a.Unset) > 0} {
			if has {
				n++
			}
		}
		if n != 1 || len(a.Name) == 0 {
			t.Fatalf("%q is %+v", sql, a)
		}
		for i := range a.Add {
			again, err := ParseAlterTable("ALTER TABLE t ADD COLUMNS (" + a.Add[i].DDL() + ")")
			if err != nil || !reflect.DeepEqual(again.Add[0], a.Add[i]) {
				t.Fatalf("%s: %+v, %v", a.Add[i].DDL(), again, err)
			}
		}
	})
}
