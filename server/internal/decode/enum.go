package decode

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
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

// find returns the values of the enum that a field names, ordered by number, the first name of each. The name may be absolute
// with the package, which the descriptor does not tell (.pkg.Root.Color), absolute without (.Root.Color), or relative
// (Color, Inner.Color). The reason is why there are none.
func (s *enumSet) find(f *field) (names []enumName, reason string) {
	typeName := f.typeName
	paths := []string{typeName, strings.TrimPrefix(typeName, s.name+".")}
	if strings.HasPrefix(typeName, ".") {
		// Cut off the package: it ends before the root's name, which may also be a part of the package.
		paths = paths[:0]
		for rest := typeName; len(paths) < maxMessageDepth; {
			_, path, ok := strings.Cut(rest, "."+s.name+".")
			if !ok {
				break
			}
			paths = append(paths, path)
			rest = "." + path
		}
	}
	for _, path := range paths {
		if names, ok := s.parsed[path]; ok {
			return names, ""
		}
		raw, ok := s.root.lookup(path)
		if !ok {
			continue
		}
		names, reason := s.parse(raw)
		if reason == "" {
			s.parsed[path] = names
		}
		return names, reason
	}
	return nil, fmt.Sprintf("Proto not self-contained for field '%s' with type name '%s': nest the type in the message",
		clip(f.name), clip(typeName))
}

// lookup finds the enum at a path of message names that ends with its own.
func (s *scope) lookup(path string) ([]byte, bool) {
	for depth := 0; depth < maxMessageDepth; depth++ {
		name, rest, deeper := strings.Cut(path, ".")
		if !deeper {
			raw, ok := s.enums[path]
			return raw, ok
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
			return nil, false
		}
		s, path = inner, rest
	}
	return nil, false
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
