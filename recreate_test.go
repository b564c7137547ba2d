package zerobus_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// again makes a stream of what another one left.
func (w *world) again(old *zerobus.Stream, opts ...zerobus.StreamOption) *zerobus.Stream {
	w.Helper()
	s, err := w.sdk.RecreateStream(w.Context(), old, opts...)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// fails ends a connection at an offset, after some were acknowledged.
func fails(at, acked int64) zerobustest.Behavior {
	return zerobustest.Accept(zerobustest.On(at, zerobustest.Ack(acked), zerobustest.Wait(ms), zerobustest.Fail(codes.Internal, "disk on fire")))
}

func TestRecreate_RE01_AfterAFailure(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(14, zerobustest.Wait(50*ms), zerobustest.Ack(14), zerobustest.Fail(codes.Internal, "disk on fire"))))
		s := w.open(one(zerobus.WithRecovery(false))...)
		acks := w.ingest(s, 0, 100)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed)
		again := w.again(s)
		w.must(again.Flush(w.Context()))
		wantState(w, again, zerobus.StateOpened)
		w.must(again.Close(w.Context()))
		reqs := w.conns(2)[1].Requests()
		if len(reqs) != 85 || reqs[84].Offset != 84 {
			w.Errorf("%d requests", len(reqs))
		}
		if n := len(w.unacked(again)); n != 0 {
			w.Errorf("%d unacknowledged", n)
		}
		wantRecords(w, "durable", w.srv.Records(table), 0, 100)
		// The old stream is as it was.
		wantErr(w, acks[99].Err(), zerobus.ErrStreamFailed)
		wantRecords(w, "unacknowledged by the old one", w.unacked(s), 15, 85)
	})
}

func TestRecreate_RE02_LivingStream(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		w.ingest(s, 0, 1)
		_, err := w.sdk.RecreateStream(w.Context(), s)
		wantErr(w, err, zerobus.ErrInvalidState, "still open")
		for _, none := range []*zerobus.Stream{nil, {}} {
			_, err = w.sdk.RecreateStream(w.Context(), none)
			wantErr(w, err, zerobus.ErrInvalidState)
		}
		w.conns(1)
		w.must(s.Close(w.Context()))
		w.must(w.again(s).Close(w.Context())) // the refusal was no use of the one time
	})
}

func TestRecreate_RE03_CallsStayTogether(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(fails(3, 1))
		s := w.open(one(zerobus.WithRecovery(false))...)
		w.ingest(s, 0, 3)
		w.batch(s, 3, 2)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed)
		again := w.again(s)
		w.must(again.Close(w.Context()))
		conns := w.conns(2)
		reqs := conns[1].Requests()
		if len(reqs) != 2 || reqs[0].Batch || !reqs[1].Batch {
			w.Fatalf("requests %+v", reqs)
		}
		wantRecords(w, "replayed", conns[1].Records(), 2, 3)
		if n := requests(conns); n != 6 {
			w.Errorf("%d requests in all; want 6", n)
		}
		wantRecords(w, "durable", w.srv.Records(table), 0, 5)
	})
}

func TestRecreate_RE04_AfterACleanClose(t *testing.T) {
	for _, encoding := range []string{"messages", "encoded messages", "objects", "texts"} {
		t.Run(encoding, func(t *testing.T) {
			inBubble(t, func(w *world) {
				proto := encodings[encoding].proto
				s := w.openFor(proto)
				var numbers []int
				for i := range 2 {
					if i > 0 {
						s = w.again(s)
					}
					for n := range 11 {
						ack, err := s.Ingest(w.Context(), encodings[encoding].record(11*i+n))
						if w.must(err); ack.Offset() != int64(n) {
							w.Errorf("offset %d; want %d", ack.Offset(), n)
						}
						numbers = append(numbers, 11*i+n)
					}
					w.must(s.Close(w.Context()))
				}
				w.wantNumbers(proto, w.srv.Records(table), numbers)
				w.wantNumbers(proto, w.conns(2)[1].Records(), numbers[11:])
			})
		})
	}
}

func TestRecreate_RE05_EverythingIsCarriedOver(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(fails(1, 0))
		calls := 0
		var got []zerobus.AckInfo
		s, err := w.createAs(zerobus.HeadersProviderFunc(func(context.Context) ([]zerobus.Header, error) {
			calls++
			return []zerobus.Header{{"authorization", "Bearer t"}, {"x-route", "blue"}}, nil
		}), one(zerobus.WithRecovery(false), zerobus.WithMaxInflightRecords(77), zerobus.WithFlushTimeout(time.Minute),
			zerobus.WithAckCallback(func(i zerobus.AckInfo) { got = append(got, i) }))...)
		w.must(err)
		w.ingest(s, 0, 2)
		wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed)
		if len(got) != 2 || got[0].Err != nil || got[1].Err == nil {
			w.Fatalf("callbacks %+v", got)
		}
		again := w.again(s, zerobus.WithFlushTimeout(time.Second))
		w.must(again.Close(w.Context()))
		if calls != 2 {
			w.Errorf("the provider was called %d times", calls)
		}
		if route := w.conns(2)[1].Metadata().Get("x-route"); len(route) != 1 || route[0] != "blue" {
			w.Errorf("x-route %v", route)
		}
		settings := again.Settings()
		if settings.MaxInflightRecords != 77 || settings.Recovery || settings.MaxBatchRecords != 1 || settings.FlushTimeout != time.Second {
			w.Errorf("settings %+v", settings)
		}
		if s.Settings().FlushTimeout != time.Minute {
			w.Error("an option of the new stream has changed the old one")
		}
		if again.TableName() != table || len(got) != 3 || got[2] != (zerobus.AckInfo{First: 0, Last: 0}) {
			w.Errorf("table %s, callbacks %+v", again.TableName(), got)
		}
	})
}

