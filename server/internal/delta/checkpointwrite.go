package delta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"

	"github.com/parquet-go/parquet-go"
)

const (
	checkpointRows      = 512     // that are made at a time
	checkpointGroupRows = 1 << 16 // of a row group: what is held in memory until it is packed
)

// Checkpoint writes the state of the current snapshot as a checkpoint (V1, one Parquet file), and the hint that names it. It is
// meant to run beside commits: it takes no turn, and holds up nobody. Nothing is written when the version has a checkpoint
// already. The error is ErrNoCheckpoint when the table's checkpoints are left to others; any other error leaves the log as it
// was, or with a whole checkpoint, and may be tried again.
func (t *Table) Checkpoint(ctx context.Context) (version int64, err error) {
	s := t.Snapshot()
	if s.Version <= t.checkpointed.Load() {
		return s.Version, nil
	}
	if err := s.checkpointable(); err != nil {
		return 0, t.wrap(err)
	}
	// A commit that was merely seen may still be taken back by a power cut; a checkpoint must not outlive it.
	if err := t.settle(ctx, t.tailPath(s.Version)); err != nil {
		return 0, t.wrap(fmt.Errorf("checkpoint of version %d: %w", s.Version, err))
	}
	err = t.writeCheckpoint(ctx, s)
	if err != nil && !errors.Is(err, fs.ErrExist) { // of the same state, by somebody else or by us before a crash
		return 0, t.wrap(fmt.Errorf("checkpoint of version %d: %w", s.Version, err))
	}
	t.checkpointed.Store(s.Version)
	return s.Version, nil
}

// SinceCheckpoint is how many versions came after the newest checkpoint that this Table has read or written.
func (t *Table) SinceCheckpoint() int64 { return t.Snapshot().Version - max(0, t.checkpointed.Load()) }

// checkpointable tells whether this writer can write all that the table's checkpoints must have.
func (s *Snapshot) checkpointable() error {
	if err := CheckWritable(s); err != nil {
		return fmt.Errorf("checkpoints: %w: %w", ErrNoCheckpoint, err)
	}
	_, hasJSON := s.property(statsAsJSON)
	switch {
	case s.lossy:
		return fmt.Errorf("checkpoints: the table has statistics in columns: %w", ErrNoCheckpoint)
	case hasJSON && !s.isTrue(statsAsJSON), s.isTrue(statsAsStruct):
		return fmt.Errorf("checkpoints: the table wants statistics in columns: %w", ErrNoCheckpoint)
	}
	return nil
}

// checkpointPath names the classic checkpoint of a version.
func checkpointPath(version int64) string {
	return fmt.Sprintf("%s%020d.checkpoint.parquet", logDir, version)
}

// writeCheckpoint writes the file and then the hint. A file that is there is never replaced: the error is fs.ErrExist.
func (t *Table) writeCheckpoint(ctx context.Context, s *Snapshot) error {
	w, err := t.store.Create(ctx, checkpointPath(s.Version))
	if err != nil {
		return err
	}
	defer w.Abort()
	out := &counter{w: w}
	rows, err := encodeCheckpoint(ctx, out, s, s.tombstones(t.now()), t.engine)
	if err != nil {
		return err
	}
	if err := w.Commit(); err != nil {
		return err
	}
	hint, err := json.Marshal(lastCheckpoint{Version: s.Version, Size: rows, SizeInBytes: out.n, NumOfAddFiles: int64(s.NumFiles())})
	if err == nil {
		err = t.store.Put(ctx, hintPath, hint)
	}
	if err != nil && ctx.Err() == nil { // readers find the checkpoint without it, and that the server ends is no fault
		t.log.WarnContext(ctx, "the checkpoint is written, the hint that names it is not", "version", s.Version, "err", err)
	}
	return nil
}

// lastCheckpoint is the hint (PROTOCOL.md, "Last Checkpoint File").
type lastCheckpoint struct {
	Version       int64 `json:"version"`
	Size          int64 `json:"size"` // actions
	SizeInBytes   int64 `json:"sizeInBytes"`
	NumOfAddFiles int64 `json:"numOfAddFiles"`
}

// counter counts what goes through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// encodeCheckpoint writes the file and returns the number of actions in it.
func encodeCheckpoint(ctx context.Context, out io.Writer, s *Snapshot, removes []Remove, engine string) (n int64, err error) {
	defer asError(&err)
	if slices.Contains(s.Protocol.WriterFeatures, "v2Checkpoint") {
		return encodeRows(ctx, out, rowsOfV2(s, removes), engine)
	}
	return encodeRows(ctx, out, rowsOf(s, removes), engine)
}

func encodeRows[R any](ctx context.Context, out io.Writer, rows iter.Seq[R], engine string) (n int64, err error) {
	w := parquet.NewGenericWriter[R](out,
		parquet.CreatedBy(engine, "", ""), parquet.Compression(&parquet.Snappy), parquet.DataPageVersion(1),
		parquet.DefaultEncodingFor(parquet.ByteArray, &parquet.Plain), parquet.MaxRowsPerRowGroup(checkpointGroupRows))
	batch := make([]R, 0, checkpointRows)
	flush := func() error {
		n += int64(len(batch))
		_, err := w.Write(batch)
		batch = batch[:0]
		return errors.Join(err, ctx.Err())
	}
	for row := range rows {
		batch = append(batch, row)
		if len(batch) == cap(batch) {
			if err := flush(); err != nil {
				return 0, err
			}
		}
	}
	if err := flush(); err != nil {
		return 0, err
	}
	return n, w.Close()
}
