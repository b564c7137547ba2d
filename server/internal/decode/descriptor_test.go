package decode

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

func refusedDescriptor(t testing.TB, columns string, descriptor []byte) *SchemaError {
	t.Helper()
	_, err := NewProto(tableOf(t, columns), descriptor)
	var se *SchemaError
	if !errors.As(err, &se) {
		t.Fatalf("error is a %T: %v", err, err)
	}
	return se
}

// TestProtoTypeMap tries every kind of field on every type of column.
func TestProtoTypeMap(t *testing.T) {
	const integers = " int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64 enum Color "
	fits := map[string]string{
		"BOOLEAN": " bool ", "TINYINT": integers, "SMALLINT": integers, "INT": integers, "BIGINT": integers, "DATE": integers,
		"TIMESTAMP": integers, "TIMESTAMP_NTZ": integers, "FLOAT": " float ", "DOUBLE": " float double ",
		"STRING": " string enum Color ", "VARCHAR(9)": " string enum Color ", "CHAR(9)": " string enum Color ",
		"BINARY": " bytes ", "DECIMAL(9,2)": " string ",
	}
	advice := map[string]string{
		"BOOLEAN": "make it bool", "TINYINT": "make it int32", "SMALLINT": "make it int32", "INT": "make it int32",
		"BIGINT": "make it int64", "DATE": "make it int32, days since 1970-01-01",
		"TIMESTAMP":     "make it int64, microseconds since 1970-01-01 UTC",
		"TIMESTAMP_NTZ": "make it int64, microseconds since 1970-01-01 of the wall clock",
		"FLOAT":         "make it float", "DOUBLE": "make it double", "STRING": "make it string", "VARCHAR(9)": "make it string",
		"CHAR(9)": "make it string", "BINARY": "make it bytes", "DECIMAL(9,2)": "make it string, the number as text",
	}
	kinds := []string{
		"bool", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
		"sfixed64", "float", "double", "string", "bytes", "enum Color", "message Inner", "group",
	}
	for typ, want := range fits {
		for _, kind := range kinds {
			for _, label := range []string{"", "required ", "repeated "} {
				_, err := NewProto(tableOf(t, "x "+typ), marshal(t, messageOf("x "+label+kind)))
				if label != "repeated " && strings.Contains(want, " "+kind+" ") {
					if err != nil {
						t.Errorf("%s%s -> %s: %v", label, kind, typ, err)
					}
					continue
				}
				short, _, _ := strings.Cut(kind, " ")
				text := strings.TrimPrefix(label, "required ") + short + " does not fit column type " + typ + ": " + advice[typ]
				if err == nil || err.Error() != "the descriptor does not fit the table: field x: "+text {
					t.Errorf("%s%s -> %s: %v", label, kind, typ, err)
				}
			}
		}
	}
}

