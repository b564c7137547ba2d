package schema

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Effect is what comes of a field or a column that does not fit.
type Effect uint8

const (
	// Refused means that no stream opens with such a descriptor.
	Refused Effect = iota + 1

	// Risky means that a stream opens, and ends with the first record whose value the column does not take.
	Risky

	// Absent means that every record has NULL in the column, because no field feeds it.
	Absent
)

// String is the effect as a word.
func (e Effect) String() string {
	switch e {
	case Refused:
		return "refused"
	case Risky:
		return "risky"
	case Absent:
		return "absent"
	}
	return fmt.Sprintf("Effect(%d)", uint8(e))
}

// Finding is one field of a descriptor or one column of a table without a counterpart that fits.
type Finding struct {
	Path   string // of the field or column, such as "address.zip", "tags.element" or "counts.value"; empty for the descriptor as a whole
	Effect Effect // what comes of it
	Field  string // the field's type as a .proto file has it, such as "repeated string"; empty when the descriptor lacks it
	Column string // the column's type as CREATE TABLE has it, such as "DECIMAL(10,2)"; empty when the table lacks it
	Reason string // what is wrong, and what to do
}

// String is the finding on one line.
func (f Finding) String() string {
	if f.Path == "" {
		return f.Reason
	}
	return "field " + f.Path + ": " + f.Reason
}

// Findings are what [Check] finds, in the order of the descriptor, then of the table.
type Findings []Finding

// Err returns an error, of type *[MisfitError], that lists what is refused; nil if a stream would open.
func (fs Findings) Err() error {
	var refused Findings
	for _, f := range fs {
		if f.Effect == Refused {
			refused = append(refused, f)
		}
	}
	if refused == nil {
		return nil
	}
	return &MisfitError{Findings: refused}
}

// MisfitError says that a descriptor does not fit a table.
type MisfitError struct {
	Findings Findings // those with the effect Refused
}

// maxListed bounds the findings in the text of an error.
const maxListed = 20

// Error lists the findings on one line.
func (e *MisfitError) Error() string {
	var s strings.Builder
	s.WriteString("the descriptor does not fit the table: ")
	for i, f := range e.Findings {
		if i == maxListed {
			fmt.Fprintf(&s, "; and %d more", len(e.Findings)-i)
			break
		}
		if i > 0 {
			s.WriteString("; ")
		}
		s.WriteString(f.String())
	}
	return s.String()
}

// Check compares the descriptor of a stream's records with the table, as the server will: fields and columns meet by name, in
// exact case, at every level; field numbers mean nothing. It finds every field that has no column or not one of a type that
// fits, every column that is NOT NULL and has no field, every field whose values may be out of the column's range, and every
// other column without a field. An empty result means that a stream opens and that every column has its field; what protobuf
// never can say, such as NULL within an array, is no finding, and neither are the values between the range of a TINYINT or
// SMALLINT and that of its int32. At most 10,000 findings are listed.
//
// A descriptor does not tell whether its message was proto3, so fields that are absent when they are zero are found by
// [CheckMessage] only.
func Check(d *descriptorpb.DescriptorProto, table *Struct) Findings {
	md, err := Resolve(d)
	if err != nil {
		return Findings{{Effect: Refused, Reason: err.Error()}}
	}
	return CheckMessage(md, table)
}

// CheckMessage is [Check] for a message that is known with its file.
func CheckMessage(md protoreflect.MessageDescriptor, table *Struct) Findings {
	if md == nil || table == nil {
		return Findings{{Effect: Refused, Reason: "there is no message, or no table, to compare"}}
	}
	for i := range table.Fields {
		if err := table.Fields[i].Type.validate(shown(table.Fields[i].Name), 0); err != nil {
			return Findings{{Effect: Refused, Reason: "the table cannot be: " + err.Error()}}
		}
	}
	var c checker
	c.message(md, table.Fields, "", 0)
	return c.found
}

type checker struct{ found Findings }

