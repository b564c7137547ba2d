package zerobus_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// recorder is a hook that writes down all events.
type recorder struct {
	mu                      sync.Mutex
	connects                []zerobus.ConnectEvent
	disconnects             []zerobus.DisconnectEvent
	sent, resent, acked     int
	messages, ackedMessages int
	sentBytes, ackedBytes   int
	latency                 []time.Duration
	streamIDs               map[string]bool
	seen                    int
}

func (r *recorder) event(id string) {
	r.seen++
	if r.streamIDs == nil {
		r.streamIDs = map[string]bool{}
	}
	r.streamIDs[id] = true
}

func (r *recorder) OnConnect(e zerobus.ConnectEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.event(e.StreamID)
	r.connects = append(r.connects, e)
}

func (r *recorder) OnDisconnect(e zerobus.DisconnectEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.disconnects = append(r.disconnects, e)
}

func (r *recorder) OnSend(e zerobus.SendEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.event(e.StreamID)
	r.messages++
	r.sentBytes += e.Bytes
	if e.Resend {
		r.resent += e.Records
	} else {
		r.sent += e.Records
	}
}

func (r *recorder) OnAck(e zerobus.AckEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.event(e.StreamID)
	r.acked += e.Records
	r.ackedBytes += e.Bytes
	r.ackedMessages += e.Messages
	r.latency = append(r.latency, e.Latency)
}

func TestHooks_TellWhatHappens(t *testing.T) {
	inBubble(t, func(w *world) {
		var r recorder
		sdk := w.newSDK(zerobus.WithHooks(&r))
		defer sdk.Close()
		w.srv.Script(
			zerobustest.Refuse(codes.Unavailable, "starting"),
			zerobustest.Accept(zerobustest.On(4, zerobustest.Wait(50*ms), zerobustest.Ack(4)), zerobustest.On(9, zerobustest.Wait(100*ms), zerobustest.Fail(codes.Internal, "oops"))),
			zerobustest.Accept(zerobustest.AckAllAfter(20*ms)),
		)
		s, err := sdk.CreateStream(w.Context(), zerobus.Table(table), auth, one()...)
		w.must(err)
		w.ingest(s, 0, 10)
		w.must(s.Close(w.Context()))

		if len(r.connects) != 2 || r.connects[0].Number != 1 || r.connects[1].Number != 2 || r.connects[1].Unacked != 5 || r.connects[0].Table != table {
			w.Errorf("connects %+v", r.connects)
		}
		var reasons []string
		for _, d := range r.disconnects {
			reasons = append(reasons, fmt.Sprint(d.Reason, " ", d.Retry, " ", d.Unacked, " ", d.StreamID != ""))
		}
		if got := strings.Join(reasons, ", "); got != "Unavailable true 0 false, Internal true 5 true, closed false 0 true" {
			w.Errorf("disconnects %s", got)
		}
		if r.sent != 10 || r.resent != 5 || r.messages != 15 || r.acked != 10 || r.ackedMessages != 10 || r.ackedBytes >= r.sentBytes {
			w.Errorf("%+v", &r)
		}
		if r.latency[0] != 50*ms || r.latency[len(r.latency)-1] != 20*ms {
			w.Errorf("latencies %v", r.latency)
		}
	})
}

// Events of a connection come between its OnConnect and its OnDisconnect, and of one message OnSend comes before OnAck.
type orderHook struct {
	t        *testing.T
	mu       sync.Mutex
	id       string
	inFlight int
}

func (o *orderHook) OnConnect(e zerobus.ConnectEvent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.id != "" {
		o.t.Errorf("connected as %s while %s was there", e.StreamID, o.id)
	}
	o.id, o.inFlight = e.StreamID, 0
}

func (o *orderHook) OnDisconnect(e zerobus.DisconnectEvent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e.StreamID != o.id {
		o.t.Errorf("%s ended; it was %s", e.StreamID, o.id)
	}
	o.id = ""
}

func (o *orderHook) OnSend(e zerobus.SendEvent) { o.count(e.StreamID, e.Records) }
func (o *orderHook) OnAck(e zerobus.AckEvent)   { o.count(e.StreamID, -e.Records) }

func (o *orderHook) count(id string, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.inFlight += n; o.inFlight < 0 || id != o.id {
		o.t.Errorf("%d in flight, event of %q on connection %q", o.inFlight, id, o.id)
	}
}

