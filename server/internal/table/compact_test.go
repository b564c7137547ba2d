package table

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/ledger"
)

// soon has compaction look at files at once, from four small ones on.
var soon = Options{CommitInterval: time.Hour, Compaction: Compaction{MinFiles: 4, MinAge: time.Nanosecond}}

// snapshot is the table's latest state, read from the lake.
func (h *house) snapshot() *delta.Snapshot {
	h.t.Helper()
	d, err := NewTables(h.lake, "test", time.Now).Delta(h.t.Context(), h.info())
	if err != nil {
		h.t.Fatal(err)
	}
	return d.Snapshot()
}

func (h *house) info() catalog.Table {
	return catalog.Table{Name: tName, Location: "main/default/t"}
}

// operations are those of the table's commits, oldest first.
func (h *house) operations() (ops []string) {
	h.t.Helper()
	d, err := NewTables(h.lake, "test", time.Now).Delta(h.t.Context(), h.info())
	if err != nil {
		h.t.Fatal(err)
	}
	entries, err := d.History(h.t.Context(), 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range slices.Backward(entries) {
		ops = append(ops, e.Operation)
	}
	return ops
}

// inOrder reads the ids of the table, files in the order of their rows.
func (h *house) inOrder() (all []int64) {
	h.t.Helper()
	var files []delta.Add
	for f := range h.snapshot().Files() {
		files = append(files, f)
	}
	byInsertion(files)
	store := h.lake.Sub(h.info().Location)
	shape, err := newShape(h.snapshot())
	if err != nil {
		h.t.Fatal(err)
	}
	for i := range files {
		var m rowMover
		if _, err := m.read(h.t.Context(), store, shape, &files[i], func(c *column.Chunk) error {
			all = append(all, c.Cols[0].I64...)
			return nil
		}); err != nil {
			h.t.Fatal(err)
		}
	}
	return all
}

// noRewrites checks that the ledger waits for no file.
func (l *life) noRewrites() {
	l.t.Helper()
	known, err := l.ledger.Load(l.open(tName).Info().ID)
	if err != nil || len(known.Rewrites) > 0 {
		l.t.Errorf("the ledger waits for %q, %v", known.Rewrites, err)
	}
}

func TestCompact_InTheBackground(t *testing.T) {
	h := newHouse(t)
	l := h.start(soon)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	table := l.open(tName)
	l.commits(table, 0, 40)
	eventually(t, "few files", func() bool { return h.snapshot().NumFiles() < 10 })
	l.commits(table, 40, 5)
	l.stop()
	h.want(tName, 45)
	if !slices.IsSorted(h.inOrder()) {
		t.Errorf("rows are not in their order: %v", h.inOrder())
	}
	ops := h.operations()
	if n := len(slices.DeleteFunc(slices.Clone(ops), func(op string) bool { return op != "OPTIMIZE" })); n == 0 || n > 12 {
		t.Errorf("%d of %d commits are OPTIMIZE", n, len(ops))
	}
	st := l.set.Stats()
	if st.Compactions == 0 || st.CompactedFiles < 4*st.Compactions || st.CompactionFiles != st.Compactions || st.CompactedBytes <= st.CompactionBytes ||
		st.CompactionFailures+st.CompactionConflicts+st.OrphansDeleted > 0 || st.MemoryUsed != 0 {
		t.Errorf("stats %+v", st)
	}
	l = h.start(soon)
	l.noRewrites()
	l.commits(l.open(tName), 45, 1)
	l.stop()
	h.want(tName, 46)
}

// Files that come while others wait for their age are not forgotten when no commit comes after them.
func TestCompact_FilesThatCameMeanwhile(t *testing.T) {
	h := newHouse(t)
	o := soon
	o.Compaction.MinAge = 300 * time.Millisecond
	l := h.start(o)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	l.commits(l.open(tName), 0, 6)
	eventually(t, "few files", func() bool { return h.snapshot().NumFiles() <= 3 }) // the first four may have been old enough alone
	l.stop()
	h.want(tName, 6)
}

// Each partition by itself, in its directory.
func TestCompact_Partitions(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT, p STRING) PARTITIONED BY (p)")
	table := l.open(tName)
	for i := range int64(5) {
		c := table.Chunk()
		for j, p := range []string{"a", "b/c", ""} {
			c.Cols[0].AppendInt64(3*i + int64(j))
			c.Cols[1].AppendString(p)
			c.EndRow(make([]bool, 2))
		}
		done := make(chan error, 1)
		if err := table.Append(t.Context(), nil, c, func(err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		l.flush(table)
	}
	res, err := l.set.Optimize(t.Context(), table.Info(), CompactOptions{})
	if err != nil || res.FilesRemoved != 15 || res.FilesAdded != 3 || res.Files != 3 || res.Version != 6 {
		t.Errorf("%+v, %v: want one commit for all partitions", res, err)
	}
	l.stop()
	h.want(tName, 15)
	for f := range h.snapshot().Files() {
		if v := f.PartitionValues["p"]; (v != nil && *v == "a") != strings.HasPrefix(f.Path, "p=a/") || strings.HasPrefix(f.Path, "b") {
			t.Errorf("%s is the file of %v", f.Path, v)
		}
		if !strings.Contains(f.Stats, `"numRecords":5`) || f.DataChange {
			t.Errorf("%+v", f)
		}
	}
}

// Files from before a column was added give nulls.
func TestCompact_AddedColumns(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	l.commits(l.open(tName), 0, 3)
	l.sql("ALTER TABLE main.default.t ADD COLUMN more STRING")
	table := l.open(tName)
	c := table.Chunk()
	c.Cols[0].AppendInt64(3)
	c.Cols[1].AppendString("x")
	c.EndRow(make([]bool, 2))
	done := make(chan error, 1)
	if err := table.Append(t.Context(), nil, c, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	<-done
	l.flush(table)
	if _, err := l.set.Optimize(t.Context(), table.Info(), CompactOptions{}); err != nil {
		t.Fatal(err)
	}
	l.stop()
	h.want(tName, 4)
	s := h.snapshot()
	for f := range s.Files() {
		want := `{"numRecords":4,"minValues":{"id":0,"more":"x"},"maxValues":{"id":3,"more":"x"},"nullCount":{"id":0,"more":3}}`
		if f.Stats != want {
			t.Errorf("statistics %s, want %s", f.Stats, want)
		}
	}
	if s.NumFiles() != 1 {
		t.Errorf("%d files", s.NumFiles())
	}
}

// Files of a table with column mapping have physical names and ids, new ones too.
func TestCompact_ColumnMapping(t *testing.T) {
	for _, mode := range []string{"name", "id"} {
		t.Run(mode, func(t *testing.T) {
			h := newHouse(t)
			l := h.start(never)
			l.sql("CREATE TABLE main.default.t (id BIGINT, p STRING, s STRUCT<a: INT>) PARTITIONED BY (p) TBLPROPERTIES ('delta.columnMapping.mode' = '" + mode + "')")
			table := l.open(tName)
			for i := range int64(6) {
				c := table.Chunk()
				c.Cols[0].AppendInt64(i)
				c.Cols[1].AppendString([]string{"x", "y"}[i%2])
				c.Cols[2].Kids[0].AppendInt32(int32(i))
				c.Cols[2].EndStruct()
				c.EndRow(make([]bool, 3))
				done := make(chan error, 1)
				if err := table.Append(t.Context(), nil, c, func(err error) { done <- err }); err != nil {
					t.Fatal(err)
				}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				l.flush(table)
			}
			res, err := l.set.Optimize(t.Context(), table.Info(), CompactOptions{})
			if err != nil || res.FilesRemoved != 6 || res.FilesAdded != 2 {
				t.Errorf("%+v, %v", res, err)
			}
			l.stop()
			err = NewTables(h.lake, "test", time.Now).Head(t.Context(), h.info(), 100, func(v []any) error {
				id := v[0].(int64)
				if v[1] != []string{"x", "y"}[id%2] || fmt.Sprint(v[2]) != fmt.Sprintf("[{a %d}]", id) {
					t.Errorf("row %v", v)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			h.want(tName, 6)
			for f := range h.snapshot().Files() {
				if strings.Contains(f.Path, "/") || !strings.Contains(f.Stats, `"col-`) || strings.Contains(f.Stats, `"id"`) {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// Rows of a table with row tracking have ids that a rewrite would lose.
func TestCompact_RowTracking(t *testing.T) {
	h := newHouse(t)
	o := soon
	l := h.start(o)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	protocol := `{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["rowTracking","domainMetadata","appendOnly","invariants"]}}` + "\n"
	if err := h.lake.PutIfAbsent(t.Context(), "main/default/t/_delta_log/00000000000000000001.json", []byte(protocol)); err != nil {
		t.Fatal(err)
	}
	table := l.open(tName)
	l.commits(table, 0, 8)
	if _, err := l.set.Optimize(t.Context(), table.Info(), CompactOptions{}); !errors.Is(err, delta.ErrUnsupported) || !strings.Contains(err.Error(), "rowTracking") {
		t.Errorf("error is %v", err)
	}
	l.stop()
	if s := h.snapshot(); s.NumFiles() != 8 || s.Version != 9 {
		t.Errorf("%d files in version %d", s.NumFiles(), s.Version)
	}
}

func TestCompact_AskedFor(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	table := l.open(tName)
	l.commits(table, 0, 5)
	before := h.snapshot()
	dry, err := l.set.Optimize(t.Context(), table.Info(), CompactOptions{DryRun: true})
	if want := (CompactResult{Version: 5, FilesRemoved: 5, FilesAdded: 1, BytesRemoved: before.SizeBytes(), Files: 1}); err != nil || dry != want {
		t.Errorf("dry run %+v, %v, want %+v", dry, err, want)
	}
	if now := h.snapshot(); now.Version != before.Version || len(h.files()) != 5 {
		t.Errorf("a dry run has changed the table: version %d, files %q", now.Version, h.files())
	}
	for _, o := range []CompactOptions{{Target: -1}, {MinFiles: -1}} {
		if _, err := l.set.Optimize(t.Context(), table.Info(), o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	if res, err := l.set.Optimize(t.Context(), table.Info(), CompactOptions{MinFiles: 6}); err != nil || res.FilesRemoved != 0 || res.Files != 5 {
		t.Errorf("fewer files than asked for: %+v, %v", res, err)
	}
	var seen []CompactProgress
	res, err := l.set.Optimize(t.Context(), table.Info(), CompactOptions{Target: 1 << 30, Progress: func(p CompactProgress) { seen = append(seen, p) }})
	after := h.snapshot()
	if want := (CompactResult{Version: 6, FilesRemoved: 5, FilesAdded: 1, BytesRemoved: before.SizeBytes(), BytesAdded: after.SizeBytes(), Files: 1}); err != nil || res != want {
		t.Errorf("%+v, %v, want %+v", res, err, want)
	}
	if len(seen) != 6 || seen[0] != (CompactProgress{Files: 5, Bytes: before.SizeBytes()}) || seen[5] != (CompactProgress{5, 5, before.SizeBytes(), before.SizeBytes()}) {
		t.Errorf("progress %+v", seen)
	}
	if res, err := l.set.Optimize(t.Context(), table.Info(), CompactOptions{}); err != nil || res.FilesRemoved != 0 || res.Version != 6 {
		t.Errorf("a second time: %+v, %v", res, err)
	}
	l.stop()
	if _, err := l.set.Optimize(t.Context(), table.Info(), CompactOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("of a closed set: %v", err)
	}
	h.want(tName, 5)
	// Version 5 is read from the files that it names.
	if n := len(h.files()); n != 6 {
		t.Errorf("%d data files, want 5 old ones and 1 new", n)
	}
}

// Without a server, the ledger of the data directory is the same.
func TestCompact_WithoutAServer(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	l.commits(l.open(tName), 0, 5)
	info := l.open(tName).Info()
	l.stop()
	book, err := ledger.Open(h.dir + "/ledger.db")
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	tables := NewTables(h.store, "test", time.Now)
	res, err := tables.OptimizeAlone(t.Context(), info, book, CompactOptions{})
	if err != nil || res.FilesRemoved != 5 || res.Files != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	h.want(tName, 5)
	if known, err := book.Load(info.ID); err != nil || len(known.Rewrites) > 0 {
		t.Errorf("the ledger waits for %q, %v", known.Rewrites, err)
	}
}

// What another writer has made of the table meanwhile counts, and a file that one cannot read stays.
func TestCompact_FilesThatStay(t *testing.T) {
	h := newHouse(t)
	o := never
	o.Now = ticking() // a file that is added anew is in the place of its time
	l := h.start(o)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	table := l.open(tName)
	l.commits(table, 0, 10)
	store := h.lake.Sub(h.info().Location)
	var files []delta.Add
	for f := range h.snapshot().Files() {
		files = append(files, f)
	}
	commit := func(lines ...string) {
		v := h.snapshot().Version + 1
		if err := store.PutIfAbsent(t.Context(), fmt.Sprintf("_delta_log/%020d.json", v), []byte(strings.Join(lines, "\n")+"\n")); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(f delta.Add) string {
		return fmt.Sprintf(`{"remove":{"path":%q,"deletionTimestamp":1,"dataChange":true}}`, f.Path)
	}
	add := func(f delta.Add, more string) string {
		return fmt.Sprintf(`{"add":{"path":%q,"partitionValues":{},"size":%d,"modificationTime":%d,"dataChange":true%s}}`, f.Path, f.Size, f.ModificationTime, more)
	}
	// A deletion vector; statistics that are not true; a size that is not true; a file that is gone; a file that is none.
	commit(remove(files[1]), add(files[1], `,"deletionVector":{"storageType":"i","pathOrInlineDv":"x","sizeInBytes":1,"cardinality":1}`))
	commit(remove(files[6]))
	commit(add(files[6], `,"stats":"{\"numRecords\":2}"`))
	longer := files[3]
	longer.Size++
	commit(remove(files[3]))
	commit(add(longer, ""))
	if err := store.Delete(t.Context(), files[4].Path); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), files[5].Path, []byte(strings.Repeat("x", int(files[5].Size)))); err != nil {
		t.Fatal(err)
	}
	res, err := l.set.Optimize(t.Context(), table.Info(), CompactOptions{})
	if err != nil || res.Left != 4 || res.FilesRemoved != 3 || res.FilesAdded != 1 || res.Conflicts != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	l.stop()
	var left []string
	for f := range h.snapshot().Files() {
		left = append(left, f.Path)
	}
	for _, i := range []int{0, 1, 2, 3, 4, 5, 6} {
		if !slices.Contains(left, files[i].Path) {
			t.Errorf("file %d is not in the table any more", i)
		}
	}
	if len(left) != 8 || slices.ContainsFunc(files[7:], func(f delta.Add) bool { return slices.Contains(left, f.Path) }) {
		t.Errorf("the table has %q", left)
	}
	l.noRewritesAfterStop()
}

// noRewritesAfterStop is noRewrites for a server that has ended.
func (l *life) noRewritesAfterStop() {
	l.t.Helper()
	b := l.house.start(never)
	b.noRewrites()
	b.stop()
}

// A commit of others that takes a file away wins; nothing of the rewrite stays.
func TestCompact_GivesWay(t *testing.T) {
	h := newHouse(t)
	var rival atomic.Pointer[func()]
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if op.Name == "put if absent" {
			if f := rival.Swap(nil); f != nil {
				(*f)()
			}
		}
		return nil, nil
	})
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	table := l.open(tName)
	l.commits(table, 0, 6)
	gone := ""
	f := func() {
		s := h.snapshot()
		for f := range s.Files() {
			gone = f.Path
		}
		line := fmt.Sprintf(`{"remove":{"path":%q,"deletionTimestamp":%d,"dataChange":true}}`+"\n", gone, time.Now().UnixMilli())
		if err := h.lake.PutIfAbsent(t.Context(), fmt.Sprintf("main/default/t/_delta_log/%020d.json", s.Version+1), []byte(line)); err != nil {
			t.Error(err)
		}
	}
	rival.Store(&f)
	res, err := l.set.Optimize(t.Context(), table.Info(), CompactOptions{})
	if err != nil || res.Conflicts != 1 || res.FilesRemoved != 0 || res.Files != 5 {
		t.Errorf("%+v, %v", res, err)
	}
	if n := len(h.files()); n != 6 {
		t.Errorf("%d data files, want the 6 of the commits", n)
	}
	l.noRewrites()
	if res, err = l.set.Optimize(t.Context(), table.Info(), CompactOptions{}); err != nil || res.FilesRemoved != 5 {
		t.Errorf("%+v, %v", res, err)
	}
	if st := l.set.Stats(); st.CompactionConflicts != 1 || st.OrphansDeleted != 1 {
		t.Errorf("stats %+v", st)
	}
	l.commits(table, 6, 1)
	l.stop()
	if got := h.rows(tName); !slices.Equal(got, []int64{0, 1, 2, 3, 4, 6}) {
		t.Errorf("rows %v", got)
	}
}

// Of partitions that are committed together, those without a conflict are rewritten all the same.
func TestCompact_GivesWayInOnePartition(t *testing.T) {
	h := newHouse(t)
	var rival atomic.Pointer[func()]
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if op.Name == "put if absent" {
			if f := rival.Swap(nil); f != nil {
				(*f)()
			}
		}
		return nil, nil
	})
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT, p STRING) PARTITIONED BY (p)")
	table := l.open(tName)
	for i := range int64(4) {
		c := table.Chunk()
		for j := range int64(5) {
			c.Cols[0].AppendInt64(5*i + j)
			c.Cols[1].AppendString(string(rune('a' + j)))
			c.EndRow(make([]bool, 2))
		}
		done := make(chan error, 1)
		if err := table.Append(t.Context(), nil, c, func(err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		l.flush(table)
	}
	f := func() {
		s := h.snapshot()
		var gone delta.Add
		for f := range s.Files() {
			if *f.PartitionValues["p"] == "c" {
				gone = f
			}
		}
		line := fmt.Sprintf(`{"remove":{"path":%q,"deletionTimestamp":%d,"dataChange":true}}`+"\n", gone.Path, time.Now().UnixMilli())
		if err := h.lake.PutIfAbsent(t.Context(), fmt.Sprintf("main/default/t/_delta_log/%020d.json", s.Version+1), []byte(line)); err != nil {
			t.Error(err)
		}
	}
	rival.Store(&f)
	res, err := l.set.Optimize(t.Context(), table.Info(), CompactOptions{})
	if err != nil || res.Conflicts != 1 || res.FilesRemoved != 16 || res.FilesAdded != 4 || res.Files != 4+3 {
		t.Errorf("%+v, %v", res, err)
	}
	l.noRewrites()
	l.stop()
	if got := h.rows(tName); len(got) != 19 || slices.Contains(got, 17) {
		t.Errorf("rows %v", got)
	}
	named, err := versions(h.lake.Sub(h.info().Location), &verdict{})
	if err != nil {
		t.Fatal(err)
	}
	for path := range paths(h, t) {
		if path = strings.TrimPrefix(path, "main/default/t/"); !named[path] && !strings.HasPrefix(path, "_delta_log/") {
			t.Errorf("%s is named by no version", path)
		}
	}
}

// A table that is closed, killed or dropped ends its compaction; nothing is written afterwards.
func TestCompact_EndsWithItsTable(t *testing.T) {
	for name, end := range map[string]func(l *life){
		"closed":  func(l *life) { l.stop() },
		"killed":  func(l *life) { l.crash() },
		"dropped": func(l *life) { l.sql("DROP TABLE main.default.t") },
	} {
		for _, asked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, asked %v", name, asked), func(t *testing.T) {
				h := newHouse(t)
				begun := make(chan struct{})
				var once atomic.Bool
				h.store = rewriteGate{h.lake, func(ctx context.Context) error {
					if once.CompareAndSwap(false, true) {
						close(begun)
					}
					<-ctx.Done()
					return ctx.Err()
				}}
				o := soon
				o.Compaction.Off = asked
				l := h.start(o)
				l.sql("CREATE TABLE main.default.t (id BIGINT)")
				table := l.open(tName)
				l.commits(table, 0, 4)
				failed := make(chan error, 1)
				if asked {
					go func() {
						_, err := l.set.Optimize(t.Context(), table.Info(), CompactOptions{})
						failed <- err
					}()
				} else {
					failed <- errors.New("in the background")
				}
				<-begun
				end(l)
				if err := <-failed; err == nil {
					t.Error("a compaction that was ended says that it is done")
				}
				if name == "dropped" {
					if left := slices.Collect(paths(h, t)); len(left) > 0 {
						t.Errorf("a table that was dropped has %q", left)
					}
					return
				}
				if s := h.snapshot(); s.Version != 4 {
					t.Errorf("version %d", s.Version)
				}
				l.crash()
				h.want(tName, 4)
			})
		}
	}
}

func paths(h *house, t *testing.T) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for f, err := range h.lake.List(t.Context(), "main/default/t/", "") {
			if err != nil {
				t.Fatal(err)
			}
			if !yield(f.Path) {
				return
			}
		}
	}
}

// rewriteGate is a lake in which the test decides what becomes of reading a data file.
type rewriteGate struct {
	lake.Store
	open func(ctx context.Context) error
}

func (s rewriteGate) Sub(prefix string) lake.Store { return rewriteGate{s.Store.Sub(prefix), s.open} }

func (s rewriteGate) Open(ctx context.Context, path string) (lake.Reader, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	return s.Store.Open(ctx, path)
}

// Commits go on while files are rewritten, however long that takes.
func TestCompact_HoldsUpNoCommit(t *testing.T) {
	h := newHouse(t)
	first, goOn := make(chan struct{}), make(chan struct{})
	var begun atomic.Int64
	h.store = rewriteGate{h.lake, func(context.Context) error {
		if begun.Add(1) == 1 {
			close(first)
			<-goOn
		}
		return nil
	}}
	l := h.start(soon)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	table := l.open(tName)
	l.commits(table, 0, 4)
	<-first
	l.commits(table, 4, 20)
	close(goOn)
	eventually(t, "few files", func() bool { return h.snapshot().NumFiles() < 10 })
	l.stop()
	h.want(tName, 24)
	if !slices.IsSorted(h.inOrder()) {
		t.Errorf("rows are not in their order: %v", h.inOrder())
	}
}

// Over all tables one compaction in the background is at work at a time, and memory for it is taken only where nobody waits.
func TestCompact_OneTableAtATime(t *testing.T) {
	h := newHouse(t)
	at, most := atomic.Int64{}, atomic.Int64{}
	h.store = rewriteGate{h.lake, func(context.Context) error {
		if n := at.Add(1); n > most.Load() {
			most.Store(n)
		}
		runtime.Gosched()
		at.Add(-1)
		return nil
	}}
	l := h.start(soon)
	var names []catalog.Name
	for i := range 4 {
		name := catalog.Name{Catalog: "main", Schema: "default", Table: fmt.Sprintf("t%d", i)}
		names = append(names, name)
		l.sql("CREATE TABLE " + name.String() + " (id BIGINT)")
		l.commits(l.open(name), 0, 8)
	}
	eventually(t, "all compactions", func() bool { return l.set.Stats().Compactions >= 4 })
	l.stop()
	for _, name := range names {
		h.want(name, 8)
	}
	if most.Load() != 1 {
		t.Errorf("%d files were read at the same time", most.Load())
	}
}

func TestCompact_WaitsForMemory(t *testing.T) {
	h := newHouse(t)
	o := soon
	o.MemoryBytes = 64 << 10
	l := h.start(o)
	if !l.set.memory.TryAcquire(60 << 10) {
		t.Fatal("no memory")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := l.set.reserveRows(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("memory was taken that is not there: %v", err)
	}
	l.set.memory.Release(60 << 10)
	n, release, err := l.set.reserveRows(t.Context())
	if err != nil || n != 8<<10 || l.set.Stats().MemoryUsed != 8<<10 {
		t.Errorf("%d bytes, %v, %d used", n, err, l.set.Stats().MemoryUsed)
	}
	release()
	if used := l.set.Stats().MemoryUsed; used != 0 {
		t.Errorf("%d bytes stay used", used)
	}
}
