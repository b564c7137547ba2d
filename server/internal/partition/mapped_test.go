package partition

import (
	"slices"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// Delta PROTOCOL.md, "Writer Requirements for Column Mapping": partition values are by physical names, and no file is in a directory of
// its partition.
func TestNewMapped(t *testing.T) {
	of := func(names ...string) *schema.Struct {
		s := &schema.Struct{}
		for _, n := range names {
			s.Fields = append(s.Fields, schema.Field{Name: n, Type: schema.Type{Kind: schema.String}, Nullable: true})
		}
		return s
	}
	table, stored := of("id", "day", "place"), of("col-1", "col-2", "col-3")
	s, err := NewMapped(table, stored, []string{"place", "day"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := column.NewChunk(table)
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Cols {
		c.Cols[i].AppendString([]string{"x", "monday", "north"}[i])
	}
	c.EndRow(make([]bool, 3))
	f, ok := s.Split([]*column.Chunk{c}).Next(1 << 20)
	if !ok || f.Dir != "" || len(f.Values) != 2 || *f.Values["col-2"] != "monday" || *f.Values["col-3"] != "north" {
		t.Errorf("got %+v", f)
	}
	if got := s.Columns(); !slices.Equal(got, []string{"col-3", "col-2"}) {
		t.Errorf("the values are of %q", got)
	}
	if got := s.Files().Fields; len(got) != 1 || got[0].Name != "col-1" {
		t.Errorf("files have %+v", got)
	}
	if got := s.Shown().Fields; len(got) != 1 || got[0].Name != "id" {
		t.Errorf("files show %+v", got)
	}
	keys, err := s.Parse(f.Values)
	if err != nil || !slices.Equal(s.Row(keys, []any{"x"}), []any{"x", "monday", "north"}) {
		t.Errorf("got %v, %v", keys, err)
	}
	delete(f.Values, "col-2")
	if _, err := s.Parse(f.Values); err == nil || !strings.Contains(err.Error(), "partition column day") {
		t.Errorf("error %v, want one that names the column as the table does", err)
	}
	if _, err := NewMapped(table, stored, []string{"col-2"}); err == nil {
		t.Error("the table has no column of a physical name")
	}
}
