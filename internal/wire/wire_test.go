package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	pb "google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zerobus-go/zerobus/proto"
)

func TestNamesAreThoseOfTheDefinition(t *testing.T) {
	service := proto.File().Services().Get(0)
	if got := string(service.FullName()); got != Service {
		t.Errorf("Service is %q, the definition has %q", Service, got)
	}
	method := service.Methods().Get(0)
	if got := "/" + string(service.FullName()) + "/" + string(method.Name()); got != Method {
		t.Errorf("Method is %q, the definition has %q", Method, got)
	}
}

// single and batch build whole requests, as a client does.
func single(offset int64, typ RecordType, rec string) []byte {
	return append(AppendSinglePrefix(nil, offset, typ, len(rec)), rec...)
}

func batch(offset int64, typ RecordType, recs ...string) []byte {
	var body []byte
	for _, r := range recs {
		body = AppendRecord(body, []byte(r))
	}
	return append(AppendBatchPrefix(nil, offset, typ, len(body)), body...)
}

// The bytes were worked out by hand from the field numbers.
func TestGoldenBytes(t *testing.T) {
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{
			"create proto", AppendCreateStream(nil, CreateStream{Table: "a.b.c", Descriptor: []byte{1, 2}, Type: Proto, HasType: true}),
			"0a0d 0a05612e622e63 1a020102 2001",
		},
		{"create json", AppendCreateStream(nil, CreateStream{Table: "a.b.c", Type: JSON, HasType: true}), "0a09 0a05612e622e63 2002"},
		{"create without type", AppendCreateStream(nil, CreateStream{Table: "t"}), "0a03 0a0174"},
		{
			"create with a negative type", AppendCreateStream(nil, CreateStream{Table: "t", Type: -1, HasType: true}),
			"0a0e 0a0174 20ffffffffffffffffff01",
		},
		{"single proto", single(0, Proto, "xy"), "1206 0800 12027879"},
		{"single json", single(300, JSON, "{}"), "1207 08ac02 1a027b7d"},
		{"single empty", single(1, Proto, ""), "1204 0801 1200"},
		{"batch proto", batch(7, Proto, "x", "", "yz"), "1a0d 0807 1209 0a0178 0a00 0a02797a"},
		{"batch json", batch(0, JSON, "{}"), "1a08 0800 1a04 0a027b7d"},
		{"batch empty", batch(2, JSON), "1a04 0802 1a00"},
		{"first record, single", append(AppendFirstRecord(nil, 300), single(0, JSON, "{}")...), "c03eac02 1206 0800 1a027b7d"},
		{"created", AppendResponse(nil, Response{Kind: ResponseCreated, StreamID: "id"}), "0a04 0a026964"},
		{"created without id", AppendResponse(nil, Response{Kind: ResponseCreated}), "0a02 0a00"},
		{"ack 0", AppendResponse(nil, Response{Kind: ResponseAck, HasAck: true}), "1202 0800"},
		{"ack -1", AppendResponse(nil, Response{Kind: ResponseAck, AckUpTo: -1, HasAck: true}), "120b 08ffffffffffffffffff01"},
		{"ack of nothing", AppendResponse(nil, Response{Kind: ResponseAck}), "1200"},
		{
			"close", AppendResponse(nil, Response{Kind: ResponseClose, CloseIn: 1500 * time.Millisecond, HasCloseIn: true}),
			"1a0a 0a08 0801 1080cab5ee01",
		},
		{"close in 0", AppendResponse(nil, Response{Kind: ResponseClose, HasCloseIn: true}), "1a02 0a00"},
		{"close without duration", AppendResponse(nil, Response{Kind: ResponseClose}), "1a00"},
		{"no response", AppendResponse(nil, Response{}), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if want := strings.ReplaceAll(tt.want, " ", ""); hex.EncodeToString(tt.got) != want {
				t.Errorf("got  %x\nwant %s", tt.got, want)
			}
		})
	}
}

