package schema

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/zerobus-go/zerobus/internal/sqltext"
)

// FromDescriptor is the table whose records d describes: the inverse of [Struct.Descriptor], as far as a descriptor tells.
// See [FromMessage]. References to nested types may be written in all ways that the protocol knows: from the root, with a
// package or without, or relative to the field.
func FromDescriptor(d *descriptorpb.DescriptorProto) (*Struct, error) {
	md, err := Resolve(d)
	if err != nil {
		return nil, err
	}
	return FromMessage(md)
}

// FromMessage is the table whose records are such messages: int32 gives INT, uint32, int64 and uint64 BIGINT, float FLOAT,
// double DOUBLE, bool BOOLEAN, string STRING, bytes BINARY, an enum STRING, repeated ARRAY, map MAP, a message STRUCT;
// required gives NOT NULL. Where the message's file has comments, those before a field become the column's, and one behind it
// that begins with a type, as [Struct.Proto] writes it, is the column's type: "DATE: days since 1970-01-01".
//
// Groups, and messages that contain themselves, are an error with the field's path.
func FromMessage(md protoreflect.MessageDescriptor) (*Struct, error) {
	var r reader
	fields, err := r.columns(md, "", 0)
	if err != nil {
		return nil, err
	}
	return &Struct{Fields: fields}, nil
}

// maxFields bounds the columns and members that are made of a message, which can name one type in many places.
const maxFields = 100_000

// reader makes columns of messages.
type reader struct {
	fields int // so far
}

func (r *reader) columns(md protoreflect.MessageDescriptor, path string, depth int) ([]Field, error) {
	if r.fields += md.Fields().Len(); depth > MaxDepth || r.fields > maxFields {
		return nil, fmt.Errorf("field %s: messages are nested more than %d levels deep, have more than %d fields together, or contain themselves",
			strings.TrimSuffix(path, "."), MaxDepth, maxFields)
	}
	if md.Fields().Len() == 0 {
		return nil, fmt.Errorf("message %s has no fields", md.FullName())
	}
	fields := make([]Field, md.Fields().Len())
	for i := range fields {
		fd := md.Fields().Get(i)
		f := Field{Name: string(fd.Name()), Nullable: fd.Cardinality() != protoreflect.Required}
		var err error
		if f.Type, err = r.column(fd, path+f.Name, depth); err != nil {
			return nil, err
		}
		comments := md.ParentFile().SourceLocations().ByDescriptor(fd)
		f.Comment = columnComment(comments.LeadingComments)
		if hint, ok := hintedType(comments.TrailingComments); ok && sameFields(&hint, &f.Type) {
			hint.keepMembers(&f.Type)
			f.Type = hint
		}
		fields[i] = f
	}
	return fields, nil
}

// column is the type of a field's column.
func (r *reader) column(fd protoreflect.FieldDescriptor, path string, depth int) (Type, error) {
	switch {
	case fd.IsMap():
		key, err := r.single(fd.MapKey(), path+".key", depth)
		if err != nil {
			return Type{}, err
		}
		value, err := r.single(fd.MapValue(), path+".value", depth)
		return Type{Kind: Map, Key: &key, Elem: &value, ElemNullable: true}, err
	case fd.IsList():
		elem, err := r.single(fd, path+".element", depth)
		return Type{Kind: Array, Elem: &elem, ElemNullable: true}, err
	}
	return r.single(fd, path, depth)
}

func (r *reader) single(fd protoreflect.FieldDescriptor, path string, depth int) (Type, error) {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return Type{Kind: Boolean}, nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return Type{Kind: Integer}, nil
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind,
		protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return Type{Kind: Long}, nil
	case protoreflect.FloatKind:
		return Type{Kind: Float}, nil
	case protoreflect.DoubleKind:
		return Type{Kind: Double}, nil
	case protoreflect.StringKind, protoreflect.EnumKind:
		return Type{Kind: String}, nil
	case protoreflect.BytesKind:
		return Type{Kind: Binary}, nil
	case protoreflect.MessageKind:
		fields, err := r.columns(fd.Message(), path+".", depth+1)
		return Type{Kind: StructKind, Fields: fields}, err
	}
	return Type{}, fmt.Errorf("field %s: no column takes a %s", path, fd.Kind())
}

// columnComment is the column's comment that [commentText] has made lines of.
func columnComment(lines string) string {
	text := strings.TrimSuffix(lines, "\n")
	return strings.TrimPrefix(strings.ReplaceAll(text, "\n ", "\n"), " ")
}

// hintedType is the type with which a comment begins, in the letters of [Struct.Proto], if a colon or nothing follows.
func hintedType(comment string) (Type, bool) {
	s := sqltext.NewScanner(comment)
	t, err := parseType(s, 0)
	if err != nil {
		return Type{}, false
	}
	next := s.Next()
	written := strings.HasPrefix(strings.TrimSpace(comment), t.DDL()) // others write "date" and mean no type
	return t, written && s.Err() == nil && (next.Is(":") || next.Kind == sqltext.End)
}

// sameFields reports whether columns of both types have the same field.
func sameFields(hint, t *Type) bool {
	switch {
	case hint.Scalar() || hint.Kind == Variant:
		return (t.Scalar() || t.Kind == Variant) && protoTypes[hint.Kind] == protoTypes[t.Kind]
	case hint.Kind != t.Kind:
		return false
	case hint.Kind == Array:
		return sameFields(hint.Elem, t.Elem)
	case hint.Kind == Map:
		return sameFields(hint.Key, t.Key) && sameFields(hint.Elem, t.Elem)
	}
	return true
}

