package decode

import (
	"github.com/zerobus-go/zerobus/internal/jsonscan"
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// jsonColumn is a column and how its key usually stands in a record.
type jsonColumn struct {
	target
	key []byte // with quotes and colon, and escapes where they cannot be avoided
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

	text jsonscan.Scratch // the last string with escapes that did not go straight into a column

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
		d.columns[i] = jsonColumn{target: t, key: append(jsonscan.AppendQuoted(nil, t.name), ':')}
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
		err.Line, err.Column = jsonscan.Place(record, end)
		return err
	}
	dst.Truncate(row)
	err := &RecordError{Reason: d.reason}
	err.Line, err.Column = jsonscan.Place(record, d.failedAt)
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
	i := jsonscan.Space(b, 0)
	if i == len(b) || b[i] != '{' {
		return d.mistyped(b, i, "an object")
	}
	end := d.object(dst, b, i+1)
	if end < 0 {
		return end
	}
	if i := jsonscan.Space(b, end); i < len(b) {
		return d.fail(i, "trailing characters")
	}
	return end - 1
}

// object reads the members and the closing brace of an object whose opening brace ends at i.
func (d *jsonDecoder) object(dst *column.Chunk, b []byte, i int) int {
	row := dst.Rows
	i = jsonscan.Space(b, i)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	last := 0 // 1 + the column of the last key
	for {
		at := i
		col := d.next[last]
		key := d.columns[col].key
		due := len(b)-i >= len(key) && string(b[i:i+len(key)]) == string(key)
		if due {
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
		var reason string
		if due {
			i = jsonscan.Space(b, i)
		} else if i, reason = jsonscan.Colon(b, i); reason != "" {
			return d.fail(i, reason)
		}
		d.field = col
		if v.AllNull() && i < len(b) && b[i] != 'n' && !dst.Begin(v) {
			return d.fail(at, tooLate)
		}
		if i = d.value(v, &d.columns[col], b, i); i < 0 {
			return i
		}
		d.field = noField
		if i+1 < len(b) && b[i] == ',' && b[i+1] == '"' { // as most records have it: Next would be a call
			i++
			continue
		}
		var done bool
		if i, done, reason = jsonscan.Next(b, i, '}'); reason != "" {
			return d.fail(i, reason)
		}
		if done {
			return i
		}
	}
}

// key reads a key that was not due and finds its column.
func (d *jsonDecoder) key(b []byte, i int) (int32, int) {
	if reason := jsonscan.Key(b, i); reason != "" {
		return 0, d.fail(i, reason)
	}
	name, end, reason := d.text.View(b, i)
	if reason != "" {
		return 0, d.fail(end, reason)
	}
	col, ok := d.index[string(name)]
	if !ok {
		return 0, d.fail(i, "unrecognized field name '"+clip(name)+"'")
	}
	return col, end
}

// mistyped refuses the value at b[i] because its JSON type is not the expected one, or because it is no value.
func (d *jsonDecoder) mistyped(b []byte, i int, expected string) int {
	return d.fail(i, jsonscan.Mistyped(b, i, expected))
}
