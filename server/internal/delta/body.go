package delta

import "context"

// body makes the file of the next version. The caller says what the commit is about: info has the operation with its parameters
// and metrics, and whether it is a blind append; c has the actions. body adds what every commit has, and what the features of the
// table ask of every commit: inCommitTimestamp, and the ids of rows in new files.
//
// All of that depends on the version before. So every kind of commit gets its file here, anew for every try, and with a c of its
// own: body completes the actions in place, and advance then takes over what was written.
func (t *Table) body(ctx context.Context, info CommitInfo, c *commit) ([]byte, error) {
	before := &t.state.draft
	after := before.following(c)
	info.Timestamp = t.now().UnixMilli()
	info.IsolationLevel = isolationLevel
	info.EngineInfo = t.engine
	info.TxnID = t.newID()
	if before.Version >= 0 {
		info.ReadVersion = new(before.Version)
	}
	if after.inCommitTimestamps() {
		if err := t.stamp(ctx, before, c, info.Timestamp); err != nil {
			return nil, err
		}
		info.Timestamp, info.InCommitTimestamp = *c.stamp, c.stamp
	}
	if after.RowTracking() {
		if err := t.state.assignRows(after, c); err != nil {
			return nil, err
		}
		if after.keepsRows() {
			info.Tags = map[string]string{rowsPreserved: "true"}
		}
	}
	return encode(info, c)
}

// following is the description of the table after a commit: version, protocol and metadata.
func (s *Snapshot) following(c *commit) *Snapshot {
	after := *s
	after.Version++
	after.stamp = c.stamp
	if c.protocol != nil {
		after.Protocol = *c.protocol
	}
	if c.metadata != nil {
		after.Metadata = *c.metadata
	}
	return &after
}
