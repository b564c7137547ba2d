package decode

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// sub adds a nested message, or a packed list.
func (w wire) sub(num protowire.Number, inside wire) wire { return w.text(num, string(inside)) }

// packedInts is the inside of a packed list of varints.
func packedInts(xs ...int64) (w wire) {
	for _, x := range xs {
		w = protowire.AppendVarint(w, uint64(x))
	}
	return w
}

// nestedIn adds messages to a descriptor.
func nestedIn(m *descriptorpb.DescriptorProto, messages ...*descriptorpb.DescriptorProto) *descriptorpb.DescriptorProto {
	m.NestedType = append(m.NestedType, messages...)
	return m
}

// named is a message of fields "name type", numbered from 1.
func named(name string, specs ...string) *descriptorpb.DescriptorProto {
	m := messageOf(specs...)
	m.Name, m.EnumType = &name, nil
	return m
}

// entryOf is the message of a map's entries.
func entryOf(name, key, value string) *descriptorpb.DescriptorProto {
	m := named(name, "key "+key, "value "+value)
	m.Options = &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)}
	return m
}

const orderColumns = `id BIGINT NOT NULL, address STRUCT<street: STRING, zip: STRING NOT NULL, geo: STRUCT<lat: DOUBLE, lon: DOUBLE>, tags: ARRAY<STRING>>,
	lines ARRAY<STRUCT<sku: STRING NOT NULL, n: TINYINT, notes: ARRAY<STRING>>>, sizes ARRAY<INT> NOT NULL, counts MAP<STRING, INT>,
	places MAP<INT, STRUCT<lat: DOUBLE NOT NULL, lon: DOUBLE>> NOT NULL, doc VARIANT, colors ARRAY<STRING>, amounts ARRAY<DECIMAL(5,2)>,
	docs ARRAY<VARIANT>, prices MAP<DECIMAL(5,2), STRING>, levels MAP<STRING, STRING>`

// orderMessage has all forms of nesting, and the three spellings of type names.
func orderMessage() *descriptorpb.DescriptorProto {
	m := messageOf("id int64", "address message .a.b.Root.Address", "lines repeated message Line", "sizes repeated int32",
		"counts repeated message .Root.CountsEntry", "places repeated message PlacesEntry", "doc string", "colors repeated enum Color",
		"amounts repeated string", "docs repeated string", "prices repeated message PricesEntry", "levels repeated message LevelsEntry")
	colors := m.EnumType[0].Value // RED first: proto3 wants 0 there, and it is the default
	i := slices.IndexFunc(colors, func(v *descriptorpb.EnumValueDescriptorProto) bool { return v.GetNumber() == 0 })
	colors[0], colors[i] = colors[i], colors[0]
	address := nestedIn(named("Address", "street string", "zip string", "geo message Geo", "tags repeated string"), named("Geo", "lat double", "lon double"))
	return nestedIn(m, address, named("Line", "sku string", "n int32", "notes repeated string"), entryOf("CountsEntry", "string", "int32"),
		entryOf("PlacesEntry", "sint32", "message Address.Geo"), entryOf("PricesEntry", "string", "string"), entryOf("LevelsEntry", "string", "enum Color"))
}

