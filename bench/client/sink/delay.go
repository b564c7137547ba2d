package sink

import (
	"slices"
	"time"
)

// delayStep is what due times are rounded up to, so that a stream holds at most one entry for each of them and a flood
// costs at most one write in each.
const delayStep = time.Millisecond

// delayLine holds offsets until they are due. Times are since any one moment. It has no clock.
type delayLine struct {
	delay time.Duration
	due   []delayed // ascending in both fields
}

type delayed struct {
	at     time.Duration
	offset int64
}

// push adds an offset that was received now, larger than those before it. A time that two share belongs to the later
// one, so neither comes out before its delay.
func (l *delayLine) push(now time.Duration, offset int64) {
	at := (now + l.delay + delayStep - 1).Truncate(delayStep)
	if n := len(l.due); n > 0 && l.due[n-1].at == at {
		l.due[n-1].offset = offset
		return
	}
	l.due = append(l.due, delayed{at, offset})
}

// pop takes out what is due now and returns the largest offset of it.
func (l *delayLine) pop(now time.Duration) (offset int64, ok bool) {
	n := 0
	for n < len(l.due) && l.due[n].at <= now {
		n++
	}
	if n == 0 {
		return 0, false
	}
	offset = l.due[n-1].offset
	l.due = slices.Delete(l.due, 0, n)
	return offset, true
}

// next returns when the next offset is due.
func (l *delayLine) next() (at time.Duration, ok bool) {
	if len(l.due) == 0 {
		return 0, false
	}
	return l.due[0].at, true
}
