// Package sink is the server of the benchmark of clients: it takes connections of Zerobus clients, gives an
// acknowledgement for every message, and never looks into a record, so that it costs as little as a server can and a
// measurement shows the client.
//
// It speaks HTTP/2 by hand. One goroutine per connection reads into one large buffer and walks the frames in it. What
// a client sends in bulk, DATA, is not copied and not touched: of a message only the five bytes are read that say how
// long it is. All that one read of the socket leads to leaves in one write, right before the next read of the socket.
// So a single outstanding message is answered at once by the goroutine that read it, and a flood costs one
// acknowledgement for each read.
//
// # What a client sees
//
//	HEADERS            answered at once: 200, application/grpc. A method other than EphemeralStream gets status 12
//	create_stream      create_stream_response with the id "sink"
//	the n-th message   an acknowledgement up to offset n-1 or later, [Config.AckDelay] after its receipt
//	END_STREAM         what is left of the acknowledgements, each after its delay, then status 0
//
// Receive windows are wide (16 MiB for a stream, 64 MiB for a connection) and given back early. A client that gives no
// send window gets the newest acknowledgement once it does. A connection carries 1024 streams at a time, a message has
// at most 64 MiB. Receive windows are not enforced.
//
// With [Config.Check], which is for tests, messages are put together and parsed as well, and their offsets verified.
//
// # Concurrency
//
// A [Sink] is safe for concurrent use. A connection has one goroutine, which reads and writes, and a second one when
// acknowledgements are delayed, which only writes. [Sink.Close] returns after the last one has ended.
//
// # Failure
//
// A fault of a client in a stream ends the stream with status 3; a fault in the frames, or in the handshake, ends the
// connection. [Sink.Err] tells of the first. A client that leaves, resets a stream, or goes away in the middle of it
// makes no fault. Nothing is kept, so nothing can be lost.
package sink
