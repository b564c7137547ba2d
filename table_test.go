package zerobus_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/zerobus-go/zerobus"
)

func TestCreation_CR02_CR03_CR04_TypeAndDescriptor(t *testing.T) {
	descriptor := protodesc.ToDescriptorProto((&durationpb.Duration{}).ProtoReflect().Descriptor())
	tests := []struct {
		name     string
		table    zerobus.TableProperties
		wantErr  string
		wantType int32
		sent     bool
		warns    bool
	}{
		{"CR-02 descriptor without a type is PROTO", zerobus.TableProperties{Name: table, Descriptor: descriptor}, "", 1, true, false},
		{"neither is JSON", zerobus.TableProperties{Name: table}, "", 2, false, false},
		{"CR-03 PROTO without a descriptor", zerobus.TableProperties{Name: table, RecordType: zerobus.RecordTypeProto}, "PROTO, but there is no descriptor", 0, false, false},
		{"CR-03 nil message", zerobus.ProtoTable(table, nil), "PROTO, but there is no descriptor", 0, false, false},
		{"nameless descriptor", zerobus.TableProperties{Name: table, Descriptor: &descriptorpb.DescriptorProto{}}, "no message name", 0, false, false},
		{"CR-04 JSON with a descriptor", zerobus.TableProperties{Name: table, RecordType: zerobus.RecordTypeJSON, Descriptor: descriptor}, "", 2, false, true},
		{"nil pointer of a message", zerobus.ProtoTable(table, (*durationpb.Duration)(nil)), "", 1, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				attempts := 0
				s, err := w.sdk.CreateStream(w.Context(), tt.table, counting(&attempts))
				if tt.wantErr != "" {
					wantErr(w, err, zerobus.ErrInvalidArgument, tt.wantErr)
					if attempts > 0 {
						w.Error("a try to connect was made")
					}
					return
				}
				w.must(err)
				r := rec(0)
				if tt.wantType == 1 {
					r = zerobus.ProtoBytes(nil)
				}
				offset, err := s.IngestAndWait(w.Context(), r)
				if w.must(err); offset != 0 {
					w.Errorf("offset %d", offset)
				}
				create, _ := w.conns(1)[0].Create()
				if create.RecordType != tt.wantType || (create.Descriptor != nil) != tt.sent {
					w.Errorf("create request: type %d, descriptor of %d bytes", create.RecordType, len(create.Descriptor))
				}
				if got := strings.Count(w.log.String(), "level=WARN"); got != map[bool]int{true: 1}[tt.warns] {
					w.Errorf("log %s", w.log)
				}
				w.must(s.Close(w.Context()))
			})
		})
	}
}

// file makes the descriptors of a file from its text form, with imports by path.
func file(t *testing.T, files *protoregistry.Files, path, pkg string, imports []string, messages []*descriptorpb.DescriptorProto, enums []*descriptorpb.EnumDescriptorProto) protoreflect.FileDescriptor {
	t.Helper()
	fd, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String(path), Package: proto.String(pkg), Syntax: proto.String("proto2"),
		Dependency: imports, MessageType: messages, EnumType: enums,
	}, files)
	if err != nil {
		t.Fatal(err)
	}
	if err := files.RegisterFile(fd); err != nil {
		t.Fatal(err)
	}
	return fd
}

func field(name string, number int32, typ descriptorpb.FieldDescriptorProto_Type, typeName string) *descriptorpb.FieldDescriptorProto {
	f := &descriptorpb.FieldDescriptorProto{
		Name: proto.String(name), Number: proto.Int32(number), Type: typ.Enum(),
		Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
	}
	if typeName != "" {
		f.TypeName = proto.String(typeName)
	}
	return f
}

func enum(name string, values ...string) *descriptorpb.EnumDescriptorProto {
	e := &descriptorpb.EnumDescriptorProto{Name: proto.String(name)}
	for i, v := range values {
		e.Value = append(e.Value, &descriptorpb.EnumValueDescriptorProto{Name: proto.String(v), Number: proto.Int32(int32(i))})
	}
	return e
}

