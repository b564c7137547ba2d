package delta

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

type fileInfo = lake.Info

// LooseFile is a file below the table's directory that the latest version does not name.
type LooseFile struct {
	Path     string // below the table, as the store has it
	Size     int64  // bytes
	Modified time.Time
	Removed  time.Time // when a commit took it out; zero when none did, or the log does not tell any longer
}

// expired tells whether nothing has needed the file since.
func (f *LooseFile) expired(before time.Time) bool {
	return f.Modified.Before(before) && f.Removed.Before(before)
}

// Expired tells whether Vacuum would delete the file now, with the table's own retention.
func (s *Snapshot) Expired(f LooseFile, now time.Time) bool {
	own, err := s.retention(deletedFileRetention)
	return err == nil && f.expired(now.Add(-own))
}

// LooseFiles lists the files that the latest version does not name, by path. The log is read again after the listing, so a file
// that came into the table meanwhile is not among them; one whose commit is on its way is.
func (t *Table) LooseFiles(ctx context.Context, progress Progress) ([]LooseFile, error) {
	s := t.Snapshot()
	named, err := s.names()
	if err != nil {
		return nil, t.wrap(err)
	}
	var found []fileInfo
	listed := 0
	for info, err := range t.dataFiles(ctx, s) {
		if err != nil {
			return nil, t.wrap(err)
		}
		listed++
		progress.tell("files looked up", listed, 0)
		if _, loose := named.loose(info); loose {
			found = append(found, info)
		}
	}
	if err := t.Refresh(ctx); err != nil {
		return nil, err
	}
	if named, err = t.Snapshot().names(); err != nil {
		return nil, t.wrap(err)
	}
	var out []LooseFile
	for _, info := range found {
		if f, loose := named.loose(info); loose {
			out = append(out, f)
		}
	}
	return out, nil
}

// dataFiles lists the files below the table's directory that are not hidden, and not of another table which is in a directory of it.
func (t *Table) dataFiles(ctx context.Context, s *Snapshot) iter.Seq2[fileInfo, error] {
	const behindLog = "_delta_log0" // greater than all names in it, and less than others behind it
	columns := s.partitionNames()
	return func(yield func(fileInfo, error) bool) {
		var list []fileInfo
		inner := map[string]bool{} // directories of other tables
		for _, span := range [][2]string{{"", logDir}, {behindLog, ""}} {
			for info, err := range t.store.List(ctx, "", span[0]) {
				if err != nil {
					yield(info, fmt.Errorf("list the files: %w", err))
					return
				}
				if span[1] != "" && info.Path >= span[1] {
					break
				}
				if dir, _, ok := strings.Cut(info.Path, "/"+logDir); ok {
					inner[dir] = true
				}
				if !hidden(info.Path, columns) {
					list = append(list, info)
				}
			}
		}
		for _, info := range list {
			if !inAny(inner, info.Path) && !yield(info, nil) {
				return
			}
		}
	}
}

// inAny tells whether a file is below one of the directories.
func inAny(dirs map[string]bool, file string) bool {
	if len(dirs) == 0 {
		return false
	}
	for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
		if dirs[dir] {
			return true
		}
	}
	return false
}

// partitionNames are the names that directories of partitions begin with: of the columns, and those in files where they differ.
func (s *Snapshot) partitionNames() []string {
	names := slices.Clone(s.Metadata.PartitionColumns)
	schema, err := parseSchema(s.Metadata.SchemaString)
	if err != nil {
		return names
	}
	for i := range schema.fields {
		f := &schema.fields[i]
		var physical string
		if slices.Contains(names, f.Name) && json.Unmarshal(f.Metadata["delta.columnMapping.physicalName"], &physical) == nil && physical != "" {
			names = append(names, physical)
		}
	}
	return names
}

// hidden tells whether the file, or a directory that it is in, is not the table's.
func hidden(p string, partitionColumns []string) bool {
	for {
		name, rest, inDir := strings.Cut(p, "/")
		if hiddenName(name, partitionColumns) || inDir && name == "metadata" { // of Iceberg, in tables with both logs
			return true
		}
		if !inDir {
			return false
		}
		p = rest
	}
}

// hiddenName is Spark's rule for what VACUUM does not see: names that begin with a dot or an underscore, but for directories of
// partitions and those of indexes and change data, which go with their files.
func hiddenName(name string, partitionColumns []string) bool {
	if name == "" || name[0] != '.' && name[0] != '_' {
		return false
	}
	return !strings.HasPrefix(name, "_delta_index") && !strings.HasPrefix(name, "_change_data") &&
		!slices.ContainsFunc(partitionColumns, func(c string) bool { return strings.HasPrefix(name, c+"=") })
}

// fileNames are the files that a version names, by folded path.
type fileNames struct {
	live    map[string]struct{}
	removed map[string]time.Time // when; the latest
}