func (c *checker) message(md protoreflect.MessageDescriptor, columns []Field, path string, depth int) {
	byName := make(map[string]int, len(columns))
	for i := range columns {
		byName[columns[i].Name] = i
	}
	fed := make([]bool, len(columns))
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		name := string(fd.Name())
		at, ok := byName[name]
		if !ok {
			c.add(Finding{Path: path + name, Effect: Refused, Field: fieldText(fd), Reason: noColumn(name, columns, depth)})
			continue
		}
		fed[at] = true
		c.field(fd, &columns[at], path+name, depth)
	}
	for i := range columns {
		f := &columns[i]
		switch {
		case fed[i]:
		case f.Nullable:
			c.add(Finding{
				Path: path + f.Name, Effect: Absent, Column: f.Type.DDL(),
				Reason: fmt.Sprintf("the descriptor has no such field, so %s is NULL in every record", what(depth)),
			})
		default:
			c.add(Finding{
				Path: path + f.Name, Effect: Refused, Column: f.Type.DDL(),
				Reason: fmt.Sprintf("%s is %s NOT NULL and the descriptor has no such field: add it, %s", what(depth), f.Type.DDL(), f.Type.ProtoType()),
			})
		}
	}
}

// what a Field is at a depth.
func what(depth int) string {
	if depth > 0 {
		return "the member"
	}
	return "the column"
}

func noColumn(name string, columns []Field, depth int) string {
	owner, parts := "table", "column"
	if depth > 0 {
		owner, parts = "struct", "member"
	}
	for i := range columns {
		if strings.EqualFold(columns[i].Name, name) {
			return fmt.Sprintf("the %s has no such %s, but %s: names match in exact case", owner, parts, columns[i].Name)
		}
	}
	return fmt.Sprintf("the %s has no such %s: drop the field from the descriptor or add the %s to the table", owner, parts, parts)
}

// field compares a field with its column.
func (c *checker) field(fd protoreflect.FieldDescriptor, column *Field, path string, depth int) {
	t := &column.Type
	f := Finding{Path: path, Field: fieldText(fd), Column: t.DDL()}
	switch {
	case fd.IsMap() != (t.Kind == Map), fd.IsList() != (t.Kind == Array):
		c.refuse(f, t)
		return
	case fd.IsMap():
		c.single(fd.MapKey(), t.Key, f, path+".key", depth)
		c.single(fd.MapValue(), t.Elem, f, path+".value", depth)
		return
	case fd.IsList():
		c.single(fd, t.Elem, f, path+".element", depth)
		return
	}
	if !c.single(fd, t, f, path, depth) || column.Nullable {
		return
	}
	f.Effect = Risky
	switch oneof := fd.ContainingOneof(); {
	case oneof != nil && !oneof.IsSynthetic():
		f.Reason = fmt.Sprintf("%s is NOT NULL, and the field is in the oneof %s: records that set another member are refused", what(depth), oneof.Name())
	case !fd.HasPresence():
		f.Reason = fmt.Sprintf("%s is NOT NULL, and a field of proto3 without optional is absent when it is %s: such records are refused; "+
			"make it optional", what(depth), zeroOf(fd.Kind()))
	default:
		return
	}
	c.add(f)
}

// single compares a value, or an element of a list or a map, and reports whether it fits.
func (c *checker) single(fd protoreflect.FieldDescriptor, t *Type, f Finding, path string, depth int) bool {
	f.Path, f.Field = path, singleText(fd)
	if fd.Kind() == protoreflect.MessageKind && t.Kind == StructKind {
		c.message(fd.Message(), t.Fields, path+".", depth+1)
		return true
	}
	if t.Kind == Array || t.Kind == Map {
		f.Effect = Refused
		f.Reason = fmt.Sprintf("protobuf has no %s in %s: send JSON records, or change the table", t.Kind, f.Column)
		c.add(f)
		return false
	}
	f.Column = t.DDL()
	if !fits(fd.Kind(), t.Kind) {
		c.refuse(f, t)
		return false
	}
	if lo, hi, narrow := bounds(t.Kind); narrow && wider(fd.Kind(), t.Kind) {
		f.Effect = Risky
		f.Reason = fmt.Sprintf("%s holds more than %s: values outside of %d to %d are refused; make it %s", fd.Kind(), t.DDL(), lo, hi, t.ProtoType())
		c.add(f)
	}
	return true
}

