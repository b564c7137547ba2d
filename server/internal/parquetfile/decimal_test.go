package parquetfile

import (
	"math"
	"math/big"
	"testing"

	"github.com/parquet-go/parquet-go/format"
	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
)

func drawInt128() *rapid.Generator[int128] {
	return rapid.Custom(func(t *rapid.T) int128 {
		hi := rapid.OneOf(rapid.SampledFrom([]int64{math.MinInt64, -1, 0, math.MaxInt64}), rapid.Int64())
		lo := rapid.OneOf(rapid.SampledFrom([]uint64{0, 1, math.MaxUint64}), rapid.Uint64())
		return int128{Lo: lo.Draw(t, "lo"), Hi: hi.Draw(t, "hi")}
	})
}

func TestInt128_IsAsBigInt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := drawInt128().Draw(t, "x"), drawInt128().Draw(t, "y")
		bx := bigOf(x)
		if x.Cmp(y) != bx.Cmp(bigOf(y)) {
			t.Fatalf("%v and %v compare as %d", bx, bigOf(y), x.Cmp(y))
		}
		if neg := int128Of(new(big.Int).Neg(bx)); x.Neg() != neg {
			t.Fatalf("-%v is %v", bx, bigOf(x.Neg()))
		}
		if got := string(appendDecimal(nil, x, 0)); got != bx.String() {
			t.Fatalf("%v is written as %s", bx, got)
		}
		scale := rapid.IntRange(0, 38).Draw(t, "scale")
		want := new(big.Rat).SetFrac(bx, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)).FloatString(scale)
		if got := string(appendDecimal(nil, x, scale)); got != want {
			t.Fatalf("%v with scale %d is written as %s, expected %s", bx, scale, got, want)
		}
		if b := appendBigEndian(nil, x, 16); fromBigEndian(b) != x {
			t.Fatalf("%v is stored as %x", bx, b)
		}
	})
}

// Every precision is stored in the smallest form that its greatest number fits into, as by Spark's writer: the least n with
// 2^(8n-1) >= 10^p.
func TestDecimalStorage_IsSparks(t *testing.T) {
	for p := 1; p <= schema.MaxDecimalPrecision; p++ {
		physical, size := decimalStorage(p)
		most := add(pow10(p), -1)
		least := 1
		for new(big.Int).Lsh(big.NewInt(1), uint(8*least-1)).Cmp(bigOf(pow10(p))) < 0 {
			least++
		}
		for _, x := range []int128{most, most.Neg()} {
			if b := appendBigEndian(nil, x, size); fromBigEndian(b) != x {
				t.Errorf("precision %d: %v does not fit into %d bytes", p, bigOf(x), size)
			}
		}
		switch {
		case p <= 9:
			if physical != format.Int32 || size != 4 {
				t.Errorf("precision %d: %s of %d bytes", p, physical, size)
			}
		case p <= 18:
			if physical != format.Int64 || size != 8 {
				t.Errorf("precision %d: %s of %d bytes", p, physical, size)
			}
		case physical != format.FixedLenByteArray || size != least:
			t.Errorf("precision %d: %s of %d bytes, expected %d", p, physical, size, least)
		}
	}
}
