package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/delta"
)

// errOtherColumns: an entry's rows were written for other columns than the table has.
var errOtherColumns = errors.New("names or types of the table's columns are not those that the rows were written for")

// lookBack is how many versions of a table are read for the columns that an entry of the log was written for: a day of them when there is
// one a second, and some ten seconds of reading on a disk, once for a table. The ledger has the columns from the first commit after
// the change on, so it is for entries that wait while other writers go on and this server does not.
const lookBack = 100_000

// maxFormer is how many sets of columns the ledger keeps for a table.
const maxFormer = 8

// formerColumns are metadata of the table, as JSON, for whose columns entries of the log may be written although the table has others
// by now: the open table goes on with those that it was opened with, as long as files with them fit. The log of a table does not
// keep them: it is cleaned up.
type formerColumns struct {
	mu   sync.Mutex // guards the following
	list []string   // the newest last
	kept *Shape     // the last one that came into the list
	told string     // the last column that toldOf was about
}

// keepColumns notes that entries of the log are written for other columns than the table has.
func (t *Table) keepColumns(s *Shape) {
	t.former.mu.Lock()
	defer t.former.mu.Unlock()
	if t.former.kept == s {
		return
	}
	text, err := json.Marshal(s.base.Metadata)
	if err == nil {
		list := slices.DeleteFunc(slices.Clone(t.former.list), func(old string) bool { return old == string(text) })
		list = append(list, string(text))
		list = list[max(0, len(list)-maxFormer):]
		if err = t.set.ledger.SetColumns(t.info.ID, list); err == nil {
			t.former.list, t.former.kept = list, s
			t.log.Warn("columns of the table were dropped or moved; open streams and new ones go on with those before until the server starts again",
				"version", t.delta.Snapshot().Version)
			return
		}
	}
	t.log.Warn("the columns that rows in the log are written for are not kept yet", "err", err)
}

// toldOf tells the operator, once for a column, why new streams are refused.
func (t *Table) toldOf(column string, err error) {
	t.former.mu.Lock()
	defer t.former.mu.Unlock()
	if t.former.told == column {
		return
	}
	t.former.told = column
	t.log.Error("new streams of the table are refused until the server starts again; open ones go on", "err", err)
}

// remade is the path of a column, or of a field inside of one, that is stored as another one than before; "" when there is none. Both
// sets of columns come with what they are called in files.
func remade(was, wasStored, is, isStored *schema.Struct) string {
	for i := range was.Fields {
		f := &was.Fields[i]
		at := is.Index(f.Name)
		switch {
		case at < 0:
		case wasStored.Fields[i].Name != isStored.Fields[at].Name:
			return f.Name
		default:
			in := remadeInside(&f.Type, &wasStored.Fields[i].Type, &is.Fields[at].Type, &isStored.Fields[at].Type)
			if in != "" {
				return f.Name + "." + in
			}
		}
	}
	return ""
}

// remadeInside is remade for what is inside of a type. Columns that have one name in files have one kind of type.
func remadeInside(was, wasStored, is, isStored *schema.Type) string {
	switch was.Kind {
	case schema.StructKind:
		return remade(&schema.Struct{Fields: was.Fields}, &schema.Struct{Fields: wasStored.Fields},
			&schema.Struct{Fields: is.Fields}, &schema.Struct{Fields: isStored.Fields})
	case schema.Array:
		return remadeInside(was.Elem, wasStored.Elem, is.Elem, isStored.Elem)
	case schema.Map:
		if in := remadeInside(was.Key, wasStored.Key, is.Key, isStored.Key); in != "" {
			return in
		}
		return remadeInside(was.Elem, wasStored.Elem, is.Elem, isStored.Elem)
	}
	return ""
}

// earlier reads the rows of an entry that were written for columns which the table had before others dropped or moved some. The ledger
// or the Delta log tells which ones those are; each goes to the column that has its name in files. refused is why the rows are none
// of the present columns, and the error when they are none of earlier ones.
func (t *Table) earlier(ctx context.Context, e *logged, refused error) (*column.Chunk, error) {
	t.former.mu.Lock()
	former := t.former.list // which is never written to
	t.former.mu.Unlock()
	for _, text := range slices.Backward(former) {
		m := new(delta.Metadata)
		if err := json.Unmarshal([]byte(text), m); err != nil {
			return nil, fmt.Errorf("%w; the ledger's description of earlier ones is damaged: %w", refused, err)
		}
		if c, then := e.columnsOf(m); c != nil {
			return t.moveColumns(c, m, then)
		}
	}
	for m, err := range t.delta.EarlierMetadata(ctx, lookBack) {
		if err != nil {
			return nil, fmt.Errorf("%w; earlier ones cannot be read: %w", refused, err)
		}
		if c, then := e.columnsOf(m); c != nil {
			t.recall(m)
			return t.moveColumns(c, m, then)
		}
	}
	return nil, refused
}

