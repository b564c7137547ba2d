package decode

import (
	"fmt"
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
)

// drawNestedTable draws a table that protobuf can say, with structs in structs to a depth.
func drawNestedTable(rt *rapid.T) *schema.Struct {
	return &schema.Struct{Fields: drawMembers(rt, 3)}
}

func drawMembers(rt *rapid.T, depth int) []schema.Field {
	fields := make([]schema.Field, rapid.IntRange(1, 4).Draw(rt, "members"))
	for i := range fields {
		fields[i] = schema.Field{Name: fmt.Sprint("f", i), Nullable: rapid.IntRange(0, 5).Draw(rt, "not null") > 0}
		t := &fields[i].Type
		switch rapid.IntRange(0, 4).Draw(rt, "shape") {
		case 0:
			elem := drawSingle(rt, depth-1)
			*t = schema.Type{Kind: schema.Array, Elem: &elem, ElemNullable: true}
		case 1:
			key := drawScalar(rt, []schema.Kind{schema.Boolean, schema.Byte, schema.Integer, schema.Long, schema.String, schema.String, schema.Date})
			elem := drawSingle(rt, depth-1)
			*t = schema.Type{Kind: schema.Map, Key: &key, Elem: &elem, ElemNullable: true}
		default:
			*t = drawSingle(rt, depth-1)
		}
	}
	return fields
}

func drawSingle(rt *rapid.T, depth int) schema.Type {
	if depth > 0 && rapid.IntRange(0, 2).Draw(rt, "struct") > 0 {
		return schema.Type{Kind: schema.StructKind, Fields: drawMembers(rt, depth)}
	}
	return drawScalar(rt, []schema.Kind{
		schema.Boolean, schema.Byte, schema.Short, schema.Integer, schema.Long, schema.Float, schema.Double, schema.Decimal,
		schema.String, schema.String, schema.Binary, schema.Date, schema.Timestamp, schema.Variant,
	})
}

func drawScalar(rt *rapid.T, kinds []schema.Kind) schema.Type {
	t := schema.Type{Kind: rapid.SampledFrom(kinds).Draw(rt, "kind")}
	switch t.Kind {
	case schema.Decimal:
		t.Precision, t.Scale = 5, 2
	case schema.String:
		t.Length = rapid.SampledFrom([]int{0, 0, 0, 4}).Draw(rt, "length")
	}
	return t
}

// explicit makes a message of a proto2 file one of proto3 with explicit presence, some of its fields other kinds that fit or enums,
// and sometimes puts single fields into a oneof.
func explicit(rt *rapid.T, m *descriptorpb.DescriptorProto) {
	entry := m.GetOptions().GetMapEntry()
	oneof := !entry && rapid.Bool().Draw(rt, "oneof")
	if oneof {
		m.OneofDecl = append(m.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: proto.String("choice")})
	}
	members := 0
	for i, f := range m.Field {
		if f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REQUIRED {
			f.Label = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
		}
		key := entry && f.GetNumber() == 1
		switch f.GetType() {
		case descriptorpb.FieldDescriptorProto_TYPE_INT32, descriptorpb.FieldDescriptorProto_TYPE_INT64:
			kinds := []string{"INT32", "INT64", "UINT32", "UINT64", "SINT32", "SINT64", "FIXED32", "SFIXED64"}
			f.Type = descriptorpb.FieldDescriptorProto_Type(descriptorpb.FieldDescriptorProto_Type_value["TYPE_"+rapid.SampledFrom(kinds).Draw(rt, "kind")]).Enum()
			if !key && rapid.IntRange(0, 5).Draw(rt, "enum") == 0 {
				f.Type, f.TypeName = descriptorpb.FieldDescriptorProto_TYPE_ENUM.Enum(), proto.String(".pkg.Root.Color")
			}
		}
		if key || f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED || entry {
			continue
		}
		if oneof && (members == 0 || m.Field[i-1].OneofIndex != nil) && rapid.IntRange(0, 3).Draw(rt, "member") > 0 {
			f.OneofIndex = proto.Int32(0) // members stand together
			members++
		}
	}
	if oneof && members == 0 {
		m.OneofDecl = nil
	}
	for _, f := range m.Field {
		if f.GetLabel() != descriptorpb.FieldDescriptorProto_LABEL_REPEATED && f.OneofIndex == nil && !entry {
			f.Proto3Optional = proto.Bool(true)
			f.OneofIndex = proto.Int32(int32(len(m.OneofDecl)))
			m.OneofDecl = append(m.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: proto.String("_" + f.GetName())})
		}
		if f.GetType() == descriptorpb.FieldDescriptorProto_TYPE_MESSAGE {
			f.TypeName = proto.String(".pkg" + f.GetTypeName())
		}
	}
	for _, nested := range m.NestedType {
		explicit(rt, nested)
	}
}

