package jsonscan

// Reasons that several functions give.
const (
	eofValue  = "EOF while parsing a value"
	eofString = "EOF while parsing a string"
	eofObject = "EOF while parsing an object"
	eofArray  = "EOF while parsing an array"
	badNumber = "invalid number"
	noValue   = "expected value"
)

// Space is the position of the first byte from i on that is not white space.
func Space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// Literal reports whether b[i:] begins with the literal and does not go on as a word.
func Literal(b []byte, i int, literal string) bool {
	end := i + len(literal)
	return end <= len(b) && string(b[i:end]) == literal && (end == len(b) || !wordByte(b[end]))
}

func wordByte(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '_'
}

// Key reports why no key of an object can begin at b[i]; empty if one may.
func Key(b []byte, i int) string {
	switch {
	case i == len(b):
		return eofObject
	case b[i] != '"':
		return "key must be a string"
	}
	return ""
}

// Colon reads what stands between a key, which ends at i, and its value, and returns the position of the value.
func Colon(b []byte, i int) (at int, reason string) {
	i = Space(b, i)
	switch {
	case i == len(b):
		return i, eofObject
	case b[i] != ':':
		return i, "expected `:`"
	}
	return Space(b, i+1), ""
}

// Next reads what stands behind a value, which ends at i, in the object or array that the bracket closing ends. It returns
// the position of the next key or value, or, with last, the one behind the bracket.
func Next(b []byte, i int, closing byte) (at int, last bool, reason string) {
	i = Space(b, i)
	switch {
	case i == len(b):
		return i, false, eofIn(closing)
	case b[i] == closing:
		return i + 1, true, ""
	case b[i] != ',':
		return i, false, "expected `,` or `" + string(rune(closing)) + "`"
	}
	i = Space(b, i+1)
	if i < len(b) && b[i] == closing {
		return i, false, "trailing comma"
	}
	return i, false, ""
}

// eofIn is the reason of a text that ends before the closing bracket.
func eofIn(closing byte) string {
	if closing == ']' {
		return eofArray
	}
	return eofObject
}

// Mistyped is the reason to refuse the value at b[i] because its type is not the expected one, or because it is no value.
func Mistyped(b []byte, i int, expected string) string {
	var got string
	switch {
	case i == len(b):
		return eofValue
	case b[i] == '"':
		got = "string"
	case b[i] == '{':
		got = "object"
	case b[i] == '[':
		got = "array"
	case b[i] == '-', b[i] >= '0' && b[i] <= '9':
		n := scanNumber(b, i)
		switch {
		case n.end < 0:
			return badNumber
		case n.integer:
			got = "integer"
		default:
			got = "floating point"
		}
		got += " `" + Clip(b[i:n.end]) + "`"
	case Literal(b, i, "true"), Literal(b, i, "false"):
		got = "boolean"
	case Literal(b, i, "null"):
		got = "null"
	default:
		return noValue
	}
	return "invalid type: " + got + ", expected " + expected
}
