package partition

import (
	"hash/maphash"
	"math"
	"math/bits"
	"math/rand/v2"

	"github.com/zerobus-go/zerobus/server/internal/column"
)

// key is the vector of a partition column, nil for nulls only: of a chunk that is older than the column, too.
func key(c *column.Chunk, place int) *column.Vector {
	if place >= len(c.Cols) || c.Cols[place].AllNull() {
		return nil
	}
	return &c.Cols[place]
}

// isNull tells whether value i is the partition of nulls.
func isNull(v *column.Vector, i int) bool {
	return v == nil || !v.IsValid(i) || v.Layout == column.Bytes && v.Offsets[i] == v.Offsets[i+1]
}

// bits64 and bits32 make one value of all that are not a number.
func bits64(x float64) uint64 {
	if x != x {
		return math.Float64bits(math.NaN())
	}
	return math.Float64bits(x)
}

func bits32(x float32) uint32 {
	if x != x {
		return math.Float32bits(float32(math.NaN()))
	}
	return math.Float32bits(x)
}

// sameValue tells whether two values are of one partition.
func sameValue(a *column.Vector, i int, b *column.Vector, j int) bool {
	if x, y := isNull(a, i), isNull(b, j); x || y {
		return x && y
	}
	switch a.Layout {
	case column.Bool:
		return a.Bits.Get(i) == b.Bits.Get(j)
	case column.Int32:
		return a.I32[i] == b.I32[j]
	case column.Int64:
		return a.I64[i] == b.I64[j]
	case column.Float32:
		return bits32(a.F32[i]) == bits32(b.F32[j])
	case column.Float64:
		return bits64(a.F64[i]) == bits64(b.F64[j])
	case column.Int128:
		return a.Dec[i] == b.Dec[j]
	}
	return string(a.BytesAt(i)) == string(b.BytesAt(j))
}

// constant tells whether a column has one value in all its n rows.
func constant(v *column.Vector, n int) bool {
	if v == nil {
		return true
	}
	for i := 1; i < n; i++ {
		if !sameValue(v, i, v, 0) {
			return false
		}
	}
	return true
}

// hasher makes numbers of rows. It is seeded: clients choose the values.
type hasher struct {
	seed  maphash.Seed
	start uint64
	mul   uint64
}

func newHasher() hasher {
	return hasher{seed: maphash.MakeSeed(), start: rand.Uint64(), mul: rand.Uint64() | 1}
}

func (h *hasher) mix(sum, x uint64) uint64 {
	hi, lo := bits.Mul64(sum^x, h.mul)
	return hi ^ lo
}

// add goes on with a column in the rows' sums. A null has the zero value in its place: it may meet that one, which sameValue tells
// apart.
func (h *hasher) add(sums []uint64, v *column.Vector) {
	if v == nil { // as if there were zeros
		for i := range sums {
			sums[i] = h.mix(sums[i], 0)
		}
		return
	}
	n := len(sums)
	switch v.Layout {
	case column.Bool:
		for i := range sums {
			sums[i] = h.mix(sums[i], uint64(v.Bits[i>>3]>>(i&7)&1))
		}
	case column.Int32:
		for i, x := range v.I32[:n] {
			sums[i] = h.mix(sums[i], uint64(uint32(x)))
		}
	case column.Int64:
		for i, x := range v.I64[:n] {
			sums[i] = h.mix(sums[i], uint64(x))
		}
	case column.Float32:
		for i, x := range v.F32[:n] {
			sums[i] = h.mix(sums[i], uint64(bits32(x)))
		}
	case column.Float64:
		for i, x := range v.F64[:n] {
			sums[i] = h.mix(sums[i], bits64(x))
		}
	case column.Int128:
		for i, x := range v.Dec[:n] {
			y := x.Lo // so that zero is one number to mix, as in the other layouts
			if x.Hi != 0 {
				y = h.mix(h.mix(h.start, y), uint64(x.Hi))
			}
			sums[i] = h.mix(sums[i], y)
		}
	default:
		for i := range sums {
			if b := v.BytesAt(i); len(b) > 0 {
				sums[i] = h.mix(sums[i], maphash.Bytes(h.seed, b))
			} else {
				sums[i] = h.mix(sums[i], 0)
			}
		}
	}
}
