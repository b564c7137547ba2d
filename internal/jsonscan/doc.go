// Package jsonscan reads JSON where it lies: takes bytes and a position, gives the value there and the position behind it,
// and never builds a tree. Those who read records (schema.Encoder, the server's decoder) put the pieces together: they know
// which keys and which types are due.
//
//	scan.go    white space, what stands between values, and what a value is called that is not the expected one
//	text.go    strings
//	number.go  integers and floats
//	value.go   a whole value, of which only the end is wanted
//	place.go   where something stands, and how it is quoted in an error
//
// # The conventions
//
// A function reads the value that begins at b[i], white space not included, and returns the position behind it. One that
// can fail in several ways returns a reason, which is empty when all is well; the position is then that of the fault. One that
// can fail in one way returns a negative position. Positions may be len(b), but not more.
//
// What is read is RFC 8259 with no extension: strings are valid UTF-8, surrogates come in pairs, control characters are
// escaped, and there is no byte order mark. Integers are exact to 64 bits, floats are the nearest ones.
//
// # Concurrency
//
// Everything here is a function of its arguments, but for [Scratch], which belongs to one goroutine.
//
// # Failure
//
// Input never panics. Reasons are constant, or of bounded length: what they repeat of the input is clipped.
package jsonscan
