package zerobus_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

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
	states := make(chan zerobus.State, 1)
	go func() {
		var last zerobus.State
		for last = range s.StateChanges(ctx) {
		}
		states <- last
	}()
	var done atomic.Int64
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
				ack.OnDone(func(offset int64, err error) {
					if offset != ack.Offset() || err != nil {
						t.Errorf("OnDone of %d: %d, %v", ack.Offset(), offset, err)
					}
					done.Add(1)
				})
				switch i % 40 {
				case 1:
					if err := s.WaitForOffset(ctx, ack.Offset()); err != nil {
						t.Error(err)
					}
				case 2:
					<-ack.Done()
				case 3:
					var back atomic.Bool
					stop := ack.OnDone(func(int64, error) {
						if back.Load() {
							t.Error("called although it was taken back")
						}
					})
					switch inTime := stop(); { // too late: it may have been called
					case inTime:
						back.Store(true)
					case !ack.IsDone():
						t.Error("taken back too late, and not done")
					}
				case 4:
					brief, cancel := context.WithTimeout(ctx, ms)
					if err := s.Flush(brief); err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
					cancel()
				case 5:
					for range s.StateChanges(ctx) {
						break
					}
				}
				if _, err := s.TryIngest(zerobus.ProtoBytes(nil)); !errors.Is(err, zerobus.ErrInvalidArgument) {
					t.Errorf("a record of the wrong kind: %v", err)
				}
				if _, err := s.EachUnacked(); !errors.Is(err, zerobus.ErrInvalidState) {
					t.Errorf("the unacknowledged records of a living stream: %v", err)
				}
				if _, err := sdk.RecreateStream(ctx, s); !errors.Is(err, zerobus.ErrInvalidState) {
					t.Errorf("a living stream is recreated: %v", err)
				}
				_, _ = s.State(), s.ID()
				if ack.Err() != nil || s.Err() != nil {
					t.Errorf("errors %v, %v", ack.Err(), s.Err())
				}
			}
		})
	}
	wg.Wait()
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if last := <-states; last != zerobus.StateClosed || done.Load() != producers*each {
		t.Errorf("the last state is %v, OnDone was called %d times", last, done.Load())
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
