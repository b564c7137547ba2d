package gateway

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/zerobus-go/zerobus/internal/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// idDescriptor describes a message with the field id = 5 of the table.
func idDescriptor(t *testing.T) []byte {
	b, err := proto.Marshal(&descriptorpb.DescriptorProto{Name: proto.String("R"), Field: []*descriptorpb.FieldDescriptorProto{{
		Name: proto.String("id"), Number: proto.Int32(5), Type: descriptorpb.FieldDescriptorProto_TYPE_INT64.Enum(),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// openWith begins a stream with this first request and shakes hands. It gives the stream's id.
func (d *door) openWith(create wire.CreateStream, md metadata.MD) (*client, string) {
	d.Helper()
	c := d.dialWith(many, md)
	c.send(wire.AppendCreateStream(nil, create))
	r, ok := c.next()
	if !ok || r.Kind != wire.ResponseCreated {
		d.Fatalf("the first response is %+v, the status %v", r, c.status)
	}
	return c, r.StreamID
}

// ingest sends records in one request: bare if it is one, else as a batch.
func (c *client) ingest(offset int64, t wire.RecordType, records ...string) {
	if len(records) == 1 {
		c.send(append(wire.AppendSinglePrefix(nil, offset, t, len(records[0])), records[0]...))
		return
	}
	var body []byte
	for _, r := range records {
		body = wire.AppendRecord(body, []byte(r))
	}
	c.send(append(wire.AppendBatchPrefix(nil, offset, t, len(body)), body...))
}

// endsAt reads the rest of the stream: the last acknowledgement, -1 for none, and the status.
func (c *client) endsAt(acked int64, code codes.Code, text string) {
	c.Helper()
	got, _ := c.end()
	if got != acked {
		c.Errorf("offset %d was acknowledged last, want %d", got, acked)
	}
	c.endsWith(code, text)
}

// endsWell ends a stream as clients do.
func (c *client) endsWell() {
	c.Helper()
	c.halfClose()
	if _, err := c.end(); err != nil {
		c.Errorf("the stream ended with %v", err)
	}
}

func (d *door) wantRows(want int64) {
	d.Helper()
	if n := d.rows(); n != want {
		d.Errorf("%d rows are durable, want %d", n, want)
	}
}

// §2.1: a request without a record type opens a stream of protobuf records.
func TestProtocol_CR02_WithoutARecordTypeItIsProtobuf(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		c, _ := d.openWith(wire.CreateStream{Table: tableName, Descriptor: idDescriptor(t)}, nil)
		c.ingest(0, wire.Proto, "\x28\x07")
		c.acked(0)
		c.ingest(1, wire.Proto, "", "\x28\x01", "\x98\x06\x01") // NULL, 1, and a field that the descriptor does not have
		c.acked(1)
		c.endsWell()
		d.wantRows(4)
	})
}

// §2.1: streams of JSON records need no descriptor; one that is there is not read.
func TestProtocol_CR04_JSONWithADescriptor(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		for _, descriptor := range [][]byte{nil, {}, idDescriptor(t), {0xff}} {
			c, _ := d.openWith(wire.CreateStream{Table: tableName, Type: wire.JSON, HasType: true, Descriptor: descriptor}, nil)
			c.record(0)
			c.acked(0)
			c.endsWell()
		}
	})
}

// §2.2: headers come before anything is read from the client, and the first response has an id, another one for every stream.
func TestProtocol_Handshake(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		seen := map[string]bool{}
		create := wire.CreateStream{Table: tableName, Type: wire.JSON, HasType: true}
		for _, header := range []string{"", tableName, "MAIN.Default.T"} {
			var md metadata.MD
			if header != "" {
				md = metadata.Pairs(tableHeader, header)
			}
			quiet := d.dialWith(many, md)
			synctest.Wait()
			select {
			case <-quiet.headers:
			default:
				d.Errorf("header %q: the server waits for the client", header)
			}
			c, id := d.openWith(create, md)
			if _, err := uuid.Parse(id); err != nil || seen[id] {
				d.Errorf("the id is %q, %v", id, err)
			}
			seen[id] = true
			c.endsWell()
		}
	})
}

