package window

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/internal/batch"
	"github.com/zerobus-go/zerobus/internal/wire"
)

// oracle is a naive window: a list of calls, and a list of the messages of the present connection.
type oracle struct {
	calls    [][]string // unacknowledged, oldest first
	next     int64
	durable  int64
	messages []int // calls in each message that was taken, all of the connection
	acked    int   // messages that were acknowledged
	sent     int   // messages that are sent
	held     int   // messages that an early ack is for
}

// settle acknowledges the first n messages of the connection.
func (o *oracle) settle(n int) {
	for ; o.acked < n; o.acked++ {
		o.calls = o.calls[o.messages[o.acked]:]
		o.durable += int64(o.messages[o.acked])
	}
}

func (o *oracle) unacked() (all []string) {
	for _, c := range o.calls {
		all = append(all, fmt.Sprint(c))
	}
	return all
}

func (o *oracle) records() (n int) {
	for _, c := range o.calls {
		n += len(c)
	}
	return n
}

// Random appends, takes, acknowledgements and reconnects, good and bad, agree with the oracle.
func TestWindow_Model(t *testing.T) {
	for seed := range uint64(100) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			runModel(t, rand.New(rand.NewPCG(seed, 1)))
		})
	}
}

func runModel(t *testing.T, r *rand.Rand) {
	limits := Limits{Records: 1 + r.IntN(60), Bytes: 100 + r.IntN(20_000)}
	if r.IntN(8) == 0 {
		limits.Bytes = 8 << 20 // so that ranges meet the ends of chunks
	}
	pool := &batch.Pool{}
	w := new(Window)
	w.Init(limits, batch.Limits{Bytes: 1 + r.IntN(5_000), Records: r.IntN(10)}, pool)
	o := &oracle{durable: -1}
	var gen uint64
	live := false
	serial := 0

	newRecord := func() string {
		serial++
		n := r.IntN(200)
		if limits.Bytes > 1<<20 && r.IntN(10) == 0 {
			n = r.IntN(400_000)
		}
		return strconv.Itoa(serial) + strings.Repeat("-", n)
	}

	for step := range 400 {
		switch r.IntN(10) {
		case 0, 1, 2, 3: // append
			count := 1
			if r.IntN(4) == 0 {
				count = 1 + r.IntN(6)
			}
			var call []string
			var framed []byte
			for range count {
				rec := newRecord()
				call = append(call, rec)
				framed = wire.AppendRecord(framed, []byte(rec))
			}
			records, bytes := w.Kept()
			fits := records == 0 || records+count <= limits.Records && bytes+len(framed) <= limits.Bytes
			if got := w.Reserve(count, len(framed)); got != fits {
				t.Fatalf("step %d: reserve is %v with %d records, %d bytes kept of %+v", step, got, records, bytes, limits)
			}
			if !fits {
				continue
			}
			if r.IntN(10) == 0 { // changed its mind
				w.Unreserve(count, len(framed))
				continue
			}
			if got := appendCall(w, framed, count); got != o.next {
				t.Fatalf("step %d: offset %d; want %d", step, got, o.next)
			}
			o.next++
			o.calls = append(o.calls, call)
		case 4, 5, 6: // take, and perhaps sent
			if o.sent < len(o.messages) && live {
				p := w.Sent(gen)
				before := o.durable
				o.sent = len(o.messages)
				o.settle(min(o.held, o.sent))
				o.held = 0
				if int64(p.Calls) != o.durable-before {
					t.Fatalf("step %d: sent settles %d calls; want %d", step, p.Calls, o.durable-before)
				}
				continue
			}
			rg, offset, _ := w.Take(gen, time.Time{})
			taken := 0
			for _, n := range o.messages[o.acked:] {
				taken += n
			}
			if !live || taken == len(o.calls) {
				if rg != nil {
					t.Fatalf("step %d: take gives a range; want none", step)
				}
				continue
			}
			if rg == nil {
				t.Fatalf("step %d: take gives nothing; want a range", step)
			}
			if offset != int64(len(o.messages)) {
				t.Fatalf("step %d: wire offset %d; want %d", step, offset, len(o.messages))
			}
			i := taken
			for call := range rg.Calls() {
				want := o.calls[i]
				if len(call) != len(want) {
					t.Fatalf("step %d: call %d has %d records; want %d", step, i, len(call), len(want))
				}
				for k := range call {
					if string(call[k]) != want[k] {
						t.Fatalf("step %d: record %d of call %d is another", step, k, i)
					}
				}
				i++
			}
			o.messages = append(o.messages, i-taken)
		case 7, 8: // ack
			upTo := int64(r.IntN(len(o.messages)+4) - 2)
			stale := r.IntN(8) == 0
			g := gen
			if stale {
				g--
			}
			before := o.durable
			p, err := w.Ack(g, upTo)
			switch {
			case stale || !live:
				if err != nil || p.Calls != 0 {
					t.Fatalf("step %d: a stale ack has an effect", step)
				}
			case upTo < 0 || upTo >= int64(len(o.messages)):
				if err == nil {
					t.Fatalf("step %d: ack %d of %d messages is accepted", step, upTo, len(o.messages))
				}
			default:
				if int(upTo) >= o.sent {
					o.held = int(upTo) + 1
				}
				o.settle(min(int(upTo)+1, o.sent))
				if err != nil || int64(p.Calls) != o.durable-before || p.Calls > 0 && (p.First != before+1 || p.Last != o.durable) {
					t.Fatalf("step %d: ack %d gives %+v, %v; want %d to %d", step, upTo, p, err, before+1, o.durable)
				}
			}
		case 9: // connection
			if r.IntN(3) > 0 {
				continue
			}
			if live && r.IntN(2) == 0 {
				w.End(gen)
				live = false
				o.messages = nil
			} else {
				gen = w.Begin()
				live = true
				o.messages = nil
			}
			o.acked, o.sent, o.held = 0, 0, 0
		}
		if w.Durable() != o.durable || w.Next() != o.next {
			t.Fatalf("step %d: durable %d, next %d; want %d, %d", step, w.Durable(), w.Next(), o.durable, o.next)
		}
		if records, _ := w.Kept(); records != o.records() {
			t.Fatalf("step %d: %d records kept; want %d", step, records, o.records())
		}
		if live && w.Outstanding() != len(o.messages)-o.acked {
			t.Fatalf("step %d: %d outstanding; want %d", step, w.Outstanding(), len(o.messages)-o.acked)
		}
	}

	var kept []string
	for rg := range w.All() {
		for call := range rg.Calls() {
			var recs []string
			for _, rec := range call {
				recs = append(recs, string(rec))
			}
			kept = append(kept, fmt.Sprint(recs))
		}
	}
	if fmt.Sprint(kept) != fmt.Sprint(o.unacked()) {
		t.Errorf("kept at the end: %d calls; want %d", len(kept), len(o.calls))
	}
}
