package schema

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseType_OtherSpellings(t *testing.T) {
	for text, want := range map[string]string{
		"INTEGER": "int", "Byte": "tinyint", "SHORT": "smallint", "LONG": "bigint", "REAL": "float", "timestamp_ltz": "timestamp",
		"DECIMAL": "decimal(10,0)", "dec(5)": "decimal(5,0)", "NUMERIC( 5 , 2 )": "decimal(5,2)", "character(3)": "char(3)",
		"STRUCT<a INT, b: STRING NOT NULL>": "struct<a:int,b:string>", " array < array<int>> ": "array<array<int>>",
		"struct<>": "struct<>", "map<string, -- a comment\nint>": "map<string,int>",
	} {
		if got, err := ParseType(text); err != nil || got.String() != want {
			t.Errorf("ParseType(%q) is %v, %v, want %s", text, got, err, want)
		}
	}
}

func TestParseType_Refuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "line 1 column 1: expected a type, got the end of the statement",
		"uint":                    "line 1 column 1: unknown type uint",
		"int int":                 `line 1 column 5: unexpected "int"`,
		"`int`":                   "line 1 column 1: expected a type, got the quoted name \"int\"",
		"array":                   "line 1 column 6: expected <, got the end of the statement",
		"array<int":               "line 1 column 10: expected >, got the end of the statement",
		"array<>":                 `line 1 column 7: expected a type, got ">"`,
		"map<int>":                `line 1 column 8: expected ,, got ">"`,
		"struct<a>":               `line 1 column 9: expected a type, got ">"`,
		"struct<a:int b:int>":     `line 1 column 14: expected , or > after column a, got "b"`,
		"struct<a:int not>":       `line 1 column 17: expected NULL after NOT, got ">"`,
		"struct<a:int comment b>": `line 1 column 22: expected a string in quotes, got "b"`,
		"decimal(39)":             `line 1 column 9: expected the precision, a number from 1 to 38, got "39"`,
		"decimal(0)":              `line 1 column 9: expected the precision, a number from 1 to 38, got "0"`,
		"decimal(5,6)":            "line 1 column 1: decimal scale 6 is larger than its precision 5",
		"decimal(5,-1)":           `line 1 column 11: expected the scale, a number from 0 to 38, got "-"`,
		"decimal(1.5)":            `line 1 column 9: expected the precision, a number from 1 to 38, got "1.5"`,
		"varchar":                 "line 1 column 8: expected (, got the end of the statement",
		"varchar(0)":              `line 1 column 9: expected the length, a number from 1 to 1073741824, got "0"`,
		"char(99999999999999)":    `line 1 column 6: expected the length, a number from 1 to 1073741824, got "99999999999999"`,
		"array<'":                 "line 1 column 7: the quote ' is not closed",
	} {
		got, err := ParseType(text)
		if err == nil || err.Error() != want {
			t.Errorf("ParseType(%q): %v, want %s", text, err, want)
		}
		if !reflect.DeepEqual(got, Type{}) {
			t.Errorf("ParseType(%q) gave %v with an error", text, got)
		}
	}
}

func TestParseType_DepthIsBounded(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("array<", n) + "int" + strings.Repeat(">", n) }
	typ, err := ParseType(nested(MaxDepth))
	if err != nil {
		t.Fatal(err)
	}
	s := Struct{Fields: []Field{col("a", typ)}}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	b, err := s.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var back Struct
	if err := back.UnmarshalJSON(b); err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("the deepest type of DDL cannot be read from JSON: %v", err)
	}

	if _, err := ParseType(nested(MaxDepth + 1)); err == nil || !strings.Contains(err.Error(), "more than 100 levels deep") {
		t.Errorf("error %v", err)
	}
	s.Fields[0].Type = arrayOf(typ)
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "more than 100 levels deep") {
		t.Errorf("error %v", err)
	}
	if b, err = s.MarshalJSON(); err != nil {
		t.Fatal(err)
	}
	if err := back.UnmarshalJSON(b); err == nil || !strings.Contains(err.Error(), "more than 100 levels deep") {
		t.Errorf("error %v", err)
	}
}

