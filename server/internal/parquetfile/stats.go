package parquetfile

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/zerobus-go/zerobus/schema"
)

// The statistics of Delta's add action, in one object:
//
//	{"numRecords":n,"minValues":{column:bound,…},"maxValues":{…},"nullCount":{column:n,…}}
//
// https://github.com/delta-io/delta/blob/master/PROTOCOL.md#per-file-statistics. numRecords and nullCount are exact. A bound
// that is written is true for every reader; where readers disagree it is left out, which only costs them the skipping of the
// file. Integers, dates and finite floats are exact: Spark answers MIN and MAX from them.
//
//	numbers        all digits. FLOAT as the double of the same value, so that it is a bound for readers of either width.
//	               A least zero is -0.0 and a greatest 0.0.
//	NaN            no maximum: Spark holds NaN above everything, others below or nowhere. The minimum is that of the rest.
//	infinity       that bound is left out: the readers have no common spelling for it.
//	DECIMAL        a JSON number with all digits of the scale
//	STRING         the first 32 characters; a maximum that was cut has a character behind it that makes it greater again
//	DATE           2006-01-02
//	TIMESTAMP      2006-01-02T15:04:05.000Z, the minimum rounded down and the maximum up to milliseconds; NTZ without the Z
//	years          outside 0001 to 9999: the column has no bounds
//	STRUCT         an object of its fields, which are null where the struct is
//	BOOLEAN, BINARY, ARRAY, MAP, VARIANT and columns with nulls only have no bounds
//
// It has the columns that are indexed only, see tree.indexed. Their names are those of the file.
func (x *totals) delta(t *tree, rows int64, indexed []bool) string {
	bound := func(upper bool) func([]byte, *node) ([]byte, bool) {
		return func(b []byte, n *node) ([]byte, bool) {
			if n.leaf < 0 || !indexed[n.whole] {
				return b, false
			}
			return appendBound(b, &t.leaves[n.leaf], &x.bounds[n.leaf], upper)
		}
	}
	b := append([]byte(`{"numRecords":`), strconv.FormatInt(rows, 10)...)
	b, _ = appendObject(append(b, `,"minValues":`...), t.columns, bound(false))
	b, _ = appendObject(append(b, `,"maxValues":`...), t.columns, bound(true))
	b, _ = appendObject(append(b, `,"nullCount":`...), t.columns, func(b []byte, n *node) ([]byte, bool) {
		nulls := x.nulls[n.whole]
		if n.leaf >= 0 {
			nulls = x.bounds[n.leaf].nulls
		}
		return strconv.AppendInt(b, nulls, 10), indexed[n.whole]
	})
	return string(append(b, '}'))
}

// totals are what the statistics are made of.
type totals struct {
	bounds []bounds // of every leaf
	nulls  []int64  // by number, of arrays, maps and variants
}

// countNulls adds the nulls of an array, map or variant, or of those inside of a struct.
func (x *totals) countNulls(n *node, spans []span) {
	switch {
	case n.leaf >= 0:
		return
	case n.whole >= 0:
		_, nulls := countSpans(spans)
		x.nulls[n.whole] += int64(nulls)
		return
	}
	for _, k := range n.kids {
		x.countNulls(k, within(spans, n, k))
	}
}

// appendObject adds an object with what value gives for nodes that are no structs, by their names, and such objects for structs.
// False: it is empty.
func appendObject(b []byte, nodes []*node, value func([]byte, *node) ([]byte, bool)) ([]byte, bool) {
	b = append(b, '{')
	some := false
	for _, n := range nodes {
		before := len(b)
		if some {
			b = append(b, ',')
		}
		b = append(appendJSONString(b, n.name), ':')
		var ok bool
		if n.typ.Kind == schema.StructKind {
			b, ok = appendObject(b, n.kids, value)
		} else {
			b, ok = value(b, n)
		}
		if !ok {
			b = b[:before]
			continue
		}
		some = true
	}
	return append(b, '}'), some
}

