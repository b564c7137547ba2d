// Package wal is stage 4: takes the encoded chunks of all tables, gives each a sequence number once it is durable, and
// gives them back after a restart; it never knows what is in them.
//
// A log is a directory of segments of equal size. Entries are appended to the last segment; one goroutine writes all
// that has gathered, syncs once, and tells everybody who waited. When the tables hold all entries of a segment, its
// file is used again. The format is described byte by byte in docs/format/wal.md.
//
//	Append ── copy, checksum ──> batch ──> writer: heads, write, fdatasync, done     (writer.go)
//	Trim ──> retention: who needs which segment ──> stock: spare files ──> writer    (retention.go, stock.go)
//	Open ──> scan: valid entries, interrupted or damaged? ──> Replay                 (recovery.go, scan.go)
//
// # Concurrency
//
// All methods of [Local] may be called from any goroutine. The log has two of its own: the writer, which alone writes
// segments and calls done, and the stock, which makes and recycles files. Both end in Close. One lock guards what they
// share; no I/O is done under it, and nothing of the caller's is called.
//
// # Failure
//
// After a failed write or sync the log is poisoned: what the system still holds in memory is not known, and a second
// sync would succeed without having written it. What was acknowledged stays; the rest is reported as failed, and may
// or may not be found after a restart.
//
// A log that has no room, because of its bound or the disk's, refuses entries with [ErrFull] until it has. Space is
// taken before it is needed, one segment ahead, so no write fails for lack of it where the file system keeps its word.
//
// When the log is opened, the end of an interrupted group is cut and reported. Anything else that is not as it was
// written is a [CorruptionError], and the log is not opened.
package wal
