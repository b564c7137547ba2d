package parquetfile

import (
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/parquet-go/parquet-go/compress"
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
		encoder: encoder{w: w, codec: codecs[o.Compression], seed: maphash.MakeSeed(), factor: rand.Uint64() | 1},
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
	defer f.encoder.forget()
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

// encoder writes one file from front to back.
type encoder struct {
	w      io.Writer
	offset int64
	codec  compress.Codec

	spans   []span
	slabs   []slab
	seed    maphash.Seed
	factor  uint64
	dicts   []*dictionary // not in use
	surveys []*survey     // of the row group's next leaves
	idle    []*survey     // not in use
	queue   []*page       // under way, in the order of the file
}

func (e *encoder) write(p []byte) error {
	n, err := e.w.Write(p)
	e.offset += int64(n)
	return err
}

func (e *encoder) rowGroup(t *tree, g []slab, total *totals) (format.RowGroup, error) {
	rg := format.RowGroup{Columns: make([]format.ColumnChunk, len(t.leaves)), FileOffset: e.offset}
	defer e.abandon() // what is left after an error: the chunks are the caller's again
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
		s := e.survey(t, g, i)
		if err := s.leaf.check(&s.bounds); err != nil {
			return rg, err
		}
		total.bounds[i].merge(&s.bounds)
		if err := e.columnChunk(s, g, &rg.Columns[i].MetaData); err != nil {
			return rg, err
		}
		e.idle = append(e.idle, s)
	}
	if err := e.finish(0); err != nil {
		return rg, err
	}
	for i := range rg.Columns {
		rg.TotalByteSize += rg.Columns[i].MetaData.TotalUncompressedSize
		rg.TotalCompressedSize += rg.Columns[i].MetaData.TotalCompressedSize
	}
	return rg, nil
}

// survey makes the survey of a leaf, and begins those of the next ones on cores that are free.
func (e *encoder) survey(t *tree, g []slab, i int) *survey {
	for len(e.surveys) < min(1+cap(helpers), len(t.leaves)-i) {
		e.surveys = append(e.surveys, e.newSurvey(&t.leaves[i+len(e.surveys)], g))
	}
	s := e.surveys[0]
	e.surveys = slices.Delete(e.surveys, 0, 1)
	for _, next := range e.surveys {
		if !next.begin() {
			break
		}
	}
	if !s.begun {
		s.make()
	}
	s.wait()
	return s
}

// newSurvey is one that is not begun, in the memory of one not in use: the spans of all leaves of a wide table in many chunks would
// take much more than those of the next few.
func (e *encoder) newSurvey(l *leaf, g []slab) *survey {
	var s *survey
	if k := len(e.idle); k > 0 {
		s, e.idle = e.idle[k-1], e.idle[:k-1]
	} else {
		s = &survey{done: make(chan struct{}, 1)}
	}
	*s = survey{leaf: l, spans: spansOf(s.spans, g, l.nodes), done: s.done}
	if l.hasDictionary() {
		s.dict = e.newDictionary()
	}
	return s
}

func (e *encoder) newDictionary() *dictionary {
	k := len(e.dicts)
	if k == 0 {
		return &dictionary{seed: e.seed, factor: e.factor}
	}
	d := e.dicts[k-1]
	e.dicts = e.dicts[:k-1]
	return d
}

// columnChunk begins the pages of a leaf in the rows of a group.
func (e *encoder) columnChunk(s *survey, g []slab, m *format.ColumnMetaData) error {
	l := s.leaf
	*m = format.ColumnMetaData{
		Type: l.physical, PathInSchema: l.names(), Codec: e.codec.CompressionCodec(), Statistics: s.bounds.footer(l),
	}
	if l.def > 0 {
		m.Encoding = append(m.Encoding, format.RLE)
	}
	j := job{leaf: l, meta: m, codec: e.codec, kind: format.DataPage, encoding: format.Plain}
	switch {
	case s.bounds.nulls == s.bounds.rows: // nothing to encode
	case s.numbered:
		j.encoding, j.dict, j.indices = format.RLEDictionary, s.dict, s.dict.indices
		if err := e.dictionaryPage(j); err != nil {
			return err
		}
	case l.layout == column.Int64:
		j.encoding = format.DeltaBinaryPacked
	}
	if s.dict != nil && !s.numbered {
		e.dicts = append(e.dicts, s.dict)
	}
	if l.flat() {
		return e.flatPages(j, s.spans)
	}
	return e.nestedPages(j, g)
}

