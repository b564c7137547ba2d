package table

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// append makes a chunk durable.
func (l *life) append(t *Table, c *column.Chunk) {
	l.t.Helper()
	done := make(chan error, 1)
	if err := t.Append(l.t.Context(), nil, c, func(err error) { done <- err }); err != nil {
		l.t.Fatal(err)
	}
	if err := <-done; err != nil {
		l.t.Fatal(err)
	}
}

// refused checks that a table takes no streams and says why.
func (l *life) refused(name catalog.Name, why string) {
	l.t.Helper()
	if _, err := l.set.Open(l.t.Context(), name); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), why) {
		l.t.Errorf("error %v, want one about %q", err, why)
	}
}

// A column that another writer makes NOT NULL may have nulls in the log already. The table is refused when a stream is opened, and so
// it is after a crash; the rows are in the table when the column takes nulls again.
func TestColumnChange_NotNullAdded(t *testing.T) {
	for name, columns := range map[string]string{
		"a column":           "(id BIGINT, a STRING)",
		"a partition column": "(id BIGINT, a STRING) PARTITIONED BY (a)",
		"a field":            "(id BIGINT, a STRUCT<x: STRING>)",
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			l := h.start(never)
			l.sql("CREATE TABLE main.default.t " + columns)
			tab := l.open(tName)
			notNull := func(is bool) {
				h.alterAs(tName, func(s *schema.Struct, _ *delta.Metadata) {
					if f := &s.Fields[1]; f.Type.Kind == schema.StructKind {
						f.Type.Fields[0].Nullable = !is
					} else {
						f.Nullable = !is
					}
				})
			}
			row := func(id int64) {
				c := tab.Chunk()
				c.Cols[0].AppendInt64(id)
				if v := &c.Cols[1]; v.Layout == column.Struct {
					v.Kids[0].AppendNull()
					v.EndStruct()
				}
				c.EndRow(make([]bool, 2))
				l.append(tab, c)
			}
			row(1)
			notNull(true)
			l.refused(tName, "may no longer be null")
			if err := tab.Flush(t.Context()); !errors.Is(err, ErrBroken) {
				t.Errorf("error %v", err)
			}
			l.crash()

			l = h.start(never)
			if tab, err := l.set.Open(t.Context(), tName); err == nil {
				_ = tab.Flush(t.Context()) // what is inside of a column is looked at when it is written
			}
			l.refused(tName, "is NOT NULL")
			l.crash()
			if got := h.cells(tName); len(got) > 0 {
				t.Errorf("rows %q", got)
			}

			notNull(false)
			l = h.start(never)
			tab = l.open(tName)
			row(2)
			l.flush(tab)
			if got := h.cells(tName); len(got) != 2 {
				t.Errorf("rows %q", got)
			}
			l.stop()
		})
	}
}

// A column of which another writer has changed the type takes no rows from the moment at which that is seen: they would never be in
// the table.
func TestColumnChange_TypeOfAnIdleTable(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT, a STRING)")
	l.open(tName)
	h.alterAs(tName, func(s *schema.Struct, _ *delta.Metadata) { s.Fields[1].Type = schema.Type{Kind: schema.Integer} })
	l.refused(tName, "type of column a was string, is integer")
	l.crash()
	l = h.start(never)
	l.open(tName)
	l.stop()
}

// Fields inside of a column that are dropped, moved or added among others find their places after a crash, like columns.
func TestColumnChange_FieldsInsideWithRowsInTheLog(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT, s STRUCT<x: STRING, y: STRING>, l ARRAY<STRUCT<x: STRING, y: STRING>>) " +
		"TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
	tab := l.open(tName)
	pair := func(v *column.Vector, x, y string) {
		v.Kids[0].AppendString(x)
		v.Kids[1].AppendString(y)
		v.EndStruct()
	}
	c := tab.Chunk()
	c.Cols[0].AppendInt64(1)
	pair(&c.Cols[1], "a", "b")
	pair(&c.Cols[2].Kids[0], "c", "d")
	pair(&c.Cols[2].Kids[0], "e", "f")
	c.Cols[2].EndList()
	c.EndRow(make([]bool, 3))
	c.Cols[0].AppendInt64(2)
	c.Cols[1].AppendNull()
	c.EndRow(make([]bool, 3))
	l.append(tab, c)
	h.alterAs(tName, func(s *schema.Struct, m *delta.Metadata) {
		added := []schema.Field{{Name: "x", Type: schema.Type{Kind: schema.Long}, Nullable: true}}
		last := mapColumns(added, lastColumnID(m, s), false)
		setLastID(m, last)
		in := s.Fields[1].Type.Fields
		s.Fields[1].Type.Fields = []schema.Field{added[0], in[1]} // x was dropped, and made anew with another type
		slices.Reverse(s.Fields[2].Type.Elem.Fields)
	})
	l.crash()
	l = h.start(never)
	tab = l.open(tName)
	l.flush(tab)
	if got, want := h.cells(tName), []string{"1 [{x <nil>} {y b}] [[{y d} {x c}] [{y f} {x e}]]", "2 <nil> <nil>"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	l.stop()
}

