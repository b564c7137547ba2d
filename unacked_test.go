package zerobus_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

func TestUnacked_UN01_WhatWasNotAcknowledged(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(9, zerobustest.Ack(4), zerobustest.Fail(codes.Internal, "disk on fire"))))
		s := w.open(one(zerobus.WithRecovery(false))...)
		w.ingest(s, 0, 10)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed)
		wantRecords(w, "unacknowledged", w.unacked(s), 5, 5)
		wantRecords(w, "UN-10: once more", w.unacked(s), 5, 5)
	})
}

func TestUnacked_UN02_CallsStayTogether(t *testing.T) {
	for name, opts := range map[string][]zerobus.StreamOption{"gathered": nil, "one by one": one()} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept(zerobustest.On(1, zerobustest.Ack(1), zerobustest.Wait(ms), zerobustest.Fail(codes.Internal, "x"))))
				s := w.open(append(opts, zerobus.WithRecovery(false))...)
				for i := range 2 {
					w.ingest(s, i, 1)
					synctest.Wait()
				}
				w.ingest(s, 2, 1)
				w.batch(s, 3, 5)
				wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed)
				wantRecords(w, "unacknowledged", w.unacked(s), 2, 6)
				calls, err := s.UnackedBatches()
				w.must(err)
				if len(calls) != 2 || len(calls[0]) != 1 || len(calls[1]) != 5 {
					w.Errorf("calls %v", calls)
				}
				if calls[1][4].Type() != zerobus.RecordTypeJSON {
					w.Errorf("type %v", calls[1][4].Type())
				}
			})
		})
	}
}

func TestUnacked_UN03_NothingIsEmptyAndNotNil(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		w.ingest(s, 0, 3)
		w.must(s.Close(w.Context()))
		if n := len(w.unacked(s)); n != 0 {
			w.Errorf("%d unacknowledged", n)
		}
		if calls, err := s.UnackedBatches(); err != nil || calls == nil || len(calls) != 0 {
			w.Errorf("calls %v, %v", calls, err)
		}
		calls, err := s.EachUnacked()
		w.must(err)
		for offset := range calls {
			w.Errorf("call %d is unacknowledged", offset)
		}
	})
}

func TestUnacked_UN04_LivingStream(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		w.ingest(s, 0, 1)
		_, err := s.Unacked()
		wantErr(w, err, zerobus.ErrInvalidState)
		_, err = s.UnackedBatches()
		wantErr(w, err, zerobus.ErrInvalidState)
		_, err = s.EachUnacked()
		wantErr(w, err, zerobus.ErrInvalidState, "still open")
		w.must(s.Close(w.Context()))
	})
}

func TestUnacked_UN06_UN09_SentThenQueuedAlsoWithoutAWaiter(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Unavailable, "gone"))),
			zerobustest.Refuse(codes.NotFound, "dropped"))
		s := w.open(one(zerobus.WithRecoveryBackoff(100 * ms))...)
		ack := w.ingest(s, 0, 1)[0]
		wantErr(w, ack.Wait(w.timeout(50*ms)), nil)
		w.ingest(s, 1, 4)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed, "dropped")
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 5)
	})
}

// Unacknowledged records can go into a new stream as they are.
func TestUnacked_IntoANewStream(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(3, zerobustest.Ack(1), zerobustest.Wait(ms), zerobustest.Fail(codes.Internal, "x"))))
		s := w.open(one(zerobus.WithRecovery(false))...)
		w.ingest(s, 0, 3)
		w.batch(s, 3, 4)
		wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed)
		calls, err := s.UnackedBatches()
		w.must(err)
		again := w.open()
		for _, call := range calls {
			_, err := again.IngestBatch(w.Context(), call)
			w.must(err)
		}
		w.must(again.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 7)
	})
}

// The Close of a context that has ended is one without a flush, and so is that of the SDK.
func TestUnacked_UN05_CloseWithoutAFlush(t *testing.T) {
	for name, end := range map[string]func(w *world, s *zerobus.Stream) error{
		"Close": func(w *world, s *zerobus.Stream) error {
			wantErr(w, s.Close(w.timeout(0)), context.DeadlineExceeded)
			return nil
		},
		"SDK.Close": func(w *world, _ *zerobus.Stream) error { return w.sdk.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept(zerobustest.On(1, zerobustest.Ack(1))))
				s := w.open(one()...)
				w.must(zerobus.WaitAll(w.Context(), w.ingest(s, 0, 2)...))
				w.ingest(s, 2, 3)
				start := time.Now()
				w.must(end(w, s))
				w.took("the end", start, 0, 0)
				wantState(w, s, zerobus.StateClosed)
				wantRecords(w, "unacknowledged", w.unacked(s), 2, 3)
			})
		})
	}
}

func TestUnacked_UN07_AfterACloseThatFailed(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(4, zerobustest.Ack(1), zerobustest.Wait(ms), zerobustest.Fail(codes.NotFound, "dropped"))))
		s := w.open(one()...)
		w.ingest(s, 0, 5)
		wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed, "dropped")
		wantRecords(w, "unacknowledged", w.unacked(s), 2, 3)
		w.must(s.Close(w.Context()))
		w.must(w.sdk.Close())
		wantRecords(w, "unacknowledged after the SDK's end", w.unacked(s), 2, 3)
	})
}

func TestUnacked_UN10_ReadAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(3, zerobustest.Ack(0), zerobustest.Wait(ms), zerobustest.Fail(codes.NotFound, "dropped"))))
		s := w.open(one()...)
		w.ingest(s, 0, 1)
		w.batch(s, 1, 3)
		w.ingest(s, 4, 2)
		wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed)
		for range 3 {
			wantRecords(w, "unacknowledged", w.unacked(s), 1, 5)
			calls, err := s.EachUnacked()
			w.must(err)
			for range 2 { // an iterator, too, begins at the beginning every time
				next := int64(1)
				for offset, call := range calls {
					if want := map[int64]int{1: 3, 2: 1, 3: 1}[offset]; offset != next || len(call) != want {
						w.Errorf("call %d has %d records; want call %d with %d", offset, len(call), next, want)
					}
					next++
				}
				if next != 4 {
					w.Errorf("%d calls", next-1)
				}
			}
			for range calls {
				break // it may be left early
			}
		}
	})
}

// What is read is of the stream, not of the space that its connections use.
func TestUnacked_OutlivesOtherStreams(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(9, zerobustest.Fail(codes.NotFound, "dropped"))))
		s := w.open(one()...)
		w.ingest(s, 0, 10)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed)
		recs, err := s.Unacked()
		w.must(err)
		for range 3 { // which use memory of the same pool
			other := w.open()
			for range 30 {
				_, err := other.Ingest(w.Context(), zerobus.JSONBytes(make([]byte, 100_000)))
				w.must(err)
			}
			w.must(other.Close(w.Context()))
		}
		var got [][]byte
		for _, r := range recs {
			got = append(got, r.Bytes())
		}
		wantRecords(w, "unacknowledged", got, 0, 10)
	})
}