func (c *checker) refuse(f Finding, t *Type) {
	f.Effect = Refused
	f.Reason = fmt.Sprintf("%s does not fit %s: make it %s", f.Field, f.Column, t.ProtoType())
	c.add(f)
}

func (c *checker) add(f Finding) {
	if len(c.found) < maxFindings {
		c.found = append(c.found, f)
	}
}

// maxFindings bounds what is found: a message can name one type in many places.
const maxFindings = 10_000

// fits reports whether single values of a kind of field go into a column of a kind.
func fits(field protoreflect.Kind, column Kind) bool {
	switch field {
	case protoreflect.BoolKind:
		return column == Boolean
	case protoreflect.FloatKind:
		return column == Float || column == Double
	case protoreflect.DoubleKind:
		return column == Double
	case protoreflect.StringKind:
		return column == String || column == Decimal || column == Variant
	case protoreflect.BytesKind:
		return column == Binary
	case protoreflect.EnumKind:
		return column == String || column.integer()
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return false
	}
	return column.integer()
}

// integer reports whether integers of any kind of field go into the column.
func (k Kind) integer() bool {
	_, _, ok := bounds(k)
	return ok
}

// bounds are the least and the largest value of a column that integers go into.
func bounds(k Kind) (lo, hi int64, ok bool) {
	switch k {
	case Byte:
		return -1 << 7, 1<<7 - 1, true
	case Short:
		return -1 << 15, 1<<15 - 1, true
	case Integer, Date:
		return -1 << 31, 1<<31 - 1, true
	case Long, Timestamp, TimestampNTZ:
		return -1 << 63, 1<<63 - 1, true
	}
	return 0, 0, false
}

// wider reports whether a field says more than the one that a column of that kind wants. Protobuf has nothing as narrow as a
// TINYINT, so its int32 is no finding.
func wider(field protoreflect.Kind, column Kind) bool {
	switch field {
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return true
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		_, hi, _ := bounds(column)
		return hi < 1<<32
	}
	return false
}

// ProtoType is the field that a column of this type wants, as one would write it, and what it holds where that does not tell:
// "int32, days since 1970-01-01".
func (t *Type) ProtoType() string {
	text := t.fieldType()
	for elem := t; ; elem = elem.Elem {
		switch elem.Kind {
		case Array, Map:
			if elem.Elem != nil {
				continue
			}
		default:
			if meaning := elem.meaning(); meaning != "" {
				text += ", " + meaning
			}
		}
		return text
	}
}

func (t *Type) fieldType() string {
	switch {
	case t.Kind == Array && t.Elem != nil:
		return "repeated " + t.Elem.fieldType()
	case t.Kind == Map && t.Key != nil && t.Elem != nil:
		return "map<" + t.Key.fieldType() + ", " + t.Elem.fieldType() + ">"
	case t.Kind == StructKind:
		return "a message"
	case t.Scalar() || t.Kind == Variant:
		return strings.ToLower(strings.TrimPrefix(protoTypes[t.Kind].String(), "TYPE_"))
	}
	return "nothing"
}

// fieldText is a field's type as a .proto file has it.
func fieldText(fd protoreflect.FieldDescriptor) string {
	switch {
	case fd.IsMap():
		return "map<" + singleText(fd.MapKey()) + ", " + singleText(fd.MapValue()) + ">"
	case fd.IsList():
		return "repeated " + singleText(fd)
	}
	return singleText(fd)
}

// singleText is the type of the field's single values.
func singleText(fd protoreflect.FieldDescriptor) string {
	switch {
	case fd.Kind() == protoreflect.GroupKind:
		return "group"
	case fd.Message() != nil:
		return string(fd.Message().Name())
	case fd.Enum() != nil:
		return string(fd.Enum().Name())
	}
	return fd.Kind().String()
}

// zeroOf is the value of a kind that proto3 does not send.
func zeroOf(k protoreflect.Kind) string {
	switch k {
	case protoreflect.BoolKind:
		return "false"
	case protoreflect.StringKind, protoreflect.BytesKind:
		return "empty"
	}
	return "0"
}
