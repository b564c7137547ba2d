package zerobus_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// poison has the server refuse the records with these numbers.
func (w *world) poison(numbers ...int) {
	w.srv.Validate(table, func(record []byte) error {
		for _, n := range numbers {
			if bytes.Equal(record, rec(n).Bytes()) {
				return fmt.Errorf("no column %d", n)
			}
		}
		return nil
	})
}

// rejections collects what a reject handler is given.
type rejections []zerobus.Rejected

func (r *rejections) handler() zerobus.StreamOption {
	return zerobus.WithRejectHandler(func(x zerobus.Rejected) { *r = append(*r, x) })
}

func TestReject_NeighboursAreAcknowledged(t *testing.T) {
	for _, bad := range [][]int{{0}, {999}, {500}, {17, 18}, {0, 1, 999}, {100, 300, 500, 700, 900}} {
		t.Run(fmt.Sprint(bad), func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.poison(bad...)
				var got rejections
				var told []int64
				s := w.open(got.handler(), zerobus.WithAckHandler(zerobus.AckHandler{
					OnAck:   func(o int64) { told = append(told, o) },
					OnError: func(o int64, err error) { wantErr(w, err, zerobus.ErrRejected); told = append(told, o) },
				}))
				acks := w.ingest(s, 0, 1000)
				w.must(s.Flush(w.Context()))
				for i, ack := range acks {
					if !ack.IsDone() {
						w.Fatalf("record %d is not settled after Flush", i)
					}
					if !slices.Contains(bad, i) {
						w.must(ack.Err())
						continue
					}
					wantErr(w, ack.Err(), zerobus.ErrRejected, fmt.Sprintf("no column %d", i), fmt.Sprintf("offset %d", i), table)
					wantErr(w, ack.Wait(w.Context()), zerobus.ErrInvalidArgument)
					wantErr(w, s.WaitForOffset(w.Context(), int64(i)), zerobus.ErrRejected)
					if zerobus.IsRetriable(ack.Err()) || errors.Is(ack.Err(), zerobus.ErrStreamClosed) {
						w.Errorf("%v is of the wrong kind", ack.Err())
					}
				}
				synctest.Wait() // the last record may be a refused one
				wantState(w, s, zerobus.StateOpened)
				w.must(s.Close(w.Context()))
				if len(got) != len(bad) {
					w.Fatalf("%d rejected; want %d", len(got), len(bad))
				}
				for i, r := range got {
					if r.Offset != int64(bad[i]) || len(r.Records) != 1 || !bytes.Equal(r.Records[0].Bytes(), rec(bad[i]).Bytes()) {
						w.Errorf("rejected %d: %s", r.Offset, r.Records[0].Bytes())
					}
				}
				for i := range told {
					if told[i] != int64(i) {
						w.Fatalf("told %d as number %d", told[i], i)
					}
				}
				if len(told) != 1000 {
					w.Errorf("told %d offsets", len(told))
				}
				var want [][]byte
				for i := range 1000 {
					if !slices.Contains(bad, i) {
						want = append(want, rec(i).Bytes())
					}
				}
				if !slices.EqualFunc(w.srv.Records(table), want, bytes.Equal) {
					w.Errorf("%d records are durable, or in another order; want %d", len(w.srv.Records(table)), len(want))
				}
				if n := len(w.unacked(s)); n != 0 {
					w.Errorf("%d unacknowledged", n)
				}
				// A connection for the beginning, and log2(1000) + 2 for each bad record.
				if n := len(w.srv.Connections()); n > 1+12*len(bad) {
					w.Errorf("%d connections for %d bad records", n, len(bad))
				}
			})
		})
	}
}

func TestReject_ABatchIsRefusedWhole(t *testing.T) {
	inBubble(t, func(w *world) {
		w.poison(5)
		var got rejections
		s := w.open(got.handler())
		w.ingest(s, 0, 2)
		batch := w.batch(s, 2, 5)
		last := w.ingest(s, 7, 1)[0]
		w.must(last.Wait(w.Context()))
		wantErr(w, batch.Err(), zerobus.ErrRejected, "offset 2")
		w.must(s.Close(w.Context()))
		if len(got) != 1 || got[0].Offset != 2 || len(got[0].Records) != 5 {
			w.Fatalf("rejected %+v", got)
		}
		if n := len(w.srv.Records(table)); n != 3 {
			w.Errorf("%d records are durable; want 3", n)
		}
	})
}

