package schema

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Limits of a .proto file, in bytes. Descriptors repeat the names of types, so those have one as well.
const (
	maxProtoText = 4 << 20
	maxProtoName = 1 << 10 // of a package, and of something with all that it stands in
)

// descriptorSet is the way out for files that [ParseProto] does not read.
const descriptorSet = "give a descriptor set made by protoc --include_imports --descriptor_set_out=FILE"

// ParseProto parses a .proto file, of proto2 or proto3, as far as it describes records: messages, enums, and their comments.
// The result is the descriptor that protoc makes, with the references to types resolved, but without a name, JSON names and
// what a record does not show: services, reserved and extensions statements, and all options except packed, json_name and allow_alias.
// SourceCodeInfo has a location for each message, field, oneof, enum and enum value that has a comment; comments that stand
// for themselves are dropped. Columns of spans count characters.
//
// The text must be UTF-8 and at most 4 MiB long, names at most 1 KiB; messages may be nested [MaxDepth] levels deep. What
// protoc refuses is an error, but for what is wrong inside of options and services, and for JSON names that collide. Imports
// are listed and not followed: a reference to a type of another file is an error, and so are editions, groups and extend.
//
// The error is one line that begins with the place of the fault, such as "line 3, column 5: expected a field name, got "="".
// When the file may be good and only not for this parser, it says what to do.
func ParseProto(text string) (*descriptorpb.FileDescriptorProto, error) {
	if len(text) > maxProtoText {
		return nil, fmt.Errorf("line 1, column 1: the text has %d bytes, more than the limit of %d", len(text), maxProtoText)
	}
	p := protoParser{
		file:     &descriptorpb.FileDescriptorProto{Syntax: proto.String("proto2"), SourceCodeInfo: &descriptorpb.SourceCodeInfo{}},
		top:      &protoScope{},
		imported: map[string]bool{},
	}
	p.start(text)
	_, p.leading = attribute(p.text[:p.tok.at], true, p.tok)
	p.syntax()
	for p.tok.kind != protoEnd {
		p.statement()
	}
	if p.err == nil {
		p.link()
	}
	if p.err != nil {
		return nil, p.err
	}
	return p.file, nil
}

// protoParser makes the descriptor of a .proto file.
type protoParser struct {
	protoScanner
	file     *descriptorpb.FileDescriptorProto
	top      *protoScope // the file's own names
	imported map[string]bool
	leading  string // the comment before the next declaration

	// To be looked at when all names are known.
	refs   []protoRef
	maps   []protoMap
	packed []protoPacked
}

// end takes the symbol behind a declaration, or behind the head of one with a body. The comments around it go to the
// location of the path, which is nil when nobody asks for them.
func (p *protoParser) end(symbol string, from int, path []int32) *descriptorpb.SourceCodeInfo_Location {
	if p.expect(symbol); p.err != nil {
		return nil
	}
	trailing, next := attribute(p.text[p.prev.end:p.tok.at], false, p.tok)
	leading := p.leading
	p.leading = next
	if path == nil || leading == "" && trailing == "" {
		return nil
	}
	l := &descriptorpb.SourceCodeInfo_Location{Path: path}
	if leading != "" {
		l.LeadingComments = proto.String(leading)
	}
	if trailing != "" {
		l.TrailingComments = proto.String(trailing)
	}
	p.span(l, from)
	p.file.SourceCodeInfo.Location = append(p.file.SourceCodeInfo.Location, l)
	return l
}

// span says where the declaration of a location is: from an offset to where the last token ends.
func (p *protoParser) span(l *descriptorpb.SourceCodeInfo_Location, from int) {
	if l == nil || p.err != nil {
		return
	}
	line, column := p.place(from)
	endLine, endColumn := p.place(p.prev.end)
	l.Span = []int32{int32(line), int32(column), int32(endLine), int32(endColumn)}
	if line == endLine {
		l.Span = []int32{int32(line), int32(column), int32(endColumn)}
	}
}

