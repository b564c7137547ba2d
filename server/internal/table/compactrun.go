package table

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/zerobus-go/zerobus/server/internal/delta"
)

// CompactOptions are what somebody wants who asks for a compaction. Zero values mean the defaults.
type CompactOptions struct {
	Target   int64 // size in bytes that files are rewritten to at most; smaller ones are candidates. Default 128 MiB
	MinFiles int   // the least number of files that are rewritten into one; default and least 2
	DryRun   bool  // tell what would be rewritten, and change nothing

	// Progress is told how far it has come, from the goroutine of the caller. It may be nil.
	Progress func(CompactProgress)
}

// CompactProgress is how far a compaction has come.
type CompactProgress struct {
	Files, FilesDone int
	Bytes, BytesDone int64 // of these files
}

// CompactResult is what a compaction has done, or would do.
type CompactResult struct {
	Version      int64 // of the table afterwards
	FilesRemoved int
	FilesAdded   int
	BytesRemoved int64
	BytesAdded   int64 // 0 in a dry run
	Files        int   // of the table afterwards
	Left         int   // files that could not be rewritten
	Conflicts    int   // rewrites that gave way to another writer
}

// So many files, or so many bytes of them, are committed together: a partitioned table has a group for each partition, and must not get
// a version for each.
const (
	swapsOfCommit = 100
	bytesOfCommit = 128 << 20
)

// run rewrites what a plan finds. A file that cannot be rewritten is logged, and its group is planned anew, without it. Groups that
// conflict with another writer are passed over. Any other error ends the run.
func (c *compactor) run(ctx context.Context, choose func() compactPlan, auto bool, m *rowMover, progress func(CompactProgress)) (res CompactResult, err error) {
	if err := c.delta.Refresh(ctx); err != nil {
		return res, err
	}
	if err := c.sweep(ctx); err != nil {
		return res, err
	}
	for again := true; again; {
		groups, shape, err := c.plan(c.delta.Snapshot(), choose())
		if err != nil {
			return res, err
		}
		m.moved = follow(&res, groups, progress)
		if again, err = c.rewrite(ctx, shape, groups, auto, m, &res); err != nil {
			return res, err
		}
	}
	snap := c.delta.Snapshot()
	res.Version, res.Files = snap.Version, snap.NumFiles()
	return res, c.sweep(ctx) // by its own commits the fate of earlier files may be known
}

// rewrite rewrites groups of files. again: some were left, and what is with them may be planned anew.
func (c *compactor) rewrite(ctx context.Context, shape *Shape, groups [][]delta.Add, auto bool, m *rowMover, res *CompactResult) (again bool, err error) {
	var staged []delta.Swap
	size := int64(0)
	put := func() error {
		n, err := c.put(ctx, shape, staged, auto, res.add)
		res.Conflicts += n
		staged, size = nil, 0
		return err
	}
	for _, g := range groups {
		swap, err := c.stage(ctx, shape, g, m)
		if bad, ok := errors.AsType[*unreadable](err); ok {
			for _, path := range bad.paths {
				c.left[path] = true
			}
			res.Left += len(bad.paths)
			again = true
			c.log.Warn("small files are left as they are: their rows cannot be rewritten", "files", len(bad.paths), "err", err)
			continue
		}
		if err != nil {
			c.discard(ctx, staged...)
			return false, err
		}
		staged = append(staged, swap)
		if size += swap.Add.Size; len(staged) == swapsOfCommit || size >= bytesOfCommit {
			if err := put(); err != nil {
				return false, err
			}
		}
	}
	return again, put()
}

// add counts a swap that was committed.
func (r *CompactResult) add(s delta.Swap) {
	n, size := sizeOf(s.Remove)
	r.FilesRemoved, r.BytesRemoved = r.FilesRemoved+n, r.BytesRemoved+size
	r.FilesAdded, r.BytesAdded = r.FilesAdded+1, r.BytesAdded+s.Add.Size
}

// follow tells how far the rewriting of groups has come: at once, and with each file that the function it returns is told of.
func follow(res *CompactResult, groups [][]delta.Add, progress func(CompactProgress)) (moved func(bytes int64)) {
	if progress == nil {
		return nil
	}
	p := CompactProgress{Files: res.FilesRemoved, FilesDone: res.FilesRemoved, Bytes: res.BytesRemoved, BytesDone: res.BytesRemoved}
	for _, g := range groups {
		n, size := sizeOf(g)
		p.Files, p.Bytes = p.Files+n, p.Bytes+size
	}
	progress(p)
	return func(bytes int64) {
		p.FilesDone++
		p.BytesDone += bytes
		progress(p)
	}
}

// plan is what there is to do. The error wraps delta.ErrUnsupported for a table that cannot be compacted.
func (c *compactor) plan(snap *delta.Snapshot, p compactPlan) ([][]delta.Add, *Shape, error) {
	if err := delta.CheckWritable(snap); err != nil {
		return nil, nil, err
	}
	if snap.RowTracking() {
		return nil, nil, fmt.Errorf("%w: rowTracking: rows that move to other files would lose their ids", delta.ErrUnsupported)
	}
	shape, err := newShape(snap)
	if err != nil {
		return nil, nil, err
	}
	return p.groups(snap), shape, nil
}

func sizeOf(files []delta.Add) (n int, size int64) {
	for i := range files {
		size += files[i].Size
	}
	return len(files), size
}

// optimize is a run that somebody asked for.
func (c *compactor) optimize(ctx context.Context, o CompactOptions) (res CompactResult, err error) {
	if o.Target < 0 || o.MinFiles < 0 {
		return res, fmt.Errorf("a target of %d bytes or groups of %d files are not possible", o.Target, o.MinFiles)
	}
	set := Compaction{Target: o.Target}.withDefaults()
	choose := func() compactPlan {
		least := max(2, o.MinFiles)
		return compactPlan{small: set.Target, target: set.Target, minFiles: least, minClosed: least, until: math.MaxInt64, leave: c.leave}
	}
	if err := c.take(ctx); err != nil {
		return res, err
	}
	defer c.give()
	clear(c.left) // perhaps somebody has mended them
	if o.DryRun {
		if err := c.delta.Refresh(ctx); err != nil {
			return res, err
		}
		snap := c.delta.Snapshot()
		groups, _, err := c.plan(snap, choose())
		for _, g := range groups {
			n, size := sizeOf(g)
			res.FilesRemoved, res.BytesRemoved, res.FilesAdded = res.FilesRemoved+n, res.BytesRemoved+size, res.FilesAdded+1
		}
		res.Version, res.Files = snap.Version, snap.NumFiles()-res.FilesRemoved+res.FilesAdded
		return res, err
	}
	limit, release, err := c.reserve(ctx)
	if err != nil {
		return res, err
	}
	defer release()
	return c.run(ctx, choose, false, &rowMover{limit: limit}, o.Progress)
}
