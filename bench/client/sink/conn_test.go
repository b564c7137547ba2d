package sink

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/zerobus-go/zerobus/internal/wire"
)

func TestTranscripts(t *testing.T) {
	open := slices.Concat(request(1, wire.Method), messages(1, false, createStream()))
	ten := make([][]byte, 10)
	for i := range ten {
		ten[i] = single(int64(i), 20)
	}
	ping := frame(func(fr *http2.Framer) { fr.WritePing(false, [8]byte{7}) })
	noWindow := http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}

	tests := []struct {
		name  string
		reads [][]byte
		want  []string
		fault string
	}{
		{
			name:  "what a read leads to is one write, with one acknowledgement",
			reads: [][]byte{hello(), open, messages(1, false, ten...), messages(1, false, single(10, 1))},
			want:  []string{"settings ack", "headers 1, created 1", "ack 1 9", "ack 1 10"},
		},
		{
			name:  "headers are answered before there is a message",
			reads: [][]byte{hello(), request(1, wire.Method), messages(1, false, createStream())},
			want:  []string{"settings ack", "headers 1", "created 1"},
		},
		{
			name:  "half-close in the frame of the last message",
			reads: [][]byte{hello(), open, messages(1, true, ten...)},
			want:  []string{"settings ack", "headers 1, created 1", "ack 1 9, trailers 1 0"},
		},
		{
			name:  "all of it at once",
			reads: [][]byte{slices.Concat(hello(), open, messages(1, false, ten...), messages(1, true))},
			want:  []string{"settings ack, headers 1, created 1, ack 1 9, trailers 1 0"},
		},
		{
			name: "half-close without a message",
			reads: [][]byte{hello(), frame(func(fr *http2.Framer) {
				fr.WriteHeaders(http2.HeadersFrameParam{
					StreamID: 1, BlockFragment: pathOnly(wire.Method), EndHeaders: true, EndStream: true,
				})
			})},
			want: []string{"settings ack", "headers 1, trailers 1 0"},
		},
		{
			name: "half-close by trailers",
			reads: [][]byte{hello(), open, frame(func(fr *http2.Framer) {
				fr.WriteHeaders(http2.HeadersFrameParam{
					StreamID: 1, BlockFragment: pathOnly("/"), EndHeaders: true, EndStream: true,
				})
			})},
			want: []string{"settings ack", "headers 1, created 1", "trailers 1 0"},
		},
		{
			name:  "a ping in between",
			reads: [][]byte{hello(), open, slices.Concat(messages(1, false, ten...), ping)},
			want:  []string{"settings ack", "headers 1, created 1", "ping true 07, ack 1 9"},
		},
		{
			name: "two streams, one of which the client resets",
			reads: [][]byte{
				hello(), open,
				slices.Concat(request(3, wire.Method), messages(3, false, createStream(), ten[0]), messages(1, false, ten[0])),
				slices.Concat(messages(3, false, ten[1]), frame(func(fr *http2.Framer) {
					fr.WriteRSTStream(3, http2.ErrCodeCancel)
				}), messages(3, false, ten[2]), messages(1, false, ten[1])),
			},
			want: []string{"settings ack", "headers 1, created 1", "headers 3, created 3, ack 3 0, ack 1 0", "ack 1 1"},
		},
		{
			name: "no window: the newest acknowledgement leaves when there is one",
			reads: [][]byte{
				hello(noWindow), open, messages(1, false, ten[:4]...), messages(1, true, ten[4:]...), ping,
				windowUpdate(1, 10), windowUpdate(1, 3), windowUpdate(1, 20),
			},
			want: []string{"settings ack", "headers 1", "ping true 07", "created 1", "ack 1 9, trailers 1 0"},
		},
		{
			name: "settings open the windows of streams",
			reads: [][]byte{
				hello(noWindow), open, messages(1, false, ten...),
				frame(func(fr *http2.Framer) {
					fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
				}),
			},
			want: []string{"settings ack", "headers 1", "settings ack, created 1, ack 1 9"},
		},
		{
			name:  "an unknown method, and DATA for it",
			reads: [][]byte{hello(), request(1, "/x.Y/Z"), messages(1, true, ten[0])},
			want:  []string{"settings ack", "trailers 1 12, reset 1 NO_ERROR"},
		},
		{
			name: "a client that goes away, sets priorities and knows more than we do",
			reads: [][]byte{hello(), open, frame(func(fr *http2.Framer) {
				fr.WriteGoAway(0, http2.ErrCodeNo, nil)
				fr.WritePriority(1, http2.PriorityParam{StreamDep: 3})
				fr.WriteRawFrame(200, 0, 0, []byte("new"))
				fr.WriteSettingsAck()
				fr.WritePing(true, [8]byte{})
			}), messages(1, true, ten...)},
			want: []string{"settings ack", "headers 1, created 1", "ack 1 9, trailers 1 0"},
		},
		{
			name: "padding",
			reads: [][]byte{hello(), open, frame(func(fr *http2.Framer) {
				fr.WriteDataPadded(1, true, append([]byte{0, 0, 0, 0, byte(len(ten[0]))}, ten[0]...), make([]byte, 99))
			})},
			want: []string{"settings ack", "headers 1, created 1", "ack 1 0, trailers 1 0"},
		},
		{
			name:  "the end within a message",
			reads: [][]byte{hello(), open, frame(func(fr *http2.Framer) { fr.WriteData(1, true, []byte{0, 0, 0, 0, 2, 1}) })},
			want:  []string{"settings ack", "headers 1, created 1", "trailers 1 3, reset 1 NO_ERROR"},
			fault: "stream 1, message 1: the stream ends within a message",
		},
		{
			name:  "a compressed message",
			reads: [][]byte{hello(), open, frame(func(fr *http2.Framer) { fr.WriteData(1, false, []byte{1, 0, 0, 0, 2}) })},
			want:  []string{"settings ack", "headers 1, created 1", "trailers 1 3, reset 1 NO_ERROR"},
			fault: "the message is compressed",
		},
		{
			name:  "a message without measure",
			reads: [][]byte{hello(), open, frame(func(fr *http2.Framer) { fr.WriteData(1, false, []byte{0, 9, 0, 0, 0}) })},
			want:  []string{"settings ack", "headers 1, created 1", "trailers 1 3, reset 1 NO_ERROR"},
			fault: "the message has 150994944 bytes",
		},
		{
			name:  "DATA of a stream that there is not",
			reads: [][]byte{hello(), messages(3, false, ten[0])},
			want:  []string{"settings ack", "goaway PROTOCOL_ERROR"},
			fault: "stream 3, which was not opened",
		},
		{
			name:  "DATA after the end",
			reads: [][]byte{hello(noWindow), open, messages(1, true, ten[0]), messages(1, false, ten[1])},
			want:  []string{"settings ack", "headers 1", "goaway STREAM_CLOSED"},
			fault: "DATA after the end of stream 1",
		},
		{
			name:  "DATA within headers",
			reads: [][]byte{hello(), slices.Concat(open, request(3, wire.Method)[:headerSize+1], messages(1, false, ten[0]))},
			want:  []string{"settings ack", "headers 1, created 1", "goaway PROTOCOL_ERROR"},
			fault: "DATA within a header block",
		},
		{
			name:  "headers in the middle of a stream",
			reads: [][]byte{hello(), open, request(1, wire.Method)},
			want:  []string{"settings ack", "headers 1, created 1", "goaway PROTOCOL_ERROR"},
			fault: "headers in the middle of stream 1",
		},
		{
			name: "headers that are none",
			reads: [][]byte{hello(), frame(func(fr *http2.Framer) {
				fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff}, EndHeaders: true})
			})},
			want:  []string{"settings ack", "goaway COMPRESSION_ERROR"},
			fault: "headers: ",
		},
		{
			name:  "a window beyond its limit",
			reads: [][]byte{hello(), windowUpdate(0, maxWindow)},
			want:  []string{"settings ack", "goaway FLOW_CONTROL_ERROR"},
			fault: "raises the connection's window",
		},
		{
			name:  "a stream's window beyond its limit",
			reads: [][]byte{hello(), open, windowUpdate(1, maxWindow)},
			want:  []string{"settings ack", "headers 1, created 1", "goaway FLOW_CONTROL_ERROR"},
			fault: "raises the window of stream 1",
		},
		{
			name:  "settings out of range",
			reads: [][]byte{hello(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31})},
			want:  []string{"goaway FLOW_CONTROL_ERROR"},
			fault: "FLOW_CONTROL_ERROR",
		},
		{
			name:  "a push promise",
			reads: [][]byte{hello(), frame(func(fr *http2.Framer) { fr.WriteRawFrame(http2.FramePushPromise, 4, 1, []byte{0, 0, 0, 2}) })},
			want:  []string{"settings ack", "goaway PROTOCOL_ERROR"},
			fault: "PUSH_PROMISE",
		},
		{
			name:  "a window update of nothing",
			reads: [][]byte{hello(), open, []byte("\x00\x00\x04\x08\x00\x00\x00\x00\x01\x00\x00\x00\x00")},
			want:  []string{"settings ack", "headers 1, created 1", "goaway PROTOCOL_ERROR"},
			fault: "PROTOCOL_ERROR",
		},
		{
			name:  "another protocol",
			reads: [][]byte{[]byte("GET / HTTP/1.1\r\n\r\n")},
			want:  []string{"goaway PROTOCOL_ERROR"},
			fault: `the connection begins with "GET / HTTP/1.1`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := new(Sink)
			if got := play(t, s, test.reads...); !slices.Equal(got, test.want) {
				t.Errorf("the sink wrote\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(test.want, "\n\t"))
			}
			switch err := s.Err(); {
			case test.fault == "":
				faultless(t, s)
			case err == nil || !strings.Contains(err.Error(), test.fault):
				t.Errorf("the fault is %v; want %q", err, test.fault)
			}
		})
	}
}

