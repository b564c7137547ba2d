package delta

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// sidecarDir is where the files of V2 checkpoints stand that their top-level files name.
const sidecarDir = logDir + "_sidecars/"

// checkpointFile is what the name of a checkpoint's file says (PROTOCOL.md, "Checkpoints"): N.checkpoint.parquet,
// N.checkpoint.PART.PARTS.parquet or N.checkpoint.UUID.{json,parquet}.
type checkpointFile struct {
	version     int64
	part, parts int // 0 for a checkpoint of one file
}

// parseCheckpointPath reads a path of the log, if it is a checkpoint's.
func parseCheckpointPath(p string) (checkpointFile, bool) {
	name, inLog := strings.CutPrefix(p, logDir)
	digits, rest, found := strings.Cut(name, ".checkpoint.")
	version, ok := parseVersion(digits)
	if !inLog || !found || !ok || strings.Contains(rest, "/") {
		return checkpointFile{}, false
	}
	f := checkpointFile{version: version}
	words := strings.Split(rest, ".")
	switch kind := words[len(words)-1]; {
	case len(words) == 1 && kind == "parquet":
	case len(words) == 2 && words[0] != "" && (kind == "json" || kind == "parquet"):
	case len(words) == 3 && kind == "parquet" && len(words[0]) == 10 && len(words[1]) == 10:
		f.part, _ = strconv.Atoi(words[0])
		f.parts, _ = strconv.Atoi(words[1])
		if f.part < 1 || f.part > f.parts {
			return checkpointFile{}, false
		}
	default:
		return checkpointFile{}, false
	}
	return f, true
}

// checkpointVersion returns the version that a path of the log is a checkpoint of.
func checkpointVersion(p string) (int64, bool) {
	f, ok := parseCheckpointPath(p)
	return f.version, ok
}

// checkpoint is one checkpoint of the log: a file, or all parts of one.
type checkpoint struct {
	version int64
	paths   []string
}

// logList is what stands in the log, from some version on.
type logList struct {
	first       int64        // the earliest commit; -1 without one
	last        int64        // the latest commit; -1 without one
	resumes     int64        // the commit after the latest gap; 0 without a gap
	checkpoints []checkpoint // whole ones, newest first
	partial     int64        // the newest version of which parts of a checkpoint are missing; -1 for none
}

// forever is after every version.
const forever = math.MaxInt64

// listLog lists the log between the versions, both included. Other names are passed over without a look at the files.
func listLog(ctx context.Context, store lake.Store, from, to int64) (*logList, error) {
	l := &logList{first: -1, last: -1, partial: -1}
	parts := map[checkpointFile][]string{} // by version and number of parts
	after, end := "", logDir+"1"           // no version has 20 digits; what follows are directories and hints
	if to < forever {
		end = fmt.Sprintf("%s%020d", logDir, to+1)
	}
	if from > 0 {
		after = fmt.Sprintf("%s%020d", logDir, from)
	}
	for info, err := range store.List(ctx, logDir, after) {
		if err != nil {
			return nil, fmt.Errorf("table %s: list the log: %w", store.URL(), err)
		}
		if info.Path >= end {
			break
		}
		if v, ok := commitVersion(info.Path); ok {
			if v != l.last+1 {
				l.resumes = v
			}
			if l.last = v; l.first < 0 {
				l.first = v
			}
		}
		if f, ok := parseCheckpointPath(info.Path); ok {
			if f.parts == 0 {
				l.checkpoints = append(l.checkpoints, checkpoint{f.version, []string{info.Path}})
				continue
			}
			f.part = 0
			parts[f] = append(parts[f], info.Path)
		}
	}
	for f, paths := range parts {
		if len(paths) != f.parts { // the names of one number of parts differ in the part alone
			l.partial = max(l.partial, f.version)
			continue
		}
		l.checkpoints = append(l.checkpoints, checkpoint{f.version, paths})
	}
	slices.SortFunc(l.checkpoints, func(a, b checkpoint) int {
		return cmp.Or(cmp.Compare(b.version, a.version), cmp.Compare(a.paths[0], b.paths[0]))
	})
	return l, nil
}

// bears tells whether the log goes on without a gap from the version's checkpoint.
func (l *logList) bears(version int64) bool { return version >= l.resumes-1 }

// maxHint bounds the hint's size, which has lists of files for V2 checkpoints.
const maxHint = 1 << 20

