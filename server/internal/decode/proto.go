package decode

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/zerobus-go/zerobus/internal/jsonscan"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// Decode implements Decoder.
func (d *protoDecoder) Decode(dst *column.Chunk, record []byte) error {
	row := dst.Rows
	err := d.message(dst, record)
	if d.inside != nil {
		err = d.complete(dst, record, err)
	}
	if d.nRefused > 0 {
		err = d.settle(record, err)
	}
	if err == nil {
		i := dst.EndRow(d.notNull)
		if i < 0 {
			return nil
		}
		err = missing(&d.targets[i])
	}
	dst.Truncate(row)
	return err
}

// message puts the fields of a record into the row that dst.Rows names. A column has got its value when it holds one more
// than the chunk has rows: that is all the state of a row.
//
// What the encoding forbids is returned at once. What the column forbids is noted in d.refused, because a later value may
// take its place.
func (d *protoDecoder) message(dst *column.Chunk, b []byte) error {
	row := dst.Rows
	jump, fields := d.jump, d.fields
	for i := 0; i < len(b); {
		start := i
		tag := uint64(b[i])
		if tag < 0x80 {
			i++
		} else if tag, i = varint(b, i); i < 0 {
			return d.broken("", i, start)
		}
		var f *protoField
		if tag < uint64(len(jump)) && jump[tag] != 0 {
			f = &fields[jump[tag]-1]
		} else if n, ok := d.far[tag]; ok {
			f = &fields[n]
		} else {
			next, err := d.unknown(&d.protoPlan, b, i, tag, start)
			if err != nil {
				return err
			}
			i = next
			continue
		}
		v := &dst.Cols[f.col]
		if v.N != row {
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

		at := i
		ok := true
		switch f.op {
		case opInt32:
			var x uint64
			if i < len(b) && b[i] < 0x80 {
				x = uint64(b[i])
				i++
			} else if x, i = varint(b, i); i < 0 {
				return d.broken(f.target.name, i, start)
			}
			if n := int32(x); int64(n) >= f.min && int64(n) <= f.max {
				v.AppendInt32(n)
			} else {
				ok = false
			}
		case opInt64:
			var x uint64
			if i < len(b) && b[i] < 0x80 {
				x = uint64(b[i])
				i++
			} else if x, i = varint(b, i); i < 0 {
				return d.broken(f.target.name, i, start)
			}
			v.AppendInt64(int64(x))
		case opBool:
			var x uint64
			if x, i = varint(b, i); i < 0 {
				return d.broken(f.target.name, i, start)
			}
			v.AppendBool(x != 0)
		case opFloat, opWiden:
			if len(b)-i < 4 {
				return d.broken(f.target.name, int(faultShort), start)
			}
			x := math.Float32frombits(binary.LittleEndian.Uint32(b[i:]))
			i += 4
			if f.op == opFloat {
				v.AppendFloat32(x)
			} else {
				v.AppendFloat64(float64(x))
			}
		case opDouble:
			if len(b)-i < 8 {
				return d.broken(f.target.name, int(faultShort), start)
			}
			v.AppendFloat64(math.Float64frombits(binary.LittleEndian.Uint64(b[i:])))
			i += 8
		case opText, opBinary, opDecimal:
			var from int
			if i < len(b) && int(b[i]) < min(0x80, len(b)-i) { // a short length that the record has room for
				from = i + 1
				i = from + int(b[i])
			} else if from, i = span(b, i); i < 0 {
				return d.broken(f.target.name, i, start)
			}
			s := b[from:i]
			if f.op == opBinary {
				v.AppendBytes(s)
				break
			}
			if !utf8.Valid(s) {
				return &RecordError{Field: f.target.name, Reason: fmt.Sprintf("invalid UTF-8 at byte %d", from+jsonscan.ValidPrefix(s))}
			}
			if f.op == opDecimal {
				ok = f.decimal(v, s)
			} else if f.length > 0 && len(s) > int(f.length) && utf8.RuneCount(s) > int(f.length) {
				ok = false
			} else {
				v.AppendBytes(s)
			}
		default:
			var err error
			if i, ok, err = d.other(dst, f, b, i, start); err != nil {
				return err
			}
		}
		if !ok {
			place(v) // so that a later value finds it taken
			d.refused[f.col] = at + 1
			d.nRefused++
		}
	}
	return nil
}

// other reads the value at b[i] of the operations that message leaves out. It returns the position behind it, and whether the
// column takes it.
func (d *protoDecoder) other(dst *column.Chunk, f *protoField, b []byte, i, start int) (next int, ok bool, err error) {
	v := &dst.Cols[f.col]
	if f.nested != nil {
		next, err = d.nest(dst, f, v, dst.Rows, b, i, start)
		return next, true, err
	}
	if next, ok = d.rare(dst, v, f, b, i); next < 0 {
		return 0, false, d.fault(f.target, next, b, i, start)
	}
	return next, ok, nil
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

// clearOthers takes back the values of the other members of f's oneof.
func (d *protoDecoder) clearOthers(dst *column.Chunk, p *protoPlan, cols []column.Vector, row int, f *protoField, b []byte) error {
	for _, col := range p.oneofs[f.oneof] {
		if col == f.col {
			continue
		}
		if err := d.drop(dst, p, &cols[col], col, row, b); err != nil {
			return err
		}
	}
	return nil
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
