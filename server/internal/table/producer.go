package table

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/ledger"
)

// Errors of claims and of appends by a producer.
var (
	// ErrTaken: another stream writes as this producer.
	ErrTaken = errors.New("another stream writes as this producer")
	// ErrProducers: the table has as many producers as it may have.
	ErrProducers = fmt.Errorf("the table has %d producers, its limit", maxProducers)
)

// errGap: rows are not taken because those before them on the same stream were lost.
var errGap = errors.New("the records before these were not taken")

// maxProducers bounds the producers of one table that the server remembers, at some 300 bytes each.
const maxProducers = 100_000

// forgetEvery is how often a table looks for producers to forget, when it commits.
const forgetEvery = time.Hour

// Ledger is what the tables of a set need of package ledger.
type Ledger interface {
	Load(table [16]byte) (ledger.Table, error)
	Save(table [16]byte, upTo ledger.Mark, changed map[string]ledger.Position) error
	Remove(table [16]byte, producers ...string) error
	SetSweep(table [16]byte, from *ledger.Mark) error
	Forget(table [16]byte) error
	Tables() ([][16]byte, error)
}

// producer is how far one producer has come in the table. The table's lock guards it.
type producer struct {
	next   int64     // the number of its next record: all below are durable, or will never come
	seq    uint64    // of its last entry since the server started; 0 without one
	used   time.Time // when that came
	writer [16]byte  // the session that it came from

	lease       *Lease
	session     [16]byte      // the one that had the lease last
	try         int64         // the highest of that session
	outstanding int           // entries in the log's hands
	quiet       chan struct{} // closed when outstanding is 0 again; nil when nobody waits
}

// known tells whether the server must remember the producer.
func (p *producer) known() bool { return p.next > 0 || p.outstanding > 0 }

// Claim is a stream that wants to write as a producer.
type Claim struct {
	Producer  string
	Session   [16]byte // the same for all connections of one stream of the client
	Try       int64    // rises with each try of the session to connect
	Continues bool     // the session had the lease before, and will send
	First     int64    // no record with a lower number than this
	Evict     func()   // called once if another stream takes over; must not block
}

// Lease is one stream's right to write as a producer. Its methods, but for Release, are for one goroutine.
type Lease struct {
	t        *Table
	id       string
	p        *producer
	session  [16]byte
	evict    func()
	position int64
	next     int64 // after the last record that was appended; -1 before the first
	failed   error // of an append
	lost     bool  // guarded by t.mu: taken over, or released
}

// Claim gives the lease of a producer, and takes it from the stream that has it. It returns when everything of that stream is
// durable or lost, so that the lease's position is final.
//
// Errors: ErrTaken for a try that was overtaken by a later one of its session, and for a session that continues though another
// one has the lease, or has written what this one may still send; ErrProducers; those of Err; ctx's cause.
func (t *Table) Claim(ctx context.Context, c Claim) (*Lease, error) {
	if err := t.Err(); err != nil {
		return nil, err
	}
	l, evict, err := t.lease(c)
	if err != nil {
		return nil, err
	}
	if evict != nil {
		evict()
	}
	for {
		t.mu.Lock()
		switch {
		case l.lost:
			t.mu.Unlock()
			return nil, ErrTaken
		case l.p.outstanding == 0:
			l.position = l.p.next
			t.mu.Unlock()
			if err := t.Err(); err != nil { // then entries may be durable that nobody has counted
				l.Release()
				return nil, err
			}
			return l, nil
		}
		if l.p.quiet == nil {
			l.p.quiet = make(chan struct{})
		}
		quiet := l.p.quiet
		t.mu.Unlock()
		select {
		case <-quiet:
		case <-ctx.Done():
			l.Release()
			return nil, context.Cause(ctx)
		}
	}
}

