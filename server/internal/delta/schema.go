package delta

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// dataType is a type of a schemaString, read as far as the rules of this package need it.
type dataType struct {
	name         string // of a primitive type; struct, array or map
	fields       []field
	key          *dataType
	elem         *dataType // of an array; the value of a map
	containsNull bool
}

type field struct {
	Name     string                     `json:"name"`
	RawType  json.RawMessage            `json:"type"`
	Nullable bool                       `json:"nullable"`
	Metadata map[string]json.RawMessage `json:"metadata"`

	typ *dataType
}

// maxDepth bounds the nesting of a schema.
const maxDepth = 100

// parseSchema reads a schemaString.
func parseSchema(s string) (*dataType, error) {
	t, err := parseType(json.RawMessage(s), 0)
	if err != nil {
		return nil, fmt.Errorf("schemaString: %w", err)
	}
	if t.name != "struct" {
		return nil, fmt.Errorf("schemaString: type %s at the top, want struct", t.name)
	}
	return t, nil
}

func parseType(raw json.RawMessage, depth int) (*dataType, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	if len(raw) > 0 && raw[0] == '"' {
		t := &dataType{}
		return t, json.Unmarshal(raw, &t.name)
	}
	var node struct {
		Type              string          `json:"type"`
		Fields            []field         `json:"fields"`
		ElementType       json.RawMessage `json:"elementType"`
		ContainsNull      bool            `json:"containsNull"`
		KeyType           json.RawMessage `json:"keyType"`
		ValueType         json.RawMessage `json:"valueType"`
		ValueContainsNull bool            `json:"valueContainsNull"`
	}
	if len(raw) == 0 {
		return nil, errors.New("a type is missing")
	}
	if err := json.Unmarshal(raw, &node); err != nil {
		return nil, err
	}
	t := &dataType{name: node.Type}
	var err error
	switch node.Type {
	case "struct":
		t.fields = node.Fields
		for i := range t.fields {
			f := &t.fields[i]
			if f.typ, err = parseType(f.RawType, depth+1); err != nil {
				return nil, fmt.Errorf("field %q: %w", f.Name, err)
			}
			f.RawType = nil
		}
	case "array":
		t.containsNull = node.ContainsNull
		if t.elem, err = parseType(node.ElementType, depth+1); err != nil {
			return nil, fmt.Errorf("element: %w", err)
		}
	case "map":
		t.containsNull = node.ValueContainsNull
		if t.key, err = parseType(node.KeyType, depth+1); err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		if t.elem, err = parseType(node.ValueType, depth+1); err != nil {
			return nil, fmt.Errorf("value: %w", err)
		}
	default:
		return nil, fmt.Errorf("unknown type %q", node.Type)
	}
	return t, nil
}

// walk calls f for the fields of every level, with their path, until it returns an error.
func (t *dataType) walk(path string, f func(path string, fl *field) error) error {
	if t == nil {
		return nil
	}
	for i := range t.fields {
		fl := &t.fields[i]
		p := join(path, fl.Name)
		if err := f(p, fl); err != nil {
			return err
		}
		if err := fl.typ.walk(p, f); err != nil {
			return err
		}
	}
	if err := t.key.walk(join(path, "key"), f); err != nil {
		return err
	}
	return t.elem.walk(join(path, "element"), f)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// columnMappingMode is the configuration key that says how columns are named in files.
const columnMappingMode = "delta.columnMapping.mode"

// fits tells whether files written under one metadata may be added under another one: partitioning, the naming of columns
// and every column that the files can hold are the same; columns that came since take null. The error wraps
// ErrSchemaChanged.
func fits(was, is *Metadata) error {
	switch {
	case was.ID != is.ID:
		return fmt.Errorf("%w: metaData.id was %s, is %s", ErrSchemaChanged, was.ID, is.ID)
	case was.Format.Provider != is.Format.Provider:
		return fmt.Errorf("%w: format was %q, is %q", ErrSchemaChanged, was.Format.Provider, is.Format.Provider)
	case !slices.Equal(was.PartitionColumns, is.PartitionColumns):
		return fmt.Errorf("%w: partition columns were %q, are %q", ErrSchemaChanged, was.PartitionColumns, is.PartitionColumns)
	case was.Configuration[columnMappingMode] != is.Configuration[columnMappingMode]:
		return fmt.Errorf("%w: column mapping was %q, is %q", ErrSchemaChanged,
			was.Configuration[columnMappingMode], is.Configuration[columnMappingMode])
	case was.SchemaString == is.SchemaString:
		return nil
	}
	old, err := parseSchema(was.SchemaString)
	if err != nil {
		return fmt.Errorf("%w: old %w", ErrSchemaChanged, err)
	}
	now, err := parseSchema(is.SchemaString)
	if err != nil {
		return fmt.Errorf("%w: new %w", ErrSchemaChanged, err)
	}
	if err := fitsType("", old, now); err != nil {
		return fmt.Errorf("%w: %w", ErrSchemaChanged, err)
	}
	return nil
}

func fitsType(path string, was, is *dataType) error {
	if was.name != is.name {
		return fmt.Errorf("type of column %s was %s, is %s", path, was.name, is.name)
	}
	if was.containsNull && !is.containsNull {
		return fmt.Errorf("elements of column %s may no longer be null", path)
	}
	switch was.name {
	case "array":
		return fitsType(join(path, "element"), was.elem, is.elem)
	case "map":
		if err := fitsType(join(path, "key"), was.key, is.key); err != nil {
			return err
		}
		return fitsType(join(path, "value"), was.elem, is.elem)
	case "struct":
		return fitsFields(path, was.fields, is.fields)
	}
	return nil
}

func fitsFields(path string, was, is []field) error {
	now := make(map[string]*field, len(is))
	for i := range is {
		now[is[i].Name] = &is[i]
	}
	for i := range was {
		old := &was[i]
		p := join(path, old.Name)
		cur, ok := now[old.Name]
		if !ok {
			return fmt.Errorf("column %s is gone", p)
		}
		delete(now, old.Name)
		if old.Nullable && !cur.Nullable {
			return fmt.Errorf("column %s may no longer be null", p)
		}
		for _, key := range []string{"delta.columnMapping.physicalName", "delta.columnMapping.id"} {
			if string(old.Metadata[key]) != string(cur.Metadata[key]) {
				return fmt.Errorf("column %s has another %s", p, key)
			}
		}
		if err := fitsType(p, old.typ, cur.typ); err != nil {
			return err
		}
	}
	for i := range is {
		if f := &is[i]; now[f.Name] != nil && !f.Nullable {
			return fmt.Errorf("column %s is new and may not be null", join(path, f.Name))
		}
	}
	return nil
}
