package delta

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
)

const hintPath = logDir + "_last_checkpoint"

// start brings the state to where forward goes on: to a checkpoint, or before version 0. It returns the latest version that the
// log was seen to have.
//
// The hint of the latest checkpoint saves a look at all that is before it. It may be missing, stale or damaged; then the whole
// listing decides. A checkpoint that cannot be read is passed over for the next older one, and in the end for version 0: that
// takes longer, and gives the same state.
func (t *Table) start(ctx context.Context) (last int64, err error) {
	tried := map[string]error{} // by the first path
	if from, ok := t.hint(ctx); ok {
		l, err := listLog(ctx, t.store, from, forever)
		if err != nil {
			return 0, err
		}
		if ok, err := t.startFrom(ctx, l, tried); ok || err != nil {
			return l.last, err
		}
	}
	if err := ctx.Err(); err != nil {
		return 0, t.wrap(err)
	}
	l, err := listLog(ctx, t.store, 0, forever)
	if err != nil {
		return 0, err
	}
	if l.last < 0 && len(l.checkpoints) == 0 && l.partial < 0 {
		return 0, t.wrap(ErrNoTable)
	}
	if ok, err := t.startFrom(ctx, l, tried); ok || err != nil {
		return l.last, err
	}
	if l.last >= 0 && l.resumes == 0 {
		return l.last, nil
	}
	return 0, t.wrap(l.stuck(tried))
}

// hint returns the version of the checkpoint that the hint names.
func (t *Table) hint(ctx context.Context) (version int64, ok bool) {
	data, err := t.store.Get(ctx, hintPath)
	if err == nil {
		version, err = parseHint(data)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.log.WarnContext(ctx, "the hint of the latest checkpoint cannot be read, the log is listed as a whole", "err", err)
	}
	return version, err == nil
}

// startFrom takes over the newest checkpoint that can be read. False: there is none.
func (t *Table) startFrom(ctx context.Context, l *logList, tried map[string]error) (bool, error) {
	for _, cp := range l.checkpoints {
		if !l.bears(cp.version) || tried[cp.paths[0]] != nil {
			continue
		}
		err := t.load(ctx, cp)
		if err == nil {
			return true, nil
		}
		if ctx.Err() != nil {
			return false, t.wrap(err)
		}
		t.log.WarnContext(ctx, "a checkpoint cannot be read, trying the one before", "version", cp.version, "err", err)
		tried[cp.paths[0]] = err
	}
	return false, nil
}

// load takes over a checkpoint's state.
func (t *Table) load(ctx context.Context, cp checkpoint) error {
	s, err := readCheckpoint(ctx, t.store, cp, false)
	if err != nil {
		return err
	}
	data, err := t.store.Get(ctx, commitPath(cp.version))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		t.bare.Store(&cp)
	case err != nil:
		return fmt.Errorf("read version %d: %w", cp.version, err)
	}
	t.state.load(cp.version, s)
	if t.state.draft.inCommitTimestamps() {
		if t.state.draft.stamp, err = t.findStamp(ctx, cp.version, data); err != nil {
			return err
		}
	}
	t.tail = sha256.Sum256(data)
	t.checkpointed.Store(cp.version)
	return nil
}

// startAnew reads the state of the table as Open does, because the version on which this Table stands is no longer in the log: other
// writers have gone on, and cleaned up behind them. The error is ErrOutdated when there is no later version of the same table.
func (t *Table) startAnew(ctx context.Context) error {
	was := &t.state.draft
	gone := fmt.Errorf("version %d is no longer in the log: %w", was.Version, ErrOutdated)
	now := newTable(t.store, Options{EngineInfo: t.engine, Now: t.now})
	now.log = t.log
	err := now.open(ctx)
	switch {
	case errors.Is(err, ErrNoTable), errors.Is(err, ErrCorrupt):
		return t.wrap(fmt.Errorf("%w: %w", gone, err))
	case err != nil:
		return err
	}
	is := &now.state.draft
	if is.Metadata.ID != was.Metadata.ID || is.Version <= was.Version {
		return t.wrap(gone)
	}
	if is.ForgetsTxns() { // this Table need not
		txns := cloneMap(was.Txns)
		maps.Copy(txns, is.Txns)
		is.Txns = txns
	}
	t.log.InfoContext(ctx, "the log was cleaned up by other writers, the table is read again", "version", is.Version)
	t.bare.Store(now.bare.Load())
	t.checkpointed.Store(now.checkpointed.Load())
	t.state, t.tail, t.checked = now.state, now.tail, 0
	t.publish()
	return nil
}

// stuck tells why there is nothing to start from.
func (l *logList) stuck(tried map[string]error) error {
	var causes []error
	for _, cp := range l.checkpoints {
		if err := tried[cp.paths[0]]; err != nil {
			causes = append(causes, fmt.Errorf("checkpoint of version %d: %w", cp.version, err))
		}
	}
	if l.partial >= 0 && l.bears(l.partial) {
		causes = append(causes, fmt.Errorf("checkpoint of version %d: files of it are missing", l.partial))
	}
	switch {
	case len(causes) == 0:
		return fmt.Errorf("version %d is missing in the log, version %d is there: %w", l.resumes-1, l.resumes, ErrCorrupt)
	case l.last < 0:
		return fmt.Errorf("the log has no commits, and %w: %w", ErrCheckpointNeeded, errors.Join(causes...))
	}
	return fmt.Errorf("the log has no commits before version %d, and %w; bring back a checkpoint or the commits from a copy: %w",
		l.resumes, ErrCheckpointNeeded, errors.Join(causes...))
}