// §2.3: offsets begin at 0 on every stream and rise by 1 with every request; any other one is refused with 4002.
func TestProtocol_Offsets(t *testing.T) {
	// A record that says everything but its offset.
	bare := protowire.AppendTag(nil, 3, protowire.BytesType)
	bare = protowire.AppendString(bare, good)
	bare = protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), bare)
	inBubble(t, Options{}, func(d *door) {
		for range 2 {
			c := d.open(many)
			c.record(0)
			c.acked(0)
			c.batch(1, -1, 3)
			c.acked(1)
			c.record(2)
			c.acked(2)
			c.endsWell()
		}
		for before := range int64(2) {
			for _, offset := range []int64{-1, before - 1, before + 1, 1 << 40, -1 << 63} {
				c := d.open(many)
				for i := range before {
					c.record(i)
				}
				c.record(offset)
				c.endsAt(before-1, codes.InvalidArgument, fmt.Sprintf("Non-incremental offset: expected %d, actual %d. Error Code: 4002, Error State: 0.", before, offset))
			}
			c := d.open(many)
			for i := range before {
				c.record(i)
			}
			c.send(bare)
			c.endsAt(before-1, codes.InvalidArgument, fmt.Sprintf("Non-incremental offset: expected %d, actual none. Error Code: 4002, Error State: 0.", before))
		}
	})
}

// §2.3: a batch has one offset and is durable as a whole or not at all, wherever in it the bad record is.
func TestProtocol_BatchesAreAllOrNothing(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		rows := int64(0)
		for bad := range 3 {
			c := d.open(many)
			c.batch(0, -1, 3)
			rows += 3
			records := []string{good, good, good}
			records[bad] = `{"id":1.5}`
			c.ingest(1, wire.JSON, records...)
			c.endsAt(0, codes.InvalidArgument, fmt.Sprintf("Record decoder/encoder error: field id: invalid type: floating point `1.5`, expected an integer at line 1 column 7 "+
				"(table %s, offset 1, record %d of the batch). Error Code: 4044, Error State: 3.", tableName, bad))
			d.wantRows(rows)
		}
	})
}

// §2.3: the status of a bad record waits until everything before it is durable and acknowledged.
func TestProtocol_WhatCameBeforeABadRecordIsAcknowledgedFirst(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		c := d.open(many)
		d.log.hold()
		c.record(0)
		c.record(1)
		c.ingest(2, wire.JSON, `{"ip":"::1"}`)
		time.Sleep(maxSilence / 2)
		select {
		case r := <-c.came:
			d.Fatalf("%+v came while nothing was durable", r)
		case <-c.ended:
			d.Fatalf("the stream ended while nothing was durable: %v", c.status)
		default:
		}
		d.log.release()
		c.endsAt(1, codes.InvalidArgument, "Record decoder/encoder error: unrecognized field name 'ip' at line 1 column 2 (table "+tableName+", offset 2). Error Code: 4044, Error State: 3.")
		d.wantRows(2)
	})
}

// §2.7: the limit is on the bytes of the records in a request. What frames them in a batch is not theirs.
func TestProtocol_BA05_TheLimitIsOnTheRecords(t *testing.T) {
	const limit = 90
	record := `{"id":10}`
	inBubble(t, Options{MaxRequestBytes: limit}, func(d *door) {
		fits := [][]string{
			{record + strings.Repeat(" ", limit-len(record))},
			{record, record + strings.Repeat(" ", limit-2*len(record))},
			slicesOf(record, limit/len(record)),
		}
		c := d.open(many)
		for i, records := range fits {
			c.ingest(int64(i), wire.JSON, records...)
			c.acked(int64(i))
		}
		c.endsWell()
		d.wantRows(1 + 2 + limit/int64(len(record)))
		for _, records := range fits {
			c := d.open(many)
			c.record(0)
			records[0] += " "
			c.ingest(1, wire.JSON, records...)
			c.endsAt(0, codes.InvalidArgument, "table "+tableName+", offset 1: the request has 91 bytes of records, more than the limit of 90.")
		}
	})
}

