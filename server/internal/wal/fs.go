package wal

import "io"

// FS is what the log needs of a file system. Names are paths. The package waltest has one that loses power, runs full
// and fails on request.
type FS interface {
	// MkdirAll makes dir and its parents if need be, durably.
	MkdirAll(dir string) error
	// List gives the plain files of dir in any order.
	List(dir string) ([]FileInfo, error)
	// Create makes a new file for reading and writing; it fails if the name exists. The name is durable after SyncDir.
	Create(name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Rename gives a file another name in the same directory, replacing what had that name.
	Rename(from, to string) error
	// Remove removes a file.
	Remove(name string) error
	// SyncDir makes creations, renames and removals in dir durable.
	SyncDir(dir string) error
	// Lock takes the lock that the file name stands for, for this process alone, until the result is closed or the
	// process ends. It does not wait: errors.Is(err, ErrLocked) when somebody else has it.
	Lock(name string) (io.Closer, error)
}

// File is an open file. WriteAt follows io.WriterAt: it returns an error if it wrote less than it was given.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Preallocate makes the file size bytes long and reserves the space for it, as far as the file system can.
	Preallocate(size int64) error
	// Sync makes content, size and allocation durable.
	Sync() error
	// Datasync makes content durable, and as much of the rest as is needed to read it again.
	Datasync() error
}

// FileInfo is one file of a directory.
type FileInfo struct {
	Name string // without the directory
	Size int64
}
