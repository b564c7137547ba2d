package schema

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// protoScope is a named thing in a .proto file, and what is named within it. Names of types are looked up from the scope of
// a message to those around it.
type protoScope struct {
	name   string
	parent *protoScope // nil for the root, which has no name
	inside map[string]*protoScope

	// At most one of the following is set: a scope without is a package, a service or something else.
	message *descriptorpb.DescriptorProto
	enum    *descriptorpb.EnumDescriptorProto

	open   bool // names with a dot may begin with it: a package, a message, an enum or a service
	length int  // of path
	full   string
}

// newFileScope is the scope of the file's own names, within those of its package.
func newFileScope(pkg string) *protoScope {
	s := &protoScope{open: true}
	for name := range strings.SplitSeq(pkg, ".") {
		if name != "" {
			s = s.add(&protoScope{name: name, open: true})
		}
	}
	return s
}

// add puts a name into the scope. It returns nil if there is one already.
func (s *protoScope) add(child *protoScope) *protoScope {
	if s.inside[child.name] != nil {
		return nil
	}
	if s.inside == nil {
		s.inside = map[string]*protoScope{}
	}
	child.parent = s
	child.length = s.length + 1 + len(child.name)
	s.inside[child.name] = child
	return child
}

// isType reports whether a field can be of it.
func (s *protoScope) isType() bool { return s.message != nil || s.enum != nil }

// path is the name from the root, with a dot before it, as descriptors refer to types.
func (s *protoScope) path() string {
	if s.full == "" && s.parent != nil {
		s.full = s.parent.path() + "." + s.name
	}
	return s.full
}

// find returns the type with a name within the scope, or nil.
func (s *protoScope) find(name string) *protoScope {
	for part := range strings.SplitSeq(name, ".") {
		if s = s.inside[part]; s == nil {
			return nil
		}
	}
	if !s.isType() {
		return nil
	}
	return s
}

// resolve returns the type that a name stands for in the scope, or nil. A name with a dot before it is from the root.
// Others are looked up in the innermost scope that has their first part, and nowhere else even when it lacks the rest.
func (s *protoScope) resolve(name string) *protoScope {
	if rest, absolute := strings.CutPrefix(name, "."); absolute {
		for s.parent != nil {
			s = s.parent
		}
		return s.find(rest)
	}
	first, _, dotted := strings.Cut(name, ".")
	for ; s != nil; s = s.parent {
		in := s.inside[first]
		if in != nil && (dotted && in.open || !dotted && in.isType()) {
			return s.find(name)
		}
	}
	return nil
}

// shortest returns the shortest name that stands for a type of the file in the scope. Before one that begins with the
// package it prefers the name from the root: other files may have things in a package that hide it.
func (s *protoScope) shortest(t *protoScope) string {
	name := t.name
	for at := t; at.isType(); {
		if !isProtoKeyword(at.name) && s.resolve(name) == t {
			return name
		}
		at = at.parent
		name = at.name + "." + name
	}
	return t.path()
}

// isProtoKeyword reports whether a name means something else where a field's type can stand.
func isProtoKeyword(name string) bool {
	switch name {
	case "enum", "extend", "extensions", "group", "map", "message", "oneof", "option", "optional", "repeated", "required", "reserved":
		return true
	}
	_, scalar := protoScalars[name]
	return scalar
}

// protoRef is a reference to a type, of which the field or the map's value is.
type protoRef struct {
	name     string
	at       int
	in       *protoScope
	field    *descriptorpb.FieldDescriptorProto
	mapValue bool
}

// link puts the file's names into its package and gives all fields their types.
func (p *protoParser) link() {
	file := newFileScope(p.file.GetPackage())
	file.inside = p.top.inside
	for _, s := range file.inside {
		s.parent = file
	}
	for _, r := range p.refs {
		t := r.in.resolve(r.name)
		switch {
		case t == nil && len(p.file.Dependency) > 0:
			p.fail(r.at, "there is no type %s in this file, and its imports are not followed: %s", clip(r.name), descriptorSet)
		case t == nil:
			p.fail(r.at, "there is no type %s in this file", clip(r.name))
		case t.message.GetOptions().GetMapEntry():
			p.fail(r.at, "%s is what the entries of a map are called: it cannot be the type of a field", clip(r.name))
		case r.mapValue && t.enum != nil && t.enum.GetValue()[0].GetNumber() != 0:
			p.fail(r.at, "the first value of %s must be 0 for a map of such values", clip(r.name))
		}
		if p.err != nil {
			return
		}
		t.refer(r.field)
	}
	for _, m := range p.maps {
		m.entry.refer(m.field)
	}
	for _, r := range p.packed {
		if r.field.GetLabel() != descriptorpb.FieldDescriptorProto_LABEL_REPEATED || !packable(r.field.GetType()) {
			p.fail(r.at, "only repeated fields of numbers, bools and enums can be packed")
		}
	}
}

// packable reports whether repeated fields of a type can be packed.
func packable(t descriptorpb.FieldDescriptorProto_Type) bool {
	switch t {
	case descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_BYTES, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE:
		return false
	}
	return true
}

// refer makes a field one of a type with a name.
func (s *protoScope) refer(f *descriptorpb.FieldDescriptorProto) {
	f.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
	if s.enum != nil {
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_ENUM.Enum()
	}
	f.TypeName = proto.String(s.path())
}

// protoNumbers are the numbers of a message's fields or an enum's values, and what its reserved and extensions statements
// keep from them.
type protoNumbers struct {
	used  []protoNumber
	kept  []protoRange
	names map[string]bool // reserved
	alias *protoToken     // where it says that numbers may be used twice, nil for nowhere
}

// protoNumber is the number of a field or a value.
type protoNumber struct {
	name   protoToken
	number int64
	at     int
}

// protoRange are numbers that are kept.
type protoRange struct {
	first, last int64
	at          int
}

// reserve keeps a name, which is a string literal.
func (n *protoNumbers) reserve(s *protoScanner, name protoToken) {
	switch {
	case !identifier(name.value):
		s.fail(name.at, "the reserved name %s is no identifier", clip(name.value))
	case n.names[name.value]:
		s.fail(name.at, "the name %s is reserved twice", clip(name.value))
	}
	if n.names == nil {
		n.names = map[string]bool{}
	}
	n.names[name.value] = true
}

// check finds what is used twice, or although it is kept.
func (n *protoNumbers) check(s *protoScanner) {
	slices.SortFunc(n.kept, func(a, b protoRange) int { return cmp.Compare(a.first, b.first) })
	for i := 1; i < len(n.kept); i++ {
		if n.kept[i].first <= n.kept[i-1].last {
			s.fail(n.kept[i].at, "number %d is reserved twice", n.kept[i].first)
		}
	}
	names := make(map[int64]string, len(n.used))
	for _, u := range n.used {
		i, _ := slices.BinarySearchFunc(n.kept, u.number, func(r protoRange, number int64) int { return cmp.Compare(r.last, number) })
		other, twice := names[u.number]
		switch {
		case n.names[u.name.text]:
			s.fail(u.name.at, "the name %s is reserved", u.name)
		case i < len(n.kept) && n.kept[i].first <= u.number:
			s.fail(u.at, "number %d is reserved", u.number)
		case twice && n.alias == nil:
			s.fail(u.at, "number %d is that of %s already", u.number, clip(other))
		}
		names[u.number] = u.name.text
	}
	if n.alias != nil && len(names) == len(n.used) {
		s.fail(n.alias.at, "allow_alias is set, but no two values have the same number")
	}
}
