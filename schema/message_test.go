package schema

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

func protoName(s string) protoreflect.Name { return protoreflect.Name(s) }

// descriptor parses a DescriptorProto.
func descriptor(t testing.TB, text string) *descriptorpb.DescriptorProto {
	t.Helper()
	d := new(descriptorpb.DescriptorProto)
	if err := prototext.Unmarshal([]byte(text), d); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d
}

// ddlOf is the columns as CREATE TABLE has them.
func ddlOf(s *Struct) string {
	parts := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		parts[i] = f.DDL()
	}
	return strings.Join(parts, ", ")
}

func TestFromDescriptor(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{
			`name: "M" field {name: "a" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32} field {name: "b" number: 7 label: LABEL_REQUIRED type: TYPE_UINT32}`,
			"a INT, b BIGINT NOT NULL",
		},
		{
			`name: "M" field {name: "a" number: 1 label: LABEL_REPEATED type: TYPE_BYTES} field {name: "b" number: 2 label: LABEL_OPTIONAL type: TYPE_FIXED64}
		  field {name: "c" number: 3 label: LABEL_OPTIONAL type: TYPE_BOOL} field {name: "d" number: 4 label: LABEL_OPTIONAL type: TYPE_DOUBLE}
		  field {name: "e" number: 5 label: LABEL_OPTIONAL type: TYPE_FLOAT} field {name: "f" number: 6 label: LABEL_OPTIONAL type: TYPE_SINT32}`,
			"a ARRAY<BINARY>, b BIGINT, c BOOLEAN, d DOUBLE, e FLOAT, f INT",
		},
		{
			`name: "M" field {name: "a" number: 1 label: LABEL_OPTIONAL type: TYPE_ENUM type_name: "E"} enum_type {name: "E" value {name: "X" number: 0}}`,
			"a STRING",
		},
		{
			`name: "M" field {name: "a" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".M.AEntry"}
		  nested_type {name: "AEntry" options {map_entry: true} field {name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING}
		  field {name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_INT64}}`,
			"a MAP<STRING, BIGINT>",
		},
	} {
		s, err := FromDescriptor(descriptor(t, tt.text))
		if err != nil || ddlOf(s) != tt.want {
			t.Errorf("%s: %v, want %s", tt.text, err, tt.want)
			if err == nil {
				t.Errorf("got %s", ddlOf(s))
			}
		}
	}
}

// References to nested types come in several spellings: protocol.md 2.1.
func TestResolve_SpellingsOfReferences(t *testing.T) {
	for _, name := range []string{".M.N", ".pkg.M.N", ".a.b.c.M.N", "N", "M.N", "a.b.M.N"} {
		for _, kind := range []string{"type: TYPE_MESSAGE", ""} { // the kind may be left open
			d := descriptor(t, `name: "M" field {name: "a" number: 1 label: LABEL_OPTIONAL `+kind+` type_name: "`+name+`"}
				nested_type {name: "N" field {name: "x" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32}}`)
			before := proto.CloneOf(d)
			s, err := FromDescriptor(d)
			if err != nil || ddlOf(s) != "a STRUCT<x: INT>" {
				t.Errorf("%s: %v", name, err)
			}
			if !proto.Equal(d, before) {
				t.Errorf("%s: the descriptor was changed", name)
			}
		}
	}
	// The nearest one counts.
	d := descriptor(t, `name: "M" field {name: "a" number: 1 label: LABEL_OPTIONAL type_name: "N"}
		nested_type {name: "N" field {name: "b" number: 1 label: LABEL_OPTIONAL type_name: "N"}
			nested_type {name: "N" field {name: "x" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32}}}`)
	if s, err := FromDescriptor(d); err != nil || ddlOf(s) != "a STRUCT<b: STRUCT<x: INT>>" {
		t.Error(s, err)
	}
}

func TestResolve_Oneofs(t *testing.T) {
	d := descriptor(t, `name: "M"
		field {name: "a" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 oneof_index: 0 proto3_optional: true}
		field {name: "b" number: 2 label: LABEL_OPTIONAL type: TYPE_INT32 oneof_index: 1}
		field {name: "c" number: 3 label: LABEL_OPTIONAL type: TYPE_INT32 oneof_index: 1}
		oneof_decl {name: "_a"} oneof_decl {name: "choice"}`)
	md, err := Resolve(d)
	if err != nil {
		t.Fatal(err)
	}
	if md.Oneofs().Len() != 1 || md.Fields().ByName("a").ContainingOneof() != nil || md.Fields().ByName("c").ContainingOneof().Name() != "choice" {
		t.Error(md.Oneofs())
	}
}

