package decode

import (
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// op is what to do with the value of a field: how it is read and where it goes.
type op uint8

const (
	opInt32    op = iota // int32, enum -> Int32, range checked
	opInt64              // int64 -> Int64
	opInteger            // any other kind of integer -> Int32 or Int64, range checked
	opBool               // bool -> Bool
	opFloat              // float -> Float32
	opWiden              // float -> Float64
	opDouble             // double -> Float64
	opText               // string -> Bytes, UTF-8 and length checked
	opBinary             // bytes -> Bytes
	opDecimal            // string -> Int128
	opEnumName           // enum -> Bytes, the name of the value
)

// protoField is a field of the descriptor and its column.
type protoField struct {
	tag      uint64 // number and wire type, as on the wire
	min, max int64  // of integers
	col      int32
	oneof    int32 // index into protoDecoder.oneofs; -1: none
	kind     protoreflect.Kind
	op       op
	length   int // of opText: characters, 0 for any number
	names    []enumName
}

// maxJump bounds the jump table of a stream, 2 bytes an entry. Field numbers below 2,048 are in it.
const maxJump = 2048 << 3

// protoDecoder is the plan, compiled from a descriptor and a table, and the state of one record.
type protoDecoder struct {
	targets []target
	notNull []bool
	fields  []protoField
	jump    []uint16         // by tag: 1 + index into fields, 0 for none
	far     map[uint64]int32 // the same for tags beyond: index into fields
	numbers map[uint64]int32 // by field number: index into fields
	oneofs  [][]int32        // the columns of each

	// The values of the current record that the table does not allow, unless a later one takes their place.
	refused  []int // by column: 1 + position of the value in the record, 0 for none
	nRefused int
}

// NewProto makes a decoder for records that the descriptor, a serialized DescriptorProto, describes. A *SchemaError tells
// what of it does not fit the table.
func NewProto(table *schema.Struct, descriptor []byte) (Decoder, error) {
	ts, err := targets(table)
	if err != nil {
		return nil, err
	}
	m, schemaErr := parseMessage(descriptor)
	if schemaErr != nil {
		return nil, schemaErr
	}
	d := &protoDecoder{targets: ts, notNull: notNulls(ts), refused: make([]int, len(ts)), numbers: map[uint64]int32{}}
	columns := make(map[string]int32, len(ts))
	for i := range ts {
		columns[ts[i].name] = int32(i)
	}
	var bad []Misfit
	fed := make([]bool, len(ts))
	oneofs := map[int32]int32{} // of the descriptor to ours
	enums := newEnumSet(m)
	for i := range m.fields {
		f := &m.fields[i]
		col, ok := columns[f.name]
		if !ok {
			bad = append(bad, Misfit{Field: f.name, Descriptor: f.typeText(), Reason: unknownColumn(f.name, ts)})
			continue
		}
		fed[col] = true
		p, reason := compileField(f, &ts[col], enums)
		if reason != "" {
			bad = append(bad, Misfit{Field: f.name, Descriptor: f.typeText(), Column: ts[col].ddl, Reason: reason})
			continue
		}
		p.col = col
		if f.oneof >= 0 {
			o, ok := oneofs[f.oneof]
			if !ok {
				o = int32(len(d.oneofs))
				oneofs[f.oneof] = o
				d.oneofs = append(d.oneofs, nil)
			}
			p.oneof = o
			d.oneofs[o] = append(d.oneofs[o], col)
		}
		d.fields = append(d.fields, p)
	}
	for i := range ts {
		if ts[i].notNull && !fed[i] {
			bad = append(bad, Misfit{
				Field: ts[i].name, Column: ts[i].ddl,
				Reason: fmt.Sprintf("the column is %s NOT NULL and the descriptor has no such field: add it", ts[i].ddl),
			})
		}
	}
	if len(bad) > 0 {
		return nil, misfits(bad)
	}
	d.index()
	return d, nil
}

// index builds the ways from a tag to its field.
func (d *protoDecoder) index() {
	size := uint64(0)
	for i := range d.fields {
		if tag := d.fields[i].tag; tag < maxJump {
			size = max(size, tag+1)
		}
	}
	d.jump = make([]uint16, size)
	for i := range d.fields {
		tag := d.fields[i].tag
		d.numbers[tag>>3] = int32(i)
		if tag < maxJump {
			d.jump[tag] = uint16(i + 1)
			continue
		}
		if d.far == nil {
			d.far = map[uint64]int32{}
		}
		d.far[tag] = int32(i)
	}
}

func unknownColumn(name string, ts []target) string {
	for i := range ts {
		if strings.EqualFold(ts[i].name, name) {
			return fmt.Sprintf("the table has no such column, but %s: names match in exact case", ts[i].name)
		}
	}
	return "the table has no such column: drop the field from the descriptor or add the column to the table"
}

// compileField matches a field with its column. The reason is why they do not fit.
func compileField(f *field, t *target, enums *enumSet) (protoField, string) {
	p := protoField{kind: f.kind, oneof: -1, min: t.min, max: t.max, length: t.length}
	if f.kind == 0 {
		// A descriptor whose types were not linked leaves the kind of named types open.
		kind, _, reason := enums.find(f)
		if kind == 0 {
			return p, reason
		}
		f.kind, p.kind = kind, kind
	}
	if f.cardinality == protoreflect.Repeated {
		return p, fmt.Sprintf("%s does not fit column type %s: %s", f.typeText(), t.ddl, t.wanted)
	}
	var wireType uint64
	switch p.kind {
	case protoreflect.FloatKind, protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		wireType = wireFixed32
	case protoreflect.DoubleKind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		wireType = wireFixed64
	case protoreflect.StringKind, protoreflect.BytesKind:
		wireType = wireBytes
	}
	p.tag = uint64(f.number)<<3 | wireType

	fits := true
	switch p.kind {
	case protoreflect.BoolKind:
		p.op, fits = opBool, t.layout == column.Bool
	case protoreflect.FloatKind:
		p.op, fits = opFloat, t.layout == column.Float32
		if t.layout == column.Float64 {
			p.op, fits = opWiden, true
		}
	case protoreflect.DoubleKind:
		p.op, fits = opDouble, t.layout == column.Float64
	case protoreflect.StringKind:
		p.op, fits = opText, t.kind == schema.String
		if t.kind == schema.Decimal {
			p.op, fits = opDecimal, true
		}
	case protoreflect.BytesKind:
		p.op, fits = opBinary, t.kind == schema.Binary
	case protoreflect.EnumKind:
		if t.kind == schema.String {
			p.op = opEnumName
			var reason string
			if _, p.names, reason = enums.find(f); reason != "" {
				return p, reason
			}
			break
		}
		p.op, fits = integerOp(&p, t), t.integer()
	case protoreflect.MessageKind, protoreflect.GroupKind:
		fits = false
	default:
		p.op, fits = integerOp(&p, t), t.integer()
	}
	if !fits {
		return p, fmt.Sprintf("%s does not fit column type %s: %s", f.typeText(), t.ddl, t.wanted)
	}
	return p, ""
}

// integerOp picks the way of an integer: the two usual ones are short.
func integerOp(p *protoField, t *target) op {
	switch {
	case t.layout == column.Int32 && (p.kind == protoreflect.Int32Kind || p.kind == protoreflect.EnumKind):
		return opInt32
	case t.layout == column.Int64 && p.kind == protoreflect.Int64Kind && p.min == math.MinInt64 && p.max == math.MaxInt64:
		return opInt64
	}
	return opInteger
}
