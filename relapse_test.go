package zerobus_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// A recovery that fails in its middle must begin again from what is unacknowledged then.

// A connection that dies while it sends again, after some of that was acknowledged (P2).
func TestRelapse_DiesInTheReplay(t *testing.T) {
	inBubble(t, func(w *world) {
		for _, at := range []int64{49, 30, 20, 5, 0} {
			w.srv.Script(zerobustest.Accept(zerobustest.On(at, zerobustest.Ack(at/2), zerobustest.Wait(ms), zerobustest.Kill())))
		}
		var got outcomes
		s := w.open(one(got.handler(), zerobus.WithRecoveryBackoff(ms))...)
		acks := w.ingest(s, 0, 80)
		w.must(s.Close(w.Context()))
		w.wantSettled(s, acks, &got)
		left := 0
		for i, c := range w.conns(6) {
			if records := c.Records(); len(records) > 0 {
				wantRecords(w, "connection", records, left, len(records))
			}
			if i < 5 {
				left += []int{25, 16, 11, 3, 1}[i]
			}
		}
		wantRecords(w, "durable", w.srv.Records(table), 0, 80)
	})
}

func TestRelapse_FlushGoesThroughAll(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(4, zerobustest.Ack(0), zerobustest.Wait(ms), zerobustest.Kill())),
			zerobustest.Refuse(codes.Unavailable, "starting"),
			zerobustest.Accept(zerobustest.On(2, zerobustest.Ack(0), zerobustest.Wait(ms), zerobustest.End())),
			zerobustest.Accept(zerobustest.On(2, zerobustest.CloseSignal(time.Second), zerobustest.Wait(500*ms), zerobustest.Fail(codes.Internal, "disk on fire"))),
		)
		s := w.open(one(zerobus.WithRecoveryBackoff(100 * ms))...)
		acks := w.ingest(s, 0, 5)
		time.Sleep(50 * ms)
		wantState(w, s, zerobus.StateRecovering)
		flushed := make(chan error, 1)
		go func() { flushed <- s.Flush(w.Context()) }()
		synctest.Wait()
		select {
		case err := <-flushed:
			w.Fatalf("flush returns during the recovery: %v", err)
		default:
		}
		w.must(<-flushed)
		for _, ack := range acks {
			if !ack.IsDone() || ack.Err() != nil {
				w.Errorf("record %d is not durable after the flush", ack.Offset())
			}
		}
		wantRecords(w, "durable", w.srv.Records(table), 0, 5)
		w.conns(5)
		w.must(s.Close(w.Context()))
	})
}

func TestRelapse_CloseSignalInTheReplay(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(49, zerobustest.Ack(4), zerobustest.Wait(ms), zerobustest.Kill())),
			zerobustest.Accept(zerobustest.On(10, zerobustest.CloseSignal(time.Second), zerobustest.Ack(7))),
		)
		var got outcomes
		s := w.open(one(got.handler())...)
		acks := w.ingest(s, 0, 50)
		w.must(s.Close(w.Context()))
		w.wantSettled(s, acks, &got)
		conns := w.conns(3)
		wantRecords(w, "third connection", conns[2].Records(), 13, 37)
	})
}

// The second signal is about the same end: the first one's time counts.
func TestRelapse_TwoCloseSignals(t *testing.T) {
	for name, second := range map[string]zerobustest.Action{
		"later": zerobustest.CloseSignal(time.Hour), "sooner": zerobustest.CloseSignal(ms), "now": zerobustest.CloseSignalNow(),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept(zerobustest.On(2, zerobustest.CloseSignal(time.Second), zerobustest.Wait(100*ms), second)))
				s := w.open(one()...)
				start := time.Now()
				w.ingest(s, 0, 3)
				w.must(s.Flush(w.Context()))
				w.took("flush", start, time.Second, time.Second)
				wantRecords(w, "second connection", w.conns(2)[1].Records(), 0, 3)
				w.must(s.Close(w.Context()))
			})
		})
	}
}

