package zerobus_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

func TestClose_CL01_CL03_WaitsForWhatIsInFlight(t *testing.T) {
	for name, tt := range map[string]struct {
		records int
		delay   time.Duration
	}{"CL-01 one": {1, 100 * ms}, "CL-03 one, sooner": {1, 50 * ms}, "CL-03 ten": {10, 100 * ms}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				last := int64(tt.records - 1)
				w.srv.Script(zerobustest.Accept(zerobustest.On(last, zerobustest.Wait(tt.delay), zerobustest.Ack(last))))
				s := w.open(one()...)
				start := time.Now()
				w.ingest(s, 0, tt.records)
				w.must(s.Close(w.Context()))
				w.took("close", start, tt.delay, tt.delay)
				if n := requests(w.conns(1)); n != tt.records {
					w.Errorf("%d requests", n)
				}
				wantState(w, s, zerobus.StateClosed)
				wantRecords(w, "durable", w.srv.Records(table), 0, tt.records)
			})
		})
	}
}

func TestClose_CL02_Twice(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		w.must(s.Close(w.Context()))
		w.must(s.Close(w.Context()))
	})
}

func TestClose_CL04_AtTheSameTime(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(100 * ms)))
		s := w.open()
		w.ingest(s, 0, 5)
		start := time.Now()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := s.Close(w.Context()); err != nil {
					w.Error(err)
				}
			})
		}
		wg.Wait()
		w.took("close", start, 100*ms, 100*ms)
	})
}

func TestClose_CL05_CL10_FailedStream(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Internal, "disk on fire"))))
		s := w.open(zerobus.WithRecovery(false))
		w.ingest(s, 0, 1)
		synctest.Wait()
		wantState(w, s, zerobus.StateFailed)
		start := time.Now()
		wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed, "disk on fire")
		w.must(s.Close(w.Context()))
		w.took("both", start, 0, 0)
		wantErr(w, s.Err(), zerobus.ErrStreamFailed, "disk on fire")
	})
}

func TestClose_CL06_CL17_SDKCloseEndsStreams(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Accept())
		a, b := w.open(), w.open()
		acks := w.ingest(a, 0, 3)
		start := time.Now()
		w.must(w.sdk.Close())
		w.took("close", start, 0, 0)
		for _, s := range []*zerobus.Stream{a, b} {
			wantState(w, s, zerobus.StateClosed)
			_, err := s.Ingest(w.Context(), rec(0))
			wantErr(w, err, zerobus.ErrStreamClosed)
		}
		for _, ack := range acks {
			wantErr(w, ack.Wait(w.Context()), zerobus.ErrStreamClosed, "SDK was closed")
		}
		wantRecords(w, "unacknowledged", w.unacked(a), 0, 3)
		wantErr(w, a.Close(w.Context()), zerobus.ErrStreamClosed)
		w.must(b.Close(w.Context()))
	})
}

func TestClose_CL07_TerminalErrorWhileClosing(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(4, zerobustest.Wait(50*ms), zerobustest.Fail(codes.PermissionDenied, "no MODIFY"))))
		s := w.open(one(zerobus.WithFlushTimeout(200 * ms))...)
		w.ingest(s, 0, 5)
		start := time.Now()
		wantErr(w, s.Close(w.Context()), zerobus.ErrAuth, "no MODIFY")
		w.took("close", start, 50*ms, 50*ms)
		_, err := s.Ingest(w.Context(), rec(5))
		wantErr(w, err, zerobus.ErrStreamClosed)
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 5)
	})
}

// A connection that fails while Close waits is replaced, like any other (D5).
func TestClose_CL08_RecoversWhileClosing(t *testing.T) {
	for _, tt := range []struct {
		records, acked int
		after          time.Duration
	}{{100, 16, time.Second}, {300, 50, 2 * time.Second}} {
		t.Run(fmt.Sprint(tt.records), func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept(zerobustest.On(int64(tt.records-1), zerobustest.Wait(tt.after),
					zerobustest.Ack(int64(tt.acked-1)), zerobustest.Fail(codes.Unavailable, "gone"))))
				s := w.open(one()...)
				start := time.Now()
				acks := w.ingest(s, 0, tt.records)
				w.must(s.Close(w.Context()))
				w.took("close", start, tt.after, tt.after)
				if n := len(w.unacked(s)); n != 0 {
					w.Errorf("%d unacknowledged", n)
				}
				for _, ack := range acks {
					w.must(ack.Err())
				}
				wantRecords(w, "sent again", w.conns(2)[1].Records(), tt.acked, tt.records-tt.acked)
				wantRecords(w, "durable", w.srv.Records(table), 0, tt.records)
			})
		})
	}
}

