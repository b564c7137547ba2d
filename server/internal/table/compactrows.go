package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
)

// rowMover copies the rows of files into one file. Whatever the files are, it holds the rows of one row group, and what the reader
// holds, which is a page of each column.
type rowMover struct {
	limit int   // bytes that the rows of a row group hold
	duty  *duty // nil: without pauses

	moved func(bytes int64) // told of each file that was read; may be nil
}

// unreadable is a file that is not rewritten because its rows cannot be had, or would not be the same ones.
type unreadable struct {
	paths []string
	err   error
}

func (e *unreadable) Error() string {
	if len(e.paths) == 1 {
		return fmt.Sprintf("file %s: %v", e.paths[0], e.err)
	}
	return fmt.Sprintf("one of %d files from %s on: %v", len(e.paths), e.paths[0], e.err)
}

func (e *unreadable) Unwrap() error { return e.err }

// move writes the rows of the files, in order. The error is an *unreadable when it is a file's fault.
func (m *rowMover) move(ctx context.Context, out io.Writer, store lake.Store, shape *Shape, files []delta.Add, o parquetfile.Options) (parquetfile.Result, error) {
	sink := &watchedWriter{w: out}
	w, err := parquetfile.NewWriter(sink, shape.scheme.Files(), o)
	if err != nil {
		return parquetfile.Result{}, err
	}
	g := gathered{table: shape.scheme.Files()}
	// What the writer refuses is in one of the files, unless the output failed.
	flush := func() error {
		err := w.Write(g.chunks...)
		g.chunks, g.bytes = nil, 0
		if err == nil || sink.err != nil {
			return err
		}
		bad := &unreadable{err: err}
		for i := range files {
			bad.paths = append(bad.paths, files[i].Path)
		}
		return bad
	}
	rows := int64(0)
	for i := range files {
		n, err := m.read(ctx, store, shape, &files[i], func(c *column.Chunk) error {
			if err := g.add(c); err != nil {
				return err
			}
			if g.bytes >= m.limit {
				if err := flush(); err != nil {
					return err
				}
			}
			return m.duty.rest(ctx)
		})
		if err != nil {
			return parquetfile.Result{}, err
		}
		rows += n
		if m.moved != nil {
			m.moved(files[i].Size)
		}
	}
	if err := flush(); err != nil {
		return parquetfile.Result{}, err
	}
	res, err := w.Close()
	if err == nil && res.Rows != rows {
		err = fmt.Errorf("the file has %d rows, %d were read", res.Rows, rows)
	}
	return res, err
}

// examine looks at the files before their rows are read: each must be there and mean what it says. The error names all that do not.
func (m *rowMover) examine(ctx context.Context, store lake.Store, shape *Shape, files []delta.Add) error {
	var bad *unreadable
	for i := range files {
		f := &files[i]
		err := withFile(ctx, store, f, func(r io.ReaderAt) error {
			return parquetfile.CheckMeaning(r, f.Size, shape.scheme.Files())
		})
		one, isBad := errors.AsType[*unreadable](err)
		switch {
		case isBad && bad == nil:
			bad = one
		case isBad:
			bad.paths = append(bad.paths, one.paths...)
		case err != nil:
			return err
		}
		if err := m.duty.rest(ctx); err != nil {
			return err
		}
	}
	if bad != nil {
		return bad
	}
	return nil
}

// withFile opens a file for f. An error of f is the file's fault, unless the store failed or ctx has ended.
func withFile(ctx context.Context, store lake.Store, f *delta.Add, use func(io.ReaderAt) error) error {
	bad := func(err error) error { return &unreadable{[]string{f.Path}, err} }
	name, err := url.PathUnescape(f.Path)
	if err != nil {
		return bad(err)
	}
	file, err := store.Open(ctx, name)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrInvalid):
		return bad(err)
	case err != nil:
		return err
	}
	defer file.Close()
	if file.Size() != f.Size {
		return bad(fmt.Errorf("it has %d bytes, the log says %d", file.Size(), f.Size))
	}
	r := &watchedReader{r: file}
	err = use(r)
	switch {
	case err == nil:
		return nil
	case r.err != nil:
		return fmt.Errorf("read %s: %w", f.Path, r.err)
	case ctx.Err() != nil:
		return err
	}
	return bad(err)
}

