package main

import (
	"math/rand/v2"
	"time"
)

// kind is what happens to the server.
type kind int

const (
	kill      kind = iota // signal 9
	killStart             // signal 9, while it is still starting: the server is killed, started and killed
	terminate             // SIGTERM
	full                  // no space left on the disk, and some later
	fullKill              // the same, and signal 9 while there is none
)

func (k kind) String() string {
	return [...]string{"kill", "kill at start", "term", "full disk", "kill on a full disk"}[k]
}

// event is one thing that happens to the server.
type event struct {
	kind   kind
	wait   time.Duration // since the event before it
	burst  time.Duration // the end of the wait, in which streams ingest as fast as they can
	settle bool          // before the wait, every stream gets something acknowledged
	hold   time.Duration // how long a disk stays full after the first refusal, or how long a start may take
	mishap mishap        // of a stream, at the same moment
	victim int           // that stream
	life   life          // of the server afterwards
}

// mishap is what happens to a stream.
type mishap int32

const (
	none     mishap = iota
	forget          // it is thrown away with all that it knew, as if the client had died
	recreate        // it is closed at once, and another one takes over what is unacknowledged
)

// life is how the server is started.
type life struct {
	commit   string // --commit-interval
	lifetime string // --stream-lifetime
}

// newPlan is what happens in a run, the same for the same seed. interval is the mean time between events.
func newPlan(r *rand.Rand, kills, terms, fulls, streams int, interval time.Duration) []event {
	var plan []event
	for i := range kills {
		k := kill
		if i%7 == 6 {
			k = killStart
		}
		plan = append(plan, event{kind: k})
	}
	for range terms {
		plan = append(plan, event{kind: terminate})
	}
	for i := range fulls {
		k := full
		if i%3 == 1 {
			k = fullKill
		}
		plan = append(plan, event{kind: k})
	}
	r.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	for i := range plan {
		e := &plan[i]
		e.wait = time.Duration(r.Int64N(2*int64(interval) + 1))
		if r.IntN(2) == 0 {
			e.burst = min(e.wait, time.Duration(r.Int64N(int64(200*time.Millisecond))))
		}
		// A disk is full for streams that run, and never twice in a moment.
		e.settle = i == 0 || r.IntN(4) == 0 || e.kind == full || e.kind == fullKill
		e.hold = time.Duration(r.Int64N(int64(time.Second)))
		if e.kind == killStart {
			e.hold /= 4
		}
		e.mishap, e.victim = []mishap{none, none, none, forget, forget, recreate}[r.IntN(6)], r.IntN(streams)
		e.life = newLife(r)
	}
	return plan
}

// newLife has lives that leave everything in the log, lives that leave nearly nothing there, and what is between; and
// lives in which streams are asked to reconnect all the time.
func newLife(r *rand.Rand) life {
	commits := []string{"20ms", "200ms", "1s", "1h"}
	lifetimes := []string{"15m", "15m", "2s"}
	return life{commits[r.IntN(len(commits))], lifetimes[r.IntN(len(lifetimes))]}
}

// newRand is one of the sources of chance of a run.
func newRand(seed, which uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, which)) }
