package main

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/schema"
)

// form is how a stream has its records.
type form int

const (
	asJSON      form = iota // JSON records
	asProto                 // protobuf records, with a descriptor of the columns that protobuf can say
	asDescribed             // JSON records that the SDK encodes as protobuf, by the table's description
)

func (f form) String() string { return [...]string{"json", "protobuf", "described"}[f] }

// plan is all that a case does: it comes of the seed alone.
type plan struct {
	seed       uint64
	name       string // of the table, catalog.schema.table
	table      *schema.CreateTable
	said       *schema.Struct                 // the columns of protobuf records; nil if there are none
	descriptor *descriptorpb.DescriptorProto  // of said
	message    protoreflect.MessageDescriptor // the same, linked
	streams    []*stream
	together   bool // the streams send at the same time; otherwise each is closed before the next one opens
}

// stream is the rows of one stream.
type stream struct {
	form     form
	rows     []row
	producer string // its id, or empty
	batch    int    // rows of one ingest call
	reject   bool   // refused records go to a reject handler; otherwise the one that is refused is the last one, and ends the stream
	flush    bool   // a commit follows
}

// row is one record. A bad one must be refused.
type row struct {
	values members
	record []byte
	bad    bool
}

const (
	maxRows = 40
	badIn   = 20 // one row of so many must be refused
)

// newPlan draws a case. The error is a table that has no descriptor although each of its columns has one.
func newPlan(seed uint64, name string) (*plan, error) {
	d := newDice(seed)
	p := &plan{seed: seed, name: name, table: d.table(name), together: d.in(3)}
	if p.said = sayable(&p.table.Columns); p.said != nil {
		var err error
		if p.descriptor, err = p.said.Descriptor(messageName); err != nil {
			return nil, err
		}
		if p.message, err = schema.Resolve(p.descriptor); err != nil {
			return nil, err
		}
	}
	few := d.few(p.table)
	rows := one(d, 1, d.between(1, 10), d.between(2, maxRows))
	// Half of the rows are JSON, and half protobuf where there is such a thing.
	shares := []int{rows / 2, rows - rows/2}
	if d.in(2) {
		slices.Reverse(shares)
	}
	for i, share := range shares {
		for share > 0 {
			n := share
			if d.in(3) {
				n = d.between(1, share)
			}
			share -= n
			s := &stream{batch: one(d, 1, 1, d.between(2, 20)), flush: d.in(2)}
			if d.in(4) {
				s.producer = fmt.Sprintf("case-%d/%d", seed, len(p.streams))
			}
			if i == 1 && p.said != nil {
				s.form = asProto
				if len(p.said.Fields) == len(p.table.Columns.Fields) && d.in(3) {
					s.form = asDescribed
				}
			}
			if err := p.fill(d, s, n, few); err != nil {
				return nil, err
			}
			p.streams = append(p.streams, s)
		}
	}
	d.Shuffle(len(p.streams), func(i, j int) { p.streams[i], p.streams[j] = p.streams[j], p.streams[i] })
	return p, nil
}

// fill draws the rows of a stream, some of which must be refused: anywhere with a reject handler, else the last one.
func (p *plan) fill(d dice, s *stream, n int, few map[string]list) error {
	s.reject = d.in(2)
	for range n {
		if s.reject && d.in(badIn) {
			s.batch = 1
			if err := p.add(d, s, few, true); err != nil {
				return err
			}
		}
		if err := p.add(d, s, few, false); err != nil {
			return err
		}
	}
	if !s.reject && d.IntN(badIn) < n {
		return p.add(d, s, few, true)
	}
	return nil
}

func (p *plan) add(d dice, s *stream, few map[string]list, bad bool) (err error) {
	v := values{dice: d, proto: s.form != asJSON, finite: s.form == asDescribed}
	r := row{values: v.row(p.table, p.said, few), bad: bad}
	if bad && d.in(3) {
		r.record, err = p.unfit(d, s.form, r.values)
	}
	if r.record == nil && err == nil {
		r.record, err = p.encode(d, s.form, r.values, bad)
	}
	if err != nil {
		return fmt.Errorf("a %s record: %w", s.form, err)
	}
	s.rows = append(s.rows, r)
	return nil
}

// encode is a row as a record, in which one value is wrong if it is to be bad.
func (p *plan) encode(d dice, f form, x members, bad bool) (record []byte, err error) {
	if f == asProto {
		w := &protoWriter{dice: d}
		record, err = w.encode(p.message, &p.table.Columns, x)
		if bad {
			w = &protoWriter{dice: d, spoil: d.between(1, w.values+1)}
			record, err = w.encode(p.message, &p.table.Columns, x)
		}
		return record, err
	}
	w := &jsonWriter{dice: d, nested: f == asDescribed}
	w.object(p.table.Columns.Fields, x)
	if bad {
		w = &jsonWriter{dice: d, nested: f == asDescribed, spoil: d.between(1, w.values)}
		w.object(p.table.Columns.Fields, x)
	}
	return w.b, nil
}

// unfit is a record whose values all fit their types, and yet not the columns that the table is partitioned by: an empty text where
// NULL may not be, a year that cannot be told. nil if the table has no such column.
func (p *plan) unfit(d dice, f form, x members) ([]byte, error) {
	for _, name := range p.table.PartitionBy {
		i := p.table.Columns.Index(name)
		column := &p.table.Columns.Fields[i]
		if f == asProto && p.said.Index(name) < 0 {
			continue
		}
		switch k := column.Type.Kind; {
		case k == schema.String && !column.Nullable:
			x[i] = ""
		case k == schema.Date:
			x[i] = one[int64](d, firstDay-1, lastDay+1)
		case k == schema.Timestamp || k == schema.TimestampNTZ:
			x[i] = one[int64](d, firstDay*microsOfDay-1, (lastDay+1)*microsOfDay)
		default:
			continue
		}
		return p.encode(d, f, x, false)
	}
	return nil, nil
}

// properties are what the SDK is told about the table.
func (p *plan) properties(f form) (zerobus.TableProperties, error) {
	switch f {
	case asProto:
		return zerobus.ProtoTableDescriptor(p.name, p.message), nil
	case asDescribed:
		return zerobus.DescribedTable(p.name, &p.table.Columns)
	}
	return zerobus.Table(p.name), nil
}
