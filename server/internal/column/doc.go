// Package column is the currency of the server: from decoding to Parquet only column chunks flow. A [Chunk] holds some rows
// of one table as typed column slices in Arrow layout (values, validity bitmaps with the lowest bit first, 32-bit offsets for
// variable length), so that every door can fill it and every later stage reads it without a look at single records.
//
// Two deviations from Arrow keep the set of layouts small: TINYINT and SMALLINT are held in 32 bits, and validity is absent
// while a column has no null, or nothing but nulls.
//
// A chunk has a byte form ([Chunk.AppendBinary], [Decode]), which is what the log keeps. It is versioned and checked: Decode
// never trusts its input.
//
// Concurrency: a chunk belongs to one goroutine at a time; nothing here locks. Failure: only Decode fails.
package column
