package decode

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/variant"
)

// scalar reads the value at b[i] into a column of scalars. It returns the position behind the value, or a wireFault, and whether
// the column takes it. Varints of one byte are read in place, once for each operation: a call costs as much as they do, and a
// processor foresees a branch better that is not shared.
func (d *protoDecoder) scalar(dst *column.Chunk, v *column.Vector, f *protoField, b []byte, i int) (int, bool) {
	switch f.op {
	case opInt32:
		var x uint64
		if i < len(b) && b[i] < 0x80 {
			x = uint64(b[i])
			i++
		} else if x, i = longVarint(b, i); i < 0 {
			return i, false
		}
		if int64(int32(x)) < f.min || int64(int32(x)) > f.max {
			return i, false
		}
		v.AppendInt32(int32(x))
		return i, true
	case opInt64:
		var x uint64
		if i < len(b) && b[i] < 0x80 {
			x = uint64(b[i])
			i++
		} else if x, i = longVarint(b, i); i < 0 {
			return i, false
		}
		v.AppendInt64(int64(x))
		return i, true
	case opBool:
		var x uint64
		if i < len(b) && b[i] < 0x80 {
			x = uint64(b[i])
			i++
		} else if x, i = longVarint(b, i); i < 0 {
			return i, false
		}
		v.AppendBool(x != 0)
		return i, true
	case opFloat, opWiden:
		if len(b)-i < 4 {
			return int(faultShort), false
		}
		x := math.Float32frombits(binary.LittleEndian.Uint32(b[i:]))
		if f.op == opFloat {
			v.AppendFloat32(x)
		} else {
			v.AppendFloat64(float64(x))
		}
		return i + 4, true
	case opDouble:
		if len(b)-i < 8 {
			return int(faultShort), false
		}
		v.AppendFloat64(math.Float64frombits(binary.LittleEndian.Uint64(b[i:])))
		return i + 8, true
	case opText, opBinary, opDecimal:
		var from int
		if i < len(b) && int(b[i]) < min(0x80, len(b)-i) { // a short length that the record has room for
			from = i + 1
			i = from + int(b[i])
		} else if from, i = span(b, i); i < 0 {
			return i, false
		}
		s := b[from:i]
		if f.op == opBinary {
			v.AppendBytes(s)
			return i, true
		}
		if !ascii(s) && !utf8.Valid(s) {
			return int(faultText), false
		}
		if f.op == opDecimal {
			return i, f.decimal(v, s)
		}
		if f.length > 0 && len(s) > int(f.length) && utf8.RuneCount(s) > int(f.length) {
			return i, false
		}
		v.AppendBytes(s)
		return i, true
	}
	return d.rare(dst, v, f, b, i)
}

// rare is scalar for the operations that few records need.
func (d *protoDecoder) rare(dst *column.Chunk, v *column.Vector, f *protoField, b []byte, i int) (int, bool) {
	if f.op == opVariant {
		return d.variant(dst, v, b, i)
	}
	x, i := integerBits(b, i, f.kind)
	if i < 0 {
		return i, false
	}
	if f.op == opEnumName {
		name, ok := f.enum.name(int32(x))
		if !ok || f.length > 0 && utf8.RuneCountInString(name) > int(f.length) {
			return i, false
		}
		if !d.budget.spend(dst, len(name)) {
			return int(faultSize), false
		}
		v.AppendString(name)
		return i, true
	}
	n, ok := signed(x, f.kind)
	if !ok || n < f.min || n > f.max {
		return i, false
	}
	if v.Layout == column.Int32 {
		v.AppendInt32(int32(n))
	} else {
		v.AppendInt64(n)
	}
	return i, true
}

// variant reads a VARIANT from JSON text.
func (d *protoDecoder) variant(dst *column.Chunk, v *column.Vector, b []byte, i int) (int, bool) {
	from, i := span(b, i)
	if i < 0 {
		return i, false
	}
	s := b[from:i]
	if !utf8.Valid(s) {
		return int(faultText), false
	}
	metadata, value := &v.Kids[column.VariantMetadata], &v.Kids[column.VariantValue]
	for _, kid := range []*column.Vector{metadata, value} {
		if kid.AllNull() && !dst.Begin(kid) {
			return int(faultLate), false
		}
	}
	m, x, reason := d.variants.Append(metadata.Data, value.Data, s)
	if reason != "" {
		return i, false
	}
	metadata.Data, value.Data = m, x
	metadata.EndBytes()
	value.EndBytes()
	v.EndStruct()
	return i, true
}

