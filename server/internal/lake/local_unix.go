//go:build !windows

package lake

import (
	"errors"
	"os"
	"syscall"
)

// linkUnsupported has nothing to add to the errors that all systems share.
func linkUnsupported(error) bool { return false }

// syncDir makes the entries of a directory durable. File systems that cannot sync directories (some network and FUSE ones)
// answer EINVAL or ENOTSUP; they have no stronger promise to give.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}
