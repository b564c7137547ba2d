package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
)

const (
	maxFrame   = 16 << 10
	frameWrite = 20 * time.Second // what one write may take: a server that reads nothing more is no reason to hang
)

// A peer is one HTTP/2 connection, made by hand, so that everything in it can be wrong.
type peer struct {
	nc net.Conn
	fr *http2.Framer // reads by the reader, writes under wmu

	wmu  sync.Mutex // guards the following
	enc  *hpack.Encoder
	hbuf bytes.Buffer

	mu sync.Mutex // guards the following
	// changed is closed and made anew when something below has changed.
	changed chan struct{}
	calls   map[uint32]*call
	nextID  uint32
	window  int64 // what may be sent on the connection
	initial int64 // what may be sent on a new stream
	frames  int   // that have come
	pongs   int
	goAway  *http2.ErrCode
	said    string // the debug data of goAway
	err     error  // the end of the connection
}

// A call is one stream of it.
type call struct {
	p  *peer
	id uint32

	// p.mu guards the following.
	window   int64
	header   map[string]string
	trailer  map[string]string
	data     []byte // of a message that is not whole yet, or of an answer that is no gRPC
	messages [][]byte
	reset    *http2.ErrCode
	done     bool
}

// newPeer makes a connection and sends the preface and settings.
func newPeer(ctx context.Context, nc net.Conn, settings ...http2.Setting) (*peer, error) {
	p := &peer{
		nc: nc, fr: http2.NewFramer(nc, nc), changed: make(chan struct{}), calls: map[uint32]*call{},
		nextID: 1, window: 65535, initial: 65535,
	}
	p.enc = hpack.NewEncoder(&p.hbuf)
	p.fr.AllowIllegalWrites = true
	p.fr.SetMaxReadFrameSize(1 << 20)
	p.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := p.write(func() error {
		if _, err := io.WriteString(nc, http2.ClientPreface); err != nil {
			return err
		}
		return p.fr.WriteSettings(settings...)
	}); err != nil {
		nc.Close()
		return nil, err
	}
	go p.read() // ends with the connection
	return p, nil
}

func (p *peer) close() { p.nc.Close() }

// write does one thing on the connection, alone.
func (p *peer) write(f func() error) error {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	if err := p.nc.SetWriteDeadline(time.Now().Add(frameWrite)); err != nil {
		return err
	}
	return f()
}

// changeLocked wakes who waits. p.mu is held.
func (p *peer) changeLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *peer) read() {
	for {
		f, err := p.fr.ReadFrame()
		var reply func() error
		p.mu.Lock()
		var broken http2.StreamError
		switch {
		case err == nil:
			reply = p.takeLocked(f)
			p.frames++
		case errors.As(err, &broken):
			err = nil // the others go on
		default:
			p.err = err
		}
		p.changeLocked()
		p.mu.Unlock()
		if err != nil {
			p.nc.Close()
			return
		}
		if reply != nil {
			_ = p.write(reply) // a broken connection is noticed by the next read
		}
	}
}

// takeLocked takes a frame and returns what it must be answered with. p.mu is held.
func (p *peer) takeLocked(f http2.Frame) func() error {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return nil
		}
		if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
			for _, c := range p.calls {
				c.window += int64(v) - p.initial
			}
			p.initial = int64(v)
		}
		return p.fr.WriteSettingsAck
	case *http2.PingFrame:
		if f.IsAck() {
			p.pongs++
			return nil
		}
		data := f.Data
		return func() error { return p.fr.WritePing(true, data) }
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			p.window += int64(f.Increment)
		} else if c := p.calls[f.StreamID]; c != nil {
			c.window += int64(f.Increment)
		}
	case *http2.GoAwayFrame:
		code := f.ErrCode
		p.goAway, p.said = &code, string(f.DebugData())
	case *http2.RSTStreamFrame:
		if c := p.calls[f.StreamID]; c != nil && !c.done {
			code := f.ErrCode
			c.reset, c.done = &code, true
		}
	case *http2.MetaHeadersFrame:
		if c := p.calls[f.StreamID]; c != nil {
			c.headers(f)
		}
	case *http2.DataFrame:
		c, n := p.calls[f.StreamID], uint32(len(f.Data()))
		if c != nil {
			c.data = append(c.data, f.Data()...)
			c.split()
			c.done = c.done || f.StreamEnded()
		}
		if n == 0 {
			return nil
		}
		id, over := f.StreamID, c == nil || c.done
		return func() error {
			if over {
				return p.fr.WriteWindowUpdate(0, n)
			}
			return errors.Join(p.fr.WriteWindowUpdate(0, n), p.fr.WriteWindowUpdate(id, n))
		}
	}
	return nil
}

func (c *call) headers(f *http2.MetaHeadersFrame) {
	fields := make(map[string]string, len(f.Fields))
	for _, h := range f.Fields {
		fields[h.Name] = h.Value
	}
	if c.header == nil {
		c.header = fields
	}
	if f.StreamEnded() {
		c.trailer, c.done = fields, true
	}
}

// split takes whole gRPC messages off the data.
func (c *call) split() {
	for len(c.data) >= 5 && c.data[0] == 0 {
		n := int64(binary.BigEndian.Uint32(c.data[1:]))
		if int64(len(c.data)) < 5+n {
			return
		}
		c.messages = append(c.messages, bytes.Clone(c.data[5:5+n]))
		c.data = bytes.Clone(c.data[5+n:])
	}
}

