package rest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/zerobus-go/zerobus/schema"
)

// columnInfo is Unity Catalog's ColumnInfo. There are clients that insist on type_precision and type_scale.
type columnInfo struct {
	Name      string `json:"name"`
	TypeText  string `json:"type_text"`
	TypeJSON  string `json:"type_json"`
	TypeName  string `json:"type_name"`
	Precision int    `json:"type_precision"`
	Scale     int    `json:"type_scale"`
	Position  int    `json:"position"`
	Comment   string `json:"comment,omitempty"`
	Nullable  bool   `json:"nullable"`

	PartitionIndex *int `json:"partition_index,omitempty"` // the place among the partition columns; absent on the others
}

func columnInfos(cols *schema.Struct, partitionBy []string) []columnInfo {
	if cols == nil {
		return []columnInfo{}
	}
	list := make([]columnInfo, len(cols.Fields))
	for i := range cols.Fields {
		f := &cols.Fields[i]
		js, _ := json.Marshal(f) // a schema that was parsed can be written
		list[i] = columnInfo{
			Name: f.Name, TypeText: f.Type.String(), TypeJSON: string(js), TypeName: f.Type.Kind.CatalogName(),
			Precision: f.Type.Precision, Scale: f.Type.Scale, Position: i, Comment: f.Comment, Nullable: f.Nullable,
		}
		if at := slices.Index(partitionBy, f.Name); at >= 0 {
			list[i].PartitionIndex = &at
		}
	}
	return list
}

// newColumn is a ColumnInfo of a request.
type newColumn struct {
	Name           string          `json:"name"`
	TypeText       string          `json:"type_text"`
	TypeJSON       json.RawMessage `json:"type_json"` // a text with JSON in it, as a rule
	TypeName       string          `json:"type_name"`
	Precision      *int            `json:"type_precision"`
	Scale          *int            `json:"type_scale"`
	Position       *int            `json:"position"`
	Comment        *string         `json:"comment"`
	Nullable       *bool           `json:"nullable"`
	PartitionIndex *int            `json:"partition_index"`
}

// fields makes a table's columns, in the order of position where all have one, and the names of those it is partitioned by.
func fields(cols []newColumn) (list []schema.Field, partitionBy []string, err error) {
	if len(cols) == 0 {
		return nil, nil, invalidf("columns is missing: a table needs at least one column.")
	}
	if len(cols) > schema.MaxColumns {
		return nil, nil, invalidf("The table has %d columns, more than the limit of %d.", len(cols), schema.MaxColumns)
	}
	if !slices.ContainsFunc(cols, func(c newColumn) bool { return c.Position == nil }) {
		slices.SortStableFunc(cols, func(a, b newColumn) int { return cmp.Compare(*a.Position, *b.Position) })
		for i := range cols[1:] {
			if *cols[i].Position == *cols[i+1].Position {
				return nil, nil, invalidf("The columns %s and %s have one position.", clip(cols[i].Name), clip(cols[i+1].Name))
			}
		}
	}
	var parts []newColumn
	for i := range cols {
		f, err := cols[i].field()
		if err != nil {
			return nil, nil, err
		}
		list = append(list, f)
		if cols[i].PartitionIndex != nil {
			parts = append(parts, cols[i])
		}
	}
	slices.SortStableFunc(parts, func(a, b newColumn) int { return cmp.Compare(*a.PartitionIndex, *b.PartitionIndex) })
	for _, c := range parts {
		partitionBy = append(partitionBy, c.Name)
	}
	return list, partitionBy, nil
}

// field takes the type from type_json, which says the most, else from type_text, else from type_name. Where there are several
// they must not contradict each other.
func (c *newColumn) field() (f schema.Field, err error) {
	bad := func(what string, err error) (schema.Field, error) {
		return f, invalidf("Column %s: %s: %s.", clip(c.Name), what, strings.TrimSuffix(err.Error(), "."))
	}
	f.Nullable = true
	text, err := c.jsonText()
	if err != nil {
		return bad("type_json", err)
	}
	if len(text) > 0 {
		if f, err = fromJSON(text); err != nil {
			return bad("type_json", err)
		}
		if f.Name != "" && f.Name != c.Name {
			return f, invalidf("Column %s: type_json is of a column %s.", clip(c.Name), clip(f.Name))
		}
	}
	if c.TypeText != "" {
		t, err := schema.ParseType(c.TypeText)
		if err != nil {
			return bad("type_text", err)
		}
		switch {
		case len(text) == 0:
			f.Type = t
		case !strings.EqualFold(f.Type.String(), t.String()):
			return f, invalidf("Column %s: type_json says %s, type_text says %s.", clip(c.Name), clip(f.Type.String()), clip(t.String()))
		default:
			f.Type.TakeLengths(&t) // the JSON of a type alone has none
		}
	}
	if len(text) == 0 && c.TypeText == "" {
		if f.Type, err = c.named(); err != nil {
			return bad("type_name", err)
		}
	}
	f.Name = c.Name
	if c.Nullable != nil {
		f.Nullable = *c.Nullable
	}
	if c.Comment != nil {
		f.Comment = *c.Comment
	}
	return f, nil
}

// jsonText is the JSON in type_json: most clients send it as a text, some as it is.
func (c *newColumn) jsonText() ([]byte, error) {
	raw := bytes.TrimSpace(c.TypeJSON)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if raw[0] != '"' {
		return raw, nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, err
	}
	if text = strings.TrimSpace(text); text != "" && !strings.ContainsAny(text[:1], `{"`) {
		text = `"` + text + `"` // long for "long"
		if !json.Valid([]byte(text)) {
			return []byte("{"), nil
		}
	}
	return []byte(text), nil
}

// fromJSON reads a StructField, or a type alone.
func fromJSON(text []byte) (f schema.Field, err error) {
	var whole struct {
		Name *string `json:"name"`
	}
	if json.Unmarshal(text, &whole) == nil && whole.Name != nil {
		err = json.Unmarshal(text, &f)
		return f, err
	}
	f.Nullable = true
	err = json.Unmarshal(text, &f.Type)
	return f, err
}

// named is a type that type_name says whole.
func (c *newColumn) named() (schema.Type, error) {
	name := strings.ToUpper(c.TypeName)
	for k := schema.Boolean; k <= schema.Variant; k++ {
		if k.CatalogName() != name {
			continue
		}
		t := schema.Type{Kind: k}
		if k == schema.Decimal {
			t.Precision = 10 // Spark's default
			if c.Precision != nil {
				t.Precision = *c.Precision
			}
			if c.Scale != nil {
				t.Scale = *c.Scale
			}
		}
		return t, nil
	}
	return schema.Type{}, invalidf("%s says no whole type: send type_json or type_text", clip(c.TypeName))
}

// fileURL is the URL of a directory of the lake: there are clients that take nothing for a local table that does not begin with
// file://. What is a URL already stays.
func fileURL(place string) string {
	if !filepath.IsAbs(place) {
		return place
	}
	p := filepath.ToSlash(place)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // C:/…
	}
	return (&url.URL{Scheme: "file", Path: p}).String()
}
