package zerobus

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// selfContained returns the descriptor of md with every message and enum type that it uses nested in it. The protocol
// carries one DescriptorProto and not the file that it comes from, so a server cannot know what else the file declares
// or imports.
//
// Types that are nested in md already keep their names. Every other one is copied into md, with all that is nested in
// it, under its own short name or, where that is taken, with a number; references are changed to match.
func selfContained(md protoreflect.MessageDescriptor) *descriptorpb.DescriptorProto {
	n := nester{
		root:  protodesc.ToDescriptorProto(md),
		name:  md.FullName(),
		moved: map[protoreflect.FullName]protoreflect.FullName{},
		taken: map[string]bool{},
	}
	for _, m := range n.root.GetNestedType() {
		n.taken[m.GetName()] = true
	}
	for _, e := range n.root.GetEnumType() {
		n.taken[e.GetName()] = true
		n.takeValues(e)
	}
	for _, f := range n.root.GetField() {
		n.taken[f.GetName()] = true
	}
	for _, o := range n.root.GetOneofDecl() {
		n.taken[o.GetName()] = true
	}
	n.gather(md)
	n.rename(n.root)
	return n.root
}

// checkSelfContained finds fields whose message or enum type is not in d. References are written in several ways, of which
// a server takes all: from the root with or without the package, which is not known here, and relative to the field's
// message. So a type counts as found when the end of its name fits.
func checkSelfContained(d *descriptorpb.DescriptorProto) error {
	var known []string
	var gather func(d *descriptorpb.DescriptorProto, path string)
	gather = func(d *descriptorpb.DescriptorProto, path string) {
		known = append(known, path)
		for _, e := range d.GetEnumType() {
			known = append(known, path+"."+e.GetName())
		}
		for _, m := range d.GetNestedType() {
			gather(m, path+"."+m.GetName())
		}
	}
	gather(d, d.GetName())
	found := map[string]bool{} // a wide message refers to the same types again and again
	var check func(d *descriptorpb.DescriptorProto, path string) error
	check = func(d *descriptorpb.DescriptorProto, path string) error {
		for _, f := range d.GetField() {
			name := "." + strings.TrimPrefix(f.GetTypeName(), ".")
			if name == "." || found[name] {
				continue
			}
			for _, k := range known {
				found[name] = found[name] || strings.HasSuffix(name, "."+k) || strings.HasSuffix("."+k, name)
			}
			if !found[name] {
				return fmt.Errorf("the descriptor is not self-contained: field %s.%s has the type %s, which is not in it; "+
					"ProtoTable and ProtoTableDescriptor bring such types in", path, f.GetName(), f.GetTypeName())
			}
		}
		for _, m := range d.GetNestedType() {
			if err := check(m, path+"."+m.GetName()); err != nil {
				return err
			}
		}
		return nil
	}
	return check(d, d.GetName())
}

// nester brings types into root.
type nester struct {
	root  *descriptorpb.DescriptorProto
	name  protoreflect.FullName                           // of root
	moved map[protoreflect.FullName]protoreflect.FullName // types that were copied, to where
	taken map[string]bool                                 // names in root's scope
}

// gather copies what the fields of md, and of the messages in it, refer to.
func (n *nester) gather(md protoreflect.MessageDescriptor) {
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if m := fd.Message(); m != nil {
			n.message(m)
		}
		if e := fd.Enum(); e != nil {
			n.enum(e)
		}
	}
	for i := range md.Messages().Len() {
		n.gather(md.Messages().Get(i))
	}
}

func (n *nester) message(m protoreflect.MessageDescriptor) {
	if n.within(m.FullName()) {
		return
	}
	d := protodesc.ToDescriptorProto(m)
	d.Extension = nil
	d.Name = proto.String(n.place(m.FullName()))
	n.root.NestedType = append(n.root.NestedType, d)
	n.gather(m)
}

func (n *nester) enum(e protoreflect.EnumDescriptor) {
	if n.within(e.FullName()) {
		return
	}
	d := protodesc.ToEnumDescriptorProto(e)
	if n.takeValues(d) {
		d.Name = proto.String(n.place(e.FullName()))
		n.root.EnumType = append(n.root.EnumType, d)
		return
	}
	// The values of an enum live in the scope around it, where one of them is taken: a message makes a scope.
	scope := n.free(string(e.Name()) + "Scope")
	n.moved[e.FullName()] = n.name.Append(protoreflect.Name(scope)).Append(e.Name())
	n.root.NestedType = append(n.root.NestedType, &descriptorpb.DescriptorProto{
		Name:     proto.String(scope),
		EnumType: []*descriptorpb.EnumDescriptorProto{d},
	})
}

// within reports whether a type is root, in it, or copied into it.
func (n *nester) within(name protoreflect.FullName) bool {
	for ; name != ""; name = name.Parent() {
		if name == n.name {
			return true
		}
		if _, ok := n.moved[name]; ok {
			return true
		}
	}
	return false
}

// place finds the name in root for a type, and remembers it.
func (n *nester) place(from protoreflect.FullName) string {
	name := n.free(string(from.Name()))
	n.moved[from] = n.name.Append(protoreflect.Name(name))
	return name
}

// free returns name, or name with the first number that makes it free, and takes it.
func (n *nester) free(name string) string {
	free := name
	for i := 2; n.taken[free]; i++ {
		free = fmt.Sprintf("%s_%d", name, i)
	}
	n.taken[free] = true
	return free
}

// takeValues takes the names of an enum's values, unless one of them is taken.
func (n *nester) takeValues(e *descriptorpb.EnumDescriptorProto) bool {
	for _, v := range e.GetValue() {
		if n.taken[v.GetName()] {
			return false
		}
	}
	for _, v := range e.GetValue() {
		n.taken[v.GetName()] = true
	}
	return true
}

// rename changes the references of d's fields, and of those in it, to types that were copied.
func (n *nester) rename(d *descriptorpb.DescriptorProto) {
	for _, f := range d.GetField() {
		if f.TypeName != nil {
			f.TypeName = proto.String("." + string(n.where(protoreflect.FullName(strings.TrimPrefix(f.GetTypeName(), ".")))))
		}
	}
	for _, m := range d.GetNestedType() {
		n.rename(m)
	}
}

// where returns the name under which a type is known in root.
func (n *nester) where(name protoreflect.FullName) protoreflect.FullName {
	for outer := name; outer != ""; outer = outer.Parent() {
		if outer == n.name {
			return name
		}
		if to, ok := n.moved[outer]; ok {
			return to + name[len(outer):]
		}
	}
	return name
}