const (
	typeMessage = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	typeEnum    = descriptorpb.FieldDescriptorProto_TYPE_ENUM
	typeString  = descriptorpb.FieldDescriptorProto_TYPE_STRING
	typeInt32   = descriptorpb.FieldDescriptorProto_TYPE_INT32
)

// The test's types: a root that uses a sibling, imported messages and enums, itself, and a type of the same short name
// as one of its own; which use each other in a circle.
func rootDescriptor(t *testing.T) protoreflect.MessageDescriptor {
	files := &protoregistry.Files{}
	file(t, files, "units.proto", "units", nil,
		[]*descriptorpb.DescriptorProto{
			{
				Name: proto.String("Unit"),
				Field: []*descriptorpb.FieldDescriptorProto{
					field("symbol", 1, typeString, ""), field("scale", 2, typeMessage, ".units.Unit.Scale"),
					field("system", 3, typeEnum, ".units.System"),
				},
				NestedType: []*descriptorpb.DescriptorProto{{
					Name:  proto.String("Scale"),
					Field: []*descriptorpb.FieldDescriptorProto{field("factor", 1, typeInt32, ""), field("of", 2, typeMessage, ".units.Unit")},
				}},
			},
			{Name: proto.String("Own"), Field: []*descriptorpb.FieldDescriptorProto{field("foreign", 1, typeString, "")}},
		},
		[]*descriptorpb.EnumDescriptorProto{enum("System", "UNKNOWN", "SI")})
	fd := file(t, files, "root.proto", "app", []string{"units.proto"},
		[]*descriptorpb.DescriptorProto{
			{
				Name: proto.String("Root"),
				Field: []*descriptorpb.FieldDescriptorProto{
					field("name", 1, typeString, ""), field("own", 2, typeMessage, ".app.Root.Own"),
					field("unit", 3, typeMessage, ".units.Unit"), field("foreign", 4, typeMessage, ".units.Own"),
					field("sibling", 5, typeMessage, ".app.Sibling"), field("parent", 6, typeMessage, ".app.Root"),
					field("kind", 7, typeEnum, ".app.Root.Kind"), field("system", 8, typeEnum, ".units.System"),
					field("scale", 9, typeMessage, ".units.Unit.Scale"),
				},
				NestedType: []*descriptorpb.DescriptorProto{{
					Name:  proto.String("Own"),
					Field: []*descriptorpb.FieldDescriptorProto{field("own", 1, typeInt32, "")},
				}},
				EnumType: []*descriptorpb.EnumDescriptorProto{enum("Kind", "UNKNOWN", "GOOD")},
			},
			{Name: proto.String("Sibling"), Field: []*descriptorpb.FieldDescriptorProto{
				field("root", 1, typeMessage, ".app.Root"), field("next", 2, typeMessage, ".app.Sibling"),
			}},
		}, nil)
	return fd.Messages().ByName("Root")
}

