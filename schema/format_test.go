package schema

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// fileOf is a file in the text form of protobuf.
func fileOf(t testing.TB, text string) *descriptorpb.FileDescriptorProto {
	t.Helper()
	f := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(text), f); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return f
}

// checkFormat compares the text of a file, which must give the same text when it is parsed.
func checkFormat(t *testing.T, f *descriptorpb.FileDescriptorProto, want string) {
	t.Helper()
	got := FormatProto(f)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	back, err := ParseProto(got)
	if err != nil {
		t.Errorf("%v\n%s", err, got)
	} else if again := FormatProto(back); again != got {
		t.Errorf("became\n%s\nfrom\n%s", again, got)
	}
}

func TestFormatProto_Table(t *testing.T) {
	s := columns(t, "device_name STRING NOT NULL COMMENT 'who\nmeasures', day DATE, counts MAP<STRING, BIGINT>, "+
		"items ARRAY<STRUCT<sku: STRING, price: DECIMAL(10,2)>> COMMENT 'in order', place STRUCT<zip: INT>")
	f, err := s.Proto("AirQuality")
	if err != nil {
		t.Fatal(err)
	}
	checkFormat(t, f, `syntax = "proto2";

message AirQuality {
  // who
  // measures
  required string device_name = 1;
  optional int32 day = 2;  // DATE: days since 1970-01-01
  map<string, int64> counts = 3;
  // in order
  repeated Items items = 4;
  optional Place place = 5;

  message Items {
    optional string sku = 1;
    optional string price = 2;  // DECIMAL(10,2): the number as text
  }

  message Place {
    optional int32 zip = 1;
  }
}
`)
}

func TestFormatProto_EverythingThatIsKept(t *testing.T) {
	const text = `syntax = "proto3";

package shop.v1;

import "a.proto";
import public "dir/\"b\".proto";
import weak "c.proto";

// An order.
message Order {  // of one customer
  optional string id = 1;
  repeated int32 codes = 2 [packed = false];
  repeated Color colors = 3 [packed = true];
  // how it is paid
  oneof payment {  // or not at all
    string card = 4;
    // in cents
    uint64 cash = 5;  // counted
  }
  map<sint32, Line> lines = 6;

  message Line {
    string sku = 1;
    Order order = 2;
  }

  enum State {
    NEW = 0;
    OLD = -1;
  }
}

message Empty {
}

// What it looks like.
enum Color {  // RGB
  option allow_alias = true;
  // no light
  BLACK = 0;  // dark
  RED = 16711680;
  ROSSO = 16711680;
}
`
	f, err := ParseProto(text)
	if err != nil {
		t.Fatal(err)
	}
	checkFormat(t, f, text)
}

// The messages of maps' entries stand among the nested ones in the order of the text.
func TestFormatProto_OrderOfNestedMessagesIsKept(t *testing.T) {
	f, err := ParseProto("message M { map<bool, int32> a = 1; message B {} message C {} map<bool, C> d = 2; optional B b = 3; message E {} }")
	if err != nil {
		t.Fatal(err)
	}
	checkFormat(t, f, `syntax = "proto2";

message M {
  map<bool, int32> a = 1;

  message B {
  }

  message C {
  }

  map<bool, C> d = 2;
  optional B b = 3;

  message E {
  }
}
`)
}

func TestFormatProto_FieldsOfOneofsStandTogether(t *testing.T) {
	f := fileOf(t, `syntax: "proto3" message_type { name: "M" oneof_decl { name: "x" } oneof_decl { name: "y" } oneof_decl { name: "_e" }
		field { name: "a" number: 1 type: TYPE_INT32 oneof_index: 1 }
		field { name: "b" number: 2 type: TYPE_INT32 oneof_index: 0 }
		field { name: "c" number: 3 type: TYPE_INT32 }
		field { name: "d" number: 4 type: TYPE_INT32 oneof_index: 1 }
		field { name: "e" number: 5 type: TYPE_INT32 oneof_index: 2 proto3_optional: true } }`)
	checkFormat(t, f, `syntax = "proto3";

message M {
  oneof y {
    int32 a = 1;
    int32 d = 4;
  }
  oneof x {
    int32 b = 2;
  }
  int32 c = 3;
  optional int32 e = 5;
}
`)
}

func TestFormatProto_NamesOfTypesAreShortAndRight(t *testing.T) {
	for absolute, want := range map[string]string{
		".p.q.M":         "M",
		".p.q.M.In":      "In",
		".p.q.M.In.Deep": "In.Deep",
		".p.q.Other.Sub": "Other.Sub",
		".p.q.Color":     "Color",
		".p.q.Twice":     ".p.q.Twice", // there is a nearer one
		".p.q.M.Twice":   "Twice",
		".p.q.Two.X":     ".p.q.Two.X", // M.Two hides Two, which has no X
		".p.q.M.Two":     "Two",
		".p.q.Field":     "Field",     // a field of this name hides nothing
		".p.q.Field.Sub": "Field.Sub", // nor does it begin a name
		".p.q.string":    ".p.q.string",
		".p.q.message":   ".p.q.message",
		".p.q.p":         "p",
		".other.File":    ".other.File",
		"Unknown":        "Unknown",
	} {
		f, err := ParseProto(`package p.q;
			message M {
				optional int32 it = 1;
				optional int32 Field = 2;
				message In { message Deep {} }
				message Twice {}
				message Two {}
			}
			message Other { message Sub {} }
			enum Color { RED = 0; }
			message Twice {}
			message Two { message X {} }
			message Field { message Sub {} }
			message string {}
			message message {}
			message p {}`)
		if err != nil {
			t.Fatal(err)
		}
		field := f.GetMessageType()[0].GetField()[0]
		field.Type, field.TypeName = nil, proto.String(absolute)
		if text := FormatProto(f); !strings.Contains(text, "  optional "+want+" it = 1;\n") {
			t.Errorf("%s, want %s:\n%s", absolute, want, text)
		}
	}
}

