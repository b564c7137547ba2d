package table

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/delta"
)

func TestExternal_PlacesThatAreRefused(t *testing.T) {
	h := newAbroad(t)
	dir := h.make("t", "of-spark")
	for _, name := range []string{"full/x", "sub/deep/_delta_log/x"} {
		file := filepath.Join(h.root, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	stolen := filepath.Join(h.root, "stolen")
	if err := errors.Join(os.MkdirAll(stolen, 0o755), os.Symlink(filepath.Join(dir, "_delta_log"), filepath.Join(stolen, "_delta_log"))); err != nil {
		if runtime.GOOS == "windows" {
			t.Skip("links need a right on Windows: ", err)
		}
		t.Fatal(err)
	}
	a := h.start(never)
	for location, want := range map[string]string{
		h.root:                     "is not below a directory",
		dir + "/part":              "is inside of the Delta table " + dir,
		dir + "/_delta_log":        "is inside of a Delta log",
		h.root + "/new/_DELTA_LOG": "is inside of a Delta log",
		h.root + "/sub/deep/in":    "is inside of the Delta table " + filepath.Join(h.root, "sub", "deep"),
		h.root + "/full":           "but it has x in it",
		h.root + "/sub":            "but it has deep in it",
		stolen:                     "a link there would lead to the log of another table",
	} {
		_, err := a.eng.Exec(t.Context(), "CREATE TABLE main.default.x (id BIGINT) LOCATION '"+strings.ReplaceAll(location, `\`, `\\`)+"'")
		if !errors.Is(err, catalog.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want ErrInvalid and %q", location, err, want)
		}
	}
	// What a crash leaves is no hindrance: an empty directory, one with an empty log, a table without an entry.
	for _, name := range []string{"empty", "half/_delta_log"} {
		if err := os.MkdirAll(filepath.Join(h.root, filepath.FromSlash(name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	a.sql("CREATE TABLE main.default.a (id BIGINT) LOCATION '" + filepath.ToSlash(h.root) + "/empty'; CREATE TABLE main.default.b (id BIGINT) LOCATION '" +
		filepath.ToSlash(h.root) + "/half'; CREATE TABLE main.default.c (id BIGINT) LOCATION '" + filepath.ToSlash(dir) + "'")
}

// What was allowed is looked at again: the operator may have thought better of it, and somebody may have put a link there.
func TestExternal_IsLookedAtAgainWhenItIsOpened(t *testing.T) {
	h := newAbroad(t)
	dir, other := h.make("t", "first"), h.make("u", "first")
	a := h.start(never)
	a.register("t", dir)
	a.durable(a.open(tName), 0, 1)
	a.crash()

	refused := func(want string) {
		t.Helper()
		b := h.start(never)
		if _, err := b.set.Open(t.Context(), tName); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want ErrBroken and %q", err, want)
		}
		b.stop()
	}
	h.allow()
	refused("is not below a directory")
	h.allow(filepath.Join(h.root, "u"))
	refused("is not below a directory")
	h.allow(h.root)
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, dir); err != nil {
		if runtime.GOOS == "windows" {
			t.Skip("links need a right on Windows: ", err)
		}
		t.Fatal(err)
	}
	refused("a link leads to " + other)
	if err := errors.Join(os.Remove(dir), os.Rename(dir+"2", dir), os.Rename(dir+"/_delta_log", dir+"/log"), os.Symlink(other+"/_delta_log", dir+"/_delta_log")); err != nil {
		t.Fatal(err)
	}
	refused("a link there would lead to the log of another table")
	if err := errors.Join(os.Remove(dir+"/_delta_log"), os.Rename(dir+"/log", dir+"/_delta_log")); err != nil {
		t.Fatal(err)
	}
	c := h.start(never)
	c.stop()
	h.wantAt(dir, 1)
	h.wantAt(other, 0)
}

// Paths of other writers: PROTOCOL.md, "Add File and Remove File": a URI, relative to the table or absolute, as in a shallow clone.
func TestExternal_PathsOfOtherWriters(t *testing.T) {
	h := newAbroad(t)
	dir := h.make("t", "of-spark")
	a := h.start(never)
	a.register("t", dir)
	a.durable(a.open(tName), 0, 10)
	a.flush(a.open(tName))
	parts, err := filepath.Glob(filepath.Join(dir, "part-*"))
	if err != nil || len(parts) != 1 {
		t.Fatal(parts, err)
	}
	data, err := os.ReadFile(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "größe 100%.parquet"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	add := func(path string) string {
		return fmt.Sprintf(`{"add":{"path":%q,"partitionValues":{},"size":%d,"modificationTime":1,"dataChange":true}}`, path, len(data))
	}
	h.commit(dir, add("gr%C3%B6%C3%9Fe%20100%25.parquet"))
	tables := NewTables(h.lake, "test", time.Now)
	tab := a.open(tName)
	rows := func() (n int, err error) {
		return n, tables.Head(t.Context(), tab.Info(), 1000, func([]any) error { n++; return nil })
	}
	if n, err := rows(); n != 20 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}

	for _, path := range []string{"file:///somewhere/else/part.parquet", "s3://bucket/part.parquet", "/somewhere/part.parquet"} {
		h.commit(dir, add(path))
		a.durable(a.open(tName), 10, 1)
		a.flush(tab)
		d, err := tables.Delta(t.Context(), tab.Info())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(slices.Collect(d.Snapshot().Files()), func(f delta.Add) bool { return f.Path == path }) {
			t.Errorf("the state has no %s", path)
		}
		if n, err := rows(); n == 0 || err == nil || !strings.Contains(err.Error(), "it is outside of the table's directory") {
			t.Errorf("%d rows, %v", n, err)
		}
	}
	if _, err := rows(); err == nil {
		t.Error("a file outside is read")
	}
	h.commit(dir, `{"remove":{"path":"file:///somewhere/else/part.parquet","dataChange":true}}`, `{"remove":{"path":"s3://bucket/part.parquet","dataChange":true}}`,
		`{"remove":{"path":"/somewhere/part.parquet","dataChange":true}}`, add("../part.parquet"))
	if _, err := rows(); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("got %v for a path out of the table", err)
	}
}
