package decode

import (
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// jsonColumn is a column and how its key usually stands in a record.
type jsonColumn struct {
	target
	key []byte // with quotes, and escapes where they cannot be avoided
}

// jsonDecoder is the plan, compiled from a table, and the state of one record.
//
// The scanning methods take the record and a position, and return the position behind what they read. A negative one means
// that they have called fail.
type jsonDecoder struct {
	columns []jsonColumn
	notNull []bool
	index   map[string]int32 // by name

	// next[1+i] is the column whose key followed that of column i when it was last seen, next[0] the first one's: records of
	// a stream mostly look alike, and comparing with the key that is due is cheaper than to look it up.
	next []int32

	text []byte // the last string with escapes that did not go straight into a column

	// The refusal of the current record.
	failedAt int
	reason   string
	field    int32 // the column concerned, or noField
}

const noField = -1

// NewJSON makes a decoder for records that are JSON objects with the table's columns as keys.
func NewJSON(table *schema.Struct) (Decoder, error) {
	ts, err := targets(table)
	if err != nil {
		return nil, err
	}
	d := &jsonDecoder{
		columns: make([]jsonColumn, len(ts)),
		notNull: notNulls(ts),
		index:   make(map[string]int32, len(ts)),
		next:    make([]int32, len(ts)+1),
	}
	for i, t := range ts {
		d.columns[i] = jsonColumn{target: t, key: appendQuoted(nil, t.name)}
		d.index[t.name] = int32(i)
		d.next[i] = int32(i)
	}
	return d, nil
}

// Decode implements Decoder.
func (d *jsonDecoder) Decode(dst *column.Chunk, record []byte) error {
	row := dst.Rows
	end := d.record(dst, record)
	if end >= 0 {
		i := dst.EndRow(d.notNull)
		if i < 0 {
			return nil
		}
		dst.Truncate(row)
		err := missing(&d.columns[i].target)
		err.Line, err.Column = position(record, end)
		return err
	}
	dst.Truncate(row)
	err := &RecordError{Reason: d.reason}
	err.Line, err.Column = position(record, d.failedAt)
	if d.field != noField {
		err.Field = d.columns[d.field].name
	}
	return err
}

// fail notes why the record is refused.
func (d *jsonDecoder) fail(at int, reason string) int {
	d.failedAt, d.reason = at, reason
	return -1
}

// record reads the whole record. It returns the position of the closing brace.
func (d *jsonDecoder) record(dst *column.Chunk, b []byte) int {
	d.field = noField
	i := space(b, 0)
	if i == len(b) {
		return d.fail(i, "EOF while parsing a value")
	}
	if b[i] != '{' {
		return d.mistyped(b, i, "an object")
	}
	end := d.object(dst, b, i+1)
	if end < 0 {
		return end
	}
	if i := space(b, end); i < len(b) {
		return d.fail(i, "trailing characters")
	}
	return end - 1
}

// object reads the members and the closing brace of an object whose opening brace ends at i.
func (d *jsonDecoder) object(dst *column.Chunk, b []byte, i int) int {
	row := dst.Rows
	i = space(b, i)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	last := 0 // 1 + the column of the last key
	for {
		at := i
		col := d.next[last]
		if key := d.columns[col].key; len(b)-i >= len(key) && string(b[i:i+len(key)]) == string(key) {
			i += len(key)
		} else {
			if col, i = d.key(b, i); i < 0 {
				return i
			}
			d.next[last] = col
		}
		last = int(col) + 1
		v := &dst.Cols[col]
		if v.N != row {
			return d.fail(at, "duplicate field '"+clip(d.columns[col].name)+"'")
		}
		if i < len(b) && b[i] == ':' {
			i++
		} else {
			i = space(b, i)
			if i == len(b) {
				return d.fail(i, "EOF while parsing an object")
			}
			if b[i] != ':' {
				return d.fail(i, "expected `:`")
			}
			i++
		}
		d.field = col
		i = space(b, i)
		if v.AllNull() && i < len(b) && b[i] != 'n' && !dst.Begin(v) {
			return d.fail(at, tooLate)
		}
		if i = d.value(v, &d.columns[col], b, i); i < 0 {
			return i
		}
		d.field = noField
		i = space(b, i)
		switch {
		case i == len(b):
			return d.fail(i, "EOF while parsing an object")
		case b[i] == '}':
			return i + 1
		case b[i] != ',':
			return d.fail(i, "expected `,` or `}`")
		}
		i = space(b, i+1)
		if i < len(b) && b[i] == '}' {
			return d.fail(i, "trailing comma")
		}
	}
}

// key reads a key that was not due and finds its column.
func (d *jsonDecoder) key(b []byte, i int) (int32, int) {
	if i == len(b) {
		return 0, d.fail(i, "EOF while parsing an object")
	}
	if b[i] != '"' {
		return 0, d.fail(i, "key must be a string")
	}
	name, end := d.stringView(b, i)
	if end < 0 {
		return 0, end
	}
	col, ok := d.index[string(name)]
	if !ok {
		return 0, d.fail(i, "unrecognized field name '"+clip(name)+"'")
	}
	return col, end
}

// space is the position of the first byte from i on that is not white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// hasLiteral reports whether b[i:] begins with the literal and does not go on as a word.
func hasLiteral(b []byte, i int, literal string) bool {
	end := i + len(literal)
	return end <= len(b) && string(b[i:end]) == literal && (end == len(b) || !wordByte(b[end]))
}

func wordByte(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '_'
}

// mistyped refuses the value at b[i] because its JSON type is not the expected one, or because it is no value.
func (d *jsonDecoder) mistyped(b []byte, i int, expected string) int {
	var got string
	switch {
	case i == len(b):
		return d.fail(i, "EOF while parsing a value")
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
			return d.fail(i, "invalid number")
		case n.integer:
			got = "integer"
		default:
			got = "floating point"
		}
		got += " `" + clip(b[i:n.end]) + "`"
	case hasLiteral(b, i, "true"), hasLiteral(b, i, "false"):
		got = "boolean"
	case hasLiteral(b, i, "null"):
		got = "null"
	default:
		return d.fail(i, "expected value")
	}
	return d.fail(i, "invalid type: "+got+", expected "+expected)
}

// appendQuoted appends a JSON string with no more escapes than it needs.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, `\u00`...)
			dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

const hexDigits = "0123456789abcdef"
