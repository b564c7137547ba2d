package zerobus_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

func TestTimeouts_TO01_SilentServer(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept())
		s := w.open(zerobus.WithServerAckTimeout(200*ms), zerobus.WithRecovery(false))
		start := time.Now()
		ack := w.ingest(s, 0, 1)[0]
		err := ack.Wait(w.Context())
		wantErr(w, err, zerobus.ErrServerUnresponsive, "200ms")
		if !zerobus.IsRetriable(err) {
			w.Error("another server may answer")
		}
		w.took("wait", start, 200*ms, 240*ms)
	})
}

func TestTimeouts_TO02_BlockedProducerGetsTheFailure(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Accept())
		s := w.open(one(zerobus.WithServerAckTimeout(2500*ms), zerobus.WithRecoveryRetries(2), zerobus.WithMaxInflightRecords(150))...)
		acks := w.ingest(s, 0, 150)
		for range 50 {
			_, err := s.Ingest(w.Context(), rec(150))
			wantErr(w, err, zerobus.ErrServerUnresponsive)
		}
		wantErr(w, acks[149].Wait(w.Context()), zerobus.ErrServerUnresponsive)
		wantErr(w, s.Close(w.Context()), zerobus.ErrServerUnresponsive)
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 150)
		w.conns(3)
	})
}

func TestTimeouts_TO07_SecondConnectionAnswers(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(), zerobustest.Accept(zerobustest.On(4, zerobustest.Wait(50*ms), zerobustest.Ack(4))))
		s := w.open(one(zerobus.WithServerAckTimeout(100 * ms))...)
		w.ingest(s, 0, 5)
		w.must(s.Flush(w.Context()))
		conns := w.conns(2)
		if n := len(conns[0].Requests()) + len(conns[1].Requests()); n != 10 {
			w.Errorf("%d requests; want 10", n)
		}
		w.must(s.Close(w.Context()))
	})
}

func TestTimeouts_IN14_IdleIsNoFault(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(90 * ms)))
		s := w.open(zerobus.WithServerAckTimeout(100*ms), zerobus.WithRecovery(false))
		time.Sleep(5*time.Second + 50*ms)
		wantState(w, s, zerobus.StateOpened)
		w.ingest(s, 0, 1)
		w.must(s.Flush(w.Context()))
		w.must(s.Close(w.Context()))
	})
}

func TestTimeouts_TO11_BlockedWrite(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.OnCreate(zerobustest.StopReading())))
		s := w.open(zerobus.WithServerAckTimeout(time.Second), zerobus.WithRecovery(false))
		big := zerobus.JSONBytes(bytes.Repeat([]byte("x"), 1<<20))
		for range 20 {
			_, err := s.Ingest(w.Context(), big)
			w.must(err)
		}
		start := time.Now()
		wantErr(w, s.Flush(w.Context()), zerobus.ErrServerUnresponsive)
		w.took("flush", start, time.Second, 1200*ms)
	})
}

func TestTimeouts_TO09_ProgressInTimeIsNoFault(t *testing.T) {
	inBubble(t, func(w *world) {
		wait := zerobustest.Wait(90 * ms)
		w.srv.Script(zerobustest.Accept(zerobustest.On(3,
			wait, zerobustest.Ack(0), wait, zerobustest.Ack(1), wait, zerobustest.Ack(2), wait, zerobustest.Ack(3))))
		s := w.open(one(zerobus.WithServerAckTimeout(100*ms), zerobus.WithRecovery(false))...)
		start := time.Now()
		w.ingest(s, 0, 4)
		w.must(s.Flush(w.Context()))
		w.took("flush", start, 360*ms, 360*ms)
		w.must(s.Close(w.Context()))
	})
}

// An acknowledgement that says nothing new does not keep a silent server alive.
func TestTimeouts_RepeatedAckIsNoProgress(t *testing.T) {
	inBubble(t, func(w *world) {
		wait := zerobustest.Wait(60 * ms)
		w.srv.Script(zerobustest.Accept(zerobustest.On(3,
			zerobustest.Ack(0), wait, zerobustest.Ack(0), wait, zerobustest.Ack(0), wait, zerobustest.Ack(0))))
		s := w.open(one(zerobus.WithServerAckTimeout(100*ms), zerobus.WithRecovery(false))...)
		start := time.Now()
		w.ingest(s, 0, 4)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrServerUnresponsive)
		w.took("flush", start, 100*ms, 120*ms)
	})
}
