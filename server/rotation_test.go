package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/server"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Streams are rotated and servers shut down under producers that go on. What the gateway does when is tested there, in the
// time of a bubble; here are the real transport, the real client and the real table.

func TestConfig_StreamLifetime(t *testing.T) {
	for d, ok := range map[time.Duration]bool{0: true, -1: true, time.Hour: true, 100 * time.Millisecond: true, time.Millisecond: false} {
		if err := (server.Config{DataDir: t.TempDir(), StreamLifetime: d}).Validate(); (err == nil) != ok {
			t.Errorf("%v: %v", d, err)
		}
	}
}

// restart runs a server over what h has left, once it is stopped.
func restart(h *harness) *harness {
	h.t.Helper()
	srv, err := server.New(h.t.Context(), server.Config{DataDir: h.DataDir(), GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0"})
	if err != nil {
		h.t.Fatal(err)
	}
	next := &harness{Server: srv, t: h.t, served: make(chan error, 1), id: h.id, secret: h.secret}
	go func() { next.served <- srv.Serve() }()
	h.t.Cleanup(next.stop)
	return next
}

// numbered is a record that says its number.
func numbered(i int64) string { return fmt.Sprintf(`{"humidity":%d}`, i) }

// mostNumbers is how many rows h.head shows.
const mostNumbers = 10_000

// numbers counts the rows of the table by their number.
func (h *harness) numbers() map[int64]int {
	h.t.Helper()
	seen := map[int64]int{}
	for _, row := range h.head(airQuality) {
		i, err := strconv.ParseInt(row.([]any)[2].(string), 10, 64)
		if err != nil {
			h.t.Fatal(err)
		}
		seen[i]++
	}
	return seen
}

// witness sees what the SDK does with its connections.
type witness struct {
	mu        sync.Mutex // guards the following
	rotations int
	resent    int // records
}

func (w *witness) OnDisconnect(e zerobus.DisconnectEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Reason == zerobus.ReasonRotated {
		w.rotations++
	}
}

func (w *witness) OnSend(e zerobus.SendEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Resend {
		w.resent += e.Records
	}
}

func (w *witness) saw() (rotations, resent int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rotations, w.resent
}

// A producer notices nothing of rotations: nothing is lost, and nothing is twice in the table but what the SDK has sent twice.
// That is nothing when all acknowledgements come within the grace, and everything here has ten seconds for that.
func TestRotation_ProducersNoticeNothing(t *testing.T) {
	h := start(t, func(c *server.Config) { c.StreamLifetime = 300 * time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w := &witness{}
	stream, err := h.sdk(zerobus.WithHooks(w)).CreateStream(ctx, zerobus.Table(airQuality), h.credentials(), zerobus.WithRecoveryBackoff(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond) // the load, steady
	defer tick.Stop()
	sent := int64(0)
	for rotations := 0; rotations < 4; rotations, _ = w.saw() {
		<-tick.C
		if _, err := stream.Ingest(ctx, zerobus.JSONString(numbered(sent))); err != nil {
			t.Fatal(err)
		}
		if sent++; sent == mostNumbers {
			t.Fatal("the stream is not rotated")
		}
	}
	if err := stream.Close(ctx); err != nil {
		t.Fatal(err)
	}
	rows := 0
	seen := h.numbers()
	for i := range sent {
		if seen[i] == 0 {
			t.Errorf("record %d is lost", i)
		}
		rows += seen[i]
	}
	rotations, resent := w.saw()
	t.Logf("%d records over %d rotations, %d of them sent again", sent, rotations, resent)
	if twice := rows - int(sent); twice > resent {
		t.Errorf("%d rows are there twice, the SDK has resent %d records", twice, resent)
	}
	if len(seen) != int(sent) {
		t.Errorf("the table has %d different records, want %d", len(seen), sent)
	}
}

// A producer whose grant was revoked works until its stream is rotated, and gets to know why it cannot go on.
func TestRotation_EndsRevokedProducers(t *testing.T) {
	h := start(t, func(c *server.Config) { c.StreamLifetime = 300 * time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := h.sdk().CreateStream(ctx, zerobus.Table(airQuality), h.credentials(), zerobus.WithRecoveryBackoff(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	h.sql("REVOKE MODIFY ON TABLE " + airQuality + " FROM `writer`")
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var acks []zerobus.Ack
	for len(acks) < mostNumbers {
		<-tick.C
		var ack zerobus.Ack
		if ack, err = stream.Ingest(ctx, zerobus.JSONString(numbered(int64(len(acks))))); err != nil {
			break
		}
		acks = append(acks, ack)
	}
	if !errors.Is(err, zerobus.ErrAuth) {
		t.Fatalf("after %d records the stream ended with %v", len(acks), err)
	}
	seen := h.numbers()
	for i, ack := range acks {
		if ack.Wait(ctx) == nil && seen[int64(i)] != 1 {
			t.Errorf("record %d was acknowledged and is in the table %d times", i, seen[int64(i)])
		}
	}
}

// A client that ignores the signal and goes on is cut off in the middle. What was acknowledged is in the table, once and in
// one piece with what was before it.
func TestShutdown_UnderAClientThatGoesOn(t *testing.T) {
	h := start(t, func(c *server.Config) { c.CommitInterval = time.Hour })
	r := h.stream(airQuality)
	sent := make(chan int64, 1)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for i := int64(0); ; i++ {
			<-tick.C
			rec := numbered(i)
			b := append(wire.AppendSinglePrefix(nil, i, wire.JSON, len(rec)), rec...)
			if i == mostNumbers || r.SendMsg(&wire.Outgoing{Buffers: mem.BufferSlice{mem.SliceBuffer(b)}}) != nil {
				sent <- i
				return
			}
		}
	}()
	if resp := r.must(); resp.Kind != wire.ResponseAck {
		t.Fatalf("got %+v", resp)
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); h.stop() }()
	acked, err := r.end()
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v", err)
	}
	<-stopped
	n := <-sent

	seen := restart(h).numbers()
	t.Logf("%d records sent, %d acknowledged, %d in the table", n, acked+1, len(seen))
	for i := range int64(len(seen)) {
		if seen[i] != 1 {
			t.Errorf("record %d of %d is in the table %d times", i, len(seen), seen[i])
		}
	}
	if int64(len(seen)) < acked+1 || int64(len(seen)) > n {
		t.Errorf("the table has %d rows; %d records were sent and %d acknowledged", len(seen), n, acked+1)
	}
}

// Without time to commit, what was acknowledged waits in the log for the next start.
func TestShutdown_WithoutTime(t *testing.T) {
	h := start(t, func(c *server.Config) { c.CommitInterval = time.Hour })
	r := h.stream(airQuality)
	const n = 10
	for i := range int64(n) {
		r.record(i, numbered(i))
	}
	for acked := int64(-1); acked < n-1; {
		acked = r.must().AckUpTo
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.stopped = true
	if err := h.Shutdown(ctx); err != nil {
		t.Logf("as it should, Shutdown says: %v", err)
	}
	if err := <-h.served; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("serve: %v", err)
	}
	if _, err := r.end(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v", err)
	}
	if seen := restart(h).numbers(); len(seen) != n {
		t.Errorf("the table has %d rows, %d were acknowledged", len(seen), n)
	}
}

func TestShutdown_RefusesNewStreams(t *testing.T) {
	h := start(t)
	md := metadata.Pairs("authorization", "Bearer "+h.token(airQuality))
	r := h.stream(airQuality)
	stopped := make(chan struct{})
	go func() { defer close(stopped); h.stop() }()
	if resp := r.must(); !resp.HasCloseIn {
		t.Fatalf("got %+v, want a close signal", resp)
	}
	st, err := r.conn.NewStream(metadata.NewOutgoingContext(t.Context(), md), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, wire.Method)
	if err == nil {
		err = st.RecvMsg(new(wire.Incoming))
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("a new stream got %v", err)
	}
	if err := r.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.end(); err != io.EOF {
		t.Errorf("the stream ended with %v", err)
	}
	<-stopped
}

// deafConn is a connection whose owner can stop to read.
type deafConn struct {
	net.Conn
	deaf   <-chan struct{} // closed when it stops
	closed chan struct{}
	once   sync.Once
}

func (c *deafConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	select {
	case <-c.deaf:
		<-c.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (c *deafConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// A client that reads nothing any more, not even what HTTP/2 asks it, takes neither the time of the end nor the commits.
func TestShutdown_UnderAClientThatDoesNotRead(t *testing.T) {
	h := start(t, func(c *server.Config) { c.CommitInterval = time.Hour })
	deaf := make(chan struct{})
	sdk := h.sdk(zerobus.WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		return &deafConn{Conn: conn, deaf: deaf, closed: make(chan struct{})}, err
	}))
	stream, err := sdk.CreateStream(t.Context(), zerobus.Table(airQuality), h.credentials())
	if err != nil {
		t.Fatal(err)
	}
	const n = 10
	for i := range int64(n) {
		if _, err := stream.Ingest(t.Context(), zerobus.JSONString(numbered(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(deaf)
	begun := time.Now()
	h.stop()
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("the shutdown took %v", took)
	}
	if seen := restart(h).numbers(); len(seen) != n {
		t.Errorf("the table has %d rows, %d were acknowledged", len(seen), n)
	}
}

// gRPC waits for connections that are in their handshake, however it is stopped; the server does not.
func TestShutdown_UnderAConnectionThatSaysNothing(t *testing.T) {
	h := start(t, func(c *server.Config) { c.CommitInterval = time.Hour })
	r := h.stream(airQuality)
	r.record(0, numbered(0))
	if resp := r.must(); resp.AckUpTo != 0 {
		t.Fatalf("got %+v", resp)
	}
	// The listener's queue is a queue: when a later connection is served, this one has been accepted.
	silent, err := net.Dial("tcp", strings.TrimPrefix(h.GRPCEndpoint(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	h.stream(airQuality).cancel()
	r.cancel()
	begun := time.Now()
	h.stop()
	if took := time.Since(begun); took > 15*time.Second { // gRPC would wait for 20 s, the harness for a minute
		t.Errorf("the shutdown took %v", took)
	}
	if seen := restart(h).numbers(); len(seen) != 1 {
		t.Errorf("the table has %d rows, 1 was acknowledged", len(seen))
	}
}
