// Package dial knows how to reach a server: it takes the endpoint that a user wrote, gives the gRPC target and the
// options of a channel to it, and never opens a connection itself.
//
// # Reconnecting
//
// A gRPC channel has a mind of its own about reconnecting: after a failed connection it refuses calls for a second,
// then for longer, up to two minutes. The SDK has its own supervisor, with the user's backoff and number of tries, so
// the channel's waits are set to a tenth of a second, always. A connection attempt itself gets ten seconds. It goes on
// when the call that caused it gives up, and the next call takes its result.
//
// # Concurrency
//
// Functions of their arguments, and values. Nothing here starts a goroutine.
//
// # Failure
//
// A bad endpoint or bad TLS settings are errors here, before anything is sent. Errors never repeat an endpoint that has
// user information in it.
package dial
