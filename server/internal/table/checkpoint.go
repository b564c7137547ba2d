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
	since  time.Time          // the last checkpoint, or the first commit of this process
	until  time.Time          // nothing is done before, after a failure
	told   bool               // that others keep the log
	cancel context.CancelFunc // of the goroutine; nil when none runs
	done   chan error         // its end; capacity 1

	running atomic.Bool // the goroutine; for who looks on
}

// keepLog is called after a commit, and writes a checkpoint in the background when one is due: after so many commits, or when
// there are any and the last one is long ago. Expired versions are deleted after it.
func (t *Table) keepLog() {
	u, now := &t.upkeep, t.set.now()
	if u.cancel != nil {
		select {
		case err := <-u.done:
			t.keptLog(err)
		default:
			return
		}
	}
	if u.since.IsZero() {
		u.since = now
	}
	commits := t.delta.Snapshot().CheckpointInterval()
	if commits == 0 {
		commits = t.set.opts.CheckpointCommits
	}
	n := t.delta.SinceCheckpoint()
	if n < commits && (n == 0 || now.Sub(u.since) < t.set.opts.CheckpointInterval) || now.Before(u.until) {
		return
	}
	ctx, cancel := context.WithCancel(t.ctx)
	u.cancel, u.done = cancel, make(chan error, 1)
	u.running.Store(true)
	go func() {
		u.done <- t.checkpoint(ctx)
		u.running.Store(false)
	}()
}

// checkpoint writes one, and cleans the log.
func (t *Table) checkpoint(ctx context.Context) error {
	start := t.set.now()
	version, err := t.delta.Checkpoint(ctx)
	if err != nil {
		return err
	}
	t.log.Debug("checkpoint written", "version", version, "took", t.set.now().Sub(start))
	n, err := t.delta.CleanLog(ctx)
	if n > 0 {
		t.log.Info("expired versions were deleted from the table's log", "files", n)
	}
	return err
}

// keptLog takes note of how the goroutine ended.
func (t *Table) keptLog(err error) {
	u, now := &t.upkeep, t.set.now()
	u.cancel()
	u.cancel = nil
	switch {
	case err == nil:
		u.since = now
	case errors.Is(err, delta.ErrNoCheckpoint):
		if !u.told {
			t.log.Info("the table's log is kept by its other writers", "err", err)
		}
		u.told, u.until = true, now.Add(checkpointLeft)
	default:
		t.log.Warn("checkpoint or log clean-up failed, and will be tried again", "err", err)
		u.until = now.Add(checkpointRetry)
	}
}

// endUpkeep ends the goroutine. It comes before the committer's own end, so that nothing is written to a table that was dropped.
func (t *Table) endUpkeep() {
	if u := &t.upkeep; u.cancel != nil {
		u.cancel()
		<-u.done
		u.cancel = nil
	}
}
