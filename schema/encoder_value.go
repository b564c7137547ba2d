package schema

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/zerobus-go/zerobus/internal/decimal"
	"github.com/zerobus-go/zerobus/internal/jsonscan"
)

// maxVariantDepth is how deep arrays and objects may be nested in a VARIANT.
const maxVariantDepth = 100

// value writes the value at b[i] as a field; null as none.
func (s *encodeState) value(p *encodePlan, b []byte, i int) int {
	if i < len(b) && b[i] == 'n' && jsonscan.Literal(b, i, "null") {
		if p.null != "" {
			return s.fail(p.path, i, p.null)
		}
		return i + len("null")
	}
	switch p.op {
	case encodeInteger:
		x, end, ok := jsonscan.Int64(b, i)
		if !ok || x < p.min || x > p.max {
			return s.noInteger(p, b, i, end)
		}
		s.varint(p.tag, uint64(x))
		return end
	case encodeText:
		return s.text(p, b, i)
	case encodeBool:
		switch {
		case jsonscan.Literal(b, i, "true"):
			s.varint(p.tag, 1)
			return i + len("true")
		case jsonscan.Literal(b, i, "false"):
			s.varint(p.tag, 0)
			return i + len("false")
		}
		return s.mistyped(p.path, b, i, "a boolean")
	case encodeDouble:
		x, end, ok := jsonscan.Float64(b, i)
		if !ok {
			return s.noFloat(p, b, i, end)
		}
		s.out = binary.LittleEndian.AppendUint64(binary.AppendUvarint(s.out, p.tag), math.Float64bits(x))
		return end
	case encodeFloat:
		x, end, ok := jsonscan.Float32(b, i)
		if !ok {
			return s.noFloat(p, b, i, end)
		}
		s.out = binary.LittleEndian.AppendUint32(binary.AppendUvarint(s.out, p.tag), math.Float32bits(x))
		return end
	case encodeDecimal:
		return s.decimal(p, b, i)
	case encodeBinary:
		return s.binary(p, b, i)
	case encodeVariant:
		return s.variant(p, b, i)
	case encodeStruct:
		return s.structure(p, b, i)
	case encodeArray:
		return s.array(p, b, i)
	}
	return s.entries(p, b, i)
}

// varint writes a field with an integer. A negative one has all its 64 bits, whatever the type.
func (s *encodeState) varint(tag, x uint64) {
	s.out = binary.AppendUvarint(binary.AppendUvarint(s.out, tag), x)
}

// bytes writes a field with bytes or text.
func (s *encodeState) bytes(tag uint64, x []byte) {
	s.varint(tag, uint64(len(x)))
	s.out = append(s.out, x...)
}

// noInteger refuses what is not an integer, where end is negative: another type, or not even a number; or an integer out of
// range.
func (s *encodeState) noInteger(p *encodePlan, b []byte, i, end int) int {
	if end >= 0 {
		return s.fail(p.path, i, p.outOfRange(b[i:end]))
	}
	expected := "an integer"
	switch p.kind {
	case Date:
		expected = "an integer, days since 1970-01-01"
	case Timestamp, TimestampNTZ:
		expected = "an integer, microseconds since 1970-01-01"
	}
	return s.mistyped(p.path, b, i, expected)
}

func (p *encodePlan) outOfRange(value []byte) string {
	return fmt.Sprintf("value %s is out of range for %s (%d to %d)", jsonscan.Clip(value), p.ddl, p.min, p.max)
}

// noFloat refuses what is not a number, where end is negative, or is beyond the range.
func (s *encodeState) noFloat(p *encodePlan, b []byte, i, end int) int {
	if end < 0 {
		return s.mistyped(p.path, b, i, "a number")
	}
	return s.fail(p.path, i, "value "+jsonscan.Clip(b[i:end])+" is out of range for "+p.ddl)
}

