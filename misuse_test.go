package zerobus_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// Every call takes nil for what it is, an error, and leaves the stream alone.
func TestMisuse_NilContexts(t *testing.T) {
	inBubble(t, func(w *world) {
		var none context.Context
		s := w.open()
		ack := w.ingest(s, 0, 1)[0]
		for name, call := range map[string]func() error{
			"CreateStream":   func() error { _, err := w.sdk.CreateStream(none, zerobus.Table(table), auth); return err },
			"Ingest":         func() error { _, err := s.Ingest(none, rec(1)); return err },
			"IngestAndWait":  func() error { _, err := s.IngestAndWait(none, rec(1)); return err },
			"IngestBatch":    func() error { _, err := s.IngestBatch(none, recs(1, 2)); return err },
			"Flush":          func() error { return s.Flush(none) },
			"WaitForOffset":  func() error { return s.WaitForOffset(none, 0) },
			"Ack.Wait":       func() error { return ack.Wait(none) },
			"Close":          func() error { return s.Close(none) },
			"FetchToken":     func() error { _, err := zerobus.FetchToken(none, zerobus.OAuthConfig{}); return err },
			"RecreateStream": func() error { _, err := w.sdk.RecreateStream(none, w.ended()); return err },
		} {
			err := call()
			if err == nil {
				w.Errorf("%s takes a nil context", name)
				continue
			}
			wantErr(w, err, zerobus.ErrInvalidArgument, "context")
		}
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 1)
	})
}

// ended is a stream that is closed.
func (w *world) ended() *zerobus.Stream {
	w.Helper()
	s := w.open()
	w.must(s.Close(w.Context()))
	return s
}

func TestMisuse_StreamsThatNobodyMade(t *testing.T) {
	ctx := t.Context()
	for name, s := range map[string]*zerobus.Stream{"nil": nil, "zero": {}} {
		for method, call := range map[string]func() error{
			"Ingest":         func() error { _, err := s.Ingest(ctx, rec(0)); return err },
			"TryIngest":      func() error { _, err := s.TryIngest(rec(0)); return err },
			"IngestAndWait":  func() error { _, err := s.IngestAndWait(ctx, rec(0)); return err },
			"IngestBatch":    func() error { _, err := s.IngestBatch(ctx, nil); return err },
			"Flush":          func() error { return s.Flush(ctx) },
			"WaitForOffset":  func() error { return s.WaitForOffset(ctx, 0) },
			"Close":          func() error { return s.Close(ctx) },
			"Err":            func() error { return s.Err() },
			"Unacked":        func() error { _, err := s.Unacked(); return err },
			"UnackedBatches": func() error { _, err := s.UnackedBatches(); return err },
			"EachUnacked":    func() error { _, err := s.EachUnacked(); return err },
		} {
			if err := call(); err == nil {
				t.Errorf("%s of a %s stream works", method, name)
			} else {
				wantErr(t, err, zerobus.ErrInvalidState)
			}
		}
		for range s.StateChanges(ctx) {
			t.Errorf("a %s stream has states", name)
		}
		if s.ID() != "" || s.TableName() != "" || s.Settings().MaxInflightRecords != 0 {
			t.Errorf("a %s stream has an id, a table or settings", name)
		}
	}
	for name, sdk := range map[string]*zerobus.SDK{"nil": nil, "zero": {}} {
		_, err := sdk.CreateStream(ctx, zerobus.Table(table), auth)
		wantErr(t, err, zerobus.ErrInvalidState)
		if err := sdk.Close(); err != nil {
			t.Errorf("close of a %s SDK: %v", name, err)
		}
	}
	if _, err := zerobus.New("http://localhost:1", "", nil); err == nil {
		t.Error("a nil option is taken")
	}
	inBubble(t, func(w *world) {
		_, err := w.create(nil)
		wantErr(w, err, zerobus.ErrInvalidArgument, "option 0")
	})
}

