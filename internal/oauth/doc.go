// Package oauth gets access tokens: it takes a service principal's credentials and a table's name, gives an access token
// for that table, and never writes one down. [Fetch] requests one; a [Cache] keeps those that were requested, in memory,
// until shortly before they expire or until the server refuses them.
//
// The request is OAuth 2.0 client credentials with rich authorization details: the token is good for one table and the
// privileges that writing to it takes.
//
// # Concurrency
//
// [Fetch] and the methods of a [Cache] and its [Grant]s may be called from any number of goroutines. A cache has a
// goroutine for each request under way, and each of them has callers that wait for it: there is nothing to close.
//
// # Failure
//
// Every error is an [*Error], which says whether another try can help. Nothing is tried again here. A cache keeps no
// failures, and hides those of a renewal while the old token is valid. No error, and no printed [Token], [Config],
// [Cache] or [Grant], contains the secret or the token. What the server says about a failure is repeated, shortened and
// cleaned of them.
package oauth
