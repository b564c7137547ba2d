package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
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
		Configuration: ct.Properties, Protocol: protocolFor(&ct.Columns), EngineInfo: ts.engine, Now: ts.now,
	})
	if errors.Is(err, delta.ErrTableExists) {
		return fmt.Errorf("%w: %w", fs.ErrExist, err)
	}
	return err
}

// protocolFor is the weakest protocol that says all that the columns need.
func protocolFor(s *schema.Struct) delta.Protocol {
	for i := range s.Fields {
		if s.Fields[i].Type.Kind == schema.TimestampNTZ {
			return delta.Protocol{
				MinReaderVersion: 3, MinWriterVersion: 7,
				ReaderFeatures: []string{"timestampNtz"},
				// What writer versions up to 6 imply must be listed from 7 on.
				WriterFeatures: []string{"appendOnly", "invariants", "timestampNtz"},
			}
		}
	}
	return delta.Protocol{MinReaderVersion: 1, MinWriterVersion: 2}
}

// Drop removes the table's files and, when it is open, ends its pipeline.
func (ts *Tables) Drop(ctx context.Context, info catalog.Table) error {
	if ts.onDrop != nil {
		ts.onDrop(info.ID)
	}
	return ts.store(info).RemoveAll(ctx, "")
}

// Schema is the table's present schema, from its Delta log.
func (ts *Tables) Schema(ctx context.Context, info catalog.Table) (*schema.Struct, error) {
	d, err := ts.Delta(ctx, info)
	if err != nil {
		return nil, err
	}
	s := new(schema.Struct)
	if err := json.Unmarshal([]byte(d.Snapshot().Metadata.SchemaString), s); err != nil {
		return nil, fmt.Errorf("table %s: schema: %w", info.Name, err)
	}
	return s, nil
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
	var files []delta.Add
	for f := range d.Snapshot().Files() {
		files = append(files, f)
	}
	for i := len(files) - 1; i >= 0 && limit > 0; i-- {
		n, err := ts.headOf(ctx, info, files[i], s, limit, row)
		if err != nil {
			return fmt.Errorf("table %s: file %s: %w", info.Name, files[i].Path, err)
		}
		limit -= n
	}
	return nil
}

func (ts *Tables) headOf(ctx context.Context, info catalog.Table, f delta.Add, s *schema.Struct, limit int, row func([]any) error) (n int, err error) {
	r, err := ts.store(info).Open(ctx, f.Path)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	err = parquetfile.Read(r, r.Size(), s, limit, func(values []any) error {
		n++
		return row(values)
	})
	return n, err
}
