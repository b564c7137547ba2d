package decode

import (
	"errors"
	"fmt"
	"math"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// target is what a column takes, or what is inside of one, whatever the encoding of the record.
type target struct {
	name    string // the path, as messages have it: address.zip, tags.element, counts.key, counts.value
	kind    schema.Kind
	layout  column.Layout
	notNull bool
	ddl     string // the type, for messages; not all of a long one
	wanted  string // the advice for a field that does not fit

	min, max         int64 // of the integer layouts
	length           int   // of text: characters, 0 for any number
	precision, scale int   // of DECIMAL

	// kids are what is inside, as column.Vector has it: the fields of a STRUCT, the element of an ARRAY, key and value of a MAP.
	// A VARIANT has none here: it is one value to whoever sends it.
	kids []target
}

// targets compiles the columns of a table. It fails where column.NewChunk does.
func targets(table *schema.Struct) ([]target, error) {
	if len(table.Fields) == 0 {
		return nil, errors.New("the table has no columns")
	}
	ts := make([]target, len(table.Fields))
	for i := range table.Fields {
		f := &table.Fields[i]
		var err error
		if ts[i], err = newTarget(f.Name, &f.Type, f.Nullable); err != nil {
			return nil, err
		}
	}
	return ts, nil
}

func newTarget(name string, typ *schema.Type, nullable bool) (target, error) {
	layout, ok := column.LayoutOf(typ)
	if !ok {
		return target{}, fmt.Errorf("column %s: type %s cannot be stored yet", name, typ)
	}
	t := target{
		name: name, kind: typ.Kind, layout: layout, notNull: !nullable, ddl: clip(typ.DDL()), wanted: "make it " + typ.ProtoType(),
		length: typ.Length, precision: typ.Precision, scale: typ.Scale,
	}
	switch {
	case t.kind == schema.Byte:
		t.min, t.max = math.MinInt8, math.MaxInt8
	case t.kind == schema.Short:
		t.min, t.max = math.MinInt16, math.MaxInt16
	case layout == column.Int32:
		t.min, t.max = math.MinInt32, math.MaxInt32
	case layout == column.Int64:
		t.min, t.max = math.MinInt64, math.MaxInt64
	}
	inside := func(name string, typ *schema.Type, nullable bool) error {
		kid, err := newTarget(t.name+"."+name, typ, nullable)
		t.kids = append(t.kids, kid)
		return err
	}
	var err error
	switch t.kind {
	case schema.StructKind:
		for i := range typ.Fields {
			if err == nil {
				f := &typ.Fields[i]
				err = inside(f.Name, &f.Type, f.Nullable)
			}
		}
	case schema.Array:
		err = inside("element", typ.Elem, typ.ElemNullable)
	case schema.Map:
		if err = inside("key", typ.Key, false); err == nil {
			err = inside("value", typ.Elem, typ.ElemNullable)
		}
	}
	return t, err
}

// notNulls is the argument of column.Chunk.EndRow.
func notNulls(ts []target) []bool {
	b := make([]bool, len(ts))
	for i := range ts {
		b[i] = ts[i].notNull
	}
	return b
}

func (t *target) integer() bool { return t.layout == column.Int32 || t.layout == column.Int64 }

func (t *target) outOfRange(value string) string {
	return fmt.Sprintf("value %s is out of range for %s (%d to %d)", value, t.ddl, t.min, t.max)
}

func (t *target) tooLong(characters int) string {
	return fmt.Sprintf("text of %d characters is longer than %s", characters, t.ddl)
}
