package delta

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// mappedSchema has testSchema's columns and a struct in an array, with ids and physical names of their own.
const mappedSchema = `{"type":"struct","fields":[` +
	`{"name":"device","type":"string","nullable":true,"metadata":{"delta.columnMapping.id":1,"delta.columnMapping.physicalName":"col-d"}},` +
	`{"name":"temp","type":"integer","nullable":true,"metadata":{"delta.columnMapping.id":2,"delta.columnMapping.physicalName":"temp"}},` +
	`{"name":"tags","type":{"type":"array","elementType":{"type":"struct","fields":[` +
	`{"name":"k","type":"string","nullable":true,"metadata":{"delta.columnMapping.id":5,"delta.columnMapping.physicalName":"col-k"}}` +
	`]},"containsNull":true},"nullable":true,"metadata":{"delta.columnMapping.id":4,"delta.columnMapping.physicalName":"col-t"}}]}`

// https://github.com/delta-io/delta/blob/master/PROTOCOL.md#writer-requirements-for-column-mapping: every field of every level has
// an id and a physical name. Without them no file can be written.
func TestCheckWritable_MappingThatIsNotWhole(t *testing.T) {
	for _, c := range []struct{ name, cut, with, want string }{
		{"no id", `"delta.columnMapping.id":1,`, ``, "column device: it has no delta.columnMapping.id"},
		{"id of a text", `"delta.columnMapping.id":1,`, `"delta.columnMapping.id":"1",`, "column device: its delta.columnMapping.id is"},
		{"id 0", `"delta.columnMapping.id":1,`, `"delta.columnMapping.id":0,`, "expected a number from 1"},
		{"great id", `"delta.columnMapping.id":1,`, `"delta.columnMapping.id":2147483648,`, "expected a number from 1 to 2147483647"},
		{"id inside", `"delta.columnMapping.id":5,`, ``, "column tags.element.k: it has no"},
		{"id twice", `"delta.columnMapping.id":5,`, `"delta.columnMapping.id":2,`, "columns temp and tags.element.k have the same delta.columnMapping.id, 2"},
		{"no name", `,"delta.columnMapping.physicalName":"temp"`, ``, "column temp has no delta.columnMapping.physicalName"},
		{"empty name", `"col-k"`, `""`, "column tags.element.k has no delta.columnMapping.physicalName"},
		{"name twice", `"col-d"`, `"temp"`, "columns device and temp have the same"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(mappedSchema, c.cut) {
				t.Fatal("the schema does not have it")
			}
			m := Metadata{
				Format: Format{Provider: "parquet"}, SchemaString: strings.Replace(mappedSchema, c.cut, c.with, 1),
				Configuration: map[string]string{MappingMode: "name"},
			}
			err := CheckWritable(&Snapshot{Protocol: Protocol{MinReaderVersion: 2, MinWriterVersion: 5}, Metadata: m})
			if u := (*UnsupportedError)(nil); !errors.As(err, &u) || u.Feature != "columnMapping" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			m.Configuration = nil // and then nobody asks
			if err := CheckWritable(&Snapshot{Protocol: Protocol{MinReaderVersion: 2, MinWriterVersion: 5}, Metadata: m}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A physical name and an id stay as they are when a column is renamed or moved, and they are what files have.
func TestFits_MappedColumns(t *testing.T) {
	col := func(id int, physical, name, typ string, nullable bool) string {
		return fmt.Sprintf(`{"name":%q,"type":%s,"nullable":%v,"metadata":{"delta.columnMapping.id":%d,"delta.columnMapping.physicalName":%q}}`, name, typ, nullable, id, physical)
	}
	structOf := func(fields ...string) string { return `{"type":"struct","fields":[` + strings.Join(fields, ",") + `]}` }
	meta := func(mode, schema string, partitionBy ...string) *Metadata {
		return &Metadata{SchemaString: schema, PartitionColumns: partitionBy, Configuration: map[string]string{"Delta.columnMapping.mode": mode}}
	}
	a, b := col(1, "p1", "a", `"long"`, true), col(2, "p2", "b", `"long"`, true)
	nested := func(name string) string {
		return structOf(a, col(3, "p3", "s", structOf(col(4, "p4", name, `"long"`, true)), true))
	}
	for _, c := range []struct {
		name    string
		was, is *Metadata
		gone    string // what the error names, empty when it fits
	}{
		{"renamed", meta("name", structOf(a, b)), meta("name", structOf(col(1, "p1", "x", `"long"`, true), b)), ""},
		{"names changed places", meta("id", structOf(a, b)), meta("id", structOf(col(1, "p1", "b", `"long"`, true), col(2, "p2", "a", `"long"`, true))), ""},
		{"renamed inside", meta("name", nested("x")), meta("name", nested("y")), ""},
		{"renamed partition column", meta("name", structOf(a, b), "b"), meta("name", structOf(a, col(2, "p2", "day", `"long"`, true)), "day"), ""},
		{"another partition column of the name", meta("name", structOf(a, b), "b"), meta("name", structOf(a, col(5, "p5", "b", `"long"`, true)), "b"), "partition columns"},
		{"dropped", meta("name", structOf(a, b)), meta("name", structOf(b)), ""},
		{"dropped, and made again", meta("name", structOf(a, b)), meta("name", structOf(col(7, "p7", "a", `"long"`, true), b)), ""},
		{"all dropped", meta("name", structOf(a, b)), meta("name", structOf(col(7, "p7", "a", `"long"`, true), col(8, "p8", "b", `"long"`, true))), "all columns in the table are gone"},
		{"another type", meta("name", structOf(a, b)), meta("name", structOf(col(1, "p1", "x", `"string"`, true), b)), "type of column a was long"},
		{"may not be null", meta("name", structOf(a, b)), meta("name", structOf(col(1, "p1", "a", `"long"`, false), b)), "column a may no longer be null"},
		{"new and may not be null", meta("name", structOf(a)), meta("name", structOf(a, col(2, "p2", "b", `"long"`, false))), "column b is new"},
		{"another id", meta("name", structOf(a, b)), meta("name", structOf(col(9, "p1", "a", `"long"`, true), b)), "column a has another delta.columnMapping.id"},
		{"mapped since, under its names", meta("none", structOf(col(1, "a", "a", `"long"`, true))), meta("name", structOf(col(1, "a", "a", `"long"`, true))), ""},
		{"mapped since, and renamed", meta("none", structOf(col(1, "a", "a", `"long"`, true))), meta("name", structOf(col(1, "a", "z", `"long"`, true))), ""},
		{"mapped since by id, which the files do not have", meta("none", structOf(a)), meta("id", structOf(a)), "column mapping"},
		{"no longer mapped", meta("name", structOf(a, b)), meta("none", structOf(a, b)), "column a is gone"},
		{"no longer mapped, under its names", meta("name", structOf(col(1, "a", "a", `"long"`, true))), meta("none", structOf(col(1, "a", "a", `"long"`, true))), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := fits(c.was, c.is)
			if c.gone == "" {
				if err != nil {
					t.Errorf("error %v, want none", err)
				}
			} else if !errors.Is(err, ErrSchemaChanged) || !strings.Contains(err.Error(), c.gone) {
				t.Errorf("error %v, want ErrSchemaChanged that says %q", err, c.gone)
			}
		})
	}
}

// https://github.com/delta-io/delta/blob/master/PROTOCOL.md#writer-requirements-for-column-mapping: partition values are tracked by
// physical names.
func TestAppend_PartitionValuesHavePhysicalNames(t *testing.T) {
	body, err := encode(CommitInfo{}, &commit{
		protocol: &Protocol{MinReaderVersion: 2, MinWriterVersion: 5},
		metadata: &Metadata{
			ID: "x", Format: Format{Provider: "parquet"}, SchemaString: mappedSchema, PartitionColumns: []string{"device"},
			Configuration: map[string]string{MappingMode: "name", MaxColumnID: "5"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	store := lake.NewMemory()
	if err := store.Put(t.Context(), commitPath(0), body); err != nil {
		t.Fatal(err)
	}
	table := openTestTable(t, store)
	for _, c := range []struct{ name, want string }{{"device", `the table has ["col-d"]`}, {"col-d", ""}} {
		a := appendFiles("a", 1, "f")
		a.Adds[0].PartitionValues = map[string]*string{c.name: nil}
		_, err := table.Append(t.Context(), a)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func TestProtocol_WithMapping(t *testing.T) {
	for _, c := range []struct{ was, want Protocol }{
		{Protocol{1, 2, nil, nil}, Protocol{2, 5, nil, nil}},
		{Protocol{1, 6, nil, nil}, Protocol{2, 6, nil, nil}},
		{Protocol{2, 5, nil, nil}, Protocol{2, 5, nil, nil}},
		{Protocol{1, 7, nil, []string{"appendOnly"}}, Protocol{3, 7, []string{"columnMapping"}, []string{"appendOnly", "columnMapping"}}},
		{
			Protocol{3, 7, []string{"timestampNtz"}, []string{"timestampNtz"}},
			Protocol{3, 7, []string{"timestampNtz", "columnMapping"}, []string{"timestampNtz", "columnMapping"}},
		},
		{Protocol{2, 7, nil, []string{"columnMapping"}}, Protocol{2, 7, nil, []string{"columnMapping"}}},
	} {
		got := c.was.WithMapping()
		if got.MinReaderVersion != c.want.MinReaderVersion || got.MinWriterVersion != c.want.MinWriterVersion ||
			!slices.Equal(got.ReaderFeatures, c.want.ReaderFeatures) || !slices.Equal(got.WriterFeatures, c.want.WriterFeatures) {
			t.Errorf("%+v became %+v, want %+v", c.was, got, c.want)
		}
		if !got.maps() {
			t.Errorf("%+v does not have it", got)
		}
	}
	for _, p := range []Protocol{{1, 2, nil, nil}, {2, 4, nil, nil}, {1, 5, nil, nil}, {3, 7, nil, []string{"columnMapping"}}} {
		if p.maps() {
			t.Errorf("%+v has it", p)
		}
	}
}
