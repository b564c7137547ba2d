package delta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// CreateSpec describes a new table.
type CreateSpec struct {
	ID               string // metaData.id; a fresh UUID when empty
	Name             string
	Description      string
	SchemaString     string // Spark's JSON of a struct type, with one column at least
	PartitionColumns []string
	Configuration    map[string]string

	// Protocol defaults to reader 1, writer 2. Columns that need a feature (TIMESTAMP_NTZ) need a protocol that lists it.
	Protocol Protocol

	EngineInfo string           // see Options
	Now        func() time.Time // see Options
	Logger     *slog.Logger     // see Options
}

// Create writes version 0 of a table's log and returns the table. The error is ErrTableExists when there is a log, and an
// UnsupportedError when Append would refuse what the spec asks for.
func Create(ctx context.Context, store lake.Store, spec CreateSpec) (*Table, error) {
	t := newTable(store, Options{EngineInfo: spec.EngineInfo, Now: spec.Now, Logger: spec.Logger})
	if err := t.create(ctx, spec); err != nil {
		return nil, t.wrap(fmt.Errorf("create: %w", err))
	}
	return t, nil
}

func (t *Table) create(ctx context.Context, spec CreateSpec) error {
	c := &commit{metadata: new(spec.metadata())}
	c.protocol = new(spec.protocol().suiting(&Metadata{}, c.metadata))
	c.metadata.CreatedTime = t.now().UnixMilli()
	if c.metadata.ID == "" {
		c.metadata.ID = t.newID()
	}
	if err := checkColumns(c.metadata); err != nil {
		return err
	}
	params, err := createParameters(c.metadata)
	if err != nil {
		return err
	}
	body, err := t.body(ctx, CommitInfo{Operation: "CREATE TABLE", OperationParameters: params, IsBlindAppend: new(true)}, c)
	if err != nil {
		return err
	}
	if err := CheckWritable(t.state.draft.following(c)); err != nil {
		return err
	}

	// A log whose beginning was cleaned up has no version 0, yet the table is there.
	for info, err := range t.store.List(ctx, logDir, "") {
		if err != nil {
			return err
		}
		_, isCommit := commitVersion(info.Path)
		_, isCheckpoint := checkpointVersion(info.Path)
		if isCommit || isCheckpoint {
			return ErrTableExists
		}
	}

	won, err := t.write(ctx, 0, body)
	if err != nil {
		return err
	}
	if !won {
		return ErrTableExists
	}
	t.advance(c, body)
	t.publish()
	return nil
}

func (s CreateSpec) protocol() Protocol {
	if s.Protocol.MinReaderVersion == 0 && s.Protocol.MinWriterVersion == 0 {
		return Protocol{MinReaderVersion: 1, MinWriterVersion: 2}
	}
	p := s.Protocol
	p.ReaderFeatures, p.WriterFeatures = slices.Clone(p.ReaderFeatures), slices.Clone(p.WriterFeatures)
	return p
}

func (s CreateSpec) metadata() Metadata {
	return Metadata{
		ID:               s.ID,
		Name:             s.Name,
		Description:      s.Description,
		Format:           Format{Provider: "parquet", Options: map[string]string{}},
		SchemaString:     s.SchemaString,
		PartitionColumns: append([]string{}, s.PartitionColumns...),
		Configuration:    cloneMap(s.Configuration),
	}
}

// checkColumns checks what the log itself rests upon: a struct with columns, partition columns among them, not all of them.
func checkColumns(m *Metadata) error {
	schema, err := parseSchema(m.SchemaString)
	if err != nil {
		return err
	}
	if len(schema.fields) == 0 {
		return errors.New("the schema has no columns")
	}
	names := map[string]*dataType{}
	for i := range schema.fields {
		names[schema.fields[i].Name] = schema.fields[i].typ
	}
	seen := map[string]bool{}
	for _, p := range m.PartitionColumns {
		typ, ok := names[p]
		switch {
		case !ok:
			return fmt.Errorf("partition column %q is not in the schema", p)
		case seen[p]:
			return fmt.Errorf("partition column %q is named twice", p)
		case slices.Contains([]string{"struct", "array", "map", "variant", "binary"}, typ.name):
			return fmt.Errorf("partition column %q has type %s, which cannot be a directory's value", p, typ.name)
		}
		seen[p] = true
	}
	if len(seen) == len(names) {
		return errors.New("every column is a partition column, which leaves none for the files")
	}
	return nil
}

// createParameters are Spark's operationParameters of CREATE TABLE: lists and maps as JSON text.
func createParameters(m *Metadata) (map[string]string, error) {
	partitionBy, err := json.Marshal(m.PartitionColumns)
	if err != nil {
		return nil, err
	}
	properties, err := json.Marshal(m.Configuration)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"isManaged":   "false",
		"description": m.Description,
		"partitionBy": string(partitionBy),
		"properties":  string(properties),
	}, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
