package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// attacks are all of them, from the connection to the record.
var attacks = slices.Concat(http2Attacks, slowAttacks, grpcAttacks, protocolAttacks, descriptorAttacks, recordAttacks, producerAttacks,
	tokenAttacks, webAttacks, sqlAttacks, placeAttacks, streamAttacks, loginAttacks)

// rawFrame is an HTTP/2 frame as it goes over the wire, right or wrong.
func rawFrame(length int, kind, flags byte, stream uint32, payload []byte) string {
	b := []byte{byte(length >> 16), byte(length >> 8), byte(length), kind, flags}
	return string(append(binary.BigEndian.AppendUint32(b, stream), payload...))
}

const (
	broken = `goaway (PROTOCOL_ERROR|FRAME_SIZE_ERROR|COMPRESSION_ERROR|FLOW_CONTROL_ERROR|ENHANCE_YOUR_CALM|NO_ERROR)|closed`
	begun  = http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
)

var http2Attacks = []attack{
	{name: "http2: preface garbage", run: func(t *trial) {
		random := make([]byte, 4096)
		for i := range random {
			random[i] = byte(rand.Uint32())
		}
		for what, text := range map[string]string{
			"HTTP/1.1": "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "half a preface, then else": http2.ClientPreface[:12] + strings.Repeat("x", 24),
			"TLS hello on plaintext": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 512), "zeros": strings.Repeat("\x00", 1<<16),
			"random bytes": string(random), "preface twice": http2.ClientPreface + http2.ClientPreface, "first frame is no SETTINGS": http2.ClientPreface + rawFrame(8, 6, 0, 0, make([]byte, 8)),
			"SSH": "SSH-2.0-OpenSSH_9.9\r\n" + strings.Repeat("\x00", 64),
		} {
			nc := t.dial(t.server.grpc)
			if nc == nil {
				return
			}
			_ = nc.SetDeadline(time.Now().Add(answerTime))
			_, _ = io.WriteString(nc, text) // the server may have had enough
			_, err := io.Copy(io.Discard, nc)
			t.refuse(what, ended(err), "closed")
			nc.Close()
		}
	}},
	{name: "http2: broken frames", run: func(t *trial) {
		for what, text := range map[string]string{
			"a frame of 16 MiB":               rawFrame(1<<24-1, 0, 0, 1, make([]byte, 1<<16)),
			"SETTINGS of 5 bytes":             rawFrame(5, 4, 0, 0, make([]byte, 5)),
			"SETTINGS on a stream":            rawFrame(0, 4, 0, 1, nil),
			"window of 2^31":                  rawFrame(6, 4, 0, 0, []byte{0, 4, 0x80, 0, 0, 0}),
			"frame size of 1":                 rawFrame(6, 4, 0, 0, []byte{0, 5, 0, 0, 0, 1}),
			"PING of 7 bytes":                 rawFrame(7, 6, 0, 0, make([]byte, 7)),
			"PING on a stream":                rawFrame(8, 6, 0, 3, make([]byte, 8)),
			"HEADERS on stream 0":             rawFrame(1, 1, 4, 0, []byte{0x82}),
			"HEADERS on an even stream":       rawFrame(1, 1, 4, 2, []byte{0x82}),
			"CONTINUATION without HEADERS":    rawFrame(1, 9, 4, 1, []byte{0x82}),
			"DATA amid a header block":        rawFrame(1, 1, 0, 1, []byte{0x82}) + rawFrame(1, 0, 0, 1, []byte{0}),
			"HPACK index out of the table":    rawFrame(2, 1, 4, 1, []byte{0xff, 0x7f}),
			"HPACK integer without end":       rawFrame(12, 1, 4, 1, bytes.Repeat([]byte{0xff}, 12)),
			"HPACK Huffman garbage":           rawFrame(6, 1, 4, 1, []byte{0x40, 0x84, 0xff, 0xff, 0xff, 0xff}),
			"HPACK table of 4 GiB":            rawFrame(6, 1, 4, 1, []byte{0x3f, 0xe1, 0xff, 0xff, 0xff, 0x0f}),
			"padding longer than the frame":   rawFrame(2, 1, 0xc, 1, []byte{0xff, 0x82}),
			"WINDOW_UPDATE of 3 bytes":        rawFrame(3, 8, 0, 0, make([]byte, 3)),
			"WINDOW_UPDATE of 0":              rawFrame(4, 8, 0, 0, make([]byte, 4)),
			"connection window beyond 2^31":   rawFrame(4, 8, 0, 0, []byte{0x7f, 0xff, 0xff, 0xff}),
			"RST_STREAM on an idle stream":    rawFrame(4, 3, 0, 9, make([]byte, 4)),
			"RST_STREAM on stream 0":          rawFrame(4, 3, 0, 0, make([]byte, 4)),
			"PRIORITY of a stream on itself":  rawFrame(5, 2, 0, 1, []byte{0, 0, 0, 1, 1}),
			"PUSH_PROMISE from a client":      rawFrame(5, 5, 4, 1, []byte{0, 0, 0, 2, 0x82}),
			"GOAWAY of 3 bytes":               rawFrame(3, 7, 0, 0, make([]byte, 3)),
			"DATA on an idle stream":          rawFrame(1, 0, 0, 7, []byte{0}),
			"unknown frames, then the end":    strings.Repeat(rawFrame(4, 0xbb, 0xff, 99, make([]byte, 4)), 1000),
			"half a frame, then the end":      rawFrame(100, 0, 0, 1, make([]byte, 10)),
			"stream numbers that go backward": rawFrame(1, 1, 5, 9, []byte{0x82}) + rawFrame(1, 1, 5, 3, []byte{0x82}),
		} {
			nc := t.dial(t.server.grpc)
			if nc == nil {
				return
			}
			_ = nc.SetDeadline(time.Now().Add(answerTime))
			_, _ = io.WriteString(nc, begun+text) // the server may have had enough
			// Some of these may be passed over, by the letter of RFC 9113 or by custom: the end of the connection is ours then.
			halfClose(nc)
			_, err := io.Copy(io.Discard, nc)
			t.refuse(what, ended(err), "closed")
			nc.Close()
		}
	}},
	{name: "http2: floods of settings and pings", run: func(t *trial) {
		n := t.size(100_000)
		for what, f := range map[string]string{
			"SETTINGS": rawFrame(6, 4, 0, 0, []byte{0, 3, 0, 0, 0, 100}), "SETTINGS acks": rawFrame(0, 4, 1, 0, nil),
			"PING": rawFrame(8, 6, 0, 0, make([]byte, 8)), "PING acks": rawFrame(8, 6, 1, 0, make([]byte, 8)),
			"PRIORITY": rawFrame(5, 2, 0, 1, []byte{0, 0, 0, 0, 1}), "WINDOW_UPDATE": rawFrame(4, 8, 0, 0, []byte{0, 0, 0, 1}),
			"empty DATA": rawFrame(0, 0, 0, 1, nil),
		} {
			t.flood(what, f, n)
		}
	}},
	{name: "http2: pings without reading", run: func(t *trial) {
		// The answers pile up in the server unless it stops reading. The socket's buffers take some of them.
		nc := t.dial(t.server.grpc)
		if nc == nil {
			return
		}
		one := strings.Repeat(rawFrame(8, 6, 0, 0, make([]byte, 8)), 1000)
		_, _ = io.WriteString(nc, begun)
		for range t.size(1000) {
			_ = nc.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := io.WriteString(nc, one); err != nil {
				break
			}
			t.sent(1000)
		}
		nc.Close()
	}},
	{name: "http2: rapid reset", run: func(t *trial) {
		// CVE-2023-44487: streams that are opened and cancelled at once cost the server work and nothing to the client.
		for _, token := range []string{"", t.token} {
			p := t.peer()
			if p == nil {
				return
			}
			n := t.size(20_000)
			for i := range n {
				c, err := p.open(false, grpcHeaders(token, targetTable)...)
				if err == nil {
					err = c.cancel(http2.ErrCodeCancel)
				}
				if err != nil {
					break // the server may have had enough
				}
				if c.forget(); i%1000 == 0 {
					t.sent(1000)
				}
			}
			p.close()
		}
	}},
	{name: "http2: CONTINUATION flood", run: func(t *trial) {
		// CVE-2023-45288: a header block without an end.
		p := t.peer()
		if p == nil {
			return
		}
		block := p.block(strings.Fields(strings.Repeat("x-pad "+strings.Repeat("a", 100)+" ", 100))...)
		err := p.write(func() error {
			return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(grpcHeaders("", "")...)})
		})
		n := 0
		for ; err == nil && n < t.size(5000); n++ {
			err = p.write(func() error { return p.fr.WriteContinuation(1, false, block) })
		}
		t.sent(n)
		ctx, cancel := t.soon()
		defer cancel()
		t.refuse("header block without end", p.end(ctx), broken)
	}},
	{name: "http2: header bombs", run: func(t *trial) {
		ctx, cancel := t.soon()
		defer cancel()
		const refusal = broken + `|rst|grpc (ResourceExhausted|Internal|Unauthenticated)|http 4..`
		for what, fields := range map[string][]string{
			"one header of 60 KB":  {"x-pad", strings.Repeat("a", 60<<10)},
			"one header of 1 MiB":  {"x-pad", strings.Repeat("a", 1<<20)},
			"one name of 100 KiB":  {strings.Repeat("x", 100<<10), "a"},
			"10,000 headers":       strings.Fields(strings.Repeat("x-pad a ", 10_000)),
			"200 cookies of 8 KiB": strings.Fields(strings.Repeat("cookie "+strings.Repeat("c", 8<<10)+" ", 200)),
		} {
			p := t.peer()
			if p == nil {
				return
			}
			c, err := p.open(true, grpcHeaders("", targetTable, fields...)...)
			if err != nil {
				t.refuse(what, "closed", refusal)
				continue
			}
			t.refuse(what, c.outcome(ctx), refusal)
			p.close()
		}
		// One header in the dynamic table, named many times by one byte each: 4 KiB become 60 MiB for a decoder that does not count.
		p := t.peer()
		if p == nil {
			return
		}
		block := append(p.block(grpcHeaders("", targetTable, "x-bomb", strings.Repeat("b", 3900))...), bytes.Repeat([]byte{0xbe}, 15_000)...)
		_ = p.write(func() error { // the server may have had enough
			return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:min(len(block), maxFrame)], EndHeaders: true, EndStream: true})
		})
		t.refuse("HPACK bomb", p.anything(ctx), refusal)
	}},
	{name: "http2: odd headers", run: func(t *trial) {
		ctx, cancel := t.soon()
		defer cancel()
		const refusal = broken + `|rst|grpc (Unauthenticated|Unimplemented|Internal|InvalidArgument|Unknown)|http 4..`
		for what, fields := range map[string][]string{
			"no :path":                 {":method", "POST", ":scheme", "http", ":authority", "x", "content-type", "application/grpc"},
			"no :method":               {":path", method, ":scheme", "http", ":authority", "x", "content-type", "application/grpc"},
			"two :path":                grpcHeaders(t.token, targetTable, ":path", "/x"),
			"an unknown pseudo header": grpcHeaders(t.token, targetTable, ":evil", "x"),
			"upper case":               grpcHeaders(t.token, targetTable, "X-Evil", "x"),
			"connection":               grpcHeaders(t.token, targetTable, "connection", "close"),
			"two hosts":                grpcHeaders("", targetTable, "host", "a", "host", "b"),
			"NUL in a value":           grpcHeaders(t.token, targetTable, "x-evil", "a\x00b"),
			"line break in a value":    grpcHeaders(t.token, targetTable, "x-evil", "a\r\nauthorization: b"),
			"GET":                      {":method", "GET", ":scheme", "http", ":path", method, ":authority", "x", "content-type", "application/grpc"},
			"bad -bin":                 grpcHeaders(t.token, targetTable, "evil-bin", "%%%"),
			"bad grpc-timeout":         grpcHeaders(t.token, targetTable, "grpc-timeout", "99999999999999H"),
			"negative grpc-timeout":    grpcHeaders(t.token, targetTable, "grpc-timeout", "-1S"),
		} {
			p := t.peer()
			if p == nil {
				return
			}
			c, err := p.open(true, fields...)
			if err != nil {
				t.refuse(what, "closed", refusal)
				continue
			}
			t.refuse(what, c.outcome(ctx), refusal)
			p.close()
		}
	}},
	{name: "http2: window games", run: func(t *trial) {
		ctx, cancel := t.soon()
		defer cancel()
		// A window of 0: the server can send nothing at all on the stream, and must not wait for ever with what it has.
		p := t.peer(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		c := t.call(p, t.token, targetTable)
		if c == nil {
			return
		}
		for i := range t.size(2000) {
			m := createJSON(targetTable)
			if i > 0 {
				m = one(int64(i-1), good(i))
			}
			if c.message(ctx, m) != nil {
				break
			}
			t.sent(1)
		}
		if !p.ping(ctx) {
			t.fault("a connection whose stream has no window answers no ping")
		}
		// A change of the window below zero and up again, many times.
		for range t.size(1000) {
			for _, size := range []uint32{0, 1<<31 - 1} {
				if err := p.write(func() error { return p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: size}) }); err != nil {
					break
				}
			}
		}
		t.sent(t.size(2000))
		p.close()
		// More window than there can be.
		p = t.peer()
		if c = t.stream(p, targetTable); c == nil {
			return
		}
		_ = p.write(func() error { return p.fr.WriteWindowUpdate(c.id, 1<<31-1) }) // the answer tells
		// RFC 9113 wants a reset. gRPC passes over it, which harms nobody else.
		t.refuse("a stream's window beyond 2^31", c.outcomeWithin(t, time.Second), `rst FLOW_CONTROL_ERROR|`+broken+`|nothing`)
		p.close()
		// More data than the server's window allows.
		p = t.peer()
		if c = t.call(p, t.token, targetTable); c == nil {
			return
		}
		junk := make([]byte, maxFrame)
		_ = p.write(func() error { return p.fr.WriteData(c.id, false, frame(0, nil)[:4]) })
		for range 200 {
			if p.write(func() error { return p.fr.WriteData(c.id, false, junk) }) != nil {
				break
			}
		}
		t.refuse("3 MiB against the window", c.outcome(ctx), broken+`|rst|grpc`)
	}},
	{name: "http2: acknowledgements are not read", run: func(t *trial) {
		// The client takes no byte from the socket: buffers fill, then the server must hold what it has to say, not the log.
		ctx, cancel := context.WithTimeout(t.ctx, 10*time.Second)
		defer cancel()
		nc := t.dial(t.server.grpc)
		if nc == nil {
			return
		}
		slow := &pausable{Conn: nc}
		p, err := newPeer(ctx, slow)
		if err != nil {
			t.fault("%v", err)
			return
		}
		var calls []*call
		for range t.size(100) {
			if c := t.stream(p, targetTable); c != nil {
				calls = append(calls, c)
			}
		}
		slow.pause()
		for i := range int64(t.size(20)) {
			for _, c := range calls {
				small, cancel := context.WithTimeout(ctx, time.Second)
				if c.message(small, one(i, good(int(i)))) == nil {
					t.sent(1)
				}
				cancel()
			}
		}
		slow.resume()
		p.close()
	}},
	{name: "http2: frames of other streams", run: func(t *trial) {
		ctx, cancel := t.soon()
		defer cancel()
		p := t.peer()
		c := t.stream(p, targetTable)
		if c == nil {
			return
		}
		// Data of a stream that is over, and a second header block, must not end the connection's other streams.
		over := t.stream(p, targetTable)
		if over == nil {
			return
		}
		t.take("half-close", t.ends(over, true), "grpc OK")
		_ = p.write(func() error { return p.fr.WriteData(over.id, false, frame(0, one(0, bad(0)))) })
		_ = p.write(func() error { return p.fr.WriteRSTStream(over.id, http2.ErrCodeCancel) })
		t.sent(2)
		if err := c.message(ctx, one(0, good(0))); err != nil || !p.wait(ctx, func() bool { return len(c.messages) > 1 }) {
			t.fault("a stream beside one with data after its end is not acknowledged: %v, %s", err, c.outcome(ctx))
		}
		_ = p.write(func() error {
			return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: c.id, BlockFragment: p.block("x-late", "x"), EndHeaders: true})
		})
		t.refuse("a second header block without the end", c.outcomeWithin(t, time.Second), `rst|grpc|nothing|`+broken)
	}},
}

