package parquetfile

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/parquet-go/parquet-go/encoding/rle"

	"github.com/zerobus-go/zerobus/server/internal/column"
)

func appendPlain32(b []byte, x uint32) []byte { return binary.LittleEndian.AppendUint32(b, x) }
func appendPlain64(b []byte, x uint64) []byte { return binary.LittleEndian.AppendUint64(b, x) }

// appendLevels adds the definition levels of an optional column's page, 1 for a value and 0 for a null, behind their length
// as version 1 of data pages has it.
func (p *page) appendLevels(b []byte) ([]byte, error) {
	if p.values == p.entries || p.values == 0 { // one run
		level := byte(1)
		if p.values == 0 {
			level = 0
		}
		p.runs = append(binary.AppendUvarint(p.runs[:0], uint64(p.entries)<<1), level)
		b = appendPlain32(b, uint32(len(p.runs)))
		return append(b, p.runs...), nil
	}
	p.levels = p.levels[:0]
	for _, s := range p.spans {
		for i := s.lo; i < s.hi; i++ {
			level := byte(0)
			if s.v != nil && s.v.IsValid(i) {
				level = 1
			}
			p.levels = append(p.levels, level)
		}
	}
	return p.appendRuns(b, p.levels, 1)
}

// appendRuns adds levels up to most behind their length as version 1 of data pages has them; nothing where most is 0.
func (p *page) appendRuns(b, levels []byte, most byte) ([]byte, error) {
	if most == 0 {
		return b, nil
	}
	var err error
	encoding := rle.Encoding{BitWidth: bits.Len8(most)}
	if p.runs, err = encoding.EncodeLevels(p.runs[:0], levels); err != nil {
		return b, err
	}
	b = appendPlain32(b, uint32(len(p.runs)))
	return append(b, p.runs...), nil
}

// appendPlain adds the values to the body, without the nulls, in PLAIN encoding.
func (p *page) appendPlain() {
	b := p.body
	switch p.leaf.layout {
	case column.Bool:
		b = appendPlainBools(b, p.spans)
	case column.Int32:
		for _, x := range gather(&p.int32s, p.spans, func(v *column.Vector) []int32 { return v.I32 }) {
			b = appendPlain32(b, uint32(x))
		}
	case column.Int64:
		for _, x := range gather(&p.int64s, p.spans, func(v *column.Vector) []int64 { return v.I64 }) {
			b = appendPlain64(b, uint64(x))
		}
	case column.Float32:
		for _, x := range gather(&p.float32s, p.spans, func(v *column.Vector) []float32 { return v.F32 }) {
			b = appendPlain32(b, math.Float32bits(x))
		}
	case column.Float64:
		for _, x := range gather(&p.float64s, p.spans, func(v *column.Vector) []float64 { return v.F64 }) {
			b = appendPlain64(b, math.Float64bits(x))
		}
	case column.Int128:
		for _, s := range p.spans {
			for i := s.lo; s.v != nil && i < s.hi; i++ {
				if s.v.IsValid(i) {
					b = p.leaf.appendInteger(b, int128(s.v.Dec[i]))
				}
			}
		}
	case column.Bytes:
		for _, s := range p.spans {
			for i := s.lo; s.v != nil && i < s.hi; i++ {
				if s.v.IsValid(i) {
					x := s.v.BytesAt(i)
					b = append(appendPlain32(b, uint32(len(x))), x...)
				}
			}
		}
	}
	p.body = b
}

func appendPlainBools(b []byte, page []span) []byte {
	n, last := 0, byte(0)
	for _, s := range page {
		for i := s.lo; s.v != nil && i < s.hi; i++ {
			if !s.v.IsValid(i) {
				continue
			}
			if s.v.Bits.Get(i) {
				last |= 1 << (n & 7)
			}
			if n++; n&7 == 0 {
				b, last = append(b, last), 0
			}
		}
	}
	if n&7 != 0 {
		b = append(b, last)
	}
	return b
}

// gather gives the values of a page without the nulls: a view where one span without nulls has them all, else a copy in
// scratch.
func gather[T any](scratch *[]T, page []span, values func(*column.Vector) []T) []T {
	if len(page) == 1 && page[0].v != nil && page[0].v.Nulls == 0 {
		return values(page[0].v)[page[0].lo:page[0].hi]
	}
	out := (*scratch)[:0]
	for _, s := range page {
		if s.v == nil {
			continue
		}
		all := values(s.v)
		if s.v.Nulls == 0 {
			out = append(out, all[s.lo:s.hi]...)
			continue
		}
		for i := s.lo; i < s.hi; i++ {
			if s.v.Valid.Get(i) {
				out = append(out, all[i])
			}
		}
	}
	*scratch = out
	return out
}