// What we write, the oracle reads as meant; what the oracle writes, we read as meant.
func TestCreateStreamAgainstTheOracle(t *testing.T) {
	for _, c := range []CreateStream{
		{},
		{Table: "main.default.air_quality"},
		{Table: "a.b.c", Type: JSON, HasType: true},
		{Table: "a.b.c", Descriptor: []byte{}, Type: Unspecified, HasType: true},
		{Table: strings.Repeat("t", 200), Descriptor: bytes.Repeat([]byte{0xff}, 40_000), Type: Proto, HasType: true},
		{Table: "a.b.c", Type: 77, HasType: true},
		{Table: "a.b.c", Type: math.MinInt32, HasType: true},
	} {
		t.Run(fmt.Sprintf("%.20s %v", c.Table, c.Type), func(t *testing.T) {
			want := request{Request: Request{Kind: RequestCreate, Create: c}}
			b := AppendCreateStream(nil, c)
			if got, err := theirs(b); err != nil || !got.equal(want) {
				t.Errorf("the oracle reads %+v, %v from what we wrote", got, err)
			}
			m := newMessage("EphemeralStreamRequest")
			create := child(m, "create_stream")
			set(create, "table_name", c.Table)
			if c.Descriptor != nil {
				set(create, "descriptor_proto", c.Descriptor)
			}
			if c.HasType {
				set(create, "record_type", protoreflect.EnumNumber(c.Type))
			}
			if got := encode(t, m); !bytes.Equal(got, b) {
				t.Errorf("the oracle writes %x, we write %x", got, b)
			}
			if got, err := ours(b); err != nil || !got.equal(want) {
				t.Errorf("we read %+v, %v", got, err)
			}
		})
	}
}

func TestIngestAgainstTheOracle(t *testing.T) {
	sizes := []int{0, 1, 10, 127, 128, 16_383, 16_384, 1 << 20}
	offsets := []int64{0, 1, 127, 128, 1 << 35, math.MaxInt64, -1}
	for _, typ := range []RecordType{Proto, JSON} {
		for i, size := range sizes {
			offset := offsets[i%len(offsets)]
			rec := bytes.Repeat([]byte("r"), size)
			t.Run(fmt.Sprintf("%v of %d at %d", typ, size, offset), func(t *testing.T) {
				m := newMessage("EphemeralStreamRequest")
				c := child(m, "ingest_record")
				set(c, "offset_id", offset)
				if typ == JSON {
					set(c, "json_record", string(rec))
				} else {
					set(c, "proto_encoded_record", rec)
				}
				b := single(offset, typ, string(rec))
				if !bytes.Equal(encode(t, m), b) {
					t.Error("a single record is written differently by the oracle")
				}
				want := request{Request: Request{Kind: RequestRecord, Offset: offset, HasOffset: true, Type: typ, Body: rec}}
				if got, err := ours(b); err != nil || !got.equal(want) {
					t.Errorf("we read a single record as %v, %v", got.Kind, err)
				}

				recs := []string{string(rec), "", "second"}
				m = newMessage("EphemeralStreamRequest")
				c = child(m, "ingest_record_batch")
				set(c, "offset_id", offset)
				payload := protoreflect.Name("proto_encoded_batch")
				if typ == JSON {
					payload = "json_batch"
				}
				list := child(c, payload)
				for _, r := range recs {
					v := protoreflect.ValueOfBytes([]byte(r))
					if typ == JSON {
						v = protoreflect.ValueOfString(r)
					}
					list.Mutable(fieldOf(list, "records")).List().Append(v)
				}
				b = batch(offset, typ, recs...)
				if !bytes.Equal(encode(t, m), b) {
					t.Error("a batch is written differently by the oracle")
				}
				want = request{Request: Request{Kind: RequestBatch, Offset: offset, HasOffset: true, Type: typ}}
				for _, r := range recs {
					want.records = append(want.records, []byte(r))
				}
				if got, err := ours(b); err != nil || !got.equal(want) {
					t.Errorf("we read a batch as %v of %d records, %v", got.Kind, len(got.records), err)
				}
			})
		}
	}
}

