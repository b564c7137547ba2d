package table

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/histogram"
)

// Stats is the state of a set, and what it has done since it was made.
type Stats struct {
	MemoryUsed  int64 // bytes of the budget
	MemoryLimit int64
	Waiting     int64 // appends that wait for memory

	Open      int           // tables
	Refused   int           // tables that take no rows until an operator has looked at them; open or not
	Rows      int64         // that are durable and not in a table yet
	Oldest    time.Duration // age of the oldest of them; 0 without one
	Producers int64         // that are remembered
	Takeovers int64         // streams that took a producer over from another one

	Commits        int64
	CommitFailures int64 // tries that failed; each is tried again, unless the table is refused
	CommittedRows  int64
	CommittedBytes int64 // of data files
	CommittedFiles int64
	OrphansDeleted int64 // data files without a commit

	Compactions         int64 // groups of small files that were rewritten into one
	CompactionFailures  int64 // runs in the background that ended with an error; each is tried again
	CompactionConflicts int64 // rewrites that gave way to another writer
	CompactedFiles      int64 // small files that were rewritten
	CompactedBytes      int64 // of them
	CompactionFiles     int64 // files that took their place
	CompactionBytes     int64 // of them

	CommitTime histogram.Snapshot // of the good tries: file and commit
}

// TableStats is the state of one open table.
type TableStats struct {
	Name    string
	Rows    int64         // as in Stats
	Oldest  time.Duration // as in Stats
	Failing bool          // the last try to commit failed, or the table is refused

	Interval time.Duration // for which rows wait for their commit at present
}

// counters are a set's part of [Stats].
type counters struct {
	memory                                atomic.Int64
	compact                               compactCounters
	takeovers, orphans                    atomic.Int64
	commits, failures, rows, bytes, files atomic.Int64

	commitTime histogram.Histogram
}

// committed counts a commit of rows in one file of so many bytes.
func (c *counters) committed(rows int, bytes int64, took time.Duration) {
	c.commits.Add(1)
	c.rows.Add(int64(rows))
	c.bytes.Add(bytes)
	c.files.Add(1)
	c.commitTime.Observe(took)
}

// Stats gives the present state. It looks at each open table for a moment.
func (s *Set) Stats() Stats {
	c := &s.counters
	st := Stats{
		MemoryUsed: c.memory.Load(), MemoryLimit: s.opts.MemoryBytes, Waiting: s.short.Load(),
		Takeovers: c.takeovers.Load(), Commits: c.commits.Load(), CommitFailures: c.failures.Load(),
		CommittedRows: c.rows.Load(), CommittedBytes: c.bytes.Load(), CommittedFiles: c.files.Load(),
		OrphansDeleted: c.orphans.Load() + c.compact.deleted.Load(), CommitTime: c.commitTime.Snapshot(),
		Compactions: c.compact.rewrites.Load(), CompactionFailures: c.compact.failures.Load(), CompactionConflicts: c.compact.conflicts.Load(),
		CompactedFiles: c.compact.filesIn.Load(), CompactedBytes: c.compact.bytesIn.Load(),
		CompactionFiles: c.compact.filesOut.Load(), CompactionBytes: c.compact.bytesOut.Load(),
	}
	open, refused := s.ready()
	st.Open, st.Refused = len(open), refused
	now := s.now()
	for _, t := range open {
		st.Waiting += t.short.Load()
		one := t.state(now, &st)
		st.Rows += one.Rows
		st.Oldest = max(st.Oldest, one.Oldest)
	}
	return st
}

// Each gives the state of all open tables, in no order.
func (s *Set) Each() []TableStats {
	open, _ := s.ready()
	now := s.now()
	all := make([]TableStats, len(open))
	for i, t := range open {
		all[i] = t.state(now, &Stats{})
	}
	return all
}

// ready lists the open tables, and counts those that were refused before they were open.
func (s *Set) ready() (open []*Table, refused int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.open {
		select {
		case <-e.ready:
			if e.table != nil {
				open = append(open, e.table)
			} else if errors.Is(e.err, ErrBroken) {
				refused++
			}
		default: // being opened
		}
	}
	return open, refused
}

// state gives the table's own state, and adds what has no place in it to all.
func (t *Table) state(now time.Time, all *Stats) TableStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	all.Producers += int64(len(t.producers))
	broken := errors.Is(t.refusal, ErrBroken)
	if broken {
		all.Refused++
	}
	st := TableStats{Name: t.info.Name.String(), Rows: int64(t.pending.rows), Failing: broken || t.lastTry != nil, Interval: t.cadence.interval}
	since := t.pending.since
	if w := t.writing; w != nil && !w.inTable {
		st.Rows += int64(w.rows)
		since = w.since
	}
	if st.Rows > 0 {
		st.Oldest = max(0, now.Sub(since))
	}
	return st
}
