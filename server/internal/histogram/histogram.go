// Package histogram counts durations in buckets. The stages keep their measurements in it, package metrics shows them: so no
// stage knows how metrics are read.
//
// Concurrency: everything may be called at any time; Observe is two atomic additions and allocates nothing. Failure: none.
package histogram

import (
	"sync/atomic"
	"time"
)

// Bounds are the upper ends of the buckets, one set for all histograms: from a sync of a good disk to a commit that hardly comes
// about. A duration above the last one is in none of them.
var Bounds = [...]time.Duration{
	250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, time.Minute,
}

// Histogram counts durations. The zero value is empty and ready. It must not be copied.
type Histogram struct {
	counts [len(Bounds) + 1]atomic.Uint64 // of each bucket alone; the last one has what is above all bounds
	sum    atomic.Int64                   // nanoseconds
}

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	i := 0
	for i < len(Bounds) && d > Bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// Snapshot is the state of a histogram.
type Snapshot struct {
	UpTo  [len(Bounds)]uint64 // durations up to each of the Bounds
	Count uint64              // all durations
	Sum   time.Duration
}

// Snapshot gives the present state. What is observed meanwhile may be missing in some of it; Count is never below UpTo.
func (h *Histogram) Snapshot() (s Snapshot) {
	for i := range h.counts {
		s.Count += h.counts[i].Load()
		if i < len(s.UpTo) {
			s.UpTo[i] = s.Count
		}
	}
	s.Sum = time.Duration(h.sum.Load())
	return s
}
