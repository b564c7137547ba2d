package decode

import (
	"unicode/utf8"

	"github.com/zerobus-go/zerobus/internal/jsonscan"
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// value reads the value at b[i] into the column.
func (d *jsonDecoder) value(v *column.Vector, c *jsonColumn, b []byte, i int) int {
	if i < len(b) && b[i] == 'n' && jsonscan.Literal(b, i, "null") {
		if c.notNull {
			return d.fail(i, "invalid type: null, the column is "+c.ddl+" NOT NULL")
		}
		v.AppendNull()
		return i + len("null")
	}
	switch c.layout {
	case column.Int32, column.Int64:
		x, end, ok := jsonscan.Int64(b, i)
		if !ok || x < c.min || x > c.max {
			return d.noInteger(c, b, i, end)
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
		case jsonscan.Literal(b, i, "true"):
			v.AppendBool(true)
			return i + len("true")
		case jsonscan.Literal(b, i, "false"):
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
	var reason string
	if v.Data, end, reason = jsonscan.AppendString(v.Data, b, i); reason != "" {
		return d.fail(end, reason)
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
	text, end, reason := d.text.View(b, i)
	if reason != "" {
		return d.fail(end, reason)
	}
	var ok bool
	if v.Data, ok = jsonscan.AppendBase64(v.Data, text); !ok {
		return d.fail(i, "invalid base64, expected "+expected)
	}
	v.EndBytes()
	return end
}

func (d *jsonDecoder) decimal(v *column.Vector, c *jsonColumn, b []byte, i int) int {
	var text []byte
	var end int
	if i < len(b) && b[i] == '"' {
		var reason string
		if text, end, reason = d.text.View(b, i); reason != "" {
			return d.fail(end, reason)
		}
	} else {
		if end = jsonscan.Number(b, i); end < 0 {
			return d.mistyped(b, i, "a decimal number or a string with one")
		}
		text = b[i:end]
	}
	x, fault := parseDecimal(text, c.precision, c.scale)
	if fault != decimalOK {
		return d.fail(i, c.decimalReason(text, fault))
	}
	v.AppendDecimal(x)
	return end
}
