package zerobus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

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
	typ   RecordType
	lazy  bool   // value is to be encoded; otherwise data is the record
	data  []byte // never written to: it may be the bytes of a string
	value any    // a proto.Message for PROTO
}

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
	return Record{typ: RecordTypeJSON, lazy: true, value: v}
}

// JSONString is a record of JSON text. The SDK checks that it is UTF-8; all else is the server's judgement.
func JSONString(s string) Record {
	return Record{typ: RecordTypeJSON, data: unsafe.Slice(unsafe.StringData(s), len(s))}
}

// JSONBytes is JSONString for bytes.
func JSONBytes(b []byte) Record { return Record{typ: RecordTypeJSON, data: b} }

// Proto is a record of a message, which is encoded by the ingest call. Its type is that of the stream's table, which is
// checked by its full name where the table was made from a message or its descriptor.
func Proto(m proto.Message) Record { return Record{typ: RecordTypeProto, lazy: true, value: m} }

// ProtoBytes is a record of an encoded message. The SDK does not look into it.
func ProtoBytes(b []byte) Record { return Record{typ: RecordTypeProto, data: b} }

// Type returns the record's encoding, and 0 for the zero Record.
func (r Record) Type() RecordType { return r.typ }

// Bytes returns the encoded record; nil for one made by [JSON] or [Proto], which is not encoded yet. The bytes must not
// be changed.
func (r Record) Bytes() []byte { return r.data }

// encoder is the space in which values become bytes. Encoding happens outside the stream's lock; the bytes are then
// copied once, into the batch.
type encoder struct {
	buf  []byte
	json bytes.Buffer
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}

// keepEncoder bounds what an idle encoder holds.
const keepEncoder = 1 << 20

func (e *encoder) free() {
	if cap(e.buf) <= keepEncoder && e.json.Cap() <= keepEncoder {
		encoders.Put(e)
	}
}

// wrongType is why r cannot be a record of a stream of that type.
func (r Record) wrongType(want RecordType) error {
	if r.typ == 0 {
		return errors.New("the record is the zero Record; make it with JSON, JSONString, JSONBytes, Proto or ProtoBytes")
	}
	return fmt.Errorf("a %v record for a stream of %v records", r.typ, want)
}

var errInvalidUTF8 = errors.New("the JSON record is not valid UTF-8")

// encoded returns the bytes of a record that is encoded already.
func (r *Record) encoded() ([]byte, error) {
	if r.typ == RecordTypeJSON && !utf8.Valid(r.data) {
		return nil, errInvalidUTF8
	}
	return r.data, nil
}

// encode returns the record's bytes. Those of values are space of e, until the next call. want is the type of messages;
// nil for any.
func (e *encoder) encode(r *Record, want protoreflect.MessageDescriptor) (b []byte, err error) {
	defer func() {
		if p := recover(); p != nil { // of a marshaler of the user's
			err = fmt.Errorf("encoding the record panicked: %v", p)
		}
	}()
	switch {
	case !r.lazy:
		return r.encoded()
	case r.typ == RecordTypeJSON && r.value == nil:
		return nil, errors.New("the JSON record is nil")
	case r.typ == RecordTypeJSON:
		e.json.Reset()
		enc := json.NewEncoder(&e.json)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(r.value); err != nil {
			return nil, fmt.Errorf("encode the JSON record: %w", err)
		}
		b := bytes.TrimSuffix(e.json.Bytes(), []byte("\n"))
		if !utf8.Valid(b) { // json.RawMessage and other marshalers are not checked by the encoder
			return nil, errInvalidUTF8
		}
		return b, nil
	}
	m, _ := r.value.(proto.Message)
	if m == nil || !m.ProtoReflect().IsValid() {
		return nil, errors.New("the protobuf record is a nil message")
	}
	if md := m.ProtoReflect().Descriptor(); want != nil && md != want && md.FullName() != want.FullName() {
		return nil, fmt.Errorf("a message of type %s for a stream of %s", md.FullName(), want.FullName())
	}
	b, err = proto.MarshalOptions{}.MarshalAppend(e.buf[:0], m)
	if err != nil {
		return nil, fmt.Errorf("encode the protobuf record: %w", err)
	}
	e.buf = b
	return b, nil
}
