package column

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/zerobus-go/zerobus/schema"
)

// The byte form, version 1, little-endian:
//
//	1   version
//	uv  rows
//	uv  columns
//	per column:
//	  1  layout
//	  1  flags: 0 = no nulls, 1 = a validity bitmap follows, 2 = nulls only and nothing follows
//	  [(rows+7)/8 bytes of validity]
//	  Bool: (rows+7)/8 bytes; Int32, Float32: 4 a row; Int64, Float64: 8 a row; Int128: 16 a row, low half first
//	  Bytes: uv length of the data; rows times 4 bytes, the end offset of each value; the data
//	  Struct: uv kids; the kids, each like a column with as many rows
//	  List, Map: uv elements; rows times 4 bytes, the end offset of each value; the kid or both kids, each like a column with as
//	    many rows as there are elements
//
// A Struct, List or Map of nulls only has its kids all the same, so that what is inside is known: without rows in a List or Map,
// and without the offsets.
//
// uv is an unsigned varint.
const (
	binaryVersion = 1
	flagValid     = 1
	flagAllNull   = 2
)

// MaxBinaryRows bounds the rows that Decode accepts; a chunk comes from one request of at most 10 MiB.
const MaxBinaryRows = 16 << 20

// AppendBinary appends the byte form of the chunk, which has at most MaxBinaryRows rows.
func (c *Chunk) AppendBinary(b []byte) []byte {
	b = append(b, binaryVersion)
	b = binary.AppendUvarint(b, uint64(c.Rows))
	b = binary.AppendUvarint(b, uint64(len(c.Cols)))
	for i := range c.Cols {
		b = c.Cols[i].appendBinary(b)
	}
	return b
}

func (v *Vector) appendBinary(b []byte) []byte {
	switch {
	case v.AllNull():
		b = append(b, byte(v.Layout), flagAllNull)
		if v.Layout == Struct {
			b = binary.AppendUvarint(b, uint64(len(v.Kids)))
		}
		return v.appendKidsBinary(b)
	case v.Nulls > 0:
		b = append(b, byte(v.Layout), flagValid)
		b = append(b, v.Valid[:bitmapLen(v.N)]...)
	default:
		b = append(b, byte(v.Layout), 0)
	}
	le := binary.LittleEndian
	switch v.Layout {
	case Bool:
		b = append(b, v.Bits[:bitmapLen(v.N)]...)
	case Int32:
		for _, x := range v.I32 {
			b = le.AppendUint32(b, uint32(x))
		}
	case Int64:
		for _, x := range v.I64 {
			b = le.AppendUint64(b, uint64(x))
		}
	case Float32:
		for _, x := range v.F32 {
			b = le.AppendUint32(b, math.Float32bits(x))
		}
	case Float64:
		for _, x := range v.F64 {
			b = le.AppendUint64(b, math.Float64bits(x))
		}
	case Int128:
		for _, x := range v.Dec {
			b = le.AppendUint64(b, x.Lo)
			b = le.AppendUint64(b, uint64(x.Hi))
		}
	case Bytes:
		b = binary.AppendUvarint(b, uint64(len(v.Data)))
		for i := range v.N {
			b = le.AppendUint32(b, uint32(v.Offsets[i+1]))
		}
		b = append(b, v.Data...)
	case Struct:
		b = binary.AppendUvarint(b, uint64(len(v.Kids)))
		return v.appendKidsBinary(b)
	case List, Map:
		b = binary.AppendUvarint(b, uint64(v.Kids[0].N))
		for i := range v.N {
			b = le.AppendUint32(b, uint32(v.Offsets[i+1]))
		}
		return v.appendKidsBinary(b)
	}
	return b
}

func (v *Vector) appendKidsBinary(b []byte) []byte {
	for i := range v.Kids {
		b = v.Kids[i].appendBinary(b)
	}
	return b
}

