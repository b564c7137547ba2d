package lake

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Put writes the object and replaces one that is there.
func (l *Local) Put(ctx context.Context, path string, data []byte) error {
	return l.put(ctx, "put", path, data, l.replace)
}

// PutIfAbsent writes the object if there is none. When there is one it writes nothing, so that a full disk does not keep its
// durability from being confirmed.
func (l *Local) PutIfAbsent(ctx context.Context, path string, data []byte) error {
	const op = "put if absent"
	name, err := l.file(ctx, path)
	if err != nil {
		return opError(op, path, err)
	}
	if _, err := os.Lstat(name); err == nil {
		if err := l.settle(name); err != nil {
			return opError(op, path, err)
		}
		return opError(op, path, fs.ErrExist)
	}
	return l.put(ctx, op, path, data, l.publish)
}

// put writes a temporary file and hands it to finish, which gives it its name.
func (l *Local) put(ctx context.Context, op, path string, data []byte, finish func(temp, name string) error) error {
	name, err := l.file(ctx, path)
	if err != nil {
		return opError(op, path, err)
	}
	w, err := l.temp(ctx, path, name)
	if err != nil {
		return opError(op, path, err)
	}
	defer w.Abort()
	if _, err := w.write(data); err != nil {
		return opError(op, path, err)
	}
	return opError(op, path, w.finish(finish))
}

// Create begins an object.
func (l *Local) Create(ctx context.Context, path string) (Writer, error) {
	name, err := l.file(ctx, path)
	if err != nil {
		return nil, opError("create", path, err)
	}
	w, err := l.temp(ctx, path, name)
	if err != nil {
		return nil, opError("create", path, err)
	}
	return w, nil
}

// temp creates the hidden file next to the object's place.
func (l *Local) temp(ctx context.Context, path, name string) (*localWriter, error) {
	dir := filepath.Dir(name)
	temp := filepath.Join(dir, tempPrefix+rand.Text())
	var f *os.File
	open := func() (err error) {
		f, err = os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		return err
	}
	err := l.do("create", temp, open)
	// A directory can vanish between its making and the open when RemoveAll runs; a few rounds are enough for what is no
	// more than a race.
	for range 3 {
		if err = l.missing(err); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		// Forget before making: a writer that finds the new directory must not trust what was known of the old one.
		l.forget(dir)
		if err := l.do("mkdir", dir, func() error { return os.MkdirAll(dir, 0o777) }); err != nil {
			return nil, err
		}
		err = l.do("create", temp, open)
	}
	if err != nil {
		return nil, err
	}
	return &localWriter{l: l, ctx: ctx, path: path, name: name, temp: temp, f: f}, nil
}

type localWriter struct {
	l    *Local
	ctx  context.Context // bounds the writer's life, see Store.Create
	path string
	name string
	temp string
	f    *os.File // nil when ended
}

func (w *localWriter) Write(p []byte) (int, error) {
	n, err := w.write(p)
	return n, opError("write", w.path, err)
}

func (w *localWriter) write(p []byte) (int, error) {
	if w.f == nil {
		return 0, fs.ErrClosed
	}
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	var n int
	err := w.l.do("write", w.temp, func() (err error) {
		n, err = w.f.Write(p)
		return err
	})
	return n, err
}

// Commit publishes the object.
func (w *localWriter) Commit() error {
	return opError("commit", w.path, w.finish(w.l.publish))
}

// finish syncs the temporary file and hands it to publish, which gives it its name and ends the temporary one.
func (w *localWriter) finish(publish func(temp, name string) error) error {
	if w.f == nil {
		return fs.ErrClosed
	}
	defer w.Abort()
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if err := w.l.do("sync", w.temp, w.f.Sync); err != nil {
		return err
	}
	// Windows renames closed files only.
	if err := w.f.Close(); err != nil {
		return err
	}
	w.f = nil
	return publish(w.temp, w.name)
}

// Abort drops the temporary file.
func (w *localWriter) Abort() {
	if w.f == nil {
		return
	}
	w.f.Close()
	w.f = nil
	_ = w.l.remove(w.temp) // as in publish
}

