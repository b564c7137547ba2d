package schema

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"google.golang.org/protobuf/types/descriptorpb"
)

// Numbers of more lists in descriptor.proto, of which paths to comments are made.
const (
	fileEnums     = 5
	messageEnums  = 4
	messageOneofs = 8
	enumValues    = 2
)

// FormatProto prints a .proto file: one that [Struct.Proto] has made or [ParseProto] has read, and ParseProto gives the same
// descriptor again. The text is canonical: declarations in the order of the descriptor, enums last, types under the shortest
// name that means them where they stand, all comments behind //. What could end a comment's line becomes a line end or
// a space.
//
// It knows proto2 and proto3, and of options packed, json_name and allow_alias. It leaves out services, extensions and what is reserved,
// and has no text for groups; a descriptor that protobuf does not allow gives a text that nobody reads.
func FormatProto(f *descriptorpb.FileDescriptorProto) string {
	p := protoPrinter{proto3: f.GetSyntax() == "proto3", comments: map[string]*descriptorpb.SourceCodeInfo_Location{}}
	for _, l := range f.GetSourceCodeInfo().GetLocation() {
		p.comments[pathKey(l.GetPath())] = l
	}
	p.head(f)
	scope := newFileScope(f.GetPackage())
	scope.addTypes(f.GetMessageType(), f.GetEnumType())
	for i, m := range f.GetMessageType() {
		p.message(m, scope, pathTo(nil, fileMessages, i))
	}
	for i, e := range f.GetEnumType() {
		p.enum(e, pathTo(nil, fileEnums, i))
	}
	return p.text.String()
}

// addTypes puts messages and enums into a scope, with what is nested in them.
func (s *protoScope) addTypes(messages []*descriptorpb.DescriptorProto, enums []*descriptorpb.EnumDescriptorProto) {
	for _, m := range messages {
		if in := s.add(&protoScope{name: m.GetName(), message: m, open: true}); in != nil {
			in.addTypes(m.GetNestedType(), m.GetEnumType())
		}
	}
	for _, e := range enums {
		s.add(&protoScope{name: e.GetName(), enum: e, open: true})
	}
}

// pathKey is a path that can be the key of a map.
func pathKey(path []int32) string {
	key := make([]byte, 0, 4*len(path))
	for _, n := range path {
		key = binary.BigEndian.AppendUint32(key, uint32(n))
	}
	return string(key)
}

// protoPrinter writes the lines of a .proto file.
type protoPrinter struct {
	text     strings.Builder
	depth    int  // of blocks around
	open     bool // the line before opens a block
	blank    bool // an empty line comes before the next one
	proto3   bool
	comments map[string]*descriptorpb.SourceCodeInfo_Location // by path
}

// line writes a line.
func (p *protoPrinter) line(text string) {
	if p.blank {
		p.text.WriteByte('\n')
	}
	p.blank, p.open = false, false
	p.text.WriteString(strings.Repeat("  ", p.depth) + text + "\n")
}

// apart puts an empty line before the next one, unless that is the first in a block.
func (p *protoPrinter) apart() { p.blank = p.blank || !p.open }

// declare writes a declaration with its comments, or the head of one whose body is inner levels deeper. A comment behind it
// that has more than one line follows in lines of its own, and an empty line keeps it from the next declaration.
func (p *protoPrinter) declare(text string, path []int32, inner int) {
	c := p.comments[pathKey(path)]
	for _, l := range commentLines(c.GetLeadingComments()) {
		p.line("//" + l)
	}
	trailing := commentLines(c.GetTrailingComments())
	if len(trailing) == 1 {
		text += "  //" + trailing[0]
		trailing = nil
	}
	p.line(text)
	p.depth += inner
	for _, l := range trailing {
		p.line("//" + l)
	}
	p.blank, p.open = trailing != nil, trailing == nil && inner > 0
}

// begin writes the head of a block.
func (p *protoPrinter) begin(head string, path []int32) { p.declare(head+" {", path, 1) }

// end closes a block.
func (p *protoPrinter) end() {
	p.depth--
	p.blank = false
	p.line("}")
}

// head writes what stands before messages.
func (p *protoPrinter) head(f *descriptorpb.FileDescriptorProto) {
	syntax := "proto2"
	if p.proto3 {
		syntax = "proto3"
	}
	p.line("syntax = " + strconv.Quote(syntax) + ";")
	if f.GetPackage() != "" {
		p.apart()
		p.line("package " + f.GetPackage() + ";")
	}
	kinds := make(map[int32]string)
	for _, i := range f.GetPublicDependency() {
		kinds[i] = "public "
	}
	for _, i := range f.GetWeakDependency() {
		kinds[i] = "weak "
	}
	for i, file := range f.GetDependency() {
		if i == 0 {
			p.apart()
		}
		p.line("import " + kinds[int32(i)] + strconv.Quote(file) + ";")
	}
}

