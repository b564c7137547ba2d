package delta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// ForgetsTxns reports whether the table has a retention for transactions (delta.setTransactionRetentionDuration). Checkpoints of other
// writers then leave out those that are older: that the snapshot has none of an application does not say that there was none.
func (s *Snapshot) ForgetsTxns() bool {
	_, ok := s.property(txnRetention)
	return ok
}

// LoggedTxn looks for an application's latest transaction in the commits that the log still has. False: they have none. It reads one
// commit file for each version, newest first.
func (t *Table) LoggedTxn(ctx context.Context, appID string) (txn Txn, ok bool, err error) {
	for v := t.Snapshot().Version; v >= 0; v-- {
		data, err := t.store.Get(ctx, commitPath(v))
		if errors.Is(err, fs.ErrNotExist) {
			return Txn{}, false, nil // cleaned up
		}
		if err != nil {
			return Txn{}, false, t.wrap(fmt.Errorf("read version %d: %w", v, err))
		}
		c, err := parseCommit(data)
		if err != nil {
			return Txn{}, false, t.wrap(fmt.Errorf("version %d: %w: %w", v, err, ErrCorrupt))
		}
		for _, txn := range c.txns {
			if txn.AppID == appID {
				return txn, true, nil
			}
		}
	}
	return Txn{}, false, nil
}