func TestParseCreateTable_OfTheReadme(t *testing.T) {
	for _, sql := range []string{
		"CREATE TABLE main.default.air_quality (device_name STRING, temp INT, humidity BIGINT) USING DELTA;",
		"create table `main`.default.air_quality(\n  device_name string, -- the sensor\n  temp int,\n  humidity bigint\n)",
	} {
		got, err := ParseCreateTable(sql)
		want := &CreateTable{
			Name:    []string{"main", "default", "air_quality"},
			Columns: Struct{[]Field{col("device_name", of(String)), col("temp", of(Integer)), col("humidity", of(Long))}},
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot %+v, %v", sql, got, err)
		}
	}
}

const everything = "CREATE TABLE IF NOT EXISTS `a b`.s.2020_t (\n" +
	"  id BIGINT NOT NULL COMMENT 'the \\'key\\'',\n" +
	"  `Comment` VARCHAR(10),\n" +
	"  s STRUCT<x: INT NOT NULL, `y z`: ARRAY<STRING>>,\n" +
	"  `größe` DECIMAL(10,2)\n" +
	")\nUSING DELTA\nPARTITIONED BY (`Comment`, id)\nCOMMENT 'a;b -- c'\n" +
	"TBLPROPERTIES (\n  'delta.appendOnly' = 'true',\n  'k' = 'it\\'s'\n)"

func TestParseCreateTable_Everything(t *testing.T) {
	want := &CreateTable{
		Name:        []string{"a b", "s", "2020_t"},
		IfNotExists: true,
		Columns: Struct{[]Field{
			{Name: "id", Type: of(Long), Comment: "the 'key'"},
			col("Comment", Type{Kind: String, Length: 10}),
			col("s", structOf(Field{Name: "x", Type: of(Integer)}, col("y z", arrayOf(of(String))))),
			col("größe", Type{Kind: Decimal, Precision: 10, Scale: 2}),
		}},
		PartitionBy: []string{"Comment", "id"},
		Comment:     "a;b -- c",
		Properties:  map[string]string{"delta.appendOnly": "true", "k": "it's"},
	}
	got, err := ParseCreateTable(everything)
	if err == nil {
		t.Fatalf("the name y z was taken: %+v", got)
	}
	sql := strings.ReplaceAll(everything, "`y z`", "yz")
	want.Columns.Fields[2].Type.Fields[1].Name = "yz"
	if got, err = ParseCreateTable(sql); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	again, err := ParseCreateTable(got.DDL())
	if err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("DDL gave\n%s\nwhich is %+v, %v", got.DDL(), again, err)
	}
}

func TestCreateTable_DDL(t *testing.T) {
	const sql = "CREATE TABLE main.default.t (\n  id BIGINT NOT NULL COMMENT 'it\\'s',\n  `größe` DECIMAL(10,2)\n)\n" +
		"USING DELTA\nCOMMENT 'c'\nTBLPROPERTIES (\n  'a' = '1',\n  'delta.appendOnly' = 'true'\n)"
	c, err := ParseCreateTable(sql)
	if err != nil || c.DDL() != sql {
		t.Errorf("got\n%s\n%v", c.DDL(), err)
	}
}

func TestParseCreateTable_Clauses(t *testing.T) {
	for clauses, want := range map[string]CreateTable{
		"COMMENT \"x\" USING delta":                             {Comment: "x"},
		"partitioned by (A)":                                    {PartitionBy: []string{"a"}},
		"partitioned by (C, a)":                                 {PartitionBy: []string{"c", "a"}},
		"TBLPROPERTIES (delta.appendOnly = true, n = 1, k 'v')": {Properties: map[string]string{"delta.appendOnly": "true", "n": "1", "k": "v"}},
		"location '/data/it\\'s' using delta":                   {Location: "/data/it's"},
		"":                                                      {},
	} {
		got, err := ParseCreateTable("CREATE TABLE t (a INT, b INT, c DATE) " + clauses)
		want.Name, want.Columns = []string{"t"}, Struct{[]Field{col("a", of(Integer)), col("b", of(Integer)), col("c", of(Date))}}
		if err != nil || !reflect.DeepEqual(got, &want) {
			t.Errorf("%s: got %+v, %v", clauses, got, err)
		}
	}
}

