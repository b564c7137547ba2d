// Package delta is stage 6: takes the data files of one table and a position in the log they came from, gives one atomic
// Delta commit with both, and never commits the same position twice.
//
// A [Table] stands for one table's _delta_log below a [lake.Store]. It keeps a [Snapshot], the state of the table at one
// version, and moves it forward by reading commits and by writing them. It knows actions and their rules; it does not know
// records, Parquet or how a schema is made: schemaString is read only to judge whether files written under one schema still
// fit another, and whether a table asks for something that this writer cannot do.
//
// # The commit
//
// The only lock is put-if-absent of _delta_log/<version>.json. [Table.Append] writes the next version, and when the version
// is taken it reads forward to the latest one, checks what the winners changed, and tries again. Each attempt carries a
// txnId of its own in commitInfo, by which a commit is recognised as ours when the answer to its write was lost. A version
// is passed only when it is known to be somebody else's.
//
// Every kind of commit gets its file from one place, which knows what the features of the table ask of it: Table.body.
//
// Exactly-once rests on the txn action: a commit says "of the log shard AppID everything up to TxnVersion is in the table",
// together with the files that make it true. An Append whose TxnVersion the table already has is refused.
//
// # Checkpoints
//
// [Open] begins with the newest checkpoint that can be read. [Table.Checkpoint] writes one of the current snapshot, and
// [Table.CleanLog] deletes versions that have expired; neither is on the commit's path. docs/format/delta.md has the rules.
//
// # Concurrency
//
// A Snapshot never changes and may be read from any number of goroutines. Refresh and Append of one Table run one at a time;
// further callers wait, as long as their context lets them. Checkpoint and CleanLog run beside them, and so does Vacuum but for its looks at the log. Several Tables, in several processes, may stand on one log.
// The package starts no goroutine.
//
// # Failure
//
// Errors say what to do: see the Err variables. After an error that is not one of them the table is unchanged or holds the
// whole commit; ErrUndecided says that it is not known which, and the next Append or Refresh finds out.
package delta
