package lake

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// readBatch is how many directory entries are read at once; those outside the asked range are dropped at once.
const readBatch = 1024

// List walks the directories in the order of the paths.
func (l *Local) List(ctx context.Context, prefix, startAfter string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		top := ""
		if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
			top = prefix[:i]
			if err := checkPath(top); err != nil {
				yield(Info{}, opError("list", prefix, err))
				return
			}
			top += "/"
		}
		w := walk{ctx: ctx, l: l, prefix: prefix, after: startAfter, yield: yield}
		w.dir(top)
	}
}

type walk struct {
	ctx    context.Context
	l      *Local
	prefix string
	after  string
	yield  func(Info, error) bool
}

// dir yields what is below the directory, given as "" or with a slash at its end, and tells whether to go on.
func (w *walk) dir(dir string) bool {
	entries, err := w.entries(dir)
	if err != nil {
		w.yield(Info{}, opError("list", dir, err))
		return false
	}
	for _, key := range entries {
		if err := w.ctx.Err(); err != nil {
			w.yield(Info{}, opError("list", dir, err))
			return false
		}
		if strings.HasSuffix(key, "/") {
			if !w.dir(key) {
				return false
			}
			continue
		}
		info, err := w.l.stat(filepath.Join(w.l.dir, filepath.FromSlash(key)))
		if errors.Is(absent(err), fs.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			w.yield(Info{}, opError("list", key, err))
			return false
		}
		if !info.Mode().IsRegular() {
			continue
		}
		if !w.yield(Info{Path: key, Size: info.Size(), ModTime: info.ModTime()}, nil) {
			return false
		}
	}
	return true
}

// entries returns the wanted entries of a directory, sorted: the paths of objects, and those of directories with a slash,
// which is how they sort among objects ("a.b" before "a/b").
func (w *walk) entries(dir string) ([]string, error) {
	if err := w.ctx.Err(); err != nil {
		return nil, err
	}
	if err := w.l.own(dir); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(w.l.dir, filepath.FromSlash(dir)))
	if err := w.l.missing(absent(err)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil {
		return nil, err
	} else if !st.IsDir() {
		return nil, nil
	}
	var out []string
	for {
		batch, err := f.ReadDir(readBatch)
		for _, d := range batch {
			if key := dir + d.Name(); d.IsDir() {
				if key += "/"; w.wantsDir(key) {
					out = append(out, key)
				}
			} else if w.wants(key) {
				out = append(out, key)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(absent(err), fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(out)
	return out, nil
}

func (w *walk) wants(key string) bool {
	return strings.HasPrefix(key, w.prefix) && key > w.after && !hidden(key)
}

// wantsDir tells whether a directory can hold paths of the asked range.
func (w *walk) wantsDir(key string) bool {
	inPrefix := strings.HasPrefix(key, w.prefix) || strings.HasPrefix(w.prefix, key)
	inRange := key > w.after || strings.HasPrefix(w.after, key)
	return inPrefix && inRange && !hidden(strings.TrimSuffix(key, "/"))
}

func hidden(key string) bool {
	return strings.HasPrefix(key[strings.LastIndexByte(key, '/')+1:], tempPrefix)
}