// The length of a text is no type in files: a column that was given another one is the same after a crash.
func TestColumnChange_LengthOfTextsWithRowsInTheLog(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT, a VARCHAR(5))")
	tab := l.open(tName)
	l.put(tab, tab.Shape(), 1, "one")
	h.alterAs(tName, func(s *schema.Struct, _ *delta.Metadata) {
		s.Fields[1] = schema.Field{Name: "a", Type: schema.Type{Kind: schema.String, Length: 9}, Nullable: true}
	})
	l.crash()
	l = h.start(never)
	tab = l.open(tName)
	l.flush(tab)
	if got, want := h.cells(tName), []string{"1one"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	l.stop()
}

// A column that was dropped and made anew is another one in files. Who opens a stream then means the new one: its values would be where
// nobody looks for them, or, when a renamed one has the name, in the wrong column. Open streams go on.
func TestColumnChange_NameOfAnotherColumn(t *testing.T) {
	for name, change := range map[string]func(s *schema.Struct, m *delta.Metadata){
		"made anew": func(s *schema.Struct, m *delta.Metadata) {
			s.Fields = append(slices.Delete(s.Fields, 1, 2), schema.Field{Name: "a", Type: schema.Type{Kind: schema.String}, Nullable: true})
			setLastID(m, mapColumns(s.Fields[2:], lastColumnID(m, s), false))
		},
		"of a renamed one": func(s *schema.Struct, _ *delta.Metadata) {
			s.Fields = slices.Delete(s.Fields, 1, 2)
			s.Fields[1].Name = "a"
		},
		"inside": func(s *schema.Struct, m *delta.Metadata) {
			in := s.Fields[3].Type.Elem.Elem
			in.Fields[0] = schema.Field{Name: "x", Type: schema.Type{Kind: schema.String}, Nullable: true}
			setLastID(m, mapColumns(in.Fields[:1], lastColumnID(m, s), false))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			l := h.start(never)
			l.sql("CREATE TABLE main.default.t (id BIGINT, a STRING, b STRING, m MAP<STRING, ARRAY<STRUCT<x: STRING, y: INT>>>) " +
				"TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
			tab := l.open(tName)
			row := func(id int64) {
				c := tab.Chunk()
				c.Cols[0].AppendInt64(id)
				c.EndRow(make([]bool, 4))
				l.append(tab, c)
			}
			row(1)
			h.alterAs(tName, change)
			l.refused(tName, "another one has its name")
			row(2)
			l.flush(tab)
			l.refused(tName, "another one has its name")
			row(3)
			l.crash()
			l = h.start(never)
			tab = l.open(tName)
			l.flush(tab)
			if got := h.idsOf(tName); !slices.Equal(got, []int64{1, 2, 3}) {
				t.Errorf("rows %d", got)
			}
			l.stop()
		})
	}
}

// The Delta log is read once for columns of earlier versions, however many entries were written for them.
func TestColumnChange_TheLogIsReadOnce(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT, a STRING, b STRING) TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
	tab := l.open(tName)
	for i := range int64(20) {
		l.put(tab, tab.Shape(), i, "x")
	}
	h.alterAs(tName, func(s *schema.Struct, _ *delta.Metadata) { s.Fields = slices.Delete(s.Fields, 1, 2) })
	l.crash()
	reads := 0
	h.store = lake.Faulty(h.lake, func(op lake.Op) (before, after error) {
		if strings.HasSuffix(op.Path, fmt.Sprintf("_delta_log/%020d.json", 0)) {
			reads++
		}
		return nil, nil
	})
	l = h.start(never)
	l.flush(l.open(tName))
	if got := h.cells(tName); len(got) != 20 {
		t.Errorf("%d rows", len(got))
	}
	if reads > 3 {
		t.Errorf("version 0 was read %d times", reads)
	}
	l.stop()
}

// An open table that others write to, and clean the log of, goes on from their checkpoint.
func TestColumnChange_LogCleanedByOthers(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := l.open(tName)
	l.commits(tab, 0, 2)
	l.durable(tab, 2, 1)
	for range 3 {
		h.alterAs(tName, func(_ *schema.Struct, m *delta.Metadata) { m.Description += "x" })
	}
	d, err := NewTables(h.lake, "another", time.Now).Delta(t.Context(), catalog.Table{Name: tName, Location: "main/default/t"})
	if err == nil {
		_, err = d.Checkpoint(t.Context())
	}
	for v := range d.Snapshot().Version {
		err = errors.Join(err, h.lake.Delete(t.Context(), fmt.Sprintf("main/default/t/_delta_log/%020d.json", v)))
	}
	if err != nil {
		t.Fatal(err)
	}
	l.durable(l.open(tName), 3, 1)
	l.flush(tab)
	l.commits(tab, 4, 1)
	l.stop()
	if got := h.idsOf(tName); !slices.Equal(got, []int64{0, 1, 2, 3, 4}) {
		t.Errorf("rows %d", got)
	}
}
