package delta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// Part is what a Problem is in.
type Part string

// The parts that Inspect looks at.
const (
	InLog        Part = "log"         // the commits
	InCheckpoint Part = "checkpoints" // the state that a checkpoint says the version has
	InChecksum   Part = "checksums"   // the state that a .crc file says the version has
	InFiles      Part = "files"       // the sizes of live files
)

// Problem is a fault in a table's log.
type Problem struct {
	Version int64
	In      Part
	Path    string // of the file, as the log has it; empty when it is about none
	Text    string
}

func (p Problem) String() string { return fmt.Sprintf("version %d: %s", p.Version, p.Text) }

// LintOptions choose what Lint looks at beside the log.
type LintOptions struct {
	// Files compares the size of every live file with its add action.
	Files bool

	Progress Progress
}

// Inspection is what Inspect found.
type Inspection struct {
	Problems []Problem

	// What was looked at.
	Versions, Checkpoints, Checksums int

	Snapshot *Snapshot // of the last version

	added map[string]int64
}

// AddedBy is the version that brought a live file into the table, or that of the checkpoint which the log begins with.
func (i *Inspection) AddedBy(a *Add) int64 { return i.added[fileKey(a.Path, a.DeletionVector)] }

// Lint reads the whole log and reports what breaks the protocol, or what a writer that keeps it would not do: versions are
// contiguous from 0; version 0 has protocol and metaData; a commit has at most one protocol, one
// metaData, one txn for an appId, one add and one remove for a file; a txn's version does not fall; no file comes into the
// table twice, or is in it with two deletion vectors; what is removed was there; feature lists fit the versions; in-commit timestamps grow; ids of rows are given once;
// every checkpoint and every checksum file has the state of its version. A log whose beginning was cleaned up is read from its oldest checkpoint on. The error is about reading, not about
// problems.
func Lint(ctx context.Context, store lake.Store, opts LintOptions) ([]Problem, error) {
	found, err := Inspect(ctx, store, opts)
	if err != nil {
		return nil, err
	}
	return found.Problems, nil
}

// Inspect is Lint, with the state at the end.
func Inspect(ctx context.Context, store lake.Store, opts LintOptions) (*Inspection, error) {
	l := &linter{state: newBuilder(store.URL()), everAdded: map[string]int64{}, paths: map[string]string{}}
	if err := l.begin(ctx, store); err != nil {
		return nil, err
	}
	for info, err := range store.List(ctx, logDir, "") {
		if err != nil {
			return nil, fmt.Errorf("table %s: list the log: %w", store.URL(), err)
		}
		if v, ok := checksumVersion(info.Path); ok {
			l.sums[v] = true // which is listed before the version's commit
		}
		version, ok := commitVersion(info.Path)
		if !ok || version <= l.base {
			continue
		}
		data, err := store.Get(ctx, info.Path)
		if err != nil {
			return nil, fmt.Errorf("table %s: read version %d: %w", store.URL(), version, err)
		}
		if want := l.state.draft.Version + 1; version != want {
			l.report(version, "version %d is missing before it", want)
			l.state.draft.Version = version - 1
		}
		c, err := parseCommit(data)
		if err != nil {
			l.report(version, "%v", err)
			c = &commit{}
		}
		l.commit(version, c)
		l.versions++
		opts.Progress.tell("versions read", l.versions, l.total)
		if err := l.checkpoints(ctx, store, version); err != nil {
			return nil, err
		}
		if err := l.checksum(ctx, store, version); err != nil {
			return nil, err
		}
	}
	if l.state.draft.Version < 0 {
		return nil, fmt.Errorf("table %s: %w", store.URL(), ErrNoTable)
	}
	if opts.Files {
		if err := l.sizes(ctx, store); err != nil {
			return nil, err
		}
	}
	return &Inspection{
		Problems: l.problems, Versions: l.versions, Checkpoints: l.checkpointed, Checksums: l.summed,
		Snapshot: l.state.snapshot(), added: l.everAdded,
	}, nil
}

type linter struct {
	state     *builder
	base      int64                  // the version of the checkpoint that it began with; -1 for none
	written   map[int64][]checkpoint // by version
	everAdded map[string]int64       // version by fileKey
	rows      map[string]rowIDs      // of the last add by path
	paths     map[string]string      // fileKey by path, of the live files
	sums      map[int64]bool         // the versions that have a checksum file
	txnID     string                 // of the version's commitInfo
	problems  []Problem

	total                          int // versions to read, about
	versions, checkpointed, summed int // that were looked at
}

// report notes a problem in the log.
func (l *linter) report(version int64, format string, args ...any) {
	l.reportIn(InLog, version, "", format, args...)
}

func (l *linter) reportIn(part Part, version int64, path, format string, args ...any) {
	l.problems = append(l.problems, Problem{Version: version, In: part, Path: path, Text: fmt.Sprintf(format, args...)})
}

// begin starts from the oldest checkpoint that can be read when version 0 is gone.
func (l *linter) begin(ctx context.Context, store lake.Store) error {
	list, err := listLog(ctx, store, 0, forever)
	if err != nil {
		return err
	}
	l.base, l.written = -1, map[int64][]checkpoint{}
	l.total, l.sums = int(list.last-max(0, list.first))+1, map[int64]bool{}
	for _, cp := range list.checkpoints {
		l.written[cp.version] = append(l.written[cp.version], cp)
	}
	if list.first == 0 {
		return nil
	}
	for _, cp := range slices.Backward(list.checkpoints) {
		if cp.version < list.first-1 {
			continue
		}
		s, err := readCheckpoint(ctx, store, cp, false)
		if err != nil {
			l.reportIn(InCheckpoint, cp.version, cp.paths[0], "checkpoint: %v", err)
			continue
		}
		l.state.load(cp.version, s)
		l.base = cp.version
		for a := range l.state.draft.Files() {
			l.everAdded[fileKey(a.Path, a.DeletionVector)] = cp.version
			l.paths[a.Path] = fileKey(a.Path, a.DeletionVector)
		}
		break
	}
	return nil
}

