package table

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/ledger"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
)

// copyOf copies a lake.
func copyOf(t *testing.T, l lake.Store) *lake.Memory {
	t.Helper()
	out := lake.NewMemory()
	for f, err := range l.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := l.Get(t.Context(), f.Path)
		if err == nil {
			err = out.Put(t.Context(), f.Path, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// pages is a ledger of one table. fault comes before and after each change.
type pages struct {
	Ledger
	rewrites []string
	fault    func() (before, after error)
}

func (p *pages) Load([16]byte) (ledger.Table, error) {
	return ledger.Table{Rewrites: slices.Clone(p.rewrites)}, nil
}

func (p *pages) SetRewrites(_ [16]byte, names []string) error {
	before, after := p.fault()
	if before == nil {
		p.rewrites = slices.Clone(names)
	}
	return errors.Join(before, after)
}

// A compaction meets an error, or the end of its process, at each of its operations, before or after that has happened. The next one
// finishes the work: every row is in the table once, every file is named by a version, and every version has its files.
func TestCompact_DT07_EveryOperation(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	l.commits(l.open(tName), 0, 3)
	l.stop()
	broken := errors.New("no answer")
	for _, mode := range []string{"error before", "error after", "end before", "end after"} {
		t.Run(mode, func(t *testing.T) {
			left := 0
			for at, reached := 1, true; reached; at++ {
				base := copyOf(t, h.lake)
				n, ended := 0, false
				fault := func() (before, after error) {
					n++
					switch {
					case ended:
						return broken, nil
					case n != at:
						return nil, nil
					}
					ended = strings.HasPrefix(mode, "end")
					if strings.HasSuffix(mode, "before") {
						return broken, nil
					}
					return nil, broken
				}
				book := &pages{fault: fault}
				optimize := func(store lake.Store) error {
					_, err := NewTables(store, "test", time.Now).OptimizeAlone(t.Context(), h.info(), book, CompactOptions{})
					return err
				}
				ctx, cancel := context.WithCancel(t.Context())
				first := NewTables(lake.Faulty(base, func(lake.Op) (error, error) {
					before, after := fault()
					if ended {
						cancel() // what is tried again ends with the process
					}
					return before, after
				}), "test", time.Now)
				_, err := first.OptimizeAlone(ctx, h.info(), book, CompactOptions{})
				cancel()
				reached = n >= at
				if err != nil && !errors.Is(err, broken) && !errors.Is(err, context.Canceled) {
					t.Fatalf("operation %d: %v", at, err)
				}
				left += len(book.rewrites)
				ended, book.fault = false, func() (error, error) { return nil, nil }
				if err := optimize(base); err != nil {
					t.Fatalf("operation %d: the next one: %v", at, err)
				}
				// One that was found committed needs nothing; one that was not is deleted when its version is another one's.
				oneMoreRow(t, base, h.info())
				if err := optimize(base); err != nil {
					t.Fatalf("operation %d: the last one: %v", at, err)
				}
				if fault := (&house{t: t, lake: base}).unsound(4); fault != "" || len(book.rewrites) > 0 {
					t.Fatalf("operation %d: %s; the ledger waits for %q", at, fault, book.rewrites)
				}
			}
			if strings.HasPrefix(mode, "end") && left == 0 {
				t.Error("no file was left over by any end")
			}
		})
	}
}

// oneMoreRow commits a file with the next id.
func oneMoreRow(t *testing.T, l lake.Store, info catalog.Table) {
	t.Helper()
	tables := NewTables(l, "test", time.Now)
	d, err := tables.Delta(t.Context(), info)
	if err != nil {
		t.Fatal(err)
	}
	shape, err := newShape(d.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	c := shape.Chunk()
	c.Cols[0].AppendInt64(3)
	c.EndRow(make([]bool, 1))
	add := dataFile(t, l.Sub(info.Location), shape, "one-more.parquet", c)
	if _, err := d.Append(t.Context(), delta.Append{AppID: "another", TxnVersion: 1, Adds: []delta.Add{add}}); err != nil {
		t.Fatal(err)
	}
}

// dataFile writes a file of one chunk.
func dataFile(t *testing.T, store lake.Store, shape *Shape, name string, c *column.Chunk) delta.Add {
	t.Helper()
	w, err := store.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	res, err := parquetfile.Write(w, shape.scheme.Files(), []*column.Chunk{c}, parquetfile.Options{})
	if err == nil {
		err = w.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
	return delta.Add{Path: name, Size: res.Bytes, ModificationTime: time.Now().UnixMilli(), DataChange: true, Stats: res.Stats}
}

// unsound tells what is wrong with a table that should have the ids 0 to n-1 once each.
func (h *house) unsound(n int64) string {
	h.t.Helper()
	if got := h.rows(tName); !slices.Equal(got, counted(n)) {
		return fmt.Sprintf("the table has the rows %v", got)
	}
	store := h.lake.Sub(h.info().Location)
	named, err := versions(store, &verdict{})
	if err != nil {
		return err.Error()
	}
	for f, err := range store.List(h.t.Context(), "", "") {
		if err != nil {
			return err.Error()
		}
		if !named[f.Path] && !strings.HasPrefix(f.Path, "_delta_log/") {
			return f.Path + " is named by no version"
		}
	}
	for name := range maps.Keys(named) {
		if r, err := store.Open(h.t.Context(), name); errors.Is(err, fs.ErrNotExist) {
			return name + " is gone, and a version names it"
		} else if err == nil {
			r.Close()
		}
	}
	return ""
}

func counted(n int64) (all []int64) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// The commit of a file that was left over may be on its way, as a request to an object store that outlives its process. The file stays until
// the version that the commit would have is another one; and a commit that is there is made durable before the note of its file ends.
func TestCompact_SweepWaitsForTheVersion(t *testing.T) {
	for _, landed := range []bool{false, true} {
		t.Run(fmt.Sprintf("landed=%v", landed), func(t *testing.T) {
			h := newHouse(t)
			l := h.start(never)
			l.sql("CREATE TABLE main.default.t (id BIGINT)")
			l.commits(l.open(tName), 0, 1)
			l.stop()
			base := h.lake.Sub(h.info().Location)
			d, err := NewTables(h.lake, "test", time.Now).Delta(t.Context(), h.info())
			if err != nil {
				t.Fatal(err)
			}
			shape, err := newShape(d.Snapshot())
			if err != nil {
				t.Fatal(err)
			}
			c := shape.Chunk()
			c.Cols[0].AppendInt64(0)
			c.EndRow(make([]bool, 1))
			add := dataFile(t, base, shape, "left-over.parquet", c)
			add.DataChange = false
			var settled []string
			store := lake.Faulty(base, func(op lake.Op) (error, error) {
				if op.Name == "put if absent" {
					settled = append(settled, op.Path)
				}
				return nil, nil
			})
			mine, err := delta.Open(t.Context(), store, delta.Options{})
			if err != nil {
				t.Fatal(err)
			}
			book := &pages{rewrites: []string{add.Path}, fault: func() (error, error) { return nil, nil }}
			cpt := newCompactor([16]byte{}, store, mine, book, book.rewrites, Options{}.withDefaults())
			sweep := func(want bool) {
				t.Helper()
				if err := mine.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := cpt.sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				_, err := base.Open(t.Context(), add.Path)
				if there := err == nil; there != want {
					t.Errorf("the file is there: %v, want %v", there, want)
				}
			}
			sweep(true)
			if got := cpt.staged(); !slices.Equal(got, []string{add.Path}) || len(book.rewrites) != 1 {
				t.Fatalf("staged are %q, the ledger has %q", got, book.rewrites)
			}
			if landed {
				var old []delta.Add
				for f := range d.Snapshot().Files() {
					old = append(old, f)
				}
				if _, err := d.Replace(t.Context(), delta.Replacement{Swaps: []delta.Swap{{Remove: old, Add: add}}, Base: d.Snapshot()}); err != nil {
					t.Fatal(err)
				}
				sweep(true)
				if len(settled) != 1 || !strings.HasSuffix(settled[0], "00000000000000000002.json") {
					t.Errorf("the commit is not made durable: %q", settled)
				}
			} else {
				if _, err := d.Append(t.Context(), delta.Append{AppID: "another", TxnVersion: 1}); err != nil {
					t.Fatal(err)
				}
				sweep(false)
			}
			if len(cpt.staged()) > 0 || len(book.rewrites) > 0 {
				t.Errorf("staged are %q, the ledger has %q", cpt.staged(), book.rewrites)
			}
		})
	}
}
