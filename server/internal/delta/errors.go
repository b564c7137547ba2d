package delta

import (
	"errors"
	"fmt"
)

// What a caller must tell apart. Errors of this package wrap them; test with errors.Is.
var (
	// ErrNoTable: there is no Delta log. Create the table.
	ErrNoTable = errors.New("no delta table")

	// ErrTableExists: there is a Delta log already. Open it and compare the schema.
	ErrTableExists = errors.New("delta table exists")

	// ErrCheckpointNeeded: the log's beginning was cleaned up, and none of the checkpoints that its rest begins with can be
	// read. Bring a checkpoint back, or the commits before, from a copy of the table; or have another engine write one.
	ErrCheckpointNeeded = errors.New("no checkpoint of the table can be read")

	// ErrNoCheckpoint: this writer does not write checkpoints of the table, or does not clean its log, and leaves it to others.
	ErrNoCheckpoint = errors.New("left to other writers")

	// ErrCorrupt: the log breaks the protocol: a version is missing in the middle or a commit cannot be parsed.
	ErrCorrupt = errors.New("delta log is damaged")

	// ErrAlreadyCommitted: the table's txn for AppID is at TxnVersion or beyond. What was to be appended is in the table,
	// durable; the files of this attempt are orphans.
	ErrAlreadyCommitted = errors.New("already committed")

	// ErrFenced: somebody else moved the table's txn for AppID, to less than TxnVersion. Two writers believe that they own
	// the log shard. Stop; find out which of them does; Open the table again.
	ErrFenced = errors.New("another writer uses the same appId")

	// ErrSchemaChanged: the table's metadata changed in a way that the files do not fit. Write the rows again under the
	// schema of Snapshot.
	ErrSchemaChanged = errors.New("table schema changed")

	// ErrConflict: another writer has removed or changed a file that was to be replaced. Nothing was written; look at the table
	// again.
	ErrConflict = errors.New("another writer has changed the files")

	// ErrUnsupported: the table asks for a feature that this writer does not have. See UnsupportedError.
	ErrUnsupported = errors.New("unsupported table feature")

	// ErrOutdated: the log does not continue from the version that this Table has read: the table was dropped or replaced
	// meanwhile, or cleaned up without a later checkpoint. Open it again.
	ErrOutdated = errors.New("table was replaced")

	// ErrUndecided: it is not known whether the commit took place. Append the same TxnVersion again, or Refresh and compare
	// the table's txn.
	ErrUndecided = errors.New("outcome of the commit is unknown")
)

// UnsupportedError names the feature for which a table is refused.
type UnsupportedError struct {
	Table   string // name or place of the table
	Feature string // as the protocol spells it
	Reason  string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("table %s: cannot write: feature %s: %s", e.Table, e.Feature, e.Reason)
}

// refusal says why the table is refused.
func (s *Snapshot) refusal(feature, format string, args ...any) error {
	return &UnsupportedError{Table: s.name(), Feature: feature, Reason: fmt.Sprintf(format, args...)}
}

// Is makes errors.Is(err, ErrUnsupported) hold.
func (e *UnsupportedError) Is(target error) bool { return target == ErrUnsupported }