// lease decides on a claim. evict is that of the stream whose lease it was.
func (t *Table) lease(c Claim) (l *Lease, evict func(), err error) {
	t.claims.Lock()
	defer t.claims.Unlock()
	if err := t.forget(c.Producer); err != nil {
		return nil, nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.producers[c.Producer]
	switch {
	case p == nil && len(t.producers) >= maxProducers:
		return nil, nil, ErrProducers
	case p == nil:
		p = &producer{used: t.set.now()}
		t.producers[c.Producer] = p
	case p.session == c.Session && c.Try < p.try:
		return nil, nil, fmt.Errorf("%w: try %d came after try %d", ErrTaken, c.Try, p.try)
	case c.Continues && (p.lease != nil && p.session != c.Session || p.writer != c.Session && p.next > c.First):
		return nil, nil, ErrTaken
	}
	if old := p.lease; old != nil {
		old.lost = true
		evict = old.evict
	}
	l = &Lease{t: t, id: c.Producer, p: p, session: c.Session, evict: c.Evict, next: -1}
	p.lease, p.session, p.try = l, c.Session, c.Try
	return l, evict, nil
}

// Position is the number after the producer's last durable record when the lease was given, 0 for a new producer.
func (l *Lease) Position() int64 { return l.position }

// Append is [Table.Append] for rows that are the producer's records from first on. They must not be below the position, nor
// below what was appended before; numbers may be left out. After an error the lease takes nothing more; after a durable callback
// with one all others get one. ErrTaken: another stream has the lease.
func (l *Lease) Append(ctx context.Context, first int64, c *column.Chunk, durable func(error)) error {
	if l.failed == nil {
		l.failed = l.append(ctx, first, c, durable)
	}
	return l.failed
}

func (l *Lease) append(ctx context.Context, first int64, c *column.Chunk, durable func(error)) error {
	if at := max(l.position, l.next); first < at {
		return fmt.Errorf("producer %s: record %d was appended where %d was next", l.id, first, at)
	}
	m := mark{producer: l.id, session: l.session, after: l.next, first: first, next: first + int64(c.Rows)}
	l.t.mu.Lock()
	if l.lost {
		l.t.mu.Unlock()
		return ErrTaken
	}
	l.p.outstanding++
	l.t.mu.Unlock()
	err := l.t.append(ctx, c, m, func(err error) {
		l.settled()
		durable(err)
	})
	if err != nil {
		l.settled()
		return err
	}
	l.next = m.next
	return nil
}

// settled counts an entry that the log has answered.
func (l *Lease) settled() {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	if l.p.outstanding--; l.p.outstanding == 0 {
		if l.p.quiet != nil {
			close(l.p.quiet)
			l.p.quiet = nil
		}
		l.t.tidy(l.id, l.p)
	}
}

// Release gives the lease back. What was appended becomes durable all the same.
func (l *Lease) Release() {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	l.lost = true
	if l.p.lease == l {
		l.p.lease = nil
		l.t.tidy(l.id, l.p)
	}
}

// tidy lets a producer go that never wrote anything. t.mu is held.
func (t *Table) tidy(id string, p *producer) {
	if p.lease == nil && !p.known() && t.producers[id] == p {
		delete(t.producers, id)
	}
}

// take counts a durable entry of a producer, in the order of the log. False: its rows must not go into the table.
//
// The decision depends on nothing but the entries before it and the ledger, so replay decides alike. Rows are left out when the
// entry before theirs, on the same stream, was lost by an error of the log: the client is told, and sends both again. t.mu is
// held.
func (t *Table) take(m *mark, seq uint64) bool {
	p := t.producers[m.producer]
	if p == nil {
		p = &producer{}
		t.producers[m.producer] = p
	}
	if m.after >= 0 && m.after != p.next || m.first < p.next {
		return false
	}
	p.next, p.seq, p.used, p.writer = m.next, seq, t.set.now(), m.session
	return true
}

// position is what the ledger keeps of an entry.
func (m *mark) position(now time.Time) ledger.Position {
	return ledger.Position{Session: m.session, Next: m.next, Used: now}
}

// forget forgets one producer if it has been idle for too long. The ledger forgets first: replay must not find a position that
// appends did not stand on. t.claims is held.
func (t *Table) forget(ids ...string) error {
	var idle []string
	t.mu.Lock()
	for _, id := range ids {
		if p := t.producers[id]; p != nil && t.idle(p) {
			idle = append(idle, id)
		}
	}
	t.mu.Unlock()
	if len(idle) == 0 {
		return nil
	}
	if err := t.set.ledger.Remove(t.info.ID, idle...); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range idle { // nothing can have come meanwhile: a lease takes t.claims
		delete(t.producers, id)
	}
	return nil
}

// idle tells whether a producer may be forgotten: nothing of it is open, on its way, or not in the ledger yet. t.mu is held.
func (t *Table) idle(p *producer) bool {
	return p.lease == nil && p.outstanding == 0 && p.seq <= t.saved && t.set.now().Sub(p.used) > t.set.opts.ProducerRetention
}

// forgetIdle forgets all producers that have been idle for too long, now and then. It is the committer's.
func (t *Table) forgetIdle() {
	now := t.set.now()
	if now.Sub(t.forgot) < forgetEvery {
		return
	}
	t.forgot = now
	t.claims.Lock()
	defer t.claims.Unlock()
	var ids []string
	t.mu.Lock()
	for id, p := range t.producers {
		if t.idle(p) {
			ids = append(ids, id)
		}
	}
	t.mu.Unlock()
	if err := t.forget(ids...); err != nil {
		t.log.Warn("idle producers are not forgotten yet", "err", err)
	}
}
