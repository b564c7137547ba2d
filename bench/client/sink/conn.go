package sink

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// readSize is what one read of the socket takes at most. A flood costs two system calls and an acknowledgement for
	// each.
	readSize = 256 << 10

	streamWindow = 16 << 20
	connWindow   = 64 << 20 // for a few busy streams, none of which has to wait for another
	giveBack     = 4 << 20  // bytes of a window that are given back together
	firstWindow  = 1<<16 - 1
	maxWindow    = 1<<31 - 1

	// maxStreams bounds what a client makes the sink remember.
	maxStreams = 1024
)

// conn is one connection. Its reader runs serve; with a delay a second goroutine runs release.
//
// Locks: writing, then mu. Only writing is held while the socket is written to.
type conn struct {
	sink *Sink
	raw  net.Conn // closing it ends everything
	in   source   // raw, with a word before it blocks
	net  net.Conn // what is read from and written to: &in, or TLS on it

	start time.Time
	done  chan struct{} // closed when the reader ends
	wake  chan struct{} // one token: there is an offset to delay

	writing sync.Mutex // makes the order of frames that of their writing; guards the following
	spare   []byte

	mu       sync.Mutex // guards the following
	walker   walker
	framer   *http2.Framer // from frameIn, to out
	frameIn  bytes.Reader
	out      []byte
	message  []byte // scratch of send
	hpack    *hpack.Decoder
	block    headerBlock
	streams  map[uint32]*stream
	current  *stream   // the one whose DATA came last: streams without a look-up
	touched  []*stream // whose state changed since the last settle
	newestID uint32    // of all streams that the client has opened
	taken    int       // bytes of the receive window that were not given back
	window   int64     // for what we send
	initial  int64     // window of a new stream
	idle     bool      // release waits for wake
}

func newConn(s *Sink, raw net.Conn) *conn {
	c := &conn{
		sink:    s,
		raw:     raw,
		start:   time.Now(),
		done:    make(chan struct{}),
		wake:    make(chan struct{}, 1),
		hpack:   hpack.NewDecoder(4096, nil),
		streams: make(map[uint32]*stream),
		window:  firstWindow,
		initial: firstWindow,
	}
	c.in = source{Conn: raw, before: c.settle}
	c.net = &c.in
	if s.cfg.TLS != nil {
		c.in.buf = make([]byte, readSize)
		c.net = tls.Server(&c.in, s.cfg.TLS)
	}
	c.walker.to = c
	c.framer = http2.NewFramer(output{c}, &c.frameIn)
	c.framer.SetMaxReadFrameSize(maxFrame)
	c.hpack.SetMaxStringLength(maxString)
	c.hpack.SetEmitFunc(c.block.field)
	return c
}

// output is where the framer writes to. The reader's writes leave with settle, those of release with its flush.
type output struct{ c *conn }

func (o output) Write(b []byte) (int, error) {
	o.c.out = append(o.c.out, b...)
	return len(b), nil
}

// serve is the life of the connection. The caller closes raw.
func (c *conn) serve() {
	var release sync.WaitGroup
	defer release.Wait()
	defer close(c.done)
	if t, ok := c.net.(*tls.Conn); ok {
		if err := handshake(t); err != nil {
			if !left(err) {
				c.sink.fail(fmt.Errorf("client %v: %w", c.raw.RemoteAddr(), err))
			}
			return
		}
	}
	if c.sink.cfg.AckDelay > 0 {
		release.Go(func() {
			pprof.Do(context.Background(), pprof.Labels("zerobus", "sink delay"), func(context.Context) { c.release() })
		})
	}
	c.greet()
	err := c.read()
	c.settle()
	var fault http2.ConnectionError
	if errors.As(err, &fault) {
		c.sink.fail(fmt.Errorf("client %v: %w", c.raw.RemoteAddr(), err))
		c.mu.Lock()
		c.framer.WriteGoAway(c.newestID, http2.ErrCode(fault), []byte(err.Error()))
		c.mu.Unlock()
		c.flush()
	}
	c.raw.Close() // for release, which may be writing
}

func handshake(t *tls.Conn) error {
	if err := t.Handshake(); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	if p := t.ConnectionState().NegotiatedProtocol; p != "h2" {
		return fmt.Errorf("TLS handshake: the client negotiated the protocol %q; it must be h2", p)
	}
	return nil
}

// left reports whether err means no more than that the client, or we, closed the connection.
func left(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}

// greet writes the settings and raises the connection's window. They leave before the first read.
func (c *conn) greet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.framer.WriteSettings(
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow},
		http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: maxStreams},
	)
	c.framer.WriteWindowUpdate(0, connWindow-firstWindow)
}

// read walks what comes until something ends it.
func (c *conn) read() error {
	buf := make([]byte, readSize)
	kept := 0 // of a frame that is not whole
	for {
		n, err := c.net.Read(buf[kept:])
		if n > 0 {
			c.mu.Lock()
			used, err := c.walker.walk(buf[:kept+n])
			c.mu.Unlock()
			if err != nil {
				return err
			}
			kept = copy(buf, buf[used:kept+n])
		}
		if err != nil {
			return err
		}
	}
}

// settle counts what has come, and writes what it leads to: acknowledgements, windows, and the frames that are in out
// already. It is called when everything that was received has been walked.
func (c *conn) settle() error {
	c.mu.Lock()
	var now time.Duration
	if c.sink.cfg.AckDelay > 0 {
		now = time.Since(c.start)
	}
	for _, s := range c.touched {
		s.touched = false
		s.tell(c.sink)
		if s.gone {
			continue
		}
		if newest := s.cursor.newest(); newest > s.seen {
			s.seen = newest
			if c.sink.cfg.AckDelay == 0 {
				s.due = newest
			} else {
				s.line.push(now, newest)
				c.wakeRelease()
			}
		}
		if s.taken >= giveBack && !s.half {
			c.framer.WriteWindowUpdate(s.id, uint32(s.taken))
			s.taken = 0
		}
		c.pump(s)
	}
	clear(c.touched)
	c.touched = c.touched[:0]
	if c.taken >= giveBack {
		c.framer.WriteWindowUpdate(0, uint32(c.taken))
		c.taken = 0
	}
	c.mu.Unlock()
	return c.flush()
}

func (c *conn) wakeRelease() {
	if c.idle {
		c.idle = false
		c.wake <- struct{}{} // has room: idle is set by the one who takes it, after it was taken
	}
}

// flush writes out, in one piece.
func (c *conn) flush() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	b := c.out
	c.out = c.spare[:0]
	c.mu.Unlock()
	c.spare = b
	if len(b) == 0 {
		return nil
	}
	_, err := c.net.Write(b)
	return err
}

// release sends delayed acknowledgements until the reader ends or writing fails.
func (c *conn) release() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		pause, ok := c.expire()
		if c.flush() != nil {
			c.raw.Close() // ends the reader
			return
		}
		var due <-chan time.Time
		if ok {
			timer.Reset(pause)
			due = timer.C
		}
		select {
		case <-due:
		case <-c.wake:
		case <-c.done:
			return
		}
	}
}

// expire writes what is due and returns how long it is until something else is; false when there is nothing, and then
// there is a token in wake as soon as there is.
func (c *conn) expire() (pause time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Since(c.start)
	for _, s := range c.streams {
		at, more := s.line.next()
		if more && at <= now {
			s.due, _ = s.line.pop(now)
			at, more = s.line.next()
			c.pump(s)
		}
		if more && (!ok || at-now < pause) {
			pause, ok = at-now, true
		}
	}
	c.idle = !ok
	return pause, ok
}