// The number of the first record stands beside the request, before or behind it, and outlives a change of the alternative.
func TestFirstRecordAgainstTheOracle(t *testing.T) {
	for _, b := range [][]byte{
		append(AppendFirstRecord(nil, 0), single(0, Proto, "x")...),
		append(AppendFirstRecord(nil, math.MaxInt64), batch(7, JSON, "{}", "{}")...),
		append(AppendFirstRecord(nil, -1), AppendCreateStream(nil, CreateStream{Table: "a.b.c"})...),
		AppendFirstRecord(batch(1, Proto, "x"), 300),
		AppendFirstRecord(AppendFirstRecord(nil, 1), 2),
		cat(single(0, Proto, "x"), AppendFirstRecord(nil, 9), batch(1, JSON, "{}")),
		batch(1, Proto, "x"),
	} {
		got, err := ours(b)
		want, wantErr := theirs(b)
		if err != nil || wantErr != nil || !got.equal(want) {
			t.Errorf("%x: we read\n%+v, %v\nthe oracle reads\n%+v, %v", b, got, err, want, wantErr)
		}
	}
	var r Request
	if err := ParseRequest(wrap(requestFirst, []byte("x")), &r); !errors.Is(err, errWireType) {
		t.Errorf("a first_record of bytes gave %v", err)
	}
}

// The four payloads, each with an offset of its own.
func TestIngest_UT04_Payloads(t *testing.T) {
	for _, tt := range []struct {
		offset int64
		typ    RecordType
		batch  bool
		field  protoreflect.Name
	}{
		{42, Proto, false, "proto_encoded_record"},
		{123, JSON, false, "json_record"},
		{99, Proto, true, "proto_encoded_batch"},
		{77, JSON, true, "json_batch"},
	} {
		t.Run(string(tt.field), func(t *testing.T) {
			kind, b := protoreflect.Name("ingest_record"), single(tt.offset, tt.typ, "one")
			if tt.batch {
				kind, b = "ingest_record_batch", batch(tt.offset, tt.typ, "one", "two")
			}
			m := newMessage("EphemeralStreamRequest")
			if err := pb.Unmarshal(b, m); err != nil {
				t.Fatal(err)
			}
			if !has(m, kind) {
				t.Fatalf("the oracle reads no %s", kind)
			}
			c := get(m, kind).Message()
			if got := get(c, "offset_id").Int(); got != tt.offset {
				t.Errorf("offset %d; want %d", got, tt.offset)
			}
			if !has(c, tt.field) {
				t.Fatalf("the oracle reads no %s", tt.field)
			}
			if v := get(c, tt.field); tt.batch {
				if n := get(v.Message(), "records").List().Len(); n != 2 {
					t.Errorf("%d records", n)
				}
			} else if got := string(v.String()); tt.typ == JSON && got != "one" || tt.typ == Proto && string(v.Bytes()) != "one" {
				t.Errorf("record %q", got)
			}
		})
	}
}

