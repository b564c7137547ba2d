package table

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// checkpointGate is a lake in which the test decides what becomes of a checkpoint when its file is begun.
type checkpointGate struct {
	lake.Store
	begin func(ctx context.Context, path string) error
}

func (s checkpointGate) Sub(prefix string) lake.Store {
	return checkpointGate{s.Store.Sub(prefix), s.begin}
}

func (s checkpointGate) Create(ctx context.Context, path string) (lake.Writer, error) {
	if strings.Contains(path, ".checkpoint.") {
		if err := s.begin(ctx, path); err != nil {
			return nil, err
		}
	}
	return s.Store.Create(ctx, path)
}

// checkpoints lists the versions that have one.
func (h *house) checkpoints() (versions []int64) {
	h.t.Helper()
	const log = "main/default/t/_delta_log/"
	for info, err := range h.lake.List(h.t.Context(), log, "") {
		if err != nil {
			h.t.Fatal(err)
		}
		var v int64
		if n, _ := fmt.Sscanf(strings.TrimPrefix(info.Path, log), "%020d.checkpoint.parquet", &v); n == 1 && strings.HasSuffix(info.Path, ".checkpoint.parquet") {
			versions = append(versions, v)
		}
	}
	return versions
}

// commits makes n commits of one row each.
func (l *life) commits(t *Table, from, n int64) {
	l.t.Helper()
	for i := range n {
		l.durable(t, from+i, 1)
		l.flush(t)
	}
}

// unoccupied waits until no checkpoint is being written.
func (t *Table) unoccupied() {
	for t.upkeep.running.Load() {
		runtime.Gosched()
	}
}

// clockOf is a time that the test moves.
func clockOf(now *atomic.Int64) func() time.Time {
	now.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return func() time.Time { return time.Unix(0, now.Load()) }
}

func TestCheckpoint_AfterSoManyCommits(t *testing.T) {
	for _, c := range []struct {
		name, properties string
		want             []int64
	}{
		{"by default", "", []int64{3, 6}},
		{"as the table wants", " TBLPROPERTIES ('delta.checkpointInterval' = '5')", []int64{5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			begun := make(chan string, 10)
			h.store = checkpointGate{h.lake, func(_ context.Context, path string) error { begun <- path; return nil }}
			l := h.start(Options{CommitInterval: time.Hour, CheckpointCommits: 3})
			l.sql("CREATE TABLE main.default.t (id BIGINT)" + c.properties)
			table := l.open(tName)
			for i := range int64(8) {
				l.commits(table, i, 1)
				if slices.Contains(c.want, i+1) {
					<-begun
					table.unoccupied()
				}
			}
			l.stop()
			if got := h.checkpoints(); !slices.Equal(got, c.want) {
				t.Errorf("checkpoints of versions %v, want %v", got, c.want)
			}
			h.want(tName, 8)
			l = h.start(never)
			l.commits(l.open(tName), 8, 1)
			l.stop()
			h.want(tName, 9)
		})
	}
}

// Commits go on while a checkpoint is being written, however long that takes, and there is one at a time.
func TestCheckpoint_HoldsUpNoCommit(t *testing.T) {
	h := newHouse(t)
	var begun atomic.Int64
	first, goOn := make(chan struct{}), make(chan struct{})
	h.store = checkpointGate{h.lake, func(context.Context, string) error {
		if begun.Add(1) == 1 {
			close(first)
			<-goOn
		}
		return nil
	}}
	l := h.start(Options{CommitInterval: time.Hour, CheckpointCommits: 2})
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	table := l.open(tName)
	l.commits(table, 0, 2)
	<-first
	l.commits(table, 2, 10)
	if n := begun.Load(); n != 1 {
		t.Errorf("%d checkpoints were begun at a time", n)
	}
	close(goOn)
	l.stop()
	h.want(tName, 12)
}

// A table that is closed, or dropped, ends its checkpoint; nothing is written afterwards.
func TestCheckpoint_EndsWithItsTable(t *testing.T) {
	for name, end := range map[string]func(l *life){
		"closed":  func(l *life) { l.stop() },
		"killed":  func(l *life) { l.crash() },
		"dropped": func(l *life) { l.sql("DROP TABLE main.default.t") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			begun := make(chan struct{})
			h.store = checkpointGate{h.lake, func(ctx context.Context, _ string) error {
				close(begun)
				<-ctx.Done()
				return ctx.Err()
			}}
			l := h.start(Options{CommitInterval: time.Hour, CheckpointCommits: 2})
			l.sql("CREATE TABLE main.default.t (id BIGINT)")
			l.commits(l.open(tName), 0, 2)
			<-begun
			end(l)
			if got := h.checkpoints(); len(got) > 0 {
				t.Errorf("checkpoints of versions %v", got)
			}
		})
	}
}

