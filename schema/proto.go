package schema

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Field numbers that protobuf keeps for itself.
const (
	firstReserved = 19000
	lastReserved  = 19999
)

// Proto is the file of one proto2 message whose fields are the columns: what [FormatProto] prints and protoc compiles.
// A column is optional, or required when it is NOT NULL; an ARRAY is repeated, a MAP a map, a STRUCT a message nested in the
// one that has the field. Numbers are the column's position, from 1, without 19000 to 19999. Comments of columns stand
// before their fields; behind a field stands its type where protobuf says less, such as DATE.
//
// What protobuf cannot say is an error that names the column and a way out: an array or a map in an array or a map, a map's
// key that is no integer, boolean or text, a name that is no identifier of ASCII, messages nested more than [MaxDepth] deep
// (protoc compiles 30 levels). message must be an identifier.
func (s *Struct) Proto(message string) (*descriptorpb.FileDescriptorProto, error) {
	if !identifier(message) {
		return nil, fmt.Errorf("message name %q: protobuf takes ASCII letters, digits and underscores, and no digit first", message)
	}
	if len(s.Fields) == 0 {
		return nil, fmt.Errorf("message %s: the table has no columns", message)
	}
	b := builder{info: &descriptorpb.SourceCodeInfo{}}
	m, err := b.message(message, "."+message, s.Fields, "", []int32{fileMessages, 0}, 0)
	if err != nil {
		return nil, err
	}
	return &descriptorpb.FileDescriptorProto{
		Name:           proto.String(message + ".proto"),
		Syntax:         proto.String("proto2"),
		MessageType:    []*descriptorpb.DescriptorProto{m},
		SourceCodeInfo: b.info,
	}, nil
}

// Descriptor is the message of [Struct.Proto] alone: what a stream tells the server about its records.
func (s *Struct) Descriptor(message string) (*descriptorpb.DescriptorProto, error) {
	f, err := s.Proto(message)
	if err != nil {
		return nil, err
	}
	return f.GetMessageType()[0], nil
}

// Numbers of the fields that hold messages and fields in descriptor.proto, of which paths to comments are made.
const (
	fileMessages   = 4
	messageFields  = 2
	messageNesteds = 3
)

// builder makes messages of columns.
type builder struct {
	info *descriptorpb.SourceCodeInfo
}

// message makes the message of some fields. full is its name from the root, path the columns on the way to it, at its place
// in the file.
func (b *builder) message(name, full string, fields []Field, path string, at []int32, depth int) (*descriptorpb.DescriptorProto, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("column %s: types are nested more than %d levels deep", strings.TrimSuffix(path, "."), MaxDepth)
	}
	taken, err := fieldNames(fields, path)
	if err != nil {
		return nil, err
	}
	jsonNames := collidingJSONNames(fields)
	m := &descriptorpb.DescriptorProto{Name: proto.String(name)}
	// The entries of maps come before the messages of structs, as in a file that has the fields first.
	var structs []*descriptorpb.DescriptorProto
	maps := int32(0)
	for i := range fields {
		if fields[i].Type.Kind == Map {
			maps++
		}
	}
	for i := range fields {
		f := &fields[i]
		here := path + f.Name
		d := &descriptorpb.FieldDescriptorProto{
			Name:   proto.String(f.Name),
			Number: proto.Int32(fieldNumber(i)),
			Label:  descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
		if !f.Nullable {
			d.Label = descriptorpb.FieldDescriptorProto_LABEL_REQUIRED.Enum()
		}
		// nest makes the message of a struct in this field.
		nest := func(t *Type, path string) (string, error) {
			if len(t.Fields) == 0 {
				return "", fmt.Errorf("column %s: a struct needs at least one field", path)
			}
			name := free(taken, pascal(f.Name))
			at := append(at[:len(at):len(at)], messageNesteds, maps+int32(len(structs)))
			nested, err := b.message(name, full+"."+name, t.Fields, path+".", at, depth+1)
			structs = append(structs, nested)
			return full + "." + name, err
		}
		if err := b.field(m, d, &f.Type, full, here, nest); err != nil {
			return nil, err
		}
		if jsonNames[f.Name] {
			d.JsonName = proto.String(f.Name)
		}
		m.Field = append(m.Field, d)
		b.comment(f, append(at[:len(at):len(at)], messageFields, int32(i)))
	}
	m.NestedType = append(m.NestedType, structs...)
	return m, nil
}

