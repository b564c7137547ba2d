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

func TestFlush_FL01_WaitsForTheLast(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(4, zerobustest.Wait(200*ms), zerobustest.Ack(4))))
		s := w.open(one()...)
		start := time.Now()
		w.ingest(s, 0, 5)
		w.must(s.Flush(w.Context()))
		w.took("flush", start, 200*ms, 200*ms)
		reqs := w.conns(1)[0].Requests()
		if len(reqs) != 5 || reqs[4].Offset != 4 {
			w.Errorf("requests %+v", reqs)
		}
		w.must(s.Close(w.Context()))
	})
}

func TestFlush_FL02_NothingToFlush(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		start := time.Now()
		w.must(s.Flush(w.Context()))
		w.took("flush", start, 0, 0)
		wantState(w, s, zerobus.StateOpened)
		w.must(s.Close(w.Context()))
	})
}

func TestFlush_FL03_FL12_TimeoutLeavesTheStreamUsable(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(
			zerobustest.On(4, zerobustest.Wait(300*ms), zerobustest.Ack(4)),
			zerobustest.On(5, zerobustest.Ack(5))))
		s := w.open(one(zerobus.WithFlushTimeout(100 * ms))...)
		start := time.Now()
		w.ingest(s, 0, 5)
		err := s.Flush(w.Context())
		wantErr(w, err, zerobus.ErrFlushTimeout)
		if !zerobus.IsRetriable(err) {
			w.Error("a flush may be tried again")
		}
		w.took("flush", start, 100*ms, 100*ms)
		wantState(w, s, zerobus.StateOpened)
		time.Sleep(250 * ms)
		w.ingest(s, 5, 1)
		w.must(s.Flush(w.Context()))
		w.must(s.Close(w.Context()))
	})
}

func TestFlush_FL06_FL09_FailedStream(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(0, zerobustest.Ack(0)), zerobustest.On(1, zerobustest.Fail(codes.Internal, "disk on fire"))),
			zerobustest.Accept(zerobustest.On(0, zerobustest.Ack(0), zerobustest.Wait(ms), zerobustest.Fail(codes.Internal, "disk on fire"))))
		s := w.open(one(zerobus.WithRecovery(false))...)
		start := time.Now()
		w.ingest(s, 0, 2)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamClosed, "disk on fire") // it fails meanwhile
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed)
		w.took("both", start, 0, 0)

		// With everything acknowledged there is nothing that a flush could miss.
		s = w.open(one(zerobus.WithRecovery(false))...)
		w.ingest(s, 0, 1)
		time.Sleep(10 * ms)
		wantState(w, s, zerobus.StateFailed)
		w.must(s.Flush(w.Context()))
		wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed, "disk on fire") // CL-10: it has failed all the same
		w.must(s.Close(w.Context()))
	})
}

// A flush is a snapshot, and the state shows it (D2).
func TestFlush_FL07_IsASnapshotAndIngestGoesOn(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(
			zerobustest.On(9, zerobustest.Wait(500*ms), zerobustest.Ack(9)),
			zerobustest.On(14, zerobustest.Wait(time.Second), zerobustest.Ack(14))))
		s := w.open(one()...)
		start := time.Now()
		w.ingest(s, 0, 10)
		flushed := make(chan error, 1)
		go func() { flushed <- s.Flush(w.Context()) }()
		time.Sleep(100 * ms)
		wantState(w, s, zerobus.StateFlushing)
		later := w.ingest(s, 10, 5)
		w.took("ingest beside the flush", start, 100*ms, 100*ms)
		w.must(<-flushed)
		w.took("flush", start, 500*ms, 500*ms)
		wantState(w, s, zerobus.StateOpened)
		w.must(later[4].Wait(w.Context()))
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 15)
	})
}

func TestFlush_FL05_AfterClose(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		w.ingest(s, 0, 100)
		w.must(s.Close(w.Context()))
		w.must(s.Flush(w.Context()))
		wantState(w, s, zerobus.StateClosed)
		_, err := s.Ingest(w.Context(), rec(100))
		wantErr(w, err, zerobus.ErrStreamClosed)
		wantRecords(w, "durable", w.srv.Records(table), 0, 100)
	})
}

