package zerobus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

func TestBackpressure_BP01_RecordLimit(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(
			zerobustest.On(9, zerobustest.Wait(500*ms), zerobustest.Ack(9)), zerobustest.On(14, zerobustest.Ack(14))))
		s := w.open(one(zerobus.WithMaxInflightRecords(10))...)
		start := time.Now()
		w.ingest(s, 0, 10)
		w.took("ten", start, 0, 0)
		w.ingest(s, 10, 1)
		w.took("the eleventh", start, 500*ms, 500*ms)
		w.ingest(s, 11, 4)
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 15)
	})
}

// The limit is one of records, not of calls (D15): 15 of them are five batches of three.
func TestBackpressure_BP02_BatchesCountTheirRecords(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(
			zerobustest.On(4, zerobustest.Wait(500*ms), zerobustest.Ack(4)), zerobustest.On(5, zerobustest.Ack(5))))
		s := w.open(one(zerobus.WithMaxInflightRecords(15))...)
		start := time.Now()
		for i := range 5 {
			w.batch(s, 3*i, 3)
		}
		w.took("five batches", start, 0, 0)
		w.batch(s, 15, 3)
		w.took("the sixth", start, 500*ms, 500*ms)
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 18)
	})
}

// What was sent keeps its place until it is acknowledged, whatever becomes of its connection.
func TestBackpressure_BP03_AReconnectFreesNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(1, zerobustest.Wait(100*ms), zerobustest.Fail(codes.Unavailable, "gone"))),
			zerobustest.Accept(zerobustest.On(1, zerobustest.Wait(300*ms), zerobustest.Ack(0), zerobustest.Wait(time.Second), zerobustest.Ack(1))))
		s := w.open(one(zerobus.WithMaxInflightRecords(2), zerobus.WithRecoveryBackoff(0))...)
		start := time.Now()
		w.ingest(s, 0, 2)
		w.took("two", start, 0, 0)
		time.Sleep(200 * ms)
		if _, err := s.TryIngest(rec(2)); !errors.Is(err, zerobus.ErrWouldBlock) {
			w.Errorf("after the reconnect, with nothing acknowledged: %v", err)
		}
		w.ingest(s, 2, 1)
		w.took("the third", start, 400*ms, 400*ms)
		w.ingest(s, 3, 1)
		w.took("the fourth", start, 1400*ms, 1400*ms)
		wantRecords(w, "second connection", w.conns(2)[1].Records(), 0, 3)
		synctest.Wait() // the fourth has arrived
		w.srv.Connections()[1].Ack(3)
		time.Sleep(ms)
		w.must(s.Close(w.timeout(time.Second)))
		wantRecords(w, "durable", w.srv.Records(table), 0, 4)
	})
}

func TestBackpressure_ByteLimit(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(500 * ms)))
		s := w.open(zerobus.WithMaxInflightBytes(1000))
		r := zerobus.JSONBytes(bytes.Repeat([]byte("x"), 300)) // 303 with its framing
		start := time.Now()
		for range 3 {
			_, err := s.Ingest(w.Context(), r)
			w.must(err)
		}
		w.took("three", start, 0, 0)
		_, err := s.Ingest(w.Context(), r)
		w.must(err)
		w.took("the fourth", start, 500*ms, 500*ms)
		w.must(s.Close(w.Context()))
	})
}

func TestBackpressure_BP05_TwoProducersOneSlot(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open(zerobus.WithMaxInflightRecords(1))
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for i := range 500 {
					if _, err := s.Ingest(w.Context(), rec(i)); err != nil {
						w.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		w.must(s.Close(w.Context()))
		if n := len(w.srv.Records(table)); n != 1000 {
			w.Errorf("%d records are durable", n)
		}
	})
}

func TestBackpressure_BP06_BlockedProducersAreWoken(t *testing.T) {
	tests := []struct {
		name string
		end  func(w *world, s *zerobus.Stream)
		kind error
	}{
		{"failure", func(w *world, s *zerobus.Stream) { w.conns(1)[0].Fail(codes.NotFound, "dropped") }, zerobus.ErrStreamFailed},
		{"close", func(w *world, s *zerobus.Stream) { s.Close(w.timeout(time.Hour)) }, zerobus.ErrStreamClosed},
		{"SDK close", func(w *world, s *zerobus.Stream) { w.must(w.sdk.Close()) }, zerobus.ErrStreamClosed},
		{"context", func(w *world, s *zerobus.Stream) {}, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept())
				s := w.open(zerobus.WithMaxInflightRecords(2))
				w.ingest(s, 0, 2)
				start := time.Now()
				var wg sync.WaitGroup
				for range 10 {
					wg.Go(func() {
						_, err := s.Ingest(w.timeout(10*time.Second), rec(2))
						wantErr(w, err, tt.kind)
						w.took("ingest", start, 0, 10*time.Second)
						if tt.kind != context.DeadlineExceeded {
							w.took("ingest", start, time.Second, time.Second)
						}
					})
				}
				time.AfterFunc(time.Second, func() { tt.end(w, s) })
				wg.Wait()
				w.sdk.Close()
				wantRecords(w, "unacknowledged", w.unacked(s), 0, 2)
			})
		})
	}
}

// A large call at the head of the queue that gives up must not hold up those behind it.
func TestBackpressure_GivingUpLetsOthersPass(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept())
		s := w.open(zerobus.WithMaxInflightRecords(3))
		w.ingest(s, 0, 2)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := s.IngestBatch(w.timeout(time.Second), recs(0, 2))
			wantErr(w, err, context.DeadlineExceeded)
		})
		synctest.Wait()
		_, err := s.TryIngest(rec(2))
		wantErr(w, err, zerobus.ErrWouldBlock) // there is room for one, but two wait for more
		start := time.Now()
		wg.Go(func() {
			w.ingest(s, 2, 1)
			w.took("ingest", start, time.Second, time.Second)
		})
		wg.Wait()
	})
}

func TestBackpressure_BP07_WireOrderIsOffsetOrder(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open(zerobus.WithMaxInflightRecords(7))
		const producers, each = 100, 20
		offsets := make(map[string]int64)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for p := range producers {
			wg.Go(func() {
				for i := range each {
					text := fmt.Sprintf("[%d,%d]", p, i)
					ack, err := s.Ingest(w.Context(), zerobus.JSONString(text))
					if err != nil {
						w.Error(err)
						return
					}
					mu.Lock()
					offsets[text] = ack.Offset()
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		w.must(s.Close(w.Context()))
		got := w.conns(1)[0].Records()
		if len(got) != producers*each {
			w.Fatalf("%d records", len(got))
		}
		for i, g := range got {
			if offsets[string(g)] != int64(i) {
				w.Fatalf("record %d on the wire, %s, has offset %d", i, g, offsets[string(g)])
			}
		}
	})
}

func TestBackpressure_BP08_TryIngest(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(100 * ms)))
		s := w.open(zerobus.WithMaxInflightRecords(2))
		for i := range 2 {
			ack, err := s.TryIngest(rec(i))
			w.must(err)
			if ack.Offset() != int64(i) {
				w.Errorf("offset %d", ack.Offset())
			}
		}
		start := time.Now()
		_, err := s.TryIngest(rec(2))
		wantErr(w, err, zerobus.ErrWouldBlock)
		if !zerobus.IsRetriable(err) {
			w.Error("there will be room later")
		}
		w.took("refusal", start, 0, 0)
		w.must(s.Flush(w.Context()))
		_, err = s.TryIngest(rec(2))
		w.must(err)
		w.must(s.Close(w.Context()))
	})
}
