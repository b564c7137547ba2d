package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"
)

// Store is a set of objects under slash-separated paths. See the package documentation for paths, concurrency and what
// errors mean.
type Store interface {
	// Get returns the whole object. The caller owns the slice. The error is fs.ErrNotExist when there is none.
	Get(ctx context.Context, path string) ([]byte, error)

	// Put writes the object and replaces one that is there. Readers see the old object or the new one, never a mixture.
	// The object is durable when Put returns nil.
	Put(ctx context.Context, path string, data []byte) error

	// PutIfAbsent writes the object if there is none. Exactly one of many racing writers gets nil, the others get
	// fs.ErrExist. Both answers are given only when the object that is there is durable.
	PutIfAbsent(ctx context.Context, path string, data []byte) error

	// Create begins an object that is written piece by piece. Nothing is visible before Commit. ctx bounds the writer's
	// whole life.
	Create(ctx context.Context, path string) (Writer, error)

	// Open opens an object for reading at any offset. The error is fs.ErrNotExist when there is none.
	Open(ctx context.Context, path string) (Reader, error)

	// List yields the objects whose path begins with prefix and is greater than startAfter, in byte order of their paths.
	// prefix is a string prefix ("t/_delta_log/000" is one), startAfter a path with the prefix included; both may be
	// empty. Objects created or deleted meanwhile may or may not be seen. The first error ends the sequence. Nothing below
	// prefix is not an error.
	List(ctx context.Context, prefix, startAfter string) iter.Seq2[Info, error]

	// Delete removes the object, durably. That it is not there is not an error.
	Delete(ctx context.Context, path string) error

	// RemoveAll removes every object below the directory prefix ("t" removes "t/a", not "t2/a"). That there is none is not
	// an error. Objects written below prefix meanwhile may or may not survive. An empty prefix stands for everything below
	// a view made by Sub; the root of a store refuses it.
	RemoveAll(ctx context.Context, prefix string) error

	// Sub returns the view of the store below the directory prefix. It panics when prefix is not a valid path.
	Sub(prefix string) Store

	// URL names the place of the store for people and for other readers of the table: an absolute directory for the local
	// store.
	URL() string
}

// Writer writes one object. Exactly one of Commit and Abort ends it; Abort after either is a no-op, so it can be deferred.
type Writer interface {
	io.Writer

	// Commit makes the object durable and visible. It never replaces one: the error is fs.ErrExist when there is one.
	// The writer is ended whatever the answer.
	Commit() error

	// Abort drops what was written.
	Abort()
}

// Reader reads one object. It sees the object as it was opened, even when it is replaced or deleted meanwhile.
type Reader interface {
	io.ReaderAt
	io.Closer

	// Size is the object's length in bytes.
	Size() int64
}

// Info describes an object that List found.
type Info struct {
	Path    string
	Size    int64 // bytes
	ModTime time.Time
}

// tempPrefix begins the names of unfinished and half-removed files. Delta readers and VACUUM ignore names that begin with
// a dot.
const tempPrefix = ".tmp-"

// maxPath bounds a path's length in bytes; S3 has the same bound.
const maxPath = 1024

var errInvalidPath = fmt.Errorf("invalid path (%w)", fs.ErrInvalid)

// checkPath tells whether path may name an object.
func checkPath(path string) error {
	if path == "" || len(path) > maxPath || !utf8.ValidString(path) {
		return errInvalidPath
	}
	for elem := range strings.SplitSeq(path, "/") {
		if elem == "" || elem == "." || elem == ".." || strings.HasPrefix(elem, tempPrefix) {
			return errInvalidPath
		}
	}
	for i := range len(path) {
		if c := path[i]; c < 0x20 || c == 0x7f || c == '\\' {
			return errInvalidPath
		}
	}
	// Names that a system gives a meaning of its own: NUL and COM1, or C: on Windows.
	if !filepath.IsLocal(filepath.FromSlash(path)) {
		return errInvalidPath
	}
	return nil
}

// opError wraps err with the operation and the path, unless it carries them already.
func opError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}
