package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/ledger"
	"github.com/zerobus-go/zerobus/server/internal/wal"
)

// session is a session's id.
func session(n byte) [16]byte { return [16]byte{n} }

func claimAs(id string, n byte) Claim {
	return Claim{Producer: id, Session: session(n), Evict: func() {}}
}

func (l *life) claim(t *Table, c Claim) *Lease {
	l.t.Helper()
	lease, err := t.Claim(l.t.Context(), c)
	if err != nil {
		l.t.Fatal(err)
	}
	return lease
}

// records appends a producer's records, whose ids are their numbers, and waits until they are durable.
func (l *life) records(lease *Lease, first, n int64) {
	l.t.Helper()
	done := make(chan error, 1)
	if err := lease.Append(first, ids(lease.t, first, n), func(err error) { done <- err }); err != nil {
		l.t.Fatal(err)
	}
	if err := <-done; err != nil {
		l.t.Fatal(err)
	}
}

// position claims as a new program, and releases.
func (l *life) position(t *Table, id string) int64 {
	l.t.Helper()
	lease := l.claim(t, claimAs(id, 99))
	defer lease.Release()
	return lease.Position()
}

func TestProducer_PositionOutlivesTheServer(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	lease := a.claim(a.open(tName), claimAs("p", 1))
	if lease.Position() != 0 {
		t.Errorf("a new producer begins at %d", lease.Position())
	}
	a.records(lease, 0, 10)
	a.crash() // rows and position are in the log alone

	b := h.start(never)
	tab := b.open(tName)
	if got := b.position(tab, "p"); got != 10 {
		t.Errorf("after a replay the position is %d, want 10", got)
	}
	lease = b.claim(tab, claimAs("p", 2))
	b.records(lease, 10, 5)
	b.flush(tab)
	lease.Release()
	b.stop() // the log is trimmed: the position is in the ledger alone

	c := h.start(never)
	if got := c.position(c.open(tName), "p"); got != 15 {
		t.Errorf("after a commit the position is %d, want 15", got)
	}
	if got := c.position(c.open(tName), "q"); got != 0 {
		t.Errorf("another producer is at %d", got)
	}
	c.stop()
	h.want(tName, 15)
}

// The rows are in the table, the position is not in the ledger, and the server ends.
func TestProducer_CommitWithoutTheLedger(t *testing.T) {
	h := newHouse(t)
	var failing atomic.Bool
	h.book = func(l Ledger) Ledger { return &deafLedger{Ledger: l, failing: &failing} }
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	failing.Store(true)
	a.records(a.claim(tab, claimAs("p", 1)), 0, 10)
	a.flush(tab) // the rows are in the table
	h.want(tName, 10)
	failing.Store(false)
	a.crash()

	b := h.start(never)
	known, err := b.ledger.Load(b.open(tName).Info().ID)
	if err != nil || known.Positions["p"].Next != 10 || known.UpTo.Seq != 1 {
		t.Errorf("the start brought %+v into the ledger, %v", known, err)
	}
	if got := b.position(b.open(tName), "p"); got != 10 {
		t.Errorf("the position is %d, want 10", got)
	}
	b.stop()
	h.want(tName, 10)
}

// deafLedger takes no positions while it fails.
type deafLedger struct {
	Ledger
	failing *atomic.Bool
}

func (d *deafLedger) Save(id [16]byte, upTo ledger.Mark, changed map[string]ledger.Position) error {
	if d.failing.Load() {
		return errors.New("disk full")
	}
	return d.Ledger.Save(id, upTo, changed)
}

