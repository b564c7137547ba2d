package wire

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of EphemeralStreamResponse and of the messages in it.
const (
	responseCreated protowire.Number = 1
	responseAck     protowire.Number = 2
	responseClose   protowire.Number = 3

	createdStreamID protowire.Number = 1
	ackUpTo         protowire.Number = 1
	closeDuration   protowire.Number = 1

	durationSeconds protowire.Number = 1
	durationNanos   protowire.Number = 2
)

// ResponseKind says what a [Response] is.
type ResponseKind uint8

// The kinds of responses.
const (
	ResponseNone    ResponseKind = iota // neither of the following; a server of a later protocol
	ResponseCreated                     // StreamID
	ResponseAck                         // AckUpTo, HasAck
	ResponseClose                       // CloseIn, HasCloseIn
)

// String returns the name of the response's field in the protocol.
func (k ResponseKind) String() string {
	switch k {
	case ResponseCreated:
		return "create_stream_response"
	case ResponseAck:
		return "ingest_record_response"
	case ResponseClose:
		return "close_stream_signal"
	}
	return "none"
}

// Response is one message from a server.
type Response struct {
	Kind       ResponseKind
	StreamID   string        // empty when the server sent none
	AckUpTo    int64         // all offsets of the connection up to and with this one are durable
	HasAck     bool          // false for an acknowledgement that names no offset
	CloseIn    time.Duration // time until the server ends the stream; what a time.Duration cannot hold is its nearest value
	HasCloseIn bool          // false for a signal without a duration
}

// AppendResponse appends r as a whole response to dst; nothing for [ResponseNone].
func AppendResponse(dst []byte, r Response) []byte {
	switch r.Kind {
	case ResponseCreated:
		dst = protowire.AppendTag(dst, responseCreated, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(1+protowire.SizeBytes(len(r.StreamID))))
		dst = protowire.AppendTag(dst, createdStreamID, protowire.BytesType)
		dst = protowire.AppendString(dst, r.StreamID)
	case ResponseAck:
		dst = protowire.AppendTag(dst, responseAck, protowire.BytesType)
		if !r.HasAck {
			return append(dst, 0)
		}
		dst = protowire.AppendVarint(dst, uint64(1+protowire.SizeVarint(uint64(r.AckUpTo))))
		dst = protowire.AppendTag(dst, ackUpTo, protowire.VarintType)
		dst = protowire.AppendVarint(dst, uint64(r.AckUpTo))
	case ResponseClose:
		dst = protowire.AppendTag(dst, responseClose, protowire.BytesType)
		if !r.HasCloseIn {
			return append(dst, 0)
		}
		var d [2 * (1 + 10)]byte
		duration := appendDuration(d[:0], r.CloseIn)
		dst = protowire.AppendVarint(dst, uint64(1+protowire.SizeBytes(len(duration))))
		dst = protowire.AppendTag(dst, closeDuration, protowire.BytesType)
		dst = protowire.AppendBytes(dst, duration)
	}
	return dst
}

// appendDuration appends a google.protobuf.Duration, a proto3 message: a zero is not written.
func appendDuration(dst []byte, d time.Duration) []byte {
	if s := int64(d / time.Second); s != 0 {
		dst = protowire.AppendTag(dst, durationSeconds, protowire.VarintType)
		dst = protowire.AppendVarint(dst, uint64(s))
	}
	if ns := int64(d % time.Second); ns != 0 {
		dst = protowire.AppendTag(dst, durationNanos, protowire.VarintType)
		dst = protowire.AppendVarint(dst, uint64(ns))
	}
	return dst
}

// ParseResponse reads the response in b. Of several alternatives the last one counts, and a message that comes in pieces
// is joined, as protobuf has it. Nothing of the result refers to b.
func ParseResponse(b []byte) (Response, error) {
	var r Response
	var d duration // of the close signal, joined over its pieces
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return Response{}, err
		}
		b = rest
		var kind ResponseKind
		switch f.num {
		case responseCreated:
			kind = ResponseCreated
		case responseAck:
			kind = ResponseAck
		case responseClose:
			kind = ResponseClose
		default:
			continue
		}
		msg, err := f.bytes(kind.String())
		if err != nil {
			return Response{}, err
		}
		if kind != r.Kind {
			r, d = Response{Kind: kind}, duration{}
		}
		switch kind {
		case ResponseCreated:
			err = r.parseCreated(msg)
		case ResponseAck:
			err = r.parseAck(msg)
		case ResponseClose:
			err = r.parseClose(msg, &d)
		}
		if err != nil {
			return Response{}, fieldError(kind.String(), err)
		}
	}
	r.CloseIn = d.clamp()
	return r, nil
}

func (r *Response) parseCreated(b []byte) error {
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return err
		}
		b = rest
		if f.num != createdStreamID {
			continue
		}
		v, err := f.bytes("stream_id")
		if err != nil {
			return err
		}
		r.StreamID = string(v)
	}
	return nil
}

func (r *Response) parseAck(b []byte) error {
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return err
		}
		b = rest
		if f.num != ackUpTo {
			continue
		}
		v, err := f.varint("durability_ack_up_to_offset")
		if err != nil {
			return err
		}
		r.AckUpTo, r.HasAck = int64(v), true
	}
	return nil
}

func (r *Response) parseClose(b []byte, d *duration) error {
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return err
		}
		b = rest
		if f.num != closeDuration {
			continue
		}
		v, err := f.bytes("duration")
		if err != nil {
			return err
		}
		if err := d.parse(v); err != nil {
			return fieldError("duration", err)
		}
		r.HasCloseIn = true
	}
	return nil
}

// duration is a google.protobuf.Duration, whose range is wider than that of time.Duration.
type duration struct {
	seconds int64
	nanos   int32
}

func (d *duration) parse(b []byte) error {
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return err
		}
		b = rest
		switch f.num {
		case durationSeconds:
			v, err := f.varint("seconds")
			if err != nil {
				return err
			}
			d.seconds = int64(v)
		case durationNanos:
			v, err := f.varint("nanos")
			if err != nil {
				return err
			}
			d.nanos = int32(v)
		}
	}
	return nil
}

// clamp returns d, or the nearest time.Duration. A peer may send any seconds with any nanos.
func (d duration) clamp() time.Duration {
	const second = int64(time.Second)
	const most = math.MaxInt64 / second
	s, ns := d.seconds, int64(d.nanos)
	if -2*most < s && s < 2*most { // so that the sums below do not overflow
		s, ns = s+ns/second, ns%second
		switch {
		case s > 0 && ns < 0:
			s, ns = s-1, ns+second
		case s < 0 && ns > 0:
			s, ns = s+1, ns-second
		}
	}
	// Now both have one sign.
	switch {
	case s > most || s == most && ns > math.MaxInt64%second:
		return math.MaxInt64
	case s < -most || s == -most && ns < math.MinInt64%second:
		return math.MinInt64
	}
	return time.Duration(s*second + ns)
}