func TestParseCreateTable_WithoutColumns(t *testing.T) {
	for _, sql := range []string{
		"CREATE TABLE IF NOT EXISTS c.s.t USING DELTA LOCATION 'file:///data/a%20b' COMMENT 'x' TBLPROPERTIES ('k' = 'v');",
		"create table if not exists c.s.t comment 'x' location \"file:///data/a%20b\" tblproperties (k = v)",
	} {
		want := &CreateTable{
			Name: []string{"c", "s", "t"}, IfNotExists: true, Location: "file:///data/a%20b", Comment: "x", Properties: map[string]string{"k": "v"},
		}
		got, err := ParseCreateTable(sql)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v", got, err)
		}
		ddl := "CREATE TABLE IF NOT EXISTS c.s.t\nUSING DELTA\nLOCATION 'file:///data/a%20b'\nCOMMENT 'x'\nTBLPROPERTIES (\n  'k' = 'v'\n)"
		if got.DDL() != ddl {
			t.Errorf("got\n%s\nwant\n%s", got.DDL(), ddl)
		}
	}
}

func TestParseCreateTable_Refuses(t *testing.T) {
	for sql, want := range map[string]string{
		"":                                                        "line 1 column 1: expected CREATE, got the end of the statement",
		"CREATE VIEW v":                                           `line 1 column 8: expected TABLE, got "VIEW"`,
		"CREATE TABLE IF EXISTS t (a INT)":                        `line 1 column 17: expected NOT after IF, got "EXISTS"`,
		"CREATE TABLE (a INT)":                                    `line 1 column 14: expected a table name, got "("`,
		"CREATE TABLE a. (a INT)":                                 `line 1 column 17: expected a table name, got "("`,
		"CREATE TABLE a.b.c.d (a INT)":                            "line 1 column 20: the table's name has more than three parts; expected catalog.schema.table",
		"CREATE TABLE t":                                          "line 1 column 15: expected (, got the end of the statement",
		"CREATE TABLE t ()":                                       `line 1 column 17: expected a column name, got ")"`,
		"CREATE TABLE t (a INT":                                   "line 1 column 22: expected , or ) after column a, got the end of the statement",
		"CREATE TABLE t (a INT,)":                                 `line 1 column 23: expected a column name, got ")"`,
		"CREATE TABLE t (a INT DEFAULT 1)":                        `line 1 column 23: expected , or ) after column a, got "DEFAULT"`,
		"CREATE TABLE t (a\n  INT,\n  b foo)":                     "line 3 column 5: unknown type foo",
		"CREATE TABLE t (a INT, A INT)":                           "column A: the names a and A differ only in case or not at all",
		"CREATE TABLE t (`a b` INT)":                              `column name "a b": empty names and names with space , ; { } ( ) newline tab = are not allowed`,
		"CREATE TABLE t (s STRUCT<a:INT,A:INT>)":                  "column s.A: the names a and A differ only in case or not at all",
		"CREATE TABLE t (s STRUCT<>)":                             "column s: a struct needs at least one field",
		"CREATE TABLE t (a INT) USING PARQUET":                    `line 1 column 30: the only table format is DELTA, got "PARQUET"`,
		"CREATE TABLE t (a INT) USING DELTA USING DELTA":          "line 1 column 36: USING is given twice",
		"CREATE TABLE t (a INT) LOCATION x":                       `line 1 column 33: expected a string in quotes, got "x"`,
		"CREATE TABLE t (a INT) LOCATION ''":                      "line 1 column 33: the location is empty",
		"CREATE TABLE t (a INT) LOCATION '/x' LOCATION '/x'":      "line 1 column 38: LOCATION is given twice",
		"CREATE TABLE t () LOCATION '/x'":                         `line 1 column 17: expected a column name, got ")"`,
		"CREATE TABLE t USING DELTA":                              `line 1 column 16: expected (, got "USING": only a table with a LOCATION has its columns from there`,
		"CREATE TABLE t AS SELECT 1":                              `line 1 column 16: expected (, got "AS"`,
		"CREATE TABLE t PARTITIONED BY (a) LOCATION '/x'":         "line 1 column 28: PARTITIONED BY needs the columns in front of it; without them the table at the LOCATION says by itself what it is partitioned by",
		"CREATE TABLE t LOCATION '/x' PARTITIONED BY (a)":         "line 1 column 42: PARTITIONED BY needs the columns in front of it; without them the table at the LOCATION says by itself what it is partitioned by",
		"CREATE TABLE t (a INT) PARTITIONED (a)":                  `line 1 column 36: expected BY, got "("`,
		"CREATE TABLE t (a INT) PARTITIONED BY (b)":               `line 1 column 40: partition column "b" is not a column of the table`,
		"CREATE TABLE t (a INT, b INT) PARTITIONED BY (a, A)":     `line 1 column 50: partition column "A" is given twice`,
		"CREATE TABLE t (a INT) PARTITIONED BY (a b)":             `line 1 column 42: expected ), got "b"`,
		"CREATE TABLE t (a INT) PARTITIONED BY ()":                `line 1 column 40: expected a partition column, got ")"`,
		"CREATE TABLE t (a INT, b INT) PARTITIONED BY (b, a)":     "every column is a partition column, which leaves none for the files: leave one out of PARTITIONED BY",
		"CREATE TABLE t (a INT, b BINARY) PARTITIONED BY (b)":     "column b of type BINARY cannot be a partition column: BINARY, VARIANT and nested types cannot",
		"CREATE TABLE t (a INT, b VARIANT) PARTITIONED BY (b)":    "column b of type VARIANT cannot be a partition column: BINARY, VARIANT and nested types cannot",
		"CREATE TABLE t (a INT, b ARRAY<INT>) PARTITIONED BY (B)": "column b of type ARRAY<INT> cannot be a partition column: BINARY, VARIANT and nested types cannot",
		"CREATE TABLE t (a INT, b INT) PARTITIONED BY (b DATE)":   `line 1 column 49: expected ), got "DATE"`,
		"CREATE TABLE t (a INT, b INT) CLUSTER BY (b)":            `line 1 column 31: unexpected "CLUSTER"; after the columns may follow USING DELTA, PARTITIONED BY, LOCATION, COMMENT and TBLPROPERTIES`,
		"CREATE TABLE t (a INT) COMMENT x":                        `line 1 column 32: expected a string in quotes, got "x"`,
		"CREATE TABLE t (a INT) TBLPROPERTIES ()":                 `line 1 column 39: expected a property name, got ")"`,
		"CREATE TABLE t (a INT) TBLPROPERTIES ('a'='1','a'=2)":    `line 1 column 47: property "a" is given twice`,
		"CREATE TABLE t (a INT) TBLPROPERTIES ('a'=)":             `line 1 column 43: expected a value for property "a", got ")"`,
		"CREATE TABLE t (a INT) TBLPROPERTIES ('a'='1'":           "line 1 column 46: expected ), got the end of the statement",
		"CREATE TABLE t (a INT) TBLPROPERTIES ('a'='1":            "line 1 column 43: the quote ' is not closed",
		"CREATE TABLE t (a INT); SELECT 1":                        `line 1 column 25: unexpected "SELECT"`,
		"CREATE TABLE t (a INT) COMMENT 'x":                       "line 1 column 32: the quote ' is not closed",
	} {
		if c, err := ParseCreateTable(sql); err == nil || err.Error() != want || c != nil {
			t.Errorf("%s:\ngot  %v\nwant %s", sql, err, want)
		}
	}
}

