package zerobus_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

func (w *world) openProto(opts ...zerobus.StreamOption) *zerobus.Stream {
	w.Helper()
	s, err := w.sdk.CreateStream(w.Context(), zerobus.ProtoTable(table, &durationpb.Duration{}), auth, opts...)
	w.must(err)
	return s
}

func TestIngest_IN01_OneProtoRecord(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(50 * time.Millisecond)))
		s := w.openProto()
		m := &durationpb.Duration{Seconds: 7, Nanos: 1}
		start := time.Now()
		ack, err := s.Ingest(w.Context(), zerobus.Proto(m))
		w.must(err)
		m.Seconds = 8 // the record was copied
		w.took("ingest", start, 0, 0)
		if ack.Offset() != 0 || ack.IsDone() {
			w.Errorf("offset %d, done %v", ack.Offset(), ack.IsDone())
		}
		w.must(ack.Wait(w.Context()))
		w.took("wait", start, 50*time.Millisecond, 50*time.Millisecond)
		c := w.conns(1)[0]
		reqs := c.Requests()
		if len(reqs) != 1 || reqs[0].Offset != 0 || reqs[0].Batch || reqs[0].JSON {
			w.Fatalf("requests %+v", reqs)
		}
		var got durationpb.Duration
		w.must(proto.Unmarshal(reqs[0].Records[0], &got))
		if got.Seconds != 7 || got.Nanos != 1 {
			w.Errorf("record %v", &got)
		}
		if create, _ := c.Create(); create.RecordType != 1 || len(create.Descriptor) == 0 {
			w.Errorf("create request %+v", create)
		}
		w.must(s.Close(w.Context()))
	})
}

func TestIngest_IN02_OneByOne(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(10 * time.Millisecond)))
		s := w.open()
		for i := range 2 {
			ack := w.ingest(s, i, 1)[0]
			w.must(ack.Wait(w.Context()))
			if ack.Offset() != int64(i) {
				w.Errorf("offset %d; want %d", ack.Offset(), i)
			}
		}
		w.must(s.Close(w.Context()))
	})
}

func TestIngest_IN03_Hundred(t *testing.T) {
	for name, step := range map[string]zerobustest.Step{
		"one ack":       zerobustest.On(99, zerobustest.Wait(200*time.Millisecond), zerobustest.Ack(99)),
		"an ack each":   zerobustest.AckAll(),
		"acks at times": zerobustest.AckAllAfter(time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept(step))
				s := w.open(one()...)
				for i, ack := range w.ingest(s, 0, 100) {
					w.must(ack.Wait(w.Context()))
					if ack.Offset() != int64(i) {
						w.Errorf("offset %d; want %d", ack.Offset(), i)
					}
				}
				c := w.conns(1)[0]
				if n := len(c.Requests()); n != 100 {
					w.Errorf("%d requests", n)
				}
				wantRecords(w, "received", c.Records(), 0, 100)
				w.must(s.Close(w.Context()))
			})
		})
	}
}

func TestIngest_IN04_OffsetsAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept())
		s := w.open()
		for i, ack := range w.ingest(s, 0, 3) {
			if ack.Offset() != int64(i) {
				w.Errorf("offset %d; want %d", ack.Offset(), i)
			}
		}
		synctest.Wait()
		wantRecords(w, "received", w.conns(1)[0].Records(), 0, 3)
	})
}

func TestIngest_IN05_JSON(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(50 * time.Millisecond)))
		s := w.open(one()...)
		var last zerobus.Ack
		for _, r := range []zerobus.Record{
			zerobus.JSON(map[string]any{"name": "<a&b>", "n": 1}),
			zerobus.JSON(struct {
				Name string `json:"name"`
			}{"x"}),
			zerobus.JSONString(`{"n":2}`),
			zerobus.JSONBytes([]byte(`{"n":3}`)),
		} {
			var err error
			last, err = s.Ingest(w.Context(), r)
			w.must(err)
		}
		w.must(last.Wait(w.Context()))
		reqs := w.conns(1)[0].Requests()
		want := []string{`{"n":1,"name":"<a&b>"}`, `{"name":"x"}`, `{"n":2}`, `{"n":3}`}
		if len(reqs) != len(want) || last.Offset() != 3 {
			w.Fatalf("%d requests, the last offset is %d", len(reqs), last.Offset())
		}
		for i, q := range reqs {
			if !q.JSON || q.Batch || string(q.Records[0]) != want[i] {
				w.Errorf("request %d: %+v; want %s", i, q, want[i])
			}
		}
		w.must(s.Close(w.Context()))
	})
}

func TestIngest_IN06_WrongKind(t *testing.T) {
	inBubble(t, func(w *world) {
		js, pb := w.open(), w.openProto()
		_, err := js.Ingest(w.Context(), zerobus.ProtoBytes([]byte("x")))
		wantErr(w, err, zerobus.ErrInvalidArgument, "PROTO", "JSON")
		_, err = pb.Ingest(w.Context(), zerobus.JSONString("{}"))
		wantErr(w, err, zerobus.ErrInvalidArgument, "PROTO", "JSON")
		_, err = pb.TryIngest(zerobus.JSON(1))
		wantErr(w, err, zerobus.ErrInvalidArgument, "PROTO", "JSON")
		_, err = js.Ingest(w.Context(), zerobus.Record{})
		wantErr(w, err, zerobus.ErrInvalidArgument, "zero Record")
		w.must(js.Close(w.Context()))
		w.must(pb.Close(w.Context()))
		for _, c := range w.conns(2) {
			if n := len(c.Requests()); n != 0 {
				w.Errorf("%d requests", n)
			}
		}
	})
}

