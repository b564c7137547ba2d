package window

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/internal/batch"
	"github.com/zerobus-go/zerobus/internal/wire"
)

// skipModel is what a window with skips should be: the records of each call that is kept, oldest first, and nothing else.
type skipModel struct {
	calls         [][]string
	next, durable int64
	settled       int64
	tried         int // records from the oldest that a generation has taken
}

func (m *skipModel) records() (n int) {
	for _, c := range m.calls {
		n += len(c)
	}
	return n
}

// drop takes the oldest records out. It returns the calls that are gone with them.
func (m *skipModel) drop(records int) (calls int) {
	m.settled += int64(records)
	m.tried = max(0, m.tried-records)
	for records > 0 {
		n := min(records, len(m.calls[0]))
		m.calls[0] = m.calls[0][n:]
		records -= n
		if len(m.calls[0]) == 0 {
			m.calls = m.calls[1:]
			calls++
		}
	}
	m.durable += int64(calls)
	return calls
}

// flat returns the records of ranges, with a bar after each call.
func flat(calls [][]string) string {
	var b strings.Builder
	for _, c := range calls {
		b.WriteString(strings.Join(c, " ") + " | ")
	}
	return b.String()
}

func rangeCalls(r *batch.Range) (calls [][]string) {
	for call := range r.Calls() {
		var c []string
		for _, rec := range call {
			c = append(c, string(rec))
		}
		calls = append(calls, c)
	}
	return calls
}

// Any sequence of calls, generations, acknowledgements, refusals and skips leaves what the model leaves, in room too.
func TestWindow_SkipModel(t *testing.T) {
	for seed := range uint64(400) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			runSkipModel(t, rand.New(rand.NewPCG(seed, 3)))
		})
	}
}

func runSkipModel(t *testing.T, r *rand.Rand) {
	w := new(Window)
	limits := batch.Limits{Bytes: 20 + r.IntN(3_000), Records: r.IntN(12)}
	w.Init(Limits{Records: 1 << 30, Bytes: 1 << 40}, limits, &batch.Pool{})
	m := &skipModel{durable: -1}
	serial, skipped, cut := 0, 0, 0
	var gen uint64
	var taken [][][]string // ranges that the living generation has taken and that are not acknowledged, by their calls
	live, offset := false, int64(0)
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("after %d records: %s", serial, fmt.Sprintf(format, args...))
	}
	check := func(what string, p Progress, before skipModel, calls int) {
		t.Helper()
		records := int(m.settled - before.settled)
		if p.Records != records || p.Calls != calls || records > 0 && (p.First != before.durable+1 || p.Last != m.durable) {
			fail("%s gives %+v; want %d records, %d calls, from %d to %d", what, p, records, calls, before.durable+1, m.durable)
		}
	}
	for range 500 {
		switch r.IntN(12) {
		case 0, 1, 2, 3:
			count := 1
			if r.IntN(3) == 0 {
				count = 1 + r.IntN(7)
			}
			var call []string
			var framed []byte
			for range count {
				serial++
				call = append(call, fmt.Sprint(serial, strings.Repeat("-", r.IntN(60))))
				framed = wire.AppendRecord(framed, []byte(call[len(call)-1]))
			}
			w.Reserve(count, len(framed))
			if got := appendCall(w, framed, count); got != m.next {
				fail("offset %d; want %d", got, m.next)
			}
			m.next++
			m.calls = append(m.calls, call)
		case 4, 5, 6, 7:
			rg, at, _ := w.Take(gen, time.Now())
			if rg == nil {
				continue
			}
			if !live || at != offset+int64(len(taken)) {
				fail("wire offset %d; want %d", at, offset+int64(len(taken)))
			}
			w.Sent(gen)
			calls := rangeCalls(rg)
			n, records := 0, 0
			for _, range_ := range taken {
				n += len(range_)
			}
			if got, want := flat(calls), flat(m.calls[n:n+len(calls)]); got != want {
				fail("taken %s; want %s", got, want)
			}
			taken = append(taken, calls)
			for _, c := range m.calls[:n+len(calls)] {
				records += len(c)
			}
			m.tried = max(m.tried, records)
		case 8, 9:
			if len(taken) == 0 {
				continue
			}
			n := 1 + r.IntN(len(taken))
			before := *m
			calls := 0
			for _, range_ := range taken[:n] {
				for range range_ {
					calls += m.drop(len(m.calls[0]))
				}
			}
			offset += int64(n)
			taken = taken[n:]
			p, err := w.Ack(gen, offset-1)
			if err != nil {
				fail("%v", err)
			}
			check("ack", p, before, calls)
		case 10: // the connection ends: by itself, or because a record was refused
			if !live {
				continue
			}
			if r.IntN(2) == 0 {
				w.End(gen)
			} else if w.Refuse(gen) == RefusedFirst {
				before := *m
				p, recs := w.Drop()
				if len(recs) != len(m.calls[0]) || string(recs[0]) != m.calls[0][0] {
					fail("dropped %q; want %q", recs, m.calls[0])
				}
				w.Unreserve(p.Records, p.Bytes)
				check("drop", p, before, m.drop(len(m.calls[0])))
			}
			live, taken = false, nil
		case 11: // a new one, to a server that has some of the records
			gen = w.Begin()
			live, taken, offset = true, nil, 0
			if got := w.Tried(); got != m.tried {
				fail("%d records were taken by some generation; want %d", got, m.tried)
			}
			if m.tried == 0 || r.IntN(3) == 0 {
				continue
			}
			n := r.IntN(m.tried + 1)
			before := *m
			check(fmt.Sprintf("skip of %d", n), w.Skip(n), before, m.drop(n))
			skipped += n
			if len(m.calls) > 0 && n > 0 {
				cut++
			}
		}
		records, _ := w.Kept()
		if w.Durable() != m.durable || w.Next() != m.next || w.Settled() != m.settled || w.Unsettled() != m.records() || records != m.records() {
			fail("durable %d, next %d, settled %d, unsettled %d, kept %d; want %d, %d, %d, %d", w.Durable(), w.Next(), w.Settled(),
				w.Unsettled(), records, m.durable, m.next, m.settled, m.records())
		}
	}
	if skipped == 0 || cut == 0 {
		t.Errorf("%d records were skipped, %d skips left something: the test tests nothing", skipped, cut)
	}
	var kept [][]string
	for rg := range w.All() {
		kept = append(kept, rangeCalls(rg)...)
	}
	if got, want := flat(kept), flat(m.calls); got != want {
		t.Errorf("kept at the end: %s; want %s", got, want)
	}
	// Nothing of the room is lost.
	gen = w.Begin()
	for n := int64(0); ; n++ {
		rg, _, _ := w.Take(gen, time.Now())
		if rg == nil {
			break
		}
		w.Sent(gen)
		if _, err := w.Ack(gen, n); err != nil {
			t.Fatal(err)
		}
	}
	if records, bytes := w.Kept(); records != 0 || bytes != 0 {
		t.Errorf("%d records, %d bytes of an empty window are taken", records, bytes)
	}
}

