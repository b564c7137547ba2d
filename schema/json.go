package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// Keys of field metadata that have a place of their own in Field and Type.
const (
	commentKey = "comment"

	// Spark says "string" for char(n) and varchar(n), at every level, and keeps the text of the whole type with its lengths in
	// the metadata of the column.
	charKey = "__CHAR_VARCHAR_TYPE_STRING"
)

type fieldJSON struct {
	Name     string                     `json:"name"`
	Type     json.RawMessage            `json:"type"`
	Nullable *bool                      `json:"nullable"`
	Metadata map[string]json.RawMessage `json:"metadata"`
}

// orTrue is the value of a flag that says whether there may be nulls. Every writer sets it; without it nulls are allowed, as in
// Unity Catalog.
func orTrue(p *bool) bool { return p == nil || *p }

type typeJSON struct {
	Type              string          `json:"type"`
	Fields            []fieldJSON     `json:"fields"`
	ElementType       json.RawMessage `json:"elementType"`
	ContainsNull      *bool           `json:"containsNull"`
	KeyType           json.RawMessage `json:"keyType"`
	ValueType         json.RawMessage `json:"valueType"`
	ValueContainsNull *bool           `json:"valueContainsNull"`
}

// MarshalJSON writes the schema as Delta's schemaString has it.
func (s Struct) MarshalJSON() ([]byte, error) {
	return appendStruct(nil, s.Fields, true)
}

// UnmarshalJSON reads a Delta schemaString.
func (s *Struct) UnmarshalJSON(b []byte) error {
	var t Type
	if err := t.parseJSON(b, -1); err != nil { // the columns are level 0, as in DDL
		return err
	}
	if t.Kind != StructKind {
		return fmt.Errorf("the schema is a %s, expected a struct", t)
	}
	s.Fields = t.Fields
	return nil
}

// MarshalJSON writes the type as it stands in a Delta schemaString. CHAR and VARCHAR become "string": their length is in
// the metadata of the column, where [Struct] and [Field] keep it.
func (t Type) MarshalJSON() ([]byte, error) { return appendType(nil, &t) }

// MarshalJSON writes the field as one Spark StructField, the form of Unity Catalog's type_json.
func (f Field) MarshalJSON() ([]byte, error) { return appendField(nil, &f, true) }

// UnmarshalJSON reads a type from a Delta schemaString. Nesting is bounded by MaxDepth.
func (t *Type) UnmarshalJSON(b []byte) error { return t.parseJSON(b, 0) }

// UnmarshalJSON reads one Spark StructField.
func (f *Field) UnmarshalJSON(b []byte) error {
	var j fieldJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	return f.fromJSON(&j, 0)
}

func appendType(b []byte, t *Type) ([]byte, error) {
	if t == nil || t.Kind == Invalid {
		return nil, fmt.Errorf("the type is not set")
	}
	var err error
	switch t.Kind {
	case Decimal:
		return fmt.Appendf(b, `"decimal(%d,%d)"`, t.Precision, t.Scale), nil
	case Array:
		b = append(b, `{"type":"array","elementType":`...)
		if b, err = appendType(b, t.Elem); err != nil {
			return nil, err
		}
		return fmt.Appendf(b, `,"containsNull":%t}`, t.ElemNullable), nil
	case Map:
		b = append(b, `{"type":"map","keyType":`...)
		if b, err = appendType(b, t.Key); err != nil {
			return nil, err
		}
		b = append(b, `,"valueType":`...)
		if b, err = appendType(b, t.Elem); err != nil {
			return nil, err
		}
		return fmt.Appendf(b, `,"valueContainsNull":%t}`, t.ElemNullable), nil
	case StructKind:
		return appendStruct(b, t.Fields, false)
	}
	return fmt.Appendf(b, "%q", names[t.Kind].json), nil
}

func appendStruct(b []byte, fields []Field, columns bool) ([]byte, error) {
	b = append(b, `{"type":"struct","fields":[`...)
	for i := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendField(b, &fields[i], columns); err != nil {
			return nil, err
		}
	}
	return append(b, "]}"...), nil
}

// appendField writes a column, or a member of a struct, whose lengths of texts the column tells.
func appendField(b []byte, f *Field, column bool) ([]byte, error) {
	name, err := marshal(f.Name)
	if err != nil {
		return nil, err
	}
	b = append(append(b, `{"name":`...), name...)
	b = append(b, `,"type":`...)
	if b, err = appendType(b, &f.Type); err != nil {
		return nil, fmt.Errorf("field %s: %w", f.Name, err)
	}
	meta := make(map[string]json.RawMessage, len(f.Metadata)+2)
	for k, v := range f.Metadata {
		meta[k] = json.RawMessage(v)
	}
	if f.Comment != "" {
		if meta[commentKey], err = marshal(f.Comment); err != nil {
			return nil, err
		}
	}
	if column && f.Type.sized() {
		if meta[charKey], err = marshal(f.Type.String()); err != nil {
			return nil, err
		}
	}
	m, err := marshal(meta)
	if err != nil {
		return nil, fmt.Errorf("field %s: metadata: %w", f.Name, err)
	}
	return append(fmt.Appendf(b, `,"nullable":%t,"metadata":%s`, f.Nullable, m), '}'), nil
}