// Decode reads a chunk's byte form. The chunk shares no memory with b. What AppendBinary did not write is an error.
func Decode(b []byte) (*Chunk, error) {
	r := reader{rest: b}
	if v := r.byte(); r.err == nil && v != binaryVersion {
		return nil, fmt.Errorf("chunk has version %d, expected %d", v, binaryVersion)
	}
	rows, cols := r.uvarint(MaxBinaryRows), r.uvarint(maxVectors)
	if r.err != nil {
		return nil, r.err
	}
	if cols*2 > len(r.rest) {
		return nil, fmt.Errorf("chunk says %d columns, %d bytes follow", cols, len(r.rest))
	}
	c := &Chunk{Rows: rows, Cols: make([]Vector, cols)}
	for i := range c.Cols {
		r.vector(&c.Cols[i], rows, 0)
		if r.err != nil {
			return nil, fmt.Errorf("chunk column %d: %w", i, r.err)
		}
		c.leaves += c.Cols[i].leaves()
	}
	if len(r.rest) != 0 {
		return nil, fmt.Errorf("%d bytes follow the chunk", len(r.rest))
	}
	return c, nil
}

type reader struct {
	rest    []byte
	vectors int // that were begun
	err     error
}

// maxVectors bounds the vectors of a chunk: each takes two bytes at least, and a few hundred here.
const maxVectors = 1 << 16

func (r *reader) take(n int) []byte {
	if r.err != nil || n > len(r.rest) {
		if r.err == nil {
			r.err = fmt.Errorf("%d bytes expected, %d left", n, len(r.rest))
		}
		return nil
	}
	p := r.rest[:n]
	r.rest = r.rest[n:]
	return p
}

func (r *reader) byte() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (r *reader) uvarint(max int) int {
	x, n := binary.Uvarint(r.rest)
	if r.err == nil && (n <= 0 || n > 1 && r.rest[n-1] == 0 || x > uint64(max)) {
		r.err = fmt.Errorf("number is damaged or above %d", max)
	}
	if r.err != nil {
		return 0
	}
	r.rest = r.rest[n:]
	return int(x)
}

func (r *reader) bitmap(n int) Bitmap {
	p := r.take(bitmapLen(n))
	if r.err == nil && n&7 != 0 && p[len(p)-1]>>(n&7) != 0 {
		r.err = fmt.Errorf("bits are set behind the last row")
	}
	return append(Bitmap(nil), p...)
}

// maxDepth bounds vectors in vectors: types nest at most so deep, and a VARIANT has kids.
const maxDepth = schema.MaxDepth + 1

func (r *reader) vector(v *Vector, rows, depth int) {
	v.Layout, v.N = Layout(r.byte()), rows
	flags := r.byte()
	r.vectors++
	switch {
	case r.err != nil:
		return
	case r.vectors > maxVectors:
		r.err = fmt.Errorf("more than %d vectors", maxVectors)
		return
	case depth > maxDepth:
		r.err = fmt.Errorf("vectors are nested more than %d levels deep", maxDepth)
		return
	case v.Layout == NoLayout || int(v.Layout) >= len(layoutNames):
		r.err = fmt.Errorf("layout %d is unknown", v.Layout)
		return
	case flags == flagAllNull && rows > 0:
		v.Nulls = rows
		r.kids(v, depth)
		for i := range v.Kids {
			if r.err == nil && v.Layout == Struct && !v.Kids[i].AllNull() {
				r.err = fmt.Errorf("a null struct hides a value")
			}
		}
		return
	case flags == flagValid:
		v.Valid = r.bitmap(rows)
		for i := 0; r.err == nil && i < rows; i++ {
			if !v.Valid.Get(i) {
				v.Nulls++
			}
		}
		if r.err == nil && (v.Nulls == 0 || v.Nulls == rows) {
			r.err = fmt.Errorf("a validity bitmap of equal bits")
		}
	case flags != 0:
		r.err = fmt.Errorf("unknown flags %#x", flags)
		return
	}
	le := binary.LittleEndian
	switch v.Layout {
	case Bool:
		v.Bits = r.bitmap(rows)
	case Int32:
		p := r.take(4 * rows)
		v.I32 = make([]int32, len(p)/4)
		for i := range v.I32 {
			v.I32[i] = int32(le.Uint32(p[4*i:]))
		}
	case Int64:
		p := r.take(8 * rows)
		v.I64 = make([]int64, len(p)/8)
		for i := range v.I64 {
			v.I64[i] = int64(le.Uint64(p[8*i:]))
		}
	case Float32:
		p := r.take(4 * rows)
		v.F32 = make([]float32, len(p)/4)
		for i := range v.F32 {
			v.F32[i] = math.Float32frombits(le.Uint32(p[4*i:]))
		}
	case Float64:
		p := r.take(8 * rows)
		v.F64 = make([]float64, len(p)/8)
		for i := range v.F64 {
			v.F64[i] = math.Float64frombits(le.Uint64(p[8*i:]))
		}
	case Int128:
		p := r.take(16 * rows)
		v.Dec = make([]Decimal128, len(p)/16)
		for i := range v.Dec {
			v.Dec[i] = Decimal128{le.Uint64(p[16*i:]), int64(le.Uint64(p[16*i+8:]))}
		}
	case Bytes:
		r.bytes(v, rows)
	case List, Map:
		r.offsets(v, rows, r.uvarint(MaxBinaryRows), "elements")
		r.kids(v, depth)
	case Struct:
		r.kids(v, depth)
	}
	for i := 0; r.err == nil && v.Nulls > 0 && i < rows; i++ {
		if !v.Valid.Get(i) && !v.zeroAt(i) {
			r.err = fmt.Errorf("the null of row %d hides a value", i)
		}
	}
}

