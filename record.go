package zerobus

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/protobuf/proto"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// RecordType is the encoding of a stream's records.
type RecordType int32

// The record types, with their numbers in the protocol.
const (
	RecordTypeProto RecordType = 1
	RecordTypeJSON  RecordType = 2
)

// String returns the type's name in the protocol.
func (t RecordType) String() string { return wire.RecordType(t).String() }

// A Record is one row, ready to be ingested. It is a small value that refers to what it was made of: that must not
// change before the ingest call returns, and may change afterwards. The zero Record is not valid.
type Record struct {
	kind  kind
	data  []byte // of an encoded record; never written to: it may be the bytes of a string
	value any    // otherwise; a proto.Message for PROTO
}

// kind is a record's type and whether it is still to be encoded.
type kind uint8

// lazy marks the kinds of records that are to be encoded.
const lazy = 1 << 7

func (k kind) typ() RecordType { return RecordType(k &^ lazy) }

func (k kind) lazy() bool { return k&lazy != 0 }

// encodedRecord is a record of that type.
func encodedRecord(typ RecordType, data []byte) Record { return Record{kind: kind(typ), data: data} }

// JSON is a record of whatever encoding/json makes of v, which should be an object: a struct or a map. It is encoded by
// the ingest call. Columns of dates and times want integers (days, microseconds), so give them t.UnixMicro(), not a
// time.Time, which encodes as text.
//
// A string, a []byte or a json.RawMessage is taken as JSON text, as by [JSONString] and [JSONBytes]: encoded as a value it
// would be no object.
func JSON(v any) Record {
	switch v := v.(type) {
	case string:
		return JSONString(v)
	case []byte:
		return JSONBytes(v)
	case json.RawMessage:
		return JSONBytes(v)
	}
	return Record{kind: kind(RecordTypeJSON) | lazy, value: v}
}

// JSONString is a record of JSON text. The SDK checks that it is UTF-8; all else is the server's judgement,
// but on a stream of a [DescribedTable], where the record is encoded as protobuf and must fit the table.
func JSONString(s string) Record {
	return JSONBytes(unsafe.Slice(unsafe.StringData(s), len(s)))
}

// JSONBytes is JSONString for bytes.
func JSONBytes(b []byte) Record { return encodedRecord(RecordTypeJSON, b) }

// Proto is a record of a message, which is encoded by the ingest call. Its type is that of the stream's table, which is
// checked by its full name where the table was made from a message or its descriptor.
func Proto(m proto.Message) Record { return Record{kind: kind(RecordTypeProto) | lazy, value: m} }

// ProtoBytes is a record of an encoded message. The SDK does not look into it.
func ProtoBytes(b []byte) Record { return encodedRecord(RecordTypeProto, b) }

// Type returns the record's encoding, and 0 for the zero Record.
func (r Record) Type() RecordType { return r.kind.typ() }

// Bytes returns the encoded record; nil for one made by [JSON] or [Proto], which is not encoded yet. The bytes must not
// be changed.
func (r Record) Bytes() []byte { return r.data }

// wrongType is why r cannot be a record of a stream of that type.
func (r Record) wrongType(want RecordType) error {
	if r.kind == 0 {
		return errors.New("the record is the zero Record; make it with JSON, JSONString, JSONBytes, Proto or ProtoBytes")
	}
	return fmt.Errorf("a %v record for a stream of %v records", r.kind.typ(), want)
}

// check returns why a record that is encoded already cannot be sent.
func (r *Record) check() error {
	if r.kind == kind(RecordTypeJSON) && !utf8.Valid(r.data) {
		return errInvalidUTF8
	}
	return nil
}

// message returns the message that r was made of, if its type is one of the table's records.
func (r *Record) message(table *TableProperties) (_ proto.Message, err error) {
	defer recovered(&err)
	m, _ := r.value.(proto.Message)
	if m == nil {
		return nil, errNilMessage
	}
	reflected := m.ProtoReflect()
	if !reflected.IsValid() {
		return nil, errNilMessage
	}
	md, want := reflected.Descriptor(), table.message
	switch {
	case table.described != nil:
		if err := table.described.fits(md); err != nil {
			return nil, fmt.Errorf("a message of type %s for a stream of %s: %w", md.FullName(), want.FullName(), err)
		}
	case want != nil && md != want && md.FullName() != want.FullName():
		return nil, fmt.Errorf("a message of type %s for a stream of %s", md.FullName(), want.FullName())
	}
	return m, nil
}

// appendFramed appends the record in its wire form, as records of the table are: JSON as protobuf where the table is
// described. On error what it returns is of no use.
func (r *Record) appendFramed(body []byte, table *TableProperties) (_ []byte, err error) {
	defer recovered(&err)
	switch {
	case !r.kind.lazy() && r.kind.typ() == RecordTypeJSON && table.described != nil:
		return appendFramedJSON(body, r.data, table.described)
	case !r.kind.lazy():
		return wire.AppendRecord(body, r.data), r.check()
	case r.kind.typ() == RecordTypeJSON:
		e := valueEncoders.Get().(*valueEncoder)
		e.take = (*valueEncoder).takeFramed
		e.framed, e.described = body, table.described
		if err := e.encode(r.value); err != nil {
			return body, err
		}
		body, err = e.framed, e.err
		e.free()
		return body, err
	}
	m, err := r.message(table)
	if err != nil {
		return body, err
	}
	length := proto.Size(m)
	if length > wire.MaxPayload {
		return body, tooLarge(wire.RecordSize(length))
	}
	start := len(body)
	body, err = marshalAppend(wire.AppendRecordHeader(body, length), m)
	if err == nil && len(body)-start != wire.RecordSize(length) {
		err = errMessageChanged
	}
	return body, err
}

var (
	errInvalidUTF8    = errors.New("the JSON record is not valid UTF-8")
	errNilJSON        = errors.New("the JSON record is nil")
	errNilMessage     = errors.New("the protobuf record is a nil message")
	errMessageChanged = errors.New("the message changed while it was encoded")
	errNoText         = errors.New("encoding/json made no text of the JSON record")
)
