package decode

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// scope is a message with what is declared in it by name. Every message and enum of a descriptor is read once at most, whatever
// names are asked for.
type scope struct {
	*message
	outer  *scope            // nil for the root
	nested map[string][]byte // DescriptorProto
	enums  map[string][]byte // EnumDescriptorProto

	inner  map[string]*scope // asked for so far
	faults map[string]string // why those that are nil there cannot be read
	parsed map[string]*enumType
}

// namedType is what a field's type_name stands for.
type namedType struct {
	kind    protoreflect.Kind // 0: there is no such type
	message *scope            // nil: it cannot be used
	enum    []byte            // EnumDescriptorProto
	owner   *scope            // of the enum
	name    string            // of the enum in its owner
	reason  string            // why there is no message, or no type at all
}

func (n *namedType) isMap() bool { return n.message != nil && n.message.mapEntry }

func newScope(m *message, outer *scope) *scope {
	return &scope{message: m, outer: outer, nested: byName(m.nested), enums: byName(m.enums), inner: map[string]*scope{}}
}

// byName orders messages by their field 1, which is the name in every descriptor.
func byName(messages [][]byte) map[string][]byte {
	names := make(map[string][]byte, min(len(messages), 64))
	for _, raw := range messages {
		name := ""
		walk(raw, nil, func(num protowire.Number, value []byte) string {
			if num == 1 {
				name = string(value)
			}
			return ""
		})
		names[name] = raw
	}
	return names
}

// entry is the fields of a map's entry; nil if they are not what they must be.
func (s *scope) entry() (key, value *field) {
	if len(s.fields) != 2 {
		return nil, nil
	}
	key, value = &s.fields[0], &s.fields[1]
	if key.number == 2 {
		key, value = value, key
	}
	if key.name != "key" || key.number != 1 || key.cardinality == protoreflect.Repeated ||
		value.name != "value" || value.number != 2 || value.cardinality == protoreflect.Repeated {
		return nil, nil
	}
	return key, value
}

// find resolves the name of a field's type, of a field in the scope s. The name may be absolute with the package, which the
// descriptor does not tell (.pkg.Root.Color), absolute without (.Root.Color), or relative to s or to a message around it (Color,
// Inner.Color, Root.Color, pkg.Root.Color).
func (c *compiler) find(f *field, s *scope) *namedType {
	if f.named == nil {
		n := c.resolve(f.typeName, s)
		if n.kind == 0 {
			n.reason = fmt.Sprintf("Proto not self-contained for field '%s' with type name '%s': nest the type in the message",
				clip(f.name), clip(f.typeName))
		} else if n.kind == protoreflect.EnumKind {
			n.reason = fmt.Sprintf("type '%s' is an enum, not a message", clip(f.typeName))
		}
		f.named = &n
	}
	return f.named
}

func (c *compiler) resolve(name string, s *scope) namedType {
	rest, absolute := strings.CutPrefix(name, ".")
	if !absolute {
		for at := s; at != nil; at = at.outer {
			if n := at.lookup(rest); n.kind != 0 {
				return n
			}
		}
	}
	// Cut off the package: it ends before the root's name, which may also be a part of the package.
	rest = "." + rest
	for range maxMessageDepth {
		_, path, ok := strings.Cut(rest, "."+c.root.name+".")
		if !ok {
			break
		}
		if n := c.root.lookup(path); n.kind != 0 {
			return n
		}
		rest = "." + path
	}
	if strings.HasSuffix(rest, "."+c.root.name) {
		return namedType{kind: protoreflect.MessageKind, message: c.root}
	}
	return namedType{}
}

// lookup finds the enum or message at a path of message names that ends with its own. The kind is 0 if there is none.
func (s *scope) lookup(path string) namedType {
	for range maxMessageDepth {
		name, rest, deeper := strings.Cut(path, ".")
		if !deeper {
			if raw, ok := s.enums[name]; ok {
				return namedType{kind: protoreflect.EnumKind, enum: raw, owner: s, name: name}
			}
			if _, ok := s.nested[name]; ok {
				m := s.open(name)
				return namedType{kind: protoreflect.MessageKind, message: m, reason: s.faults[name]}
			}
			return namedType{}
		}
		if s = s.open(name); s == nil {
			return namedType{}
		}
		path = rest
	}
	return namedType{}
}

// open reads the message of this name in s; nil if there is none or it is damaged.
func (s *scope) open(name string) *scope {
	inner, known := s.inner[name]
	if known {
		return inner
	}
	if raw, ok := s.nested[name]; ok {
		if m, err := parseMessage(raw); err == nil {
			inner = newScope(m, s)
		} else {
			if s.faults == nil {
				s.faults = map[string]string{}
			}
			s.faults[name] = fmt.Sprintf("message %s: %s", clip(name), err.Reason)
		}
	}
	s.inner[name] = inner
	return inner
}
