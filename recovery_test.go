package zerobus_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

func TestRecovery_RC01_AK11_SeveralConnections(t *testing.T) {
	inBubble(t, func(w *world) {
		gone := zerobustest.Fail(codes.Unavailable, "gone")
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(15, zerobustest.Wait(5*ms), zerobustest.Ack(15), gone)),
			zerobustest.Accept(zerobustest.On(10, zerobustest.Wait(35*ms), zerobustest.Ack(10), gone)),
			zerobustest.Accept(zerobustest.On(40, zerobustest.Wait(40*ms), zerobustest.Ack(40)),
				zerobustest.On(72, zerobustest.Ack(72)), zerobustest.On(92, zerobustest.Wait(time.Second), zerobustest.Ack(92))),
		)
		s := w.open(one(zerobus.WithRecoveryRetries(2), zerobus.WithRecoveryBackoff(500*ms))...)
		acks := w.ingest(s, 0, 25)
		time.Sleep(time.Second)
		acks = append(acks, w.ingest(s, 25, 75)...)
		w.must(s.Flush(w.Context()))
		third := w.conns(3)[2]
		wantRecords(w, "third connection", third.Records(), 27, 73)
		acks = append(acks, w.ingest(s, 100, 20)...)
		w.must(s.Close(w.Context()))
		for i, ack := range acks {
			if ack.Offset() != int64(i) || !ack.IsDone() || ack.Err() != nil {
				w.Errorf("ack %d: offset %d, done %v, error %v", i, ack.Offset(), ack.IsDone(), ack.Err())
			}
		}
		w.conns(3)
		wantRecords(w, "third connection", third.Records(), 27, 93)
		wantRecords(w, "durable", w.srv.Records(table), 0, 120)
		if n := len(w.unacked(s)); n != 0 {
			w.Errorf("%d unacknowledged", n)
		}
	})
}

func TestRecovery_RC02_UnavailableOnTheFirstRecord(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Unavailable, "gone"))),
			zerobustest.Accept(zerobustest.On(4, zerobustest.Ack(4))))
		s := w.open(one(zerobus.WithRecoveryBackoff(100 * ms))...)
		for i, ack := range w.ingest(s, 0, 5) {
			w.must(ack.Wait(w.Context()))
			if ack.Offset() != int64(i) {
				w.Errorf("offset %d; want %d", ack.Offset(), i)
			}
		}
		reqs := w.conns(2)[1].Requests()
		if len(reqs) != 5 || reqs[4].Offset != 4 {
			w.Errorf("requests %+v", reqs)
		}
		w.must(s.Close(w.Context()))
	})
}

func TestRecovery_RC03_TerminalCodeEndsTheStream(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.NotFound, "the table was dropped"))))
		s := w.open(zerobus.WithRecoveryRetries(5))
		ack := w.ingest(s, 0, 1)[0]
		wantErr(w, s.Flush(w.Context()), zerobus.ErrNonRetriable, "the table was dropped")
		wantErr(w, ack.Wait(w.Context()), zerobus.ErrStreamFailed, "the table was dropped")
		wantState(w, s, zerobus.StateFailed)
		w.conns(1)
	})
}

func TestRecovery_RC04_EveryConnectionFails(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Accept(zerobustest.After(0, zerobustest.Fail(codes.Unavailable, "gone"))))
		s := w.open(zerobus.WithRecoveryRetries(5), zerobus.WithRecoveryBackoff(500*ms))
		start := time.Now()
		w.ingest(s, 0, 50)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed, "gone", "6 failures")
		w.took("giving up", start, 15_500*ms, 19_375*ms) // waits of 0.5, 1, 2, 4 and 8 s
		wantState(w, s, zerobus.StateFailed)
		w.conns(6)
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 50)
	})
}

// A stream that opens every time and then fails is given up like one that does not open: 1 connection and 3 more.
func TestRecovery_RC09_OpeningIsNoProgress(t *testing.T) {
	inBubble(t, func(w *world) {
		var opened []time.Time
		w.srv.Otherwise(zerobustest.Accept(
			zerobustest.OnCreate(zerobustest.Do(func(*zerobustest.Connection) { opened = append(opened, time.Now()) })),
			zerobustest.On(0, zerobustest.Fail(codes.Internal, "disk on fire"))))
		s := w.open(zerobus.WithRecoveryRetries(3), zerobus.WithRecoveryBackoff(time.Second))
		w.ingest(s, 0, 1)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed, "disk on fire", "4 failures")
		w.conns(4)
		wantState(w, s, zerobus.StateFailed)
		for i, least := 1, time.Second; i < len(opened); i, least = i+1, 2*least {
			if d := opened[i].Sub(opened[i-1]); d < least || d > least+least/4 {
				w.Errorf("connection %d comes %v after the one before; want %v and up to a quarter", i, d, least)
			}
		}
	})
}

