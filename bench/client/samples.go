package main

import (
	"context"
	"slices"
	"sync"
	"time"
)

// samples are latencies of some records, from the ingest call to the acknowledgement.
type samples struct {
	mu sync.Mutex
	// The following are guarded by mu.
	took []time.Duration
	skip int // of so many latencies, one is kept
	seen int
}

// mostSamples bounds what is kept, since the memory counts as the client's.
const mostSamples = 1 << 17

func newSamples() *samples {
	return &samples{took: make([]time.Duration, 0, mostSamples), skip: 1}
}

// add keeps a latency. When there is no more room it forgets every other one, and keeps half as many from then on.
func (s *samples) add(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen++; s.seen%s.skip != 0 {
		return
	}
	if len(s.took) == cap(s.took) {
		for i := range len(s.took) / 2 {
			s.took[i] = s.took[2*i]
		}
		s.took = s.took[:len(s.took)/2]
		s.skip *= 2
	}
	s.took = append(s.took, d)
}

// reset forgets what was measured.
func (s *samples) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took, s.skip = s.took[:0], 1
}

// quantiles returns p50, p99 and p99.9 in µs, and of how many.
func (s *samples) quantiles() (p50, p99, p999 float64, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.took) == 0 {
		return 0, 0, 0, 0
	}
	slices.Sort(s.took)
	at := func(q float64) float64 {
		i := min(int(q*float64(len(s.took))), len(s.took)-1)
		return float64(s.took[i].Nanoseconds()) / 1000
	}
	return at(0.5), at(0.99), at(0.999), len(s.took)
}

// future is the acknowledgement of a call, in either client.
type future interface {
	Wait(ctx context.Context) error
}

// watch waits for some acknowledgements beside the producers, as a program may that looks at a few: with callbacks for
// all, the clients would be measured with them.
type watch[F future] struct {
	sent    chan sent[F]
	samples *samples
	waiting sync.WaitGroup
}

type sent[F future] struct {
	future F
	at     time.Time
}

// watchers is how many acknowledgements are waited for at a time.
const watchers = 32

func newWatch[F future](ctx context.Context, s *samples) *watch[F] {
	w := &watch[F]{sent: make(chan sent[F]), samples: s}
	for range watchers {
		w.waiting.Go(func() {
			for one := range w.sent {
				if one.future.Wait(ctx) == nil {
					s.add(time.Since(one.at))
				}
			}
		})
	}
	return w
}

// on waits for a call that began then, unless enough others are waited for.
func (w *watch[F]) on(future F, began time.Time) {
	select {
	case w.sent <- sent[F]{future, began}:
	default:
	}
}

// close ends the watch, when everything is acknowledged.
func (w *watch[F]) close() {
	close(w.sent)
	w.waiting.Wait()
}