func TestIngest_IN07_ClosedStream(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		w.must(s.Close(w.Context()))
		_, err := s.Ingest(w.Context(), rec(0))
		wantErr(w, err, zerobus.ErrStreamClosed, table)
		if zerobus.IsRetriable(err) {
			w.Error("a closed stream does not open again")
		}
		_, err = s.TryIngest(rec(0))
		wantErr(w, err, zerobus.ErrStreamClosed)
	})
}

func TestIngest_IN17_JSONMustBeUTF8(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		for _, r := range []zerobus.Record{zerobus.JSONString("{\"a\":\"\xff\"}"), zerobus.JSONBytes([]byte{0xc3, 0x28})} {
			_, err := s.Ingest(w.Context(), r)
			wantErr(w, err, zerobus.ErrInvalidArgument, "UTF-8")
		}
		_, err := s.Ingest(w.Context(), zerobus.JSONString("not { json"))
		w.must(err) // the server's judgement
		w.must(s.Close(w.Context()))
	})
}

func TestIngest_IN18_LargeRecords(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		large := `"` + strings.Repeat("x", 5<<20) + `"`
		_, err := s.Ingest(w.Context(), zerobus.JSONString(large))
		w.must(err)
		w.ingest(s, 1, 1)
		const most = 10<<20 - 64<<10
		_, err = s.Ingest(w.Context(), zerobus.JSONString(strings.Repeat("x", most)))
		wantErr(w, err, zerobus.ErrInvalidArgument, fmt.Sprint(most))
		_, err = s.Ingest(w.Context(), zerobus.JSONString(strings.Repeat("x", most-5)))
		w.must(err)
		w.must(s.Close(w.Context()))
		got := w.srv.Records(table)
		if len(got) != 3 || string(got[0]) != large || !bytes.Equal(got[1], rec(1).Bytes()) || len(got[2]) != most-5 {
			w.Errorf("%d records arrived", len(got))
		}
	})
}

func TestIngest_IN19_WhileRecovering(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Unavailable, "gone"))),
			zerobustest.Refuse(codes.Unavailable, "starting"),
		)
		s := w.open(zerobus.WithRecoveryBackoff(time.Second))
		w.ingest(s, 0, 1)
		time.Sleep(500 * time.Millisecond)
		wantState(w, s, zerobus.StateRecovering)
		w.ingest(s, 1, 9)
		w.must(s.Flush(w.Context()))
		wantState(w, s, zerobus.StateOpened)
		wantRecords(w, "durable", w.srv.Records(table), 0, 10)
		w.must(s.Close(w.Context()))
	})
}

// broken is a value whose marshaler panics.
type broken struct{}

func (broken) MarshalJSON() ([]byte, error) { panic("a bug in the marshaler") }

func TestIngest_IN20_EncodingErrorUsesNoOffset(t *testing.T) {
	inBubble(t, func(w *world) {
		js, pb := w.open(), w.openProto()
		_, err := js.Ingest(w.Context(), zerobus.JSON(make(chan int)))
		wantErr(w, err, zerobus.ErrInvalidArgument, "chan")
		_, err = js.Ingest(w.Context(), zerobus.JSON(broken{}))
		wantErr(w, err, zerobus.ErrInvalidArgument, "a bug in the marshaler")
		_, err = js.IngestBatch(w.Context(), []zerobus.Record{rec(0), zerobus.JSON(broken{})})
		wantErr(w, err, zerobus.ErrInvalidArgument, "record 1", "a bug in the marshaler")
		for _, m := range []proto.Message{
			&descriptorpb.UninterpretedOption_NamePart{}, // without its required fields
			nil,
			(*durationpb.Duration)(nil),
		} {
			_, err := pb.Ingest(w.Context(), zerobus.Proto(m))
			wantErr(w, err, zerobus.ErrInvalidArgument)
		}
		if ack := w.ingest(js, 0, 1)[0]; ack.Offset() != 0 {
			w.Errorf("offset %d after an error; want 0", ack.Offset())
		}
		if offset, err := pb.IngestAndWait(w.Context(), zerobus.ProtoBytes(nil)); err != nil || offset != 0 {
			w.Errorf("offset %d, %v after an error; want 0", offset, err)
		}
		w.must(js.Close(w.Context()))
		w.must(pb.Close(w.Context()))
	})
}

// What gathers while the sender is busy becomes one message; a lone record goes at once and alone.
func TestIngest_NaturalBatching(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		start := time.Now()
		w.must(w.ingest(s, 0, 1)[0].Wait(w.Context()))
		w.took("a lone record", start, 0, 0)
		w.ingest(s, 1, 1000)
		w.must(s.Close(w.Context()))
		c := w.conns(1)[0]
		reqs := c.Requests()
		if reqs[0].Batch {
			w.Error("a lone record was sent as a batch")
		}
		if len(reqs) > 500 {
			w.Errorf("1000 records came in %d requests", len(reqs)-1)
		}
		for i, q := range reqs {
			if q.Offset != int64(i) {
				w.Fatalf("request %d has offset %d", i, q.Offset)
			}
		}
		wantRecords(w, "received", c.Records(), 0, 1001)
	})
}
