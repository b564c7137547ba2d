package decode

import (
	"github.com/zerobus-go/zerobus/internal/jsonscan"
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/variant"
)

// jsonDecoder is the plan, compiled from a table, and the state of one record.
//
// The scanning methods take the record and a position, and return the position behind what they read. A negative one means
// that they have called fail.
type jsonDecoder struct {
	root    *jsonObject
	notNull []bool

	dst     *column.Chunk    // of the current record
	text    jsonscan.Scratch // the last string with escapes that did not go straight into a column
	variant variant.Encoder
	budget  budget

	// The refusal of the current record.
	failedAt     int
	path, reason string
}

// NewJSON makes a decoder for records that are JSON objects with the table's columns as keys. It fails for a table that has a
// MAP whose keys have no text.
func NewJSON(table *schema.Struct) (Decoder, error) {
	ts, err := targets(table)
	if err != nil {
		return nil, err
	}
	d := &jsonDecoder{notNull: notNulls(ts)}
	if d.root, err = planObject(ts, table.Fields, ""); err != nil {
		return nil, err
	}
	return d, nil
}

// Decode implements Decoder.
func (d *jsonDecoder) Decode(dst *column.Chunk, record []byte) error {
	row := dst.Rows
	d.dst = dst
	end := d.record(dst, record)
	d.dst = nil
	if end >= 0 {
		if d.root.whole {
			dst.EndWholeRow()
			return nil
		}
		i := dst.EndRow(d.notNull)
		if i < 0 {
			return nil
		}
		p := &d.root.fields[i].jsonPlan
		d.fail(p.name, end, p.absent)
	}
	dst.Truncate(row)
	err := &RecordError{Field: d.path, Reason: d.reason}
	err.Line, err.Column = jsonscan.Place(record, d.failedAt)
	return err
}

// fail notes why the record is refused, and what of it: the path of a column or of what is inside, empty for the record.
func (d *jsonDecoder) fail(path string, at int, reason string) int {
	d.path, d.failedAt, d.reason = path, at, reason
	return -1
}

// mistyped refuses the value at b[i] because its JSON type is not the expected one, or because it is no value.
func (d *jsonDecoder) mistyped(path string, b []byte, i int, expected string) int {
	return d.fail(path, i, jsonscan.Mistyped(b, i, expected))
}

// record reads the whole record. It returns the position of the closing brace.
func (d *jsonDecoder) record(dst *column.Chunk, b []byte) int {
	i := jsonscan.Space(b, 0)
	if i == len(b) || b[i] != '{' {
		return d.mistyped("", b, i, "an object")
	}
	end := d.object(d.root, dst.Cols, dst.Rows, b, i+1)
	if end < 0 {
		return end
	}
	if i := jsonscan.Space(b, end); i < len(b) {
		return d.fail("", i, "trailing characters")
	}
	return end - 1
}

// object reads the members and the closing brace of an object whose opening brace ends at i. They become value row of the
// vectors; those of members that are not there get none.
func (d *jsonDecoder) object(o *jsonObject, vectors []column.Vector, row int, b []byte, i int) int {
	o.whole = false
	i = jsonscan.Space(b, i)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	last := &o.begin
	for got := 1; ; got++ {
		at := i
		f := last.next
		due := f.isAt(b, i)
		if !due && f != nil {
			f = f.next // what is due may be absent
			due = f.isAt(b, i)
		}
		if due {
			i += len(f.key)
		} else {
			if f, i = d.key(o, b, i); i < 0 {
				return i
			}
			last.next = f
		}
		last = f
		v := &vectors[f.col]
		if v.N != row {
			return d.fail(o.path, at, "duplicate field '"+clip(f.field)+"'")
		}
		var reason string
		if due {
			i = jsonscan.Space(b, i)
		} else if i, reason = jsonscan.Colon(b, i); reason != "" {
			return d.fail(o.path, i, reason)
		}
		if v.AllNull() && i < len(b) && b[i] != 'n' && !d.dst.Begin(v) {
			return d.fail(f.name, at, tooLate)
		}
		if i = d.value(v, &f.jsonPlan, b, i); i < 0 {
			return i
		}
		// What most records have behind a value is seen here: Next would be a call.
		if i+1 < len(b) && b[i] == ',' && b[i+1] == '"' {
			i++
			continue
		}
		done := i < len(b) && b[i] == '}'
		if done {
			i++
		} else if i, done, reason = jsonscan.Next(b, i, '}'); reason != "" {
			return d.fail(o.path, i, reason)
		}
		if done {
			o.whole = got == len(vectors)
			return i
		}
	}
}

// key reads a key that was not due and finds its field.
func (d *jsonDecoder) key(o *jsonObject, b []byte, i int) (*jsonField, int) {
	if reason := jsonscan.Key(b, i); reason != "" {
		return nil, d.fail(o.path, i, reason)
	}
	name, end, reason := d.text.View(b, i)
	if reason != "" {
		return nil, d.fail(o.path, end, reason)
	}
	f, ok := o.index[string(name)]
	if !ok {
		return nil, d.fail(o.path, i, "unrecognized field name '"+clip(name)+"'")
	}
	return f, end
}
