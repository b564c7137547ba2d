package window

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/internal/batch"
	"github.com/zerobus-go/zerobus/internal/wire"
)

// appendCall keeps the framed records of one call, for which there is room.
func appendCall(w *Window, framed []byte, records int) int64 {
	copy(w.Space(len(framed), records)[:len(framed)], framed)
	return w.Commit(len(framed), records)
}

func newWindow(limits Limits, perRange int) *Window {
	w := new(Window)
	w.Init(limits, batch.Limits{Bytes: batch.ChunkSize, Records: perRange}, &batch.Pool{})
	return w
}

// transcript runs a script of one word per step and returns what the window answered, a line each.
//
//	+a        append the record a            → its logical offset
//	+a,b,c    append a batch                 → its logical offset
//	begin     begin a generation
//	end       end the generation
//	take      take                           → wire offset and records
//	sent      mark as sent                   → progress
//	ack:N     acknowledge the wire offset N  → progress
//	old:N     acknowledge N in the generation before
func transcript(w *Window, script string) string {
	var out strings.Builder
	gen := uint64(0)
	for _, step := range strings.Fields(script) {
		fmt.Fprintf(&out, "%s:", step)
		var n int64
		progress := func(p Progress, err error) {
			switch {
			case err != nil:
				fmt.Fprintf(&out, " %v", err)
			case p.Calls > 0:
				fmt.Fprintf(&out, " durable %d-%d, %d records", p.First, p.Last, p.Records)
			default:
				fmt.Fprint(&out, " nothing")
			}
		}
		switch {
		case step[0] == '+':
			recs := strings.Split(step[1:], ",")
			var framed []byte
			for _, r := range recs {
				framed = wire.AppendRecord(framed, []byte(r))
			}
			if !w.Reserve(len(recs), len(framed)) {
				fmt.Fprint(&out, " full")
				break
			}
			n = appendCall(w, framed, len(recs))
			fmt.Fprintf(&out, " %d", n)
		case step == "begin":
			gen = w.Begin()
		case step == "end":
			w.End(gen)
		case step == "take":
			r, offset, _ := w.Take(gen, time.Time{})
			if r == nil {
				fmt.Fprint(&out, " nothing")
				break
			}
			fmt.Fprintf(&out, " %d=%s", offset, records(r))
		case step == "sent":
			progress(w.Sent(gen), nil)
		case strings.HasPrefix(step, "ack:"):
			fmt.Sscanf(step, "ack:%d", &n)
			progress(w.Ack(gen, n))
		case strings.HasPrefix(step, "old:"):
			fmt.Sscanf(step, "old:%d", &n)
			progress(w.Ack(gen-1, n))
		default:
			panic(step)
		}
		fmt.Fprintln(&out)
	}
	return out.String()
}

func records(r *batch.Range) string {
	var calls []string
	for call := range r.Calls() {
		calls = append(calls, string(bytes.Join(call, []byte(" "))))
	}
	return strings.Join(calls, "|")
}

