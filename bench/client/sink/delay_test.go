package sink

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestDelayLineGivesTheNewestThatIsDue(t *testing.T) {
	const ms = time.Millisecond
	l := delayLine{delay: 10 * ms}
	check := func(now time.Duration, want int64, some bool) {
		t.Helper()
		if got, ok := l.pop(now); ok != some || ok && got != want {
			t.Fatalf("at %v: %d, %t; want %d, %t", now, got, ok, want, some)
		}
	}
	check(0, 0, false)
	l.push(0, 5)
	l.push(ms/2, 6) // due at 10.5, so with the next
	l.push(ms, 7)
	l.push(5*ms, 8)
	if len(l.due) != 3 {
		t.Errorf("%d entries for 3 milliseconds", len(l.due))
	}
	check(10*ms-1, 0, false)
	if at, ok := l.next(); !ok || at != 10*ms {
		t.Errorf("the next is due at %v, %t", at, ok)
	}
	check(10*ms, 5, true)
	check(11*ms-1, 0, false)
	check(20*ms, 8, true)
	check(time.Hour, 0, false)
	if at, ok := l.next(); ok {
		t.Errorf("an empty line is due at %v", at)
	}
}

func TestDelayLineIsNeverEarlyAndNeverLong(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, delay := range []time.Duration{1, 300 * time.Microsecond, 7 * time.Millisecond, 100 * time.Millisecond} {
		l := delayLine{delay: delay}
		var received []time.Duration // by offset
		var now time.Duration
		last := int64(-1)
		for range 20_000 {
			now += time.Duration(r.Int64N(int64(400 * time.Microsecond)))
			if got, ok := l.pop(now); ok {
				if got <= last || now-received[got] < delay {
					t.Fatalf("delay %v: offset %d, after %d, left after %v", delay, got, last, now-received[got])
				}
				last = got
			}
			if next := last + 1; next < int64(len(received)) && now-received[next] >= delay+delayStep {
				t.Fatalf("delay %v: offset %d is still there after %v", delay, next, now-received[next])
			}
			if r.IntN(4) > 0 {
				received = append(received, now)
				l.push(now, int64(len(received)-1))
			}
			if most := int(delay/delayStep) + 2; len(l.due) > most {
				t.Fatalf("delay %v: %d entries; want at most %d", delay, len(l.due), most)
			}
		}
		if last < 0 {
			t.Errorf("delay %v: nothing left", delay)
		}
	}
}
