package delta

import (
	"reflect"
	"strings"
	"testing"
)

func TestSnapshot_Indexed(t *testing.T) {
	with := func(mode string, properties ...string) *Snapshot {
		s := &Snapshot{Metadata: Metadata{SchemaString: mappedSchema, Configuration: map[string]string{MappingMode: mode}}}
		for i := 0; i < len(properties); i += 2 {
			s.Metadata.Configuration[properties[i]] = properties[i+1]
		}
		return s
	}
	clustered := func(s *Snapshot, configuration string) *Snapshot {
		s.Domains = map[string]DomainMetadata{"delta.clustering": {Domain: "delta.clustering", Configuration: configuration}, "other": {Configuration: "{"}}
		return s
	}
	const number = "delta.dataSkippingNumIndexedCols"
	for _, c := range []struct {
		name string
		s    *Snapshot
		want Indexed
	}{
		{"nothing said", with("name"), Indexed{}},
		{"number", with("name", number, " 7 "), Indexed{First: new(7)}},
		{"none", with("name", "DELTA.dataskippingnumindexedcols", "0"), Indexed{First: new(0)}},
		{"all", with("name", number, "-1"), Indexed{First: new(-1)}},
		{"no number", with("name", number, "some"), Indexed{}},
		{"less than all", with("name", number, "-2"), Indexed{}},
		{"columns, by their names in files", with("name", StatsColumns, "Device, temp"), Indexed{Columns: [][]string{{"col-d"}, {"temp"}}}},
		{"columns of an unmapped table", with("none", StatsColumns, "DEVICE"), Indexed{Columns: [][]string{{"device"}}}},
		{"columns and a number", with("none", StatsColumns, "temp", number, "5"), Indexed{First: new(5), Columns: [][]string{{"temp"}}}},
		{"columns that are not there", with("none", StatsColumns, "x, temp, tags.k, temp.y"), Indexed{Columns: [][]string{{"temp"}}}},
		{"no column", with("none", StatsColumns, ""), Indexed{Columns: [][]string{}}},
		{"no list", with("none", StatsColumns, "`temp", number, "3"), Indexed{First: new(3)}},
		{"clustered", clustered(with("name"), `{"clusteringColumns":[["col-d"],["a","b"]],"domainName":"delta.clustering"}`), Indexed{Clustering: [][]string{{"col-d"}, {"a", "b"}}}},
		{"clustered by nothing", clustered(with("name"), `{"clusteringColumns":[]}`), Indexed{Clustering: [][]string{}}},
		{"clustered in a way that cannot be read", clustered(with("name", number, "2"), `{"clusteringColumns":"a"}`), Indexed{First: new(-1)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.s.Indexed(); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestMetadata_CheckStatsColumns(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "device, temp": "", "tags": "", "device, x.y": "there is no column x.y", "device,": "a name is empty", "a b c `": "expected a comma",
	} {
		m := Metadata{SchemaString: mappedSchema, Configuration: map[string]string{StatsColumns: text}}
		if err := m.CheckStatsColumns(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
	if err := (&Metadata{}).CheckStatsColumns(); err != nil {
		t.Error(err)
	}
}

// Spark reads the parts of the list as it reads names of columns in SQL.
func TestParsePaths(t *testing.T) {
	for text, want := range map[string][][]string{
		"":                    nil,
		" \n ":                nil,
		"a":                   {{"a"}},
		"a,b":                 {{"a"}, {"b"}},
		" a . b , c.d.e ":     {{"a", "b"}, {"c", "d", "e"}},
		"`a.b`.`c,d`,e":       {{"a.b", "c,d"}, {"e"}},
		"`a``b`":              {{"a`b"}},
		"`` ` `":              nil,
		"` a `":               {{" a "}},
		"größe, with a space": {{"größe"}, {"with a space"}},
	} {
		got, err := parsePaths(text)
		if want == nil && strings.TrimSpace(text) != "" {
			if err == nil {
				t.Errorf("%q: got %q, want an error", text, got)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{",", "a,", ",a", "a,,b", ".", "a.", ".a", "a..b", "`a", "`a`b", "a`b`", "``"} {
		if got, err := parsePaths(text); err == nil {
			t.Errorf("%q: got %q, want an error", text, got)
		}
	}
}

func FuzzParsePaths(f *testing.F) {
	for _, text := range []string{"a, b.c", "`a.b`.`c``d` , e", ",", "`"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		paths, err := parsePaths(text)
		if err != nil {
			return
		}
		var list []string
		for _, path := range paths {
			var parts []string
			for _, name := range path {
				if name == "" {
					t.Fatalf("%q: an empty name in %q", text, paths)
				}
				parts = append(parts, "`"+strings.ReplaceAll(name, "`", "``")+"`")
			}
			list = append(list, strings.Join(parts, "."))
		}
		again, err := parsePaths(strings.Join(list, ","))
		if err != nil || !reflect.DeepEqual(again, paths) {
			t.Errorf("%q: %q, and written anew %q, %v", text, paths, again, err)
		}
	})
}
