package lake

import (
	"context"
	"iter"
	"sync/atomic"
)

// Op is one operation on a store that Faulty watches.
type Op struct {
	N    int64  // 1 for the first operation on the store, then counting
	Name string // get, put, put if absent, create, write, commit, open, list, delete, remove all
	Path string
}

// Fault decides what happens to an operation. With a non-nil before, the operation has no effect and fails with it. With
// a non-nil after, the operation takes effect and its answer is replaced by that error, as when a response is lost. It is
// called without a lock held, from the goroutine of the operation, and may use the store below to play another writer.
type Fault func(op Op) (before, after error)

// FailAt fails operation n without effect.
func FailAt(n int64, err error) Fault {
	return func(op Op) (error, error) {
		if op.N == n {
			return err, nil
		}
		return nil, nil
	}
}

// LoseAt lets operation n take effect and loses its answer.
func LoseAt(n int64, err error) Fault {
	return func(op Op) (error, error) {
		if op.N == n {
			return nil, err
		}
		return nil, nil
	}
}

// Faulty lays faults over a store, for tests. Views made by Sub share the count; their operations are named by the path in
// the whole store.
func Faulty(base Store, fault Fault) Store {
	return &faulty{base: base, fault: fault, n: new(atomic.Int64)}
}

type faulty struct {
	base  Store
	fault Fault
	n     *atomic.Int64
}

// do runs f between the two faults.
func (s *faulty) do(name, path string, f func() error) error {
	before, after := s.fault(Op{N: s.n.Add(1), Name: name, Path: path})
	if before != nil {
		return opError(name, path, before)
	}
	err := f()
	if after != nil {
		return opError(name, path, after)
	}
	return err
}

func (s *faulty) Get(ctx context.Context, path string) (data []byte, err error) {
	err = s.do("get", path, func() (err error) {
		data, err = s.base.Get(ctx, path)
		return err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

func (s *faulty) Put(ctx context.Context, path string, data []byte) error {
	return s.do("put", path, func() error { return s.base.Put(ctx, path, data) })
}

func (s *faulty) PutIfAbsent(ctx context.Context, path string, data []byte) error {
	return s.do("put if absent", path, func() error { return s.base.PutIfAbsent(ctx, path, data) })
}

func (s *faulty) Create(ctx context.Context, path string) (w Writer, err error) {
	err = s.do("create", path, func() (err error) {
		w, err = s.base.Create(ctx, path)
		return err
	})
	if err != nil {
		if w != nil {
			w.Abort()
		}
		return nil, err
	}
	return &faultyWriter{s: s, w: w, path: path}, nil
}

type faultyWriter struct {
	s    *faulty
	w    Writer
	path string
}

func (w *faultyWriter) Write(p []byte) (n int, err error) {
	err = w.s.do("write", w.path, func() (err error) {
		n, err = w.w.Write(p)
		return err
	})
	return n, err
}

func (w *faultyWriter) Commit() error {
	// A commit that fails without effect ends the writer all the same.
	defer w.w.Abort()
	return w.s.do("commit", w.path, w.w.Commit)
}

func (w *faultyWriter) Abort() { w.w.Abort() }

func (s *faulty) Open(ctx context.Context, path string) (r Reader, err error) {
	err = s.do("open", path, func() (err error) {
		r, err = s.base.Open(ctx, path)
		return err
	})
	if err != nil {
		if r != nil {
			r.Close()
		}
		return nil, err
	}
	return r, nil
}

func (s *faulty) List(ctx context.Context, prefix, startAfter string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		stopped := false
		err := s.do("list", prefix, func() error {
			for info, err := range s.base.List(ctx, prefix, startAfter) {
				if err != nil {
					return err
				}
				if !yield(info, nil) {
					stopped = true
					return nil
				}
			}
			return nil
		})
		if err != nil && !stopped {
			yield(Info{}, err)
		}
	}
}

func (s *faulty) Delete(ctx context.Context, path string) error {
	return s.do("delete", path, func() error { return s.base.Delete(ctx, path) })
}

func (s *faulty) RemoveAll(ctx context.Context, prefix string) error {
	return s.do("remove all", prefix, func() error { return s.base.RemoveAll(ctx, prefix) })
}

func (s *faulty) Sub(prefix string) Store { return newView(s, prefix, s.base.Sub(prefix).URL()) }

func (s *faulty) URL() string { return s.base.URL() }
