package wire

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of EphemeralStreamRequest and of the messages in it.
const (
	requestCreate protowire.Number = 1
	requestRecord protowire.Number = 2
	requestBatch  protowire.Number = 3
	requestFirst  protowire.Number = 1000 // an extension, see docs/wire.md

	createTable      protowire.Number = 1
	createDescriptor protowire.Number = 3
	createType       protowire.Number = 4

	ingestOffset protowire.Number = 1
	ingestProto  protowire.Number = 2 // one record in ingest_record, a message of them in ingest_record_batch
	ingestJSON   protowire.Number = 3 // likewise
)

// CreateStream is the first request of a connection.
type CreateStream struct {
	Table      string     // catalog.schema.table
	Descriptor []byte     // a serialized google.protobuf.DescriptorProto; nil when there is none
	Type       RecordType // as it came, so possibly a number that has no name
	HasType    bool       // a request without a type means Proto; one with Unspecified is refused by the service
}

// AppendCreateStream appends a whole request that opens a stream to dst.
func AppendCreateStream(dst []byte, c CreateStream) []byte {
	size := 1 + protowire.SizeBytes(len(c.Table))
	if c.Descriptor != nil {
		size += 1 + protowire.SizeBytes(len(c.Descriptor))
	}
	if c.HasType {
		size += 1 + protowire.SizeVarint(uint64(int64(c.Type)))
	}
	dst = protowire.AppendTag(dst, requestCreate, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = protowire.AppendTag(dst, createTable, protowire.BytesType)
	dst = protowire.AppendString(dst, c.Table)
	if c.Descriptor != nil {
		dst = protowire.AppendTag(dst, createDescriptor, protowire.BytesType)
		dst = protowire.AppendBytes(dst, c.Descriptor)
	}
	if c.HasType {
		dst = protowire.AppendTag(dst, createType, protowire.VarintType)
		dst = protowire.AppendVarint(dst, uint64(int64(c.Type)))
	}
	return dst
}

// MaxPrefix is the most bytes that [AppendFirstRecord] and then [AppendBatchPrefix] or [AppendSinglePrefix] append: four tags,
// one of them of two bytes, and four varints are 45.
const MaxPrefix = 48

// AppendFirstRecord appends the field that says what number the first record of an ingest request has. The request follows.
func AppendFirstRecord(dst []byte, number int64) []byte {
	dst = protowire.AppendTag(dst, requestFirst, protowire.VarintType)
	return protowire.AppendVarint(dst, uint64(number))
}

// AppendBatchPrefix appends to dst what makes a batch body of bodyLen bytes, put right behind it, a whole
// ingest_record_batch request. Types other than [JSON] are sent as [Proto].
func AppendBatchPrefix(dst []byte, offset int64, t RecordType, bodyLen int) []byte {
	return appendIngestPrefix(dst, requestBatch, offset, t, bodyLen)
}

// AppendSinglePrefix appends to dst what makes a record of recordLen bytes, bare and put right behind it, a whole
// ingest_record request. Types other than [JSON] are sent as [Proto].
func AppendSinglePrefix(dst []byte, offset int64, t RecordType, recordLen int) []byte {
	return appendIngestPrefix(dst, requestRecord, offset, t, recordLen)
}

func appendIngestPrefix(dst []byte, request protowire.Number, offset int64, t RecordType, payloadLen int) []byte {
	payload := ingestProto
	if t == JSON {
		payload = ingestJSON
	}
	size := 1 + protowire.SizeVarint(uint64(offset)) + 1 + protowire.SizeBytes(payloadLen)
	dst = protowire.AppendTag(dst, request, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = protowire.AppendTag(dst, ingestOffset, protowire.VarintType)
	dst = protowire.AppendVarint(dst, uint64(offset))
	dst = protowire.AppendTag(dst, payload, protowire.BytesType)
	return protowire.AppendVarint(dst, uint64(payloadLen))
}

// RequestKind says what a [Request] is.
type RequestKind uint8

// The kinds of requests.
const (
	RequestNone   RequestKind = iota // neither of the following; a client of a later protocol
	RequestCreate                    // Create holds the request
	RequestRecord                    // Offset, Type and Body; Body is the bare record
	RequestBatch                     // Offset, Type and Body; Body is walked with [NextRecord]
)

// String returns the name of the request's field in the protocol.
func (k RequestKind) String() string {
	switch k {
	case RequestCreate:
		return "create_stream"
	case RequestRecord:
		return "ingest_record"
	case RequestBatch:
		return "ingest_record_batch"
	}
	return "none"
}

// Request is one message from a client.
type Request struct {
	Kind      RequestKind
	Create    CreateStream // copied out of the input
	Offset    int64
	HasOffset bool
	First     int64 // number of the first record among those of its producer, as it came
	HasFirst  bool
	Type      RecordType // Proto or JSON by the field that holds the payload, Unspecified without one
	Body      []byte     // the payload: a view into the input; nil without one
}

// ParseRequest reads the request in b into r, whatever r held before. Of several alternatives the last one counts, and
// a message that comes in pieces is joined, as protobuf has it. The records inside a batch are left to [NextRecord].
//
// r.Body is a view into b, without a copy, unless a batch came in pieces. After an error r is undefined.
func ParseRequest(b []byte, r *Request) error {
	*r = Request{}
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return err
		}
		b = rest
		var kind RequestKind
		switch f.num {
		case requestCreate:
			kind = RequestCreate
		case requestRecord:
			kind = RequestRecord
		case requestBatch:
			kind = RequestBatch
		case requestFirst:
			v, err := f.varint("first_record")
			if err != nil {
				return err
			}
			r.First, r.HasFirst = int64(v), true
			continue
		default:
			continue
		}
		msg, err := f.bytes(kind.String())
		if err != nil {
			return err
		}
		if kind != r.Kind {
			*r = Request{Kind: kind, First: r.First, HasFirst: r.HasFirst}
		}
		if kind == RequestCreate {
			err = r.Create.parse(msg)
		} else {
			err = r.parseIngest(msg)
		}
		if err != nil {
			return fieldError(kind.String(), err)
		}
	}
	return nil
}

