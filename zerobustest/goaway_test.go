package zerobustest

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
)

// wiretap keeps what a client's TCP connections receive.
type wiretap struct {
	mu    sync.Mutex
	conns []*tapped
}

type tapped struct {
	net.Conn
	tap      *wiretap
	received []byte // guarded by tap.mu
}

func (w *wiretap) dialer(next func(context.Context, string) (net.Conn, error)) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := next(ctx, addr)
		if err != nil {
			return nil, err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		t := &tapped{Conn: conn, tap: w}
		w.conns = append(w.conns, t)
		return t, nil
	}
}

func (t *tapped) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.tap.mu.Lock()
	defer t.tap.mu.Unlock()
	t.received = append(t.received, b[:n]...)
	return n, err
}

func (w *wiretap) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.conns)
}

// goAways returns the error codes of the GOAWAY frames on the i-th connection: RFC 9113, sections 4.1 and 6.8.
func (w *wiretap) goAways(i int) (found []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for b := w.conns[i].received; len(b) >= 9; {
		size := 9 + int(b[0])<<16 + int(b[1])<<8 + int(b[2])
		if len(b) < size {
			break
		}
		if b[3] == 7 {
			found = append(found, b[16])
		}
		b = b[size:]
	}
	return found
}

// The client's channel opens its next stream on a new connection, while the first stream goes on.
func TestGoAwayMovesNewStreamsToNewConnections(t *testing.T) {
	test := func(t *testing.T, frames bool, opts ...Option) {
		s := New(opts...)
		defer s.Close()
		tap := &wiretap{}
		first := dialBy(t, s, tap.dialer(s.Dialer())).create().created()
		defer first.close()
		first.record(0, "a")
		first.expectAck(0)

		second := first.another().create().created()
		if n := tap.count(); n != 1 {
			t.Fatalf("%d connections for two streams before GOAWAY", n)
		}
		waitUntilReady(t, first.conn)
		s.GoAway()
		if !first.conn.WaitForStateChange(testContext(t), connectivity.Ready) {
			t.Fatal("the channel has not heard of it")
		}
		third := first.another().create().created()
		if n := tap.count(); n != 2 {
			t.Fatalf("%d connections; want a new one for the third stream", n)
		}
		for i, c := range []*client{second, third, first} {
			offset := int64(0)
			if c == first {
				offset = 1
			}
			c.record(offset, string(rune('b'+i)))
			c.expectAck(offset)
			c.stream.CloseSend()
			c.expectEnd()
		}
		expectRecords(t, s.Records(table), "a", "b", "c", "d")
		if !frames {
			return
		}
		synctest.Wait()
		if got := tap.goAways(0); len(got) == 0 || slices.ContainsFunc(got, func(code byte) bool { return code != 0 }) {
			t.Errorf("GOAWAY frames have the codes %v; want NO_ERROR", got)
		}
		if got := tap.goAways(1); got != nil {
			t.Errorf("GOAWAY on the new connection: %v", got)
		}
		s.mu.Lock()
		if len(s.sockets) != 1 {
			t.Errorf("%d connections are left; the first one ends with its last stream", len(s.sockets))
		}
		s.mu.Unlock()
	}
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, true, InMemory()) })
	})
	t.Run("sockets", func(t *testing.T) { test(t, false) })
	t.Run("TLS", func(t *testing.T) { test(t, false, TLS()) })
}

// waitUntilReady returns once the channel says that it is ready, which may be after its first stream has begun: gRPC
// publishes the connection before the state.
func waitUntilReady(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		if !conn.WaitForStateChange(testContext(t), state) {
			t.Fatalf("the channel is %v; want READY", state)
		}
	}
}

func TestGoAwayInAScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(InMemory())
		defer s.Close()
		s.Script(Accept(AckAll()), Accept(On(0, GoAway(), Ack(0), Wait(time.Second), End())))
		tap := &wiretap{}
		c := dialBy(t, s, tap.dialer(s.Dialer())).create().created()
		defer c.close()
		other := c.another().create().created()
		other.record(0, "a")
		other.expectAck(0)
		synctest.Wait()
		third := c.another().create().created()
		if n := tap.count(); n != 2 {
			t.Errorf("%d connections", n)
		}
		other.expectEnd()
		c.record(0, "b")
		c.expectAck(0)
		third.record(0, "c")
		third.expectAck(0)
	})
}

func TestCloseEndsConnectionsThatAreGoingAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(InMemory())
		s.GoAway() // nobody is there
		c := dial(t, s).create().created()
		s.GoAway()
		s.GoAway()
		synctest.Wait()
		start := time.Now()
		s.Close()
		c.expectStatus(codes.Unavailable, "")
		if d := time.Since(start); d != 0 {
			t.Errorf("Close waited for %v", d)
		}
		c.close()
		s.GoAway()
	})
}

// A connection is served whenever GOAWAY falls: gRPC drops one that its server has accepted but not begun to serve when
// it stops.
func TestGoAwayDropsNoConnectionThatBegins(t *testing.T) {
	for name, opts := range map[string][]Option{"sockets": nil, "TLS": {TLS()}} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, opts...)
			for range 50 {
				var away sync.WaitGroup
				next := s.Dialer()
				c := dialBy(t, s, func(ctx context.Context, addr string) (net.Conn, error) {
					conn, err := next(ctx, addr)
					away.Go(s.GoAway)
					return conn, err
				})
				c.create().created().record(0, "a")
				c.expectAck(0)
				away.Wait()
				c.close()
			}
		})
	}
}

// gRPC waits two minutes for a client to say something.
func TestCloseWaitsForNoSilentClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(InMemory())
		conn, err := s.Dialer()(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		synctest.Wait()
		s.GoAway()
		start := time.Now()
		s.Close()
		if d := time.Since(start); d != 0 {
			t.Errorf("Close waited for %v", d)
		}
	})
}