func TestRecreate_RE06_MoreThanTheLimit(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(fails(99, 9))
		s := w.open(one(zerobus.WithRecovery(false))...)
		w.ingest(s, 0, 100)
		wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed)

		// Nothing is acknowledged: the limit is reached, and the context ends the wait.
		w.srv.Script(zerobustest.Accept())
		start := time.Now()
		_, err := w.sdk.RecreateStream(w.timeout(time.Second), s, zerobus.WithMaxInflightRecords(20))
		wantErr(w, err, context.DeadlineExceeded, "recreate stream")
		w.took("recreate", start, time.Second, time.Second)
		if n := len(w.conns(2)[1].Records()); n != 20 {
			w.Errorf("%d records went out", n)
		}

		// With acknowledgements it goes on, and returns when the last records are in.
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(100 * ms)))
		start = time.Now()
		again := w.again(s, zerobus.WithMaxInflightRecords(20))
		w.took("recreate", start, 400*ms, 400*ms) // four times the limit before the last 10
		w.must(again.Close(w.Context()))
		wantRecords(w, "third connection", w.conns(3)[2].Records(), 10, 90)
	})
}

func TestRecreate_RE07_FailureLeavesTheOldOneIntact(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(fails(4, 1), zerobustest.Refuse(codes.PermissionDenied, "no MODIFY"), fails(1, 0))
		s := w.open(one(zerobus.WithRecovery(false))...)
		w.ingest(s, 0, 5)
		wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed)

		_, err := w.sdk.RecreateStream(w.Context(), s)
		wantErr(w, err, zerobus.ErrAuth, "no MODIFY", "recreate stream")
		wantRecords(w, "unacknowledged", w.unacked(s), 2, 3)

		// A new stream that dies later is one of its own, with its own unacknowledged records.
		again := w.again(s)
		wantErr(w, again.Close(w.Context()), zerobus.ErrStreamFailed)
		wantRecords(w, "unacknowledged by the old one", w.unacked(s), 2, 3)
		wantRecords(w, "unacknowledged by the new one", w.unacked(again), 3, 2)
		w.must(w.again(again).Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 5)
	})
}

func TestRecreate_RE08_OnlyOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(fails(4, 1))
		s := w.open(one(zerobus.WithRecovery(false))...)
		w.ingest(s, 0, 5)
		wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed)
		var made []*zerobus.Stream
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				again, err := w.sdk.RecreateStream(w.Context(), s)
				if err != nil {
					wantErr(w, err, zerobus.ErrInvalidState, "recreated already")
					return
				}
				mu.Lock()
				defer mu.Unlock()
				made = append(made, again)
			})
		}
		wg.Wait()
		if len(made) != 1 {
			w.Fatalf("%d streams were made of one", len(made))
		}
		w.must(made[0].Close(w.Context()))
		_, err := w.sdk.RecreateStream(w.Context(), s)
		wantErr(w, err, zerobus.ErrInvalidState, "recreated already")
		w.conns(2)
		wantRecords(w, "durable", w.srv.Records(table), 0, 5)
	})
}

// An SDK that is closed meanwhile ends it, and nothing is left behind.
func TestRecreate_SDKIsClosedMeanwhile(t *testing.T) {
	for name, behavior := range map[string]zerobustest.Behavior{
		"while it opens":    zerobustest.Silent(),
		"while it fills up": zerobustest.Accept(),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(fails(4, 1), behavior)
				s := w.open(one(zerobus.WithRecovery(false))...)
				w.ingest(s, 0, 5)
				wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed)
				time.AfterFunc(time.Second, func() { w.must(w.sdk.Close()) })
				start := time.Now()
				_, err := w.sdk.RecreateStream(w.Context(), s, zerobus.WithMaxInflightRecords(1))
				w.took("recreate", start, time.Second, time.Second)
				wantErr(w, err, nil, "recreate stream", "the SDK was closed")
				if !errors.Is(err, zerobus.ErrInvalidState) && !errors.Is(err, zerobus.ErrStreamClosed) {
					w.Errorf("%v is of the wrong kind", err)
				}
				wantRecords(w, "unacknowledged", w.unacked(s), 2, 3)
				// Another SDK may take over.
				sdk := w.newSDK()
				defer sdk.Close()
				again, err := sdk.RecreateStream(w.Context(), s)
				w.must(err)
				w.must(again.Close(w.Context()))
				wantRecords(w, "taken over", w.conns(3)[2].Records(), 2, 3)
			})
		})
	}
}

// The callback that is told of the failure is where many would do it.
func TestRecreate_WithinACallback(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(fails(4, 1))
		var s *zerobus.Stream
		again := make(chan *zerobus.Stream, 1)
		ready := make(chan struct{})
		s = w.open(one(zerobus.WithRecovery(false), zerobus.WithAckCallback(func(i zerobus.AckInfo) {
			<-ready
			if i.Err == nil {
				return
			}
			next, err := w.sdk.RecreateStream(w.Context(), s, zerobus.WithAckCallback(nil))
			w.must(err)
			again <- next
		}))...)
		close(ready)
		w.ingest(s, 0, 5)
		w.must((<-again).Close(w.Context()))
		synctest.Wait()
		wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed)
		wantRecords(w, "durable", w.srv.Records(table), 0, 5)
	})
}
