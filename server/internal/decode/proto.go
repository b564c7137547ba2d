package decode

import (
	"fmt"

	"github.com/zerobus-go/zerobus/server/internal/column"
)

// Decode implements Decoder.
func (d *protoDecoder) Decode(dst *column.Chunk, record []byte) error {
	row := dst.Rows
	at, got, last := d.straight(dst.Cols, row, record, &d.begin)
	if at == len(record) && got == len(dst.Cols) {
		dst.EndWholeRow()
		return nil
	}
	err := d.message(dst, record, at, got, last)
	if d.inside != nil {
		err = d.complete(dst, record, err)
	}
	if d.nRefused > 0 {
		err = d.settle(record, err)
	}
	if err == nil {
		if d.flat && d.whole {
			dst.EndWholeRow()
			return nil
		}
		i := dst.EndRow(d.notNull)
		if i < 0 {
			return nil
		}
		err = missing(&d.targets[i])
	}
	dst.Truncate(row)
	return err
}

// message puts the fields of a record from b[i] on into the row that dst.Rows names; got is how many columns have their value from
// those before, and last is the last of them. A column has got its value when it holds one more than the chunk has rows: that is
// all the state of a row.
//
// What the encoding forbids is returned at once. What the column forbids is noted in d.refused, because a later value may
// take its place.
func (d *protoDecoder) message(dst *column.Chunk, b []byte, i, got int, last *protoField) error {
	row, cols := dst.Rows, dst.Cols
	for i < len(b) {
		start := i
		tag := uint64(b[i])
		i++
		if tag >= 0x80 {
			if i < len(b) && b[i] < 0x80 {
				tag = tag&0x7f | uint64(b[i])<<7
				i++
			} else if tag, i = varint(b, start); i < 0 {
				return d.broken("", i, start)
			}
		}
		f := d.due(last, tag)
		if f == nil {
			next, err := d.unknown(&d.protoPlan, b, i, tag, start)
			if err != nil {
				return err
			}
			i = next
			continue
		}
		last = f
		v := &cols[f.col]
		if v.N == row {
			got++
		} else {
			d.replace(&d.protoPlan, v, f.col, row)
		}
		if v.AllNull() && f.nested == nil && !dst.Begin(v) {
			return late(f.target)
		}
		if f.oneof >= 0 {
			if err := d.clearTop(dst, f, b); err != nil {
				return err
			}
		}

		if f.nested != nil {
			next, err := d.nest(dst, f, v, row, b, i, start)
			if err != nil {
				return err
			}
			i = next
			continue
		}
		next, ok := d.scalar(dst, v, f, b, i)
		if next < 0 {
			return d.fault(f.target, next, b, i, start)
		}
		if !ok {
			place(v) // so that a later value finds it taken
			d.refused[f.col] = i + 1
			d.nRefused++
		}
		var n, more int
		n, more, last = d.straight(cols, row, b[next:], last)
		i, got = next+n, got+more
	}
	d.whole = got == len(cols)
	return nil
}

func (d *protoDecoder) clearTop(dst *column.Chunk, f *protoField, b []byte) error {
	return d.clearOthers(dst, &d.protoPlan, dst.Cols, dst.Rows, f, b)
}

// replace takes back the value that the field of column col has got.
func (d *protoDecoder) replace(p *protoPlan, v *column.Vector, col int32, row int) {
	v.Truncate(row)
	if d.nRefused > 0 && p.refused[col] != 0 {
		p.refused[col] = 0
		d.nRefused--
	}
}

// clearOthers takes back the value of another member of f's oneof. Only the one that came last can have a value, so that a oneof of
// many members costs no more than one of two.
func (d *protoDecoder) clearOthers(dst *column.Chunk, p *protoPlan, cols []column.Vector, row int, f *protoField, b []byte) error {
	last := p.oneofs[f.oneof]
	if last == f.col {
		return nil
	}
	p.oneofs[f.oneof] = f.col
	return d.drop(dst, p, &cols[last], last, row, b)
}

// unknown passes over a field that is not in the descriptor; one that is there under another wire type breaks the record.
func (d *protoDecoder) unknown(p *protoPlan, b []byte, i int, tag uint64, start int) (int, error) {
	number := tag >> 3
	if number == 0 || number > maxNumber {
		return 0, d.broken("", int(faultNumber), start)
	}
	if n, ok := p.numbers[number]; ok {
		f := &p.fields[n]
		return 0, &RecordError{
			Field:  p.targets[f.col].name,
			Reason: fmt.Sprintf("wire type %d at byte %d, %s has wire type %d", tag&7, start, f.kind, f.tag&7),
		}
	}
	if i = skip(b, i, tag); i < 0 {
		return 0, d.broken("", i, start)
	}
	return i, nil
}

// broken is the refusal of a record whose encoding is damaged, in the field that begins at start.
func (d *protoDecoder) broken(field string, fault, start int) error {
	return &RecordError{Field: field, Reason: fmt.Sprintf("%s, in the field at byte %d", wireFault(fault), start)}
}

// settle ends a record with values that the table does not allow. The first of them is the reason, unless the record is
// broken anyway.
func (d *protoDecoder) settle(b []byte, err error) error {
	first := d.first
	for col, at := range d.refused {
		if at != 0 && (first.target == nil || at-1 < first.at) {
			first = refusal{at: at - 1, target: &d.targets[col], field: d.fieldOf(int32(col))}
		}
	}
	if err == nil {
		err = first.explain(b)
	}
	clear(d.refused)
	d.first = refusal{}
	d.nRefused = 0
	return err
}