func (e *encoder) dictionaryPage(j job) error {
	p := newPage(j)
	p.kind, p.encoding, p.values = format.DictionaryPage, format.Plain, j.dict.len()
	return e.start(p)
}

// flatPages begins the pages of a column of the table, and eats up its spans.
func (e *encoder) flatPages(j job, rest []span) error {
	for len(rest) > 0 {
		p := newPage(j)
		p.spans, rest = nextPage(p.spans, rest)
		rows, nulls := countSpans(p.spans)
		p.entries = rows
		p.cut(&j, rows-nulls, len(rest) == 0)
		if err := e.start(p); err != nil {
			return err
		}
	}
	return nil
}

// nestedPages begins the pages of a leaf inside of other columns, for the rows of a group.
func (e *encoder) nestedPages(j job, g []slab) error {
	e.slabs = append(e.slabs[:0], g...)
	for rest := e.slabs; len(rest) > 0; {
		p := newPage(j)
		p.slabs, rest = j.leaf.nextRows(p.slabs, rest)
		p.spans = spansOf(p.spans, p.slabs, j.leaf.nodes)
		values, nulls := countSpans(p.spans)
		p.cut(&j, values-nulls, len(rest) == 0)
		if err := e.start(p); err != nil {
			return err
		}
	}
	return nil
}

// start encodes a page, on another core if one is free, and writes the pages that are encoded and have none before them.
func (e *encoder) start(p *page) error {
	if p.weight() < minHelped || !helped(p.encode, p.done) {
		p.encode() // not in the queue yet: after a panic nobody waits for it
		p.done <- struct{}{}
	}
	e.queue = append(e.queue, p)
	return e.finish(cap(helpers))
}

// finish writes pages that are encoded, until no more than so many are left.
func (e *encoder) finish(left int) error {
	for len(e.queue) > 0 {
		p := e.queue[0]
		if len(e.queue) > left {
			<-p.done
		} else {
			select {
			case <-p.done:
			default:
				return nil
			}
		}
		e.queue = slices.Delete(e.queue, 0, 1)
		err := e.emit(p)
		p.recycle()
		if err != nil {
			return err
		}
	}
	return nil
}

// abandon waits for what is under way, and drops it.
func (e *encoder) abandon() {
	for _, s := range e.surveys {
		s.wait()
	}
	for _, p := range e.queue {
		<-p.done
		p.recycle()
	}
	e.queue = e.queue[:0]
}

// forget drops what points into chunks. The memory goes too: the next rows may be long in coming.
func (e *encoder) forget() {
	e.spans, e.slabs, e.surveys, e.idle, e.dicts = nil, nil, nil, nil, nil
}

// emit writes an encoded page and counts it.
func (e *encoder) emit(p *page) error {
	if p.err != nil {
		return fmt.Errorf("column %s: %w", p.leaf.path, p.err)
	}
	m := p.meta
	switch {
	case p.kind == format.DictionaryPage:
		m.DictionaryPageOffset = e.offset
	case m.DataPageOffset == 0:
		m.DataPageOffset = e.offset
	}
	if err := e.write(p.header); err != nil {
		return err
	}
	if err := e.write(p.data); err != nil {
		return err
	}
	if p.last && p.dict != nil {
		e.dicts = append(e.dicts, p.dict)
	}
	p.count(m)
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
