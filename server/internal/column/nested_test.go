package column

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
)

// Values of nested columns as anyone would write them: a struct is []any, a list list, a map pairs.
type (
	list  []any
	pairs [][2]any
)

// anyType draws a type of up to so many levels.
func anyType(t *rapid.T, levels int) schema.Type {
	kinds := []schema.Kind{schema.Boolean, schema.Integer, schema.Long, schema.Float, schema.Double, schema.String, schema.Decimal, schema.Variant}
	if levels > 0 {
		kinds = append(kinds, schema.StructKind, schema.Array, schema.Map, schema.StructKind, schema.Array, schema.Map)
	}
	typ := schema.Type{Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Precision: 38}
	switch typ.Kind {
	case schema.StructKind:
		for i := range rapid.IntRange(1, 3).Draw(t, "fields") {
			typ.Fields = append(typ.Fields, schema.Field{Name: fmt.Sprint("f", i), Type: anyType(t, levels-1), Nullable: true})
		}
	case schema.Array:
		elem := anyType(t, levels-1)
		typ.Elem = &elem
	case schema.Map:
		key, elem := anyType(t, 0), anyType(t, levels-1)
		typ.Key, typ.Elem = &key, &elem
	}
	return typ
}

// anyValue draws a value of a type, or null.
func anyValue(t *rapid.T, typ *schema.Type, nullable bool) any {
	if nullable && rapid.IntRange(0, 3).Draw(t, "null") == 0 {
		return nil
	}
	switch typ.Kind {
	case schema.Boolean:
		return rapid.Bool().Draw(t, "bool")
	case schema.Integer:
		return rapid.Int32Range(-3, 3).Draw(t, "int")
	case schema.Long:
		return rapid.Int64Range(-3, 3).Draw(t, "long")
	case schema.Float:
		return rapid.Float32Range(-2, 2).Draw(t, "float")
	case schema.Double:
		return rapid.Float64Range(-2, 2).Draw(t, "double")
	case schema.String:
		return rapid.StringN(0, 4, -1).Draw(t, "text")
	case schema.Decimal:
		return Decimal128{uint64(rapid.IntRange(0, 3).Draw(t, "decimal")), 0}
	case schema.Variant:
		return []any{rapid.StringN(0, 2, -1).Draw(t, "metadata"), rapid.StringN(0, 2, -1).Draw(t, "value")}
	case schema.StructKind:
		fields := make([]any, len(typ.Fields))
		for i := range fields {
			fields[i] = anyValue(t, &typ.Fields[i].Type, true)
		}
		return fields
	case schema.Array:
		l := list{}
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			l = append(l, anyValue(t, typ.Elem, true))
		}
		return l
	}
	m := pairs{}
	for range rapid.IntRange(0, 3).Draw(t, "entries") {
		m = append(m, [2]any{anyValue(t, typ.Key, false), anyValue(t, typ.Elem, true)})
	}
	return m
}

// appendAny adds a value to a vector; half says that the outermost one is not completed.
func appendAny(v *Vector, x any, half bool) {
	switch x := x.(type) {
	case []any:
		for i := range x {
			appendAny(&v.Kids[i], x[i], half && i == len(x)-1)
		}
		if !half {
			v.EndStruct()
		}
	case list:
		for i := range x {
			appendAny(&v.Kids[0], x[i], half && i == len(x)-1)
		}
		if !half {
			v.EndList()
		}
	case pairs:
		for i := range x {
			appendAny(&v.Kids[0], x[i][0], false)
			appendAny(&v.Kids[1], x[i][1], half && i == len(x)-1)
		}
		if !half {
			v.EndList()
		}
	default:
		appendCell(v, x)
	}
}

// anyAt is value i of a vector of a type.
func anyAt(v *Vector, typ *schema.Type, i int) any {
	if !v.IsValid(i) {
		return nil
	}
	switch typ.Kind {
	case schema.Boolean:
		return v.Bits.Get(i)
	case schema.Integer:
		return v.I32[i]
	case schema.Long:
		return v.I64[i]
	case schema.Float:
		return v.F32[i]
	case schema.Double:
		return v.F64[i]
	case schema.String:
		return string(v.BytesAt(i))
	case schema.Decimal:
		return v.Dec[i]
	case schema.Variant:
		return []any{string(v.Kids[VariantMetadata].BytesAt(i)), string(v.Kids[VariantValue].BytesAt(i))}
	case schema.StructKind:
		fields := make([]any, len(typ.Fields))
		for k := range fields {
			fields[k] = anyAt(&v.Kids[k], &typ.Fields[k].Type, i)
		}
		return fields
	}
	from, to := v.Range(i)
	if typ.Kind == schema.Array {
		l := list{}
		for e := from; e < to; e++ {
			l = append(l, anyAt(&v.Kids[0], typ.Elem, e))
		}
		return l
	}
	m := pairs{}
	for e := from; e < to; e++ {
		m = append(m, [2]any{anyAt(&v.Kids[0], typ.Key, e), anyAt(&v.Kids[1], typ.Elem, e)})
	}
	return m
}

func anyTable(t *rapid.T) *schema.Struct {
	s := &schema.Struct{}
	for i := range rapid.IntRange(1, 3).Draw(t, "columns") {
		s.Fields = append(s.Fields, schema.Field{Name: fmt.Sprint("c", i), Type: anyType(t, 3), Nullable: true})
	}
	return s
}

