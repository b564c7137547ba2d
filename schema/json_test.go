package schema

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// The whole schema string of a table, as Spark writes it.
const golden = `{"type":"struct","fields":[` +
	`{"name":"id","type":"long","nullable":false,"metadata":{"comment":"the <key>"}},` +
	`{"name":"name","type":"string","nullable":true,"metadata":{"__CHAR_VARCHAR_TYPE_STRING":"varchar(20)"}},` +
	`{"name":"codes","type":{"type":"array","elementType":"string","containsNull":true},"nullable":true,"metadata":{"__CHAR_VARCHAR_TYPE_STRING":"array<char(2)>"}},` +
	`{"name":"place","type":{"type":"struct","fields":[` +
	`{"name":"zip","type":"string","nullable":false,"metadata":{}},` +
	`{"name":"tags","type":{"type":"map","keyType":"string","valueType":"decimal(5,2)","valueContainsNull":false},"nullable":true,"metadata":{}}` +
	`]},"nullable":true,"metadata":{"__CHAR_VARCHAR_TYPE_STRING":"struct<zip:varchar(5),tags:map<varchar(3),decimal(5,2)>>","delta.columnMapping.id":4,"x":{"y":[1,null]}}}` +
	`]}`

func TestSchemaString_Golden(t *testing.T) {
	want := Struct{[]Field{
		{Name: "id", Type: of(Long), Comment: "the <key>"},
		col("name", Type{Kind: String, Length: 20}),
		col("codes", arrayOf(Type{Kind: String, Length: 2, Fixed: true})),
		{Name: "place", Nullable: true, Metadata: map[string]string{"delta.columnMapping.id": "4", "x": `{"y":[1,null]}`}, Type: structOf(
			Field{Name: "zip", Type: Type{Kind: String, Length: 5}},
			col("tags", Type{Kind: Map, Key: ptr(Type{Kind: String, Length: 3}), Elem: ptr(Type{Kind: Decimal, Precision: 5, Scale: 2})}),
		)},
	}}
	b, err := json.Marshal(want)
	if got := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(b)); err != nil || got != golden {
		t.Errorf("got  %s, %v\nwant %s", got, err, golden)
	}
	if b, err := want.MarshalJSON(); err != nil || string(b) != golden {
		t.Errorf("got  %s, %v\nwant %s", b, err, golden)
	}
	var got Struct
	if err := json.Unmarshal([]byte(golden), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	// type_json of Unity Catalog is one field.
	for i := range want.Fields {
		b, err := want.Fields[i].MarshalJSON()
		if err != nil || !strings.Contains(golden, string(b)) {
			t.Errorf("field %s is %s, %v", want.Fields[i].Name, b, err)
		}
		var f Field
		if err := json.Unmarshal(b, &f); err != nil || !reflect.DeepEqual(f, want.Fields[i]) {
			t.Errorf("got %+v, %v", f, err)
		}
	}
}

func TestSchemaString_AllTypes(t *testing.T) {
	var s Struct
	for i, c := range forms {
		s.Fields = append(s.Fields, Field{Name: strings.Repeat("c", i+1), Type: c.typ, Nullable: i%2 == 0})
	}
	b, err := s.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var back Struct
	if err := back.UnmarshalJSON(b); err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("got  %+v, %v\nwant %+v", back, err, s)
	}
	for i, c := range forms {
		if !strings.Contains(string(b), `"name":"`+s.Fields[i].Name+`","type":`+c.json+`,`) {
			t.Errorf("the schema string has no %s: %s", c.json, b)
		}
	}
}

