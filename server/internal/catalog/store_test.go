package catalog

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.etcd.io/bbolt"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 5, 6, 7, 8, 9, 123_456_789, time.UTC)

// ticking is a clock that moves on by a second with every look.
func ticking() func() time.Time {
	var mu sync.Mutex
	now := start
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second)
		return now
	}
}

func openAt(t *testing.T, path string) *Catalog {
	t.Helper()
	c, err := Open(path, Options{Now: ticking()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func open(t *testing.T) *Catalog {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "catalog.db"))
}

func mustName(t *testing.T, s string) Name {
	t.Helper()
	n, err := ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func addTable(t *testing.T, c *Catalog, name string) Table {
	t.Helper()
	tb, err := c.CreateTable(Table{ID: uuid.New(), Name: mustName(t, name), Location: strings.ReplaceAll(name, ".", "/")})
	if err != nil {
		t.Fatal(err)
	}
	return tb
}

func addNamespace(t *testing.T, c *Catalog, name string) {
	t.Helper()
	if _, err := c.CreateNamespace(mustName(t, name), "", ""); err != nil {
		t.Fatal(err)
	}
}

// fails checks class and text of an error.
func fails(t *testing.T, err, class error, text string) {
	t.Helper()
	if !errors.Is(err, class) || !strings.Contains(err.Error(), text) {
		t.Errorf("got error %v (%T), want %q: %s", err, err, class, text)
	}
}

func TestOpen_NewFileHasMainAndIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	c := openAt(t, path)
	for _, name := range []string{"main", "main.default"} {
		ns, err := c.Namespace(mustName(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if ns.Name.String() != name || ns.Owner != "admin" || ns.ID == uuid.Nil || ns.Created.IsZero() {
			t.Errorf("got %+v", ns)
		}
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" {
		return // files have no mode bits there
	}
	if st.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", st.Mode().Perm())
	}
	// One that was copied with other bits is closed again.
	if err := errors.Join(c.Close(), os.Chmod(path, 0o644)); err != nil {
		t.Fatal(err)
	}
	openAt(t, path)
	if st, err = os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %o, %v", st.Mode().Perm(), err)
	}
}

func TestOpen_EverythingIsThereAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	c := openAt(t, path)
	counted(c)
	if err := c.DropNamespace(mustName(t, "main.default")); err != nil {
		t.Fatal(err)
	}
	addNamespace(t, c, "main.s")
	want := addTable(t, c, "main.s.t")
	p, secret, err := c.CreatePrincipal("p")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Grant(p.ID, []Privilege{Select}, want.Name); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = openAt(t, path)
	counted(c)
	got, err := c.Table(want.Name)
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
	if _, err := c.Namespace(mustName(t, "main.default")); !errors.Is(err, ErrNotFound) {
		t.Errorf("main.default came back: %v", err)
	}
	if who, err := c.Authenticate(t.Context(), "test", p.ID, secret); err != nil || who != p {
		t.Errorf("got %+v, %v, want %+v", who, err, p)
	}
	if !c.Check(p.ID, Select, want.Name) {
		t.Error("the grant is lost")
	}
}

func TestOpen_LockedByAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	c := openAt(t, path)
	_, err := Open(path, Options{})
	fails(t, err, ErrLocked, path)
	fails(t, err, ErrLocked, "in use by another process (a running server?)")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	openAt(t, path)
}

func TestOpen_BadFiles(t *testing.T) {
	dir := t.TempDir()
	open := func(what, path, want string) {
		t.Helper()
		c, err := Open(path, Options{})
		if err == nil {
			c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	open("a directory", dir, "open catalog")
	open("no directory", filepath.Join(dir, "missing", "catalog.db"), "no such file")
	for what, content := range map[string]string{"short": "hello", "garbage": strings.Repeat("garbage ", 4096)} {
		path := filepath.Join(dir, what)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		open(what, path, "open catalog")
	}

	change := func(what, want string, f func(tx *bbolt.Tx) error) {
		path := filepath.Join(dir, what)
		c := openAt(t, path)
		if err := errors.Join(c.db.Update(f), c.Close()); err != nil {
			t.Fatal(err)
		}
		open(what, path, want)
	}
	change("newer", `the file has version "2", this program reads "1"`, func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(versionKey, []byte("2"))
	})
	change("part", "part grants is missing", func(tx *bbolt.Tx) error { return tx.DeleteBucket(grantsBucket) })
}

func TestOpen_DamagedEntryIsNamed(t *testing.T) {
	c := open(t)
	addTable(t, c, "main.default.t")
	err := c.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(tablesBucket).Put([]byte("main.default.t"), []byte("{")) })
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Table(mustName(t, "main.default.t"))
	if err == nil || !strings.Contains(err.Error(), `entry "main.default.t" of tables is damaged`) {
		t.Error(err)
	}
	if _, err = c.Tables(Name{}); err == nil {
		t.Error("the list passes over a damaged entry")
	}
}
