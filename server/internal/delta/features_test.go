package delta

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// The refusal matrix of spec/delta.md §2, "Appending to an existing table: per feature".
func TestCheckWritable_Matrix(t *testing.T) {
	features := func(names ...string) Protocol {
		return Protocol{MinReaderVersion: 1, MinWriterVersion: 7, WriterFeatures: names}
	}
	both := func(names ...string) Protocol {
		return Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: names, WriterFeatures: names}
	}
	legacy := func(r, w int32) Protocol { return Protocol{MinReaderVersion: r, MinWriterVersion: w} }
	config := func(key, value string) func(m *Metadata) {
		return func(m *Metadata) { m.Configuration = map[string]string{key: value} }
	}
	mapped := func(mode string) func(m *Metadata) {
		return func(m *Metadata) {
			m.Configuration = map[string]string{"delta.columnMapping.mode": mode}
			m.SchemaString = mappedSchema
		}
	}
	// fieldMeta puts metadata on a field of a struct in an array in a map, to be found at every level.
	fieldMeta := func(key string) func(m *Metadata) {
		return func(m *Metadata) {
			m.SchemaString = fmt.Sprintf(`{"type":"struct","fields":[{"name":"m","type":{"type":"map","keyType":"string","valueType":{"type":"array","elementType":{"type":"struct","fields":[{"name":"f","type":"long","nullable":true,"metadata":{%q:"x"}}]},"containsNull":true},"valueContainsNull":true},"nullable":true,"metadata":{}}]}`, key)
		}
	}
	for _, c := range []struct {
		name     string
		protocol Protocol
		edit     func(m *Metadata)
		refused  string // the feature, empty when accepted
	}{
		{name: "1,1", protocol: legacy(1, 1)},
		{name: "1,2", protocol: legacy(1, 2)},
		{name: "1,3", protocol: legacy(1, 3)},
		{name: "1,4", protocol: legacy(1, 4)},
		{name: "2,5", protocol: legacy(2, 5)},
		{name: "2,6", protocol: legacy(2, 6)},
		{name: "no version", protocol: legacy(0, 0), refused: "minReaderVersion"},
		{name: "reader 4", protocol: legacy(4, 7), refused: "minReaderVersion"},
		{name: "writer 8", protocol: legacy(1, 8), refused: "minWriterVersion"},
		{name: "reader 3 with writer 6", protocol: legacy(3, 6), refused: "minReaderVersion"},
		{name: "no features", protocol: features()},
		{name: "timestampNtz", protocol: both("timestampNtz")},
		{name: "variantType", protocol: both("variantType")},
		{name: "deletionVectors", protocol: both("deletionVectors")},
		{name: "v2Checkpoint", protocol: both("v2Checkpoint")},
		{name: "vacuumProtocolCheck", protocol: both("vacuumProtocolCheck")},
		{name: "columnMapping unused", protocol: both("columnMapping")},
		{name: "columnMapping none", protocol: legacy(2, 5), edit: config("delta.columnMapping.mode", "none")},
		{name: "columnMapping name", protocol: legacy(2, 5), edit: mapped("name")},
		{name: "columnMapping id", protocol: both("columnMapping"), edit: mapped("id")},
		{name: "columnMapping as a writer's feature", protocol: Protocol{MinReaderVersion: 2, MinWriterVersion: 7, WriterFeatures: []string{"columnMapping"}}, edit: mapped("name")},
		{name: "columnMapping without the protocol", protocol: legacy(1, 2), edit: mapped("name"), refused: "columnMapping"},
		{name: "columnMapping of another kind", protocol: legacy(2, 5), edit: mapped("index"), refused: "columnMapping"},
		{name: "inCommitTimestamp", protocol: features("inCommitTimestamp")},
		{name: "clustering", protocol: features("domainMetadata", "clustering")},
		{name: "domainMetadata", protocol: features("domainMetadata")},
		{name: "inCommitTimestamp without one", protocol: features("inCommitTimestamp"), edit: config("delta.enableInCommitTimestamps", "true"), refused: "inCommitTimestamp"},
		{name: "rowTracking and domainMetadata", protocol: features("rowTracking", "domainMetadata")},
		{name: "writer features without use", protocol: features("appendOnly", "invariants", "checkConstraints", "generatedColumns", "identityColumns", "allowColumnDefaults", "changeDataFeed")},
		{name: "appendOnly", protocol: legacy(1, 2), edit: config("delta.appendOnly", "true")},
		{name: "comment", protocol: legacy(1, 2), edit: fieldMeta("comment")},

		{name: "reader feature alone", protocol: Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{"timestampNtz"}, WriterFeatures: []string{}}, refused: "timestampNtz"},
		{name: "invariant", protocol: legacy(1, 2), edit: fieldMeta("delta.invariants"), refused: "invariants"},
		{name: "generated column", protocol: legacy(1, 4), edit: fieldMeta("delta.generationExpression"), refused: "generatedColumns"},
		{name: "identity column", protocol: legacy(1, 6), edit: fieldMeta("delta.identity.start"), refused: "identityColumns"},
		{name: "identity column of later", protocol: legacy(1, 6), edit: fieldMeta("delta.identity.later"), refused: "identityColumns"},
		{name: "default", protocol: features("allowColumnDefaults"), edit: fieldMeta("CURRENT_DEFAULT"), refused: "allowColumnDefaults"},
		{name: "varchar", protocol: legacy(1, 2), edit: fieldMeta("__CHAR_VARCHAR_TYPE_STRING")},
		{name: "constraint", protocol: legacy(1, 3), edit: config("delta.constraints.positive", "x > 0"), refused: "checkConstraints"},
		{name: "columnMapping name without names", protocol: legacy(2, 5), edit: config("delta.columnMapping.mode", "name"), refused: "columnMapping"},
		{name: "columnMapping id without ids", protocol: both("columnMapping"), edit: config("delta.columnMapping.mode", "id"), refused: "columnMapping"},
		{name: "orc", protocol: legacy(1, 2), edit: func(m *Metadata) { m.Format.Provider = "orc" }, refused: "format"},
		{name: "no schema", protocol: legacy(1, 2), edit: func(m *Metadata) { m.SchemaString = "{" }, refused: "schema"},
	} {
		t.Run(c.name, func(t *testing.T) { checkRefusal(t, c.protocol, c.edit, c.refused) })
	}
	for _, f := range []string{
		"typeWidening", "typeWidening-preview", "variantType-preview",
		"variantShredding-preview", "catalogManaged", "catalogOwned-preview", "unheardOf",
	} {
		t.Run(f, func(t *testing.T) { checkRefusal(t, both(f), nil, f) })
	}
	for _, f := range []string{
		"rowTracking", "icebergCompatV1", "icebergCompatV2", "icebergCompatV3",
		"materializePartitionColumns", "checkpointProtection", "redirectReaderWriter-preview", "redirectWriterOnly-preview",
		"collations-preview", "geospatial", "icebergWriterCompatV1",
	} {
		t.Run(f, func(t *testing.T) { checkRefusal(t, features("appendOnly", f), nil, f) })
	}
}