// appendBound adds one minimum or maximum. False: the column has none.
func appendBound(b []byte, l *leaf, x *bounds, upper bool) ([]byte, bool) {
	if !x.some {
		return b, false
	}
	t := l.typ
	switch t.Kind {
	case schema.Byte, schema.Short, schema.Integer, schema.Long:
		return strconv.AppendInt(b, pick(x.minInt, x.maxInt, upper), 10), true
	case schema.Float, schema.Double:
		least, most := x.floats()
		if upper && x.nan {
			return b, false
		}
		return appendFloat(b, pick(least, most, upper))
	case schema.Decimal:
		return appendDecimal(b, pick(x.minDec, x.maxDec, upper), t.Scale), true
	case schema.String:
		if !utf8.Valid(x.minBytes) || !utf8.Valid(x.maxBytes) {
			return b, false
		}
		if !upper {
			return appendJSONString(b, string(truncateMin(x.minBytes))), true
		}
		most, ok := truncateMax(x.maxBytes)
		if !ok {
			return b, false
		}
		return appendJSONString(b, string(most)), true
	case schema.Date:
		return appendTimes(b, time.Unix(x.minInt*86400, 0), time.Unix(x.maxInt*86400, 0), `"2006-01-02"`, upper)
	case schema.Timestamp, schema.TimestampNTZ:
		layout := `"2006-01-02T15:04:05.000Z"`
		if t.Kind == schema.TimestampNTZ {
			layout = `"2006-01-02T15:04:05.000"`
		}
		return appendTimes(b, time.UnixMilli(floorDiv(x.minInt, 1000)), time.UnixMilli(-floorDiv(-x.maxInt, 1000)), layout, upper)
	}
	return b, false
}

func pick[T any](least, most T, upper bool) T {
	if upper {
		return most
	}
	return least
}

// appendTimes adds one of the bounds if both have years of four digits: outside, the text is read differently or not at all.
func appendTimes(b []byte, least, most time.Time, layout string, upper bool) ([]byte, bool) {
	least, most = least.UTC(), most.UTC()
	if least.Year() < 1 || most.Year() > 9999 {
		return b, false
	}
	return pick(least, most, upper).AppendFormat(b, layout), true
}

// floorDiv rounds down, below zero too. The negative of the least int64 is itself; its quotient is far outside the years.
func floorDiv(x, y int64) int64 {
	q := x / y
	if x%y < 0 {
		q--
	}
	return q
}

// appendFloat adds the shortest number that reads as x, always with a point or an exponent. False for an infinity.
func appendFloat(b []byte, x float64) ([]byte, bool) {
	if math.IsInf(x, 0) {
		return b, false
	}
	format := byte('f')
	if a := math.Abs(x); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	start := len(b)
	b = strconv.AppendFloat(b, x, format, -1, 64)
	for _, c := range b[start:] {
		if c == '.' || c == 'e' {
			return b, true
		}
	}
	return append(b, ".0"...), true
}

// The lengths, in characters, of bounds of strings: delta.dataSkippingStringPrefixLength, and how far to look for a place
// where the maximum can be cut.
const (
	stringPrefix    = 32
	maxStringPrefix = 64
)

// truncateMin is the first characters of s: no greater than s.
func truncateMin(s []byte) []byte { return s[:prefixLen(s, stringPrefix)] }

// truncateMax is s if it is short, else its first characters and one more that is greater than the one which stood there, so
// that the result is above everything that begins alike. There is none above U+10FFFF; such characters are kept, up to 64 in
// all. False: they do not end there. The order is that of the UTF-8 bytes.
func truncateMax(s []byte) ([]byte, bool) {
	n := prefixLen(s, stringPrefix)
	for chars := stringPrefix; n < len(s); chars++ {
		if chars == maxStringPrefix {
			return nil, false
		}
		r, size := utf8.DecodeRune(s[n:])
		switch {
		case r < 0x7f:
			return append(s[:n:n], 0x7f), true
		case r < utf8.MaxRune:
			return utf8.AppendRune(s[:n:n], utf8.MaxRune), true
		}
		n += size
	}
	return s, true
}

// prefixLen is the length in bytes of the first n characters.
func prefixLen(s []byte, n int) int {
	at := 0
	for ; n > 0 && at < len(s); n-- {
		_, size := utf8.DecodeRune(s[at:])
		at += size
	}
	return at
}

// appendJSONString adds s in quotes with the escapes that JSON demands and no others. s is UTF-8.
func appendJSONString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, `\u00`...)
			b = append(b, hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
