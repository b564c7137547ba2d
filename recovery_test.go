package zerobus_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
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
			zerobustest.Accept(zerobustest.On(8, zerobustest.Wait(5*ms), zerobustest.Ack(8), gone)),
			zerobustest.Accept(zerobustest.AckAll()),
		)
		s := w.open(one(zerobus.WithRecoveryRetries(2), zerobus.WithRecoveryBackoff(500*ms))...)
		acks := w.ingest(s, 0, 25)
		time.Sleep(time.Second)
		acks = append(acks, w.ingest(s, 25, 75)...)
		w.must(s.Flush(w.Context()))
		acks = append(acks, w.ingest(s, 100, 20)...)
		w.must(s.Close(w.Context()))
		for i, ack := range acks {
			if ack.Offset() != int64(i) || !ack.IsDone() || ack.Err() != nil {
				w.Errorf("ack %d: offset %d, done %v, error %v", i, ack.Offset(), ack.IsDone(), ack.Err())
			}
		}
		conns := w.conns(3)
		wantRecords(w, "third connection", conns[2].Records(), 25, 95)
		wantRecords(w, "durable", w.srv.Records(table), 0, 120)
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

func TestRecovery_RC04_RC09_NoProgressIsBounded(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Unavailable, "gone"))))
		s := w.open(zerobus.WithRecoveryRetries(5), zerobus.WithRecoveryBackoff(500*ms))
		start := time.Now()
		w.ingest(s, 0, 50)
		err := s.Flush(w.Context())
		wantErr(w, err, zerobus.ErrStreamFailed, "gone", "6 failures")
		w.took("giving up", start, 15500*ms, 19375*ms)
		w.conns(6)
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 50)
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
		w.conns(2)
	})
}

func TestRecovery_RC14_EveryEndReconnects(t *testing.T) {
	for name, end := range map[string]zerobustest.Action{"ended": zerobustest.End(), "reset": zerobustest.Kill()} {
		t.Run(name+" in flight", func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept(zerobustest.On(0, end)))
				s := w.open()
				w.ingest(s, 0, 3)
				w.must(s.Close(w.Context()))
				wantRecords(w, "durable", w.srv.Records(table), 0, 3)
			})
		})
		t.Run(name+" idle", func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept(zerobustest.After(time.Minute, end)))
				s := w.open()
				id := s.ID()
				time.Sleep(time.Minute)
				synctest.Wait()
				wantState(w, s, zerobus.StateOpened)
				if s.ID() == id {
					w.Error("the id is that of the lost connection")
				}
				w.ingest(s, 0, 3)
				w.must(s.Close(w.Context()))
				wantRecords(w, "durable", w.srv.Records(table), 0, 3)
			})
		})
	}
}

// Servers end idle streams every some minutes. That must not use up the retries.
func TestRecovery_IdleStreamLivesForEver(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Accept(zerobustest.AckAll(),
			zerobustest.After(15*time.Minute, zerobustest.Fail(codes.Unavailable, "Stream timeout reached. Error Code: 6002"))))
		s := w.open()
		time.Sleep(24 * time.Hour)
		wantState(w, s, zerobus.StateOpened)
		w.ingest(s, 0, 1)
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 1)
	})
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
