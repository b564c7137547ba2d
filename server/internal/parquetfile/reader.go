package parquetfile

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// ReadChunks decodes this many rows at a time, or fewer when their values take so many bytes. A null counts as minValue, too.
const (
	chunkRows  = 1 << 10
	chunkBytes = 8 << 20
	minValue   = 8
)

// maxFooter bounds what is read before anything is known of a file, in bytes. A thousand columns in a thousand row groups take less.
const maxFooter = 256 << 20

// ReadChunks reads the file's first limit rows, or all with a negative limit, in order and in chunks of up to 1,024 rows, or of 8 MiB and one row, with
// all columns of the table. Columns and fields are found by name, or by id where [ByIDKey] says so; what the file does not have is null. A column whose physical
// type is not the one that Write gives it is an error, except that decimals may have any of Parquet's forms. Lists and maps may have
// the older forms that the format knows; variants must not be shredded; LZ4_RAW and booleans in RLE are refused. The chunk is the callback's to read until it returns. An
// error of the callback ends the reading and is returned as it is.
//
// The file is trusted to be one that a writer of the table made: damage is found by checksums and is an error, but a file
// that is forged can make the library take much memory.
func ReadChunks(r io.ReaderAt, size int64, table *schema.Struct, limit int, chunk func(*column.Chunk) error) error {
	t, err := treeOf(table)
	if err != nil {
		return err
	}
	f, err := open(r, size)
	if err != nil {
		return err
	}
	sources, err := sourcesOf(f, t)
	if err != nil {
		return err
	}
	c, err := column.NewChunk(table)
	if err != nil {
		return err
	}
	for _, g := range f.RowGroups() {
		if limit == 0 {
			break
		}
		n, err := readRowGroup(g, sources, c, limit, chunk)
		if err != nil {
			return err
		}
		if limit > 0 {
			limit -= n
		}
	}
	return nil
}

// open reads the footer, after a look at the length that it gives for itself: the library would allocate whatever it says.
func open(r io.ReaderAt, size int64) (f *parquet.File, err error) {
	defer asError(&err)
	const trailer = 8 // the footer's length and the magic
	var end [trailer]byte
	if size < int64(len(magic))+trailer {
		return nil, fmt.Errorf("%d bytes are too few for a Parquet file", size)
	}
	if n, err := r.ReadAt(end[:], size-trailer); n < trailer {
		return nil, fmt.Errorf("read the end of the file: %w", err)
	}
	switch n := int64(binary.LittleEndian.Uint32(end[:])); {
	case n > size-trailer-int64(len(magic)):
		return nil, fmt.Errorf("the footer of %d bytes does not fit into a file of %d bytes", n, size)
	case n > maxFooter:
		return nil, fmt.Errorf("the footer of %d bytes is more than the limit of %d", n, maxFooter)
	}
	return parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
}

// asError turns a panic of the library into an error: that is how it meets some damages of a footer or a page header. Page
// bodies have checksums, which it checks. It is deferred around the library's work only, never around a callback.
func asError(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the file is damaged: %v", p)
	}
}

// sourcesOf finds the table's columns in a file; nil where there is none.
func sourcesOf(f *parquet.File, t *tree) (sources []*source, err error) {
	defer asError(&err)
	if err := t.checkIDs(f); err != nil {
		return nil, err
	}
	sources = make([]*source, len(t.columns))
	for i, n := range t.columns {
		if sources[i], err = t.sourceOf(f, n); err != nil {
			return nil, err
		}
		if err := checkStorage(f, sources[i]); err != nil {
			return nil, err
		}
	}
	return sources, nil
}

// readRowGroup gives the group's rows to chunk, by way of c, and their number.
func readRowGroup(g parquet.RowGroup, sources []*source, c *column.Chunk, limit int, chunk func(*column.Chunk) error) (int, error) {
	r := newRowReader(g, sources)
	defer r.close()
	n := 0
	for limit < 0 || n < limit {
		want := chunkRows
		if limit > 0 {
			want = min(want, limit-n)
		}
		if err := r.read(c, want); err != nil {
			return n, err
		}
		if c.Rows == 0 {
			break
		}
		n += c.Rows
		if err := chunk(c); err != nil {
			return n, err
		}
	}
	return n, nil
}

// rowReader turns the rows of a row group into rows of a chunk.
type rowReader struct {
	sources  []*source
	cells    cells
	left     int64
	nullable []bool // all false: a reader takes what the file has
}

func newRowReader(g parquet.RowGroup, sources []*source) *rowReader {
	return &rowReader{sources: sources, cells: feedsOf(g, sources), left: g.NumRows(), nullable: make([]bool, len(sources))}
}

func (r *rowReader) close() {
	for i := range r.cells.feeds {
		r.cells.feeds[i].close()
	}
}

// read puts the next rows, up to n, into the emptied chunk; fewer when they are large, none at the end.
func (r *rowReader) read(c *column.Chunk, n int) (err error) {
	defer asError(&err)
	c.Reset()
	r.cells.taken = 0
	for ; n > 0 && r.left > 0 && r.cells.taken < chunkBytes; n-- {
		for i, s := range r.sources {
			if s == nil {
				continue
			}
			if err := r.cells.row(s, &c.Cols[i]); err != nil {
				return err
			}
		}
		c.EndRow(r.nullable)
		if r.left--; r.left > 0 {
			continue
		}
		for _, s := range r.sources {
			if s == nil {
				continue
			}
			if err := r.cells.end(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func appendValue(v *column.Vector, l *leaf, x parquet.Value) error {
	if x.IsNull() {
		v.AppendNull()
		return nil
	}
	switch l.layout {
	case column.Bool:
		v.AppendBool(x.Boolean())
	case column.Int32:
		v.AppendInt32(x.Int32())
	case column.Int64:
		v.AppendInt64(x.Int64())
	case column.Float32:
		v.AppendFloat32(x.Float())
	case column.Float64:
		v.AppendFloat64(x.Double())
	case column.Bytes:
		v.AppendBytes(x.ByteArray())
	case column.Int128:
		var d int128
		switch x.Kind() {
		case parquet.Int32:
			d = fromInt64(int64(x.Int32()))
		case parquet.Int64:
			d = fromInt64(x.Int64())
		default:
			p := x.ByteArray()
			if len(p) > 16 {
				return fmt.Errorf("column %s: a decimal of %d bytes, more than 16", l.path, len(p))
			}
			d = fromBigEndian(p)
		}
		v.AppendDecimal(column.Decimal128(d))
	}
	return nil
}
