//go:build !linux

package main

import "os"

// datasync is the log's sync: it makes the file durable.
func datasync(f *os.File) error { return f.Sync() }
