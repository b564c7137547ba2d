package decode

import (
	"errors"
	"fmt"
	"math"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// target is what a column takes, whatever the encoding of the record.
type target struct {
	name    string
	kind    schema.Kind
	layout  column.Layout
	notNull bool
	ddl     string // the type, for messages
	wanted  string // the advice for a field that does not fit

	min, max         int64 // of the integer layouts
	length           int   // of text: characters, 0 for any number
	precision, scale int   // of DECIMAL
}

// targets compiles the columns of a table. It fails where column.NewChunk does.
func targets(table *schema.Struct) ([]target, error) {
	if len(table.Fields) == 0 {
		return nil, errors.New("the table has no columns")
	}
	ts := make([]target, len(table.Fields))
	for i := range table.Fields {
		f := &table.Fields[i]
		layout, ok := column.LayoutOf(&f.Type)
		if !ok {
			return nil, fmt.Errorf("column %s: type %s cannot be stored yet", f.Name, f.Type)
		}
		t := target{
			name: f.Name, kind: f.Type.Kind, layout: layout, notNull: !f.Nullable, ddl: f.Type.DDL(), wanted: "make it " + f.Type.ProtoType(),
			length: f.Type.Length, precision: f.Type.Precision, scale: f.Type.Scale,
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
		ts[i] = t
	}
	return ts, nil
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
