package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
)

// watchEvery is how often the log of the table is looked at; times to the table are too long by so much at most.
const watchEvery = 2 * time.Millisecond

// tableWatch looks which versions a table gets, and when.
type tableWatch struct {
	dir   string // of the table
	began time.Time

	mu   sync.Mutex // guards the following
	next int64      // the version that is looked for
	seen []benchVersion
	rows int64
	err  error
}

// benchVersion is a commit with new rows.
type benchVersion struct {
	at    time.Duration // since the beginning, when it was seen
	files []string      // names below the table's directory
	bytes int64
}

// watchTable looks from a version on, until the function that it returns is called.
func watchTable(dir string, from int64, began time.Time) (w *tableWatch, stop func()) {
	w = &tableWatch{dir: dir, began: began, next: from}
	return w, every(watchEvery, w.look)
}

// look takes the versions that are there. A version's file appears whole, or not at all.
func (w *tableWatch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.err == nil {
		text, err := os.ReadFile(filepath.Join(w.dir, "_delta_log", fmt.Sprintf("%020d.json", w.next)))
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		at := time.Since(w.began)
		var v benchVersion
		var rows int64
		if err == nil {
			v, rows, err = parseVersion(text)
		}
		if err != nil {
			w.err = fmt.Errorf("version %d of the table: %w", w.next, err)
			return
		}
		w.next++
		if rows > 0 {
			v.at = at
			w.seen = append(w.seen, v)
			w.rows += rows
		}
	}
}

// parseVersion reads the files with new rows out of a commit. Those of a compaction have none.
func parseVersion(text []byte) (v benchVersion, rows int64, err error) {
	for line := range bytes.Lines(text) {
		var action struct {
			Add *struct {
				Path       string `json:"path"`
				Size       int64  `json:"size"`
				DataChange bool   `json:"dataChange"`
				Stats      string `json:"stats"`
			} `json:"add"`
		}
		if err := json.Unmarshal(line, &action); err != nil {
			return v, 0, err
		}
		if action.Add == nil || !action.Add.DataChange {
			continue
		}
		var stats struct {
			NumRecords *int64 `json:"numRecords"`
		}
		if err := json.Unmarshal([]byte(action.Add.Stats), &stats); err != nil || stats.NumRecords == nil {
			return v, 0, fmt.Errorf("file %s has no count of rows", action.Add.Path)
		}
		v.files = append(v.files, action.Add.Path)
		v.bytes += action.Add.Size
		rows += *stats.NumRecords
	}
	return v, rows, nil
}

// tableTimeout is how long rows may take to the table when nothing comes any more: the longest cadence, and more.
const tableTimeout = 2 * time.Minute

// wait returns when the table has so many rows more than at the beginning.
func (w *tableWatch) wait(ctx context.Context, rows int64) error {
	ctx, cancel := context.WithTimeout(ctx, tableTimeout)
	defer cancel()
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		w.mu.Lock()
		have, err := w.rows, w.err
		w.mu.Unlock()
		if err != nil || have >= rows {
			return err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("the table has %s of %s rows: %w", count(have), count(rows), ctx.Err())
		}
	}
}

// eachID calls f with the ids of all rows that were seen, and when their version was. It is called once nothing is looked for.
func (w *tableWatch) eachID(ctx context.Context, idColumn string, f func(id int64, at time.Duration)) error {
	t, err := schema.ParseType("BIGINT")
	if err != nil {
		return err
	}
	only := &schema.Struct{Fields: []schema.Field{{Name: idColumn, Type: t, Nullable: true}}}
	for _, v := range w.seen {
		for _, name := range v.files {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := eachIDOf(filepath.Join(w.dir, filepath.FromSlash(name)), only, func(id int64) { f(id, v.at) }); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func eachIDOf(name string, only *schema.Struct, f func(id int64)) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return parquetfile.ReadChunks(file, info.Size(), only, -1, func(c *column.Chunk) error {
		for i := range c.Cols[0].N {
			if c.Cols[0].IsValid(i) {
				f(c.Cols[0].I64[i])
			}
		}
		return nil
	})
}
