package schema

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// maxFieldNumber is the largest number of a field.
const maxFieldNumber = 1<<29 - 1

// protoMessage is a message whose body is read.
type protoMessage struct {
	*descriptorpb.DescriptorProto
	scope   *protoScope
	path    []int32
	depth   int
	numbers protoNumbers
}

// protoMap is a field that is a map.
type protoMap struct {
	field *descriptorpb.FieldDescriptorProto
	entry *protoScope
}

// protoPacked is a field whose option packed is true.
type protoPacked struct {
	field *descriptorpb.FieldDescriptorProto
	at    int // of the option
}

var protoLabels = map[string]descriptorpb.FieldDescriptorProto_Label{
	"optional": descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL,
	"required": descriptorpb.FieldDescriptorProto_LABEL_REQUIRED,
	"repeated": descriptorpb.FieldDescriptorProto_LABEL_REPEATED,
}

// protoScalars are the types that are words of the language.
var protoScalars = map[string]descriptorpb.FieldDescriptorProto_Type{
	"double":   descriptorpb.FieldDescriptorProto_TYPE_DOUBLE,
	"float":    descriptorpb.FieldDescriptorProto_TYPE_FLOAT,
	"int32":    descriptorpb.FieldDescriptorProto_TYPE_INT32,
	"int64":    descriptorpb.FieldDescriptorProto_TYPE_INT64,
	"uint32":   descriptorpb.FieldDescriptorProto_TYPE_UINT32,
	"uint64":   descriptorpb.FieldDescriptorProto_TYPE_UINT64,
	"sint32":   descriptorpb.FieldDescriptorProto_TYPE_SINT32,
	"sint64":   descriptorpb.FieldDescriptorProto_TYPE_SINT64,
	"fixed32":  descriptorpb.FieldDescriptorProto_TYPE_FIXED32,
	"fixed64":  descriptorpb.FieldDescriptorProto_TYPE_FIXED64,
	"sfixed32": descriptorpb.FieldDescriptorProto_TYPE_SFIXED32,
	"sfixed64": descriptorpb.FieldDescriptorProto_TYPE_SFIXED64,
	"bool":     descriptorpb.FieldDescriptorProto_TYPE_BOOL,
	"string":   descriptorpb.FieldDescriptorProto_TYPE_STRING,
	"bytes":    descriptorpb.FieldDescriptorProto_TYPE_BYTES,
}

// message takes what follows the word message.
func (p *protoParser) message(in *protoScope, path []int32, depth int) *descriptorpb.DescriptorProto {
	from := p.prev.at
	if depth > MaxDepth {
		p.fail(from, "messages are nested more than %d levels deep", MaxDepth)
	}
	name := p.expectKind(protoWord, "a message name")
	m := &protoMessage{DescriptorProto: &descriptorpb.DescriptorProto{Name: proto.String(name.text)}, path: path, depth: depth}
	m.scope = p.declare(in, name, &protoScope{message: m.DescriptorProto, open: true})
	l := p.end("{", from, path)
	for p.inBody() {
		p.member(m)
	}
	p.skip("}")
	p.span(l, from)
	m.numbers.check(&p.protoScanner)
	m.addSyntheticOneofs()
	return m.DescriptorProto
}

// member takes a statement in a message.
func (p *protoParser) member(m *protoMessage) {
	switch {
	case p.tok.is(";"):
		p.skip(";")
	case p.tok.is("extend"):
		p.extend()
	case p.accept("message"):
		m.NestedType = append(m.NestedType, p.message(m.scope, pathTo(m.path, messageNesteds, len(m.NestedType)), m.depth+1))
	case p.accept("enum"):
		m.EnumType = append(m.EnumType, p.enum(m.scope, pathTo(m.path, messageEnums, len(m.EnumType))))
	case p.accept("oneof"):
		p.oneof(m)
	case p.accept("option"):
		p.option()
		p.skip(";")
	case p.accept("reserved"):
		p.reserved(&m.numbers, 1, maxFieldNumber)
	case p.accept("extensions"):
		if p.proto3() {
			p.fail(p.prev.at, "proto3 has no extensions")
		}
		p.ranges(&m.numbers, 1, maxFieldNumber)
		p.options()
		p.skip(";")
	default:
		p.field(m, nil)
	}
}

// oneof takes what follows the word oneof.
func (p *protoParser) oneof(m *protoMessage) {
	from := p.prev.at
	name := p.expectKind(protoWord, "a oneof name")
	p.declare(m.scope, name, &protoScope{})
	index, fields := len(m.OneofDecl), len(m.Field)
	m.OneofDecl = append(m.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: proto.String(name.text)})
	l := p.end("{", from, pathTo(m.path, messageOneofs, index))
	for p.inBody() {
		if p.accept("option") {
			p.option()
			p.skip(";")
			continue
		}
		p.field(m, proto.Int32(int32(index)))
	}
	p.skip("}")
	p.span(l, from)
	if len(m.Field) == fields {
		p.fail(name.at, "oneof %s has no fields", name)
	}
}