// keepMembers takes the members of structs from t, whose own comments say more.
func (hint *Type) keepMembers(t *Type) {
	switch hint.Kind {
	case StructKind:
		hint.Fields = t.Fields
	case Array, Map:
		hint.Elem.keepMembers(t.Elem)
	}
}

// Resolve makes a message descriptor of a DescriptorProto that stands for itself, as the protocol carries it, with the
// references of its fields resolved. It is an error when something in it is not what protobuf allows, or refers to a type that is
// not in it.
func Resolve(d *descriptorpb.DescriptorProto) (protoreflect.MessageDescriptor, error) {
	if d == nil {
		return nil, errors.New("descriptor: there is none")
	}
	l := linker{kinds: map[string]descriptorpb.FieldDescriptorProto_Type{}}
	root := proto.CloneOf(d)
	if err := l.gather(root, "."+root.GetName(), 0); err != nil {
		return nil, err
	}
	if err := l.resolve(root, "."+root.GetName()); err != nil {
		return nil, err
	}
	f, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name:        proto.String("record.proto"),
		Syntax:      proto.String("proto2"),
		MessageType: []*descriptorpb.DescriptorProto{root},
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("descriptor: %s", withoutPrefix(err))
	}
	return f.Messages().Get(0), nil
}

// withoutPrefix is an error of the protobuf library without the name before it, behind which is one of two kinds of blanks.
func withoutPrefix(err error) string {
	text := strings.TrimPrefix(err.Error(), "proto:")
	return strings.TrimLeft(text, " \u00a0")
}

// maxFullName bounds the names of types in a descriptor, which repeat those around them, in bytes.
const maxFullName = 1 << 10

// linker resolves the type names in a descriptor.
type linker struct {
	kinds map[string]descriptorpb.FieldDescriptorProto_Type // of messages and enums, by name from the root
}

func (l *linker) gather(d *descriptorpb.DescriptorProto, full string, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("descriptor: messages are nested more than %d levels deep", MaxDepth)
	}
	if len(full) > maxFullName {
		return fmt.Errorf("descriptor: a name of a type has more than %d bytes with those around it", maxFullName)
	}
	l.kinds[full] = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	for _, e := range d.GetEnumType() {
		l.kinds[full+"."+e.GetName()] = descriptorpb.FieldDescriptorProto_TYPE_ENUM
	}
	for _, m := range d.GetNestedType() {
		if err := l.gather(m, full+"."+m.GetName(), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// resolve writes the type names of fields from the root.
func (l *linker) resolve(d *descriptorpb.DescriptorProto, full string) error {
	for _, f := range d.GetField() {
		// What a server does not look at, and what would hinder the library.
		f.Extendee, f.DefaultValue, f.Options, f.JsonName = nil, nil, fieldOptions(f), nil
		if f.GetProto3Optional() {
			f.Proto3Optional, f.OneofIndex = nil, nil // the oneof only stands for the word
		}
		if f.TypeName == nil {
			continue
		}
		name, ok := l.find(f.GetTypeName(), full)
		if !ok {
			return fmt.Errorf("descriptor: field %s.%s has the type %s, which is not in the descriptor: nest it in the message",
				strings.TrimPrefix(full, "."), f.GetName(), f.GetTypeName())
		}
		f.TypeName = proto.String(name)
		if f.Type == nil {
			f.Type = l.kinds[name].Enum()
		}
	}
	for _, m := range d.GetNestedType() {
		if err := l.resolve(m, full+"."+m.GetName()); err != nil {
			return err
		}
	}
	d.Extension, d.ExtensionRange = nil, nil
	dropEmptyOneofs(d)
	return nil
}

// dropEmptyOneofs removes the oneofs that have no members.
func dropEmptyOneofs(d *descriptorpb.DescriptorProto) {
	var kept []*descriptorpb.OneofDescriptorProto
	moved := map[int32]int32{}
	for _, f := range d.GetField() {
		from := f.GetOneofIndex()
		if f.OneofIndex == nil || from < 0 || int(from) >= len(d.GetOneofDecl()) {
			continue
		}
		to, ok := moved[from]
		if !ok {
			to = int32(len(kept))
			moved[from] = to
			kept = append(kept, d.GetOneofDecl()[from])
		}
		f.OneofIndex = proto.Int32(to)
	}
	d.OneofDecl = kept
}

// fieldOptions keeps the one option that changes the wire.
func fieldOptions(f *descriptorpb.FieldDescriptorProto) *descriptorpb.FieldOptions {
	if f.Options == nil || f.Options.Packed == nil {
		return nil
	}
	return &descriptorpb.FieldOptions{Packed: f.Options.Packed}
}

// find resolves a reference in the message scope: as a name relative to it, or to a message around it; as a name from the
// root; and as one from the root with a package before, whose name is nowhere in the descriptor.
func (l *linker) find(name, scope string) (string, bool) {
	if !strings.HasPrefix(name, ".") {
		for at := scope; at != ""; at = at[:strings.LastIndexByte(at, '.')] {
			if _, ok := l.kinds[at+"."+name]; ok {
				return at + "." + name, true
			}
		}
		name = "." + name
	}
	for {
		if _, ok := l.kinds[name]; ok {
			return name, true
		}
		i := strings.IndexByte(name[1:], '.')
		if i < 0 {
			return "", false
		}
		name = name[1+i:]
	}
}