func TestProtoNested_Accepts(t *testing.T) {
	table := tableOf(t, orderColumns)
	d, c := protoOf(t, table, marshal(t, orderMessage())), chunkOf(t, table)
	id := slices.Clip(wire{}.int(1, 7))
	geo := func(lat, lon float64) wire {
		return wire{}.fixed64(1, math.Float64bits(lat)).fixed64(2, math.Float64bits(lon))
	}
	entry := func(key string, n int64) wire { return wire{}.text(1, key).int(2, n) }
	place := func(key int64, geo wire) wire { return wire{}.varint(1, protowire.EncodeZigZag(key)).sub(2, geo) }
	for _, tt := range []struct {
		name   string
		record wire
		column int
		want   any
	}{
		{"absent struct", id, 1, nil},
		{"absent list", id, 2, nil},
		{"absent list, NOT NULL", id, 3, elements{}},
		{"absent map", id, 4, nil},
		{"absent map, NOT NULL", id, 5, entries{}},
		{"absent variant", id, 6, nil},
		{"empty packed list is absent", id.text(4, ""), 3, elements{}},
		{"struct", id.sub(2, wire{}.text(1, "s").text(2, "z")), 1, []any{"s", "z", nil, nil}},
		{"struct, last scalar wins", id.sub(2, wire{}.text(2, "z").text(2, "y")), 1, []any{nil, "y", nil, nil}},
		{
			"structs merge", id.sub(2, wire{}.text(1, "s").text(2, "z").sub(3, geo(1, 2)[:9]).text(4, "a")).int(99, 1).
				sub(2, wire{}.text(2, "y").sub(3, geo(1, 2)[9:]).text(4, "b")), 1,
			[]any{"s", "y", []any{1.0, 2.0}, elements{"a", "b"}},
		},
		{"empty struct inside", id.sub(2, wire{}.text(2, "z").text(3, "")), 1, []any{nil, "z", []any{nil, nil}, nil}},
		{"unknown fields inside", id.sub(2, wire{}.text(50, "u").group(51, wire{}.text(52, "v")).text(2, "z")), 1, []any{nil, "z", nil, nil}},
		{
			"list of structs, scattered", id.sub(3, wire{}.text(1, "a").int(2, 1)).text(7, "1").sub(3, wire{}.text(3, "x").text(1, "b").text(3, "y")), 2,
			elements{[]any{"a", int64(1), nil}, []any{"b", nil, elements{"x", "y"}}},
		},
		{"an element does not merge with the one before", id.sub(3, wire{}.text(1, "a").int(2, 1)).sub(3, wire{}.text(1, "b")), 2, elements{[]any{"a", int64(1), nil}, []any{"b", nil, nil}}},
		{"in an element the last counts", id.sub(3, wire{}.text(1, "a").int(2, 300).int(2, 5)), 2, elements{[]any{"a", int64(5), nil}}},
		{"packed", id.sub(4, packedInts(1, -2, 300000)), 3, elements{int64(1), int64(-2), int64(300000)}},
		{"not packed", id.int(4, 1).int(4, -2), 3, elements{int64(1), int64(-2)}},
		{"both", id.int(4, 1).text(7, "1").sub(4, packedInts(2, 3)).int(4, 4), 3, elements{int64(1), int64(2), int64(3), int64(4)}},
		{"map", id.sub(5, entry("a", 1)).sub(5, entry("b", 2)), 4, entries{"a": int64(1), "b": int64(2)}},
		{"map, last key wins", id.sub(5, entry("a", 1)).sub(5, entry("b", 2)).sub(5, entry("a", 3)), 4, entries{"a": int64(3), "b": int64(2)}},
		{"map, value before key", id.sub(5, wire{}.int(2, 1).text(1, "a")), 4, entries{"a": int64(1)}},
		{"map, key and value twice", id.sub(5, wire{}.text(1, "x").int(2, 1).text(1, "a").int(2, 2)), 4, entries{"a": int64(2)}},
		{"map, no key", id.sub(5, wire{}.int(2, 1)), 4, entries{"": int64(1)}},
		{"map, no value", id.sub(5, wire{}.text(1, "a")), 4, entries{"a": int64(0)}},
		{"map, empty entry", id.sub(5, nil), 4, entries{"": int64(0)}},
		{"map, no key and an empty one", id.sub(5, wire{}.int(2, 1)).sub(5, entry("", 2)), 4, entries{"": int64(2)}},
		{"map, unknown field", id.sub(5, entry("a", 1).text(9, "x")), 4, entries{"a": int64(1)}},
		{"map, enum without value is the first one's", id.sub(12, wire{}.text(1, "a")), 11, entries{"a": "RED"}},
		{"map of structs", id.sub(6, place(-5, geo(1, 2))), 5, entries{int64(-5): []any{1.0, 2.0}}},
		{"map of structs, values merge in an entry", id.sub(6, place(1, geo(1, 2)).sub(2, geo(3, 4)[:9])), 5, entries{int64(1): []any{3.0, 2.0}}},
		{"a value that does not count is not judged", id.sub(6, place(1, nil)).sub(6, place(1, geo(1, 2))), 5, entries{int64(1): []any{1.0, 2.0}}},
		{"keys that are the same number", id.sub(11, wire{}.text(1, "1.0").text(2, "a")).sub(11, wire{}.text(1, "1.00").text(2, "b")), 10, entries{"100": "b"}},
		{"variant", id.text(7, `{"a": [1, null]}`), 6, jsonVariant(`{"a":[1,null]}`)},
		{"variant, null is a value", id.text(7, "null"), 6, jsonVariant("null")},
		{"variant, last wins", id.text(7, "{").text(7, "2"), 6, jsonVariant("2")},
		{"variants", id.text(10, "1").text(10, `"x"`), 9, elements{jsonVariant("1"), jsonVariant(`"x"`)}},
		{"enums, packed and not", id.sub(8, packedInts(0, 1)).int(8, -1), 7, elements{"RED", "GREEN", "NEGATIVE"}},
		{"decimals", id.text(9, "1.5").text(9, "-2"), 8, elements{"150", "-200"}},
	} {
		row := taken(t, d, c, table, tt.record)
		if diff := cmp.Diff(tt.want, row[tt.column]); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestProtoNested_Refuses(t *testing.T) {
	table := tableOf(t, orderColumns)
	d, c := protoOf(t, table, marshal(t, orderMessage())), chunkOf(t, table)
	taken(t, d, c, table, wire{}.int(1, 1).sub(2, wire{}.text(2, "z").text(4, "t")).sub(3, wire{}.text(1, "a")).int(4, 1).sub(5, wire{}.text(1, "k")).text(7, "1"))
	id := slices.Clip(wire{}.int(1, 7))
	for _, tt := range []struct {
		record wire
		want   string
	}{
		{id.sub(2, nil), "field address.zip: no value, but the column is STRING NOT NULL"},
		{id.sub(2, wire{}.text(2, "z").sub(3, wire{}.fixed32(1, 1))), "field address.geo.lat: wire type 5 at byte 9, double has wire type 1"},
		{id.sub(2, wire{}.text(2, "\xff")), "field address.zip: invalid UTF-8 at byte 6"},
		{id.sub(2, wire{}.text(2, "z").text(4, "a\xff")), "field address.tags: invalid UTF-8 at byte 10"},
		{id.sub(2, wire{}.text(2, "z")[:2]), "field address.zip: the record ends within a value, in the field at byte 4"},
		{id.sub(2, wire{0x80}), "truncated varint, in the field at byte 4"},
		{id.sub(2, wire{0x53}), "the record ends within a group, in the field at byte 4"},
		{id.varint(2, 1), "field address: wire type 0 at byte 2, message has wire type 2"},
		{id.sub(3, nil), "field lines.element.sku: no value, but the column is STRING NOT NULL"},
		{id.sub(3, wire{}.text(1, "a").int(2, 300)).sub(3, wire{}.text(1, "b").int(2, 301)), "field lines.element.n: value 300 is out of range for TINYINT (-128 to 127)"},
		{id.sub(3, nil).sub(3, wire{}.text(1, "a").int(2, 300)), "field lines.element.sku: no value, but the column is STRING NOT NULL"},
		{id.sub(2, nil).sub(3, wire{}.text(1, "a").int(2, 300)), "field lines.element.n: value 300 is out of range for TINYINT (-128 to 127)"},
		{id.fixed32(4, 1), "field sizes: wire type 5 at byte 2, int32 has wire type 0"},
		{id.sub(4, wire{1, 0x80}), "field sizes: truncated varint, in the field at byte 2"},
		{id.sub(5, wire{}.text(1, "\xff")), "field counts.key: invalid UTF-8 at byte 6"},
		{id.sub(5, wire{}.text(1, "a").text(2, "")), "field counts.value: wire type 2 at byte 7, int32 has wire type 0"},
		{id.sub(5, wire{}.text(1, "a").text(9, "")[:4]).sub(5, nil), "truncated varint, in the field at byte 7"},
		{id.sub(5, wire{0x08, 1}), "field counts.key: wire type 0 at byte 4, string has wire type 2"},
		{id.sub(6, wire{}), "field places.value.lat: no value, but the column is DOUBLE NOT NULL"},
		{id.sub(6, wire{}.sub(2, wire{0x80})).sub(6, wire{}), "truncated varint, in the field at byte 6"}, // broken, though it does not count
		{id.text(7, "{"), "field doc: JSON text of the VARIANT: "},
		{id.text(7, "\xff"), "field doc: invalid UTF-8 at byte 4"},
		{id.text(7, ""), "field doc: JSON text of the VARIANT: "},
		{id.text(10, "1").text(10, "x"), "field docs.element: JSON text of the VARIANT: "},
		{id.int(8, 0).int(8, 9), "field colors.element: enum has no value with number 9"},
		{id.text(9, "1").text(9, "1.234"), "field amounts.element: value 1.234 has more than 2 digits behind the point for DECIMAL(5,2)"},
		{id.sub(11, wire{}.text(2, "x")), "field prices.key: text is not a decimal number"},
		{id.sub(11, wire{}.text(1, "x")).sub(11, wire{}.text(1, "x")), "field prices.key: text is not a decimal number"},
		{id.sub(12, wire{}.text(1, "x").int(2, 5)), "field levels.value: enum has no value with number 5"},
		{wire{}.sub(2, wire{}.text(2, "z")), "field id: no value, but the column is BIGINT NOT NULL"},
	} {
		got := turnedDown(t, d, c, table, tt.record).Error()
		if got != tt.want && !(strings.HasSuffix(tt.want, ": ") && strings.HasPrefix(got, tt.want) && len(got) > len(tt.want)) {
			t.Errorf("%q\n got %s\nwant %s", []byte(tt.record), got, tt.want)
		}
	}
	// Nothing of the refusals is left.
	row := taken(t, d, c, table, wire{}.int(1, 2).sub(3, wire{}.text(1, "b")).sub(5, wire{}.text(1, "k")))
	if diff := cmp.Diff([]any{int64(2), nil, elements{[]any{"b", nil, nil}}, elements{}, entries{"k": int64(0)}, entries{}, nil, nil, nil, nil, nil, nil}, row); diff != "" {
		t.Error(diff)
	}
}

// TestProtoNested_Oneof: one member clears the others, at every level, with what was refused in them.
func TestProtoNested_Oneof(t *testing.T) {
	table := tableOf(t, "a STRUCT<x: TINYINT, l: ARRAY<TINYINT>, m: MAP<STRING, TINYINT>, in: STRUCT<y: TINYINT>>, b TINYINT, v VARIANT, s STRUCT<p: STRUCT<x: TINYINT>, q: STRING>")
	inner := nestedIn(named("A", "x int32", "l repeated int32", "m repeated message MEntry", "in message In"), entryOf("MEntry", "string", "int32"), named("In", "y int32"))
	s := nestedIn(named("S", "p message P", "q string"), named("P", "x int32"))
	m := nestedIn(messageOf("a message A", "b int32", "v string", "s message S"), inner, s)
	for _, f := range []*descriptorpb.FieldDescriptorProto{m.Field[0], m.Field[1], m.Field[2], s.Field[0], s.Field[1]} {
		f.OneofIndex = proto.Int32(0)
	}
	d, c := protoOf(t, table, marshal(t, m)), chunkOf(t, table)
	full := wire{}.int(1, 300).sub(2, packedInts(1, 300)).sub(3, wire{}.text(1, "k").int(2, 300)).sub(4, wire{}.int(1, 300))
	for _, tt := range []struct {
		record wire
		want   []any
	}{
		{wire{}.sub(1, wire{}.int(1, 1)).sub(1, wire{}.int(2, 2)), []any{[]any{int64(1), elements{int64(2)}, nil, nil}, nil, nil, nil}},
		{wire{}.sub(1, full).int(2, 5), []any{nil, int64(5), nil, nil}},
		{wire{}.sub(1, full).text(3, "1"), []any{nil, nil, jsonVariant("1"), nil}},
		{wire{}.sub(1, full).text(3, "{").sub(1, wire{}.int(2, 7)), []any{[]any{nil, elements{int64(7)}, nil, nil}, nil, nil, nil}},
		{wire{}.int(2, 300).sub(1, nil), []any{[]any{nil, nil, nil, nil}, nil, nil, nil}},
		{wire{}.sub(4, wire{}.sub(1, wire{}.int(1, 300)).text(2, "q")), []any{nil, nil, nil, []any{nil, "q"}}},
		{wire{}.sub(4, wire{}.sub(1, wire{}.int(1, 300))).sub(4, wire{}.text(2, "q").sub(1, nil)), []any{nil, nil, nil, []any{[]any{nil}, nil}}},
	} {
		if diff := cmp.Diff(tt.want, taken(t, d, c, table, tt.record)); diff != "" {
			t.Errorf("%q: %s", []byte(tt.record), diff)
		}
	}
	for want, record := range map[string]wire{
		"field a.x: value 300 is out of range for TINYINT (-128 to 127)":       wire{}.int(2, 1).sub(1, full),
		"truncated varint, in the field at byte 4":                             wire{}.sub(1, wire{}.sub(3, wire{0x80})).int(2, 1),
		"field s.p.x: value 300 is out of range for TINYINT (-128 to 127)":     wire{}.sub(4, wire{}.text(2, "q").sub(1, wire{}.int(1, 300))),
		"field a.m.value: value 300 is out of range for TINYINT (-128 to 127)": wire{}.sub(1, wire{}.sub(3, wire{}.int(2, 300))),
	} {
		if got := turnedDown(t, d, c, table, record).Error(); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

// TestProtoNested_ScalarKinds tries every kind of field in a list, packed and not, and as key and value of a map.
func TestProtoNested_ScalarKinds(t *testing.T) {
	for typ, kinds := range map[string]string{
		"BIGINT": "int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64", "INT": "int32 uint64 sint32 fixed32 sfixed64",
		"BOOLEAN": "bool", "FLOAT": "float", "DOUBLE": "float double",
	} {
		for _, kind := range strings.Fields(kinds) {
			table := tableOf(t, "l ARRAY<"+typ+">, m MAP<INT, "+typ+">, k MAP<"+typ+", INT>")
			m := nestedIn(messageOf("l repeated "+kind, "m repeated message MEntry"), entryOf("MEntry", "int32", kind))
			if key := typ != "FLOAT" && typ != "DOUBLE"; key {
				nestedIn(m, entryOf("KEntry", kind, "int32"))
				m.Field = append(m.Field, pf("k repeated message KEntry", 3))
			}
			d, c := protoOf(t, table, marshal(t, m)), chunkOf(t, table)
			var one []byte
			var want any = int64(1)
			wt := wireType(protoreflect.Kind(m.Field[0].GetType()))
			switch {
			case kind == "float":
				one = protowire.AppendFixed32(nil, math.Float32bits(1))
			case kind == "double":
				one = protowire.AppendFixed64(nil, math.Float64bits(1))
			case wt == wireFixed32:
				one = protowire.AppendFixed32(nil, 1)
			case wt == wireFixed64:
				one = protowire.AppendFixed64(nil, 1)
			case kind[0] == 's':
				one = []byte{2}
			default:
				one = []byte{1}
			}
			switch typ {
			case "BOOLEAN":
				want = true
			case "FLOAT":
				want = float32(1)
			case "DOUBLE":
				want = float64(1)
			}
			field := func(num protowire.Number) wire {
				return append(protowire.AppendTag(nil, num, protowire.Type(wt)), one...)
			}
			record := append(field(1), wire{}.sub(1, append(one[:len(one):len(one)], one...)).sub(2, append(wire{}.int(1, 5), field(2)...))...)
			row := []any{elements{want, want, want}, entries{int64(5): want}, nil}
			if len(m.Field) == 3 {
				record = record.sub(3, append(field(1), wire{}.int(2, 3)...)).sub(3, append(field(1), wire{}.int(2, 4)...))
				row[2] = entries{want: int64(4)}
			}
			if diff := cmp.Diff(row, taken(t, d, c, table, record)); diff != "" {
				t.Errorf("%s in %s: %s", kind, typ, diff)
			}
		}
	}
}

// TestProtoNested_Recursive: a message that contains itself feeds as much of it as the table has.
func TestProtoNested_Recursive(t *testing.T) {
	table := tableOf(t, "n INT, next STRUCT<n: INT, next: STRUCT<n: INT, next: STRUCT<n: INT>>>, all ARRAY<STRUCT<n: INT>>")
	m := messageOf("n int32", "next message .x.Root", "all repeated message Root")
	_, err := NewProto(table, marshal(t, m))
	if want := "the descriptor does not fit the table: field next.next.next.next: the struct has no such member: " +
		"drop the field from the descriptor or add the member to the table; "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v", err)
	}
	table = tableOf(t, "top STRUCT<n: INT, kids: ARRAY<STRUCT<leaf: INT>>>")
	m = nestedIn(messageOf("top message Node"), nestedIn(named("Node", "n int32", "kids repeated message Node.Leaf"), named("Leaf", "leaf int32")))
	d := protoOf(t, table, marshal(t, m))
	got := taken(t, d, chunkOf(t, table), table, wire{}.sub(1, wire{}.int(1, 1).sub(2, wire{}.int(1, 2)).sub(2, nil)))
	if diff := cmp.Diff([]any{[]any{int64(1), elements{[]any{int64(2)}, []any{nil}}}}, got); diff != "" {
		t.Error(diff)
	}

	// As deep as types may nest.
	column, record := "INT", wire{}.int(1, 5)
	node := named("N", "x int32")
	for range 99 {
		column = "STRUCT<x: " + column + ">"
		record = wire{}.sub(1, record)
	}
	for range 99 {
		node = nestedIn(named("N", "x message N"), node)
	}
	node.Name = proto.String("Root")
	node.Field[0].Name = proto.String("top")
	table = tableOf(t, "top "+column)
	c := chunkOf(t, table)
	taken(t, protoOf(t, table, marshal(t, node)), c, table, record)
	v := &c.Cols[0]
	for len(v.Kids) > 0 {
		v = &v.Kids[0]
	}
	if v.N != 1 || v.I32[0] != 5 {
		t.Errorf("the innermost value is %v", v)
	}
	turnedDown(t, protoOf(t, table, marshal(t, node)), c, table, record[:len(record)-1])
}

func TestProtoNested_Misfits(t *testing.T) {
	inner := named("Inner", "x int32", "y string")
	plain := named("Pair", "key string", "value int32")
	for _, tt := range []struct {
		columns, field string
		nested         []*descriptorpb.DescriptorProto
		want           string
	}{
		{"a STRUCT<x: STRING, y: STRING>", "a message Inner", nil, "field a.x: int32 does not fit column type STRING: make it string"},
		{"a STRUCT<x: INT>", "a message Inner", nil, "field a.y: the struct has no such member: drop the field from the descriptor or add the member to the table"},
		{"a STRUCT<x: INT, Y: STRING>", "a message Inner", nil, "field a.y: the struct has no such member, but Y: names match in exact case"},
		{"a STRUCT<x: INT, y: STRING, z: INT NOT NULL>", "a message Inner", nil, "field a.z: the member is INT NOT NULL and the descriptor has no such field: add it"},
		{"a ARRAY<STRUCT<x: INT, y: INT>>", "a repeated message Inner", nil, "field a.element.y: string does not fit column type INT: make it int32"},
		{"a ARRAY<INT>", "a repeated string", nil, "field a.element: string does not fit column type INT: make it int32"},
		{"a ARRAY<INT>", "a int32", nil, "field a: int32 does not fit column type ARRAY<INT>: make it repeated int32"},
		{"a ARRAY<ARRAY<INT>>", "a repeated int32", nil, "field a.element: protobuf has no array in ARRAY<ARRAY<INT>>: send JSON records, or change the table"},
		{"a ARRAY<MAP<STRING, INT>>", "a repeated message Pair", nil, "field a.element: protobuf has no map in ARRAY<MAP<STRING, INT>>: send JSON records, or change the table"},
		{"a MAP<STRING, ARRAY<INT>>", "a repeated message AEntry", []*descriptorpb.DescriptorProto{entryOf("AEntry", "string", "int32")}, "field a.value: protobuf has no array in MAP<STRING, ARRAY<INT>>: send JSON records, or change the table"},
		{"a MAP<STRING, INT>", "a repeated message Pair", nil, "field a: repeated message does not fit column type MAP<STRING, INT>: make it map<string, int32>"},
		{"a ARRAY<STRUCT<key: STRING, value: INT>>", "a repeated message AEntry", []*descriptorpb.DescriptorProto{entryOf("AEntry", "string", "int32")}, "field a: map<string, int32> does not fit column type ARRAY<STRUCT<key: STRING, value: INT>>: make it repeated a message"},
		{"a STRUCT<key: STRING, value: INT>", "a message AEntry", []*descriptorpb.DescriptorProto{entryOf("AEntry", "string", "int32")}, "field a: its message is the entry of a map: only a map has such a field"},
		{"a MAP<STRING, INT>", "a repeated message AEntry", []*descriptorpb.DescriptorProto{entryOf("AEntry", "int32", "int32")}, "field a.key: int32 does not fit column type STRING: make it string"},
		{"a MAP<STRING, INT>", "a repeated message AEntry", []*descriptorpb.DescriptorProto{entryOf("AEntry", "bytes", "int32")}, "field a: protobuf has no map with bytes as key"},
		{"a MAP<STRING, INT>", "a repeated message AEntry", []*descriptorpb.DescriptorProto{entryOf("AEntry", "string", "repeated int32")}, "field a: the entries of the map have no key and value"},
		{"a STRUCT<x: INT>", "a group", nil, "field a: group does not fit column type STRUCT<x: INT>: make it a message"},
		{"a STRUCT<x: INT>", "a message Missing", nil, "field a: Proto not self-contained for field 'a' with type name 'Missing': nest the type in the message"},
		{"a STRUCT<x: INT>", "a message Color", nil, "field a: type 'Color' is an enum, not a message"},
		{"a STRUCT<x: INT>", "a message Bad", []*descriptorpb.DescriptorProto{{Name: proto.String("Bad"), Field: []*descriptorpb.FieldDescriptorProto{{}}}}, "field a: message Bad: field 0 has no valid name"},
		{"a VARIANT", "a bytes", nil, "field a: bytes does not fit column type VARIANT: make it string, JSON text"},
		{"a VARIANT", "a message Inner", nil, "field a: message does not fit column type VARIANT: make it string, JSON text"},
	} {
		m := nestedIn(messageOf(tt.field), append(tt.nested, inner, plain)...)
		if got := refusedDescriptor(t, tt.columns, marshal(t, m)).Error(); got != "the descriptor does not fit the table: "+tt.want {
			t.Errorf("%s for %s:\n got %s\nwant %s", tt.field, tt.columns, got, tt.want)
		}
	}
	if _, err := NewProto(tableOf(t, "a ARRAY<STRUCT<key: STRING, value: INT>>"), marshal(t, nestedIn(messageOf("a repeated message Pair"), plain))); err != nil {
		t.Errorf("a repeated message that looks like the entry of a map: %v", err)
	}
}

// TestProtoNested_TypeNames: names are relative to the message of the field or to those around it.
func TestProtoNested_TypeNames(t *testing.T) {
	color := func(value string) *descriptorpb.EnumDescriptorProto {
		return &descriptorpb.EnumDescriptorProto{Name: proto.String("Color"), Value: []*descriptorpb.EnumValueDescriptorProto{{Name: &value, Number: proto.Int32(0)}}}
	}
	table := tableOf(t, "a STRUCT<b: STRUCT<c: STRING>>")
	for name, want := range map[string]string{
		"Color": "IN_B", "B.Color": "IN_B", "A.B.Color": "IN_B", ".Root.A.B.Color": "IN_B", ".p.q.Root.A.B.Color": "IN_B", "Root.A.B.Color": "IN_B",
		"A.Color": "IN_A", ".Root.A.Color": "IN_A", ".Root.Color": "RED", "Root.Color": "RED", "p.Root.Color": "RED", ".A.Color": "", "Other.Color": "",
	} {
		b := named("B", "c enum "+name)
		b.EnumType = append(b.EnumType, color("IN_B"))
		a := nestedIn(named("A", "b message B"), b)
		a.EnumType = append(a.EnumType, color("IN_A"))
		d, err := NewProto(table, marshal(t, nestedIn(messageOf("a message A"), a)))
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "field a.b.c: Proto not self-contained") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := taken(t, d, chunkOf(t, table), table, wire{}.sub(1, wire{}.sub(1, wire{}.varint(1, 0))))
		if fmt.Sprint(got) != "[[["+want+"]]]" {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
}
