package decode

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/zerobus-go/zerobus/schema"
)

// The check that clients make and ours say the same of any descriptor: whether a stream opens with it.
func TestNewProto_AgreesWithSchemaCheck(t *testing.T) {
	kinds := []string{
		"BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL(10,2)", "STRING", "VARCHAR(3)", "BINARY",
		"DATE", "TIMESTAMP", "TIMESTAMP_NTZ",
	}
	names := []string{"a", "b", "c", "d", "A", "e"}
	types := []string{"E", "N", ".M.E", ".p.q.M.N", "M.N", "N.F", "p.M.N.F", "Missing"}
	accepted := 0
	for seed := range uint64(5000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		table := &schema.Struct{}
		for _, name := range names[:1+rnd.IntN(4)] {
			typ, err := schema.ParseType(kinds[rnd.IntN(len(kinds))])
			if err != nil {
				t.Fatal(err)
			}
			table.Fields = append(table.Fields, schema.Field{Name: name, Type: typ, Nullable: rnd.IntN(4) > 0})
		}
		d := &descriptorpb.DescriptorProto{
			Name:       proto.String("M"),
			NestedType: []*descriptorpb.DescriptorProto{{Name: proto.String("N"), EnumType: []*descriptorpb.EnumDescriptorProto{enumOf("F", "Y")}}},
			EnumType:   []*descriptorpb.EnumDescriptorProto{enumOf("E", "X")},
		}
		for i, at := range rnd.Perm(len(names))[:1+rnd.IntN(4)] {
			f := &descriptorpb.FieldDescriptorProto{Name: proto.String(names[at]), Number: proto.Int32(int32(1 + (i*7)%40))}
			f.Label = descriptorpb.FieldDescriptorProto_Label(1 + rnd.IntN(12)/5).Enum()
			f.Type = descriptorpb.FieldDescriptorProto_Type(1 + rnd.IntN(18)).Enum()
			switch f.GetType() {
			case descriptorpb.FieldDescriptorProto_TYPE_GROUP, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE:
				f.Type, f.TypeName = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), proto.String([]string{"N", ".M.N", ".p.M.N"}[rnd.IntN(3)])
			case descriptorpb.FieldDescriptorProto_TYPE_ENUM:
				f.TypeName = proto.String([]string{"E", ".M.E", "N.F", ".p.M.N.F", "p.q.M.E", "M.N.F"}[rnd.IntN(6)])
			}
			if rnd.IntN(20) == 0 { // not linked
				f.Type, f.TypeName = nil, proto.String(types[rnd.IntN(len(types))])
			}
			d.Field = append(d.Field, f)
		}
		b, err := proto.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		_, opens := NewProto(table, b)
		refused := schema.Check(d, table).Err()
		if (opens == nil) != (refused == nil) {
			t.Fatalf("seed %d: the decoder says %v, the check %v, of %v for %s", seed, opens, refused, d, describe(table))
		}
		if opens == nil {
			accepted++
		}
	}
	if accepted < 100 {
		t.Errorf("%d descriptors were accepted; the test tells too little", accepted)
	}
}

func describe(s *schema.Struct) (text string) {
	for _, f := range s.Fields {
		text += f.DDL() + ", "
	}
	return text
}

func enumOf(name, value string) *descriptorpb.EnumDescriptorProto {
	return &descriptorpb.EnumDescriptorProto{
		Name:  proto.String(name),
		Value: []*descriptorpb.EnumValueDescriptorProto{{Name: proto.String(fmt.Sprint(name, value)), Number: proto.Int32(0)}},
	}
}