func TestRecovery_RC06_BA14_BatchIsSentAgainWhole(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(
			zerobustest.On(0, zerobustest.Ack(0)),
			zerobustest.On(1, zerobustest.Fail(codes.Unavailable, "gone"))))
		s := w.open(one(zerobus.WithRecoveryBackoff(100 * ms))...)
		single := w.ingest(s, 0, 1)[0]
		w.must(single.Wait(w.Context()))
		batch, err := s.IngestBatch(w.Context(), []zerobus.Record{rec(1), rec(2), rec(3)})
		w.must(err)
		w.must(batch.Wait(w.Context()))
		if single.Offset() != 0 || batch.Offset() != 1 {
			w.Errorf("offsets %d and %d", single.Offset(), batch.Offset())
		}
		reqs := w.conns(2)[1].Requests()
		if len(reqs) != 1 || reqs[0].Offset != 0 || !reqs[0].Batch {
			w.Fatalf("requests %+v", reqs)
		}
		wantRecords(w, "sent again", reqs[0].Records, 1, 3)
		w.must(s.Close(w.Context()))
	})
}

func TestRecovery_RC10_DifferentFailuresAreOneRow(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(0, zerobustest.Kill())),
			zerobustest.Refuse(codes.Internal, "one"),
			zerobustest.Accept(zerobustest.On(0, zerobustest.AckNothing(), zerobustest.Hang())),
			zerobustest.Accept(zerobustest.On(0, zerobustest.End())))
		s := w.open()
		w.ingest(s, 0, 1)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed, "4 failures")
		w.conns(4)
	})
}

// What no server could have meant ends the receiver, and the stream goes on with another one.
func TestRecovery_RC05_ReceiverEnds(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(99, zerobustest.Send([]byte{0xff, 0xff}), zerobustest.Hang())),
			zerobustest.Accept(zerobustest.On(99, zerobustest.Wait(5*time.Second), zerobustest.Ack(99))))
		s := w.open(one()...)
		start := time.Now()
		acks := w.ingest(s, 0, 100)
		w.must(s.Flush(w.Context()))
		w.took("flush", start, 7*time.Second, 7500*ms) // a wait of 2 s, and the server's 5 s
		for _, ack := range acks {
			w.must(ack.Err())
		}
		wantState(w, s, zerobus.StateOpened)
		w.conns(2)
		w.must(s.Close(w.Context()))
	})
}

// A service ends streams that are some minutes old: that is routine, and no reason to wake anybody.
func TestRecovery_RC07_RoutineEnd(t *testing.T) {
	inBubble(t, func(w *world) {
		const text = "Stream timeout reached. Closing the stream (ID: 1). Error Code: 6002, Error State: 0"
		w.srv.Script(zerobustest.Accept(zerobustest.On(1, zerobustest.Ack(0), zerobustest.Wait(15*time.Minute), zerobustest.Fail(codes.Unavailable, text))))
		s := w.open(one(zerobus.WithServerAckTimeout(time.Hour), zerobus.WithFlushTimeout(time.Hour))...)
		w.ingest(s, 0, 2)
		w.must(s.Flush(w.Context()))
		wantState(w, s, zerobus.StateOpened)
		w.conns(2)
		w.must(s.Close(w.Context()))
		told := 0
		for line := range strings.Lines(w.log.String()) {
			if strings.Contains(line, "6002") {
				told++
			}
			if !strings.Contains(line, "level=INFO") {
				w.Errorf("log %s", line)
			}
		}
		if told != 1 {
			w.Errorf("the end is logged %d times:\n%s", told, w.log)
		}
	})
}

// A try to connect that hangs ends with the recovery timeout, and is one of the failures in a row.
func TestRecovery_RC12_ATryHangs(t *testing.T) {
	for _, tt := range []struct {
		retries int
		healed  bool
		took    [2]time.Duration
	}{
		{2, true, [2]time.Duration{1300 * ms, 1375 * ms}}, // waits of 100 and 200 ms around the try's second
		{1, false, [2]time.Duration{1100 * ms, 1125 * ms}},
	} {
		t.Run(fmt.Sprintf("%d retries", tt.retries), func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Unavailable, "gone"))), zerobustest.Silent())
				s := w.open(zerobus.WithRecoveryRetries(tt.retries), zerobus.WithRecoveryTimeout(time.Second), zerobus.WithRecoveryBackoff(100*ms))
				start := time.Now()
				w.ingest(s, 0, 1)
				err := s.Flush(w.Context())
				w.took("flush", start, tt.took[0], tt.took[1])
				if tt.healed {
					w.must(err)
					w.conns(3)
					w.must(s.Close(w.Context()))
					return
				}
				wantErr(w, err, zerobus.ErrStreamFailed, "no response to create_stream", "gone", "2 failures")
				w.conns(2)
			})
		})
	}
}

