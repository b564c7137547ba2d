package spin

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// What several words hold is whole whenever the lock is held, and no change is lost.
func TestMutex_Excludes(t *testing.T) {
	const rounds = 20_000
	for _, goroutines := range []int{2, 4, 64} {
		var (
			m     Mutex
			words [9]int // more than a cache line
			wg    sync.WaitGroup
		)
		for i := range goroutines {
			wg.Go(func() {
				for range rounds {
					if i%2 == 0 || !m.TryLock() {
						m.Lock()
					}
					for k := range words {
						if words[k] != words[0] {
							t.Errorf("%d goroutines: word %d is %d, the first one %d", goroutines, k, words[k], words[0])
						}
					}
					for k := range words {
						words[k]++
					}
					m.Unlock()
				}
			})
		}
		wg.Wait()
		if words[8] != goroutines*rounds {
			t.Errorf("%d goroutines added up to %d, not to %d", goroutines, words[8], goroutines*rounds)
		}
	}
}

// What was stored under the lock is seen by who takes it next, and what is stored after it was opened is not seen under it.
func TestMutex_Hands(t *testing.T) {
	var (
		m    Mutex
		turn int
		wg   sync.WaitGroup
	)
	const goroutines, turns = 3, 3000
	for i := range goroutines {
		wg.Go(func() {
			for done := 0; done < turns; {
				m.Lock()
				if turn%goroutines == i {
					turn++
					done++
				}
				m.Unlock()
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
	if turn != goroutines*turns {
		t.Errorf("%d turns, not %d", turn, goroutines*turns)
	}
}

func TestMutex_TryLock(t *testing.T) {
	var m Mutex
	if !m.TryLock() {
		t.Fatal("an open lock could not be taken")
	}
	if m.TryLock() {
		t.Fatal("a lock was taken twice")
	}
	m.Unlock()
	if !m.TryLock() {
		t.Fatal("an opened lock could not be taken")
	}
}

// Many wait for a lock that is held for long, all of them get it, and time in a bubble does not pass meanwhile.
func TestMutex_TakenForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			m     Mutex
			wg    sync.WaitGroup
			count int
		)
		start := time.Now()
		m.Lock()
		for range 10 {
			wg.Go(func() {
				m.Lock()
				count++
				m.Unlock()
			})
		}
		for range 10_000 {
			runtime.Gosched()
		}
		m.Unlock()
		wg.Wait()
		if count != 10 || time.Since(start) != 0 {
			t.Errorf("%d of 10 took the lock, in %v", count, time.Since(start))
		}
	})
}

func BenchmarkMutex(b *testing.B) {
	var m Mutex
	n := 0
	for b.Loop() {
		m.Lock()
		n++
		m.Unlock()
	}
}

func BenchmarkMutex_Contended(b *testing.B) {
	var m Mutex
	n := 0
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Lock()
			n++
			m.Unlock()
		}
	})
}
