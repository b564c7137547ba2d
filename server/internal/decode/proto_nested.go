package decode

import (
	"fmt"
	"math"

	"github.com/zerobus-go/zerobus/internal/jsonscan"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// maxKept is how many entries of maps a decoder keeps memory for between records.
const maxKept = 1 << 14

const tooManyFields = "the structs in lists and maps of the batch have too many fields together: send smaller batches"

func late(t *target) error { return &RecordError{Field: t.name, Reason: tooLate} }

// charge counts so many vectors for one more element of n, or for one that is taken back.
func (d *protoDecoder) charge(dst *column.Chunk, n *protoNested, vectors int) error {
	switch {
	case !dst.Nest(vectors):
		return &RecordError{Field: n.target.name, Reason: tooManyFields}
	case !d.budget.spend(dst, vectors):
		return &RecordError{Field: n.target.name, Reason: tooLarge}
	}
	return nil
}

// inner puts the fields of a nested message, b[i:], into value row of the columns, which are the kids of a vector. B is the
// record up to the message's end, so that positions are those in the record.
func (d *protoDecoder) inner(dst *column.Chunk, p *protoPlan, cols []column.Vector, row int, b []byte, i int) error {
	last := &p.begin
	for i < len(b) {
		if !p.clearable {
			var n int
			if n, _, last = p.straight(cols, row, b[i:], last); i+n == len(b) {
				return nil
			}
			i += n
		}
		start := i
		tag := uint64(b[i])
		i++
		if tag >= 0x80 {
			if tag, i = varint(b, start); i < 0 {
				return d.broken("", i, start)
			}
		}
		f := p.due(last, tag)
		if f == nil {
			next, err := d.unknown(p, b, i, tag, start)
			if err != nil {
				return err
			}
			i = next
			continue
		}
		last = f
		v := &cols[f.col]
		if f.oneof >= 0 {
			if err := d.clearOthers(dst, p, cols, row, f, b); err != nil {
				return err
			}
		}
		if p.clearable && !p.came[f.col] {
			p.came[f.col] = true
			p.order = append(p.order, f.col)
		}
		if f.nested != nil {
			next, err := d.nest(dst, f, v, row, b, i, start)
			if err != nil {
				return err
			}
			i = next
			continue
		}
		if v.N != row {
			d.replace(p, v, f.col, row)
		}
		if v.AllNull() && !dst.Begin(v) {
			return late(f.target)
		}
		next, ok := d.scalar(dst, v, f, b, i)
		if next < 0 {
			return d.fault(f.target, next, b, i, start)
		}
		if !ok {
			place(v)
			p.refused[f.col] = i + 1
			d.nRefused++
		}
		i = next
	}
	return nil
}

// nest reads the value at b[i] of a field that is nested, for value row of v. It returns the position behind it.
func (d *protoDecoder) nest(dst *column.Chunk, f *protoField, v *column.Vector, row int, b []byte, i, start int) (int, error) {
	n := f.nested
	if f.op == opElement {
		elems := &v.Kids[0]
		if elems.AllNull() && !dst.Begin(elems) {
			return 0, late(n.target)
		}
		next, ok := d.scalar(dst, elems, &n.elem, b, i)
		if next < 0 {
			return 0, d.fault(n.target, next, b, i, start)
		}
		if !ok {
			d.refuse(n, elems, i)
		}
		return next, nil
	}
	from, to := span(b, i)
	if to < 0 {
		return 0, d.broken(n.target.name, to, start)
	}
	switch f.op {
	case opStruct:
		n.open = true
		return to, d.inner(dst, n.plan, v.Kids, row, b[:to], from)
	case opMessages:
		elems := &v.Kids[0]
		if err := d.charge(dst, n, n.cost); err != nil {
			return 0, err
		}
		if err := d.inner(dst, n.plan, elems.Kids, elems.N, b[:to], from); err != nil {
			return 0, err
		}
		return to, d.endStruct(dst, n.plan, elems, n.target, b, from, &n.first)
	case opPacked:
		return to, d.packed(dst, n, &v.Kids[0], b[:to], from, start)
	}
	d.entries = append(d.entries, mapEntry{at: int32(i)})
	last := int32(len(d.entries))
	if n.tail == 0 {
		n.head = last
	} else {
		d.entries[n.tail-1].next = last
	}
	n.tail = last
	n.count++
	return to, nil
}

// packed reads the elements b[i:] of a list.
func (d *protoDecoder) packed(dst *column.Chunk, n *protoNested, elems *column.Vector, b []byte, i, start int) error {
	if i == len(b) {
		return nil
	}
	if elems.AllNull() && !dst.Begin(elems) {
		return late(n.target)
	}
	for i < len(b) {
		next, ok := d.scalar(dst, elems, &n.elem, b, i)
		if next < 0 {
			return d.fault(n.target, next, b, i, start)
		}
		if !ok {
			d.refuse(n, elems, i)
		}
		i = next
	}
	return nil
}

// refuse notes that a list has a scalar that its element does not take.
func (d *protoDecoder) refuse(n *protoNested, elems *column.Vector, at int) {
	place(elems)
	if n.first.target == nil {
		d.note(&n.first, refusal{at: at, target: n.elem.target, field: &n.elem})
	}
}

// note keeps the refusal that comes first in the record.
func (d *protoDecoder) note(to *refusal, r refusal) {
	if to.target == nil {
		d.nRefused++
	} else if to.at <= r.at {
		return
	}
	*to = r
}

// fault is the error for the value at b[at] of the field that begins at start.
func (d *protoDecoder) fault(t *target, fault int, b []byte, at, start int) error {
	reason := wireFault(fault).String()
	switch wireFault(fault) {
	case faultText:
		from, to := span(b, at)
		reason += fmt.Sprintf(" at byte %d", from+jsonscan.ValidPrefix(b[from:to]))
	case faultLate, faultSize:
	default:
		return d.broken(t.name, fault, start)
	}
	return &RecordError{Field: t.name, Reason: reason}
}

// drop takes back what the field of column col has got.
func (d *protoDecoder) drop(dst *column.Chunk, p *protoPlan, v *column.Vector, col int32, row int, b []byte) error {
	n := p.nested[col]
	if n == nil {
		if v.N != row {
			d.replace(p, v, col, row)
		}
		return nil
	}
	if n.op == opStruct {
		if !n.open {
			return nil
		}
		n.open = false
		order := n.plan.order
		n.plan.order = order[:0]
		for _, col := range order {
			n.plan.came[col] = false
			if err := d.drop(dst, n.plan, &v.Kids[col], col, row, b); err != nil {
				return err
			}
		}
		return nil
	}
	if n.op == opEntry {
		return d.dropMap(dst, n, v, b)
	}
	if n.first.target != nil {
		n.first = refusal{}
		d.nRefused--
	}
	if v.Kids[0].N == v.Begun() {
		return nil
	}
	if err := d.charge(dst, n, weight(v)); err != nil {
		return err
	}
	v.Truncate(row)
	return nil
}

// weight is what it may cost to add an element to the vectors of a list or map and to take it back: each of them is looked at, and
// its first null makes a bitmap of all that it has. No writer of protobuf makes records that need it.
func weight(v *column.Vector) int {
	n := 8 + v.N/8
	for i := range v.Kids {
		n += weight(&v.Kids[i])
	}
	return n
}

// complete ends the nested columns of a record, or clears what a broken one has left.
func (d *protoDecoder) complete(dst *column.Chunk, record []byte, err error) error {
	if err == nil && len(record) > math.MaxInt32 {
		err = &RecordError{Reason: fmt.Sprintf("the record takes more than %d bytes", math.MaxInt32)}
	}
	for _, col := range d.inside {
		if err == nil {
			err = d.end(dst, d.nested[col], &dst.Cols[col], dst.Rows, record, len(record), &d.first)
		}
	}
	if err != nil {
		d.reset()
	}
	if d.entries = d.entries[:0]; cap(d.entries) > maxKept {
		d.entries, d.buckets = nil, nil
	}
	return err
}

// end ends the value of a nested field, if it has one. What is refused in it goes to sink.
func (d *protoDecoder) end(
	dst *column.Chunk, n *protoNested, v *column.Vector, row int, b []byte, at int, sink *refusal,
) error {
	if n.op == opStruct {
		if !n.open {
			return nil
		}
		n.open = false
		return d.endStruct(dst, n.plan, v, n.target, b, at, sink)
	}
	if n.head != 0 {
		if err := d.endMap(dst, n, v, b); err != nil {
			return err
		}
	}
	if n.first.target != nil {
		d.note(sink, n.first)
		d.nRefused--
		n.first = refusal{}
	}
	if v.Kids[0].N == v.Begun() && !n.target.notNull {
		return nil
	}
	if v.AllNull() && !dst.Begin(v) {
		return late(n.target)
	}
	v.EndList()
	return nil
}

// endStruct ends the next value of v, whose fields are in the kids as far as they came. At is where the message is.
func (d *protoDecoder) endStruct(
	dst *column.Chunk, p *protoPlan, v *column.Vector, t *target, b []byte, at int, sink *refusal,
) error {
	row := v.N
	for i := range v.Kids {
		kid := &v.Kids[i]
		if n := p.nested[i]; n != nil {
			if err := d.end(dst, n, kid, row, b, at, sink); err != nil {
				return err
			}
		} else if d.nRefused > 0 && p.refused[i] != 0 {
			d.settleField(p, i, sink)
		}
		if kid.N != row {
			continue
		}
		if p.targets[i].notNull {
			d.note(sink, refusal{at: at, target: &p.targets[i]})
		}
		kid.AppendNull()
	}
	for _, col := range p.order {
		p.came[col] = false
	}
	p.order = p.order[:0]
	if v.AllNull() && !dst.Begin(v) {
		return late(t)
	}
	v.EndStruct()
	return nil
}

// settleField hands the refusal of a scalar field on.
func (d *protoDecoder) settleField(p *protoPlan, i int, sink *refusal) {
	at := p.refused[i] - 1
	p.refused[i] = 0
	d.nRefused--
	if sink.target == nil || at < sink.at {
		d.note(sink, refusal{at: at, target: &p.targets[i], field: p.fieldOf(int32(i))})
	}
}

// reset forgets a record that was not read to its end.
func (d *protoDecoder) reset() {
	d.protoPlan.reset()
	d.first = refusal{}
	d.nRefused = 0
}

func (p *protoPlan) reset() {
	clear(p.refused)
	clear(p.came)
	p.order = p.order[:0]
	for _, n := range p.nested {
		if n == nil {
			continue
		}
		n.open, n.first = false, refusal{}
		n.head, n.tail, n.count = 0, 0, 0
		if n.plan != nil {
			n.plan.reset()
		}
	}
}
