package decode

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// stringView reads the string whose opening quote is b[i]. The view is valid until the next call.
func (d *jsonDecoder) stringView(b []byte, i int) ([]byte, int) {
	end, ascii := plain(b, i+1)
	if end < len(b) && b[end] == '"' && (ascii || utf8.Valid(b[i+1:end])) {
		return b[i+1 : end], end + 1
	}
	var next int
	d.text, next = d.appendString(d.text[:0], b, i)
	if cap(d.text) > maxKeptText {
		text := d.text
		d.text = nil
		return text, next
	}
	return d.text, next
}

// maxKeptText is the most memory that a stream keeps for strings with escapes.
const maxKeptText = 64 << 10

// appendString appends the value of the string whose opening quote is b[i].
func (d *jsonDecoder) appendString(dst, b []byte, i int) ([]byte, int) {
	i++
	for {
		end, ascii := plain(b, i)
		// What ends a plain part is ASCII or the end of the record: it does not cut a character in two.
		if !ascii && !utf8.Valid(b[i:end]) {
			return dst, d.fail(i+validPrefix(b[i:end]), "invalid UTF-8 in a string")
		}
		dst = append(dst, b[i:end]...)
		if end == len(b) {
			return dst, d.fail(end, "EOF while parsing a string")
		}
		switch b[end] {
		case '"':
			return dst, end + 1
		case '\\':
			if dst, i = d.appendEscape(dst, b, end); i < 0 {
				return dst, i
			}
		default:
			return dst, d.fail(end, "control character (\\u0000-\\u001F) found while parsing a string")
		}
	}
}

// plain is the position of the first byte from i on that is a quote, a backslash or a control character, or the end.
// It reports whether all before it is ASCII.
func plain(b []byte, i int) (end int, ascii bool) {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	var seen uint64
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, slash := x^'"'*ones, x^'\\'*ones
		// The lowest bit set marks the first such byte. A borrow may set bits above it, never below.
		stop := ((x-0x20*ones)&^x | (quote-ones)&^quote | (slash-ones)&^slash) & high
		if stop != 0 {
			n := bits.TrailingZeros64(stop)
			seen |= x & (1<<n - 1)
			return i + n/8, seen&high == 0
		}
		seen |= x
		i += 8
	}
	for ; i < len(b); i++ {
		c := b[i]
		if c == '"' || c == '\\' || c < 0x20 {
			break
		}
		seen |= uint64(c)
	}
	return i, seen&high == 0
}

// appendEscape appends the character of the escape whose backslash is b[i].
func (d *jsonDecoder) appendEscape(dst, b []byte, i int) ([]byte, int) {
	if i+1 == len(b) {
		return dst, d.fail(i+1, "EOF while parsing a string")
	}
	var c byte
	switch b[i+1] {
	case '"', '\\', '/':
		c = b[i+1]
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return d.appendUnicode(dst, b, i)
	default:
		return dst, d.fail(i, "invalid escape")
	}
	return append(dst, c), i + 2
}

// appendUnicode appends the character of \uXXXX at b[i], or of two of them when the first is a high surrogate.
func (d *jsonDecoder) appendUnicode(dst, b []byte, i int) ([]byte, int) {
	r, ok := hex4(b, i)
	if !ok {
		return dst, d.badUnicode(b, i)
	}
	switch {
	case r >= 0xdc00 && r <= 0xdfff:
		return dst, d.fail(i, "lone trailing surrogate in hex escape")
	case r < 0xd800 || r > 0xdfff:
		return utf8.AppendRune(dst, r), i + 6
	}
	low, ok := hex4(b, i+6)
	if !ok || low < 0xdc00 || low > 0xdfff {
		return dst, d.fail(i, "lone leading surrogate in hex escape")
	}
	return utf8.AppendRune(dst, 0x10000+(r-0xd800)<<10+(low-0xdc00)), i + 12
}

func (d *jsonDecoder) badUnicode(b []byte, i int) int {
	for n := 2; n < 6; n++ {
		if i+n == len(b) {
			return d.fail(i+n, "EOF while parsing a string")
		}
		if _, ok := hexDigit(b[i+n]); !ok {
			break
		}
	}
	return d.fail(i, "invalid escape")
}

// hex4 reads \uXXXX.
func hex4(b []byte, i int) (rune, bool) {
	if len(b)-i < 6 || b[i] != '\\' || b[i+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[i+2 : i+6] {
		x, ok := hexDigit(c)
		if !ok {
			return 0, false
		}
		r = r<<4 | x
	}
	return r, true
}

func hexDigit(c byte) (rune, bool) {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0'), true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10, true
	}
	return 0, false
}