func TestReject_WithoutAHandlerTheStreamEnds(t *testing.T) {
	inBubble(t, func(w *world) {
		w.poison(2)
		s := w.open(one()...)
		acks := w.ingest(s, 0, 4)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed, "no column 2")
		w.must(acks[1].Err())
		wantErr(w, acks[2].Err(), zerobus.ErrInvalidArgument)
		wantRecords(w, "unacknowledged", w.unacked(s), 2, 2)
		w.conns(1)
	})
}

// A refusal of the stream is not one of a record.
func TestReject_RefusedStreamsEnd(t *testing.T) {
	inBubble(t, func(w *world) {
		var got rejections
		w.srv.Script(zerobustest.Refuse(codes.InvalidArgument, "the descriptor does not fit"))
		_, err := w.create(got.handler())
		wantErr(w, err, zerobus.ErrInvalidArgument, "descriptor")
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Unavailable, "moved"))),
			zerobustest.Refuse(codes.InvalidArgument, "the table has changed"))
		s := w.open(got.handler())
		w.ingest(s, 0, 1)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed, "the table has changed")
		w.must(w.sdk.Close())
		if len(got) != 0 {
			w.Errorf("rejected %+v", got)
		}
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 1)
		_, err = w.create(got.handler(), zerobus.WithRecovery(false))
		wantErr(w, err, zerobus.ErrInvalidArgument, "Recovery is off")
		wantErr(w, zerobus.StreamSettings{RejectHandler: func(zerobus.Rejected) {}}.Validate(), zerobus.ErrInvalidArgument, "Recovery is off")
	})
}

// Nothing but bad records: each is handed over, at a pace that the server can bear.
func TestReject_OnlyBadRecords(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Validate(table, func([]byte) error { return errors.New("never") })
		var got rejections
		s := w.open(got.handler())
		start := time.Now()
		w.ingest(s, 0, 300)
		w.must(s.Close(w.Context()))
		if len(got) != 300 {
			w.Fatalf("%d rejected", len(got))
		}
		n := len(w.srv.Connections())
		w.took("closing", start, time.Duration(n-70)*100*ms, time.Duration(n-60)*100*ms)
		for i, r := range got {
			if r.Offset != int64(i) {
				w.Fatalf("rejected %d as number %d", r.Offset, i)
			}
		}
	})
}

// A handler that is slow slows producers down, and one that panics, or closes the stream, does no harm.
func TestReject_SlowPanickingClosingHandler(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Validate(table, func([]byte) error { return errors.New("never") })
		s := w.open(zerobus.WithMaxInflightRecords(2), zerobus.WithRejectHandler(func(r zerobus.Rejected) {
			time.Sleep(time.Second)
			panic("no idea")
		}))
		start := time.Now()
		w.ingest(s, 0, 6)
		w.took("ingest", start, 4*time.Second, 5*time.Second)
		w.must(s.Close(w.Context()))
		if n := bytes.Count([]byte(w.log.String()), []byte("no idea")); n != 6 {
			w.Errorf("%d panics are logged", n)
		}

		closed := make(chan error, 10)
		var c *zerobus.Stream
		ready := make(chan struct{})
		c = w.open(zerobus.WithRejectHandler(func(zerobus.Rejected) { <-ready; closed <- c.Close(w.Context()) }))
		close(ready)
		w.ingest(c, 0, 1)
		w.must(<-closed)
		wantState(w, c, zerobus.StateClosed)
	})
}