func TestUnmarshalJSON_MetadataThatCannotBeReadIsKept(t *testing.T) {
	for _, meta := range []string{
		`{"comment":12}`, `{"comment":null}`, `{"comment":{}}`, `{"__CHAR_VARCHAR_TYPE_STRING":"nonsense"}`,
		`{"__CHAR_VARCHAR_TYPE_STRING":"array<varchar(3)>"}`, `{"__CHAR_VARCHAR_TYPE_STRING":7}`,
	} {
		keeps(t, `{"name":"a","type":"string","nullable":true,"metadata":`+meta+`}`)
	}
	// A type that is not the column's, and a member of a struct, whose lengths the column tells.
	for typ, of := range map[string]string{
		`{"type":"struct","fields":[{"name":"x","type":"string","nullable":true,"metadata":{}}]}`:                                                                  "struct<y:varchar(3)>",
		`{"type":"struct","fields":[{"name":"x","type":"string","nullable":true,"metadata":{}},{"name":"d","type":"decimal(5,2)","nullable":true,"metadata":{}}]}`: "struct<x:varchar(3),d:decimal(5,1)>",
		`{"type":"map","keyType":"string","valueType":"long","valueContainsNull":true}`:                                                                            "map<varchar(3),int>",
	} {
		keeps(t, `{"name":"a","type":`+typ+`,"nullable":true,"metadata":{"__CHAR_VARCHAR_TYPE_STRING":"`+of+`"}}`)
	}
	keeps(t, `{"name":"a","type":{"type":"struct","fields":[{"name":"x","type":"string","nullable":true,"metadata":{"__CHAR_VARCHAR_TYPE_STRING":"varchar(3)"}}]},"nullable":true,"metadata":{}}`)
}

// keeps checks that a field is written as it was read.
func keeps(t *testing.T, in string) {
	t.Helper()
	var f Field
	if err := json.Unmarshal([]byte(in), &f); err != nil {
		t.Errorf("%s: %v", in, err)
	}
	if f.Type.sized() {
		t.Errorf("%s became %s", in, f.DDL())
	}
	if b, err := f.MarshalJSON(); string(b) != in || err != nil {
		t.Errorf("%s became %s, %v", in, b, err)
	}
}

func TestUnmarshalJSON_MissingFlagsAllowNulls(t *testing.T) {
	var f Field
	if err := json.Unmarshal([]byte(`{"name":"a","type":{"type":"array","elementType":"long"}}`), &f); err != nil {
		t.Fatal(err)
	}
	if !f.Nullable || !f.Type.ElemNullable {
		t.Errorf("got %+v", f)
	}
}

func TestUnmarshalJSON_Refuses(t *testing.T) {
	for in, want := range map[string]string{
		`"void"`:           `unknown type "void"`,
		`"decimal(39,0)"`:  "column decimal: decimal(39,0) is out of range",
		`"decimal(1,2)"`:   "column decimal: decimal(1,2) is out of range",
		`"decimal"`:        `unknown type "decimal"`,
		`{"type":"set"}`:   `unknown type "set"`,
		`{}`:               "a type has no name",
		`null`:             "a type has no name",
		`{"type":"array"}`: "a type is missing",
		`{"type":"map"}`:   "a type is missing",
		`{"type":"struct","fields":[{"name":"a"}]}`:               "field a: a type is missing",
		`{"type":"struct","fields":[{"name":"a","type":"what"}]}`: `field a: unknown type "what"`,
	} {
		var got Type
		if err := json.Unmarshal([]byte(in), &got); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
	for _, in := range []string{`7`, `[]`, `{"type":7}`, `{"type":"struct","fields":7}`} {
		var got Type
		if err := json.Unmarshal([]byte(in), &got); err == nil {
			t.Errorf("%s was taken as %v", in, got)
		}
	}
	var s Struct
	if err := json.Unmarshal([]byte(`"string"`), &s); err == nil || err.Error() != "the schema is a string, expected a struct" {
		t.Error(err)
	}
}

func TestMarshalJSON_RefusesHoles(t *testing.T) {
	for _, typ := range []Type{{}, of(Array), of(Map), {Kind: Map, Key: ptr(of(String))}, structOf(col("a", Type{}))} {
		if b, err := typ.MarshalJSON(); err == nil {
			t.Errorf("%v became %s", typ.Kind, b)
		}
	}
	f := col("a", of(String))
	f.Metadata = map[string]string{"x": "{"}
	if b, err := f.MarshalJSON(); err == nil {
		t.Errorf("broken metadata became %s", b)
	}
}
