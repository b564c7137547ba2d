// Package window is stage 2, keep: it takes framed records, gives ranges to send, and keeps every range until its
// acknowledgement, so that a new connection can send it again; it never has a goroutine, a clock, a lock or I/O.
//
// # Ranges
//
// Sealed ranges stand in a ring, oldest first; behind them is the open range of the [batch.Builder].
//
//	        base                                  base+n
//	ring    | sent, not acked | taken | ready     | open |
//	        0                 sent    taken       n
//
// Taking the next range when none is ready seals the open one: whatever gathered while the sender was busy becomes one
// message. A range that is taken is at most one step ahead of those that are sent: the sender sends one at a time.
//
// # Offsets
//
// Users see logical offsets: 0, 1, 2, … for every call that appended, over the stream's whole life. The wire has an
// offset for every message, from 0 on every connection. Ranges are numbered since the stream began, from base at the
// ring's head, so the wire offset of a range is its number less the number that the connection began with. Nothing is
// stored per record, and nothing else knows both kinds of offsets.
//
// # Generations
//
// [Window.Begin] starts a connection's generation: everything that is kept is to be sent again, with the same borders,
// from wire offset 0. [Window.End] ends it. Calls that carry an older generation change nothing.
//
// # Acknowledgements
//
// They are cumulative. One that is negative, or beyond what the generation has taken, is an [*AckError] and changes
// nothing. One for the range that is taken but not known to be sent is held until it is: a server cannot have received
// it much earlier. One that goes backwards changes nothing.
//
// [Window.Skip] is for a server that tells how many records it has when a generation begins: it settles them as an
// acknowledgement would, and may cut a range, even a call, in two. What is cut off was taken by an earlier generation.
//
// # Refusals
//
// A server that refuses a record ends its connection, and does not say which record it was in a form that could be relied
// upon. [Window.Refuse] narrows it down: messages that were outstanding are taken one at a time, and one that is refused
// while it is alone is halved, until a single call is left. The others are acknowledged on the way.
//
// # Concurrency
//
// None. The owner brings the lock.
package window