// replace gives temp its name, in place of what has it now.
func (l *Local) replace(temp, name string) error {
	if err := l.rename(temp, name); err != nil {
		_ = l.remove(temp)
		return err
	}
	return l.settle(name)
}

// publish gives temp its name if nothing has it, and makes the name durable. When something has it, that name is made
// durable before fs.ErrExist is returned: a caller that lost may act upon the winner's object at once, and one that asks
// again after an error learns that its first attempt is safe.
func (l *Local) publish(temp, name string) error {
	lost := l.claim(temp, name)
	_ = l.remove(temp) // a temporary name that stays is hidden, and swept when the lake is next opened
	if lost != nil && !errors.Is(lost, fs.ErrExist) {
		return lost
	}
	if err := l.settle(name); err != nil {
		return err
	}
	return lost
}

// claim gives temp its name by the best means that the file system has.
func (l *Local) claim(temp, name string) error {
	err := l.do("link", name, func() error { return os.Link(temp, name) })
	if !unsupported(err) {
		return err
	}
	err = l.do("rename exclusive", name, func() error { return renameExclusive(temp, name) })
	if !unsupported(err) {
		return err
	}
	return l.copyExclusive(temp, name)
}

// copyExclusive is the last resort: the object is written under its own name.
func (l *Local) copyExclusive(temp, name string) (err error) {
	data, err := os.ReadFile(temp)
	if err != nil {
		return err
	}
	var f *os.File
	err = l.do("create exclusive", name, func() (err error) {
		f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		return err
	})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			_ = os.Remove(name) // ours alone: O_EXCL made it
		}
	}()
	err = l.do("write exclusive", name, func() error {
		_, err := f.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	if err := l.do("sync exclusive", name, f.Sync); err != nil {
		return err
	}
	return f.Close()
}

// unsupported tells whether a link or rename failed because the file system does not have it. EPERM is what Linux answers
// for link on FAT, EINVAL for renameat2 flags that a file system does not know.
func unsupported(err error) bool {
	for _, e := range []error{errors.ErrUnsupported, syscall.EPERM, syscall.ENOSYS, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.EINVAL, syscall.EMLINK} {
		if errors.Is(err, e) {
			return true
		}
	}
	return linkUnsupported(err)
}

func (l *Local) rename(from, to string) error {
	return l.do("rename", to, func() error { return os.Rename(from, to) })
}

func (l *Local) remove(name string) error {
	return l.do("remove", name, func() error { return os.Remove(name) })
}

// do takes a step that touches the disk.
func (l *Local) do(step, file string, f func() error) error {
	if err := l.at(step, file); err != nil {
		return err
	}
	return f()
}

// settle makes the entry of a file in its directory durable, and the entries of the directories above it if this process
// has not done so since they were made.
//
// The race: A makes a directory, B finds it and writes a file into it, power fails before A syncs the parent, and B's file,
// which was reported durable, is gone with the directory. So B syncs the parents as well, once; and A forgets what was known
// before it makes the directory, so that B, who looks here after its file was created, does not find old knowledge.
func (l *Local) settle(name string) error {
	dir := filepath.Dir(name)
	if err := l.syncDir(dir); err != nil {
		return err
	}
	if l.isKnown(dir) {
		return nil
	}
	for d := dir; d != l.dir; {
		d = filepath.Dir(d)
		if err := l.syncDir(d); err != nil {
			return err
		}
	}
	l.remember(dir)
	return nil
}

func (l *Local) isKnown(dir string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known[dir]
}

func (l *Local) remember(dir string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.known) >= maxKnownDirs {
		clear(l.known)
	}
	l.known[dir] = true
}

// forget drops what is known of dir and everything below it.
func (l *Local) forget(dir string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	below := dir + string(filepath.Separator)
	for d := range l.known {
		if d == dir || strings.HasPrefix(d, below) {
			delete(l.known, d)
		}
	}
}

func (l *Local) syncDir(dir string) error {
	return l.do("sync dir", dir, func() error { return syncDir(dir) })
}