func TestResponsesAgainstTheOracle(t *testing.T) {
	tests := []Response{
		{},
		{Kind: ResponseCreated, StreamID: "4d0ad4b2-0000-4000-8000-000000000000"},
		{Kind: ResponseCreated},
		{Kind: ResponseAck},
		{Kind: ResponseAck, HasAck: true},
		{Kind: ResponseAck, AckUpTo: math.MaxInt64, HasAck: true},
		{Kind: ResponseAck, AckUpTo: math.MinInt64, HasAck: true},
		{Kind: ResponseClose},
	}
	for _, d := range []time.Duration{0, 1, -1, time.Second, 30 * time.Second, -1500 * time.Millisecond, math.MaxInt64, math.MinInt64} {
		tests = append(tests, Response{Kind: ResponseClose, CloseIn: d, HasCloseIn: true})
	}
	for _, want := range tests {
		t.Run(fmt.Sprintf("%v %+v", want.Kind, want), func(t *testing.T) {
			b := AppendResponse(nil, want)
			if got, err := theirResponse(b); err != nil || got != want {
				t.Errorf("the oracle reads %+v, %v", got, err)
			}
			if got, err := ParseResponse(b); err != nil || got != want {
				t.Errorf("we read %+v, %v", got, err)
			}
			m := newMessage("EphemeralStreamResponse")
			if err := pb.Unmarshal(b, m); err != nil {
				t.Fatal(err)
			}
			if got := encode(t, m); !bytes.Equal(got, b) {
				t.Errorf("the oracle writes %x, we write %x", got, b)
			}
		})
	}
}

// Seconds and nanos come from a peer: any pair, also of two signs.
func TestDurationsOutOfRangeAreTheNearest(t *testing.T) {
	const most = math.MaxInt64 / int64(time.Second)
	for _, seconds := range []int64{0, 1, -1, most - 1, most, most + 1, most + 2, -most, -most - 1, -most - 2, math.MaxInt64, math.MinInt64} {
		for _, nanos := range []int32{0, 1, -1, 854_775_806, 854_775_807, 854_775_808, -854_775_808, -854_775_809, 999_999_999, math.MaxInt32, math.MinInt32} {
			if got, want := (duration{seconds, nanos}).clamp(), saturate(seconds, int64(nanos)); got != want {
				t.Errorf("%d s and %d ns are %d, want %d", seconds, nanos, got, want)
			}
		}
	}
}

// cat joins messages, which protobuf takes as one message in pieces.
func cat(pieces ...[]byte) []byte { return bytes.Join(pieces, nil) }

// unknown is one field of each wire type that no message of the protocol has, groups within groups included.
var unknown = cat(
	protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1<<40),
	protowire.AppendFixed32(protowire.AppendTag(nil, 100, protowire.Fixed32Type), 7),
	protowire.AppendFixed64(protowire.AppendTag(nil, 101, protowire.Fixed64Type), 7),
	protowire.AppendBytes(protowire.AppendTag(nil, protowire.MaxValidNumber, protowire.BytesType), []byte("later")),
	protowire.AppendGroup(protowire.AppendTag(nil, 102, protowire.StartGroupType), 102,
		protowire.AppendGroup(protowire.AppendTag(nil, 1, protowire.StartGroupType), 1, nil)),
)

// wrap makes a length-delimited field.
func wrap(num protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
}

func offsetField(v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, ingestOffset, protowire.VarintType), v)
}

