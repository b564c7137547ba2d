package sink

import (
	"fmt"
	"slices"
	"testing"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// What one read of the socket costs beside its two system calls: the walk of full DATA frames with messages of one
// size, the counts and the acknowledgement. The bytes are those on the wire.
func BenchmarkWalk(b *testing.B) {
	for _, size := range []int{20, 220, 10_000, 1 << 20} {
		b.Run(fmt.Sprintf("message=%d", size), func(b *testing.B) {
			var data []byte
			for n := 0; n == 0 || len(data)+prefixSize+size <= readSize; n++ {
				data = append(data, 0, byte(size>>24), byte(size>>16), byte(size>>8), byte(size))
				data = append(data, make([]byte, size)...)
			}
			benchmarkWalk(b, data, maxFrame)
		})
	}
}

// A client that sends each message in a DATA frame of its own.
func BenchmarkWalkFrameByFrame(b *testing.B) {
	const size = 220
	msg := append([]byte{0, 0, 0, 0, size}, make([]byte, size)...)
	benchmarkWalk(b, slices.Repeat(msg, readSize/(headerSize+len(msg))), len(msg))
}

// benchmarkWalk walks data, in frames of the given payload, again and again.
func benchmarkWalk(b *testing.B, data []byte, payload int) {
	var in []byte
	for p := range slices.Chunk(data, payload) {
		in = append(in, 0, byte(len(p)>>8), byte(len(p)), 0, 0, 0, 0, 0, 1)
		in = append(in, p...)
	}
	s := new(Sink)
	c := newConn(s, discard{new(script)})
	read := func(in []byte) {
		c.mu.Lock()
		used, err := c.walker.walk(in)
		c.mu.Unlock()
		if err != nil || used != len(in) {
			b.Fatalf("%d of %d bytes are used: %v", used, len(in), err)
		}
		if err := c.settle(); err != nil {
			b.Fatal(err)
		}
		c.window, c.streams[1].window = firstWindow, firstWindow
	}
	read(slices.Concat(hello(), request(1, wire.Method), messages(1, false, createStream())))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for piece := range slices.Chunk(in, readSize) {
			read(piece)
		}
		n++
	}
	if s.Stats().Messages == 0 {
		b.Fatal("no message was found")
	}
	b.ReportMetric(float64(s.Stats().Messages)/b.Elapsed().Seconds(), "msg/s")
}

// discard is a connection that forgets what is written.
type discard struct{ *script }

func (discard) Write(b []byte) (int, error) { return len(b), nil }
