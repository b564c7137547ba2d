// Package decimal reads and writes the numbers of DECIMAL(precision, scale) columns: takes text and gives 128 bits, takes
// 128 bits and gives text, exactly.
//
// Concurrency: everything here is a function of its arguments. Failure: a [Fault] says why a text is no value of the column;
// input never panics, and nothing is rounded.
package decimal

import "math/bits"

// MaxPrecision is the most digits that a number may have.
const MaxPrecision = 38

// Number is an unscaled decimal in two's complement.
type Number struct {
	Hi int64
	Lo uint64
}

// Fault is why a text is no value of a column.
type Fault uint8

// The faults, and that there is none.
const (
	OK      Fault = iota
	Syntax        // not a number
	Scale         // digits behind the point that the column cannot hold
	TooLong       // more digits than the precision, once scaled
)

// maxExponent bounds the exponents that are told apart; beyond, a number is out of range whatever its digits, since text
// is shorter than that.
const maxExponent = 1 << 40

// Parse reads [+-]digits[.digits][e[+-]digits], with at least one digit before or behind the point, as the unscaled
// number of a DECIMAL(precision, scale), whose precision is at most MaxPrecision and whose scale is at most the precision. It
// is exact: where digits would have to be dropped, there is a fault. Zeros at the end do not count as digits.
func Parse(text []byte, precision, scale int) (Number, Fault) {
	var (
		m      uint128 // the digits between the first and the last that are not zero
		digits int     // how many
		zeros  int     // zeros read since; they become digits when another follows
		exp    int64   // the value is m × 10^(zeros+exp)
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
			if digits <= MaxPrecision {
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
		return Number{}, Syntax
	}
	if i < len(text) {
		e, ok := exponent(text[i:])
		if !ok {
			return Number{}, Syntax
		}
		exp += e
	}
	shift := int64(zeros) + exp + int64(scale)
	switch {
	case digits == 0:
		return Number{}, OK
	case shift < 0:
		return Number{}, Scale
	case int64(digits)+shift > int64(precision):
		return Number{}, TooLong
	}
	for range shift {
		m = m.times10()
	}
	if negative {
		m = m.negated()
	}
	return Number{Hi: int64(m.hi), Lo: m.lo}, OK
}

// exponent reads e[+-]digits up to the end of the text.
func exponent(text []byte) (int64, bool) {
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
	e := int64(0)
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		e = min(e*10+int64(c-'0'), maxExponent)
	}
	if negative {
		e = -e
	}
	return e, true
}

// Append appends the number as text, with scale digits behind the point, which is left out when there are none: the one
// plain form of its value, such as -0.50.
func (n Number) Append(dst []byte, scale int) []byte {
	m := uint128{hi: uint64(n.Hi), lo: n.Lo}
	if n.Hi < 0 {
		m = m.negated()
		dst = append(dst, '-')
	}
	var text [MaxPrecision + 3]byte // a digit before the point, the point, and 39 digits of 128 bits
	at := len(text)
	for left := scale; m != (uint128{}) || left >= 0; left-- {
		var digit byte
		m, digit = m.div10()
		at--
		text[at] = '0' + digit
		if left == 1 {
			at--
			text[at] = '.'
		}
	}
	return append(dst, text[at:]...)
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

// div10 takes the last digit off.
func (a uint128) div10() (uint128, byte) {
	if a.hi == 0 { // the usual case, for which the compiler needs no division
		return uint128{0, a.lo / 10}, byte(a.lo % 10)
	}
	lo, rest := bits.Div64(a.hi%10, a.lo, 10)
	return uint128{a.hi / 10, lo}, byte(rest)
}
