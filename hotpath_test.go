package zerobus

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"
)

// nullTransport is a pipeline whose connection writes nowhere, and whose server acknowledges what it is given.
type nullTransport struct {
	p    *pipeline
	stop chan struct{}
	done chan struct{}
}

func newNullTransport(tb testing.TB, typ RecordType, change ...func(*StreamSettings)) (*Stream, *nullTransport) {
	tb.Helper()
	k, err := New("http://localhost:1", "")
	if err != nil {
		tb.Fatal(err)
	}
	table := TableProperties{Name: "a.b.c", RecordType: typ}
	if typ == RecordTypeProto {
		table = ProtoTable("a.b.c", &wrapperspb.BytesValue{})
	}
	cfg := DefaultStreamSettings()
	cfg.MaxInflightRecords = 1_000_000
	for _, c := range change {
		c(&cfg)
	}
	p, err := newPipeline(tb.Context(), "create stream", k, table, StaticHeaders{}, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	p.gen = p.win.Begin()
	p.state = StateOpened
	n := &nullTransport{p: p, stop: make(chan struct{}), done: make(chan struct{})}
	go n.run()
	tb.Cleanup(func() {
		close(n.stop)
		<-n.done
		p.sdk.release(p.channel, false)
	})
	return &Stream{p: p}, n
}

// run takes messages as a connection's sender does that is busy writing most of the time.
func (n *nullTransport) run() {
	defer close(n.done)
	h := host{n.p}
	busy := time.NewTicker(100 * time.Microsecond)
	defer busy.Stop()
	for {
		for m, ok := h.Take(n.p.gen); ok; m, ok = h.Take(n.p.gen) {
			m.Body.Free()
			h.Sent(n.p.gen)
			if _, err := h.Ack(n.p.gen, m.Offset); err != nil {
				panic(err)
			}
		}
		select {
		case <-n.stop:
			return
		case <-busy.C:
		}
	}
}

func TestHotPath_RecordsAllocateNothing(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 100)
	type reading struct {
		Device string `json:"device"`
		Temp   int    `json:"temp"`
	}
	for name, rec := range map[string]Record{
		"proto":   ProtoBytes(data),
		"JSON":    JSONBytes(data),
		"message": Proto(wrapperspb.Bytes(data)),
		"value":   JSON(&reading{string(data), 20}),
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newNullTransport(t, rec.Type())
			ctx := context.Background()
			batch := []Record{rec, rec, rec}
			const perRun = 10_000
			for api, ingest := range map[string]func() (Ack, error){
				"record": func() (Ack, error) { return s.Ingest(ctx, rec) },
				"batch":  func() (Ack, error) { return s.IngestBatch(ctx, batch) },
			} {
				run := func() {
					for range perRun {
						if _, err := ingest(); err != nil {
							t.Fatal(err)
						}
					}
				}
				run() // grow what grows once
				// A message costs a few allocations, a wait for room one or two, a record none.
				if allocs := testing.AllocsPerRun(10, run) / perRun; allocs > 0.05 && !(raceDetector && rec.kind.lazy()) {
					t.Errorf("%s: %.3f allocations per call; want 0 but for those of messages", api, allocs)
				}
			}
		})
	}
}

func BenchmarkIngest(b *testing.B) {
	ctx := context.Background()
	for _, size := range []int{20, 220, 750, 10_000} {
		b.Run(fmt.Sprintf("proto=%d", size), func(b *testing.B) {
			s, _ := newNullTransport(b, RecordTypeProto)
			rec := ProtoBytes(make([]byte, size))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Ingest(ctx, rec); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("json=220", func(b *testing.B) {
		s, _ := newNullTransport(b, RecordTypeJSON)
		rec := JSONBytes(bytes.Repeat([]byte("x"), 220))
		b.SetBytes(220)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Ingest(ctx, rec); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("batch=220", func(b *testing.B) {
		s, _ := newNullTransport(b, RecordTypeProto)
		batch := make([]Record, 100)
		for i := range batch {
			batch[i] = ProtoBytes(make([]byte, 220))
		}
		b.SetBytes(220 * 100)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.IngestBatch(ctx, batch); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("value=220", func(b *testing.B) {
		s, _ := newNullTransport(b, RecordTypeJSON)
		rec := JSON(&struct{ A string }{string(bytes.Repeat([]byte("x"), 212))})
		b.SetBytes(220)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Ingest(ctx, rec); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, producers := range []int{4, 16} {
		b.Run(fmt.Sprintf("producers=%d", producers), func(b *testing.B) {
			s, _ := newNullTransport(b, RecordTypeProto)
			rec := ProtoBytes(make([]byte, 20))
			b.SetBytes(20)
			b.ReportAllocs()
			b.SetParallelism(max(1, producers/runtime.GOMAXPROCS(0)))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := s.Ingest(ctx, rec); err != nil {
						panic(err)
					}
				}
			})
		})
	}
	b.Run("message=220", func(b *testing.B) {
		s, _ := newNullTransport(b, RecordTypeProto)
		m := wrapperspb.Bytes(make([]byte, 216))
		b.SetBytes(220)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Ingest(ctx, Proto(m)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
