package histogram

import (
	"slices"
	"sync"
	"testing"
	"time"
)

func TestHistogram_CountsUpToEachBound(t *testing.T) {
	if !slices.IsSorted(Bounds[:]) {
		t.Fatalf("the bounds %v do not rise", Bounds)
	}
	var h Histogram
	for _, d := range []time.Duration{0, Bounds[0], Bounds[0] + 1, Bounds[3], time.Hour} {
		h.Observe(d)
	}
	s := h.Snapshot()
	if s.UpTo[0] != 2 || s.UpTo[1] != 3 || s.UpTo[3] != 4 || s.UpTo[len(Bounds)-1] != 4 || s.Count != 5 {
		t.Errorf("%+v", s)
	}
	if want := 2*Bounds[0] + 1 + Bounds[3] + time.Hour; s.Sum != want {
		t.Errorf("the sum is %v, want %v", s.Sum, want)
	}
}

func TestHistogram_Concurrently(t *testing.T) {
	var h Histogram
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				h.Observe(time.Millisecond)
				if s := h.Snapshot(); s.Count < s.UpTo[len(Bounds)-1] {
					t.Error("less in all than in the buckets")
				}
			}
		})
	}
	wg.Wait()
	if s := h.Snapshot(); s.Count != 4000 || s.Sum != 4000*time.Millisecond {
		t.Errorf("%+v", s)
	}
}

func BenchmarkObserve(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	for b.Loop() {
		h.Observe(40 * time.Millisecond)
	}
}
