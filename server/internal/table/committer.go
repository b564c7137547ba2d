package table

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/ledger"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
	"github.com/zerobus-go/zerobus/server/internal/wal"
)

// run is the table's committer. It owns t.writing and everything below lake and delta.
func (t *Table) run() {
	defer t.end()
	defer t.endUpkeep()
	failures := 0
	for {
		wait, ok := t.due()
		if !ok {
			return
		}
		switch {
		case failures > 0:
			wait = backoff(failures)
		case wait == forever: // an idle table's log is looked after, too
			wait = t.tendLog()
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
			t.keepLog()
			t.compactLater()
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
	now := t.set.now()
	return t.cadence.wait(t.pending.batch(now), now.Sub(t.rested)), true
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
		parquetfile.ErrNull,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// commit writes the files of what is pending, one for each partition, and commits them. What was taken stays in t.writing until it
// is in the table, and the positions of its producers are in the ledger.
func (t *Table) commit(ctx context.Context) error {
	start := t.set.now()
	t.mu.Lock()
	if t.writing == nil {
		if t.pending.empty() {
			t.mu.Unlock()
			return nil
		}
		p := t.pending
		p.taken = p.batch(start)
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
		t.rested = t.set.now()
		t.cadence.committed(p.taken, t.rested.Sub(start))
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
	// The same files for all tries: a failed commit leaves nothing behind, and a failed file does not undo those before it.
	err := t.writeFiles(ctx, p)
	if err == nil && p.tried {
		err = t.writeAgain(ctx, p)
	}
	p.tried = true
	if err != nil {
		return fmt.Errorf("%d rows: %w", p.rows, err)
	}
	size := int64(0)
	for i := range p.files {
		size += p.files[i].Size
	}
	// Append tries again by itself until its ctx ends; then the committer logs and pauses.
	try, cancel := context.WithTimeout(ctx, t.set.opts.CommitTimeout)
	defer cancel()
	version, err := t.delta.Append(try, delta.Append{
		AppID: t.set.appID, TxnVersion: int64(p.lastSeq), Adds: p.files, Rows: int64(p.rows), Bytes: size, Base: p.shape.base,
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
	t.log.Debug("committed", "version", version, "rows", p.rows, "files", len(p.files), "bytes", size, "seq", p.lastSeq, "took", t.set.now().Sub(start))
	t.set.counters.committed(p.rows, size, t.set.now().Sub(start))
	t.arrived(p)
	return nil
}

// writeAgain writes new files when one of an earlier try is gone. In an external table others delete what no commit names, once it
// is older than their retention, and a commit may fail for longer. The commit that then comes through would name a file that is
// not there, and the log would forget the rows.
func (t *Table) writeAgain(ctx context.Context, p *pending) error {
	if p.undecided { // an earlier commit may have come through, and others have done with the files what they like
		if err := t.delta.Refresh(ctx); err != nil {
			return err
		}
		if txn, ok := t.delta.Snapshot().Txns[t.set.appID]; ok && txn.Version >= int64(p.lastSeq) {
			return nil
		}
	}
	whole := true
	for i := 0; i < len(p.files) && whole; i++ {
		f, err := t.store.Open(ctx, p.files[i].Path)
		switch {
		case err == nil:
			whole = f.Size() == p.files[i].Size
			err = f.Close()
		case errors.Is(err, fs.ErrNotExist):
			t.log.Warn("a data file that waited for its commit was deleted by others; its rows are written again", "file", p.files[i].Path)
			whole, err = false, nil
		}
		if err != nil {
			return fmt.Errorf("look for data file %s: %w", p.files[i].Path, err)
		}
	}
	if whole {
		return nil
	}
	for i := range p.files {
		t.orphaned(p.files[i].Path)
	}
	p.split, p.files = nil, nil
	return t.writeFiles(ctx, p)
}

// arrived is told that the rows are in the table: they leave memory.
func (t *Table) arrived(p *pending) {
	chunks, memory := p.chunks, p.memory
	t.mu.Lock()
	p.inTable = true
	p.chunks, p.rows, p.memory, p.split, p.files = nil, 0, 0, nil, nil
	t.committed = p.lastSeq
	t.mu.Unlock()
	t.answerFlushes(p.lastSeq, nil)
	for _, c := range chunks {
		t.Recycle(c)
	}
	t.release(memory)
}

// save brings the positions into the ledger, and how far the table has come if that may be forgotten there: see recallTxn. The log
// keeps the entries until then.
func (t *Table) save(p *pending) error {
	if len(p.positions) == 0 && !t.delta.Snapshot().ForgetsTxns() {
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

// manyPartitions is how many files one commit may make before the log says that they are many.
const manyPartitions = 1000

// maxCopied bounds the copies of rows that a file of a partition is made of, in bytes: with more of them it is several files.
const maxCopied = 128 << 20

// atOnce is how many data files are made durable at the same time: that is waiting for the disk, for the most part.
const atOnce = 8

// writeFiles writes the data files that are not written yet.
func (t *Table) writeFiles(ctx context.Context, p *pending) error {
	if p.split == nil {
		_ = t.adopt() // what does not fit the commit will find
		p.shape, p.parquet = t.shape.Load(), fileOptions(t.set.opts.Parquet, t.delta.Snapshot())
		p.split = p.shape.scheme.Split(p.chunks)
		t.warnOfMany(p.split.Partitions(), p.rows)
	}
	for {
		if err := t.writeSome(ctx, p); err != nil {
			p.split.Rewind()
			return err
		}
		if len(p.some) == 0 {
			return nil
		}
		p.files = append(p.files, p.some...)
		p.some = p.some[:0]
		p.split.Done()
	}
}

// warnOfMany tells the operator of a table whose partition columns have too many values, and again when they are twice as many.
// The rows are acknowledged: all their files are made, in one commit, because its txn stands for all of them.
func (t *Table) warnOfMany(partitions, rows int) {
	if partitions <= manyPartitions || partitions < 2*t.warned {
		return
	}
	t.warned = partitions
	t.log.Warn("one commit has a file for each of very many partitions; partition the table by columns with fewer values, or commit less often",
		"partitions", partitions, "rows", rows)
}

// writeSome writes the next files, some at once. After an error p.some has those that are durable, in their places; the next try
// passes over them.
func (t *Table) writeSome(ctx context.Context, p *pending) error {
	type file struct {
		lake.Writer
		at  int // in p.some
		add delta.Add
		err error
	}
	var files []file
	defer func() {
		for _, w := range files {
			w.Abort()
		}
	}()
	limit := min(maxCopied, t.set.opts.CommitBytes)
	for i := range atOnce {
		f, ok := p.split.Next(limit)
		if !ok {
			break
		}
		if i == len(p.some) {
			p.some = append(p.some, delta.Add{})
		} else if p.some[i].Path != "" {
			continue
		}
		name := f.Dir + t.newFile(p.lastSeq, &p.names, p.parquet)
		w, err := t.store.Create(ctx, name)
		if err != nil {
			return fmt.Errorf("create data file: %w", err)
		}
		files = append(files, file{Writer: w, at: i})
		res, err := parquetfile.Write(w, p.shape.scheme.Files(), f.Chunks, p.parquet)
		if err != nil {
			return fmt.Errorf("write data file %s: %w", name, err)
		}
		files[len(files)-1].add = delta.Add{
			Path: name, PartitionValues: f.Values, Size: res.Bytes, ModificationTime: t.set.now().UnixMilli(),
			DataChange: true, Stats: t.delta.Snapshot().Tight(res.Stats),
		}
	}
	var wg sync.WaitGroup
	for i := range files {
		wg.Go(func() { files[i].err = files[i].Commit() })
	}
	wg.Wait()
	var err error
	for i := range files {
		f := &files[i]
		if f.err == nil {
			p.some[f.at] = f.add
			continue
		}
		t.orphaned(f.add.Path)
		if err == nil {
			err = fmt.Errorf("write data file %s: %w", f.add.Path, f.err)
		}
	}
	return err
}
