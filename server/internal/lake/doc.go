// Package lake is the object storage below the tables: it takes whole objects under slash-separated paths and gives them
// back, and it never lets two writers create the same object.
//
// Put-if-absent is part of the contract: of many racing writers, in one process or in several, exactly one creates the
// object and all others get fs.ErrExist. The commit protocol of Delta rests on that alone.
//
// The local file system ([Local]) comes first. [Memory] is the same contract without a disk, for tests, and [Faulty] lays
// faults over any store. Package laketest holds the contract as a test suite; every implementation runs it.
//
// # Paths
//
// A path is relative, in UTF-8, with elements separated by single slashes. An element is never empty, "." or "..", holds no
// backslash or control byte, and does not begin with ".tmp-": those names belong to unfinished writes and are
// invisible. A path is never both an object and the parent of other objects.
//
// # Directories of others
//
// Tables that somebody else has made lie outside of the lake. [Roots] says where they may be and opens their directories, each as a
// store of its own, which is not made when it is missing and in which no link is followed.
//
// # Concurrency
//
// Every method of every Store may be called from any number of goroutines. Writers and Readers belong to one goroutine at
// a time, except that ReadAt is safe for concurrent use.
//
// # Failure
//
// A nil error of Put, PutIfAbsent or Commit means that the object is complete and survives power loss. fs.ErrExist of
// PutIfAbsent and Commit means that another object is there, whole and just as durable, and that nothing was changed. Any
// other error leaves the outcome open: the object may be there, complete, or not at all. It is never there in part (the one
// exception is told at [Local]). Callers that must know read the object back; PutIfAbsent again settles it.
package lake
