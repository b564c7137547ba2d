package dial

import (
	"context"
	"net"
	"sync"

	"google.golang.org/grpc/credentials"
)

// coalescing is TLS whose records leave together. crypto/tls makes a system call for every record, that is for every
// 16 KiB; gRPC writes half a megabyte at a time. Gathering the records of one such write saves 31 of 32 calls, and
// brings some 10 to 20 % more throughput. It also tells how handshakes end, which nothing above it sees.
type coalescing struct {
	credentials.TransportCredentials
	faults *Faults // of all clones; nil when nobody wants to know
}

func (c coalescing) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	out := &gatherer{Conn: raw}
	conn, info, err := c.TransportCredentials.ClientHandshake(ctx, authority, out)
	c.faults.record(err)
	if err != nil {
		return nil, nil, err
	}
	return &coalescedConn{Conn: conn, out: out}, info, nil
}

func (c coalescing) Clone() credentials.TransportCredentials {
	return coalescing{c.TransportCredentials.Clone(), c.faults}
}

// coalescedConn is the plaintext end: it tells the gatherer where a write begins and ends. Like gRPC's transport, it
// writes from one goroutine at a time.
type coalescedConn struct {
	net.Conn // TLS, over out
	out      *gatherer
}

func (c *coalescedConn) Write(b []byte) (int, error) {
	if len(b) < gatherFrom {
		return c.Conn.Write(b)
	}
	c.out.begin()
	n, err := c.Conn.Write(b)
	if flushErr := c.out.flush(); err == nil && flushErr != nil {
		return 0, flushErr
	}
	return n, err
}

// Close ends a write that is under way, as closing a TLS connection does. Without it, the alert that TLS sends at the
// end would wait for that write.
func (c *coalescedConn) Close() error {
	if c.out.mu.TryLock() {
		c.out.mu.Unlock()
	} else {
		c.out.Conn.Close()
	}
	return c.Conn.Close()
}

// gatherFrom is the size of a write from which TLS may make more than one record of it: it begins a connection with
// records of one packet.
const gatherFrom = 1 << 10

// gathered holds buffers for the records of one write, so that an idle connection keeps none. Records add some 22 bytes
// to 16 KiB.
var gathered = sync.Pool{New: func() any {
	b := make([]byte, 0, writeBuffer+writeBuffer/64)
	return &b
}}

// gatherer is the ciphertext end. TLS may write to it outside of a write of ours, when it answers a key update or
// closes. All writes are made under mu, so records leave in the order in which TLS made them.
type gatherer struct {
	net.Conn

	mu sync.Mutex
	// The following are guarded by mu.
	buf *[]byte // nil when writes go straight through
	err error   // of the first write that failed: what follows it would be out of place
}

func (g *gatherer) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.buf = gathered.Get().(*[]byte)
}

func (g *gatherer) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.buf != nil && g.err == nil {
		*g.buf = append(*g.buf, b...)
		return len(b), nil
	}
	return g.write(b)
}

// flush sends what was gathered, and lets writes through again.
func (g *gatherer) flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	buf := g.buf
	g.buf = nil
	_, err := g.write(*buf)
	if cap(*buf) <= 2*writeBuffer { // larger is not what gRPC writes, and not worth keeping
		*buf = (*buf)[:0]
		gathered.Put(buf)
	}
	return err
}

// write writes to the network, until that fails once.
//
// g.mu is held.
func (g *gatherer) write(b []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.Conn.Write(b)
	g.err = err
	return n, err
}