func TestTable_CR23_DescriptorIsSelfContained(t *testing.T) {
	md := rootDescriptor(t)
	d := zerobus.ProtoTableDescriptor(table, md).Descriptor

	// A file with nothing but the descriptor, and no imports, must be complete: that is what a server makes of it.
	fd, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("sent.proto"), Package: proto.String("app"), Syntax: proto.String("proto2"),
		MessageType: []*descriptorpb.DescriptorProto{d},
	}, &protoregistry.Files{})
	if err != nil {
		t.Fatalf("%v\n%v", err, d)
	}

	// And it must read what the original writes.
	src := dynamicpb.NewMessage(md)
	set := func(m protoreflect.Message, path string, v protoreflect.Value) {
		names := strings.Split(path, ".")
		for _, n := range names[:len(names)-1] {
			m = m.Mutable(m.Descriptor().Fields().ByName(protoreflect.Name(n))).Message()
		}
		m.Set(m.Descriptor().Fields().ByName(protoreflect.Name(names[len(names)-1])), v)
	}
	set(src, "own.own", protoreflect.ValueOfInt32(1))
	set(src, "foreign.foreign", protoreflect.ValueOfString("f"))
	set(src, "unit.scale.factor", protoreflect.ValueOfInt32(1000))
	set(src, "unit.scale.of.symbol", protoreflect.ValueOfString("m"))
	set(src, "unit.system", protoreflect.ValueOfEnum(1))
	set(src, "scale.factor", protoreflect.ValueOfInt32(7))
	set(src, "sibling.next.root.name", protoreflect.ValueOfString("deep"))
	set(src, "parent.kind", protoreflect.ValueOfEnum(1))
	b, err := proto.Marshal(src)
	if err != nil {
		t.Fatal(err)
	}
	dst := dynamicpb.NewMessage(fd.Messages().Get(0))
	if err := proto.Unmarshal(b, dst); err != nil {
		t.Fatal(err)
	}
	get := func(m protoreflect.Message, path string) protoreflect.Value {
		names := strings.Split(path, ".")
		for _, n := range names[:len(names)-1] {
			m = m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(n))).Message()
		}
		return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(names[len(names)-1])))
	}
	for _, path := range []string{
		"own.own", "foreign.foreign", "unit.scale.factor", "unit.scale.of.symbol", "unit.system",
		"scale.factor", "sibling.next.root.name", "parent.kind",
	} {
		if got, want := get(dst, path).String(), get(src, path).String(); got != want {
			t.Errorf("%s is %s; want %s", path, got, want)
		}
	}
	if len(dst.GetUnknown()) > 0 {
		t.Error("fields are unknown to the sent descriptor")
	}

	// It is what the server is sent.
	inBubble(t, func(w *world) {
		s, err := w.sdk.CreateStream(w.Context(), zerobus.ProtoTableDescriptor(table, md), auth)
		w.must(err)
		w.must(s.Close(w.Context()))
		create, _ := w.conns(1)[0].Create()
		var sent descriptorpb.DescriptorProto
		w.must(proto.Unmarshal(create.Descriptor, &sent))
		if !proto.Equal(&sent, d) {
			w.Errorf("sent descriptor %v", &sent)
		}
	})
}

func TestTable_DescriptorWithNothingForeignStaysAsItIs(t *testing.T) {
	md := (&durationpb.Duration{}).ProtoReflect().Descriptor()
	if got := zerobus.ProtoTable(table, &durationpb.Duration{}).Descriptor; !proto.Equal(got, protodesc.ToDescriptorProto(md)) {
		t.Errorf("descriptor %v", got)
	}
	// FieldDescriptorProto uses enums and FieldOptions, which uses much more.
	big := zerobus.ProtoTable(table, &descriptorpb.FieldDescriptorProto{}).Descriptor
	if _, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("sent.proto"), Package: proto.String("google.protobuf"), Syntax: proto.String("proto2"),
		MessageType: []*descriptorpb.DescriptorProto{big},
	}, &protoregistry.Files{}); err != nil {
		t.Error(err)
	}
}

func TestTable_UT09_DescriptorOfAMessage(t *testing.T) {
	d := zerobus.ProtoTable(table, &durationpb.Duration{}).Descriptor
	b, err := proto.Marshal(d)
	if err != nil || len(b) == 0 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	again, err := zerobus.ProtoTableBytes(table, b)
	if err != nil {
		t.Fatal(err)
	}
	if again.RecordType != zerobus.RecordTypeProto || !proto.Equal(again.Descriptor, d) || d.GetName() != "Duration" || len(d.Field) != 2 {
		t.Errorf("descriptor %v", again.Descriptor)
	}
	for name, bad := range map[string][]byte{"no descriptor": {0xff}, "no name": {}} {
		if _, err := zerobus.ProtoTableBytes(table, bad); !errors.Is(err, zerobus.ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
