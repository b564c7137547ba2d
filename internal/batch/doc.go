// Package batch is stage 1, frame: it takes records, gives ranges of bytes that are the bodies of requests, and never
// looks at a record again.
//
// # The arena
//
// A record is copied once, when it is ingested, into the current chunk of memory, in the form that it has on the wire:
// a tag, its length, its bytes. The records of a batch request are framed alike, whatever their encoding, so a
// contiguous piece of a chunk is the body of a request as it stands. Such a piece is a [Range]; the [Builder] holds the
// one that is still open.
//
//	chunk  | range, sent | range, ready | open range | free        |
//	                                                 ^ used        ^ cap
//
// The open range is sealed when the next record would take it over a limit or over the end of its chunk, and when
// somebody asks for it. What was appended by one call is never divided.
//
// # Whose memory it is
//
// A chunk is a reference-counted [mem.Buffer]. The builder and the ranges hold one reference between them; every message
// that is handed to gRPC holds one more, until its bytes are written. So a chunk goes back to the [Pool], to be written
// again, only when its ranges are released and no connection, also none that was abandoned, can still read it.
//
// # Concurrency
//
// A [Pool] is safe for concurrent use: gRPC returns chunks from its own goroutines. A Builder and its ranges belong to
// one owner, who brings the lock. A [mem.Buffer] from [Range.Buffer] may be read and freed without that lock.
//
// # Failure
//
// Nothing here fails. Sizes are checked before: a record or a batch may have any size, and gets a chunk of more than the
// common size when it needs one.
package batch
