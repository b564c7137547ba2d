package parquetfile

import (
	"bytes"
	"math"

	"github.com/parquet-go/parquet-go/format"

	"github.com/zerobus-go/zerobus/server/internal/column"
)

// bounds gathers what statistics need to know of some values of one column. Which of the min and max fields counts is the
// layout's affair. minBytes and maxBytes are views into the chunks.
type bounds struct {
	rows, nulls int64
	some        bool // the min and max fields hold values: there is one that is neither null nor NaN
	nan         bool // a NaN was seen; it is in no bound

	minInt, maxInt     int64 // Bool (0 and 1), Int32, Int64
	minFloat, maxFloat float64
	minDec, maxDec     int128
	minBytes, maxBytes []byte
}

// add takes in the values of a span.
func (b *bounds) add(layout column.Layout, s span) {
	b.rows += int64(s.hi - s.lo)
	if s.v == nil {
		b.nulls += int64(s.hi - s.lo)
		return
	}
	switch v := s.v; layout {
	case column.Bool:
		for i := s.lo; i < s.hi; i++ {
			if !v.IsValid(i) {
				b.nulls++
				continue
			}
			x := int64(0)
			if v.Bits.Get(i) {
				x = 1
			}
			b.addInts(x, x)
		}
	case column.Int32:
		if lo, hi, some := extent(b, s, v.I32); some {
			b.addInts(int64(lo), int64(hi))
		}
	case column.Int64:
		if lo, hi, some := extent(b, s, v.I64); some {
			b.addInts(lo, hi)
		}
	case column.Float32:
		addFloats(b, s, v.F32)
	case column.Float64:
		addFloats(b, s, v.F64)
	case column.Int128:
		for i := s.lo; i < s.hi; i++ {
			if !v.IsValid(i) {
				b.nulls++
				continue
			}
			x := int128(v.Dec[i])
			b.addDecimals(x, x)
		}
	case column.Bytes:
		for i := s.lo; i < s.hi; i++ {
			if !v.IsValid(i) {
				b.nulls++
				continue
			}
			x := v.BytesAt(i)
			b.addBytes(x, x)
		}
	}
}

// merge takes in other values of the same column.
func (b *bounds) merge(o *bounds) {
	b.rows += o.rows
	b.nulls += o.nulls
	b.nan = b.nan || o.nan
	if !o.some {
		return
	}
	if !b.some {
		rows, nulls, nan := b.rows, b.nulls, b.nan
		*b = *o
		b.rows, b.nulls, b.nan = rows, nulls, nan
		return
	}
	b.addInts(o.minInt, o.maxInt)
	b.minFloat, b.maxFloat = min(b.minFloat, o.minFloat), max(b.maxFloat, o.maxFloat)
	b.addDecimals(o.minDec, o.maxDec)
	b.addBytes(o.minBytes, o.maxBytes)
}

// own copies what is a view into chunks, so that these may be used again.
func (x *totals) own() {
	for i := range x.bounds {
		b := &x.bounds[i]
		b.minBytes, b.maxBytes = bytes.Clone(b.minBytes), bytes.Clone(b.maxBytes)
	}
}

// extent is the least and greatest number among the span's values. It counts the nulls.
func extent[T int32 | int64](b *bounds, s span, values []T) (least, most T, some bool) {
	values = values[:s.hi]
	if s.v.Nulls == 0 {
		least, most = values[s.lo], values[s.lo]
		for _, x := range values[s.lo:] {
			least, most = min(least, x), max(most, x)
		}
		return least, most, true
	}
	for i := s.lo; i < s.hi; i++ {
		switch x := values[i]; {
		case !s.v.Valid.Get(i):
			b.nulls++
		case !some:
			least, most, some = x, x, true
		default:
			least, most = min(least, x), max(most, x)
		}
	}
	return least, most, some
}

func (b *bounds) addInts(least, most int64) {
	if !b.some {
		b.minInt, b.maxInt, b.some = least, most, true
		return
	}
	b.minInt, b.maxInt = min(b.minInt, least), max(b.maxInt, most)
}

func addFloats[T float32 | float64](b *bounds, s span, values []T) {
	for i := s.lo; i < s.hi; i++ {
		x := float64(values[i])
		switch {
		case !s.v.IsValid(i):
			b.nulls++
		case x != x:
			b.nan = true
		case !b.some:
			b.minFloat, b.maxFloat, b.some = x, x, true
		default:
			if x < b.minFloat {
				b.minFloat = x
			}
			if x > b.maxFloat {
				b.maxFloat = x
			}
		}
	}
}

func (b *bounds) addDecimals(least, most int128) {
	if !b.some {
		b.minDec, b.maxDec, b.some = least, most, true
		return
	}
	if least.Cmp(b.minDec) < 0 {
		b.minDec = least
	}
	if most.Cmp(b.maxDec) > 0 {
		b.maxDec = most
	}
}

func (b *bounds) addBytes(least, most []byte) {
	if !b.some {
		b.minBytes, b.maxBytes, b.some = least, most, true
		return
	}
	if bytes.Compare(least, b.minBytes) < 0 {
		b.minBytes = least
	}
	if bytes.Compare(most, b.maxBytes) > 0 {
		b.maxBytes = most
	}
}

// floats gives the bounds of a floating-point column with the sign that a zero must have to be a bound in every reader's
// order: some hold -0.0 less than 0.0, some equal. So says Parquet's specification for its statistics.
func (b *bounds) floats() (least, most float64) {
	least, most = b.minFloat, b.maxFloat
	if least == 0 {
		least = math.Copysign(0, -1)
	}
	if most == 0 {
		most = 0
	}
	return least, most
}

// maxFooterBound limits what a long value adds to the footer, which every reader loads whole. Nothing is truncated: the
// library's footer has no field to say that a bound is not exact.
const maxFooterBound = 1 << 10

// footer makes the statistics of a column chunk, without the number of nulls, which the pages tell. Bounds are left out where there is a NaN: readers disagree whether it is
// above everything.
func (b *bounds) footer(l *leaf) format.Statistics {
	var s format.Statistics
	if !l.bounded || !b.some || b.nan || max(len(b.minBytes), len(b.maxBytes)) > maxFooterBound {
		return s
	}
	switch l.physical {
	case format.Boolean:
		s.MinValue, s.MaxValue = []byte{byte(b.minInt)}, []byte{byte(b.maxInt)}
	case format.ByteArray:
		s.MinValue, s.MaxValue = append([]byte{}, b.minBytes...), append([]byte{}, b.maxBytes...)
	case format.Float:
		least, most := b.floats()
		s.MinValue, s.MaxValue = appendPlain32(nil, math.Float32bits(float32(least))), appendPlain32(nil, math.Float32bits(float32(most)))
	case format.Double:
		least, most := b.floats()
		s.MinValue, s.MaxValue = appendPlain64(nil, math.Float64bits(least)), appendPlain64(nil, math.Float64bits(most))
	default:
		least, most := int128{Lo: uint64(b.minInt)}, int128{Lo: uint64(b.maxInt)}
		if l.layout == column.Int128 {
			least, most = b.minDec, b.maxDec
		}
		s.MinValue, s.MaxValue = l.appendInteger(nil, least), l.appendInteger(nil, most)
	}
	return s
}

// appendInteger adds a number in the PLAIN encoding of the leaf's physical type.
func (l *leaf) appendInteger(b []byte, x int128) []byte {
	switch l.physical {
	case format.Int32:
		return appendPlain32(b, uint32(x.Lo))
	case format.Int64:
		return appendPlain64(b, x.Lo)
	}
	return appendBigEndian(b, x, l.size)
}