// skip takes the symbol behind a declaration that the descriptor does not show.
func (p *protoParser) skip(symbol string) { p.end(symbol, 0, nil) }

// inBody reports whether the body of a declaration goes on.
func (p *protoParser) inBody() bool { return p.tok.kind != protoEnd && !p.tok.is("}") }

// declare puts the name of something into the scope in which it stands.
func (p *protoParser) declare(in *protoScope, name protoToken, as *protoScope) *protoScope {
	as.name = name.text
	switch {
	case in.add(as) == nil:
		p.fail(name.at, "the name %s is given twice", name)
	case as.length > maxProtoName:
		p.fail(name.at, "the name %s has more than %d bytes with the messages around it", name, maxProtoName)
	}
	return as
}

// pathTo is the path to the element i of a list in what is at a path.
func pathTo(path []int32, list int32, i int) []int32 {
	return append(path[:len(path):len(path)], list, int32(i))
}

func (p *protoParser) proto3() bool { return p.file.GetSyntax() == "proto3" }

// syntax takes the statement that may stand at the beginning.
func (p *protoParser) syntax() {
	if !p.accept("syntax") {
		return
	}
	p.expect("=")
	s := p.literal("a syntax")
	if s.value != "proto2" && s.value != "proto3" {
		p.fail(s.at, "expected the syntax \"proto2\" or \"proto3\", got %s", s)
	}
	p.file.Syntax = proto.String(s.value)
	p.skip(";")
}

// statement takes one of the file's statements.
func (p *protoParser) statement() {
	f := p.file
	switch {
	case p.tok.is(";"):
		p.skip(";")
	case p.tok.is("syntax"):
		p.fail(p.tok.at, "the syntax must stand before everything else")
	case p.tok.is("edition"):
		p.fail(p.tok.at, "editions are not read here, only proto2 and proto3: %s", descriptorSet)
	case p.tok.is("extend"):
		p.extend()
	case p.accept("package"):
		p.pkg()
	case p.accept("import"):
		p.imports()
	case p.accept("option"):
		p.option()
		p.skip(";")
	case p.accept("message"):
		f.MessageType = append(f.MessageType, p.message(p.top, pathTo(nil, fileMessages, len(f.MessageType)), 0))
	case p.accept("enum"):
		f.EnumType = append(f.EnumType, p.enum(p.top, pathTo(nil, fileEnums, len(f.EnumType))))
	case p.accept("service"):
		p.declare(p.top, p.expectKind(protoWord, "a service name"), &protoScope{open: true})
		p.skipBlock()
		p.skip("}")
	default:
		p.fail(p.tok.at, "expected a statement such as message or enum, got %s", p.tok)
	}
}

func (p *protoParser) extend() {
	p.fail(p.tok.at, "extend is not read here: %s", descriptorSet)
}

// pkg takes what follows the word package.
func (p *protoParser) pkg() {
	if p.file.Package != nil {
		p.fail(p.prev.at, "package is given twice")
	}
	at := p.tok.at
	p.file.Package = proto.String(p.dotted("a package name"))
	if len(p.file.GetPackage()) > maxProtoName {
		p.fail(at, "the package name has more than %d bytes", maxProtoName)
	}
	p.skip(";")
}

// imports takes what follows the word import.
func (p *protoParser) imports() {
	f := p.file
	switch i := int32(len(f.Dependency)); {
	case p.accept("public"):
		f.PublicDependency = append(f.PublicDependency, i)
	case p.accept("weak"):
		f.WeakDependency = append(f.WeakDependency, i)
	}
	file := p.literal("a file name")
	switch {
	case p.imported[file.value]:
		p.fail(file.at, "%s is imported twice", clip(file.value))
	case !utf8.ValidString(file.value):
		p.fail(file.at, "the file name %s is not UTF-8", clip(file.value))
	}
	p.imported[file.value] = true
	f.Dependency = append(f.Dependency, file.value)
	p.skip(";")
}

