package lake

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a Store in memory, for tests. It keeps the whole contract except durability.
type Memory struct {
	mu      sync.RWMutex
	objects map[string]object // guarded by mu; the bytes are never changed
}

type object struct {
	data []byte
	mod  time.Time
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{objects: map[string]object{}} }

// URL is "memory:", which no reader can open.
func (m *Memory) URL() string { return "memory:" }

// Sub returns the view below prefix.
func (m *Memory) Sub(prefix string) Store { return newView(m, prefix, "memory:"+prefix) }

func (m *Memory) check(ctx context.Context, op, path string) error {
	if err := ctx.Err(); err != nil {
		return opError(op, path, err)
	}
	return opError(op, path, checkPath(path))
}

func (m *Memory) get(ctx context.Context, op, path string) ([]byte, error) {
	if err := m.check(ctx, op, path); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	o, ok := m.objects[path]
	if !ok {
		return nil, opError(op, path, fs.ErrNotExist)
	}
	return o.data, nil
}

// Get returns a copy of the object.
func (m *Memory) Get(ctx context.Context, path string) ([]byte, error) {
	data, err := m.get(ctx, "get", path)
	return bytes.Clone(data), err
}

// Put writes the object and replaces one that is there.
func (m *Memory) Put(ctx context.Context, path string, data []byte) error {
	if err := m.check(ctx, "put", path); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[path] = object{data: bytes.Clone(data), mod: time.Now()}
	return nil
}

// PutIfAbsent writes the object if there is none.
func (m *Memory) PutIfAbsent(ctx context.Context, path string, data []byte) error {
	return m.putIfAbsent(ctx, "put if absent", path, data)
}

func (m *Memory) putIfAbsent(ctx context.Context, op, path string, data []byte) error {
	if err := m.check(ctx, op, path); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[path]; ok {
		return opError(op, path, fs.ErrExist)
	}
	m.objects[path] = object{data: bytes.Clone(data), mod: time.Now()}
	return nil
}

// Create begins an object.
func (m *Memory) Create(ctx context.Context, path string) (Writer, error) {
	if err := m.check(ctx, "create", path); err != nil {
		return nil, err
	}
	return &memoryWriter{m: m, ctx: ctx, path: path}, nil
}

type memoryWriter struct {
	m     *Memory
	ctx   context.Context // bounds the writer's life, see Store.Create
	path  string
	buf   bytes.Buffer
	ended bool
}

func (w *memoryWriter) Write(p []byte) (int, error) {
	if w.ended {
		return 0, opError("write", w.path, fs.ErrClosed)
	}
	if err := w.ctx.Err(); err != nil {
		return 0, opError("write", w.path, err)
	}
	return w.buf.Write(p)
}

func (w *memoryWriter) Commit() error {
	if w.ended {
		return opError("commit", w.path, fs.ErrClosed)
	}
	w.ended = true
	return w.m.putIfAbsent(w.ctx, "commit", w.path, w.buf.Bytes())
}

func (w *memoryWriter) Abort() { w.ended = true }

// Open opens the object for reading.
func (m *Memory) Open(ctx context.Context, path string) (Reader, error) {
	data, err := m.get(ctx, "open", path)
	if err != nil {
		return nil, err
	}
	return memoryReader{bytes.NewReader(data)}, nil
}

type memoryReader struct{ *bytes.Reader }

func (memoryReader) Close() error { return nil }

var _ io.ReaderAt = memoryReader{}

// List yields the objects that were there when it was called.
func (m *Memory) List(ctx context.Context, prefix, startAfter string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
			if err := checkPath(prefix[:i]); err != nil {
				yield(Info{}, opError("list", prefix, err))
				return
			}
		}
		m.mu.RLock()
		var found []Info
		for path, o := range m.objects {
			if strings.HasPrefix(path, prefix) && path > startAfter {
				found = append(found, Info{Path: path, Size: int64(len(o.data)), ModTime: o.mod})
			}
		}
		m.mu.RUnlock()
		slices.SortFunc(found, func(a, b Info) int { return strings.Compare(a.Path, b.Path) })
		for _, info := range found {
			if err := ctx.Err(); err != nil {
				yield(Info{}, opError("list", prefix, err))
				return
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

// Delete removes the object.
func (m *Memory) Delete(ctx context.Context, path string) error {
	if err := m.check(ctx, "delete", path); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, path)
	return nil
}

// RemoveAll removes every object below prefix.
func (m *Memory) RemoveAll(ctx context.Context, prefix string) error {
	if err := m.check(ctx, "remove all", prefix); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for path := range m.objects {
		if strings.HasPrefix(path, prefix+"/") {
			delete(m.objects, path)
		}
	}
	return nil
}