// A commit waits for the ledger, and does not write its rows again.
func TestProducer_LedgerThatFailsForAWhile(t *testing.T) {
	h := newHouse(t)
	var failing atomic.Bool
	h.book = func(l Ledger) Ledger { return &deafLedger{Ledger: l, failing: &failing} }
	a := h.start(Options{CommitInterval: time.Millisecond})
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	failing.Store(true)
	lease := a.claim(tab, claimAs("p", 1))
	a.records(lease, 0, 10)
	a.flush(tab)
	a.records(lease, 10, 10) // waits behind the first commit
	eventually(t, "a failed try", func() bool {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		return tab.lastTry != nil
	})
	failing.Store(false)
	a.flush(tab)
	a.stop()
	h.want(tName, 20)
}

func TestProducer_TakeoverWaitsForWhatIsOnItsWay(t *testing.T) {
	h := newHouse(t)
	var log *slowLog
	h.wrap = func(l wal.Log) wal.Log {
		log = &slowLog{Log: l}
		return log
	}
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	evicted := make(chan struct{})
	c := claimAs("p", 1)
	c.Evict = func() { close(evicted) }
	old := a.claim(tab, c)
	a.records(old, 0, 5)
	log.hold()
	if err := old.Append(5, ids(tab, 5, 5), func(error) {}); err != nil {
		t.Fatal(err)
	}
	got := make(chan int64, 1)
	go func() {
		lease, err := tab.Claim(context.Background(), claimAs("p", 2))
		if err != nil {
			if !errors.Is(err, ErrTaken) {
				t.Error(err)
			}
			got <- -1
			return
		}
		defer lease.Release()
		got <- lease.Position()
	}()
	<-evicted
	c6 := ids(tab, 10, 1)
	if err := old.Append(10, c6, func(error) {}); !errors.Is(err, ErrTaken) {
		t.Errorf("the old lease says %v", err)
	}
	gone, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the client is gone"))
	if _, err := tab.Claim(gone, claimAs("p", 3)); err == nil || !strings.Contains(err.Error(), "the client is gone") {
		t.Errorf("a claim that gives up says %v", err)
	}
	select {
	case n := <-got:
		t.Errorf("the position was given as %d while records were on their way", n)
	default:
	}
	log.release()
	// The second claim was overtaken by the third, and the third gave up.
	if n := <-got; n != -1 && n != 10 {
		t.Errorf("the position is %d, want 10", n)
	}
	if n := a.position(tab, "p"); n != 10 {
		t.Errorf("the position is %d, want 10", n)
	}
	a.stop()
	h.want(tName, 10)
}

// slowLog is a log whose answers can be held back.
type slowLog struct {
	wal.Log
	mu      sync.Mutex // guards the following
	holding bool
	held    []func()
}

func (l *slowLog) Append(ctx context.Context, chain *wal.Chain, id wal.TableID, payload []byte, done func(uint64, error)) error {
	return l.Log.Append(ctx, chain, id, payload, func(seq uint64, err error) {
		l.mu.Lock()
		if l.holding {
			l.held = append(l.held, func() { done(seq, err) })
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		done(seq, err)
	})
}

func (l *slowLog) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holding = true
}

func (l *slowLog) release() {
	l.mu.Lock()
	l.holding = false
	held := l.held
	l.held = nil
	l.mu.Unlock()
	for _, f := range held {
		f()
	}
}

func TestProducer_Numbers(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	lease := a.claim(tab, claimAs("p", 1))
	a.records(lease, 3, 2) // 0 to 2 were given up
	a.records(lease, 7, 1)
	c := ids(tab, 7, 1)
	if err := lease.Append(7, c, func(error) {}); err == nil {
		t.Error("a record was taken twice")
	}
	if err := lease.Append(8, c, func(error) {}); err == nil {
		t.Error("a lease goes on after an error")
	}
	lease.Release()
	if n := a.position(tab, "p"); n != 8 {
		t.Errorf("the position is %d, want 8", n)
	}
	a.stop()
	if got := h.rows(tName); !slices.Equal(got, []int64{3, 4, 7}) {
		t.Errorf("the table has %v", got)
	}
}