// dotted takes a name with or without dots in it.
func (p *protoParser) dotted(what string) string {
	parts := []string{p.expectKind(protoWord, what).text}
	for p.accept(".") {
		parts = append(parts, p.expectKind(protoWord, what).text)
	}
	return strings.Join(parts, ".")
}

// protoEnum is an enum whose body is read.
type protoEnum struct {
	*descriptorpb.EnumDescriptorProto
	in      *protoScope // where it stands, and its values beside it
	path    []int32
	numbers protoNumbers
}

// enum takes what follows the word enum.
func (p *protoParser) enum(in *protoScope, path []int32) *descriptorpb.EnumDescriptorProto {
	from := p.prev.at
	name := p.expectKind(protoWord, "an enum name")
	e := &protoEnum{EnumDescriptorProto: &descriptorpb.EnumDescriptorProto{Name: proto.String(name.text)}, in: in, path: path}
	p.declare(in, name, &protoScope{enum: e.EnumDescriptorProto, open: true})
	l := p.end("{", from, path)
	for p.inBody() {
		p.enumMember(e)
	}
	p.skip("}")
	p.span(l, from)
	switch {
	case len(e.Value) == 0:
		p.fail(name.at, "enum %s has no values", name)
	case p.proto3() && e.Value[0].GetNumber() != 0:
		p.fail(e.numbers.used[0].at, "the first value of an enum must be 0 in proto3")
	}
	e.numbers.check(&p.protoScanner)
	return e.EnumDescriptorProto
}

// enumMember takes a statement in an enum.
func (p *protoParser) enumMember(e *protoEnum) {
	switch {
	case p.tok.is(";"):
		p.skip(";")
	case p.accept("option"):
		if o := p.option(); o.name.text == "allow_alias" {
			p.allowAlias(e, o)
		}
		p.skip(";")
	case p.accept("reserved"):
		p.reserved(&e.numbers, math.MinInt32, math.MaxInt32)
	default:
		p.enumValue(e)
	}
}

// allowAlias keeps the option that lets values have the same number.
func (p *protoParser) allowAlias(e *protoEnum, o protoOption) {
	if e.numbers.alias != nil {
		p.fail(o.name.at, "allow_alias is given twice")
	}
	if p.boolean(o) {
		e.numbers.alias = &o.name
		e.Options = &descriptorpb.EnumOptions{AllowAlias: proto.Bool(true)}
	}
}

// enumValue takes a value of an enum.
func (p *protoParser) enumValue(e *protoEnum) {
	name := p.expectKind(protoWord, "an enum value")
	p.declare(e.in, name, &protoScope{})
	p.expect("=")
	n := protoNumber{name: name, at: p.tok.at}
	n.number = p.integer("value", math.MinInt32, math.MaxInt32)
	e.numbers.used = append(e.numbers.used, n)
	e.Value = append(e.Value, &descriptorpb.EnumValueDescriptorProto{Name: proto.String(name.text), Number: proto.Int32(int32(n.number))})
	p.options()
	p.end(";", name.at, pathTo(e.path, enumValues, len(e.Value)-1))
}

// reserved takes what follows the word reserved.
func (p *protoParser) reserved(n *protoNumbers, lo, hi int64) {
	if p.tok.kind != protoString {
		p.ranges(n, lo, hi)
		p.skip(";")
		return
	}
	for ok := true; ok; ok = p.accept(",") {
		n.reserve(&p.protoScanner, p.literal("a name in quotes"))
	}
	p.skip(";")
}

// ranges takes numbers that are kept, each alone or "1 to 5" or "6 to max".
func (p *protoParser) ranges(n *protoNumbers, lo, hi int64) {
	for ok := true; ok; ok = p.accept(",") {
		r := protoRange{at: p.tok.at}
		r.first = p.integer("number", lo, hi)
		r.last = r.first
		if p.accept("to") {
			r.last = hi
			if !p.accept("max") {
				r.last = p.integer("number", lo, hi)
			}
		}
		if r.first > r.last {
			p.fail(r.at, "the range %d to %d ends before it begins", r.first, r.last)
		}
		n.kept = append(n.kept, r)
	}
}
