package table

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/delta"
)

// Compaction in the background keeps the number of files down that commits make, without a turn of the committer: a goroutine of
// each table that has had a commit waits until its files are old enough, and then rewrites those that are worth it. Over all tables
// one rewrites at a time. It gives way to whoever changes the same files, and tries again later.
const (
	compactRetry = 5 * time.Minute // the pause after a failure or a conflict
	compactLeft  = time.Hour       // and for a table that cannot be compacted
	memoryRetry  = time.Second     // between looks for memory
)

// rowGroupBytes is the memory that a compaction takes for rows, and so what a row group of a rewritten file has at most. A small memory
// budget makes it less: an eighth of that.
const rowGroupBytes = 64 << 20

// compaction is the goroutine of a table, which the committer owns.
type compaction struct {
	*compactor
	ctx    context.Context // of all runs of the table
	cancel context.CancelFunc
	news   chan struct{} // capacity 1: there was a commit
	done   chan struct{} // closed at the end of the goroutine; nil without one
	told   bool          // that the table cannot be compacted
}

func (t *Table) newCompaction(known []string) compaction {
	c := newCompactor(t.info.ID, t.store, t.delta, t.set.ledger, known, t.set.opts)
	c.log, c.counts, c.reserve = t.log, &t.set.counters.compact, t.set.reserveRows
	ctx, cancel := context.WithCancel(t.ctx)
	return compaction{compactor: c, ctx: ctx, cancel: cancel, news: make(chan struct{}, 1)}
}

// compactLater is called after a commit. It never waits. A table that is not compacted may have files left from when it was.
func (t *Table) compactLater() {
	c := &t.compaction
	if t.set.opts.Compaction.Off && len(c.staged()) == 0 {
		return
	}
	if c.done == nil {
		c.done = make(chan struct{})
		go t.compactAlong()
	}
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// compactAlong looks at the table's files some time after commits, until the table ends.
func (t *Table) compactAlong() {
	c := &t.compaction
	defer close(c.done)
	age := t.set.opts.Compaction.MinAge + time.Millisecond // see background
	wait := age
	for {
		select {
		case <-c.news:
		case <-c.ctx.Done():
			return
		}
		if pauseFor(c.ctx, wait) != nil {
			return
		}
		more := false // there were commits meanwhile, whose files are too young
		select {
		case <-c.news:
			more = true
		default:
		}
		res, err := t.compact(c.ctx)
		wait = age
		switch {
		case c.ctx.Err() != nil:
			return
		case errors.Is(err, delta.ErrUnsupported):
			wait = compactLeft
			if !c.told {
				c.told = true
				c.log.Info("the table is not compacted", "err", err)
			}
		case err != nil:
			wait = compactRetry
			c.counts.failures.Add(1)
			c.log.Warn("compaction failed and will be tried again", "err", err, "pause", wait)
		case res.Conflicts > 0:
			wait = compactRetry
		}
		if more || err != nil || res.Conflicts > 0 {
			select {
			case c.news <- struct{}{}:
			default:
			}
		}
	}
}

// compact is one look, and what comes of it.
func (t *Table) compact(ctx context.Context) (res CompactResult, err error) {
	c := &t.compaction
	if err := c.take(ctx); err != nil {
		return res, err
	}
	defer c.give()
	// An external table is somebody else's, who may have plans of their own for its files.
	if t.set.opts.Compaction.Off || !c.delta.Snapshot().AutoCompact(!t.info.External) {
		return res, c.sweep(ctx)
	}
	choose := func() compactPlan { return t.set.opts.Compaction.background(t.set.now(), c.leave) }
	groups, _, err := c.plan(c.delta.Snapshot(), choose())
	if err != nil || len(groups) == 0 && len(c.begun) == 0 {
		return res, err
	}
	select {
	case t.set.compacting <- struct{}{}:
	case <-ctx.Done():
		return res, context.Cause(ctx)
	}
	defer func() { <-t.set.compacting }()
	limit, release, err := c.reserve(ctx)
	if err != nil {
		return res, err
	}
	defer release()
	return c.run(ctx, choose, true, &rowMover{limit: limit, duty: &duty{now: t.set.now}}, nil)
}

// endCompaction ends the goroutine, and runs that somebody asked for. None begins afterwards.
func (t *Table) endCompaction() {
	c := &t.compaction
	c.cancel()
	if c.done != nil {
		<-c.done
	}
	<-c.turn
}

// reserveRows takes memory for rows of a compaction from the server's budget, when it is there: those who wait for memory to take in
// rows come first, and what a compaction waits for must not hold them up.
func (s *Set) reserveRows(ctx context.Context) (bytes int, release func(), err error) {
	size := max(1, min(rowGroupBytes, s.opts.MemoryBytes/8))
	for !s.memory.TryAcquire(size) {
		if err := pauseFor(ctx, memoryRetry); err != nil {
			return 0, nil, err
		}
	}
	s.counters.memory.Add(size)
	return int(size), func() {
		s.counters.memory.Add(-size)
		s.memory.Release(size)
	}, nil
}

// compactCounters count what compactions have done.
type compactCounters struct {
	rewrites, failures, conflicts, deleted atomic.Int64
	filesIn, bytesIn, filesOut, bytesOut   atomic.Int64
}

func (c *compactCounters) rewrote(files []delta.Add, into int64) {
	n, size := sizeOf(files)
	c.rewrites.Add(1)
	c.filesIn.Add(int64(n))
	c.bytesIn.Add(size)
	c.filesOut.Add(1)
	c.bytesOut.Add(into)
}
