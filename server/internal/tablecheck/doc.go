// Package tablecheck proves a table right: takes a table's directory, reads its log and its data files from the beginning, and gives
// a [Report] of everything that is not as the log, the schema or the statistics say. It changes nothing.
//
// What a writer has computed is computed again from the values of the files, in plain ways of its own: neither the code that wrote
// the statistics nor the code that reads rows has a part in it. What is shared with the rest of the server is the reading of the log
// (package delta, whose linter compares every checkpoint and checksum with a replay of the commits) and the library that decodes
// Parquet pages. The checks, with the numbers of those in the design notes that they stand for:
//
//	log          versions without a gap, one txn an application and none that goes back, no file twice     6
//	checkpoints  every checkpoint has the state of its version                                             2
//	checksums    so has every .crc file                                                                    10
//	files        every live file is there, and as long as its add says; so are deletion vectors            6
//	schema       types, annotations, shapes, field ids and nullability of the columns in the files         5
//	partitions   partition values are there, and are values of their columns' types                        4
//	values       rows can be decoded; no null where NOT NULL stands, nothing outside of a column's type
//	statistics   numRecords, nullCount, minValues and maxValues against the values                         3
//	loose files  what the latest version does not name, by what will become of it: no fault                9
//
// Forms that other writers use and that are not read here (shredded variants, dates of the calendar before 1582) make a file "not checked"
// in some respect. A table that has one is never called sound.
//
// Concurrency: [Check] starts no goroutine and may run beside a server that writes to the table: it looks at the version that was
// the latest when the log had been read. Memory: the state of the table, and one page of one column at a time.
// The library trusts the sizes that a file without checksums says it has: a forged one can make it take much memory.
// Failure: an error means that the check could not be made. Damage that it finds is a fault, and no error.
package tablecheck
