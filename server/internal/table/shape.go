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
// another one when nullable columns were added behind those that it had.
type Shape struct {
	schema *schema.Struct
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
	if s.scheme, err = partition.New(s.schema, snap.Metadata.PartitionColumns); err != nil {
		return nil, fmt.Errorf("%w: %w", delta.ErrUnsupported, err)
	}
	s.signs = signatures(s.schema.Fields)
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

// extends reports whether s has the columns of o, in their places, and perhaps more. A column that may be null now is the same.
func (s *Shape) extends(o *Shape) bool {
	if len(s.signs) < len(o.signs) || s.signs[len(o.signs)-1] != o.signs[len(o.signs)-1] {
		return false
	}
	return slices.Equal(s.base.Metadata.PartitionColumns, o.base.Metadata.PartitionColumns)
}

// lookTime is how long the opening of a stream waits for news of the table's columns. A lake that is away or busy must not keep
// streams from being opened: their rows are safe in the log.
const lookTime = 250 * time.Millisecond

// look takes over columns that were added since, by whomever.
func (t *Table) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	if err := t.delta.Refresh(ctx); err != nil {
		t.log.Debug("table not looked at", "err", err)
		return
	}
	snap, now := t.delta.Snapshot(), t.shape.Load()
	if snap.Metadata.SchemaString == now.base.Metadata.SchemaString {
		return
	}
	next, err := newShape(snap)
	if err == nil && !next.extends(now) {
		err = errors.New("its columns are not those that it had, and more")
	}
	if err != nil {
		t.log.Debug("new columns are not taken over", "err", err)
		return
	}
	// Of several that look at the same time one wins; the next stream looks again.
	if t.shape.CompareAndSwap(now, next) {
		t.log.Info("table has new columns", "version", snap.Version)
	}
}
