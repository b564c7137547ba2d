package zerobus_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

func TestRecord_UT02_KindAndBytes(t *testing.T) {
	for name, tt := range map[string]struct {
		rec  zerobus.Record
		typ  zerobus.RecordType
		want string
	}{
		"JSON text":              {zerobus.JSONString("{}"), zerobus.RecordTypeJSON, "{}"},
		"JSON bytes":             {zerobus.JSONBytes([]byte("{}")), zerobus.RecordTypeJSON, "{}"},
		"JSON of a string":       {zerobus.JSON("{}"), zerobus.RecordTypeJSON, "{}"},
		"JSON of bytes":          {zerobus.JSON([]byte("{}")), zerobus.RecordTypeJSON, "{}"},
		"JSON of a raw message":  {zerobus.JSON(json.RawMessage("{}")), zerobus.RecordTypeJSON, "{}"},
		"bytes of a message":     {zerobus.ProtoBytes([]byte{8, 1}), zerobus.RecordTypeProto, "\x08\x01"},
		"JSON that is not coded": {zerobus.JSON(map[string]int{}), zerobus.RecordTypeJSON, ""},
		"a message":              {zerobus.Proto(&durationpb.Duration{Seconds: 1}), zerobus.RecordTypeProto, ""},
		"nothing":                {zerobus.Record{}, 0, ""},
	} {
		if tt.rec.Type() != tt.typ || string(tt.rec.Bytes()) != tt.want {
			t.Errorf("%s: a %v record of %q; want %v and %q", name, tt.rec.Type(), tt.rec.Bytes(), tt.typ, tt.want)
		}
	}
	inBubble(t, func(w *world) {
		js, pb := w.open(), w.openProto()
		for _, tt := range []struct {
			s   *zerobus.Stream
			rec zerobus.Record
		}{
			{js, zerobus.Proto(&durationpb.Duration{})},
			{js, zerobus.ProtoBytes(nil)},
			{pb, zerobus.JSON(map[string]int{})},
			{pb, zerobus.JSONString("{}")},
			{pb, zerobus.JSONBytes([]byte("{}"))},
		} {
			_, err := tt.s.Ingest(w.Context(), tt.rec)
			wantErr(w, err, zerobus.ErrInvalidArgument, "PROTO", "JSON")
		}
	})
}

func TestRecord_UT07_NumbersOfTheTypes(t *testing.T) {
	if zerobus.RecordTypeProto != 1 || zerobus.RecordTypeJSON != 2 {
		t.Errorf("PROTO is %d and JSON is %d", zerobus.RecordTypeProto, zerobus.RecordTypeJSON)
	}
	for typ, want := range map[zerobus.RecordType]string{1: "PROTO", 2: "JSON"} {
		if typ.String() != want {
			t.Errorf("%d prints as %s", typ, typ)
		}
	}
}

// serialized is a value with an encoding of its own.
type serialized int

func (s serialized) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `{"n":%d}`, int(s)), nil }

// encodings are the ways to say the i-th record, which all mean the same bytes.
var encodings = map[string]struct {
	proto  bool
	record func(i int) zerobus.Record
}{
	"messages": {true, func(i int) zerobus.Record { return zerobus.Proto(&durationpb.Duration{Seconds: int64(i)}) }},
	"encoded messages": {true, func(i int) zerobus.Record {
		b, _ := proto.Marshal(&durationpb.Duration{Seconds: int64(i)})
		return zerobus.ProtoBytes(b)
	}},
	"objects":                   {false, func(i int) zerobus.Record { return zerobus.JSON(map[string]int{"n": i}) }},
	"objects with a serializer": {false, func(i int) zerobus.Record { return zerobus.JSON(serialized(i)) }},
	"texts":                     {false, rec},
}

// openFor opens a stream for records of an encoding.
func (w *world) openFor(proto bool) *zerobus.Stream {
	w.Helper()
	if proto {
		return w.openProto(one()...)
	}
	return w.open(one()...)
}

// wantNumbers checks that the durable records are those of encodings with these numbers.
func (w *world) wantNumbers(proto bool, got [][]byte, want []int) {
	w.Helper()
	if len(got) != len(want) {
		w.Fatalf("%d records; want %d", len(got), len(want))
	}
	for i, n := range want {
		record := encodings["texts"].record(n)
		if proto {
			record = encodings["encoded messages"].record(n)
		}
		if string(got[i]) != string(record.Bytes()) {
			w.Fatalf("record %d is %q; want %q", i, got[i], record.Bytes())
		}
	}
}

