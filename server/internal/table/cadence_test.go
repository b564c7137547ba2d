package table

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
)

const sec = time.Second

func TestCadence_Interval(t *testing.T) {
	one := func(age time.Duration) batch { return batch{rows: 1, bytes: 8, age: age} }
	many := func(age time.Duration) batch { return batch{rows: worthRows, bytes: 8, age: age} }
	large := func(age time.Duration) batch { return batch{rows: 1, bytes: worthBytes, age: age} }
	type step struct {
		commits int // that follow each other; 0: a row after a pause
		of      batch
		pause   time.Duration
		want    time.Duration // the interval afterwards
	}
	slowed := []step{{10, one(sec), 0, 2 * sec}, {10, one(2 * sec), 0, 4 * sec}, {10, one(4 * sec), 0, 8 * sec}, {10, one(8 * sec), 0, 10 * sec}}
	after := func(more ...step) []step { return append(slowed[:len(slowed):len(slowed)], more...) }
	for _, c := range []struct {
		name    string
		longest time.Duration
		steps   []step
	}{
		{"nine small commits change nothing", 10 * sec, []step{{9, one(sec), 0, sec}}},
		{"a trickle slows down in steps", 10 * sec, slowed},
		{"to the longest interval and no further", 10 * sec, after(step{100, one(10 * sec), 0, 10 * sec})},
		{"a burst of rows brings it back", 10 * sec, after(step{1, many(sec), 0, sec})},
		{"a burst of bytes brings it back", 10 * sec, after(step{1, large(sec), 0, sec})},
		{"and so does one that is faster than any interval", 10 * sec, after(step{1, many(sec / 10), 0, sec})},
		{"a burst begins the count again", 10 * sec, []step{{9, one(sec), 0, sec}, {1, many(sec), 0, sec}, {9, one(sec), 0, sec}, {1, one(sec), 0, 2 * sec}}},
		{"what gathers a file's worth in 5 s stays there", 10 * sec, after(step{1, many(5 * sec), 0, 5 * sec}, step{100, many(5 * sec), 0, 5 * sec})},
		{"what needs longer than there is", 10 * sec, after(step{1, many(12 * sec), 0, 10 * sec})},
		{"what was flushed says nothing of the interval", 10 * sec, []step{{1000, one(sec - 1), 0, sec}}},
		{"a pause brings it back", 10 * sec, after(step{0, batch{}, 10 * sec, sec})},
		{"a pause begins the count again", 10 * sec, []step{{9, one(sec), 0, sec}, {0, batch{}, 10 * sec, sec}, {9, one(sec), 0, sec}, {1, one(sec), 0, 2 * sec}}},
		{"a shorter pause does not", 10 * sec, after(step{0, batch{}, 10*sec - 1, 10 * sec})},
		{"with equal bounds nothing does anything", sec, []step{{100, one(sec), 0, sec}, {1, many(5 * sec), 0, sec}, {0, batch{}, sec, sec}}},
		{"a longest interval below the shortest is that one", sec / 2, []step{{100, one(sec), 0, sec}, {1, many(5 * sec), 0, sec}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cad := newCadence(sec, c.longest)
			for i, s := range c.steps {
				if s.commits == 0 {
					cad.resumed(s.pause)
				}
				for range s.commits {
					cad.committed(s.of, 0)
				}
				if cad.interval != s.want {
					t.Fatalf("after step %d the interval is %v, want %v", i, cad.interval, s.want)
				}
			}
		})
	}
}

