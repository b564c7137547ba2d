package table

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/delta"
)

// Checkpoints keep the table fast to open: without them every reader reads every commit since the table was made. One rewrites
// the whole state, so it is not made every few commits, and never on the way of a commit: the committer starts a goroutine,
// one at a time, that works from the state in memory. What it cannot do now it does later; the table does not need it.
const (
	// The pause after a failure, and after the answer that the table's log is kept by others.
	checkpointRetry = time.Minute
	checkpointLeft  = time.Hour
)

// upkeep is the state of the table's checkpoints. It is the committer's, and the goroutine's between start and done.
type upkeep struct {
	since  time.Time          // the last checkpoint, or the first commit of this process; zero before that
	until  time.Time          // nothing is done before, after a failure
	told   bool               // that others keep the log
	cancel context.CancelFunc // of the goroutine; nil when none runs
	done   chan kept          // its end; capacity 1

	running atomic.Bool // the goroutine; for who looks on
}

// kept is how the goroutine ended. The error is about the checkpoint, or about the clean-up after it.
type kept struct {
	written bool // the checkpoint
	err     error
}

// keepLog is called after a commit.
func (t *Table) keepLog() {
	if u := &t.upkeep; u.since.IsZero() {
		u.since = t.set.now()
	}
	t.tendLog()
}

// tendLog writes a checkpoint in the background when one is due: after so many commits, or when there are any and the last one is
// long ago. Expired versions are deleted after it. It returns when to look again if no commit comes before; the end of a
// checkpoint wakes the committer by itself.
func (t *Table) tendLog() time.Duration {
	u, now := &t.upkeep, t.set.now()
	if u.cancel != nil {
		select {
		case k := <-u.done:
			t.keptLog(k)
		default:
			return forever
		}
	}
	n := t.delta.SinceCheckpoint()
	if n == 0 || u.since.IsZero() {
		return forever
	}
	commits := t.delta.Snapshot().CheckpointInterval()
	if commits == 0 {
		commits = t.set.opts.CheckpointCommits
	}
	due := u.since.Add(t.set.opts.CheckpointInterval)
	if n >= commits {
		due = now
	}
	if u.until.After(due) {
		due = u.until
	}
	if wait := due.Sub(now); wait > 0 {
		return wait
	}
	ctx, cancel := context.WithCancel(t.ctx)
	u.cancel, u.done = cancel, make(chan kept, 1)
	u.running.Store(true)
	go func() {
		u.done <- t.checkpoint(ctx)
		u.running.Store(false)
		t.signal()
	}()
	return forever
}

// checkpoint writes one, and cleans the log.
func (t *Table) checkpoint(ctx context.Context) kept {
	start := t.set.now()
	version, err := t.delta.Checkpoint(ctx)
	if err != nil {
		return kept{err: err}
	}
	t.log.Debug("checkpoint written", "version", version, "took", t.set.now().Sub(start))
	n, err := t.delta.CleanLog(ctx)
	if n > 0 {
		t.log.Info("expired versions were deleted from the table's log", "files", n)
	}
	return kept{true, err}
}

// keptLog takes note of how the goroutine ended. A clean-up that failed comes again with the next checkpoint.
func (t *Table) keptLog(k kept) {
	u, pause := &t.upkeep, checkpointRetry
	u.cancel()
	u.cancel = nil
	switch {
	case k.err == nil:
	case errors.Is(k.err, delta.ErrNoCheckpoint):
		if !u.told {
			t.log.Info("the table's log is kept by its other writers", "err", k.err)
		}
		u.told, pause = true, checkpointLeft
	default:
		t.log.Warn("checkpoint or log clean-up failed, and will be tried again", "err", k.err)
	}
	if now := t.set.now(); k.written {
		u.since = now
	} else {
		u.until = now.Add(pause)
	}
}

// endUpkeep ends the goroutine, and that of compaction. It comes before the committer's own end, so that nothing is written to a table that was dropped.
func (t *Table) endUpkeep() {
	t.endCompaction()
	if u := &t.upkeep; u.cancel != nil {
		u.cancel()
		<-u.done
		u.cancel = nil
	}
}
