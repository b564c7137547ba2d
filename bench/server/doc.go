// Command server measures zerobus serve: its decoder by itself, receiving and decoding, up to the durable acknowledgement, and up to
// the committed table. It runs programs of the server's module and reads what they tell: zerobus bench, which starts a server as
// a process and writes to it over loopback, server/internal/decodebench and server/internal/commits.
//
//	go run ./bench/server -quick                           # one line of JSON, in less than a minute
//	go run ./bench/server -out bench/results               # everything, some 30 minutes: server.json, server.md, plots
//	go run ./bench/server -group latency -out bench/results # one group, in the place of what server.json has of it
//	go run ./bench/server -from bench/results              # no measurement: page and plots of a server.json
//
// The groups:
//
//	decode       records in memory to columns in memory, on one core, beside dynamicpb, hyperpb, encoding/json and jx
//	receive      the same behind gRPC, without log and table, by streams
//	ack          as fast as it goes to durable acknowledgements: all shapes, both encodings, 1 to 1,000 streams
//	latency      10,000 records/s over 8 streams: latency of acknowledgements, and time to the table
//	table        a number of records as fast as it goes, until all are in the table
//	compression  the rate with each compression of data files, and their size
//	memory       64 streams that write beside 1,000 that do not
//	behind       the rate on a table with 5,000 commits, against that on a new one
//	growth       what a commit costs while a table grows to 10,000 files
//	flights      3,000,000 flights from an NDJSON file, by bench/flights/run; -flights FILE names the Parquet file that it takes
//	otherwise    what one would take without a server: Parquet files by hand, and a queue (NATS JetStream) with a sink that writes them
//
// Cases of a group take turns, round by round; a figure is the median of the rounds, and brackets hold the lowest and the highest.
// What a latency is, zerobus bench --help tells. Data goes below the directory -dir, which must be on a disk, and is removed.
//
// Client and server share the machine's processors. The line of -quick has the disk's own sync and the load average: on a machine
// that does something else, its figures say little.
package main
