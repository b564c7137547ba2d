package table

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/ledger"
	"github.com/zerobus-go/zerobus/server/internal/wal"
)

// Errors of claims and of appends by a producer.
var (
	// ErrTaken: another stream writes as this producer.
	ErrTaken = errors.New("another stream writes as this producer")
	// ErrProducers: the table has as many producers as it may have.
	ErrProducers = fmt.Errorf("the table has %d producers, its limit", maxProducers)
)

// maxProducers bounds the producers of one table that the server remembers, at some 300 bytes each.
const maxProducers = 100_000

// forgetEvery is how often a table looks for producers to forget, when it commits.
const forgetEvery = time.Hour

// madeWayEvery is how often all producers are looked at because there is no room for another one.
const madeWayEvery = time.Minute

// Ledger is what the tables of a set need of package ledger.
type Ledger interface {
	Load(table [16]byte) (ledger.Table, error)
	Save(table [16]byte, upTo ledger.Mark, changed map[string]ledger.Position) error
	Remove(table [16]byte, producers ...string) error
	SetOrphans(table [16]byte, names []string) error
	SetRewrites(table [16]byte, names []string) error
	SetColumns(table [16]byte, descriptions []string) error
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
	session     [16]byte      // the one that had the lease last, since the server started; noSession when none had
	try         int64         // the highest of that session
	outstanding int           // entries in the log's hands
	quiet       chan struct{} // closed when outstanding is 0 again; nil when nobody waits
}

var noSession [16]byte

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
	chain    wal.Chain
	next     int64 // after the last record that was appended
	failed   error // of an append

	ctx  context.Context // of the stream; ends with the lease as well
	lose context.CancelCauseFunc
	lost bool // guarded by t.mu: taken over, or released
}

// Claim gives the lease of a producer, and takes it from the stream that has it. It returns when everything of that stream is
// durable or lost, so that the lease's position is final. ctx is that of the stream: it bounds the wait, and every append.
//
// Errors: ErrTaken for a try that was overtaken by a later one of its session, and for a session that continues though another
// one has had the lease since, or has written what this one may still send; ErrProducers; those of Err; ctx's cause.
func (t *Table) Claim(ctx context.Context, c Claim) (*Lease, error) {
	if err := t.Err(); err != nil {
		return nil, err
	}
	l, evict, err := t.lease(ctx, c)
	if err != nil {
		return nil, err
	}
	if evict != nil {
		evict()
	}
	if err := l.wait(); err != nil {
		l.Release()
		return nil, err
	}
	return l, nil
}

// wait waits until nothing of the producer is on its way, and takes its position.
func (l *Lease) wait() error {
	for {
		l.t.mu.Lock()
		if l.p.outstanding == 0 {
			l.position = l.p.next
			l.next = l.position
			lost := l.lost
			l.t.mu.Unlock()
			if lost {
				return ErrTaken
			}
			return l.t.Err() // entries of a table that has ended are durable, and nobody has counted them
		}
		if l.p.quiet == nil {
			l.p.quiet = make(chan struct{})
		}
		quiet := l.p.quiet
		l.t.mu.Unlock()
		select {
		case <-quiet:
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		}
	}
}

// foreign tells whether another session may have written what this one may still send. Since the server started it is known
// who had the lease last; of the time before, who wrote last.
func (c *Claim) foreign(p *producer) bool {
	switch {
	case !c.Continues:
		return false
	case p.session != noSession:
		return p.session != c.Session
	}
	return p.writer != c.Session && p.next > c.First
}

// lease decides on a claim. evict is that of the stream whose lease it was.
func (t *Table) lease(ctx context.Context, c Claim) (l *Lease, evict func(), err error) {
	t.claims.Lock()
	defer t.claims.Unlock()
	if err := t.forgetFor(c.Producer); err != nil {
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
	case c.foreign(p):
		return nil, nil, ErrTaken
	}
	if old := p.lease; old != nil {
		old.end()
		evict = old.evict
		t.set.counters.takeovers.Add(1)
	}
	l = &Lease{t: t, id: c.Producer, p: p, session: c.Session, evict: c.Evict}
	l.ctx, l.lose = context.WithCancelCause(ctx)
	p.lease, p.session, p.try = l, c.Session, c.Try
	return l, evict, nil
}

// Position is the number after the producer's last durable record when the lease was given, 0 for a new producer.
func (l *Lease) Position() int64 { return l.position }

// Append is [Table.Append] for rows that are the producer's records from first on. They must not be below the position, nor
// below what was appended before; numbers may be left out. After an error the lease takes nothing more, and after a durable
// callback with one all others get one. ErrTaken: another stream has the lease.
func (l *Lease) Append(first int64, c *column.Chunk, durable func(error)) error {
	if l.failed == nil {
		l.failed = l.append(first, c, durable)
	}
	return l.failed
}

