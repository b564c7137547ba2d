package zerobus_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

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

// waits are the two ways to wait for a call.
var waits = map[string]func(w *world, s *zerobus.Stream, ack zerobus.Ack) error{
	"future": func(w *world, _ *zerobus.Stream, ack zerobus.Ack) error { return ack.Wait(w.Context()) },
	"offset": func(w *world, s *zerobus.Stream, ack zerobus.Ack) error {
		return s.WaitForOffset(w.Context(), ack.Offset())
	},
}

func TestBatches_BA01_BA02_OneOffset(t *testing.T) {
	for _, tt := range []struct {
		name  string
		count int
		delay time.Duration
	}{{"BA-01 of 3", 3, 50 * ms}, {"BA-02 of 5", 5, 100 * ms}, {"BA-02 of 100", 100, 100 * ms}, {"of 2", 2, ms}} {
		for _, encoding := range []string{"texts", "encoded messages"} {
			for api, wait := range waits {
				t.Run(fmt.Sprintf("%s, %s, %s", tt.name, encoding, api), func(t *testing.T) {
					inBubble(t, func(w *world) {
						w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(tt.delay)))
						proto := encodings[encoding].proto
						s := w.openFor(proto)
						var all []zerobus.Record
						var numbers []int
						for i := range tt.count {
							all = append(all, encodings[encoding].record(i))
							numbers = append(numbers, i)
						}
						start := time.Now()
						ack, err := s.IngestBatch(w.Context(), all)
						w.must(err)
						w.must(wait(w, s, ack))
						w.took("wait", start, tt.delay, tt.delay)
						if ack.Offset() != 0 {
							w.Errorf("offset %d", ack.Offset())
						}
						reqs := w.conns(1)[0].Requests()
						if len(reqs) != 1 || !reqs[0].Batch || reqs[0].Offset != 0 || reqs[0].JSON == proto {
							w.Fatalf("requests %+v", reqs)
						}
						w.wantNumbers(proto, reqs[0].Records, numbers)
						w.must(s.Close(w.Context()))
					})
				})
			}
		}
	}
}

func TestBatches_BA03_BA04_EmptyIsNoCall(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		for _, none := range [][]zerobus.Record{nil, {}} {
			ack, err := s.IngestBatch(w.Context(), none)
			w.must(err)
			if ack != (zerobus.Ack{}) || ack.Offset() != -1 || !ack.IsDone() {
				w.Errorf("ack %+v", ack)
			}
		}
		w.must(s.Flush(w.Context()))
		synctest.Wait()
		if n := requests(w.conns(1)); n != 0 {
			w.Errorf("%d requests for nothing", n)
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

func TestBatches_BA10_ElevenOfTen(t *testing.T) {
	for _, pair := range [][2]string{{"messages", "encoded messages"}, {"objects", "texts"}} {
		t.Run(fmt.Sprint(pair), func(t *testing.T) {
			inBubble(t, func(w *world) {
				proto := encodings[pair[0]].proto
				s := w.openFor(proto)
				var numbers []int
				calls := int64(0)
				add := func(name string) zerobus.Ack {
					var all []zerobus.Record
					for range 10 {
						all = append(all, encodings[name].record(len(numbers)))
						numbers = append(numbers, len(numbers))
					}
					ack, err := s.IngestBatch(w.Context(), all)
					if w.must(err); ack.Offset() != calls {
						w.Errorf("offset %d; want %d", ack.Offset(), calls)
					}
					calls++
					return ack
				}
				for _, name := range pair {
					w.must(add(name).Wait(w.Context()))
					var last zerobus.Ack
					for range 10 {
						last = add(name)
					}
					w.must(last.Wait(w.Context()))
				}
				if len(numbers) != 220 {
					w.Fatalf("%d records", len(numbers))
				}
				w.wantNumbers(proto, w.srv.Records(table), numbers)
				w.must(s.Close(w.Context()))
			})
		})
	}
}

func TestBatches_BA12_TextsAndObjectsInOne(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		ack, err := s.IngestBatch(w.Context(), []zerobus.Record{
			rec(0), encodings["objects"].record(1), encodings["objects with a serializer"].record(2),
			zerobus.JSONBytes(rec(3).Bytes()),
		})
		w.must(err)
		w.must(ack.Wait(w.Context()))
		reqs := w.conns(1)[0].Requests()
		if ack.Offset() != 0 || len(reqs) != 1 || !reqs[0].Batch {
			w.Fatalf("offset %d, requests %+v", ack.Offset(), reqs)
		}
		wantRecords(w, "received", reqs[0].Records, 0, 4)
		w.must(s.Close(w.Context()))
	})
}
