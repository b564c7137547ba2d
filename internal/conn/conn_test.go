package conn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus/internal/dial"
	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/zerobustest"
)

const gen = 7

// fakeOwner has a queue of records, and does the accounting of a window with a message for every record.
type fakeOwner struct {
	t *testing.T

	mu     sync.Mutex
	queue  []string
	taken  int64
	sent   int64
	acked  int64 // offsets below are
	acks   []int64
	paused bool
	heed   bool // close signals
	ackErr error
	signal time.Duration
	conn   *Conn
}

func (o *fakeOwner) add(recs ...string) {
	o.mu.Lock()
	o.queue = append(o.queue, recs...)
	c := o.conn
	o.mu.Unlock()
	if c != nil {
		c.Wake()
	}
}

func (o *fakeOwner) check(g uint64) {
	if g != gen {
		o.t.Errorf("generation %d; want %d", g, gen)
	}
}

func (o *fakeOwner) Gathering(g uint64) bool {
	o.check(g)
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue) == 1
}

func (o *fakeOwner) Take(g uint64) (Message, bool) {
	o.check(g)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.paused || len(o.queue) == 0 {
		return Message{}, false
	}
	m := Message{Offset: o.taken, Single: true, Body: mem.SliceBuffer(o.queue[0])}
	if bytes.HasPrefix([]byte(o.queue[0]), []byte("\x0a")) {
		m.Single = false
	}
	o.queue = o.queue[1:]
	o.taken++
	return m, true
}

func (o *fakeOwner) drained() bool { return o.paused && o.acked == o.taken }

func (o *fakeOwner) Sent(g uint64) bool {
	o.check(g)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = o.taken
	return o.drained()
}

func (o *fakeOwner) Ack(g uint64, upTo int64) (bool, error) {
	o.check(g)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.acks = append(o.acks, upTo)
	o.acked = max(o.acked, upTo+1)
	return o.drained(), o.ackErr
}

func (o *fakeOwner) CloseSignal(g uint64, in time.Duration) (bool, bool) {
	o.check(g)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.signal = in
	o.paused = o.heed
	return o.paused, o.drained()
}

// rig is a server, a channel to it and an owner, in a bubble.
type rig struct {
	*testing.T
	srv   *zerobustest.Server
	cc    *grpc.ClientConn
	owner *fakeOwner
	cfg   Config
}

func inBubble(t *testing.T, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := zerobustest.New(zerobustest.InMemory())
		defer srv.Close()
		ep, err := dial.ParseEndpoint(srv.Endpoint())
		if err != nil {
			t.Fatal(err)
		}
		opts, err := dial.Options(ep, dial.Settings{Dialer: srv.Dialer()})
		if err != nil {
			t.Fatal(err)
		}
		cc, err := grpc.NewClient(ep.Target(), opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer cc.Close()
		owner := &fakeOwner{t: t, heed: true}
		f(&rig{T: t, srv: srv, cc: cc, owner: owner, cfg: Config{
			Gen:      gen,
			Client:   cc,
			Header:   metadata.Pairs("authorization", "Bearer t", "x-databricks-zerobus-table-name", "a.b.c"),
			Create:   wire.CreateStream{Table: "a.b.c", Type: wire.JSON, HasType: true},
			Owner:    owner,
			MaxPause: -1,
		}})
	})
}

func (r *rig) open() *Conn {
	r.Helper()
	c, err := Open(r.Context(), r.cfg)
	if err != nil {
		r.Fatal(err)
	}
	r.owner.mu.Lock()
	r.owner.conn = c
	r.owner.mu.Unlock()
	c.Start()
	return c
}

// ended waits for the end, and returns why.
func (r *rig) ended(c *Conn) error {
	<-c.Done()
	return c.Err()
}

func TestOpen_Handshakes(t *testing.T) {
	created := wire.AppendResponse(nil, wire.Response{Kind: wire.ResponseAck, HasAck: true})
	tests := []struct {
		name     string
		behavior zerobustest.Behavior
		want     string // of the error; "" for none
		protocol bool
		code     codes.Code
	}{
		{"headers at once", zerobustest.Accept(), "", false, codes.OK},
		{"CR-19 headers with the first response", zerobustest.Accept(zerobustest.LateHeaders()), "", false, codes.OK},
		{"refused", zerobustest.Refuse(codes.NotFound, "no table"), "no table", false, codes.NotFound},
		{"refused before create", zerobustest.RefuseAtOnce(codes.PermissionDenied, "no grant"), "no grant", false, codes.PermissionDenied},
		{"CR-12 the server ends", zerobustest.Accept(zerobustest.OnCreate(zerobustest.End())), "no response to create_stream", false, codes.Unknown},
		{"CR-12 another payload", zerobustest.Accept(zerobustest.OnCreate(zerobustest.Send(created))), "ingest_record_response came instead", true, codes.Unknown},
		{"CR-20 empty id", zerobustest.Accept(zerobustest.StreamID("")), "has no stream id", true, codes.Unknown},
		{"no message", zerobustest.Accept(zerobustest.OnCreate(zerobustest.Send([]byte{0xff}))), "protocol error", true, codes.Unknown},
		{"CR-11 never answered", zerobustest.Silent(), "no response to create_stream yet", false, codes.Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				r.srv.Script(tt.behavior)
				ctx, cancel := context.WithTimeout(r.Context(), time.Second)
				defer cancel()
				c, err := Open(ctx, r.cfg)
				if tt.want == "" {
					if err != nil {
						r.Fatal(err)
					}
					c.Start()
					if c.ID() == "" || c.Gen() != gen {
						r.Errorf("id %q, generation %d", c.ID(), c.Gen())
					}
					time.Sleep(time.Minute) // ctx bounds the handshake only
					select {
					case <-c.Done():
						r.Errorf("the connection has ended: %v", c.Err())
					default:
					}
					c.Abort(errors.New("over"))
					<-c.Done()
					return
				}
				if err == nil {
					r.Fatal("no error")
				}
				var protocol *ProtocolError
				if errors.As(err, &protocol) != tt.protocol || status.Code(err) != tt.code || !bytes.Contains([]byte(err.Error()), []byte(tt.want)) {
					r.Errorf("error %v (code %v, protocol error %v)", err, status.Code(err), protocol != nil)
				}
			})
		})
	}
}

