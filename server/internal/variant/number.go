package variant

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/big"

	"github.com/zerobus-go/zerobus/internal/decimal"
	"github.com/zerobus-go/zerobus/internal/jsonscan"
)

// The digits of the decimals, which bound the scale too: Spark takes a number that breaks them for damage.
const (
	maxDecimal4  = 9
	maxDecimal8  = 18
	maxDecimal16 = decimal.MaxPrecision
)

// number writes the number at b[i], which is JSON.
func (e *Encoder) number(b []byte, i int) (at int, reason string) {
	if x, end, ok := jsonscan.Int64(b, i); ok {
		e.integer(x)
		return end, ""
	}
	end := jsonscan.Number(b, i)
	text := b[i:end]
	if bytes.IndexByte(text, 'e') >= 0 || bytes.IndexByte(text, 'E') >= 0 {
		x, _, ok := jsonscan.Float64(b, i)
		if !ok {
			return i, "value " + jsonscan.Clip(text) + " is out of range for DOUBLE"
		}
		e.builder.Double(x)
		return end, ""
	}
	if e.decimal(text, scaleOf(text)) {
		return end, ""
	}
	if scaleOf(text) > 0 { // zeros at the end are as good as none
		text = bytes.TrimSuffix(bytes.TrimRight(text, "0"), []byte{'.'})
		if x, _, ok := jsonscan.Int64(text, 0); ok {
			e.integer(x)
			return end, ""
		}
		if e.decimal(text, scaleOf(text)) {
			return end, ""
		}
	}
	x, exact := exactDouble(text)
	if !exact {
		return i, "value " + jsonscan.Clip(text) + " has too many digits for DECIMAL(38): give it an exponent if it may be rounded"
	}
	e.builder.Double(x)
	return end, ""
}

func (e *Encoder) integer(x int64) {
	switch {
	case x == int64(int8(x)):
		e.builder.Int8(int8(x))
	case x == int64(int16(x)):
		e.builder.Int16(int16(x))
	case x == int64(int32(x)):
		e.builder.Int32(int32(x))
	default:
		e.builder.Int64(x)
	}
}

// scaleOf is how many digits a number without exponent has behind the point.
func scaleOf(text []byte) int {
	if point := bytes.IndexByte(text, '.'); point >= 0 {
		return len(text) - point - 1
	}
	return 0
}

// decimal writes a number without exponent, of so many digits behind the point, and reports whether it is a decimal.
func (e *Encoder) decimal(text []byte, scale int) bool {
	if scale > maxDecimal16 {
		return false
	}
	x, fault := decimal.Parse(text, maxDecimal16, scale)
	if fault != decimal.OK {
		return false
	}
	small := int64(x.Lo)
	switch {
	case x.Hi != small>>63: // not 64 bits
	case scale <= maxDecimal4 && small > -1e9 && small < 1e9:
		e.builder.Decimal4(int32(small), byte(scale))
		return true
	case scale <= maxDecimal8 && small > -1e18 && small < 1e18:
		e.builder.Decimal8(small, byte(scale))
		return true
	}
	var wide [16]byte
	binary.LittleEndian.PutUint64(wide[:], x.Lo)
	binary.LittleEndian.PutUint64(wide[8:], uint64(x.Hi))
	e.builder.Decimal16(wide, byte(scale))
	return true
}

// The most digits of a double before and behind the point. A number with more is none, unless they are zeros.
const (
	maxWhole    = 309
	maxFraction = 1074
)

// exactDouble is the double that a number without exponent and without zeros at its end is exactly.
func exactDouble(text []byte) (x float64, exact bool) {
	if len(text) > len("-.")+maxWhole+maxFraction {
		return 0, false
	}
	r, ok := new(big.Rat).SetString(string(text))
	if !ok {
		return 0, false
	}
	x, exact = r.Float64()
	return x, exact && !math.IsInf(x, 0)
}