// A checkpoint that fails costs the table nothing, and is tried again, a minute later.
func TestCheckpoint_FailuresAreTriedAgain(t *testing.T) {
	h := newHouse(t)
	var now atomic.Int64
	var tries atomic.Int64
	begun := make(chan struct{}, 10)
	h.store = checkpointGate{h.lake, func(context.Context, string) error {
		begun <- struct{}{}
		if tries.Add(1) == 1 {
			return errors.New("disk full")
		}
		return nil
	}}
	l := h.start(Options{CommitInterval: time.Hour, CheckpointCommits: 2, Now: clockOf(&now)})
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	table := l.open(tName)
	l.commits(table, 0, 2)
	<-begun
	table.unoccupied()
	l.commits(table, 2, 5) // too early
	if n := tries.Load(); n != 1 {
		t.Errorf("%d tries within a minute", n)
	}
	now.Add(int64(2 * time.Minute))
	l.commits(table, 7, 1)
	<-begun
	table.unoccupied()
	l.stop()
	// The seventh commit was answered before the committer looked at the clock.
	if n, got := tries.Load(), h.checkpoints(); n != 2 || len(got) != 1 || got[0] < 7 {
		t.Errorf("%d tries, checkpoints of versions %v; want 2, [7] or [8]", n, got)
	}
	h.want(tName, 8)
}

// Few commits are enough when the last checkpoint is long ago.
func TestCheckpoint_AfterSoLong(t *testing.T) {
	h := newHouse(t)
	var now atomic.Int64
	begun := make(chan struct{}, 10)
	h.store = checkpointGate{h.lake, func(context.Context, string) error { begun <- struct{}{}; return nil }}
	l := h.start(Options{CommitInterval: time.Hour, CheckpointInterval: time.Minute, Now: clockOf(&now)})
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	table := l.open(tName)
	l.commits(table, 0, 2)
	if len(begun) > 0 {
		t.Error("a checkpoint of a new table")
	}
	now.Add(int64(time.Minute))
	l.commits(table, 2, 1)
	<-begun
	table.unoccupied()
	l.commits(table, 3, 5)
	l.stop()
	if got := h.checkpoints(); len(got) != 1 {
		t.Errorf("checkpoints of versions %v, want one", got)
	}
	h.want(tName, 8)
}

// blindLake cannot list a log while it fails.
type blindLake struct {
	lake.Store
	failing *atomic.Bool
}

func (s blindLake) Sub(prefix string) lake.Store { return blindLake{s.Store.Sub(prefix), s.failing} }

func (s blindLake) List(ctx context.Context, prefix, after string) iter.Seq2[lake.Info, error] {
	if s.failing.Load() && strings.HasSuffix(prefix, logDir) {
		return func(yield func(lake.Info, error) bool) { yield(lake.Info{}, errors.New("no answer")) }
	}
	return s.Store.List(ctx, prefix, after)
}

// A clean-up that fails comes again with the next checkpoint; it does not bring that about.
func TestCheckpoint_WhenTheCleanUpFails(t *testing.T) {
	h := newHouse(t)
	var now atomic.Int64
	var failing atomic.Bool
	begun := make(chan struct{}, 10)
	h.store = checkpointGate{blindLake{h.lake, &failing}, func(context.Context, string) error { begun <- struct{}{}; return nil }}
	l := h.start(Options{CommitInterval: time.Hour, CheckpointInterval: 10 * time.Minute, Now: clockOf(&now)})
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	table := l.open(tName)
	failing.Store(true)
	l.commits(table, 0, 2)
	now.Add(int64(10 * time.Minute))
	l.commits(table, 2, 1)
	<-begun
	table.unoccupied()
	for i := range int64(3) {
		now.Add(int64(2 * time.Minute))
		l.commits(table, 3+i, 1)
		table.unoccupied()
	}
	l.stop()
	if got := h.checkpoints(); len(got) != 1 {
		t.Errorf("checkpoints of versions %v, want one", got)
	}
	failing.Store(false)
	h.want(tName, 6)
}