// pathOnly is a header block with a path.
func pathOnly(path string) []byte {
	b := []byte{0x04, byte(len(path))} // a literal that is not indexed; its name is entry 4 of the static table
	return append(b, path...)
}

func TestReceiveWindowsAreGivenBack(t *testing.T) {
	// A client that sends as much as it may, and not a byte more, over both windows several times.
	const total = 3 * connWindow
	payload := make([]byte, maxFrame-1-prefixSize-100)
	msg := append([]byte{0, byte(len(payload) >> 24), byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload))}, payload...)
	one := frame(func(fr *http2.Framer) { fr.WriteDataPadded(1, false, msg, make([]byte, 100)) })
	open := slices.Concat(request(1, wire.Method), messages(1, false, createStream()))
	reads := [][]byte{hello(), slices.Concat(open, windowUpdate(0, 1<<20), windowUpdate(1, 1<<20))}
	first := int64(len(messages(1, false, createStream())) - headerSize)
	frames := total / maxFrame
	for range frames {
		reads = append(reads, one)
	}
	s := new(Sink)
	var stream, connection, highest int64
	for _, line := range play(t, s, reads...) {
		for _, said := range strings.Split(line, ", ") {
			var id, n int64
			if _, err := fmt.Sscanf(said, "window %d +%d", &id, &n); err == nil && id == 0 {
				connection += n
			} else if err == nil {
				stream += n
			} else if _, err := fmt.Sscanf(said, "ack 1 %d", &n); err == nil {
				highest = n
				taken := first + (n+1)*maxFrame
				if taken-stream > giveBack+maxFrame || taken-connection > giveBack+maxFrame {
					t.Fatalf("%d bytes are taken; %d and %d are given back", taken, stream, connection)
				}
				if stream > taken || connection > taken {
					t.Fatalf("%d bytes are taken; %d and %d are given back, which is more", taken, stream, connection)
				}
			}
		}
	}
	if highest != int64(frames)-1 {
		t.Errorf("acknowledged up to %d; want %d", highest, frames-1)
	}
	if got, want := s.Stats().Bytes, int64(frames*len(payload)); got != want {
		t.Errorf("%d bytes are counted; want %d", got, want)
	}
	faultless(t, s)
}

