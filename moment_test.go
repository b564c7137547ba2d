package zerobus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// Two things that happen in the same moment may come in either order. Whichever it is: nothing is lost, nothing is told
// twice, and the order of the records is kept.

// wantSettled checks what must hold at the end of a stream that was closed without an error.
func (w *world) wantSettled(s *zerobus.Stream, acks []zerobus.Ack, got *outcomes) {
	w.Helper()
	for i, ack := range acks {
		if ack.Offset() != int64(i) || !ack.IsDone() || ack.Err() != nil {
			w.Errorf("ack %d: offset %d, done %v, error %v", i, ack.Offset(), ack.IsDone(), ack.Err())
		}
	}
	if !slices.Equal(got.acked, upTo(int64(len(acks)-1))) || len(got.failed) > 0 {
		w.Errorf("the handler was told %v and %v", got.acked, got.failed)
	}
	if n := len(w.unacked(s)); n != 0 {
		w.Errorf("%d unacknowledged", n)
	}
	// At least once, and in order: a record may come again with those behind it, and none is left out.
	next := 0
	for i, r := range w.srv.Records(table) {
		var n int
		if _, err := fmt.Sscanf(string(r), `{"n":%d}`, &n); err != nil || n > next {
			w.Fatalf("durable record %d is %s; the next new one is %d", i, r, next)
		}
		next = max(next, n+1)
	}
	if next != len(acks) {
		w.Errorf("%d different records are durable; want %d", next, len(acks))
	}
}

func TestMoment_AckAndEnd(t *testing.T) {
	const at = 100 * ms
	for name, end := range map[string]zerobustest.Action{
		"ended":   zerobustest.End(),
		"failed":  zerobustest.Fail(codes.Unavailable, "gone"),
		"reset":   zerobustest.Kill(),
		"signal":  zerobustest.CloseSignal(0),
		"garbage": zerobustest.Send([]byte{0xff}),
	} {
		t.Run(name, func(t *testing.T) {
			for range 10 {
				inBubble(t, func(w *world) {
					both := zerobustest.Accept(zerobustest.On(9, zerobustest.Wait(at), zerobustest.Ack(6)), zerobustest.On(8, zerobustest.Wait(at), end))
					w.srv.Script(both, both, both)
					var got outcomes
					s := w.open(one(got.handler(), zerobus.WithRecoveryRetries(10), zerobus.WithRecoveryBackoff(ms))...)
					acks := w.ingest(s, 0, 30)
					w.must(s.Close(w.Context()))
					w.wantSettled(s, acks, &got)
				})
			}
		})
	}
}

// The acknowledgement comes when the ack timeout is over.
func TestMoment_AckAndTimeout(t *testing.T) {
	for range 20 {
		inBubble(t, func(w *world) {
			late := zerobustest.Accept(zerobustest.AckAllAfter(time.Second))
			w.srv.Script(late, late, late)
			var got outcomes
			s := w.open(one(got.handler(), zerobus.WithServerAckTimeout(time.Second), zerobus.WithRecoveryRetries(10))...)
			acks := w.ingest(s, 0, 5)
			w.must(s.Close(w.Context()))
			w.wantSettled(s, acks, &got)
		})
	}
}

// The acknowledgement comes when the wait for it is over.
func TestMoment_AckAndDeadline(t *testing.T) {
	for range 20 {
		inBubble(t, func(w *world) {
			w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(time.Second)))
			var got outcomes
			s := w.open(one(got.handler(), zerobus.WithFlushTimeout(time.Second))...)
			acks := w.ingest(s, 0, 3)
			var wg sync.WaitGroup
			for name, wait := range map[string]func() error{
				"Wait":  func() error { return acks[2].Wait(w.timeout(time.Second)) },
				"Flush": func() error { return s.Flush(w.Context()) },
			} {
				wg.Go(func() {
					if err := wait(); err != nil && !errors.Is(err, zerobus.ErrAckTimeout) && !errors.Is(err, zerobus.ErrFlushTimeout) {
						w.Errorf("%s: %v", name, err)
					}
				})
			}
			wg.Wait()
			synctest.Wait()
			w.must(s.Flush(w.Context()))
			w.must(s.Close(w.Context()))
			w.wantSettled(s, acks, &got)
		})
	}
}

// Close and the failure that would have been healed.
func TestMoment_CloseAndFailure(t *testing.T) {
	for range 20 {
		inBubble(t, func(w *world) {
			w.srv.Script(zerobustest.Accept(zerobustest.AckAll(), zerobustest.After(time.Second, zerobustest.Fail(codes.Unavailable, "gone"))))
			var got outcomes
			s := w.open(one(got.handler())...)
			acks := w.ingest(s, 0, 3)
			time.Sleep(time.Second)
			w.must(s.Close(w.Context()))
			wantState(w, s, zerobus.StateClosed)
			w.wantSettled(s, acks, &got)
		})
	}
}

// A terminal failure after everything is acknowledged, while the stream is being closed, is no failure of Close.
func TestMoment_ErrorInAnswerToTheHalfClose(t *testing.T) {
	for _, code := range []codes.Code{codes.Unavailable, codes.NotFound, codes.Internal} {
		inBubble(t, func(w *world) {
			w.srv.Script(zerobustest.Accept(zerobustest.AckAll(), zerobustest.OnClose(zerobustest.Fail(code, "oops"))))
			s := w.open()
			w.ingest(s, 0, 3)
			w.must(s.Close(w.Context()))
			wantState(w, s, zerobus.StateClosed)
			w.must(s.Err())
		})
	}
}

// CreateStream's context ends in the moment in which the stream opens: there is a stream or an error, and no leak.
func TestMoment_OpenedAndCancelled(t *testing.T) {
	for range 30 {
		inBubble(t, func(w *world) {
			w.srv.Script(zerobustest.Accept(zerobustest.OnCreate(zerobustest.Wait(time.Second)), zerobustest.AckAll()))
			s, err := w.sdk.CreateStream(w.timeout(time.Second), zerobus.Table(table), auth)
			if err != nil {
				wantErr(w, err, context.DeadlineExceeded)
				return
			}
			w.ingest(s, 0, 1)
			w.must(s.Close(w.Context()))
		})
	}
}

// A record and the last room are given to somebody in the moment in which the stream is closed.
func TestMoment_RoomAndClose(t *testing.T) {
	for range 20 {
		inBubble(t, func(w *world) {
			w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(time.Second)))
			s := w.open(one(zerobus.WithMaxInflightRecords(1))...)
			acks := w.ingest(s, 0, 1)
			var wg sync.WaitGroup
			var mu sync.Mutex
			for range 3 {
				wg.Go(func() {
					mu.Lock()
					n := len(acks)
					mu.Unlock()
					ack, err := s.Ingest(w.Context(), rec(n))
					if err != nil {
						wantErr(w, err, zerobus.ErrStreamClosed)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					acks = append(acks, ack)
				})
			}
			time.Sleep(time.Second)
			w.must(s.Close(w.Context()))
			wg.Wait()
			for _, ack := range acks {
				w.must(ack.Err())
			}
			if n := len(w.srv.Records(table)); n != len(acks) {
				w.Errorf("%d durable, %d accepted", n, len(acks))
			}
		})
	}
}
