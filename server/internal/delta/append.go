package delta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// isolationLevel is the only one that Spark's open source knows.
const isolationLevel = "Serializable"

// Append is what one commit adds: data files, and the place in the log of records up to which they go.
type Append struct {
	// AppID names the log shard that the rows come from. The set of ids in a table is meant to be small and stable: each
	// stays in every checkpoint.
	AppID string

	// TxnVersion is the last position of the shard that is in the files, 0 or more. It grows from commit to commit.
	TxnVersion int64

	// Adds are the files, in place and durable already. There may be none: then the commit moves the position only. Their
	// maps become part of the Snapshot and must not be changed afterwards; the slice stays the caller's.
	Adds []Add

	// Rows and Bytes are told to readers of the history.
	Rows, Bytes int64

	// Base is the snapshot under whose schema the files were written. Nil stands for the one that is current when Append
	// gets its turn.
	Base *Snapshot
}

// claim is what a Table knows of its own txn in the table.
type claim struct {
	committed int64 // the version that is known to stand there by our doing; noTxn when none
	attempted int64 // one more that may stand there, after ErrUndecided
}

const noTxn = -1

// Append commits the files and the position as one version, and returns the version. It tries until ctx ends when others
// take the versions or when the store fails.
//
// Errors: ErrAlreadyCommitted, ErrFenced, ErrSchemaChanged, ErrUnsupported and ErrOutdated say what stands against it, and
// nothing was written. ErrUndecided (which wraps the cause) says that ctx ended in between, or that the commit is there and could
// not be made durable. Any other error: nothing was written, and the same Append may be tried again.
func (t *Table) Append(ctx context.Context, a Append) (version int64, err error) {
	if err := a.check(); err != nil {
		return 0, t.wrap(fmt.Errorf("append: %w", err))
	}
	if err := t.take(ctx); err != nil {
		return 0, err
	}
	defer t.give()
	if err := t.verifyTail(ctx); err != nil {
		return 0, err
	}
	if a.Base == nil {
		a.Base = t.Snapshot()
	}
	for attempt := 1; ; attempt++ {
		if err := t.admit(&a); err != nil {
			if errors.Is(err, ErrAlreadyCommitted) {
				err = t.confirm(ctx, err)
			}
			return 0, t.wrap(fmt.Errorf("append %s:%d: %w", a.AppID, a.TxnVersion, err))
		}
		version = t.state.draft.Version + 1
		c := a.commit(t.now().UnixMilli())
		body, err := t.body(ctx, a.info(), c)
		if err != nil {
			return 0, t.wrap(fmt.Errorf("append %s:%d: %w", a.AppID, a.TxnVersion, err))
		}
		won, err := t.write(ctx, version, body)
		if err != nil {
			if errors.Is(err, ErrUndecided) {
				t.claims[a.AppID] = claim{committed: t.claimed(a.AppID).committed, attempted: a.TxnVersion}
			}
			return 0, t.wrap(fmt.Errorf("append %s:%d: %w", a.AppID, a.TxnVersion, err))
		}
		if won {
			t.advance(c, body)
			t.publish()
			t.claims[a.AppID] = claim{committed: a.TxnVersion, attempted: a.TxnVersion}
			return version, nil
		}
		t.log.DebugContext(ctx, "version taken by another writer", "version", version, "attempt", attempt)
		if err := t.pause(ctx, attempt); err != nil {
			return 0, t.wrap(fmt.Errorf("append %s:%d: version %d was taken by another writer: %w", a.AppID, a.TxnVersion, version, err))
		}
		if err := t.forward(ctx); err != nil {
			return 0, err
		}
	}
}

// admit judges an append against the state that it would stand on. It is asked anew on every version, so that what the
// winners of a lost race changed is looked at by the same rules as what was there before.
func (t *Table) admit(a *Append) error {
	s := t.Snapshot()
	if txn, ok := s.Txns[a.AppID]; ok && txn.Version >= a.TxnVersion {
		t.claims[a.AppID] = claim{committed: txn.Version, attempted: txn.Version}
		return fmt.Errorf("the table has %s:%d: %w", a.AppID, txn.Version, ErrAlreadyCommitted)
	}
	stands := int64(noTxn)
	if txn, ok := s.Txns[a.AppID]; ok {
		stands = txn.Version
	}
	if c := t.claimed(a.AppID); stands != c.committed && stands != c.attempted {
		return fmt.Errorf("the table has %s:%d, where this writer left it at %d: %w", a.AppID, stands, c.committed, ErrFenced)
	}
	if s.rev != t.checked {
		if err := CheckWritable(s); err != nil {
			return err
		}
		t.checked = s.rev
	}
	if a.Base != s {
		if err := fits(&a.Base.Metadata, &s.Metadata); err != nil {
			return err
		}
	}
	return a.checkPartitions(s.Metadata.partitionKeys())
}