func TestCadence_Wait(t *testing.T) {
	for _, c := range []struct {
		name     string
		interval time.Duration // of 1 to 10 s
		took     time.Duration // the last commit
		since    time.Duration // it ended
		of       batch
		want     time.Duration
	}{
		{"the first row", sec, 0, time.Hour, batch{rows: 1}, sec},
		{"the rest of the interval", 4 * sec, 0, time.Hour, batch{rows: 1, age: sec}, 3 * sec},
		{"due", 4 * sec, 0, time.Hour, batch{rows: 1, age: 4 * sec}, 0},
		{"overdue", 4 * sec, 0, time.Hour, batch{rows: 1, age: time.Minute}, 0},
		{"rows that are worth it", 10 * sec, 0, time.Hour, batch{rows: worthRows, age: sec / 4}, 3 * sec / 4},
		{"bytes that are worth it", 10 * sec, 0, time.Hour, batch{rows: 1, bytes: worthBytes, age: 2 * sec}, 0},
		{"a row less", 10 * sec, 0, time.Hour, batch{rows: worthRows - 1, bytes: worthBytes - 1, age: 2 * sec}, 8 * sec},
		{"after a slow commit", sec, 3 * sec, sec / 2, batch{rows: 1, age: 3 * sec}, 5 * sec / 2},
		{"after one, also when it is worth it", sec, 3 * sec, sec, batch{rows: worthRows, age: 3 * sec}, 2 * sec},
		{"after a commit slower than the longest interval", sec, time.Minute, 0, batch{rows: 1, age: time.Minute}, 10 * sec},
		{"long after a slow commit", sec, 3 * sec, time.Hour, batch{rows: 1, age: sec / 4}, 3 * sec / 4},
		{"after a quick one", sec, sec / 100, 0, batch{rows: 1, age: sec / 100}, 99 * sec / 100},
	} {
		cad := newCadence(sec, 10*sec)
		cad.interval = c.interval
		cad.committed(batch{rows: 1}, c.took)
		if got := cad.wait(c.of, c.since); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	cad := newCadence(sec, sec)
	cad.committed(batch{rows: 1, age: sec}, time.Minute)
	if got := cad.wait(batch{rows: 1, age: time.Minute}, 0); got != 0 {
		t.Errorf("with equal bounds rows wait %v after a slow commit, want 0", got)
	}
}

// simulate has a row come every so often for a time, and commits that take some time. It returns the number of commits, and the
// age of the oldest row that a commit began with.
func simulate(c cadence, every, took, length time.Duration) (commits int, oldest time.Duration) {
	var p struct {
		rows  int
		since time.Duration
	}
	ended, free := -length, time.Duration(0) // the last commit; when the next may begin
	last := -length
	arrive := func(at time.Duration) {
		if p.rows == 0 {
			p.since = at
			c.resumed(at - last)
		}
		p.rows++
		last = at
	}
	for next := time.Duration(0); next < length; {
		if p.rows == 0 {
			arrive(next)
			next += every
			continue
		}
		now := max(free, last)
		now += c.wait(batch{rows: p.rows, age: now - p.since}, now-ended)
		if next < now {
			arrive(next)
			next += every
			continue
		}
		taken := batch{rows: p.rows, age: now - p.since}
		oldest = max(oldest, taken.age)
		p.rows = 0
		commits++
		for ; next < now+took; next += every {
			arrive(next)
		}
		ended, free = now+took, now+took
		c.committed(taken, took)
	}
	return commits, oldest
}

// What an operator may count on, over a day.
func TestCadence_OfADay(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name               string
		every, took        time.Duration
		longest            time.Duration
		commits, tolerance int
		oldest             time.Duration // at most
	}{
		{"a row a second", sec, 10 * time.Millisecond, 10 * sec, 86_400 / 10, 50, 10 * sec},
		{"a row a second without it", sec, 10 * time.Millisecond, sec, 86_400, 1, sec},
		{"ten rows a second", sec / 10, 10 * time.Millisecond, 10 * sec, 86_400 / 10, 50, 10 * sec},
		{"300 rows a second", sec / 300, 10 * time.Millisecond, 10 * sec, 86_400 * 300 / 1000, 400, 4 * sec},
		{"a row each 9 s", 9 * sec, 10 * time.Millisecond, 10 * sec, 86_400 / 18, 50, 10 * sec},
		{"a row each 12 s", 12 * sec, 10 * time.Millisecond, 10 * sec, 86_400 / 12, 1, sec},
		{"a row a second, commits of 3 s", sec, 3 * sec, 10 * sec, 86_400 / 10, 50, 10 * sec},
		{"ten rows a second, commits of 20 s", sec / 10, 20 * sec, 10 * sec, 86_400 / 30, 20, 30 * sec},
	} {
		commits, oldest := simulate(newCadence(sec, c.longest), c.every, c.took, day)
		if commits < c.commits-c.tolerance || commits > c.commits+c.tolerance || oldest > c.oldest {
			t.Errorf("%s: %d commits, rows of %v; want %d more or less %d, %v at most", c.name, commits, oldest, c.commits, c.tolerance, c.oldest)
		}
	}
	// 1,000 rows a second, for a while: each second.
	if commits, oldest := simulate(newCadence(sec, 10*sec), time.Millisecond, 10*time.Millisecond, time.Hour); commits < 3550 || oldest > sec {
		t.Errorf("1,000 rows a second: %d commits in an hour, rows of %v", commits, oldest)
	}
}

