package decode

import (
	"fmt"
	"math/bits"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// decimalFault is why a text is no value of a DECIMAL column.
type decimalFault uint8

const (
	decimalOK      decimalFault = iota
	decimalSyntax               // not a number
	decimalScale                // digits behind the point that the column cannot hold
	decimalTooLong              // more digits than the precision, once scaled
)

// maxExponent bounds the exponents that are told apart; beyond, a number is out of range whatever its digits, since text
// is shorter than that.
const maxExponent = 1 << 40

// parseDecimal reads [+-]digits[.digits][e[+-]digits], with at least one digit before or behind the point, as the unscaled
// number of a DECIMAL(precision, scale). It is exact: where digits would have to be dropped, there is a fault. Zeros at the
// end do not count as digits.
func parseDecimal(text []byte, precision, scale int) (column.Decimal128, decimalFault) {
	var (
		m      uint128 // the digits between the first and the last that are not zero
		digits int     // how many
		zeros  int     // zeros read since; they become digits when another follows
		exp    int     // the value is m × 10^(zeros+exp)
		seen   bool    // any digit
		point  bool
	)
	i := 0
	negative := i < len(text) && text[i] == '-'
	if negative || i < len(text) && text[i] == '+' {
		i++
	}
scan:
	for ; i < len(text); i++ {
		c := text[i]
		switch {
		case c >= '0' && c <= '9':
			seen = true
			if point {
				exp--
			}
			if c == '0' {
				if digits > 0 {
					zeros++
				}
				continue
			}
			digits += zeros + 1
			if digits <= schema.MaxDecimalPrecision {
				for range zeros + 1 {
					m = m.times10()
				}
				m = m.plus(uint64(c - '0'))
			}
			zeros = 0
		case c == '.' && !point:
			point = true
		default:
			break scan
		}
	}
	if !seen {
		return column.Decimal128{}, decimalSyntax
	}
	if i < len(text) {
		e, ok := decimalExponent(text[i:])
		if !ok {
			return column.Decimal128{}, decimalSyntax
		}
		exp += e
	}
	shift := zeros + exp + scale
	switch {
	case digits == 0:
		return column.Decimal128{}, decimalOK
	case shift < 0:
		return column.Decimal128{}, decimalScale
	case digits+shift > precision:
		return column.Decimal128{}, decimalTooLong
	}
	for range shift {
		m = m.times10()
	}
	if negative {
		m = m.negated()
	}
	return column.Decimal128{Lo: m.lo, Hi: int64(m.hi)}, decimalOK
}

// decimalExponent reads e[+-]digits up to the end of the text.
func decimalExponent(text []byte) (int, bool) {
	if text[0]|0x20 != 'e' {
		return 0, false
	}
	text = text[1:]
	negative := len(text) > 0 && text[0] == '-'
	if negative || len(text) > 0 && text[0] == '+' {
		text = text[1:]
	}
	if len(text) == 0 {
		return 0, false
	}
	e := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		e = min(e*10+int(c-'0'), maxExponent)
	}
	if negative {
		e = -e
	}
	return e, true
}

func (t *target) decimalReason(text []byte, fault decimalFault) string {
	switch fault {
	case decimalScale:
		return fmt.Sprintf("value %s has more than %d digits behind the point for %s", clip(text), t.scale, t.ddl)
	case decimalTooLong:
		return fmt.Sprintf("value %s is out of range for %s", clip(text), t.ddl)
	}
	return "text is not a decimal number"
}

// uint128 is as much arithmetic as 38 digits need.
type uint128 struct{ hi, lo uint64 }

func (a uint128) times10() uint128 {
	hi, lo := bits.Mul64(a.lo, 10)
	return uint128{hi + a.hi*10, lo}
}

func (a uint128) plus(x uint64) uint128 {
	lo, carry := bits.Add64(a.lo, x, 0)
	return uint128{a.hi + carry, lo}
}

func (a uint128) negated() uint128 {
	lo, borrow := bits.Sub64(0, a.lo, 0)
	hi, _ := bits.Sub64(0, a.hi, borrow)
	return uint128{hi, lo}
}
