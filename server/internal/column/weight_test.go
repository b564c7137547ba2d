package column

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
)

// TestWeightWith_IsWhatJoiningTakes compares it with the bytes of the joined chunk, which may lack columns and fields.
func TestWeightWith_IsWhatJoiningTakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, table := nestedChunk(t)
		older := &schema.Struct{Fields: table.Fields[:rapid.IntRange(1, len(table.Fields)).Draw(t, "columns")]}
		if s := older.Fields[0].Type; s.Kind == schema.StructKind && rapid.Bool().Draw(t, "fewer fields") {
			s.Fields = s.Fields[:1]
			older = &schema.Struct{Fields: []schema.Field{{Name: "c0", Type: s, Nullable: true}}}
		}
		o := newChunk(t, older)
		fillNested(t, o, older)
		weight, values := c.WeightWith(o), 0
		c.AppendChunk(o)
		if n := c.Bytes(); weight < n {
			t.Fatalf("the weight is %d, the joined chunk has %d bytes", weight, n)
		}
		for i := range c.Cols {
			values += valuesIn(&c.Cols[i])
		}
		if most := c.Bytes() + 6*values; weight > most {
			t.Fatalf("the weight is %d, the joined chunk has %d bytes and %d values", weight, c.Bytes(), values)
		}
	})
}

// valuesIn counts the values in a vector and those inside.
func valuesIn(v *Vector) int {
	n := 1 + v.N
	for i := range v.Kids {
		n += valuesIn(&v.Kids[i])
	}
	return n
}

// TestWeightWith_OfNulls: two chunks of few bytes make one of many.
func TestWeightWith_OfNulls(t *testing.T) {
	elem := schema.Type{Kind: schema.StructKind}
	for i := range 100 {
		elem.Fields = append(elem.Fields, schema.Field{Name: fmt.Sprint("f", i), Type: schema.Type{Kind: schema.Decimal, Precision: 38}, Nullable: true})
	}
	table := &schema.Struct{Fields: []schema.Field{{Name: "l", Type: schema.Type{Kind: schema.Array, Elem: &elem}, Nullable: true}}}
	const elements = 1000
	c, o := newChunk(t, table), newChunk(t, table)
	for range elements {
		c.Cols[0].Kids[0].AppendNull()
	}
	c.Cols[0].EndList()
	c.Rows = 1
	e := &o.Cols[0].Kids[0]
	for i := range e.Kids {
		e.Kids[i].AppendDecimal(Decimal128{Lo: 1})
	}
	e.EndStruct()
	o.Cols[0].EndList()
	o.Rows = 1
	if n := c.Bytes() + o.Bytes(); n > 2000 {
		t.Fatalf("the chunks have %d bytes", n)
	}
	if w := c.WeightWith(o); w < elements*100*16 {
		t.Errorf("the weight is %d", w)
	}
	if w, least := c.WeightWith(newChunk(t, table)), elements*101/8; w < least || w > 2*least {
		t.Errorf("nulls alone weigh %d, expected %d", w, least)
	}
}

// TestHeld: what was taken back takes memory all the same.
func TestHeld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, _ := nestedChunk(t)
		held := c.Held()
		if n := c.Bytes(); held < n {
			t.Fatalf("%d bytes are held, the values take %d", held, n)
		}
		c.Reset()
		if c.Bytes() != 0 || c.Held() != held {
			t.Fatalf("%d bytes are held, expected %d", c.Held(), held)
		}
	})
}

// TestClone: the copy has the rows, whatever becomes of the chunk, and not the memory of those that were taken back.
func TestClone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := anyTable(t)
		c := newChunk(t, table)
		rows := fillNested(t, c, table)
		o := c.Clone()
		if o.Leaves() != c.Leaves() {
			t.Fatalf("the copy has %d columns, expected %d", o.Leaves(), c.Leaves())
		}
		c.Reset()
		fillNested(t, c, table)
		checkNested(t, o, table, rows)
	})
	c := newChunk(t, &schema.Struct{Fields: []schema.Field{{Name: "b", Type: schema.Type{Kind: schema.Binary}, Nullable: true}}})
	c.Cols[0].AppendBytes(make([]byte, 1<<20))
	c.Reset()
	c.Cols[0].AppendBytes([]byte("x"))
	c.EndWholeRow()
	if n := c.Clone().Held(); n > 100 {
		t.Errorf("the copy of one byte holds %d", n)
	}
}
