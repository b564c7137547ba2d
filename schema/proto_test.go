package schema

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
)

// columns parses the columns of a table.
func columns(t testing.TB, ddl string) *Struct {
	t.Helper()
	c, err := ParseCreateTable("CREATE TABLE t (" + ddl + ")")
	if err != nil {
		t.Fatalf("%s: %v", ddl, err)
	}
	return &c.Columns
}

// fieldsOf lists a message's fields as "label type name = number", and those of the messages in it.
func fieldsOf(d *descriptorpb.DescriptorProto, indent string) (lines []string) {
	for _, f := range d.GetField() {
		text := strings.ToLower(strings.TrimPrefix(f.GetType().String(), "TYPE_"))
		if f.TypeName != nil {
			text = f.GetTypeName()
		}
		label := strings.ToLower(strings.TrimPrefix(f.GetLabel().String(), "LABEL_"))
		lines = append(lines, fmt.Sprintf("%s%s %s %s = %d", indent, label, text, f.GetName(), f.GetNumber()))
	}
	for _, m := range d.GetNestedType() {
		kind := "message "
		if m.GetOptions().GetMapEntry() {
			kind = "entry "
		}
		lines = append(append(lines, indent+kind+m.GetName()), fieldsOf(m, indent+"  ")...)
	}
	return lines
}

// checkFields compares the message of some columns, which protobuf's own library must take.
func checkFields(t *testing.T, ddl string, want ...string) {
	t.Helper()
	f, err := columns(t, ddl).Proto("M")
	if err != nil {
		t.Errorf("%s: %v", ddl, err)
		return
	}
	if got := fieldsOf(f.GetMessageType()[0], ""); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s:\n%s\nwant\n%s", ddl, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, err := protodesc.NewFile(f, nil); err != nil {
		t.Errorf("%s: %v", ddl, err)
	}
}

// checkRefused compares the error of columns that protobuf cannot say.
func checkRefused(t *testing.T, ddl, want string) {
	t.Helper()
	if f, err := columns(t, ddl).Proto("M"); err == nil {
		t.Errorf("%s: no error, but %v", ddl, fieldsOf(f.GetMessageType()[0], ""))
	} else if !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %s", ddl, err, want)
	}
}

func TestProto_GP01_NamesOfMessages(t *testing.T) {
	for column, want := range map[string]string{
		"address": "Address", "line_items": "LineItems", "lineItems": "LineItems", "a_b_c": "ABC", "_x": "X", "x_": "X", "a__b": "AB",
		"x1_2y": "X12y", "_1": "Struct1", "__": "Struct", "HTTP_code": "HTTPCode",
	} {
		if got := pascal(column); got != want {
			t.Errorf("%s: %s, want %s", column, got, want)
		}
	}
}

func TestProto_GP02_GP03_GP04_TextOfTypes(t *testing.T) {
	for text, want := range map[string]string{
		"array<string>":                                "array<string>",
		" ARRAY < INT > ":                              "array<int>",
		"array<struct<a:int>>":                         "array<struct<a:int>>",
		"array<array<int>>":                            "array<array<int>>",
		"map<string,int>":                              "map<string,int>",
		"MAP<STRING, MAP<STRING,INT>>":                 "map<string,map<string,int>>",
		"map<string,decimal(10,2)>":                    "map<string,decimal(10,2)>",
		"map<string,struct<a:int,b:array<int>>>":       "map<string,struct<a:int,b:array<int>>>",
		"struct<a:int,b:string>":                       "struct<a:int,b:string>",
		"struct<a int, b string>":                      "struct<a:int,b:string>",
		"struct<`a b`:int>":                            "struct<`a b`:int>",
		"struct<a:struct<b:decimal(3,1),c:int>,d:int>": "struct<a:struct<b:decimal(3,1),c:int>,d:int>",
		"struct<a:int COMMENT 'x, y > z'>":             "struct<a:int>",
		"struct<a:int NOT NULL>":                       "struct<a:int>",
	} {
		got, err := ParseType(text)
		if err != nil || got.String() != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"array":              "line 1 column 6: expected <",
		"array<>":            "line 1 column 7: expected a type",
		"array<int":          "line 1 column 10: expected >",
		"map<string>":        "line 1 column 11: expected ,", // GP-03: no comma
		"map<string,>":       "line 1 column 12: expected a type",
		"struct<a>":          "line 1 column 9: expected a type",
		"struct<a:int b:int": "line 1 column 14: expected , or >",
		"":                   "line 1 column 1: expected a type",
	} {
		if got, err := ParseType(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %s", text, got, err, want)
		}
	}
}