// field gives d the type of a column.
func (b *builder) field(
	m *descriptorpb.DescriptorProto, d *descriptorpb.FieldDescriptorProto, t *Type, full, path string,
	nest func(*Type, string) (string, error),
) error {
	switch t.Kind {
	case Array:
		d.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		return b.value(d, t.Elem, path+".element", "an array", nest)
	case Map:
		key := &descriptorpb.FieldDescriptorProto{
			Name: proto.String("key"), Number: proto.Int32(1), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
		value := &descriptorpb.FieldDescriptorProto{
			Name: proto.String("value"), Number: proto.Int32(2), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
		if !mapKey(t.Key) {
			if t.Key == nil || t.Key.Kind.known() == Invalid {
				return fmt.Errorf("column %s.key has no type", path)
			}
			return fmt.Errorf("column %s.key: protobuf has no map with %s as key, only integers, booleans and text: "+
				"send JSON records, or make the column an array of structs", path, t.Key)
		}
		if err := b.value(key, t.Key, path+".key", "a map", nest); err != nil {
			return err
		}
		if err := b.value(value, t.Elem, path+".value", "a map", nest); err != nil {
			return err
		}
		name := entryName(d.GetName())
		m.NestedType = append(m.NestedType, &descriptorpb.DescriptorProto{
			Name:    proto.String(name),
			Field:   []*descriptorpb.FieldDescriptorProto{key, value},
			Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)},
		})
		d.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		d.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
		d.TypeName = proto.String(full + "." + name)
		return nil
	}
	return b.value(d, t, path, "", nest)
}

// value gives d the type of a single value. within is what it is an element of, if anything.
func (b *builder) value(d *descriptorpb.FieldDescriptorProto, t *Type, path, within string, nest func(*Type, string) (string, error)) error {
	switch {
	case t == nil || t.Kind.known() == Invalid:
		return fmt.Errorf("column %s has no type", path)
	case t.Kind == Array || t.Kind == Map:
		return fmt.Errorf("column %s: protobuf has no %s in %s: send JSON records, or wrap the inner one in a struct", path, t.Kind, within)
	case t.Kind == StructKind:
		name, err := nest(t, path)
		if err != nil {
			return err
		}
		d.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
		d.TypeName = proto.String(name)
		return nil
	}
	d.Type = protoTypes[t.Kind].Enum()
	return t.validate(path, 0)
}

// protoTypes are the types of fields for scalar columns.
var protoTypes = [...]descriptorpb.FieldDescriptorProto_Type{
	Boolean:      descriptorpb.FieldDescriptorProto_TYPE_BOOL,
	Byte:         descriptorpb.FieldDescriptorProto_TYPE_INT32,
	Short:        descriptorpb.FieldDescriptorProto_TYPE_INT32,
	Integer:      descriptorpb.FieldDescriptorProto_TYPE_INT32,
	Long:         descriptorpb.FieldDescriptorProto_TYPE_INT64,
	Float:        descriptorpb.FieldDescriptorProto_TYPE_FLOAT,
	Double:       descriptorpb.FieldDescriptorProto_TYPE_DOUBLE,
	Decimal:      descriptorpb.FieldDescriptorProto_TYPE_STRING,
	String:       descriptorpb.FieldDescriptorProto_TYPE_STRING,
	Binary:       descriptorpb.FieldDescriptorProto_TYPE_BYTES,
	Date:         descriptorpb.FieldDescriptorProto_TYPE_INT32,
	Timestamp:    descriptorpb.FieldDescriptorProto_TYPE_INT64,
	TimestampNTZ: descriptorpb.FieldDescriptorProto_TYPE_INT64,
	Variant:      descriptorpb.FieldDescriptorProto_TYPE_STRING,
}

// mapKey reports whether protobuf has maps with such keys.
func mapKey(t *Type) bool {
	if t == nil {
		return false
	}
	switch t.Kind {
	case Boolean, Byte, Short, Integer, Long, Date, Timestamp, TimestampNTZ, String, Decimal:
		return true
	}
	return false
}

// fieldNumber is the number of the field of column i.
func fieldNumber(i int) int32 {
	n := int32(i) + 1
	if n >= firstReserved {
		n += lastReserved - firstReserved + 1
	}
	return n
}

// fieldNames checks the names of a message's fields, and returns those that its nested messages cannot have.
func fieldNames(fields []Field, path string) (map[string]bool, error) {
	taken := make(map[string]bool, len(fields))
	for i := range fields {
		name := fields[i].Name
		switch {
		case !identifier(name):
			return nil, fmt.Errorf("column %s: the name cannot be a protobuf field, which takes ASCII letters, digits and underscores, "+
				"and no digit first: rename the column, or send JSON records", shown(path+name))
		case taken[name]:
			return nil, fmt.Errorf("column %s: there are two columns of that name", path+name)
		}
		taken[name] = true
	}
	entries := map[string]string{} // by name: the map
	for i := range fields {
		if fields[i].Type.Kind != Map {
			continue
		}
		name, entry := fields[i].Name, entryName(fields[i].Name)
		if !identifier(entry) {
			return nil, fmt.Errorf("column %s: protobuf would name the entries of the map %s, which begins with a digit: rename the column, or send JSON records",
				path+name, entry)
		}
		if other, dup := entries[entry]; dup {
			return nil, fmt.Errorf("column %s: protobuf names the entries of the maps %s and %s alike, %s: rename one of them",
				path+name, other, name, entry)
		}
		if taken[entry] {
			return nil, fmt.Errorf("column %s: protobuf names the entries of the map %s like the column %s: rename one of them",
				path+name, name, entry)
		}
		entries[entry] = name
	}
	for entry := range entries {
		taken[entry] = true
	}
	return taken, nil
}

