package delta

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Bounds on what a Parquet file of the log may claim, so that a damaged one costs an error and no memory. Real checkpoints are
// far below: pages have about a megabyte, and of a file's row there is a path with a random name.
const (
	maxPageBytes  = 256 << 20 // of one page, unpacked
	maxPageValues = 16 << 20  // of one page, nulls included
	minUnpacked   = 64 << 20  // what any file may unpack to, in bytes
	maxExpansion  = 100       // and how many times its own size a larger one
)

// columns reads the columns of a Parquet file one by one. Columns are found by name; those that nobody asks for cost nothing.
// The library's panics, which is how it meets some damages, are for the caller to catch with asError.
type columns struct {
	data   []byte
	file   *parquet.File
	group  int               // the row group that is read
	budget int64             // bytes that may still be unpacked, and then kept as text
	names  map[string]string // map keys that were seen: they are the same in every row
}

// openColumns reads the footer, after a look at the length that it gives for itself.
func openColumns(data []byte) (*columns, error) {
	const magic, trailer = 4, 8
	size := int64(len(data))
	if size < magic+trailer {
		return nil, fmt.Errorf("%d bytes are too few for a Parquet file", size)
	}
	if n := int64(binary.LittleEndian.Uint32(data[size-trailer:])); n > size-trailer-magic {
		return nil, fmt.Errorf("the footer of %d bytes does not fit into a file of %d bytes", n, size)
	}
	f, err := parquet.OpenFile(bytes.NewReader(data), size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, err
	}
	return &columns{data: data, file: f, budget: minUnpacked + maxExpansion*size, names: map[string]string{}}, nil
}

// asError turns a panic of the library into an error.
func asError(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the file is damaged: %v", p)
	}
}

// find returns the column at a dotted path, or nil.
func (c *columns) find(path string) *parquet.Column {
	col := c.file.Root()
	for name := range strings.SplitSeq(path, ".") {
		if col = col.Column(name); col == nil {
			return nil
		}
	}
	return col
}

// leaf returns the column at the path when the file has it, which must have one value a row, of one of the kinds.
func (c *columns) leaf(path string, kinds ...parquet.Kind) (*parquet.Column, error) {
	col := c.find(path)
	switch {
	case col == nil:
		return nil, nil
	case !col.Leaf() || col.MaxRepetitionLevel() > 0:
		return nil, fmt.Errorf("column %s is nested", path)
	case !slices.Contains(kinds, col.Type().Kind()):
		return nil, fmt.Errorf("column %s is stored as %s", path, col.Type())
	}
	return col, nil
}

// texts gives the column's values by row, without the nulls.
func (c *columns) texts(path string, value func(row int, text string) error) error {
	col, err := c.leaf(path, parquet.ByteArray)
	if col == nil {
		return err
	}
	last := ""
	return c.scan(col, func(row int, v parquet.Value) error {
		if v.IsNull() {
			return nil
		}
		if b := v.ByteArray(); string(b) != last { // equal ones share memory
			if last, err = c.text(b); err != nil {
				return err
			}
		}
		return value(row, last)
	})
}

func (c *columns) text(b []byte) (string, error) {
	if c.budget -= int64(len(b)); c.budget < 0 {
		return "", errors.New("the file unpacks to more than a checkpoint of its size would have")
	}
	return string(b), nil
}

// ints gives the column's integers by row, without the nulls.
func (c *columns) ints(path string, value func(row int, n int64) error) error {
	col, err := c.leaf(path, parquet.Int32, parquet.Int64)
	if col == nil {
		return err
	}
	return c.scan(col, func(row int, v parquet.Value) error {
		switch {
		case v.IsNull():
			return nil
		case v.Kind() == parquet.Int32:
			return value(row, int64(v.Int32()))
		}
		return value(row, v.Int64())
	})
}

// bools gives the column's values by row, without the nulls.
func (c *columns) bools(path string, value func(row int, b bool) error) error {
	col, err := c.leaf(path, parquet.Boolean)
	if col == nil {
		return err
	}
	return c.scan(col, func(row int, v parquet.Value) error {
		if v.IsNull() {
			return nil
		}
		return value(row, v.Boolean())
	})
}

