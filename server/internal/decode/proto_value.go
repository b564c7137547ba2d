package decode

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zerobus-go/zerobus/server/internal/column"
)

// rare reads the value at b[i] of the operations that message leaves out. It returns the position behind the value, or a
// wireFault, and whether the column takes it.
func (d *protoDecoder) rare(v *column.Vector, f *protoField, b []byte, i int) (int, bool) {
	x, i := integerBits(b, i, f.kind)
	if i < 0 {
		return i, false
	}
	if f.op == opEnumName {
		name, ok := f.enumName(int32(x))
		if !ok || f.length > 0 && utf8.RuneCountInString(name) > f.length {
			return i, false
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

func (f *protoField) enumName(number int32) (string, bool) {
	i, ok := slices.BinarySearchFunc(f.names, number, func(e enumName, n int32) int { return int(e.number) - int(n) })
	if !ok {
		return "", false
	}
	return f.names[i].name, true
}

func (d *protoDecoder) decimal(v *column.Vector, f *protoField, s []byte) bool {
	t := &d.targets[f.col]
	x, fault := parseDecimal(s, t.precision, t.scale)
	if fault != decimalOK {
		return false
	}
	v.AppendDecimal(x)
	return true
}

// explain reads the value at b[at] again, which column col has refused, and says why.
func (d *protoDecoder) explain(b []byte, col int32, at int) error {
	t := &d.targets[col]
	f := d.fieldOf(col)
	var reason string
	switch f.op {
	case opText:
		from, to := span(b, at)
		reason = t.tooLong(utf8.RuneCount(b[from:to]))
	case opDecimal:
		from, to := span(b, at)
		_, fault := parseDecimal(b[from:to], t.precision, t.scale)
		reason = t.decimalReason(b[from:to], fault)
	case opEnumName:
		x, _ := integerBits(b, at, f.kind)
		reason = fmt.Sprintf("enum has no value with number %d", int32(x))
		if name, ok := f.enumName(int32(x)); ok {
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

// fieldOf is the field that feeds column col. There is one: names are unique in a descriptor.
func (d *protoDecoder) fieldOf(col int32) *protoField {
	i := slices.IndexFunc(d.fields, func(f protoField) bool { return f.col == col })
	return &d.fields[i]
}