// bubble runs f with time that passes when all wait, see testing/synctest. Sets in it write with plain: the pool of the codec's
// encoders does not go from bubble to bubble.
func (h *house) bubble(f func()) {
	h.t.Helper()
	outer := h.t
	synctest.Test(outer, func(t *testing.T) {
		h.t = t
		f()
	})
	h.t = outer
}

var plain = parquetfile.Options{Compression: "uncompressed"}

// interval is that of the only open table.
func (l *life) interval() time.Duration {
	l.t.Helper()
	all := l.set.Each()
	if len(all) != 1 {
		l.t.Fatalf("%d tables are open", len(all))
	}
	return all[0].Interval
}

func TestCommit_ATableOfFewRowsIsCommittedLessOften(t *testing.T) {
	h := newHouse(t)
	rows, version := int64(0), int64(0)
	h.bubble(func() {
		l := h.start(Options{CommitInterval: sec, CommitIntervalMax: 10 * sec, Parquet: plain})
		l.sql("CREATE TABLE main.default.t (id BIGINT)")
		table := l.open(tName)
		add := func(n int64) {
			l.durable(table, rows, n)
			rows += n
		}
		// committed sleeps, and tells how many versions came.
		committed := func(d time.Duration) int64 {
			time.Sleep(d)
			synctest.Wait()
			before := version
			version = h.versions(tName)
			return version - before
		}
		add(1)
		if before, after := committed(sec-1), committed(1); before != 0 || after != 1 {
			t.Errorf("the first row: %d commits within a second, %d then", before, after)
		}
		time.Sleep(900 * time.Millisecond)
		for range 1000 { // 15 minutes
			add(1)
			time.Sleep(900 * time.Millisecond)
			if old := l.set.Stats().Oldest; old > 10*sec {
				h.t.Fatalf("a row waits for %v", old)
			}
		}
		l.flush(table)
		if n := committed(0); n < 100 || n > 120 { // 40 on the way to 10 s, and one each 10 s then
			t.Errorf("%d commits in 15 minutes", n)
		}
		if got := l.interval(); got != 10*sec {
			t.Errorf("after 15 minutes the interval is %v", got)
		}
		add(1)
		time.Sleep(sec / 2)
		add(worthRows)
		if before, after := committed(sec/2-1), committed(1); before != 0 || after != 1 {
			t.Errorf("a burst: %d commits within a second, %d then", before, after)
		}
		if got := l.interval(); got != sec {
			t.Errorf("after a burst the interval is %v", got)
		}
		for l.interval() == sec {
			add(1)
			time.Sleep(900 * time.Millisecond)
		}
		committed(10 * sec)
		add(1)
		if before, after := committed(sec-1), committed(1); before != 0 || after != 1 {
			t.Errorf("the first row after a pause: %d commits within a second, %d then", before, after)
		}
		l.stop()
	})
	h.want(tName, rows)
}