// recall has the next entries find the columns without a look at the Delta log.
func (t *Table) recall(m *delta.Metadata) {
	text, err := json.Marshal(m)
	if err != nil {
		return // they look there again
	}
	t.former.mu.Lock()
	defer t.former.mu.Unlock()
	t.former.list = append(slices.Clone(t.former.list), string(text))
}

// columnsOf reads the rows as those of a table with the metadata; nil when they are of other columns.
func (e *logged) columnsOf(m *delta.Metadata) (*column.Chunk, *schema.Struct) {
	columns := new(schema.Struct)
	if json.Unmarshal([]byte(m.SchemaString), columns) != nil {
		return nil, nil
	}
	then, err := storedColumns(m, columns)
	if err != nil {
		return nil, nil
	}
	c, err := e.chunk(then)
	if err != nil {
		return nil, nil
	}
	return c, then
}

// moveColumns makes rows of the table of those that were written for other metadata.
func (t *Table) moveColumns(c *column.Chunk, was *delta.Metadata, then *schema.Struct) (*column.Chunk, error) {
	now := t.shape.Load()
	if err := was.Fits(&now.base.Metadata); err != nil {
		return nil, fmt.Errorf("the rows were written for columns of an earlier version: %w", err)
	}
	return moveColumns(c, then, now.stored)
}

// moveColumns gives the columns of a chunk, one for each of then, the places of those of now that have their names, and so inside of
// them. What is not there any more is left out, and what has come since is null. The rows
// share memory with the chunk.
func moveColumns(c *column.Chunk, then, now *schema.Struct) (*column.Chunk, error) {
	cols, err := moveFields(c.Cols, c.Rows, then, now)
	if err != nil {
		return nil, err
	}
	out := &column.Chunk{Rows: c.Rows, Cols: cols}
	out.Widen(now) // which has them all, and counts them
	return out, nil
}

// moveFields is moveColumns for columns or fields of n values.
func moveFields(cols []column.Vector, n int, then, now *schema.Struct) ([]column.Vector, error) {
	out := make([]column.Vector, len(now.Fields))
	for i := range now.Fields {
		f := &now.Fields[i]
		at := then.Index(f.Name)
		if at < 0 {
			nulls := &column.Chunk{Rows: n}
			nulls.Widen(&schema.Struct{Fields: now.Fields[i : i+1]})
			out[i] = nulls.Cols[0]
			continue
		}
		was := &then.Fields[at].Type
		if !alike(was, &f.Type) {
			return nil, fmt.Errorf("column %s is %s, and was %s when the rows were written", f.Name, f.Type, was)
		}
		out[i] = cols[at]
		if err := moveInside(&out[i], was, &f.Type); err != nil {
			return nil, fmt.Errorf("in column %s: %w", f.Name, err)
		}
	}
	return out, nil
}

// moveInside moves the fields inside of values, which were of the type then. The types are alike.
func moveInside(v *column.Vector, then, now *schema.Type) (err error) {
	switch now.Kind {
	case schema.StructKind:
		v.Kids, err = moveFields(v.Kids, v.N, &schema.Struct{Fields: then.Fields}, &schema.Struct{Fields: now.Fields})
	case schema.Array:
		v.Kids = slices.Clone(v.Kids)
		err = moveInside(&v.Kids[0], then.Elem, now.Elem)
	case schema.Map:
		v.Kids = slices.Clone(v.Kids)
		if err = moveInside(&v.Kids[0], then.Key, now.Key); err == nil {
			err = moveInside(&v.Kids[1], then.Elem, now.Elem)
		}
	}
	return err
}

// alike reports whether values of two types are held and stored alike, but for the fields of structs. The length of a text is not a
// part of that.
func alike(then, now *schema.Type) bool {
	if then.Kind != now.Kind {
		return false
	}
	switch then.Kind {
	case schema.Array:
		return alike(then.Elem, now.Elem)
	case schema.Map:
		return alike(then.Key, now.Key) && alike(then.Elem, now.Elem)
	}
	return then.Precision == now.Precision && then.Scale == now.Scale
}
