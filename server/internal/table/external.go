package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// External tables lie outside of the lake, in a directory that others write, too. What is different about them: the directory may be
// away, it may be another table's one day, and its files stay when the table is dropped.

// AllowExternal says where they may be; nil, the default, is for the tool without a server. Set it before the first use.
func (ts *Tables) AllowExternal(r *lake.Roots) { ts.roots = r }

// OnRetire sets what ends the use of an external table before it is dropped: [Set.Retire]. Set it before the first use.
func (ts *Tables) OnRetire(f func(id [16]byte)) { ts.retire = f }

// Retire implements catalog.Tables. Without a server there is nothing to bring into the table.
func (ts *Tables) Retire(info catalog.Table) {
	if ts.retire != nil {
		ts.retire(info.ID)
	}
}

// Retire ends the use of a table that is about to be dropped while its files stay: its streams get [ErrDropped], what was
// acknowledged is committed, and the table is not opened any more, until [Set.Drop]. It takes as long as one try to commit may.
func (s *Set) Retire(id [16]byte) {
	for {
		s.mu.Lock()
		e, open := s.open[id]
		if !open {
			e = &entry{ready: make(chan struct{}), err: ErrDropped}
			close(e.ready)
			s.open[id] = e
		}
		s.mu.Unlock()
		<-e.ready
		if t := e.table; t != nil {
			t.refuse(ErrDropped)
			t.finish()
			t.stop(ErrDropped)
			<-t.stopped
			return
		}
		s.mu.Lock()
		stays := s.open[id] == e // one that could not be opened does not
		s.mu.Unlock()
		if stays {
			return
		}
	}
}

// Place gives the directory that a LOCATION stands for. The error says why no table may be there.
func (ts *Tables) Place(location string) (string, error) {
	dir, err := ts.roots.Resolve(location)
	if err != nil {
		return "", err
	}
	isLog := func(name string) bool { return strings.EqualFold(name+"/", logDir) }
	if slices.ContainsFunc(strings.Split(filepath.ToSlash(dir), "/"), isLog) {
		return "", fmt.Errorf("%s is inside of a Delta log", dir)
	}
	for above := filepath.Dir(dir); ; above = filepath.Dir(above) {
		if _, err := os.Lstat(filepath.Join(above, logDir)); err == nil {
			return "", fmt.Errorf("%s is inside of the Delta table %s, whose VACUUM would take the files of another one away", dir, above)
		}
		if above == filepath.Dir(above) {
			return dir, nil
		}
	}
}

// Find reads the Delta table at a directory that Place gave, and nil when one may be made there: nothing is in it.
func (ts *Tables) Find(ctx context.Context, dir string) (*catalog.Found, error) {
	store, err := ts.foreign(dir)
	if errors.Is(err, lake.ErrAway) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	d, err := delta.Open(ctx, store, delta.Options{EngineInfo: ts.engine, Now: ts.now})
	if errors.Is(err, delta.ErrNoTable) {
		return nil, empty(dir)
	} else if err != nil {
		return nil, err
	}
	m := d.Snapshot().Metadata
	f := &catalog.Found{ID: m.ID, Columns: new(schema.Struct), PartitionBy: m.PartitionColumns, Comment: m.Description, Properties: m.Configuration}
	if err := json.Unmarshal([]byte(m.SchemaString), f.Columns); err != nil {
		return nil, fmt.Errorf("the Delta table at %s: schema: %w", dir, err)
	}
	return f, nil
}

// empty refuses a directory with something else in it, as Spark does. An empty log is what a crash leaves.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name()+"/" != logDir {
			return fmt.Errorf("%s has no Delta table, but it has %s in it: a table is made in an empty directory", dir, e.Name())
		}
	}
	return nil
}

// foreign opens the directory of an external table.
func (ts *Tables) foreign(dir string) (lake.Store, error) {
	l, err := ts.roots.Open(dir)
	if err != nil {
		return nil, err
	}
	if st, err := os.Lstat(filepath.Join(dir, logDir[:len(logDir)-1])); err == nil && !st.IsDir() {
		return nil, fmt.Errorf("%s is no directory of its own: a link there would lead to the log of another table", filepath.Join(dir, logDir))
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if ts.around != nil {
		return ts.around(l), nil
	}
	return l, nil
}

// externalStore is foreign for a table of the catalog. Errors: delta.ErrNoTable for a directory that is away, else [ErrBroken]: it
// is not where it was, or not allowed to be there any more.
func (ts *Tables) externalStore(info catalog.Table) (lake.Store, error) {
	store, err := ts.foreign(info.Location)
	switch {
	case errors.Is(err, lake.ErrAway):
		return nil, fmt.Errorf("%w: %w", delta.ErrNoTable, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return store, nil
}

// sameTable refuses a table that took the place of the one that was registered.
func sameTable(info catalog.Table, s *delta.Snapshot) error {
	if info.External && s.Metadata.ID != info.DeltaID {
		return fmt.Errorf("%w: metaData.id at %s is %s, registered was %s; DROP TABLE, which leaves the files, and register it again",
			delta.ErrOutdated, info.Location, s.Metadata.ID, info.DeltaID)
	}
	return nil
}

// isAbsolute reports whether the path of a data file is an absolute URI, or an absolute path, and not relative to the table.
func isAbsolute(path string) bool {
	scheme, _, ok := strings.Cut(path, ":")
	return strings.HasPrefix(path, "/") || ok && !strings.Contains(scheme, "/")
}

// finish brings what was acknowledged into a table that takes no more rows, and whose files stay: its rows must be in them.
func (t *Table) finish() {
	ctx, cancel := context.WithTimeout(t.ctx, t.set.opts.CommitTimeout)
	defer cancel()
	// Rows that are on their way into the log hold memory, and so do most of those that wait for a commit.
	t.short.Add(1)
	t.signal()
	err := t.memory.Acquire(ctx, t.set.tableMemory)
	t.short.Add(-1)
	if err == nil {
		err = t.Flush(ctx)
		t.memory.Release(t.set.tableMemory)
	}
	if err != nil {
		t.log.Warn("an external table was dropped that could not be committed to: rows that were acknowledged are lost", "rows", t.uncommitted(), "err", err)
	}
}
