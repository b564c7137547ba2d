package delta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// Settle makes sure that the latest version that this Table has read is durable, and with it those before. A commit can be
// visible and still be taken back by a power cut, when its writer was killed before it could make it durable. Call Settle
// before you forget anything because the table has it.
//
// It relies on the lake's promise that fs.ErrExist is said only of objects that are durable.
func (t *Table) Settle(ctx context.Context) error {
	return t.settle(ctx, t.tailPath(t.Snapshot().Version))
}

func (t *Table) settle(ctx context.Context, path string) error {
	data, err := t.store.Get(ctx, path)
	if err == nil {
		err = t.store.PutIfAbsent(ctx, path, data)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err == nil:
		return fmt.Errorf("table %s: %s vanished and was written again: %w", t.store.URL(), path, ErrOutdated)
	}
	return t.wrap(fmt.Errorf("settle: %w", err))
}
