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
	if err := lease.Append(l.t.Context(), first, ids(lease.t, first, n), func(err error) { done <- err }); err != nil {
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
	if err := old.Append(t.Context(), 5, ids(tab, 5, 5), func(error) {}); err != nil {
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
	if err := old.Append(t.Context(), 10, c6, func(error) {}); !errors.Is(err, ErrTaken) {
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

// slowLog is a log whose answers can be held back, and of which entries can be lost.
type slowLog struct {
	wal.Log
	mu      sync.Mutex // guards the following
	holding bool
	held    []func()
	lose    int // so many of the next entries are not written
}

func (l *slowLog) Append(ctx context.Context, id wal.TableID, payload []byte, done func(uint64, error)) error {
	l.mu.Lock()
	lost := l.lose > 0
	if lost {
		l.lose--
	}
	l.mu.Unlock()
	if lost {
		done(0, wal.ErrFull)
		return nil
	}
	return l.Log.Append(ctx, id, payload, func(seq uint64, err error) {
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

// One entry is lost, and the ones behind it, which were on their way already, reach the log: its client sends all of them again.
func TestProducer_RowsBehindALostEntryAreLeftOut(t *testing.T) {
	h := newHouse(t)
	var log *slowLog
	h.wrap = func(l wal.Log) wal.Log {
		log = &slowLog{Log: l}
		return log
	}
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	lease := a.claim(tab, claimAs("p", 1))
	a.records(lease, 0, 5)
	log.mu.Lock()
	log.lose = 1
	log.mu.Unlock()
	var answers []error
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range int64(3) {
		wg.Add(1)
		err := lease.Append(t.Context(), 5+5*i, ids(tab, 5+5*i, 5), func(err error) {
			mu.Lock()
			answers = append(answers, err)
			mu.Unlock()
			wg.Done()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if len(answers) != 3 || !errors.Is(answers[0], wal.ErrFull) || !errors.Is(answers[1], errGap) || !errors.Is(answers[2], errGap) {
		t.Errorf("the answers are %v", answers)
	}
	lease = a.claim(tab, Claim{Producer: "p", Session: session(1), Try: 1, Continues: true, First: 5, Evict: func() {}})
	if lease.Position() != 5 {
		t.Errorf("the position is %d, want 5", lease.Position())
	}
	a.records(lease, 5, 15)
	a.crash()

	b := h.start(never) // replay leaves out the same rows
	if n := b.position(b.open(tName), "p"); n != 20 {
		t.Errorf("the position is %d after a restart, want 20", n)
	}
	b.stop()
	h.want(tName, 20)

	// Nothing but left out rows: a commit that only moves the position in the log.
	c := h.start(never)
	tab = c.open(tName)
	lease = c.claim(tab, claimAs("p", 3))
	log.mu.Lock()
	log.lose = 1
	log.mu.Unlock()
	wg.Add(2)
	for i := range int64(2) {
		if err := lease.Append(t.Context(), 20+i, ids(tab, 20+i, 1), func(error) { wg.Done() }); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	c.flush(tab)
	c.stop()
	h.want(tName, 20)
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
	if err := lease.Append(t.Context(), 7, c, func(error) {}); err == nil {
		t.Error("a record was taken twice")
	}
	if err := lease.Append(t.Context(), 8, c, func(error) {}); err == nil {
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
	one = a.claim(tab, continues(1, 6, 71)) // which wrote nothing
	a.records(one, 71, 1)
	one.Release()
	refused("an older try after the end", continues(1, 5, 72))
	two = a.claim(tab, claimAs("p", 2))
	a.records(two, 72, 3)
	two.Release()
	refused("another session has written", continues(1, 7, 72))
	a.claim(tab, continues(1, 7, 75)).Release() // but nothing that this one has left
	a.crash()

	b := h.start(never)
	tab = b.open(tName)
	refused("another session has written, before a restart", continues(1, 8, 74))
	b.claim(tab, continues(2, 0, 72)).Release()
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
	for id, want := range map[string]int64{"idle": 0, "late": 1, "open": 0} { // nobody has the lease of open any more
		if n := b.position(tab, id); n != want {
			t.Errorf("%s is at %d after a restart, want %d", id, n, want)
		}
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
	tab.mu.Lock()
	for i := range maxProducers {
		tab.producers[fmt.Sprint("p", i)] = &producer{next: 1, used: time.Now()}
	}
	tab.mu.Unlock()
	if _, err := tab.Claim(t.Context(), claimAs("one more", 1)); !errors.Is(err, ErrProducers) {
		t.Errorf("one more than the limit says %v", err)
	}
	if n := a.position(tab, "p7"); n != 1 {
		t.Errorf("a known producer is at %d", n)
	}
	a.stop()
}
