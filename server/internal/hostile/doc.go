// Command hostile runs the real server and does to it what strangers on a network do: it sends what no client sends, in every
// layer from the TCP connection to the record, and checks what the server answers and what it costs.
//
//	go run ./server/internal/hostile            (or: make hostile)
//
// The server is zerobus serve on loopback addresses that the system chooses, with a data directory, a temporary directory and a
// working directory of its own. Attacks go there and nowhere else; each is bounded in count and time. While they run, some streams of the SDK
// write into a table at a steady rate: the control load. After each attack
//
//   - every answer was the one that is expected: a gRPC status, an HTTP status, a reset, the end of the connection;
//   - the server lives, answers /health, and takes a record of a new stream;
//   - its memory has stayed below a bound, and its file descriptors and streams come back to what they were;
//   - no file has appeared where none belongs: in the data directory, beside it, in the working or the temporary directory;
//   - the control load went on without a broken connection.
//
// In the end every record of the control load that was acknowledged is in its table once, no record that had to be refused is
// in a table, and a table that the attackers have no grants on is empty.
//
// # Parts
//
// attack.go is what an attack is and how it is judged; attacks_*.go are the attacks, by layer. peer.go is a client of HTTP/2 and gRPC that
// does wrong what it is told to; requests.go makes messages, forge.go tokens. control.go is the control load; server.go is the process,
// files.go its files, report.go what is told. arena.go joins them.
//
// # Exit status
//
// 0 when all is as expected, 1 when something is not (the directory is kept), 2 for wrong flags, 130 after an interrupt.
package main