// confirm makes sure that what is committed already stays so, before the caller forgets the rows. The commit may be one that ended
// undecided and was merely seen since: then a power cut can still take it back, see Settle. Until that is out of the question the
// error is ErrUndecided instead.
func (t *Table) confirm(ctx context.Context, already error) error {
	if err := t.settle(ctx, t.tailPath(t.state.draft.Version)); err != nil {
		return fmt.Errorf("the table has the commit, and it is not known to be durable: %w: %w", ErrUndecided, err)
	}
	return already
}

// claimed returns what this Table believes of its txn: what it wrote, or else what Open found.
func (t *Table) claimed(appID string) claim {
	if c, ok := t.claims[appID]; ok {
		return c
	}
	if txn, ok := t.opened[appID]; ok {
		return claim{committed: txn.Version, attempted: txn.Version}
	}
	return claim{committed: noTxn, attempted: noTxn}
}

// check finds what no table would take. A commit with a broken path or broken statistics would break every reader.
func (a *Append) check() error {
	switch {
	case a.AppID == "" || !utf8.ValidString(a.AppID):
		return fmt.Errorf("invalid appId %q", a.AppID)
	case a.TxnVersion < 0:
		return fmt.Errorf("txn version %d is negative", a.TxnVersion)
	}
	seen := make(map[string]bool, len(a.Adds))
	for i := range a.Adds {
		f := &a.Adds[i]
		if err := checkAdd(f); err != nil {
			return fmt.Errorf("file %q: %w", f.Path, err)
		}
		if seen[f.Path] {
			return fmt.Errorf("file %q is added twice", f.Path)
		}
		seen[f.Path] = true
	}
	return nil
}

func checkAdd(f *Add) error {
	name, err := url.PathUnescape(f.Path)
	switch {
	case err != nil:
		return errors.New("the path is not URI-encoded")
	case name == "" || !utf8.ValidString(name) || strings.HasPrefix(name, "/") || strings.Contains(f.Path, ":"):
		return errors.New("the path is not relative to the table")
	case strings.HasPrefix(name, logDir):
		return errors.New("the path is inside the log")
	case f.Size <= 0:
		return fmt.Errorf("size %d: readers find the footer by the exact size", f.Size)
	case !f.DataChange:
		return errors.New("dataChange is false in an append")
	case f.DeletionVector != nil:
		return errors.New("a deletion vector in an append")
	case f.BaseRowID != nil, f.DefaultRowCommitVersion != nil:
		return errors.New("row ids in an append, which the commit gives")
	case f.Stats != "" && (!utf8.ValidString(f.Stats) || !json.Valid([]byte(f.Stats))):
		return errors.New("the statistics are not JSON")
	}
	for elem := range strings.SplitSeq(name, "/") {
		if elem == "" || elem == "." || elem == ".." {
			return errors.New("the path is not relative to the table")
		}
	}
	for column, value := range f.PartitionValues {
		if value != nil && !utf8.ValidString(*value) {
			return fmt.Errorf("the value of partition column %q is not UTF-8", column)
		}
	}
	return nil
}

// checkPartitions checks that every file has a value for each partition column and for nothing else.
func (a *Append) checkPartitions(columns []string) error {
	for i := range a.Adds {
		f := &a.Adds[i]
		ok := len(f.PartitionValues) == len(columns)
		for _, c := range columns {
			_, has := f.PartitionValues[c]
			ok = ok && has
		}
		if !ok {
			return fmt.Errorf("file %q has values for the partition columns %q, the table has %q", f.Path, sortedKeys(f.PartitionValues), columns)
		}
	}
	return nil
}

// commit returns the actions of the append.
func (a *Append) commit(now int64) *commit {
	c := &commit{
		txns: []Txn{{AppID: a.AppID, Version: a.TxnVersion, LastUpdated: now}},
		adds: make([]Add, len(a.Adds)),
	}
	copy(c.adds, a.Adds)
	for i := range c.adds {
		if len(c.adds[i].PartitionValues) == 0 {
			c.adds[i].PartitionValues = noValues
		}
	}
	return c
}

// info describes the append as Spark describes a micro-batch of a stream. isBlindAppend is true: nothing was read to make it,
// so other writers' transactions need not conflict with it.
func (a *Append) info() CommitInfo {
	return CommitInfo{
		Operation: "STREAMING UPDATE",
		OperationParameters: map[string]string{
			"outputMode": "Append",
			"queryId":    a.AppID,
			"epochId":    strconv.FormatInt(a.TxnVersion, 10),
		},
		IsBlindAppend: new(true),
		OperationMetrics: map[string]string{
			"numAddedFiles":  strconv.Itoa(len(a.Adds)),
			"numOutputRows":  strconv.FormatInt(a.Rows, 10),
			"numOutputBytes": strconv.FormatInt(a.Bytes, 10),
		},
	}
}
