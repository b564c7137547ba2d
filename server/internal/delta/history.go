package delta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"
)

// HistoryEntry describes one version of a table. What the commit does not tell is zero.
type HistoryEntry struct {
	Version      int64
	Timestamp    time.Time
	Operation    string
	NumFiles     int   // added
	NumRemoved   int   // removed
	Rows         int64 // in the files added
	Bytes        int64 // of the files added
	TxnAppID     string
	TxnVersion   int64
	Engine       string
	UserMetadata string
}

// History returns the latest versions up to the current snapshot, newest first; limit 0 or less stands for all that the log
// still has. It reads one commit file for each.
func (t *Table) History(ctx context.Context, limit int) ([]HistoryEntry, error) {
	var out []HistoryEntry
	for v := t.Snapshot().Version; v >= 0 && (limit <= 0 || len(out) < limit); v-- {
		data, err := t.store.Get(ctx, commitPath(v))
		if errors.Is(err, fs.ErrNotExist) {
			break // older commits were cleaned up
		}
		if err != nil {
			return nil, t.wrap(fmt.Errorf("read version %d: %w", v, err))
		}
		c, err := parseCommit(data)
		if err != nil {
			return nil, t.wrap(fmt.Errorf("version %d: %w: %w", v, err, ErrCorrupt))
		}
		out = append(out, historyEntry(v, c))
	}
	return out, nil
}

func historyEntry(version int64, c *commit) HistoryEntry {
	info := parseInfo(c.info)
	e := HistoryEntry{
		Version:      version,
		Operation:    info.Operation,
		NumFiles:     len(c.adds),
		NumRemoved:   len(c.removes),
		Engine:       info.EngineInfo,
		UserMetadata: info.UserMetadata,
	}
	ms := info.Timestamp
	if info.InCommitTimestamp != nil {
		ms = *info.InCommitTimestamp
	}
	if ms != 0 {
		e.Timestamp = time.UnixMilli(ms).UTC()
	}
	if len(c.txns) > 0 {
		e.TxnAppID, e.TxnVersion = c.txns[0].AppID, c.txns[0].Version
	}
	known := true
	for i := range c.adds {
		e.Bytes += c.adds[i].Size
		rows, ok := numRecords(c.adds[i].Stats)
		e.Rows += rows
		known = known && ok
	}
	if !known {
		e.Rows, _ = strconv.ParseInt(info.OperationMetrics["numOutputRows"], 10, 64)
	}
	return e
}

// numRecords reads the number of rows from a file's statistics.
func numRecords(stats string) (int64, bool) {
	var s struct {
		NumRecords *int64 `json:"numRecords"`
	}
	if json.Unmarshal([]byte(stats), &s) != nil || s.NumRecords == nil {
		return 0, false
	}
	return *s.NumRecords, true
}