func TestProto_GP05_Names(t *testing.T) {
	for _, name := range []string{"1st", "a-b", "a b", "größe", "a.b", "naïve", "日付"} {
		f := Field{Name: name, Type: Type{Kind: Integer}, Nullable: true}
		_, err := (&Struct{Fields: []Field{{Name: "s", Type: Type{Kind: StructKind, Fields: []Field{f}}}}}).Proto("M")
		if err == nil || !strings.Contains(err.Error(), "column s."+name+": the name cannot be") || !strings.Contains(err.Error(), "rename the column") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := (&Struct{Fields: []Field{{Name: "a\x1b[2J", Type: Type{Kind: Integer}}}}).Proto("M")
	if err == nil || !strings.HasPrefix(err.Error(), `column "a\x1b[2J": the name cannot be`) {
		t.Errorf("a control character: %v", err)
	}
}

func TestProto_GP06_Scalars(t *testing.T) {
	for text, want := range map[string]string{
		"TINYINT": "int32", "byte": "int32", "SMALLINT": "int32", "Short": "int32", "INT": "int32", "integer": "int32",
		"BIGINT": "int64", "long": "int64", "FLOAT": "float", "real": "float", "DOUBLE": "double", "STRING": "string",
		"VARCHAR(10)": "string", "char(3)": "string", "BOOLEAN": "bool", "BINARY": "bytes", "DATE": "int32",
		"TIMESTAMP": "int64", "timestamp_ntz": "int64", "DECIMAL(10,2)": "string", "decimal": "string", "VARIANT": "string",
	} {
		checkFields(t, "a "+text, "optional "+want+" a = 1")
	}
}

func TestProto_GP07_Nullability(t *testing.T) {
	checkFields(t, "a INT, b INT NOT NULL", "optional int32 a = 1", "required int32 b = 2")
}

func TestProto_GP08_Arrays(t *testing.T) {
	checkFields(t, "a ARRAY<BIGINT>, items ARRAY<STRUCT<id: INT, tags: ARRAY<STRING>>> NOT NULL",
		"repeated int64 a = 1", "repeated .M.Items items = 2", "message Items", "  optional int32 id = 1", "  repeated string tags = 2")
}

func TestProto_GP09_ArraysOfArrays(t *testing.T) {
	checkRefused(t, "a ARRAY<ARRAY<INT>>", "column a.element: protobuf has no array in an array: send JSON records, or wrap the inner one in a struct")
	checkRefused(t, "s STRUCT<a: ARRAY<MAP<STRING, INT>>>", "column s.a.element: protobuf has no map in an array")
}

func TestProto_GP10_Maps(t *testing.T) {
	checkFields(t, "m MAP<STRING, INT>, line_items MAP<BIGINT, STRUCT<a: DATE>> NOT NULL",
		"repeated .M.MEntry m = 1", "repeated .M.LineItemsEntry line_items = 2",
		"entry MEntry", "  optional string key = 1", "  optional int32 value = 2",
		"entry LineItemsEntry", "  optional int64 key = 1", "  optional .M.LineItems value = 2",
		"message LineItems", "  optional int32 a = 1")
}

func TestProto_GP11_KeysOfMaps(t *testing.T) {
	for key, text := range map[string]string{
		"MAP<INT, INT>": "map<int,int>", "ARRAY<INT>": "array<int>", "STRUCT<a: INT>": "struct<a:int>",
		"FLOAT": "float", "DOUBLE": "double", "BINARY": "binary", "VARIANT": "variant",
	} {
		checkRefused(t, "m MAP<"+key+", INT>", "column m.key: protobuf has no map with "+text+" as key")
	}
	for key, field := range map[string]string{"BOOLEAN": "bool", "TINYINT": "int32", "DATE": "int32", "TIMESTAMP": "int64", "DECIMAL(3)": "string"} {
		checkFields(t, "m MAP<"+key+", INT>", "repeated .M.MEntry m = 1", "entry MEntry", "  optional "+field+" key = 1", "  optional int32 value = 2")
	}
}

func TestProto_GP12_ValuesOfMaps(t *testing.T) {
	checkRefused(t, "m MAP<STRING, MAP<STRING, INT>>", "column m.value: protobuf has no map in a map")
	checkRefused(t, "m MAP<STRING, ARRAY<INT>>", "column m.value: protobuf has no array in a map")
}

func TestProto_GP13_Structs(t *testing.T) {
	checkFields(t, "s STRUCT<a: INT, inner: STRUCT<b: STRING, c: INT NOT NULL>> NOT NULL",
		"required .M.S s = 1", "message S", "  optional int32 a = 1", "  optional .M.S.Inner inner = 2",
		"  message Inner", "    optional string b = 1", "    required int32 c = 2")
	if _, err := (&Struct{Fields: []Field{{Name: "s", Type: Type{Kind: StructKind}}}}).Proto("M"); err == nil || err.Error() != "column s: a struct needs at least one field" {
		t.Errorf("no members: %v", err)
	}
}

func TestProto_GP14_UnknownTypesAndDepth(t *testing.T) {
	for _, text := range []string{"INTERVAL", "void", "geography", "object"} {
		if _, err := ParseType(text); err == nil || !strings.Contains(err.Error(), "line 1 column 1: unknown type "+text) {
			t.Errorf("%s: %v", text, err)
		}
	}
	nested := func(levels int) string {
		return strings.Repeat("struct<a:", levels) + "int" + strings.Repeat(">", levels)
	}
	if _, err := ParseType(nested(101)); err == nil || !strings.Contains(err.Error(), "nested more than 100 levels deep") {
		t.Errorf("101 levels: %v", err)
	}
	deep, err := ParseType(nested(100))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&Struct{Fields: []Field{{Name: "a", Type: deep}}}).Proto("M"); err != nil {
		t.Errorf("100 levels: %v", err)
	}
	deeper := Type{Kind: StructKind, Fields: []Field{{Name: "a", Type: deep}}}
	if _, err := (&Struct{Fields: []Field{{Name: "a", Type: deeper}}}).Proto("M"); err == nil || !strings.Contains(err.Error(), "more than 100 levels deep") {
		t.Errorf("101 levels: %v", err)
	}
}

