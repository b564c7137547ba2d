package parquetfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// chunkRows is how many rows ReadChunks decodes at a time.
const chunkRows = 1 << 10

// ReadChunks reads the file's first limit rows, or all with a negative limit, in order and in chunks of up to 1,024 rows with
// all columns of the table. Columns and fields are found by name; what the file does not have is null. A column whose physical
// type is not the one that Write gives it is an error, except that decimals may have any of Parquet's forms. Lists and maps may have
// the older forms that the format knows; variants must not be shredded. The chunk is the callback's to read until it returns. An
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
	if n := int64(binary.LittleEndian.Uint32(end[:])); n > size-trailer-int64(len(magic)) {
		return nil, fmt.Errorf("the footer of %d bytes does not fit into a file of %d bytes", n, size)
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
	sources = make([]*source, len(t.columns))
	for i, n := range t.columns {
		if sources[i], err = t.sourceOf(f, n); err != nil {
			return nil, err
		}
	}
	return sources, nil
}

// readRowGroup gives the group's rows to chunk, by way of c, and their number.
func readRowGroup(g parquet.RowGroup, sources []*source, c *column.Chunk, limit int, chunk func(*column.Chunk) error) (int, error) {
	r := newRowReader(len(g.ColumnChunks()), sources)
	r.rows = g.Rows()
	defer r.rows.Close()
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

// rowReader turns rows of a file into rows of a chunk.
type rowReader struct {
	rows     parquet.Rows
	flat     []*source // by the file's columns; nil: it is of no flat column
	nested   []*source
	cells    cells // of the current row
	buf      []parquet.Row
	nullable []bool // all false: a reader takes what the file has
}

// newRowReader makes a reader of rows of a file of so many columns.
func newRowReader(files int, sources []*source) *rowReader {
	r := &rowReader{flat: make([]*source, files), cells: make(cells, files), buf: make([]parquet.Row, chunkRows), nullable: make([]bool, len(sources))}
	for _, s := range sources {
		switch {
		case s == nil:
		case s.leaf != nil:
			r.flat[s.files[0]] = s
		default:
			r.nested = append(r.nested, s)
		}
	}
	return r
}

// read puts the next rows, up to n, into the emptied chunk; none at the end.
func (r *rowReader) read(c *column.Chunk, n int) (err error) {
	defer asError(&err)
	c.Reset()
	got, err := r.rows.ReadRows(r.buf[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, row := range r.buf[:got] {
		if err := r.row(c, row); err != nil {
			return err
		}
		c.EndRow(r.nullable)
	}
	return nil
}

// row adds the values of a row, which come column after column, to those of the chunk that the file has.
func (r *rowReader) row(c *column.Chunk, row parquet.Row) error {
	clear(r.cells)
	for i := 0; i < len(row); {
		file := row[i].Column()
		if s := r.flat[file]; s != nil {
			if err := appendValue(&c.Cols[s.node.kid], s.leaf, row[i]); err != nil {
				return err
			}
			if i++; i < len(row) && row[i].Column() == file {
				return fmt.Errorf("the file is damaged: column %s has values behind the end of a row", s.node.path)
			}
			continue
		}
		first := i
		for i++; i < len(row) && row[i].Column() == file; i++ {
		}
		r.cells[file] = row[first:i]
	}
	for _, s := range r.nested {
		if err := r.cells.move(s, &c.Cols[s.node.kid]); err != nil {
			return err
		}
		for _, file := range s.files {
			if len(r.cells[file]) > 0 {
				return fmt.Errorf("the file is damaged: column %s has values behind the end of a row", s.node.path)
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