// A flush does not wait for the interval, nor for the rest after a commit, and neither does the end.
func TestCommit_WhatIsAskedForDoesNotWait(t *testing.T) {
	h := newHouse(t)
	var took atomic.Int64
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if op.Name == "put if absent" {
			time.Sleep(time.Duration(took.Load()))
		}
		return nil, nil
	})
	h.bubble(func() {
		l := h.start(Options{CommitInterval: sec, CommitIntervalMax: time.Hour, Parquet: plain})
		l.sql("CREATE TABLE main.default.t (id BIGINT)")
		table := l.open(tName)
		took.Store(int64(10 * sec))
		l.durable(table, 0, 1)
		l.flush(table)
		began := time.Now()
		l.durable(table, 1, 1)
		l.flush(table)
		if d := time.Since(began); d != 10*sec {
			t.Errorf("a flush took %v, the commit alone takes 10s", d)
		}
		began = time.Now()
		l.durable(table, 2, 1)
		l.stop()
		if d := time.Since(began); d != 10*sec {
			t.Errorf("the end took %v, the commit alone takes 10s", d)
		}
	})
	h.want(tName, 3)
}

func TestCommit_ASlowStoreHasHalfOfTheTimeToItself(t *testing.T) {
	for _, c := range []struct {
		longest time.Duration
		want    int64 // commits of 3 s in a minute
	}{{10 * sec, 10}, {sec, 19}} {
		t.Run(fmt.Sprint("up to ", c.longest), func(t *testing.T) {
			h := newHouse(t)
			var slow atomic.Bool
			h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
				if slow.Load() && op.Name == "put if absent" && strings.HasSuffix(op.Path, ".json") {
					time.Sleep(3 * sec)
				}
				return nil, nil
			})
			const rows = 600
			h.bubble(func() {
				l := h.start(Options{CommitInterval: sec, CommitIntervalMax: c.longest, Parquet: plain})
				l.sql("CREATE TABLE main.default.t (id BIGINT)")
				table := l.open(tName)
				slow.Store(true)
				for i := range int64(rows) {
					l.durable(table, i*10, 10)
					time.Sleep(100 * time.Millisecond)
				}
				if got := h.versions(tName); got != c.want {
					t.Errorf("%d commits in a minute, want %d", got, c.want)
				}
				l.stop()
			})
			h.want(tName, 10*rows)
		})
	}
}

// The committer wakes for an idle table whose last commits have no checkpoint yet.
func TestCheckpoint_OfATableThatHasBecomeIdle(t *testing.T) {
	h := newHouse(t)
	var tries atomic.Int64
	h.store = checkpointGate{h.lake, func(context.Context, string) error {
		if tries.Add(1) == 1 {
			return context.DeadlineExceeded
		}
		return nil
	}}
	h.bubble(func() {
		l := h.start(Options{CommitInterval: sec, CheckpointInterval: 5 * time.Minute, Parquet: plain})
		l.sql("CREATE TABLE main.default.t (id BIGINT)")
		table := l.open(tName)
		l.commits(table, 0, 3)
		look := func(d time.Duration, checkpoints int) {
			h.t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if got := h.checkpoints(); len(got) != checkpoints {
				h.t.Fatalf("checkpoints of versions %v, want %d", got, checkpoints)
			}
		}
		look(5*time.Minute, 0) // it failed
		look(time.Minute-1, 0)
		look(1, 1)
		look(24*time.Hour, 1)
		if n := tries.Load(); n != 2 {
			t.Errorf("%d tries to write a checkpoint in a day without commits, want 2", n)
		}
		l.commits(table, 3, 1)
		look(5*time.Minute, 2)
		l.stop()

		// A server that only opens the table has nothing to add to it.
		l = h.start(never)
		l.open(tName)
		look(time.Hour, 2)
		l.stop()
	})
	h.want(tName, 4)
}
