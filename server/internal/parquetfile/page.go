package parquetfile

import (
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"sync"

	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/zerobus-go/zerobus/server/internal/column"
)

// maxKept is the largest buffer of a page, in bytes, that is kept for another one.
const maxKept = 4 << 20

// job is what the pages of a leaf in one row group have in common.
type job struct {
	leaf     *leaf
	meta     *format.ColumnMetaData
	codec    compress.Codec
	kind     format.PageType
	encoding format.Encoding
	dict     *dictionary // nil without
	indices  []int32     // into it, of the values from this page on; of a page under way those of its own
}

// page is a page under way: what it is made of, and then its bytes. It belongs to the goroutine that encodes it until done has an
// element. Its memory serves page after page.
type page struct {
	job
	spans   []span // the values of its rows
	slabs   []slab // the rows, of a leaf that is nested
	values  int    // that are not null
	entries int    // values, nulls, and of a leaf that is nested its empty lists
	last    bool   // of the leaf and the row group

	int32s   []int32
	int64s   []int64
	float32s []float32
	float64s []float64
	nested   levels
	levels   []byte
	runs     []byte
	encoded  []byte // values where an encoder cannot append
	body     []byte // before compression

	done   chan struct{} // capacity 1
	header []byte
	data   []byte
	packed []byte // what data is with compression
	err    error
}

var pages = sync.Pool{New: func() any { return new(page) }}

func newPage(j job) *page {
	p := pages.Get().(*page)
	p.job, p.done = j, make(chan struct{}, 1) // a channel of its own: those of a synctest bubble must stay there
	return p
}

// recycle gives the page's memory back. It keeps nothing of a file.
func (p *page) recycle() {
	clear(p.spans)
	clear(p.slabs)
	p.job, p.spans, p.slabs, p.header, p.data, p.err = job{}, p.spans[:0], p.slabs[:0], nil, nil, nil
	p.values, p.entries, p.last = 0, 0, false
	if p.largest() <= maxKept {
		pages.Put(p)
	}
}

// largest is the size of its largest buffer in bytes. A row with very many elements makes any of them large, and the others little
// where they repeat.
func (p *page) largest() int {
	return max(
		cap(p.body), cap(p.packed), cap(p.encoded), cap(p.levels), cap(p.runs), cap(p.nested.definition), cap(p.nested.repetition),
		4*cap(p.int32s), 8*cap(p.int64s), 4*cap(p.float32s), 8*cap(p.float64s),
	)
}

// cut takes the next n values of a job.
func (p *page) cut(j *job, n int, last bool) {
	p.values, p.last = n, last
	if j.dict != nil {
		p.indices, j.indices = j.indices[:n], j.indices[n:]
	}
}

// weight is about how many bytes there are to encode.
func (p *page) weight() (n int) {
	if p.kind == format.DictionaryPage {
		return p.dict.size
	}
	for _, s := range p.spans {
		n += s.hi - s.lo
		if s.v != nil && p.leaf.layout == column.Bytes && p.dict == nil {
			n += int(s.v.Offsets[s.hi] - s.v.Offsets[s.lo])
		}
	}
	return n + p.values*p.leaf.size
}

// encode makes the page's bytes.
func (p *page) encode() {
	if p.kind == format.DictionaryPage {
		p.body = p.dict.appendValues(p.body[:0], p.leaf)
	} else if p.err = p.encodeData(); p.err != nil {
		return
	}
	p.err = p.pack()
}

// encodeData makes the content of a data page.
func (p *page) encodeData() (err error) {
	p.body = p.body[:0]
	switch {
	case !p.leaf.flat():
		if err := p.appendNested(); err != nil {
			return err
		}
	case p.leaf.optional():
		if p.body, err = p.appendLevels(p.body); err != nil {
			return err
		}
	}
	if p.values == 0 && p.encoding == format.DeltaBinaryPacked {
		p.encoding = format.Plain // an empty sequence of deltas is a corner that readers differ on
	}
	switch p.encoding {
	case format.RLEDictionary:
		if p.encoded, err = new(rle.DictionaryEncoding).EncodeInt32(p.encoded[:0], p.indices); err != nil {
			return err
		}
		p.body = append(p.body, p.encoded...)
	case format.DeltaBinaryPacked:
		values := gather(&p.int64s, p.spans, func(v *column.Vector) []int64 { return v.I64 })
		if p.encoded, err = new(delta.BinaryPackedEncoding).EncodeInt64(p.encoded[:0], values); err != nil {
			return err
		}
		p.body = append(p.body, p.encoded...)
	default:
		p.appendPlain()
	}
	return nil
}

// pack compresses the body and makes the header.
func (p *page) pack() (err error) {
	if len(p.body) > math.MaxInt32 {
		return fmt.Errorf("one page would have %d bytes, the format allows %d: the values of a row are too large", len(p.body), math.MaxInt32)
	}
	p.data = p.body
	if p.codec.CompressionCodec() != format.Uncompressed {
		if p.packed, err = p.codec.Encode(p.packed[:0], p.body); err != nil {
			return err
		}
		p.data = p.packed
		if len(p.data) > math.MaxInt32 {
			return fmt.Errorf("one page would have %d bytes compressed, the format allows %d: the values of a row are too large", len(p.data), math.MaxInt32)
		}
	}
	h := format.PageHeader{
		Type: p.kind, UncompressedPageSize: int32(len(p.body)), CompressedPageSize: int32(len(p.data)), CRC: int32(crc32.ChecksumIEEE(p.data)),
	}
	if p.kind == format.DictionaryPage {
		h.DictionaryPageHeader = thrift.New(format.DictionaryPageHeader{NumValues: int32(p.values), Encoding: format.Plain})
	} else {
		h.DataPageHeader = thrift.New(format.DataPageHeader{
			NumValues: int32(p.entries), Encoding: p.encoding, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
			Statistics: format.Statistics{NullCount: int64(p.entries - p.values)},
		})
	}
	p.header, err = thrift.Marshal(new(thrift.CompactProtocol), &h)
	return err
}

// count adds the page to its leaf's metadata.
func (p *page) count(m *format.ColumnMetaData) {
	m.TotalUncompressedSize += int64(len(p.header) + len(p.body))
	m.TotalCompressedSize += int64(len(p.header) + len(p.data))
	if p.kind != format.DictionaryPage {
		m.NumValues += int64(p.entries)
		m.Statistics.NullCount += int64(p.entries - p.values)
	}
	if !slices.Contains(m.Encoding, p.encoding) {
		m.Encoding = append(m.Encoding, p.encoding)
	}
	for i := range m.EncodingStats {
		if s := &m.EncodingStats[i]; s.PageType == p.kind && s.Encoding == p.encoding {
			s.Count++
			return
		}
	}
	m.EncodingStats = append(m.EncodingStats, format.PageEncodingStats{PageType: p.kind, Encoding: p.encoding, Count: 1})
}
