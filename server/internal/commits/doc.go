// Command commits makes many commits on one table and tells what each of them took. It is what bench/durability measures with, which
// cannot import the server's packages; make bench-commits runs it.
//
//	go run ./server/internal/commits -dir DIR -commits 5000
//
// The pieces are those of the server: a write-ahead log, a catalog, a ledger and a lake below a new directory in DIR, and one table of
// [table.Set]. Rows are made durable in the log first; then a flush is timed, until they are in the table: data file and version,
// each of them synced. One commit follows the other without a pause.
//
// A checkpoint comes after every 100 commits, in the background, as by default. Versions expire after days, and at midnight; so
// the clock of the table goes on by days during the run, and the lake gives the versions the times that belong to it. Small files
// are not compacted: every commit's file stays in the table, which is the most that a table can have to keep.
//
// The last commits take turns with the first ones of another table, which has its own log and nothing in it: what the disk is busy
// with at that moment slows down both. Its versions are of the days on which it is made.
//
// In the end the table is opened, with the hint of its last checkpoint and without it. The output is JSON: see result.
package main