func (l *Lease) append(first int64, c *column.Chunk, durable func(error)) error {
	if first < l.next {
		return fmt.Errorf("producer %s: record %d was appended where %d was next", l.id, first, l.next)
	}
	if err := l.t.Err(); err != nil {
		return err
	}
	size, err := l.t.reserve(l.ctx, c) // before it counts: whoever takes over waits for what the log has, not for memory
	if err != nil {
		return err
	}
	m := mark{producer: l.id, session: l.session, next: first + int64(c.Rows)}
	if !l.begin() {
		l.t.release(size)
		return ErrTaken
	}
	err = l.t.write(l.ctx, &l.chain, c, size, m, func(err error) {
		l.settled()
		durable(err)
	})
	if err != nil {
		l.t.release(size)
		l.settled()
		return err
	}
	l.next = m.next
	return nil
}

// begin counts an entry that is about to be the log's. False: the lease is lost.
func (l *Lease) begin() bool {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	if !l.lost {
		l.p.outstanding++
	}
	return !l.lost
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
	l.end()
	if l.p.lease == l {
		l.p.lease = nil
		l.t.tidy(l.id, l.p)
	}
}

// end lets the lease append nothing more. t.mu is held.
func (l *Lease) end() {
	l.lost = true
	l.lose(ErrTaken)
}

// tidy lets a producer go that never wrote anything. t.mu is held.
func (t *Table) tidy(id string, p *producer) {
	if p.lease == nil && !p.known() && t.producers[id] == p {
		delete(t.producers, id)
	}
}

// count counts a durable entry of a producer, whose rows are in p or in the table. The log has no entry without those before it
// on its stream, and one stream at a time writes; so what is durable is a prefix, and this is its end. t.mu is held.
func (t *Table) count(m *mark, seq uint64, p *pending) {
	at := t.producers[m.producer]
	if at == nil {
		at = &producer{}
		t.producers[m.producer] = at
	}
	now := t.set.now()
	at.seq, at.used = seq, now
	if m.next > at.next { // it is not when the table is an older copy, which the ledger is ahead of
		at.next, at.writer = m.next, m.session
	}
	p.moved(m.producer, ledger.Position{Session: at.writer, Next: at.next, Used: now})
}

// forgetFor makes way for a producer: it is forgotten itself if it was idle for too long; and when there is no room for another
// one, so are all that were.
func (t *Table) forgetFor(id string) error {
	if err := t.forget(t.idle, id); err != nil {
		return err
	}
	t.mu.Lock()
	full := t.producers[id] == nil && len(t.producers) >= maxProducers
	t.mu.Unlock()
	if now := t.set.now(); full && now.Sub(t.madeWay) >= madeWayEvery {
		t.madeWay = now
		return t.forgetAll(t.stale)
	}
	return nil
}

// forgetAll forgets all producers that may be. t.claims is held.
func (t *Table) forgetAll(may func(*producer) bool) error {
	t.mu.Lock()
	ids := slices.Collect(maps.Keys(t.producers))
	t.mu.Unlock()
	return t.forget(may, ids...)
}

// forget forgets producers if they may be. The ledger forgets first: after a crash it must not know of a position that a stream
// did not begin with. t.claims is held.
func (t *Table) forget(may func(*producer) bool, ids ...string) error {
	if !t.set.recovered.Load() {
		return nil // the log may have entries that were not counted yet
	}
	t.mu.Lock()
	ids = slices.DeleteFunc(ids, func(id string) bool { return t.producers[id] == nil || !may(t.producers[id]) })
	t.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	if err := t.set.ledger.Remove(t.info.ID, ids...); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids { // nothing can have come meanwhile: a lease takes t.claims
		delete(t.producers, id)
	}
	return nil
}

// stale tells whether nothing was written for a producer for too long, and nothing of it is open, on its way, or not in the
// ledger yet. t.mu is held.
func (t *Table) stale(p *producer) bool {
	return p.lease == nil && p.outstanding == 0 && p.seq <= t.saved && t.set.now().Sub(p.used) > t.set.opts.ProducerRetention
}

// idle is stale, not counting the time in which the server did not run: nobody could have written. t.mu is held.
func (t *Table) idle(p *producer) bool {
	return t.stale(p) && t.set.now().Sub(t.set.started) > t.set.opts.ProducerRetention
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
	if err := t.forgetAll(t.idle); err != nil {
		t.log.Warn("idle producers are not forgotten yet", "err", err)
	}
}