func TestTheConnectionsSendWindowIsRespected(t *testing.T) {
	// The stream's window is as wide as can be, the connection's stays at its 65535 bytes.
	reads := [][]byte{
		hello(http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow}),
		slices.Concat(request(1, wire.Method), messages(1, false, createStream())),
	}
	const sent = 10_000
	for i := range int64(sent) {
		reads = append(reads, messages(1, false, single(i, 1)))
	}
	size := func(ack int64) int {
		return prefixSize + len(wire.AppendResponse(nil, wire.Response{Kind: wire.ResponseAck, AckUpTo: ack, HasAck: true}))
	}
	s := new(Sink)
	used := prefixSize + len(wire.AppendResponse(nil, wire.Response{Kind: wire.ResponseCreated, StreamID: streamID}))
	last := int64(-1)
	count := func(lines []string) {
		for _, line := range lines {
			var n int64
			if _, err := fmt.Sscanf(line, "ack 1 %d", &n); err == nil {
				used, last = used+size(n), n
			}
		}
	}
	count(play(t, s, reads...))
	if used > firstWindow || used+size(last+1) <= firstWindow {
		t.Errorf("%d bytes of a window of %d are used, up to acknowledgement %d", used, firstWindow, last)
	}
	lines := play(t, s, append(reads, windowUpdate(0, 100))...)
	if got, want := lines[len(lines)-1], fmt.Sprintf("ack 1 %d", sent-1); got != want {
		t.Errorf("with a window the sink wrote %q; want %q", got, want)
	}
	faultless(t, s)
}

func TestStreamsAreBounded(t *testing.T) {
	reads := [][]byte{hello()}
	for i := range uint32(maxStreams + 1) {
		reads = append(reads, request(2*i+1, wire.Method))
	}
	lines := play(t, new(Sink), reads...)
	if got, want := lines[len(lines)-1], fmt.Sprintf("reset %d REFUSED_STREAM", 2*maxStreams+1); got != want {
		t.Errorf("the last stream was answered by %q; want %q", got, want)
	}
}

func FuzzConnection(f *testing.F) {
	f.Add(slices.Concat(request(1, wire.Method), messages(1, false, createStream(), single(0, 5)), windowUpdate(0, 5)), uint16(7), false)
	f.Add(slices.Concat(request(1, wire.Method), messages(1, true, createStream(), batch(0, 3, 5))), uint16(1), true)
	f.Add(slices.Concat(request(1, "/"), messages(1, true), hello()[len(http2.ClientPreface):]), uint16(3), true)
	f.Fuzz(func(t *testing.T, b []byte, piece uint16, check bool) {
		reads := [][]byte{hello()}
		for piece := range slices.Chunk(b, int(piece)+1) {
			reads = append(reads, bytes.Clone(piece))
		}
		s := &Sink{cfg: Config{Check: check}}
		play(t, s, reads...) // fails if it writes what is no frame
		if got := s.Stats(); got.Messages < 0 || got.Bytes < 0 || got.Bytes > int64(len(b)) || got.Records < 0 {
			t.Errorf("counted %+v in %d bytes", got, len(b))
		}
	})
}
