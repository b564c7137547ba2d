package zerobus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus"
)

// simHandled is a call of an AckHandler.
type simHandled struct {
	offset int64
	err    error
}

// options are the stream's settings with the functions.
func (w *simWorld) options() []zerobus.StreamOption {
	p := w.plan
	opts := []zerobus.StreamOption{zerobus.WithStreamSettings(p.settings)}
	if p.ackCallback {
		opts = append(opts, zerobus.WithAckCallback(func(info zerobus.AckInfo) {
			w.callback("ack callback", func() {
				w.note("callback", "%d to %d: %v", info.First, info.Last, info.Err)
				w.infos = append(w.infos, info)
			})
		}))
	}
	if p.ackHandler {
		handle := func(offset int64, err error) {
			w.callback("ack handler", func() { w.handled = append(w.handled, simHandled{offset, err}) })
		}
		opts = append(opts, zerobus.WithAckHandler(zerobus.AckHandler{
			OnAck:   func(offset int64) { handle(offset, nil) },
			OnError: func(offset int64, err error) { handle(offset, errors.Join(err)) },
		}))
	}
	if p.rejectHandler {
		opts = append(opts, zerobus.WithRejectHandler(func(r zerobus.Rejected) {
			w.callback("reject handler", func() {
				w.note("callback", "rejected %d: %v", r.Offset, r.Err)
				w.rejected = append(w.rejected, r)
			})
		}))
	}
	return opts
}

// callback is what all callbacks do. record is called by one at a time: that is what is promised.
func (w *simWorld) callback(what string, record func()) {
	if n := w.telling.Add(1); n > 1 {
		w.fault("%s: %d callbacks at a time", what, n)
	}
	defer w.telling.Add(-1)
	record()
	w.mu.Lock()
	w.calls++
	n, closed := w.calls, w.firstClose
	w.mu.Unlock()
	p := w.plan
	if closed >= 0 && p.patient() {
		w.fault("%s: called after Close has returned", what)
	}
	if p.slowEvery > 0 && n%p.slowEvery == 0 {
		w.saw("a slow callback")
		time.Sleep(p.slow)
	}
	if p.meddling {
		w.meddle(n)
	}
	if p.closing == closeCallback && n == 3 {
		w.saw("a Close in a callback")
		w.close(p.closeIn)
	}
}

// meddle calls methods within a callback.
func (w *simWorld) meddle(n int) {
	s := w.stream
	switch n % 4 {
	case 0:
		ctx, cancel := bound(ms)
		defer cancel()
		s.Flush(ctx)
	case 1:
		state := s.State()
		left, err := s.Unacked()
		if over := state == zerobus.StateClosed || state == zerobus.StateFailed; over && err != nil || err != nil && !errors.Is(err, zerobus.ErrInvalidState) {
			w.fault("Unacked in a callback, in state %v: %d, %v", state, len(left), err)
		}
	case 3:
		if len(w.extra) < w.plan.extra { // it does not wait for room that this callback may hold up
			op := simOp{kind: opIngest, records: 1}
			call := w.newCall(len(w.plan.producers), len(w.extra), op)
			began := time.Now()
			w.ingest("callback", call, op)
			if waited := time.Since(began); waited > 0 {
				w.fault("Ingest in a callback has waited %v", waited)
			}
			w.extra = append(w.extra, call)
			w.saw("an Ingest in a callback")
		}
	case 2:
		if err := s.Err(); err != nil && !errors.Is(err, zerobus.ErrStreamFailed) {
			w.fault("Err in a callback: %v", err)
		}
	}
}

// What becomes of a call of the headers provider.
const (
	headersGood = iota
	headersFail
	headersSlow
	headersTerminal
)

func (w *simWorld) headers(ctx context.Context) ([]zerobus.Header, error) {
	n := int(w.tried.Add(1)) - 1
	if n < len(w.plan.headers) {
		switch w.plan.headers[n] {
		case headersFail:
			w.saw("headers that failed")
			return nil, errors.New("no token today")
		case headersSlow:
			select {
			case <-time.After(time.Duration(n+1) * 3 * time.Second):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		case headersTerminal:
			return nil, fmt.Errorf("no token ever: %w", zerobus.ErrNonRetriable)
		}
	}
	return auth, nil
}

// simLog puts the SDK's log into the story.
type simLog struct{ w *simWorld }

func (l simLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l simLog) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l simLog) WithGroup(string) slog.Handler                    { return l }

func (l simLog) Handle(_ context.Context, r slog.Record) error {
	var attrs []slog.Attr
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	l.w.note("sdk", "%s %v", r.Message, attrs)
	if strings.Contains(r.Message, "panicked") {
		l.w.fault("%s: %v", r.Message, attrs)
	}
	return nil
}

// simHooked is what hooks have told.
type simHooked struct {
	kept   int              // records that were unacknowledged when the stream was closed; -1 before, and without a connection
	acked  int              // records
	before map[string]int   // acked when a connection was opened, by its id
	sent   map[string][]int // records of each message that was handed to the transport, by the connection's id
}

// simHook counts.
type simHook struct{ w *simWorld }

func (h simHook) OnConnect(e zerobus.ConnectEvent) {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	h.w.hooked.before[e.StreamID] = h.w.hooked.acked
}

func (h simHook) OnDisconnect(e zerobus.DisconnectEvent) {
	h.w.saw("reason " + e.Reason)
	if e.Reason == zerobus.ReasonClosed {
		h.w.mu.Lock()
		h.w.hooked.kept = e.Unacked
		h.w.mu.Unlock()
	}
	switch {
	case e.Reason == zerobus.ReasonUnresponsive && e.StreamID == "":
		h.w.saw("a handshake that got no answer")
	case e.Reason == zerobus.ReasonUnresponsive:
		h.w.saw("an ack timeout")
	}
	h.w.note("hook", "disconnect %+v", e)
}

func (h simHook) OnSend(e zerobus.SendEvent) {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	h.w.hooked.sent[e.StreamID] = append(h.w.hooked.sent[e.StreamID], e.Records)
}

func (h simHook) OnAck(e zerobus.AckEvent) {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	h.w.hooked.acked += e.Records
}
