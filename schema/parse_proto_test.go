package schema

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// checkParse compares the file that a text gives, without its comments, with one in the text form of protobuf.
func checkParse(t *testing.T, text, want string) {
	t.Helper()
	got, err := ParseProto(text)
	if err != nil {
		t.Errorf("%s: %v", text, err)
		return
	}
	w := fileOf(t, want)
	if w.Syntax == nil {
		w.Syntax = proto.String("proto2")
	}
	if got.GetSourceCodeInfo() == nil {
		t.Errorf("%s: no SourceCodeInfo", text)
	}
	got.SourceCodeInfo = nil
	if !proto.Equal(got, w) {
		t.Errorf("%s:\ngot  %v\nwant %v", text, got, w)
	}
}

// checkCanonical compares the canonical text of the file that a text gives, but for blanks.
func checkCanonical(t *testing.T, text, want string) {
	t.Helper()
	f, err := ParseProto(text)
	if err != nil {
		t.Errorf("%s: %v", text, err)
		return
	}
	if got := FormatProto(f); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
		t.Errorf("%s\ngot\n%s\nwant\n%s", text, got, want)
	}
}

func TestParseProto_Descriptors(t *testing.T) {
	checkParse(t, ``, ``)
	checkParse(t, `;; // nothing`, ``)
	checkParse(t, "\ufeff"+`syntax = "proto3";`, `syntax: "proto3"`)
	checkParse(t, `syntax = 'pro' "to2"; package a . b; import "x"; import public "y" '/z'; import weak "\x77";`,
		`package: "a.b" dependency: ["x", "y/z", "w"] public_dependency: 1 weak_dependency: 2`)
	checkParse(t, `message M { optional int32 a = 1; required string b = 0x10; repeated M c = 010; }`,
		`message_type { name: "M"
			field { name: "a" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 }
			field { name: "b" number: 16 label: LABEL_REQUIRED type: TYPE_STRING }
			field { name: "c" number: 8 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".M" } }`)
	checkParse(t, `syntax = "proto3"; package p; message M { int32 a = 1; optional E e = 2; repeated E f = 3 [packed = false, deprecated = true]; enum E { Z = 0; } }`,
		`syntax: "proto3" package: "p" message_type { name: "M"
			field { name: "a" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 }
			field { name: "e" number: 2 label: LABEL_OPTIONAL type: TYPE_ENUM type_name: ".p.M.E" oneof_index: 0 proto3_optional: true }
			field { name: "f" number: 3 label: LABEL_REPEATED type: TYPE_ENUM type_name: ".p.M.E" options { packed: false } }
			enum_type { name: "E" value { name: "Z" number: 0 } }
			oneof_decl { name: "_e" } }`)
	checkParse(t, `package p; message M { map<string, .p.M> a_b = 1 [(x).y = { z: 1 }]; map<sfixed64, bytes> c = 2; }`,
		`package: "p" message_type { name: "M"
			field { name: "a_b" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".p.M.ABEntry" }
			field { name: "c" number: 2 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".p.M.CEntry" }
			nested_type { name: "ABEntry" options { map_entry: true }
				field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
				field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".p.M" } }
			nested_type { name: "CEntry" options { map_entry: true }
				field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_SFIXED64 }
				field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_BYTES } } }`)
	checkParse(t, `message M { oneof x { option (o) = 1; int32 a = 1; M b = 2; } optional bool c = 3; oneof y { string d = 4; } }`,
		`message_type { name: "M"
			field { name: "a" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 oneof_index: 0 }
			field { name: "b" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".M" oneof_index: 0 }
			field { name: "c" number: 3 label: LABEL_OPTIONAL type: TYPE_BOOL }
			field { name: "d" number: 4 label: LABEL_OPTIONAL type: TYPE_STRING oneof_index: 1 }
			oneof_decl { name: "x" } oneof_decl { name: "y" } }`)
	checkParse(t, `enum E { option allow_alias = true; A = 0x7fffffff; B = -2147483648; C = -0x80000000 [deprecated = true]; ; D = 017; }`,
		`enum_type { name: "E" options { allow_alias: true }
			value { name: "A" number: 2147483647 } value { name: "B" number: -2147483648 } value { name: "C" number: -2147483648 } value { name: "D" number: 15 } }`)
}

