package zerobus_test

import (
	"context"
	"sync"
	"testing"
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
		w.ingest(s, 0, 2)
		time.Sleep(ms)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamClosed, "disk on fire")
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed)

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

func TestFlush_FL07_FL08_IsASnapshotAndIngestGoesOn(t *testing.T) {
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
	})
}

func TestFlush_FL13_BesideIngest(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		const workers, each = 8, 2000
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

func TestFlush_FL10_FL15_ManyAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(100 * ms)))
		s := w.open()
		w.ingest(s, 0, 10)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := s.Flush(w.Context()); err != nil {
					w.Error(err)
				}
			})
		}
		wg.Wait()
		for range 50 {
			wg.Go(func() {
				if err := s.Close(w.Context()); err != nil {
					w.Error(err)
				}
			})
		}
		wg.Wait()
	})
}