func TestRulesOfProtobuf(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		want request
	}{
		{"nothing", nil, request{}},
		{"unknown fields only", unknown, request{}},
		{
			"unknown fields around and inside",
			cat(unknown, wrap(requestBatch, cat(unknown, offsetField(3), unknown,
				wrap(ingestProto, cat(unknown, wrap(1, []byte("a")), unknown, wrap(1, nil), unknown)), unknown)), unknown),
			request{Request{Kind: RequestBatch, Offset: 3, HasOffset: true, Type: Proto}, [][]byte{[]byte("a"), {}}},
		},
		{
			"the last of several requests counts", cat(batch(1, JSON, "x"), single(2, Proto, "y")),
			request{Request: Request{Kind: RequestRecord, Offset: 2, HasOffset: true, Type: Proto, Body: []byte("y")}},
		},
		{
			"nothing of a discarded request is left", cat(single(9, JSON, "x"), wrap(requestBatch, nil)),
			request{Request: Request{Kind: RequestBatch}},
		},
		{
			"a batch in pieces is joined", cat(batch(1, Proto, "x"), wrap(requestBatch, wrap(ingestProto, wrap(1, []byte("y"))))),
			request{Request{Kind: RequestBatch, Offset: 1, HasOffset: true, Type: Proto}, [][]byte{[]byte("x"), []byte("y")}},
		},
		{
			"a batch of the other type replaces", cat(batch(1, Proto, "x"), batch(2, JSON, "y")),
			request{Request{Kind: RequestBatch, Offset: 2, HasOffset: true, Type: JSON}, [][]byte{[]byte("y")}},
		},
		{
			"a single record is not joined", cat(single(1, Proto, "x"), single(1, Proto, "y")),
			request{Request: Request{Kind: RequestRecord, Offset: 1, HasOffset: true, Type: Proto, Body: []byte("y")}},
		},
		{
			"a record without payload", wrap(requestRecord, offsetField(5)),
			request{Request: Request{Kind: RequestRecord, Offset: 5, HasOffset: true}},
		},
		{
			"a record without offset", wrap(requestRecord, wrap(ingestJSON, []byte("{}"))),
			request{Request: Request{Kind: RequestRecord, Type: JSON, Body: []byte("{}")}},
		},
		{
			"an empty record has a payload", single(0, JSON, ""),
			request{Request: Request{Kind: RequestRecord, HasOffset: true, Type: JSON, Body: []byte{}}},
		},
		{
			"creation in pieces is joined",
			cat(AppendCreateStream(nil, CreateStream{Table: "a", Descriptor: []byte("d")}),
				AppendCreateStream(nil, CreateStream{Table: "b", Type: JSON, HasType: true})),
			request{Request: Request{Kind: RequestCreate, Create: CreateStream{Table: "b", Descriptor: []byte("d"), Type: JSON, HasType: true}}},
		},
		{
			"the reserved field is skipped", wrap(requestCreate, cat(wrap(2, []byte("stream")), wrap(createTable, []byte("a")))),
			request{Request: Request{Kind: RequestCreate, Create: CreateStream{Table: "a"}}},
		},
		{
			"a tag in more bytes than it needs",
			wrap(requestBatch, wrap(ingestProto, cat([]byte{0x8a, 0x00, 0x01, 'x'}, wrap(1, []byte("y"))))),
			request{Request{Kind: RequestBatch, Type: Proto}, [][]byte{[]byte("x"), []byte("y")}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ours(tt.in)
			if err != nil || !got.equal(tt.want) {
				t.Errorf("we read\n%+v, %v\nwant\n%+v", got, err, tt.want)
			}
			if got, err := theirs(tt.in); err != nil || !got.equal(tt.want) {
				t.Errorf("the oracle reads\n%+v, %v\nwant\n%+v", got, err, tt.want)
			}
		})
	}
}

func TestMalformedRequests(t *testing.T) {
	tests := map[string][]byte{
		"field number 0":                {0x00, 0x00},
		"field number too large":        protowire.AppendVarint(protowire.AppendVarint(nil, uint64(protowire.MaxValidNumber+1)<<3), 0),
		"wire type 7":                   {0x0f},
		"varint of eleven bytes":        append(bytes.Repeat([]byte{0xff}, 10), 0x01),
		"group that ends only":          {0x0c},
		"group that is not ended":       {0x0b, 0x08, 0x00},
		"length beyond the end":         {0x12, 0x05, 0x08},
		"length beyond every end":       append([]byte{0x12}, bytes.Repeat([]byte{0xff}, 9)...),
		"record beyond the batch":       wrap(requestBatch, wrap(ingestProto, []byte{0x0a, 0x02, 'x'})),
		"record of an absurd length":    wrap(requestBatch, wrap(ingestProto, append([]byte{0x0a}, protowire.AppendVarint(nil, math.MaxUint64)...))),
		"record without length":         wrap(requestBatch, wrap(ingestProto, []byte{0x0a})),
		"unknown field beyond the body": wrap(requestBatch, wrap(ingestProto, []byte{0x12, 0x02, 'x'})),
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := ours(in); err == nil {
				t.Errorf("read as %+v", got)
			}
			if got, err := theirs(in); err == nil {
				t.Errorf("the oracle reads %+v", got)
			}
		})
	}
}

