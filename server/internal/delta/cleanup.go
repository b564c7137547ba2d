package delta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// cleanupBatch bounds what one clean-up deletes: each deletion is made durable, which commits to the same directory may feel.
const cleanupBatch = 5000

// CleanLog deletes what the log need not keep any longer (PROTOCOL.md, "Metadata Cleanup"), and returns how many objects went.
// Versions live for the table's delta.logRetentionDuration, counted to the midnight (UTC) before. Of the versions that are
// older, the newest with a checkpoint is what later ones stand on: its checkpoint and its commit stay, and all that comes
// after; commits, checkpoints and checksums before it go, commits first. Nothing goes before that checkpoint has been read.
//
// It deletes the oldest first, and a bounded number at a time; wherever it ends, the log is whole. It is meant to run beside
// commits, and does nothing when it has been here with the same midnight. The error is ErrNoCheckpoint when the log is left to
// others.
func (t *Table) CleanLog(ctx context.Context) (deleted int, err error) {
	t.cleaning.Lock()
	defer t.cleaning.Unlock()
	s := t.Snapshot()
	cutoff, err := s.cleanable(t.now())
	if err != nil {
		return 0, t.wrap(err)
	}
	if !cutoff.After(t.cleaned) {
		return 0, nil
	}
	old, err := t.listExpired(ctx, s, cutoff)
	if err != nil {
		return 0, t.wrap(fmt.Errorf("clean the log: %w", err))
	}
	for _, path := range old {
		if err := t.store.Delete(ctx, path); err != nil {
			return deleted, t.wrap(fmt.Errorf("clean the log: %w", err))
		}
		deleted++
	}
	if len(old) == t.batch {
		return deleted, nil // there may be more
	}
	n, err := t.cleanSidecars(ctx)
	if deleted += n; err != nil {
		return deleted, t.wrap(fmt.Errorf("clean the log: %w", err))
	}
	t.cleaned = cutoff
	return deleted, nil
}

// cleanable returns the time before which versions have expired. A table that wants to keep all of them gets a time before all.
func (s *Snapshot) cleanable(now time.Time) (cutoff time.Time, err error) {
	if slices.Contains(s.Protocol.WriterFeatures, "checkpointProtection") {
		return cutoff, fmt.Errorf("log clean-up: the table has the feature checkpointProtection: %w", ErrNoCheckpoint)
	}
	if err := CheckWritable(s); err != nil {
		return cutoff, fmt.Errorf("log clean-up: %w: %w", ErrNoCheckpoint, err)
	}
	if v, _ := s.property(expiredLogCleanup); strings.EqualFold(v, "false") {
		return cutoff, nil
	}
	keep, err := s.retention(logRetention)
	if err != nil {
		return cutoff, fmt.Errorf("log clean-up: %w: %w", ErrNoCheckpoint, err)
	}
	return midnight(now.Add(-keep)), nil
}

func midnight(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// listExpired returns the oldest objects of the log that may go, commits first.
//
// A version's time is when its commit was written. It counts as no earlier than that of any version before, so the first
// commit after the cutoff ends the list. With in-commit timestamps the version must be as old by these, too.
func (t *Table) listExpired(ctx context.Context, s *Snapshot, cutoff time.Time) ([]string, error) {
	type object struct {
		version int64
		path    string
	}
	var old []object
	first, last := int64(-1), int64(-1) // the oldest and the newest commit that have expired
	for info, err := range t.store.List(ctx, logDir, "") {
		if err != nil {
			return nil, err
		}
		if info.Path >= logDir+"1" {
			break
		}
		if v, ok := commitVersion(info.Path); ok {
			if info.ModTime.After(cutoff) {
				break
			}
			if last = v; first < 0 {
				first = v
			}
		}
		if v, ok := expirable(info.Path); ok && len(old) < t.batch {
			old = append(old, object{v, info.Path})
		}
	}
	last, err := t.lastStamped(ctx, s, first, last, cutoff)
	if err != nil {
		return nil, err
	}
	base, err := t.lastGood(ctx, last)
	if base < 0 || err != nil {
		return nil, err
	}
	var commits, others []string
	for _, o := range old {
		_, isCommit := commitVersion(o.path)
		switch {
		case isCommit && o.version < base:
			commits = append(commits, o.path)
		case o.version < base, o.version == base && strings.HasSuffix(o.path, ".compacted.json"):
			others = append(others, o.path)
		}
	}
	return append(commits, others...), nil
}

// expirable returns the version that a path of the log belongs to, if it is of a kind that expires; that of compacted commits
// is their first.
func expirable(path string) (int64, bool) {
	if v, ok := commitVersion(path); ok {
		return v, true
	}
	if v, ok := checkpointVersion(path); ok {
		return v, true
	}
	digits, rest, _ := strings.Cut(strings.TrimPrefix(path, logDir), ".")
	v, ok := parseVersion(digits)
	return v, ok && (rest == "crc" || strings.HasSuffix(rest, ".compacted.json"))
}

// lastGood returns the version of the newest checkpoint up to last that can be read; -1 when there is none.
func (t *Table) lastGood(ctx context.Context, last int64) (int64, error) {
	if last < 0 {
		return -1, nil
	}
	l, err := listLog(ctx, t.store, 0, last)
	if err != nil {
		return -1, err
	}
	for _, cp := range l.checkpoints {
		_, err := readCheckpoint(ctx, t.store, cp, true)
		if err == nil {
			return cp.version, nil
		}
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, fs.ErrNotExist) {
			return -1, err
		}
		t.log.WarnContext(ctx, "a checkpoint cannot be read, the log is kept from the one before", "version", cp.version, "err", err)
	}
	return -1, nil
}

// cleanSidecars deletes the sidecars of checkpoints that are gone. New ones stay for a day: their checkpoint may be on its way.
func (t *Table) cleanSidecars(ctx context.Context) (deleted int, err error) {
	before := midnight(t.now()).Add(-24 * time.Hour)
	var old []string
	for info, err := range t.store.List(ctx, sidecarDir, "") {
		if err != nil {
			return 0, err
		}
		if info.ModTime.Before(before) {
			old = append(old, info.Path)
		}
	}
	if len(old) == 0 {
		return 0, nil
	}
	l, err := listLog(ctx, t.store, 0, forever)
	if err != nil {
		return 0, err
	}
	named := map[string]bool{}
	for _, cp := range l.checkpoints {
		s := &checkpointState{dry: true}
		if err := s.readFiles(ctx, t.store, cp); err != nil {
			return 0, err // what it names is not known
		}
		for i := range s.sidecars {
			path, err := s.sidecars[i].path()
			if err != nil {
				return 0, err
			}
			named[path] = true
		}
	}
	for _, path := range old {
		if named[path] {
			continue
		}
		if err := t.store.Delete(ctx, path); err != nil {
			return deleted, err
		}
		deleted++
	}
	return deleted, nil
}
