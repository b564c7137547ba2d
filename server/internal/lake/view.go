package lake

import (
	"context"
	"iter"
	"strings"
)

// view is a store below a directory of another one.
type view struct {
	base   Store
	prefix string // ends with a slash
	url    string
}

var _ Store = view{}

// newView returns base below prefix. url is what the view's URL gives.
func newView(base Store, prefix, url string) Store {
	if err := checkPath(prefix); err != nil {
		panic("lake: Sub(" + prefix + "): " + err.Error())
	}
	return view{base: base, prefix: prefix + "/", url: url}
}

// path maps a path of the view to one of the base. An invalid path must not become valid by the prefix: "" would.
func (v view) path(op, path string) (string, error) {
	if err := checkPath(path); err != nil {
		return "", opError(op, path, err)
	}
	return v.prefix + path, nil
}

func (v view) Get(ctx context.Context, path string) ([]byte, error) {
	p, err := v.path("get", path)
	if err != nil {
		return nil, err
	}
	return v.base.Get(ctx, p)
}

func (v view) Put(ctx context.Context, path string, data []byte) error {
	p, err := v.path("put", path)
	if err != nil {
		return err
	}
	return v.base.Put(ctx, p, data)
}

func (v view) PutIfAbsent(ctx context.Context, path string, data []byte) error {
	p, err := v.path("put if absent", path)
	if err != nil {
		return err
	}
	return v.base.PutIfAbsent(ctx, p, data)
}

func (v view) Create(ctx context.Context, path string) (Writer, error) {
	p, err := v.path("create", path)
	if err != nil {
		return nil, err
	}
	return v.base.Create(ctx, p)
}

func (v view) Open(ctx context.Context, path string) (Reader, error) {
	p, err := v.path("open", path)
	if err != nil {
		return nil, err
	}
	return v.base.Open(ctx, p)
}

func (v view) List(ctx context.Context, prefix, startAfter string) iter.Seq2[Info, error] {
	if startAfter != "" {
		startAfter = v.prefix + startAfter
	}
	return func(yield func(Info, error) bool) {
		for info, err := range v.base.List(ctx, v.prefix+prefix, startAfter) {
			info.Path = strings.TrimPrefix(info.Path, v.prefix)
			if !yield(info, err) {
				return
			}
		}
	}
}

func (v view) Delete(ctx context.Context, path string) error {
	p, err := v.path("delete", path)
	if err != nil {
		return err
	}
	return v.base.Delete(ctx, p)
}

func (v view) RemoveAll(ctx context.Context, prefix string) error {
	if prefix == "" {
		return v.base.RemoveAll(ctx, strings.TrimSuffix(v.prefix, "/"))
	}
	p, err := v.path("remove all", prefix)
	if err != nil {
		return err
	}
	return v.base.RemoveAll(ctx, p)
}

func (v view) Sub(prefix string) Store {
	if err := checkPath(prefix); err != nil {
		panic("lake: Sub(" + prefix + "): " + err.Error())
	}
	return v.base.Sub(v.prefix + prefix)
}

func (v view) URL() string { return v.url }