// checkRefusal makes a table, asks CheckWritable, and checks that Append agrees and that a refused table is untouched.
func checkRefusal(t *testing.T, p Protocol, edit func(m *Metadata), refused string) {
	m := &Metadata{ID: "x", Name: "main.default.air", Format: Format{Provider: "parquet"}, SchemaString: testSchema}
	if edit != nil {
		edit(m)
	}
	body, err := encode(CommitInfo{}, &commit{protocol: &p, metadata: m})
	if err != nil {
		t.Fatal(err)
	}
	store := lake.NewMemory()
	if err := store.Put(t.Context(), commitPath(0), body); err != nil {
		t.Fatal(err)
	}
	if p.MinReaderVersion == 0 {
		// Open does not take this for a table, so there is no Append to ask.
		b := newBuilder("x")
		b.apply(&commit{protocol: &p, metadata: m})
		if err := CheckWritable(b.snapshot()); !errors.Is(err, ErrUnsupported) {
			t.Errorf("error %v, want %v", err, ErrUnsupported)
		}
		return
	}
	table := openTestTable(t, store)
	err = CheckWritable(table.Snapshot())
	_, appendErr := table.Append(t.Context(), appendFiles("a", 1, "f"))
	if refused == "" {
		if err != nil || appendErr != nil {
			t.Errorf("CheckWritable: %v, Append: %v; want none", err, appendErr)
		}
		return
	}
	for _, err := range []error{err, appendErr} {
		var u *UnsupportedError
		if !errors.As(err, &u) || !errors.Is(err, ErrUnsupported) {
			t.Fatalf("error %v, want an UnsupportedError", err)
		}
		if u.Feature != refused || u.Table != "main.default.air" {
			t.Errorf("refused for feature %q of table %q, want %q", u.Feature, u.Table, refused)
		}
		if !strings.Contains(err.Error(), refused) || !strings.Contains(err.Error(), "main.default.air") {
			t.Errorf("error %q does not name the feature and the table", err)
		}
	}
	n := 0
	for range store.List(t.Context(), "", "") {
		n++
	}
	if n != 1 {
		t.Errorf("%d objects in the refused table, want 1", n)
	}
}

