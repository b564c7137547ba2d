package lake

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// renameExclusive renames a file and refuses to replace one: MoveFileEx without MOVEFILE_REPLACE_EXISTING.
func renameExclusive(from, to string) error {
	f, err := windows.UTF16PtrFromString(from)
	if err != nil {
		return err
	}
	t, err := windows.UTF16PtrFromString(to)
	if err != nil {
		return err
	}
	if err := windows.MoveFileEx(f, t, windows.MOVEFILE_WRITE_THROUGH); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// linkUnsupported knows the answers of FAT and of network drives to CreateHardLink.
func linkUnsupported(err error) bool {
	return errors.Is(err, windows.ERROR_INVALID_FUNCTION) || errors.Is(err, syscall.Errno(windows.ERROR_NOT_SUPPORTED))
}

// syncDir does nothing: a directory cannot be flushed, and NTFS writes its changes to the volume's log in order.
func syncDir(string) error { return nil }