// fillNested draws rows, some of which are begun and taken back, and adds them.
func fillNested(t *rapid.T, c *Chunk, table *schema.Struct) (rows [][]any) {
	for range rapid.IntRange(0, 6).Draw(t, "rows") {
		row := make([]any, len(table.Fields))
		for i := range row {
			row[i] = anyValue(t, &table.Fields[i].Type, true)
		}
		if rapid.IntRange(0, 3).Draw(t, "undo") == 0 {
			n := rapid.IntRange(0, len(row)).Draw(t, "columns of it")
			for i := range row[:n] {
				appendAny(&c.Cols[i], row[i], i == n-1)
			}
			c.Truncate(c.Rows)
			continue
		}
		for i := range row {
			if row[i] != nil || rapid.Bool().Draw(t, "say null") {
				appendAny(&c.Cols[i], row[i], false)
			}
		}
		c.EndRow(make([]bool, len(row)))
		rows = append(rows, row)
	}
	return rows
}

// checkNested compares a chunk with the rows that it must have, and looks at what holds for every vector.
func checkNested(t rapid.TB, c *Chunk, table *schema.Struct, rows [][]any) {
	t.Helper()
	if c.Rows != len(rows) {
		t.Fatalf("%d rows, want %d", c.Rows, len(rows))
	}
	for k := range c.Cols {
		checkVector(t, &c.Cols[k])
		for i := range rows {
			if got := anyAt(&c.Cols[k], &table.Fields[k].Type, i); !reflect.DeepEqual(got, rows[i][k]) {
				t.Fatalf("row %d of column %d %s: got %#v, want %#v", i, k, table.Fields[k].Type, got, rows[i][k])
			}
		}
	}
	if err := c.Compatible(table); err != nil {
		t.Fatal(err)
	}
}

func nestedChunk(t *rapid.T) (*Chunk, *schema.Struct) {
	table := anyTable(t)
	c := newChunk(t, table)
	fillNested(t, c, table)
	return c, table
}

// TestNested: rows of nested columns that are added, taken back, joined, cut and kept as bytes stay what they are.
func TestNested(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := anyTable(t)
		c, o := newChunk(t, table), newChunk(t, table)
		rows := fillNested(t, c, table)
		checkNested(t, c, table, rows)

		others := fillNested(t, o, table)
		c.AppendChunk(o)
		rows = append(rows, others...)
		checkNested(t, c, table, rows)

		again, err := Decode(c.AppendBinary(nil))
		if err != nil {
			t.Fatal(err)
		}
		checkNested(t, again, table, rows)

		n := rapid.IntRange(0, len(rows)).Draw(t, "cut")
		rows = rows[:n:n]
		for _, c := range []*Chunk{c, again} {
			c.Truncate(n)
			checkNested(t, c, table, rows)
		}
		more := fillNested(t, c, table)
		checkNested(t, c, table, append(rows, more...))
	})
}

// TestNested_Widen: columns and fields of structs that come later are null in older chunks.
func TestNested_Widen(t *testing.T) {
	long := schema.Type{Kind: schema.Long}
	of := func(fields ...string) schema.Type {
		typ := schema.Type{Kind: schema.StructKind}
		for _, f := range fields {
			typ.Fields = append(typ.Fields, schema.Field{Name: f, Type: long, Nullable: true})
		}
		return typ
	}
	narrow, wide := of("a"), of("a", "b")
	table := func(s *schema.Type, columns int) *schema.Struct {
		return &schema.Struct{Fields: []schema.Field{
			{Name: "s", Type: *s, Nullable: true},
			{Name: "l", Type: schema.Type{Kind: schema.Array, Elem: s}, Nullable: true},
			{Name: "m", Type: schema.Type{Kind: schema.Map, Key: &long, Elem: s}, Nullable: true},
			{Name: "late", Type: wide, Nullable: true},
		}[:columns]}
	}
	old, now := table(&narrow, 3), table(&wide, 4)
	c := newChunk(t, old)
	one := []any{int64(1)}
	for i, x := range []any{one, list{one, nil}, pairs{{int64(7), one}, {int64(8), nil}}} {
		appendAny(&c.Cols[i], x, false)
	}
	c.EndRow(make([]bool, 3))
	c.EndRow(make([]bool, 3))
	if err := c.Compatible(now); err != nil {
		t.Fatal(err)
	}
	two := []any{int64(1), nil}
	want := [][]any{{two, list{two, nil}, pairs{{int64(7), two}, {int64(8), nil}}, nil}, {nil, nil, nil, nil}}
	joined := newChunk(t, now)
	joined.AppendChunk(c)
	checkNested(t, joined, now, want)
	c.Widen(now)
	checkNested(t, c, now, want)
	if n := c.Leaves(); n != 3+4+5+3 {
		t.Errorf("%d leaves", n)
	}
	if err := c.Compatible(old); err == nil {
		t.Error("four columns are compatible with three")
	}
	if err := joined.Compatible(&schema.Struct{Fields: append(append([]schema.Field(nil), old.Fields...), schema.Field{Name: "late", Type: long})}); err == nil ||
		err.Error() != "column s has type struct<a:bigint>, the chunk holds struct<int64, int64>" {
		t.Error(err)
	}
}
