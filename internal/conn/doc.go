// Package conn is stage 3, send: it takes messages from its owner, gives acknowledgements back, and is one connection
// generation: a gRPC stream from its handshake to its end. It never reconnects; that is a new [Conn].
//
// # A connection's life
//
//	Open        create_stream is sent at once, without waiting for the response's headers: servers of both kinds exist,
//	            those that send headers first and those that read first. A create_stream_response with an id opens, unless
//	            the owner finds fault with the headers ([Config].Check).
//	send        one message at a time, whatever the owner has; it sleeps when there is none.
//	receive     acknowledgements go to the owner. A close signal pauses the sender; acknowledgements still come in,
//	            until everything that was sent is acknowledged or the grace is over.
//	end         by the server, by a fault, by [Conn.Abort], or by [Conn.Finish]: half-close, then the server's end.
//
// # Concurrency
//
// A Conn has two goroutines, the sender and the receiver. [Conn.Done] is closed after both have returned. They call the
// [Owner], and hold no lock while they do.
//
// # Failure
//
// The verdict is the receiver's. A sender learns no more than that the stream is broken (io.EOF); the status of the
// server arrives at the receiver, so a fault in sending ends the sender and leaves it to the receiver to say why.
package conn
