package delta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
)

// EarlierMetadata yields what the table's metadata were before, newest first: each that one of the latest so many versions has
// replaced, as far as the log still has it. It reads one commit file for each version. An error is yielded last.
func (t *Table) EarlierMetadata(ctx context.Context, versions int64) iter.Seq2[*Metadata, error] {
	return func(yield func(*Metadata, error) bool) {
		latest := t.Snapshot().Version
		current := true // the metadata that come next are those of the snapshot
		for v := latest; v >= 0 && latest-v < versions; v-- {
			data, err := t.store.Get(ctx, commitPath(v))
			if errors.Is(err, fs.ErrNotExist) {
				return // cleaned up
			}
			if err != nil {
				yield(nil, t.wrap(fmt.Errorf("read version %d: %w", v, err)))
				return
			}
			c, err := parseCommit(data)
			if err != nil {
				yield(nil, t.wrap(fmt.Errorf("version %d: %w: %w", v, err, ErrCorrupt)))
				return
			}
			if c.metadata == nil {
				continue
			}
			if !current && !yield(c.metadata, nil) {
				return
			}
			current = false
		}
	}
}

// Fits tells whether rows that were written under one metadata may be added under another one. The error wraps ErrSchemaChanged.
func (m *Metadata) Fits(is *Metadata) error { return fits(m, is) }
