package parquetfile

import (
	"bytes"
	"hash/maphash"
	"math"
	"math/bits"
	"slices"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// maxDictionaryBytes is the size of a dictionary page at which a column is written without one, the limit that Spark's writer
// has too: readers load it before the first value.
const maxDictionaryBytes = 1 << 20

// dictionary numbers the distinct values of a column chunk in the order in which they come. Its table is open addressing with
// linear probing over slots that hold index+1. The hashes are seeded for each file: clients choose the values, and must not
// be able to choose them so that all of them collide.
type dictionary struct {
	slots   []uint32
	shift   int
	numbers []uint64 // the distinct values of a fixed-width column, as bits
	strings [][]byte // those of a Bytes column, views into the chunks
	size    int      // bytes of the dictionary page
	indices []int32  // of every value that is not null
	seed    maphash.Seed
	factor  uint64 // odd

	page     []span
	rest     []span
	int32s   []int32
	int64s   []int64
	float32s []float32
	float64s []float64
}

// hasDictionary reports whether a dictionary is tried for a column. Timestamps hardly repeat and shrink more as deltas;
// booleans are bits already; decimals of 128 bits are rare.
func (l *leaf) hasDictionary() bool {
	switch l.layout {
	case column.Bool, column.Int128:
		return false
	case column.Int64:
		return l.typ.Kind == schema.Long
	}
	return true
}

// build numbers the n values of a column chunk that are not null. False: they do not repeat enough, or the dictionary grows
// too large.
func (d *dictionary) build(l *leaf, spans []span, n int) bool {
	d.numbers, d.strings, d.size = d.numbers[:0], d.strings[:0], 0
	d.indices = slices.Grow(d.indices[:0], n)
	d.resize(1 << 10)
	d.rest = append(d.rest[:0], spans...)
	for rest := d.rest; len(rest) > 0; {
		d.page, rest = nextPage(d.page, rest)
		switch l.layout {
		case column.Int32:
			for _, x := range gather(&d.int32s, d.page, func(v *column.Vector) []int32 { return v.I32 }) {
				d.addNumber(uint64(uint32(x)), l.size)
			}
		case column.Int64:
			for _, x := range gather(&d.int64s, d.page, func(v *column.Vector) []int64 { return v.I64 }) {
				d.addNumber(uint64(x), l.size)
			}
		case column.Float32:
			for _, x := range gather(&d.float32s, d.page, func(v *column.Vector) []float32 { return v.F32 }) {
				d.addNumber(uint64(math.Float32bits(x)), l.size)
			}
		case column.Float64:
			for _, x := range gather(&d.float64s, d.page, func(v *column.Vector) []float64 { return v.F64 }) {
				d.addNumber(math.Float64bits(x), l.size)
			}
		case column.Bytes:
			for _, s := range d.page {
				for i := s.lo; s.v != nil && i < s.hi; i++ {
					if s.v.IsValid(i) {
						d.addString(s.v.BytesAt(i))
					}
				}
			}
		}
		if 2*d.len() > len(d.indices) || d.size > maxDictionaryBytes {
			return false
		}
	}
	return d.len() > 0
}

func (d *dictionary) len() int { return len(d.numbers) + len(d.strings) }

// resize empties the table and gives it n slots, a power of two.
func (d *dictionary) resize(n int) {
	if cap(d.slots) >= n {
		d.slots = d.slots[:n]
		clear(d.slots)
	} else {
		d.slots = make([]uint32, n)
	}
	d.shift = 64 - bits.TrailingZeros(uint(n))
}

// grow doubles the table when it is half full, and files the known values again.
func (d *dictionary) grow() {
	if 2*d.len() < len(d.slots) {
		return
	}
	d.resize(2 * len(d.slots))
	for i := range d.len() {
		var h uint64
		if len(d.numbers) > 0 {
			h = d.hash(d.numbers[i])
		} else {
			h = maphash.Bytes(d.seed, d.strings[i]) >> d.shift
		}
		for d.slots[h] != 0 {
			h = (h + 1) & uint64(len(d.slots)-1)
		}
		d.slots[h] = uint32(i + 1)
	}
}

// hash is multiplicative hashing: the highest bits of the product. The high half of x, where doubles differ, is mixed into
// the low half first.
func (d *dictionary) hash(x uint64) uint64 { return (x ^ x>>32) * d.factor >> d.shift }

func (d *dictionary) addNumber(x uint64, size int) {
	for h := d.hash(x); ; h = (h + 1) & uint64(len(d.slots)-1) {
		slot := d.slots[h]
		if slot == 0 {
			d.numbers = append(d.numbers, x)
			d.size += size
			d.indices = append(d.indices, int32(len(d.numbers)-1))
			d.slots[h] = uint32(len(d.numbers))
			d.grow()
			return
		}
		if d.numbers[slot-1] == x {
			d.indices = append(d.indices, int32(slot-1))
			return
		}
	}
}

func (d *dictionary) addString(x []byte) {
	for h := maphash.Bytes(d.seed, x) >> d.shift; ; h = (h + 1) & uint64(len(d.slots)-1) {
		slot := d.slots[h]
		if slot == 0 {
			d.strings = append(d.strings, x)
			d.size += 4 + len(x)
			d.indices = append(d.indices, int32(len(d.strings)-1))
			d.slots[h] = uint32(len(d.strings))
			d.grow()
			return
		}
		if bytes.Equal(d.strings[slot-1], x) {
			d.indices = append(d.indices, int32(slot-1))
			return
		}
	}
}

// appendValues adds the dictionary page's content: the values in PLAIN encoding.
func (d *dictionary) appendValues(b []byte, l *leaf) []byte {
	for _, x := range d.numbers {
		if l.size == 4 {
			b = appendPlain32(b, uint32(x))
		} else {
			b = appendPlain64(b, x)
		}
	}
	for _, x := range d.strings {
		b = append(appendPlain32(b, uint32(len(x))), x...)
	}
	return b
}