// checkpoints compares the checkpoints of the version with the state.
func (l *linter) checkpoints(ctx context.Context, store lake.Store, version int64) error {
	for _, cp := range l.written[version] {
		l.checkpointed++
		s, err := readCheckpoint(ctx, store, cp, false)
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			l.reportIn(InCheckpoint, version, cp.paths[0], "checkpoint: %v", err)
			continue
		}
		b := newBuilder(store.URL())
		b.load(version, s)
		if diff := l.state.draft.differs(&b.draft); diff != "" {
			l.reportIn(InCheckpoint, version, cp.paths[0], "checkpoint %s: %s", cp.paths[0], diff)
		}
	}
	return nil
}

// commit checks a commit against the state before it, then applies it.
func (l *linter) commit(version int64, c *commit) {
	before := &l.state.draft
	if version == 0 && (c.protocol == nil || c.metadata == nil) {
		l.report(version, "protocol or metaData is missing")
	}
	if c.protocols > 1 {
		l.report(version, "%d protocol actions", c.protocols)
	}
	if c.metadatas > 1 {
		l.report(version, "%d metaData actions", c.metadatas)
	}
	if c.protocol != nil {
		l.protocol(version, c.protocol)
	}
	apps := map[string]bool{}
	for _, t := range c.txns {
		if apps[t.AppID] {
			l.report(version, "two txn actions for %s", t.AppID)
		}
		apps[t.AppID] = true
		if old, ok := before.Txns[t.AppID]; ok && t.Version <= old.Version {
			l.report(version, "txn %s goes from %d to %d", t.AppID, old.Version, t.Version)
		}
	}
	removed := map[string]bool{}
	for i := range c.removes {
		key := fileKey(c.removes[i].Path, c.removes[i].DeletionVector)
		if removed[key] {
			l.report(version, "two remove actions for %s", c.removes[i].Path)
		}
		removed[key] = true
		if l.paths[c.removes[i].Path] == key {
			delete(l.paths, c.removes[i].Path)
		}
		if _, live := l.state.index[key]; !live && !isVectorFile(c.removes[i].Path) {
			l.report(version, "remove of %s, which is not in the table", c.removes[i].Path)
		}
	}
	// RESTORE brings old files back, and so does CLONE to a table that is one already; an add without dataChange replaces the
	// description of one.
	info := parseInfo(c.info)
	l.txnID = info.TxnID
	restore := info.Operation == "RESTORE" || info.Operation == "CLONE"
	added := map[string]bool{}
	for i := range c.adds {
		a := &c.adds[i]
		key := fileKey(a.Path, a.DeletionVector)
		if added[key] {
			l.report(version, "two add actions for %s", a.Path)
		}
		added[key] = true
		if now, ok := l.paths[a.Path]; ok && now != key {
			l.report(version, "add of %s, which stays in the table with another deletion vector", a.Path)
		}
		l.paths[a.Path] = key
		if first, ok := l.everAdded[key]; ok && a.DataChange && !restore {
			l.report(version, "add of %s, which version %d added before", a.Path, first)
		} else if !ok {
			l.everAdded[key] = version
		}
	}
	l.features(version, c)
	l.state.apply(c)
}

// isVectorFile tells whether a path is that of a file of deletion vectors. Spark commits tombstones of such files when it drops the
// feature: a writer that does not know of deletion vectors must not take them away from readers of earlier versions.
func isVectorFile(p string) bool {
	name := path.Base(p)
	return strings.HasPrefix(name, "deletion_vector_") && strings.HasSuffix(name, ".bin")
}

func (l *linter) protocol(version int64, p *Protocol) {
	if (p.MinReaderVersion == maxReaderVersion) != (p.ReaderFeatures != nil) {
		l.report(version, "reader version %d with readerFeatures %q", p.MinReaderVersion, p.ReaderFeatures)
	}
	if (p.MinWriterVersion == maxWriterVersion) != (p.WriterFeatures != nil) {
		l.report(version, "writer version %d with writerFeatures %q", p.MinWriterVersion, p.WriterFeatures)
	}
	for _, f := range p.ReaderFeatures {
		if !slices.Contains(p.WriterFeatures, f) {
			l.report(version, "reader feature %s is not in writerFeatures", f)
		}
	}
}

// sizes compares the live files with their add actions. Files outside the table's directory are passed over.
func (l *linter) sizes(ctx context.Context, store lake.Store) error {
	for a := range l.state.draft.Files() {
		added := l.everAdded[fileKey(a.Path, a.DeletionVector)]
		name, err := url.PathUnescape(a.Path)
		if err != nil {
			l.reportIn(InFiles, added, a.Path, "path %q is not URI-encoded", a.Path)
			continue
		}
		if strings.HasPrefix(name, "/") || strings.Contains(a.Path, ":") {
			continue
		}
		r, err := store.Open(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			l.reportIn(InFiles, added, a.Path, "file %s is not there", a.Path)
			continue
		}
		if err != nil {
			return fmt.Errorf("table %s: file %s: %w", store.URL(), a.Path, err)
		}
		if size := r.Size(); size != a.Size {
			l.reportIn(InFiles, added, a.Path, "file %s has %d bytes, its add says %d", a.Path, size, a.Size)
		}
		if err := r.Close(); err != nil {
			return fmt.Errorf("table %s: file %s: %w", store.URL(), a.Path, err)
		}
	}
	return nil
}
