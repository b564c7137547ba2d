package zerobus_test

import (
	"bytes"
	"fmt"
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
		start := time.Now()
		acks := w.ingest(s, 0, 150)
		w.took("150 records", start, 0, 0)
		for i := range 50 {
			_, err := s.Ingest(w.Context(), rec(150))
			wantErr(w, err, zerobus.ErrServerUnresponsive)
			if i == 0 { // three connections of 2.5 s, and waits of 2 and 4 s
				w.took("the 151st", start, 13_500*ms, 15_000*ms)
			}
		}
		for _, ack := range acks {
			wantErr(w, ack.Wait(w.Context()), zerobus.ErrServerUnresponsive)
		}
		wantErr(w, s.Close(w.Context()), zerobus.ErrServerUnresponsive)
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 150)
		w.conns(3)
	})
}

func TestTimeouts_TO03_CloseAfterTheEnd(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Accept())
		s := w.open(one(zerobus.WithServerAckTimeout(2*time.Second), zerobus.WithRecoveryRetries(2), zerobus.WithRecoveryBackoff(500*ms))...)
		w.ingest(s, 0, 50)
		time.Sleep(10 * time.Second)
		start := time.Now()
		wantErr(w, s.Close(w.Context()), zerobus.ErrServerUnresponsive, "3 failures")
		w.took("close", start, 0, 0)
		for _, c := range w.conns(3) {
			wantRecords(w, "connection", c.Records(), 0, 50)
		}
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 50)
	})
}

func TestTimeouts_TO04_SilentThenGood(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(), zerobustest.Accept(
			zerobustest.On(14, zerobustest.Wait(time.Second), zerobustest.Ack(14)),
			zerobustest.On(20, zerobustest.Wait(1700*ms), zerobustest.Ack(20)),
			zerobustest.On(30, zerobustest.Wait(200*ms), zerobustest.Ack(30)),
			zerobustest.On(43, zerobustest.Wait(400*ms), zerobustest.Ack(43)),
			zerobustest.On(49, zerobustest.Ack(49))))
		s := w.open(one(zerobus.WithServerAckTimeout(2*time.Second), zerobus.WithMaxInflightRecords(15))...)
		w.ingest(s, 0, 50)
		w.must(s.Close(w.Context()))
		conns := w.conns(2)
		wantRecords(w, "first connection", conns[0].Records(), 0, 15)
		wantRecords(w, "second connection", conns[1].Records(), 0, 50)
		if n := len(w.unacked(s)); n != 0 {
			w.Errorf("%d unacknowledged", n)
		}
	})
}

func TestTimeouts_TO05_SilentAfterAFewAcks(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(5, zerobustest.Wait(time.Second), zerobustest.Ack(5))),
			zerobustest.Accept(zerobustest.On(14, zerobustest.Ack(14)), zerobustest.On(20, zerobustest.Ack(20)),
				zerobustest.On(30, zerobustest.Ack(30)), zerobustest.On(43, zerobustest.Ack(43))))
		s := w.open(one(zerobus.WithServerAckTimeout(2*time.Second), zerobus.WithMaxInflightRecords(15))...)
		start := time.Now()
		w.ingest(s, 0, 50)
		w.must(s.Close(w.Context()))
		w.took("all", start, 3*time.Second, 3*time.Second) // 2 s after the last acknowledgement, and no wait after progress
		wantRecords(w, "second connection", w.conns(2)[1].Records(), 6, 44)
		if n := len(w.unacked(s)); n != 0 {
			w.Errorf("%d unacknowledged", n)
		}
		wantRecords(w, "durable", w.srv.Records(table), 0, 50)
	})
}

func TestTimeouts_TO06_SilentForEver(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Accept())
		s := w.open(one(zerobus.WithServerAckTimeout(time.Second), zerobus.WithRecoveryRetries(5))...)
		acks := w.ingest(s, 0, 50)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrServerUnresponsive, "6 failures")
		wantState(w, s, zerobus.StateFailed)
		w.conns(6)
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 50)
		for _, ack := range acks {
			wantErr(w, ack.Err(), zerobus.ErrStreamFailed)
		}
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
		states := make(chan string, 1)
		go func() {
			var seen []zerobus.State
			for state := range s.StateChanges(w.Context()) {
				seen = append(seen, state)
			}
			states <- fmt.Sprint(seen)
		}()
		time.Sleep(5*time.Second + 50*ms)
		wantState(w, s, zerobus.StateOpened)
		w.ingest(s, 0, 1)
		w.must(s.Flush(w.Context()))
		w.must(s.Close(w.Context()))
		if got := <-states; got != "[OPENED FLUSHING OPENED CLOSED]" {
			w.Errorf("states %s", got)
		}
		w.conns(1)
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

// Silence is found after the ack timeout, and not up to twice of it, however the watch and the records fall together.
func TestTimeouts_TO10_FoundInTime(t *testing.T) {
	for name, tt := range map[string]struct {
		step zerobustest.Step
		last time.Duration // progress, after the records were sent
	}{
		"never a word":        {nil, 0},
		"one acknowledgement": {zerobustest.On(2, zerobustest.Wait(400*ms), zerobustest.Ack(1)), 400 * ms},
	} {
		for _, idle := range []time.Duration{0, 1 * ms, 300 * ms, 999 * ms, 1000 * ms, 1001 * ms, 5700 * ms} {
			t.Run(fmt.Sprintf("%s, idle for %v before", name, idle), func(t *testing.T) {
				inBubble(t, func(w *world) {
					w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Ack(0)), tt.step))
					s := w.open(one(zerobus.WithServerAckTimeout(time.Second), zerobus.WithRecovery(false))...)
					w.must(w.ingest(s, 0, 1)[0].Wait(w.Context()))
					time.Sleep(idle)
					start := time.Now()
					acks := w.ingest(s, 1, 2)
					wantErr(w, acks[1].Wait(w.Context()), zerobus.ErrServerUnresponsive)
					w.took("detection", start, tt.last+time.Second, tt.last+1200*ms)
				})
			})
		}
	}
}
