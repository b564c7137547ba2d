package delta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"
)

// In-commit timestamps (PROTOCOL.md, "In-Commit Timestamps"): the time of a commit stands in the commit, and is greater than
// that of the commit before, whatever the clocks of the writers say.

const inCommitTimestamp = "inCommitTimestamp" // the feature, and the field of commitInfo

// Properties of in-commit timestamps. The last two say from where on commits have one, in a table that has commits without.
const (
	enableTimestamps    = "delta.enableInCommitTimestamps"
	enablementVersion   = "delta.inCommitTimestampEnablementVersion"
	enablementTimestamp = "delta.inCommitTimestampEnablementTimestamp"
)

// inCommitTimestamps tells whether commits of the table must have a timestamp: the feature is listed and turned on.
func (s *Snapshot) inCommitTimestamps() bool {
	return s.Protocol.lists(inCommitTimestamp) && s.isTrue(enableTimestamps)
}

// isTrue tells whether a property says true.
func (s *Snapshot) isTrue(name string) bool {
	v, _ := s.property(name)
	return strings.EqualFold(strings.TrimSpace(v), "true")
}

// checkTimestamps refuses a table whose next commit could not be given a time that is later than that of the latest.
func (s *Snapshot) checkTimestamps(refuse func(feature, format string, args ...any) error) error {
	switch {
	case !s.inCommitTimestamps():
		return nil
	case s.stamp == nil:
		return refuse(inCommitTimestamp, "no inCommitTimestamp was found for version %d: its commit has none, or is gone and there is no checksum (.crc) "+
			"that has it; bring the commit back from a copy of the log", s.Version)
	case *s.stamp == math.MaxInt64:
		return refuse(inCommitTimestamp, "version %d has the latest time there is", s.Version)
	}
	return nil
}

// stamp gives the commit its time: now, or a millisecond after the commit before. The commit that turns timestamps on comes after
// the time of the file before it, and says in the table's properties that it is the first one.
func (t *Table) stamp(ctx context.Context, before *Snapshot, c *commit, now int64) error {
	if before.Version < 0 {
		c.stamp = &now
		return nil
	}
	if before.inCommitTimestamps() {
		if err := before.checkTimestamps(before.refusal); err != nil { // of which CheckWritable has seen an older version
			return err
		}
		c.stamp = new(max(now, *before.stamp+1))
		return nil
	}
	written, err := t.written(ctx, before.Version)
	if err != nil {
		return err
	}
	c.stamp = new(max(now, written+1))
	m := before.Metadata
	if c.metadata != nil {
		m = *c.metadata
	}
	m.Configuration = cloneMap(m.Configuration)
	m.Configuration[enablementVersion] = strconv.FormatInt(before.Version+1, 10)
	m.Configuration[enablementTimestamp] = strconv.FormatInt(*c.stamp, 10)
	c.metadata = &m
	return nil
}

// written returns when the file of the version was written, in milliseconds since the epoch.
func (t *Table) written(ctx context.Context, version int64) (int64, error) {
	path := t.tailPath(version)
	for info, err := range t.store.List(ctx, path, "") {
		if err != nil {
			return 0, fmt.Errorf("time of version %d: %w", version, err)
		}
		if info.Path == path {
			return info.ModTime.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("version %d is no longer in the log: %w", version, ErrOutdated)
}

// stampOf reads the timestamp of a commitInfo; nil when there is none.
func stampOf(info json.RawMessage) *int64 {
	var fields struct {
		Stamp json.RawMessage `json:"inCommitTimestamp"`
	}
	if json.Unmarshal(info, &fields) != nil {
		return nil
	}
	n, err := strconv.ParseInt(string(fields.Stamp), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

// findStamp looks for the time of a version from whose checkpoint the log is read: checkpoints have none (PROTOCOL.md, "Action
// Reconciliation"). data is the version's commit, or nil when that is gone; then the checksum may have it. Nil, nil: it
// cannot be known.
func (t *Table) findStamp(ctx context.Context, version int64, data []byte) (*int64, error) {
	if data != nil {
		c, err := parseCommit(data)
		if err != nil {
			t.log.WarnContext(ctx, "a commit that a checkpoint stands for cannot be read", "version", version, "err", err)
			return nil, nil
		}
		return c.stamp, nil
	}
	data, err := t.store.Get(ctx, checksumPath(version))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read checksum of version %d: %w", version, err)
	}
	var sum struct {
		Stamp *int64 `json:"inCommitTimestampOpt"`
	}
	if err := json.Unmarshal(data, &sum); err != nil {
		t.log.WarnContext(ctx, "a checksum of the log cannot be read", "version", version, "err", err)
		return nil, nil
	}
	return sum.Stamp, nil
}

// checksumPath names the checksum of a version (PROTOCOL.md, "Version Checksum File").
func checksumPath(version int64) string { return fmt.Sprintf("%s%020d.crc", logDir, version) }

// lastStamped returns the newest of the versions from first to last of which the commit itself says that it is not younger than the
// cutoff; first-1 when there is none. Versions from before the timestamps are as old as their files. Timestamps grow with the
// versions, so a few commits are read.
func (t *Table) lastStamped(ctx context.Context, s *Snapshot, first, last int64, cutoff time.Time) (int64, error) {
	if last < 0 || !s.inCommitTimestamps() {
		return last, nil
	}
	v, _ := s.property(enablementVersion)
	enabled, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		enabled = 0 // since the table was made
	}
	old, young := max(first, min(enabled, last+1))-1, last+1
	for young-old > 1 {
		version := old + (young-old)/2
		data, err := t.store.Get(ctx, commitPath(version))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		c, err := parseCommit(data)
		if err == nil && c.stamp != nil && *c.stamp <= cutoff.UnixMilli() {
			old = version
		} else {
			young = version // also when its time is not known
		}
	}
	return old, nil
}
