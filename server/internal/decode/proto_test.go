package decode

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// pf is a field of a test descriptor: "name type", with a number given by its place unless set.
func pf(spec string, number int32) *descriptorpb.FieldDescriptorProto {
	name, typ, _ := strings.Cut(spec, " ")
	label := descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
	if rest, ok := strings.CutPrefix(typ, "repeated "); ok {
		typ, label = rest, descriptorpb.FieldDescriptorProto_LABEL_REPEATED
	}
	if rest, ok := strings.CutPrefix(typ, "required "); ok {
		typ, label = rest, descriptorpb.FieldDescriptorProto_LABEL_REQUIRED
	}
	f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Label: &label}
	if typeName, ok := strings.CutPrefix(typ, "enum "); ok {
		typ, f.TypeName = "enum", &typeName
	} else if typeName, ok := strings.CutPrefix(typ, "message "); ok {
		typ, f.TypeName = "message", &typeName
	}
	kind, ok := descriptorpb.FieldDescriptorProto_Type_value["TYPE_"+strings.ToUpper(typ)]
	if !ok {
		panic("unknown type " + typ)
	}
	f.Type = descriptorpb.FieldDescriptorProto_Type(kind).Enum()
	return f
}

func colorEnum() *descriptorpb.EnumDescriptorProto {
	e := &descriptorpb.EnumDescriptorProto{Name: proto.String("Color")}
	for name, n := range map[string]int32{"RED": 0, "GREEN": 1, "NEGATIVE": -1} {
		e.Value = append(e.Value, &descriptorpb.EnumValueDescriptorProto{Name: &name, Number: &n})
	}
	return e
}

