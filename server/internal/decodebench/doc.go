// Command decodebench measures the server's decoder by itself, and behind a connection. It is what bench/server measures with, which
// cannot import the server's packages; make bench-server runs it.
//
//	go run ./server/internal/decodebench decode                  # records in memory to columns in memory, on one core
//	go run ./server/internal/decodebench receive -streams 8      # the same behind gRPC, with this project's client beside it
//	go run ./server/internal/decodebench corpus -dir DIR         # the records as files, for other decoders
//
// Records are those of package loadgen, so of the shapes that zerobus bench writes.
//
// Decode takes records in turns of 1,024 into one chunk of columns, everything checked, as a stream's decoder does, beside two
// decoders that anybody has: dynamicpb for protobuf, and encoding/json into a map for JSON. These make a message or a map of a
// record and no columns. Decoders take turns within a round, on one goroutine with GOMAXPROCS of 1, so that whatever slows the
// machine down slows all of them.
//
// Receive is a gRPC server with the gateway's options and the project's codec. Its handler decodes the records of a request and
// acknowledges it: there is no log and no table. What it is faster than zerobus serve is the price of these. With -delay it is behind
// a network that takes this time each way and has no other bound, which is where flow control counts.
//
// The output is JSON, a line for each case.
package main
