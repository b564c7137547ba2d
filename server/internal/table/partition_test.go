package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
)

// oddTexts are values that paths, URIs, JSON and file systems have trouble with.
var oddTexts = []string{
	"", " ", "a", "A", "a b", "100%", "%2F", "US/East", "..", ".", "a.", "größe", "€🎈", `"quoted"`, "it's", `back\slash`, "a=b", "a&b?c#d", "line\nend",
	"nul\x00", "__HIVE_DEFAULT_PARTITION__", "null", "NULL", "_delta_log", ".hidden", "con", strings.Repeat("long", 200), "2024-01-01", "1.0",
}

// randomValue adds a value of few, so that rows meet, and gives what is read back from a file.
func randomValue(r *rand.Rand, t *schema.Type, v *column.Vector) any {
	if r.IntN(6) == 0 {
		v.AppendNull()
		return nil
	}
	switch t.Kind {
	case schema.Boolean:
		b := r.IntN(2) == 0
		v.AppendBool(b)
		return b
	case schema.Byte, schema.Short, schema.Integer:
		x := []int32{-128, -1, 0, 127}[r.IntN(4)]
		v.AppendInt32(x)
		return x
	case schema.Long:
		x := []int64{math.MinInt64, -1, 0, math.MaxInt64}[r.IntN(4)]
		v.AppendInt64(x)
		return x
	case schema.Float:
		x := []float32{0, -1.5, math.MaxFloat32, float32(math.NaN()), float32(math.Inf(-1))}[r.IntN(5)]
		v.AppendFloat32(x)
		return x
	case schema.Double:
		x := []float64{0, 1e-300, math.MaxFloat64, math.NaN(), math.Inf(1)}[r.IntN(5)]
		v.AppendFloat64(x)
		return x
	case schema.Decimal:
		x := []int64{0, -1, 150, 99999}[r.IntN(4)]
		v.AppendDecimal(column.Decimal128{Lo: uint64(x), Hi: x >> 63})
		return map[int64]string{0: "0.00", -1: "-0.01", 150: "1.50", 99999: "999.99"}[x]
	case schema.Date:
		x := []int32{-719162, 0, 20000, 2932896}[r.IntN(4)]
		v.AppendInt32(x)
		return time.Unix(int64(x)*86400, 0).UTC()
	case schema.Timestamp, schema.TimestampNTZ:
		x := []int64{-62135596800000000, -1, 0, 1_700_000_000_123_456, 253402300799999999}[r.IntN(5)]
		v.AppendInt64(x)
		return time.UnixMicro(x).UTC()
	}
	s := oddTexts[r.IntN(len(oddTexts))]
	v.AppendString(s)
	return s
}

// Random rows of tables with every type, by the server's way into the lake and back: the same rows, and each file has those of
// its partition.
func TestPartition_DT04_RowsComeBack(t *testing.T) {
	types := []string{
		"BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL(5,2)", "STRING", "VARCHAR(1000)", "DATE", "TIMESTAMP", "TIMESTAMP_NTZ",
	}
	h := newHouse(t)
	a := h.start(Options{CommitInterval: time.Hour, CommitBytes: 16 << 10})
	for seed := range uint64(26) {
		r := rand.New(rand.NewPCG(seed, 7))
		name := catalog.Name{Catalog: "main", Schema: "default", Table: fmt.Sprint("t", seed)}
		keys := r.IntN(4)
		var columns, by []string
		for i := range keys {
			kind := types[(int(seed)+i*5)%len(types)]
			columns = append(columns, fmt.Sprintf("k%d %s", i, kind))
			by = append(by, fmt.Sprint("k", i))
		}
		columns = append(columns, "id BIGINT", "v "+types[r.IntN(len(types))])
		r.Shuffle(len(columns), func(i, j int) { columns[i], columns[j] = columns[j], columns[i] })
		r.Shuffle(len(by), func(i, j int) { by[i], by[j] = by[j], by[i] })
		sql := "CREATE TABLE " + name.String() + " (" + strings.Join(columns, ", ") + ")"
		if keys > 0 {
			sql += " PARTITIONED BY (" + strings.Join(by, ", ") + ")"
		}
		a.sql(sql)
		tab := a.open(name)
		var want []string
		for range 1 + r.IntN(3) {
			c := tab.Chunk()
			for range r.IntN(30) {
				row := make([]any, len(c.Cols))
				for j := range c.Cols {
					f := &tab.Shape().Schema().Fields[j]
					row[j] = randomValue(r, &f.Type, &c.Cols[j])
					if row[j] == "" && slices.Contains(by, f.Name) {
						row[j] = nil
					}
				}
				c.EndRow(make([]bool, len(c.Cols)))
				want = append(want, fmt.Sprintf("%q", row))
			}
			done := make(chan error, 1)
			if err := tab.Append(t.Context(), nil, c, func(err error) { done <- err }); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if r.IntN(2) == 0 {
				a.flush(tab)
			}
		}
		a.flush(tab)
		info := tab.Info()
		tables := NewTables(h.lake, "test", time.Now)
		var got []string
		if err := tables.Head(t.Context(), info, 1<<30, func(v []any) error {
			got = append(got, fmt.Sprintf("%q", v))
			return nil
		}); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%s: %d rows came back of %d\n%q\n%q", sql, len(got), len(want), got, want)
		}
		h.partitionsAreRight(info, by)
		problems, err := delta.Lint(t.Context(), h.lake.Sub(info.Location), delta.LintOptions{Files: true})
		if err != nil || len(problems) > 0 {
			t.Errorf("%s: %v, %v", sql, problems, err)
		}
	}
	a.stop()
}

