package zerobus_test

import (
	"bytes"
	"context"
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

func TestConcurrency_CC01_TenProducers(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(999, zerobustest.Wait(500*ms), zerobustest.Ack(999))))
		s := w.open(one()...)
		seen := make([]bool, 1000)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for p := range 10 {
			wg.Go(func() {
				for _, ack := range w.ingest(s, 100*p, 100) {
					if err := ack.Wait(w.Context()); err != nil {
						w.Error(err)
					}
					mu.Lock()
					seen[ack.Offset()] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for i, ok := range seen {
			if !ok {
				w.Errorf("no call has offset %d", i)
			}
		}
		if n := len(w.conns(1)[0].Requests()); n != 1000 {
			w.Errorf("%d requests", n)
		}
		w.must(s.Close(w.Context()))
	})
}

func TestConcurrency_CC02_FiveBatches(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(4, zerobustest.Wait(500*ms), zerobustest.Ack(4))))
		s := w.open(one()...)
		var offsets [5]int64
		var wg sync.WaitGroup
		for p := range 5 {
			wg.Go(func() {
				ack := w.batch(s, 10*p, 10)
				if err := ack.Wait(w.Context()); err != nil {
					w.Error(err)
				}
				offsets[p] = ack.Offset()
			})
		}
		wg.Wait()
		var sum int64
		for _, o := range offsets {
			sum |= 1 << o
		}
		if sum != 31 {
			w.Errorf("offsets %v", offsets)
		}
		w.must(s.Close(w.Context()))
	})
}

func TestConcurrency_CC03_TwoStreams(t *testing.T) {
	for name, opts := range map[string][]zerobus.Option{"own connections": nil, "a shared connection": {zerobus.WithSharedConnection()}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				sdk := w.newSDK(opts...)
				defer sdk.Close()
				var streams []*zerobus.Stream
				for _, name := range []string{table, "main.default.other"} {
					s, err := sdk.CreateStream(w.Context(), zerobus.Table(name), auth)
					w.must(err)
					w.ingest(s, 0, 10)
					streams = append(streams, s)
				}
				for _, s := range streams {
					w.must(s.Close(w.Context()))
					wantRecords(w, s.TableName(), w.srv.Records(s.TableName()), 0, 10)
				}
			})
		})
	}
}

// Every method at once, on a stream whose connections fail all the time, with the real clock and real sockets.
func TestConcurrency_CC06_Stress(t *testing.T) {
	srv := zerobustest.New()
	defer srv.Close()
	for i := range 30 {
		end := []zerobustest.Action{zerobustest.Kill(), zerobustest.End(), zerobustest.Fail(codes.Unavailable, "x"), zerobustest.CloseSignal(ms)}[i%4]
		at := int64(i % 7)
		srv.Script(zerobustest.Accept(zerobustest.AckAll(), zerobustest.On(at+1, zerobustest.Ack(at), end)))
	}
	sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL())
	if err != nil {
		t.Fatal(err)
	}
	defer sdk.Close()
	var told int64 = -1
	s, err := sdk.CreateStream(t.Context(), zerobus.Table(table), auth, zerobus.WithRecoveryBackoff(ms),
		zerobus.WithRecoveryRetries(100), zerobus.WithMaxInflightRecords(50),
		zerobus.WithAckCallback(func(i zerobus.AckInfo) {
			if i.First != told+1 || i.Err != nil {
				t.Errorf("callback %+v after %d", i, told)
			}
			told = i.Last
		}))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	const producers, each = 8, 500
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				r := zerobus.JSONString(fmt.Sprintf("[%d,%d]", p, i))
				var ack zerobus.Ack
				var err error
				switch i % 5 {
				case 0:
					ack, err = s.IngestBatch(ctx, []zerobus.Record{r, r})
				default:
					ack, err = s.Ingest(ctx, r)
				}
				if err != nil {
					t.Error(err)
					return
				}
				if i%50 == 0 {
					if err := ack.Wait(ctx); err != nil {
						t.Error(err)
					}
				}
				if i%100 == 0 {
					if err := s.Flush(ctx); err != nil {
						t.Error(err)
					}
				}
				s.TryIngest(zerobus.ProtoBytes(nil))
				_, _ = s.State(), s.ID()
				_, _ = ack.IsDone(), ack.Err()
			}
		})
	}
	wg.Wait()
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if told != producers*each-1 {
		t.Errorf("callbacks up to %d; want %d", told, producers*each-1)
	}
	seen := map[string]int{}
	for _, r := range srv.Records(table) {
		seen[string(r)]++
	}
	for p := range producers {
		for i := range each {
			want := 1
			if i%5 == 0 {
				want = 2
			}
			if n := seen[fmt.Sprintf("[%d,%d]", p, i)]; n < want {
				t.Fatalf("record [%d,%d] is there %d times; want %d at least", p, i, n, want)
			}
		}
	}
}