// message of fields "name type", numbered from 1, with an enum Color inside.
func messageOf(specs ...string) *descriptorpb.DescriptorProto {
	m := &descriptorpb.DescriptorProto{Name: proto.String("Root"), EnumType: []*descriptorpb.EnumDescriptorProto{colorEnum()}}
	for i, s := range specs {
		m.Field = append(m.Field, pf(s, int32(i+1)))
	}
	return m
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wire writes a record by hand.
type wire []byte

func (w wire) varint(num protowire.Number, x uint64) wire {
	return protowire.AppendVarint(protowire.AppendTag(w, num, protowire.VarintType), x)
}

func (w wire) int(num protowire.Number, x int64) wire { return w.varint(num, uint64(x)) }

func (w wire) fixed32(num protowire.Number, x uint32) wire {
	return protowire.AppendFixed32(protowire.AppendTag(w, num, protowire.Fixed32Type), x)
}

func (w wire) fixed64(num protowire.Number, x uint64) wire {
	return protowire.AppendFixed64(protowire.AppendTag(w, num, protowire.Fixed64Type), x)
}

func (w wire) text(num protowire.Number, s string) wire {
	return protowire.AppendString(protowire.AppendTag(w, num, protowire.BytesType), s)
}

func (w wire) group(num protowire.Number, inside wire) wire {
	w = append(protowire.AppendTag(w, num, protowire.StartGroupType), inside...)
	return protowire.AppendTag(w, num, protowire.EndGroupType)
}

// nested is an unknown field of groups in groups.
func nested(depth int) wire {
	w := wire{}
	for range depth {
		w = wire{}.group(9, w)
	}
	return w
}

func TestProtoAccepts(t *testing.T) {
	tests := []struct {
		column, field string
		record        wire
		want          any
	}{
		{"BOOLEAN", "bool", wire{}.varint(1, 1), true},
		{"BOOLEAN", "bool", wire{}.varint(1, 1<<40), true},
		{"BOOLEAN", "bool", wire{}.varint(1, 0), false},
		{"BOOLEAN", "bool", wire{}, nil},
		{"INT", "required int32", wire{}, nil}, // the table decides what is required
		{"STRING", "string", wire{}, nil},
		{"TINYINT", "int32", wire{}.int(1, -128), int64(-128)},
		{"TINYINT", "int32", wire{}.int(1, 127), int64(127)},
		{"TINYINT", "int32", wire{}.varint(1, 0), int64(0)},
		{"TINYINT", "int64", wire{}.int(1, -1), int64(-1)},
		{"SMALLINT", "sint32", wire{}.varint(1, protowire.EncodeZigZag(-32768)), int64(-32768)},
		{"INT", "int32", wire{}.int(1, math.MinInt32), int64(math.MinInt32)},
		{"INT", "int32", wire{}.varint(1, 0xffffffff), int64(-1)}, // five bytes, as some writers have it
		{"INT", "int32", wire{}.varint(1, 1<<32|5), int64(5)},     // what is beyond 32 bits is cut off
		{"INT", "uint32", wire{}.varint(1, math.MaxInt32), int64(math.MaxInt32)},
		{"INT", "fixed32", wire{}.fixed32(1, 7), int64(7)},
		{"INT", "sfixed32", wire{}.fixed32(1, 0xffffffff), int64(-1)},
		{"INT", "sfixed64", wire{}.fixed64(1, math.MaxUint64), int64(-1)},
		{"INT", "sint64", wire{}.varint(1, 1), int64(-1)},
		{"INT", "enum .pkg.Root.Color", wire{}.int(1, -1), int64(-1)},
		{"INT", "enum .elsewhere.Unknown", wire{}.int(1, 99), int64(99)},
		{"BIGINT", "int64", wire{}.int(1, math.MinInt64), int64(math.MinInt64)},
		{"BIGINT", "int32", wire{}.int(1, -5), int64(-5)},
		{"BIGINT", "uint64", wire{}.varint(1, math.MaxInt64), int64(math.MaxInt64)},
		{"BIGINT", "fixed64", wire{}.fixed64(1, 9), int64(9)},
		{"BIGINT", "uint32", wire{}.varint(1, math.MaxUint32), int64(math.MaxUint32)},
		{"DATE", "int32", wire{}.int(1, -1), int64(-1)},
		{"TIMESTAMP", "int64", wire{}.int(1, 1732312096123456), int64(1732312096123456)},
		{"TIMESTAMP_NTZ", "sint64", wire{}.varint(1, protowire.EncodeZigZag(-2)), int64(-2)},
		{"FLOAT", "float", wire{}.fixed32(1, math.Float32bits(1.5)), float32(1.5)},
		{"DOUBLE", "float", wire{}.fixed32(1, math.Float32bits(0.1)), float64(float32(0.1))},
		{"DOUBLE", "double", wire{}.fixed64(1, math.Float64bits(math.Inf(-1))), math.Inf(-1)},
		{"STRING", "string", wire{}.text(1, "Grüße 🌍"), "Grüße 🌍"},
		{"STRING", "string", wire{}.text(1, ""), ""},
		{"STRING", "enum .pkg.Root.Color", wire{}.varint(1, 1), "GREEN"},
		{"STRING", "enum .Root.Color", wire{}.int(1, -1), "NEGATIVE"},
		{"STRING", "enum .Root.Root.Color", wire{}.varint(1, 0), "RED"}, // the package is named like the message
		{"STRING", "enum Color", wire{}.varint(1, 0), "RED"},
		{"STRING", "enum Root.Color", wire{}.varint(1, 0), "RED"},
		{"VARCHAR(3)", "string", wire{}.text(1, "äöü"), "äöü"},
		{"VARCHAR(5)", "enum Color", wire{}.varint(1, 1), "GREEN"},
		{"BINARY", "bytes", wire{}.text(1, "\xff\x00"), "\xff\x00"},
		{"DECIMAL(10,2)", "string", wire{}.text(1, "-12.34"), "-1234"},
		{"DECIMAL(38,0)", "string", wire{}.text(1, "-18446744073709551616"), "-18446744073709551616"}, // the low half is 0
		// Of several values the last counts.
		{"INT", "int32", wire{}.int(1, 1).int(1, 2), int64(2)},
		{"STRING", "string", wire{}.text(1, "long before").text(1, "x"), "x"},
		{"TINYINT", "int32", wire{}.int(1, 300).int(1, 2), int64(2)},
		{"TINYINT", "int32", wire{}.int(1, 300).int(1, 400).int(1, 2), int64(2)},
		{"DECIMAL(3,0)", "string", wire{}.text(1, "what").text(1, "7"), "7"},
		// Unknown fields are skipped.
		{"INT", "int32", wire{}.varint(9, 1<<63).fixed32(9, 1).fixed64(9, 1).text(9, "\xff").int(1, 4), int64(4)},
		{"INT", "int32", wire{}.group(9, wire{}.varint(1, 5).text(2, "x").group(3, wire{}.fixed32(9, 1))).int(1, 4), int64(4)},
		{"INT", "int32", nested(maxGroupDepth).int(1, 4), int64(4)},
		{"INT", "int32", wire{}.varint(maxNumber, 1).int(1, 4), int64(4)},
		// A tag in more bytes than it needs.
		{"INT", "int32", wire{0x88, 0x80, 0x00, 0x05}, int64(5)},
	}
	for _, tt := range tests {
		t.Run(tt.column+" "+tt.field, func(t *testing.T) {
			table := tableOf(t, "x "+tt.column)
			d := protoOf(t, table, marshal(t, messageOf("x "+tt.field)))
			got := accepted(t, d, chunkOf(t, table), tt.record)
			if diff := cmp.Diff([]any{tt.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProtoRefuses(t *testing.T) {
	deep := nested(maxGroupDepth + 1)
	nine := strings.Repeat("\x80", 9)
	tests := []struct {
		column, field, record, want string
	}{
		{"TINYINT", "int32", string(wire{}.int(1, 300)), "field x: value 300 is out of range for TINYINT (-128 to 127)"},
		{"TINYINT", "int32", string(wire{}.int(1, 5).int(1, 300)), "field x: value 300 is out of range for TINYINT (-128 to 127)"},
		{"TINYINT", "int32", string(wire{}.int(1, 301).int(1, 300)), "field x: value 300 is out of range for TINYINT (-128 to 127)"},
		{"SMALLINT", "sint32", string(wire{}.varint(1, protowire.EncodeZigZag(-32769))), "field x: value -32769 is out of range for SMALLINT (-32768 to 32767)"},
		{"INT", "uint32", string(wire{}.varint(1, 1<<31)), "field x: value 2147483648 is out of range for INT (-2147483648 to 2147483647)"},
		{"INT", "int64", string(wire{}.varint(1, 1<<31)), "field x: value 2147483648 is out of range for INT (-2147483648 to 2147483647)"},
		{"DATE", "fixed32", string(wire{}.fixed32(1, 1<<31)), "field x: value 2147483648 is out of range for DATE (-2147483648 to 2147483647)"},
		{"BIGINT", "uint64", string(wire{}.varint(1, 1<<63)), "field x: value 9223372036854775808 is out of range for BIGINT (-9223372036854775808 to 9223372036854775807)"},
		{"TIMESTAMP", "fixed64", string(wire{}.fixed64(1, math.MaxUint64)), "field x: value 18446744073709551615 is out of range for TIMESTAMP (-9223372036854775808 to 9223372036854775807)"},
		{"TINYINT", "enum Color", string(wire{}.int(1, -129)), "field x: value -129 is out of range for TINYINT (-128 to 127)"},
		{"STRING", "enum Color", string(wire{}.int(1, 7)), "field x: enum has no value with number 7"},
		{"VARCHAR(4)", "enum Color", string(wire{}.int(1, 1)), "field x: text of 5 characters is longer than VARCHAR(4)"},
		{"VARCHAR(3)", "string", string(wire{}.text(1, "äöüß")), "field x: text of 4 characters is longer than VARCHAR(3)"},
		{"STRING", "string", string(wire{}.text(1, "ab\xff")), "field x: invalid UTF-8 at byte 4"},
		{"STRING", "string", string(wire{}.text(1, "\xff").text(1, "fine")), "field x: invalid UTF-8 at byte 2"},
		{"DECIMAL(4,2)", "string", string(wire{}.text(1, "1.234")), "field x: value 1.234 has more than 2 digits behind the point for DECIMAL(4,2)"},
		{"DECIMAL(4,2)", "string", string(wire{}.text(1, "123")), "field x: value 123 is out of range for DECIMAL(4,2)"},
		{"DECIMAL(4,2)", "string", string(wire{}.text(1, "one")), "field x: text is not a decimal number"},
		{"DECIMAL(4,2)", "string", string(wire{}.text(1, "")), "field x: text is not a decimal number"},
		{"INT NOT NULL", "int32", "", "field x: no value, but the column is INT NOT NULL"},
		// The encoding.
		{"INT", "int32", string(wire{}.fixed32(1, 1)), "field x: wire type 5 at byte 0, int32 has wire type 0"},
		{"INT", "int32", string(wire{}.varint(2, 1).text(1, "")), "field x: wire type 2 at byte 2, int32 has wire type 0"},
		{"STRING", "string", string(wire{}.varint(1, 1)), "field x: wire type 0 at byte 0, string has wire type 2"},
		{"INT", "int32", string(wire{}.group(1, nil)), "field x: wire type 3 at byte 0, int32 has wire type 0"},
		{"INT", "int32", "\x08", "field x: truncated varint, in the field at byte 0"},
		{"INT", "int32", "\x08\x80", "field x: truncated varint, in the field at byte 0"},
		{"BIGINT", "int64", "\x08" + nine + "\x02", "field x: varint is too long, in the field at byte 0"},
		{"BIGINT", "int64", "\x08" + nine + "\x80\x00", "field x: varint is too long, in the field at byte 0"},
		{"BOOLEAN", "bool", "\x08" + nine, "field x: truncated varint, in the field at byte 0"},
		{"SMALLINT", "sint32", "\x08\x80", "field x: truncated varint, in the field at byte 0"},
		{"INT", "fixed32", "\x0d\x00\x00\x00", "field x: the record ends within a value, in the field at byte 0"},
		{"INT", "fixed64", "\x09\x00\x00\x00", "field x: the record ends within a value, in the field at byte 0"},
		{"FLOAT", "float", "\x0d\x00\x00\x00", "field x: the record ends within a value, in the field at byte 0"},
		{"DOUBLE", "double", "\x09\x00\x00\x00\x00\x00\x00\x00", "field x: the record ends within a value, in the field at byte 0"},
		{"STRING", "string", "\x0a\x02a", "field x: the record ends within a value, in the field at byte 0"},
		{"BINARY", "bytes", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "field x: the record ends within a value, in the field at byte 0"},
		{"INT", "int32", "\x00\x00", "invalid field number, in the field at byte 0"},
		{"INT", "int32", "\x08\x01\x80", "truncated varint, in the field at byte 2"},
		{"INT", "int32", "\x80\x80\x80\x80\x10\x00", "invalid field number, in the field at byte 0"},
		{"INT", "int32", "\x4e", "invalid wire type, in the field at byte 0"},
		{"INT", "int32", "\x4c", "end of a group that did not begin, in the field at byte 0"},
		{"INT", "int32", "\x4b\x08\x01", "the record ends within a group, in the field at byte 0"},
		{"INT", "int32", "\x4b\x54", "end of a group that did not begin, in the field at byte 0"},
		{"INT", "int32", "\x4b\x00", "invalid field number, in the field at byte 0"},
		{"INT", "int32", "\x4b\x0e", "invalid wire type, in the field at byte 0"},
		{"INT", "int32", "\x4b\x80", "truncated varint, in the field at byte 0"},
		{"INT", "int32", "\x4d\x00\x00", "the record ends within a value, in the field at byte 0"},
		{"INT", "int32", string(deep), "groups are nested more than 100 levels deep, in the field at byte 0"},
		// A broken record is that, even if the table refuses a value before.
		{"TINYINT", "int32", string(wire{}.int(1, 300)) + "\x00", "invalid field number, in the field at byte 3"},
	}
	for _, tt := range tests {
		t.Run(tt.column+" "+tt.field, func(t *testing.T) {
			table := tableOf(t, "x "+tt.column)
			d := protoOf(t, table, marshal(t, messageOf("x "+tt.field)))
			c := chunkOf(t, table)
			if got := refused(t, d, c, []byte(tt.record)).Error(); got != tt.want {
				t.Errorf("%q\n got %s\nwant %s", tt.record, got, tt.want)
			}
			// Nothing of the refusal stays in the decoder.
			if got := refused(t, d, c, []byte(tt.record)).Error(); got != tt.want {
				t.Errorf("%q again\n got %s\nwant %s", tt.record, got, tt.want)
			}
		})
	}
}

func TestProtoOneofKeepsTheLastMember(t *testing.T) {
	table := tableOf(t, "a INT, b STRING, c TINYINT, alone INT")
	m := messageOf("a int32", "b string", "c int32", "alone int32")
	m.OneofDecl = []*descriptorpb.OneofDescriptorProto{{Name: proto.String("choice")}, {Name: proto.String("_alone")}}
	for _, f := range m.Field[:3] {
		f.OneofIndex = proto.Int32(0)
	}
	m.Field[3].OneofIndex, m.Field[3].Proto3Optional = proto.Int32(1), proto.Bool(true)
	d, c := protoOf(t, table, marshal(t, m)), chunkOf(t, table)
	tests := []struct {
		record wire
		want   []any
	}{
		{wire{}.int(1, 1), []any{int64(1), nil, nil, nil}},
		{wire{}.int(1, 1).text(2, "x"), []any{nil, "x", nil, nil}},
		{wire{}.text(2, "x").int(4, 9).int(1, 1), []any{int64(1), nil, nil, int64(9)}},
		{wire{}.text(2, "x").int(1, 1).text(2, "y"), []any{nil, "y", nil, nil}},
		{wire{}.int(3, 300).int(1, 1), []any{int64(1), nil, nil, nil}}, // a value that does not count is not judged
		{wire{}.int(3, 300).int(1, 1).int(3, 3), []any{nil, nil, int64(3), nil}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, accepted(t, d, c, tt.record)); diff != "" {
			t.Errorf("%q: %s", []byte(tt.record), diff)
		}
	}
	if got := refused(t, d, c, wire{}.int(1, 1).int(3, 300)).Error(); got != "field c: value 300 is out of range for TINYINT (-128 to 127)" {
		t.Error(got)
	}

	// Members of a synthetic oneof do not exclude each other, even where a generator has put two into one.
	m.Field[1].Proto3Optional, m.Field[2].Proto3Optional = proto.Bool(true), proto.Bool(true)
	d, c = protoOf(t, table, marshal(t, m)), chunkOf(t, table)
	got := accepted(t, d, c, wire{}.int(1, 1).text(2, "x").int(3, 3))
	if diff := cmp.Diff([]any{int64(1), "x", int64(3), nil}, got); diff != "" {
		t.Error(diff)
	}
}

func TestProtoMeetsColumnsByName(t *testing.T) {
	table := tableOf(t, "a INT NOT NULL, extra STRING, b STRING NOT NULL, far INT, farther INT")
	m := &descriptorpb.DescriptorProto{Name: proto.String("M"), Field: []*descriptorpb.FieldDescriptorProto{
		pf("b required string", 16), pf("farther int32", maxNumber), pf("a required int32", 3), pf("far int32", 2048),
	}}
	d, c := protoOf(t, table, marshal(t, m)), chunkOf(t, table)
	got := accepted(t, d, c, wire{}.int(maxNumber, 4).text(16, "x").int(3, 7).int(2048, 5))
	if diff := cmp.Diff([]any{int64(7), nil, "x", int64(5), int64(4)}, got); diff != "" {
		t.Error(diff)
	}
	if got := refused(t, d, c, wire{}.int(3, 7)).Error(); got != "field b: no value, but the column is STRING NOT NULL" {
		t.Error(got)
	}
	if got := refused(t, d, c, wire{}.text(maxNumber, "x")).Error(); got != "field farther: wire type 2 at byte 0, int32 has wire type 0" {
		t.Error(got)
	}
}

func TestProtoNamesTheFirstRefusal(t *testing.T) {
	table := tableOf(t, "a TINYINT, b TINYINT, c TINYINT")
	d, c := protoOf(t, table, marshal(t, messageOf("a int32", "b int32", "c int32"))), chunkOf(t, table)
	for _, tt := range []struct {
		record wire
		field  string
	}{
		{wire{}.int(1, 300).int(2, 300), "a"},
		{wire{}.int(2, 300).int(1, 300), "b"},
		{wire{}.int(2, 300).int(3, 1).int(1, 300).int(2, 301), "a"},
		{wire{}.int(1, 300).int(2, 300).int(1, 1).int(3, 300), "b"},
		{wire{}.int(3, 300).int(2, 300).int(1, 300).int(3, -500), "b"},
		{wire{}.int(3, 300), "c"},
	} {
		if got := refused(t, d, c, tt.record); got.Field != tt.field {
			t.Errorf("%q: %v, want field %s", []byte(tt.record), got, tt.field)
		}
	}
}

// TestProtoLearnsTheOrder: the fields of a record are those that the next record is expected to have.
func TestProtoLearnsTheOrder(t *testing.T) {
	table := tableOf(t, "a INT, b INT, c INT, d INT")
	d := protoOf(t, table, marshal(t, messageOf("a int32", "b int32", "c int32", "d int32"))).(*protoDecoder)
	c := chunkOf(t, table)
	for _, step := range []struct {
		record wire
		want   string
	}{
		{wire{}.int(3, 1).int(1, 2).int(99, 1).int(4, 3), "cad"},
		{wire{}.int(3, 1).int(1, 2).int(4, 3), "cad"},
		{wire{}.int(3, 1).int(4, 2), "cd"},
		{wire{}.int(2, 1).int(3, 1), "bcd"},
	} {
		accepted(t, d, c, step.record)
		got := ""
		for f := d.begin.next; f != nil && len(got) < 10; f = f.next {
			got += f.target.name
		}
		if got != step.want {
			t.Errorf("after %x the order is %s, want %s", step.record, got, step.want)
		}
	}
}