// lists gives the lists of text at the path, element by element; begin comes first for each list that is not null, and is all
// that comes of an empty one. Writers name the parts of a list as they like, so only its shape counts.
func (c *columns) lists(path string, begin func(row int) error, element func(row int, text string) error) error {
	list := c.find(path)
	if list == nil {
		return nil
	}
	leaves := leavesOf(list)
	if len(leaves) != 1 || leaves[0].Type().Kind() != parquet.ByteArray || leaves[0].MaxRepetitionLevel() != 1 {
		return fmt.Errorf("column %s is no list of text", path)
	}
	there := list.MaxDefinitionLevel()
	if list.Repeated() {
		there-- // a repeated column without a group around it is never null
	}
	return c.scan(leaves[0], func(row int, v parquet.Value) error {
		if v.RepetitionLevel() == 0 && v.DefinitionLevel() >= there {
			if err := begin(row); err != nil {
				return err
			}
		}
		if v.IsNull() {
			return nil
		}
		text, err := c.text(v.ByteArray())
		if err != nil {
			return err
		}
		return element(row, text)
	})
}

// maps gives the maps from text to text at the path, entry by entry; begin comes first for each map that is not null, and is
// all that comes of an empty one.
func (c *columns) maps(path string, begin func(row int) error, entry func(row int, key string, value *string) error) error {
	m := c.find(path)
	if m == nil {
		return nil
	}
	leaves := leavesOf(m)
	if len(leaves) != 2 {
		return fmt.Errorf("column %s is no map", path)
	}
	if leaves[0].Name() == "value" {
		slices.Reverse(leaves)
	}
	for _, l := range leaves {
		if l.Type().Kind() != parquet.ByteArray || l.MaxRepetitionLevel() != 1 {
			return fmt.Errorf("column %s is no map from text to text", path)
		}
	}
	there := m.MaxDefinitionLevel()
	values, err := c.values(leaves[1])
	if err != nil {
		return err
	}
	defer values.close()
	err = c.scan(leaves[0], func(row int, k parquet.Value) error {
		v, ok, err := values.next()
		if err != nil {
			return err
		}
		if !ok || v.RepetitionLevel() != k.RepetitionLevel() {
			return fmt.Errorf("column %s: keys and values do not match", path)
		}
		if k.RepetitionLevel() == 0 && k.DefinitionLevel() >= there {
			if err := begin(row); err != nil {
				return err
			}
		}
		if k.IsNull() {
			return nil
		}
		key, ok := c.names[string(k.ByteArray())]
		if !ok {
			if key, err = c.text(k.ByteArray()); err != nil {
				return err
			}
			c.names[key] = key
		}
		if v.IsNull() {
			return entry(row, key, nil)
		}
		text, err := c.text(v.ByteArray())
		if err != nil {
			return err
		}
		return entry(row, key, &text)
	})
	if err != nil {
		return err
	}
	if _, more, err := values.next(); err != nil || more {
		return errors.Join(fmt.Errorf("column %s: keys and values do not match", path), err)
	}
	return nil
}

func leavesOf(c *parquet.Column) []*parquet.Column {
	if c.Leaf() {
		return []*parquet.Column{c}
	}
	var out []*parquet.Column
	for _, child := range c.Columns() {
		out = append(out, leavesOf(child)...)
	}
	return out
}

// rowCount is the number of rows in the group. Each has an action with a name of its own, which takes more than a byte.
func (c *columns) rowCount() (int, error) {
	n := c.file.RowGroups()[c.group].NumRows()
	if n < 0 || n > int64(len(c.data)) {
		return 0, fmt.Errorf("%d rows in a file of %d bytes", n, len(c.data))
	}
	return int(n), nil
}

// scan gives every value of the column in the group, with the number of its row. The error is about the file when the column
// does not have as many rows as the group.
func (c *columns) scan(col *parquet.Column, value func(row int, v parquet.Value) error) error {
	rows, err := c.rowCount()
	if err != nil {
		return err
	}
	values, err := c.values(col)
	if err != nil {
		return err
	}
	defer values.close()
	row := -1
	for {
		v, ok, err := values.next()
		if err != nil {
			return fmt.Errorf("column %s: %w", strings.Join(col.Path(), "."), err)
		}
		if !ok {
			break
		}
		if v.RepetitionLevel() == 0 {
			row++
		}
		if row < 0 || row >= rows {
			return fmt.Errorf("column %s has more rows than the %d of its group", strings.Join(col.Path(), "."), rows)
		}
		if err := value(row, v); err != nil {
			return err
		}
	}
	if row != rows-1 {
		return fmt.Errorf("column %s has %d rows, its group has %d", strings.Join(col.Path(), "."), row+1, rows)
	}
	return nil
}

