//go:build unix

package server

import (
	"math"

	"golang.org/x/sys/unix"
)

// fileLimit is how many files the process may have open. Go raises the soft limit to the hard one when it starts.
func fileLimit() int64 {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil || uint64(r.Cur) > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(r.Cur)
}