// asEnums makes fields of STRING columns enums.
func asEnums(rt *rapid.T, m *descriptorpb.DescriptorProto, fields []schema.Field) {
	for i, f := range m.Field {
		if fields[i].Type.Kind == schema.String && rapid.IntRange(0, 3).Draw(rt, "enum") == 0 {
			f.Type, f.TypeName = descriptorpb.FieldDescriptorProto_TYPE_ENUM.Enum(), proto.String(".pkg.Root.Color")
		}
	}
}

func drawNestedPair(t *testing.T, rt *rapid.T) *nestedPair {
	table := drawNestedTable(rt)
	m, err := table.Descriptor("Root")
	if err != nil {
		rt.Fatal(err)
	}
	explicit(rt, m)
	asEnums(rt, m, table.Fields)
	m.EnumType = append(m.EnumType, enumOf("Color", "Z"))
	for i, name := range []string{"RED", "NEG"} {
		m.EnumType[0].Value = append(m.EnumType[0].Value, &descriptorpb.EnumValueDescriptorProto{Name: &name, Number: proto.Int32(int32(1 - 2*i))})
	}
	return nestedPairOf(t, rt, table, newProtoOracle(t, table, m), marshal(t, m))
}

// drawMessage draws the encoding of a message: fields in any order and as often as it likes, lists packed and not, some unknown.
func drawMessage(rt *rapid.T, md protoreflect.MessageDescriptor, depth int) wire {
	var w wire
	n := rapid.IntRange(0, 2*md.Fields().Len()).Draw(rt, "fields")
	for range n {
		if rapid.IntRange(0, 19).Draw(rt, "unknown") == 0 {
			w = w.text(77, "unknown").group(78, wire{}.varint(1, 1))
			continue
		}
		fd := md.Fields().Get(rapid.IntRange(0, md.Fields().Len()-1).Draw(rt, "field"))
		num := fd.Number()
		switch {
		case fd.Message() != nil:
			w = w.text(num, string(drawMessage(rt, fd.Message(), depth+1)))
		case fd.IsList() && wireTypeOf(fd.Kind()) != protowire.BytesType && rapid.Bool().Draw(rt, "packed"):
			var run wire
			for range rapid.IntRange(0, 3).Draw(rt, "run") {
				one := drawScalarField(rt, nil, num, fd.Kind())
				_, _, n := protowire.ConsumeTag(one)
				run = append(run, one[n:]...)
			}
			w = w.text(num, string(run))
		default:
			w = drawScalarField(rt, w, num, fd.Kind())
		}
	}
	return w
}

func drawScalarField(rt *rapid.T, w wire, num protowire.Number, kind protoreflect.Kind) wire {
	x := rapid.OneOf(
		rapid.Uint64Range(0, 3), rapid.Uint64Range(0, 3), rapid.Uint64Range(0, 3), rapid.Uint64Range(0, 127),
		rapid.SampledFrom([]uint64{128, 300, 1 << 31, 1<<63 - 1, math.MaxUint64}),
	).Draw(rt, "x")
	switch wireTypeOf(kind) {
	case protowire.VarintType:
		return w.varint(num, x)
	case protowire.Fixed32Type:
		return w.fixed32(num, uint32(x))
	case protowire.Fixed64Type:
		return w.fixed64(num, x)
	}
	texts := []string{"1", "1", "1.5", "12", "0", "-2", "7", "true", "4e1", "x", "", "äöü", "{}", `{"a":[1]}`, "longer", "\xff"}
	return w.text(num, rapid.SampledFrom(texts[:rapid.SampledFrom([]int{8, 8, 8, len(texts)}).Draw(rt, "odd")]).Draw(rt, "text"))
}

// TestProtoNestedAgreesWithDynamicpb: random tables and random encodings of random messages, some cut or damaged.
func TestProtoNestedAgreesWithDynamicpb(t *testing.T) {
	var accepted, refusals int
	rapid.Check(t, func(rt *rapid.T) {
		p := drawNestedPair(t, rt)
		for range 12 {
			record := drawMessage(rt, p.oracle.md, 0)
			switch rapid.IntRange(0, 11).Draw(rt, "form") {
			case 0:
				if len(record) > 0 {
					record[rapid.IntRange(0, len(record)-1).Draw(rt, "at")] ^= byte(1 << rapid.IntRange(0, 7).Draw(rt, "bit"))
					record = record[:rapid.IntRange(0, len(record)).Draw(rt, "cut")]
				}
			case 1, 2: // as the library writes it
				m := dynamicpb.NewMessage(p.oracle.md)
				if proto.Unmarshal(record, m) == nil {
					record = marshal(t, m)
				}
			}
			if p.check(rt, record) {
				accepted++
			} else {
				refusals++
			}
		}
		p.checkRows(rt)
	})
	t.Logf("%d accepted, %d refused", accepted, refusals)
	if accepted < 100 || refusals < 50 {
		t.Errorf("%d records accepted, %d refused: the test tells too little", accepted, refusals)
	}
}
