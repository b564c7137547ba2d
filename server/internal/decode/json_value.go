package decode

import (
	"unicode/utf8"

	"github.com/zerobus-go/zerobus/internal/jsonscan"
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// value reads the value at b[i] into the vector.
func (d *jsonDecoder) value(v *column.Vector, p *jsonPlan, b []byte, i int) int {
	if i < len(b) && b[i] == 'n' && jsonscan.Literal(b, i, "null") {
		if p.notNull {
			return d.fail(p.name, i, p.null)
		}
		v.AppendNull()
		return i + len("null")
	}
	switch p.layout {
	case column.Int32, column.Int64:
		x, end, ok := jsonscan.Int64(b, i)
		if !ok || x < p.min || x > p.max {
			return d.noInteger(p, b, i, end)
		}
		if p.layout == column.Int32 {
			v.AppendInt32(int32(x))
		} else {
			v.AppendInt64(x)
		}
		return end
	case column.Float64:
		return d.double(v, p, b, i)
	case column.Float32:
		return d.float(v, p, b, i)
	case column.Bool:
		switch {
		case jsonscan.Literal(b, i, "true"):
			v.AppendBool(true)
			return i + len("true")
		case jsonscan.Literal(b, i, "false"):
			v.AppendBool(false)
			return i + len("false")
		}
		return d.mistyped(p.name, b, i, "a boolean")
	case column.Int128:
		return d.decimal(v, p, b, i)
	case column.Bytes:
		if p.kind == schema.Binary {
			return d.binary(v, p, b, i)
		}
		return d.string(v, p, b, i)
	case column.List:
		return d.array(v, p, b, i)
	case column.Map:
		return d.entries(v, p, b, i)
	}
	if p.kind == schema.Variant {
		return d.variantText(v, p, b, i)
	}
	return d.structure(v, p, b, i)
}

func (d *jsonDecoder) string(v *column.Vector, p *jsonPlan, b []byte, i int) int {
	if i == len(b) || b[i] != '"' {
		return d.mistyped(p.name, b, i, "a string")
	}
	begin := len(v.Data)
	var end int
	var reason string
	if v.Data, end, reason = jsonscan.AppendString(v.Data, b, i); reason != "" {
		return d.fail(p.name, end, reason)
	}
	if n := len(v.Data) - begin; p.length > 0 && n > p.length {
		if n = utf8.RuneCount(v.Data[begin:]); n > p.length {
			return d.fail(p.name, i, p.tooLong(n))
		}
	}
	v.EndBytes()
	return end
}

const wantBase64 = "a string, base64 in the standard alphabet with padding"

func (d *jsonDecoder) binary(v *column.Vector, p *jsonPlan, b []byte, i int) int {
	if i == len(b) || b[i] != '"' {
		return d.mistyped(p.name, b, i, wantBase64)
	}
	text, end, reason := d.text.View(b, i)
	if reason != "" {
		return d.fail(p.name, end, reason)
	}
	var ok bool
	if v.Data, ok = jsonscan.AppendBase64(v.Data, text); !ok {
		return d.fail(p.name, i, "invalid base64, expected "+wantBase64)
	}
	v.EndBytes()
	return end
}

func (d *jsonDecoder) decimal(v *column.Vector, p *jsonPlan, b []byte, i int) int {
	var text []byte
	var end int
	if i < len(b) && b[i] == '"' {
		var reason string
		if text, end, reason = d.text.View(b, i); reason != "" {
			return d.fail(p.name, end, reason)
		}
	} else {
		if end = jsonscan.Number(b, i); end < 0 {
			return d.mistyped(p.name, b, i, "a decimal number or a string with one")
		}
		text = b[i:end]
	}
	x, fault := parseDecimal(text, p.precision, p.scale)
	if fault != decimalOK {
		return d.fail(p.name, i, p.decimalReason(text, fault))
	}
	v.AppendDecimal(x)
	return end
}
