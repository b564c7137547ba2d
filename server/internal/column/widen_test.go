package column

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
)

// older draws the type as it was before the last fields of its structs were added.
func older(t *rapid.T, typ *schema.Type) *schema.Type {
	if typ == nil {
		return nil
	}
	old := *typ
	old.Key, old.Elem, old.Fields = older(t, typ.Key), older(t, typ.Elem), nil
	if len(typ.Fields) > 0 {
		for _, f := range typ.Fields[:rapid.IntRange(1, len(typ.Fields)).Draw(t, "fields then")] {
			f.Type = *older(t, &f.Type)
			old.Fields = append(old.Fields, f)
		}
	}
	return &old
}

// TestWiden_IsLikeJoining: rows of before are the same, whether their chunk is widened or joined with one of now, and whatever comes
// and goes behind them.
func TestWiden_IsLikeJoining(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := anyTable(t)
		before := &schema.Struct{Fields: older(t, &schema.Type{Kind: schema.StructKind, Fields: table.Fields}).Fields}
		c, joined := newChunk(t, before), newChunk(t, table)
		fillNested(t, c, before)
		if err := c.Compatible(table); err != nil {
			t.Fatal(err)
		}
		joined.AppendChunk(c)
		logged := c.copy()
		for _, c := range []*Chunk{c, logged} {
			c.Widen(table)
			same(t, c, joined)
			if c.Leaves() != joined.Leaves() {
				t.Fatalf("%d leaves, want %d", c.Leaves(), joined.Leaves())
			}
		}
		fillNested(t, c, table)
		for i := range c.Cols {
			checkVector(t, &c.Cols[i])
		}
		c.Truncate(joined.Rows)
		same(t, c, joined)
	})
}