// names gathers the names of the live files and of the tombstones, their deletion vectors included. The error is about a file
// of which it cannot be told where it is.
func (s *Snapshot) names() (*fileNames, error) {
	n := &fileNames{live: make(map[string]struct{}, s.NumFiles()), removed: map[string]time.Time{}}
	for a := range s.Files() {
		err := eachName(a.Path, a.DeletionVector, func(key string) { n.live[key] = struct{}{} })
		if err != nil {
			return nil, err
		}
	}
	for i := range s.removes {
		if err := n.remove(&s.removes[i], time.UnixMilli(s.removes[i].DeletionTimestamp)); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (n *fileNames) remove(r *Remove, at time.Time) error {
	return eachName(r.Path, r.DeletionVector, func(key string) {
		if at.After(n.removed[key]) {
			n.removed[key] = at
		}
	})
}

// loose tells whether the latest version does not name a file.
func (n *fileNames) loose(info fileInfo) (LooseFile, bool) {
	key := fold(info.Path)
	_, live := n.live[key]
	return LooseFile{Path: info.Path, Size: info.Size, Modified: info.ModTime, Removed: n.removed[key]}, !live
}

// addRemoved adds what the commits since took out.
func (t *Table) addRemoved(ctx context.Context, n *fileNames, since time.Time) error {
	for info, err := range t.store.List(ctx, logDir, "") {
		if err != nil {
			return fmt.Errorf("list the log: %w", err)
		}
		version, isCommit := commitVersion(info.Path)
		if !isCommit || info.ModTime.Before(since) {
			continue
		}
		data, err := t.store.Get(ctx, info.Path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // cleaned up meanwhile, and the versions before it with it
		}
		if err != nil {
			return fmt.Errorf("read version %d: %w", version, err)
		}
		c, err := parseCommit(data)
		if err != nil {
			return fmt.Errorf("version %d: %w: %w", version, err, ErrCorrupt)
		}
		for i := range c.removes {
			at := time.UnixMilli(cmp.Or(c.removes[i].DeletionTimestamp, info.ModTime.UnixMilli()))
			if err := n.remove(&c.removes[i], at); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachName gives the folded paths that a file of an action may have below the table, those of its deletion vector included. They
// may be more than there are files: what is named once too often stays, what is not named goes.
func eachName(p string, dv *DeletionVector, name func(key string)) error {
	eachPath(p, name)
	file, err := dv.File()
	if err != nil {
		return fmt.Errorf("file %s: %w: %w", p, err, ErrCorrupt)
	}
	if file != "" {
		eachPath(file, name)
	}
	return nil
}

// eachPath gives what a path of the log may be in the store: it is URI-encoded, but not all writers have done so, or not all of it.
// Of an absolute one every end may be meant, since the table's directory may have been reached by another name, and so of one that
// leads out of the table, perhaps to come back.
func eachPath(p string, name func(key string)) {
	name(fold(p))
	plain := unescape(p)
	clean := path.Clean(plain)
	name(fold(clean))
	scheme, _, hasScheme := strings.Cut(p, ":")
	hasScheme = hasScheme && !strings.ContainsAny(scheme, "/=%")
	if !hasScheme && !strings.HasPrefix(plain, "/") && !strings.HasPrefix(clean, "../") {
		return
	}
	for rest, more := plain, true; more; {
		if _, rest, more = strings.Cut(rest, "/"); more && rest != "" {
			name(fold(path.Clean(rest)))
		}
	}
}

// unescape is url.PathUnescape that leaves a percent sign alone which begins no escape.
func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	var b strings.Builder
	for s != "" {
		n := min(len(s), len("%41"))
		if s[0] != '%' {
			n = 1
		}
		plain, err := url.PathUnescape(s[:n])
		if err != nil {
			n, plain = 1, s[:1]
		}
		b.WriteString(plain)
		s = s[n:]
	}
	return b.String()
}

// fold makes one of names that a file system may not tell apart, and so list in another form than the log has: of names that
// differ in case, because a file goes under the name of the directory that was there before; and of names that differ in how
// letters with marks are made up, because some systems compose them and others take them apart. For the latter, all that is not
// ASCII is left out, with the letter that a mark belongs to.
func fold(s string) string {
	ascii := true
	for i := range len(s) {
		ascii = ascii && s[i] < utf8.RuneSelf
	}
	if ascii {
		return strings.ToLower(s)
	}
	var b strings.Builder
	runes := []rune(s)
	for i, r := range runes {
		if i+1 < len(runes) && unicode.Is(unicode.M, runes[i+1]) {
			continue
		}
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		if least < utf8.RuneSelf {
			b.WriteRune(unicode.ToLower(least))
		}
	}
	return b.String()
}