func TestClose_CL09_AfterARecovery(t *testing.T) {
	for _, tt := range []struct {
		records int
		after   time.Duration
	}{{100, 0}, {30, 10 * ms}} {
		t.Run(fmt.Sprint(tt.records), func(t *testing.T) {
			inBubble(t, func(w *world) {
				last := int64(tt.records - 1)
				w.srv.Script(
					zerobustest.Accept(zerobustest.After(0, zerobustest.Fail(codes.Unavailable, "gone"))),
					zerobustest.Accept(zerobustest.On(last, zerobustest.Wait(tt.after), zerobustest.Ack(last))))
				s := w.open(one(zerobus.WithRecoveryBackoff(100 * ms))...)
				synctest.Wait() // the first connection has failed
				w.ingest(s, 0, tt.records)
				time.Sleep(time.Second)
				start := time.Now()
				w.must(s.Close(w.Context()))
				w.took("close", start, 0, 0)
				if n := requests(w.conns(2)); n != tt.records {
					w.Errorf("%d requests", n)
				}
				if n := len(w.unacked(s)); n != 0 {
					w.Errorf("%d unacknowledged", n)
				}
				wantRecords(w, "durable", w.srv.Records(table), 0, tt.records)
			})
		})
	}
}

// A clean end is a half-close; a server that does not answer it in half a second has its stream cancelled.
func TestClose_CL11_HalfClosedThenCancelled(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAll()),
			zerobustest.Accept(zerobustest.AckAll(), zerobustest.OnClose(zerobustest.Do(func(c *zerobustest.Connection) { <-c.Done() }))))
		for i, want := range []struct {
			code codes.Code
			took time.Duration
		}{{codes.OK, 0}, {codes.Canceled, 500 * ms}} {
			s := w.open()
			w.must(w.ingest(s, 0, 1)[0].Wait(w.Context()))
			start := time.Now()
			w.must(s.Close(w.Context()))
			w.took("close", start, want.took, want.took)
			wantState(w, s, zerobus.StateClosed)
			c := w.conns(i + 1)[i]
			<-c.Done()
			if ended, err := c.Ended(); !c.HalfClosed() || !ended || status.Code(err) != want.code {
				w.Errorf("connection %d: half-closed %v, ended %v with %v; want %v", i, c.HalfClosed(), ended, err, want.code)
			}
		}
	})
}

func TestClose_CL12_CloseSignalAndEndWhileClosing(t *testing.T) {
	for name, action := range map[string]zerobustest.Action{
		"signal": zerobustest.CloseSignal(time.Second),
		"end":    zerobustest.End(),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept(zerobustest.On(2, action)))
				s := w.open(one(zerobus.WithRecoveryBackoff(100 * ms))...)
				w.ingest(s, 0, 3)
				start := time.Now()
				w.must(s.Close(w.Context()))
				w.took("close", start, 0, 1200*ms)
				wantRecords(w, "durable", w.srv.Records(table), 0, 3)
			})
		})
	}
}

func TestClose_CL13_FlushTimeoutKeepsTheUnacknowledged(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept())
		s := w.open(zerobus.WithFlushTimeout(200 * ms))
		acks := w.ingest(s, 0, 5)
		start := time.Now()
		wantErr(w, s.Close(w.Context()), zerobus.ErrFlushTimeout)
		w.took("close", start, 200*ms, 200*ms)
		wantState(w, s, zerobus.StateClosed)
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 5)
		wantErr(w, acks[0].Err(), zerobus.ErrStreamClosed, "flush timeout")
		w.must(s.Close(w.Context()))

		again, err := w.sdk.RecreateStream(w.Context(), s)
		w.must(err)
		w.must(again.Close(w.Context()))
		wantRecords(w, "replayed", w.conns(2)[1].Records(), 0, 5)
		wantRecords(w, "unacknowledged by the old stream", w.unacked(s), 0, 5)
	})
}

