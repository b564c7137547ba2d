package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// listed are the names of PROTOCOL.md, "Valid Feature Names in Table Features", and of the sections on features that are not in
// that table. TestRefusalMatrix_DT11 has a case for each.
var listed = []string{
	"appendOnly", "invariants", "checkConstraints", "generatedColumns", "allowColumnDefaults", "changeDataFeed", "columnMapping", "identityColumns",
	"deletionVectors", "rowTracking", "timestampNtz", "domainMetadata", "v2Checkpoint", "catalogManaged", "icebergCompatV1", "icebergCompatV2", "clustering",
	"vacuumProtocolCheck", "inCommitTimestamp",
	"typeWidening", "variantType", "variantShredding",
}

const (
	plainField  = `{"name":"id","type":"long","nullable":true,"metadata":{}}`
	mappedField = `{"name":"id","type":"long","nullable":true,"metadata":{"delta.columnMapping.id":1,"delta.columnMapping.physicalName":"col-1"}}`
	timesOn     = `"delta.enableInCommitTimestamps":"true"`
	rowsOn      = `"delta.enableRowTracking":"true","delta.rowTracking.materializedRowIdColumnName":"_row-id","delta.rowTracking.materializedRowCommitVersionColumnName":"_row-version"`
)

// foreign is version 0 of a table of another engine.
type foreign struct {
	protocol      string // as JSON
	configuration string // properties, as the inside of a JSON object
	field         string // the column id; plainField when empty
	stamp         int64  // inCommitTimestamp
	lines         []string
}

func (f foreign) text() string {
	info := `{"commitInfo":{"timestamp":1,"operation":"CREATE TABLE"`
	if f.stamp != 0 {
		info += fmt.Sprintf(`,"inCommitTimestamp":%d`, f.stamp)
	}
	field := f.field
	if field == "" {
		field = plainField
	}
	lines := append([]string{
		info + "}}",
		`{"protocol":` + f.protocol + `}`,
		fmt.Sprintf(`{"metaData":{"id":"1","name":"main.default.t","format":{"provider":"parquet","options":{}},"schemaString":%q,"partitionColumns":[],"configuration":{%s}}}`,
			`{"type":"struct","fields":[`+field+`]}`, f.configuration),
	}, f.lines...)
	return strings.Join(lines, "\n") + "\n"
}

// writers is a protocol with features of writers, readers one with features that are a reader's, too.
func writers(features ...string) string {
	return fmt.Sprintf(`{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":%s}`, jsonOf(features))
}

func readers(features ...string) string {
	return fmt.Sprintf(`{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":%[1]s,"writerFeatures":%[1]s}`, jsonOf(features))
}

func legacy(r, w int) string {
	return fmt.Sprintf(`{"minReaderVersion":%d,"minWriterVersion":%d}`, r, w)
}

func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// withKey is the column with a key in its metadata.
func withKey(key string) string {
	return strings.Replace(plainField, `"metadata":{}`, fmt.Sprintf(`"metadata":{%q:"1"}`, key), 1)
}