func TestWindow_Transcripts(t *testing.T) {
	roomy := Limits{Records: 100, Bytes: 1000}
	tests := []struct {
		name     string
		limits   Limits
		perRange int
		script   string
		want     string
	}{
		{"natural batching", roomy, 0, "begin take +a take +b +c +d sent take sent ack:1", `
			begin:
			take: nothing
			+a: 0
			take: 0=a
			+b: 1
			+c: 2
			+d: 3
			sent: nothing
			take: 1=b|c|d
			sent: nothing
			ack:1: durable 0-3, 4 records`},
		{"a batch has one offset", roomy, 0, "begin +a +b,c +d take sent ack:0 +e take", `
			begin:
			+a: 0
			+b,c: 1
			+d: 2
			take: 0=a|b c|d
			sent: nothing
			ack:0: durable 0-2, 4 records
			+e: 3
			take: 1=e`},
		{"AK-08 regressing and repeated", roomy, 1, "begin +a +b +c +d take sent take sent take sent take sent ack:2 ack:0 ack:2 ack:3 ack:3", `
			begin:
			+a: 0
			+b: 1
			+c: 2
			+d: 3
			take: 0=a
			sent: nothing
			take: 1=b
			sent: nothing
			take: 2=c
			sent: nothing
			take: 3=d
			sent: nothing
			ack:2: durable 0-2, 3 records
			ack:0: nothing
			ack:2: nothing
			ack:3: durable 3-3, 1 records
			ack:3: nothing`},
		{"not sent", roomy, 1, "begin ack:0 +a +b take ack:1 ack:-1 ack:0 sent ack:1", `
			begin:
			ack:0: the server acknowledged offset 0 before anything was sent
			+a: 0
			+b: 1
			take: 0=a
			ack:1: the server acknowledged offset 1, but only offsets up to 0 were sent
			ack:-1: the server acknowledged the negative offset -1
			ack:0: nothing
			sent: durable 0-0, 1 records
			ack:1: the server acknowledged offset 1, but only offsets up to 0 were sent`},
		{"replay", roomy, 1, "begin +a +b,c +d take sent take sent ack:0 end +e begin take sent take sent ack:1 take", `
			begin:
			+a: 0
			+b,c: 1
			+d: 2
			take: 0=a
			sent: nothing
			take: 1=b c
			sent: nothing
			ack:0: durable 0-0, 1 records
			end:
			+e: 3
			begin:
			take: 0=b c
			sent: nothing
			take: 1=d
			sent: nothing
			ack:1: durable 1-2, 3 records
			take: 2=e`},
		{"UT-01 offsets", roomy, 0, "+a +b,c +d", `
			+a: 0
			+b,c: 1
			+d: 2`},
		{"UT-05 nothing to take, nothing to settle", roomy, 1, "begin take ack:0 sent +a take ack:1 take", `
			begin:
			take: nothing
			ack:0: the server acknowledged offset 0 before anything was sent
			sent: nothing
			+a: 0
			take: 0=a
			ack:1: the server acknowledged offset 1, but only offsets up to 0 were sent
			take: nothing`},
		{"UT-05 a reset keeps the order, also of what comes beside it", roomy, 1, "begin +1 +2 +3 take take end +4 begin take take take take take", `
			begin:
			+1: 0
			+2: 1
			+3: 2
			take: 0=1
			take: 1=2
			end:
			+4: 3
			begin:
			take: 0=1
			take: 1=2
			take: 2=3
			take: 3=4
			take: nothing`},
		{"BP-03 the place is kept until the ack", Limits{Records: 2, Bytes: 1000}, 1, "begin +a +b +c take sent +c end begin +c take sent +c ack:0 +c +d", `
			begin:
			+a: 0
			+b: 1
			+c: full
			take: 0=a
			sent: nothing
			+c: full
			end:
			begin:
			+c: full
			take: 0=a
			sent: nothing
			+c: full
			ack:0: durable 0-0, 1 records
			+c: 2
			+d: full`},
		{"AK-12 an old generation", roomy, 1, "begin +a +b take sent take sent begin old:1 take sent ack:0", `
			begin:
			+a: 0
			+b: 1
			take: 0=a
			sent: nothing
			take: 1=b
			sent: nothing
			begin:
			old:1: nothing
			take: 0=a
			sent: nothing
			ack:0: durable 0-0, 1 records`},
		{"nothing between generations", roomy, 1, "+a take begin take end take sent ack:0 begin take", `
			+a: 0
			take: nothing
			begin:
			take: 0=a
			end:
			take: nothing
			sent: nothing
			ack:0: nothing
			begin:
			take: 0=a`},
		{"a held ack dies with its generation", roomy, 1, "begin +a take ack:0 begin take sent", `
			begin:
			+a: 0
			take: 0=a
			ack:0: nothing
			begin:
			take: 0=a
			sent: nothing`},
		{"limits", Limits{Records: 2, Bytes: 1000}, 0, "+a +b +c begin take sent ack:0 +c", `
			+a: 0
			+b: 1
			+c: full
			begin:
			take: 0=a|b
			sent: nothing
			ack:0: durable 0-1, 2 records
			+c: 2`},
		{"BA-13 larger than the limits", Limits{Records: 2, Bytes: 8}, 0, "+a,b,c +d begin take sent ack:0 +aaaaaaaaaa +d", `
			+a,b,c: 0
			+d: full
			begin:
			take: 0=a b c
			sent: nothing
			ack:0: durable 0-0, 3 records
			+aaaaaaaaaa: 1
			+d: full`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := transcript(newWindow(tt.limits, tt.perRange), tt.script)
			want := strings.TrimPrefix(strings.ReplaceAll(tt.want, "\t", ""), "\n") + "\n"
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// What large records leave unused of their chunks is memory, too: it counts as long as it is held.
func TestWindow_WasteCounts(t *testing.T) {
	const size, limit = 600_000, 8 << 20
	rec := wire.AppendRecord(nil, make([]byte, size))
	w := newWindow(Limits{Records: 1000, Bytes: limit}, 0)
	gen := w.Begin()
	n := 0
	for ; w.Reserve(1, len(rec)); n++ {
		appendCall(w, rec, 1)
	}
	if want := limit / batch.ChunkSize; n != want { // each has a chunk
		t.Errorf("%d records are kept; want %d", n, want)
	}
	for range n {
		w.Take(gen, time.Time{})
		w.Sent(gen)
	}
	for i := range n {
		if _, err := w.Ack(gen, int64(i)); err != nil {
			t.Fatal(err)
		}
		records, bytes := w.Kept()
		if want := max(0, records-1)*batch.ChunkSize + min(1, records)*len(rec); records != n-1-i || bytes != want {
			t.Errorf("after ack %d: %d records and %d bytes are kept; want %d and %d", i, records, bytes, n-1-i, want)
		}
	}
}

// An error changes nothing: what was kept before is kept after.
func TestWindow_BadAckChangesNothing(t *testing.T) {
	w := newWindow(Limits{Records: 10, Bytes: 1000}, 1)
	gen := w.Begin()
	for _, r := range []string{"a", "b", "c"} {
		w.Reserve(1, wire.RecordSize(1))
		appendCall(w, wire.AppendRecord(nil, []byte(r)), 1)
	}
	w.Take(gen, time.Time{})
	w.Sent(gen)
	before := *w
	before.ring = append([]kept(nil), w.ring...)
	for _, upTo := range []int64{-1, 1, 2, 1 << 40, -1 << 63} {
		if _, err := w.Ack(gen, upTo); err == nil {
			t.Errorf("ack %d is accepted", upTo)
		}
	}
	if got, want := fmt.Sprintf("%+v", *w), fmt.Sprintf("%+v", before); got != want {
		t.Errorf("bad acks changed the window\nfrom %s\nto   %s", want, got)
	}
}

func TestWindow_AllIsWhatIsKept(t *testing.T) {
	w := newWindow(Limits{Records: 100, Bytes: 1000}, 2)
	transcript(w, "begin +a +b +c,d,e take sent ack:0 +f")
	var got []string
	for r := range w.All() {
		got = append(got, records(r))
	}
	if want := "[c d e f]"; fmt.Sprint(got) != want {
		t.Errorf("kept %v; want %v", got, want)
	}
	if records, bytes := w.Kept(); records != 4 || bytes != 4*wire.RecordSize(1) {
		t.Errorf("kept %d records, %d bytes", records, bytes)
	}
}

func TestWindow_ReservationsCount(t *testing.T) {
	w := newWindow(Limits{Records: 3, Bytes: 100}, 0)
	if !w.Reserve(2, 10) || w.Reserve(2, 10) || !w.Reserve(1, 90) || w.Reserve(1, 1) {
		t.Fatal("reservations do not respect the limits")
	}
	w.Unreserve(1, 90)
	if !w.Reserve(1, 90) {
		t.Error("what was given back is not free")
	}
}

func TestWindow_UT01_NoOffsetAtFirst(t *testing.T) {
	w := newWindow(Limits{Records: 10, Bytes: 100}, 1)
	if w.Next() != 0 || w.Durable() != -1 {
		t.Errorf("next %d, durable %d", w.Next(), w.Durable())
	}
	for want := range int64(4) {
		w.Reserve(1, wire.RecordSize(1))
		if got := appendCall(w, wire.AppendRecord(nil, []byte("a")), 1); got != want || w.Next() != want+1 {
			t.Errorf("offset %d, next %d; want %d, %d", got, w.Next(), want, want+1)
		}
	}
	if w.Durable() != -1 {
		t.Errorf("durable %d", w.Durable())
	}
}

// What is kept at any time is what was sent, then what was not.
func TestWindow_UT05_KeptIsSentAndUnsent(t *testing.T) {
	w := newWindow(Limits{Records: 100, Bytes: 1000}, 1)
	transcript(w, "begin +a +b +c take sent ack:0 take sent +d")
	var got []string
	for r := range w.All() {
		got = append(got, records(r))
	}
	if fmt.Sprint(got) != "[b c d]" {
		t.Errorf("kept %v", got)
	}
}

// Ten producers and ten senders, under the lock that the owner brings: every call is taken once, in the order of offsets.
func TestWindow_CC04_ProducersAndTakers(t *testing.T) {
	const producers, takers, each = 10, 10, 100
	w := newWindow(Limits{Records: 7, Bytes: 1000}, 1)
	gen := w.Begin()
	var mu sync.Mutex
	room, more := sync.NewCond(&mu), sync.NewCond(&mu)
	offsets := map[int64]string{}
	var taken []string
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				rec := fmt.Sprintf("%d.%d", p, i)
				size := wire.RecordSize(len(rec))
				mu.Lock()
				for !w.Reserve(1, size) {
					room.Wait()
				}
				offset := appendCall(w, wire.AppendRecord(nil, []byte(rec)), 1)
				if _, twice := offsets[offset]; twice {
					t.Errorf("offset %d is given twice", offset)
				}
				offsets[offset] = rec
				more.Signal()
				mu.Unlock()
			}
		})
	}
	for range takers {
		wg.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			for len(taken) < producers*each {
				r, offset, _ := w.Take(gen, time.Time{})
				if r == nil {
					more.Wait()
					continue
				}
				if offset != int64(len(taken)) {
					t.Errorf("wire offset %d; want %d", offset, len(taken))
				}
				taken = append(taken, records(r))
				w.Sent(gen)
				if _, err := w.Ack(gen, offset); err != nil {
					t.Error(err)
				}
				room.Broadcast()
			}
			more.Broadcast()
		})
	}
	wg.Wait()
	if len(offsets) != producers*each || len(taken) != producers*each {
		t.Fatalf("%d offsets, %d taken", len(offsets), len(taken))
	}
	for i, rec := range taken {
		if offsets[int64(i)] != rec {
			t.Fatalf("taken %d: %s; want %s", i, rec, offsets[int64(i)])
		}
	}
}