// Close flushes, for as long as the server makes progress in time.
func TestFlush_FL04_CloseWaitsForAHundred(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(99, zerobustest.Wait(2*time.Second), zerobustest.Ack(99))))
		s := w.open(one(zerobus.WithServerAckTimeout(10 * time.Second))...)
		start := time.Now()
		w.ingest(s, 0, 100)
		w.must(s.Close(w.Context()))
		w.took("close", start, 2*time.Second, 2*time.Second)
		if n := requests(w.conns(1)); n != 100 {
			w.Errorf("%d requests", n)
		}
		if n := len(w.unacked(s)); n != 0 {
			w.Errorf("%d unacknowledged", n)
		}
	})
}

func TestFlush_FL08_OneMoreBesideIt(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(
			zerobustest.On(99, zerobustest.Wait(2*time.Second), zerobustest.Ack(99)),
			zerobustest.On(100, zerobustest.Wait(time.Second), zerobustest.Ack(100))))
		s := w.open(one()...)
		start := time.Now()
		w.ingest(s, 0, 100)
		flushed := make(chan error, 1)
		go func() { flushed <- s.Flush(w.Context()) }()
		synctest.Wait()
		time.Sleep(1900 * ms)
		last := w.ingest(s, 100, 1)[0]
		w.must(<-flushed)
		w.took("flush", start, 2*time.Second, 2*time.Second)
		if last.IsDone() {
			w.Error("the flush has waited for what came after it began, or a record is done that is not")
		}
		w.must(last.Wait(w.Context()))
		w.took("the last record", start, 2900*ms, 2900*ms)
		if n := requests(w.conns(1)); last.Offset() != 100 || n != 101 {
			w.Errorf("offset %d, %d requests", last.Offset(), n)
		}
		wantState(w, s, zerobus.StateOpened)
		w.must(s.Close(w.Context()))
	})
}

func TestFlush_FL13_BesideIngest(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		const workers, each = 8, 10_000
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for i := range each {
					if _, err := s.Ingest(w.Context(), rec(i)); err != nil {
						w.Error(err)
						return
					}
					if i%100 == 0 {
						if err := s.Flush(w.Context()); err != nil {
							w.Error(err)
							return
						}
					}
				}
			})
		}
		wg.Wait()
		w.must(s.Close(w.Context()))
		if n := len(w.srv.Records(table)); n != workers*each {
			w.Errorf("%d records are durable; want %d", n, workers*each)
		}
	})
}

func TestFlush_FL14_ContextEnds(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(time.Second)))
		s := w.open()
		w.ingest(s, 0, 3)
		wantErr(w, s.Flush(w.timeout(100*ms)), context.DeadlineExceeded)
		ctx, cancel := context.WithCancel(w.Context())
		time.AfterFunc(100*ms, cancel)
		wantErr(w, s.Flush(ctx), context.Canceled)
		w.ingest(s, 3, 1)
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 4)
	})
}

func TestFlush_FL10_AgainAndAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		w.ingest(s, 0, 50)
		w.must(s.Flush(w.Context()))
		wantRecords(w, "durable after the flush", w.srv.Records(table), 0, 50)
		w.ingest(s, 50, 50)
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 100)

		s = w.open()
		acks := w.ingest(s, 100, 11) // that nobody waits for
		w.must(s.Flush(w.Context()))
		for i, ack := range acks {
			if !ack.IsDone() || ack.Err() != nil {
				w.Errorf("ack %d: done %v, error %v", i, ack.IsDone(), ack.Err())
			}
		}
		w.must(s.Close(w.Context()))
	})
}

func TestFlush_FL15_AtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(100 * ms)))
		s := w.open()
		start := time.Now()
		w.ingest(s, 0, 10)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := s.Flush(w.Context()); err != nil {
					w.Error(err)
				}
				w.took("flush", start, 100*ms, 100*ms)
			})
		}
		wg.Wait()
		w.must(s.Close(w.Context()))
	})
}
