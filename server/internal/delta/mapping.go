package delta

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Column mapping: files and the log's entries of files have names of their own for the columns, which stay when a column is renamed
// (https://github.com/delta-io/delta/blob/master/PROTOCOL.md#column-mapping).
const (
	MappingMode  = "delta.columnMapping.mode"        // property: a mode, see Metadata.Mapping
	MaxColumnID  = "delta.columnMapping.maxColumnId" // property: the greatest id that was ever given
	ColumnID     = "delta.columnMapping.id"          // metadata of a field: its id, which is its field_id in files
	PhysicalName = "delta.columnMapping.physicalName"

	// NestedIDs is metadata of a field: the field_ids of elements, keys and values below it, by paths that begin with the field's
	// name. Writers differ in the key and in which of its names that is.
	NestedIDs    = "delta.columnMapping.nested.ids"
	OldNestedIDs = "parquet.field.nested.ids"
)

// The modes of column mapping: whether readers find a column in files by its physical name or by its field_id.
const (
	Unmapped     = "none"
	MappedByName = "name"
	MappedByID   = "id"
)

// Mapping is the mode of column mapping that the table's properties ask for; in lower case what is no mode.
func (m *Metadata) Mapping() string {
	mode, _ := (&Snapshot{Metadata: *m}).property(MappingMode)
	if mode = strings.ToLower(strings.TrimSpace(mode)); mode == "" {
		return Unmapped
	}
	return mode
}

// maps reports whether the protocol has the feature, which is the condition for the property to count.
func (p *Protocol) maps() bool {
	writer := p.MinWriterVersion == 5 || p.MinWriterVersion == 6 || p.lists("columnMapping")
	reader := p.MinReaderVersion == 2 || p.MinReaderVersion == maxReaderVersion && slices.Contains(p.ReaderFeatures, "columnMapping")
	return writer && reader
}

// WithMapping is the protocol with column mapping, the same one if it has it: the legacy versions that have it where they suffice.
func (p Protocol) WithMapping() Protocol {
	switch {
	case p.maps():
	case p.MinWriterVersion < maxWriterVersion:
		p.MinReaderVersion, p.MinWriterVersion = max(p.MinReaderVersion, 2), max(p.MinWriterVersion, 5)
	default:
		return p.With("columnMapping")
	}
	return p
}

// checkMapping finds what is missing for files to be written.
func checkMapping(s *Snapshot, schema *dataType, refuse func(feature, format string, args ...any) error) error {
	mode := s.Metadata.Mapping()
	no := func(format string, args ...any) error { return refuse("columnMapping", format, args...) }
	switch {
	case mode == Unmapped:
		return nil
	case mode != MappedByName && mode != MappedByID:
		return no("mode %s is not supported", mode)
	case !s.Protocol.maps():
		return no("the mode is %s, but the protocol does not have the feature", mode)
	}
	ids := map[int32]string{}
	err := schema.walk("", func(path string, f *field) error {
		id, err := f.id()
		if err != nil {
			return no("column %s: %v", path, err)
		}
		if other, again := ids[id]; again {
			return no("columns %s and %s have the same %s, %d", other, path, ColumnID, id)
		}
		ids[id] = path
		return nil
	})
	if err != nil {
		return err
	}
	return schema.structs("", func(path string, fields []field) error {
		seen := map[string]string{}
		for i := range fields {
			f := &fields[i]
			name, ok := f.physical()
			if !ok {
				return no("column %s has no %s", join(path, f.Name), PhysicalName)
			}
			if other, again := seen[name]; again {
				return no("columns %s and %s have the same %s, %s", join(path, other), join(path, f.Name), PhysicalName, name)
			}
			seen[name] = f.Name
		}
		return nil
	})
}

// structs calls f for the fields of every struct, with the path to it, until it returns an error.
func (t *dataType) structs(path string, f func(path string, fields []field) error) error {
	if t == nil {
		return nil
	}
	if t.name == "struct" {
		if err := f(path, t.fields); err != nil {
			return err
		}
	}
	for i := range t.fields {
		if err := t.fields[i].typ.structs(join(path, t.fields[i].Name), f); err != nil {
			return err
		}
	}
	if err := t.key.structs(join(path, "key"), f); err != nil {
		return err
	}
	return t.elem.structs(join(path, "element"), f)
}

// physical is the field's name in files. False: it has none.
func (f *field) physical() (string, bool) {
	var name string
	err := json.Unmarshal(f.Metadata[PhysicalName], &name)
	return name, err == nil && name != ""
}

// id is the field's field_id.
func (f *field) id() (int32, error) {
	raw := string(f.Metadata[ColumnID])
	id, err := strconv.ParseInt(raw, 10, 32)
	switch {
	case raw == "":
		return 0, fmt.Errorf("it has no %s", ColumnID)
	case err != nil || id < 1:
		return 0, fmt.Errorf("its %s is %.40s, expected a number from 1 to %d", ColumnID, raw, math.MaxInt32)
	}
	return int32(id), nil
}

// stored is what the field is called in files of a table with this mode: its own name when it has no other.
func (f *field) stored(mode string) string {
	if mode != Unmapped {
		if name, ok := f.physical(); ok {
			return name
		}
	}
	return f.Name
}

// partitionKeys are the names that the partition values of an add action have.
func (m *Metadata) partitionKeys() []string {
	mode := m.Mapping()
	if mode == Unmapped || len(m.PartitionColumns) == 0 {
		return m.PartitionColumns
	}
	schema, err := parseSchema(m.SchemaString)
	if err != nil {
		return m.PartitionColumns // CheckWritable refuses the table
	}
	keys := slices.Clone(m.PartitionColumns)
	for i := range keys {
		for j := range schema.fields {
			if f := &schema.fields[j]; f.Name == m.PartitionColumns[i] {
				keys[i] = f.stored(mode)
			}
		}
	}
	return keys
}
