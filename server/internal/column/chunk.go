package column

import (
	"fmt"

	"github.com/zerobus-go/zerobus/schema"
)

// Chunk is a number of rows of one table. Cols are in the order of the table's columns; each has Rows values.
type Chunk struct {
	Rows int
	Cols []Vector

	late int // bytes that columns took at their first value for the rows before it
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
		l, ok := LayoutOf(&table.Fields[i].Type)
		if !ok {
			return nil, fmt.Errorf("column %s: type %s cannot be stored yet", table.Fields[i].Name, table.Fields[i].Type)
		}
		c.Cols[i].Layout = l
	}
	return c, nil
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
		c.late = 0
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
		if l, ok := LayoutOf(&table.Fields[i].Type); !ok || l != c.Cols[i].Layout {
			return fmt.Errorf("column %s has type %s, the chunk holds %s", table.Fields[i].Name, table.Fields[i].Type, c.Cols[i].Layout)
		}
	}
	return nil
}

// Widen adds columns of nulls at the end until the chunk has all columns of the table.
func (c *Chunk) Widen(table *schema.Struct) {
	for i := len(c.Cols); i < len(table.Fields); i++ {
		l, _ := LayoutOf(&table.Fields[i].Type)
		c.Cols = append(c.Cols, Vector{Layout: l, N: c.Rows, Nulls: c.Rows})
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
