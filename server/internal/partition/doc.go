// Package partition is a part of stage 5: takes chunks of a partitioned table, gives for each file the rows of one partition, the
// partition's values as the Delta log writes them, and the directory; and takes those values back. It never looks at a file.
//
//	scheme.go   which columns a table is partitioned by, and which its files have
//	split.go    rows to partitions, partitions to files
//	hash.go     rows told apart by their partition columns
//	rows.go     copies of single rows
//	text.go     a value as the log has it
//	parse.go    and back
//	path.go     the directory of a partition
//
// # Values
//
// https://github.com/delta-io/delta/blob/master/PROTOCOL.md#partition-value-serialization. The empty string stands for null in any
// type, so an empty text is NULL in a partition column: ” and NULL are one partition.
//
//	BOOLEAN         true, false
//	integers        42
//	FLOAT, DOUBLE   as Java has them: 0.0, 1.0E10, 1.7976931348623157E308, NaN, Infinity, -Infinity
//	DECIMAL         all digits of the scale: -1.50
//	STRING          as it is
//	DATE            2006-01-02
//	TIMESTAMP       2006-01-02T15:04:05.000000Z
//	TIMESTAMP_NTZ   2006-01-02 15:04:05, with .000000 when the fraction is not zero
//
// # Paths
//
// Readers take the values from the log and never from the path. So a file is in column=value/… only where that is plain to every
// file system and needs no encoding; otherwise it is at the table's root, as all files of a table with column mapping are.
//
// # Concurrency
//
// A [Scheme] is only read. A [Split] belongs to one goroutine. The chunks are only read, and shared with what Next gives.
//
// # Failure
//
// Splitting cannot fail. What others wrote into the log can be no value of the column's type: that is an error of [Scheme.Parse].
package partition
