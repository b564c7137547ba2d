package table

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/ledger"
	"github.com/zerobus-go/zerobus/server/internal/wal"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is the stores that outlive a server: its log, its catalog, its lake.
type house struct {
	t     *testing.T
	dir   string
	store lake.Store            // what the server sees; may be faulty
	wrap  func(wal.Log) wal.Log // nil, or what the server sees of the log
	book  func(Ledger) Ledger   // nil, or what it sees of the ledger
	lake  lake.Store            // the truth

	roots  *lake.Roots                 // of external tables
	around func(lake.Store) lake.Store // nil, or what the server sees of them
}

func newHouse(t *testing.T) *house {
	l := lake.NewMemory()
	return &house{t: t, dir: t.TempDir(), lake: l, store: l}
}

// life is one run of a server over a house.
type life struct {
	*house
	cat    *catalog.Catalog
	log    *wal.Local
	ledger *ledger.Ledger
	set    *Set
	eng    *catalog.Engine
	end    sync.Once
}

var never = Options{CommitInterval: time.Hour}

func (h *house) start(o Options) *life {
	h.t.Helper()
	l := &life{house: h}
	var err error
	if l.cat, err = catalog.Open(h.dir+"/catalog.db", catalog.Options{}); err != nil {
		h.t.Fatal(err)
	}
	if l.log, err = wal.Open(wal.Options{Dir: h.dir + "/wal", SegmentBytes: 256 << 10, MaxEntryBytes: 64 << 10, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		h.t.Fatal(err)
	}
	tables := NewTables(h.store, "test", time.Now)
	tables.AllowExternal(h.roots)
	tables.around = h.around
	if l.ledger, err = ledger.Open(h.dir + "/ledger.db"); err != nil {
		h.t.Fatal(err)
	}
	var log wal.Log = l.log
	if h.wrap != nil {
		log = h.wrap(log)
	}
	var book Ledger = l.ledger
	if h.book != nil {
		book = h.book(book)
	}
	l.set = NewSet(log, book, l.cat, tables, o)
	tables.OnDrop(l.set.Drop)
	tables.OnRetire(l.set.Retire)
	l.eng = catalog.NewEngine(l.cat, tables)
	if err := l.set.Recover(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(l.crash)
	return l
}

// crash ends the server without committing anything: what a kill leaves, since the log is synced before each answer.
func (l *life) crash() {
	l.end.Do(func() {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		_ = l.set.Close(gone)
		if err := errors.Join(l.log.Close(), l.ledger.Close(), l.cat.Close()); err != nil {
			l.t.Error(err)
		}
	})
}

// stop ends the server in order.
func (l *life) stop() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.set.Close(ctx); err != nil {
		l.t.Error(err)
	}
	l.crash()
}

func (l *life) sql(script string) {
	l.t.Helper()
	if _, err := l.eng.Exec(l.t.Context(), script); err != nil {
		l.t.Fatal(err)
	}
}

var tName = catalog.Name{Catalog: "main", Schema: "default", Table: "t"}

func (l *life) open(name catalog.Name) *Table {
	l.t.Helper()
	t, err := l.set.Open(l.t.Context(), name)
	if err != nil {
		l.t.Fatal(err)
	}
	return t
}

// ids makes a chunk of rows with these ids.
func ids(t *Table, from, n int64) *column.Chunk {
	c := t.Chunk()
	for i := range n {
		c.Cols[0].AppendInt64(from + i)
		c.EndRow(make([]bool, len(c.Cols)))
	}
	return c
}

// durable appends rows and waits until they are durable.
func (l *life) durable(t *Table, from, n int64) {
	l.t.Helper()
	done := make(chan error, 1)
	if err := t.Append(l.t.Context(), nil, ids(t, from, n), func(err error) { done <- err }); err != nil {
		l.t.Fatal(err)
	}
	if err := <-done; err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) flush(t *Table) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := t.Flush(ctx); err != nil {
		l.t.Fatal(err)
	}
}

// rows reads all ids of a table from the lake, sorted, and checks its log.
func (h *house) rows(name catalog.Name) (all []int64) {
	h.t.Helper()
	info := catalog.Table{Name: name, Location: "main/default/" + name.Table}
	err := NewTables(h.lake, "test", time.Now).Head(h.t.Context(), info, 1<<30, func(v []any) error {
		all = append(all, v[0].(int64))
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	problems, err := delta.Lint(h.t.Context(), h.lake.Sub(info.Location), delta.LintOptions{Files: true})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, p := range problems {
		h.t.Errorf("delta log: %v", p)
	}
	slices.Sort(all)
	return all
}

// want checks that the table has the ids 0 to n-1, each exactly once.
func (h *house) want(name catalog.Name, n int64) {
	h.t.Helper()
	got := h.rows(name)
	for i, id := range got {
		if id != int64(i) {
			h.t.Fatalf("row %d of %d has id %d: lost or twice", i, len(got), id)
		}
	}
	if int64(len(got)) != n {
		h.t.Fatalf("the table has %d rows, want %d", len(got), n)
	}
}

func (h *house) versions(name catalog.Name) int64 {
	h.t.Helper()
	d, err := NewTables(h.lake, "test", time.Now).Delta(h.t.Context(), catalog.Table{Name: name, Location: "main/default/" + name.Table})
	if err != nil {
		h.t.Fatal(err)
	}
	return d.Snapshot().Version
}
