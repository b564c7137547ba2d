package parquetfile

import (
	"cmp"
	"encoding/binary"
	"math/bits"

	"github.com/zerobus-go/zerobus/server/internal/column"
)

// int128 is an unscaled decimal with the arithmetic that this package needs.
type int128 column.Decimal128

// Cmp orders by value.
func (x int128) Cmp(y int128) int {
	if c := cmp.Compare(x.Hi, y.Hi); c != 0 {
		return c
	}
	return cmp.Compare(x.Lo, y.Lo)
}

// Neg is -x; the least value is its own negative.
func (x int128) Neg() int128 {
	lo, borrow := bits.Sub64(0, x.Lo, 0)
	hi, _ := bits.Sub64(0, uint64(x.Hi), borrow)
	return int128{Lo: lo, Hi: int64(hi)}
}

// pow10 is 10^n for n up to 38.
func pow10(n int) int128 {
	x := int128{Lo: 1}
	for range n {
		hi, lo := bits.Mul64(x.Lo, 10)
		x = int128{Lo: lo, Hi: x.Hi*10 + int64(hi)}
	}
	return x
}

// appendBigEndian adds the lowest size bytes of x, the highest first: Parquet's form of decimals. size is 1 to 16.
func appendBigEndian(b []byte, x int128, size int) []byte {
	var p [16]byte
	binary.BigEndian.PutUint64(p[:8], uint64(x.Hi))
	binary.BigEndian.PutUint64(p[8:], x.Lo)
	return append(b, p[16-size:]...)
}

// fromBigEndian is the inverse for up to 16 bytes; an empty p is 0.
func fromBigEndian(p []byte) int128 {
	var full [16]byte
	if len(p) > 0 && p[0]&0x80 != 0 {
		for i := range full {
			full[i] = 0xff
		}
	}
	copy(full[16-len(p):], p)
	return int128{Lo: binary.BigEndian.Uint64(full[8:]), Hi: int64(binary.BigEndian.Uint64(full[:8]))}
}

// appendDecimal writes x with scale digits behind the point, all of them: 1.20, -0.05.
func appendDecimal(b []byte, x int128, scale int) []byte {
	hi, lo := uint64(x.Hi), x.Lo
	if x.Hi < 0 {
		b = append(b, '-')
		n := x.Neg()
		hi, lo = uint64(n.Hi), n.Lo
	}
	var digits [40]byte // 2^127 has 39
	i := len(digits)
	for n := 0; hi|lo != 0 || n <= scale; n++ {
		var rest uint64
		hi, rest = hi/10, hi%10
		lo, rest = bits.Div64(rest, lo, 10)
		i--
		digits[i] = '0' + byte(rest)
	}
	point := len(digits) - scale
	b = append(b, digits[i:point]...)
	if scale > 0 {
		b = append(b, '.')
		b = append(b, digits[point:]...)
	}
	return b
}

func fromInt64(x int64) int128 { return int128{Lo: uint64(x), Hi: x >> 63} }