// field takes a field of a message, or of a oneof in it.
func (p *protoParser) field(m *protoMessage, oneof *int32) {
	from := p.tok.at
	f := &descriptorpb.FieldDescriptorProto{OneofIndex: oneof}
	isMap := p.label(f)
	var entry *descriptorpb.DescriptorProto
	if isMap {
		entry = p.mapType(m.scope)
	} else {
		p.fieldType(f, m.scope, false)
	}
	name := p.expectKind(protoWord, "a field name")
	f.Name = proto.String(name.text)
	p.declare(m.scope, name, &protoScope{})
	if isMap {
		p.addEntry(m, f, entry, name)
	}
	p.expect("=")
	f.Number = proto.Int32(p.fieldNumber(&m.numbers, name))
	p.fieldOptions(f)
	m.Field = append(m.Field, f)
	p.end(";", from, pathTo(m.path, messageFields, len(m.Field)-1))
}

// label takes the word before a field's type, if there is one, and reports whether the field is a map.
func (p *protoParser) label(f *descriptorpb.FieldDescriptorProto) (isMap bool) {
	word := p.tok
	label, given := protoLabels[word.text]
	if given {
		p.take()
	} else {
		label = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
	}
	isMap = p.atMap()
	switch inOneof := f.OneofIndex != nil; {
	case given && inOneof:
		p.fail(word.at, "a field in a oneof has no label, got %s", word)
	case isMap && inOneof:
		p.fail(p.tok.at, "a oneof has no maps")
	case isMap && given:
		p.fail(word.at, "a map has no label, got %s", word)
	case isMap:
		label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED
	case p.proto3() && word.is("required"):
		p.fail(word.at, "proto3 has no required fields")
	case p.proto3() && word.is("optional"):
		f.Proto3Optional = proto.Bool(true)
	case !given && !inOneof && !p.proto3() && (word.kind == protoWord || word.is(".")):
		p.fail(word.at, "expected optional, required or repeated before the type of a proto2 field, got %s", word)
	}
	f.Label = label.Enum()
	return isMap
}

// fieldType takes the type of a field or of a map's value.
func (p *protoParser) fieldType(f *descriptorpb.FieldDescriptorProto, in *protoScope, mapValue bool) {
	at := p.tok.at
	if p.tok.is("group") {
		p.fail(at, "groups are not read here: make it a message, or %s", descriptorSet)
	}
	dot := ""
	if p.accept(".") {
		dot = "."
	}
	name := dot + p.dotted("a type")
	if t, scalar := protoScalars[name]; scalar {
		f.Type = t.Enum()
		return
	}
	p.refs = append(p.refs, protoRef{name: name, at: at, in: in, field: f, mapValue: mapValue})
}

// mapType takes the type of a map, and gives the message of its entries, which has no name yet.
func (p *protoParser) mapType(in *protoScope) *descriptorpb.DescriptorProto {
	optional := descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
	key := &descriptorpb.FieldDescriptorProto{Name: proto.String("key"), Number: proto.Int32(1), Label: optional.Enum()}
	value := &descriptorpb.FieldDescriptorProto{Name: proto.String("value"), Number: proto.Int32(2), Label: optional.Enum()}
	p.expect("map")
	p.expect("<")
	word := p.expectKind(protoWord, "a key type")
	t, scalar := protoScalars[word.text]
	if !scalar || word.is("double") || word.is("float") || word.is("bytes") {
		p.fail(word.at, "a map's key is an integer, a bool or a string, got %s", word)
	}
	key.Type = t.Enum()
	p.expect(",")
	p.fieldType(value, in, true)
	p.expect(">")
	return &descriptorpb.DescriptorProto{
		Field:   []*descriptorpb.FieldDescriptorProto{key, value},
		Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)},
	}
}

// addEntry puts the message of the entries of a map beside its field.
func (p *protoParser) addEntry(m *protoMessage, f *descriptorpb.FieldDescriptorProto, entry *descriptorpb.DescriptorProto, name protoToken) {
	entry.Name = proto.String(entryName(name.text))
	if !identifier(entry.GetName()) {
		p.fail(name.at, "the entries of the map %s would be called %s, which begins with a digit", name, clip(entry.GetName()))
	}
	scope := m.scope.add(&protoScope{name: entry.GetName(), message: entry, open: true})
	if scope == nil {
		p.fail(name.at, "the entries of the map %s are called %s, and so is something else", name, clip(entry.GetName()))
	}
	m.NestedType = append(m.NestedType, entry)
	p.maps = append(p.maps, protoMap{field: f, entry: scope})
}

