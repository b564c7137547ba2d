package decode

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxEnumValues bounds the values of all enums of a descriptor that a stream keeps.
const maxEnumValues = 10_000

// enumType is the values of an enum, ordered by number, with the first name of each.
type enumType struct {
	values []enumName
	first  int32 // the number of the value that is declared first: the default
}

type enumName struct {
	number int32
	name   string
}

// name is that of a number.
func (e *enumType) name(number int32) (string, bool) {
	i, ok := slices.BinarySearchFunc(e.values, number, func(e enumName, n int32) int { return int(e.number) - int(n) })
	if !ok {
		return "", false
	}
	return e.values[i].name, true
}

// enum is the enum that a field names. The reason is why there is none.
func (c *compiler) enum(f *field, s *scope) (*enumType, string) {
	n := c.find(f, s)
	switch n.kind {
	case 0:
		return nil, n.reason
	case protoreflect.MessageKind:
		return nil, fmt.Sprintf("type '%s' is a message, not an enum", clip(f.typeName))
	}
	if e, ok := n.owner.parsed[n.name]; ok {
		return e, ""
	}
	e, reason := c.parseEnum(n.enum)
	if reason != "" {
		return nil, reason
	}
	if n.owner.parsed == nil {
		n.owner.parsed = map[string]*enumType{}
	}
	n.owner.parsed[n.name] = e
	return e, ""
}

func (c *compiler) parseEnum(b []byte) (*enumType, string) {
	t := &enumType{}
	reason := walk(b, nil, func(num protowire.Number, value []byte) string {
		if num != 2 {
			return ""
		}
		if c.values++; c.values > maxEnumValues {
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
		if len(t.values) == 0 {
			t.first = e.number
		}
		t.values = append(t.values, e)
		return reason
	})
	if reason != "" {
		return nil, reason
	}
	// Of names for one number the first stays the first, which is the one that a binary search finds.
	slices.SortStableFunc(t.values, func(a, b enumName) int { return int(a.number) - int(b.number) })
	t.values = slices.Clip(t.values)
	return t, ""
}
