package lake

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrAway: the directory of somebody else's table is not there; perhaps its disk is not. It is not fs.ErrNotExist, so that nobody
// takes the table for an empty one.
var ErrAway = errors.New("the directory is not there")

// A foreign directory is one that others write, too, and that may be on a disk that comes and goes. It is not made when it is
// missing: that would be a directory on another disk.

// there is nil when the directory is.
func (l *Local) there() error {
	if st, err := os.Stat(l.dir); err != nil || !st.IsDir() {
		return fmt.Errorf("%s: %w", l.dir, ErrAway)
	}
	return nil
}

// missing makes ErrAway of an error that says that something is not there, when the whole directory is not.
func (l *Local) missing(err error) error {
	if l.foreign && errors.Is(err, fs.ErrNotExist) {
		if away := l.there(); away != nil {
			return away
		}
	}
	return err
}

// errLink keeps the links of others from leading out of their table.
var errLink = errors.New("it is behind a link, which is not followed in the place of the directory of an external table, or below it")

// own is nil for a path without links below a foreign directory, and without what is neither a file nor a directory: opening a
// pipe would wait for its other end. What is not there is nobody's.
func (l *Local) own(path string) error {
	if !l.foreign {
		return nil
	}
	name := l.dir
	for elem := range strings.SplitSeq("./"+strings.TrimSuffix(path, "/"), "/") { // of which the first is the directory itself
		name = filepath.Join(name, elem)
		switch st, err := os.Lstat(name); {
		case errors.Is(absent(err), fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case st.Mode()&fs.ModeSymlink != 0:
			return errLink
		case !st.IsDir() && !st.Mode().IsRegular():
			return fmt.Errorf("%s is no file and no directory", name)
		}
	}
	return nil
}

// stat describes what is listed. A link in a foreign directory is no object: nothing can be done with one, and one that leads to
// itself would end the listing.
func (l *Local) stat(name string) (fs.FileInfo, error) {
	if l.foreign {
		return os.Lstat(name)
	}
	return os.Stat(name)
}

// maxForeign bounds an object that is read as a whole from a foreign directory. Memory is taken for its size, which in a file with
// holes is any that somebody likes. The commits of a table with millions of files come near it.
const maxForeign = 1 << 30

// readable refuses objects that are too large to be read as a whole.
func (l *Local) readable(size int64) error {
	if l.foreign && size > maxForeign {
		return fmt.Errorf("it has %d bytes, more than the limit of %d for a file that is read as a whole", size, maxForeign)
	}
	return nil
}

// SweepTemp removes unfinished files of dead processes from a foreign directory, those that are older than a day. What it cannot
// remove, or look at, stays. It reads every directory of the table.
func (l *Local) SweepTemp() {
	before := time.Now().Add(-staleTemp)
	_ = filepath.WalkDir(l.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fs.SkipDir
		}
		if d.Type().IsRegular() && isTemp(d.Name()) {
			if info, err := d.Info(); err == nil && info.ModTime().Before(before) {
				_ = os.Remove(name)
			}
		}
		return nil
	})
}

// isTemp knows the names of unfinished files to the letter: in somebody else's directory nothing else is ours to remove.
func isTemp(base string) bool {
	text, ok := strings.CutPrefix(base, tempPrefix)
	return ok && len(text) == 26 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}
