package lake

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// ground is a directory with a root, a data directory and a place that is neither, without links in their paths.
type ground struct{ top, root, data, other string }

func newGround(t *testing.T) ground {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	g := ground{top, filepath.Join(top, "root"), filepath.Join(top, "data"), filepath.Join(top, "other")}
	for _, dir := range []string{g.root, g.data, g.other} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func (g ground) roots(t *testing.T, dirs ...string) *Roots {
	t.Helper()
	r, err := NewRoots(g.data, dirs...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mkdir(t *testing.T, parts ...string) string {
	t.Helper()
	dir := filepath.Join(parts...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func link(t *testing.T, target string, parts ...string) string {
	t.Helper()
	name := filepath.Join(parts...)
	if err := os.Symlink(target, name); err != nil {
		if runtime.GOOS == "windows" {
			t.Skip("links need a right on Windows: ", err)
		}
		t.Fatal(err)
	}
	return name
}

func TestRoots_WhatIsBelowARoot(t *testing.T) {
	g := newGround(t)
	r := g.roots(t, filepath.Join(g.top, "missing"), g.root)
	there := mkdir(t, g.root, "a b%20c", "t")
	mkdir(t, g.root, "deep", "t")
	link(t, filepath.Join(g.root, "deep"), g.root, "link")
	viaLink := g.roots(t, link(t, g.root, g.top, "root link"))
	url := "file://" + filepath.ToSlash(g.root)
	if runtime.GOOS == "windows" {
		url = "file:///" + filepath.ToSlash(g.root)
	}
	for location, want := range map[string]string{
		there:                                          there,
		there + "/":                                    there,
		g.root + "/./a b%20c//t/../t/":                 there,
		url + "/a%20b%2520c/t":                         there,
		url + "/a b%2520c/t/":                          there,
		url + "/a%20b%2520c%2Ft":                       there,
		url + "/x/%2e%2e/a%20b%2520c/t":                there,
		g.root + "/not/there/yet":                      filepath.Join(g.root, "not", "there", "yet"),
		g.root + "/link/t":                             filepath.Join(g.root, "deep", "t"),
		g.root + "/link/new":                           filepath.Join(g.root, "deep", "new"),
		g.root + "/link/../link/t":                     filepath.Join(g.root, "deep", "t"),
		g.top + "/root link/deep/t":                    filepath.Join(g.root, "deep", "t"),
		g.root + "/größe":                              filepath.Join(g.root, "größe"),
		url + "/gr%C3%B6%C3%9Fe":                       filepath.Join(g.root, "größe"),
		strings.Replace(url, "file", "FILE", 1) + "/t": filepath.Join(g.root, "t"),
		g.root + "/..t":                                filepath.Join(g.root, "..t"),
	} {
		for name, r := range map[string]*Roots{"root": r, "root behind a link": viaLink} {
			got, err := r.Resolve(location)
			if err != nil || got != want {
				t.Errorf("%s: %s is %s, %v, want %s", name, location, got, err, want)
			}
		}
	}
	if runtime.GOOS != "windows" {
		for _, location := range []string{"file:" + g.root + "/t", "file://localhost" + g.root + "/t"} {
			if got, err := r.Resolve(location); err != nil || got != filepath.Join(g.root, "t") {
				t.Errorf("%s is %s, %v", location, got, err)
			}
		}
	}
	if got := r.Missing(); !slices.Equal(got, []string{filepath.Join(g.top, "missing")}) {
		t.Errorf("missing are %q", got)
	}
}

func TestRoots_HostilePathsAreRefused(t *testing.T) {
	g := newGround(t)
	r := g.roots(t, g.root, g.top) // the second one is around everything
	mkdir(t, g.root, "sub")
	mkdir(t, g.data, "tables", "main")
	if err := os.WriteFile(filepath.Join(g.root, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	link(t, g.other, g.root, "out")
	link(t, g.data, g.root, "to data")
	link(t, filepath.Join(g.data, "tables"), g.root, "sub", "to tables")
	link(t, filepath.Join(g.top, "nowhere"), g.root, "dangling")
	link(t, filepath.Join(g.root, "loop"), g.root, "loop")
	narrow := g.roots(t, g.root)
	url := "file://" + filepath.ToSlash(g.root)

	const below, data = "is not below a directory that the server's setting external_root", "is in the server's data directory"
	for _, c := range []struct {
		roots          *Roots
		location, want string
	}{
		{narrow, g.root, below},
		{narrow, g.root + "/", below},
		{narrow, g.root + "/sub/..", below},
		{narrow, g.root + "/../other/t", below},
		{narrow, g.root + "/sub/../../other/t", below},
		{narrow, url + "/%2e%2e/other/t", below},
		{narrow, url + "/%2E./other/t", below},
		{narrow, url + "%2F..%2Fother", below},
		{narrow, g.root + "2/t", below},
		{narrow, g.other, below},
		{narrow, g.other + "/new", below},
		{narrow, "/", ""},
		{narrow, g.root + "/out", below},
		{narrow, g.root + "/out/t", below},
		{narrow, g.root + "/sub/../out/t", below},
		{narrow, g.root + "/dangling", "no such file"},
		{narrow, g.root + "/dangling/t", "no such file"},
		{narrow, g.root + "/loop/t", "links"},
		{narrow, g.root + "/file", "not a directory"},
		{narrow, g.root + "/file/t", "not a directory"},
		{r, g.data, data},
		{r, g.data + "/tables/main/t", data},
		{r, g.data + "/new", data},
		{r, g.top, data}, // around it, before it is found to be a root
		{r, g.root + "/to data", data},
		{r, g.root + "/to data/tables/new", data},
		{r, g.root + "/sub/to tables/main", data},
		{r, g.root + "/sub/../to data/tables", data},
		{narrow, "", "it is not absolute"},
		{narrow, "t", "it is not absolute"},
		{narrow, "../t", "it is not absolute"},
		{narrow, "file:t", "expected file:///"},
		{narrow, "file://" + "host" + g.root, "expected file:///"},
		{narrow, "file://u@localhost" + g.root, "expected file:///"},
		{narrow, "file:", "it is not absolute"},
		{narrow, url + "/t?x=1", "no query and no fragment"},
		{narrow, url + "/t?", "no query and no fragment"},
		{narrow, url + "/t#x", "no query and no fragment"},
		{narrow, url + "/t%zz", "% stands before two hexadecimal digits"},
		{narrow, url + "/t%00", "characters that are none"},
		{narrow, url + "/t%0A", "characters that are none"},
		{narrow, url + "/t%FF", "characters that are none"},
		{narrow, g.root + "/t\x00", "characters that are none"},
		{narrow, g.root + "/t\xff", "characters that are none"},
		{narrow, g.root + "/" + strings.Repeat("x", maxLocation), "more than the limit of 4096"},
		{narrow, "s3://bucket/t", "s3 is not supported"},
		{narrow, "dbfs:/t", "dbfs is not supported"},
		{narrow, "https://127.0.0.1" + g.root, "https is not supported"},
		{g.roots(t), g.root + "/t", "--external-root"},
		{nil, g.root + "/t", "--external-root"},
		{g.roots(t, filepath.Join(g.top, "missing")), g.root + "/t", below},
		{g.roots(t, g.data), g.data + "/t", data},
	} {
		got, err := c.roots.Resolve(c.location)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.200q is %q, %v; want an error that says %q", c.location, got, err, c.want)
		}
	}
}

// One directory under two names, as a file system has it that does not tell cases apart, or that is mounted twice.
func TestRoots_DirectoriesAreComparedByTheFileSystem(t *testing.T) {
	g := newGround(t)
	mkdir(t, g.root, "Events")
	upper := filepath.Join(g.top, "ROOT")
	if _, err := os.Stat(upper); errors.Is(err, fs.ErrNotExist) {
		// Cases are told apart: then they are two.
		if _, err := g.roots(t, g.root).Resolve(filepath.Join(upper, "t")); err == nil {
			t.Error("ROOT is root, which it is not here")
		}
		if Nested(filepath.Join(g.root, "Events"), filepath.Join(g.root, "events")) {
			t.Error("Events is events, which it is not here")
		}
		return
	}
	if _, err := g.roots(t, g.root).Resolve(filepath.Join(upper, "t")); err != nil {
		t.Error(err)
	}
	if !Nested(filepath.Join(g.root, "Events"), filepath.Join(g.root, "events", "x")) {
		t.Error("Events is not events, which it is here")
	}
}

func TestNested(t *testing.T) {
	g := newGround(t)
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"/r/a", "/r/a", true},
		{"/r/a", "/r/a/b", true},
		{"/r/a/b/c", "/r/a", true},
		{"/r/a", "/r/ab", false},
		{"/r/a", "/r/b", false},
		{"/", "/r", true},
		{g.root, g.other, false},
		{g.root, filepath.Join(g.root, "new"), true},
		{filepath.Join(g.root, "new"), filepath.Join(g.root, "newer"), false},
	} {
		if got := Nested(filepath.FromSlash(c.a), filepath.FromSlash(c.b)); got != c.want {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
}

func TestRoots_OpenLooksAgain(t *testing.T) {
	g := newGround(t)
	r := g.roots(t, g.root)
	dir := mkdir(t, g.root, "sub", "t")
	if _, err := r.Open(dir); err != nil {
		t.Fatal(err)
	}
	// Without a server nothing is chosen, but what was chosen is opened.
	if _, err := (*Roots)(nil).Open(dir); err != nil {
		t.Error(err)
	}
	if _, err := g.roots(t).Open(dir); err == nil || errors.Is(err, ErrAway) {
		t.Errorf("no root is named any more: %v", err)
	}
	// Somebody puts a link in its way.
	if err := os.Rename(filepath.Join(g.root, "sub"), filepath.Join(g.root, "moved")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(dir); !errors.Is(err, ErrAway) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want ErrAway", err)
	}
	link(t, filepath.Join(g.root, "moved"), g.root, "sub")
	for _, r := range []*Roots{r, nil} {
		if _, err := r.Open(dir); err == nil || !strings.Contains(err.Error(), "a link leads to "+filepath.Join(g.root, "moved", "t")) {
			t.Errorf("got %v", err)
		}
	}
	// The root itself is away.
	if err := os.RemoveAll(g.root); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(dir); !errors.Is(err, ErrAway) {
		t.Errorf("got %v, want ErrAway", err)
	}
}

func TestRoots_MakeMakesWhatIsMissing(t *testing.T) {
	g := newGround(t)
	l, err := g.roots(t, g.root).Make(filepath.Join(g.root, "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.PutIfAbsent(t.Context(), "_delta_log/0.json", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := g.roots(t, g.root).Make(filepath.Join(g.other, "a")); err == nil {
		t.Error("made outside of the root")
	}
}

func TestLocal_AForeignDirectoryThatIsAwayIsNotMade(t *testing.T) {
	g := newGround(t)
	dir := mkdir(t, g.root, "t")
	l, err := g.roots(t, g.root).Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Put(t.Context(), "a/b", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	list := func() (err error) {
		for _, err = range l.List(t.Context(), "", "") {
			if err != nil {
				return err
			}
		}
		return nil
	}
	create := func() error {
		w, err := l.Create(t.Context(), "k=1/part")
		if err == nil {
			w.Abort()
		}
		return err
	}
	get := func() error { _, err := l.Get(t.Context(), "a/b"); return err }
	put := func() error { return l.PutIfAbsent(t.Context(), "_delta_log/1.json", nil) }
	for what, f := range map[string]func() error{"list": list, "create": create, "get": get, "put if absent": put} {
		if err := f(); !errors.Is(err, ErrAway) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want ErrAway", what, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
	mkdir(t, dir)
	if err := l.Put(t.Context(), "a/b", []byte("x")); err != nil { // it is back
		t.Error(err)
	}
	if _, err := l.Get(t.Context(), "c"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestLocal_NoLinkIsFollowedInAForeignDirectory(t *testing.T) {
	g := newGround(t)
	l, err := g.roots(t, g.root).Make(filepath.Join(g.root, "t"))
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(g.other, "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	link(t, secret, l.dir, "file")
	link(t, g.other, l.dir, "dir")
	for _, path := range []string{"file", "dir/secret", "dir/new", "dir/deep/new"} {
		_, get := l.Get(t.Context(), path)
		_, open := l.Open(t.Context(), path)
		_, create := l.Create(t.Context(), path)
		for what, err := range map[string]error{
			"get": get, "open": open, "create": create, "put": l.Put(t.Context(), path, nil), "put if absent": l.PutIfAbsent(t.Context(), path, nil),
			"delete": l.Delete(t.Context(), path), "remove all": l.RemoveAll(t.Context(), path),
		} {
			if !errors.Is(err, errLink) {
				t.Errorf("%s %s: %v", what, path, err)
			}
		}
	}
	for info, err := range l.List(t.Context(), "dir/", "") {
		if err == nil {
			t.Errorf("listed is %s", info.Path)
		} else if !errors.Is(err, errLink) {
			t.Error(err)
		}
	}
	if entries, err := os.ReadDir(g.other); err != nil || len(entries) != 1 {
		t.Errorf("outside there are %v, %v", entries, err)
	}
	if data, err := os.ReadFile(secret); err != nil || string(data) != "x" {
		t.Errorf("outside is %q, %v", data, err)
	}
}

// Nor is one that takes the place of the directory while it is in use.
func TestLocal_ALinkInThePlaceOfAForeignDirectory(t *testing.T) {
	g := newGround(t)
	l, err := g.roots(t, g.root).Make(filepath.Join(g.root, "t"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Put(t.Context(), "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(l.dir, l.dir+"2"); err != nil {
		t.Fatal(err)
	}
	link(t, g.other, l.dir)
	_, get := l.Get(t.Context(), "a")
	_, create := l.Create(t.Context(), "k=1/part")
	for what, err := range map[string]error{"get": get, "create": create, "put if absent": l.PutIfAbsent(t.Context(), "b", nil), "delete": l.Delete(t.Context(), "a")} {
		if !errors.Is(err, errLink) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for info, err := range l.List(t.Context(), "", "") {
		if !errors.Is(err, errLink) {
			t.Errorf("listed is %q, %v", info.Path, err)
		}
	}
	if entries, err := os.ReadDir(g.other); err != nil || len(entries) != 0 {
		t.Errorf("outside there are %v, %v", entries, err)
	}
}

// A link that is listed would be deleted by a vacuum, which then fails, every time; one that leads to itself would end every listing.
func TestLocal_LinksInAForeignDirectoryAreNotListed(t *testing.T) {
	g := newGround(t)
	l, err := g.roots(t, g.root).Make(filepath.Join(g.root, "t"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "z"} {
		if err := os.WriteFile(filepath.Join(l.dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link(t, filepath.Join(l.dir, "a"), l.dir, "b")
	link(t, filepath.Join(l.dir, "loop"), l.dir, "loop")
	link(t, filepath.Join(l.dir, "nowhere"), l.dir, "n")
	var got []string
	for info, err := range l.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.Path)
	}
	if !slices.Equal(got, []string{"a", "z"}) {
		t.Errorf("listed are %q", got)
	}
}

// The size of a file with holes costs nothing; memory of that size would end the server.
func TestLocal_AHugeFileInAForeignDirectoryIsNotReadAsAWhole(t *testing.T) {
	g := newGround(t)
	l, err := g.roots(t, g.root).Make(filepath.Join(g.root, "t"))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(l.dir, "0.json")
	if err := errors.Join(os.WriteFile(name, nil, 0o644), os.Truncate(name, 1<<40)); err != nil {
		t.Skip("no file with holes here: ", err)
	}
	if _, err := l.Get(t.Context(), "0.json"); err == nil || !strings.Contains(err.Error(), "more than the limit") || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestLocal_SweepTempKnowsOurFilesToTheLetter(t *testing.T) {
	g := newGround(t)
	l, err := g.roots(t, g.root).Make(filepath.Join(g.root, "t"))
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * staleTemp)
	const ours = ".tmp-ABCDEFGHIJKLMNOPQRSTUVWX23"
	for _, name := range []string{ours, "k=1/" + ours, ".tmp-1", ".tmp-abcdefghijklmnopqrstuvwx23", "part", ".tmp-removed-x/y"} {
		file := filepath.Join(l.dir, filepath.FromSlash(name))
		mkdir(t, filepath.Dir(file))
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
	w, err := l.Create(t.Context(), "new") // of somebody who lives
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	l.SweepTemp()
	got := files(t, l)
	if i := slices.IndexFunc(got, func(name string) bool { return isTemp(name) && name != ours }); i < 0 {
		t.Errorf("the young one is gone: %q", got)
	} else {
		got = slices.Delete(got, i, i+1)
	}
	if want := []string{".tmp-1", ".tmp-abcdefghijklmnopqrstuvwx23", ".tmp-removed-x/y", "part"}; !slices.Equal(got, want) {
		t.Errorf("left are %q, want %q", got, want)
	}
}

func FuzzRootsResolve(f *testing.F) {
	top, err := filepath.EvalSymlinks(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	root, data := filepath.Join(top, "root"), filepath.Join(top, "root", "data")
	for _, dir := range []string{filepath.Join(root, "a", "b"), data, filepath.Join(top, "out")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			f.Fatal(err)
		}
	}
	for name, target := range map[string]string{"out": filepath.Join(top, "out"), "up": "..", "in": "a", "d": "data"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			f.Skip("no links: ", err)
		}
	}
	r, err := NewRoots(data, root)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"a/b", "../out", "out/x", "up/root/a", "in/../../out", "d/x", "%2e%2e/out", "data/..", "a%00", "//", "in/b/c"} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, path string, isURL bool) {
		location := root + "/" + path
		if isURL {
			location = "file://" + location
		}
		dir, err := r.Resolve(location)
		if err != nil {
			return
		}
		// Whatever was written, the result is a clean path below the root, beside the data directory, and without links.
		if !strings.HasPrefix(dir, root+string(filepath.Separator)) || dir != filepath.Clean(dir) || strings.HasPrefix(dir+"/", data+"/") {
			t.Fatalf("%q became %q", location, dir)
		}
		for p := dir; p != root; p = filepath.Dir(p) {
			if st, err := os.Lstat(p); err == nil && st.Mode()&fs.ModeSymlink != 0 {
				t.Fatalf("%q became %q, in which %q is a link", location, dir, p)
			}
		}
	})
}