// partitionsAreRight checks the files of a table: no commit has two of one partition, unless it has much, the statistics and the
// file have none of the partition columns, and the path says nothing but plain values.
func (h *house) partitionsAreRight(info catalog.Table, by []string) {
	h.t.Helper()
	d, err := NewTables(h.lake, "test", time.Now).Delta(h.t.Context(), info)
	if err != nil {
		h.t.Fatal(err)
	}
	for f := range d.Snapshot().Files() {
		if len(f.PartitionValues) != len(by) {
			h.t.Errorf("%s: values %v", f.Path, f.PartitionValues)
		}
		if strings.Trim(strings.ToLower(f.Path), "abcdefghijklmnopqrstuvwxyz0123456789._-=/") != "" {
			h.t.Errorf("path %q", f.Path)
		}
		if dir, _, ok := strings.Cut(f.Path, "/part-"); ok {
			var want []string
			for _, k := range by {
				want = append(want, k+"="+*f.PartitionValues[k])
			}
			if strings.Join(want, "/") != dir {
				h.t.Errorf("path %q of %v", f.Path, want)
			}
		}
		var stats struct{ NullCount map[string]int64 }
		if err := json.Unmarshal([]byte(f.Stats), &stats); err != nil {
			h.t.Fatal(err)
		}
		for _, k := range by {
			if _, ok := stats.NullCount[k]; ok {
				h.t.Errorf("the statistics of %s have %s", f.Path, k)
			}
		}
		file := &schema.Struct{}
		for _, k := range by {
			file.Fields = append(file.Fields, schema.Field{Name: k, Type: schema.Type{Kind: schema.String}, Nullable: true})
		}
		file.Fields = append(file.Fields, schema.Field{Name: "id", Type: schema.Type{Kind: schema.Long}, Nullable: true})
		r, err := h.lake.Sub(info.Location).Open(h.t.Context(), f.Path)
		if err != nil {
			h.t.Fatal(err)
		}
		if err := parquetfile.Read(r, r.Size(), file, -1, func(v []any) error {
			if slices.ContainsFunc(v[:len(by)], func(x any) bool { return x != nil }) {
				return errors.New("the file has a partition column")
			}
			return nil
		}); err != nil {
			h.t.Errorf("%s: %v", f.Path, err)
		}
		r.Close()
	}
}

const byKey = "CREATE TABLE main.default.t (id BIGINT, k STRING) PARTITIONED BY (k)"

// keyed appends rows with these keys and ids from first on, and waits until they are durable.
func (l *life) keyed(t *Table, first int64, keys ...string) {
	l.t.Helper()
	c := t.Chunk()
	for i, k := range keys {
		c.Cols[0].AppendInt64(first + int64(i))
		c.Cols[1].AppendString(k)
		c.EndRow(make([]bool, 2))
	}
	done := make(chan error, 1)
	if err := t.Append(l.t.Context(), nil, c, func(err error) { done <- err }); err != nil {
		l.t.Fatal(err)
	}
	if err := <-done; err != nil {
		l.t.Fatal(err)
	}
}

// dataFiles lists the data files of the table, in directories too.
func (h *house) dataFiles() (names []string) {
	h.t.Helper()
	for f, err := range h.lake.List(h.t.Context(), "main/default/t/", "") {
		if err != nil {
			h.t.Fatal(err)
		}
		if strings.Contains(f.Path, "part-") {
			names = append(names, strings.TrimPrefix(f.Path, "main/default/t/"))
		}
	}
	return names
}

func TestPartition_OneCommitAFileForEach(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql(byKey)
	tab := a.open(tName)
	a.keyed(tab, 0, "b", "a", "b", "x/y", "")
	a.keyed(tab, 5, "a", "a")
	a.flush(tab)
	if v := h.versions(tName); v != 1 {
		t.Errorf("version %d", v)
	}
	h.want(tName, 7)
	var dirs []string
	for _, f := range h.dataFiles() {
		dirs = append(dirs, f[:strings.Index(f, "part-")])
	}
	if !slices.Equal(dirs, []string{"k=a/", "k=b/", "", ""}) {
		t.Errorf("directories %q", dirs)
	}
	a.sql("DROP TABLE main.default.t")
	for f, err := range h.lake.List(t.Context(), "", "") {
		t.Errorf("%s is left, %v", f.Path, err)
	}
	a.stop()
}

