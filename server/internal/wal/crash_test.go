package wal_test

import (
	"errors"
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/wal"
	"github.com/zerobus-go/zerobus/server/internal/wal/waltest"
)

var (
	crashRuns = flag.Int("wal.crashes", 150, "number of seeded crash runs")
	crashSeed = flag.Uint64("wal.seed", 1, "seed of the first crash run")
)

// Each run is a few lives of a log on one disk. A life ends by Close, by kill -9, or by a power cut, at any operation
// of the disk, during Open and Replay too. After each, everything that was acknowledged or replayed is there, as it was.
func TestCrash_NothingKnownIsEverLost(t *testing.T) {
	var acked int
	for run := range uint64(*crashRuns) {
		seed := *crashSeed + run
		r := rand.New(rand.NewPCG(seed, 0))
		d := waltest.New()
		o := newOracle()
		opts := small(d)
		if r.IntN(2) == 0 {
			opts.MaxBytes = 4 * opts.SegmentBytes
		}
		for life := range 6 {
			if r.IntN(4) != 0 {
				d.StopAt(1 + r.IntN(60))
			}
			l, err := o.session(r, opts, 1+r.IntN(40))
			if err != nil {
				t.Fatalf("seed %d, life %d: %v", seed, life, err)
			}
			stop := func() {
				if l != nil {
					l.Close()
				}
			}
			switch r.IntN(4) {
			case 0:
				stop()
				d.Kill()
			case 1:
				d.StopAt(1)
				stop()
				d.Kill()
			default:
				d.StopAt(1)
				stop()
				d.PowerCut(r)
			}
		}
		l, err := o.session(r, opts, 0)
		if err != nil || l == nil {
			t.Fatalf("seed %d, at the end: %v", seed, err)
		}
		l.Close()
		acked += len(o.known)
	}
	t.Logf("%d runs, %d known, 0 lost", *crashRuns, acked)
	if acked < *crashRuns {
		t.Errorf("only %d entries were known in %d runs: the test does not test", acked, *crashRuns)
	}
}

// The disk fails at each operation in turn, once. The log either copes or stops, and loses nothing.
func TestFault_AtEachOperation(t *testing.T) {
	for _, power := range []bool{false, true} {
		failed := 0
		for n := 1; ; n++ {
			r := rand.New(rand.NewPCG(uint64(n), 1))
			d := waltest.New()
			o := newOracle()
			opts := small(d)
			hit := false
			// Work; work with the fault; see what is left, and lose power; see again.
			for life := range 4 {
				if life == 1 {
					d.FailAt(n, errInjected)
				}
				before := d.Ops()
				steps := 30
				if life == 2 {
					steps = 0
				}
				l, err := o.session(r, opts, steps)
				if err != nil {
					t.Fatalf("operation %d: %v", n, err)
				}
				if l != nil {
					if life == 2 {
						d.StopAt(1)
					}
					err := l.Close()
					if err != nil && !errors.Is(err, wal.ErrPoisoned) {
						t.Fatalf("operation %d: close: %v", n, err)
					}
					if err != nil && !errors.Is(err, errInjected) && life != 2 {
						t.Fatalf("operation %d: close: %v: the cause is not named", n, err)
					}
					if err != nil {
						failed++
					}
				}
				if life == 1 {
					hit = d.Ops()-before >= n
				}
				if power || life == 2 {
					d.PowerCut(r)
				} else {
					d.Kill()
				}
			}
			if !hit {
				break
			}
		}
		if failed == 0 {
			t.Error("no fault stopped the log: the test does not test")
		}
	}
}
