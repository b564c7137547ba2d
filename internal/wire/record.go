package wire

import (
	"io"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Limits that the service documents.
const (
	// MaxPayload is the most bytes of records, as framed by [AppendRecord], that a client puts into one request. It is
	// what the other clients check before they send: the service's limit, less room for the rest of the message.
	MaxPayload = 10<<20 - 64<<10

	// MaxRequest is the most bytes of records that the service takes in one request.
	MaxRequest = 10 << 20
)

// RecordType is the encoding of a stream's records.
type RecordType int32

// The record types, with their numbers on the wire.
const (
	Unspecified RecordType = 0
	Proto       RecordType = 1
	JSON        RecordType = 2
)

// String returns the type's name in the protocol, or its number when it has none.
func (t RecordType) String() string {
	switch t {
	case Unspecified:
		return "UNSPECIFIED"
	case Proto:
		return "PROTO"
	case JSON:
		return "JSON"
	}
	return "RecordType(" + strconv.Itoa(int(t)) + ")"
}

// tagRecord opens every record of a batch body: field 1, length-delimited.
const tagRecord = 1<<3 | byte(protowire.BytesType)

// AppendRecord appends rec, framed as an element of a batch body, to dst.
func AppendRecord(dst, rec []byte) []byte {
	return append(AppendRecordHeader(dst, len(rec)), rec...)
}

// AppendRecordHeader appends what stands before a record of n bytes in a batch body.
func AppendRecordHeader(dst []byte, n int) []byte {
	if n < 1<<7 {
		return append(dst, tagRecord, byte(n))
	}
	return protowire.AppendVarint(append(dst, tagRecord), uint64(n))
}

// RecordSize returns the bytes that [AppendRecord] appends for a record of n bytes.
func RecordSize(n int) int {
	return 1 + protowire.SizeBytes(n)
}

// NextRecord returns the first record of a batch body, and the body that follows it. Fields that are not records are
// skipped. Both are views into body; a record's capacity ends where it does.
//
// At the end of the body rec and rest are nil, with no error. A record without bytes is an empty slice, not nil.
func NextRecord(body []byte) (rec, rest []byte, err error) {
	for len(body) > 0 {
		if body[0] == tagRecord {
			size, n := protowire.ConsumeVarint(body[1:])
			if n < 0 {
				return nil, nil, fieldError("records", protowire.ParseError(n))
			}
			body = body[1+n:]
			if size > uint64(len(body)) {
				return nil, nil, fieldError("records", io.ErrUnexpectedEOF)
			}
			return body[:size:size], body[size:], nil
		}
		f, tail, err := nextField(body)
		if err != nil {
			return nil, nil, err
		}
		if f.num == 1 {
			// A tag may be written in more bytes than it needs.
			rec, err := f.bytes("records")
			if err != nil {
				return nil, nil, err
			}
			return rec, tail, nil
		}
		body = tail
	}
	return nil, nil, nil
}