// A file that fails does not undo those before it, and the commit has each row once.
func TestPartition_AFileFails(t *testing.T) {
	h := newHouse(t)
	var fail atomic.Int32
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if op.Name == "commit" && strings.Contains(op.Path, "/k=c/") && fail.Add(-1) >= 0 {
			if fail.Load()%2 == 0 {
				return nil, errors.New("no answer")
			}
			return errors.New("no space left"), nil
		}
		return nil, nil
	})
	a := h.start(Options{CommitInterval: time.Millisecond})
	a.sql(byKey)
	tab := a.open(tName)
	fail.Store(3)
	a.keyed(tab, 0, "a", "b", "c", "d", "a", "b", "c", "d")
	a.flush(tab)
	h.want(tName, 8)
	if v := h.versions(tName); v != 1 {
		t.Errorf("version %d", v)
	}
	eventually(t, "the end of the orphans", func() bool { return len(h.dataFiles()) == 4 })
	a.stop()
}

// The server ends between the files and their commit: those in directories are found, too.
func TestSweep_FilesOfPartitions(t *testing.T) {
	h := newHouse(t)
	var failing atomic.Bool
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if failing.Load() && op.Name == "put if absent" && strings.Contains(op.Path, "/_delta_log/") {
			return errors.New("the lake is away"), nil
		}
		return nil, nil
	})
	a := h.start(never)
	a.sql(byKey)
	// Files of others: another log's, one with a random name, and what has no name of ours.
	others := []string{
		"k=a/" + parquetfile.NewName(fileID([16]byte{1}, "another log", 1000, 0), parquetfile.Options{}),
		"k=a/part-00000-8b1b0a2e-4f44-4a5e-9a3a-000000000000.c000.zstd.parquet",
		"k=part-00000-x/part-", "zz/part-00000", "A/part-00000-8b1b0a2e-4f44-8a5e-9a3a-00000000000", "part-0-8b1b0a2e-4f44-8a5e-9a3a-000000000000",
	}
	for _, name := range others {
		if err := h.lake.Put(t.Context(), "main/default/t/"+name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	tab := a.open(tName)
	a.keyed(tab, 0, "a", "b", "z", "x/y")
	a.flush(tab)
	a.keyed(tab, 4, "a", "c", "", "Z")
	failing.Store(true)
	tab.signal()
	go tab.Flush(t.Context())
	eventually(t, "the files", func() bool { return len(h.dataFiles()) == len(others)+8 })
	a.crash()

	failing.Store(false)
	h.start(never).stop()
	h.want(tName, 8)
	files := h.dataFiles()
	if len(files) != len(others)+8 {
		t.Errorf("the table has the files %q", files)
	}
	for _, name := range others {
		if !slices.Contains(files, name) {
			t.Errorf("%s is gone", name)
		}
	}
	d := h.start(never)
	if known, err := d.ledger.Load(d.open(tName).Info().ID); err != nil || len(known.Orphans) > 0 {
		t.Errorf("the ledger still looks for orphans: %+v, %v", known, err)
	}
	d.stop()
}

func TestFileNames_NoneTwice(t *testing.T) {
	var names fileNames
	type id struct{ random, round uint32 }
	seen := map[id]bool{}
	for range 1<<randomBits + 10 {
		random, round := names.next()
		if at := (id{random, round}); seen[at] || random >= 1<<randomBits {
			t.Fatalf("%v comes twice, or is too large", at)
		} else {
			seen[at] = true
		}
	}
	h := newHouse(t)
	a := h.start(never)
	a.sql(byKey)
	tab := a.open(tName)
	if name := tab.newFile(77, &names, plain); !strings.HasPrefix(name, "part-00001-") {
		t.Errorf("%s does not say that the ids have come around", name)
	}
	for _, seq := range []uint64{1, 63, 64, 77, 1<<38 - 1, 1 << 44, 1<<56 - 1} {
		if got, ok := tab.seqOf("k=a/" + tab.newFile(seq, &names, plain)); !ok || got != seq {
			t.Errorf("sequence %d came as %d, %v", seq, got, ok)
		}
	}
	a.stop()
}

// More partitions than are good for the table are told of, and all of them are written.
func TestPartition_VeryMany(t *testing.T) {
	h := newHouse(t)
	var log strings.Builder
	a := h.start(Options{CommitInterval: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	a.sql(byKey)
	tab := a.open(tName)
	n := int64(0)
	for _, count := range []int{manyPartitions, manyPartitions + 1, manyPartitions + 2, 2*manyPartitions + 2} {
		keys := make([]string, 0, count)
		for i := range count {
			keys = append(keys, fmt.Sprintf("k%d/", i))
		}
		for part := range slices.Chunk(keys, 500) { // an entry of the log has a bound
			a.keyed(tab, n, part...)
			n += int64(len(part))
		}
		a.flush(tab)
	}
	a.stop()
	d, err := NewTables(h.lake, "test", time.Now).Delta(t.Context(), tab.Info())
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Snapshot().NumFiles(); int64(got) != n || d.Snapshot().Version != 4 {
		t.Errorf("%d files for %d partitions by version %d", got, n, d.Snapshot().Version)
	}
	if told := strings.Count(log.String(), "very many partitions"); told != 2 || !strings.Contains(log.String(), "partitions=1001") || !strings.Contains(log.String(), "partitions=2002") {
		t.Errorf("told %d times:\n%s", told, log.String())
	}
}

// Others write paths and values in their own forms: Spark escapes directories, and delta-rs leaves out the zone.
func TestHead_DT04_PartitionsOfOtherWriters(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT, region STRING, at TIMESTAMP) PARTITIONED BY (region, at)")
	tab := a.open(tName)
	a.durable(tab, 0, 1)
	a.flush(tab)
	a.stop()
	name := h.dataFiles()[0]
	data, err := h.lake.Get(t.Context(), "main/default/t/"+name)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.lake.Put(t.Context(), "main/default/t/region=US%2FEast/at=2023-06-15 12%3A30%3A00/x.parquet", data); err != nil {
		t.Fatal(err)
	}
	commit := fmt.Sprintf(`{"commitInfo":{"timestamp":1,"operation":"WRITE"}}
{"add":{"path":"region=US%%252FEast/at=2023-06-15%%2012%%253A30%%253A00/x.parquet","partitionValues":{"region":"US/East","at":"2023-06-15 12:30:00"},"size":%d,"modificationTime":%d,"dataChange":true}}
`, len(data), time.Now().Add(time.Second).UnixMilli())
	if err := h.lake.Put(t.Context(), fmt.Sprintf("main/default/t/_delta_log/%020d.json", 2), []byte(commit)); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := NewTables(h.lake, "test", time.Now).Head(t.Context(), tab.Info(), 10, func(v []any) error {
		got = append(got, fmt.Sprint(v))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"[0 US/East 2023-06-15 12:30:00 +0000 UTC]", "[0 <nil> <nil>]"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	// The server goes on behind the other writer.
	b := h.start(never)
	b.durable(b.open(tName), 1, 1)
	b.stop()
	if v := h.versions(tName); v != 3 {
		t.Errorf("version %d", v)
	}
}

// delta.dataSkippingNumIndexedCols: partition columns are not among the first 32.
func TestPartition_StatisticsAreOfTheOthers(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	var columns []string
	for i := range 40 {
		columns = append(columns, fmt.Sprintf("c%d BIGINT", i))
	}
	a.sql("CREATE TABLE main.default.t (" + strings.Join(columns, ", ") + ") PARTITIONED BY (c0, c5)")
	tab := a.open(tName)
	a.durable(tab, 0, 3)
	a.flush(tab)
	a.stop()
	d, err := NewTables(h.lake, "test", time.Now).Delta(t.Context(), tab.Info())
	if err != nil {
		t.Fatal(err)
	}
	for f := range d.Snapshot().Files() {
		var stats struct{ NullCount map[string]int64 }
		if err := json.Unmarshal([]byte(f.Stats), &stats); err != nil {
			t.Fatal(err)
		}
		_, last := stats.NullCount["c33"]
		_, beyond := stats.NullCount["c34"]
		if len(stats.NullCount) != parquetfile.DefaultIndexedColumns || !last || beyond {
			t.Errorf("statistics of %v", stats.NullCount)
		}
	}
}

// A table whose partition columns cannot be written is refused before it takes rows.
func TestOpen_PartitionColumnsOfOthers(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT, b BINARY)")
	commit := `{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}},{\"name\":\"b\",\"type\":\"binary\",\"nullable\":true,\"metadata\":{}}]}","partitionColumns":["b"],"configuration":{}}}` + "\n"
	if err := h.lake.Put(t.Context(), fmt.Sprintf("main/default/t/_delta_log/%020d.json", 1), []byte(commit)); err != nil {
		t.Fatal(err)
	}
	_, err := a.set.Open(t.Context(), tName)
	if !errors.Is(err, delta.ErrUnsupported) || !strings.Contains(err.Error(), "column b of type BINARY cannot be a partition column") {
		t.Errorf("got %v", err)
	}
	a.stop()
}
