package table

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
)

// compactor rewrites small files of one table into larger ones. A rewrite is
//
//  1. a note of the new file's name, durable in the ledger,
//  2. the file,
//  3. the commit that puts it in the place of the old files, together with others, since a partitioned table has many,
//  4. the end of the note.
//
// Between 2 and 3 the file is one that no commit names; if the process ends there, the note tells, and the file is deleted later: see
// sweep. The name says nothing of the log, so that the sweep of orphans, which goes by names, never takes it for rows that are
// in no commit.
//
// One run at a time has the turn.
type compactor struct {
	id      [16]byte
	store   lake.Store
	delta   *delta.Table
	ledger  Rewrites
	parquet parquetfile.Options
	now     func() time.Time
	log     *slog.Logger
	counts  *compactCounters
	reserve func(ctx context.Context) (bytes int, release func(), err error) // of memory for rows
	timeout time.Duration                                                    // of a commit

	turn chan struct{}   // holds a token; who takes it owns the following
	left map[string]bool // files that cannot be rewritten

	mu    sync.Mutex // guards the following; only who has the turn changes it
	begun []rewrite
}

// Rewrites keeps the names of files that compactions make, across crashes. A [ledger.Ledger] does.
type Rewrites interface {
	SetRewrites(table [16]byte, names []string) error
}

// rewrite is a data file that a compaction makes, or has made, while it is not known whether a commit names it. Such a commit would
// have a version up to the one after until.
type rewrite struct {
	name  string
	until int64
}

// underWay is the until of a file that is being made.
const underWay = math.MaxInt64 - 1

// newCompactor makes the compactor of a table. known are the names that the ledger has.
func newCompactor(id [16]byte, store lake.Store, d *delta.Table, l Rewrites, known []string, o Options) *compactor {
	c := &compactor{
		id: id, store: store, delta: d, ledger: l, parquet: o.Parquet, now: o.Now, log: o.Logger, timeout: o.CommitTimeout,
		counts: new(compactCounters), turn: make(chan struct{}, 1), left: map[string]bool{},
	}
	for _, name := range known {
		c.begun = append(c.begun, rewrite{name, d.Snapshot().Version})
	}
	c.turn <- struct{}{}
	return c
}

// take waits for the turn.
func (c *compactor) take(ctx context.Context) error {
	select {
	case <-c.turn:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *compactor) give() { c.turn <- struct{}{} }

// leave tells whether a file is known to be none that can be rewritten.
func (c *compactor) leave(path string) bool { return c.left[path] }

// Staged gives the names of the data files that compactions have made, or are making, while no commit may name them yet.
func (c *compactor) staged() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := make([]string, len(c.begun))
	for i := range c.begun {
		names[i] = c.begun[i].name
	}
	return names
}

// note changes the list of files and makes it durable. After an error the change has happened in memory.
func (c *compactor) note(change func([]rewrite) []rewrite) error {
	c.mu.Lock()
	c.begun = change(c.begun)
	c.mu.Unlock()
	return c.ledger.SetRewrites(c.id, c.staged())
}

// forget ends the notes of files. It is no fault when that fails: the next sweep finds out.
func (c *compactor) forget(names ...string) {
	err := c.note(func(r []rewrite) []rewrite {
		return slices.DeleteFunc(r, func(r rewrite) bool { return slices.Contains(names, r.name) })
	})
	if err != nil {
		c.log.Warn("the ledger still has the names of rewritten files", "files", len(names), "err", err)
	}
}

// keep has files judged by a later sweep.
func (c *compactor) keep(names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.begun {
		if slices.Contains(names, c.begun[i].name) {
			c.begun[i].until = c.delta.Snapshot().Version
		}
	}
}