// Switching recovery off is not undone by other settings that are zero.
func TestMisuse_RecoveryOffStaysOff(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Unavailable, "gone"))))
		s := w.open(zerobus.WithRecovery(false), zerobus.WithRecoveryBackoff(0), zerobus.WithRecoveryRetries(0))
		w.ingest(s, 0, 1)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed, "gone")
		time.Sleep(time.Hour)
		w.conns(1)
	})
}

// Limits cost nothing before they are used, and the largest ones do not overflow.
func TestMisuse_LargestLimits(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open(zerobus.WithMaxInflightRecords(math.MaxInt), zerobus.WithMaxInflightBytes(math.MaxInt),
			zerobus.WithMaxBatchRecords(math.MaxInt), zerobus.WithRecoveryRetries(math.MaxInt),
			zerobus.WithRecoveryTimeout(math.MaxInt64), zerobus.WithFlushTimeout(math.MaxInt64),
			zerobus.WithServerAckTimeout(math.MaxInt64), zerobus.WithMaxPause(math.MaxInt64), zerobus.WithCallbackTimeout(math.MaxInt64))
		w.ingest(s, 0, 10)
		w.must(s.Flush(w.Context()))
		w.srv.Connections()[0].CloseSignal(time.Second)
		synctest.Wait()
		w.ingest(s, 10, 10)
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 20)
	})
}

// Records without bytes have framing, which counts: they do not get past the limit of bytes.
func TestMisuse_EmptyRecordsHaveASize(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept())
		s := w.open(zerobus.WithMaxInflightBytes(10))
		n := 0
		for {
			_, err := s.TryIngest(zerobus.JSONString(""))
			if err != nil {
				wantErr(w, err, zerobus.ErrWouldBlock)
				break
			}
			if n++; n > 10 {
				w.Fatal("there is no end")
			}
		}
		if n != 5 {
			w.Errorf("%d empty records in 10 bytes; want 5, with 2 bytes of framing each", n)
		}
		wantErr(w, s.Close(w.timeout(time.Second)), context.DeadlineExceeded)
	})
}

// A call that gave up is not part of the stream: no offset is missing for it, and no flush waits for it.
func TestMisuse_AbandonedCallsUseNoOffset(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(time.Second)))
		s := w.open(one(zerobus.WithMaxInflightRecords(2))...)
		acks := w.ingest(s, 0, 2)
		for range 3 {
			_, err := s.Ingest(w.timeout(10*ms), rec(99))
			wantErr(w, err, context.DeadlineExceeded)
			_, err = s.IngestBatch(w.timeout(10*ms), recs(99, 2))
			wantErr(w, err, context.DeadlineExceeded)
		}
		start := time.Now()
		w.must(s.Flush(w.Context()))
		w.took("flush", start, 940*ms, 940*ms)
		w.must(zerobus.WaitAll(w.Context(), acks...))
		if ack := w.ingest(s, 2, 1)[0]; ack.Offset() != 2 {
			w.Errorf("offset %d; want 2", ack.Offset())
		}
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 3)
	})
}

// A context that has ended is looked at where there is something to wait for.
func TestMisuse_EndedContexts(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(time.Second)))
		s := w.open(one(zerobus.WithMaxInflightRecords(2))...)
		ended, cancel := context.WithCancel(w.Context())
		cancel()
		w.must(s.Flush(ended)) // nothing to wait for
		for i := range 2 {
			_, err := s.Ingest(ended, rec(i)) // there is room
			w.must(err)
		}
		_, err := s.Ingest(ended, rec(2))
		wantErr(w, err, context.Canceled)
		wantErr(w, s.Flush(ended), context.Canceled)
		wantErr(w, s.WaitForOffset(ended, 1), context.Canceled)
		w.must(s.Flush(w.Context()))
		w.must(s.WaitForOffset(ended, 1))
		w.must(s.Close(ended)) // and here again
		wantRecords(w, "durable", w.srv.Records(table), 0, 2)
	})
}