// marshal is json.Marshal without the escaping of < > &.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

var decimalJSON = regexp.MustCompile(`^decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)$`)

func (t *Type) parseJSON(b []byte, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("types are nested more than %d levels deep", MaxDepth)
	}
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return fmt.Errorf("a type is missing")
	}
	if b[0] == '"' {
		var word string
		if err := json.Unmarshal(b, &word); err != nil {
			return err
		}
		return t.parseWord(word)
	}
	var j typeJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	switch j.Type {
	case "struct":
		*t = Type{Kind: StructKind}
		if len(j.Fields) > 0 {
			t.Fields = make([]Field, len(j.Fields))
		}
		for i := range j.Fields {
			if err := t.Fields[i].fromJSON(&j.Fields[i], depth+1); err != nil {
				return err
			}
		}
		return nil
	case "array":
		*t = Type{Kind: Array, Elem: new(Type), ElemNullable: orTrue(j.ContainsNull)}
		return t.Elem.parseJSON(j.ElementType, depth+1)
	case "map":
		*t = Type{Kind: Map, Key: new(Type), Elem: new(Type), ElemNullable: orTrue(j.ValueContainsNull)}
		if err := t.Key.parseJSON(j.KeyType, depth+1); err != nil {
			return err
		}
		return t.Elem.parseJSON(j.ValueType, depth+1)
	case "":
		return fmt.Errorf("a type has no name")
	}
	return fmt.Errorf("unknown type %q", j.Type)
}

func (t *Type) parseWord(word string) error {
	if m := decimalJSON.FindStringSubmatch(word); m != nil {
		p, _ := strconv.Atoi(m[1])
		s, _ := strconv.Atoi(m[2])
		*t = Type{Kind: Decimal, Precision: p, Scale: s}
		return t.validate("decimal", 0)
	}
	if k, ok := kinds[word]; ok {
		*t = Type{Kind: k}
		return nil
	}
	return fmt.Errorf("unknown type %q", word)
}

// fromJSON reads a column (depth 0) or a member of a struct.
func (f *Field) fromJSON(j *fieldJSON, depth int) error {
	*f = Field{Name: j.Name, Nullable: orTrue(j.Nullable)}
	if err := f.Type.parseJSON(j.Type, depth); err != nil {
		return fmt.Errorf("field %s: %w", j.Name, err)
	}
	for k, v := range j.Metadata {
		var text string
		isText := json.Unmarshal(v, &text) == nil && string(v) != "null"
		switch {
		case k == commentKey && isText:
			f.Comment = text
			continue
		case k == charKey && isText && depth == 0:
			if sized, err := ParseType(text); err == nil && f.Type.TakeLengths(&sized) {
				continue
			}
		}
		if f.Metadata == nil {
			f.Metadata = map[string]string{}
		}
		f.Metadata[k] = string(v)
	}
	return nil
}

// sized reports whether there is a CHAR(n) or VARCHAR(n) in the type.
func (t *Type) sized() bool {
	switch t.Kind {
	case String:
		return t.Length > 0
	case Array:
		return t.Elem.sized()
	case Map:
		return t.Key.sized() || t.Elem.sized()
	case StructKind:
		return slices.ContainsFunc(t.Fields, func(f Field) bool { return f.Type.sized() })
	}
	return false
}

// TakeLengths takes the lengths of texts, which a type's JSON does not tell, from a type that is otherwise the same; or reports
// false and takes none.
func (t *Type) TakeLengths(from *Type) bool {
	if !t.sameShape(from) {
		return false
	}
	t.copyLengths(from)
	return true
}

func (t *Type) sameShape(o *Type) bool {
	if t.Kind != o.Kind || t.Precision != o.Precision || t.Scale != o.Scale || len(t.Fields) != len(o.Fields) {
		return false
	}
	for i := range t.Fields {
		if t.Fields[i].Name != o.Fields[i].Name || !t.Fields[i].Type.sameShape(&o.Fields[i].Type) {
			return false
		}
	}
	return (t.Elem == nil || t.Elem.sameShape(o.Elem)) && (t.Key == nil || t.Key.sameShape(o.Key))
}

func (t *Type) copyLengths(from *Type) {
	t.Length, t.Fixed = from.Length, from.Fixed
	for i := range t.Fields {
		t.Fields[i].Type.copyLengths(&from.Fields[i].Type)
	}
	if t.Elem != nil {
		t.Elem.copyLengths(from.Elem)
	}
	if t.Key != nil {
		t.Key.copyLengths(from.Key)
	}
}
