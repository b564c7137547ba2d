package table

import (
	"context"
	"iter"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// cost is what was asked of a store.
type cost struct {
	ops            map[string]int // by name and kind of object
	read, written  int64          // bytes
	listed, opened int            // objects that lists gave; reads of any kind
}

// meter is a store that adds up what is asked of it. Views share the sum.
type meter struct {
	lake.Store
	sum *struct {
		sync.Mutex
		cost
	}
}

func newMeter(s lake.Store) meter {
	m := meter{Store: s}
	m.sum = new(struct {
		sync.Mutex
		cost
	})
	m.take()
	return m
}

// take returns the sum and begins anew.
func (m meter) take() cost {
	m.sum.Lock()
	defer m.sum.Unlock()
	c := m.sum.cost
	m.sum.cost = cost{ops: map[string]int{}}
	return c
}

func (m meter) count(op, path string, add func(*cost)) {
	kind := "data file"
	switch {
	case strings.HasPrefix(path, "_delta_log/") && strings.HasSuffix(path, ".json"):
		kind = "commit"
	case strings.HasPrefix(path, "_delta_log/"):
		kind = "checkpoint"
	}
	m.sum.Lock()
	defer m.sum.Unlock()
	m.sum.ops[op+" "+kind]++
	if add != nil {
		add(&m.sum.cost)
	}
}

func (m meter) Sub(prefix string) lake.Store { return meter{m.Store.Sub(prefix), m.sum} }

func (m meter) Get(ctx context.Context, path string) ([]byte, error) {
	data, err := m.Store.Get(ctx, path)
	m.count("get", path, func(c *cost) { c.read += int64(len(data)); c.opened++ })
	return data, err
}

func (m meter) Put(ctx context.Context, path string, data []byte) error {
	m.count("put", path, func(c *cost) { c.written += int64(len(data)) })
	return m.Store.Put(ctx, path, data)
}

func (m meter) PutIfAbsent(ctx context.Context, path string, data []byte) error {
	m.count("put if absent", path, func(c *cost) { c.written += int64(len(data)) })
	return m.Store.PutIfAbsent(ctx, path, data)
}

func (m meter) Create(ctx context.Context, path string) (lake.Writer, error) {
	m.count("create", path, nil)
	w, err := m.Store.Create(ctx, path)
	return meteredWriter{w, m, path}, err
}

type meteredWriter struct {
	lake.Writer
	m    meter
	path string
}

func (w meteredWriter) Write(p []byte) (int, error) {
	w.m.count("write", w.path, func(c *cost) { c.written += int64(len(p)) })
	return w.Writer.Write(p)
}

func (m meter) Open(ctx context.Context, path string) (lake.Reader, error) {
	m.count("open", path, func(c *cost) { c.opened++ })
	return m.Store.Open(ctx, path)
}

func (m meter) List(ctx context.Context, prefix, startAfter string) iter.Seq2[lake.Info, error] {
	m.count("list", prefix, nil)
	return func(yield func(lake.Info, error) bool) {
		for info, err := range m.Store.List(ctx, prefix, startAfter) {
			m.sum.Lock()
			m.sum.listed++
			m.sum.Unlock()
			if !yield(info, err) {
				return
			}
		}
	}
}

func (m meter) Delete(ctx context.Context, path string) error {
	m.count("delete", path, nil)
	return m.Store.Delete(ctx, path)
}

// logObjects is how many the table's log has.
func (h *house) logObjects() (n int) {
	h.t.Helper()
	for _, err := range h.lake.List(h.t.Context(), "main/default/t/_delta_log/", "") {
		if err != nil {
			h.t.Fatal(err)
		}
		n++
	}
	return n
}

// 5,000 commits over three weeks, with checkpoints and clean-up: a commit asks as much of the store in the end as in the beginning,
// the log stays within what its retention allows, and the table is opened with a bounded number of reads.
func TestCommits_TheLast500CostWhatTheFirst500Did(t *testing.T) {
	const (
		commits  = 5050 // so that the table is opened half-way between two checkpoints
		window   = 500
		interval = 100 // of checkpoints
		pause    = 6 * time.Minute
		perDay   = int(24 * time.Hour / pause)
	)
	h := newHouse(t)
	m := newMeter(h.lake)
	h.store = m
	costs := make([]cost, commits+1) // by version
	var longest int                  // the log, in objects
	h.bubble(func() {
		// The time since the last checkpoint is no reason for one, and all files stay as they are.
		l := h.start(Options{
			CommitInterval: time.Hour, CheckpointCommits: interval, CheckpointInterval: 1000 * time.Hour, Parquet: plain, Compaction: Compaction{Off: true},
		})
		l.sql("CREATE TABLE main.default.t (id BIGINT) TBLPROPERTIES ('delta.logRetentionDuration' = 'interval 1 day')")
		table := l.open(tName)
		m.take()
		for v := 1; v <= commits; v++ {
			l.durable(table, 1_000_000_000+int64(v)*10, 10)
			l.flush(table)
			synctest.Wait() // for the checkpoint
			costs[v] = m.take()
			if v%10 == 9 { // also right before a checkpoint, when the log is longest
				longest = max(longest, h.logObjects())
			}
			time.Sleep(pause)
		}
		l.stop()
	})

	// Of a commit without a checkpoint.
	want := map[string]int{"get commit": 1, "create data file": 1, "put if absent commit": 1}
	for _, first := range []int{1, commits - window + 1} {
		for v := first; v < first+window; v++ {
			if v%interval == 0 {
				continue
			}
			got := maps.Clone(costs[v].ops)
			delete(got, "write data file")
			if !maps.Equal(got, want) || costs[v].listed > 0 {
				t.Fatalf("commit %d asks for %v and lists %d objects, want %v", v, costs[v].ops, costs[v].listed, want)
			}
			if a, b := costs[v].ops["write data file"], costs[1].ops["write data file"]; a != b {
				t.Fatalf("commit %d writes its data file in %d pieces, the first one in %d", v, a, b)
			}
		}
	}
	// Bytes differ by the digits of versions and of sequences, in the commit that is read and the one that is written.
	const digits = 24
	for v := 2; v < window; v++ {
		late := commits - window + v
		a, b := costs[v], costs[late]
		if v%interval > 0 && late%interval > 0 && (b.read > a.read+digits || b.written > a.written+digits) {
			t.Fatalf("commit %d reads %d bytes and writes %d, commit %d reads %d and writes %d", v, a.read, a.written, late, b.read, b.written)
		}
	}
	// A checkpoint has all files, so its bytes grow; what it asks for does not. A clean-up deletes a day's commits.
	for v := interval; v <= commits; v += interval {
		ops := maps.Clone(costs[v].ops)
		deleted := ops["delete commit"] + ops["delete checkpoint"]
		for _, op := range []string{"delete commit", "delete checkpoint", "write data file", "write checkpoint"} {
			delete(ops, op)
		}
		all := 0
		for _, n := range ops {
			all += n
		}
		if all > 12 || deleted > perDay+2*interval || costs[v].listed > 3*longest {
			t.Errorf("checkpoint %d: it asks for %v, deletes %d objects and lists %d", v, ops, deleted, costs[v].listed)
		}
	}

	// Versions live for their retention and to the midnight before; back to the checkpoint before that; until the next checkpoint.
	bound := 2*perDay + 2*interval
	bound += bound/interval + 1 + 1 // their checkpoints, and the hint
	if longest > bound {
		t.Errorf("the log had %d objects, want at most %d", longest, bound)
	}
	info := catalog.Table{Name: tName, Location: "main/default/t"}
	for _, hint := range []bool{true, false} {
		if !hint {
			if err := h.lake.Delete(t.Context(), "main/default/t/_delta_log/_last_checkpoint"); err != nil {
				t.Fatal(err)
			}
		}
		m.take()
		d, err := NewTables(m, "test", time.Now).Delta(t.Context(), info)
		if err != nil {
			t.Fatal(err)
		}
		// The hint, the checkpoint, its commit, those after it, and one that is not there.
		if c := m.take(); c.opened > 4+interval || c.ops["list checkpoint"] != 1 || c.listed > longest {
			t.Errorf("with the hint %v: opening the table asks for %v and lists %d objects", hint, c.ops, c.listed)
		}
		if s := d.Snapshot(); s.Version != commits || s.NumFiles() != commits {
			t.Errorf("with the hint %v: version %d with %d files", hint, s.Version, s.NumFiles())
		}
	}
	problems, err := delta.Lint(t.Context(), h.lake.Sub(info.Location), delta.LintOptions{Files: true})
	if err != nil || len(problems) > 0 {
		t.Errorf("the log: %v, %v", problems, err)
	}
}
