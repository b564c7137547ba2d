// Package recovery is stage 4, heal: it takes the failures of connections, gives decisions (connect again, after so
// long, or give up), and runs the loop that carries them out. It never sees a record or a message.
//
// # The budget
//
// A stream may fail as often in a row as its policy has retries; one more failure ends it. Creating the stream is no
// exception: one try and the retries. A connection that brought an acknowledgement clears the count, whatever became of
// it; so does one that ended with nothing to acknowledge, after a minute or because the server had asked for it, since
// servers end idle streams as a matter of routine. Merely connecting does not: a server that accepts streams and then
// drops them would be tried for ever.
//
// A rotation that the server asked for is replaced even without a retry left, once in a row.
//
// # The wait
//
// A connection that cleared the count is replaced at once; but of two in a row that lived for less than the backoff, the
// second is not, or a server that ends streams as fast as they come would be met at that speed. After any other failure
// comes the backoff of the policy; it doubles with every further failure in a row, up to 30 s, and is lengthened by up to
// a quarter at random, so that many clients of one server do not come back together.
//
// # Refused records
//
// A stream that looks for a refused record by trying (see package window) loses a connection with every refusal. Those
// count as no failure. 64 are replaced at once, more of them at a pace of ten a second.
//
// # Which failures end a stream
//
// Those that would come again: the gRPC codes of [Terminal], and errors marked with [Permanent]. Everything else may
// pass: a lost connection, a timeout, a message that breaks the protocol, a server that ends the stream with OK. Codes
// decide, never texts.
//
// # Concurrency
//
// [Budget] is pure and belongs to one goroutine. [Supervise] runs in its caller's goroutine and starts none.
//
// # Failure
//
// Supervise returns why the stream is over. When it gave up after several tries the error is a [*GaveUp], from which
// both the first and the last failure can be reached.
package recovery
