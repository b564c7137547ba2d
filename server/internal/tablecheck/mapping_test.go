package tablecheck

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
)

// mappedField is a field of a mapped table; in a file it has its physical name and, with an id, its field_id.
func mappedField(name, physical string, id int, t schema.Type) schema.Field {
	return schema.Field{Name: name, Type: t, Nullable: true, Metadata: map[string]string{
		delta.PhysicalName: fmt.Sprintf("%q", physical), delta.ColumnID: fmt.Sprint(id),
	}}
}

func storedField(name string, id int, t schema.Type) schema.Field {
	f := schema.Field{Name: name, Type: t, Nullable: true}
	if id > 0 {
		f.Metadata = map[string]string{parquetfile.FieldIDKey: fmt.Sprint(id)}
	}
	return f
}

// PROTOCOL.md, "Column Mapping": files and statistics have physical names and ids, partition values physical names.
func TestCheck_DT05_ColumnMapping(t *testing.T) {
	long, date := schema.Type{Kind: schema.Long}, schema.Type{Kind: schema.Date}
	structOf := func(f ...schema.Field) schema.Type { return schema.Type{Kind: schema.StructKind, Fields: f} }
	table := &schema.Struct{Fields: []schema.Field{
		mappedField("id", "col-1", 1, long), mappedField("k", "col-2", 2, date), mappedField("s", "col-3", 3, structOf(mappedField("x", "col-4", 4, long))),
	}}
	stored := func(first string, ids ...int) *schema.Struct {
		return &schema.Struct{Fields: []schema.Field{storedField(first, ids[0], long), storedField("col-3", ids[1], structOf(storedField("col-4", ids[2], long)))}}
	}
	const record = `{"col-1":5,"col-3":{"col-4":6}}`
	for _, c := range []struct {
		name   string
		mode   string
		file   *schema.Struct
		record string
		key    string // of the partition values
		stats  func(string) string
		want   string
	}{
		{"name", "name", stored("col-1", 1, 3, 4), record, "col-2", nil, ""},
		{"name, a file without ids", "name", stored("col-1", 0, 0, 0), record, "col-2", nil, ""},
		{"id", "id", stored("col-1", 1, 3, 4), record, "col-2", nil, ""},
		{"id, under another name", "id", stored("old", 1, 3, 4), strings.Replace(record, "col-1", "old", 1), "col-2", func(s string) string { return strings.ReplaceAll(s, `"old"`, `"col-1"`) }, ""},
		{"a wrong id", "name", stored("col-1", 7, 3, 4), record, "col-2", nil, "schema: version 1: file f.parquet: column id: the field id is 7, want 1"},
		{"a wrong id inside", "name", stored("col-1", 1, 3, 9), record, "col-2", nil, "column s.x: the field id is 9, want 4"},
		{"no id", "id", stored("col-1", 1, 3, 0), record, "col-2", nil, "column s.x: the field id is 0, want 4"},
		{"partition value by the name", "name", stored("col-1", 1, 3, 4), record, "k", nil, "partitions: version 1: file f.parquet: column k: the file has no value"},
		{"statistics by the name", "name", stored("col-1", 1, 3, 4), record, "col-2", func(s string) string { return strings.ReplaceAll(s, `"col-1"`, `"id"`) }, "column id: minValues has it by its name in the table, files know it as col-1"},
		{"wrong statistics", "name", stored("col-1", 1, 3, 4), record, "col-2", func(s string) string { return strings.ReplaceAll(s, `:6`, `:7`) }, "column s.x: minValues is 7, the file has the lesser value 6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, err := json.Marshal(table)
			must(t, err)
			b := &built{TB: t, store: lake.NewMemory()}
			b.delta, err = delta.Create(t.Context(), b.store, delta.CreateSpec{
				SchemaString: string(text), PartitionColumns: []string{"k"},
				Configuration: map[string]string{delta.MappingMode: c.mode, delta.MaxColumnID: "4"},
				Protocol:      delta.Protocol{MinReaderVersion: 2, MinWriterVersion: 5},
			})
			must(t, err)
			res := b.put("f.parquet", c.file, chunk(t, c.file, c.record))
			if c.stats != nil {
				res.Stats = c.stats(res.Stats)
			}
			b.addFile(delta.Add{Path: "f.parquet", Stats: res.Stats, PartitionValues: map[string]*string{c.key: new("2024-01-01")}})
			if c.want == "" {
				b.wantSound(Options{})
				return
			}
			if r := b.check(Options{}); r.Sound || !strings.Contains(fmt.Sprint(r.Faults), c.want) {
				t.Errorf("faults %v, want %s", r.Faults, c.want)
			}
		})
	}
}
