package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// How the disk's own sync is measured.
const (
	syncTime  = 500 * time.Millisecond
	syncFile  = 4 << 20 // bytes of the file that is overwritten again and again
	syncWrite = 4 << 10 // bytes of a write
)

// measureSyncs overwrites a file in a directory piece by piece, each made durable before the next, as the log does with its
// segments: what a record cannot be faster than.
func measureSyncs(ctx context.Context, dir string) (_ *distribution, err error) {
	f, err := os.Create(filepath.Join(dir, ".zerobus-bench"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.Write(make([]byte, syncFile)); err != nil { // blocks that are there already, like the log's
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	var all latencies
	piece := make([]byte, syncWrite)
	began := time.Now()
	for last := began; last.Sub(began) < syncTime && ctx.Err() == nil; {
		piece[0]++
		if _, err := f.WriteAt(piece, all.n*syncWrite%syncFile); err != nil {
			return nil, err
		}
		if err := datasync(f); err != nil {
			return nil, err
		}
		now := time.Now()
		all.add(now.Sub(last), 1)
		last = now
	}
	return all.distribution(), ctx.Err()
}
