package delta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"time"
)

// Pauses between attempts: random, up to a bound that doubles from the first to the last. The first is in the order of a
// commit on a local disk, the last keeps a failing store from being hammered.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = 5 * time.Second
)

// pause waits before the next attempt, or until ctx ends.
func pause(ctx context.Context, attempt int) error {
	bound := lastPause
	if shift := attempt - 1; shift < 10 {
		bound = min(lastPause, firstPause<<shift)
	}
	timer := time.NewTimer(rand.N(bound))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write makes body the version's commit and tells whether it is ours, or that another writer has the version.
//
// An error of the store leaves the outcome open, and so can fs.ErrExist: a store's client that sends a request again after
// a lost response meets its own object. So the object is read back and compared: equal is ours, for body carries a txnId
// that nobody else has; different is somebody else's; absent means to write again. The walk never leaves the version
// before one of the first two is known.
//
// Ours is believed only after nil or fs.ErrExist, by which the store says that the object is durable. Seen after any other
// error, it may be in a cache alone, and is written once more.
func (t *Table) write(ctx context.Context, version int64, body []byte) (won bool, err error) {
	path := commitPath(version)
	for attempt := 1; ; attempt++ {
		if attempt == 1 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		putErr := t.store.PutIfAbsent(ctx, path, body)
		if putErr == nil {
			return true, nil
		}
		exists := errors.Is(putErr, fs.ErrExist)
		data, getErr := t.store.Get(ctx, path)
		switch {
		case getErr == nil && !bytes.Equal(data, body):
			return false, nil
		case getErr == nil && exists:
			return true, nil
		case errors.Is(getErr, fs.ErrNotExist) && errors.Is(putErr, fs.ErrPermission):
			return false, fmt.Errorf("write version %d: %w", version, putErr) // will not get better by waiting
		}
		t.log.WarnContext(ctx, "commit not confirmed, trying again", "version", version, "attempt", attempt, "err", putErr)
		if t.pause(ctx, attempt) != nil {
			return false, fmt.Errorf("write version %d: %w: %w", version, ErrUndecided, errors.Join(context.Cause(ctx), putErr))
		}
	}
}
