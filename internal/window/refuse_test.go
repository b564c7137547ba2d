package window

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// A server that refuses some calls, and a client that looks for them: every bad call is dropped and no other, everything
// else is acknowledged, in order, and the number of connections is bounded.
func TestWindow_RefusedCallsAreFound(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		calls := 1 + r.IntN(200)
		perRange := r.IntN(100) // 0 is no bound
		acks := r.IntN(3)       // what the server does before it refuses: 0 acknowledges all, 1 some, 2 nothing
		atOnce := 1 + r.IntN(8) // messages that the server has received when it decides
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			w := newWindow(Limits{Records: 1_000_000, Bytes: 64 << 20}, perRange)
			var bad []int64
			append1 := func(i int) {
				isBad := r.IntN(15) == 0
				n := 1 + r.IntN(3)*r.IntN(3)
				var framed []byte
				for k := range n {
					text := fmt.Sprintf("%d.%d good", i, k)
					if isBad && k == n-1 {
						text = fmt.Sprintf("%d.%d bad", i, k)
					}
					framed = wire.AppendRecord(framed, []byte(text))
				}
				w.Reserve(n, len(framed))
				offset := appendCall(w, framed, n)
				if offset != int64(i) {
					t.Fatalf("offset %d; want %d", offset, i)
				}
				if isBad {
					bad = append(bad, offset)
				}
			}
			for i := range calls {
				append1(i)
			}

			var dropped []int64
			largest, connections := 0, 0
			for w.Durable() < int64(calls)-1 {
				if connections++; connections > 20_000 {
					t.Fatal("it does not end")
				}
				gen := w.Begin()
				refused := false
				next := int64(0) // wire offset that is not acknowledged
				for !refused {
					var messages []bool // whether one has a bad call
					for len(messages) < atOnce {
						rg, offset, _ := w.Take(gen, time.Time{})
						if rg == nil {
							break
						}
						if want := next + int64(len(messages)); offset != want {
							t.Fatalf("wire offset %d; want %d", offset, want)
						}
						largest = max(largest, rg.Offsets())
						w.Sent(gen)
						messages = append(messages, slices.ContainsFunc(slices.Collect(func(yield func(string) bool) {
							for call := range rg.Calls() {
								for _, rec := range call {
									yield(string(rec))
								}
							}
						}), func(s string) bool { return s[len(s)-3:] == "bad" }))
					}
					if w.Suspicious() && len(messages) > 1 {
						t.Fatalf("%d messages at once while one is looked for", len(messages))
					}
					good := slices.Index(messages, true)
					if refused = good >= 0; !refused {
						good = len(messages)
					}
					if refused && acks == 1 {
						good = r.IntN(good + 1)
					}
					if good > 0 && (!refused || acks < 2) {
						p, err := w.Ack(gen, next+int64(good)-1)
						if err != nil || p.Messages != good {
							t.Fatalf("ack: %+v, %v; want %d messages", p, err, good)
						}
						next += int64(good)
					}
					if w.Outstanding() == 0 && !refused && w.Durable() == int64(calls)-1 {
						break
					}
				}
				if !refused {
					continue
				}
				switch w.Refuse(gen) {
				case RefusedNothing:
					t.Fatal("refused nothing")
				case RefusedFirst:
					p, recs := w.Drop()
					if last := string(recs[len(recs)-1]); last[len(last)-3:] != "bad" || last[:len(last)-4] != fmt.Sprintf("%d.%d", p.First, len(recs)-1) {
						t.Fatalf("dropped %q at offset %d", recs, p.First)
					}
					dropped = append(dropped, p.First)
					w.Unreserve(p.Records, p.Bytes)
				}
			}
			if !slices.Equal(dropped, bad) {
				t.Errorf("dropped %v; want %v", dropped, bad)
			}
			if most := 1 + len(bad)*(bits.Len(uint(largest))+2); connections > most {
				t.Errorf("%d connections for %d bad calls in messages of %d; want %d at most", connections, len(bad), largest, most)
			}
			if records, bytes := w.Kept(); records != 0 || bytes != 0 {
				t.Errorf("%d records, %d bytes are kept", records, bytes)
			}
		})
	}
}

func TestWindow_RefuseTranscripts(t *testing.T) {
	w := newWindow(Limits{Records: 100, Bytes: 1000}, 0)
	if w.Refuse(1) != RefusedNothing {
		t.Error("no generation lives")
	}
	gen := w.Begin()
	if w.Refuse(gen) != RefusedNothing {
		t.Error("nothing was taken")
	}
	// A call that a range holds alone is the refused one.
	transcript(w, "+a,b")
	gen = w.Begin()
	w.Take(gen, time.Time{})
	if w.Refuse(gen) != RefusedSome || !w.Suspicious() {
		t.Error("the only call may not have been meant")
	}
	gen = w.Begin()
	w.Take(gen, time.Time{})
	if w.Refuse(gen) != RefusedFirst {
		t.Error("refused again, the only call is the refused one")
	}
	transcript(w, "+c") // meanwhile others go on ingesting
	p, recs := w.Drop()
	if p.First != 0 || p.Records != 2 || fmt.Sprintf("%s", recs) != "[a b]" {
		t.Errorf("dropped %+v, %s", p, recs)
	}
	if n, _ := w.Kept(); n != 3 {
		t.Errorf("%d records kept; the dropped ones stay reserved", n)
	}
	w.Unreserve(p.Records, p.Bytes)
	if w.Suspicious() {
		t.Error("nothing is looked for any more")
	}
	// An acknowledgement that was not settled when the connection ended says nothing about who was refused.
	gen = w.Begin()
	w.Take(gen, time.Time{})
	if p, err := w.Ack(gen, 0); p.Calls != 0 || err != nil {
		t.Errorf("ack before sent: %+v, %v", p, err)
	}
	if w.Refuse(gen) != RefusedSome || !w.Suspicious() {
		t.Error("an acknowledged call was taken for the refused one")
	}
}