// The server closes earlier than it said, and with OK.
func TestRelapse_EndInThePause(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(2, zerobustest.CloseSignal(time.Minute), zerobustest.Ack(0), zerobustest.Wait(time.Second), zerobustest.End())))
		s := w.open(one()...)
		start := time.Now()
		w.ingest(s, 0, 3)
		w.must(s.Close(w.Context()))
		w.took("close", start, time.Second, time.Second)
		wantRecords(w, "second connection", w.conns(2)[1].Records(), 1, 2)
	})
}

func TestRelapse_TryIngestInThePause(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.CloseSignal(time.Second))))
		s := w.open(one(zerobus.WithMaxInflightRecords(3))...)
		w.ingest(s, 0, 1)
		synctest.Wait()
		for i := range 2 {
			_, err := s.TryIngest(rec(1 + i))
			w.must(err)
		}
		_, err := s.TryIngest(rec(3))
		wantErr(w, err, zerobus.ErrWouldBlock)
		synctest.Wait()
		wantRecords(w, "first connection", w.conns(1)[0].Records(), 0, 1)
		w.must(s.Flush(w.Context()))
		_, err = s.TryIngest(rec(3))
		w.must(err)
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 4)
	})
}

// A server that acknowledges one record on each connection makes progress, if slowly, and is not given up.
func TestRelapse_OneAckPerConnection(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Accept(zerobustest.On(0, zerobustest.Ack(0), zerobustest.Wait(ms), zerobustest.Fail(codes.Unavailable, "gone"))))
		var got outcomes
		s := w.open(one(got.handler(), zerobus.WithRecoveryRetries(1), zerobus.WithRecoveryBackoff(10*ms))...)
		acks := w.ingest(s, 0, 30)
		w.must(s.Close(w.Context()))
		w.wantSettled(s, acks, &got)
		wantRecords(w, "durable", w.srv.Records(table), 0, 30)
	})
}

// Faults of a server that are found one after the other, each of them ends a connection and none of them a record.
func TestRelapse_FaultyServers(t *testing.T) {
	created := wire.AppendResponse(nil, wire.Response{Kind: wire.ResponseCreated, StreamID: "again"})
	for name, tt := range map[string]struct {
		step zerobustest.Step
		want string
	}{
		"create is answered twice":      {zerobustest.After(0, zerobustest.Send(created), zerobustest.Hang()), "create_stream_response after the handshake"},
		"an ack of an older connection": {zerobustest.On(1, zerobustest.Ack(4), zerobustest.Hang()), "acknowledged offset 4"},
		"the largest offset":            {zerobustest.On(1, zerobustest.Ack(1<<63-1), zerobustest.Hang()), "acknowledged offset 9223372036854775807"},
		"more than gRPC takes":          {zerobustest.On(0, zerobustest.Send(make([]byte, 5<<20)), zerobustest.Hang()), "larger than max"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(
					zerobustest.Accept(zerobustest.On(4, zerobustest.Ack(1), zerobustest.Wait(ms), zerobustest.End())),
					zerobustest.Accept(tt.step), zerobustest.Accept(tt.step))
				var got outcomes
				s := w.open(one(got.handler(), zerobus.WithRecoveryBackoff(ms))...)
				acks := w.ingest(s, 0, 5)
				w.must(s.Flush(w.Context()))
				w.must(s.Close(w.Context()))
				w.wantSettled(s, acks, &got)
				wantRecords(w, "fourth connection", w.conns(4)[3].Records(), 2, 3)
				if !strings.Contains(w.log.String(), tt.want) {
					w.Errorf("the log does not say %q:\n%s", tt.want, w.log)
				}
			})
			inBubble(t, func(w *world) { // and for ever
				w.srv.Otherwise(zerobustest.Accept(tt.step))
				s := w.open(one(zerobus.WithRecoveryBackoff(ms))...)
				w.ingest(s, 0, 2)
				wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed, "4 failures")
				w.conns(4)
				wantRecords(w, "unacknowledged", w.unacked(s), 0, 2)
			})
		})
	}
}

