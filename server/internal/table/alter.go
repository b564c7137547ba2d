package table

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/delta"
)

// Alter commits a change of a table's metadata. The error is catalog.ErrInvalid for what the table cannot have, or has not.
//
// Streams that are open go on with the columns that they know; those that are opened later know the new ones.
func (ts *Tables) Alter(ctx context.Context, info catalog.Table, a *schema.AlterTable) error {
	d, err := ts.Delta(ctx, info)
	if err != nil {
		return err
	}
	_, err = d.Alter(ctx, func(s *delta.Snapshot) (*delta.Change, error) { return alteration(s, a) })
	return err
}

// alteration makes the new metadata, and nil when they are the old ones.
func alteration(s *delta.Snapshot, a *schema.AlterTable) (*delta.Change, error) {
	before := new(schema.Struct)
	if err := json.Unmarshal([]byte(s.Metadata.SchemaString), before); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	ch := &delta.Change{Metadata: s.Metadata, Parameters: map[string]string{}}
	m := &ch.Metadata
	say := func(parameter string, v any) error {
		b, err := json.Marshal(v)
		ch.Parameters[parameter] = string(b)
		return err
	}
	var err error
	switch {
	case len(a.Add) > 0 || a.Column != "":
		var after *schema.Struct
		if after, err = a.Columns(before); err != nil {
			return nil, fmt.Errorf("%w: %w", catalog.ErrInvalid, err)
		}
		if added := after.Fields[len(before.Fields):]; len(added) > 0 && m.Mapping() != delta.Unmapped {
			setLastID(m, mapColumns(added, lastColumnID(m, before), false))
		}
		text, marshalErr := json.Marshal(after)
		if marshalErr != nil {
			return nil, marshalErr
		}
		m.SchemaString = string(text)
		if p := protocolOf(s.Protocol, m, after); !equal(p, s.Protocol) {
			ch.Protocol = &p
		}
		if a.Column != "" {
			ch.Operation = "CHANGE COLUMN"
			err = say("columnName", a.Column)
			break
		}
		type column struct {
			Column schema.Field `json:"column"`
		}
		added := make([]column, len(a.Add))
		for i, f := range a.Add {
			added[i].Column = f
		}
		ch.Operation = "ADD COLUMNS"
		err = say("columns", added)
	case a.Comment != nil:
		m.Description, ch.Operation = *a.Comment, "SET TBLPROPERTIES"
		err = say("properties", map[string]string{"comment": *a.Comment})
	case len(a.Set) > 0:
		m.Configuration, ch.Operation = maps.Clone(m.Configuration), "SET TBLPROPERTIES"
		if m.Configuration == nil {
			m.Configuration = map[string]string{}
		}
		maps.Copy(m.Configuration, a.Set)
		if err = changeMapping(ch, s, before); err == nil {
			err = checkStats(m)
		}
		if err == nil {
			err = say("properties", a.Set)
		}
	default:
		m.Configuration, ch.Operation = maps.Clone(m.Configuration), "UNSET TBLPROPERTIES"
		for _, key := range a.Unset {
			if _, ok := m.Configuration[key]; !ok && !a.IfExists {
				return nil, fmt.Errorf("%w: property %s is not set; IF EXISTS passes over it", catalog.ErrInvalid, key)
			}
			delete(m.Configuration, key)
		}
		if m.Mapping() != s.Metadata.Mapping() {
			return nil, fmt.Errorf("%w: property %s says how the table's files are read and cannot be unset", catalog.ErrInvalid, delta.MappingMode)
		}
		if err = say("properties", a.Unset); err == nil {
			err = say("ifExists", a.IfExists)
		}
	}
	if err != nil {
		return nil, err
	}
	if m.SchemaString == s.Metadata.SchemaString && m.Description == s.Metadata.Description && maps.Equal(m.Configuration, s.Metadata.Configuration) {
		return nil, nil
	}
	return ch, nil
}

// protocolOf is a protocol with all that the columns and their mapping need.
func protocolOf(p delta.Protocol, m *delta.Metadata, s *schema.Struct) delta.Protocol {
	if m.Mapping() != delta.Unmapped {
		p = p.WithMapping()
	}
	for _, f := range []struct {
		kind    schema.Kind
		feature string
	}{{schema.TimestampNTZ, "timestampNtz"}, {schema.Variant, "variantType"}} {
		if slices.ContainsFunc(s.Fields, func(field schema.Field) bool { return contains(&field.Type, f.kind) }) {
			p = p.With(f.feature)
		}
	}
	return p
}

// contains reports whether a type is of a kind or has one of it inside.
func contains(t *schema.Type, kind schema.Kind) bool {
	if t == nil {
		return false
	}
	return t.Kind == kind || contains(t.Elem, kind) || contains(t.Key, kind) ||
		slices.ContainsFunc(t.Fields, func(f schema.Field) bool { return contains(&f.Type, kind) })
}

func equal(a, b delta.Protocol) bool {
	return a.MinReaderVersion == b.MinReaderVersion && a.MinWriterVersion == b.MinWriterVersion &&
		slices.Equal(a.ReaderFeatures, b.ReaderFeatures) && slices.Equal(a.WriterFeatures, b.WriterFeatures)
}
