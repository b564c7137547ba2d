// Package parquetfile is stage 5: takes the column chunks of one table, gives one Parquet file and its Delta statistics, and
// reads files of a table back. It never touches a disk, a log or a clock: it writes to an io.Writer and reads an io.ReaderAt.
//
// [Write] and [Writer], which takes the rows piece by piece, lay out columns themselves, with the kernels of parquet-go (levels,
// dictionary indexes, deltas, Thrift) under them, because the library's own writer takes a 24-byte value per cell when the schema is
// known only at run time. The file:
//
//	physical type       BOOLEAN; INT32 for TINYINT, SMALLINT, INT, DATE, DECIMAL of up to 9 digits; INT64 for BIGINT,
//	                    TIMESTAMP, TIMESTAMP_NTZ, DECIMAL of up to 18 digits; FIXED_LEN_BYTE_ARRAY for larger DECIMAL;
//	                    FLOAT; DOUBLE; BYTE_ARRAY for STRING and BINARY
//	groups              STRUCT; LIST of three levels for ARRAY; MAP; value and metadata for VARIANT: see tree.go
//	repetition          OPTIONAL for nullable columns, fields, elements and values, REQUIRED for NOT NULL
//	pages               version 1, with CRC, at most 65,536 rows or about 1 MiB before compression; inside of other columns
//	                    whole rows of about as many elements
//	encoding            a dictionary where it is smaller, else DELTA_BINARY_PACKED for 64-bit integers, else PLAIN
//	footer statistics   exact or absent; absent for a column chunk with a NaN or a bound of more than 1 KiB, and inside of
//	                    arrays, maps and variants
//
// The statistics of the result are made from the chunks, not from the footer; see stats.go for their rules.
//
// Columns are written one after the other straight from the chunks: beside them, memory holds one page and, for a column
// with a dictionary, the dictionary (about 1 MiB) and 4 bytes a row of the row group; one more of each for every core that helps.
// They are read row by row: memory holds a page of each, a few of its values (feed.go), and a chunk of about 8 MiB.
//
// Concurrency: the functions may be called at the same time on different writers. The chunks are only read. What they share is the
// processor: pages are encoded, and the next columns surveyed, on cores that no other file uses (helpers.go). A file's bytes do not
// depend on it.
// Failure: an error of Write leaves an incomplete file that its owner throws away. Write refuses rows that break the table's
// contract (a null in a NOT NULL column, a number outside its type); the earlier stages let none through, so that is a bug
// and not a client's fault.
package parquetfile
