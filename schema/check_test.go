package schema

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// found lists findings as "effect path: reason".
func found(fs Findings) string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Effect.String() + " " + f.Path + ": " + f.Reason
	}
	return strings.Join(lines, "\n")
}

// message parses the fields of a message in the syntax of .proto files.
func message(t testing.TB, syntax, fields string) protoreflect.MessageDescriptor {
	t.Helper()
	f, err := ParseProto("syntax = \"" + syntax + "\"; message M {" + fields + "}")
	if err != nil {
		t.Fatalf("%s: %v", fields, err)
	}
	f.Name = proto.String("m.proto")
	fd, err := protodesc.NewFile(f, nil)
	if err != nil {
		t.Fatalf("%s: %v", fields, err)
	}
	return fd.Messages().ByName("M")
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ name, table, fields, want string }{
		{
			"what fits", "a INT, b STRING NOT NULL, c ARRAY<DATE>, d MAP<STRING, DOUBLE>, e STRUCT<x: INT>",
			"optional string b = 9; optional int32 a = 3; repeated int32 c = 1; map<string, double> d = 2; optional E e = 4; message E {optional int32 x = 1;}", "",
		},
		{
			"other integers", "a BIGINT, b BIGINT, c TIMESTAMP, d SMALLINT",
			"optional sint32 a = 1; optional fixed32 b = 2; optional sfixed64 c = 3; optional int32 d = 4;", "",
		},
		{"enums", "a INT, b STRING", "optional E a = 1; optional E b = 2; enum E {X = 0;}", ""},
		{"a float for a double", "a DOUBLE", "optional float a = 1;", ""},
		{
			"an unknown field", "a INT", "optional int32 a = 1; optional int32 b = 2;",
			"refused b: the table has no such column: drop the field from the descriptor or add the column to the table",
		},
		{
			"other case", "a INT", "optional int32 A = 1;",
			"refused A: the table has no such column, but a: names match in exact case\n" +
				"absent a: the descriptor has no such field, so the column is NULL in every record",
		},
		{
			"a missing column", "a INT, b DATE NOT NULL", "optional int32 a = 1;",
			"refused b: the column is DATE NOT NULL and the descriptor has no such field: add it, int32, days since 1970-01-01",
		},
		{
			"a wrong type", "a TIMESTAMP, b DECIMAL(5,2), c BOOLEAN, d FLOAT, e VARIANT",
			"optional string a = 1; optional double b = 2; optional int32 c = 3; optional double d = 4; optional bytes e = 5;",
			"refused a: string does not fit TIMESTAMP: make it int64, microseconds since 1970-01-01 UTC\n" +
				"refused b: double does not fit DECIMAL(5,2): make it string, the number as text\n" +
				"refused c: int32 does not fit BOOLEAN: make it bool\n" +
				"refused d: double does not fit FLOAT: make it float\n" +
				"refused e: bytes does not fit VARIANT: make it string, JSON text",
		},
		{
			"other shapes", "a ARRAY<INT>, b INT, c MAP<STRING, DATE>, d STRUCT<x: INT>, e STRING",
			"optional int32 a = 1; repeated int32 b = 2; repeated C c = 3; optional string d = 4; map<string, int32> e = 5; message C {optional string key = 1;}",
			"refused a: int32 does not fit ARRAY<INT>: make it repeated int32\n" +
				"refused b: repeated int32 does not fit INT: make it int32\n" +
				"refused c: repeated C does not fit MAP<STRING, DATE>: make it map<string, int32>, days since 1970-01-01\n" +
				"refused d: string does not fit STRUCT<x: INT>: make it a message\n" +
				"refused e: map<string, int32> does not fit STRING: make it string",
		},
		{
			"members", "s STRUCT<x: INT NOT NULL, y: ARRAY<STRUCT<z: DATE>>>", "optional S s = 1; message S {repeated Y y = 2; message Y {optional string z = 1; optional int32 w = 2;}}",
			"refused s.y.element.z: string does not fit DATE: make it int32, days since 1970-01-01\n" +
				"refused s.y.element.w: the struct has no such member: drop the field from the descriptor or add the member to the table\n" +
				"refused s.x: the member is INT NOT NULL and the descriptor has no such field: add it, int32",
		},
		{
			"keys and values", "m MAP<INT, STRUCT<x: INT>>", "map<string, V> m = 1; message V {optional bytes x = 1;}",
			"refused m.key: string does not fit INT: make it int32\nrefused m.value.x: bytes does not fit INT: make it int32",
		},
		{
			"wider integers", "a INT, b TINYINT, c BIGINT, d DATE", "optional int64 a = 1; optional uint32 b = 2; optional uint64 c = 3; optional int32 d = 4;",
			"risky a: int64 holds more than INT: values outside of -2147483648 to 2147483647 are refused; make it int32\n" +
				"risky b: uint32 holds more than TINYINT: values outside of -128 to 127 are refused; make it int32\n" +
				"risky c: uint64 holds more than BIGINT: values outside of -9223372036854775808 to 9223372036854775807 are refused; make it int64",
		},
		{
			"arrays of arrays", "a ARRAY<ARRAY<INT>>", "repeated int32 a = 1;",
			"refused a.element: protobuf has no array in ARRAY<ARRAY<INT>>: send JSON records, or change the table",
		},
		{
			"a member of a oneof", "a INT NOT NULL, b INT", "oneof o {int32 a = 1; int32 b = 2;}",
			"risky a: the column is NOT NULL, and the field is in the oneof o: records that set another member are refused",
		},
	} {
		md := message(t, "proto2", tt.fields)
		table := columns(t, tt.table)
		if got := found(CheckMessage(md, table)); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, tt.want)
		}
		// As the protocol carries it.
		if got := found(Check(protodesc.ToDescriptorProto(md), table)); got != tt.want {
			t.Errorf("%s, by its descriptor:\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

func TestCheck_ZeroIsAbsentInProto3(t *testing.T) {
	md := message(t, "proto3", "int32 a = 1; string b = 2; optional int32 c = 3; bool d = 4; repeated int32 e = 5;")
	table := columns(t, "a INT NOT NULL, b STRING NOT NULL, c INT NOT NULL, d BOOLEAN, e ARRAY<INT> NOT NULL")
	const why = "the column is NOT NULL, and a field of proto3 without optional is absent when it is "
	want := "risky a: " + why + "0: such records are refused; make it optional\nrisky b: " + why + "empty: such records are refused; make it optional"
	if got := found(CheckMessage(md, table)); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := found(Check(protodesc.ToDescriptorProto(md), table)); got != "" {
		t.Errorf("a descriptor does not tell, but: %s", got)
	}
}

// What Descriptor makes of a table fits it without a finding.
func TestCheck_OwnDescriptorsFit(t *testing.T) {
	for _, ddl := range []string{
		"a TINYINT NOT NULL, b SMALLINT, c INT, d BIGINT, e FLOAT, f DOUBLE, g STRING NOT NULL, h BINARY, i BOOLEAN",
		"a DATE, b TIMESTAMP, c TIMESTAMP_NTZ, d DECIMAL(38,10), e VARIANT, f CHAR(3), g VARCHAR(7)",
		"a ARRAY<DATE> NOT NULL, b ARRAY<STRUCT<x: DECIMAL(5,2) NOT NULL, y: MAP<BIGINT, STRUCT<z: INT>>>>, c MAP<BOOLEAN, VARIANT>",
	} {
		table := columns(t, ddl)
		d, err := table.Descriptor("M")
		if err != nil {
			t.Fatal(err)
		}
		if got := Check(d, table); got != nil || got.Err() != nil {
			t.Errorf("%s: %s", ddl, found(got))
		}
	}
}

func TestFindings_Err(t *testing.T) {
	table := columns(t, "a INT")
	if err := CheckMessage(message(t, "proto2", "optional int64 a = 1;"), table).Err(); err != nil {
		t.Errorf("a risk is no refusal: %v", err)
	}
	err := CheckMessage(message(t, "proto2", "optional string a = 1; optional int32 b = 2;"), table).Err()
	var misfit *MisfitError
	if !errors.As(err, &misfit) || len(misfit.Findings) != 2 {
		t.Fatalf("%v", err)
	}
	want := "the descriptor does not fit the table: field a: string does not fit INT: make it int32; " +
		"field b: the table has no such column: drop the field from the descriptor or add the column to the table"
	if err.Error() != want {
		t.Errorf("%v", err)
	}
	broken := Check(&descriptorpb.DescriptorProto{Name: proto.String("M"), Field: []*descriptorpb.FieldDescriptorProto{{Name: proto.String("a b"), Number: proto.Int32(1)}}}, table)
	if err := broken.Err(); err == nil || !strings.HasPrefix(err.Error(), "the descriptor does not fit the table: descriptor: ") || broken[0].Path != "" {
		t.Errorf("%v", err)
	}
}
