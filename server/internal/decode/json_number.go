package decode

import (
	"math"
	"strconv"
	"unsafe"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// integer reads the integer at b[i] and checks the column's range.
func (d *jsonDecoder) integer(c *jsonColumn, b []byte, i int) (int64, int) {
	at := i
	negative := i < len(b) && b[i] == '-'
	if negative {
		i++
	}
	first := i
	var u uint64
	for i < len(b) && b[i]-'0' <= 9 {
		u = u*10 + uint64(b[i]-'0') // may wrap, from the 20th digit on
		i++
	}
	n := i - first
	if n == 0 || n > 1 && b[first] == '0' || i < len(b) && (b[i] == '.' || wordByte(b[i])) {
		return 0, d.noInteger(c, b, at)
	}
	x := int64(u)
	if negative {
		x = -x
	}
	// Up to 19 digits fit into u, but not all into x: what wraps there changes the sign.
	if n > 19 || x != 0 && (x < 0) != negative || x < c.min || x > c.max {
		return 0, d.fail(at, c.outOfRange(clip(b[at:i])))
	}
	return x, i
}

// noInteger refuses what is not an integer: another type, or not even a number.
func (d *jsonDecoder) noInteger(c *jsonColumn, b []byte, i int) int {
	expected := "an integer"
	switch c.kind {
	case schema.Date:
		expected = "an integer, days since 1970-01-01"
	case schema.Timestamp, schema.TimestampNTZ:
		expected = "an integer, microseconds since 1970-01-01"
	}
	return d.mistyped(b, i, expected)
}

// number is a scanned JSON number, ±mantissa × 10^exponent.
type number struct {
	mantissa uint64 // its first digits, if that is no less than maxMantissa
	exponent int
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
		n.exponent = first - i
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		n.integer = false
		i++
		negative := i < len(b) && b[i] == '-'
		if negative || i < len(b) && b[i] == '+' {
			i++
		}
		first = i
		e := 0
		for i < len(b) && b[i]-'0' <= 9 {
			e = min(e*10+int(b[i]-'0'), maxExponent)
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

// maxMantissa is where the mantissa takes no more digits: far above what a float holds exactly.
const maxMantissa = (math.MaxUint64 - 9) / 10

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

func (d *jsonDecoder) double(v *column.Vector, b []byte, i int) int {
	n := scanNumber(b, i)
	if n.end < 0 {
		return d.mistyped(b, i, "a number")
	}
	if n.mantissa < 1<<53 && n.exponent > -len(tens64) && n.exponent < len(tens64) {
		x := float64(n.mantissa)
		if n.exponent < 0 {
			x /= tens64[-n.exponent]
		} else {
			x *= tens64[n.exponent]
		}
		if n.negative {
			x = -x
		}
		v.AppendFloat64(x)
		return n.end
	}
	x, err := strconv.ParseFloat(unsafe.String(&b[i], n.end-i), 64)
	if err != nil {
		return d.fail(i, "value "+clip(b[i:n.end])+" is out of range for DOUBLE")
	}
	v.AppendFloat64(x)
	return n.end
}

func (d *jsonDecoder) float(v *column.Vector, b []byte, i int) int {
	n := scanNumber(b, i)
	if n.end < 0 {
		return d.mistyped(b, i, "a number")
	}
	if n.mantissa < 1<<24 && n.exponent > -len(tens32) && n.exponent < len(tens32) {
		x := float32(n.mantissa)
		if n.exponent < 0 {
			x /= tens32[-n.exponent]
		} else {
			x *= tens32[n.exponent]
		}
		if n.negative {
			x = -x
		}
		v.AppendFloat32(x)
		return n.end
	}
	x, err := strconv.ParseFloat(unsafe.String(&b[i], n.end-i), 32)
	if err != nil {
		return d.fail(i, "value "+clip(b[i:n.end])+" is out of range for FLOAT")
	}
	v.AppendFloat32(float32(x))
	return n.end
}
