package partition

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/zerobus-go/zerobus/internal/decimal"
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// appendText adds value i, which is not null, as the log has it.
func appendText(b []byte, t *schema.Type, v *column.Vector, i int) []byte {
	switch t.Kind {
	case schema.Boolean:
		return strconv.AppendBool(b, v.Bits.Get(i))
	case schema.Byte, schema.Short, schema.Integer:
		return strconv.AppendInt(b, int64(v.I32[i]), 10)
	case schema.Long:
		return strconv.AppendInt(b, v.I64[i], 10)
	case schema.Float:
		return appendFloat(b, float64(v.F32[i]), 32)
	case schema.Double:
		return appendFloat(b, v.F64[i], 64)
	case schema.Decimal:
		return decimal.Number{Hi: v.Dec[i].Hi, Lo: v.Dec[i].Lo}.Append(b, t.Scale)
	case schema.Date:
		return appendDate(b, time.Unix(int64(v.I32[i])*86400, 0).UTC())
	case schema.Timestamp:
		at := time.UnixMicro(v.I64[i]).UTC()
		return at.AppendFormat(appendDate(b, at), "T15:04:05.000000Z")
	case schema.TimestampNTZ:
		at := time.UnixMicro(v.I64[i]).UTC()
		if at.Nanosecond() == 0 {
			return at.AppendFormat(appendDate(b, at), " 15:04:05")
		}
		return at.AppendFormat(appendDate(b, at), " 15:04:05.000000")
	}
	return append(b, v.BytesAt(i)...)
}

// appendDate has years outside of 0 to 9999 as ISO 8601 and Java have them: with a sign, and as many digits as it takes.
func appendDate(b []byte, t time.Time) []byte {
	y, m, d := t.Date()
	switch {
	case y < 0:
		b = fmt.Appendf(b, "-%04d", -y)
	case y > 9999:
		b = fmt.Appendf(b, "+%d", y)
	default:
		b = fmt.Appendf(b, "%04d", y)
	}
	return fmt.Appendf(b, "-%02d-%02d", m, d)
}

// appendFloat is Java's Double.toString and Float.toString, with the fewest digits that read as x:
// https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/lang/Double.html#toString(double).
func appendFloat(b []byte, x float64, bits int) []byte {
	switch {
	case x != x:
		return append(b, "NaN"...)
	case math.IsInf(x, 1):
		return append(b, "Infinity"...)
	case math.IsInf(x, -1):
		return append(b, "-Infinity"...)
	}
	// Java writes the exponent from 10^7 on and below 10^-3.
	if a := math.Abs(x); a == 0 || a >= 1e-3 && a < 1e7 {
		start := len(b)
		b = strconv.AppendFloat(b, x, 'f', -1, bits)
		for _, c := range b[start:] {
			if c == '.' {
				return b
			}
		}
		return append(b, ".0"...)
	}
	text := strconv.AppendFloat(nil, x, 'e', -1, bits) // -1.5e-05
	e := len(text) - 1
	for text[e] != 'e' {
		e--
	}
	b = append(b, text[:e]...)
	if e <= 2 { // one digit, perhaps with a sign: no point
		b = append(b, ".0"...)
	}
	exponent, _ := strconv.Atoi(string(text[e+1:]))
	return strconv.AppendInt(append(b, 'E'), int64(exponent), 10)
}
