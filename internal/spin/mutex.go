//go:build !race

// Package spin has the lock that producers take for every record.
//
// It differs from sync.Mutex in two ways. Whoever finds it taken looks again at growing distances before being parked: the
// lock is held for some 10 ns for a small record, and a mutex with parked waiters hands itself from one to the next, each
// of which must first be scheduled, for as long as the goroutines outnumber the processors; with 16 producers on 2
// processors that is up to 6 times slower than one producer. And nobody who unlocks it looks for waiters, so that a plain
// store is enough on amd64, where the atomic operation would be a quarter of all that a record of 20 bytes costs.
//
// It is for critical sections of nanoseconds, in which nothing waits. With the race detector it is a sync.Mutex, so that
// the detector sees what it orders.
package spin

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// The wait doubles twice each time. What the lock guards moves between the processors' caches with it, which costs much
// more than an append, so the one who has it is best left alone for many appends.
const (
	firstWait = 64 // steps of some 0.3 ns
	waits     = 5  // the last one takes some 5 µs
	rounds    = 8  // with other goroutines scheduled between them
)

// Mutex is a lock. Its zero value is open. It must not be copied.
type Mutex struct {
	taken uint32
	queue sync.Mutex // of those who have looked often enough: the first one looks on, the others are parked
}

// TryLock takes the lock if it is free.
func (m *Mutex) TryLock() bool {
	return atomic.CompareAndSwapUint32(&m.taken, 0, 1)
}

// Lock takes the lock.
func (m *Mutex) Lock() {
	if !m.TryLock() {
		m.wait()
	}
}

// Unlock opens the lock, which must be taken.
func (m *Mutex) Unlock() {
	release(&m.taken)
}

func (m *Mutex) wait() {
	for range rounds {
		if m.look() {
			return
		}
		runtime.Gosched()
	}
	// So much later the system has probably taken the processor from the one who has the lock, and wants another one for it.
	m.queue.Lock()
	for !m.look() {
		giveWay()
	}
	m.queue.Unlock()
}

// look tries to take the lock a few times.
func (m *Mutex) look() bool {
	for i := range waits {
		if atomic.LoadUint32(&m.taken) == 0 && m.TryLock() {
			return true
		}
		linger(firstWait << (2 * i))
	}
	return false
}

// linger passes a moment without touching memory.
//
//go:noinline
func linger(steps int) {
	for range steps {
	}
}