func (c *CreateStream) parse(b []byte) error {
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return err
		}
		b = rest
		switch f.num {
		case createTable:
			v, err := f.bytes("table_name")
			if err != nil {
				return err
			}
			c.Table = string(v)
		case createDescriptor:
			v, err := f.bytes("descriptor_proto")
			if err != nil {
				return err
			}
			c.Descriptor = bytes.Clone(v)
		case createType:
			v, err := f.varint("record_type")
			if err != nil {
				return err
			}
			c.Type, c.HasType = RecordType(v), true
		}
	}
	return nil
}

// parseIngest reads an ingest_record or an ingest_record_batch: the two have the same fields.
func (r *Request) parseIngest(b []byte) error {
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return err
		}
		b = rest
		switch f.num {
		case ingestOffset:
			v, err := f.varint("offset_id")
			if err != nil {
				return err
			}
			r.Offset, r.HasOffset = int64(v), true
		case ingestProto:
			v, err := f.bytes("protobuf payload")
			if err != nil {
				return err
			}
			r.addPayload(Proto, v)
		case ingestJSON:
			v, err := f.bytes("json payload")
			if err != nil {
				return err
			}
			r.addPayload(JSON, v)
		}
	}
	return nil
}

// addPayload replaces the payload, or joins it to what came before: a batch is a message, and a message that occurs
// twice is the two together. The first join copies, because the view that it extends ends at its capacity; later ones
// grow that copy, so a batch in a million pieces costs no more than its bytes.
func (r *Request) addPayload(t RecordType, payload []byte) {
	if r.Kind == RequestBatch && r.Type == t {
		r.Body = append(r.Body, payload...)
		return
	}
	r.Type, r.Body = t, payload
}
