package lake

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// staleTemp is the age at which an unfinished file counts as left behind by a dead process. A writer touches its file with
// each piece; none waits a day between two.
const staleTemp = 24 * time.Hour

// maxKnownDirs bounds the memory of directories that are known to be durable. Past it the memory starts anew.
const maxKnownDirs = 4096

// Local is a Store in a directory of the local file system. Several processes may use one directory.
//
// An object is written to a hidden file in its own directory, synced, and published by link(2), which never replaces; then
// the directory is synced, and so are the directories above it the first time this process writes there. Put publishes by
// rename. Where the file system has no links, a rename that refuses to replace takes its place. Where it has neither, the
// object is created under its own name with O_EXCL and written there: exclusion and durability hold, but a reader can see
// the object while it is written, and a crash in that moment leaves a part of it.
//
// Directories that a symbolic link below the listed prefix leads to are not listed. On Windows an object cannot be replaced
// or deleted while it is open.
type Local struct {
	dir     string
	foreign bool // see Roots.Open

	// at is called before each step that touches the disk; a non-nil error stands for the step's failure. Tests set it.
	at func(step, file string) error

	mu    sync.Mutex
	known map[string]bool // directories that are durable up to dir; guarded by mu
}

var _ Store = (*Local)(nil)

// NewLocal opens the directory, which it makes when it is missing, and removes what dead writers left in it: unfinished
// files older than a day and half-removed directories. It reads every directory of the lake once.
func NewLocal(dir string) (*Local, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open lake %s: %w", dir, err)
	}
	l := newLocal(abs)
	if err := makeDir(abs); err != nil {
		return nil, fmt.Errorf("open lake: %w", err)
	}
	if err := l.sweep(time.Now().Add(-staleTemp)); err != nil {
		return nil, fmt.Errorf("open lake: remove unfinished files: %w", err)
	}
	return l, nil
}

func newLocal(dir string) *Local {
	return &Local{dir: dir, at: func(step, file string) error { return nil }, known: map[string]bool{}}
}

// makeDir makes the directory and its missing parents, each durable in its own parent.
func makeDir(dir string) error {
	if st, err := os.Stat(dir); err == nil && !st.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	} else if err == nil {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// URL is the absolute directory.
func (l *Local) URL() string { return l.dir }

// Sub returns the view below prefix.
func (l *Local) Sub(prefix string) Store {
	return newView(l, prefix, filepath.Join(l.dir, filepath.FromSlash(prefix)))
}

// file maps an object's path to its file.
func (l *Local) file(ctx context.Context, path string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := checkPath(path); err != nil {
		return "", err
	}
	return filepath.Join(l.dir, filepath.FromSlash(path)), l.own(path)
}

// Get reads the whole object.
func (l *Local) Get(ctx context.Context, path string) ([]byte, error) {
	f, size, err := l.open(ctx, path)
	if err != nil {
		return nil, opError("get", path, err)
	}
	defer f.Close()
	if err := l.readable(size); err != nil {
		return nil, opError("get", path, err)
	}
	buf := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := io.Copy(buf, f); err != nil {
		return nil, opError("get", path, err)
	}
	return buf.Bytes(), nil
}

// Open opens the object for reading.
func (l *Local) Open(ctx context.Context, path string) (Reader, error) {
	f, size, err := l.open(ctx, path)
	if err != nil {
		return nil, opError("open", path, err)
	}
	return &localReader{File: f, size: size}, nil
}

func (l *Local) open(ctx context.Context, path string) (*os.File, int64, error) {
	name, err := l.file(ctx, path)
	if err != nil {
		return nil, 0, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, l.missing(absent(err))
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	if st.IsDir() {
		f.Close()
		return nil, 0, fs.ErrNotExist
	}
	return f, st.Size(), nil
}

// absent turns "a parent is not a directory" into "not there", which it is to an object store.
func absent(err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return fs.ErrNotExist
	}
	return err
}

type localReader struct {
	*os.File
	size int64
}

func (r *localReader) Size() int64 { return r.size }

// Delete removes the object and syncs its directory.
func (l *Local) Delete(ctx context.Context, path string) error {
	name, err := l.file(ctx, path)
	if err != nil {
		return opError("delete", path, err)
	}
	if err := l.delete(name); err != nil {
		return opError("delete", path, err)
	}
	return nil
}

func (l *Local) delete(name string) error {
	st, err := os.Lstat(name)
	if err == nil && st.IsDir() {
		return nil
	}
	if err == nil {
		err = l.remove(name)
	}
	if err := absent(err); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return l.syncDir(filepath.Dir(name))
}

// RemoveAll takes the directory out of sight by one rename and then removes it; a crash leaves the rest to the next
// NewLocal. Where the rename is refused (Windows, with a file open) the files go one by one.
func (l *Local) RemoveAll(ctx context.Context, prefix string) error {
	name, err := l.file(ctx, prefix)
	if err != nil {
		return opError("remove all", prefix, err)
	}
	if err := l.removeAll(name); err != nil {
		return opError("remove all", prefix, err)
	}
	return nil
}

func (l *Local) removeAll(name string) error {
	st, err := os.Lstat(name)
	if err := absent(err); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if st.Mode().IsRegular() {
		return nil // an object, not a directory of objects
	}
	parent := filepath.Dir(name)
	doomed := filepath.Join(parent, removedPrefix+rand.Text())
	l.forget(name)
	if err := l.rename(name, doomed); err != nil {
		doomed = name
	} else if err := l.syncDir(parent); err != nil {
		return err
	}
	if err := l.do("remove", doomed, func() error { return os.RemoveAll(doomed) }); err != nil {
		return err
	}
	return l.syncDir(parent)
}

// removedPrefix begins the names of directories that RemoveAll took out of sight.
const removedPrefix = tempPrefix + "removed-"

// sweep removes half-removed directories, and unfinished files that were last written before the time given. What another
// process removes or may not be read meanwhile is left alone.
func (l *Local) sweep(before time.Time) error {
	return filepath.WalkDir(l.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			if name == l.dir {
				return err
			}
			return fs.SkipDir
		}
		base := d.Name()
		switch {
		case d.IsDir() && strings.HasPrefix(base, removedPrefix):
			_ = os.RemoveAll(name) // what stays is hidden and tried again at the next start
			return fs.SkipDir
		case d.Type().IsRegular() && strings.HasPrefix(base, tempPrefix):
			if info, err := d.Info(); err == nil && info.ModTime().Before(before) {
				_ = os.Remove(name)
			}
		}
		return nil
	})
}
