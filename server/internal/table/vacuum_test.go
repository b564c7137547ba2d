package table

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
	"github.com/zerobus-go/zerobus/server/internal/tablecheck"
)

// A file whose commit fails waits for the next try, for longer than any retention if it must: a vacuum would lose its rows.
func TestVacuum_FilesThatWaitForTheirCommitStay(t *testing.T) {
	h := newHouse(t)
	var failing atomic.Bool
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if failing.Load() && op.Name == "put if absent" && strings.HasSuffix(op.Path, "/00000000000000000002.json") {
			return errors.New("the lake is away"), nil
		}
		return nil, nil
	})
	l := h.start(never)
	l.set.tables.OnVacuum(l.set.Staged)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := l.open(tName)
	l.durable(tab, 0, 5)
	l.flush(tab)
	live := h.files()
	l.durable(tab, 5, 5)
	failing.Store(true)
	tab.signal()
	go tab.Flush(t.Context())
	eventually(t, "the file", func() bool { return len(h.files()) == 2 })
	compacted := "part-00000-8b1b0a2e-4f44-4a5e-9a3a-6a1d3c5e7f90.c000.zstd.parquet"
	if err := tab.compaction.note(func(r []rewrite) []rewrite { return append(r, rewrite{compacted, underWay}) }); err != nil {
		t.Fatal(err)
	}
	if err := h.lake.Put(t.Context(), "main/default/t/"+compacted, []byte("x")); err != nil {
		t.Fatal(err)
	}
	// What the table has passed is no longer waited for, and neither is what another log left.
	for _, name := range []string{
		parquetfile.NewName(fileID(tab.info.ID, l.log.ID(), 1, 7), parquetfile.Options{}),
		parquetfile.NewName(fileID(tab.info.ID, "another log", 1000, 0), parquetfile.Options{}),
	} {
		if err := h.lake.Put(t.Context(), "main/default/t/"+name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}

	none := time.Duration(0)
	res, err := l.set.tables.Vacuum(t.Context(), tab.info, delta.VacuumOptions{Retain: &none, Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if left := h.files(); len(res.Files) != 2 || len(left) != 3 || !slices.Contains(left, live[0]) || !slices.Contains(left, compacted) {
		t.Errorf("%d deleted, %q left", len(res.Files), h.files())
	}
	tab.compaction.forget(compacted)
	if res, err = l.set.tables.Vacuum(t.Context(), tab.info, delta.VacuumOptions{Retain: &none, Force: true}); err != nil || len(res.Files) != 1 {
		t.Errorf("the compaction's file is not needed any more: %d deleted, %v", len(res.Files), err)
	}
	failing.Store(false)
	l.flush(tab)
	if got := h.rows(tName); len(got) != 10 {
		t.Errorf("%d rows", len(got))
	}
	report, err := l.set.tables.Check(t.Context(), tab.info, tablecheck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !report.Sound || report.Rows != 10 || report.Table != "main.default.t" {
		t.Errorf("after it: %+v", report)
	}
}

func TestStaged_OfATableThatIsNotOpen(t *testing.T) {
	l := newHouse(t).start(never)
	if l.set.Staged([16]byte{9})("part-00000-4c857720-81a6-8000-8000-0000002f6df8.parquet") {
		t.Error("a file of an unknown table is staged")
	}
}

// A vacuum without any retention between each data file and its commit: what was durable is in the table, and its files are there.
func TestVacuum_BetweenFilesAndTheirCommitsLosesNoRow(t *testing.T) {
	h := newHouse(t)
	var armed atomic.Bool
	var vacuum func() error
	var faults, vacuums atomic.Int64
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		// One that a vacuum asks for itself is let through.
		if op.Name == "put if absent" && strings.Contains(op.Path, "/_delta_log/") && armed.CompareAndSwap(true, false) {
			if vacuum() != nil {
				faults.Add(1)
			}
			vacuums.Add(1)
			armed.Store(true)
		}
		return nil, nil
	})
	l := h.start(never)
	l.set.tables.OnVacuum(l.set.Staged)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := l.open(tName)
	none := time.Duration(0)
	vacuum = func() error {
		_, err := l.set.tables.Vacuum(context.Background(), tab.info, delta.VacuumOptions{Retain: &none, Force: true})
		return err
	}
	armed.Store(true)
	const commits, each = 20, 3
	for i := range int64(commits) {
		l.durable(tab, i*each, each)
		l.flush(tab)
	}
	if faults.Load() > 0 || vacuums.Load() < commits {
		t.Errorf("%d vacuums, %d of them failed", vacuums.Load(), faults.Load())
	}
	if rows := h.rows(tName); len(rows) != commits*each || len(slices.Compact(rows)) != commits*each {
		t.Errorf("%d rows", len(rows))
	}
	report, err := l.set.tables.Check(t.Context(), tab.info, tablecheck.Options{})
	if err != nil || !report.Sound || report.Rows != commits*each {
		t.Errorf("%+v, %v", report, err)
	}
}
