package table

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
	"github.com/zerobus-go/zerobus/server/internal/partition"
)

// storage is how a table's files have its columns.
func storage(m *delta.Metadata, columns *schema.Struct) (*schema.Struct, *partition.Scheme, error) {
	stored, err := storedColumns(m, columns)
	if err != nil {
		return nil, nil, err
	}
	var scheme *partition.Scheme
	if stored == columns {
		scheme, err = partition.New(columns, m.PartitionColumns)
	} else {
		scheme, err = partition.NewMapped(columns, stored, m.PartitionColumns)
	}
	return stored, scheme, err
}

// storedColumns are a table's columns as its files have them: with physical names at every level, and the ids that the footers get.
// Without column mapping they are the columns themselves.
func storedColumns(m *delta.Metadata, columns *schema.Struct) (*schema.Struct, error) {
	mode := m.Mapping()
	if mode == delta.Unmapped {
		return columns, nil
	}
	fields, err := storedFields(columns.Fields, mode == delta.MappedByID)
	if err != nil {
		return nil, err
	}
	return &schema.Struct{Fields: fields}, nil
}

func storedFields(fields []schema.Field, byID bool) ([]schema.Field, error) {
	out := make([]schema.Field, len(fields))
	for i := range fields {
		f := &fields[i]
		var name string
		if err := json.Unmarshal([]byte(f.Metadata[delta.PhysicalName]), &name); err != nil {
			return nil, fmt.Errorf("column %s: %s: %w", f.Name, delta.PhysicalName, err)
		}
		typ, err := storedType(f.Type, byID)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", f.Name, err)
		}
		metadata := map[string]string{parquetfile.FieldIDKey: f.Metadata[delta.ColumnID]}
		if byID {
			metadata[parquetfile.ByIDKey] = "true"
		}
		nested, err := nestedIDs(f, name)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", f.Name, err)
		}
		if nested != "" {
			metadata[parquetfile.NestedIDsKey] = nested
		}
		out[i] = schema.Field{Name: name, Type: typ, Nullable: f.Nullable, Metadata: metadata}
	}
	return out, nil
}

// storedType is a type with the physical names of the fields inside of it.
func storedType(t schema.Type, byID bool) (_ schema.Type, err error) {
	part := func(of *schema.Type) (*schema.Type, error) {
		in, err := storedType(*of, byID)
		return &in, err
	}
	switch t.Kind {
	case schema.StructKind:
		t.Fields, err = storedFields(t.Fields, byID)
	case schema.Array:
		t.Elem, err = part(t.Elem)
	case schema.Map:
		if t.Key, err = part(t.Key); err == nil {
			t.Elem, err = part(t.Elem)
		}
	}
	return t, err
}

// nestedIDs are the ids of elements, keys and values below a field, whose paths begin with its physical name; "" when there are none.
func nestedIDs(f *schema.Field, physical string) (string, error) {
	for _, key := range []string{delta.NestedIDs, delta.OldNestedIDs} {
		text, ok := f.Metadata[key]
		if !ok {
			continue
		}
		var ids map[string]int32
		if err := json.Unmarshal([]byte(text), &ids); err != nil {
			return "", fmt.Errorf("%s: %w", key, err)
		}
		out := make(map[string]int32, len(ids))
		for path, id := range ids {
			if len(path) > len(f.Name) && path[:len(f.Name)] == f.Name && path[len(f.Name)] == '.' {
				path = physical + path[len(f.Name):]
			}
			out[path] = id
		}
		b, err := json.Marshal(out)
		return string(b), err
	}
	return "", nil
}

// mapColumns gives the fields of all levels an id each, above the one before, and a physical name: a new one, or the field's own
// when files have the column under it already. It returns the last id.
func mapColumns(fields []schema.Field, last int64, keepNames bool) int64 {
	for i := range fields {
		f := &fields[i]
		last++
		name := "col-" + uuid.NewString()
		if keepNames {
			name = f.Name
		}
		text, _ := json.Marshal(name) // of a string
		f.Metadata = maps.Clone(f.Metadata)
		if f.Metadata == nil {
			f.Metadata = map[string]string{}
		}
		delete(f.Metadata, delta.NestedIDs)
		delete(f.Metadata, delta.OldNestedIDs)
		f.Metadata[delta.ColumnID], f.Metadata[delta.PhysicalName] = strconv.FormatInt(last, 10), string(text)
		f.Type, last = mapType(f.Type, last, keepNames)
	}
	return last
}