// An acknowledgement for nothing is not kept for the record that comes next.
func TestRelapse_AckBeforeAnyRecord(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.After(time.Second, zerobustest.Ack(0), zerobustest.Hang())),
			zerobustest.Accept())
		s := w.open(one(zerobus.WithRecoveryBackoff(ms))...)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		wantState(w, s, zerobus.StateOpened)
		conns := w.conns(2)
		ack := w.ingest(s, 0, 1)[0]
		synctest.Wait()
		if ack.IsDone() {
			w.Error("acknowledged before it was there")
		}
		conns[1].Ack(0)
		w.must(ack.Wait(w.Context()))
		w.must(s.Close(w.Context()))
		if !strings.Contains(w.log.String(), "before anything was sent") {
			w.Errorf("log:\n%s", w.log)
		}
	})
	inBubble(t, func(w *world) { // and for ever
		w.srv.Otherwise(zerobustest.Accept(zerobustest.After(time.Second, zerobustest.Ack(0), zerobustest.Hang())))
		s := w.open(zerobus.WithRecoveryBackoff(ms))
		time.Sleep(time.Minute)
		synctest.Wait()
		wantErr(w, s.Err(), zerobus.ErrStreamFailed, "before anything was sent", "4 failures")
		w.conns(4)
	})
}

// Ids differ from connection to connection, or do not; errors have that of the connection that they are about.
func TestRelapse_StreamIDs(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.StreamID("first"), zerobustest.On(0, zerobustest.Wait(ms), zerobustest.Kill())),
			zerobustest.Accept(zerobustest.StreamID("second"), zerobustest.AckAll(), zerobustest.After(time.Minute, zerobustest.Kill())),
			zerobustest.Accept(zerobustest.StreamID("second"), zerobustest.AckAll(), zerobustest.On(1, zerobustest.Fail(codes.NotFound, "dropped"))),
		)
		s := w.open(one()...)
		if s.ID() != "first" {
			w.Errorf("id %q", s.ID())
		}
		w.must(w.ingest(s, 0, 1)[0].Wait(w.Context()))
		if s.ID() != "second" {
			w.Errorf("id %q", s.ID())
		}
		time.Sleep(2 * time.Minute)
		w.must(w.ingest(s, 1, 1)[0].Wait(w.Context()))
		err := w.ingest(s, 2, 1)[0].Wait(w.Context())
		wantErr(w, err, zerobus.ErrStreamFailed, "(stream second)", "offset 2")
		if status.Code(err) != codes.NotFound || s.ID() != "second" {
			w.Errorf("code %v, id %q", status.Code(err), s.ID())
		}
		w.conns(3)
	})
}

// A server that says much about its failure.
func TestRelapse_LongErrorText(t *testing.T) {
	inBubble(t, func(w *world) {
		text := strings.Repeat("very ", 20_000) + "bad"
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.NotFound, text))))
		s := w.open()
		w.ingest(s, 0, 1)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed, text)
	})
}

// A stream that is held up by flow control in its middle is left when the ack timeout is over, with all that was and was not sent.
func TestRelapse_HeldUpThenReplaced(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(3, zerobustest.Ack(1), zerobustest.StopReading())))
		s := w.open(zerobus.WithServerAckTimeout(time.Second), zerobus.WithMaxBatchRecords(1))
		large := strings.Repeat("x", 500_000)
		for i := range 40 {
			_, err := s.Ingest(w.Context(), zerobus.JSONString(large[:500_000-i]))
			w.must(err)
		}
		w.must(s.Close(w.Context()))
		got := w.srv.Records(table)
		if len(got) != 40 {
			w.Fatalf("%d records are durable", len(got))
		}
		for i, r := range got {
			if len(r) != 500_000-i {
				w.Errorf("record %d has %d bytes", i, len(r))
			}
		}
		w.conns(2)
	})
}
