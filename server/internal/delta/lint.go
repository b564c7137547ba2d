package delta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// Problem is a fault in a table's log.
type Problem struct {
	Version int64
	Text    string
}

func (p Problem) String() string { return fmt.Sprintf("version %d: %s", p.Version, p.Text) }

// LintOptions choose what Lint looks at beside the log.
type LintOptions struct {
	// Files compares the size of every live file with its add action.
	Files bool
}

// Lint reads the whole log and reports what breaks the protocol, or what a writer that keeps it would not do: versions are
// contiguous from 0; version 0 has protocol and metaData; commitInfo comes first; a commit has at most one protocol, one
// metaData, one txn for an appId, one add and one remove for a file; a txn's version does not fall; no file comes into the
// table twice; what is removed was there; feature lists fit the versions; every checkpoint has the state of its version. A log
// whose beginning was cleaned up is read from its oldest checkpoint on. The error is about reading, not about problems.
func Lint(ctx context.Context, store lake.Store, opts LintOptions) ([]Problem, error) {
	l := &linter{state: newBuilder(store.URL()), everAdded: map[string]int64{}}
	if err := l.begin(ctx, store); err != nil {
		return nil, err
	}
	for info, err := range store.List(ctx, logDir, "") {
		if err != nil {
			return nil, fmt.Errorf("table %s: list the log: %w", store.URL(), err)
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
		if err := l.checkpoints(ctx, store, version); err != nil {
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
	return l.problems, nil
}

type linter struct {
	state     *builder
	base      int64                  // the version of the checkpoint that it began with; -1 for none
	written   map[int64][]checkpoint // by version
	everAdded map[string]int64       // version by fileKey
	problems  []Problem
}

func (l *linter) report(version int64, format string, args ...any) {
	l.problems = append(l.problems, Problem{Version: version, Text: fmt.Sprintf(format, args...)})
}

// begin starts from the oldest checkpoint that can be read when version 0 is gone.
func (l *linter) begin(ctx context.Context, store lake.Store) error {
	list, err := listLog(ctx, store, 0, forever)
	if err != nil {
		return err
	}
	l.base, l.written = -1, map[int64][]checkpoint{}
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
			l.report(cp.version, "checkpoint: %v", err)
			continue
		}
		l.state.load(cp.version, s)
		l.base = cp.version
		for a := range l.state.draft.Files() {
			l.everAdded[fileKey(a.Path, a.DeletionVector)] = cp.version
		}
		break
	}
	return nil
}

// checkpoints compares the checkpoints of the version with the state.
func (l *linter) checkpoints(ctx context.Context, store lake.Store, version int64) error {
	for _, cp := range l.written[version] {
		s, err := readCheckpoint(ctx, store, cp, false)
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			l.report(version, "checkpoint: %v", err)
			continue
		}
		b := newBuilder(store.URL())
		b.load(version, s)
		if diff := l.state.draft.differs(&b.draft); diff != "" {
			l.report(version, "checkpoint %s: %s", cp.paths[0], diff)
		}
	}
	return nil
}

// commit checks a commit against the state before it, then applies it.
func (l *linter) commit(version int64, c *commit) {
	before := &l.state.draft
	if c.info != nil && !c.infoFirst {
		l.report(version, "commitInfo is not the first action")
	}
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
		if _, live := l.state.index[key]; !live {
			l.report(version, "remove of %s, which is not in the table", c.removes[i].Path)
		}
	}
	// RESTORE brings old files back, and an add without dataChange replaces the description of one.
	restore := parseInfo(c.info).Operation == "RESTORE"
	added := map[string]bool{}
	for i := range c.adds {
		a := &c.adds[i]
		key := fileKey(a.Path, a.DeletionVector)
		if added[key] {
			l.report(version, "two add actions for %s", a.Path)
		}
		added[key] = true
		if first, ok := l.everAdded[key]; ok && a.DataChange && !restore {
			l.report(version, "add of %s, which version %d added before", a.Path, first)
		} else if !ok {
			l.everAdded[key] = version
		}
	}
	l.state.apply(c)
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
			l.report(added, "path %q is not URI-encoded", a.Path)
			continue
		}
		if strings.HasPrefix(name, "/") || strings.Contains(a.Path, ":") {
			continue
		}
		r, err := store.Open(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			l.report(added, "file %s is not there", a.Path)
			continue
		}
		if err != nil {
			return fmt.Errorf("table %s: file %s: %w", store.URL(), a.Path, err)
		}
		if size := r.Size(); size != a.Size {
			l.report(added, "file %s has %d bytes, its add says %d", a.Path, size, a.Size)
		}
		if err := r.Close(); err != nil {
			return fmt.Errorf("table %s: file %s: %w", store.URL(), a.Path, err)
		}
	}
	return nil
}
