package decode

import (
	"encoding/base64"
	"slices"
	"unicode/utf8"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// base64Strict wants the standard alphabet, padding, and zeros in the bits that padding leaves over: one text for each value.
var base64Strict = base64.StdEncoding.Strict()

// value reads the value at b[i] into the column.
func (d *jsonDecoder) value(v *column.Vector, c *jsonColumn, b []byte, i int) int {
	if i < len(b) && b[i] == 'n' && hasLiteral(b, i, "null") {
		if c.notNull {
			return d.fail(i, "invalid type: null, the column is "+c.ddl+" NOT NULL")
		}
		v.AppendNull()
		return i + len("null")
	}
	switch c.layout {
	case column.Int32, column.Int64:
		x, end := d.integer(c, b, i)
		if end < 0 {
			return end
		}
		if c.layout == column.Int32 {
			v.AppendInt32(int32(x))
		} else {
			v.AppendInt64(x)
		}
		return end
	case column.Float64:
		return d.double(v, b, i)
	case column.Float32:
		return d.float(v, b, i)
	case column.Bool:
		switch {
		case hasLiteral(b, i, "true"):
			v.AppendBool(true)
			return i + len("true")
		case hasLiteral(b, i, "false"):
			v.AppendBool(false)
			return i + len("false")
		}
		return d.mistyped(b, i, "a boolean")
	case column.Int128:
		return d.decimal(v, c, b, i)
	}
	if c.kind == schema.Binary {
		return d.binary(v, b, i)
	}
	return d.string(v, c, b, i)
}

func (d *jsonDecoder) string(v *column.Vector, c *jsonColumn, b []byte, i int) int {
	if i == len(b) || b[i] != '"' {
		return d.mistyped(b, i, "a string")
	}
	begin := len(v.Data)
	var end int
	if v.Data, end = d.appendString(v.Data, b, i); end < 0 {
		return end
	}
	if n := len(v.Data) - begin; c.length > 0 && n > c.length {
		if n = utf8.RuneCount(v.Data[begin:]); n > c.length {
			return d.fail(i, c.tooLong(n))
		}
	}
	v.EndBytes()
	return end
}

func (d *jsonDecoder) binary(v *column.Vector, b []byte, i int) int {
	const expected = "a string, base64 in the standard alphabet with padding"
	if i == len(b) || b[i] != '"' {
		return d.mistyped(b, i, expected)
	}
	text, end := d.stringView(b, i)
	if end < 0 {
		return end
	}
	for _, c := range text {
		if c == '\n' || c == '\r' { // the decoder would pass over them
			return d.fail(i, "invalid base64, expected "+expected)
		}
	}
	begin := len(v.Data)
	v.Data = slices.Grow(v.Data, base64Strict.DecodedLen(len(text)))
	n, err := base64Strict.Decode(v.Data[begin:cap(v.Data)], text)
	if err != nil {
		return d.fail(i, "invalid base64, expected "+expected)
	}
	v.Data = v.Data[:begin+n]
	v.EndBytes()
	return end
}

func (d *jsonDecoder) decimal(v *column.Vector, c *jsonColumn, b []byte, i int) int {
	var text []byte
	var end int
	switch {
	case i < len(b) && b[i] == '"':
		if text, end = d.stringView(b, i); end < 0 {
			return end
		}
	case i < len(b) && (b[i] == '-' || b[i] >= '0' && b[i] <= '9'):
		if end = scanNumber(b, i).end; end < 0 {
			return d.fail(i, "invalid number")
		}
		text = b[i:end]
	default:
		return d.mistyped(b, i, "a decimal number or a string with one")
	}
	x, fault := parseDecimal(text, c.precision, c.scale)
	if fault != decimalOK {
		return d.fail(i, c.decimalReason(text, fault))
	}
	v.AppendDecimal(x)
	return end
}