func (s *encodeState) text(p *encodePlan, b []byte, i int) int {
	if i == len(b) || b[i] != '"' {
		return s.mistyped(p.path, b, i, "a string")
	}
	text, end, reason := s.scratch.View(b, i)
	if reason != "" {
		return s.fail(p.path, end, reason)
	}
	if reason = p.tooLong(text); reason != "" {
		return s.fail(p.path, i, reason)
	}
	s.bytes(p.tag, text)
	return end
}

// tooLong is why a text is refused that has more characters than the type allows; empty if it has not.
func (p *encodePlan) tooLong(text []byte) string {
	if p.length == 0 || len(text) <= p.length {
		return ""
	}
	n := utf8.RuneCount(text)
	if n <= p.length {
		return ""
	}
	return fmt.Sprintf("text of %d characters is longer than %s", n, p.ddl)
}

func (s *encodeState) binary(p *encodePlan, b []byte, i int) int {
	const expected = "a string, base64 in the standard alphabet with padding"
	if i == len(b) || b[i] != '"' {
		return s.mistyped(p.path, b, i, expected)
	}
	text, end, reason := s.scratch.View(b, i)
	if reason != "" {
		return s.fail(p.path, end, reason)
	}
	begin := s.open(p.tag)
	var ok bool
	if s.out, ok = jsonscan.AppendBase64(s.out, text); !ok {
		return s.fail(p.path, i, "invalid base64, expected "+expected)
	}
	s.close(begin)
	return end
}

func (s *encodeState) decimal(p *encodePlan, b []byte, i int) int {
	var text []byte
	var end int
	if i < len(b) && b[i] == '"' {
		var reason string
		if text, end, reason = s.scratch.View(b, i); reason != "" {
			return s.fail(p.path, end, reason)
		}
	} else {
		if end = jsonscan.Number(b, i); end < 0 {
			return s.mistyped(p.path, b, i, "a decimal number or a string with one")
		}
		text = b[i:end]
	}
	if reason := s.decimalText(p, text); reason != "" {
		return s.fail(p.path, i, reason)
	}
	return end
}

// decimalText writes a decimal number, however its text is spelled, with all the digits of its scale. The reason is why it is
// none of the type; empty if it is.
func (s *encodeState) decimalText(p *encodePlan, text []byte) (reason string) {
	x, fault := decimal.Parse(text, p.precision, p.scale)
	switch fault {
	case decimal.Syntax:
		return "text is not a decimal number"
	case decimal.Scale:
		return fmt.Sprintf("value %s has more than %d digits behind the point for %s", jsonscan.Clip(text), p.scale, p.ddl)
	case decimal.TooLong:
		return fmt.Sprintf("value %s is out of range for %s", jsonscan.Clip(text), p.ddl)
	}
	begin := s.open(p.tag)
	s.out = x.Append(s.out, p.scale)
	s.close(begin)
	return ""
}

// variant writes the text of the value at b[i]. A string stands for the text that it holds, as it does in a stream of JSON
// records.
func (s *encodeState) variant(p *encodePlan, b []byte, i int) int {
	if i < len(b) && b[i] == '"' {
		return s.variantText(p, b, i)
	}
	end, reason := s.scratch.Value(b, i, maxVariantDepth)
	if reason != "" {
		return s.fail(p.path, end, reason)
	}
	s.bytes(p.tag, b[i:end])
	return end
}

func (s *encodeState) variantText(p *encodePlan, b []byte, i int) int {
	text, end, reason := s.scratch.View(b, i)
	if reason != "" {
		return s.fail(p.path, end, reason)
	}
	s.bytes(p.tag, text)
	text = s.out[len(s.out)-len(text):] // a view of the scratch would not last
	at, reason := s.scratch.Value(text, jsonscan.Space(text, 0), maxVariantDepth)
	if reason == "" && jsonscan.Space(text, at) < len(text) {
		reason = "trailing characters"
	}
	if reason != "" {
		return s.fail(p.path, i, "the string holds no JSON text: "+reason)
	}
	return end
}
