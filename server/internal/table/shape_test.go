package table

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/delta"
)

// cells reads a table as text, a row each, sorted.
func (h *house) cells(name catalog.Name) (rows []string) {
	h.t.Helper()
	info := catalog.Table{Name: name, Location: "main/default/" + name.Table}
	err := NewTables(h.lake, "test", time.Now).Head(h.t.Context(), info, 1<<30, func(v []any) error {
		rows = append(rows, fmt.Sprint(v...))
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	slices.Sort(rows)
	return rows
}

// put makes a row durable in a chunk of a shape: an id, and in every later column the text.
func (l *life) put(t *Table, s *Shape, id int64, text string) {
	l.t.Helper()
	c := s.Chunk()
	c.Cols[0].AppendInt64(id)
	for i := range c.Cols[1:] {
		c.Cols[i+1].AppendString(text)
	}
	c.EndRow(make([]bool, len(c.Cols)))
	done := make(chan error, 1)
	if err := t.Append(l.t.Context(), nil, c, func(err error) { done <- err }); err != nil {
		l.t.Fatal(err)
	}
	if err := <-done; err != nil {
		l.t.Fatal(err)
	}
}

// Columns that are added while a table is open are known to those who open it then; who has it open goes on without them. Rows of
// both come into one commit, and so they do after a crash.
func TestShape_ColumnsAddedToAnOpenTable(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := l.open(tName)
	old := tab.Shape()
	l.put(tab, old, 1, "")
	l.sql("ALTER TABLE main.default.t ADD COLUMN a STRING")
	if again := l.open(tName); again != tab || len(tab.Shape().Schema().Fields) != 2 {
		t.Fatalf("the table has the columns %+v", tab.Shape().Schema().Fields)
	}
	mid := tab.Shape()
	l.put(tab, old, 2, "")
	l.put(tab, mid, 3, "three")
	l.flush(tab)
	if got, want := h.cells(tName), []string{"1 <nil>", "2 <nil>", "3three"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}

	// Now with a crash before the commit: entries of three shapes are in the log.
	l.put(tab, old, 4, "")
	l.put(tab, mid, 5, "five")
	l.sql("ALTER TABLE main.default.t ADD COLUMN b STRING")
	l.open(tName)
	l.put(tab, tab.Shape(), 6, "six")
	l.put(tab, old, 7, "")
	l.crash()
	l = h.start(never)
	tab = l.open(tName)
	l.flush(tab)
	want := []string{"1 <nil> <nil>", "2 <nil> <nil>", "3three<nil>", "4 <nil> <nil>", "5five<nil>", "6sixsix", "7 <nil> <nil>"}
	if got := h.cells(tName); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	l.stop()
}

// What is not an extension is left alone: the table goes on as it was opened as long as its files fit.
func TestShape_Extends(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT, s STRUCT<a: INT>) ")
	tab := l.open(tName)
	before := tab.Shape()
	l.sql("ALTER TABLE main.default.t ALTER COLUMN id COMMENT 'x'")
	l.open(tName)
	if after := tab.Shape(); after == before || !after.extends(before) || !before.extends(after) {
		t.Error("a comment makes another shape, with the same columns")
	}
	c := before.Chunk()
	tab.Recycle(c)
	tab.Recycle(&column.Chunk{})
	l.stop()
}

func TestShape_OfATableWithoutColumns(t *testing.T) {
	snap := &delta.Snapshot{Metadata: delta.Metadata{SchemaString: `{"type":"struct","fields":[]}`}}
	if _, err := newShape(snap); !errors.Is(err, delta.ErrUnsupported) || !strings.Contains(err.Error(), "no columns") {
		t.Error(err)
	}
}
