package sink

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// script is a connection whose client has said beforehand what it sends: each Read gives one piece. A client cannot
// wait for an answer here, so the sink and it take turns without a clock or a socket.
type script struct {
	reads  [][]byte
	writes [][]byte
}

func (s *script) Read(b []byte) (int, error) {
	if len(s.reads) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.reads[0])
	if s.reads[0] = s.reads[0][n:]; len(s.reads[0]) == 0 {
		s.reads = s.reads[1:]
	}
	return n, nil
}

func (s *script) Write(b []byte) (int, error) {
	s.writes = append(s.writes, slices.Clone(b))
	return len(b), nil
}

func (s *script) Close() error                     { return nil }
func (s *script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// frame returns what write gives to a framer.
func frame(write func(fr *http2.Framer)) []byte {
	var b bytes.Buffer
	write(http2.NewFramer(&b, nil))
	return b.Bytes()
}

// hello is what a client sends first.
func hello(settings ...http2.Setting) []byte {
	return append([]byte(http2.ClientPreface), frame(func(fr *http2.Framer) { fr.WriteSettings(settings...) })...)
}

// request opens a stream. The block is cut in two, so that a CONTINUATION is in every test.
func request(id uint32, path string) []byte {
	block := headers(hpack.HeaderField{Name: ":method", Value: "POST"}, hpack.HeaderField{Name: ":path", Value: path})
	return frame(func(fr *http2.Framer) {
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block[:1]})
		fr.WriteContinuation(id, true, block[1:])
	})
}

// messages are complete gRPC messages in one DATA frame.
func messages(id uint32, end bool, msgs ...[]byte) []byte {
	var b []byte
	for _, m := range msgs {
		n := len(m)
		b = append(b, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		b = append(b, m...)
	}
	return frame(func(fr *http2.Framer) { fr.WriteData(id, end, b) })
}

func windowUpdate(id, n uint32) []byte {
	return frame(func(fr *http2.Framer) { fr.WriteWindowUpdate(id, n) })
}

// play runs a connection and returns what the sink wrote, a line for each write, without the greeting.
func play(t testing.TB, s *Sink, reads ...[]byte) []string {
	t.Helper()
	conn := &script{reads: slices.Clone(reads)}
	newConn(s, conn).serve()
	dec := hpack.NewDecoder(4096, nil)
	var lines []string
	for _, w := range conn.writes {
		var said []string
		fr := http2.NewFramer(nil, bytes.NewReader(w))
		for {
			f, err := fr.ReadFrame()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("the sink wrote %x, which is no frame: %v", w, err)
			}
			said = append(said, describe(t, f, dec))
		}
		lines = append(lines, strings.Join(said, ", "))
	}
	const greeting = "settings, window 0 +67043329"
	if len(lines) == 0 || lines[0] != greeting {
		t.Fatalf("the sink wrote %q; want %q first", lines, greeting)
	}
	return lines[1:]
}

func describe(t testing.TB, f http2.Frame, dec *hpack.Decoder) string {
	id := f.Header().StreamID
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return "settings ack"
		}
		return "settings"
	case *http2.WindowUpdateFrame:
		return fmt.Sprintf("window %d +%d", id, f.Increment)
	case *http2.PingFrame:
		return fmt.Sprintf("ping %t %x", f.IsAck(), f.Data[:1])
	case *http2.RSTStreamFrame:
		return fmt.Sprintf("reset %d %v", id, f.ErrCode)
	case *http2.GoAwayFrame:
		return fmt.Sprintf("goaway %v", f.ErrCode)
	case *http2.HeadersFrame:
		fields, err := dec.DecodeFull(f.HeaderBlockFragment())
		if err != nil {
			t.Fatal(err)
		}
		if !f.StreamEnded() {
			return fmt.Sprintf("headers %d", id)
		}
		said := fmt.Sprintf("trailers %d", id)
		for _, field := range fields {
			if field.Name == "grpc-status" {
				said += " " + field.Value
			}
		}
		return said
	case *http2.DataFrame:
		b := f.Data()
		if len(b) < prefixSize || b[0] != 0 || int(b[4]) != len(b)-prefixSize {
			t.Fatalf("the sink wrote the message %x", b)
		}
		r, err := wire.ParseResponse(b[prefixSize:])
		if err != nil {
			t.Fatal(err)
		}
		if r.Kind == wire.ResponseCreated {
			return fmt.Sprintf("created %d", id)
		}
		return fmt.Sprintf("ack %d %d", id, r.AckUpTo)
	}
	return fmt.Sprintf("%v %d", f.Header().Type, id)
}
