package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/zerobus-go/zerobus"
)

// A ledger is what is known about the records of one writer, which are numbered 0, 1, 2, … It is told by the writer, and
// by the SDK as a hook. Its methods may be called from any goroutine.
//
//	acked ≤ next, wire ≤ next
type ledger struct {
	exact bool // nothing arrives twice, so nobody needs to know what was sent again

	mu sync.Mutex
	// mu guards the following.
	next   int64 // numbers below were given to a stream
	acked  int64 // numbers below were acknowledged, but for those in unsure
	unsure spans // a stream was thrown away with them: each is in the table or not
	wire   int64 // numbers below were handed to a transport
	resent spans // handed to a transport more than once

	head     int64     // number that the present stream sends first on its next connection, as the hooks tell
	cursor   int64     // number that the present connection sends next
	since    time.Time // when the present connection was opened
	lastAck  time.Time
	launched time.Time // the present server
	firstAck time.Time // on a connection to it

	faults []string // what cannot be
}

// begin starts a stream whose first record has the number.
func (l *ledger) begin(base int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head, l.cursor = base, base
}

// give takes the numbers of the next records, before the stream gets them: their acknowledgement may come at once.
func (l *ledger) give(records int64) (first int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first = l.next
	l.next += records
	return first
}

// takeBack says that the last records did not get into the stream.
func (l *ledger) takeBack(records int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next -= records
}

// settled says that the stream's records below n are acknowledged. It returns how many more those are.
func (l *ledger) settled(n int64) (more int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < l.acked || n > l.next {
		l.faults = append(l.faults, fmt.Sprintf("records up to %d were acknowledged, where %d were and %d were ingested", n, l.acked, l.next))
	}
	more = max(n-l.acked, 0)
	l.acked += more
	return more
}

// resume says that the server has the records below n, and that the next one has that number. It returns how many of them
// had not been acknowledged.
func (l *ledger) resume(n int64) (more int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < l.acked || n > l.next {
		l.faults = append(l.faults, fmt.Sprintf("the position is %d, where %d were acknowledged and %d ingested", n, l.acked, l.next))
	}
	more = max(n-l.acked, 0)
	l.acked += more
	l.next = max(n, l.acked)
	return more
}

// forget says that the stream was thrown away, with its last unacked records.
func (l *ledger) forget(unacked int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if from := l.next - unacked; from != l.acked {
		l.faults = append(l.faults, fmt.Sprintf("the stream had %d unacknowledged records of %d, and callbacks had acknowledged %d", unacked, l.next, l.acked))
	}
	l.unsure.add(l.acked, l.next)
	l.acked = l.next
}

// unacked is the number of records that were ingested and not acknowledged.
func (l *ledger) unacked() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next - l.acked
}

// totals are the numbers of records that were ingested and that were acknowledged.
func (l *ledger) totals() (given, acked int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next, l.acked - l.unsure.count()
}

// ackedAt is the time of the last acknowledgement.
func (l *ledger) ackedAt() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lastAck
}

// launch says that there is another server from now on.
func (l *ledger) launch(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.launched, l.firstAck = now, time.Time{}
}

// firstAckedAt is the time of the first acknowledgement by the present server, or zero.
func (l *ledger) firstAckedAt() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.firstAck
}

// OnConnect is told of a connection, which sends all again that is not acknowledged.
func (l *ledger) OnConnect(e zerobus.ConnectEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cursor, l.since = l.head, time.Now()
}

// OnSend is told of a message. Resend is said of more than was sent again: of all that a connection had taken, also of what
// it could not bring to the transport any more.
func (l *ledger) OnSend(e zerobus.SendEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.exact {
		return
	}
	from, to := l.cursor, l.cursor+int64(e.Records)
	if to > l.next {
		l.faults = append(l.faults, fmt.Sprintf("records %d to %d were sent (again: %v), where %d were sent and %d ingested", from, to-1, e.Resend, l.wire, l.next))
	}
	l.resent.add(from, min(to, l.wire))
	l.cursor, l.wire = to, max(l.wire, to)
}

// OnAck is told of an acknowledgement.
func (l *ledger) OnAck(e zerobus.AckEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head += int64(e.Records)
	l.cursor = max(l.cursor, l.head)
	l.lastAck = time.Now()
	if l.firstAck.IsZero() && l.since.After(l.launched) {
		l.firstAck = l.lastAck
	}
}
