package zerobus_test

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

func TestCloseSignal_CS01_AckedInThePause(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(
				zerobustest.On(24, zerobustest.Wait(200*ms), zerobustest.Ack(24)),
				zerobustest.On(49, zerobustest.Wait(100*ms), zerobustest.CloseSignal(2*time.Second))),
			zerobustest.Accept(zerobustest.On(24, zerobustest.Ack(24))))
		s := w.open(one()...)
		start := time.Now()
		acks := w.ingest(s, 0, 50)
		w.must(acks[24].Wait(w.Context()))
		w.took("the first half", start, 200*ms, 200*ms) // in the pause
		w.must(s.Flush(w.Context()))
		w.took("flush", start, 2100*ms, 2100*ms)
		wantRecords(w, "second connection", w.conns(2)[1].Records(), 25, 25)
		for _, ack := range acks {
			w.must(ack.Err())
		}
		w.must(s.Close(w.Context()))
	})
}

func TestCloseSignal_CS02_WithoutRecoveryItIsIgnored(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(
			zerobustest.On(24, zerobustest.Wait(200*ms), zerobustest.Ack(24)),
			zerobustest.On(49, zerobustest.Wait(100*ms), zerobustest.CloseSignal(2*time.Second), zerobustest.Wait(1900*ms),
				zerobustest.Fail(codes.Unavailable, "Stream timeout reached. Error Code: 6002"))))
		s := w.open(one(zerobus.WithRecovery(false))...)
		start := time.Now()
		w.ingest(s, 0, 50)
		time.Sleep(150 * ms) // the signal has come
		w.ingest(s, 50, 1)   // and is no reason to hold back
		synctest.Wait()
		if n := requests(w.conns(1)); n != 51 {
			w.Errorf("%d requests", n)
		}
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed, "6002")
		w.took("flush", start, 2*time.Second, 2*time.Second)
		wantRecords(w, "unacknowledged", w.unacked(s), 25, 26)
		w.conns(1)
	})
}

func TestCloseSignal_CS03_WaitsForTheServersTime(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(2, zerobustest.Ack(1), zerobustest.CloseSignal(time.Second))),
			zerobustest.Accept(zerobustest.On(0, zerobustest.Ack(0))))
		s := w.open(one()...)
		start := time.Now()
		w.ingest(s, 0, 3)
		w.must(s.Flush(w.Context()))
		w.took("flush", start, 900*ms, 1200*ms)
		conns := w.conns(2)
		if n := len(conns[0].Requests()) + len(conns[1].Requests()); n != 4 {
			w.Errorf("%d requests; want 4", n)
		}
		w.must(s.Close(w.Context()))
	})
}

func TestCloseSignal_CS04_NoPause(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(2, zerobustest.Ack(2)), zerobustest.On(3, zerobustest.Wait(100*ms), zerobustest.CloseSignal(2*time.Second))),
			zerobustest.Accept(zerobustest.On(0, zerobustest.Ack(0))))
		s := w.open(one(zerobus.WithMaxPause(0))...)
		start := time.Now()
		w.ingest(s, 0, 4)
		w.must(s.Flush(w.Context()))
		w.took("flush", start, 100*ms, 500*ms)
		if n := requests(w.conns(2)); n != 5 {
			w.Errorf("%d requests; want 5", n)
		}
		w.must(s.Close(w.Context()))
	})
}

func TestCloseSignal_CS05_PausesAtMostAsLongAsSet(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(3, zerobustest.Ack(2), zerobustest.CloseSignal(5*time.Second))),
			zerobustest.Accept(zerobustest.On(1, zerobustest.Ack(1))))
		s := w.open(one(zerobus.WithMaxPause(time.Second))...)
		start := time.Now()
		w.ingest(s, 0, 4)
		time.Sleep(100 * ms)
		w.ingest(s, 4, 1)
		w.must(s.Flush(w.Context()))
		w.took("flush", start, time.Second, 1200*ms)
		if n := requests(w.conns(2)); n != 6 {
			w.Errorf("%d requests; want 6", n)
		}
		w.must(s.Close(w.Context()))
	})
}

func TestCloseSignal_CS06_TheServersTimeIsShorter(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(2, zerobustest.Ack(1), zerobustest.CloseSignal(time.Second))),
			zerobustest.Accept(zerobustest.On(0, zerobustest.Ack(0))))
		s := w.open(one(zerobus.WithMaxPause(2 * time.Second))...)
		start := time.Now()
		w.ingest(s, 0, 3)
		w.must(s.Flush(w.Context()))
		w.took("flush", start, time.Second, 1200*ms)
		if n := requests(w.conns(2)); n != 4 {
			w.Errorf("%d requests; want 4", n)
		}
		w.must(s.Close(w.Context()))
	})
}

