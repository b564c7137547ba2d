// Package gateway is stage 1, the doors: takes the bytes of a gRPC stream, gives decoded chunks to the table and the table's
// durability back to the client as cumulative acknowledgements. It knows transports, statuses and texts; it never looks into
// a record.
//
// A stream is the state machine of the protocol (see proto/zerobus_service.proto):
//
//	authenticate ──> headers out ──> create_stream ──> table, decoder ──> create_stream_response ──> records
//	records: offset check ──> decode ──> table.Append ──(durable)──> ack
//
// # Concurrency
//
// A stream has two goroutines. The receiver reads, decodes and appends; the handler sends acknowledgements and decides how the
// stream ends. They meet in [progress]. The durable callback, on the log's goroutine, only raises a number there.
//
// # Failure
//
// The first fault ends the stream: nothing behind it is taken, what came before is made durable and acknowledged, then the
// status goes out. A client that is gone ends its stream at once; rows that were appended become durable all the same.
package gateway
