package main

import (
	"fmt"
	"strings"

	"github.com/zerobus-go/zerobus/internal/wire"
	"google.golang.org/protobuf/encoding/protowire"
)

// marker is in every record that must be refused; none of them may be in a table.
const marker = "must-be-refused"

// method is the path of the one method that there is.
const method = "/" + wire.Service + "/EphemeralStream"

// grpcHeaders are those of a well-formed call. Those that extra names come last, and are there twice if they are usual.
func grpcHeaders(token, table string, extra ...string) []string {
	h := []string{":method", "POST", ":scheme", "http", ":path", method, ":authority", "localhost", "content-type", "application/grpc", "te", "trailers"}
	if token != "" {
		h = append(h, "authorization", "Bearer "+token)
	}
	if table != "" {
		h = append(h, "x-databricks-zerobus-table-name", table)
	}
	return append(h, extra...)
}

// createJSON opens a stream of JSON records.
func createJSON(table string) []byte {
	return wire.AppendCreateStream(nil, wire.CreateStream{Table: table, Type: wire.JSON, HasType: true})
}

// createProto opens a stream of protobuf records.
func createProto(table string, descriptor []byte) []byte {
	return wire.AppendCreateStream(nil, wire.CreateStream{Table: table, Descriptor: descriptor, Type: wire.Proto, HasType: true})
}

// one is a request with a JSON record.
func one(offset int64, record string) []byte { return single(offset, wire.JSON, []byte(record)) }

func single(offset int64, t wire.RecordType, record []byte) []byte {
	return append(wire.AppendSinglePrefix(nil, offset, t, len(record)), record...)
}

// batch is a request with records.
func batch(offset int64, t wire.RecordType, records ...[]byte) []byte {
	var body []byte
	for _, r := range records {
		body = wire.AppendRecord(body, r)
	}
	return append(wire.AppendBatchPrefix(nil, offset, t, len(body)), body...)
}

// good is a JSON record that fits the target; bad one that does not, unless the request around it is what is wrong.
func good(n int) string { return fmt.Sprintf(`{"n":%d,"text":"fine"}`, n) }

func bad(n int) string { return fmt.Sprintf(`{"n":%d,"text":"%s"}`, n, marker) }

// goodProto is a record of targetDescriptor.
func goodProto(n int) []byte {
	return protowire.AppendString(protowire.AppendTag(
		protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(n)), 2, protowire.BytesType), "fine")
}

// fieldOf is a serialized FieldDescriptorProto.
func fieldOf(name string, number int64, label, kind uint64, typeName string) []byte {
	b := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), name)
	b = protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), uint64(number))
	b = protowire.AppendVarint(protowire.AppendTag(b, 4, protowire.VarintType), label)
	if kind > 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, 5, protowire.VarintType), kind)
	}
	if typeName != "" {
		b = protowire.AppendString(protowire.AppendTag(b, 6, protowire.BytesType), typeName)
	}
	return b
}

// Labels and types of fields, as descriptor.proto numbers them.
const (
	optional, repeated                     = 1, 3
	typeInt64, typeString, typeBytes       = 3, 9, 12
	typeGroup, typeMessage, typeEnum       = 10, 11, 14
	inMessageField, inMessageNested  int32 = 2, 3
	inMessageEnum                    int32 = 4
)

// part appends a field of a DescriptorProto.
func part(b []byte, number int32, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, protowire.Number(number), protowire.BytesType), value)
}

// messageOf is a serialized DescriptorProto with these fields.
func messageOf(name string, fields ...[]byte) []byte {
	b := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), name)
	for _, f := range fields {
		b = part(b, inMessageField, f)
	}
	return b
}

// targetDescriptor fits the target.
func targetDescriptor() []byte {
	return messageOf("Target", fieldOf("n", 1, optional, typeInt64, ""), fieldOf("text", 2, optional, typeString, ""))
}

// ackOf is what an acknowledgement acknowledges, -1 for another response.
func ackOf(m []byte) int64 {
	r, err := wire.ParseResponse(m)
	if err != nil || r.Kind != wire.ResponseAck || !r.HasAck {
		return -1
	}
	return r.AckUpTo
}

// nested is a text that opens depth times.
func nested(open string, depth int) string { return strings.Repeat(open, depth) }
