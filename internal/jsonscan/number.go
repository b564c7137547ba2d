package jsonscan

import (
	"encoding/binary"
	"math"
	"strconv"
	"unsafe"
)

// Int64 reads the integer at b[i]: digits, with no fraction and no exponent. The end is negative if there is none. Not ok: it
// does not fit into 64 bits.
func Int64(b []byte, i int) (x int64, end int, ok bool) {
	negative := i < len(b) && b[i] == '-'
	if negative {
		i++
	}
	first := i
	var u uint64
	for i+8 <= len(b) && b[i+7]-'0' <= 9 { // or else there are less
		eight, ok := eightDigits(binary.LittleEndian.Uint64(b[i:]))
		if !ok {
			break
		}
		u = u*1e8 + eight
		i += 8
	}
	for i < len(b) && b[i]-'0' <= 9 {
		u = u*10 + uint64(b[i]-'0') // may wrap, from the 20th digit on
		i++
	}
	n := i - first
	if n == 0 || n > 1 && b[first] == '0' || i < len(b) && (b[i] == '.' || wordByte(b[i])) {
		return 0, -1, false
	}
	x = int64(u)
	if negative {
		x = -x
	}
	// Up to 19 digits fit into u, but not all into x: what wraps there changes the sign.
	return x, i, n <= 19 && (x == 0 || (x < 0) == negative)
}

// eightDigits is the number that 8 bytes of text, the first one lowest, are the digits of.
func eightDigits(x uint64) (n uint64, ok bool) {
	x ^= 0x3030303030303030
	// Digits are bytes up to 9 now. Only others have the high bit, or get it from 0x76 more.
	if (x|(x+0x7676767676767676))&0x8080808080808080 != 0 {
		return 0, false
	}
	// Add up neighbours: two digits, four, eight.
	x = x*10 + x>>8
	x = x&0x00ff00ff00ff00ff*100 + x>>16&0x00ff00ff00ff00ff
	return x&0xffff*10000 + x>>32&0xffff, true
}

// Number reads any number, and returns the position behind it; a negative one if there is none.
func Number(b []byte, i int) int { return scanNumber(b, i).end }

// number is a scanned JSON number, ±mantissa × 10^exponent.
type number struct {
	mantissa uint64 // its first digits, if that is no less than maxMantissa
	exponent int64
	negative bool
	integer  bool // no fraction, no exponent
	end      int  // behind it; -1: there is none
}

// scanNumber reads a number as JSON has it. A number that goes on with what cannot follow one is none.
func scanNumber(b []byte, i int) number {
	n := number{integer: true, end: -1}
	if i < len(b) && b[i] == '-' {
		n.negative = true
		i++
	}
	first := i
	for i < len(b) && b[i]-'0' <= 9 {
		n.digit(b[i])
		i++
	}
	if i == first || i > first+1 && b[first] == '0' {
		return n
	}
	if i < len(b) && b[i] == '.' {
		n.integer = false
		i++
		first = i
		for i < len(b) && b[i]-'0' <= 9 {
			n.digit(b[i])
			i++
		}
		if i == first {
			return n
		}
		n.exponent = int64(first - i)
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		n.integer = false
		i++
		negative := i < len(b) && b[i] == '-'
		if negative || i < len(b) && b[i] == '+' {
			i++
		}
		first = i
		e := int64(0)
		for i < len(b) && b[i]-'0' <= 9 {
			e = min(e*10+int64(b[i]-'0'), maxExponent)
			i++
		}
		if i == first {
			return n
		}
		if negative {
			e = -e
		}
		n.exponent += e
	}
	if i < len(b) && (b[i] == '.' || wordByte(b[i])) {
		return n
	}
	n.end = i
	return n
}

const (
	// maxMantissa is where the mantissa takes no more digits: far above what a float holds exactly.
	maxMantissa = (math.MaxUint64 - 9) / 10

	// maxExponent bounds the exponents that are told apart: beyond, no float is near, since text has fewer digits than that.
	maxExponent = 1 << 40
)

func (n *number) digit(c byte) {
	if n.mantissa < maxMantissa {
		n.mantissa = n.mantissa*10 + uint64(c-'0')
	}
}

// The powers of ten that a float holds exactly. A mantissa that it holds too, times or over one of them, is rounded once:
// the result is the nearest float, as strconv would find it the long way (Clinger's fast path).
var (
	tens64 = [...]float64{
		1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
		1e19, 1e20, 1e21, 1e22,
	}
	tens32 = [...]float32{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10}
)

// Float64 reads the number at b[i] as the nearest float64. The end is negative if there is none. Not ok: it is beyond the
// range, where the nearest is an infinity.
func Float64(b []byte, i int) (x float64, end int, ok bool) {
	n := scanNumber(b, i)
	if n.end < 0 {
		return 0, n.end, false
	}
	if n.mantissa < 1<<53 && n.exponent > -int64(len(tens64)) && n.exponent < int64(len(tens64)) {
		x := float64(n.mantissa)
		if n.exponent < 0 {
			x /= tens64[-n.exponent]
		} else {
			x *= tens64[n.exponent]
		}
		if n.negative {
			x = -x
		}
		return x, n.end, true
	}
	x, err := strconv.ParseFloat(unsafe.String(&b[i], n.end-i), 64)
	return x, n.end, err == nil
}

// Float32 is Float64 for the nearest float32.
func Float32(b []byte, i int) (x float32, end int, ok bool) {
	n := scanNumber(b, i)
	if n.end < 0 {
		return 0, n.end, false
	}
	if n.mantissa < 1<<24 && n.exponent > -int64(len(tens32)) && n.exponent < int64(len(tens32)) {
		x := float32(n.mantissa)
		if n.exponent < 0 {
			x /= tens32[-n.exponent]
		} else {
			x *= tens32[n.exponent]
		}
		if n.negative {
			x = -x
		}
		return x, n.end, true
	}
	wide, err := strconv.ParseFloat(unsafe.String(&b[i], n.end-i), 32)
	return float32(wide), n.end, err == nil
}