// message writes a message that stands in a scope.
func (p *protoPrinter) message(m *descriptorpb.DescriptorProto, in *protoScope, path []int32) {
	s := in.inside[m.GetName()]
	if s == nil || s.message != m { // another one has the name; nobody reads the text
		s = &protoScope{name: m.GetName(), parent: in, message: m, open: true}
	}
	p.apart()
	p.begin("message "+m.GetName(), path)
	entries, oneofs := entriesOf(m, s), oneofsOf(m)
	nested := 0
	for i, f := range m.GetField() {
		if inOneof(m, f) {
			p.oneof(m, oneofs[f.GetOneofIndex()], s, path)
			delete(oneofs, f.GetOneofIndex())
			continue
		}
		// A map puts the message of its entries where it stands: those that come before it must be there already.
		if entry, ok := entries[f.GetTypeName()]; ok {
			p.nested(m, nested, entry, s, path)
			nested = max(nested, entry)
		}
		p.field(m, i, s, path)
	}
	p.nested(m, nested, len(m.GetNestedType()), s, path)
	for i, e := range m.GetEnumType() {
		p.enum(e, pathTo(path, messageEnums, i))
	}
	p.end()
	p.blank = true
}

// entriesOf are the places of the entries' messages among those nested in a message, by the type of their maps.
func entriesOf(m *descriptorpb.DescriptorProto, s *protoScope) map[string]int {
	entries := map[string]int{}
	for i, n := range m.GetNestedType() {
		if isEntry(n) {
			entries[s.path()+"."+n.GetName()] = i
		}
	}
	return entries
}

// oneofsOf are the places of the fields in a message's oneofs.
func oneofsOf(m *descriptorpb.DescriptorProto) map[int32][]int {
	oneofs := map[int32][]int{}
	for i, f := range m.GetField() {
		if inOneof(m, f) {
			oneofs[f.GetOneofIndex()] = append(oneofs[f.GetOneofIndex()], i)
		}
	}
	return oneofs
}

// nested writes messages that are nested in another one, but for the entries of maps.
func (p *protoPrinter) nested(m *descriptorpb.DescriptorProto, from, to int, s *protoScope, path []int32) {
	for i := from; i < to; i++ {
		if n := m.GetNestedType()[i]; !isEntry(n) {
			p.message(n, s, pathTo(path, messageNesteds, i))
		}
	}
}

// isEntry reports whether a message is that of a map's entries.
func isEntry(m *descriptorpb.DescriptorProto) bool {
	return m.GetOptions().GetMapEntry() && len(m.GetField()) == 2
}

// inOneof reports whether a field is in a oneof of the file, as opposed to one that stands for the word optional.
func inOneof(m *descriptorpb.DescriptorProto, f *descriptorpb.FieldDescriptorProto) bool {
	i := int(f.GetOneofIndex())
	return f.OneofIndex != nil && !f.GetProto3Optional() && i >= 0 && i < len(m.GetOneofDecl())
}

// oneof writes the oneof of some fields, if there are any.
func (p *protoPrinter) oneof(m *descriptorpb.DescriptorProto, fields []int, s *protoScope, path []int32) {
	if len(fields) == 0 {
		return
	}
	index := int(m.GetField()[fields[0]].GetOneofIndex())
	p.begin("oneof "+m.GetOneofDecl()[index].GetName(), pathTo(path, messageOneofs, index))
	for _, i := range fields {
		p.field(m, i, s, path)
	}
	p.end()
}

// field writes field i of a message with a scope and a path.
func (p *protoPrinter) field(m *descriptorpb.DescriptorProto, i int, s *protoScope, path []int32) {
	f := m.GetField()[i]
	text := typeText(f, s)
	t := s.resolve(f.GetTypeName())
	switch {
	case t != nil && isEntry(t.message):
		text = "map<" + typeText(t.message.GetField()[0], s) + ", " + typeText(t.message.GetField()[1], s) + ">"
	case inOneof(m, f):
	case f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED:
		text = "repeated " + text
	case f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REQUIRED:
		text = "required " + text
	case !p.proto3 || f.GetProto3Optional():
		text = "optional " + text
	}
	text += fmt.Sprintf(" %s = %d", f.GetName(), f.GetNumber())
	var options []string
	if f.JsonName != nil && f.GetJsonName() != jsonName(f.GetName()) {
		options = append(options, "json_name = "+strconv.Quote(f.GetJsonName()))
	}
	if o := f.GetOptions(); o != nil && o.Packed != nil {
		options = append(options, fmt.Sprintf("packed = %t", o.GetPacked()))
	}
	if options != nil {
		text += " [" + strings.Join(options, ", ") + "]"
	}
	p.declare(text+";", pathTo(path, messageFields, i), 0)
}

// typeText is the name of a field's type as it is written in a message.
func typeText(f *descriptorpb.FieldDescriptorProto, message *protoScope) string {
	if f.GetTypeName() == "" {
		return strings.ToLower(strings.TrimPrefix(f.GetType().String(), "TYPE_"))
	}
	if t := message.resolve(f.GetTypeName()); t != nil {
		return message.shortest(t)
	}
	return f.GetTypeName() // of another file
}

// enum writes an enum.
func (p *protoPrinter) enum(e *descriptorpb.EnumDescriptorProto, path []int32) {
	p.apart()
	p.begin("enum "+e.GetName(), path)
	if e.GetOptions().GetAllowAlias() {
		p.line("option allow_alias = true;")
	}
	for i, v := range e.GetValue() {
		p.declare(fmt.Sprintf("%s = %d;", v.GetName(), v.GetNumber()), pathTo(path, enumValues, i), 0)
	}
	p.end()
	p.blank = true
}

// lineEnds makes line ends of all that some take for one.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// commentLines are the lines of a comment, none of which can end it.
func commentLines(text string) []string {
	if text == "" {
		return nil
	}
	text = lineEnds.Replace(strings.ToValidUTF8(text, "\ufffd"))
	text = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp)) {
			return ' '
		}
		return r
	}, text)
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}
