package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/server/internal/admission"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/ledger"
	"github.com/zerobus-go/zerobus/server/internal/table"
	"github.com/zerobus-go/zerobus/server/internal/token"
	"github.com/zerobus-go/zerobus/server/internal/wal"
	"go.uber.org/goleak"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tableName = "main.default.t"
	otherName = "main.default.u"
	good      = `{"id":1}`
)

// door is a gateway with real stores behind it and a transport of channels before it, in a bubble: its time is that of
// synctest, and jumps.
type door struct {
	*testing.T
	*Gateway
	log    *holdingLog
	engine *catalog.Engine
	bearer string // of a principal that may write the table
}

// inBubble runs f with a door.
func inBubble(t *testing.T, o Options, f func(d *door)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newDoor(t, o)) })
}

func newDoor(t *testing.T, o Options) *door {
	dir := t.TempDir()
	cat, err := catalog.Open(dir+"/catalog.db", catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	log, err := wal.Open(wal.Options{Dir: dir + "/wal", SegmentBytes: 256 << 10, MaxEntryBytes: 64 << 10, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := token.Open(dir+"/keys.json", token.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := &door{T: t, log: &holdingLog{Log: log}}
	lakeTables := table.NewTables(lake.NewMemory(), "test", time.Now)
	positions, err := ledger.Open(dir + "/ledger.db")
	if err != nil {
		t.Fatal(err)
	}
	tables := table.NewSet(d.log, positions, cat, lakeTables, table.Options{CommitInterval: 1 << 62})
	d.engine = catalog.NewEngine(cat, lakeTables)
	t.Cleanup(func() {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		_ = tables.Close(gone)
		if err := errors.Join(log.Close(), positions.Close(), cat.Close()); err != nil {
			t.Error(err)
		}
	})
	p, _, err := cat.CreatePrincipal("writer")
	if err != nil {
		t.Fatal(err)
	}
	d.sql("CREATE TABLE " + tableName + " (id BIGINT); CREATE TABLE " + otherName + " (id BIGINT)")
	d.sql("GRANT SELECT, MODIFY ON TABLE " + otherName + " TO `writer`")
	d.sql("GRANT USE CATALOG ON CATALOG main TO `writer`; GRANT USE SCHEMA ON SCHEMA main.default TO `writer`; GRANT SELECT, MODIFY ON TABLE " + tableName + " TO `writer`")
	tok, _, err := tokens.Issue(token.Claims{
		PrincipalID: p.ID, PrincipalName: p.Name,
		Grants: []token.Grant{{Privileges: []string{"SELECT", "MODIFY"}, ObjectType: "TABLE", Object: tableName}, {Privileges: []string{"SELECT", "MODIFY"}, ObjectType: "TABLE", Object: otherName}},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.bearer = "Bearer " + tok
	d.Gateway = New(&admission.Gate{Tokens: tokens, Catalog: cat, Tables: tables}, o)
	return d
}

func (d *door) sql(script string) {
	d.Helper()
	if _, err := d.engine.Exec(d.Context(), script); err != nil {
		d.Fatal(err)
	}
}

// rows is how many rows are durable, which means that they are in the table some time. No test here commits: the Parquet
// encoder is shared by the process, which a bubble does not allow.
func (d *door) rows() int64 {
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	return d.log.durable
}

// client is the other end of one stream, and the transport between. Its methods are for one goroutine.
type client struct {
	*door
	ctx     context.Context // of the stream: ends when the handler has returned, as with gRPC, or when the client is gone
	gone    context.CancelFunc
	toGo    chan []byte        // closed by the half-close
	came    chan wire.Response // when it is full, the server waits, as for a client that does not read
	headers chan metadata.MD   // capacity 1
	ended   chan struct{}      // closed when the handler has returned
	status  error              // good after ended
}

// dial begins a stream and sends nothing. The server can send unread responses more than the client has read.
func (d *door) dial(unread int) *client { return d.dialWith(unread, nil) }

// dialWith is dial with more metadata.
func (d *door) dialWith(unread int, md metadata.MD) *client {
	c := &client{door: d, toGo: make(chan []byte), came: make(chan wire.Response, unread), headers: make(chan metadata.MD, 1), ended: make(chan struct{})}
	md = metadata.Join(md, metadata.Pairs("authorization", d.bearer))
	c.ctx, c.gone = context.WithCancel(metadata.NewIncomingContext(context.Background(), md))
	go func() {
		defer close(c.ended)
		defer c.gone()
		c.status = d.serve(transport{c})
	}()
	d.Cleanup(func() {
		c.gone()
		<-c.ended
	})
	return c
}

// open begins a stream of JSON records and shakes hands.
func (d *door) open(unread int) *client {
	d.Helper()
	c := d.dial(unread)
	c.send(wire.AppendCreateStream(nil, wire.CreateStream{Table: tableName, Type: wire.JSON, HasType: true}))
	if r := c.recv(); r.Kind != wire.ResponseCreated {
		d.Fatalf("the first response is %+v", r)
	}
	return c
}

// send is false when the server reads no more.
func (c *client) send(b []byte) bool {
	select {
	case c.toGo <- b:
		return true
	case <-c.ended:
		return false
	}
}

func (c *client) record(offset int64) bool {
	return c.send(append(wire.AppendSinglePrefix(nil, offset, wire.JSON, len(good)), good...))
}

func (c *client) halfClose() { close(c.toGo) }

// next is the next response; false: the stream has ended with c.status.
func (c *client) next() (wire.Response, bool) {
	select {
	case r := <-c.came:
		return r, true
	case <-c.ended:
	}
	select {
	case r := <-c.came:
		return r, true
	default:
		return wire.Response{}, false
	}
}

func (c *client) recv() wire.Response {
	c.Helper()
	r, ok := c.next()
	if !ok {
		c.Fatalf("the stream has ended: %v", c.status)
	}
	return r
}

// acked reads the acknowledgement of offset, which must be the next response.
func (c *client) acked(offset int64) {
	c.Helper()
	if r := c.recv(); r.Kind != wire.ResponseAck || r.AckUpTo != offset {
		c.Fatalf("got %+v, want the acknowledgement of %d", r, offset)
	}
}

// signalled reads the close signal, which must be the next response.
func (c *client) signalled(grace time.Duration) {
	c.Helper()
	if r := c.recv(); r.Kind != wire.ResponseClose || !r.HasCloseIn || r.CloseIn != grace {
		c.Fatalf("got %+v, want a close signal with %v", r, grace)
	}
}

// end reads the rest of the stream: the last acknowledgement, -1 for none, and the status.
func (c *client) end() (acked int64, err error) {
	acked = -1
	for {
		r, ok := c.next()
		if !ok {
			return acked, c.status
		}
		if r.Kind == wire.ResponseAck {
			acked = r.AckUpTo
		}
	}
}

// transport is a client's stream as the gateway sees it. As gRPC's, it is used by two goroutines, and its calls end when the
// handler has returned.
type transport struct{ c *client }

func (t transport) Context() context.Context    { return t.c.ctx }
func (t transport) SetHeader(metadata.MD) error { return nil }
func (t transport) SetTrailer(metadata.MD)      {}

func (t transport) SendHeader(md metadata.MD) error {
	t.c.headers <- md
	return nil
}

func (t transport) SendMsg(m any) error {
	r, err := wire.ParseResponse(m.(*wire.Outgoing).Buffers.Materialize())
	if err != nil {
		return err
	}
	select {
	case t.c.came <- r:
		return nil
	case <-t.c.ctx.Done():
		return status.FromContextError(t.c.ctx.Err()).Err()
	}
}

func (t transport) RecvMsg(m any) error {
	select {
	case b, ok := <-t.c.toGo:
		if !ok {
			return io.EOF
		}
		return wire.Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, m)
	case <-t.c.ctx.Done():
		return status.FromContextError(t.c.ctx.Err()).Err()
	}
}

// holdingLog is a log whose disk can stand still: entries are written, and nobody is told.
type holdingLog struct {
	wal.Log
	mu      sync.Mutex // guards the following
	durable int64      // rows
	holding bool
	held    []func()
	lost    error // what those are told that are held; nil: how it is
}

func (l *holdingLog) Append(ctx context.Context, chain *wal.Chain, id wal.TableID, payload []byte, done func(uint64, error)) error {
	rows := rowsOf(payload)
	return l.Log.Append(ctx, chain, id, payload, func(seq uint64, err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if err == nil {
			l.durable += rows
		}
		if l.holding {
			l.held = append(l.held, func() {
				if l.lost != nil {
					seq, err = 0, l.lost
				}
				done(seq, err)
			})
			return
		}
		done(seq, err)
	})
}

// rowsOf is the number of rows of an entry of package table: a signature, a producer's mark if there is one, and a chunk.
func rowsOf(payload []byte) int64 {
	b := payload[8:]
	if b[0] == 2 {
		b = b[2+int(b[1])+24:]
	}
	c, err := column.Decode(b)
	if err != nil {
		panic(err)
	}
	return int64(c.Rows)
}

func (l *holdingLog) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holding = true
}

// lose is release, but for what those are told that were held: that their entries are not in the log.
func (l *holdingLog) lose(err error) {
	l.mu.Lock()
	l.lost = err
	l.mu.Unlock()
	l.release()
}

func (l *holdingLog) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holding = false
	for _, done := range l.held {
		done()
	}
	l.held = nil
}