func TestProto_GP15_NoColumns(t *testing.T) {
	if _, err := (&Struct{}).Proto("M"); err == nil || !strings.Contains(err.Error(), "the table has no columns") {
		t.Errorf("no columns: %v", err)
	}
	if _, err := (&Struct{Fields: []Field{{Name: "a"}}}).Proto("M"); err == nil || !strings.Contains(err.Error(), "column a has no type") {
		t.Errorf("no type: %v", err)
	}
	if _, err := (&Struct{Fields: []Field{{Name: "a", Type: Type{Kind: Map}}}}).Proto("M"); err == nil || err.Error() != "column a.key has no type" {
		t.Errorf("no key: %v", err)
	}
	if _, err := (&Struct{Fields: []Field{{Name: "a", Type: Type{Kind: Decimal}}}}).Proto("M"); err == nil || err.Error() != "column a: decimal(0,0) is out of range" {
		t.Errorf("no precision: %v", err)
	}
	if _, err := (&Struct{Fields: []Field{{Name: "a", Type: Type{Kind: Array}}}}).Proto("M"); err == nil || !strings.Contains(err.Error(), "column a.element has no type") {
		t.Errorf("no element: %v", err)
	}
}

func TestProto_GP18_ReservedNumbers(t *testing.T) {
	s := &Struct{}
	for i := range 19_002 {
		s.Fields = append(s.Fields, Field{Name: fmt.Sprintf("c%d", i), Type: Type{Kind: Integer}, Nullable: true})
	}
	d, err := s.Descriptor("M")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range map[int]int32{0: 1, 18_997: 18_998, 18_998: 18_999, 18_999: 20_000, 19_000: 20_001, 19_001: 20_002} {
		if got := d.GetField()[i].GetNumber(); got != want {
			t.Errorf("column %d has number %d, want %d", i, got, want)
		}
	}
	if _, err := Resolve(d); err != nil {
		t.Error(err)
	}
}