func TestOpen_CR13_NoConnectionInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ep, _ := dial.ParseEndpoint("http://localhost:1")
		opts, err := dial.Options(ep, dial.Settings{Dialer: blackHole})
		if err != nil {
			t.Fatal(err)
		}
		cc, err := grpc.NewClient(ep.Target(), opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer cc.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err = Open(ctx, Config{Client: cc, Owner: &fakeOwner{t: t}})
		if !errors.Is(err, context.DeadlineExceeded) || !bytes.Contains([]byte(err.Error()), []byte("no connection")) {
			t.Errorf("error %v", err)
		}
		if d := time.Since(start); d != 500*time.Millisecond {
			t.Errorf("took %v", d)
		}
	})
}

func TestConn_SendsAndReceives(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.srv.Script(zerobustest.Accept(zerobustest.AckAll()))
		c := r.open()
		r.owner.add(`{"n":0}`, `{"n":1}`, "\x0a\x02{}\x0a\x03{ }")
		synctest.Wait()
		sc := r.srv.Connections()[0]
		reqs := sc.Requests()
		if len(reqs) != 3 {
			r.Fatalf("%d requests", len(reqs))
		}
		for i, q := range reqs {
			if q.Offset != int64(i) || !q.JSON || q.Batch != (i == 2) {
				r.Errorf("request %d is %+v", i, q)
			}
		}
		if got := string(reqs[2].Records[1]); got != "{ }" {
			r.Errorf("second record of the batch: %q", got)
		}
		if fmt.Sprint(r.owner.acks) != "[0 1 2]" || r.owner.sent != 3 {
			r.Errorf("acks %v, %d sent", r.owner.acks, r.owner.sent)
		}
		if got := sc.Metadata().Get("authorization"); len(got) != 1 || got[0] != "Bearer t" {
			r.Errorf("authorization %v", got)
		}
		c.Finish(time.Second)
		if err := r.ended(c); err != ErrFinished {
			r.Errorf("end %v", err)
		}
		if !sc.HalfClosed() {
			r.Error("not half-closed")
		}
		synctest.Wait()
		if _, err := sc.Ended(); err != nil {
			r.Errorf("the server saw %v", err)
		}
	})
}

// The server's status decides, also when the sender is the first to notice.
func TestConn_VerdictIsTheReceivers(t *testing.T) {
	for name, end := range map[string]zerobustest.Action{
		"status": zerobustest.Fail(codes.InvalidArgument, "bad record"),
		"end":    zerobustest.End(),
		"reset":  zerobustest.Kill(),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				r.srv.Script(zerobustest.Accept(zerobustest.On(3, end)))
				c := r.open()
				for i := range 100 {
					r.owner.add(fmt.Sprint(i))
				}
				err := r.ended(c)
				switch name {
				case "status":
					if status.Code(err) != codes.InvalidArgument {
						r.Errorf("end %v", err)
					}
				case "end":
					if err != ErrEnded {
						r.Errorf("end %v", err)
					}
				case "reset":
					if status.Code(err) != codes.Unavailable {
						r.Errorf("end %v", err)
					}
				}
			})
		})
	}
}

func TestConn_AK10_ProtocolErrors(t *testing.T) {
	for name, action := range map[string]zerobustest.Action{
		"ack without offset":    zerobustest.AckNothing(),
		"another create":        zerobustest.Send(wire.AppendResponse(nil, wire.Response{Kind: wire.ResponseCreated, StreamID: "x"})),
		"an unknown payload":    zerobustest.Send([]byte{0x7a, 0}),
		"an empty message":      zerobustest.Send([]byte{}),
		"bytes without meaning": zerobustest.Send([]byte{0x0f}),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				r.srv.Script(zerobustest.Accept(zerobustest.On(0, action, zerobustest.Hang())))
				c := r.open()
				r.owner.add("a")
				var protocol *ProtocolError
				if err := r.ended(c); !errors.As(err, &protocol) {
					r.Errorf("end %v", err)
				}
			})
		})
	}
}