// Here we are stricter than protobuf, which keeps such a field as an unknown one.
func TestWrongWireTypeIsAnError(t *testing.T) {
	varint := func(num protowire.Number) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), 1)
	}
	tests := map[string][]byte{
		"create_stream":       varint(requestCreate),
		"ingest_record":       varint(requestRecord),
		"ingest_record_batch": varint(requestBatch),
		"table_name":          wrap(requestCreate, varint(createTable)),
		"descriptor_proto":    wrap(requestCreate, varint(createDescriptor)),
		"record_type":         wrap(requestCreate, wrap(createType, []byte{1})),
		"offset_id":           wrap(requestRecord, wrap(ingestOffset, []byte{1})),
		"protobuf payload":    wrap(requestRecord, varint(ingestProto)),
		"json payload":        wrap(requestBatch, varint(ingestJSON)),
		"records":             wrap(requestBatch, wrap(ingestJSON, varint(1))),
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ours(in)
			if !errors.Is(err, errWireType) || !strings.Contains(err.Error(), name) {
				t.Errorf("error is %v, want a wire type error that names %s", err, name)
			}
		})
	}
	for name, in := range map[string][]byte{
		"stream_id":                   wrap(responseCreated, varint(createdStreamID)),
		"durability_ack_up_to_offset": wrap(responseAck, wrap(ackUpTo, nil)),
		"duration":                    wrap(responseClose, varint(closeDuration)),
		"seconds":                     wrap(responseClose, wrap(closeDuration, wrap(durationSeconds, nil))),
		"nanos":                       wrap(responseClose, wrap(closeDuration, wrap(durationNanos, nil))),
		"close_stream_signal":         varint(responseClose),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseResponse(in)
			if !errors.Is(err, errWireType) || !strings.Contains(err.Error(), name) {
				t.Errorf("error is %v, want a wire type error that names %s", err, name)
			}
		})
	}
}

// Every prefix of a good message is either an error or a good, shorter message; in no case a panic.
func TestTruncation(t *testing.T) {
	whole := cat(AppendCreateStream(nil, CreateStream{Table: "a.b.c", Descriptor: []byte("d"), Type: JSON, HasType: true}),
		unknown, batch(3, Proto, "record", ""))
	failed := 0
	for n := range whole {
		_, mine := ours(whole[:n])
		_, other := theirs(whole[:n])
		if (mine == nil) != (other == nil) {
			t.Errorf("after %d bytes we say %v, the oracle says %v", n, mine, other)
		}
		if mine != nil {
			failed++
		}
	}
	if failed < len(whole)*3/4 {
		t.Errorf("only %d of %d truncated messages are errors", failed, len(whole))
	}
}

func TestPrefixesAreWithinTheirBound(t *testing.T) {
	for _, offset := range []int64{0, 1 << 40, math.MaxInt64, math.MinInt64} {
		for _, size := range []int{0, MaxPayload, MaxRequest, math.MaxInt} {
			first := AppendFirstRecord(nil, offset)
			if n := len(AppendBatchPrefix(first, offset, JSON, size)); n > MaxPrefix {
				t.Errorf("prefix for a body of %d bytes at offset %d has %d bytes", size, offset, n)
			}
			if n := len(AppendSinglePrefix(first, offset, Proto, size)); n > MaxPrefix {
				t.Errorf("prefix for a record of %d bytes at offset %d has %d bytes", size, offset, n)
			}
		}
	}
}

func TestRecordSize(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 16_383, 16_384, 1<<21 - 1, 1 << 21} {
		if got, want := RecordSize(n), len(AppendRecord(nil, make([]byte, n))); got != want {
			t.Errorf("RecordSize(%d) = %d, AppendRecord appends %d", n, got, want)
		}
	}
}

