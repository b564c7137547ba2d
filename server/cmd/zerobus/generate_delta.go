package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
)

const deltaLog = "_delta_log"

// readDelta reads the schema of the Delta table in a directory, and changes nothing there. name is what to call the table;
// without one it has the name that its log gives it, or else that of the directory.
func readDelta(ctx context.Context, dir, name string) (sourceTable, error) {
	meta, err := deltaMetadata(ctx, dir)
	if err != nil {
		return sourceTable{}, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return sourceTable{}, err
	}
	table := sourceTable{cmp.Or(name, cut(meta.Name, false), filepath.Base(abs)), new(schema.Struct)}
	if err := json.Unmarshal([]byte(meta.SchemaString), table.columns); err != nil {
		return sourceTable{}, fmt.Errorf("delta table %s: schema: %w", dir, err)
	}
	return table, nil
}

// deltaMetadata is the latest metadata of a table.
func deltaMetadata(ctx context.Context, dir string) (*delta.Metadata, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("delta table: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("delta table %s: it is a file, expected the directory with %s in it", dir, deltaLog)
	}
	t, err := delta.Open(ctx, logReader{lake.NewMemory(), dir}, delta.Options{})
	switch {
	case errors.Is(err, delta.ErrNoTable):
		return nil, fmt.Errorf("%s is no Delta table: there are no commits in %s", dir, filepath.Join(dir, deltaLog))
	case errors.Is(err, delta.ErrCheckpointNeeded):
		return checkpointedMetadata(ctx, dir)
	case err != nil:
		return nil, fmt.Errorf("delta %w", err)
	}
	return &t.Snapshot().Metadata, nil
}

// logReader is the part of a [lake.Store] that reading a log takes, on a directory in which nothing may change: lake.NewLocal
// makes the directory and sweeps it. The other methods are those of an empty memory.
type logReader struct {
	*lake.Memory
	dir string
}

func (r logReader) URL() string { return r.dir }

func (r logReader) Get(_ context.Context, path string) ([]byte, error) {
	return os.ReadFile(filepath.Join(r.dir, filepath.FromSlash(path)))
}

// List yields the files of one directory, which a log is.
func (r logReader) List(_ context.Context, prefix, _ string) iter.Seq2[lake.Info, error] {
	return func(yield func(lake.Info, error) bool) {
		entries, err := os.ReadDir(filepath.Join(r.dir, filepath.FromSlash(prefix)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield(lake.Info{}, err)
			return
		}
		for _, e := range entries {
			if !e.IsDir() && !yield(lake.Info{Path: prefix + e.Name()}, nil) {
				return
			}
		}
	}
}

// logFile matches the names of what holds actions in a log: commits, and checkpoints of all forms. In the order of their names
// a version's checkpoint stands before its commit.
var logFile = regexp.MustCompile(`^\d{20}(\.checkpoint(\..+)?)?\.(json|parquet)$`)

// checkpointedMetadata finds the latest metadata in a log whose beginning was cleaned up: the first from the log's end
// backwards, in commits and checkpoints alike. Of the columns of a checkpoint it reads those two that matter.
func checkpointedMetadata(ctx context.Context, dir string) (*delta.Metadata, error) {
	entries, err := os.ReadDir(filepath.Join(dir, deltaLog))
	if err != nil {
		return nil, err
	}
	for _, e := range slices.Backward(entries) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !logFile.MatchString(e.Name()) {
			continue
		}
		read := metadataOfActions
		if strings.HasSuffix(e.Name(), ".parquet") {
			read = metadataOfParquet
		}
		m, err := read(filepath.Join(dir, deltaLog, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("delta table %s: %s: %w", dir, e.Name(), err)
		}
		if m != nil {
			return m, nil
		}
	}
	return nil, fmt.Errorf("delta table %s: no metaData in its log: %w", dir, delta.ErrCorrupt)
}

// metadataOfActions reads a commit, or a checkpoint of that form. It returns nil when there is no metadata in it.
func metadataOfActions(file string) (m *delta.Metadata, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(data) {
		var action struct {
			Metadata *delta.Metadata `json:"metaData"`
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := json.Unmarshal(line, &action); err != nil {
			return nil, err
		}
		if action.Metadata != nil {
			m = action.Metadata
		}
	}
	return m, nil
}

// metadataOfParquet reads a checkpoint, or a part of one. It returns nil when there is no metadata in it. The library meets
// some damages of a file with a panic.
func metadataOfParquet(file string) (m *delta.Metadata, err error) {
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("the file is damaged: %v", p)
		}
	}()
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	p, err := parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, err
	}
	columns := p.Root().Column("metaData")
	if columns == nil {
		return nil, nil
	}
	m = new(delta.Metadata)
	if m.SchemaString, err = onlyText(columns.Column("schemaString")); err != nil || m.SchemaString == "" {
		return nil, err
	}
	m.Name, err = onlyText(columns.Column("name"))
	return m, err
}

// onlyText is the value of a column that has one in a single row; empty for none.
func onlyText(c *parquet.Column) (string, error) {
	if c == nil {
		return "", nil
	}
	pages := c.Pages()
	defer pages.Close()
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		text, err := firstText(page)
		parquet.Release(page)
		if err != nil || text != "" {
			return text, err
		}
	}
}

// firstText is the first value of a page that is not null; empty for none.
func firstText(page parquet.Page) (string, error) {
	if page.NumNulls() == page.NumValues() {
		return "", nil
	}
	values := make([]parquet.Value, 1024)
	for r := page.Values(); ; {
		n, err := r.ReadValues(values)
		for _, v := range values[:n] {
			if !v.IsNull() {
				return string(v.ByteArray()), nil
			}
		}
		if errors.Is(err, io.EOF) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
	}
}
