package parquetfile

import (
	"fmt"
	"hash/crc32"
	"hash/maphash"
	"io"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

const magic = "PAR1"

// Write writes the rows of the chunks, in order, as one Parquet file. A chunk may lack columns at the table's end; they are
// null in its rows. At least one row is needed. The chunks are read only and not kept.
//
// After an error, what w has got is no file.
func Write(w io.Writer, table *schema.Struct, chunks []*column.Chunk, o Options) (Result, error) {
	f, err := NewWriter(w, table, o)
	if err != nil {
		return Result{}, err
	}
	if err := f.Write(chunks...); err != nil {
		return Result{}, err
	}
	return f.Close()
}

// Writer writes one file piece by piece, so that its rows need not be in memory together. It belongs to one goroutine. After an
// error it is of no more use, and what was written is no file.
type Writer struct {
	table   *schema.Struct
	tree    *tree
	options Options
	encoder encoder
	total   totals
	meta    format.FileMetaData
}

// NewWriter begins a file. Nothing is written to w before the first rows.
func NewWriter(w io.Writer, table *schema.Struct, o Options) (*Writer, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	t, err := treeOf(table)
	if err != nil {
		return nil, err
	}
	return &Writer{
		table: table, tree: t, options: o,
		encoder: encoder{w: w, codec: codecs[o.Compression], dict: dictionary{seed: maphash.MakeSeed(), factor: rand.Uint64() | 1}},
		total:   totals{bounds: make([]bounds, len(t.leaves)), nulls: make([]int64, t.wholes)},
		meta:    format.FileMetaData{Version: 1, CreatedBy: o.CreatedBy},
	}, nil
}

// Write writes the rows of the chunks, in order, as one row group or more: each call begins a new one, so give as many rows as may
// be in memory. A chunk may lack columns at the table's end; they are null in its rows. The chunks are read only and not kept.
func (f *Writer) Write(chunks ...*column.Chunk) error {
	for _, c := range chunks {
		if err := c.Compatible(f.table); err != nil {
			return err
		}
	}
	groups := rowGroups(chunks, f.options.RowGroupRows, maxRowGroupBytes)
	if n := len(f.meta.RowGroups) + len(groups); n > math.MaxInt16 {
		return fmt.Errorf("the rows make %d row groups, more than the format's %d; raise RowGroupRows", n, math.MaxInt16)
	}
	for _, g := range groups {
		if f.encoder.offset == 0 {
			if err := f.encoder.write([]byte(magic)); err != nil {
				return err
			}
		}
		rg, err := f.encoder.rowGroup(f.tree, g, &f.total)
		if err != nil {
			return err
		}
		rg.Ordinal = int16(len(f.meta.RowGroups))
		f.meta.RowGroups = append(f.meta.RowGroups, rg)
		f.meta.NumRows += rg.NumRows
	}
	f.total.own()
	return nil
}

// Size is how many bytes have been written.
func (f *Writer) Size() int64 { return f.encoder.offset }

// Close writes the file's end. At least one row must be in it.
func (f *Writer) Close() (Result, error) {
	if len(f.meta.RowGroups) == 0 {
		return Result{}, fmt.Errorf("a file needs at least one row")
	}
	if err := f.encoder.footer(f.tree, &f.meta); err != nil {
		return Result{}, err
	}
	return Result{Rows: f.meta.NumRows, Bytes: f.encoder.offset, Stats: f.total.delta(f.tree, f.meta.NumRows, f.tree.indexed(f.options))}, nil
}

// encoder writes one file from front to back. Its buffers serve page after page.
type encoder struct {
	w      io.Writer
	offset int64
	codec  compress.Codec

	spans, rest, page, dictPage []span
	slabs, restSlabs            []slab // of leaves that are nested
	nested                      levels

	int32s     []int32
	int64s     []int64
	float32s   []float32
	float64s   []float64
	levels     []byte
	runs       []byte
	values     []byte // a page's values where an encoder cannot append
	body       []byte // a page before compression
	compressed []byte
	dict       dictionary
}

func (e *encoder) write(p []byte) error {
	n, err := e.w.Write(p)
	e.offset += int64(n)
	return err
}

// copySpans is a copy of the list that nextPage may eat up.
func (e *encoder) copySpans(spans []span) []span {
	e.rest = append(e.rest[:0], spans...)
	return e.rest
}

func (e *encoder) rowGroup(t *tree, g []slab, total *totals) (format.RowGroup, error) {
	rg := format.RowGroup{Columns: make([]format.ColumnChunk, len(t.leaves)), FileOffset: e.offset}
	for _, s := range g {
		rg.NumRows += int64(s.hi - s.lo)
	}
	for _, n := range t.columns {
		e.spans = spansOf(e.spans, g, []*node{n})
		if err := n.checkNulls(e.spans, 0); err != nil {
			return rg, err
		}
		total.countNulls(n, e.spans)
	}
	for i := range t.leaves {
		l := &t.leaves[i]
		e.spans = spansOf(e.spans, g, l.nodes)
		var b bounds
		for _, s := range e.spans {
			b.add(l.layout, s)
		}
		if err := l.check(&b); err != nil {
			return rg, err
		}
		total.bounds[i].merge(&b)
		meta, err := e.columnChunk(l, g, e.spans, &b)
		if err != nil {
			return rg, fmt.Errorf("column %s: %w", l.path, err)
		}
		rg.Columns[i].MetaData = meta
		rg.TotalByteSize += meta.TotalUncompressedSize
		rg.TotalCompressedSize += meta.TotalCompressedSize
	}
	return rg, nil
}

// columnChunk writes the values of a leaf in the rows of a group. spans are the values, b what there is to know of them.
func (e *encoder) columnChunk(l *leaf, g []slab, spans []span, b *bounds) (format.ColumnMetaData, error) {
	m := format.ColumnMetaData{
		Type: l.physical, PathInSchema: l.names(), Codec: e.codec.CompressionCodec(), Statistics: b.footer(l),
	}
	encoding := format.Plain
	switch {
	case b.nulls == b.rows: // nothing to encode
	case l.hasDictionary() && e.dict.build(e, l, spans, int(b.rows-b.nulls)):
		encoding = format.RLEDictionary
	case l.layout == column.Int64:
		encoding = format.DeltaBinaryPacked
	}
	if l.def > 0 {
		m.Encoding = append(m.Encoding, format.RLE)
	}
	if encoding == format.RLEDictionary {
		m.DictionaryPageOffset = e.offset
		if err := e.dictionaryPage(l, &m); err != nil {
			return m, err
		}
	}
	m.DataPageOffset = e.offset
	var err error
	if l.flat() {
		err = e.flatPages(l, spans, encoding, &m)
	} else {
		err = e.nestedPages(l, g, encoding, &m)
	}
	return m, err
}

// flatPages writes the pages of a column of the table.
func (e *encoder) flatPages(l *leaf, spans []span, encoding format.Encoding, m *format.ColumnMetaData) error {
	indices := e.dict.indices
	rest := e.copySpans(spans)
	for len(rest) > 0 {
		e.page, rest = nextPage(e.page, rest)
		rows, nulls := countSpans(e.page)
		e.body = e.body[:0]
		if l.optional() {
			var err error
			if e.body, err = e.appendLevels(e.body, e.page, rows, nulls); err != nil {
				return err
			}
		}
		if err := e.dataPage(l, e.page, rows, rows-nulls, encoding, &indices, m); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) dictionaryPage(l *leaf, m *format.ColumnMetaData) error {
	e.body = e.dict.appendValues(e.body[:0], l)
	h := format.PageHeader{Type: format.DictionaryPage}
	h.DictionaryPageHeader = thrift.New(format.DictionaryPageHeader{NumValues: int32(e.dict.len()), Encoding: format.Plain})
	return e.emit(&h, format.Plain, m)
}

// dataPage writes a page whose levels are in e.body. It has so many levels and n values that are not null, the first n of indices
// where there is a dictionary.
func (e *encoder) dataPage(l *leaf, page []span, levels, n int, encoding format.Encoding, indices *[]int32, m *format.ColumnMetaData) error {
	if n == 0 && encoding == format.DeltaBinaryPacked {
		encoding = format.Plain // an empty sequence of deltas is a corner that readers differ on
	}
	var err error
	switch encoding {
	case format.RLEDictionary:
		if e.values, err = new(rle.DictionaryEncoding).EncodeInt32(e.values[:0], (*indices)[:n]); err != nil {
			return err
		}
		*indices = (*indices)[n:]
		e.body = append(e.body, e.values...)
	case format.DeltaBinaryPacked:
		values := gather(&e.int64s, page, func(v *column.Vector) []int64 { return v.I64 })
		if e.values, err = new(delta.BinaryPackedEncoding).EncodeInt64(e.values[:0], values); err != nil {
			return err
		}
		e.body = append(e.body, e.values...)
	default:
		e.body = e.appendPlain(e.body, l, page)
	}
	h := format.PageHeader{Type: format.DataPage}
	h.DataPageHeader = thrift.New(format.DataPageHeader{
		NumValues: int32(levels), Encoding: encoding, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
		Statistics: format.Statistics{NullCount: int64(levels - n)},
	})
	m.NumValues += int64(levels)
	m.Statistics.NullCount += int64(levels - n)
	return e.emit(&h, encoding, m)
}

// emit compresses the body and writes the page. It counts the page in m.
func (e *encoder) emit(h *format.PageHeader, encoding format.Encoding, m *format.ColumnMetaData) error {
	data := e.body
	if e.codec.CompressionCodec() != format.Uncompressed {
		var err error
		if e.compressed, err = e.codec.Encode(e.compressed[:0], e.body); err != nil {
			return err
		}
		data = e.compressed
	}
	h.UncompressedPageSize, h.CompressedPageSize = int32(len(e.body)), int32(len(data))
	h.CRC = int32(crc32.ChecksumIEEE(data))
	header, err := thrift.Marshal(new(thrift.CompactProtocol), h)
	if err != nil {
		return err
	}
	if err := e.write(header); err != nil {
		return err
	}
	if err := e.write(data); err != nil {
		return err
	}
	m.TotalUncompressedSize += int64(len(header) + len(e.body))
	m.TotalCompressedSize += int64(len(header) + len(data))
	if !slices.Contains(m.Encoding, encoding) {
		m.Encoding = append(m.Encoding, encoding)
	}
	for i := range m.EncodingStats {
		if s := &m.EncodingStats[i]; s.PageType == h.Type && s.Encoding == encoding {
			s.Count++
			return nil
		}
	}
	m.EncodingStats = append(m.EncodingStats, format.PageEncodingStats{PageType: h.Type, Encoding: encoding, Count: 1})
	return nil
}

func (e *encoder) footer(t *tree, meta *format.FileMetaData) error {
	root := format.SchemaElement{Name: "schema", NumChildren: thrift.New(int32(len(t.columns)))}
	meta.Schema = append(meta.Schema, root)
	for _, n := range t.columns {
		meta.Schema = t.appendElements(meta.Schema, n)
	}
	for range t.leaves {
		meta.ColumnOrders = append(meta.ColumnOrders, format.ColumnOrder{Value: &format.TypeDefinedOrder{}})
	}
	b, err := thrift.Marshal(new(thrift.CompactProtocol), meta)
	if err != nil {
		return err
	}
	b = appendPlain32(b, uint32(len(b)))
	return e.write(append(b, magic...))
}
