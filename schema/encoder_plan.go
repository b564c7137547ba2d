package schema

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/zerobus-go/zerobus/internal/jsonscan"
)

// encodeOp is how a value is read and written.
type encodeOp uint8

const (
	encodeBool encodeOp = iota
	encodeInteger
	encodeFloat
	encodeDouble
	encodeDecimal
	encodeText
	encodeBinary
	encodeVariant
	encodeStruct
	encodeArray
	encodeMap
)

// encodePlan is what becomes of the values of a column, or of what is in it.
type encodePlan struct {
	op   encodeOp
	tag  uint64 // of the field: number and wire type. That of an array is in its element.
	path string // for errors
	null string // why null is refused; empty if it is not

	ddl              string // of a scalar: the type, for messages
	kind             Kind
	min, max         int64 // of integers
	length           int   // of text: characters, 0 for any number
	precision, scale int   // of DECIMAL

	object *encodeObject // of a struct
	elem   *encodePlan   // of an array and a map: the element or value
	key    *encodePlan   // of a map
	set    int           // of a map: its place in encodeState.sets
}

// encodeObject is what becomes of the record, or of a struct.
type encodeObject struct {
	path    string // of the struct; empty for the record
	members []encodeMember
	index   map[string]int32 // by name
	notNull int              // members that are
	places  int              // where those of encodeState begin
}

type encodeMember struct {
	encodePlan
	name   string
	key    []byte // with quotes and colon
	absent string // why the member cannot be left out; empty if it can
}

// planObject compiles the columns, or the members of a struct at a path.
func (e *Encoder) planObject(fields []Field, path string) (*encodeObject, error) {
	o := &encodeObject{
		path:    path,
		members: make([]encodeMember, len(fields)),
		index:   make(map[string]int32, len(fields)),
		places:  e.places,
	}
	e.places += len(fields) + 1
	part := "column"
	if path != "" {
		path, part = path+".", "member"
	}
	for i := range fields {
		f := &fields[i]
		p, err := e.plan(&f.Type, protowire.Number(fieldNumber(i)), path+f.Name)
		if err != nil {
			return nil, err
		}
		m := &o.members[i]
		*m = encodeMember{encodePlan: p, name: f.Name, key: append(jsonscan.AppendQuoted(nil, f.Name), ':')}
		if !f.Nullable {
			o.notNull++
			is := fmt.Sprintf("the %s is %s NOT NULL", part, jsonscan.Clip(f.Type.DDL()))
			m.null, m.absent = "invalid type: null, "+is, "no value, but "+is
		}
		o.index[f.Name] = int32(i)
	}
	return o, nil
}

// plan compiles a type whose values are in the field with a number.
func (e *Encoder) plan(t *Type, number protowire.Number, path string) (p encodePlan, err error) {
	p = encodePlan{kind: t.Kind, path: path, tag: protowire.EncodeTag(number, protowire.BytesType)}
	switch t.Kind {
	case StructKind:
		p.op = encodeStruct
		p.object, err = e.planObject(t.Fields, path)
	case Array:
		p.op = encodeArray
		p.elem, err = e.planPart(t.Elem, number, path+".element", "an array")
	case Map:
		p.op = encodeMap
		p.set = e.sets
		e.sets++
		if p.key, err = e.planPart(t.Key, 1, path+".key", "a map"); err == nil {
			p.elem, err = e.planPart(t.Elem, 2, path+".value", "a map")
		}
	default:
		err = t.validate(path, 0)
		p.scalar(t, number)
	}
	return p, err
}

// planPart compiles the type of what is within an array or a map.
func (e *Encoder) planPart(t *Type, number protowire.Number, path, within string) (*encodePlan, error) {
	p, err := e.plan(t, number, path)
	p.null = "invalid type: null, which protobuf cannot say in " + within
	return &p, err
}

// scalar compiles a type without parts.
func (p *encodePlan) scalar(t *Type, number protowire.Number) {
	p.ddl, p.length, p.precision, p.scale = t.DDL(), t.Length, t.Precision, t.Scale
	p.min, p.max, _ = bounds(t.Kind)
	wireType := protowire.BytesType
	switch protoTypes[t.Kind] {
	case descriptorpb.FieldDescriptorProto_TYPE_BOOL:
		p.op, wireType = encodeBool, protowire.VarintType
	case descriptorpb.FieldDescriptorProto_TYPE_INT32, descriptorpb.FieldDescriptorProto_TYPE_INT64:
		p.op, wireType = encodeInteger, protowire.VarintType
	case descriptorpb.FieldDescriptorProto_TYPE_FLOAT:
		p.op, wireType = encodeFloat, protowire.Fixed32Type
	case descriptorpb.FieldDescriptorProto_TYPE_DOUBLE:
		p.op, wireType = encodeDouble, protowire.Fixed64Type
	case descriptorpb.FieldDescriptorProto_TYPE_BYTES:
		p.op = encodeBinary
	default:
		p.op = encodeText
		switch t.Kind {
		case Decimal:
			p.op = encodeDecimal
		case Variant:
			p.op = encodeVariant
		}
	}
	p.tag = protowire.EncodeTag(number, wireType)
}
