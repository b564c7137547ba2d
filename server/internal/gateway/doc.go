// Package gateway is stage 1, the doors: takes the bytes of a gRPC stream, gives decoded chunks to the table and the table's
// durability back to the client as cumulative acknowledgements. It knows transports, statuses and texts; it never looks into
// a record.
//
// A stream is the state machine of the protocol (see proto/zerobus_service.proto):
//
//	authenticate ──> headers out ──> create_stream ──> table, decoder ──> create_stream_response ──> records
//	records: offset check ──> decode ──> table.Append ──(durable)──> ack
//	end: half-close, fault, or close signal ──(grace)──> 6002; the last ack comes before the status
//
// A stream lives for a limited time and then asks its client for another one, because tokens and grants are checked when a
// stream opens: this bounds how long a principal writes that may not any more. The end of the server is the same with less
// grace. See [stream.live].
//
// # Concurrency
//
// A stream has three goroutines. The receiver reads, decodes and appends; the sender acknowledges; the handler watches the time.
// Receiver and sender meet in [progress]. The durable callback, on the log's goroutine, only raises a number there. Both can
// be stuck in the transport, the sender in front of a client that does not read; the handler never is, and when it returns
// gRPC cancels the stream, which ends them.
//
// # Failure
//
// The first fault ends the stream: nothing behind it is taken, what came before is made durable and acknowledged, then the
// status goes out. A client that is gone ends its stream at once; rows that were appended become durable all the same.
package gateway