func TestSchemaErrorListsEveryMisfit(t *testing.T) {
	const columns = "id BIGINT NOT NULL, Temp TINYINT, tags STRING, at TIMESTAMP NOT NULL, level STRING, note STRING"
	m := messageOf("temp int32", "tags repeated string", "at string", "gone bytes", "level enum .other.Level")
	got := refusedDescriptor(t, columns, marshal(t, m))
	want := &SchemaError{
		Field:  "temp",
		Reason: "the table has no such column, but Temp: names match in exact case",
		Misfits: []Misfit{
			{"temp", "int32", "", "the table has no such column, but Temp: names match in exact case"},
			{"tags", "repeated string", "STRING", "repeated string does not fit column type STRING: make it string"},
			{"at", "string", "TIMESTAMP", "string does not fit column type TIMESTAMP: make it int64, microseconds since 1970-01-01 UTC"},
			{"gone", "bytes", "", "the table has no such column: drop the field from the descriptor or add the column to the table"},
			{"level", "enum", "STRING", "Proto not self-contained for field 'level' with type name '.other.Level': nest the type in the message"},
			{"id", "", "BIGINT", "the column is BIGINT NOT NULL and the descriptor has no such field: add it"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(got.Error(), "; field "); n != 5 {
		t.Errorf("text lists %d more: %s", n, got)
	}

	var many []string
	for i := range 50 {
		many = append(many, fmt.Sprintf("f%d int32", i))
	}
	if text := refusedDescriptor(t, "a INT", marshal(t, messageOf(many...))).Error(); !strings.HasSuffix(text, "; and 30 more") {
		t.Error(text)
	}
}

func TestDescriptorRefusals(t *testing.T) {
	field := func(change func(*descriptorpb.FieldDescriptorProto)) []byte {
		m := messageOf("a int32", "b int32")
		change(m.Field[1])
		return marshal(t, m)
	}
	var many []string
	for i := range MaxDescriptorFields + 1 {
		many = append(many, fmt.Sprintf("f%d int32", i))
	}
	bomb := []byte(nil)
	for len(bomb) < MaxDescriptorBytes {
		bomb = append(bomb, 0x1a, 0)
	}
	bigEnum := &descriptorpb.EnumDescriptorProto{Name: proto.String("Big")}
	for i := range int32(maxEnumValues + 1) {
		bigEnum.Value = append(bigEnum.Value, &descriptorpb.EnumValueDescriptorProto{Name: proto.String("x"), Number: &i})
	}
	big := messageOf("b enum Big")
	big.EnumType = append(big.EnumType, bigEnum)
	nameless := messageOf("b enum Color")
	nameless.EnumType[0].Value[0].Name = nil

	tests := []struct {
		name       string
		descriptor []byte
		want       string
	}{
		{"garbage", []byte("\xff\xff"), "descriptor refused: it is no serialized DescriptorProto of at most 2000 fields: its encoding is damaged"},
		{"truncated field", []byte("\x12\x05\x0a"), "descriptor refused: it is no serialized DescriptorProto of at most 2000 fields: its encoding is damaged"},
		{"damaged field", []byte("\x12\x02\x0a\x05"), "descriptor refused: it is no serialized DescriptorProto of at most 2000 fields: its encoding is damaged"},
		{"too many fields", marshal(t, messageOf(many...)), "descriptor refused: it is no serialized DescriptorProto of at most 2000 fields: more fields than the limit"},
		{"too many bytes", append(bomb, bomb...), "descriptor refused: 2097152 bytes are more than the limit of 1048576"},
		{"no name", field(func(f *descriptorpb.FieldDescriptorProto) { f.Name = nil }), "descriptor refused: field 1 has no valid name"},
		{"same name", field(func(f *descriptorpb.FieldDescriptorProto) { f.Name = proto.String("a") }), "descriptor refused: two fields are named a"},
		{"same number", field(func(f *descriptorpb.FieldDescriptorProto) { f.Number = proto.Int32(1) }), "descriptor refused: two fields have number 1"},
		{"no number", field(func(f *descriptorpb.FieldDescriptorProto) { f.Number = nil }), "descriptor refused: field b has number 0, expected 1 to 536870911"},
		{"negative number", field(func(f *descriptorpb.FieldDescriptorProto) { f.Number = proto.Int32(-1) }), "descriptor refused: field b has number -1, expected 1 to 536870911"},
		{"big number", field(func(f *descriptorpb.FieldDescriptorProto) { f.Number = proto.Int32(1 << 29) }), "descriptor refused: field b has number 536870912, expected 1 to 536870911"},
		{"no type", field(func(f *descriptorpb.FieldDescriptorProto) { f.Type = nil }), "descriptor refused: field b has an unknown type"},
		{"unknown type", field(func(f *descriptorpb.FieldDescriptorProto) {
			f.Type = descriptorpb.FieldDescriptorProto_Type(19).Enum()
		}), "descriptor refused: field b has an unknown type"},
		{"huge type", field(func(f *descriptorpb.FieldDescriptorProto) {
			f.Type = descriptorpb.FieldDescriptorProto_Type(256 + 5).Enum()
		}), "descriptor refused: field b has an unknown type"},
		{"unknown label", field(func(f *descriptorpb.FieldDescriptorProto) {
			f.Label = descriptorpb.FieldDescriptorProto_Label(4).Enum()
		}), "descriptor refused: field b has an unknown label"},
		{"enum of too many values", marshal(t, big), "the descriptor does not fit the table: field b: the enums have more than 10000 values"},
		{"enum value without a name", marshal(t, nameless), "the descriptor does not fit the table: field b: a value of the enum has no valid name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := refusedDescriptor(t, "a INT, b STRING", tt.descriptor).Error(); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
	if _, err := NewProto(tableOf(t, "a INT"), bomb); err != nil {
		t.Errorf("messages that no field names: %v", err)
	}
}

func TestEnumNames(t *testing.T) {
	inner := &descriptorpb.DescriptorProto{Name: proto.String("Inner"), EnumType: []*descriptorpb.EnumDescriptorProto{{
		Name: proto.String("Color"), Value: []*descriptorpb.EnumValueDescriptorProto{
			{Name: proto.String("FIRST"), Number: proto.Int32(0)},
		},
	}}}
	for i := range 50 { // more than a sort would leave in place by chance
		v := inner.EnumType[0]
		v.Value = append(v.Value, &descriptorpb.EnumValueDescriptorProto{Name: proto.String(fmt.Sprint("ALIAS", i)), Number: proto.Int32(int32(-i % 3))})
	}
	for name, want := range map[string]string{
		"Color": "RED", ".Root.Color": "RED", ".a.b.Root.Color": "RED",
		"Inner.Color": "FIRST", ".Root.Inner.Color": "FIRST", ".a.Root.Inner.Color": "FIRST", "Root.Inner.Color": "FIRST",
		".Root.Root.Inner.Color": "FIRST", "a.b.Root.Color": "RED", "a.Root.Inner.Color": "FIRST", ".Color": "", ".a.Color": "", "Inner": "", ".Root.Inner": "", "Inner.Inner.Color": "", "Damaged.Color": "",
		".Root": "", "": "", ".": "", "..": "", ".Root.": "", strings.Repeat("Inner.", 1000) + "Color": "",
		strings.Repeat(".Root", 1000) + ".Color": "",
	} {
		m := messageOf("x enum " + name)
		m.NestedType = append(m.NestedType, inner, &descriptorpb.DescriptorProto{
			Name: proto.String("Damaged"), EnumType: inner.EnumType,
			Field: []*descriptorpb.FieldDescriptorProto{{Name: proto.String("no number")}},
		})
		for _, linked := range []bool{true, false} {
			if m.Field[0].Type = nil; linked {
				m.Field[0].Type = descriptorpb.FieldDescriptorProto_TYPE_ENUM.Enum()
			}
			table := tableOf(t, "x STRING")
			d, err := NewProto(table, marshal(t, m))
			if want == "" {
				if err == nil {
					t.Errorf("%s was found", clip(name))
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got := accepted(t, d, chunkOf(t, table), wire{}.varint(1, 0)); got[0] != want {
				t.Errorf("%s: %v, want %s", name, got[0], want)
			}
		}
	}
}

// TestDescriptorNamedTypes: what the name of a field's type stands for decides, whether or not the descriptor was linked, and the
// refusal says what that is.
func TestDescriptorNamedTypes(t *testing.T) {
	const misfit = "the descriptor does not fit the table: field x: "
	for _, tt := range []struct{ column, name, linked, open string }{
		{"INT", ".a.Root.Color", "", ""},
		{"BOOLEAN", "Color", "enum does not fit column type BOOLEAN: make it bool", ""},
		{"STRING", "Inner", "type 'Inner' is a message, not an enum", "message does not fit column type STRING: make it string"},
		{"STRING", ".a.Root", "type '.a.Root' is a message, not an enum", "message does not fit column type STRING: make it string"},
		{
			"STRING", ".a.Color", "Proto not self-contained for field 'x' with type name '.a.Color': nest the type in the message",
			"Proto not self-contained for field 'x' with type name '.a.Color': nest the type in the message",
		},
		// Only the names of an enum are in the descriptor, its numbers are in the records.
		{"INT", ".a.Color", "", "Proto not self-contained for field 'x' with type name '.a.Color': nest the type in the message"},
	} {
		m := messageOf("x enum " + tt.name)
		m.NestedType = append(m.NestedType, &descriptorpb.DescriptorProto{Name: proto.String("Inner")})
		for _, linked := range []bool{true, false} {
			want := tt.linked
			if !linked {
				m.Field[0].Type = nil
				if tt.open != "" {
					want = tt.open
				}
			}
			_, err := NewProto(tableOf(t, "x "+tt.column), marshal(t, m))
			switch {
			case want == "" && err != nil:
				t.Errorf("%s -> %s, linked %v: %v", tt.name, tt.column, linked, err)
			case want != "" && (err == nil || err.Error() != misfit+want):
				t.Errorf("%s -> %s, linked %v:\n got %v\nwant %s", tt.name, tt.column, linked, err, misfit+want)
			}
		}
	}
}

// TestDescriptorWithAsManyFieldsAsATableHasColumns is the limit of protocol §2.7 from below; TestDescriptorRefusals has it from above.
func TestDescriptorWithAsManyFieldsAsATableHasColumns(t *testing.T) {
	var columns, fields []string
	for i := range MaxDescriptorFields {
		columns, fields = append(columns, fmt.Sprintf("c%d INT", i)), append(fields, fmt.Sprintf("c%d int32", i))
	}
	table := tableOf(t, strings.Join(columns, ","))
	d := protoOf(t, table, marshal(t, messageOf(fields...)))
	row := accepted(t, d, chunkOf(t, table), wire{}.int(MaxDescriptorFields, 7))
	if len(row) != MaxDescriptorFields || row[0] != nil || row[MaxDescriptorFields-1] != int64(7) {
		t.Errorf("the row has %d columns, the last is %v", len(row), row[len(row)-1])
	}
}

// FuzzDescriptor compares with the library: what it cannot read is refused, what is taken reads the same.
func FuzzDescriptor(f *testing.F) {
	f.Add(marshal(f, messageOf("a int32", "b repeated string", "c enum Color", "d message Root", "e group")))
	m := messageOf("a int32")
	m.Field[0].OneofIndex, m.Field[0].Proto3Optional = proto.Int32(0), proto.Bool(true)
	f.Add(marshal(f, m))
	f.Add([]byte("\x12\x05\x0a\x01a\x18\x01"))
	table := tableOf(f, "a INT, b STRING, c STRING, d BIGINT, e DECIMAL(3,1)")
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := NewProto(table, b); err == nil {
			d.Decode(chunkOf(t, table), b)
		} else if len(err.Error()) > 20_000 {
			t.Errorf("error of %d bytes", len(err.Error()))
		}
		got, err := parseMessage(b)
		if err != nil {
			return
		}
		var want descriptorpb.DescriptorProto
		if err := (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(b, &want); err != nil {
			return // the library also looks into what is not needed here
		}
		if got.name != want.GetName() || len(got.fields) != len(want.Field) || len(got.enums) != len(want.EnumType) || len(got.nested) != len(want.NestedType) {
			t.Fatalf("%+v, want %v", got, &want)
		}
		for i, w := range want.Field {
			g := got.fields[i]
			exp := field{name: w.GetName(), number: protowire.Number(w.GetNumber()), typeName: w.GetTypeName(), oneof: -1}
			if w.Type != nil {
				exp.kind = protoreflect.Kind(*w.Type)
			}
			if w.Label != nil {
				exp.cardinality = protoreflect.Cardinality(*w.Label)
			}
			if w.OneofIndex != nil && !w.GetProto3Optional() {
				exp.oneof = *w.OneofIndex
			}
			// Closed enums: the library drops values that it does not know, the last known one stays.
			if g != exp && w.Type != nil && w.Label != nil && len(w.ProtoReflect().GetUnknown()) == 0 {
				t.Errorf("field %d is %+v, want %+v", i, g, exp)
			}
		}
	})
}