// size is n, or a part of it for -quick.
func (t *trial) size(n int) int {
	if t.cfg.quick {
		return max(n/20, 3)
	}
	return n
}

// ended says how a connection ended, by the error of a read up to its end.
func ended(err error) string {
	if err != nil && strings.Contains(err.Error(), "i/o timeout") {
		return "nothing"
	}
	return "closed"
}

// flood sends one frame over and over. The server must live, and read or close; what it answers is thrown away.
func (t *trial) flood(what, f string, n int) {
	nc := t.dial(t.server.grpc)
	if nc == nil {
		return
	}
	defer nc.Close()
	go func() { _, _ = io.Copy(io.Discard, nc) }() // ends with the connection
	if _, err := io.WriteString(nc, begun); err != nil {
		t.fault("%s: %v", what, err)
		return
	}
	const at = 1000
	many := strings.Repeat(f, at)
	for sent := 0; sent < n; sent += at {
		_ = nc.SetWriteDeadline(time.Now().Add(answerTime))
		if _, err := io.WriteString(nc, many); err != nil {
			if strings.Contains(err.Error(), "timeout") {
				t.fault("%s: the server reads nothing more and does not close", what)
			}
			return
		}
		t.sent(at)
	}
}

// outcomeWithin is outcome with a shorter wait.
func (c *call) outcomeWithin(t *trial, d time.Duration) string {
	ctx, cancel := context.WithTimeout(t.ctx, d)
	defer cancel()
	return c.outcome(ctx)
}

// anything waits for any answer to a stream that the peer does not know, or the end.
func (p *peer) anything(ctx context.Context) string {
	p.mu.Lock()
	c := &call{p: p, id: 1}
	p.calls[1] = c
	p.mu.Unlock()
	return c.outcome(ctx)
}

// pausable is a connection of which nothing is read for a while.
type pausable struct {
	net.Conn
	mu sync.Mutex // held while it is paused, and by each read
}

func (p *pausable) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	p.mu.Lock() // what was read already is kept back
	defer p.mu.Unlock()
	return n, err
}

func (p *pausable) pause()  { p.mu.Lock() }
func (p *pausable) resume() { p.mu.Unlock() }

// halfClose says that nothing more comes.
func halfClose(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // the read tells
	}
}
