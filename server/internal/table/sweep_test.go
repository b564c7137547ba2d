package table

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
)

func TestFileID_OrderOfSequences(t *testing.T) {
	var names []string
	for _, seq := range []uint64{0, 1, 63, 64, 1 << 14, 1<<38 - 1, 1 << 38, 1 << 44, 1 << 52, 1<<56 - 1} {
		for _, random := range []uint32{0, 1, 1 << 17, 1<<18 - 1} {
			id := fileID([16]byte{1}, "log", seq, random)
			if id.Version() != 8 || id.Variant().String() != "RFC4122" {
				t.Errorf("%v has version %v, variant %v", id, id.Version(), id.Variant())
			}
			names = append(names, id.String())
		}
	}
	if !slices.IsSorted(names) {
		t.Errorf("the order is not that of the sequences: %q", names)
	}
	if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) {
		t.Error("two names are the same")
	}
	a, b := fileID([16]byte{1}, "log", 5, 5), fileID([16]byte{2}, "log", 5, 5)
	c := fileID([16]byte{1}, "another log", 5, 5)
	if strings.HasPrefix(b.String(), a.String()[:13]) || strings.HasPrefix(c.String(), a.String()[:13]) {
		t.Errorf("tables and logs share names: %v, %v, %v", a, b, c)
	}
}

// files lists the data files of the table.
func (h *house) files() (names []string) {
	h.t.Helper()
	for f, err := range h.lake.List(h.t.Context(), "main/default/t/part-", "") {
		if err != nil {
			h.t.Fatal(err)
		}
		names = append(names, strings.TrimPrefix(f.Path, "main/default/t/"))
	}
	return names
}

// The server ends between a data file and its commit. The file stays until the rows are in the table by another one.
func TestSweep_FilesWithoutACommit(t *testing.T) {
	h := newHouse(t)
	var failing atomic.Bool
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if failing.Load() && op.Name == "put if absent" && strings.HasSuffix(op.Path, "/00000000000000000002.json") {
			return errors.New("the lake is away"), nil
		}
		return nil, nil
	})
	// Files of others: another log's, one with a random name.
	others := []string{
		parquetfile.NewName(fileID([16]byte{1}, "another log", 1000, 0), parquetfile.Options{}),
		"part-00000-8b1b0a2e-4f44-4a5e-9a3a-000000000000.c000.zstd.parquet",
	}
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	for _, name := range others {
		if err := h.lake.Put(t.Context(), "main/default/t/"+name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	tab := a.open(tName)
	a.durable(tab, 0, 5)
	a.flush(tab)
	a.durable(tab, 5, 5)
	failing.Store(true)
	tab.signal()
	go tab.Flush(t.Context())
	eventually(t, "the file", func() bool { return len(h.files()) == 2+2 })
	a.crash()

	// The lake is away at the next start too: a second orphan, and none is deleted.
	b := h.start(never)
	go b.open(tName).Flush(t.Context())
	eventually(t, "the second file", func() bool { return len(h.files()) == 2+3 })
	b.crash()

	failing.Store(false)
	h.start(never).stop()
	h.want(tName, 10)
	if files := h.files(); len(files) != 2+2 || !slices.Contains(files, others[0]) || !slices.Contains(files, others[1]) {
		t.Errorf("the table has the files %q", files)
	}
	d := h.start(never)
	if known, err := d.ledger.Load(d.open(tName).Info().ID); err != nil || len(known.Orphans) > 0 {
		t.Errorf("the ledger still looks for orphans: %+v, %v", known, err)
	}
	d.stop()
}

// A data file whose last step failed is there all the same; another one takes its place.
func TestSweep_FileThatFailedAndIsThere(t *testing.T) {
	h := newHouse(t)
	var fail atomic.Bool
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if op.Name == "commit" && fail.CompareAndSwap(true, false) {
			return nil, errors.New("no answer")
		}
		return nil, nil
	})
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	fail.Store(true)
	a.durable(tab, 0, 5)
	a.flush(tab)
	a.stop()
	h.want(tName, 5)
	if files := h.files(); len(files) != 1 {
		t.Errorf("the table has the files %q", files)
	}
}

// A file that a commit named once stays, though the ledger could not be told that it is no orphan: earlier versions need it.
func TestSweep_FilesOfEarlierVersionsStay(t *testing.T) {
	h := newHouse(t)
	var failCommit, failLedger atomic.Bool
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if op.Name == "commit" && failCommit.CompareAndSwap(true, false) {
			return nil, errors.New("no answer")
		}
		return nil, nil
	})
	h.book = func(l Ledger) Ledger { return &forgetfulLedger{l, &failLedger} }
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	failCommit.Store(true)
	failLedger.Store(true)
	a.durable(tab, 0, 5)
	a.flush(tab)
	eventually(t, "the end of the orphan", func() bool { return len(h.files()) == 1 })
	for i := range int64(3) {
		a.durable(tab, 5+5*i, 5)
		a.flush(tab)
	}
	files := h.files()
	v := h.versions(tName) + 1
	a.crash() // the ledger still has the orphan's name
	commit := fmt.Sprintf(`{"commitInfo":{"timestamp":1,"operation":"DELETE"}}
{"remove":{"path":%q,"deletionTimestamp":1,"dataChange":true}}
`, files[1])
	if err := h.lake.Put(t.Context(), fmt.Sprintf("main/default/t/_delta_log/%020d.json", v), []byte(commit)); err != nil {
		t.Fatal(err)
	}
	failLedger.Store(false)
	b := h.start(never)
	b.open(tName)
	b.stop()
	if now := h.files(); len(now) != len(files) {
		t.Errorf("before %q, after %q: a file that version %d names is deleted", files, now, v-1)
	}
	c := h.start(never)
	if known, err := c.ledger.Load(c.open(tName).Info().ID); err != nil || len(known.Orphans) > 0 {
		t.Errorf("the ledger still has %q, %v", known.Orphans, err)
	}
	c.stop()
}

// A file that the ledger takes for an orphan had its commit after all, late, and was removed since: a tombstone tells of it, and
// earlier versions need it.
func TestSweep_FilesWithATombstoneStay(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	for i := range int64(2) {
		a.durable(tab, 5*i, 5)
		a.flush(tab)
	}
	files := h.files()
	if err := a.ledger.SetOrphans(tab.Info().ID, files); err != nil {
		t.Fatal(err)
	}
	a.crash()
	commit := fmt.Sprintf(`{"commitInfo":{"timestamp":1,"operation":"DELETE"}}
{"remove":{"path":%q,"deletionTimestamp":%d,"dataChange":true}}
`, files[0], time.Now().UnixMilli())
	if err := h.lake.Put(t.Context(), fmt.Sprintf("main/default/t/_delta_log/%020d.json", 3), []byte(commit)); err != nil {
		t.Fatal(err)
	}
	b := h.start(never)
	b.open(tName)
	b.stop()
	if now := h.files(); !slices.Equal(now, files) {
		t.Errorf("before %q, after %q", files, now)
	}
}

// forgetfulLedger cannot be told that there are no orphans any more.
type forgetfulLedger struct {
	Ledger
	fail *atomic.Bool
}

func (f *forgetfulLedger) SetOrphans(id [16]byte, names []string) error {
	if len(names) == 0 && f.fail.Load() {
		return errors.New("disk full")
	}
	return f.Ledger.SetOrphans(id, names)
}
