package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
	"github.com/zerobus-go/zerobus/server/internal/partition"
)

// Tables is the lake's side of the catalog's tables: their Delta logs and files. It implements catalog.Tables, with a running
// server or without one.
type Tables struct {
	lake   lake.Store
	engine string
	now    func() time.Time
	onDrop func(id [16]byte) // ends the table's pipeline; nil without a server
	retire func(id [16]byte) // Set.Retire; likewise
	staged func(id [16]byte) func(path string) bool
	roots  *lake.Roots // where external tables may be

	rewriter func(ctx context.Context, info catalog.Table, o CompactOptions) (CompactResult, error)

	around func(lake.Store) lake.Store // nil, or what tests lay over the stores of external tables
}

var _ catalog.Tables = (*Tables)(nil)

// NewTables works on a lake. engine names the writer in commits.
func NewTables(l lake.Store, engine string, now func() time.Time) *Tables {
	return &Tables{lake: l, engine: engine, now: now}
}

// OnDrop sets what is told when a table is about to be dropped. Set it before the first use.
func (ts *Tables) OnDrop(f func(id [16]byte)) { ts.onDrop = f }

// store is the table's directory. Errors: those of externalStore.
func (ts *Tables) store(info catalog.Table) (lake.Store, error) {
	if info.External {
		return ts.externalStore(info)
	}
	return ts.lake.Sub(info.Location), nil
}

// Create writes version 0 of a table. The error is fs.ErrExist when there is a Delta log at the location, and catalog.ErrInvalid for
// properties that the columns do not bear out.
func (ts *Tables) Create(ctx context.Context, info catalog.Table, ct *schema.CreateTable) error {
	m, err := newMetadata(ct)
	if err != nil {
		return err
	}
	if info.External {
		if _, err := ts.roots.Make(info.Location); err != nil {
			return err
		}
	}
	store, err := ts.store(info)
	if err != nil {
		return err
	}
	_, err = delta.Create(ctx, store, delta.CreateSpec{
		ID: info.ID.String(), Name: info.Name.String(), Description: ct.Comment, SchemaString: m.SchemaString,
		PartitionColumns: ct.PartitionBy, Configuration: m.Configuration,
		Protocol: protocolOf(delta.Protocol{MinReaderVersion: 1, MinWriterVersion: 2}, m, &ct.Columns), EngineInfo: ts.engine, Now: ts.now,
	})
	if errors.Is(err, delta.ErrTableExists) {
		return fmt.Errorf("%w: %w", fs.ErrExist, err)
	}
	return err
}

// Drop removes the table's files, unless it is external, and ends its pipeline when it is open.
func (ts *Tables) Drop(ctx context.Context, info catalog.Table) error {
	if ts.onDrop != nil {
		ts.onDrop(info.ID)
	}
	if info.External {
		return nil
	}
	return ts.lake.Sub(info.Location).RemoveAll(ctx, "")
}

// Schema is the table's present schema and what it is partitioned by, from its Delta log.
func (ts *Tables) Schema(ctx context.Context, info catalog.Table) (*schema.Struct, []string, error) {
	d, err := ts.Delta(ctx, info)
	if err != nil {
		return nil, nil, err
	}
	s := new(schema.Struct)
	if err := json.Unmarshal([]byte(d.Snapshot().Metadata.SchemaString), s); err != nil {
		return nil, nil, fmt.Errorf("table %s: schema: %w", info.Name, err)
	}
	return s, d.Snapshot().Metadata.PartitionColumns, nil
}

// Delta reads the table's Delta log.
func (ts *Tables) Delta(ctx context.Context, info catalog.Table) (*delta.Table, error) {
	_, d, err := ts.open(ctx, info, delta.Options{EngineInfo: ts.engine, Now: ts.now})
	return d, err
}

// open reads the table's Delta log. Errors: those of store and of delta.Open, and delta.ErrOutdated for an external table that
// another one took the place of.
func (ts *Tables) open(ctx context.Context, info catalog.Table, o delta.Options) (lake.Store, *delta.Table, error) {
	store, err := ts.store(info)
	if err != nil {
		return nil, nil, fmt.Errorf("table %s: %w", info.Name, err)
	}
	d, err := delta.Open(ctx, store, o)
	if err == nil {
		err = sameTable(info, d.Snapshot())
	}
	if err != nil {
		return nil, nil, fmt.Errorf("table %s: %w", info.Name, err)
	}
	return store, d, nil
}

// URL names the table's directory for other readers.
func (ts *Tables) URL(info catalog.Table) string {
	if info.External {
		return info.Location
	}
	return ts.lake.Sub(info.Location).URL()
}

// Head gives the first rows of the table's newest files, newest file first, until row has been called limit times.
func (ts *Tables) Head(ctx context.Context, info catalog.Table, limit int, row func(values []any) error) error {
	d, err := ts.Delta(ctx, info)
	if err != nil {
		return err
	}
	s := new(schema.Struct)
	if err := json.Unmarshal([]byte(d.Snapshot().Metadata.SchemaString), s); err != nil {
		return fmt.Errorf("table %s: schema: %w", info.Name, err)
	}
	_, scheme, err := storage(&d.Snapshot().Metadata, s)
	if err != nil {
		return fmt.Errorf("table %s: %w", info.Name, err)
	}
	var files []delta.Add
	for f := range d.Snapshot().Files() {
		files = append(files, f)
	}
	byInsertion(files) // compacted files stand behind younger ones
	for i := len(files) - 1; i >= 0 && limit > 0; i-- {
		if files[i].DeletionVector != nil {
			return fmt.Errorf("table %s: file %s has lost rows to a deletion vector, which is not read here; use another reader", info.Name, files[i].Path)
		}
		n, err := ts.headOf(ctx, info, files[i], scheme, limit, row)
		if err != nil {
			return fmt.Errorf("table %s: file %s: %w", info.Name, files[i].Path, err)
		}
		limit -= n
	}
	return nil
}

func (ts *Tables) headOf(ctx context.Context, info catalog.Table, f delta.Add, s *partition.Scheme, limit int, row func([]any) error) (n int, err error) {
	keys, err := s.Parse(f.PartitionValues)
	if err != nil {
		return 0, err
	}
	if isAbsolute(f.Path) {
		return 0, errors.New("it is outside of the table's directory, as those of shallow clones are, and not read here; use another reader")
	}
	name, err := url.PathUnescape(f.Path)
	if err != nil {
		return 0, err
	}
	store, err := ts.store(info)
	if err != nil {
		return 0, err
	}
	r, err := store.Open(ctx, name)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	err = parquetfile.ReadChunks(r, r.Size(), s.Files(), limit, func(c *column.Chunk) error {
		for i := range c.Rows {
			n++
			if err := row(s.Row(keys, parquetfile.Row(c, s.Shown(), i))); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}