func TestIngest_IN08_EveryEncoding(t *testing.T) {
	for _, pair := range [][2]string{
		{"messages", "encoded messages"},
		{"objects", "texts"},
		{"objects with a serializer", "texts"},
	} {
		t.Run(fmt.Sprint(pair), func(t *testing.T) {
			inBubble(t, func(w *world) {
				proto := encodings[pair[0]].proto
				s := w.openFor(proto)
				var numbers []int
				for _, name := range pair {
					offset, err := s.IngestAndWait(w.Context(), encodings[name].record(0))
					if w.must(err); offset != int64(len(numbers)) {
						w.Errorf("offset %d; want %d", offset, len(numbers))
					}
					numbers = append(numbers, 0)
					var last zerobus.Ack
					for i := range 10 {
						last, err = s.Ingest(w.Context(), encodings[name].record(1+i))
						w.must(err)
						numbers = append(numbers, 1+i)
					}
					w.must(last.Wait(w.Context()))
				}
				if len(numbers) != 22 {
					w.Fatalf("%d records", len(numbers))
				}
				w.wantNumbers(proto, w.srv.Records(table), numbers) // acknowledged, before any flush
				w.must(s.Close(w.Context()))
			})
		})
	}
}

// What Go's types let through that is no record.
func TestIngest_IN09_UnsupportedPayload(t *testing.T) {
	inBubble(t, func(w *world) {
		js, pb := w.open(), w.openProto()
		for name, tt := range map[string]struct {
			s   *zerobus.Stream
			rec zerobus.Record
		}{
			"the zero Record":          {js, zerobus.Record{}},
			"nil":                      {js, zerobus.JSON(nil)},
			"a function":               {js, zerobus.JSON(func() {})},
			"a channel in a map":       {js, zerobus.JSON(map[string]any{"c": make(chan int)})},
			"a number that JSON lacks": {js, zerobus.JSON(map[string]any{"f": math.Inf(1)})},
			"a nil message":            {pb, zerobus.Proto(nil)},
			"another message":          {pb, zerobus.Proto(&emptypb.Empty{})},
		} {
			_, err := tt.s.Ingest(w.Context(), tt.rec)
			if err == nil {
				w.Errorf("%s is accepted", name)
				continue
			}
			wantErr(w, err, zerobus.ErrInvalidArgument)
		}
		w.must(js.Close(w.Context()))
		w.must(pb.Close(w.Context()))
		if n := requests(w.conns(2)); n != 0 {
			w.Errorf("%d requests", n)
		}
	})
}

// A round trip of 100 ms for a thousand records: more than 100 a second, since none waits for the one before.
func TestIngest_IN10_Throughput(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(100 * ms)))
		s := w.open(one(zerobus.WithMaxInflightRecords(10_000))...)
		start := time.Now()
		acks := w.ingest(s, 0, 1000)
		w.must(acks[999].Wait(w.Context()))
		w.took("1000 records", start, 100*ms, 100*ms)
		wantRecords(w, "durable", w.srv.Records(table), 0, 1000)
		w.must(s.Close(w.Context()))
	})
}

// An Ack is a future, and its channel is one that joins others in a select.
func TestIngest_IN11_Futures(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(50 * ms)))
		s := w.open()
		start := time.Now()
		first := w.ingest(s, 0, 1)[0]
		<-first.Done()
		w.took("the first", start, 50*ms, 50*ms)
		acks := w.ingest(s, 1, 10)
		<-acks[9].Done()
		w.took("all", start, 100*ms, 100*ms)
		for i, ack := range append([]zerobus.Ack{first}, acks...) {
			if ack.Offset() != int64(i) || !ack.IsDone() || ack.Err() != nil {
				w.Errorf("ack %d: offset %d, done %v, error %v", i, ack.Offset(), ack.IsDone(), ack.Err())
			}
		}
		w.must(zerobus.WaitAll(w.Context(), acks...))
		w.must(s.Close(w.Context()))
	})
}

func TestIngest_IN12_TheLastOffsetIsAllOfThem(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(9, zerobustest.Wait(50*ms), zerobustest.Ack(9))))
		s := w.open(one()...)
		acks := w.ingest(s, 0, 10)
		if acks[0].IsDone() {
			w.Error("acknowledged before the server said so")
		}
		w.must(s.WaitForOffset(w.Context(), acks[9].Offset()))
		for i, ack := range acks {
			if !ack.IsDone() || ack.Err() != nil {
				w.Errorf("ack %d: done %v, error %v", i, ack.IsDone(), ack.Err())
			}
		}
		w.must(s.Close(w.Context()))
	})
}

func TestIngest_IN13_CloseAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Wait(10*ms), zerobustest.Ack(0))))
		s := w.open()
		start := time.Now()
		ack := w.ingest(s, 0, 1)[0]
		w.must(s.Close(w.Context()))
		w.took("close", start, 10*ms, 10*ms)
		w.must(ack.Err())
		wantRecords(w, "durable", w.srv.Records(table), 0, 1)
	})
}

func TestIngest_IN15_OffsetsAndFuturesMixed(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(3, zerobustest.Wait(100*ms), zerobustest.Ack(3))))
		s := w.open(one()...)
		start := time.Now()
		acks := w.ingest(s, 0, 4)
		w.must(s.WaitForOffset(w.Context(), 0))
		w.must(acks[1].Wait(w.Context()))
		if acks[1].Offset() != 1 {
			w.Errorf("the future gives %d", acks[1].Offset())
		}
		w.must(s.WaitForOffset(w.Context(), 2))
		w.must(acks[3].Wait(w.Context()))
		w.took("all", start, 100*ms, 100*ms)
		w.must(s.Close(w.Context()))
	})
}
