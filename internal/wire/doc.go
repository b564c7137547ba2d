// Package wire is the protocol's messages: it takes values and gives the bytes of a Zerobus request or response, takes
// bytes and gives values, and never touches a connection, a goroutine or a registry of message types.
//
// The messages are described in proto/zerobus_service.proto. They are few and frozen, so they are written and read by
// hand here: one record costs a length and a copy, a whole batch is sent and received without looking at its records,
// and nothing is registered with the protobuf runtime, where a second Zerobus library in the same program would clash.
//
// # Layout of a batch request
//
//	1a len                      EphemeralStreamRequest.ingest_record_batch
//	   08 offset                IngestRecordBatchRequest.offset_id
//	   12 len | 1a len          proto_encoded_batch | json_batch
//	      0a len record         records[0]            \
//	      0a len record         records[1]             } the body
//	      …                                           /
//
// The body of a batch of protobuf records and that of JSON records have the same form. So a client appends records to a
// buffer with [AppendRecord] as they come, and a prefix of at most [MaxPrefix] bytes makes the buffer a request.
//
// # Concurrency
//
// Everything here is a function of its arguments, or a value that one goroutine owns. [Codec] is safe for concurrent use.
//
// # Failure
//
// Parsing follows the rules of protobuf, with one exception: a known field with the wrong wire type, which a protobuf
// runtime would keep as an unknown field, is an error here, because no client that works sends one. Parsing never
// panics and never reads beyond its input. Bytes that a peer sent are bounded by the caller, at the transport.
package wire