// zeroAt reports whether the slot of value i is zero.
func (v *Vector) zeroAt(i int) bool {
	switch v.Layout {
	case Bool:
		return !v.Bits.Get(i)
	case Int32:
		return v.I32[i] == 0
	case Int64:
		return v.I64[i] == 0
	case Float32:
		return math.Float32bits(v.F32[i]) == 0
	case Float64:
		return math.Float64bits(v.F64[i]) == 0
	case Int128:
		return v.Dec[i] == Decimal128{}
	case Struct:
		for k := range v.Kids {
			if v.Kids[k].IsValid(i) {
				return false
			}
		}
		return true
	}
	return v.Offsets[i] == v.Offsets[i+1]
}

// kids reads the vectors inside of v.
func (r *reader) kids(v *Vector, depth int) {
	n, rows := 0, v.N
	switch v.Layout {
	case Struct:
		if n = r.uvarint(maxVectors); r.err == nil && (n == 0 || 2*n > len(r.rest)) {
			r.err = fmt.Errorf("a struct says %d fields, %d bytes follow", n, len(r.rest))
		}
	case List:
		n, rows = 1, v.Begun()
	case Map:
		n, rows = 2, v.Begun()
	default:
		return
	}
	if r.err != nil {
		return
	}
	v.Kids = make([]Vector, n)
	for i := range v.Kids {
		r.vector(&v.Kids[i], rows, depth+1)
		if r.err != nil {
			return
		}
	}
}

func (r *reader) bytes(v *Vector, rows int) {
	size := r.uvarint(math.MaxInt32)
	r.offsets(v, rows, size, "bytes")
	v.Data = append([]byte(nil), r.take(size)...)
}

// offsets reads the offsets of rows values with so many bytes or elements together.
func (r *reader) offsets(v *Vector, rows, size int, what string) {
	p := r.take(4 * rows)
	if r.err != nil {
		return
	}
	if rows > 0 {
		v.Offsets = make([]int32, rows+1)
	} else if size != 0 {
		r.err = fmt.Errorf("%d %s without rows", size, what)
	}
	for i := range rows {
		off := binary.LittleEndian.Uint32(p[4*i:])
		if off > uint32(size) || int32(off) < v.Offsets[i] {
			r.err = fmt.Errorf("offset %d of row %d is out of order", off, i)
			return
		}
		v.Offsets[i+1] = int32(off)
	}
	if rows > 0 && v.Offsets[rows] != int32(size) {
		r.err = fmt.Errorf("there are %d %s, the last offset is %d", size, what, v.Offsets[rows])
	}
}