// Other failures while a refused record is looked for cost nothing but time.
func TestReject_BesidesOtherFailures(t *testing.T) {
	inBubble(t, func(w *world) {
		w.poison(33)
		for range 3 {
			w.srv.Script(
				zerobustest.Accept(zerobustest.AckAll()),
				zerobustest.Accept(zerobustest.On(0, zerobustest.Kill())),
				zerobustest.Accept(zerobustest.AckAll(), zerobustest.On(1, zerobustest.CloseSignal(time.Second))))
		}
		var got rejections
		s := w.open(got.handler(), zerobus.WithMaxBatchRecords(40))
		w.ingest(s, 0, 100)
		w.must(s.Close(w.Context()))
		if len(got) != 1 || got[0].Offset != 33 {
			w.Errorf("rejected %+v", got)
		}
	})
}

// A handler may correct a record and ingest it again, also when refused records take up all the room.
func TestReject_HandlerMayIngest(t *testing.T) {
	inBubble(t, func(w *world) {
		w.poison(0, 1, 2)
		var s *zerobus.Stream
		ready := make(chan struct{})
		s = w.open(one(zerobus.WithMaxInflightRecords(2), zerobus.WithRejectHandler(func(r zerobus.Rejected) {
			<-ready
			if _, err := s.Ingest(w.Context(), rec(100+int(r.Offset))); err != nil {
				w.Error(err)
			}
		}))...)
		close(ready)
		start := time.Now()
		w.ingest(s, 0, 3)
		w.must(s.Flush(w.Context()))
		time.Sleep(time.Second)
		w.must(s.Close(w.Context()))
		w.took("all", start, time.Second, 2*time.Second)
		if n := len(w.srv.Records(table)); n != 3 {
			w.Errorf("%d records are durable; want the three corrected ones", n)
		}
	})
}

// A record that was on its way when the server refused something else is no refused record.
func TestReject_TheStreamIsRefusedWhileARecordIsOnItsWay(t *testing.T) {
	inBubble(t, func(w *world) {
		var got rejections
		w.srv.Script(zerobustest.Accept(zerobustest.AckAll(), zerobustest.On(0, zerobustest.Fail(codes.InvalidArgument, "the table has changed"))))
		w.srv.Otherwise(zerobustest.Refuse(codes.InvalidArgument, "the table has changed"))
		s := w.open(got.handler())
		ack := w.ingest(s, 0, 1)[0]
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed, "the table has changed")
		wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed)
		wantErr(w, ack.Err(), zerobus.ErrStreamFailed)
		if len(got) != 0 {
			w.Errorf("rejected %+v", got)
		}
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 1)
	})
}

// A refused record that waits for a slow handler is nothing unacknowledged: the stream is idle, and rotations are routine.
func TestReject_AWaitingHandlerIsNoTraffic(t *testing.T) {
	inBubble(t, func(w *world) {
		w.poison(0)
		for range 8 {
			w.srv.Script(zerobustest.Accept(zerobustest.AckAll(), zerobustest.After(10*time.Minute, zerobustest.CloseSignal(time.Second))))
		}
		release := make(chan struct{})
		s := w.open(zerobus.WithRejectHandler(func(zerobus.Rejected) { <-release }))
		w.ingest(s, 0, 1)
		time.Sleep(2 * time.Hour)
		wantState(w, s, zerobus.StateOpened)
		close(release)
		w.must(s.Close(w.Context()))
	})
}

// Offsets are known as refused for ever, the server's words for the last thousand.
func TestReject_ReasonsAreForgotten(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Validate(table, func(b []byte) error {
			if bytes.Contains(b, []byte("7")) {
				return errors.New("a seven")
			}
			return nil
		})
		n := 0
		s := w.open(one(zerobus.WithMaxInflightRecords(1), zerobus.WithRejectHandler(func(zerobus.Rejected) { n++ }))...)
		acks := w.ingest(s, 0, 4000)
		w.must(s.Close(w.Context()))
		if n < 1050 {
			w.Fatalf("%d rejected; the test wants more than 1000", n)
		}
		words := 0
		for i, ack := range acks {
			bad := bytes.Contains(rec(i).Bytes(), []byte("7"))
			if errors.Is(ack.Err(), zerobus.ErrRejected) != bad {
				w.Fatalf("record %d: %v", i, ack.Err())
			}
			if bad && bytes.Contains([]byte(ack.Err().Error()), []byte("a seven")) {
				words++
			}
		}
		if words != 1000 {
			w.Errorf("%d reasons are kept", words)
		}
	})
}