// spec/delta.md §9, check 11: whatever feature a table has, rows are appended to it as the feature asks, or it is refused by the
// feature's name when it is opened for a stream, and nothing in its directory is touched.
func TestRefusalMatrix_DT11(t *testing.T) {
	has := func(parts ...string) func(string) string {
		return func(commit string) string {
			for _, p := range parts {
				if !strings.Contains(commit, p) {
					return "it does not have " + p
				}
			}
			return ""
		}
	}
	hasNot := func(parts ...string) func(string) string {
		return func(commit string) string {
			for _, p := range parts {
				if strings.Contains(commit, p) {
					return "it has " + p
				}
			}
			return ""
		}
	}
	const late = 9_000_000_000_000 // milliseconds since the epoch, in the year 2255
	cases := []struct {
		feature string // as the protocol spells it
		name    string // what is special
		table   foreign
		look    func(commit string) string // at version 1; what is wrong with it
		refused string                     // what is named; empty when rows are appended
	}{
		{feature: "appendOnly", name: "not set", table: foreign{protocol: writers("appendOnly")}},
		{feature: "appendOnly", name: "set", table: foreign{protocol: legacy(1, 2), configuration: `"delta.appendOnly":"true"`}, look: has(`"isBlindAppend":true`)},
		{feature: "invariants", name: "unused", table: foreign{protocol: writers("invariants")}},
		{feature: "invariants", name: "used", table: foreign{protocol: writers("invariants"), field: withKey("delta.invariants")}, refused: "invariants"},
		{feature: "invariants", name: "used, legacy", table: foreign{protocol: legacy(1, 2), field: withKey("delta.invariants")}, refused: "invariants"},
		{feature: "checkConstraints", name: "unused", table: foreign{protocol: writers("checkConstraints")}},
		{feature: "checkConstraints", name: "used", table: foreign{protocol: legacy(1, 3), configuration: `"delta.constraints.positive":"id > 0"`}, refused: "checkConstraints"},
		{feature: "generatedColumns", name: "unused", table: foreign{protocol: legacy(1, 4)}},
		{feature: "generatedColumns", name: "used", table: foreign{protocol: writers("generatedColumns"), field: withKey("delta.generationExpression")}, refused: "generatedColumns"},
		{feature: "identityColumns", name: "unused", table: foreign{protocol: legacy(2, 6)}},
		{feature: "identityColumns", name: "used", table: foreign{protocol: writers("identityColumns"), field: withKey("delta.identity.start")}, refused: "identityColumns"},
		{feature: "allowColumnDefaults", name: "unused", table: foreign{protocol: writers("allowColumnDefaults")}},
		{feature: "allowColumnDefaults", name: "used", table: foreign{protocol: writers("allowColumnDefaults"), field: withKey("CURRENT_DEFAULT")}, refused: "allowColumnDefaults"},
		{feature: "changeDataFeed", name: "not set", table: foreign{protocol: legacy(1, 4)}},
		{feature: "changeDataFeed", name: "set", table: foreign{protocol: writers("changeDataFeed"), configuration: `"delta.enableChangeDataFeed":"true"`}, look: hasNot(`"cdc"`)},
		{feature: "columnMapping", name: "none", table: foreign{protocol: legacy(2, 5), configuration: `"delta.columnMapping.mode":"none"`}, look: has(`\"id\":`)},
		{
			feature: "columnMapping", name: "by name", table: foreign{protocol: readers("columnMapping"), configuration: `"delta.columnMapping.mode":"name","delta.columnMapping.maxColumnId":"1"`, field: mappedField},
			look: func(c string) string { return has(`\"col-1\":`)(c) + hasNot(`\"id\":`)(c) },
		},
		{feature: "columnMapping", name: "by id", table: foreign{protocol: legacy(2, 5), configuration: `"delta.columnMapping.mode":"id","delta.columnMapping.maxColumnId":"1"`, field: mappedField}, look: has(`\"col-1\":`)},
		{feature: "columnMapping", name: "of another kind", table: foreign{protocol: legacy(2, 5), configuration: `"delta.columnMapping.mode":"colour"`, field: mappedField}, refused: "columnMapping"},
		{feature: "deletionVectors", name: "set", table: foreign{protocol: readers("deletionVectors"), configuration: `"delta.enableDeletionVectors":"true"`}, look: has(`\"tightBounds\":true`)},
		{feature: "inCommitTimestamp", name: "supported", table: foreign{protocol: writers("inCommitTimestamp")}, look: hasNot(`"inCommitTimestamp"`)},
		{feature: "inCommitTimestamp", name: "enabled", table: foreign{protocol: writers("inCommitTimestamp"), configuration: timesOn, stamp: late}, look: has(fmt.Sprintf(`{"commitInfo":{"timestamp":%d,`, late+1), fmt.Sprintf(`"inCommitTimestamp":%d`, late+1))},
		{feature: "inCommitTimestamp", name: "enabled and missing", table: foreign{protocol: writers("inCommitTimestamp"), configuration: timesOn}, refused: "inCommitTimestamp"},
		{feature: "domainMetadata", name: "a domain of somebody's", table: foreign{protocol: writers("domainMetadata"), lines: []string{`{"domainMetadata":{"domain":"com.example","configuration":"{}","removed":false}}`}}, look: hasNot("domainMetadata")},
		{feature: "rowTracking", name: "supported", table: foreign{protocol: writers("rowTracking", "domainMetadata")}, look: has(`"baseRowId":0,"defaultRowCommitVersion":1`, `\"rowIdHighWaterMark\":4}`)},
		{
			feature: "rowTracking", name: "enabled", table: foreign{
				protocol: writers("rowTracking", "domainMetadata"), configuration: rowsOn,
				lines: []string{`{"domainMetadata":{"domain":"delta.rowTracking","configuration":"{\"rowIdHighWaterMark\":99}","removed":false}}`},
			},
			look: has(`"baseRowId":100,"defaultRowCommitVersion":1`, `\"rowIdHighWaterMark\":104}`, `"delta.rowTracking.preserved":"true"`),
		},
		{feature: "rowTracking", name: "suspended", table: foreign{protocol: writers("rowTracking", "domainMetadata"), configuration: `"delta.rowTrackingSuspended":"true"`}, look: hasNot("baseRowId", "defaultRowCommitVersion", "domainMetadata")},
		{feature: "rowTracking", name: "without domainMetadata", table: foreign{protocol: writers("rowTracking"), configuration: rowsOn}, refused: "rowTracking"},
		{feature: "rowTracking", name: "and inCommitTimestamp", table: foreign{protocol: writers("rowTracking", "domainMetadata", "inCommitTimestamp"), configuration: rowsOn + "," + timesOn, stamp: late}, look: has(`"inCommitTimestamp"`, `"baseRowId":0`)},
		{
			feature: "clustering", name: "by a column", table: foreign{protocol: writers("clustering", "domainMetadata"), lines: []string{`{"domainMetadata":{"domain":"delta.clustering","configuration":"{\"clusteringColumns\":[[\"id\"]]}","removed":false}}`}},
			look: func(c string) string { return has(`\"minValues\":{\"id\":0}`)(c) + hasNot("clusteringProvider")(c) },
		},
		{feature: "v2Checkpoint", name: "set", table: foreign{protocol: readers("v2Checkpoint"), configuration: `"delta.checkpointPolicy":"v2"`}},
		{feature: "vacuumProtocolCheck", table: foreign{protocol: readers("vacuumProtocolCheck")}},
		{feature: "timestampNtz", table: foreign{protocol: readers("timestampNtz")}},
		{feature: "variantType", table: foreign{protocol: readers("variantType")}},
		{feature: "variantType-preview", table: foreign{protocol: readers("variantType-preview")}, refused: "variantType-preview"},
		{feature: "variantShredding", table: foreign{protocol: readers("variantType", "variantShredding")}, refused: "variantShredding"},
		{feature: "variantShredding-preview", table: foreign{protocol: readers("variantShredding-preview")}, refused: "variantShredding-preview"},
		{feature: "typeWidening", table: foreign{protocol: readers("typeWidening")}, refused: "typeWidening"},
		{feature: "typeWidening-preview", table: foreign{protocol: readers("typeWidening-preview")}, refused: "typeWidening-preview"},
		{feature: "materializePartitionColumns", table: foreign{protocol: writers("materializePartitionColumns")}, refused: "materializePartitionColumns"},
		{feature: "icebergCompatV1", table: foreign{protocol: writers("icebergCompatV1")}, refused: "icebergCompatV1"},
		{feature: "icebergCompatV2", table: foreign{protocol: writers("icebergCompatV2")}, refused: "icebergCompatV2"},
		{feature: "icebergCompatV3", table: foreign{protocol: writers("icebergCompatV3")}, refused: "icebergCompatV3"},
		{feature: "icebergWriterCompatV1", table: foreign{protocol: writers("icebergWriterCompatV1")}, refused: "icebergWriterCompatV1"},
		{feature: "catalogManaged", table: foreign{protocol: readers("catalogManaged"), configuration: timesOn, stamp: late}, refused: "catalogManaged"},
		{feature: "catalogOwned-preview", table: foreign{protocol: readers("catalogOwned-preview")}, refused: "catalogOwned-preview"},
		{feature: "coordinatedCommits-preview", table: foreign{protocol: readers("coordinatedCommits-preview")}, refused: "coordinatedCommits-preview"},
		{feature: "inCommitTimestamp-preview", table: foreign{protocol: writers("inCommitTimestamp-preview"), configuration: `"delta.enableInCommitTimestamps-preview":"true"`}, refused: "inCommitTimestamp-preview"},
		{feature: "checkpointProtection", table: foreign{protocol: writers("checkpointProtection")}, refused: "checkpointProtection"},
		{feature: "redirectReaderWriter-preview", table: foreign{protocol: readers("redirectReaderWriter-preview")}, refused: "redirectReaderWriter-preview"},
		{feature: "redirectWriterOnly-preview", table: foreign{protocol: writers("redirectWriterOnly-preview")}, refused: "redirectWriterOnly-preview"},
		{feature: "collations-preview", table: foreign{protocol: writers("collations-preview")}, refused: "collations-preview"},
		{feature: "geospatial", table: foreign{protocol: readers("geospatial")}, refused: "geospatial"},
		{feature: "allowColumnDefaults-of-tomorrow", name: "unheard of, a writer's", table: foreign{protocol: writers("appendOnly", "allowColumnDefaults-of-tomorrow")}, refused: "allowColumnDefaults-of-tomorrow"},
		{feature: "unheardOf", name: "unheard of, a reader's", table: foreign{protocol: readers("unheardOf")}, refused: "unheardOf"},
		{feature: "AppendOnly", name: "names have a case", table: foreign{protocol: writers("AppendOnly")}, refused: "AppendOnly"},

		{feature: "versions", name: "1, 1", table: foreign{protocol: legacy(1, 1)}},
		{feature: "versions", name: "1, 7", table: foreign{protocol: writers([]string{}...)}},
		{feature: "versions", name: "3, 7", table: foreign{protocol: readers([]string{}...)}},
		{feature: "versions", name: "4, 7", table: foreign{protocol: legacy(4, 7)}, refused: "minReaderVersion"},
		{feature: "versions", name: "1, 8", table: foreign{protocol: legacy(1, 8)}, refused: "minWriterVersion"},
		{feature: "versions", name: "3, 6", table: foreign{protocol: legacy(3, 6)}, refused: "minReaderVersion"},
		{feature: "versions", name: "2, 0", table: foreign{protocol: legacy(2, 0)}, refused: "minWriterVersion"},
		{feature: "versions", name: "-1, 2", table: foreign{protocol: legacy(-1, 2)}, refused: "minReaderVersion"},
		{feature: "versions", name: "a reader's feature alone", table: foreign{protocol: `{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["timestampNtz"],"writerFeatures":[]}`}, refused: "timestampNtz"},
	}
	covered := map[string]bool{}
	for _, c := range cases {
		covered[c.feature] = true
		t.Run(strings.TrimSuffix(c.feature+"/"+c.name, "/"), func(t *testing.T) {
			h := newHouse(t)
			root := t.TempDir()
			local, err := lake.NewLocal(root)
			if err != nil {
				t.Fatal(err)
			}
			h.lake, h.store = local, local
			l := h.start(never)
			l.sql("CREATE TABLE main.default.t (id BIGINT)")
			l.stop()
			dir := filepath.Join(root, "main", "default", "t")
			if err := os.WriteFile(filepath.Join(dir, "_delta_log", fmt.Sprintf("%020d.json", 0)), []byte(c.table.text()), 0o644); err != nil {
				t.Fatal(err)
			}
			before := contents(t, dir)

			l = h.start(never)
			table, err := l.set.Open(t.Context(), tName)
			if c.refused != "" {
				var refusal *delta.UnsupportedError
				if !errors.As(err, &refusal) || !errors.Is(err, delta.ErrUnsupported) || refusal.Feature != c.refused || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("opened with the error %v, want a refusal for %s", err, c.refused)
				}
				if _, again := l.set.Open(t.Context(), tName); again == nil {
					t.Error("the second stream was not refused")
				}
				l.stop()
				if after := contents(t, dir); !maps.Equal(before, after) {
					t.Errorf("the table's directory was changed: %v, before %v", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			l.durable(table, 0, 5)
			l.flush(table)
			l.stop()
			h.want(tName, 5) // and the log has no fault
			commit, err := os.ReadFile(filepath.Join(dir, "_delta_log", fmt.Sprintf("%020d.json", 1)))
			if err != nil {
				t.Fatal(err)
			}
			if c.look != nil {
				if fault := c.look(string(commit)); fault != "" {
					t.Errorf("the commit is wrong, %s: %s", fault, commit)
				}
			}
			after := contents(t, dir)
			for path, was := range before {
				if now, ok := after[path]; !ok || now != was {
					t.Errorf("%s was changed", path)
				}
			}
		})
	}
	for _, name := range listed {
		if !covered[name] {
			t.Errorf("no case for the feature %s", name)
		}
	}
}

// A table that is open is refused from the moment when another engine gives it a feature, and taken again when that is gone.
func TestRefusal_OfATableThatIsOpen(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT)")
	l.commits(l.open(tName), 0, 1)
	foreign := func(version int64, protocol string) {
		path := fmt.Sprintf("main/default/t/_delta_log/%020d.json", version)
		if err := h.lake.PutIfAbsent(t.Context(), path, []byte(`{"commitInfo":{"operation":"SET TBLPROPERTIES"}}`+"\n"+`{"protocol":`+protocol+"}\n")); err != nil {
			t.Fatal(err)
		}
	}
	foreign(2, writers("appendOnly", "icebergCompatV2"))
	var refusal *delta.UnsupportedError
	if _, err := l.set.Open(t.Context(), tName); !errors.As(err, &refusal) || refusal.Feature != "icebergCompatV2" {
		t.Errorf("opened with the error %v", err)
	}
	foreign(3, writers("appendOnly"))
	l.commits(l.open(tName), 1, 1)
	l.stop()
	h.want(tName, 2)
}

// contents is the files below a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || e.IsDir() {
			out[name+"/"] = ""
			return err
		}
		data, err := os.ReadFile(path)
		out[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