// A record that is appended to must not write over the next one.
func TestViewsEndAtTheirCapacity(t *testing.T) {
	var r Request
	if err := ParseRequest(batch(0, Proto, "one", "two"), &r); err != nil {
		t.Fatal(err)
	}
	first, rest, err := NextRecord(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(first, "XXXXX"...)
	if second, _, err := NextRecord(rest); err != nil || string(second) != "two" {
		t.Errorf("the second record is %q, %v", second, err)
	}
	in := cat(single(0, Proto, "one"), wrap(99, []byte("tail")))
	if err := ParseRequest(in, &r); err != nil {
		t.Fatal(err)
	}
	before := string(in)
	_ = append(r.Body, "XXXXX"...)
	if string(in) != before {
		t.Error("appending to a body changed the input")
	}
}

// The creation is kept for the stream's life, the input is not.
func TestCreationIsCopied(t *testing.T) {
	in := AppendCreateStream(nil, CreateStream{Table: "a.b.c", Descriptor: []byte("descriptor")})
	var r Request
	if err := ParseRequest(in, &r); err != nil {
		t.Fatal(err)
	}
	clear(in)
	if r.Create.Table != "a.b.c" || string(r.Create.Descriptor) != "descriptor" {
		t.Errorf("creation is %+v after the input was written over", r.Create)
	}
}

// A batch in very many pieces must not cost the square of its size.
func TestManyPiecesAreJoinedInLinearSpace(t *testing.T) {
	const pieces = 20_000
	piece := wrap(requestBatch, wrap(ingestProto, wrap(1, []byte("r"))))
	in := bytes.Repeat(piece, pieces)
	var r Request
	allocs := testing.AllocsPerRun(1, func() {
		if err := ParseRequest(in, &r); err != nil {
			t.Fatal(err)
		}
	})
	if recs, err := walk(r.Body); err != nil || len(recs) != pieces {
		t.Errorf("%d records, %v", len(recs), err)
	}
	if allocs > 100 {
		t.Errorf("%v allocations for %d pieces", allocs, pieces)
	}
}

func TestParsingRecordsDoesNotAllocate(t *testing.T) {
	for name, in := range map[string][]byte{"single": single(5, JSON, `{"a":1}`), "batch": batch(5, Proto, "one", "two", "three")} {
		var r Request
		n := 0
		allocs := testing.AllocsPerRun(100, func() {
			if err := ParseRequest(in, &r); err != nil {
				t.Fatal(err)
			}
			if r.Kind != RequestBatch {
				return
			}
			for body := r.Body; ; {
				rec, rest, err := NextRecord(body)
				if err != nil {
					t.Fatal(err)
				}
				if rec == nil {
					break
				}
				n, body = n+1, rest
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
	ack := AppendResponse(nil, Response{Kind: ResponseAck, AckUpTo: 1 << 40, HasAck: true})
	if allocs := testing.AllocsPerRun(100, func() { ParseResponse(ack) }); allocs != 0 {
		t.Errorf("acknowledgement: %v allocations", allocs)
	}
}

func TestRecordTypeNames(t *testing.T) {
	for typ, want := range map[RecordType]string{Unspecified: "UNSPECIFIED", Proto: "PROTO", JSON: "JSON", 7: "RecordType(7)", -1: "RecordType(-1)"} {
		if got := typ.String(); got != want {
			t.Errorf("RecordType %d is %q, want %q", int32(typ), got, want)
		}
	}
}

func BenchmarkNextRecord(b *testing.B) {
	for _, size := range []int{20, 220, 10_000} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			var body []byte
			rec := make([]byte, size)
			for len(body) < 1<<20 {
				body = AppendRecord(body, rec)
			}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				for rest := body; ; {
					rec, next, err := NextRecord(rest)
					if err != nil {
						b.Fatal(err)
					}
					if rec == nil {
						break
					}
					rest = next
				}
			}
		})
	}
}