func TestWindow_SkipCutsACall(t *testing.T) {
	w := newWindow(Limits{Records: 100, Bytes: 1000}, 0)
	add := func(recs ...string) {
		var framed []byte
		for _, r := range recs {
			framed = wire.AppendRecord(framed, []byte(r))
		}
		w.Reserve(len(recs), len(framed))
		appendCall(w, framed, len(recs))
	}
	add("a")
	add("b", "c", "d")
	add("e")
	add("f", "g")
	gen := w.Begin()
	w.Take(gen, time.Unix(1, 0))
	w.Sent(gen)
	add("h") // never taken
	w.End(gen)
	gen = w.Begin()
	if got := w.Tried(); got != 7 {
		t.Errorf("%d records were taken; want 7", got)
	}
	if got, want := w.Skip(0), (Progress{}); got != want {
		t.Errorf("nothing is %+v", got)
	}
	for i, want := range []struct {
		n, calls, messages int
		durable            int64
		left               string
	}{
		{2, 1, 0, 0, "c d | e | f g | "},
		{1, 0, 0, 0, "d | e | f g | "},
		{3, 2, 0, 2, "g | "},
		{1, 1, 1, 3, ""},
	} {
		p := w.Skip(want.n)
		if p.Records != want.n || p.Calls != want.calls || p.Messages != want.messages || p.Bytes != 3*want.n || w.Durable() != want.durable || !p.Since.Equal(time.Unix(1, 0)) {
			t.Errorf("skip %d: %+v, durable %d; want %+v", i, p, w.Durable(), want)
		}
		left := ""
		if w.n > 0 {
			left = flat(rangeCalls(&w.at(0).Range))
		}
		if left != want.left {
			t.Errorf("skip %d leaves %q; want %q", i, left, want.left)
		}
	}
	rg, offset, again := w.Take(gen, time.Now())
	if rg == nil || offset != 0 || again || rg.Records() != 1 {
		t.Errorf("then %+v with wire offset %d, again %v", rg, offset, again)
	}
}