func TestHooks_ComeInOrder(t *testing.T) {
	inBubble(t, func(w *world) {
		h := &orderHook{t: t}
		sdk := w.newSDK(zerobus.WithHooks(h))
		defer sdk.Close()
		for range 50 {
			w.srv.Script(zerobustest.Accept(zerobustest.AckAll(), zerobustest.On(3, zerobustest.Ack(3), zerobustest.Wait(ms), zerobustest.Kill())))
		}
		s, err := sdk.CreateStream(w.Context(), zerobus.Table(table), auth, one(zerobus.WithRecoveryBackoff(ms))...)
		w.must(err)
		for i := range 200 {
			w.ingest(s, i, 1)
			if i%7 == 0 {
				time.Sleep(ms)
			}
		}
		w.must(s.Close(w.Context()))
		if n := len(w.srv.Connections()); n < 20 {
			w.Errorf("only %d connections", n)
		}
	})
}

// panicking panics at every event.
type panicking struct{}

func (panicking) OnConnect(zerobus.ConnectEvent)       { panic("in connect") }
func (panicking) OnDisconnect(zerobus.DisconnectEvent) { panic("in disconnect") }
func (panicking) OnSend(zerobus.SendEvent)             { panic("in send") }
func (panicking) OnAck(zerobus.AckEvent)               { panic("in ack") }

func TestHooks_PanicsAreContained(t *testing.T) {
	inBubble(t, func(w *world) {
		var r recorder
		sdk := w.newSDK(zerobus.WithHooks(panicking{}, &r))
		defer sdk.Close()
		s, err := sdk.CreateStream(w.Context(), zerobus.Table(table), auth)
		w.must(err)
		w.ingest(s, 0, 3)
		w.must(s.Close(w.Context()))
		if r.acked != 3 || r.sent != 3 {
			w.Errorf("%+v", &r)
		}
		for _, where := range []string{"in connect", "in disconnect", "in send", "in ack"} {
			if !strings.Contains(w.log.String(), where) {
				w.Errorf("the panic %s is not logged", where)
			}
		}
	})
}

func TestHooks_Reasons(t *testing.T) {
	unresponsive := func(w *world) { time.Sleep(time.Minute + time.Second) }
	for want, tt := range map[string]struct {
		behavior zerobustest.Behavior
		wait     func(w *world)
	}{
		zerobus.ReasonEnded:        {zerobustest.Accept(zerobustest.On(0, zerobustest.End())), nil},
		zerobus.ReasonRotated:      {zerobustest.Accept(zerobustest.On(0, zerobustest.CloseSignal(0))), nil},
		zerobus.ReasonProtocol:     {zerobustest.Accept(zerobustest.On(0, zerobustest.AckNothing(), zerobustest.Hang())), nil},
		zerobus.ReasonUnresponsive: {zerobustest.Accept(), unresponsive},
		zerobus.ReasonRejected:     {zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.InvalidArgument, "bad"))), nil},
		"ResourceExhausted":        {zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.ResourceExhausted, "busy"))), nil},
	} {
		t.Run(want, func(t *testing.T) {
			inBubble(t, func(w *world) {
				var r recorder
				sdk := w.newSDK(zerobus.WithHooks(&r))
				defer sdk.Close()
				w.srv.Script(tt.behavior)
				s, err := sdk.CreateStream(w.Context(), zerobus.Table(table), auth, zerobus.WithRejectHandler(func(zerobus.Rejected) {}))
				w.must(err)
				w.ingest(s, 0, 1)
				w.must(s.Flush(w.Context()))
				w.must(s.Close(w.Context()))
				if len(r.disconnects) == 0 || r.disconnects[0].Reason != want {
					w.Errorf("disconnects %+v; want %s", r.disconnects, want)
				}
			})
		})
	}
	inBubble(t, func(w *world) {
		var r recorder
		sdk := w.newSDK(zerobus.WithHooks(&r))
		defer sdk.Close()
		w.srv.RefuseTokens(401, "invalid_client", "no")
		_, err := sdk.CreateStream(w.Context(), zerobus.Table(table), zerobus.ClientCredentials{ID: "i", Secret: "s"})
		wantErr(w, err, zerobus.ErrAuth)
		if len(r.disconnects) != 1 || r.disconnects[0].Reason != zerobus.ReasonHeaders || r.disconnects[0].Retry {
			w.Errorf("disconnects %+v", r.disconnects)
		}
	})
}

func TestHooks_WhatIsNone(t *testing.T) {
	for _, h := range []zerobus.Hook{nil, 7, recorder{}} {
		_, err := zerobus.New("http://localhost:1", "", zerobus.WithHooks(h))
		wantErr(t, err, zerobus.ErrInvalidArgument, "hook 0")
	}
}