func TestClose_ContextEnds(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept())
		s := w.open()
		w.ingest(s, 0, 5)
		done := make(chan error, 1)
		go func() {
			time.Sleep(ms)
			done <- s.Close(w.Context())
		}()
		wantErr(w, s.Close(w.timeout(100*ms)), context.DeadlineExceeded)
		wantErr(w, <-done, context.DeadlineExceeded) // the one Close that there was
		wantState(w, s, zerobus.StateClosed)
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 5)
	})
}

func TestClose_CL14_WhileRecovering(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Kill())))
		s := w.open(zerobus.WithRecoveryBackoff(time.Second))
		w.ingest(s, 0, 3)
		synctest.Wait()
		wantState(w, s, zerobus.StateRecovering)
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 3)
	})
}

func TestClose_CL14_WhileRecoveringInVain(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Kill())))
		w.srv.Otherwise(zerobustest.Refuse(codes.Unavailable, "still down"))
		s := w.open(zerobus.WithRecoveryRetries(1000), zerobus.WithFlushTimeout(10*time.Second))
		w.ingest(s, 0, 3)
		synctest.Wait()
		wantState(w, s, zerobus.StateRecovering)
		start := time.Now()
		wantErr(w, s.Close(w.Context()), zerobus.ErrFlushTimeout, "still down")
		w.took("close", start, 10*time.Second, 10*time.Second)
		wantState(w, s, zerobus.StateClosed)
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 3)
	})
}

// goroutines counts those of the caller's bubble, as the runtime marks them: "goroutine 7 [running, synctest bubble 12]:".
func goroutines(t testing.TB) int {
	all := make([]byte, 1<<20)
	all = all[:runtime.Stack(all, true)] // the caller's comes first
	own, _, _ := bytes.Cut(all, []byte("\n"))
	_, bubble, ok := bytes.Cut(own, []byte(", synctest bubble "))
	if !ok {
		t.Fatalf("the caller is not in a bubble: %s", own)
	}
	return bytes.Count(all, append([]byte(", synctest bubble "), bubble...))
}

// A hundred streams one after the other leave nothing: no goroutine, and no TCP connection but the one that is shared.
func TestClose_CL15_OpenedAndClosedAHundredTimes(t *testing.T) {
	for name, tt := range map[string]struct {
		opts []zerobus.Option
		made int32 // TCP connections
		kept int32
	}{
		"a shared connection": {[]zerobus.Option{zerobus.WithSharedConnection()}, 1, 1},
		"own connections":     {nil, 101, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				var d dials
				sdk := w.newSDK(append(tt.opts, d.dialer(w.dial))...)
				defer sdk.Close()
				baseline := 0
				for i := range 101 {
					s, err := sdk.CreateStream(w.Context(), zerobus.Table(table), auth)
					w.must(err)
					w.ingest(s, i, 1)
					w.must(s.Close(w.Context()))
					synctest.Wait()
					if i == 0 {
						baseline = goroutines(w)
					}
				}
				if n := goroutines(w); n != baseline {
					w.Errorf("%d goroutines after a hundred streams more than the first, which left %d", n, baseline)
				}
				if d.made.Load() != tt.made || d.open.Load() != tt.kept {
					w.Errorf("%d TCP connections were made, %d are open; want %d and %d", d.made.Load(), d.open.Load(), tt.made, tt.kept)
				}
				w.must(sdk.Close())
				synctest.Wait()
				if d.open.Load() != 0 {
					w.Errorf("%d TCP connections are open after SDK.Close", d.open.Load())
				}
				wantRecords(w, "durable", w.srv.Records(table), 0, 101)
			})
		})
	}
}

func TestClose_CL16_WithinACallback(t *testing.T) {
	inBubble(t, func(w *world) {
		closed := make(chan error, 1)
		var s *zerobus.Stream
		ready := make(chan struct{})
		s = w.open(zerobus.WithAckCallback(func(zerobus.AckInfo) {
			<-ready
			closed <- s.Close(w.Context())
		}))
		close(ready)
		start := time.Now()
		w.ingest(s, 0, 1)
		w.must(<-closed)
		w.took("close", start, 0, 0)
	})
}
