package table

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/wal"
)

func TestRecovery_DurableRowsAreCommittedAfterACrash(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	a.durable(a.open(tName), 0, 10)
	a.durable(a.open(tName), 10, 5)
	a.crash()
	h.want(tName, 0)

	b := h.start(never)
	b.flush(b.open(tName))
	h.want(tName, 15)
	b.crash()

	// Once more: what is in the table now is not replayed again, although the log may still have it.
	c := h.start(never)
	c.durable(c.open(tName), 15, 1)
	c.flush(c.open(tName))
	h.want(tName, 16)
}

func TestRecovery_GoesOnBehindTheTablesTransaction(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	a.durable(a.open(tName), 0, 10)
	a.flush(a.open(tName))
	a.durable(a.open(tName), 10, 10) // durable, not committed
	a.crash()
	h.want(tName, 10)

	b := h.start(never)
	b.stop() // in order: commits
	h.want(tName, 20)
	if v := h.versions(tName); v != 2 {
		t.Errorf("the table is at version %d, want 2", v)
	}
}

// At whatever operation of the lake an error comes, with the effect or without it, and whenever the server dies after it: every
// durable row is in the table exactly once in the end.
func TestRecovery_AnErrorAtEveryOperationOfTheLake(t *testing.T) {
	fault := errors.New("no answer")
	for _, kind := range []struct {
		name string
		at   func(int64, error) lake.Fault
	}{{"without effect", lake.FailAt}, {"after its effect", lake.LoseAt}} {
		t.Run(kind.name, func(t *testing.T) {
			for k := int64(1); ; k++ {
				hit := false
				h := newHouse(t)
				a := h.start(never)
				a.sql("CREATE TABLE main.default.t (id BIGINT)")
				a.stop()

				one := kind.at(k, fault)
				h.store = lake.Faulty(h.lake, func(op lake.Op) (before, after error) {
					before, after = one(op)
					hit = hit || before != nil || after != nil
					return before, after
				})
				b := h.start(never)
				tab, err := b.set.Open(t.Context(), tName)
				if err != nil { // the fault was at opening: the next try is good
					tab = b.open(tName)
				}
				b.durable(tab, 0, 10)
				b.flush(tab)
				b.durable(tab, 10, 10)
				// Dies at once, or at the pause before the next try.
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				_ = tab.Flush(ctx)
				cancel()
				b.crash()

				h.store = h.lake
				c := h.start(never)
				c.stop()
				h.want(tName, 20)
				if t.Failed() || !hit {
					t.Logf("%d operations", k-1)
					if k < 5 {
						t.Errorf("only %d operations were seen", k-1)
					}
					return
				}
			}
		})
	}
}

func TestRecovery_EntriesOfDroppedTablesAreForgotten(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT); CREATE TABLE main.default.u (id BIGINT)")
	u := catalog.Name{Catalog: "main", Schema: "default", Table: "u"}
	a.durable(a.open(tName), 0, 10)
	a.durable(a.open(u), 0, 3)
	old := a.open(u)
	a.sql("DROP TABLE main.default.u")
	if err := old.Append(t.Context(), ids(old, 3, 1), func(error) {}); !errors.Is(err, ErrDropped) {
		t.Errorf("append to a dropped table: %v", err)
	}
	a.sql("CREATE TABLE main.default.u (id BIGINT)")
	a.durable(a.open(u), 0, 2)
	a.crash()

	b := h.start(never)
	b.stop()
	h.want(tName, 10)
	h.want(u, 2) // none of the three rows of the table that was dropped
}

func TestRecovery_ATableThatCannotBeReadStopsNoOther(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT); CREATE TABLE main.default.u (id BIGINT)")
	u := catalog.Name{Catalog: "main", Schema: "default", Table: "u"}
	a.durable(a.open(tName), 0, 10)
	a.durable(a.open(u), 0, 3)
	a.crash()
	commit := "main/default/u/_delta_log/00000000000000000000.json"
	kept, err := h.lake.Get(t.Context(), commit)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.lake.Put(t.Context(), commit, []byte("{")); err != nil {
		t.Fatal(err)
	}

	b := h.start(never)
	if _, err := b.set.Open(t.Context(), u); !errors.Is(err, ErrBroken) {
		t.Errorf("opening the damaged table: %v", err)
	}
	b.durable(b.open(tName), 10, 1)
	b.stop()
	h.want(tName, 11)

	// Its rows stay in the log until it can be read again.
	if err := h.lake.Put(t.Context(), commit, kept); err != nil {
		t.Fatal(err)
	}
	c := h.start(never)
	c.stop()
	h.want(u, 3)
}

// A log entry that does not fit the table must not be skipped: a later commit would say that it is in the table.
func TestRecovery_AnEntryThatDoesNotFitRefusesTheTable(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	info := a.open(tName).Info()
	done := make(chan error, 1)
	err := a.log.Append(t.Context(), wal.TableID(info.ID), []byte("not a chunk"), func(_ uint64, err error) { done <- err })
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	a.durable(a.open(tName), 0, 1)
	a.crash()
	b := h.start(never)
	if _, err := b.set.Open(t.Context(), tName); !errors.Is(err, ErrBroken) {
		t.Errorf("opening the table: %v", err)
	}
	b.stop()
	h.want(tName, 0)
}

func TestRecovery_MoreThanOneCommitOfMemory(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	for i := range int64(40) {
		a.durable(a.open(tName), i*100, 100)
	}
	a.crash()
	b := h.start(Options{CommitInterval: time.Hour, CommitBytes: 8 << 10})
	b.stop()
	h.want(tName, 4000)
	if v := h.versions(tName); v < 3 {
		t.Errorf("the replay was committed in %d versions, want several", v)
	}
}

// Another log counts from 1 again: its commits must not be taken for old ones.
func TestRecovery_ANewLogIsANewApplication(t *testing.T) {
	h := newHouse(t)
	for i := range int64(3) {
		a := h.start(never)
		if i == 0 {
			a.sql("CREATE TABLE main.default.t (id BIGINT)")
		}
		a.durable(a.open(tName), i, 1)
		a.stop()
		h.want(tName, i+1)
		if err := os.RemoveAll(h.dir + "/wal"); err != nil {
			t.Fatal(err)
		}
	}
}
