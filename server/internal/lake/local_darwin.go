package lake

import (
	"os"

	"golang.org/x/sys/unix"
)

// renameExclusive renames a file and refuses to replace one.
func renameExclusive(from, to string) error {
	if err := unix.RenamexNp(from, to, unix.RENAME_EXCL); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
