package zerobus_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

const table = "main.default.air_quality"

// world is a server and an SDK in a bubble of their own, with a clock of their own.
type world struct {
	*testing.T
	srv *zerobustest.Server
	sdk *zerobus.SDK
	log *logBuffer

	dialing chan struct{} // capacity 1: somebody dials
}

// inBubble runs f with a server and an SDK. Whatever f leaves running fails the test, since the bubble waits for it.
func inBubble(t *testing.T, f func(w *world), opts ...zerobustest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, srv: zerobustest.New(append(opts, zerobustest.InMemory())...), log: &logBuffer{}, dialing: make(chan struct{}, 1)}
		defer w.srv.Close()
		w.sdk = w.newSDK()
		defer w.sdk.Close()
		f(w)
	})
}

// dial connects to the server, one at a time: a dial in memory starts a timer that fires at once, and two such timers in
// one bubble at the same time can crash the race detector (seen with go1.26.8).
func (w *world) dial(ctx context.Context, addr string) (net.Conn, error) {
	w.dialing <- struct{}{}
	defer func() { <-w.dialing }()
	return w.srv.Dialer()(ctx, addr)
}

func (w *world) newSDK(opts ...zerobus.Option) *zerobus.SDK {
	w.Helper()
	opts = append([]zerobus.Option{
		zerobus.WithDialer(w.dial),
		zerobus.WithHTTPClient(w.srv.HTTPClient()),
		zerobus.WithLogger(slog.New(slog.NewTextHandler(w.log, nil))),
	}, opts...)
	sdk, err := zerobus.New(w.srv.Endpoint(), w.srv.WorkspaceURL(), opts...)
	if err != nil {
		w.Fatal(err)
	}
	return sdk
}

// auth is credentials that cost no token request.
var auth = zerobus.StaticHeaders{{Name: "authorization", Value: "Bearer t"}}

// one is the options of a stream that sends every record as a message of its own, so that scripts can count.
func one(opts ...zerobus.StreamOption) []zerobus.StreamOption {
	return append([]zerobus.StreamOption{zerobus.WithMaxBatchRecords(1)}, opts...)
}

func (w *world) create(opts ...zerobus.StreamOption) (*zerobus.Stream, error) {
	return w.sdk.CreateStream(w.Context(), zerobus.Table(table), auth, opts...)
}

func (w *world) open(opts ...zerobus.StreamOption) *zerobus.Stream {
	w.Helper()
	s, err := w.create(opts...)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// rec is the i-th record of a test.
func rec(i int) zerobus.Record { return zerobus.JSONString(fmt.Sprintf(`{"n":%d}`, i)) }

// ingest adds the records n, n+1, … and returns their acks.
func (w *world) ingest(s *zerobus.Stream, n, count int) []zerobus.Ack {
	w.Helper()
	acks := make([]zerobus.Ack, count)
	for i := range acks {
		var err error
		if acks[i], err = s.Ingest(w.Context(), rec(n+i)); err != nil {
			w.Fatalf("record %d: %v", n+i, err)
		}
	}
	return acks
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// wantErr checks the kind of an error, and that its text has all parts.
func wantErr(t testing.TB, err, kind error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one that is %q", kind)
	}
	if kind != nil && !errors.Is(err, kind) {
		t.Errorf("error %q is not %q", err, kind)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

// wantRecords checks records n, n+1, ….
func wantRecords(t testing.TB, what string, got [][]byte, n, count int) {
	t.Helper()
	if len(got) != count {
		t.Fatalf("%s: %d records; want %d", what, len(got), count)
	}
	for i, g := range got {
		if want := rec(n + i).Bytes(); !bytes.Equal(g, want) {
			t.Fatalf("%s: record %d is %s; want %s", what, i, g, want)
		}
	}
}

// unacked returns the bytes of what a stream left.
func (w *world) unacked(s *zerobus.Stream) [][]byte {
	w.Helper()
	recs, err := s.Unacked()
	w.must(err)
	if recs == nil {
		w.Error("Unacked is nil")
	}
	var all [][]byte
	for _, r := range recs {
		all = append(all, r.Bytes())
	}
	return all
}

// took checks how long something took on the bubble's clock.
func (w *world) took(what string, since time.Time, least, most time.Duration) {
	w.Helper()
	if d := time.Since(since); d < least || d > most {
		w.Errorf("%s took %v; want %v to %v", what, d, least, most)
	}
}

func (w *world) conns(want int) []*zerobustest.Connection {
	w.Helper()
	all := w.srv.Connections()
	if len(all) != want {
		w.Fatalf("%d connections; want %d", len(all), want)
	}
	return all
}

func wantState(t testing.TB, s *zerobus.Stream, want zerobus.State) {
	t.Helper()
	if got := s.State(); got != want {
		t.Errorf("state %v; want %v", got, want)
	}
}

// timeout is a context of the bubble's clock.
func (w *world) timeout(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(w.Context(), d)
	w.Cleanup(cancel)
	return ctx
}

// logBuffer is a log that a test may read.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// tlsConfig trusts the server.
func tlsConfig(srv *zerobustest.Server) *tls.Config { return &tls.Config{RootCAs: srv.RootCAs()} }

// wantNoSecret checks that an error does not tell a secret.
func wantNoSecret(t testing.TB, err error, secret string) {
	t.Helper()
	if err != nil && strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), secret) {
		t.Errorf("%v shows the secret", err)
	}
}

// requests counts the requests of connections.
func requests(conns []*zerobustest.Connection) (n int) {
	for _, c := range conns {
		n += len(c.Requests())
	}
	return n
}

// dials counts TCP connections.
type dials struct {
	made, open atomic.Int32
}

// dialer counts what goes through dial.
func (d *dials) dialer(dial func(context.Context, string) (net.Conn, error)) zerobus.Option {
	return zerobus.WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		c, err := dial(ctx, addr)
		if err != nil {
			return nil, err
		}
		d.made.Add(1)
		d.open.Add(1)
		return &dialed{Conn: c, dials: d}, nil
	})
}

// dialed is a connection that is counted until it is closed.
type dialed struct {
	net.Conn
	dials  *dials
	closed sync.Once
}

func (c *dialed) Close() error {
	c.closed.Do(func() { c.dials.open.Add(-1) })
	return c.Conn.Close()
}
