// Package oauth makes the token request: it takes a service principal's credentials and a table's name, gives an access
// token for that table, and never keeps one.
//
// The request is OAuth 2.0 client credentials with rich authorization details: the token is good for one table and the
// privileges that writing to it takes.
//
// # Concurrency
//
// [Fetch] may be called from any number of goroutines.
//
// # Failure
//
// Every error is an [*Error], which says whether another try can help. No error, and no printed [Token] or [Config],
// contains the secret or the token. What the server says about a failure is repeated, shortened and cleaned of them.
package oauth
