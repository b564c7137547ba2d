package loadgen

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/zerobus-go/zerobus/schema"
)

// Encoding is how a record is written.
type Encoding string

// The encodings of the protocol.
const (
	Proto Encoding = "protobuf"
	JSON  Encoding = "json"
)

// Encodings are all of them.
var Encodings = []Encoding{Proto, JSON}

// Shape is the columns of a table and the size of its records.
type Shape struct {
	Name  string
	About string // for people

	columns []field
	size    map[Encoding]int // bytes of a record, at most one less where a length needs another byte
}

// field is a column and what its values are.
type field struct {
	name, ddl string
	role      role
}

type role int

const (
	plain role = iota // a value of the round
	id                // of the record: BIGINT
	text              // what fills the record up: STRING
)

// Shapes are all shapes, by the names that people give them.
var Shapes = []*Shape{
	{
		Name: "small", About: "3 columns: 25 B of protobuf, 61 B of JSON", size: map[Encoding]int{Proto: 25, JSON: 61},
		columns: []field{{"device_name", "STRING", text}, {"temp", "INT", plain}, {"humidity", "BIGINT", id}},
	},
	{
		Name: "wide", About: "20 columns of 8 types: 265 B of protobuf, 460 B of JSON", size: map[Encoding]int{Proto: 265, JSON: 460},
		columns: wideColumns(),
	},
	{
		Name: "1k", About: "an id and a text: 1,000 B", size: map[Encoding]int{Proto: 1000, JSON: 1000},
		columns: []field{{"id", "BIGINT", id}, {"body", "STRING", text}},
	},
	{
		Name: "1k-100", About: "100 columns of 4 types: 1,000 B of protobuf, 1,800 B of JSON", size: map[Encoding]int{Proto: 1000, JSON: 1800},
		columns: hundredColumns(),
	},
}

func wideColumns() (all []field) {
	types := []string{
		"STRING", "BIGINT", "INT", "DOUBLE", "STRING", "BIGINT", "BOOLEAN", "STRING", "BIGINT", "INT", "DOUBLE", "BINARY", "FLOAT",
		"STRING", "BIGINT", "INT", "DOUBLE", "STRING", "BIGINT", "STRING",
	}
	for i, t := range types {
		f := field{name: fmt.Sprintf("field_%02d", i), ddl: t}
		switch i {
		case 1:
			f.role = id
		case len(types) - 1:
			f.role = text
		}
		all = append(all, f)
	}
	return all
}

func hundredColumns() (all []field) {
	for i := range 100 {
		f := field{name: fmt.Sprintf("c_%02d", i), ddl: []string{"BIGINT", "DOUBLE", "INT", "STRING"}[i%4]}
		switch i {
		case 0:
			f.role = id
		case 99:
			f.role = text
		}
		all = append(all, f)
	}
	return all
}

// ShapeNamed finds a shape.
func ShapeNamed(name string) (*Shape, error) {
	i := slices.IndexFunc(Shapes, func(s *Shape) bool { return s.Name == name })
	if i < 0 {
		var known []string
		for _, s := range Shapes {
			known = append(known, s.Name)
		}
		return nil, fmt.Errorf("shape %q: expected %s", name, strings.Join(known, ", "))
	}
	return Shapes[i], nil
}

// EncodingNamed finds an encoding.
func EncodingNamed(name string) (Encoding, error) {
	if e := Encoding(name); slices.Contains(Encodings, e) {
		return e, nil
	}
	return "", fmt.Errorf("encoding %q: expected %s or %s", name, Proto, JSON)
}

// Size is what a record has, in bytes.
func (s *Shape) Size(e Encoding) int { return s.size[e] }

// IDColumn is the name of the column that has a record's id.
func (s *Shape) IDColumn() string {
	i := slices.IndexFunc(s.columns, func(f field) bool { return f.role == id })
	return s.columns[i].name
}

// DDL is the columns of the table, as CREATE TABLE takes them between brackets.
func (s *Shape) DDL() string {
	var parts []string
	for _, f := range s.columns {
		parts = append(parts, f.name+" "+f.ddl)
	}
	return strings.Join(parts, ", ")
}

// Table is the columns.
func (s *Shape) Table() *schema.Struct {
	t, err := schema.ParseCreateTable("CREATE TABLE t (" + s.DDL() + ")")
	if err != nil {
		panic(err) // of our own shape
	}
	return &t.Columns
}

// Descriptor is the message of a record: the columns in their order, numbered from 1.
func (s *Shape) Descriptor() *descriptorpb.DescriptorProto {
	d := &descriptorpb.DescriptorProto{Name: new(string)}
	*d.Name = "Record"
	for i, f := range s.columns {
		number, label, kind := int32(i+1), descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, kinds[f.ddl]
		d.Field = append(d.Field, &descriptorpb.FieldDescriptorProto{Name: &f.name, Number: &number, Label: &label, Type: &kind})
	}
	return d
}

var kinds = map[string]descriptorpb.FieldDescriptorProto_Type{
	"STRING": descriptorpb.FieldDescriptorProto_TYPE_STRING, "BINARY": descriptorpb.FieldDescriptorProto_TYPE_BYTES,
	"INT": descriptorpb.FieldDescriptorProto_TYPE_INT32, "BIGINT": descriptorpb.FieldDescriptorProto_TYPE_INT64,
	"DOUBLE": descriptorpb.FieldDescriptorProto_TYPE_DOUBLE, "FLOAT": descriptorpb.FieldDescriptorProto_TYPE_FLOAT,
	"BOOLEAN": descriptorpb.FieldDescriptorProto_TYPE_BOOL,
}
