package zerobus

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/zerobus-go/zerobus/schema"
)

// TableProperties say which table a stream writes to, and in which encoding. [Table], [ProtoTable],
// [ProtoTableDescriptor], [DescribedTable] and [SDK.DescribeTable] make them.
type TableProperties struct {
	// Name is catalog.schema.table, of ASCII letters, digits and underscores.
	Name string

	// RecordType is the encoding of the records. The zero value means PROTO with a descriptor and JSON without.
	RecordType RecordType

	// Descriptor describes the messages of a PROTO table. It must be self-contained: message and enum types that it
	// uses are nested in it. ProtoTable and ProtoTableDescriptor see to that.
	Descriptor *descriptorpb.DescriptorProto

	// Columns are what the table holds, where that is known. [WithSchemaCheck] compares the descriptor with them, and fetches
	// them when they are nil. Nothing else looks at them.
	Columns *schema.Struct

	message protoreflect.MessageDescriptor // what records are checked against; nil when it is not known

	described *described // what DescribedTable knows of the columns; nil for other tables
}

// Table is a table that is given JSON records.
func Table(name string) TableProperties {
	return TableProperties{Name: name, RecordType: RecordTypeJSON}
}

// ProtoTable is a table that is given protobuf records of m's type. Only the type of m counts; a nil pointer of it will
// do.
func ProtoTable(name string, m proto.Message) (t TableProperties) {
	t = TableProperties{Name: name, RecordType: RecordTypeProto}
	defer func() { _ = recover() }() // a nil pointer of a type whose descriptor is in the value; validate says that there is none
	if m != nil {
		return ProtoTableDescriptor(name, m.ProtoReflect().Descriptor())
	}
	return t
}

// ProtoTableDescriptor is ProtoTable for a type that is known by its descriptor. A descriptor that is at hand as a
// *descriptorpb.DescriptorProto, and self-contained, goes into [TableProperties] as it is.
func ProtoTableDescriptor(name string, md protoreflect.MessageDescriptor) TableProperties {
	t := TableProperties{Name: name, RecordType: RecordTypeProto}
	if md != nil {
		t.Descriptor, t.message = selfContained(md), md
	}
	return t
}

// ProtoTableBytes is ProtoTable for a type that is known by its serialized google.protobuf.DescriptorProto, which must be
// self-contained. Other bytes are an ErrInvalidArgument.
func ProtoTableBytes(name string, descriptor []byte) (TableProperties, error) {
	const op = "parse descriptor"
	d := new(descriptorpb.DescriptorProto)
	if err := proto.Unmarshal(descriptor, d); err != nil {
		return TableProperties{}, invalid(op, name, "the bytes are no serialized DescriptorProto: %w", err)
	}
	if !protoreflect.Name(d.GetName()).IsValid() || len(d.GetField()) == 0 {
		return TableProperties{}, invalid(op, name, "the bytes are no serialized DescriptorProto of a message with fields; "+
			"what protoc writes is a FileDescriptorSet, which holds it")
	}
	t := TableProperties{Name: name, RecordType: RecordTypeProto, Descriptor: d}
	return t, t.validate(op)
}

// recordType returns the type with its default filled in.
func (t TableProperties) recordType() RecordType {
	switch {
	case t.RecordType != 0:
		return t.RecordType
	case t.Descriptor != nil:
		return RecordTypeProto
	}
	return RecordTypeJSON
}

// validate returns what is wrong with the properties.
func (t TableProperties) validate(op string) error {
	if err := checkTableName(t.Name); err != nil {
		return newError(op, t.Name, ErrInvalidTableName, err)
	}
	switch t.recordType() {
	case RecordTypeJSON:
	case RecordTypeProto:
		if t.Descriptor == nil {
			return invalid(op, t.Name, "the record type is PROTO, but there is no descriptor; make the table with ProtoTable, or with Table for JSON records")
		}
		if !protoreflect.Name(t.Descriptor.GetName()).IsValid() {
			return invalid(op, t.Name, "the descriptor of the PROTO records has no message name, but %q", t.Descriptor.GetName())
		}
		if err := checkSelfContained(t.Descriptor); err != nil {
			return newError(op, t.Name, ErrInvalidArgument, err)
		}
		if t.described != nil && !proto.Equal(t.Descriptor, t.described.descriptor) {
			return invalid(op, t.Name, "the descriptor is not the one that was made of the table's columns; make a table of it with TableProperties{Name, Descriptor}")
		}
	default:
		return invalid(op, t.Name, "%v is neither PROTO nor JSON", t.RecordType)
	}
	return nil
}

func checkTableName(name string) error {
	parts := strings.Split(name, ".")
	if len(parts) != 3 {
		return fmt.Errorf("%q has %d parts; it is catalog.schema.table", name, len(parts))
	}
	for _, part := range parts {
		if part == "" {
			return fmt.Errorf("%q has an empty part; it is catalog.schema.table", name)
		}
		for i := range len(part) {
			switch c := part[i]; {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
			default:
				return fmt.Errorf("%q has the character %q; allowed are ASCII letters, digits and underscores", name, part[i:i+1])
			}
		}
	}
	return nil
}
