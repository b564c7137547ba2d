package schema

import (
	"errors"
	"hash/maphash"
	"strconv"
	"sync"

	"github.com/zerobus-go/zerobus/internal/jsonscan"
)

// Encoder makes protobuf records of JSON records: of the message that [Struct.Descriptor] describes for the table. Its rules
// are those of a stream of JSON records, so a mistake shows where the record is made and not at the end of a stream.
//
// A record is one object with the columns as keys, in exact case; a key may be left out, but none repeated and none unknown.
// Nothing is coerced:
//
//	BOOLEAN                         true, false
//	TINYINT, SMALLINT, INT, BIGINT  an integer in range, without fraction, exponent or quotes
//	FLOAT, DOUBLE                   a number in range; becomes the nearest one
//	DECIMAL                         a number, or a string with one; exact, and written with all the digits of its scale: 1.50
//	STRING, CHAR(n), VARCHAR(n)     a string of at most n characters
//	BINARY                          a string, base64 in the standard alphabet with padding
//	DATE                            an integer, days since 1970-01-01
//	TIMESTAMP, TIMESTAMP_NTZ        an integer, microseconds since 1970-01-01
//	STRUCT                          an object with its members as keys, by the same rules
//	ARRAY                           an array
//	MAP                             an object whose keys are text, plain decimal integers, true or false
//	VARIANT                         any value, nested at most 100 levels deep; a string is taken for the JSON text that it holds
//
// A null, like a key that is left out, is no field on the wire, and is refused where the table says NOT NULL. In an array or
// a map it is always refused, because protobuf cannot say it there. Nor can protobuf tell an empty array or map from none.
//
// An Encoder comes from [NewEncoder]. It is immutable and safe for concurrent use.
type Encoder struct {
	root *encodeObject

	places, sets int       // how many the plan has, see encodeState
	states       sync.Pool // of *encodeState
}

// NewEncoder makes an encoder for records of a table, which is not kept. It fails where [Struct.Descriptor] does, and for a
// DECIMAL that has no such precision or scale.
func NewEncoder(table *Struct) (*Encoder, error) {
	if table == nil {
		return nil, errors.New("there is no table")
	}
	if _, err := table.Descriptor("Record"); err != nil {
		return nil, err
	}
	e := &Encoder{}
	var err error
	if e.root, err = e.planObject(table.Fields, ""); err != nil {
		return nil, err
	}
	seed := maphash.MakeSeed()
	e.states.New = func() any { return newEncodeState(e, seed) }
	return e, nil
}

// AppendJSON appends the protobuf encoding of record, one JSON object, to dst. On error, which is an *[EncodeError], it returns
// dst as it was, though the memory behind its end may have been written. Once it has seen a few records it allocates only
// where dst has too little room. The record is not kept; it must not overlap that room.
func (e *Encoder) AppendJSON(dst, record []byte) ([]byte, error) {
	s := e.states.Get().(*encodeState)
	s.out = dst
	end := s.record(e.root, record)
	out := s.out
	s.out = nil
	var err error
	if end < 0 {
		out, err = dst, s.refusal(record)
	}
	e.states.Put(s)
	return out, err
}

// EncodeError tells why a record was refused.
type EncodeError struct {
	Path   string // the column, or what is in it: "address.zip", "tags.element", "counts.key", "counts.value"; empty for the record as a whole
	Reason string // without the place

	Line, Column int // where the offending token begins, both from 1, the column in bytes
}

// Error is one line, such as "field address.zip: value 300 is out of range for TINYINT (-128 to 127) at line 1 column 19".
// What it repeats of the record is short.
func (e *EncodeError) Error() string {
	s := e.Reason
	if e.Path != "" {
		s = "field " + e.Path + ": " + s
	}
	return s + " at line " + strconv.Itoa(e.Line) + " column " + strconv.Itoa(e.Column)
}

// encodeState is the state of one record, and what an encoder learns from the records before it.
//
// The methods that take the record and a position return the position behind what they read. A negative one means that they
// have called fail.
type encodeState struct {
	out     []byte
	scratch jsonscan.Scratch
	places  []encodePlace // of all objects of the plan, one after the other
	objects uint64        // that have begun, in all records
	sets    []keySet      // of the maps of the plan: the keys so far

	// The refusal of the current record.
	failedAt     int
	path, reason string
}

// encodePlace stands for a member of an object in the plan; before an object's first there is one for its beginning.
type encodePlace struct {
	seen uint64 // the number of the last object that had the member
	next int32  // the member that came next when this one was last seen: records mostly look alike, so it is tried first
}

func newEncodeState(e *Encoder, seed maphash.Seed) *encodeState {
	s := &encodeState{places: make([]encodePlace, e.places), sets: make([]keySet, e.sets)}
	for i := range s.sets {
		s.sets[i].seed = seed
	}
	return s
}

// fail notes why the record is refused, and what of it.
func (s *encodeState) fail(path string, at int, reason string) int {
	s.path, s.failedAt, s.reason = path, at, reason
	return -1
}

// mistyped refuses the value at b[i] because its JSON type is not the expected one, or because it is no value.
func (s *encodeState) mistyped(path string, b []byte, i int, expected string) int {
	return s.fail(path, i, jsonscan.Mistyped(b, i, expected))
}

// refusal is the error of the current record.
func (s *encodeState) refusal(record []byte) *EncodeError {
	err := &EncodeError{Path: s.path, Reason: s.reason}
	err.Line, err.Column = jsonscan.Place(record, s.failedAt)
	return err
}
