package table

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/ledger"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
	"github.com/zerobus-go/zerobus/server/internal/wal"
)

// run is the table's committer. It owns t.writing and everything below lake and delta.
func (t *Table) run() {
	defer t.end()
	failures := 0
	for {
		wait, ok := t.due()
		if !ok {
			return
		}
		if failures > 0 {
			wait = backoff(failures)
		}
		if wait > 0 && !t.sleep(wait, failures > 0) {
			return
		}
		if wait > 0 && failures == 0 {
			continue // look again: the table may have been flushed or closed meanwhile
		}
		switch err := t.commit(t.ctx); {
		case err == nil:
			failures = 0
		case t.ctx.Err() != nil:
			return
		case permanent(err):
			t.refuse(fmt.Errorf("%w: %w", ErrBroken, err))
			t.log.Error("table cannot be written any more; rows that are not in it stay in the log", "err", err)
			return
		default:
			failures++
			t.log.Warn("commit failed and will be tried again", "err", err, "failures", failures, "pause", backoff(failures))
		}
	}
}

// due tells how long the committer may wait: 0 when there is something to commit now. False: closed and nothing left.
func (t *Table) due() (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.writing != nil: // a commit that failed
		return 0, true
	case t.pending.empty():
		return forever, !t.closing
	case t.closing, t.hurried(), len(t.flushes) > 0, t.pending.bytes >= t.set.opts.CommitBytes:
		return 0, true
	}
	return max(0, t.set.opts.CommitInterval-t.set.now().Sub(t.pending.since)), true
}

const forever = 1<<63 - 1

// sleep waits for the time, or for a signal unless the pause is after a failure. False: the table ends.
func (t *Table) sleep(d time.Duration, afterFailure bool) bool {
	var timer <-chan time.Time
	if d != forever {
		tm := time.NewTimer(d)
		defer tm.Stop()
		timer = tm.C
	}
	wake := t.wake
	if afterFailure {
		wake = nil
	}
	select {
	case <-timer:
		return true
	case <-wake:
		return true
	case <-t.ctx.Done():
		return false
	}
}

// errAhead: the log was put back to an older state, and gives numbers a second time that the table knows.
var errAhead = errors.New("the table has more of the log than the log itself: the log is an older copy")

// permanent errors are not mended by trying again.
func permanent(err error) bool {
	for _, e := range []error{
		delta.ErrSchemaChanged, delta.ErrUnsupported, delta.ErrNoTable, delta.ErrFenced, errAhead, delta.ErrOutdated, delta.ErrCorrupt,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// commit writes one file of what is pending and commits it. What was taken stays in t.writing until it is in the table, and the
// positions of its producers are in the ledger.
func (t *Table) commit(ctx context.Context) error {
	t.mu.Lock()
	if t.writing == nil {
		if t.pending.empty() {
			t.mu.Unlock()
			return nil
		}
		p := t.pending
		t.pending = pending{}
		t.writing = &p
	}
	p := t.writing
	t.mu.Unlock()

	err := t.put(ctx, p)
	if err == nil {
		err = t.save(p)
	}
	t.mu.Lock()
	t.lastTry = err
	if err == nil {
		t.writing = nil
	}
	t.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			t.set.counters.failures.Add(1)
		}
		return fmt.Errorf("table %s: log sequence %d: %w", t.info.Name, p.lastSeq, err)
	}
	t.set.wal.Trim(wal.TableID(t.info.ID), p.lastSeq)
	t.sweep(ctx)
	t.forgetIdle()
	return nil
}

// put brings the rows into the table.
func (t *Table) put(ctx context.Context, p *pending) error {
	if p.inTable {
		return nil
	}
	start := t.set.now()
	// One file for all tries: a failed commit leaves nothing behind.
	if p.file == nil {
		var err error
		if p.file, err = t.writeFile(ctx, p); err != nil {
			return fmt.Errorf("%d rows: %w", p.rows, err)
		}
	}
	// Append tries again by itself until its ctx ends; then the committer logs and pauses.
	try, cancel := context.WithTimeout(ctx, t.set.opts.CommitTimeout)
	defer cancel()
	version, err := t.delta.Append(try, delta.Append{
		AppID: t.set.appID, TxnVersion: int64(p.lastSeq), Adds: []delta.Add{*p.file}, Rows: int64(p.rows), Bytes: p.file.Size, Base: t.base,
	})
	switch {
	case !errors.Is(err, delta.ErrAlreadyCommitted):
	case p.undecided:
		t.log.Info("rows were committed by an earlier try", "seq", p.lastSeq)
		err = nil
	default:
		// Nobody has tried these rows before, so the table has seen more of this log than the log itself has.
		err = fmt.Errorf("%w: %w", errAhead, err)
	}
	if err != nil {
		p.undecided = p.undecided || errors.Is(err, delta.ErrUndecided)
		return fmt.Errorf("%d rows: %w", p.rows, err)
	}
	t.log.Debug("committed", "version", version, "rows", p.rows, "bytes", p.file.Size, "seq", p.lastSeq, "took", t.set.now().Sub(start))
	t.set.counters.committed(p.rows, p.file.Size, t.set.now().Sub(start))
	t.arrived(p)
	return nil
}

// arrived is told that the rows are in the table: they leave memory.
func (t *Table) arrived(p *pending) {
	chunks, memory := p.chunks, p.memory
	t.mu.Lock()
	p.inTable = true
	p.chunks, p.rows, p.memory = nil, 0, 0
	t.committed = p.lastSeq
	t.mu.Unlock()
	t.answerFlushes(p.lastSeq, nil)
	for _, c := range chunks {
		t.Recycle(c)
	}
	t.release(memory)
}

// save brings the positions into the ledger. The log keeps the entries until then.
func (t *Table) save(p *pending) error {
	if len(p.positions) == 0 {
		return nil
	}
	if err := t.set.ledger.Save(t.info.ID, ledger.Mark{Log: t.set.wal.ID(), Seq: p.lastSeq}, p.positions); err != nil {
		return fmt.Errorf("the rows are in the table, the positions of producers are not kept yet: %w", err)
	}
	t.mu.Lock()
	t.saved = p.lastSeq
	t.mu.Unlock()
	return nil
}

// writeFile writes the chunks as one data file, durable, and describes it.
func (t *Table) writeFile(ctx context.Context, p *pending) (*delta.Add, error) {
	name := t.newFile(p.lastSeq)
	w, err := t.store.Create(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("create data file: %w", err)
	}
	defer w.Abort()
	res, err := parquetfile.Write(w, t.schema, p.chunks, t.set.opts.Parquet)
	if err == nil {
		if err = w.Commit(); err != nil {
			t.orphaned(name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("write data file %s: %w", name, err)
	}
	return &delta.Add{
		Path: name, PartitionValues: map[string]*string{}, Size: res.Bytes, ModificationTime: t.set.now().UnixMilli(),
		DataChange: true, Stats: res.Stats,
	}, nil
}