func TestFormatProto_WhatIsNoValidDescriptorDoesNotPanic(t *testing.T) {
	for _, text := range []string{
		``,
		`message_type {}`,
		`message_type { field {} field { oneof_index: 7 } field { oneof_index: -1 } enum_type {} nested_type {} }`,
		`message_type { name: "M" nested_type { name: "E" options { map_entry: true } } field { type_name: ".M.E" } }`,
		`message_type { name: "M" nested_type { name: "E" options { map_entry: true } field { type_name: ".M.E" } field { type_name: ".M.E" } }
			field { type_name: ".M.E" oneof_index: 0 } oneof_decl {} }`,
		`message_type { name: "A.B" } message_type { name: "A.B" } package: "." public_dependency: 3 enum_type { value {} }`,
	} {
		if got := FormatProto(fileOf(t, text)); !strings.HasPrefix(got, "syntax = \"proto2\";\n") {
			t.Errorf("%s: %s", text, got)
		}
	}
	if got := FormatProto(nil); got != "syntax = \"proto2\";\n" {
		t.Errorf("nil: %s", got)
	}
}

func TestFormatProto_CommentsCannotBeLeft(t *testing.T) {
	for comment, want := range map[string]string{
		" plain\n":                       "// plain",
		"":                               "",
		"\n":                             "//",
		"no line end":                    "//no line end",
		" a\n b\n":                       "// a\n  // b",
		" a\r b\r\n c\n":                 "// a\n  // b\n  // c",
		" a\u2028b\u2029c\u0085d\v\fe\n": "// a b c d  e",
		" a\x00b\x1b[31m\x7f\n":          "// a b [31m ",
		" */ optional int32 x = 9;\n":    "// */ optional int32 x = 9;",
		" a\xffb\n":                      "// a\ufffdb",
		"\tx\n":                          "//\tx",
		" a\n\n b":                       "// a\n  //\n  // b",
	} {
		f := fileOf(t, `message_type { name: "M" field { name: "a" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 } }`)
		l := &descriptorpb.SourceCodeInfo_Location{Path: []int32{4, 0, 2, 0}}
		f.SourceCodeInfo = &descriptorpb.SourceCodeInfo{Location: []*descriptorpb.SourceCodeInfo_Location{l}}
		if want != "" {
			want += "\n  "
		}
		l.LeadingComments = proto.String(comment)
		checkFormat(t, f, "syntax = \"proto2\";\n\nmessage M {\n  "+want+"optional int32 a = 1;\n}\n")

		l.LeadingComments, l.TrailingComments = nil, proto.String(comment)
		text := FormatProto(f)
		back, err := ParseProto(text)
		if err != nil || len(back.GetMessageType()) != 1 || len(back.GetMessageType()[0].GetField()) != 1 {
			t.Errorf("%q: %v\n%s", comment, err, text)
		}
		if again := FormatProto(back); again != text {
			t.Errorf("%q: became\n%s\nfrom\n%s", comment, again, text)
		}
	}
}

// Descriptors that no compiler writes give a text that nobody reads, and no panic.
func TestFormatProto_DescriptorsThatCannotBe(t *testing.T) {
	for _, text := range []string{
		`message_type {name: "A"} message_type {name: "A" nested_type {name: "B" field {name: "x" number: 1 type_name: ".A.B"}}}`,
		`message_type {name: "A" nested_type {name: "B" options {map_entry: true}} field {name: "x" number: 1 type_name: ".A.B"}}`,
		`message_type {name: "A" field {name: "x" number: 1 oneof_index: 7}}`,
		`message_type {name: "" nested_type {} enum_type {} field {} oneof_decl {}}`,
		`message_type {field {type_name: "."} field {type_name: "..a"} field {type: TYPE_GROUP}}`,
	} {
		_ = FormatProto(fileOf(t, text))
	}
}

// What JSON calls two fields alike gets names of its own: Python could not load the file otherwise.
func TestProto_GP23_NamesInJSON(t *testing.T) {
	f, err := columns(t, "a_b INT, aB INT, _ INT, __ INT, size_cache INT").Proto("M")
	if err != nil {
		t.Fatal(err)
	}
	text := FormatProto(f)
	for _, want := range []string{
		`a_b = 1 [json_name = "a_b"];`, `aB = 2;`, `_ = 3 [json_name = "_"];`, `__ = 4 [json_name = "__"];`, `size_cache = 5;`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	back, err := ParseProto(text)
	if err != nil || FormatProto(back) != text {
		t.Errorf("%v\n%s", err, FormatProto(back))
	}
	for text, want := range map[string]string{
		`message M { optional int32 a = 1 [json_name = b]; }`:                    "json_name must be a string",
		`message M { optional int32 a = 1 [json_name = "b", json_name = "c"]; }`: "json_name is given twice",
		`message M { optional int32 a = 1 [json_name = "a-b"]; }`:                "a name has ASCII letters",
	} {
		if _, err := ParseProto(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