// columnValues gives the values of a column one by one. A value is good until the next call.
type columnValues struct {
	pages parquet.Pages
	page  parquet.Page
	read  parquet.ValueReader
	buf   [256]parquet.Value
	have  []parquet.Value
}

// values begins to read the column, after a look at what its pages claim for themselves.
func (c *columns) values(col *parquet.Column) (*columnValues, error) {
	chunk := c.file.RowGroups()[c.group].ColumnChunks()[col.Index()]
	if err := c.checkPages(col); err != nil {
		return nil, fmt.Errorf("column %s: %w", strings.Join(col.Path(), "."), err)
	}
	return &columnValues{pages: chunk.Pages()}, nil
}

func (v *columnValues) next() (parquet.Value, bool, error) {
	for len(v.have) == 0 {
		if v.read == nil {
			v.release()
			page, err := v.pages.ReadPage()
			if errors.Is(err, io.EOF) {
				return parquet.Value{}, false, nil
			}
			if err != nil {
				return parquet.Value{}, false, err
			}
			v.page, v.read = page, page.Values()
		}
		n, err := v.read.ReadValues(v.buf[:])
		v.have = v.buf[:n]
		switch {
		case errors.Is(err, io.EOF):
			v.read = nil
		case err != nil:
			return parquet.Value{}, false, err
		case n == 0:
			return parquet.Value{}, false, io.ErrNoProgress
		}
	}
	x := v.have[0]
	v.have = v.have[1:]
	return x, true, nil
}

func (v *columnValues) release() {
	if v.page != nil {
		parquet.Release(v.page)
		v.page = nil
	}
}

func (v *columnValues) close() {
	v.release()
	v.pages.Close()
}

// checkPages walks over the headers of the column's pages and checks what the library would allocate by them.
func (c *columns) checkPages(col *parquet.Column) error {
	m := &c.file.Metadata().RowGroups[c.group].Columns[col.Index()].MetaData
	if m.Codec == format.Lz4Raw { // of a damaged page the library makes room without end, and of a good one wrong values
		return fmt.Errorf("compression %s is not supported", m.Codec)
	}
	at := m.DataPageOffset
	if d := m.DictionaryPageOffset; d > 0 && d < at {
		at = d
	}
	end := at + m.TotalCompressedSize
	if at < 0 || m.TotalCompressedSize < 0 || end < at || end > int64(len(c.data)) {
		return fmt.Errorf("%d bytes at %d are outside of the file", m.TotalCompressedSize, at)
	}
	for at < end {
		var header format.PageHeader
		r := new(thrift.CompactProtocol).NewReaderFromBytes(c.data[at:end])
		if err := thrift.NewDecoder(r).Decode(&header); err != nil {
			return fmt.Errorf("page header: %w", err)
		}
		at += int64(r.BytesRead())
		packed, unpacked := int64(header.CompressedPageSize), int64(header.UncompressedPageSize)
		values := max(header.DataPageHeader.V.NumValues, header.DataPageHeaderV2.V.NumValues, header.DictionaryPageHeader.V.NumValues)
		if packed < 0 || packed > end-at || unpacked < 0 || unpacked > maxPageBytes || values > maxPageValues {
			return fmt.Errorf("a page of %d bytes, %d unpacked, and %d values", packed, unpacked, values)
		}
		if m.Codec == format.Snappy && !header.DataPageHeaderV2.Valid { // which has its own idea of the size
			if n, _ := binary.Uvarint(c.data[at : at+packed]); n != uint64(unpacked) {
				return fmt.Errorf("a page of %d bytes unpacked, or of %d", unpacked, n)
			}
		}
		if c.budget -= unpacked; c.budget < 0 {
			return errors.New("the file unpacks to more than a checkpoint of its size would have")
		}
		at += packed
	}
	return nil
}