func slicesOf(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

// §2.1: all records of a stream are of its type.
func TestProtocol_IN06_BA07_RecordsOfTheOtherKind(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		for _, tt := range []struct {
			create wire.CreateStream
			record string
			other  wire.RecordType
			want   string
		}{
			{wire.CreateStream{Table: tableName, Type: wire.JSON, HasType: true}, good, wire.Proto, "a PROTO record came on a stream of JSON records"},
			{wire.CreateStream{Table: tableName, Type: wire.Proto, HasType: true, Descriptor: idDescriptor(t)}, "\x28\x01", wire.JSON, "a JSON record came on a stream of PROTO records"},
		} {
			for n := range 2 {
				c, _ := d.openWith(tt.create, nil)
				c.ingest(0, tt.create.Type, tt.record)
				c.ingest(1, tt.other, slicesOf(good, 1+n)...)
				c.endsAt(0, codes.InvalidArgument, tt.want)
			}
		}
		d.wantRows(4)
	})
}

// §2.1: a request is a message of protobuf: of alternatives the last counts, pieces of one are joined, unknown fields ignored. One
// that is neither a record nor a batch is of a later protocol, and refused.
func TestProtocol_RequestsAsProtobufHasThem(t *testing.T) {
	offset := func(n uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), n)
	}
	request := func(field protowire.Number, parts ...[]byte) []byte {
		var msg []byte
		for _, p := range parts {
			msg = append(msg, p...)
		}
		return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), msg)
	}
	text := func(field protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, field, protowire.BytesType), s)
	}
	piece := text(1, good)
	inBubble(t, Options{}, func(d *door) {
		c := d.open(many)
		for i, b := range [][]byte{
			request(2, offset(9), text(2, "\x28\x01"), text(3, "bad"), offset(0), text(3, good)),
			request(2, text(3, good), text(70, "later"), offset(1)),
			request(3, offset(2), request(3, piece), request(3, piece, text(2, "later"), piece)),
			append(request(3, request(3, piece), offset(3)), request(3, request(3, piece))...),
			append(append(request(3, request(3, text(1, "bad")), offset(1)), request(2, offset(4), text(3, good))...), text(70, "later")...),
		} {
			c.send(b)
			c.acked(int64(i))
		}
		c.send(request(4, offset(5), text(3, good)))
		c.endsAt(-1, codes.InvalidArgument, "offset 5: expected ingest_record or ingest_record_batch, got none")
		d.wantRows(1 + 1 + 3 + 2 + 1)
	})
}

// §2.4: old clients end a stream by cancelling it. What was taken becomes durable all the same, and the next stream opens.
func TestProtocol_CancelledByTheClient(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		c := d.open(many)
		d.log.hold()
		for i := range int64(3) {
			c.record(i)
		}
		synctest.Wait()
		c.gone()
		<-c.ended
		d.log.release()
		d.wantRows(3)
		next := d.open(many)
		next.record(0)
		next.acked(0)
		next.endsWell()
		if n := d.gate.Streams(); n != 0 {
			d.Errorf("%d streams are still counted", n)
		}
	})
}

// §3.3: a record of JSON is one object, and what is wrong with it has a line and a column.
func TestProtocol_PlacesInJSON(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		for record, want := range map[string]string{
			"":                           "EOF while parsing a value at line 1 column 1",
			"[]":                         "invalid type: array, expected an object at line 1 column 1",
			"{}{}":                       "trailing characters at line 1 column 3",
			"{\n\"id\":1,\n \"id\":2}":   "duplicate field 'id' at line 3 column 2",
			"{\r\n\t\"id\": \"1\"}":      "field id: invalid type: string, expected an integer at line 2 column 8",
			`{"id":9223372036854775808}`: "field id: value 9223372036854775808 is out of range for BIGINT (-9223372036854775808 to 9223372036854775807) at line 1 column 7",
			`{"id":null,"ID":1}`:         "unrecognized field name 'ID' at line 1 column 12",
			`{"id":1,`:                   "EOF while parsing an object at line 1 column 9",
		} {
			c := d.open(many)
			c.ingest(0, wire.JSON, record)
			c.endsAt(-1, codes.InvalidArgument, "Record decoder/encoder error: "+want+" (table "+tableName+", offset 0). Error Code: 4044, Error State: 3.")
		}
		d.wantRows(0)
	})
}
