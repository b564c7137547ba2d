package decode

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxEnumValues bounds the values of all enums of a descriptor that a stream keeps.
const maxEnumValues = 10_000

// enumName is a value of an enum.
type enumName struct {
	number int32
	name   string
}

// enumSet finds the enums that fields of one message name. Every message and enum inside is read once at most, whatever
// names are asked for.
type enumSet struct {
	root   *scope
	name   string // of the root message
	parsed map[string][]enumName
	values int
}

// scope is a message with what is declared in it by name.
type scope struct {
	enums, nested map[string][]byte
	inner         map[string]*scope // asked for so far; nil if it is not there or damaged
}

func newEnumSet(m *message) *enumSet {
	return &enumSet{root: newScope(m), name: m.name, parsed: map[string][]enumName{}}
}

func newScope(m *message) *scope {
	return &scope{enums: byName(m.enums), nested: byName(m.nested), inner: map[string]*scope{}}
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

// find resolves the name of a field's type to an enum, with its values ordered by number and the first name of each, or to a
// message. The name may be absolute with the package, which the descriptor does not tell (.pkg.Root.Color), absolute without
// (.Root.Color), or relative (Color, Inner.Color, Root.Color, pkg.Root.Color). The kind is 0 when there is no such type; the
// reason is why there are no values.
func (s *enumSet) find(f *field) (kind protoreflect.Kind, names []enumName, reason string) {
	var paths []string // from the root
	rest, absolute := strings.CutPrefix(f.typeName, ".")
	if !absolute {
		paths = append(paths, rest)
	}
	// Cut off the package: it ends before the root's name, which may also be a part of the package.
	for rest = "." + rest; len(paths) < maxMessageDepth; {
		_, path, ok := strings.Cut(rest, "."+s.name+".")
		if !ok {
			break
		}
		paths = append(paths, path)
		rest = "." + path
	}
	for _, path := range paths {
		if names, ok := s.parsed[path]; ok {
			return protoreflect.EnumKind, names, ""
		}
		raw, kind := s.root.lookup(path)
		switch kind {
		case protoreflect.EnumKind:
			names, reason := s.parse(raw)
			if reason == "" {
				s.parsed[path] = names
			}
			return kind, names, reason
		case protoreflect.MessageKind:
			return kind, nil, fmt.Sprintf("type '%s' is a message, not an enum", clip(f.typeName))
		}
	}
	if strings.HasSuffix("."+rest, "."+s.name) {
		return protoreflect.MessageKind, nil, fmt.Sprintf("type '%s' is a message, not an enum", clip(f.typeName))
	}
	return 0, nil, fmt.Sprintf("Proto not self-contained for field '%s' with type name '%s': nest the type in the message",
		clip(f.name), clip(f.typeName))
}

// lookup finds the enum or message at a path of message names that ends with its own. The kind is 0 if there is none.
func (s *scope) lookup(path string) ([]byte, protoreflect.Kind) {
	for range maxMessageDepth {
		name, rest, deeper := strings.Cut(path, ".")
		if !deeper {
			if raw, ok := s.enums[name]; ok {
				return raw, protoreflect.EnumKind
			}
			if raw, ok := s.nested[name]; ok {
				return raw, protoreflect.MessageKind
			}
			return nil, 0
		}
		inner, known := s.inner[name]
		if !known {
			if raw, ok := s.nested[name]; ok {
				if m, err := parseMessage(raw); err == nil {
					inner = newScope(m)
				}
			}
			s.inner[name] = inner
		}
		if inner == nil {
			return nil, 0
		}
		s, path = inner, rest
	}
	return nil, 0
}

func (s *enumSet) parse(b []byte) ([]enumName, string) {
	var names []enumName
	reason := walk(b, nil, func(num protowire.Number, value []byte) string {
		if num != 2 {
			return ""
		}
		if s.values++; s.values > maxEnumValues {
			return fmt.Sprintf("the enums have more than %d values", maxEnumValues)
		}
		var e enumName
		reason := walk(value, func(num protowire.Number, x uint64) {
			if num == 2 {
				e.number = int32(x)
			}
		}, func(num protowire.Number, value []byte) string {
			if num == 1 {
				e.name = string(value)
			}
			return ""
		})
		if reason == "" && (e.name == "" || !utf8.ValidString(e.name)) {
			reason = "a value of the enum has no valid name"
		}
		names = append(names, e)
		return reason
	})
	if reason != "" {
		return nil, reason
	}
	// Of names for one number the first stays the first, which is the one that a binary search finds.
	slices.SortStableFunc(names, func(a, b enumName) int { return int(a.number) - int(b.number) })
	return slices.Clip(names), ""
}
