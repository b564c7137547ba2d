package partition

import (
	"fmt"
	"math"
	"testing"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// TestSplit_NullsAreNotJoinedWithValues: a list of nulls takes no room, but would when another chunk's first value comes behind it.
func TestSplit_NullsAreNotJoinedWithValues(t *testing.T) {
	elem := schema.Type{Kind: schema.StructKind}
	for i := range 300 {
		elem.Fields = append(elem.Fields, schema.Field{Name: fmt.Sprint("f", i), Type: schema.Type{Kind: schema.Decimal, Precision: 38}, Nullable: true})
	}
	table := &schema.Struct{Fields: []schema.Field{
		{Name: "p", Type: schema.Type{Kind: schema.Integer}, Nullable: true},
		{Name: "l", Type: schema.Type{Kind: schema.Array, Elem: &elem, ElemNullable: true}, Nullable: true},
	}}
	scheme, err := New(table, []string{"p"})
	if err != nil {
		t.Fatal(err)
	}
	const nulls = 4_000
	var chunks []*column.Chunk
	for i := range 12 {
		c, err := column.NewChunk(table)
		if err != nil {
			t.Fatal(err)
		}
		e := &c.Cols[1].Kids[0]
		for p := range int32(2) { // of mixed partitions, so that rows are copied
			c.Cols[0].AppendInt32(p)
			if i%2 == 0 {
				for range nulls {
					e.AppendNull()
				}
			} else {
				for k := range e.Kids {
					e.Kids[k].AppendDecimal(column.Decimal128{Lo: uint64(i)})
				}
				e.EndStruct()
			}
			c.Cols[1].EndList()
			c.Rows++
		}
		chunks = append(chunks, c)
	}
	s := scheme.Split(chunks)
	files := 0
	for f, ok := s.Next(math.MaxInt); ok; f, ok = s.Next(math.MaxInt) {
		files++
		row, size := 0, 0
		for _, c := range f.Chunks {
			size += c.Bytes()
			for i := range c.Rows {
				from, to := c.Cols[0].Range(i)
				e := &c.Cols[0].Kids[0]
				switch {
				case row%2 == 0 && (to-from != nulls || e.IsValid(from) || e.IsValid(to-1)),
					row%2 == 1 && (to-from != 1 || e.Kids[299].Dec[from].Lo != uint64(row)):
					t.Fatalf("row %d is another", row)
				}
				row++
			}
		}
		if size > 1<<20 || row != 12 || f.Rows != 12 {
			t.Errorf("%d rows take %d bytes", row, size)
		}
	}
	if files != 2 {
		t.Errorf("%d files", files)
	}
}

// TestSplit_NullsAreOnePartition: those of a column that has nothing else, and those among values, of every type.
func TestSplit_NullsAreOnePartition(t *testing.T) {
	for _, typ := range anyType {
		table := &schema.Struct{Fields: []schema.Field{{Name: "p", Type: typ, Nullable: true}, {Name: "n", Type: schema.Type{Kind: schema.Long}, Nullable: true}}}
		scheme, err := New(table, []string{"p"})
		if err != nil {
			t.Fatal(err)
		}
		var chunks []*column.Chunk
		for i := range 2 {
			c, err := column.NewChunk(table)
			if err != nil {
				t.Fatal(err)
			}
			c.Cols[0].AppendNull()
			c.EndRow(make([]bool, 2))
			if i == 1 {
				fill(&c.Cols[0], 1)
				c.EndRow(make([]bool, 2))
			}
			chunks = append(chunks, c)
		}
		if n := scheme.Split(chunks).Partitions(); n != 2 {
			t.Errorf("%s: %d partitions, want 2", typ.DDL(), n)
		}
	}
}
