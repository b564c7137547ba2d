package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
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
}

var _ catalog.Tables = (*Tables)(nil)

// NewTables works on a lake. engine names the writer in commits.
func NewTables(l lake.Store, engine string, now func() time.Time) *Tables {
	return &Tables{lake: l, engine: engine, now: now}
}

// OnDrop sets what is told when a table is about to be dropped. Set it before the first use.
func (ts *Tables) OnDrop(f func(id [16]byte)) { ts.onDrop = f }

func (ts *Tables) store(info catalog.Table) lake.Store { return ts.lake.Sub(info.Location) }

// Create writes version 0 of a table. The error is fs.ErrExist when there is a Delta log at the location.
func (ts *Tables) Create(ctx context.Context, id [16]byte, name catalog.Name, location string, ct *schema.CreateTable) error {
	sch, err := json.Marshal(ct.Columns)
	if err != nil {
		return err
	}
	_, err = delta.Create(ctx, ts.lake.Sub(location), delta.CreateSpec{
		ID: uuid.UUID(id).String(), Name: name.String(), Description: ct.Comment, SchemaString: string(sch),
		PartitionColumns: ct.PartitionBy, Configuration: ct.Properties, Protocol: protocolOf(delta.Protocol{MinReaderVersion: 1, MinWriterVersion: 2}, &ct.Columns), EngineInfo: ts.engine, Now: ts.now,
	})
	if errors.Is(err, delta.ErrTableExists) {
		return fmt.Errorf("%w: %w", fs.ErrExist, err)
	}
	return err
}

// Drop removes the table's files and, when it is open, ends its pipeline.
func (ts *Tables) Drop(ctx context.Context, info catalog.Table) error {
	if ts.onDrop != nil {
		ts.onDrop(info.ID)
	}
	return ts.store(info).RemoveAll(ctx, "")
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
	d, err := delta.Open(ctx, ts.store(info), delta.Options{EngineInfo: ts.engine, Now: ts.now})
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", info.Name, err)
	}
	return d, nil
}

// URL names the table's directory for other readers.
func (ts *Tables) URL(info catalog.Table) string { return ts.store(info).URL() }

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
	scheme, err := partition.New(s, d.Snapshot().Metadata.PartitionColumns)
	if err != nil {
		return fmt.Errorf("table %s: %w", info.Name, err)
	}
	var files []delta.Add
	for f := range d.Snapshot().Files() {
		files = append(files, f)
	}
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
	name, err := url.PathUnescape(f.Path)
	if err != nil {
		return 0, err
	}
	r, err := ts.store(info).Open(ctx, name)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	err = parquetfile.Read(r, r.Size(), s.Files(), limit, func(values []any) error {
		n++
		return row(s.Row(keys, values))
	})
	return n, err
}
