package wal

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// syncDir does nothing: Windows has no handle to sync a directory by, NTFS journals its changes.
func syncDir(string) error { return nil }

const errorSharingViolation syscall.Errno = 32

// Lock opens the file for nobody else; the system closes it when the process ends.
func (osFS) Lock(name string) (io.Closer, error) {
	path, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	h, err := syscall.CreateFile(path, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errorSharingViolation) {
		return nil, ErrLocked
	}
	if err != nil {
		return nil, &os.PathError{Op: "lock", Path: name, Err: err}
	}
	return os.NewFile(uintptr(h), name), nil
}