// place adds a value that says nothing, where one was refused.
func place(v *column.Vector) {
	if v.Layout != column.Struct {
		v.AppendZero()
		return
	}
	for i := range v.Kids {
		v.Kids[i].AppendZero()
	}
	v.EndStruct()
}

// integerBits reads the integer at b[i] as its kind has it, in 64 bits: sign extended, or not if the kind has no sign.
func integerBits(b []byte, i int, kind protoreflect.Kind) (x uint64, next int) {
	switch kind {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		if len(b)-i < 4 {
			return 0, int(faultShort)
		}
		n := binary.LittleEndian.Uint32(b[i:])
		if kind == protoreflect.Sfixed32Kind {
			return uint64(int32(n)), i + 4
		}
		return uint64(n), i + 4
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		if len(b)-i < 8 {
			return 0, int(faultShort)
		}
		return binary.LittleEndian.Uint64(b[i:]), i + 8
	}
	x, i = varint(b, i)
	switch kind {
	case protoreflect.Int32Kind, protoreflect.EnumKind:
		x = uint64(int32(x))
	case protoreflect.Uint32Kind:
		x = uint64(uint32(x))
	case protoreflect.Sint32Kind:
		x = uint64(int32(uint32(x)>>1) ^ -int32(x&1))
	case protoreflect.Sint64Kind:
		x = uint64(int64(x>>1) ^ -int64(x&1))
	}
	return x, i
}

// signed is the integer of these bits, if 64 bits with a sign hold it.
func signed(x uint64, kind protoreflect.Kind) (int64, bool) {
	if kind == protoreflect.Uint64Kind || kind == protoreflect.Fixed64Kind {
		return int64(x), x <= math.MaxInt64
	}
	return int64(x), true
}

func (f *protoField) decimal(v *column.Vector, s []byte) bool {
	x, fault := parseDecimal(s, f.target.precision, f.target.scale)
	if fault != decimalOK {
		return false
	}
	v.AppendDecimal(x)
	return true
}

// refusal is a value that a column does not take, or one that it lacks. The target is nil if there is none.
type refusal struct {
	at     int // where the value is in the record, or the message that lacks it
	target *target
	field  *protoField // nil: no value, but the column is NOT NULL
	zero   []byte      // the encoding of the value if it is a default, which is not in the record
}

// explain reads the value again and says why it was refused.
func (r *refusal) explain(b []byte) error {
	t, f, at := r.target, r.field, r.at
	if f == nil {
		return missing(t)
	}
	if r.zero != nil {
		b, at = r.zero, 0
	}
	var reason string
	switch f.op {
	case opText:
		from, to := span(b, at)
		reason = t.tooLong(utf8.RuneCount(b[from:to]))
	case opDecimal:
		from, to := span(b, at)
		_, fault := parseDecimal(b[from:to], t.precision, t.scale)
		reason = t.decimalReason(b[from:to], fault)
	case opVariant:
		from, to := span(b, at)
		_, _, reason = variant.Append(nil, nil, b[from:to])
		reason = "JSON text of the VARIANT: " + reason
	case opEnumName:
		x, _ := integerBits(b, at, f.kind)
		reason = fmt.Sprintf("enum has no value with number %d", int32(x))
		if name, ok := f.enum.name(int32(x)); ok {
			reason = t.tooLong(utf8.RuneCountInString(name))
		}
	default:
		x, _ := integerBits(b, at, f.kind)
		text := strconv.FormatUint(x, 10)
		if n, ok := signed(x, f.kind); ok {
			text = strconv.FormatInt(n, 10)
		}
		reason = t.outOfRange(text)
	}
	return &RecordError{Field: t.name, Reason: reason}
}
