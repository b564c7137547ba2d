package lake

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// maxLocation bounds a location's text in bytes; Linux has the same bound for a path.
const maxLocation = 4096

// Roots are the directories of an operator below which tables may lie that are not in the lake. What a path says is never trusted:
// links are followed first, and what counts is where they lead. Directories that are the same to the file system are the same
// here, however they are spelt.
//
// A nil *Roots stands for somebody who has the disk anyway, such as the tool without a server: places are not chosen, but those
// that were chosen before are opened.
//
// Between the look at a place and its use somebody who may write in the directories above it can put a link there. Roots are for
// directories whose writers are trusted with what the server's user may write.
type Roots struct {
	keepOut string // the server's own directory
	dirs    []string
}

// NewRoots takes directories that need not be there yet; a relative one begins at the working directory. Nothing in keepOut, or
// around it, is ever allowed.
func NewRoots(keepOut string, dirs ...string) (*Roots, error) {
	r := &Roots{}
	var err error
	if r.keepOut, err = filepath.Abs(keepOut); err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		r.dirs = append(r.dirs, abs)
	}
	return r, nil
}

// Missing lists the roots that are no directories now.
func (r *Roots) Missing() (dirs []string) {
	for _, dir := range r.dirs {
		if st, err := os.Stat(dir); err != nil || !st.IsDir() {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// Resolve gives the directory that a location stands for: an absolute path without links in it, strictly below a root. It need not
// be there. A location is a file: URL, in which % encodes, or an absolute path, in which it does not.
func (r *Roots) Resolve(location string) (string, error) {
	path, err := pathOf(location)
	if err != nil {
		return "", fmt.Errorf("location %.200q: %w", location, err)
	}
	if r == nil {
		return "", fmt.Errorf("location %.200q: no server is running, whose setting external_root (--external-root) says where tables may be; start it first", location)
	}
	if len(r.dirs) == 0 {
		return "", fmt.Errorf("location %.200q: tables outside of the data directory are off; the server's setting external_root (--external-root) names the directories below which they may be", location)
	}
	dir, err := resolve(filepath.Clean(path))
	if err == nil {
		err = r.allow(dir)
	}
	if err != nil {
		return "", fmt.Errorf("location %.200q: %w", location, err)
	}
	return dir, nil
}

// Open opens a directory that Resolve gave, now or in the past. The error is [ErrAway] when it is not there.
func (r *Roots) Open(dir string) (*Local, error) {
	now, err := resolve(dir)
	switch {
	case err != nil:
		return nil, fmt.Errorf("directory %s: %w", dir, err)
	case now != dir:
		return nil, fmt.Errorf("directory %s: a link leads to %s now; a table's place must stay what it was", dir, now)
	}
	if r != nil {
		if err := r.allow(dir); err != nil {
			return nil, err
		}
	}
	l := newLocal(dir)
	l.foreign = true
	return l, l.there()
}

// Make is Open of a directory that is made, with those above it, when it is missing.
func (r *Roots) Make(dir string) (*Local, error) {
	l, err := r.Open(dir)
	if errors.Is(err, ErrAway) {
		if err = makeDir(dir); err == nil {
			l, err = r.Open(dir)
		}
	}
	return l, err
}

// allow checks a path without links.
func (r *Roots) allow(dir string) error {
	keepOut, err := resolve(r.keepOut)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if Nested(dir, keepOut) {
		return fmt.Errorf("%s is in the server's data directory, or around it: the tables there are its own", dir)
	}
	for _, root := range r.dirs {
		// A root that cannot be looked at has nothing below it.
		if root, err = resolve(root); err == nil && within(dir, root) && !within(root, dir) {
			return nil
		}
	}
	return fmt.Errorf("%s is not below a directory that the server's setting external_root (--external-root) names: %s", dir, strings.Join(r.dirs, ", "))
}

// Nested reports whether two paths without links are of one directory, or of one inside of the other.
func Nested(a, b string) bool { return within(a, b) || within(b, a) }

// within reports whether dir is top or inside of it. By the names, and by the file system: it may not tell cases apart, or have
// one directory in two places.
func within(dir, top string) bool {
	if dir == top || strings.HasPrefix(dir, strings.TrimSuffix(top, string(filepath.Separator))+string(filepath.Separator)) {
		return true
	}
	want, err := os.Stat(top)
	if err != nil {
		return false
	}
	for {
		if st, err := os.Stat(dir); err == nil && os.SameFile(st, want) {
			return true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}

// resolve follows the links in a clean absolute path whose end need not be there.
func resolve(path string) (string, error) {
	rest := ""
	for there := path; ; there = filepath.Dir(there) {
		_, err := os.Lstat(there)
		if errors.Is(absent(err), fs.ErrNotExist) && filepath.Dir(there) != there {
			rest = filepath.Join(filepath.Base(there), rest)
			continue
		}
		if err != nil {
			return "", err
		}
		// What Lstat sees and this does not is a link to nowhere.
		real, err := filepath.EvalSymlinks(there)
		if err != nil {
			return "", err
		}
		if st, err := os.Stat(real); err != nil {
			return "", err
		} else if !st.IsDir() {
			return "", &fs.PathError{Op: "open", Path: real, Err: syscall.ENOTDIR}
		}
		return filepath.Join(real, rest), nil
	}
}

// pathOf is the path that a location says.
func pathOf(location string) (string, error) {
	if err := checkText(location); err != nil {
		return "", err
	}
	path := location
	if scheme, _, ok := strings.Cut(location, ":"); ok && len(scheme) > 1 && !strings.ContainsAny(scheme, `/\`) {
		if !strings.EqualFold(scheme, "file") {
			return "", fmt.Errorf("%.20s is not supported: tables lie on the server's disk, at file:/// or an absolute path", scheme)
		}
		u, err := url.Parse(location)
		switch {
		case err != nil:
			return "", errors.New("it is not a URL: a % stands before two hexadecimal digits")
		case u.Opaque != "" || u.Host != "" && !strings.EqualFold(u.Host, "localhost") || u.User != nil:
			return "", errors.New("expected file:/// and a path on the server's disk")
		case u.RawQuery != "" || u.ForceQuery || strings.Contains(location, "#"):
			return "", errors.New("a URL of a directory has no query and no fragment: ? and # in a name are %3F and %23")
		}
		if path = u.Path; runtime.GOOS == "windows" {
			path = strings.TrimPrefix(path, "/") // /C:/…
		}
		if err := checkText(path); err != nil {
			return "", err
		}
	}
	if path = filepath.FromSlash(path); !filepath.IsAbs(path) {
		return "", errors.New("it is not absolute")
	}
	return path, nil
}

func checkText(s string) error {
	switch {
	case len(s) > maxLocation:
		return fmt.Errorf("it has %d bytes, more than the limit of %d", len(s), maxLocation)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("it has characters that are none")
	}
	return nil
}