func TestValidate_Columns(t *testing.T) {
	var s Struct
	if err := s.Validate(); err == nil {
		t.Error("a table without columns is valid")
	}
	for i := range MaxColumns {
		s.Fields = append(s.Fields, col("c"+strings.Repeat("x", i), of(Integer)))
	}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	s.Fields = append(s.Fields, col("one_more", of(Integer)))
	if err := s.Validate(); err == nil || err.Error() != "the table has 2001 columns, more than the limit of 2000" {
		t.Error(err)
	}
	for _, name := range []string{"", " ", "a,b", "a;", "{", "}", "(", ")", "a\n", "a\tb", "a=b"} {
		if err := (&Struct{[]Field{col(name, of(Integer))}}).Validate(); err == nil {
			t.Errorf("the name %q is valid", name)
		}
	}
	for want, typ := range map[string]Type{
		"column c has no type":                       {},
		"column c: decimal(0,0) is out of range":     of(Decimal),
		"column c: the map has no key or value type": of(Map),
		"column c: the array has no element type":    of(Array),
		"column c.element has no type":               arrayOf(Type{}),
		"column c.key has no type":                   mapOf(Type{}, of(Integer)),
		"column c.value has no type":                 mapOf(of(Integer), Type{}),
		"column c.d: decimal(39,0) is out of range":  structOf(col("d", Type{Kind: Decimal, Precision: 39})),
	} {
		if err := (&Struct{[]Field{col("c", typ)}}).Validate(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
