package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/partition"
)

// Shape is the columns of a table at one time. It never changes. A stream keeps the one that it was opened with; a table has
// another one when nullable columns were added behind those that it had, or some were renamed.
type Shape struct {
	schema *schema.Struct
	stored *schema.Struct // as files have them
	scheme *partition.Scheme
	base   *delta.Snapshot // that the schema was read from
	signs  []uint64        // the signatures of the first n columns
	chunks sync.Pool       // *column.Chunk
}

func newShape(snap *delta.Snapshot) (*Shape, error) {
	s := &Shape{schema: new(schema.Struct), base: snap}
	if err := json.Unmarshal([]byte(snap.Metadata.SchemaString), s.schema); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	if len(s.schema.Fields) == 0 {
		return nil, fmt.Errorf("%w: it has no columns", delta.ErrUnsupported)
	}
	if _, err := column.NewChunk(s.schema); err != nil {
		return nil, fmt.Errorf("%w: %w", delta.ErrUnsupported, err)
	}
	var err error
	if s.stored, s.scheme, err = storage(&snap.Metadata, s.schema); err != nil {
		return nil, fmt.Errorf("%w: %w", delta.ErrUnsupported, err)
	}
	s.signs = signatures(s.stored.Fields)
	s.chunks.New = func() any {
		c, _ := column.NewChunk(s.schema) // checked above
		return c
	}
	return s, nil
}

// Schema is the columns.
func (s *Shape) Schema() *schema.Struct { return s.schema }

// Partitions is how rows are divided.
func (s *Shape) Partitions() *partition.Scheme { return s.scheme }

// Chunk gives an empty chunk for rows of this shape. It goes to [Table.Append] or back through [Table.Recycle].
func (s *Shape) Chunk() *column.Chunk { return s.chunks.Get().(*column.Chunk) }

// extends reports whether s has the columns of o, in their places, and perhaps more. A column that may be null now is the same, and so
// is one that was renamed, which files do not know.
func (s *Shape) extends(o *Shape) bool {
	if len(s.signs) < len(o.signs) || s.signs[len(o.signs)-1] != o.signs[len(o.signs)-1] {
		return false
	}
	return slices.Equal(s.scheme.Columns(), o.scheme.Columns())
}

// missing reports a column without nulls of which the rows have some. Replay asks it: other writers may have made the column so.
func (s *Shape) missing(c *column.Chunk) error {
	for i := range c.Cols {
		if f := &s.schema.Fields[i]; !f.Nullable && c.Cols[i].Nulls > 0 {
			return fmt.Errorf("column %s is NOT NULL, and was not when the rows were written: %d of %d have no value", f.Name, c.Cols[i].Nulls, c.Rows)
		}
	}
	return nil
}

// lookTime is how long the opening of a stream waits for news of the table's columns. A lake that is away or busy must not keep
// streams from being opened: their rows are safe in the log.
const lookTime = 250 * time.Millisecond

// look takes over what became of the table's columns since, by whomever. The error says that a new stream would have values of a
// column where nobody looks for them.
func (t *Table) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	err := t.delta.Refresh(ctx)
	if err == nil {
		err = sameTable(t.info, t.delta.Snapshot())
	}
	switch {
	case errors.Is(err, delta.ErrOutdated): // no commit will come through
		if t.Err() == nil {
			t.log.Error("table cannot be written any more; rows that are not in it stay in the log", "err", err)
		}
		t.refuse(fmt.Errorf("%w: %w", ErrBroken, err))
	case err != nil:
		t.log.Debug("table not looked at", "err", err)
	default:
		err = t.adopt()
		switch {
		case errors.Is(err, errRemade):
			return fmt.Errorf("table %s: %w", t.info.Name, err)
		case err == nil, t.Err() != nil:
			return nil
		}
		// The next commit would find it; rows that are taken until then would never be in the table.
		t.log.Error("table has other columns and cannot be written any more; rows that are not in it stay in the log", "err", err)
		t.refuse(fmt.Errorf("%w: %w", ErrBroken, err))
	}
	return nil
}

// errRemade: the table goes on with columns of which one has the name that another one has by now.
var errRemade = errors.New("a column was dropped or renamed, and another one has its name; start the server again for streams to have that")

// adopt takes over the columns of the latest version that is known, when they are those of open streams and more. The error is
// delta.ErrSchemaChanged when rows of open streams are no rows of the table any more, so that no commit will come through, and
// errRemade when they are, but those of streams that are opened now would not be what their clients mean.
func (t *Table) adopt() error {
	snap, now := t.delta.Snapshot(), t.shape.Load()
	if snap.Metadata.SchemaString == now.base.Metadata.SchemaString && snap.Metadata.Mapping() == now.base.Metadata.Mapping() {
		return nil
	}
	// Signatures say nothing of NOT NULL, which rows that wait for their commit may not keep.
	if err := now.base.Metadata.Fits(&snap.Metadata); err != nil {
		return err
	}
	next, err := newShape(snap)
	if err == nil && !next.extends(now) {
		err = errors.New("its columns are not those that it had, and more")
		t.keepColumns(now)
		if column := remade(now.schema, now.stored, next.schema, next.stored); column != "" {
			err = fmt.Errorf("%w: column %s: %w", ErrBroken, column, errRemade)
			t.toldOf(column, err)
			return err
		}
	}
	if err != nil {
		t.log.Debug("new columns are not taken over", "err", err)
		return nil
	}
	// Of several that look at the same time one wins; the next one looks again.
	if t.shape.CompareAndSwap(now, next) {
		t.log.Info("table has new columns", "version", snap.Version)
	}
	return nil
}