func TestProducer_WhoMayGoOn(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	continues := func(n byte, try, first int64) Claim {
		return Claim{Producer: "p", Session: session(n), Try: try, Continues: true, First: first, Evict: func() {}}
	}
	refused := func(why string, c Claim) {
		t.Helper()
		if _, err := tab.Claim(t.Context(), c); !errors.Is(err, ErrTaken) {
			t.Errorf("%s: %v", why, err)
		}
	}
	one := a.claim(tab, continues(1, 5, 70)) // nobody is known: it was forgotten
	refused("an older try", continues(1, 4, 70))
	a.records(one, 70, 1)
	two := a.claim(tab, claimAs("p", 2))
	refused("another session has the lease", continues(1, 6, 71))
	two.Release()
	refused("another session had the lease", continues(1, 6, 71))
	two = a.claim(tab, continues(2, 4, 71))
	a.records(two, 71, 3)
	two.Release()
	refused("an older try after the end", continues(2, 3, 74))
	a.crash()

	b := h.start(never) // which does not know who had the lease, only who wrote last
	tab = b.open(tName)
	refused("another session has written", continues(1, 8, 73))
	b.claim(tab, continues(1, 8, 74)).Release() // but nothing that this one has left
	refused("another session had the lease", continues(2, 5, 74))
	b.stop()
}

func TestProducer_IdleOnesAreForgotten(t *testing.T) {
	h := newHouse(t)
	var shift atomic.Int64 // of the clock
	o := Options{CommitInterval: time.Hour, ProducerRetention: 24 * time.Hour, Now: func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }}
	a := h.start(o)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	for _, id := range []string{"idle", "open", "late"} {
		lease := a.claim(tab, claimAs(id, 1))
		a.records(lease, 0, 5)
		if id != "open" {
			lease.Release()
		}
	}
	shift.Store(int64(23 * time.Hour))
	if n := a.position(tab, "idle"); n != 5 {
		t.Errorf("after 23 hours the position is %d", n)
	}
	shift.Store(int64(25 * time.Hour))
	if n := a.position(tab, "late"); n != 5 {
		t.Errorf("what is not committed was forgotten: %d", n)
	}
	a.flush(tab)
	eventually(t, "the end of the commit", func() bool {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		return tab.writing == nil && tab.saved > 0 && len(tab.producers) == 1
	})
	if known, err := a.ledger.Load(tab.Info().ID); err != nil || len(known.Positions) != 1 || known.Positions["open"].Next != 5 {
		t.Errorf("the ledger has %+v, %v", known, err)
	}
	lease := a.claim(tab, claimAs("late", 2))
	if lease.Position() != 0 {
		t.Errorf("a forgotten producer is at %d", lease.Position())
	}
	a.records(lease, 0, 1)
	a.crash()

	b := h.start(o) // the old entries may be in the log still, and do not bring anybody back
	tab = b.open(tName)
	for id, want := range map[string]int64{"idle": 0, "late": 1, "open": 5} { // while the server was away nobody could write
		if n := b.position(tab, id); n != want {
			t.Errorf("%s is at %d after a restart, want %d", id, n, want)
		}
	}
	shift.Store(int64(50*time.Hour + time.Minute))
	if n := b.position(tab, "open"); n != 0 {
		t.Errorf("after another day it is at %d", n)
	}
	b.stop()
}

func TestProducer_DroppedTablesAreForgotten(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	a.records(a.claim(tab, claimAs("p", 1)), 0, 5)
	a.flush(tab)
	a.sql("DROP TABLE main.default.t")
	if _, err := tab.Claim(t.Context(), claimAs("p", 1)); !errors.Is(err, ErrDropped) {
		t.Errorf("a claim on a dropped table says %v", err)
	}
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	if n := a.position(a.open(tName), "p"); n != 0 {
		t.Errorf("a new table knows a producer at %d", n)
	}
	if ids, err := a.ledger.Tables(); err != nil || len(ids) != 0 {
		t.Errorf("the ledger knows %x, %v", ids, err)
	}
	// A drop without the server.
	if err := a.ledger.Save([16]byte{1}, ledger.Mark{}, map[string]ledger.Position{"p": {Next: 1}}); err != nil {
		t.Fatal(err)
	}
	a.stop()
	b := h.start(never)
	if ids, err := b.ledger.Tables(); err != nil || len(ids) != 0 {
		t.Errorf("the ledger knows %x after a restart, %v", ids, err)
	}
	b.stop()
}