func TestProto_GP22_WhatOtherToolsBreakOn(t *testing.T) {
	checkFields(t, "`select` STRUCT<`from`: DECIMAL(10,2) NOT NULL COMMENT 'price, or <nothing>', b: CHAR(2)> COMMENT 'it''s > a, b'",
		"optional .M.Select select = 1", "message Select", "  required string from = 1", "  optional string b = 2")
}

func TestProto_GP23_Collisions(t *testing.T) {
	// Keywords are names, too.
	checkFields(t, "message INT, optional INT, `repeated` INT, `string` INT, syntax INT, `to` INT",
		"optional int32 message = 1", "optional int32 optional = 2", "optional int32 repeated = 3",
		"optional int32 string = 4", "optional int32 syntax = 5", "optional int32 to = 6")
	checkFields(t, "a_b STRUCT<x: INT>, aB STRUCT<y: INT>, `A_B2` INT, AB2 INT",
		"optional .M.AB a_b = 1", "optional .M.AB3 aB = 2", "optional int32 A_B2 = 3", "optional int32 AB2 = 4",
		"message AB", "  optional int32 x = 1", "message AB3", "  optional int32 y = 1")
	checkFields(t, "a_entry STRUCT<x: INT>, a MAP<STRING, INT>",
		"optional .M.AEntry2 a_entry = 1", "repeated .M.AEntry a = 2",
		"entry AEntry", "  optional string key = 1", "  optional int32 value = 2", "message AEntry2", "  optional int32 x = 1")
	checkFields(t, "m STRUCT<m: STRUCT<m: INT>>",
		"optional .M.M m = 1", "message M", "  optional .M.M.M m = 1", "  message M", "    optional int32 m = 1")
	checkRefused(t, "a_b MAP<STRING, INT>, aB MAP<STRING, INT>", "column aB: protobuf names the entries of the maps a_b and aB alike, ABEntry")
	checkRefused(t, "_0 MAP<STRING, INT>", "column _0: protobuf would name the entries of the map 0Entry, which begins with a digit")
	checkRefused(t, "a MAP<STRING, INT>, AEntry INT", "column a: protobuf names the entries of the map a like the column AEntry")
	for _, message := range []string{"", "a b", "1a", "ü", "a.b", "a-b"} {
		if _, err := columns(t, "a INT").Proto(message); err == nil || !strings.Contains(err.Error(), "message name ") {
			t.Errorf("message name %q: %v", message, err)
		}
	}
}

func TestProto_Comments(t *testing.T) {
	f, err := columns(t, `a INT COMMENT 'of a', b STRUCT<c: ARRAY<DATE> COMMENT 'two
lines'>, d VARCHAR(5)`).Proto("M")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := protodesc.NewFile(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := fd.Messages().Get(0)
	for _, tt := range []struct{ field, leading, trailing string }{
		{"a", " of a\n", ""},
		{"b", "", ""},
		{"d", "", " VARCHAR(5)\n"},
	} {
		l := fd.SourceLocations().ByDescriptor(m.Fields().ByName(protoName(tt.field)))
		if l.LeadingComments != tt.leading || l.TrailingComments != tt.trailing {
			t.Errorf("%s: %q, %q", tt.field, l.LeadingComments, l.TrailingComments)
		}
	}
	l := fd.SourceLocations().ByDescriptor(m.Messages().Get(0).Fields().Get(0))
	if l.LeadingComments != " two\n lines\n" || l.TrailingComments != " ARRAY<DATE>: days since 1970-01-01\n" {
		t.Errorf("b.c: %q, %q", l.LeadingComments, l.TrailingComments)
	}
}

// The type of a descriptor is all that streams send, so it must be the same each time.
func TestDescriptor_IsTheSameEachTime(t *testing.T) {
	s := columns(t, "a MAP<STRING, STRUCT<x: INT>>, b STRUCT<y: MAP<INT, INT>, z: ARRAY<STRUCT<w: INT>>>")
	first, err := s.Descriptor("M")
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if d, err := s.Descriptor("M"); err != nil || !proto.Equal(d, first) {
			t.Fatal(d, err)
		}
	}
}
