package wire

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	pb "google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/zerobus-go/zerobus/proto"
)

// The protobuf runtime, with messages made from the protocol's descriptors, is the oracle of these tests.

func newMessage(name protoreflect.Name) *dynamicpb.Message {
	return dynamicpb.NewMessage(proto.Message(name))
}

// fieldOf returns the field's descriptor; a name that m does not have is a fault of the test.
func fieldOf(m protoreflect.Message, name protoreflect.Name) protoreflect.FieldDescriptor {
	fd := m.Descriptor().Fields().ByName(name)
	if fd == nil {
		panic("no field " + string(name) + " in " + string(m.Descriptor().FullName()))
	}
	return fd
}

func set(m protoreflect.Message, name protoreflect.Name, v any) {
	m.Set(fieldOf(m, name), protoreflect.ValueOf(v))
}

func get(m protoreflect.Message, name protoreflect.Name) protoreflect.Value {
	return m.Get(fieldOf(m, name))
}

func has(m protoreflect.Message, name protoreflect.Name) bool { return m.Has(fieldOf(m, name)) }

// child returns the message in the field, which it creates.
func child(m protoreflect.Message, name protoreflect.Name) protoreflect.Message {
	return m.Mutable(fieldOf(m, name)).Message()
}

// encode returns m's bytes, the same ones every time.
func encode(t testing.TB, m pb.Message) []byte {
	t.Helper()
	b, err := pb.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatalf("the oracle does not encode: %v", err)
	}
	return b
}

// request is a Request whose batch is taken apart, in a form that two sides can be compared in.
type request struct {
	Request
	records [][]byte
}

func (r request) equal(o request) bool {
	return r.Kind == o.Kind && r.Offset == o.Offset && r.HasOffset == o.HasOffset && r.Type == o.Type &&
		r.First == o.First && r.HasFirst == o.HasFirst &&
		bytes.Equal(r.Body, o.Body) && (r.Body == nil) == (o.Body == nil) &&
		r.Create.Table == o.Create.Table && r.Create.Type == o.Create.Type && r.Create.HasType == o.Create.HasType &&
		bytes.Equal(r.Create.Descriptor, o.Create.Descriptor) &&
		(r.Create.Descriptor == nil) == (o.Create.Descriptor == nil) && equalRecords(r.records, o.records)
}

func equalRecords(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// ours reads b with the package.
func ours(b []byte) (request, error) {
	var r Request
	if err := ParseRequest(b, &r); err != nil {
		return request{}, err
	}
	out := request{Request: r}
	if r.Kind == RequestBatch {
		recs, err := walk(r.Body)
		if err != nil {
			return request{}, err
		}
		out.records, out.Body = recs, nil // the oracle has no bodies
	}
	return out, nil
}

func walk(body []byte) ([][]byte, error) {
	var recs [][]byte
	for {
		rec, rest, err := NextRecord(body)
		if err != nil {
			return nil, err
		}
		if rec == nil {
			if rest != nil {
				return nil, errors.New("rest is not nil at the end of a body")
			}
			return recs, nil
		}
		recs, body = append(recs, rec), rest
	}
}

// theirs reads b with the oracle.
func theirs(b []byte) (request, error) {
	m := newMessage("EphemeralStreamRequest")
	if err := pb.Unmarshal(b, m); err != nil {
		return request{}, err
	}
	var r request
	r.First, r.HasFirst = get(m, "first_record").Int(), has(m, "first_record")
	switch {
	case has(m, "create_stream"):
		c := get(m, "create_stream").Message()
		r.Kind = RequestCreate
		r.Create.Table = get(c, "table_name").String()
		if has(c, "descriptor_proto") {
			r.Create.Descriptor = append([]byte{}, get(c, "descriptor_proto").Bytes()...)
		}
		if has(c, "record_type") {
			r.Create.HasType = true
			r.Create.Type = RecordType(get(c, "record_type").Enum())
		}
	case has(m, "ingest_record"):
		c := get(m, "ingest_record").Message()
		r.Kind = RequestRecord
		r.Offset, r.HasOffset = get(c, "offset_id").Int(), has(c, "offset_id")
		if has(c, "proto_encoded_record") {
			r.Type, r.Body = Proto, append([]byte{}, get(c, "proto_encoded_record").Bytes()...)
		}
		if has(c, "json_record") {
			r.Type, r.Body = JSON, append([]byte{}, get(c, "json_record").String()...)
		}
	case has(m, "ingest_record_batch"):
		c := get(m, "ingest_record_batch").Message()
		r.Kind = RequestBatch
		r.Offset, r.HasOffset = get(c, "offset_id").Int(), has(c, "offset_id")
		if has(c, "proto_encoded_batch") {
			r.Type = Proto
			list := get(get(c, "proto_encoded_batch").Message(), "records").List()
			for i := range list.Len() {
				r.records = append(r.records, list.Get(i).Bytes())
			}
		}
		if has(c, "json_batch") {
			r.Type = JSON
			list := get(get(c, "json_batch").Message(), "records").List()
			for i := range list.Len() {
				r.records = append(r.records, []byte(list.Get(i).String()))
			}
		}
	}
	return r, nil
}

// theirResponse reads b with the oracle.
func theirResponse(b []byte) (Response, error) {
	m := newMessage("EphemeralStreamResponse")
	if err := pb.Unmarshal(b, m); err != nil {
		return Response{}, err
	}
	var r Response
	switch {
	case has(m, "create_stream_response"):
		r.Kind = ResponseCreated
		r.StreamID = get(get(m, "create_stream_response").Message(), "stream_id").String()
	case has(m, "ingest_record_response"):
		c := get(m, "ingest_record_response").Message()
		r.Kind = ResponseAck
		r.AckUpTo, r.HasAck = get(c, "durability_ack_up_to_offset").Int(), has(c, "durability_ack_up_to_offset")
	case has(m, "close_stream_signal"):
		c := get(m, "close_stream_signal").Message()
		r.Kind = ResponseClose
		if has(c, "duration") {
			d := get(c, "duration").Message()
			r.HasCloseIn = true
			r.CloseIn = saturate(get(d, "seconds").Int(), get(d, "nanos").Int())
		}
	}
	return r, nil
}

// saturate computes without bounds what the package computes within them.
func saturate(seconds, nanos int64) time.Duration {
	sum := big.NewInt(seconds)
	sum.Mul(sum, big.NewInt(int64(time.Second))).Add(sum, big.NewInt(nanos))
	switch {
	case sum.IsInt64():
		return time.Duration(sum.Int64())
	case sum.Sign() > 0:
		return math.MaxInt64
	}
	return math.MinInt64
}

// discards tells whether b sets a oneof more than once. What is discarded for that is parsed by the oracle to the last
// byte, and by us only as far as the batches in it.
func discards(b []byte) bool {
	seen := 0
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeField(b)
		if n < 0 {
			return false
		}
		if num <= 3 && typ == protowire.BytesType {
			seen++
			value, _ := protowire.ConsumeBytes(b[protowire.SizeTag(num):n])
			if num == requestBatch {
				payloads := 0
				for len(value) > 0 {
					num, _, n := protowire.ConsumeField(value)
					if n < 0 {
						return false
					}
					if num == ingestProto || num == ingestJSON {
						payloads++
					}
					value = value[n:]
				}
				seen += max(0, payloads-1)
			}
		}
		b = b[n:]
	}
	return seen > 1
}
