package main

import (
	"fmt"
	"math/big"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/zerobus-go/zerobus/schema"
)

// messageName is that of the messages whose descriptor is made of a table.
const messageName = "Record"

// protoWriter makes messages of rows, by reflection and protobuf's own library.
type protoWriter struct {
	dice
	spoil  int // which value is wrong, from 1; 0 for none
	values int // that could have been
}

// encode is a row as a message. A spoiled one that has nothing which could be wrong is broken at its end.
func (w *protoWriter) encode(md protoreflect.MessageDescriptor, t *schema.Struct, row members) ([]byte, error) {
	m := dynamicpb.NewMessage(md)
	w.message(m, t.Fields, row)
	b, err := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(m)
	if w.spoil > w.values {
		b = protowire.AppendTag(b, 1, one(w.dice, protowire.VarintType, protowire.Fixed32Type, protowire.Fixed64Type, protowire.BytesType))
	}
	return b, err
}

// message sets the fields of a message that the columns or members have.
func (w *protoWriter) message(m protoreflect.Message, fields []schema.Field, row members) {
	byName := m.Descriptor().Fields()
	for i := range fields {
		f, x := &fields[i], row[i]
		fd := byName.ByName(protoreflect.Name(f.Name))
		if fd == nil || x == nil {
			continue
		}
		if !f.Nullable && f.Type.Kind != schema.Array && f.Type.Kind != schema.Map && w.here() {
			continue // missing
		}
		switch x := x.(type) {
		case list:
			l := m.Mutable(fd).List()
			for _, e := range x {
				l.Append(w.value(l.NewElement, f.Type.Elem, e))
			}
		case entries:
			all := m.Mutable(fd).Map()
			for _, e := range x {
				key := w.value(nil, f.Type.Key, e.key)
				all.Set(key.MapKey(), w.value(all.NewValue, f.Type.Elem, e.value))
			}
		default:
			m.Set(fd, w.value(func() protoreflect.Value { return m.NewField(fd) }, &f.Type, x))
		}
	}
}

func (w *protoWriter) here() bool {
	w.values++
	return w.values == w.spoil
}

// value is a single value; message makes an empty one for a struct.
func (w *protoWriter) value(message func() protoreflect.Value, t *schema.Type, x any) protoreflect.Value {
	if row, ok := x.(members); ok {
		v := message()
		w.message(v.Message(), t.Fields, row)
		return v
	}
	if wrong, ok := w.misfit(t); ok && w.here() {
		return wrong
	}
	switch x := x.(type) {
	case int64:
		if lo, _ := ranges(t.Kind); int64(int32(lo)) == lo {
			return protoreflect.ValueOfInt32(int32(x))
		}
		return protoreflect.ValueOfInt64(x)
	case *big.Int:
		return protoreflect.ValueOfString(decimalText(x, t.Scale))
	case jsonText:
		return protoreflect.ValueOfString(string(x))
	case bool, float32, float64, string, []byte:
		return protoreflect.ValueOf(x)
	}
	panic(fmt.Sprintf("a %T is no value of a field", x))
}

// misfit is a value of the field's type that the column does not take, if there is one.
func (w *protoWriter) misfit(t *schema.Type) (v protoreflect.Value, ok bool) {
	switch t.Kind {
	case schema.Byte, schema.Short:
		lo, hi := ranges(t.Kind)
		return protoreflect.ValueOfInt32(int32(one(w.dice, lo-1, hi+1))), true
	case schema.Decimal:
		return protoreflect.ValueOfString(one(w.dice, "", "one", "1e40", decimalText(big.NewInt(1), t.Scale+1))), true
	case schema.String:
		if t.Length > 0 && w.in(2) {
			return protoreflect.ValueOfString(string(make([]byte, t.Length+1))), true
		}
		return protoreflect.ValueOfString(one(w.dice, "\xff", "a\xc3", "\xed\xa0\x80")), true
	case schema.Variant:
		return protoreflect.ValueOfString(one(w.dice, "", "{", `{"a":1,"a":2}`, "01")), true
	}
	return v, false
}
