// Command durability measures what the promise of an acknowledgement costs and whether it lasts: it starts the real zerobus
// serve as a process, with its defaults, and writes to it over loopback with this project's SDK. What many commits cost it measures
// with a program of the server's module that has its pieces.
//
//	go run ./bench/durability groupcommit -dir bench/.out -out bench/results   # some 7 minutes
//	go run ./bench/durability soak -for 20m -dir bench/.out -out bench/results # some 21 minutes, up to 20 GiB of disk
//	go run ./bench/durability commits -dir bench/.out -out bench/results       # some 2 minutes
//
// Data goes below the directory -dir, which must be on a disk, and is removed at the end. Linux only: processes are read in
// /proc.
//
// # groupcommit
//
// Streams write single records: each has one outstanding, and sends the next when it is acknowledged. The log must make all of
// them durable with as few syncs as the disk takes, so records per second should grow with the streams while syncs per second
// stay where the disk's limit is.
//
// Every case has a server of its own with an empty log, waits until that has its files, warms up, and measures. The cases take
// turns within a round; a figure is the median of the rounds, and brackets hold the lowest and the highest. Syncs are what the
// server counts: at its end it logs the entries that it made durable and the syncs that this took. Of these come records
// per sync, and syncs per second are records per second divided by that. Entries of one record each, checked against the
// clients' acknowledgements, are all that such a log has.
//
// The disk's limit is measured beside every case, before its server starts: one process overwrites a file that has its blocks
// already, 4 KiB at a time, with fdatasync after each. That is how the log writes, and nothing that syncs once a record can
// have more records from one writer.
//
// -sync-delay makes the same with a slower disk: strace lets every fdatasync return later by that time, and leaves all else
// alone. The limit of that disk is measured under strace, too.
//
// Output: groupcommit.md and groupcommit.svg in the directory -out, or the page on standard output.
//
// # soak
//
// A process of its own writes with several streams at a steady rate, as the SDK does by default; this process looks at the
// server from outside, every few seconds: memory, threads, open files, the size of the log, files and commits of the table, and
// what is acknowledged. Goroutines are counted in what the server prints when signal QUIT ends it, and compared with those of
// another server that wrote one record and idles, too.
//
// The page, soak.md with soak.svg, says for each criterion whether it holds. When one does not, the exit status is 1.
//
// # commits
//
// The package server/internal/commits makes 5,000 commits on one table, one after the other, with checkpoints and clean-up of the
// table's log; this process runs it for some rounds, compares the last 500 commits of each round with its first 500, and writes
// commits.md with commits.svg. Times are those of the disk, and of what else it is busy with: the ratio within a round is what
// counts. When a criterion does not hold, the exit status is 1.
package main
