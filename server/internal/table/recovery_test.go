package table

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/column"
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
	if err := old.Append(t.Context(), nil, ids(old, 3, 1), func(error) {}); !errors.Is(err, ErrDropped) {
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
	err := a.log.Append(t.Context(), nil, wal.TableID(info.ID), []byte("not a chunk"), func(_ uint64, err error) { done <- err })
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
	b := h.start(Options{CommitInterval: time.Hour, CommitBytes: 8 << 10, MemoryBytes: 32 << 10})
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

// A log that was put back to an older state gives sequences again that the table has seen. Its rows are acknowledged, so they
// must not be taken for ones that are in the table: it takes none until the log goes on behind it.
func TestRecovery_ALogOlderThanTheTableIsNoticed(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	a.durable(a.open(tName), 0, 1)
	a.stop()
	old := h.dir + "/old-wal"
	if err := os.CopyFS(old, os.DirFS(h.dir+"/wal")); err != nil {
		t.Fatal(err)
	}
	b := h.start(never)
	b.durable(b.open(tName), 1, 1)
	b.durable(b.open(tName), 2, 1)
	b.stop()
	h.want(tName, 3)

	if err := errors.Join(os.RemoveAll(h.dir+"/wal"), os.Rename(old, h.dir+"/wal")); err != nil {
		t.Fatal(err)
	}
	c := h.start(never)
	c.sql("CREATE TABLE main.default.u (id BIGINT)")
	u := c.open(catalog.Name{Catalog: "main", Schema: "default", Table: "u"})
	for i := range int64(3) {
		if _, err := c.set.Open(t.Context(), tName); !errors.Is(err, errAhead) || !errors.Is(err, ErrBroken) {
			t.Errorf("open says %v", err)
		}
		c.durable(u, i, 1)
	}
	c.stop()

	// By now the log has come to where the table was: what follows has numbers of its own.
	d := h.start(never)
	d.durable(d.open(tName), 3, 1)
	d.crash()
	d = h.start(never)
	d.stop()
	h.want(tName, 4)
}

// While no server ran, somebody replaced the columns by others of the same layouts.
func TestRecovery_RowsDoNotLandInOtherColumns(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT, price BIGINT)")
	a.durable(a.open(tName), 0, 3)
	a.crash()
	commit := "main/default/t/_delta_log/00000000000000000000.json"
	b, err := h.lake.Get(t.Context(), commit)
	if err != nil {
		t.Fatal(err)
	}
	swapped := strings.NewReplacer(`\"id\"`, `\"price\"`, `\"price\"`, `\"id\"`).Replace(string(b))
	if swapped == string(b) {
		t.Fatal("the schema was not found in version 0")
	}
	if err := h.lake.Put(t.Context(), commit, []byte(swapped)); err != nil {
		t.Fatal(err)
	}
	c := h.start(never)
	if _, err := c.set.Open(t.Context(), tName); !errors.Is(err, ErrBroken) {
		t.Errorf("opening the table: %v", err)
	}
}

func TestRecovery_ATableThatCannotCommitDoesNotHoldUpTheStart(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT); CREATE TABLE main.default.u (id BIGINT)")
	u := catalog.Name{Catalog: "main", Schema: "default", Table: "u"}
	for i := range int64(40) {
		a.durable(a.open(tName), i*100, 100)
	}
	a.durable(a.open(u), 0, 5)
	a.crash()

	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if op.Name == "create" && strings.HasPrefix(op.Path, "main/default/t/") {
			return errors.New("no space left"), nil
		}
		return nil, nil
	})
	b := h.start(Options{CommitInterval: time.Hour, CommitBytes: 8 << 10, CommitTimeout: 10 * time.Millisecond, MemoryBytes: 32 << 10})
	if _, err := b.set.Open(t.Context(), tName); !errors.Is(err, ErrBroken) {
		t.Errorf("opening the table: %v", err)
	}
	b.flush(b.open(u))
	h.want(u, 5)
	b.crash()

	h.store = h.lake
	h.start(never).stop()
	h.want(tName, 4000)
}

// The lake is away for a moment while the log is replayed: the table is opened when it is back, and not refused until the next
// start.
func TestRecovery_LakeThatIsAwayForAMoment(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	a.durable(a.open(tName), 0, 5)
	a.flush(a.open(tName))
	a.durable(a.open(tName), 5, 5)
	a.crash()

	var left atomic.Int64
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if left.Add(-1) >= 0 {
			return errors.New("no answer"), nil
		}
		return nil, nil
	})
	for n := range int64(3) {
		left.Store(n)
		b := h.start(never)
		if _, err := b.set.Open(t.Context(), tName); err != nil {
			t.Errorf("after %d failures: %v", n, err)
		}
		b.crash()
	}
	left.Store(0)
	h.start(never).stop()
	h.want(tName, 10)
}

func TestEntry_GoldenBytes(t *testing.T) {
	table := &schema.Struct{Fields: []schema.Field{{Name: "id", Type: schema.Type{Kind: schema.Long}}}}
	c, err := column.NewChunk(table)
	if err != nil {
		t.Fatal(err)
	}
	c.Cols[0].AppendInt64(7)
	c.EndRow([]bool{true})
	const (
		sign = "edfd5636e1249dae"
		rows = "01" + "01" + "01" + "0300" + "0700000000000000" // version, rows, columns, layout and flags, value
		head = "02" + "03" + "702f31" + "05000000000000000000000000000000" + "0a00000000000000"
	)
	for _, tt := range []struct {
		mark mark
		want string
	}{
		{mark{}, sign + rows},
		{mark{producer: "p/1", session: [16]byte{5}, next: 10}, sign + head + rows},
	} {
		b := appendEntry(nil, signature(table.Fields), &tt.mark, c)
		if got := fmt.Sprintf("%x", b); got != tt.want {
			t.Errorf("the entry is %s, want %s", got, tt.want)
		}
		e, err := parseEntry(b)
		if err != nil || e.mark != tt.mark {
			t.Errorf("the mark is read as %+v, %v", e.mark, err)
		}
		if c, err := e.chunk(table); err != nil || c.Rows != 1 {
			t.Errorf("the rows are read as %+v, %v", c, err)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	table := &schema.Struct{Fields: []schema.Field{{Name: "id", Type: schema.Type{Kind: schema.Long}}, {Name: "s", Type: schema.Type{Kind: schema.String}}}}
	c, _ := column.NewChunk(table)
	c.Cols[0].AppendInt64(7)
	c.Cols[1].AppendString("x")
	c.EndRow([]bool{false, false})
	f.Add(appendEntry(nil, signature(table.Fields), &mark{}, c))
	f.Add(appendEntry(nil, signature(table.Fields), &mark{producer: "p", next: 2}, c))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseEntry(b)
		if err != nil {
			return
		}
		c, err := e.chunk(table)
		if err == nil && len(c.Cols) != 2 {
			t.Fatalf("the chunk has %d columns", len(c.Cols))
		}
	})
}
