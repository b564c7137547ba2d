// Command property sends random rows to random tables through the whole server, and writes down what must be in the tables. Others
// read them: interop/property.py with delta-rs.
//
//	go run ./server/internal/property -cases 2000 -seed 1 -dir DIR     (or: make property)
//
// A case is one table. All of it comes of the case's seed: the seed of the first one is -seed, of the next one -seed + 1, so any case
// is repeated with -cases 1 and its own seed.
//
//   - The table has columns of all types in any nesting, NOT NULL at every level, comments, odd names, at times partitions, and
//     properties that change the files and the log: codecs, columns with statistics, checkpoints.
//   - Its rows have NULL, what is empty, extreme or long, and texts of all planes of Unicode. Half of them are JSON records, the others
//     protobuf where protobuf can say the table, with NaN and infinities, or JSON that the SDK encodes as protobuf.
//   - They go through several streams of the SDK to a server in this process, one after the other or at the same time, with
//     commits in between. Some streams name a producer.
//   - One row of twenty is wrong: it must be refused, alone, with a reject handler or as the end of its stream. All others must be
//     acknowledged.
//
// The directory then has the server's data directory, data, and the expectations, cases.ndjson, a line for each table. A commit is made
// when a case asks for it, never by time, so streams that follow each other give the same files whenever a case is repeated.
//
// # Parts
//
// table.go draws tables, value.go values, plan.go all of a case. json.go and proto.go write records, and wrong ones. send.go sends them,
// server.go is the server. expect.go is what is expected, and its form.
//
// # Exit status
//
// 0 when all was sent as planned, 1 when something was not: the first case that went wrong is told, with its seed. 2 for wrong flags.
package main
