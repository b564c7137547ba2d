// Package loadgen makes the records that the server is measured with: a few shapes, from 3 columns in 25 bytes to 100 columns in
// 1 kB, as protobuf and as JSON, each of one size to the byte where lengths allow it.
//
// Every record has an id in one of its columns. It says which stream sent it and as which of its records, so that a row that is
// found in the table can be told from all others, and its way measured.
//
// A [Maker] encodes a round of records beforehand, and writes only the id and one text into them each time they are taken: making
// a record costs some 10 ns and a copy of the text. Numbers and short texts repeat after a round, as those of sensors do; the long
// text is cut from made-up words at ever other places, and compresses as that of logs does.
//
// Concurrency: shapes are only read; a Maker belongs to one goroutine. Failure: none, but for ids that are used up.
package loadgen