func TestParseProto_OneofsOfOptionalFieldsComeLastAndHaveFreeNames(t *testing.T) {
	checkParse(t, `syntax = "proto3"; message M { optional int32 a = 1; oneof _a { int32 b = 2; } optional int32 _c = 3; enum E { X_a = 0; } }`,
		`syntax: "proto3" message_type { name: "M"
			field { name: "a" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 oneof_index: 1 proto3_optional: true }
			field { name: "b" number: 2 label: LABEL_OPTIONAL type: TYPE_INT32 oneof_index: 0 }
			field { name: "_c" number: 3 label: LABEL_OPTIONAL type: TYPE_INT32 oneof_index: 2 proto3_optional: true }
			enum_type { name: "E" value { name: "X_a" number: 0 } }
			oneof_decl { name: "_a" } oneof_decl { name: "XX_a" } oneof_decl { name: "X_c" } }`)
}

func TestParseProto_AllScalarTypes(t *testing.T) {
	names := []string{
		"double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes",
	}
	for _, name := range names {
		want := "TYPE_" + strings.ToUpper(name)
		checkParse(t, `message M { repeated `+name+` a = 1; }`, `message_type { name: "M" field { name: "a" number: 1 label: LABEL_REPEATED type: `+want+` } }`)
		if _, err := ParseProto(`message M { map<` + name + `, int32> a = 1; }`); (err == nil) == slices.Contains([]string{"double", "float", "bytes"}, name) {
			t.Errorf("map<%s, int32>: %v", name, err)
		}
		if _, err := ParseProto(`message M { repeated ` + name + ` a = 1 [packed = true]; }`); (err == nil) == slices.Contains([]string{"string", "bytes"}, name) {
			t.Errorf("packed %s: %v", name, err)
		}
	}
	if len(names) != len(protoScalars) {
		t.Errorf("there are %d scalar types", len(protoScalars))
	}
}

// Names are looked up from the innermost scope outwards, by their first part.
func TestParseProto_References(t *testing.T) {
	for name, want := range map[string]string{
		"In": ".p.q.M.In", "M": ".p.q.M", "Out": ".p.q.Out", "M.In": ".p.q.M.In", "q.M": ".p.q.M", "p.q.Out": ".p.q.Out", ".p.q.Out": ".p.q.Out",
		"Out.In": ".p.q.Out.In", "Field": ".p.q.Field", "Field.In": ".p.q.Field.In", "VALUE": ".p.q.VALUE", ". p . q . M": ".p.q.M", "option": ".p.q.option",
		"map": ".p.q.map", "map.In": ".p.q.map.In", "E": ".p.q.M.E", "Late": ".p.q.Late", "p": "", "q": "", "M.Out": "", "E.In": "", ".M": "", "p.M": "", ".p.q": "",
		"In.M": "", "x": "", "M.x": "", "Service": "", "Service.In": "", "AbEntry": "", ".p.q.M.AbEntry": "", "M.VALUE": "",
	} {
		text := `package p.q; message Out { message In {} }
			message M { optional ` + name + ` it = 1; optional int32 Field = 2; optional int32 x = 3; map<int32, int32> ab = 4;
				message In {} enum E { VALUE = 0; } }
			message Field { message In {} } message VALUE {} message option {} message map { message In {} } message Late {}
			service Service {} enum E { A = 1; }`
		f, err := ParseProto(text)
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), clip(name)) || !strings.HasPrefix(err.Error(), "line 2, column 25: ") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := f.GetMessageType()[1].GetField()[0].GetTypeName(); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestParseProto_WhatRecordsDoNotShowIsPassedOver(t *testing.T) {
	const m = `syntax = "proto2"; message M { optional int32 a = 1; }`
	for _, text := range []string{
		`option java_package = "x" 'y'; message M { optional int32 a = 1; }`,
		`option (a.b).c.(.d) = { x: "}" y { z: [1, 2] } /* } */ w <> }; message M { optional int32 a = 1; }`,
		`message M { option x = -inf; option y = -1.5e+3; option z = .5; option u = 99999999999999999999; optional int32 a = 1; }`,
		`message M { optional int32 a = 1 [default = -7, json_name = "a", (x) = { y: 1 }]; }`,
		`message M { reserved 2, 4 to 6, 1000 to max; reserved "b", "c" 'd'; optional int32 a = 1; }`,
		`message M { extensions 2, 4 to 6; extensions 100 to max [declaration = { number: 1 }]; optional int32 a = 1; }`,
		`message M { ; optional int32 a = 1; ; }; ;`,
		`service S { rpc A (B) returns (stream C) { option (x) = { y: "z" }; } rpc D (E) returns (F); } message M { optional int32 a = 1; }`,
		`message M { optional /* x */ int32 // y
			a /* z */ = 1 /* w */ ; }`,
		"message\vM\f{\roptional\tint32 a=1;}",
	} {
		checkCanonical(t, text, m)
	}
	checkCanonical(t, `message M{optional .p.M a=1;}package p;`, `syntax = "proto2"; package p; message M { optional M a = 1; }`)
	checkCanonical(t, `enum E { A = 0; option x = "y"; reserved -5 to -1, 7 to max; reserved "B"; }`, `syntax = "proto2"; enum E { A = 0; }`)
}

