package schema

import (
	"reflect"
	"strings"
	"testing"
)

func of(k Kind) Type { return Type{Kind: k} }

func ptr(t Type) *Type { return &t }

func arrayOf(t Type) Type { return Type{Kind: Array, Elem: &t, ElemNullable: true} }

func mapOf(k, v Type) Type { return Type{Kind: Map, Key: &k, Elem: &v, ElemNullable: true} }

func structOf(f ...Field) Type { return Type{Kind: StructKind, Fields: f} }

func col(name string, t Type) Field { return Field{Name: name, Type: t, Nullable: true} }

// forms has every type with all of its written forms, after PROTOCOL.md "Schema Serialization Format" and Unity Catalog's
// ColumnInfo.
var forms = []struct {
	typ                      Type
	text, ddl, json, catalog string
}{
	{of(Boolean), "boolean", "BOOLEAN", `"boolean"`, "BOOLEAN"},
	{of(Byte), "tinyint", "TINYINT", `"byte"`, "BYTE"},
	{of(Short), "smallint", "SMALLINT", `"short"`, "SHORT"},
	{of(Integer), "int", "INT", `"integer"`, "INT"},
	{of(Long), "bigint", "BIGINT", `"long"`, "LONG"},
	{of(Float), "float", "FLOAT", `"float"`, "FLOAT"},
	{of(Double), "double", "DOUBLE", `"double"`, "DOUBLE"},
	{Type{Kind: Decimal, Precision: 10, Scale: 2}, "decimal(10,2)", "DECIMAL(10,2)", `"decimal(10,2)"`, "DECIMAL"},
	{Type{Kind: Decimal, Precision: 38, Scale: 38}, "decimal(38,38)", "DECIMAL(38,38)", `"decimal(38,38)"`, "DECIMAL"},
	{of(String), "string", "STRING", `"string"`, "STRING"},
	{Type{Kind: String, Length: 5}, "varchar(5)", "VARCHAR(5)", `"string"`, "STRING"},
	{Type{Kind: String, Length: 5, Fixed: true}, "char(5)", "CHAR(5)", `"string"`, "STRING"},
	{of(Binary), "binary", "BINARY", `"binary"`, "BINARY"},
	{of(Date), "date", "DATE", `"date"`, "DATE"},
	{of(Timestamp), "timestamp", "TIMESTAMP", `"timestamp"`, "TIMESTAMP"},
	{of(TimestampNTZ), "timestamp_ntz", "TIMESTAMP_NTZ", `"timestamp_ntz"`, "TIMESTAMP_NTZ"},
	{of(Variant), "variant", "VARIANT", `"variant"`, "VARIANT"},
	{
		arrayOf(of(Integer)), "array<int>", "ARRAY<INT>",
		`{"type":"array","elementType":"integer","containsNull":true}`, "ARRAY",
	},
	{
		mapOf(of(String), of(Double)), "map<string,double>", "MAP<STRING, DOUBLE>",
		`{"type":"map","keyType":"string","valueType":"double","valueContainsNull":true}`, "MAP",
	},
	{
		structOf(col("zip", of(Integer)), col("city", of(String))), "struct<zip:int,city:string>", "STRUCT<zip: INT, city: STRING>",
		`{"type":"struct","fields":[{"name":"zip","type":"integer","nullable":true,"metadata":{}},{"name":"city","type":"string","nullable":true,"metadata":{}}]}`, "STRUCT",
	},
	{
		arrayOf(mapOf(of(String), structOf(col("a b", arrayOf(of(Long)))))), "array<map<string,struct<`a b`:array<bigint>>>>",
		"ARRAY<MAP<STRING, STRUCT<`a b`: ARRAY<BIGINT>>>>",
		`{"type":"array","elementType":{"type":"map","keyType":"string","valueType":{"type":"struct","fields":[{"name":"a b","type":{"type":"array","elementType":"long","containsNull":true},"nullable":true,"metadata":{}}]},"valueContainsNull":true},"containsNull":true}`, "ARRAY",
	},
}

func TestType_AllForms(t *testing.T) {
	covered := map[Kind]bool{Invalid: true}
	for _, c := range forms {
		covered[c.typ.Kind] = true
		if got := c.typ.String(); got != c.text {
			t.Errorf("String is %s, want %s", got, c.text)
		}
		if got := c.typ.DDL(); got != c.ddl {
			t.Errorf("DDL is %s, want %s", got, c.ddl)
		}
		if got, err := c.typ.MarshalJSON(); string(got) != c.json || err != nil {
			t.Errorf("%s: JSON is %s, %v, want %s", c.text, got, err, c.json)
		}
		if got := c.typ.Kind.CatalogName(); got != c.catalog {
			t.Errorf("%s: the catalog's name is %s, want %s", c.text, got, c.catalog)
		}
		for _, text := range []string{c.text, c.ddl} {
			if got, err := ParseType(text); err != nil || !reflect.DeepEqual(got, c.typ) {
				t.Errorf("ParseType(%s) is %v, %v", text, got, err)
			}
		}
		want := c.typ
		want.Length, want.Fixed = 0, false // in the metadata of the column
		var got Type
		if err := got.UnmarshalJSON([]byte(c.json)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("UnmarshalJSON(%s) is %v, %v", c.json, got, err)
		}
	}
	for k := range names {
		if !covered[Kind(k)] {
			t.Errorf("%s is not tested", Kind(k))
		}
	}
}

func TestType_Scalar(t *testing.T) {
	for _, c := range forms {
		want := !strings.ContainsAny(c.text, "<") && c.text != "variant"
		if c.typ.Scalar() != want {
			t.Errorf("%s: Scalar is %t", c.text, !want)
		}
	}
	if ptr(of(Invalid)).Scalar() {
		t.Error("no type is a scalar")
	}
}

func TestType_DDLKeepsWhatStringLeavesOut(t *testing.T) {
	typ := structOf(Field{Name: "a", Type: of(Integer), Comment: `it's a \ "c"`}, Field{Name: "b", Type: of(String), Nullable: true})
	const ddl = `STRUCT<a: INT NOT NULL COMMENT 'it\'s a \\ "c"', b: STRING>`
	if got := typ.DDL(); got != ddl {
		t.Errorf("got %s", got)
	}
	if got, err := ParseType(ddl); err != nil || !reflect.DeepEqual(got, typ) {
		t.Errorf("got %v, %v", got, err)
	}
	if got := typ.String(); got != "struct<a:int,b:string>" {
		t.Errorf("got %s", got)
	}
}

func TestStruct_IndexIsExact(t *testing.T) {
	s := Struct{Fields: []Field{col("a", of(Integer)), col("B", of(Integer))}}
	for name, want := range map[string]int{"a": 0, "B": 1, "b": -1, "": -1} {
		if got := s.Index(name); got != want {
			t.Errorf("Index(%q) is %d, want %d", name, got, want)
		}
	}
}
