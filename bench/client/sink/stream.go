package sink

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// streamID is the id in every create_stream_response.
const streamID = "sink"

// stream is one RPC. The connection's lock guards it.
//
// acked <= due <= seen <= cursor.newest(), all of them offsets, -1 for none. With a delay what lies between due and
// seen is in line. What lies between acked and due waits for a send window.
type stream struct {
	id     uint32
	cursor cursor
	line   delayLine

	seen, due, acked int64

	told     Stats // what of cursor is in the sink's counts
	taken    int   // bytes of the receive window that were not given back
	window   int64 // for what we send
	answered bool  // create_stream_response is sent
	half     bool  // the client has ended its side
	touched  bool  // is in conn.touched
	gone     bool  // ended; nothing more is sent
}

func newStream(id uint32, cfg *Config, window int64) *stream {
	s := &stream{id: id, seen: -1, due: -1, acked: -1, window: window, line: delayLine{delay: cfg.AckDelay}}
	if cfg.Check {
		s.cursor.check = new(checker)
	}
	return s
}

// tell adds to the sink's counts what has come since it was called last.
func (s *stream) tell(to *Sink) {
	messages := max(s.cursor.count-1, 0)
	records := s.cursor.records()
	to.messages.Add(messages - s.told.Messages)
	to.bytes.Add(s.cursor.bytes - s.told.Bytes)
	if records != s.told.Records {
		to.records.Add(records - s.told.Records)
	}
	s.told = Stats{Messages: messages, Bytes: s.cursor.bytes, Records: records}
}

// pump writes what the stream owes and has a window for. What has none is written when the window opens, in its newest
// form.
func (c *conn) pump(s *stream) {
	if s.gone {
		return
	}
	if s.cursor.count > 0 && !s.answered {
		if !c.send(s, wire.Response{Kind: wire.ResponseCreated, StreamID: streamID}) {
			return
		}
		s.answered = true
	}
	if s.due > s.acked {
		if !c.send(s, wire.Response{Kind: wire.ResponseAck, AckUpTo: s.due, HasAck: true}) {
			return
		}
		s.acked = s.due
	}
	if s.half && s.acked == s.cursor.newest() {
		c.finish(s, codes.OK, "")
	}
}

// send writes a message in one frame and reports whether the windows have room for it.
func (c *conn) send(s *stream, r wire.Response) bool {
	c.message = wire.AppendResponse(append(c.message[:0], 0, 0, 0, 0, 0), r)
	n := int64(len(c.message))
	if n > c.window || n > s.window {
		return false
	}
	c.window -= n
	s.window -= n
	binary.BigEndian.PutUint32(c.message[1:], uint32(n-prefixSize))
	c.framer.WriteData(s.id, false, c.message)
	return true
}

// finish ends a stream. A client that has not ended its side is told that no more of it is wanted (RFC 9113, 8.1).
func (c *conn) finish(s *stream, code codes.Code, text string) {
	trailers := trailersOK
	if code != codes.OK {
		trailers = headers(
			hpack.HeaderField{Name: "grpc-status", Value: strconv.Itoa(int(code))},
			hpack.HeaderField{Name: "grpc-message", Value: percent(text)},
		)
	}
	c.writeHeaders(s.id, trailers, true)
	if !s.half {
		c.framer.WriteRSTStream(s.id, http2.ErrCodeNo)
	}
	c.remove(s)
}

func (c *conn) writeHeaders(id uint32, block []byte, end bool) {
	c.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: block, EndStream: end, EndHeaders: true,
	})
}

// Header blocks. They refer to HPACK's static table only, so each is good at any time on any connection.
var (
	responseHeaders = headers(
		hpack.HeaderField{Name: ":status", Value: "200"},
		hpack.HeaderField{Name: "content-type", Value: "application/grpc"},
	)
	trailersOK    = headers(hpack.HeaderField{Name: "grpc-status", Value: "0"})
	unimplemented = headers(
		hpack.HeaderField{Name: ":status", Value: "200"},
		hpack.HeaderField{Name: "content-type", Value: "application/grpc"},
		hpack.HeaderField{Name: "grpc-status", Value: strconv.Itoa(int(codes.Unimplemented))},
		hpack.HeaderField{Name: "grpc-message", Value: "the sink serves " + wire.Method + " only"},
	)
)

// headers encodes fields. Those that the static table lacks are sensitive, the encoder's word for never indexed.
func headers(fields ...hpack.HeaderField) []byte {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for _, f := range fields {
		f.Sensitive = !strings.HasPrefix(f.Name, ":")
		enc.WriteField(f)
	}
	return b.Bytes()
}

// percent encodes a grpc-message.
func percent(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
