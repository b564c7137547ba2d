package column

import (
	"fmt"

	"github.com/zerobus-go/zerobus/schema"
)

// Chunk is a number of rows of one table. Cols are in the order of the table's columns; each has Rows values.
type Chunk struct {
	Rows int
	Cols []Vector

	late   int // bytes that columns took at their first value for the rows before it
	nested int // values of structs that are elements of lists and maps
	leaves int // columns, those inside of others included
}

// maxLate bounds Chunk.late. A request whose columns begin late costs a few bytes a row on the wire and whole columns here,
// all of them in one record if the sender wants it so.
const maxLate = 64 << 20

// Begin tells whether a column of nulls may get its first value: false when what that costs, over all columns, is too much.
func (c *Chunk) Begin(v *Vector) bool {
	c.late += v.N * v.Layout.width()
	return c.late <= maxLate
}

// NewChunk makes an empty chunk for a table. It fails on a column whose type has no layout here.
func NewChunk(table *schema.Struct) (*Chunk, error) {
	c := &Chunk{Cols: make([]Vector, len(table.Fields))}
	for i := range table.Fields {
		v, err := NewVector(&table.Fields[i].Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", table.Fields[i].Name, err)
		}
		c.Cols[i] = v
		c.leaves += v.leaves()
	}
	return c, nil
}

// Leaves is the number of columns, those inside of others included.
func (c *Chunk) Leaves() int { return max(c.leaves, len(c.Cols)) }

// MaxCells bounds values times columns: an empty record or struct takes two bytes on the wire and a look at each column.
const MaxCells = 1 << 29

// MaxNested bounds the cells inside of lists and maps. One of two bytes on the wire can be a struct of thousands of fields.
const MaxNested = 1 << 27

// Nest counts an element of a list or map that fills so many vectors: false when the chunk has had too many of them.
func (c *Chunk) Nest(vectors int) bool {
	c.nested += vectors
	return c.nested <= MaxNested
}

// Reset empties the chunk and keeps its memory.
func (c *Chunk) Reset() { c.Truncate(0) }

// Truncate drops the rows from n on, also those that only some columns have got: it undoes a row that was begun.
func (c *Chunk) Truncate(n int) {
	for i := range c.Cols {
		c.Cols[i].Truncate(n)
	}
	c.Rows = min(c.Rows, n)
	if n == 0 {
		c.late, c.nested = 0, 0
	}
}

// EndRow completes the current row: columns that got no value get a null. It returns the index of the first column that got
// a null and for which notNull is set, or -1; then the row is incomplete and the caller truncates it.
func (c *Chunk) EndRow(notNull []bool) int {
	n := c.Rows + 1
	for i := range c.Cols {
		v := &c.Cols[i]
		if v.N == n && (v.Nulls == 0 || !notNull[i] || v.IsValid(n-1)) {
			continue
		}
		if notNull[i] {
			return i
		}
		if v.N < n {
			v.AppendNull()
		}
	}
	c.Rows = n
	return -1
}

// EndWholeRow is EndRow, without the look at each column, when the caller knows that all of them have got a value, and none a
// null that it may not have.
func (c *Chunk) EndWholeRow() { c.Rows++ }

// AppendChunk adds the rows of o, which has the same layouts; columns that o lacks at the end get nulls.
func (c *Chunk) AppendChunk(o *Chunk) {
	for i := range c.Cols {
		if i < len(o.Cols) {
			c.Cols[i].appendVector(&o.Cols[i])
			continue
		}
		c.Cols[i].appendNulls(o.Rows)
	}
	c.Rows += o.Rows
}

// Compatible reports whether the chunk can be read as rows of a table with these layouts: the same ones, or a beginning of
// them, since columns are only ever added at the end.
func (c *Chunk) Compatible(table *schema.Struct) error {
	if len(c.Cols) > len(table.Fields) {
		return fmt.Errorf("the chunk has %d columns, the table %d", len(c.Cols), len(table.Fields))
	}
	for i := range c.Cols {
		if !c.Cols[i].fits(&table.Fields[i].Type) {
			return fmt.Errorf("column %s has type %s, the chunk holds %s", table.Fields[i].Name, table.Fields[i].Type, c.Cols[i].describe())
		}
	}
	return nil
}

// fits reports whether the vector holds values of a type, or of its first fields.
func (v *Vector) fits(t *schema.Type) bool {
	if l, ok := LayoutOf(t); !ok || l != v.Layout {
		return false
	}
	switch t.Kind {
	case schema.StructKind:
		if len(v.Kids) == 0 || len(v.Kids) > len(t.Fields) {
			return false
		}
		for i := range v.Kids {
			if !v.Kids[i].fits(&t.Fields[i].Type) {
				return false
			}
		}
		return true
	case schema.Variant:
		return len(v.Kids) == variantKids && v.Kids[0].Layout == Bytes && v.Kids[1].Layout == Bytes
	case schema.Array:
		return v.Kids[0].fits(t.Elem)
	case schema.Map:
		return v.Kids[0].fits(t.Key) && v.Kids[1].fits(t.Elem)
	}
	return true
}

// describe is the layout with those inside, for errors.
func (v *Vector) describe() string {
	s := v.Layout.String()
	for i := range v.Kids {
		s += pick(i == 0, "<", ", ") + v.Kids[i].describe()
		if len(s) > 200 {
			return s + "…"
		}
	}
	return s + pick(len(v.Kids) > 0, ">", "")
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// Widen adds columns of nulls at the end until the chunk, which is compatible, has all columns of the table, and so inside of
// structs.
func (c *Chunk) Widen(table *schema.Struct) {
	c.Cols = widen(c.Cols, table.Fields, c.Rows)
	c.leaves = 0
	for i := range c.Cols {
		c.leaves += c.Cols[i].leaves()
	}
}

// widen gives the columns or fields of n values their types' missing ones.
func widen(cols []Vector, fields []schema.Field, n int) []Vector {
	for i := range cols {
		cols[i].widen(&fields[i].Type)
	}
	for i := len(cols); i < len(fields); i++ {
		v, _ := NewVector(&fields[i].Type) // it can be stored: the table was opened
		v.appendNulls(n)
		cols = append(cols, v)
	}
	return cols
}

func (v *Vector) widen(t *schema.Type) {
	switch t.Kind {
	case schema.StructKind:
		v.Kids = widen(v.Kids, t.Fields, v.N)
	case schema.Array:
		v.Kids[0].widen(t.Elem)
	case schema.Map:
		v.Kids[0].widen(t.Key)
		v.Kids[1].widen(t.Elem)
	}
}

// Bytes is the size of the values in memory, the measure for limits and for when a file is full.
func (c *Chunk) Bytes() int {
	n := 0
	for i := range c.Cols {
		n += c.Cols[i].bytes()
	}
	return n
}