func TestConn_OwnersRefusalOfAnAckEndsIt(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Ack(5), zerobustest.Hang())))
		r.owner.ackErr = errors.New("beyond")
		c := r.open()
		r.owner.add("a")
		if err := r.ended(c); !errors.Is(err, r.owner.ackErr) {
			r.Errorf("end %v", err)
		}
	})
}

func TestConn_CloseSignal(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name     string
		steps    []zerobustest.Step
		maxPause time.Duration
		send     int
		ignore   bool
		want     error
		after    time.Duration
	}{
		{
			"CS-15 nothing in flight",
			[]zerobustest.Step{zerobustest.AckAll(), zerobustest.After(100*ms, zerobustest.CloseSignal(time.Second))},
			-1, 2, false, ErrRotated, 100 * ms,
		},
		{
			"acked in the pause",
			[]zerobustest.Step{zerobustest.On(1, zerobustest.CloseSignal(time.Second), zerobustest.Wait(300*ms), zerobustest.Ack(1))},
			-1, 2, false, ErrRotated, 300 * ms,
		},
		{"CS-11 no duration", []zerobustest.Step{zerobustest.On(1, zerobustest.CloseSignalNow())}, -1, 2, false, ErrRotated, 0},
		{"CS-11 negative", []zerobustest.Step{zerobustest.On(1, zerobustest.CloseSignal(-time.Second))}, -1, 2, false, ErrRotated, 0},
		{"the server's time", []zerobustest.Step{zerobustest.On(1, zerobustest.CloseSignal(time.Second))}, -1, 2, false, ErrRotated, time.Second},
		{"less of it", []zerobustest.Step{zerobustest.On(1, zerobustest.CloseSignal(time.Second))}, 200 * ms, 2, false, ErrRotated, 200 * ms},
		{"not more of it", []zerobustest.Step{zerobustest.On(1, zerobustest.CloseSignal(time.Second))}, time.Minute, 2, false, ErrRotated, time.Second},
		{"none of it", []zerobustest.Step{zerobustest.On(1, zerobustest.CloseSignal(time.Second))}, 0, 2, false, ErrRotated, 0},
		{
			"the first signal counts",
			[]zerobustest.Step{
				zerobustest.On(1, zerobustest.CloseSignal(time.Second), zerobustest.Wait(500*ms), zerobustest.CloseSignal(time.Hour)),
			},
			-1, 2, false, ErrRotated, time.Second,
		},
		{
			"the server ends first",
			[]zerobustest.Step{zerobustest.On(1, zerobustest.CloseSignal(time.Second), zerobustest.Wait(300*ms), zerobustest.End())},
			-1, 2, false, ErrEnded, 300 * ms,
		},
		{
			"not heeded",
			[]zerobustest.Step{zerobustest.On(1, zerobustest.CloseSignal(time.Second), zerobustest.Wait(3*time.Second), zerobustest.End())},
			-1, 2, true, ErrEnded, 3 * time.Second,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				r.srv.Script(zerobustest.Accept(tt.steps...))
				r.cfg.MaxPause = tt.maxPause
				r.owner.heed = !tt.ignore
				start := time.Now()
				c := r.open()
				for i := range tt.send {
					r.owner.add(fmt.Sprint(i))
				}
				if err := r.ended(c); err != tt.want {
					r.Errorf("end %v; want %v", err, tt.want)
				}
				if c.Rotated() != (tt.want == ErrRotated) {
					r.Errorf("rotated is %v", c.Rotated())
				}
				// The server of the test ends when it sees the half-close, so the drain takes no time.
				if d := time.Since(start); d != tt.after {
					r.Errorf("after %v; want %v", d, tt.after)
				}
			})
		})
	}
}

func TestConn_ServerThatDoesNotEndIsCutOff(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.srv.Script(zerobustest.Accept(zerobustest.OnClose(zerobustest.Hang())))
		c := r.open()
		start := time.Now()
		c.Finish(500 * time.Millisecond)
		c.Finish(time.Hour) // the first one counts
		if err := r.ended(c); err != ErrFinished {
			r.Errorf("end %v", err)
		}
		if d := time.Since(start); d != 500*time.Millisecond {
			r.Errorf("took %v", d)
		}
	})
}

// A sender that is held up by flow control does not hold up the end.
func TestConn_AbortWhileSending(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.srv.Script(zerobustest.Accept(zerobustest.OnCreate(zerobustest.StopReading())))
		c := r.open()
		big := string(bytes.Repeat([]byte("x"), 1<<20))
		for range 20 {
			r.owner.add(big)
		}
		synctest.Wait()
		r.owner.mu.Lock()
		taken, sent := r.owner.taken, r.owner.sent
		r.owner.mu.Unlock()
		if taken != sent+1 {
			r.Errorf("%d taken, %d sent: the sender is not held up", taken, sent)
		}
		cause := errors.New("over")
		c.Abort(cause)
		if err := r.ended(c); err != cause {
			r.Errorf("end %v", err)
		}
	})
}

// blackHole is a network in which nothing arrives.
func blackHole(ctx context.Context, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
