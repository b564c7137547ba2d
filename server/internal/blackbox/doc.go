// Command blackbox runs the real server under load, takes it down in every way that an operator will see, and then asks
// software that we did not write what is in the table.
//
//	go run ./server/internal/blackbox -kills 100 -terms 20 -full 5 -seed 1     (or: make blackbox)
//
// Eight streams of the SDK ingest into one table while zerobus serve is killed with signal 9, ended with SIGTERM, and
// finds its disk full, in an order and at moments that the seed decides. Streams heal by themselves; now and then one is
// thrown away with all that it had not got acknowledged, as if its client had died. In the end the server has committed all,
// delta-rs reads the table, and every record is judged:
//
//   - an acknowledged one is there; otherwise it is lost;
//   - none is there twice. With -producers=false streams have no producer ids, and one that was sent again may be there
//     twice, but none that went to the transport once;
//   - nothing is there that was not sent, and nothing has another content than it was sent with;
//   - the records of a stream stand in the table in their order.
//
// With producer ids a stream that was thrown away is followed by one that asks the server where to go on. That must not be
// before what was acknowledged.
//
// The moments are not exactly those of another run with the seed: two processes and a kernel have their say, too.
//
// # Parts
//
// plan.go decides what happens. writer.go is a stream: it ingests and tells its ledger (ledger.go), which knows what was
// given away, sent, sent again and acknowledged. process.go is the server, disk.go the disk that can be full, harness.go
// makes things happen. reader.go reads the table, tally.go counts and judges.
//
// # Full disks
//
// A full disk is a real one: a small file system, mounted where only this process and its children see it. What needs no
// root comes first: a tmpfs in a user namespace of its own; then a tmpfs, and an ext4 file system in a file, by root.
//
// # Exit status
//
// 0 when all is well, 1 when something is wrong (the data directory is kept), 2 for wrong flags, 3 when full disks are
// wanted and there is no way to make a small one, 130 after an interrupt.
package main
