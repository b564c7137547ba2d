// Package table joins the stages of one table: takes decoded chunks, makes them durable in the log, turns durable chunks into
// Parquet files, one for each partition, and commits these to the Delta table; it never looks at a record.
//
//	Append ──> wal (fsync) ──> durable callback ──> ack
//	                 └──> pending ──(1 to 10 s, or 128 MiB)──> parquetfile ──> lake ──> delta commit ──> wal.Trim
//
// A [Set] holds the tables of a server. On start [Set.Recover] replays the log: what a table's transaction identifier says is
// committed is skipped, the rest becomes pending again.
//
// # Exactly once
//
// All entries of the log carry one rising sequence. A commit holds the files of a prefix of a table's entries and, in the
// same atomic Delta commit, txn(appId = the log, version = the last sequence). So the table itself says where replay goes on.
// The application id contains the log's own id: a new log, which counts from 1 again, is a new application.
//
// # Concurrency
//
// Append may be called by many goroutines. Each open table has one committer goroutine, the only one that writes files and
// commits; it ends with Set.Close or when the table is dropped. The durable callback runs on the log's writer goroutine.
//
// # Failure
//
// A commit that fails is tried again with growing pauses; meanwhile the rows are in the log, acknowledged rows are kept, and
// new rows are taken until the memory budget is used up: then Append blocks. A table whose log or schema cannot be worked with
// is marked broken: it refuses streams with the reason, its entries stay in the log, other tables go on.
package table