func TestParseProto_KeywordsAreNames(t *testing.T) {
	for _, word := range []string{
		"syntax", "import", "weak", "public", "package", "option", "true", "inf", "repeated", "optional", "required", "int32", "group", "oneof", "map",
		"extensions", "to", "max", "reserved", "enum", "message", "extend", "service", "rpc", "stream", "returns", "edition",
	} {
		if _, err := ParseProto(strings.ReplaceAll(`package x.W; message W { optional int32 W = 1; message M { oneof W { .x.W.W W_ = 1; } } } enum E { v = 1; W_ = 2; }`, "W", word)); err != nil {
			t.Errorf("%s: %v", word, err)
		}
	}
}

func TestParseProto_Refuses(t *testing.T) {
	const descriptors = "give a descriptor set made by protoc --include_imports --descriptor_set_out=FILE"
	deep := strings.Repeat("message M { ", MaxDepth+2)
	for text, want := range map[string]string{
		// Not of this language, or of no part of it that is read.
		`edition = "2023";`:                           `line 1, column 1: editions are not read here, only proto2 and proto3: ` + descriptors,
		`extend M { }`:                                `line 1, column 1: extend is not read here: ` + descriptors,
		`message M { extend M { } }`:                  `line 1, column 13: extend is not read here: ` + descriptors,
		`message M { optional group A = 1 { } }`:      `line 1, column 22: groups are not read here: make it a message, or ` + descriptors,
		`message M { oneof x { group A = 1 {} } }`:    `line 1, column 23: groups are not read here: make it a message, or ` + descriptors,
		`syntax = "proto4";`:                          `line 1, column 10: expected the syntax "proto2" or "proto3", got "\"proto4\""`,
		`syntax = proto3;`:                            `line 1, column 10: expected a syntax, got "proto3"`,
		`syntax "proto3";`:                            `line 1, column 8: expected "=", got "\"proto3\""`,
		`syntax = "proto3"`:                           `line 1, column 18: expected ";", got the end of the file`,
		`; syntax = "proto3";`:                        `line 1, column 3: the syntax must stand before everything else`,
		"{}":                                          `line 1, column 1: expected a statement such as message or enum, got "{"`,
		"optional int32 a = 1;":                       `line 1, column 1: expected a statement such as message or enum, got "optional"`,
		"package a; package b;":                       `line 1, column 12: package is given twice`,
		"package .a;":                                 `line 1, column 9: expected a package name, got "."`,
		"package a.;":                                 `line 1, column 11: expected a package name, got ";"`,
		"package " + strings.Repeat("a.", 600) + "a;": `line 1, column 9: the package name has more than 1024 bytes`,
		`import x;`:                                   `line 1, column 8: expected a file name, got "x"`,
		`import "x"; import "x";`:                     `line 1, column 20: "x" is imported twice`,
		`import "\xff";`:                              `line 1, column 8: the file name "\xff" is not UTF-8`,
		`option x;`:                                   `line 1, column 9: expected "=", got ";"`,
		`option x = ;`:                                `line 1, column 12: expected the value of an option, got ";"`,
		`option x = -y;`:                              `line 1, column 13: expected a number, got "y"`,
		`option x. = 1;`:                              `line 1, column 11: expected an option name, got "="`,
		`option (x = 1;`:                              `line 1, column 11: expected ")", got "="`,
		`option x = { {} ;`:                           `line 1, column 18: expected "}", got the end of the file`,
		`service S { {} ;`:                            `line 1, column 17: expected "}", got the end of the file`,
		`service { }`:                                 `line 1, column 9: expected a service name, got "{"`,

		// Characters.
		"message M { @ }":              `line 1, column 13: unexpected '@'`,
		"message Mé { }":               `line 1, column 10: unexpected 'é'`,
		"message M { } /* /":           `line 1, column 15: the comment is not closed`,
		"import \"x\n\";":              `line 1, column 8: the string is not closed on its line`,
		`import "x\`:                   `line 1, column 8: the string is not closed on its line`,
		`import "x\q";`:                `line 1, column 10: "\\q" is no escape in a string`,
		`import "x\xg";`:               `line 1, column 10: "\\xg" is no escape in a string`,
		`import "x\400";`:              `line 1, column 10: "\\400" is no escape in a string`,
		`import "x\u12";`:              `line 1, column 10: "\\u12\"" is no escape in a string`,
		`import "x\U00110000";`:        `line 1, column 10: "\\U00110000" is no escape in a string`,
		"// é\nmessage M { a\xff }":    `line 2, column 14: the text is not plain UTF-8`,
		"// \x00":                      `line 1, column 4: the text is not plain UTF-8`,
		`enum E { A = 08; }`:           `line 1, column 14: "08" is no number`,
		`enum E { A = 1x; }`:           `line 1, column 14: "1x" is no number`,
		`enum E { A = 1_0; }`:          `line 1, column 14: "1_0" is no number`,
		`enum E { A = 0x; }`:           `line 1, column 14: "0x" is no number`,
		`enum E { A = 0b1; }`:          `line 1, column 14: "0b1" is no number`,
		`enum E { A = 1.2.3; }`:        `line 1, column 14: "1.2.3" is no number`,
		"/* é */ message M {\n\té é }": `line 2, column 2: unexpected 'é'`,

		// Messages and fields.
		`message { }`:                `line 1, column 9: expected a message name, got "{"`,
		`message M`:                  `line 1, column 10: expected "{", got the end of the file`,
		`message M {`:                `line 1, column 12: expected "}", got the end of the file`,
		`message M { message N { } `: `line 1, column 27: expected "}", got the end of the file`,
		deep:                         `line 1, column 1213: messages are nested more than 100 levels deep`,
		`message ` + strings.Repeat("a", 1024) + " { }":                `line 1, column 9: the name "` + strings.Repeat("a", 64) + `"… has more than 1024 bytes with the messages around it`,
		`message M { int32 a = 1; }`:                                   `line 1, column 13: expected optional, required or repeated before the type of a proto2 field, got "int32"`,
		`message M { .M a = 1; }`:                                      `line 1, column 13: expected optional, required or repeated before the type of a proto2 field, got "."`,
		`message M { = 1; }`:                                           `line 1, column 13: expected a type, got "="`,
		`message M { optional = 1; }`:                                  `line 1, column 22: expected a type, got "="`,
		`message M { optional int32 = 1; }`:                            `line 1, column 28: expected a field name, got "="`,
		`message M { optional int32 a; }`:                              `line 1, column 29: expected "=", got ";"`,
		`message M { optional int32 a = x; }`:                          `line 1, column 32: expected a field number, got "x"`,
		`message M { optional int32 a = 1.0; }`:                        `line 1, column 32: expected a field number, got "1.0"`,
		`message M { optional int32 a = -1; }`:                         `line 1, column 32: expected a field number, got "-"`,
		`message M { optional int32 a = 0; }`:                          `line 1, column 32: field number 0 is out of range: it must be from 1 to 536870911`,
		`message M { optional int32 a = 536870912; }`:                  `line 1, column 32: field number 536870912 is out of range: it must be from 1 to 536870911`,
		`message M { optional int32 a = 19000; }`:                      `line 1, column 32: field number 19000 is one of 19000 to 19999, which protobuf keeps for itself`,
		`message M { optional int32 a = 19999; }`:                      `line 1, column 32: field number 19999 is one of 19000 to 19999, which protobuf keeps for itself`,
		`message M { optional int32 a = 1 }`:                           `line 1, column 34: expected ";", got "}"`,
		`message M { optional int32 a = 1 []; }`:                       `line 1, column 35: expected an option name, got "]"`,
		`message M { optional int32 a = 1 [b = 1; }`:                   `line 1, column 40: expected "]", got ";"`,
		`message M { repeated int32 a = 1 [packed=1];}`:                `line 1, column 42: packed must be true or false, got "1"`,
		`message M { repeated int32 a = 1 [packed=true,packed=true];}`: `line 1, column 47: packed is given twice`,
		`message M { optional int32 a = 1 [packed=true];}`:             `line 1, column 35: only repeated fields of numbers, bools and enums can be packed`,
		`message M { repeated M a = 1 [packed=true];}`:                 `line 1, column 31: only repeated fields of numbers, bools and enums can be packed`,
		`message M { optional int32 a = 1; optional int32 b = 1; }`:    `line 1, column 54: number 1 is that of "a" already`,
		`message M { optional int32 a = 1; optional int32 a = 2; }`:    `line 1, column 50: the name "a" is given twice`,
		`message M { optional int32 a = 1; message a { } }`:            `line 1, column 43: the name "a" is given twice`,
		`message M { optional int32 a = 1; enum E { a = 1; } }`:        `line 1, column 44: the name "a" is given twice`,
		`message M { optional int32 a = 1; oneof a { int32 b = 2; } }`: `line 1, column 41: the name "a" is given twice`,
		`message M { } enum M { A = 1; }`:                              `line 1, column 20: the name "M" is given twice`,
		`message M { } service M { }`:                                  `line 1, column 23: the name "M" is given twice`,
		`syntax = "proto3"; message M { required int32 a = 1; }`:       `line 1, column 32: proto3 has no required fields`,
		`syntax = "proto3"; message M { extensions 5; }`:               `line 1, column 32: proto3 has no extensions`,
		`message M { optional X a = 1; }`:                              `line 1, column 22: there is no type "X" in this file`,
		"import \"x\";\nmessage M { optional x.Y a = 1; }": `line 2, column 22: there is no type "x.Y" in this file, ` +
			`and its imports are not followed: ` + descriptors,
		`message M { optional . M a = 1; optional M. b = 2; }`: `line 1, column 47: expected a field name, got "="`,

		// Oneofs and maps.
		`message M { oneof x { } }`:                                `line 1, column 19: oneof "x" has no fields`,
		`message M { oneof { } }`:                                  `line 1, column 19: expected a oneof name, got "{"`,
		`message M { oneof x { optional int32 a = 1; } }`:          `line 1, column 23: a field in a oneof has no label, got "optional"`,
		`message M { oneof x { ; } }`:                              `line 1, column 23: expected a type, got ";"`,
		`message M { oneof x { map<int32, int32> a = 1; } }`:       `line 1, column 23: a oneof has no maps`,
		`message M { repeated map<int32, int32> a = 1; }`:          `line 1, column 13: a map has no label, got "repeated"`,
		`message M { map<float, int32> a = 1; }`:                   `line 1, column 17: a map's key is an integer, a bool or a string, got "float"`,
		`message M { map<M, int32> a = 1; }`:                       `line 1, column 17: a map's key is an integer, a bool or a string, got "M"`,
		`message M { map<int32> a = 1; }`:                          `line 1, column 22: expected ",", got ">"`,
		`message M { map<int32, > a = 1; }`:                        `line 1, column 24: expected a type, got ">"`,
		`message M { map<int32, int32 a = 1; }`:                    `line 1, column 30: expected ">", got "a"`,
		`message M { map<int32, map<int32, M>> a = 1; }`:           `line 1, column 27: expected ">", got "<"`,
		`message M { map<int32, group> a = 1; }`:                   `line 1, column 24: groups are not read here: make it a message, or ` + descriptors,
		`message M { map<int32, int32> a = 1; message AEntry {} }`: `line 1, column 46: the name "AEntry" is given twice`,
		`message M { map<int32,M> _00 = 1; }`:                      `line 1, column 26: the entries of the map "_00" would be called "00Entry", which begins with a digit`,
		`message M { map<int32,M> a_b = 1; map<int32,M> aB = 2; }`: `line 1, column 48: the entries of the map "aB" are called "ABEntry", and so is something else`,
		`message M { map<int32,M> a = 1; optional AEntry b = 2; }`: `line 1, column 42: "AEntry" is what the entries of a map are called: it cannot be the type of a field`,
		`message M { map<int32,E> a = 1; } enum E { A = 1; }`:      `line 1, column 23: the first value of "E" must be 0 for a map of such values`,

		// Enums.
		`enum { A = 1; }`:                                                `line 1, column 6: expected an enum name, got "{"`,
		`enum E { }`:                                                     `line 1, column 6: enum "E" has no values`,
		`enum E { A; }`:                                                  `line 1, column 11: expected "=", got ";"`,
		`enum E { A = ; }`:                                               `line 1, column 14: expected a value, got ";"`,
		`enum E { A = - -1;}`:                                            `line 1, column 16: expected a value, got "-"`,
		`enum E { 1 = 1; }`:                                              `line 1, column 10: expected an enum value, got "1"`,
		`enum E { A = 2147483648; }`:                                     `line 1, column 14: value 2147483648 is out of range: it must be from -2147483648 to 2147483647`,
		`enum E { A = -99999999999999999999; }`:                          `line 1, column 14: value -99999999999999999999 is out of range: it must be from -2147483648 to 2147483647`,
		`enum E { A = 1; A = 2; }`:                                       `line 1, column 17: the name "A" is given twice`,
		`enum E { A = 1; } enum F { A = 1; }`:                            `line 1, column 28: the name "A" is given twice`,
		`enum E { A = 1; B = 1; }`:                                       `line 1, column 21: number 1 is that of "A" already`,
		`enum E { option allow_alias = false; A = 1; B = 1; }`:           `line 1, column 49: number 1 is that of "A" already`,
		`enum E { option allow_alias = true; A = 1; B = 2; }`:            `line 1, column 17: allow_alias is set, but no two values have the same number`,
		`enum E { option allow_alias = 1; A = 1; B = 1; }`:               `line 1, column 31: allow_alias must be true or false, got "1"`,
		`enum E { option allow_alias = true; option allow_alias = true;`: `line 1, column 44: allow_alias is given twice`,
		`syntax = "proto3"; enum E { A = 1; B = 0; }`:                    `line 1, column 33: the first value of an enum must be 0 in proto3`,

		// Reserved numbers and names.
		`message M { reserved 5; optional int32 a = 5; }`:          `line 1, column 44: number 5 is reserved`,
		`message M { optional int32 a = 5; reserved 2, 4 to 6; }`:  `line 1, column 32: number 5 is reserved`,
		`message M { extensions 5 to max; optional int32 a = 9; }`: `line 1, column 53: number 9 is reserved`,
		`message M { reserved "a"; optional int32 a = 5; }`:        `line 1, column 42: the name "a" is reserved`,
		`message M { reserved "a", "a"; }`:                         `line 1, column 27: the name "a" is reserved twice`,
		`message M { reserved "a, b"; }`:                           `line 1, column 22: the reserved name "a, b" is no identifier`,
		`message M { reserved a; }`:                                `line 1, column 22: expected a number, got "a"`,
		`message M { reserved "a", 5; }`:                           `line 1, column 27: expected a name in quotes, got "5"`,
		`message M { reserved 0; }`:                                `line 1, column 22: number 0 is out of range: it must be from 1 to 536870911`,
		`message M { reserved 5 to 4; }`:                           `line 1, column 22: the range 5 to 4 ends before it begins`,
		`message M { reserved 5 to 7, 9, 6; }`:                     `line 1, column 33: number 6 is reserved twice`,
		`message M { reserved 5; extensions 1 to 9; }`:             `line 1, column 22: number 5 is reserved twice`,
		`enum E { A = -1; reserved -2 to 2; }`:                     `line 1, column 14: number -1 is reserved`,
		`enum E { A = 1; reserved "A"; }`:                          `line 1, column 10: the name "A" is reserved`,
	} {
		if f, err := ParseProto(text); err == nil || err.Error() != want || f != nil {
			t.Errorf("%.100s\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func TestParseProto_LimitsAreExact(t *testing.T) {
	nested := strings.Repeat("message M { ", MaxDepth+1) + strings.Repeat("}", MaxDepth+1)
	if f, err := ParseProto(nested); err != nil || FormatProto(f) == "" {
		t.Error(err)
	}
	fits := "message M { }" + strings.Repeat(" ", maxProtoText-len("message M { }"))
	if _, err := ParseProto(fits); err != nil {
		t.Error(err)
	}
	const want = "line 1, column 1: the text has 4194305 bytes, more than the limit of 4194304"
	if _, err := ParseProto(fits + " "); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := ParseProto(`message M { optional int32 a = 536870911; optional int32 b = 18999; optional int32 c = 20000; }`); err != nil {
		t.Error(err)
	}
}

// A step that takes time with the square of the text would not come to an end here.
func TestParseProto_LongTextsTakeNoLonger(t *testing.T) {
	many := func(text string) string { return strings.Repeat(text, 1<<20/len(text)) }
	for name, text := range map[string]string{
		"lines of a comment": many("// x\n"),
		"comments":           many("/**/\n"),
		"lines":              "/*" + many("\n") + "*/",
		"strings":            "import " + many("'x' ") + ";",
		"imports":            numbered(1<<15, "import '%d';"),
		"one string":         "import '" + many(`\0`) + "';",
		"digits":             "option x = " + many("1") + ";",
		"options":            "option x = " + many("{ ") + many("} ") + ";",
		"long name":          "option " + many("a.") + "a = 1;",
		"reserved":           "message M { reserved 1" + numbered(1<<16, ", %d") + "; }",
		"fields":             "message M {" + numbered(1<<15, "optional int32 a%d = %[1]d; // x\n") + "}",
		"maps":               "message M {" + numbered(1<<14, "map<int32, M> a%d = %[1]d;") + "}",
		"oneofs":             "message M {" + numbered(1<<14, "oneof o%d { int32 a%[1]d = %[1]d; }") + "}",
		"optional":           "syntax = 'proto3'; message M {" + numbered(1<<14, "optional int32 a%d = %[1]d;") + "}",
		"long names":         strings.Repeat("message abcdefgh {", MaxDepth) + numbered(1<<14, "optional abcdefgh a%d = %[1]d; // x\n") + strings.Repeat("}", MaxDepth),
		"values":             "enum E {" + numbered(1<<15, "a%d = %[1]d;") + "}",
	} {
		f, err := ParseProto(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		FormatProto(f)
	}
}

// numbered repeats a text for the numbers from 2 that fields can have, with gaps.
func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, 20_000+2*i)
	}
	return b.String()
}

// commentsOf lists the comments of a file as "path leading|trailing".
func commentsOf(f *descriptorpb.FileDescriptorProto) (list []string) {
	for _, l := range f.GetSourceCodeInfo().GetLocation() {
		list = append(list, fmt.Sprintf("%v %s|%s", l.GetPath(), l.GetLeadingComments(), l.GetTrailingComments()))
	}
	return list
}

// The rules are those of protoc: see descriptor.proto, "leading_comments".
func TestParseProto_Comments(t *testing.T) {
	for text, want := range map[string][]string{
		"// x":                        nil,
		"// m\nmessage M {}":          {"[4 0]  m\n|"},
		"/* m */ message M {}":        {"[4 0]  m |"},
		"// license\n\nmessage M {}":  nil,
		"// a\n// b\nmessage M {}":    {"[4 0]  a\n b\n|"},
		"// a\n/* b */\nmessage M {}": {"[4 0]  b |"},
		"// a\n\n// b\nmessage M {}":  {"[4 0]  b\n|"},
		"// s\nsyntax = \"proto2\"; // t\n// m\nmessage M {}": {"[4 0]  m\n|"},
		"message M {} // t\n// n\nmessage N {}":               {"[4 1]  n\n|"},
		"message M { // t\n}":                                 {"[4 0] | t\n"},
		"message M { /* t */ }":                               nil,
		"message M { /* t */\n}":                              {"[4 0] | t "},
		"message M {\n// t\n}":                                {"[4 0] | t\n"},
		"message M {\n\n// t\n}":                              nil,
		"/**\n * a\n *\n   b\n **/message M {}":               {"[4 0] *\n a\n\nb\n|"},
		"// a\r\n// b\r\nmessage M {}\r\n":                    {"[4 0]  a\n b\n|"},
		"//\nmessage M {}":                                    {"[4 0] \n|"},
		"/**/message M {}":                                    nil,
		"/// m\nmessage M {}":                                 {"[4 0] / m\n|"},
		"// s\nservice S { // t\n// r\nrpc A(B) returns (C); // u\n} // v\n// m\nmessage M {}": {"[4 0]  m\n|"},
		"// o\noption x = { // p\n a: 1 }; // q\nmessage M {}":                                 nil,

		"// e\nenum E { // f\n// a\nA = 0; // b\n// c\nB = 1; // d\n// e\n\n}":       {"[5 0]  e\n| f\n", "[5 0 2 0]  a\n| b\n", "[5 0 2 1]  c\n| d\n"},
		"message M { // m\n// o\noneof o { // p\n// a\nint32 a = 1; // b\n} // q\n}": {"[4 0] | m\n", "[4 0 8 0]  o\n| p\n", "[4 0 2 0]  a\n| b\n"},
		"message M { // m\n// n\nmessage N {} // o\n// e\nenum E { A = 0; } }":       {"[4 0] | m\n", "[4 0 3 0]  n\n|", "[4 0 4 0]  e\n|"},
	} {
		f, err := ParseProto(text)
		if got := commentsOf(f); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s\ngot  %q, %v\nwant %q", text, got, err, want)
		}
	}

	// Between two fields.
	const a, b = "[4 0 2 0]", "[4 0 2 1]"
	for text, want := range map[string][]string{
		" ":                          nil,
		" // x\n":                    {a + " | x\n"},
		" /* x */\n":                 {a + " | x "},
		" /* x */ ":                  nil,
		" /* x\n */ ":                nil,
		" /* x */ /* y */ ":          {a + " | x ", b + "  y |"},
		"\n// x\n":                   {b + "  x\n|"},
		"\n/* x */\n":                {b + "  x |"},
		"\n/* x */ ":                 {b + "  x |"},
		"\n// x\n\n":                 {a + " | x\n"},
		"\n\n// x\n\n":               nil,
		"\n\n// x\n":                 {b + "  x\n|"},
		" // x\n// y\n":              {a + " | x\n", b + "  y\n|"},
		" // x\n// y\n\n":            {a + " | x\n"},
		"\n// x\n\n// y\n":           {a + " | x\n", b + "  y\n|"},
		"\n// x\n// y\n\n// z\n":     {a + " | x\n y\n", b + "  z\n|"},
		"\n// x\n\n// y\n\n// z\n":   {a + " | x\n", b + "  z\n|"},
		"\n// x\n/* y */\n":          {a + " | x\n", b + "  y |"},
		"\n/* x */\n// y\n// z\n":    {a + " | x ", b + "  y\n z\n|"},
		"\n/* x */ /* y */ // z\n\n": {a + " | x "},
		" // x \t\n":                 {a + " | x \t\n"},
	} {
		f, err := ParseProto("message M { optional int32 a = 1;" + text + "optional int32 b = 2; }")
		if got := commentsOf(f); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q\ngot  %q, %v\nwant %q", text, got, err, want)
		}
	}
}

func TestParseProto_SpansAreWhereThingsStand(t *testing.T) {
	f, err := ParseProto("\ufeff// m\n" +
		"message M { // n\n" +
		"  /* é */ optional int32 a =\n" +
		"\t1 [packed = false] ; // x\n" +
		"  // o\n" +
		"  oneof o { int32 b = 2; /* y */\n" +
		"  } // e\n" +
		"  // e\n" +
		"  enum E { A = 0; // z\n" +
		"  }}")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]int32{
		"[4 0]":         {1, 0, 9, 4},
		"[4 0 2 0]":     {2, 10, 3, 21},
		"[4 0 8 0]":     {5, 2, 6, 3},
		"[4 0 2 1]":     {5, 12, 24},
		"[4 0 4 0]":     {8, 2, 9, 3},
		"[4 0 4 0 2 0]": {8, 11, 17},
	}
	for _, l := range f.GetSourceCodeInfo().GetLocation() {
		path := fmt.Sprint(l.GetPath())
		if !slices.Equal(l.GetSpan(), want[path]) {
			t.Errorf("%s stands at %v, want %v", path, l.GetSpan(), want[path])
		}
		delete(want, path)
	}
	if len(want) > 0 {
		t.Errorf("there are no spans for %v", want)
	}
}

// A line of a megabyte takes as long as many short ones: minutes, if each token were counted from its beginning.
func TestParseProto_OneLongLine(t *testing.T) {
	var s strings.Builder
	s.WriteString("message M {")
	for i := range 20_000 {
		fmt.Fprintf(&s, "/*x*//*y*/optional int32 a%d=%d;", i, fieldNumber(i))
	}
	s.WriteString("}")
	if _, err := ParseProto(s.String()); err != nil {
		t.Fatal(err)
	}
}
