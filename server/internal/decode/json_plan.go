package decode

import (
	"fmt"

	"github.com/zerobus-go/zerobus/internal/jsonscan"
	"github.com/zerobus-go/zerobus/schema"
)

// jsonPlan is what becomes of the values of a column, or of what is inside of one. The plans are a tree: each has its place in
// the table, so no two values that are being read at a time have the same one.
type jsonPlan struct {
	target
	null, absent string // why null, or no value, is refused; empty if it is not

	object *jsonObject // of a STRUCT
	key    *jsonPlan   // of a MAP
	elem   *jsonPlan   // of an ARRAY and a MAP: the element or value
	keys   keySet      // of a MAP

	// cells is what a value takes that is an element or in a map: how many vectors a STRUCT has inside, those that are an array's
	// or a map's apart; 0 for others.
	cells int
}

// jsonObject is what becomes of the record, or of a struct.
type jsonObject struct {
	path   string // of the struct; empty for the record
	fields []jsonField
	index  map[string]*jsonField // by name
	begin  jsonField             // its next is the first field
	whole  bool                  // the object that was read last had all members
}

// jsonField is a field and how its key usually stands in a record.
type jsonField struct {
	key   string // with quotes and colon, and escapes where they cannot be avoided
	field string // its name
	col   int    // index into the columns, or the kids of the struct

	// next is the field that followed this one when it last came out of turn: records of a stream mostly look alike, and to compare
	// with the key that is due is cheaper than to look it up. Nil before that.
	next *jsonField

	jsonPlan
}

// isAt reports whether the key stands at b[i] as it usually does.
func (f *jsonField) isAt(b []byte, i int) bool {
	return f != nil && len(b)-i >= len(f.key) && string(b[i:i+len(f.key)]) == f.key
}

// planObject compiles the columns, or the fields of a struct at a path.
func planObject(ts []target, fields []schema.Field, path string) (*jsonObject, error) {
	o := &jsonObject{path: path, fields: make([]jsonField, len(ts)), index: make(map[string]*jsonField, len(ts))}
	part := "column"
	if path != "" {
		part = "member"
	}
	for i := range ts {
		name := fields[i].Name
		p, err := planJSON(&ts[i], &fields[i].Type, part)
		if err != nil {
			return nil, err
		}
		o.fields[i] = jsonField{key: string(jsonscan.AppendQuoted(nil, name)) + ":", field: name, col: i, jsonPlan: p}
		o.index[name] = &o.fields[i]
	}
	return o, nil
}

// planJSON compiles a type. Part says what of a table or a type the value is.
func planJSON(t *target, typ *schema.Type, part string) (p jsonPlan, err error) {
	p.target = *t
	if t.notNull {
		is := fmt.Sprintf("the %s is %s NOT NULL", part, clip(t.ddl))
		p.null, p.absent = "invalid type: null, "+is, "no value, but "+is
	}
	switch t.kind {
	case schema.StructKind:
		if p.object, err = planObject(t.kids, typ.Fields, t.name); err == nil {
			for i := range p.object.fields {
				p.cells += 1 + p.object.fields[i].cells
			}
		}
	case schema.Variant:
		p.cells = 2
	case schema.Array:
		p.elem, err = planPart(&t.kids[0], typ.Elem, "element")
	case schema.Map:
		if !typ.Key.Scalar() {
			return p, fmt.Errorf("column %s: JSON has no text for keys of type %s, only for scalars", t.kids[0].name, clip(typ.Key.String()))
		}
		if p.key, err = planPart(&t.kids[0], typ.Key, "key"); err == nil {
			p.elem, err = planPart(&t.kids[1], typ.Elem, "value")
		}
	}
	return p, err
}

func planPart(t *target, typ *schema.Type, part string) (*jsonPlan, error) {
	p, err := planJSON(t, typ, part)
	return &p, err
}
