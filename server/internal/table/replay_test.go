package table

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/wal"
)

// pacedLog is a log whose replay takes its time.
type pacedLog struct {
	wal.Log
	before func() // each entry
	after  func() // the last one
}

func (l *pacedLog) Replay(ctx context.Context, fn func(wal.Entry) error) error {
	err := l.Log.Replay(ctx, func(e wal.Entry) error {
		if l.before != nil {
			l.before()
		}
		return fn(e)
	})
	if l.after != nil {
		l.after()
	}
	return err
}

// segments are the log's files, of which trimming leaves fewer.
func (h *house) segments() int {
	names, err := filepath.Glob(h.dir + "/wal/*.wal")
	if err != nil {
		h.t.Fatal(err)
	}
	return len(names)
}

const perEntry = 6000 // rows; a few entries fill a segment

// unsaved leaves a producer's entries in the table and not in the ledger, and one more in the log alone.
func (h *house) unsaved(deaf *atomic.Bool) {
	h.book = func(l Ledger) Ledger { return &deafLedger{Ledger: l, failing: deaf} }
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	lease := a.claim(tab, claimAs("p", 1))
	deaf.Store(true)
	for i := range int64(15) {
		a.records(lease, i*perEntry, perEntry)
	}
	a.flush(tab)
	a.records(lease, 15*perEntry, perEntry)
	a.crash()
	deaf.Store(false)
}

// The positions of replayed entries are in the ledger before the log is trimmed, also when a commit is under way as replay
// ends; or else a second crash would take them.
func TestRecovery_PositionsBeforeTheLogIsTrimmed(t *testing.T) {
	h := newHouse(t)
	h.unsaved(new(atomic.Bool))
	committing := make(chan struct{})
	var once sync.Once
	var away atomic.Bool
	away.Store(true)
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if away.Load() && op.Name == "put if absent" && strings.Contains(op.Path, "00000000000000000002.json") {
			once.Do(func() { close(committing) })
			return errors.New("the lake is away"), nil
		}
		return nil, nil
	})
	h.wrap = func(l wal.Log) wal.Log { return &pacedLog{Log: l, after: func() { <-committing }} }
	before := h.segments()
	b := h.start(Options{CommitInterval: time.Millisecond})
	b.crash()
	if n := h.segments(); n < before {
		t.Errorf("of %d segments %d are left", before, n)
	}
	away.Store(false)
	h.wrap = nil

	c := h.start(never)
	if got := c.position(c.open(tName), "p"); got != 16*perEntry {
		t.Errorf("the position is %d, want %d", got, 16*perEntry)
	}
	c.stop()
	h.want(tName, 16*perEntry)
}

// The same for a table that is refused in the middle of the replay: when it is mended, all is there.
func TestRecovery_PositionsOfARefusedTable(t *testing.T) {
	h := newHouse(t)
	h.unsaved(new(atomic.Bool))
	v0 := "main/default/t/_delta_log/00000000000000000000.json"
	good, err := h.lake.Get(t.Context(), v0)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.lake.Put(t.Context(), v0, []byte(strings.ReplaceAll(string(good), `\"name\":\"id\"`, `\"name\":\"ix\"`))); err != nil {
		t.Fatal(err)
	}
	before := h.segments()
	b := h.start(never)
	if _, err := b.set.Open(t.Context(), tName); !errors.Is(err, ErrBroken) {
		t.Errorf("the table is opened: %v", err)
	}
	b.crash()
	if n := h.segments(); n < before {
		t.Errorf("of %d segments %d are left", before, n)
	}
	if err := h.lake.Put(t.Context(), v0, good); err != nil {
		t.Fatal(err)
	}
	c := h.start(never)
	if got := c.position(c.open(tName), "p"); got != 16*perEntry {
		t.Errorf("the position is %d, want %d", got, 16*perEntry)
	}
	c.stop()
	h.want(tName, 16*perEntry)
}

// While the log is replayed nobody is forgotten, whatever the ledger says of his last record: the log may have later ones.
func TestRecovery_NobodyIsForgottenDuringReplay(t *testing.T) {
	h := newHouse(t)
	var shift atomic.Int64
	o := Options{
		CommitInterval: time.Hour, ProducerRetention: 24 * time.Hour,
		Now: func() time.Time { return time.Now().Add(time.Duration(shift.Load())) },
	}
	a := h.start(o)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	lease := a.claim(tab, claimAs("p", 1))
	a.records(lease, 0, 10)
	a.flush(tab)
	eventually(t, "the ledger", func() bool {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		return tab.saved > 0
	})
	a.durable(tab, 20, 5)    // somebody else's
	a.records(lease, 10, 10) // acknowledged
	a.crash()
	shift.Store(int64(25 * time.Hour))
	o.CommitInterval = time.Millisecond
	var b *life
	n := 0
	h.wrap = func(l wal.Log) wal.Log {
		return &pacedLog{Log: l, before: func() {
			if n++; n == 3 { // the entry of somebody else is committed before that of the producer comes
				eventually(t, "a commit", func() bool { return h.versions(tName) == 2 })
			}
		}}
	}
	b = h.start(o)
	if got := b.position(b.open(tName), "p"); got != 20 {
		t.Errorf("the position is %d, want 20", got)
	}
	b.stop()
	h.want(tName, 25)
}

// Without the ledger, or with a table that is an older copy, no record is lost.
func TestRecovery_LedgerThatDoesNotMatch(t *testing.T) {
	t.Run("lost", func(t *testing.T) {
		h := newHouse(t)
		a := h.start(never)
		a.sql("CREATE TABLE main.default.t (id BIGINT)")
		tab := a.open(tName)
		lease := a.claim(tab, claimAs("p", 1))
		for i := range int64(15) {
			a.records(lease, i*perEntry, perEntry)
		}
		a.flush(tab)
		a.records(lease, 15*perEntry, perEntry)
		a.crash()
		if err := os.Remove(h.dir + "/ledger.db"); err != nil {
			t.Fatal(err)
		}
		b := h.start(never)
		if got := b.position(b.open(tName), "p"); got != 16*perEntry {
			t.Errorf("the position is %d, want %d", got, 16*perEntry)
		}
		b.stop()
		h.want(tName, 16*perEntry)
	})
	t.Run("ahead of the table", func(t *testing.T) {
		h := newHouse(t)
		a := h.start(never)
		a.sql("CREATE TABLE main.default.t (id BIGINT)")
		tab := a.open(tName)
		lease := a.claim(tab, claimAs("p", 1))
		a.records(lease, 0, 10)
		a.flush(tab)
		a.records(lease, 10, 10)
		a.durable(tab, 20, 5)
		a.flush(tab)
		a.stop()
		if err := h.lake.Delete(t.Context(), "main/default/t/_delta_log/00000000000000000002.json"); err != nil {
			t.Fatal(err)
		}
		b := h.start(never) // the log still has all
		if got := b.position(b.open(tName), "p"); got != 20 {
			t.Errorf("the position is %d, want 20", got)
		}
		b.stop()
		h.want(tName, 25)
	})
}
