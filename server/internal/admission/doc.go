// Package admission is stage 2, may it?: takes what a stream says about itself (its token, the table in its header and in
// its request), gives the principal and the open table, or a [Denial] that says why not. It never touches a record and knows
// no transport: doors translate a Denial into their own words.
//
// Concurrency: a Gate may be used by many goroutines. Failure: a Denial is final for the stream; other errors are the
// server's own trouble and worth another try.
package admission