func TestRecovery_RC13_RefusedWhileRecovering(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Unavailable, "going down"))),
			zerobustest.Refuse(codes.Unauthenticated, "token expired"))
		s := w.open()
		w.ingest(s, 0, 1)
		err := s.Flush(w.Context())
		wantErr(w, err, zerobus.ErrAuth, "token expired", "going down")
		wantErr(w, err, zerobus.ErrNonRetriable)
		if status.Code(err) != codes.Unauthenticated {
			w.Errorf("code %v", status.Code(err))
		}
		if got := fmt.Sprint(statusCodes(err)); got != "[Unauthenticated Unavailable]" {
			w.Errorf("statuses in the error: %s", got)
		}
		wantState(w, s, zerobus.StateFailed)
		w.conns(2)
	})
}

// statusCodes are those of the gRPC errors that can be reached from an error.
func statusCodes(err error) (found []codes.Code) {
	if s, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
		if _, ours := err.(*zerobus.Error); !ours {
			return []codes.Code{s.GRPCStatus().Code()}
		}
	}
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		return statusCodes(u.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range u.Unwrap() {
			found = append(found, statusCodes(e)...)
		}
	}
	return found
}

func TestRecovery_RC16_QueuedDuringTheOutage(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(4, zerobustest.Ack(1), zerobustest.Wait(ms), zerobustest.Kill())),
			zerobustest.Refuse(codes.Unavailable, "starting"))
		s := w.open(one(zerobus.WithRecoveryBackoff(time.Second))...)
		w.ingest(s, 0, 5)
		time.Sleep(500 * ms)
		wantState(w, s, zerobus.StateRecovering)
		w.ingest(s, 5, 10)
		w.must(s.Flush(w.Context()))
		wantRecords(w, "third connection", w.conns(3)[2].Records(), 2, 13)
		w.must(s.Close(w.Context()))
	})
}

func TestRecovery_RC17_SwitchedOff(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(2, zerobustest.Ack(0), zerobustest.Fail(codes.Unavailable, "gone"))))
		s := w.open(one(zerobus.WithRecovery(false))...)
		w.ingest(s, 0, 3)
		err := s.Flush(w.Context())
		wantErr(w, err, zerobus.ErrStreamFailed, "gone")
		if !zerobus.IsRetriable(err) {
			w.Error("UNAVAILABLE is worth another stream")
		}
		wantState(w, s, zerobus.StateFailed)
		wantRecords(w, "unacknowledged", w.unacked(s), 1, 2)
		w.conns(1)
	})
}

// The server is away for a while: connections are refused, then it is back.
func TestRecovery_ServerRestart(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(9, zerobustest.Ack(3), zerobustest.Wait(ms), zerobustest.Kill())))
		for range 6 {
			w.srv.Script(zerobustest.RefuseAtOnce(codes.Unavailable, "connection refused"))
		}
		s := w.open(one(zerobus.WithRecoveryRetries(10), zerobus.WithRecoveryBackoff(500*ms))...)
		w.ingest(s, 0, 20)
		w.must(s.Flush(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 20)
		w.must(s.Close(w.Context()))
	})
}

func TestRecovery_LogsWhatItDoes(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Internal, "disk on fire"))))
		s := w.open()
		w.ingest(s, 0, 1)
		w.must(s.Close(w.Context()))
		for _, part := range []string{"connecting again", "disk on fire", "table=" + table, "attempt=1", "unacknowledged_records=1"} {
			wantErr(w, errors.New(w.log.String()), nil, part)
		}
	})
}

func TestRecovery_ManyFailuresLoseNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		ends := []zerobustest.Action{zerobustest.Kill(), zerobustest.End(), zerobustest.Fail(codes.Internal, "x"), zerobustest.CloseSignal(10 * ms)}
		for i := range 20 {
			at := int64(3 + i*7%11)
			w.srv.Script(zerobustest.Accept(zerobustest.On(at, zerobustest.Ack(at-int64(1+i%3)), zerobustest.Wait(ms), ends[i%len(ends)])))
		}
		s := w.open(one(zerobus.WithRecoveryBackoff(10 * ms))...)
		const n = 500
		w.ingest(s, 0, n)
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, n)
		if c := len(w.srv.Connections()); c < 20 {
			w.Errorf("only %d connections", c)
		}
		if u := w.unacked(s); len(u) != 0 {
			w.Errorf("%d unacknowledged: %s", len(u), fmt.Sprint(u))
		}
	})
}
