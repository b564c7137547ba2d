package main

import (
	"bytes"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

func itoa(n int) string { return strconv.Itoa(n) }

// enumOf is a serialized EnumDescriptorProto with n values.
func enumOf(name string, n int) []byte {
	b := part(nil, 1, []byte(name))
	for i := range n {
		v := part(nil, 1, []byte("V"+itoa(i)))
		b = part(b, 2, protowire.AppendVarint(protowire.AppendTag(v, 2, protowire.VarintType), uint64(i)))
	}
	return b
}

// deep is a message with depth messages in one another.
func deep(depth int) []byte {
	b := messageOf("M")
	for range depth {
		b = part(messageOf("M"), inMessageNested, b)
	}
	return b
}

// many is a message with n fields.
func many(n int) []byte {
	var fields [][]byte
	for i := range n {
		fields = append(fields, fieldOf("f"+itoa(i), int64(i+1), optional, typeInt64, ""))
	}
	return messageOf("Many", fields...)
}

var descriptorAttacks = []attack{
	{name: "descriptors", run: func(t *trial) {
		p := t.peer()
		n := fieldOf("n", 1, optional, typeInt64, "")
		enumField := func(typeName string) []byte { return fieldOf("text", 2, optional, typeEnum, typeName) }
		enums := messageOf("E", n, enumField("Color"))
		for i := range 5000 {
			enums = part(enums, inMessageEnum, enumOf("Color"+itoa(i), 2))
		}
		for what, d := range map[string][]byte{
			"garbage": bytes.Repeat([]byte{0xff}, 1000), "truncated": targetDescriptor()[:11], "1 MiB of garbage": bytes.Repeat([]byte{0x12, 0x00}, 1<<19), "more than 1 MiB": part(targetDescriptor(), 99, make([]byte, 1<<20)),
			"9 MiB":         part(targetDescriptor(), 99, make([]byte, 9<<20)),
			"a field twice": messageOf("M", n, n), "a number twice": messageOf("M", n, fieldOf("text", 1, optional, typeString, "")), "a name twice": messageOf("M", n, fieldOf("n", 2, optional, typeInt64, "")),
			"field number 0": messageOf("M", fieldOf("n", 0, optional, typeInt64, "")), "a negative field number": messageOf("M", fieldOf("n", -1, optional, typeInt64, "")), "field number 2^29": messageOf("M", fieldOf("n", 1<<29, optional, typeInt64, "")),
			"no name": messageOf("M", fieldOf("", 1, optional, typeInt64, "")), "a name that is not UTF-8": messageOf("M", fieldOf("n\xff", 1, optional, typeInt64, "")),
			"an unknown label": messageOf("M", fieldOf("n", 1, 99, typeInt64, "")), "an unknown type": messageOf("M", fieldOf("n", 1, optional, 99, "")), "no type": messageOf("M", fieldOf("n", 1, optional, 0, "")),
			"an unknown column": messageOf("M", n, fieldOf("evil", 2, optional, typeInt64, "")), "a column that is repeated": messageOf("M", fieldOf("n", 1, repeated, typeInt64, "")), "the wrong type": messageOf("M", fieldOf("text", 1, optional, typeInt64, "")),
			"itself as a type": messageOf("M", fieldOf("n", 1, optional, typeMessage, ".M")), "itself as a group": messageOf("M", fieldOf("n", 1, optional, typeGroup, "M")),
			"an enum that is not there": messageOf("M", n, enumField("Color")), "an enum that is a path": messageOf("M", enumField("../../Color")), "an enum with 10,000 dots": messageOf("M", enumField(strings.Repeat(".M", 10_000))),
			"an enum too large": part(messageOf("M", n, enumField("Color")), inMessageEnum, enumOf("Color", 10_001)), "an enum without values' names": part(messageOf("M", n, enumField("Color")), inMessageEnum, part(part(nil, 1, []byte("Color")), 2, nil)),
			"5,000 enums and the wrong one": enums, "a name with NUL": messageOf("M", fieldOf("n\x00", 1, optional, typeInt64, "")), "a name with another n": messageOf("M", fieldOf("ո", 1, optional, typeInt64, "")), "10,000 fields": many(10_000), "2,000 fields": many(2000),
			"a name of 500 KB": messageOf("M", fieldOf(strings.Repeat("n", 500_000), 1, optional, typeInt64, "")),
		} {
			got := t.ends(t.call(p, t.token, targetTable), false, createProto(targetTable, d))
			t.refuse(what, got, "grpc InvalidArgument ")
			if len(got) > 4096 {
				t.fault("%s: the status has %d bytes", what, len(got))
			}
		}
		// Whatever is not asked for is not looked at, and costs nothing.
		for what, extra := range map[string][]byte{
			"100 messages in one another": deep(100), "10,000 messages in one another": deep(10_000), "a nested message that refers to itself": messageOf("N", fieldOf("n", 1, optional, typeMessage, ".Target.N")),
			"1 MiB of nested messages": part(messageOf("N"), 99, make([]byte, 900_000)), "a nested message that is garbage": {0xff, 0xff},
		} {
			d := part(targetDescriptor(), inMessageNested, extra)
			c := t.created(t.call(p, t.token, targetTable), createProto(targetTable, d))
			t.take(what, t.ends(c, true), "grpc OK")
		}
		for range t.size(500) { // a descriptor of some 200 KB, again and again
			t.refuse("5,000 enums and the wrong one, again", t.ends(t.call(p, t.token, targetTable), false, createProto(targetTable, enums)), "grpc InvalidArgument ")
		}
	}},
}
