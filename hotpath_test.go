package zerobus

import (
	"bytes"
	"context"
	"fmt"
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

func newNullTransport(tb testing.TB, typ RecordType) (*Stream, *nullTransport) {
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

func TestHotPath_EncodedRecordAllocatesNothing(t *testing.T) {
	for _, typ := range []RecordType{RecordTypeProto, RecordTypeJSON} {
		t.Run(typ.String(), func(t *testing.T) {
			s, _ := newNullTransport(t, typ)
			ctx := context.Background()
			data := bytes.Repeat([]byte("x"), 100)
			rec := ProtoBytes(data)
			if typ == RecordTypeJSON {
				rec = JSONBytes(data)
			}
			const perRun = 10_000
			ingest := func() {
				for range perRun {
					if _, err := s.Ingest(ctx, rec); err != nil {
						t.Fatal(err)
					}
				}
			}
			ingest() // grow what grows once
			// A message costs a few allocations, a wait for room one or two, a record none.
			if allocs := testing.AllocsPerRun(10, ingest) / perRun; allocs > 0.05 {
				t.Errorf("%.3f allocations per record; want 0 but for those of messages", allocs)
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