// read gives the rows of a file that was examined, and their number.
func (m *rowMover) read(ctx context.Context, store lake.Store, shape *Shape, f *delta.Add, chunk func(*column.Chunk) error) (rows int64, err error) {
	table := shape.scheme.Files()
	var sinkErr error
	err = withFile(ctx, store, f, func(r io.ReaderAt) error {
		err := parquetfile.ReadChunks(r, f.Size, table, -1, func(c *column.Chunk) error {
			if err := checkNulls(c, table); err != nil {
				return err
			}
			rows += int64(c.Rows)
			sinkErr = chunk(c)
			return sinkErr
		})
		if err != nil {
			return err
		}
		var stats struct {
			NumRecords *int64 `json:"numRecords"`
		}
		if json.Unmarshal([]byte(f.Stats), &stats) == nil && stats.NumRecords != nil && *stats.NumRecords != rows {
			return fmt.Errorf("it has %d rows, its statistics say %d", rows, *stats.NumRecords)
		}
		return nil
	})
	if sinkErr != nil {
		return 0, sinkErr
	}
	return rows, err
}

// checkNulls reports a null in a column that has none: such files were written before the column was so, or wrongly.
func checkNulls(c *column.Chunk, table *schema.Struct) error {
	for i := range table.Fields {
		if f := &table.Fields[i]; !f.Nullable && c.Cols[i].Nulls > 0 {
			return fmt.Errorf("column %s is NOT NULL, and the file has nulls there", f.Name)
		}
	}
	return nil
}

// gatheredBytes is the size of a chunk, since a chunk grows by copying itself.
const gatheredBytes = 4 << 20

// gathered is copies of rows that wait for their row group.
type gathered struct {
	table  *schema.Struct
	chunks []*column.Chunk
	bytes  int // that they hold
}

func (g *gathered) add(c *column.Chunk) error {
	var tail *column.Chunk
	if n := len(g.chunks); n > 0 {
		tail = g.chunks[n-1]
	}
	if tail == nil || tail.WeightWith(c) > gatheredBytes {
		var err error
		if tail, err = column.NewChunk(g.table); err != nil {
			return err
		}
		g.chunks = append(g.chunks, tail)
		g.bytes += int(frame(tail))
	}
	before := tail.Held()
	tail.AppendChunk(c)
	g.bytes += tail.Held() - before
	return nil
}

// watchedReader remembers the error of the store, which the library gives in words of its own.
type watchedReader struct {
	r   io.ReaderAt
	err error
}

func (w *watchedReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) && w.err == nil {
		w.err = err
	}
	return n, err
}

// watchedWriter remembers that the output has failed.
type watchedWriter struct {
	w   io.Writer
	err error
}

func (w *watchedWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

// shift is how long work goes on before it pauses.
const shift = 50 * time.Millisecond

// duty has work in the background pause after each piece for as long as that took, a second at most. Nil never pauses.
type duty struct {
	now   func() time.Time
	since time.Time
}

// rest pauses when it is time to. The error is that of ctx.
func (d *duty) rest(ctx context.Context) error {
	if d == nil {
		return ctx.Err()
	}
	if d.since.IsZero() {
		d.since = d.now()
	}
	worked := d.now().Sub(d.since)
	if worked < shift {
		return ctx.Err()
	}
	if err := pauseFor(ctx, min(worked, time.Second)); err != nil {
		return err
	}
	d.since = d.now()
	return nil
}

// pauseFor waits, or until ctx ends.
func pauseFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
