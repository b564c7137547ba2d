package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// ioError names the operation and the file, once: the operating system's own errors carry a path as well.
func ioError(op, file string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) && path.Path == file {
		err = path.Err
	}
	return fmt.Errorf("wal: %s %s: %w", op, file, err)
}

// writeFile puts a small file in place so that after a crash it is there whole or not at all. It does not replace one.
func writeFile(fsys FS, dir, name string, data []byte) error {
	final := filepath.Join(dir, name)
	temp := final + tempSuffix
	f, err := fsys.Create(temp)
	if err != nil {
		return ioError("create", temp, err)
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		f.Close()
		return ioError("write", temp, err)
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return ioError("sync", temp, err)
	}
	if err := f.Close(); err != nil {
		return ioError("close", temp, err)
	}
	if err := fsys.Rename(temp, final); err != nil {
		return ioError("rename", temp, err)
	}
	if err := fsys.SyncDir(dir); err != nil {
		return ioError("sync directory", dir, err)
	}
	return nil
}