func TestProducer_Limit(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	fill := func(used time.Time) {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		for i := range maxProducers {
			tab.producers[fmt.Sprint("p", i)] = &producer{next: 1, used: used}
		}
	}
	fill(time.Now())
	for range 2 {
		if _, err := tab.Claim(t.Context(), claimAs("one more", 1)); !errors.Is(err, ErrProducers) {
			t.Errorf("one more than the limit says %v", err)
		}
	}
	if n := a.position(tab, "p7"); n != 1 {
		t.Errorf("a known producer is at %d", n)
	}
	// Those that are idle make way, though nobody writes.
	fill(time.Now().Add(-30 * 24 * time.Hour))
	if _, err := tab.Claim(t.Context(), claimAs("one more", 1)); !errors.Is(err, ErrProducers) {
		t.Errorf("all were looked at twice within a minute: %v", err)
	}
	tab.claims.Lock()
	tab.madeWay = time.Time{}
	tab.claims.Unlock()
	if _, err := tab.Claim(t.Context(), claimAs("one more", 1)); err != nil {
		t.Errorf("all others are idle for 30 days: %v", err)
	}
	a.stop()
}

// A stream of another session is still writing when the first one comes back: what it has left is that one's.
func TestProducer_ContinuesBehindAnotherSession(t *testing.T) {
	h := newHouse(t)
	var log *slowLog
	h.wrap = func(l wal.Log) wal.Log {
		log = &slowLog{Log: l}
		return log
	}
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	one := a.claim(tab, claimAs("p", 1))
	a.records(one, 0, 5)
	one.Release()
	two := a.claim(tab, claimAs("p", 2))
	log.hold()
	if err := two.Append(5, ids(tab, 5, 5), func(error) {}); err != nil {
		t.Fatal(err)
	}
	two.Release()
	if _, err := tab.Claim(t.Context(), Claim{Producer: "p", Session: session(1), Try: 1, Continues: true, First: 5, Evict: func() {}}); !errors.Is(err, ErrTaken) {
		t.Errorf("session 1 goes on: %v", err)
	}
	log.release()
	if n := a.position(tab, "p"); n != 10 {
		t.Errorf("the position is %d, want 10", n)
	}
	a.stop()
}

// A takeover does not wait for records that the server has not taken.
func TestProducer_TakeoverOfAStreamThatWaitsForMemory(t *testing.T) {
	h := newHouse(t)
	var away atomic.Bool
	h.store = lake.Faulty(h.lake, func(lake.Op) (error, error) {
		if away.Load() {
			return errors.New("the lake is away"), nil
		}
		return nil, nil
	})
	a := h.start(Options{CommitInterval: time.Millisecond, MemoryBytes: 8 << 10, CommitTimeout: 100 * time.Millisecond})
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	away.Store(true)
	old := a.claim(tab, claimAs("p", 1))
	ended := make(chan error, 1)
	go func() {
		for i := int64(0); ; i++ {
			if err := old.Append(i, ids(tab, i, 1), func(error) {}); err != nil {
				ended <- err
				return
			}
		}
	}()
	eventually(t, "the wait for memory", func() bool { return tab.short.Load() > 0 || a.set.short.Load() > 0 })
	a.claim(tab, claimAs("p", 2)).Release()
	if err := <-ended; !errors.Is(err, ErrTaken) {
		t.Errorf("the old stream ended with %v", err)
	}
	away.Store(false)
	a.stop()
}