// block encodes a header list: names and values in turn.
func (p *peer) block(fields ...string) []byte {
	p.hbuf.Reset()
	for i := 0; i+1 < len(fields); i += 2 {
		_ = p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // into memory
	}
	return bytes.Clone(p.hbuf.Bytes())
}

// open begins a stream with these headers. end: it is all of the request.
func (p *peer) open(end bool, fields ...string) (*call, error) {
	var c *call
	return c, p.write(func() error {
		p.mu.Lock()
		c = &call{p: p, id: p.nextID, window: p.initial}
		p.nextID += 2
		p.calls[c.id] = c
		p.mu.Unlock()
		block := p.block(fields...)
		first := block[:min(len(block), maxFrame)]
		rest := block[len(first):]
		err := p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: c.id, BlockFragment: first, EndHeaders: len(rest) == 0, EndStream: end})
		for err == nil && len(rest) > 0 {
			part := rest[:min(len(rest), maxFrame)]
			rest = rest[len(part):]
			err = p.fr.WriteContinuation(c.id, len(rest) == 0, part)
		}
		return err
	})
}

// forget makes room for what is over.
func (c *call) forget() {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	delete(c.p.calls, c.id)
}

// wait waits until ok says so, with p.mu held, or the connection is over. It is false when ctx ends first.
func (p *peer) wait(ctx context.Context, ok func() bool) bool {
	for {
		p.mu.Lock()
		met, over, changed := ok(), p.err != nil, p.changed
		p.mu.Unlock()
		if met || over {
			return met
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// errNoWindow is that the server, which is over for the stream or slow, lets nothing more be sent.
var errNoWindow = errors.New("the server gives no window")

// send sends bytes within the windows that the server gives.
func (c *call) send(ctx context.Context, b []byte, end bool) error {
	for {
		n := 0
		if len(b) > 0 && !c.p.wait(ctx, func() bool {
			if c.done {
				n = -1
				return true
			}
			n = int(min(c.window, c.p.window, maxFrame, int64(len(b))))
			if n > 0 {
				c.window -= int64(n)
				c.p.window -= int64(n)
			}
			return n > 0
		}) {
			return errNoWindow
		}
		if n < 0 {
			return nil // the answer is there
		}
		part := b[:n]
		b = b[n:]
		last := len(b) == 0
		if err := c.p.write(func() error { return c.p.fr.WriteData(c.id, last && end, part) }); err != nil || last {
			return err
		}
	}
}

// message sends one gRPC message.
func (c *call) message(ctx context.Context, m []byte) error {
	return c.send(ctx, frame(0, m), false)
}

// frame is a gRPC message with its prefix.
func frame(flag byte, m []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(m)))
	return append(b, m...)
}

// half closes our side.
func (c *call) half() error {
	return c.p.write(func() error { return c.p.fr.WriteData(c.id, true, nil) })
}

func (c *call) cancel(code http2.ErrCode) error {
	return c.p.write(func() error { return c.p.fr.WriteRSTStream(c.id, code) })
}

// outcome waits for the end of the stream and says what it was:
//
//	grpc INVALID_ARGUMENT text | http 415 | rst CANCEL | goaway PROTOCOL_ERROR text | closed | nothing
//
// Of several things, the one that says most.
func (c *call) outcome(ctx context.Context) string {
	c.p.wait(ctx, func() bool { return c.done })
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if s, ok := c.trailer["grpc-status"]; ok {
		n, _ := strconv.Atoi(s)
		msg, err := url.PathUnescape(c.trailer["grpc-message"])
		if err != nil {
			msg = c.trailer["grpc-message"]
		}
		return fmt.Sprintf("grpc %s %s", codes.Code(n), msg)
	}
	switch {
	case c.header[":status"] != "" && c.header[":status"] != "200":
		return "http " + c.header[":status"] + " " + string(c.data)
	case c.reset != nil:
		return "rst " + c.reset.String()
	}
	return c.p.endLocked()
}

// end waits for the end of the connection.
func (p *peer) end(ctx context.Context) string {
	p.wait(ctx, func() bool { return p.goAway != nil && *p.goAway != http2.ErrCodeNo })
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.endLocked()
}

func (p *peer) endLocked() string {
	switch {
	case p.goAway != nil:
		return "goaway " + p.goAway.String() + " " + p.said
	case p.err != nil:
		return "closed"
	}
	return "nothing"
}

// reply waits for the n-th message of the server, from 0; nil when the stream ends without it.
func (c *call) reply(ctx context.Context, n int) []byte {
	c.p.wait(ctx, func() bool { return len(c.messages) > n || c.done })
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if len(c.messages) > n {
		return c.messages[n]
	}
	return nil
}

// acked is the highest acknowledgement so far, -1 without one.
func (c *call) acked() int64 {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	most := int64(-1)
	for _, m := range c.messages {
		most = max(most, ackOf(m))
	}
	return most
}

// ping waits for the answer to a ping, which says that the connection lives.
func (p *peer) ping(ctx context.Context) bool {
	p.mu.Lock()
	had := p.pongs
	p.mu.Unlock()
	if p.write(func() error { return p.fr.WritePing(false, [8]byte{'h', 'o', 's', 't', 'i', 'l', 'e'}) }) != nil {
		return false
	}
	return p.wait(ctx, func() bool { return p.pongs > had })
}