func TestCloseSignal_CS07_EndsEarlyWhenAllIsAcked(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(2, zerobustest.CloseSignal(2*time.Second), zerobustest.Wait(200*ms), zerobustest.Ack(2))))
		s := w.open(one()...)
		start := time.Now()
		w.ingest(s, 0, 3)
		w.must(s.Flush(w.Context()))
		w.took("flush", start, 200*ms, 200*ms)
		synctest.Wait()
		w.took("the new connection", start, 200*ms, 200*ms)
		if n := requests(w.conns(2)); n != 3 {
			w.Errorf("%d requests; want 3", n)
		}
		w.must(s.Close(w.Context()))
	})
}

func TestCloseSignal_CS08_RecordsInThePause(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(1, zerobustest.CloseSignal(time.Second), zerobustest.Wait(500*ms), zerobustest.Ack(1))),
			zerobustest.Accept(zerobustest.On(1, zerobustest.Ack(1))))
		s := w.open(one()...)
		start := time.Now()
		acks := w.ingest(s, 0, 2)
		time.Sleep(100 * ms)
		acks = append(acks, w.ingest(s, 2, 2)...)
		w.must(s.Flush(w.Context()))
		w.took("flush", start, 500*ms, 600*ms)
		for _, ack := range acks {
			w.must(ack.Err())
		}
		conns := w.conns(2)
		wantRecords(w, "first connection", conns[0].Records(), 0, 2)
		wantRecords(w, "second connection", conns[1].Records(), 2, 2)
		w.must(s.Close(w.Context()))
	})
}

func TestCloseSignal_CS09_FailureInThePause(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(
			zerobustest.On(2, zerobustest.CloseSignal(2*time.Second), zerobustest.Wait(500*ms), zerobustest.Fail(codes.Internal, "disk on fire"))))
		s := w.open(one(zerobus.WithRecoveryBackoff(100 * ms))...)
		start := time.Now()
		w.ingest(s, 0, 3)
		w.must(s.Flush(w.Context()))
		w.took("flush", start, 600*ms, 625*ms)
		wantRecords(w, "second connection", w.conns(2)[1].Records(), 0, 3)
		w.must(s.Close(w.Context()))
	})
}

func TestCloseSignal_CS11_NoDurationIsNow(t *testing.T) {
	for name, signal := range map[string]zerobustest.Action{
		"missing": zerobustest.CloseSignalNow(), "zero": zerobustest.CloseSignal(0), "negative": zerobustest.CloseSignal(-time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept(zerobustest.On(2, zerobustest.Ack(0), signal)))
				s := w.open(one()...)
				start := time.Now()
				w.ingest(s, 0, 3)
				w.must(s.Flush(w.Context()))
				w.took("flush", start, 0, 0)
				wantRecords(w, "second connection", w.conns(2)[1].Records(), 1, 2)
				w.must(s.Close(w.Context()))
			})
		})
	}
}

func TestCloseSignal_CS10_NothingMoreOnTheOldConnection(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.CloseSignal(time.Second))))
		s := w.open(one()...)
		w.ingest(s, 0, 1)
		synctest.Wait() // the sender sleeps, the signal has arrived
		w.ingest(s, 1, 5)
		synctest.Wait()
		wantState(w, s, zerobus.StateOpened)
		wantRecords(w, "first connection", w.conns(1)[0].Records(), 0, 1)
		w.must(s.Flush(w.Context()))
		conns := w.conns(2)
		wantRecords(w, "first connection", conns[0].Records(), 0, 1)
		wantRecords(w, "second connection", conns[1].Records(), 0, 6)
		w.must(s.Close(w.Context()))
	})
}

func TestCloseSignal_CS12_PauseIsNotUnresponsiveness(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(2, zerobustest.CloseSignal(5*time.Second), zerobustest.Wait(4*time.Second), zerobustest.Ack(2))))
		s := w.open(one(zerobus.WithServerAckTimeout(time.Second), zerobus.WithRecoveryRetries(0))...)
		w.ingest(s, 0, 3)
		w.must(s.Flush(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 3)
		w.must(s.Close(w.Context()))
	})
}

func TestCloseSignal_CS14_LimitReachedInThePause(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.CloseSignal(time.Second))))
		s := w.open(one(zerobus.WithMaxInflightRecords(3))...)
		start := time.Now()
		w.ingest(s, 0, 1)
		synctest.Wait()
		w.ingest(s, 1, 5)
		w.took("ingest", start, time.Second, 1200*ms)
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 6)
	})
}

func TestCloseSignal_CS15_NothingInFlight(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.After(time.Second, zerobustest.CloseSignal(10*time.Second))))
		s := w.open()
		time.Sleep(time.Second)
		synctest.Wait()
		wantState(w, s, zerobus.StateOpened)
		if !w.conns(2)[0].HalfClosed() {
			w.Error("the old connection was not half-closed")
		}
		w.ingest(s, 0, 1)
		w.must(s.Close(w.Context()))
	})
}
