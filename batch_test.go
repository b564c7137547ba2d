package zerobus_test

import (
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

func recs(n, count int) []zerobus.Record {
	all := make([]zerobus.Record, count)
	for i := range all {
		all[i] = rec(n + i)
	}
	return all
}

func (w *world) batch(s *zerobus.Stream, n, count int) zerobus.Ack {
	w.Helper()
	ack, err := s.IngestBatch(w.Context(), recs(n, count))
	w.must(err)
	return ack
}

func TestBatches_BA01_BA02_OneOffset(t *testing.T) {
	for _, count := range []int{2, 3, 5, 100} {
		inBubble(t, func(w *world) {
			w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(50 * ms)))
			s := w.open()
			ack := w.batch(s, 0, count)
			w.must(ack.Wait(w.Context()))
			if ack.Offset() != 0 {
				w.Errorf("offset %d", ack.Offset())
			}
			reqs := w.conns(1)[0].Requests()
			if len(reqs) != 1 || !reqs[0].Batch || reqs[0].Offset != 0 {
				w.Fatalf("requests %+v", reqs)
			}
			wantRecords(w, "received", reqs[0].Records, 0, count)
			w.must(s.Close(w.Context()))
		})
	}
}

func TestBatches_BA03_BA04_EmptyIsNoCall(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		for _, none := range [][]zerobus.Record{nil, {}} {
			ack, err := s.IngestBatch(w.Context(), none)
			w.must(err)
			if ack != (zerobus.Ack{}) {
				w.Errorf("ack %+v", ack)
			}
		}
		w.ingest(s, 0, 2)
		w.must(s.Flush(w.Context()))
		w.batch(s, 2, 0)
		if ack := w.ingest(s, 2, 1)[0]; ack.Offset() != 2 {
			w.Errorf("offset %d after an empty batch; want 2", ack.Offset())
		}
		w.must(s.Close(w.Context()))
		wantRecords(w, "received", w.conns(1)[0].Records(), 0, 3)
	})
}

func TestBatches_BA05_ServerRefusesTheSize(t *testing.T) {
	inBubble(t, func(w *world) {
		const text = "Batch size exceeds maximum allowed size"
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.InvalidArgument, text))))
		s := w.open()
		wantErr(w, w.batch(s, 0, 100).Wait(w.Context()), zerobus.ErrInvalidArgument, text)
		wantErr(w, s.Close(w.Context()), zerobus.ErrInvalidArgument, text)
	})
}

func TestBatches_BA06_SinglesAndBatches(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(50 * ms)))
		s := w.open(one()...)
		acks := []zerobus.Ack{w.ingest(s, 0, 1)[0], w.batch(s, 1, 2), w.ingest(s, 3, 1)[0]}
		for i, ack := range acks {
			w.must(ack.Wait(w.Context()))
			if ack.Offset() != int64(i) {
				w.Errorf("offset %d; want %d", ack.Offset(), i)
			}
		}
		c := w.conns(1)[0]
		reqs := c.Requests()
		if len(reqs) != 3 || reqs[0].Batch || !reqs[1].Batch || reqs[2].Batch || reqs[2].Offset != 2 {
			w.Errorf("requests %+v", reqs)
		}
		wantRecords(w, "received", c.Records(), 0, 4)
		w.must(s.Close(w.Context()))
	})
}

func TestBatches_BA07_BA09_WrongKind(t *testing.T) {
	inBubble(t, func(w *world) {
		js, pb := w.open(), w.openProto()
		_, err := js.IngestBatch(w.Context(), []zerobus.Record{rec(0), zerobus.ProtoBytes(nil)})
		wantErr(w, err, zerobus.ErrInvalidArgument, "record 1", "PROTO", "JSON")
		_, err = pb.IngestBatch(w.Context(), recs(0, 2))
		wantErr(w, err, zerobus.ErrInvalidArgument, "record 0", "PROTO", "JSON")
		if ack := w.batch(js, 0, 2); ack.Offset() != 0 {
			w.Errorf("offset %d after an error", ack.Offset())
		}
		w.must(js.Close(w.Context()))
		w.must(pb.Close(w.Context()))
	})
}

func TestBatches_BA08_ClosedStream(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		w.must(s.Close(w.Context()))
		for _, n := range []int{0, 3} {
			_, err := s.IngestBatch(w.Context(), recs(0, n))
			wantErr(w, err, zerobus.ErrStreamClosed)
		}
	})
}

func TestBatches_BA11_OneRecordIsASingleMessage(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		w.must(w.batch(s, 0, 1).Wait(w.Context()))
		reqs := w.conns(1)[0].Requests()
		if len(reqs) != 1 || reqs[0].Batch {
			w.Errorf("requests %+v", reqs)
		}
		w.must(s.Close(w.Context()))
	})
}

func TestBatches_BA13_LargerThanTheLimit(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(50 * ms)))
		s := w.open(zerobus.WithMaxInflightRecords(5))
		w.ingest(s, 0, 1)
		ack := w.batch(s, 1, 20)
		later := w.ingest(s, 21, 1)[0]
		if !ack.IsDone() {
			w.Error("a record was admitted beside a batch larger than the limit")
		}
		w.must(later.Wait(w.Context()))
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 22)
	})
}

func TestBatches_TooManyBytes(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		half := zerobus.JSONBytes(make([]byte, 6<<20))
		_, err := s.IngestBatch(w.Context(), []zerobus.Record{half, half})
		wantErr(w, err, zerobus.ErrInvalidArgument, "10420224")
		w.must(s.Close(w.Context()))
	})
}

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
	})
}

func TestUnacked_UN04_LivingStream(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		_, err := s.Unacked()
		wantErr(w, err, zerobus.ErrInvalidState)
		_, err = s.UnackedBatches()
		wantErr(w, err, zerobus.ErrInvalidState)
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
