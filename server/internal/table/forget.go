package table

import "context"

// recallTxn finds out up to where the table has the log when it does not say so itself: a table that forgets transactions has rows of
// entries that would be replayed, and then be there twice. The commits that its log still has tell it, the names of its data files, and
// the ledger, which has a mark for each commit to such a table.
func (t *Table) recallTxn(ctx context.Context) error {
	snap := t.delta.Snapshot()
	if _, ok := snap.Txns[t.set.appID]; ok || !snap.ForgetsTxns() {
		return nil
	}
	t.committed = t.saved
	for f := range snap.Files() {
		if seq, ours := t.seqOf(f.Path); ours {
			t.committed = max(t.committed, seq)
		}
	}
	txn, ok, err := t.delta.LoggedTxn(ctx, t.set.appID)
	if err != nil {
		return err
	}
	if ok {
		t.committed = max(t.committed, uint64(txn.Version))
	}
	if t.committed == 0 {
		return nil
	}
	t.log.Warn("the table has forgotten how much of the log it has, by its delta.setTransactionRetentionDuration; its files and the ledger tell it",
		"seq", t.committed)
	return t.delta.Settle(ctx)
}
