package zerobus

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/runtime/protoimpl"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// space is memory for records that are encoded outside the lock.
type space struct {
	buf []byte
}

var spaces = sync.Pool{New: func() any { return new(space) }}

// keepSpace bounds what idle memory for encoding is kept, in bytes a piece.
const keepSpace = 1 << 20

func (s *space) free() {
	if cap(s.buf) <= keepSpace {
		spaces.Put(s)
	}
}

// maxUnderLock is the largest message that is encoded under the stream's lock, in bytes: some microseconds of work.
const maxUnderLock = 4 << 10

// encodesAtOnce reports whether a message is encoded by the protobuf runtime's own tables, which are fast and call nobody:
// neither by a Marshal method of an old kind of message nor by another implementation, which may do anything, nor by
// reflection, which is slow.
func encodesAtOnce(m proto.Message) bool {
	r := m.ProtoReflect()
	if _, ok := r.(interface{ ProtoMessageInfo() *protoimpl.MessageInfo }); !ok {
		return false
	}
	methods := r.ProtoMethods()
	return methods != nil && methods.Size != nil && methods.Marshal != nil // old kinds have no Size
}

// marshalInto writes a message of length bytes into space in its wire form, and reports whether it fills it.
func marshalInto(space []byte, m proto.Message, length int) bool {
	b, err := proto.MarshalOptions{}.MarshalAppend(wire.AppendRecordHeader(space, length), m)
	return err == nil && len(b) == cap(space) && unsafe.SliceData(b) == unsafe.SliceData(space)
}

// marshalAppend appends a message. It has no framing.
func marshalAppend(dst []byte, m proto.Message) (b []byte, err error) {
	defer recovered(&err)
	if b, err = (proto.MarshalOptions{}).MarshalAppend(dst, m); err != nil {
		return dst, fmt.Errorf("encode the protobuf record: %w", err)
	}
	return b, nil
}

// recovered is deferred around marshalers of the user's: it makes an error of a panic.
func recovered(err *error) { *err = panicked(recover(), *err) }

// panicked is the error of a panic p; err when there was none.
func panicked(p any, err error) error {
	if p == nil {
		return err
	}
	return fmt.Errorf("encoding the record panicked: %v", p)
}

// valueEncoder has encoding/json encode values, and takes each where encoding/json has made it: its encoder hands the whole
// text to its writer at once, which is the valueEncoder.
type valueEncoder struct {
	json *json.Encoder
	take func(e *valueEncoder, text []byte)

	parts []byte // of a text that did not come at once
	taken bool
	large bool // too much to keep what it took
	err   error

	p     *pipeline // for takeAlone
	ctx   context.Context
	block bool
	ack   Ack

	framed    []byte     // for takeFramed
	described *described // likewise; nil for a JSON stream
}

var valueEncoders = sync.Pool{New: func() any {
	e := new(valueEncoder)
	e.json = json.NewEncoder(e)
	e.json.SetEscapeHTML(false)
	return e
}}

// free gives e back after a call without an error. encoding/json may keep as much as the largest text took.
func (e *valueEncoder) free() {
	if e.large {
		return
	}
	*e = valueEncoder{json: e.json, parts: e.parts[:0]}
	valueEncoders.Put(e)
}

// encode has a value encoded and taken. It returns why it cannot be; what became of it otherwise is in e. After an error e
// is not used again.
func (e *valueEncoder) encode(value any) (err error) {
	if value == nil {
		return errNilJSON
	}
	defer func() {
		if !e.taken { // or the fault is ours
			err = panicked(recover(), err)
		}
	}()
	if err := e.json.Encode(value); err != nil {
		return fmt.Errorf("encode the JSON record: %w", err)
	}
	if !e.taken {
		return errNoText
	}
	return nil
}

// Write takes the text of a value with a newline behind it. No text has another one: within strings it is escaped. An error
// would stay with the encoder for ever, so there is none.
func (e *valueEncoder) Write(b []byte) (int, error) {
	text := b
	if len(e.parts) > 0 || len(b) == 0 || b[len(b)-1] != '\n' {
		e.parts = append(e.parts, b...)
		text = e.parts
	}
	if n := len(text); n > 0 && text[n-1] == '\n' {
		e.taken = true
		e.large = e.large || n > keepSpace
		e.take(e, text[:n-1])
		e.parts = e.parts[:0]
	}
	return len(b), nil
}

// takeAlone adds the text to the stream as a record.
func (e *valueEncoder) takeAlone(text []byte) {
	rec := JSONBytes(text)
	e.ack, e.err = e.p.ingest(e.ctx, &rec, e.block)
}

// takeFramed adds it to the records of a batch.
func (e *valueEncoder) takeFramed(text []byte) {
	if !utf8.Valid(text) { // json.RawMessage and other marshalers are not checked by the encoder
		e.err = errInvalidUTF8
		return
	}
	e.framed, e.err = appendFramedJSON(e.framed, text, e.described)
}

// appendFramedJSON appends a JSON record in its wire form: as it is, or encoded as protobuf.
func appendFramedJSON(body, text []byte, d *described) ([]byte, error) {
	if d == nil {
		return wire.AppendRecord(body, text), nil
	}
	s := spaces.Get().(*space)
	defer s.free()
	var err error
	if s.buf, err = d.encoder.AppendJSON(s.buf[:0], text); err != nil {
		return body, err
	}
	return wire.AppendRecord(body, s.buf), nil
}
