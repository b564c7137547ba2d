package decode

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zerobus-go/zerobus/schema"
)

// Limits of a descriptor.
const (
	MaxDescriptorBytes  = 1 << 20
	MaxDescriptorFields = schema.MaxColumns
	maxMessageDepth     = 100 // as deep as types may nest
)

// message is a DescriptorProto, as far as it is needed. It is read by hand because the client controls it: the library's
// tree takes a few hundred bytes for each of its messages, which may be two bytes long.
type message struct {
	name     string
	fields   []field
	enums    [][]byte // EnumDescriptorProto, not parsed
	nested   [][]byte // DescriptorProto, not parsed
	mapEntry bool     // the entry of a map
}

// field is a FieldDescriptorProto.
type field struct {
	name        string
	number      protowire.Number
	kind        protoreflect.Kind
	cardinality protoreflect.Cardinality
	typeName    string
	oneof       int32      // -1: none, or one that only stands for proto3's optional
	named       *namedType // what typeName stands for, once that was asked for
}

// typeText is the field's type as a .proto file has it.
func (f *field) typeText() string {
	if f.cardinality == protoreflect.Repeated {
		return "repeated " + f.singleText()
	}
	return f.singleText()
}

// singleText is the type of the field's single values.
func (f *field) singleText() string {
	if f.kind == 0 { // a type that is not linked, and not in the descriptor
		return clip(f.typeName)
	}
	return f.kind.String()
}

func parseMessage(b []byte) (*message, *SchemaError) {
	if len(b) > MaxDescriptorBytes {
		return nil, refuseDescriptor("%d bytes are more than the limit of %d", len(b), MaxDescriptorBytes)
	}
	m := &message{}
	reason := walk(b, nil, func(num protowire.Number, value []byte) string {
		switch num {
		case 1:
			m.name = string(value)
		case 2:
			if len(m.fields) == MaxDescriptorFields {
				return "more fields than the limit"
			}
			f, reason := parseField(value)
			m.fields = append(m.fields, f)
			return reason
		case 3:
			m.nested = append(m.nested, value)
		case 4:
			m.enums = append(m.enums, value)
		case 7:
			return walk(value, func(num protowire.Number, x uint64) {
				if num == 7 {
					m.mapEntry = x != 0
				}
			}, func(protowire.Number, []byte) string { return "" })
		}
		return ""
	})
	if reason != "" {
		return nil, refuseDescriptor("it is no serialized DescriptorProto of at most %d fields: %s", MaxDescriptorFields, reason)
	}
	return m, m.check()
}

func parseField(b []byte) (field, string) {
	f := field{oneof: -1}
	synthetic := false
	reason := walk(b, func(num protowire.Number, x uint64) {
		switch num {
		case 3:
			f.number = protowire.Number(int32(x))
		case 4:
			f.cardinality = protoreflect.Cardinality(min(x, 127))
		case 5:
			f.kind = protoreflect.Kind(min(x, 127))
		case 9:
			f.oneof = int32(x)
		case 17:
			synthetic = x != 0
		}
	}, func(num protowire.Number, value []byte) string {
		switch num {
		case 1:
			f.name = string(value)
		case 6:
			f.typeName = string(value)
		}
		return ""
	})
	if synthetic {
		f.oneof = -1
	}
	return f, reason
}

// walk hands out the fields of a message that are varints, and those that have a length. It returns what breaks the
// message, or what onBytes returned first. What has another wire type than expected is an unknown field, as for any reader of
// protobuf.
func walk(b []byte, onVarint func(protowire.Number, uint64), onBytes func(protowire.Number, []byte) string) string {
	const damaged = "its encoding is damaged"
	for len(b) > 0 {
		num, wireType, n := protowire.ConsumeTag(b)
		if n < 0 {
			return damaged
		}
		b = b[n:]
		switch wireType {
		case protowire.VarintType:
			var x uint64
			if x, n = protowire.ConsumeVarint(b); n >= 0 && onVarint != nil {
				onVarint(num, x)
			}
		case protowire.BytesType:
			var value []byte
			if value, n = protowire.ConsumeBytes(b); n >= 0 {
				if reason := onBytes(num, value); reason != "" {
					return reason
				}
			}
		default:
			n = skip(b, 0, uint64(num)<<3|uint64(wireType))
		}
		if n < 0 {
			return damaged
		}
		b = b[n:]
	}
	return ""
}

// check refuses what no compiler of protobuf writes and what would make the meaning of a record doubtful.
func (m *message) check() *SchemaError {
	byName := make(map[string]bool, len(m.fields))
	byNumber := make(map[protowire.Number]bool, len(m.fields))
	for i := range m.fields {
		f := &m.fields[i]
		switch {
		case f.name == "" || !utf8.ValidString(f.name):
			return refuseDescriptor("field %d has no valid name", i)
		case f.number < 1 || f.number > maxNumber:
			return refuseDescriptor("field %s has number %d, expected 1 to %d", clip(f.name), f.number, maxNumber)
		case byName[f.name]:
			return refuseDescriptor("two fields are named %s", clip(f.name))
		case byNumber[f.number]:
			return refuseDescriptor("two fields have number %d", f.number)
		case f.cardinality > protoreflect.Repeated:
			return refuseDescriptor("field %s has an unknown label", clip(f.name))
		case f.kind > protoreflect.Sint64Kind, f.kind == 0 && f.typeName == "":
			return refuseDescriptor("field %s has an unknown type", clip(f.name))
		}
		byName[f.name], byNumber[f.number] = true, true
	}
	return nil
}
