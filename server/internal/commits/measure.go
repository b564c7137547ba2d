package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/ledger"
	"github.com/zerobus-go/zerobus/server/internal/table"
	"github.com/zerobus-go/zerobus/server/internal/wal"
)

// checkpointCommits is the server's default. By the table's clock commits are minutes apart, so that the time since the last
// checkpoint must not be a reason for one.
const (
	checkpointCommits = 100
	never             = 100 * 365 * day
)

var (
	name  = catalog.Name{Catalog: "main", Schema: "default", Table: "readings"}
	other = catalog.Name{Catalog: "main", Schema: "default", Table: "young"}
)

func location(n catalog.Name) string { return n.Catalog + "/" + n.Schema + "/" + n.Table }

// measure makes the commits in a directory of its own.
func measure(ctx context.Context, c config, log io.Writer) (r *result, err error) {
	dir, err := os.MkdirTemp(c.dir, "commits-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := open(c, dir, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return nil, err
	}
	r = &result{Checkpoint: checkpointCommits}
	err = s.commit(ctx, c, r)
	if err = errors.Join(err, s.close(ctx)); err != nil {
		return nil, err
	}
	return r, s.reopen(ctx, c, r)
}

// server is the part of one that commits.
type server struct {
	calendar *calendar
	root     string // of the lake
	store    lake.Store
	tables   *table.Tables
	catalog  *catalog.Catalog
	set      *table.Set
	closers  []func() error // in the order in which they were opened
}

func open(c config, dir string, log *slog.Logger) (s *server, err error) {
	s = &server{calendar: newCalendar(c.commits, c.perDay), root: filepath.Join(dir, "tables")}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.closeAll())
		}
	}()
	local, err := lake.NewLocal(s.root)
	if err != nil {
		return s, err
	}
	s.store = aged{Store: local, calendar: s.calendar, late: map[string]int64{location(other): int64(c.commits - c.young)}}
	s.tables = table.NewTables(s.store, "bench", s.calendar.now)
	if s.catalog, err = catalog.Open(filepath.Join(dir, "catalog.db"), catalog.Options{}); err != nil {
		return s, err
	}
	s.closers = append(s.closers, s.catalog.Close)
	l, err := wal.Open(wal.Options{Dir: filepath.Join(dir, "wal"), Logger: log})
	if err != nil {
		return s, err
	}
	s.closers = append(s.closers, l.Close)
	positions, err := ledger.Open(filepath.Join(dir, "ledger.db"))
	if err != nil {
		return s, err
	}
	s.closers = append(s.closers, positions.Close)
	s.set = table.NewSet(l, positions, s.catalog, s.tables, table.Options{
		CommitInterval: time.Hour, CheckpointCommits: checkpointCommits, CheckpointInterval: never, Engine: "bench", Logger: log, Now: s.calendar.now,
		Compaction: table.Compaction{Off: true},
	})
	return s, nil
}

func (s *server) close(ctx context.Context) error { return errors.Join(s.set.Close(ctx), s.closeAll()) }

func (s *server) closeAll() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// create makes a table and opens it.
func (s *server) create(ctx context.Context, name catalog.Name, retention int) (*table.Table, error) {
	text := fmt.Sprintf("CREATE TABLE %s (id BIGINT, device STRING, temp DOUBLE) TBLPROPERTIES ('delta.logRetentionDuration' = 'interval %d days')", name, retention)
	if _, err := catalog.NewEngine(s.catalog, s.tables).Exec(ctx, text); err != nil {
		return nil, err
	}
	return s.set.Open(ctx, name)
}

// commit makes the table and its commits.
func (s *server) commit(ctx context.Context, c config, r *result) error {
	if err := s.set.Recover(ctx); err != nil {
		return err
	}
	t, err := s.create(ctx, name, c.retention)
	if err != nil {
		return err
	}
	var young *table.Table
	for n := range c.commits {
		if n == c.commits-c.young {
			if young, err = s.create(ctx, other, c.retention); err != nil {
				return err
			}
		}
		s.calendar.made.Add(1)
		took, err := s.one(ctx, t, int64(n*c.rows), c.rows)
		if err != nil {
			return err
		}
		r.Commits = append(r.Commits, took)
		if young != nil {
			took, err := s.one(ctx, young, int64(len(r.Young)*c.rows), c.rows)
			if err != nil {
				return err
			}
			r.Young = append(r.Young, took)
		}
		if (n+1)%c.every == 0 {
			look, err := lookAt(filepath.Join(s.root, filepath.FromSlash(location(name)), "_delta_log"))
			if err != nil {
				return err
			}
			look.Commit, look.CPU = n+1, processorTime().Nanoseconds()
			r.Log = append(r.Log, look)
		}
	}
	return nil
}

// one makes rows durable in the log and commits them. It returns the nanoseconds that the commit took.
func (s *server) one(ctx context.Context, t *table.Table, from int64, rows int) (took int64, err error) {
	c := t.Chunk()
	fill(c, from, rows)
	durable := make(chan error, 1)
	if err := t.Append(ctx, nil, c, func(err error) { durable <- err }); err != nil {
		return 0, err
	}
	if err := <-durable; err != nil {
		return 0, err
	}
	began := time.Now()
	err = t.Flush(ctx)
	return time.Since(began).Nanoseconds(), err
}

func fill(c *column.Chunk, from int64, rows int) {
	for i := range int64(rows) {
		id := from + i
		c.Cols[0].AppendInt64(id)
		c.Cols[1].AppendString(fmt.Sprintf("sensor-%d", id%4096))
		c.Cols[2].AppendFloat64(float64(id*31%10_000) / 100)
		c.EndRow(make([]bool, len(c.Cols)))
	}
}

// lookAt adds up what is in a directory. Files that go meanwhile count nothing.
func lookAt(dir string) (s sample, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return s, err
	}
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return s, err
		default:
			s.Objects++
			s.Bytes += info.Size()
		}
	}
	return s, nil
}

// reopen measures how long the table takes to be opened, and counts what is in it.
func (s *server) reopen(ctx context.Context, c config, r *result) error {
	info := catalog.Table{Name: name, Location: location(name)}
	once := func() (int64, error) {
		began := time.Now()
		d, err := s.tables.Delta(ctx, info)
		took := time.Since(began).Nanoseconds()
		if err != nil {
			return 0, err
		}
		snap := d.Snapshot()
		r.Rows, r.Files = 0, snap.NumFiles()
		for f := range snap.Files() {
			var stats struct {
				Rows int64 `json:"numRecords"`
			}
			if err := json.Unmarshal([]byte(f.Stats), &stats); err != nil {
				return 0, fmt.Errorf("file %s: statistics: %w", f.Path, err)
			}
			r.Rows += stats.Rows
		}
		return took, nil
	}
	for _, to := range []*[]int64{&r.OpenHint, &r.OpenBare} {
		for range c.opens {
			took, err := once()
			if err != nil {
				return err
			}
			*to = append(*to, took)
		}
		if err := s.store.Delete(ctx, info.Location+"/_delta_log/_last_checkpoint"); err != nil {
			return err
		}
	}
	if want := int64(c.commits) * int64(c.rows); r.Rows != want {
		return fmt.Errorf("the table has %d rows in %d files, want %d rows", r.Rows, r.Files, want)
	}
	return nil
}
