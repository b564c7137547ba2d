// Package ledger keeps what must outlive a crash and is neither in the write-ahead log nor in the tables: how far each producer
// has come in each table, and which data files of a table no commit names, or perhaps none. All of it goes in and comes out as it is;
// the package decides nothing.
//
//	table id ─┬─ positions   producer -> session, number of its next record, time of its last one
//	          ├─ upTo        the log, and the sequence up to which its entries are in the positions
//	          ├─ orphans     names of files
//	          ├─ rewrites    names of files that compactions make
//	          └─ columns     that entries of the log may be written for, when the table has others by now
//
// A position follows the commit of the records that it counts, and the log keeps their entries until it is here. So it is never
// ahead of the table, and what it is behind, replay of the log brings.
//
// It is a bbolt file: each change is one transaction, durable when the call returns. After an error a change has happened or
// not. Methods may be called concurrently; changes that come at the same time share a transaction.
package ledger