// fieldNumber takes the number of the field with a name.
func (p *protoParser) fieldNumber(n *protoNumbers, name protoToken) int32 {
	at := p.tok.at
	number := p.integer("field number", 1, maxFieldNumber)
	if number >= firstReserved && number <= lastReserved {
		p.fail(at, "field number %d is one of %d to %d, which protobuf keeps for itself", number, firstReserved, lastReserved)
	}
	n.used = append(n.used, protoNumber{name: name, number: number, at: at})
	return int32(number)
}

// addSyntheticOneofs makes the oneofs by which protoc says that fields of proto3 are optional.
func (m *protoMessage) addSyntheticOneofs() {
	for _, f := range m.Field {
		if !f.GetProto3Optional() {
			continue
		}
		name := f.GetName()
		if !strings.HasPrefix(name, "_") {
			name = "_" + name
		}
		for m.scope.add(&protoScope{name: name}) == nil {
			name = "X" + name
		}
		f.OneofIndex = proto.Int32(int32(len(m.OneofDecl)))
		m.OneofDecl = append(m.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: proto.String(name)})
	}
}

// protoOption is an option as it stands in the file.
type protoOption struct {
	name  protoToken // its text is all of the name
	value protoToken // the first token of it
}

// option takes the name and the value of an option.
func (p *protoParser) option() protoOption {
	o := protoOption{name: p.tok}
	for ok := true; ok; ok = p.accept(".") {
		if !p.accept("(") {
			p.expectKind(protoWord, "an option name")
			continue
		}
		p.accept(".")
		p.dotted("an option name")
		p.expect(")")
	}
	o.name.text = p.text[o.name.at:p.prev.end]
	p.expect("=")
	o.value = p.tok
	switch negative := p.accept("-"); {
	case p.tok.kind == protoInt, p.tok.kind == protoReal, p.tok.kind == protoWord && (!negative || p.tok.is("inf") || p.tok.is("nan")):
		p.take()
	case negative:
		p.fail(p.tok.at, "expected a number, got %s", p.tok)
	case p.tok.is("{"):
		p.skipBlock()
		p.expect("}")
	default:
		o.value = p.literal("the value of an option")
	}
	return o
}

// skipBlock takes a brace and everything before the one that closes it.
func (p *protoParser) skipBlock() {
	p.expect("{")
	for depth := 0; p.tok.kind != protoEnd && (depth > 0 || !p.tok.is("}")); p.take() {
		switch {
		case p.tok.is("{"):
			depth++
		case p.tok.is("}"):
			depth--
		}
	}
}

// options takes the options in brackets, if there are any.
func (p *protoParser) options() (list []protoOption) {
	if !p.accept("[") {
		return nil
	}
	for ok := true; ok; ok = p.accept(",") {
		list = append(list, p.option())
	}
	p.expect("]")
	return list
}

// fieldOptions takes a field's options and keeps packed and json_name.
func (p *protoParser) fieldOptions(f *descriptorpb.FieldDescriptorProto) {
	for _, o := range p.options() {
		switch o.name.text {
		case "json_name":
			p.jsonName(f, o)
			continue
		case "packed":
		default:
			continue
		}
		if f.Options != nil {
			p.fail(o.name.at, "packed is given twice")
		}
		packed := p.boolean(o)
		f.Options = &descriptorpb.FieldOptions{Packed: proto.Bool(packed)}
		if packed {
			p.packed = append(p.packed, protoPacked{field: f, at: o.name.at})
		}
	}
}

// jsonName keeps the option json_name, unless it says what protoc would.
func (p *protoParser) jsonName(f *descriptorpb.FieldDescriptorProto, o protoOption) {
	switch {
	case o.value.kind != protoString:
		p.fail(o.value.at, "json_name must be a string, got %s", o.value)
	case f.JsonName != nil:
		p.fail(o.name.at, "json_name is given twice")
	case !identifier(o.value.value):
		p.fail(o.value.at, "json_name %s: a name has ASCII letters, digits and underscores, and no digit first", o.value)
	case o.value.value != jsonName(f.GetName()):
		f.JsonName = proto.String(o.value.value)
	}
}

// boolean is the value of an option that is true or false.
func (p *protoParser) boolean(o protoOption) bool {
	if !o.value.is("true") && !o.value.is("false") {
		p.fail(o.value.at, "%s must be true or false, got %s", o.name.text, o.value)
	}
	return o.value.is("true")
}
