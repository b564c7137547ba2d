// Package dial knows how to reach a server: it takes the endpoint that a user wrote and the proxies of the environment,
// gives the gRPC target and the options of a channel to it, and never opens a connection before the channel asks.
//
// # Reconnecting
//
// A gRPC channel has a mind of its own about reconnecting: after a failed connection it refuses calls for a second,
// then for longer, up to two minutes. The SDK has its own supervisor, with the user's backoff and number of tries, so
// the channel's waits are set to a tenth of a second, always. A connection attempt itself gets ten seconds, the proxy's
// part included. It goes on when the call that caused it gives up, and the next call takes its result.
//
// # Proxies
//
// gRPC knows the proxies of HTTPS_PROXY only. Here they are [Proxies], read once from the environment or given by the
// user, and everything goes through a tunnel that the proxy opens at a CONNECT request, plaintext too. The environment is
// consulted by [ProxyFromEnvironment], with the function that it is given, and by nothing else.
//
// # Concurrency
//
// Functions of their arguments, and values, but for [Faults], which all connections of a channel write to. Nothing here
// starts a goroutine, but that a dialer whose context ends may close its connection in one.
//
// # Failure
//
// A bad endpoint, a bad proxy or bad TLS settings are errors here, before anything is sent. Errors never repeat an
// endpoint that has user information in it, nor a proxy's user and password, nor what a proxy answers but its status. A
// proxy that fails is a failed connection like any other, which the next try may not meet; [Faults] tells what it will.
package dial
