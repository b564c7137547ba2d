package jsonscan

import (
	"encoding/base64"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// AppendString appends the value of the string whose opening quote is b[i]. What it has appended before a fault stays.
func AppendString(dst, b []byte, i int) (text []byte, at int, reason string) {
	i++
	for {
		end, ascii := plain(b, i)
		// What ends a plain part is ASCII or the end of the text: it does not cut a character in two.
		if !ascii && !utf8.Valid(b[i:end]) {
			return dst, i + ValidPrefix(b[i:end]), "invalid UTF-8 in a string"
		}
		dst = append(dst, b[i:end]...)
		if end == len(b) {
			return dst, end, eofString
		}
		switch b[end] {
		case '"':
			return dst, end + 1, ""
		case '\\':
			if dst, i, reason = appendEscape(dst, b, end); reason != "" {
				return dst, i, reason
			}
		default:
			return dst, end, "control character (\\u0000-\\u001F) found while parsing a string"
		}
	}
}

// Scratch is memory for strings that cannot be seen where they lie. The zero value is ready.
type Scratch struct{ text []byte }

// maxKept is the most memory that stays in a Scratch.
const maxKept = 64 << 10

// View reads the string whose opening quote is b[i]. The text is a view of b or, where escapes forbid it, of the scratch; it
// is valid until the next call.
func (s *Scratch) View(b []byte, i int) (text []byte, at int, reason string) {
	end, ascii := plain(b, i+1)
	if end < len(b) && b[end] == '"' && (ascii || utf8.Valid(b[i+1:end])) {
		return b[i+1 : end], end + 1, ""
	}
	text, at, reason = AppendString(s.text[:0], b, i)
	s.text = text
	if cap(text) > maxKept {
		s.text = nil
	}
	return text, at, reason
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
func appendEscape(dst, b []byte, i int) (text []byte, at int, reason string) {
	if i+1 == len(b) {
		return dst, i + 1, eofString
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
		return appendUnicode(dst, b, i)
	default:
		return dst, i, badEscape
	}
	return append(dst, c), i + 2, ""
}

const badEscape = "invalid escape"

// appendUnicode appends the character of \uXXXX at b[i], or of two of them when the first is a high surrogate.
func appendUnicode(dst, b []byte, i int) (text []byte, at int, reason string) {
	r, ok := hex4(b, i)
	if !ok {
		at, reason = badUnicode(b, i)
		return dst, at, reason
	}
	switch {
	case r >= 0xdc00 && r <= 0xdfff:
		return dst, i, "lone trailing surrogate in hex escape"
	case r < 0xd800 || r > 0xdfff:
		return utf8.AppendRune(dst, r), i + 6, ""
	}
	low, ok := hex4(b, i+6)
	if !ok || low < 0xdc00 || low > 0xdfff {
		return dst, i, "lone leading surrogate in hex escape"
	}
	return utf8.AppendRune(dst, 0x10000+(r-0xd800)<<10+(low-0xdc00)), i + 12, ""
}

// badUnicode tells whether the text ends within the escape at b[i], or what is there is none.
func badUnicode(b []byte, i int) (at int, reason string) {
	for n := 2; n < 6; n++ {
		if i+n == len(b) {
			return i + n, eofString
		}
		if _, ok := hexDigit(b[i+n]); !ok {
			break
		}
	}
	return i, badEscape
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

// ValidPrefix is how many bytes of s are valid UTF-8.
func ValidPrefix(s []byte) int {
	n := 0
	for n < len(s) {
		r, size := utf8.DecodeRune(s[n:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		n += size
	}
	return n
}

// AppendQuoted appends a JSON string with no more escapes than it needs.
func AppendQuoted(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// base64Strict wants the standard alphabet, padding, and zeros in the bits that padding leaves over: one text for each value.
var base64Strict = base64.StdEncoding.Strict()

// AppendBase64 appends the bytes that text says in base64: the standard alphabet, with padding, without line breaks. Where it
// is not that, dst comes back as it was.
func AppendBase64(dst, text []byte) (data []byte, ok bool) {
	for _, c := range text {
		if c == '\n' || c == '\r' { // the decoder would pass over them
			return dst, false
		}
	}
	begin := len(dst)
	grown := slices.Grow(dst, base64Strict.DecodedLen(len(text)))
	n, err := base64Strict.Decode(grown[begin:cap(grown)], text)
	if err != nil {
		return dst, false
	}
	return grown[:begin+n], true
}