func TestResolve_Refuses(t *testing.T) {
	for text, want := range map[string]string{
		`name: "M" field {name: "a" number: 1 label: LABEL_OPTIONAL type_name: "Other"}`:                                            "field M.a has the type Other, which is not in the descriptor",
		`name: "M" field {name: "a" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32} field {name: "a" number: 2 type: TYPE_INT32}`: "already declared",
		`name: "M" field {name: "a" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32} field {name: "b" number: 1 type: TYPE_INT32}`: "has conflicting fields",
		`name: "1" field {name: "a" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32}`:                                              "has an invalid nested name",
		`name: "M" field {name: "a" number: 0 label: LABEL_OPTIONAL type: TYPE_INT32}`:                                              "invalid number",
		`name: "M" field {name: "a" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 oneof_index: 7}`:                               "oneof",
	} {
		if _, err := Resolve(descriptor(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	deep := &descriptorpb.DescriptorProto{Name: proto.String("M")}
	for range 150 {
		deep = &descriptorpb.DescriptorProto{Name: proto.String("M"), NestedType: []*descriptorpb.DescriptorProto{deep}}
	}
	if _, err := Resolve(deep); err == nil || !strings.Contains(err.Error(), "nested more than 100 levels deep") {
		t.Error(err)
	}
}

// A message that contains itself, or names one type in many places, ends in an error and not in all memory.
func TestFromDescriptor_Bounded(t *testing.T) {
	self := descriptor(t, `name: "M" field {name: "a" number: 1 label: LABEL_OPTIONAL type_name: "M"} field {name: "b" number: 2 label: LABEL_OPTIONAL type_name: "M"}`)
	if _, err := FromDescriptor(self); err == nil || !strings.Contains(err.Error(), "or contain themselves") {
		t.Error(err)
	}
	var fan strings.Builder
	fan.WriteString(`name: "M" field {name: "x" number: 1 label: LABEL_OPTIONAL type_name: "A"} `)
	for c := 'A'; c < 'Z'; c++ {
		fan.WriteString(`nested_type {name: "` + string(c) + `" `)
		for _, f := range []string{"1", "2", "3"} {
			fan.WriteString(`field {name: "f` + f + `" number: ` + f + ` label: LABEL_OPTIONAL type_name: "` + string(c+1) + `"} `)
		}
		fan.WriteString(`} `)
	}
	fan.WriteString(`nested_type {name: "Z" field {name: "i" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32}}`)
	if _, err := FromDescriptor(descriptor(t, fan.String())); err == nil || !strings.Contains(err.Error(), "more than 100000 fields together") {
		t.Error(err)
	}
}

func TestFromMessage_GroupsAreRefused(t *testing.T) {
	d := descriptor(t, `name: "M" field {name: "g" number: 1 label: LABEL_OPTIONAL type: TYPE_GROUP type_name: "G"}
		nested_type {name: "G" field {name: "x" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32}}`)
	if _, err := FromDescriptor(d); err == nil || !strings.Contains(err.Error(), "field g: no column takes a group") {
		t.Error(err)
	}
}

// What Proto writes, FromMessage reads: all types, comments and NOT NULL, but for what protobuf has no words for.
func TestProto_AndBack(t *testing.T) {
	for _, ddl := range []string{
		"a TINYINT NOT NULL COMMENT 'one\\'s', b SMALLINT, c INT, d BIGINT, e FLOAT, f DOUBLE, g STRING, h BINARY, i BOOLEAN",
		"a DATE, b TIMESTAMP, c TIMESTAMP_NTZ NOT NULL, d DECIMAL(38,10), e VARIANT, f CHAR(3), g VARCHAR(7)",
		"a ARRAY<DATE>, b ARRAY<INT>, c ARRAY<STRUCT<x: DECIMAL(5,2) NOT NULL COMMENT 'in', y: INT>>",
		"a MAP<DATE, TIMESTAMP>, b MAP<STRING, STRUCT<x: VARIANT, y: MAP<BIGINT, CHAR(2)>>>, c MAP<VARCHAR(3), STRUCT<x: INT>>",
		"a STRUCT<b: STRUCT<c: STRUCT<d: DATE NOT NULL> NOT NULL> COMMENT 'deep'>",
		"a MAP<DATE, STRUCT<x: BIGINT COMMENT 'in a struct: not a hint', y: DATE NOT NULL>> COMMENT 'a line\u2028end?'",
		`a INT COMMENT 'two\nlines', b INT COMMENT ' leading', c INT COMMENT 'trailing \n', d INT COMMENT 'DATE: not a hint'`,
	} {
		s := columns(t, ddl)
		f, err := s.Proto("M")
		if err != nil {
			t.Errorf("%s: %v", ddl, err)
			continue
		}
		fd, err := protodesc.NewFile(f, nil)
		if err != nil {
			t.Errorf("%s: %v", ddl, err)
			continue
		}
		back, err := FromMessage(fd.Messages().Get(0))
		if err != nil || ddlOf(back) != strings.ReplaceAll(ddlOf(s), "\u2028", " ") { // which some take for the end of a line
			t.Errorf("%s\nwas %s\nis  %s\n%v", ddl, ddlOf(s), ddlOf(back), err)
		}
	}
}

// Comments of people are no types.
func TestFromMessage_CommentsThatAreNoTypes(t *testing.T) {
	f, err := ParseProto(`message M {
		optional int32 age = 1;   // short: in years
		optional string d = 2;    // variant
		optional int32 e = 3;     // DATE of birth
		optional string f = 4;    // DATE: but a text
		optional int32 g = 5;     // DATE: days
	}`)
	if err != nil {
		t.Fatal(err)
	}
	f.Name = proto.String("m.proto")
	fd, err := protodesc.NewFile(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := FromMessage(fd.Messages().Get(0))
	if err != nil || ddlOf(s) != "age INT, d STRING, e INT, f STRING, g DATE" {
		t.Error(ddlOf(s), err)
	}
}