func TestFits_NestedColumns(t *testing.T) {
	wrap := func(typ string) *Metadata {
		return &Metadata{SchemaString: `{"type":"struct","fields":[{"name":"c","type":` + typ + `,"nullable":true,"metadata":{}}]}`}
	}
	field := func(name, typ string, nullable bool) string {
		return fmt.Sprintf(`{"name":%q,"type":%q,"nullable":%v,"metadata":{}}`, name, typ, nullable)
	}
	structOf := func(fields ...string) string {
		return `{"type":"struct","fields":[` + strings.Join(fields, ",") + `]}`
	}
	array := func(elem string, null bool) string {
		return fmt.Sprintf(`{"type":"array","elementType":%s,"containsNull":%v}`, elem, null)
	}
	mapOf := func(key, value string, null bool) string {
		return fmt.Sprintf(`{"type":"map","keyType":%s,"valueType":%s,"valueContainsNull":%v}`, key, value, null)
	}
	a, b := field("a", "long", true), field("b", "string", true)
	for _, c := range []struct {
		name, was, is string
		gone          string // what the error names, empty when it fits
	}{
		{"same", structOf(a, b), structOf(a, b), ""},
		{"order", structOf(a, b), structOf(b, a), ""},
		{"nested column added", structOf(a), structOf(a, b), ""},
		{"nested NOT NULL column added", structOf(a), structOf(a, field("b", "string", false)), "c.b"},
		{"nested column dropped", structOf(a, b), structOf(a), "c.b"},
		{"nested type", structOf(a), structOf(field("a", "integer", true)), "c.a"},
		{"NOT NULL dropped", structOf(field("a", "long", false)), structOf(a), ""},
		{"NOT NULL added", structOf(a), structOf(field("a", "long", false)), "c.a"},
		{"decimal", `"decimal(10,2)"`, `"decimal(12,2)"`, "c"},
		{"scalar to struct", `"long"`, structOf(a), "c"},
		{"array element", array(`"long"`, true), array(`"string"`, true), "c.element"},
		{"array null", array(`"long"`, true), array(`"long"`, false), "c"},
		{"array null allowed", array(`"long"`, false), array(`"long"`, true), ""},
		{"array of struct", array(structOf(a), true), array(structOf(a, b), true), ""},
		{"map key", mapOf(`"long"`, `"long"`, true), mapOf(`"string"`, `"long"`, true), "c.key"},
		{"map value", mapOf(`"long"`, structOf(a), true), mapOf(`"long"`, structOf(b), true), "c.value.a"},
		{"map null", mapOf(`"long"`, `"long"`, true), mapOf(`"long"`, `"long"`, false), "c"},
		{"physical name without mapping", structOf(strings.Replace(a, "{}", `{"delta.columnMapping.physicalName":"x"}`, 1)), structOf(strings.Replace(a, "{}", `{"delta.columnMapping.physicalName":"y"}`, 1)), ""},
		{"new schema that cannot be read", structOf(a), `{"type":"tuple"}`, "tuple"},
		{"nested too deep", structOf(a), strings.Repeat(`{"type":"array","elementType":`, 200) + `"long"` + strings.Repeat("}", 200), "deeper"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := fits(wrap(c.was), wrap(c.is))
			if c.gone == "" {
				if err != nil {
					t.Errorf("error %v, want none", err)
				}
				return
			}
			if !errors.Is(err, ErrSchemaChanged) || !strings.Contains(err.Error(), c.gone) {
				t.Errorf("error %v, want ErrSchemaChanged that names %s", err, c.gone)
			}
		})
	}
}

func FuzzSchema(f *testing.F) {
	f.Add(testSchema, testSchema)
	f.Add(testSchema, `{"type":"struct","fields":[{"name":"a","type":{"type":"map","keyType":"string","valueType":{"type":"array","elementType":"long"}}}]}`)
	f.Add(`"long"`, `{"type":"array"}`)
	f.Add(mappedSchema, "device, tags.`k`")
	f.Fuzz(func(t *testing.T, was, is string) {
		a, b := &Metadata{SchemaString: was}, &Metadata{SchemaString: is}
		if was != is && fits(a, b) == nil && fits(b, b) != nil {
			t.Errorf("%q fits %q, which does not fit itself", was, is)
		}
		s, err := parseSchema(was)
		if err != nil {
			return
		}
		for _, mode := range []string{Unmapped, MappedByName} {
			if err := (fitting{mode, mode}).types("", s, s); err != nil {
				t.Errorf("%q does not fit itself: %v", was, err)
			}
		}
		if err := s.walk("", func(string, *field) error { return nil }); err != nil {
			t.Error(err)
		}
		mapped := Metadata{Format: Format{Provider: "parquet"}, SchemaString: was, PartitionColumns: []string{"a"}, Configuration: map[string]string{MappingMode: "id", StatsColumns: is}}
		if CheckWritable(&Snapshot{Protocol: Protocol{MinReaderVersion: 2, MinWriterVersion: 5}, Metadata: mapped}) == nil && len(mapped.partitionKeys()) != 1 {
			t.Errorf("partition keys %q", mapped.partitionKeys())
		}
		if x := (&Snapshot{Metadata: mapped}).Indexed(); mapped.CheckStatsColumns() == nil && x.Columns == nil {
			t.Errorf("columns with statistics %q are none", is)
		}
	})
}

func TestSnapshot_Tight(t *testing.T) {
	s := &Snapshot{Protocol: Protocol{MinReaderVersion: 1, MinWriterVersion: 2}.With("deletionVectors")}
	if got := s.Tight(`{"numRecords":1}`); got != `{"numRecords":1,"tightBounds":true}` {
		t.Error(got)
	}
	if got := s.Tight(""); got != "" {
		t.Error(got)
	}
	if got := (&Snapshot{Protocol: Protocol{MinReaderVersion: 1, MinWriterVersion: 2}}).Tight(`{"numRecords":1}`); got != `{"numRecords":1}` {
		t.Error(got)
	}
}
