package wire

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

var (
	errWireType = errors.New("the field has the wrong wire type")
	errNumber   = errors.New("a field number is out of range")
)

// field is one field of a message, as it is on the wire.
type field struct {
	num protowire.Number
	typ protowire.Type
	raw []byte // the value, without the tag; with its length where it has one
}

// nextField takes the first field off b, which is not empty.
func nextField(b []byte) (f field, rest []byte, err error) {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return field{}, nil, protowire.ParseError(n)
	}
	if num > protowire.MaxValidNumber {
		return field{}, nil, errNumber
	}
	b = b[n:]
	n = protowire.ConsumeFieldValue(num, typ, b)
	if n < 0 {
		return field{}, nil, protowire.ParseError(n)
	}
	return field{num: num, typ: typ, raw: b[:n]}, b[n:], nil
}

// bytes returns the value of a length-delimited field as a view that cannot be appended to in place.
func (f field) bytes(name string) ([]byte, error) {
	if f.typ != protowire.BytesType {
		return nil, fieldError(name, errWireType)
	}
	v, _ := protowire.ConsumeBytes(f.raw) // nextField has checked it
	return v[:len(v):len(v)], nil
}

// varint returns the value of a varint field.
func (f field) varint(name string) (uint64, error) {
	if f.typ != protowire.VarintType {
		return 0, fieldError(name, errWireType)
	}
	v, _ := protowire.ConsumeVarint(f.raw) // nextField has checked it
	return v, nil
}

// fieldError names the field that err is about; the names of enclosing fields gather in front.
func fieldError(name string, err error) error {
	return fmt.Errorf("%s: %w", name, err)
}
