package wal

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
)

// Log is what the pipeline of a table needs of a log. [Local] is the default; a replicated log can take its place.
//
// All methods may be called from any goroutine.
type Log interface {
	// ID names the log's data. It is made when the log is created and never changes; sequence numbers mean something
	// only together with it. The table stage puts it into the appId of its Delta txn actions.
	ID() string

	// Next is above the sequence number of every entry that is durable. Where somebody knows of a higher one, the log is an older
	// copy of itself, and gives numbers a second time.
	Next() uint64

	// Replay calls fn for every kept entry, in order of Seq, and stops at fn's first error, which it returns as it is.
	// It may be called, more than once if need be, before the first Append. Entries that were trimmed can come again
	// (trimming works by segments and is not itself recorded): the reader compares Seq with what its table holds.
	// Payload is valid until fn returns. ctx is looked at between entries.
	Replay(ctx context.Context, fn func(Entry) error) error

	// Append queues one entry. The payload is copied before Append returns.
	//
	// chain may be nil. The entries of one chain become durable in the order in which they were queued, without a hole: when one
	// is refused through done, all that are queued after it get ErrChain.
	//
	// When Append returns nil, the entry will be attempted and done is called exactly once: with the entry's sequence
	// number once the entry is durable, or with 0 and the error. Calls of done come on one goroutine, in the order of
	// sequence numbers over the whole log; done must not block, and must not call Append, Replay or Close.
	// When Append returns an error, nothing was queued and done is never called. After an entry was refused through
	// done with ErrFull, Append takes entries again only when done has returned for each entry that was queued with it.
	//
	// Append blocks while Options.MaxPendingBytes are queued; ctx bounds that wait and nothing else.
	// Errors: ErrFull (retry later), ErrTooLarge (the caller's fault), ErrClosed, ErrPoisoned (restart the server),
	// or ctx's error.
	Append(ctx context.Context, chain *Chain, table TableID, payload []byte, done func(seq uint64, err error)) error

	// Trim tells that all entries of table with Seq <= upTo are in the table and need not be replayed. Segments of
	// which all entries are trimmed are recycled in the background. Trim does no I/O and never blocks.
	Trim(table TableID, upTo uint64)

	// Forget tells that the table is gone and trims all its written entries. Call it when done has been called for the
	// table's last Append; an entry that is written later is kept until the next Trim or Forget.
	Forget(table TableID)

	// Close writes what is queued, makes it durable, calls done for it, and ends the log's goroutines. It waits for
	// callers that are inside Append only as far as their entries are queued. Later calls wait for the first and
	// return its result.
	Close() error
}

// Chain is entries of which none may count without those before it, such as the records of one stream. The zero value is
// ready for use, with one log.
type Chain struct {
	broken bool // the writer's
}

// TableID identifies a table in the log. It is the id of the table's metadata, not its name.
type TableID [16]byte

// String gives the 32 hexadecimal digits.
func (t TableID) String() string { return hex.EncodeToString(t[:]) }

// Entry is one entry as Replay gives it.
type Entry struct {
	// Seq is 1 for the first entry of a log and one more for each entry after it. It is never used twice.
	Seq uint64
	// Table is what Append was given.
	Table TableID
	// Payload is what Append was given. It must not be changed, nor kept after the call.
	Payload []byte
}

var (
	// ErrFull: the log has no room, because Options.MaxBytes is reached or the disk has no space left. Nothing that
	// was acknowledged is lost, and the log takes entries again as soon as there is room. Retry later.
	ErrFull = errors.New("write-ahead log is full")

	// ErrClosed: Close was called.
	ErrClosed = errors.New("write-ahead log is closed")

	// ErrPoisoned: a write or a sync failed. What the disk holds is not known any more, so the log takes nothing until
	// it is opened anew; it is never synced a second time.
	ErrPoisoned = errors.New("write-ahead log stopped after a disk error")

	// ErrTooLarge: the payload is larger than Options.MaxEntryBytes.
	ErrTooLarge = errors.New("entry is too large for the write-ahead log")

	// ErrChain: an earlier entry of the chain was refused.
	ErrChain = errors.New("an earlier entry of the same chain was refused")

	// ErrLocked: another server has the log open.
	ErrLocked = errors.New("write-ahead log is in use")
)

// CorruptionError reports damage that cannot come from a crash: a log with it is not opened, because going on would
// lose acknowledged entries without a word.
type CorruptionError struct {
	// File is the path of the damaged file.
	File string
	// Offset is the byte at which the damage was noticed.
	Offset int64
	// Reason says what was found and what was expected.
	Reason string
}

func (e *CorruptionError) Error() string {
	return fmt.Sprintf("write-ahead log is damaged: %s at byte %d: %s", e.File, e.Offset, e.Reason)
}
