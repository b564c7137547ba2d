//go:build !linux

package wal

import "os"

func datasync(f *os.File) error { return f.Sync() }

// preallocate sets the size only; the zeroes that are written next take the blocks.
func preallocate(f *os.File, size int64) error { return f.Truncate(size) }
