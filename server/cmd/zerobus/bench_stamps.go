package main

import (
	"sync"
	"sync/atomic"
	"time"
)

// stamps are the times at which a stream's records were ingested, by their numbers: of each record, or of the first of every few,
// so that a time is never too short. One goroutine writes them; any number may read those that were written.
type stamps struct {
	shift uint // 1 << shift records have one time

	mu    sync.RWMutex // guards the following
	parts []*[stampPart]atomic.Int64
}

const stampPart = 4096

// put writes the time at which a record is ingested, since the beginning of the measurement.
func (s *stamps) put(n int64, at time.Duration) {
	if n&(1<<s.shift-1) != 0 {
		return
	}
	n >>= s.shift
	if n%stampPart == 0 {
		s.mu.Lock()
		s.parts = append(s.parts, new([stampPart]atomic.Int64))
		s.mu.Unlock()
	}
	s.part(n)[n%stampPart].Store(int64(at))
}

// part is the memory of a time. There is none for what was not written.
func (s *stamps) part(n int64) *[stampPart]atomic.Int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if i := n / stampPart; i < int64(len(s.parts)) {
		return s.parts[i]
	}
	return nil
}

// of is the time of a record; ok is false when none was written.
func (s *stamps) of(n int64) (at time.Duration, ok bool) {
	n >>= s.shift
	part := s.part(n)
	if part == nil {
		return 0, false
	}
	at = time.Duration(part[n%stampPart].Load())
	return at, at > 0
}

// each calls f with the times of records, and how many have each.
func (s *stamps) each(first, last int64, f func(at time.Duration, records int64)) {
	for n := first; n <= last; {
		end := min(last+1, (n>>s.shift+1)<<s.shift)
		if at, ok := s.of(n); ok {
			f(at, end-n)
		}
		n = end
	}
}