// parseHint reads _last_checkpoint and returns the version of the checkpoint that it names. Everything else in it is told by
// the listing too.
func parseHint(data []byte) (int64, error) {
	var hint struct {
		Version *int64 `json:"version"`
	}
	if len(data) > maxHint {
		return 0, fmt.Errorf("%d bytes are too many for a hint", len(data))
	}
	if err := json.Unmarshal(data, &hint); err != nil {
		return 0, err
	}
	if hint.Version == nil || *hint.Version < 0 {
		return 0, errors.New("no version in it")
	}
	return *hint.Version, nil
}

// checkpointState is what a checkpoint holds: a commit with the whole state, in which removes are tombstones.
type checkpointState struct {
	commit
	sidecars []sidecar
	dry      bool // files are looked at and not kept
	lossy    bool // there are statistics that are not kept, because they are in the typed form alone
}

// sidecar names a file that has a part of a V2 checkpoint's adds and removes.
type sidecar struct {
	Path        string `json:"path"`
	SizeInBytes int64  `json:"sizeInBytes"`
}

// readCheckpoint reads a checkpoint with all of its files. An error about its content is ErrCorrupt. A dry read looks at all of
// it and keeps no files.
func readCheckpoint(ctx context.Context, store lake.Store, cp checkpoint, dry bool) (*checkpointState, error) {
	s := &checkpointState{dry: dry}
	if err := s.readFiles(ctx, store, cp); err != nil {
		return nil, err
	}
	sidecars := s.sidecars
	for i := range sidecars {
		p, err := sidecars[i].path()
		if err != nil {
			return nil, damaged(cp.paths[0], err)
		}
		if err := s.readFile(ctx, store, p, cp.version, sidecars[i].SizeInBytes); err != nil {
			return nil, err
		}
	}
	switch {
	case s.protocol == nil || s.metadata == nil:
		return nil, damaged(cp.paths[0], errors.New("no protocol or no metaData in it"))
	case len(s.sidecars) != len(sidecars):
		return nil, damaged(cp.paths[0], errors.New("a sidecar names sidecars"))
	}
	return s, nil
}

func damaged(path string, err error) error { return fmt.Errorf("%s: %w: %w", path, err, ErrCorrupt) }

// readFiles reads the checkpoint without its sidecars.
func (s *checkpointState) readFiles(ctx context.Context, store lake.Store, cp checkpoint) error {
	for _, p := range cp.paths {
		if err := s.readFile(ctx, store, p, cp.version, -1); err != nil {
			return err
		}
	}
	return nil
}

// readFile adds what a file of the checkpoint has. The file must have the size, unless that is negative.
func (s *checkpointState) readFile(ctx context.Context, store lake.Store, p string, version, size int64) error {
	data, err := store.Get(ctx, p)
	if err != nil {
		return fmt.Errorf("read %s: %w", p, err)
	}
	if size >= 0 && int64(len(data)) != size {
		return damaged(p, fmt.Errorf("it has %d bytes, its checkpoint says %d", len(data), size))
	}
	read := s.readParquet
	if strings.HasSuffix(p, ".json") {
		read = s.readJSON
	}
	if err := read(data, version); err != nil {
		return damaged(p, err)
	}
	return nil
}

// path is where the sidecar stands. Its name may be given with directories and a scheme, but it is always in one place.
func (f *sidecar) path() (string, error) {
	name, err := url.PathUnescape(f.Path)
	if err != nil {
		return "", fmt.Errorf("sidecar %q: the path is not URI-encoded", f.Path)
	}
	if name = path.Base(name); name == "." || name == ".." || name == "/" {
		return "", fmt.Errorf("sidecar %q: the path names no file", f.Path)
	}
	return sidecarDir + name, nil
}

// readJSON reads a V2 checkpoint's top-level file of that form: actions as in a commit.
func (s *checkpointState) readJSON(data []byte, version int64) error {
	line := 0
	for text := range bytes.Lines(data) {
		line++
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		var a struct {
			readAction
			Sidecar  *sidecar `json:"sidecar"`
			Metadata *struct {
				Version *int64 `json:"version"`
			} `json:"checkpointMetadata"`
		}
		err := json.Unmarshal(text, &a)
		if err == nil {
			err = s.takeFile(&a.readAction)
		}
		if err == nil && a.Sidecar != nil {
			s.sidecars = append(s.sidecars, *a.Sidecar)
		}
		if err == nil && a.Metadata != nil && a.Metadata.Version != nil {
			err = checkVersion(*a.Metadata.Version, version)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
	return nil
}

// takeFile takes an action, unless it is one of a file in a dry read.
func (s *checkpointState) takeFile(a *readAction) error {
	if s.dry && (a.Add != nil || a.Remove != nil) {
		return nil
	}
	return s.take(a)
}

func checkVersion(got, want int64) error {
	if got != want {
		return fmt.Errorf("it says that it is of version %d, its name says %d", got, want)
	}
	return nil
}
