package zerobus_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

func TestClose_CL01_CL03_WaitsForWhatIsInFlight(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(9, zerobustest.Wait(100*ms), zerobustest.Ack(9))))
		s := w.open(one()...)
		start := time.Now()
		w.ingest(s, 0, 10)
		w.must(s.Close(w.Context()))
		w.took("close", start, 100*ms, 100*ms)
		if n := len(w.conns(1)[0].Requests()); n != 10 {
			w.Errorf("%d requests", n)
		}
		wantState(w, s, zerobus.StateClosed)
	})
}

func TestClose_CL02_Twice(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		w.must(s.Close(w.Context()))
		w.must(s.Close(w.Context()))
	})
}

func TestClose_CL04_AtTheSameTime(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(100 * ms)))
		s := w.open()
		w.ingest(s, 0, 5)
		start := time.Now()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := s.Close(w.Context()); err != nil {
					w.Error(err)
				}
			})
		}
		wg.Wait()
		w.took("close", start, 100*ms, 100*ms)
	})
}

func TestClose_CL05_CL10_FailedStream(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Internal, "disk on fire"))))
		s := w.open(zerobus.WithRecovery(false))
		w.ingest(s, 0, 1)
		synctest.Wait()
		wantState(w, s, zerobus.StateFailed)
		start := time.Now()
		wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed, "disk on fire")
		w.must(s.Close(w.Context()))
		w.took("both", start, 0, 0)
		wantErr(w, s.Err(), zerobus.ErrStreamFailed, "disk on fire")
	})
}

func TestClose_CL06_CL17_SDKCloseEndsStreams(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Accept())
		a, b := w.open(), w.open()
		acks := w.ingest(a, 0, 3)
		start := time.Now()
		w.must(w.sdk.Close())
		w.took("close", start, 0, 0)
		for _, s := range []*zerobus.Stream{a, b} {
			wantState(w, s, zerobus.StateClosed)
			_, err := s.Ingest(w.Context(), rec(0))
			wantErr(w, err, zerobus.ErrStreamClosed)
		}
		for _, ack := range acks {
			wantErr(w, ack.Wait(w.Context()), zerobus.ErrStreamClosed, "SDK was closed")
		}
		wantRecords(w, "unacknowledged", w.unacked(a), 0, 3)
		wantErr(w, a.Close(w.Context()), zerobus.ErrStreamClosed)
		w.must(b.Close(w.Context()))
	})
}

func TestClose_CL07_TerminalErrorWhileClosing(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(4, zerobustest.Wait(50*ms), zerobustest.Fail(codes.PermissionDenied, "no MODIFY"))))
		s := w.open(one(zerobus.WithFlushTimeout(200 * ms))...)
		w.ingest(s, 0, 5)
		start := time.Now()
		wantErr(w, s.Close(w.Context()), zerobus.ErrAuth, "no MODIFY")
		w.took("close", start, 50*ms, 50*ms)
		_, err := s.Ingest(w.Context(), rec(5))
		wantErr(w, err, zerobus.ErrStreamClosed)
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 5)
	})
}

func TestClose_CL08_RecoversWhileClosing(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(
			zerobustest.On(99, zerobustest.Wait(time.Second), zerobustest.Ack(15), zerobustest.Fail(codes.Unavailable, "gone"))))
		s := w.open(one()...)
		w.ingest(s, 0, 100)
		w.must(s.Close(w.Context()))
		if n := len(w.unacked(s)); n != 0 {
			w.Errorf("%d unacknowledged", n)
		}
		wantRecords(w, "sent again", w.conns(2)[1].Records(), 16, 84)
		wantRecords(w, "durable", w.srv.Records(table), 0, 100)
	})
}

func TestClose_CL12_CloseSignalAndEndWhileClosing(t *testing.T) {
	for name, action := range map[string]zerobustest.Action{
		"signal": zerobustest.CloseSignal(time.Second),
		"end":    zerobustest.End(),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept(zerobustest.On(2, action)))
				s := w.open(one(zerobus.WithRecoveryBackoff(100 * ms))...)
				w.ingest(s, 0, 3)
				start := time.Now()
				w.must(s.Close(w.Context()))
				w.took("close", start, 0, 1200*ms)
				wantRecords(w, "durable", w.srv.Records(table), 0, 3)
			})
		})
	}
}

func TestClose_CL13_FlushTimeoutKeepsTheUnacknowledged(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept())
		s := w.open(zerobus.WithFlushTimeout(200 * ms))
		acks := w.ingest(s, 0, 5)
		start := time.Now()
		wantErr(w, s.Close(w.Context()), zerobus.ErrFlushTimeout)
		w.took("close", start, 200*ms, 200*ms)
		wantState(w, s, zerobus.StateClosed)
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 5)
		wantErr(w, acks[0].Err(), zerobus.ErrStreamClosed, "flush timeout")
		w.must(s.Close(w.Context()))
	})
}

func TestClose_ContextEnds(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept())
		s := w.open()
		w.ingest(s, 0, 5)
		done := make(chan error, 1)
		go func() {
			time.Sleep(ms)
			done <- s.Close(w.Context())
		}()
		wantErr(w, s.Close(w.timeout(100*ms)), context.DeadlineExceeded)
		wantErr(w, <-done, context.DeadlineExceeded) // the one Close that there was
		wantState(w, s, zerobus.StateClosed)
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 5)
	})
}

func TestClose_CL14_WhileRecovering(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Kill())))
		s := w.open(zerobus.WithRecoveryBackoff(time.Second))
		w.ingest(s, 0, 3)
		synctest.Wait()
		wantState(w, s, zerobus.StateRecovering)
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 3)
	})
}

func TestClose_CL16_WithinACallback(t *testing.T) {
	inBubble(t, func(w *world) {
		closed := make(chan error, 1)
		var s *zerobus.Stream
		ready := make(chan struct{})
		s = w.open(zerobus.WithAckCallback(func(zerobus.AckInfo) {
			<-ready
			closed <- s.Close(w.Context())
		}))
		close(ready)
		start := time.Now()
		w.ingest(s, 0, 1)
		w.must(<-closed)
		w.took("close", start, 0, 0)
	})
}