// sweep finds out what became of files of earlier runs. One that the table names, or has named as its tombstones tell, is in order.
// One that it does not name is deleted, when no commit that names it can come any more, because its version is another one.
func (c *compactor) sweep(ctx context.Context) error {
	s := c.delta.Snapshot()
	settled := false
	for _, r := range slices.Clone(c.begun) {
		switch {
		case s.Mentions(r.name):
			// It was seen, but a power cut may still take the commit back that names it, and nothing would tell of the file then.
			if !settled {
				if err := c.delta.Settle(ctx); err != nil {
					return err
				}
				settled = true
			}
			c.forget(r.name)
		case s.Version > r.until:
			if err := c.delete(ctx, r.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// delete deletes a file that no commit names.
func (c *compactor) delete(ctx context.Context, name string) error {
	if err := c.store.Delete(ctx, name); err != nil {
		return fmt.Errorf("delete %s, which no commit names: %w", name, err)
	}
	c.counts.deleted.Add(1)
	c.log.Info("a data file without a commit was deleted", "file", name)
	c.forget(name)
	return nil
}

// stage writes the rows of the files into one, which waits for its commit then.
func (c *compactor) stage(ctx context.Context, shape *Shape, files []delta.Add, w *rowMover) (delta.Swap, error) {
	start := c.now()
	if err := w.examine(ctx, c.store, shape, files); err != nil {
		return delta.Swap{}, err
	}
	name := shape.scheme.Dir(files[0].PartitionValues) + parquetfile.NewName(uuid.New(), fileOptions(c.parquet, shape.base))
	if err := c.note(func(r []rewrite) []rewrite { return append(r, rewrite{name, underWay}) }); err != nil {
		c.forget(name)
		return delta.Swap{}, fmt.Errorf("note the file to be written: %w", err)
	}
	add, written, err := c.write(ctx, name, shape, files, w)
	switch {
	case err == nil:
		c.log.Debug("files rewritten", "files", len(files), "bytes", add.Size, "file", name, "took", c.now().Sub(start))
		return delta.Swap{Remove: files, Add: add}, nil
	case written:
		c.discard(ctx, delta.Swap{Add: delta.Add{Path: name}})
	default:
		c.forget(name)
	}
	return delta.Swap{}, err
}

// discard deletes files that no commit names, nor will.
func (c *compactor) discard(ctx context.Context, swaps ...delta.Swap) {
	for i := range swaps {
		name := swaps[i].Add.Path
		c.keep(name)
		if ctx.Err() != nil {
			continue // a later sweep does it
		}
		if err := c.delete(ctx, name); err != nil {
			c.log.Warn("a rewritten file is not deleted yet", "file", name, "err", err)
		}
	}
}

// put commits what was staged, and tells how many swaps gave way to another writer. When there are such, the others are tried one by
// one.
func (c *compactor) put(ctx context.Context, shape *Shape, swaps []delta.Swap, auto bool, done func(delta.Swap)) (conflicts int, err error) {
	if len(swaps) == 0 {
		return 0, nil
	}
	err = c.commit(ctx, delta.Replacement{Swaps: swaps, Base: shape.base, Auto: auto})
	switch {
	case err == nil:
		names := make([]string, len(swaps))
		for i := range swaps {
			names[i] = swaps[i].Add.Path
			c.counts.rewrote(swaps[i].Remove, swaps[i].Add.Size)
			done(swaps[i])
		}
		c.forget(names...)
		return 0, nil
	case errors.Is(err, delta.ErrConflict) && len(swaps) > 1:
		for i := range swaps {
			n, err := c.put(ctx, shape, swaps[i:i+1], auto, done)
			if conflicts += n; err != nil {
				c.discard(ctx, swaps[i+1:]...)
				return conflicts, err
			}
		}
		return conflicts, nil
	case errors.Is(err, delta.ErrConflict):
		c.counts.conflicts.Add(1)
		c.log.Info("a compaction gave way to another writer of the table", "err", err)
		c.discard(ctx, swaps...)
		return 1, nil
	case errors.Is(err, delta.ErrUndecided):
		for i := range swaps {
			c.keep(swaps[i].Add.Path)
		}
	default:
		c.discard(ctx, swaps...)
	}
	return 0, err
}

// commit commits a replacement. It has no more time than a commit of rows, which waits for its turn meanwhile.
func (c *compactor) commit(ctx context.Context, r delta.Replacement) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	_, err := c.delta.Replace(ctx, r)
	return err
}

// write writes the file and makes it durable. written says that it may be there, also after an error.
func (c *compactor) write(ctx context.Context, name string, shape *Shape, files []delta.Add, w *rowMover) (add delta.Add, written bool, err error) {
	out, err := c.store.Create(ctx, name)
	if err != nil {
		return add, false, fmt.Errorf("create data file: %w", err)
	}
	defer out.Abort()
	res, err := w.move(ctx, out, c.store, shape, files, fileOptions(c.parquet, shape.base))
	if err != nil {
		return add, false, err
	}
	if err := out.Commit(); err != nil {
		return add, true, fmt.Errorf("write data file %s: %w", name, err)
	}
	at := int64(math.MinInt64)
	for i := range files {
		at = max(at, insertedAt(&files[i]))
	}
	return delta.Add{
		Path: name, PartitionValues: files[0].PartitionValues, Size: res.Bytes, ModificationTime: c.now().UnixMilli(),
		Stats: shape.base.Tight(res.Stats), Tags: map[string]*string{insertionTime: new(strconv.FormatInt(at, 10))},
	}, true, nil
}