// mapType is a copy of a type whose fields are mapped.
func mapType(t schema.Type, last int64, keepNames bool) (schema.Type, int64) {
	part := func(of *schema.Type) *schema.Type {
		var in schema.Type
		in, last = mapType(*of, last, keepNames)
		return &in
	}
	switch t.Kind {
	case schema.StructKind:
		t.Fields = append([]schema.Field{}, t.Fields...)
		last = mapColumns(t.Fields, last, keepNames)
	case schema.Array:
		t.Elem = part(t.Elem)
	case schema.Map:
		t.Key = part(t.Key)
		t.Elem = part(t.Elem)
	}
	return t, last
}

// lastColumnID is the greatest id that a table has given, by its property or by its columns.
func lastColumnID(m *delta.Metadata, columns *schema.Struct) int64 {
	last, _ := strconv.ParseInt(m.Configuration[delta.MaxColumnID], 10, 32)
	var look func(fields []schema.Field)
	var within func(t *schema.Type)
	within = func(t *schema.Type) {
		if t == nil {
			return
		}
		look(t.Fields)
		within(t.Key)
		within(t.Elem)
	}
	look = func(fields []schema.Field) {
		for i := range fields {
			id, _ := strconv.ParseInt(fields[i].Metadata[delta.ColumnID], 10, 32)
			last = max(last, id)
			for _, key := range []string{delta.NestedIDs, delta.OldNestedIDs} {
				var nested map[string]int64
				if json.Unmarshal([]byte(fields[i].Metadata[key]), &nested) == nil {
					for _, id := range nested {
						last = max(last, id)
					}
				}
			}
			within(&fields[i].Type)
		}
	}
	look(columns.Fields)
	return last
}

// fileOptions are the options of a file of the table: its compression and its statistics are those that the table asks for.
func fileOptions(o parquetfile.Options, s *delta.Snapshot) parquetfile.Options {
	if c := s.Compression(); slices.Contains(parquetfile.Compressions, c) { // those of others may be ones that we do not write
		o.Compression = c
	}
	return withIndexed(o, s.Indexed())
}

// withIndexed are the options with the statistics that the table asks for.
func withIndexed(o parquetfile.Options, x delta.Indexed) parquetfile.Options {
	o.StatsColumns, o.ClusteringColumns = x.Columns, x.Clustering
	if x.First != nil {
		o.IndexedColumns = *x.First
		if o.IndexedColumns == 0 && x.Columns == nil { // where 0 stands for the default
			o.StatsColumns = [][]string{}
		}
	}
	return o
}

// newMetadata are the columns and properties of a new table, with what their mapping needs.
func newMetadata(ct *schema.CreateTable) (*delta.Metadata, error) {
	m := &delta.Metadata{Configuration: maps.Clone(ct.Properties)}
	columns := schema.Struct{Fields: slices.Clone(ct.Columns.Fields)}
	if m.Mapping() != delta.Unmapped {
		setLastID(m, mapColumns(columns.Fields, 0, false))
	}
	text, err := json.Marshal(columns)
	if err != nil {
		return nil, err
	}
	m.SchemaString = string(text)
	return m, checkStats(m)
}

// changeMapping gives the columns of a table ids and their own names as physical ones, when its properties ask for column mapping by
// name and did not before: the files that are there have the columns under these names. Other changes of the mode would need all
// files to be written anew.
func changeMapping(ch *delta.Change, before *delta.Snapshot, columns *schema.Struct) error {
	m := &ch.Metadata
	from, to := before.Metadata.Mapping(), m.Mapping()
	switch {
	case from == to:
		return nil
	case from != delta.Unmapped || to != delta.MappedByName:
		return fmt.Errorf("%w: property %s cannot go from %s to %s: the files of the table are written for %s; make a new table",
			catalog.ErrInvalid, delta.MappingMode, from, to, from)
	}
	setLastID(m, mapColumns(columns.Fields, lastColumnID(m, columns), true))
	text, err := json.Marshal(columns)
	if err != nil {
		return err
	}
	m.SchemaString = string(text)
	if p := protocolOf(before.Protocol, m, columns); !equal(p, before.Protocol) {
		ch.Protocol = &p
	}
	return nil
}

// setLastID notes the greatest id that was given.
func setLastID(m *delta.Metadata, last int64) {
	m.Configuration = maps.Clone(m.Configuration)
	m.Configuration[delta.MaxColumnID] = strconv.FormatInt(last, 10)
}

// checkStats refuses names of columns to have statistics that the table does not have.
func checkStats(m *delta.Metadata) error {
	if err := m.CheckStatsColumns(); err != nil {
		return fmt.Errorf("%w: property %s: %w", catalog.ErrInvalid, delta.StatsColumns, err)
	}
	return nil
}
