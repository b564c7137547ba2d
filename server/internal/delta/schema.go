package delta

import (
	"cmp"
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

// fits tells whether files written under one metadata may be added under another one: partitioning and every column that the
// files can hold are the same; columns that came since take null. What counts is the name of a column in files: with column mapping a
// column may have been renamed, or dropped, which leaves it in files without a reader. The error wraps ErrSchemaChanged.
func fits(was, is *Metadata) error {
	from, to := was.Mapping(), is.Mapping()
	switch {
	case was.ID != is.ID:
		return fmt.Errorf("%w: metaData.id was %s, is %s", ErrSchemaChanged, was.ID, is.ID)
	case was.Format.Provider != is.Format.Provider:
		return fmt.Errorf("%w: format was %q, is %q", ErrSchemaChanged, was.Format.Provider, is.Format.Provider)
	case !slices.Equal(was.partitionKeys(), is.partitionKeys()):
		return fmt.Errorf("%w: partition columns were %q, are %q", ErrSchemaChanged, was.PartitionColumns, is.PartitionColumns)
	case from != to && to == MappedByID:
		return fmt.Errorf("%w: column mapping was %q, is %q", ErrSchemaChanged, from, to)
	case from == to && was.SchemaString == is.SchemaString:
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
	if err := (fitting{from, to}).types("", old, now); err != nil {
		return fmt.Errorf("%w: %w", ErrSchemaChanged, err)
	}
	return nil
}

// fitting compares the schemas of two times, with the modes of column mapping that they are read by.
type fitting struct{ from, to string }

func (x fitting) types(path string, was, is *dataType) error {
	if was.name != is.name {
		return fmt.Errorf("type of column %s was %s, is %s", path, was.name, is.name)
	}
	if was.containsNull && !is.containsNull {
		return fmt.Errorf("elements of column %s may no longer be null", path)
	}
	switch was.name {
	case "array":
		return x.types(join(path, "element"), was.elem, is.elem)
	case "map":
		if err := x.types(join(path, "key"), was.key, is.key); err != nil {
			return err
		}
		return x.types(join(path, "value"), was.elem, is.elem)
	case "struct":
		return x.fields(path, was.fields, is.fields)
	}
	return nil
}

func (x fitting) fields(path string, was, is []field) error {
	now := make(map[string]*field, len(is))
	for i := range is {
		now[is[i].stored(x.to)] = &is[i]
	}
	dropped := 0
	for i := range was {
		old := &was[i]
		p := join(path, old.Name)
		name := old.stored(x.from)
		cur, ok := now[name]
		if !ok && x.to != Unmapped {
			dropped++
			continue
		}
		if !ok {
			return fmt.Errorf("column %s is gone", p)
		}
		delete(now, name)
		if old.Nullable && !cur.Nullable {
			return fmt.Errorf("column %s may no longer be null", p)
		}
		if x.from != Unmapped && x.to != Unmapped && string(old.Metadata[ColumnID]) != string(cur.Metadata[ColumnID]) {
			return fmt.Errorf("column %s has another %s", p, ColumnID)
		}
		if err := x.types(p, old.typ, cur.typ); err != nil {
			return err
		}
	}
	if dropped > 0 && dropped == len(was) { // the table was replaced: rows would be there without a value
		return fmt.Errorf("all columns in %s are gone", cmp.Or(path, "the table"))
	}
	for i := range is {
		if f := &is[i]; now[f.stored(x.to)] != nil && !f.Nullable {
			return fmt.Errorf("column %s is new and may not be null", join(path, f.Name))
		}
	}
	return nil
}
