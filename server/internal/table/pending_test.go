package table

import (
	"fmt"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// TestPending_NullsAreNotJoinedWithValues: a list of nulls takes no room, but would when another chunk's first value comes behind it.
// Nor are there ever more elements in a chunk than offsets can say, whatever they take.
func TestPending_NullsAreNotJoinedWithValues(t *testing.T) {
	elem := schema.Type{Kind: schema.StructKind}
	for i := range 300 {
		elem.Fields = append(elem.Fields, schema.Field{Name: fmt.Sprint("f", i), Type: schema.Type{Kind: schema.Decimal, Precision: 38}, Nullable: true})
	}
	shape := &schema.Struct{Fields: []schema.Field{{Name: "l", Type: schema.Type{Kind: schema.Array, Elem: &elem, ElemNullable: true}, Nullable: true}}}
	of := func(elements int, fill func(e *column.Vector)) *column.Chunk {
		c, err := column.NewChunk(shape)
		if err != nil {
			t.Fatal(err)
		}
		for range elements {
			fill(&c.Cols[0].Kids[0])
		}
		c.Cols[0].EndList()
		c.Rows = 1
		return c
	}
	null := func(e *column.Vector) { e.AppendNull() }
	value := func(e *column.Vector) {
		for i := range e.Kids {
			e.Kids[i].AppendDecimal(column.Decimal128{Lo: 1})
		}
		e.EndStruct()
	}
	if n := frame(of(0, null)); n < 302*256 {
		t.Errorf("the 302 vectors of a chunk count as %d bytes", n)
	}
	var p pending
	rows := 0
	for seq := range uint64(20) {
		c := of(3000, null)
		if seq%2 == 1 {
			c = of(1, value)
		}
		p.add(c, seq+1, 0, time.Time{})
		rows++
	}
	size, got := 0, 0
	for _, c := range p.chunks {
		size += c.Bytes()
		got += c.Rows
		if n := c.Cols[0].Kids[0].N; n > 30_000 {
			t.Errorf("a chunk has %d elements", n)
		}
	}
	if size > 1<<20 || got != rows {
		t.Errorf("%d rows take %d bytes", got, size)
	}
}

// TestPending_HoldsWhatItCounts: chunks that held large requests before do not stay as large when they come with small ones.
func TestPending_HoldsWhatItCounts(t *testing.T) {
	shape := &schema.Struct{Fields: []schema.Field{{Name: "b", Type: schema.Type{Kind: schema.Binary}, Nullable: true}}}
	for _, size := range []int{1, mergeBelow} { // copied together, and linked
		var p pending
		for seq := range uint64(100) {
			c, err := column.NewChunk(shape)
			if err != nil {
				t.Fatal(err)
			}
			c.Cols[0].AppendBytes(make([]byte, maxPooled))
			c.Reset()
			c.Cols[0].AppendBytes(make([]byte, size))
			c.EndWholeRow()
			p.add(c, seq+1, 0, time.Time{})
		}
		held, rows := 0, 0
		for _, c := range p.chunks {
			held += c.Held()
			rows += c.Rows
		}
		if most := looseMost*p.bytes + len(p.chunks)*looseFree; held > most || rows != 100 {
			t.Errorf("%d rows, %d bytes of values, and %d are held, expected %d at most", rows, p.bytes, held, most)
		}
	}
}

// BenchmarkPendingAdd is what a request of one record costs the log's goroutine, which is one for all tables: it looks at each column,
// whatever the record has.
func BenchmarkPendingAdd(b *testing.B) {
	for _, columns := range []int{10, 200, 2000} {
		b.Run(fmt.Sprintf("columns=%d", columns), func(b *testing.B) {
			shape := &schema.Struct{}
			for i := range columns {
				shape.Fields = append(shape.Fields, schema.Field{Name: fmt.Sprint("c", i), Type: schema.Type{Kind: schema.Long}, Nullable: true})
			}
			one := func() *column.Chunk {
				c, err := column.NewChunk(shape)
				if err != nil {
					b.Fatal(err)
				}
				c.Cols[0].AppendInt64(5)
				c.EndRow(make([]bool, columns))
				return c
			}
			c, p := one(), pending{}
			for b.Loop() {
				if p.rows == 10_000 {
					p = pending{}
				}
				if !p.add(c, 1, 0, time.Time{}) {
					c = one()
				}
			}
		})
	}
}

// TestRecycle_LetsLargeChunksGo: also one whose rows were taken back.
func TestRecycle_LetsLargeChunksGo(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := l.open(tName)
	c := ids(tab, 0, 2*maxPooled/8+1)
	c.Reset()
	tab.Recycle(c)
	for range 3 {
		if tab.Chunk() == c {
			t.Error("the chunk is kept")
		}
	}
	l.stop()
}