// collidingJSONNames are the columns whose fields need their own name in JSON as well, because protoc would derive one for them
// that another field has: a_b and aB are both aB. protoc only warns, but what Python makes of it cannot be loaded.
func collidingJSONNames(fields []Field) map[string]bool {
	owners := make(map[string]int, len(fields))
	for i := range fields {
		owners[jsonName(fields[i].Name)]++
	}
	colliding := map[string]bool{}
	for i := range fields {
		if name := fields[i].Name; owners[jsonName(name)] > 1 && jsonName(name) != name {
			colliding[name] = true
		}
	}
	return colliding
}

// jsonName is what protoc calls the field in JSON: line_items is lineItems.
func jsonName(field string) string { return camel(field, false) }

// shown is a name as an error can show it.
func shown(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

// identifier reports whether protobuf takes a name. Its keywords are names as well.
func identifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' || i > 0 && c >= '0' && c <= '9' {
			continue
		}
		return false
	}
	return s != ""
}

// pascal is the name of the message for a column: line_items gives LineItems.
func pascal(column string) string {
	name := camel(column, true)
	if !identifier(name) { // of underscores, or a digit behind them
		return "Struct" + name
	}
	return name
}

// entryName is what protoc calls the message of a map's entries.
func entryName(field string) string { return camel(field, true) + "Entry" }

// camel drops underscores and puts capitals behind them, as protoc does; up says whether one comes first as well.
func camel(name string, up bool) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if c == '_' {
			up = true
			continue
		}
		if up && c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		up = false
		b.WriteByte(c)
	}
	return b.String()
}

// free returns name, or name with the first number that makes it free, and takes it.
func free(taken map[string]bool, name string) string {
	as := name
	for i := 2; taken[as]; i++ {
		as = fmt.Sprintf("%s%d", name, i)
	}
	taken[as] = true
	return as
}

// comment keeps a column's comment, and its type where the field's says less.
func (b *builder) comment(f *Field, at []int32) {
	if f.Comment == "" && !f.Type.hidden() {
		return
	}
	l := &descriptorpb.SourceCodeInfo_Location{Path: at, Span: []int32{0, 0, 0}}
	if f.Comment != "" {
		l.LeadingComments = proto.String(commentText(f.Comment))
	}
	if f.Type.hidden() {
		l.TrailingComments = proto.String(" " + f.Type.hint() + "\n")
	}
	b.info.Location = append(b.info.Location, l)
}

// commentText is a comment as the lines of a // comment hold it.
func commentText(s string) string {
	return " " + strings.Join(commentLines(s+"\n"), "\n ") + "\n"
}

// hidden reports whether the field of such a column says less than the column.
func (t *Type) hidden() bool {
	switch t.Kind {
	case Array:
		return t.Elem.hidden()
	case Map:
		return t.Key.hidden() || t.Elem.hidden()
	case StructKind:
		return false // the members say it
	case String:
		return t.Length > 0
	case Byte, Short, Date, Timestamp, TimestampNTZ, Decimal, Variant:
		return true
	}
	return false
}

// hint is the column's type, without the members of structs, and what the value of its field means.
func (t *Type) hint() string {
	text := t.bare().DDL()
	for elem := t; ; elem = elem.Elem {
		switch elem.Kind {
		case Array, Map:
			continue
		case Date, Timestamp, TimestampNTZ, Decimal, Variant:
			text += ": " + elem.meaning()
		}
		return text
	}
}

// bare is the type without the members of structs.
func (t *Type) bare() *Type {
	b := *t
	switch t.Kind {
	case StructKind:
		b.Fields = nil
	case Map, Array:
		b.Elem = t.Elem.bare()
	}
	return &b
}

// meaning says what the field of a scalar column holds, where its type does not tell.
func (t *Type) meaning() string {
	switch t.Kind {
	case Date:
		return "days since 1970-01-01"
	case Timestamp:
		return "microseconds since 1970-01-01 UTC"
	case TimestampNTZ:
		return "microseconds since 1970-01-01 of the wall clock"
	case Decimal:
		return "the number as text"
	case Variant:
		return "JSON text"
	}
	return ""
}
