package zerobus

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus/internal/recovery"
)

// halfway is a pipeline without a network, on whose connection some records were taken.
func halfway(t *testing.T, records, taken int) (h host, s *Stream) {
	t.Helper()
	k, err := New("http://localhost:1", "")
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultStreamSettings()
	cfg.MaxBatchRecords = 1
	p, err := newPipeline(t.Context(), "create stream", k, Table("a.b.c"), StaticHeaders{}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.release(p.channel, false) })
	p.gen = p.win.Begin()
	p.state = StateOpened
	h, s = host{p}, &Stream{p: p}
	for range records {
		if _, err := s.Ingest(t.Context(), JSONString("{}")); err != nil {
			t.Fatal(err)
		}
	}
	take(t, h, p.gen, taken)
	return h, s
}

// take does what a sender does.
func take(t *testing.T, h host, gen uint64, count int) {
	t.Helper()
	for range count {
		m, ok := h.Take(gen)
		if !ok {
			t.Fatal("there is no message")
		}
		m.Body.Free()
		h.Sent(gen)
	}
}

// A sender or receiver of a connection that was replaced may still be about to say something.
func TestGeneration_AK12_CS10_TheOldOneHasNoEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := halfway(t, 3, 3)
		old := h.gen
		h.Lost(&recovery.Failure{Err: status.Error(codes.Unavailable, "gone"), Opened: true})
		h.gen = h.win.Begin()
		take(t, h, h.gen, 1)

		for _, upTo := range []int64{0, 2, 1 << 40, -1} {
			if drained, err := h.Ack(old, upTo); drained || err != nil {
				t.Errorf("ack %d: drained %v, %v", upTo, drained, err)
			}
		}
		if h.Sent(old) {
			t.Error("the old connection is drained")
		}
		if _, ok := h.Take(old); ok {
			t.Error("the old connection has taken a message")
		}
		if paused, drained := h.CloseSignal(old, time.Second); paused || drained {
			t.Error("the old connection's close signal is heeded")
		}
		if n := h.win.Outstanding(); n != 1 {
			t.Errorf("%d outstanding; want 1", n)
		}
		// The new one goes on as if nothing had been.
		take(t, h, h.gen, 2)
		if _, err := h.Ack(h.gen, 2); err != nil {
			t.Error(err)
		}
		if err := s.WaitForOffset(t.Context(), 2); err != nil {
			t.Error(err)
		}
	})
}

// An acknowledgement that overtakes the return of the send counts when that is there, and a failed connection takes it
// along: its records are sent again.
func TestGeneration_AckBeforeSentIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := halfway(t, 2, 1)
		if _, ok := h.Take(h.gen); !ok {
			t.Fatal("there is no message")
		}
		if _, err := h.Ack(h.gen, 1); err != nil {
			t.Fatal(err)
		}
		if d := h.win.Durable(); d != 0 {
			t.Errorf("durable up to %d before the send has returned", d)
		}
		h.Lost(&recovery.Failure{Err: status.Error(codes.Unavailable, "gone"), Opened: true})
		h.gen = h.win.Begin()
		take(t, h, h.gen, 1)
		if h.win.Durable() != 0 || h.win.Outstanding() != 1 {
			t.Errorf("durable up to %d, %d outstanding", h.win.Durable(), h.win.Outstanding())
		}
		if _, err := h.Ack(h.gen, 0); err != nil || h.win.Durable() != 1 {
			t.Errorf("durable up to %d, %v", h.win.Durable(), err)
		}
	})
}

// What the supervisor is told of progress is what there was since the last connection began.
func TestGeneration_ProgressIsOfOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := halfway(t, 2, 2)
		if _, err := h.Ack(h.gen, 0); err != nil {
			t.Fatal(err)
		}
		for i, want := range []bool{true, false, false} {
			f := recovery.Failure{Err: status.Error(codes.Unavailable, "gone"), Opened: true}
			if h.Lost(&f); f.Progress != want || f.Idle {
				t.Errorf("failure %d: progress %v, idle %v", i, f.Progress, f.Idle)
			}
			h.gen = h.win.Begin()
			take(t, h, h.gen, 1)
		}
	})
}
