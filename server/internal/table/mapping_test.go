package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
)

// delta is the state of a table's log.
func (h *house) delta(name catalog.Name) *delta.Snapshot {
	h.t.Helper()
	d, err := NewTables(h.lake, "test", time.Now).Delta(h.t.Context(), catalog.Table{Name: name, Location: "main/default/" + name.Table})
	if err != nil {
		h.t.Fatal(err)
	}
	return d.Snapshot()
}

// columnsOf are a table's columns as the log has them.
func (h *house) columnsOf(name catalog.Name) *schema.Struct {
	h.t.Helper()
	s := new(schema.Struct)
	if err := json.Unmarshal([]byte(h.delta(name).Metadata.SchemaString), s); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// ids are those of the fields of all levels, by path, and the physical names.
func columnIDs(s *schema.Struct) (ids []string, names map[string]string) {
	names = map[string]string{}
	var look func(fields []schema.Field, path string)
	var within func(t *schema.Type, path string)
	within = func(t *schema.Type, path string) {
		if t != nil {
			look(t.Fields, path)
			within(t.Key, path+"key.")
			within(t.Elem, path+"element.")
		}
	}
	look = func(fields []schema.Field, path string) {
		for i := range fields {
			f := &fields[i]
			ids = append(ids, path+f.Name+"="+f.Metadata[delta.ColumnID])
			names[path+f.Name] = strings.Trim(f.Metadata[delta.PhysicalName], `"`)
			within(&f.Type, path+f.Name+".")
		}
	}
	look(s.Fields, "")
	return ids, names
}

// alterAs changes a table's columns as another writer does.
func (h *house) alterAs(name catalog.Name, change func(s *schema.Struct, m *delta.Metadata)) {
	h.t.Helper()
	d, err := NewTables(h.lake, "another", time.Now).Delta(h.t.Context(), catalog.Table{Name: name, Location: "main/default/" + name.Table})
	if err != nil {
		h.t.Fatal(err)
	}
	_, err = d.Alter(h.t.Context(), func(snap *delta.Snapshot) (*delta.Change, error) {
		ch := &delta.Change{Metadata: snap.Metadata, Operation: "CHANGE COLUMN"}
		s := new(schema.Struct)
		if err := json.Unmarshal([]byte(ch.Metadata.SchemaString), s); err != nil {
			return nil, err
		}
		change(s, &ch.Metadata)
		text, err := json.Marshal(s)
		ch.Metadata.SchemaString = string(text)
		return ch, err
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// Delta PROTOCOL.md, "Writer Requirements for Column Mapping": each field has an id and a physical name that is nobody else's, and the
// greatest id is a property. Files, statistics and partition values have the physical names; no file is in a directory.
func TestMapping_OfANewTable(t *testing.T) {
	for _, mode := range []string{"name", "id"} {
		t.Run(mode, func(t *testing.T) {
			h := newHouse(t)
			l := h.start(never)
			l.sql(`CREATE TABLE main.default.t (id BIGINT, day STRING COMMENT 'when', s STRUCT<a: STRING, b: STRUCT<c: INT>>, l ARRAY<STRUCT<k: STRING>>, m MAP<STRING, STRUCT<v: INT>>)
				PARTITIONED BY (day) TBLPROPERTIES ('delta.columnMapping.mode' = '` + mode + `')`)
			snap := h.delta(tName)
			ids, names := columnIDs(h.columnsOf(tName))
			want := []string{"id=1", "day=2", "s=3", "s.a=4", "s.b=5", "s.b.c=6", "l=7", "l.element.k=8", "m=9", "m.element.v=10"}
			if !slices.Equal(ids, want) || snap.Metadata.Configuration[delta.MaxColumnID] != "10" {
				t.Errorf("ids %q, properties %v", ids, snap.Metadata.Configuration)
			}
			seen := map[string]bool{}
			for path, name := range names {
				if !strings.HasPrefix(name, "col-") || seen[name] {
					t.Errorf("%s has the physical name %q", path, name)
				}
				seen[name] = true
			}
			if p := snap.Protocol; p.MinReaderVersion != 2 || p.MinWriterVersion != 5 {
				t.Errorf("protocol %+v", p)
			}
			if !slices.Equal(snap.Metadata.PartitionColumns, []string{"day"}) {
				t.Errorf("partitioned by %q", snap.Metadata.PartitionColumns)
			}

			tab := l.open(tName)
			if got := tab.Shape().Schema().Fields[2].Type.Fields[0].Name; got != "a" {
				t.Errorf("clients see %s", got)
			}
			c := tab.Chunk()
			c.Cols[0].AppendInt64(7)
			c.Cols[1].AppendString("monday")
			c.Cols[2].Kids[0].AppendString("x")
			c.Cols[2].Kids[1].Kids[0].AppendInt32(5)
			c.Cols[2].Kids[1].EndStruct()
			c.Cols[2].EndStruct()
			c.Cols[3].Kids[0].Kids[0].AppendString("y")
			c.Cols[3].Kids[0].EndStruct()
			c.Cols[3].EndList()
			c.Cols[4].AppendNull()
			c.EndRow(make([]bool, 5))
			done := make(chan error, 1)
			if err := tab.Append(t.Context(), nil, c, func(err error) { done <- err }); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			l.flush(tab)
			for f := range h.delta(tName).Files() {
				if v := f.PartitionValues[names["day"]]; len(f.PartitionValues) != 1 || v == nil || *v != "monday" || strings.Contains(f.Path, "/") {
					t.Errorf("file %s of %v", f.Path, f.PartitionValues)
				}
				stats := fmt.Sprintf(`"minValues":{"%s":7,"%s":{"%s":"x","%s":{"%s":5}}}`, names["id"], names["s"], names["s.a"], names["s.b"], names["s.b.c"])
				if !strings.Contains(f.Stats, stats) || strings.Contains(f.Stats, names["day"]) {
					t.Errorf("statistics %s, want %s", f.Stats, stats)
				}
			}
			if got, want := h.cells(tName), []string{"7monday[{a x} {b [{c 5}]}] [[{k y}]] <nil>"}; fmt.Sprintln(got) != fmt.Sprintln(want) {
				t.Errorf("got %q, want %q", got, want)
			}
			l.stop()
		})
	}
}

// "The maximum id … must increase monotonically": what is added gets new ids at all levels, also those that a dropped column has had.
func TestMapping_AddedColumns(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT, a STRING) TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
	tab := l.open(tName)
	old := tab.Shape()
	l.put(tab, old, 1, "one")
	_, before := columnIDs(h.columnsOf(tName))
	h.alterAs(tName, func(_ *schema.Struct, m *delta.Metadata) {
		m.Configuration = map[string]string{delta.MappingMode: "name", delta.MaxColumnID: "40"} // of columns that were dropped
	})
	l.sql("ALTER TABLE main.default.t ADD COLUMNS (b STRING, s ARRAY<STRUCT<x: INT, y: MAP<STRING, STRUCT<z: INT>>>>)")
	ids, names := columnIDs(h.columnsOf(tName))
	if want := []string{"id=1", "a=2", "b=41", "s=42", "s.element.x=43", "s.element.y=44", "s.element.y.element.z=45"}; !slices.Equal(ids, want) {
		t.Errorf("ids %q, want %q", ids, want)
	}
	if got := h.delta(tName).Metadata.Configuration[delta.MaxColumnID]; got != "45" {
		t.Errorf("%s is %s", delta.MaxColumnID, got)
	}
	l.sql("ALTER TABLE main.default.t ALTER COLUMN a COMMENT 'first'; ALTER TABLE main.default.t ADD COLUMN c TIMESTAMP_NTZ")
	_, after := columnIDs(h.columnsOf(tName))
	for path, name := range names {
		if after[path] != name || (before[path] != "" && before[path] != name) {
			t.Errorf("the physical name of %s was %s, %s, %s", path, before[path], name, after[path])
		}
	}
	if p := h.delta(tName).Protocol; p.MinReaderVersion != 3 || !slices.Equal(p.ReaderFeatures, []string{"columnMapping", "timestampNtz"}) {
		t.Errorf("protocol %+v", p)
	}
	l.put(tab, old, 2, "two")
	l.flush(tab)
	if got, want := h.cells(tName), []string{"1one<nil> <nil> <nil>", "2two<nil> <nil> <nil>"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	l.stop()
}

// "When enabling column mapping on an existing table, the physical name of a column must be its name": the files that are there stay
// readable, and streams that are open go on.
func TestMapping_OfATableThatIsThere(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT, day STRING, a STRING) PARTITIONED BY (day)")
	tab := l.open(tName)
	old := tab.Shape()
	l.put(tab, old, 1, "x")
	l.flush(tab)
	l.put(tab, old, 2, "y")
	l.sql("ALTER TABLE main.default.t SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
	ids, names := columnIDs(h.columnsOf(tName))
	if want := []string{"id=1", "day=2", "a=3"}; !slices.Equal(ids, want) || names["a"] != "a" || names["day"] != "day" {
		t.Errorf("ids %q, names %v", ids, names)
	}
	if p := h.delta(tName).Protocol; p.MinReaderVersion != 2 || p.MinWriterVersion != 5 {
		t.Errorf("protocol %+v", p)
	}
	l.flush(tab) // with the shape of before, since nobody has looked
	l.put(tab, old, 3, "z")
	l.flush(tab)
	var files []string
	for f := range h.delta(tName).Files() {
		dir, _, _ := strings.Cut(f.Path, "part-")
		files = append(files, dir)
	}
	if want := []string{"day=x/", "day=y/", ""}; !slices.Equal(files, want) {
		t.Errorf("files are in %q, want %q", files, want)
	}
	if got, want := h.cells(tName), []string{"1xx", "2yy", "3zz"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// The same mode again is nothing.
	version := h.versions(tName)
	l.sql("ALTER TABLE main.default.t SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
	if h.versions(tName) != version {
		t.Error("there is another version")
	}
	l.stop()
}

// The features that a table asks for go together, in the list that the highest of them needs.
func TestMapping_WithOtherFeatures(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT) TBLPROPERTIES ('delta.columnMapping.mode' = 'id', 'delta.enableInCommitTimestamps' = 'true')")
	l.sql("CREATE TABLE main.default.u (id BIGINT, at TIMESTAMP_NTZ) TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
	if p := h.delta(tName).Protocol; p.MinReaderVersion != 2 || p.MinWriterVersion != 7 || !slices.Contains(p.WriterFeatures, "columnMapping") || !slices.Contains(p.WriterFeatures, "inCommitTimestamp") {
		t.Errorf("protocol %+v", p)
	}
	u := catalog.Name{Catalog: "main", Schema: "default", Table: "u"}
	if p := h.delta(u).Protocol; p.MinReaderVersion != 3 || !slices.Equal(p.ReaderFeatures, []string{"columnMapping", "timestampNtz"}) || !slices.Contains(p.WriterFeatures, "columnMapping") {
		t.Errorf("protocol %+v", p)
	}
	tab := l.open(tName)
	l.durable(tab, 0, 3)
	l.flush(tab)
	h.want(tName, 3)
	l.stop()
}

func TestMapping_ChangesOfTheMode(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	for _, mode := range []string{"none", "name", "id"} {
		l.sql("CREATE TABLE main.default." + mode + " (id BIGINT) TBLPROPERTIES ('delta.columnMapping.mode' = '" + mode + "')")
	}
	for statement, want := range map[string]string{
		"none SET TBLPROPERTIES ('delta.columnMapping.mode' = 'id')":   "cannot go from none to id",
		"name SET TBLPROPERTIES ('delta.columnMapping.mode' = 'none')": "cannot go from name to none: the files of the table are written for name",
		"name SET TBLPROPERTIES ('delta.columnMapping.mode' = 'id')":   "cannot go from name to id",
		"id SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')":   "cannot go from id to name",
		"id UNSET TBLPROPERTIES ('delta.columnMapping.mode')":          "cannot be unset",
		"name UNSET TBLPROPERTIES ('delta.columnMapping.maxColumnId')": "is not ours to unset",
	} {
		_, err := l.eng.Exec(t.Context(), "ALTER TABLE main.default."+statement)
		if !errors.Is(err, catalog.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", statement, err, want)
		}
	}
	l.sql("ALTER TABLE main.default.none UNSET TBLPROPERTIES ('delta.columnMapping.mode')")
	l.stop()
}

// A column that another writer renames stays the same in files: who has the table open goes on, who opens it then knows the new name,
// and entries of the log are rows of the table after a crash.
func TestMapping_RenamedColumns(t *testing.T) {
	for _, mode := range []string{"name", "id"} {
		t.Run(mode, func(t *testing.T) {
			h := newHouse(t)
			l := h.start(never)
			l.sql("CREATE TABLE main.default.t (id BIGINT, a STRING, b STRING) PARTITIONED BY (b) TBLPROPERTIES ('delta.columnMapping.mode' = '" + mode + "')")
			tab := l.open(tName)
			old := tab.Shape()
			l.put(tab, old, 1, "one")
			h.alterAs(tName, func(s *schema.Struct, m *delta.Metadata) {
				s.Fields[1].Name, s.Fields[2].Name, m.PartitionColumns = "b", "a", []string{"a"}
			})
			l.flush(tab)
			l.put(tab, old, 2, "two")
			if l.open(tName) != tab || tab.Shape().Schema().Fields[1].Name != "b" {
				t.Fatalf("the table has the columns %+v", tab.Shape().Schema().Fields)
			}
			l.put(tab, tab.Shape(), 3, "three")
			l.put(tab, old, 4, "four")
			l.crash()
			l = h.start(never)
			tab = l.open(tName)
			l.flush(tab)
			if got, want := h.cells(tName), []string{"1oneone", "2twotwo", "3threethree", "4fourfour"}; !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			l.stop()
		})
	}
}

// Entries that were written for columns which another writer has dropped or moved since are rows of the columns that are left.
func TestMapping_ColumnsDroppedWithRowsInTheLog(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT, a STRING, b STRING) TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
	tab := l.open(tName)
	old := tab.Shape()
	l.put(tab, old, 1, "one")
	h.alterAs(tName, func(s *schema.Struct, _ *delta.Metadata) { s.Fields = slices.Delete(s.Fields, 1, 2) })
	l.flush(tab)
	l.put(tab, old, 2, "two")
	l.flush(tab)
	l.put(tab, old, 3, "three")
	h.alterAs(tName, func(s *schema.Struct, m *delta.Metadata) {
		s.Fields = slices.Insert(s.Fields, 0, schema.Field{Name: "a", Type: schema.Type{Kind: schema.String}, Nullable: true})
		mapColumns(s.Fields[:1], 3, false)
	})
	l.crash()
	l = h.start(never)
	tab = l.open(tName)
	l.flush(tab)
	if got, want := h.cells(tName), []string{"<nil> 1one", "<nil> 2two", "<nil> 3three"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	l.stop()
}

// The table that was opened before a column was dropped goes on with it. The ledger tells the next start what its entries are, when
// the log of the table has forgotten.
func TestMapping_ColumnsDroppedLongAgo(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		h := newHouse(t)
		var failing atomic.Bool
		h.book = func(l Ledger) Ledger { return &forgetful{Ledger: l, failing: &failing} }
		l := h.start(never)
		l.sql("CREATE TABLE main.default.t (id BIGINT, a STRING, b STRING) TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
		tab := l.open(tName)
		old := tab.Shape()
		h.alterAs(tName, func(s *schema.Struct, _ *delta.Metadata) { s.Fields = slices.Delete(s.Fields, 1, 2) })
		failing.Store(true) // the ledger's disk is full for a while
		l.put(tab, old, 1, "one")
		l.flush(tab)
		failing.Store(deaf)
		l.put(tab, old, 2, "two")
		l.flush(tab)
		l.put(tab, old, 3, "three")
		l.crash()
		d, err := NewTables(h.lake, "test", time.Now).Delta(t.Context(), catalog.Table{Name: tName, Location: "main/default/t"})
		if err == nil {
			_, err = d.Checkpoint(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		for v := range d.Snapshot().Version {
			if err := h.lake.Delete(t.Context(), fmt.Sprintf("main/default/t/_delta_log/%020d.json", v)); err != nil {
				t.Fatal(err)
			}
		}
		l = h.start(never)
		tab, err = l.set.Open(t.Context(), tName)
		if deaf {
			if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "not those that the rows were written for") {
				t.Errorf("error %v", err)
			}
			l.crash()
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		l.flush(tab)
		if got, want := h.cells(tName), []string{"1one", "2two", "3three"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		l.stop()
	}
}

// forgetful is a ledger that takes no columns while it fails.
type forgetful struct {
	Ledger
	failing *atomic.Bool
}

func (f *forgetful) SetColumns(id [16]byte, descriptions []string) error {
	if f.failing.Load() {
		return errors.New("disk full")
	}
	return f.Ledger.SetColumns(id, descriptions)
}

// What does not fit stays in the log, and the table says why.
func TestMapping_ColumnsReplacedWithRowsInTheLog(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT, a STRING) TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
	tab := l.open(tName)
	l.put(tab, tab.Shape(), 1, "one")
	h.alterAs(tName, func(s *schema.Struct, _ *delta.Metadata) { mapColumns(s.Fields, 2, false) })
	l.crash()
	l = h.start(never)
	if _, err := l.set.Open(t.Context(), tName); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "all columns in the table are gone") {
		t.Errorf("error %v", err)
	}
	l.crash()
}

// A property that says which columns have statistics counts from the next commit on.
func TestIndexed_PropertiesOfAnOpenTable(t *testing.T) {
	h := newHouse(t)
	l := h.start(never)
	l.sql("CREATE TABLE main.default.t (id BIGINT, a STRING) TBLPROPERTIES ('delta.columnMapping.mode' = 'name', 'delta.dataSkippingNumIndexedCols' = '0')")
	tab := l.open(tName)
	_, names := columnIDs(h.columnsOf(tName))
	for i, x := range []struct{ statement, want string }{
		{"", "{}"},
		{"SET TBLPROPERTIES ('delta.dataSkippingNumIndexedCols' = '1')", `{"` + names["id"] + `":0}`},
		{"SET TBLPROPERTIES ('delta.dataSkippingStatsColumns' = '`a`')", `{"` + names["a"] + `":0}`},
		{"UNSET TBLPROPERTIES ('delta.dataSkippingStatsColumns', 'delta.dataSkippingNumIndexedCols')", `{"` + names["id"] + `":0,"` + names["a"] + `":0}`},
	} {
		if x.statement != "" {
			l.sql("ALTER TABLE main.default.t " + x.statement)
			l.open(tName)
		}
		l.put(tab, tab.Shape(), int64(i), "x")
		l.flush(tab)
		var last delta.Add
		for f := range h.delta(tName).Files() {
			last = f
		}
		if want := `"nullCount":` + x.want + "}"; !strings.HasSuffix(last.Stats, want) {
			t.Errorf("%s: statistics %s, want %s", x.statement, last.Stats, want)
		}
	}
	for _, sql := range []string{
		"ALTER TABLE main.default.t SET TBLPROPERTIES ('delta.dataSkippingStatsColumns' = 'a, x')",
		"CREATE TABLE main.default.u (a INT) TBLPROPERTIES ('delta.dataSkippingStatsColumns' = 'x')",
	} {
		if _, err := l.eng.Exec(t.Context(), sql); !errors.Is(err, catalog.ErrInvalid) || !strings.Contains(err.Error(), "there is no column x") {
			t.Errorf("%s: error %v", sql, err)
		}
	}
	l.stop()
}

// Columns find their places by the names in files, and so do fields inside of them.
func TestMoveColumns(t *testing.T) {
	of := func(columns string) *schema.Struct {
		ct, err := schema.ParseCreateTable("CREATE TABLE t (" + columns + ")")
		if err != nil {
			t.Fatal(err)
		}
		return &ct.Columns
	}
	then := of("a BIGINT, s STRUCT<x: INT>, l ARRAY<STRUCT<y: INT>>, m MAP<STRING, STRUCT<z: INT>>")
	c, err := column.NewChunk(then)
	if err != nil {
		t.Fatal(err)
	}
	c.Cols[0].AppendInt64(1)
	c.Cols[1].Kids[0].AppendInt32(2)
	c.Cols[1].EndStruct()
	c.Cols[2].Kids[0].Kids[0].AppendInt32(3)
	c.Cols[2].Kids[0].EndStruct()
	c.Cols[2].EndList()
	c.Cols[3].EndList()
	c.EndRow(make([]bool, 4))
	for now, want := range map[string]string{
		"m MAP<STRING, STRUCT<z: INT, zz: INT>>, n STRING, l ARRAY<STRUCT<y: INT, yy: INT>>, s STRUCT<x: INT, xx: STRING>, a BIGINT": "[[] <nil> [[{y 3} {yy <nil>}]] [{x 2} {xx <nil>}] 1]",
		"n STRING, a BIGINT":              "[<nil> 1]",
		"a STRING":                        "column a is string, and was bigint",
		"s STRUCT<y: INT>":                "[[{y <nil>}]]",
		"s STRUCT<x: BIGINT>":             "in column s: column x is bigint, and was int",
		"l ARRAY<STRUCT<n: INT, y: INT>>": "[[[{n <nil>} {y 3}]]]",
		"m MAP<INT, STRUCT<z: INT>>":      "column m is",
		"m ARRAY<STRUCT<z: INT>>":         "column m is",
	} {
		got, err := moveColumns(c, then, of(now))
		if err != nil {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %s", now, err, want)
			}
			continue
		}
		if text := fmt.Sprint(parquetfile.Row(got, of(now), 0)); text != want || got.Rows != 1 {
			t.Errorf("%s: got %s, want %s", now, text, want)
		}
	}
}

func TestFileOptions_Compression(t *testing.T) {
	const property = "delta.parquet.compression.codec"
	for _, x := range []struct {
		properties map[string]string
		want       string
	}{
		{nil, "snappy"},
		{map[string]string{property: "gzip"}, "gzip"},
		{map[string]string{"Delta.Parquet.Compression.Codec": " ZSTD "}, "zstd"},
		{map[string]string{property: "brotli"}, "snappy"}, // of another writer
	} {
		s := &delta.Snapshot{Metadata: delta.Metadata{Configuration: x.properties}}
		if got := fileOptions(parquetfile.Options{Compression: "snappy"}, s).Compression; got != x.want {
			t.Errorf("%v: %s, want %s", x.properties, got, x.want)
		}
	}
}

func TestWithIndexed(t *testing.T) {
	base := parquetfile.Options{Compression: "uncompressed", IndexedColumns: 5}
	for _, x := range []struct {
		in      delta.Indexed
		first   int
		columns int // -1 for nil
	}{
		{delta.Indexed{}, 5, -1},
		{delta.Indexed{First: new(-1)}, -1, -1},
		{delta.Indexed{First: new(3)}, 3, -1},
		{delta.Indexed{First: new(0)}, 0, 0},
		{delta.Indexed{First: new(0), Columns: [][]string{{"a"}}}, 0, 1},
		{delta.Indexed{Columns: [][]string{}}, 5, 0},
	} {
		got := withIndexed(base, x.in)
		n := -1
		if got.StatsColumns != nil {
			n = len(got.StatsColumns)
		}
		if got.IndexedColumns != x.first || n != x.columns || got.Compression != "uncompressed" {
			t.Errorf("%+v gives %+v", x.in, got)
		}
	}
}

func TestNestedIDs_HavePhysicalNames(t *testing.T) {
	f := schema.Field{Name: "a", Metadata: map[string]string{delta.PhysicalName: `"col-1"`, delta.ColumnID: "1"}, Type: schema.Type{Kind: schema.Array, Elem: &schema.Type{Kind: schema.Long}}}
	m := &delta.Metadata{Configuration: map[string]string{delta.MappingMode: "name"}}
	for _, x := range []struct{ key, text, want string }{
		{delta.NestedIDs, `{"col-1.element":5}`, `{"col-1.element":5}`},
		{delta.OldNestedIDs, `{"a.element":5,"a.element.key":6}`, `{"col-1.element":5,"col-1.element.key":6}`},
		{delta.NestedIDs, `{"ab.element":5}`, `{"ab.element":5}`},
		{"other", `{"a.element":5}`, ``},
	} {
		g := f
		g.Metadata = map[string]string{delta.PhysicalName: `"col-1"`, delta.ColumnID: "1", x.key: x.text}
		s, err := storedColumns(m, &schema.Struct{Fields: []schema.Field{g}})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Fields[0].Metadata[parquetfile.NestedIDsKey]; got != x.want || s.Fields[0].Metadata[parquetfile.FieldIDKey] != "1" {
			t.Errorf("%s gives %s, want %s", x.text, got, x.want)
		}
	}
	f.Metadata[delta.NestedIDs] = `[]`
	if _, err := storedColumns(m, &schema.Struct{Fields: []schema.Field{f}}); err == nil {
		t.Error("ids that are none are taken")
	}
	if got := lastColumnID(&delta.Metadata{}, &schema.Struct{Fields: []schema.Field{{Metadata: map[string]string{delta.ColumnID: "3", delta.NestedIDs: `{"a.element":9}`}}}}); got != 9 {
		t.Errorf("the last id is %d", got)
	}
}

// What the log of somebody else's table says of its columns is written by it, or refused.
func FuzzShape_Mapped(f *testing.F) {
	f.Add(`{"type":"struct","fields":[{"name":"a","type":{"type":"array","elementType":{"type":"struct","fields":[{"name":"b","type":"long","nullable":true,`+
		`"metadata":{"delta.columnMapping.id":2,"delta.columnMapping.physicalName":"x"}}]},"containsNull":true},"nullable":true,`+
		`"metadata":{"delta.columnMapping.id":1,"delta.columnMapping.physicalName":"y","delta.columnMapping.nested.ids":{"y.element":3}}}]}`, "id")
	f.Add(`{"type":"struct","fields":[{"name":"a","type":"string","metadata":{"delta.columnMapping.id":1,"delta.columnMapping.physicalName":"y","parquet.field.nested.ids":[]}}]}`, "name")
	f.Fuzz(func(t *testing.T, columns, mode string) {
		snap := &delta.Snapshot{
			Protocol: delta.Protocol{MinReaderVersion: 2, MinWriterVersion: 5},
			Metadata: delta.Metadata{Format: delta.Format{Provider: "parquet"}, SchemaString: columns, Configuration: map[string]string{delta.MappingMode: mode}},
		}
		if delta.CheckWritable(snap) != nil {
			return
		}
		s, err := newShape(snap)
		if err != nil {
			return
		}
		c := s.Chunk()
		for i := range c.Cols {
			c.Cols[i].AppendNull()
		}
		c.EndRow(make([]bool, len(c.Cols)))
		res, err := parquetfile.Write(io.Discard, s.scheme.Files(), []*column.Chunk{c}, withIndexed(parquetfile.Options{}, snap.Indexed()))
		if err == nil && !json.Valid([]byte(res.Stats)) {
			t.Errorf("statistics %s", res.Stats)
		}
	})
}
