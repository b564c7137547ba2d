package tablecheck

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// file is one live file while it is looked at.
type file struct {
	c       *checker
	add     *delta.Add
	version int64 // that brought it into the table
	rows    int64
	refused map[*field]bool // columns that are not in the file as they should be
}

func (f *file) fault(check, column, format string, args ...any) {
	f.c.report.fault(Fault{Check: check, Version: &f.version, File: f.add.Path, Column: column, Text: fmt.Sprintf(format, args...)})
}

func (f *file) unchecked(check, column, format string, args ...any) {
	f.c.report.unchecked(Unchecked{Check: check, File: f.add.Path, Column: column, Reason: fmt.Sprintf(format, args...)})
}

// content checks what is in the file: its columns, and their values.
func (f *file) content(ctx context.Context, r lake.Reader) error {
	counted := &watched{ctx: ctx, r: r, size: r.Size()}
	p, err := open(counted, r.Size())
	if counted.err != nil {
		return counted.err
	}
	if errors.Is(err, errUnread) {
		f.unchecked(Schema, "", "%v", err)
		return nil
	}
	if err != nil {
		f.fault(Schema, "", "%v", err)
		return nil
	}
	f.c.report.result(Schema).Looked++
	f.rows = p.NumRows()
	f.c.report.Rows += f.rows
	f.cardinality()
	leaves := f.audit(p)
	stats := f.parseStats()
	if f.c.o.Quick {
		f.compareRows(stats)
		return nil
	}
	if err := f.scan(p, leaves); err != nil {
		if counted.err != nil {
			return counted.err
		}
		if errors.Is(err, errUnread) {
			f.unchecked(Values, "", "%v", err)
			return nil
		}
		f.fault(Values, "", "%v", err)
		return nil
	}
	f.c.report.result(Values).Looked += f.rows
	f.compareRows(stats)
	f.compare(stats, leaves)
	return nil
}

// watched tells errors of the store from those of the file's content.
type watched struct {
	ctx  context.Context
	r    io.ReaderAt
	size int64
	err  error
}

func (w *watched) ReadAt(p []byte, at int64) (int, error) {
	if err := w.ctx.Err(); err != nil {
		w.err = err
		return 0, err
	}
	if at < 0 || at > w.size {
		return 0, fmt.Errorf("the file is damaged: it points to byte %d of %d", at, w.size)
	}
	n, err := w.r.ReadAt(p, at)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// errUnread is of what is sound for all that is known, but is not read here.
var errUnread = errors.New("not read here")

const (
	magic = "PAR1"

	// maxFooter bounds the footer, in bytes: memory is taken for what its length says, which a file with holes bears out for free.
	maxFooter = 256 << 20
)

// open reads the footer, after a look at the length that it gives for itself, for which the library would make room.
func open(r io.ReaderAt, size int64) (p *parquet.File, err error) {
	defer asError(&err)
	const trailer = int64(4 + len(magic))
	end := make([]byte, trailer)
	if size < trailer+int64(len(magic)) {
		return nil, fmt.Errorf("%d bytes are too few for a Parquet file", size)
	}
	if n, err := r.ReadAt(end, size-trailer); n < len(end) {
		return nil, fmt.Errorf("read the end of the file: %w", err)
	}
	switch string(end[4:]) {
	case magic:
	case "PARE":
		return nil, fmt.Errorf("the file is encrypted: %w", errUnread)
	default:
		return nil, errors.New("the file does not end as a Parquet file")
	}
	switch n := int64(binary.LittleEndian.Uint32(end)); {
	case n > size-trailer-int64(len(magic)):
		return nil, fmt.Errorf("the footer of %d bytes does not fit into a file of %d bytes", n, size)
	case n > maxFooter:
		return nil, fmt.Errorf("the footer has %d bytes, more than the limit of %d: %w", n, maxFooter, errUnread)
	}
	return parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
}

// asError makes an error of a panic: that is how the library meets some damages.
func asError(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the file is damaged: %v", p)
	}
}
