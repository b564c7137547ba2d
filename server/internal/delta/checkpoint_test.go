package delta

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// history draws the commits of a table: every kind of action, with every field that a checkpoint keeps.
type history struct {
	*rapid.T
	live []string
	next int
}

func (h *history) text(label string) string { return rapid.StringN(0, 8, 20).Draw(h.T, label) }

func (h *history) maybe(label string) *string {
	if rapid.Bool().Draw(h.T, label+"?") {
		return nil
	}
	return new(h.text(label))
}

func (h *history) number(label string) *int64 {
	if rapid.Bool().Draw(h.T, label+"?") {
		return nil
	}
	return new(rapid.Int64().Draw(h.T, label))
}

func (h *history) values(label string) map[string]*string {
	out := map[string]*string{}
	for range rapid.IntRange(0, 2).Draw(h.T, label) {
		out[h.text(label+" key")] = h.maybe(label)
	}
	return out
}

func (h *history) vector() *DeletionVector {
	if rapid.IntRange(0, 3).Draw(h.T, "dv") > 0 {
		return nil
	}
	v := &DeletionVector{StorageType: "u", PathOrInlineDV: h.text("dv path"), SizeInBytes: 1 + rapid.Int32Range(0, 9).Draw(h.T, "dv size"), Cardinality: rapid.Int64().Draw(h.T, "dv rows")}
	if rapid.Bool().Draw(h.T, "dv offset?") {
		v.Offset = new(rapid.Int32().Draw(h.T, "dv offset"))
	}
	return v
}

func (h *history) metadata() *Metadata {
	m := &Metadata{
		ID: "table-id", Name: h.text("name"), Description: h.text("description"), SchemaString: testSchema,
		Format: Format{Provider: "parquet", Options: map[string]string{}}, PartitionColumns: []string{}, Configuration: map[string]string{},
		CreatedTime: rapid.Int64Range(0, 9).Draw(h.T, "created"),
	}
	if rapid.Bool().Draw(h.T, "configured") {
		m.Configuration["delta.appendOnly"] = "false"
		m.Configuration["x"] = h.text("property")
		m.Format.Options["o"] = h.text("option")
		m.PartitionColumns = []string{"device"}
	}
	return m
}

func (h *history) commit(first bool) *commit {
	c := &commit{}
	if first || rapid.IntRange(0, 9).Draw(h.T, "metaData") == 0 {
		c.metadata = h.metadata()
	}
	if first || rapid.IntRange(0, 9).Draw(h.T, "protocol") == 0 {
		c.protocol = new(rapid.SampledFrom([]Protocol{
			{MinReaderVersion: 1, MinWriterVersion: 2},
			{MinReaderVersion: 1, MinWriterVersion: 7, WriterFeatures: []string{}},
			{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{}, WriterFeatures: []string{"appendOnly"}},
			{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{"v2Checkpoint", "timestampNtz"}, WriterFeatures: []string{"v2Checkpoint", "timestampNtz", "appendOnly"}},
		}).Draw(h.T, "versions"))
	}
	for _, app := range []string{"a", "b", "ü"}[:rapid.IntRange(0, 3).Draw(h.T, "txns")] {
		c.txns = append(c.txns, Txn{AppID: app, Version: rapid.Int64().Draw(h.T, "txn"), LastUpdated: rapid.Int64Range(0, 9).Draw(h.T, "updated")})
	}
	if rapid.IntRange(0, 4).Draw(h.T, "domain") == 0 {
		c.domains = append(c.domains, DomainMetadata{Domain: rapid.SampledFrom([]string{"x", "y"}).Draw(h.T, "domain name"), Configuration: h.text("domain"), Removed: rapid.Bool().Draw(h.T, "removed")})
	}
	for range rapid.IntRange(0, min(3, len(h.live))).Draw(h.T, "removes") {
		i := rapid.IntRange(0, len(h.live)-1).Draw(h.T, "remove")
		// Around the time until which removed files are kept: a week before the clock's.
		age := rapid.SampledFrom([]time.Duration{0, time.Hour, 7*24*time.Hour - 1e6, 7 * 24 * time.Hour, 7*24*time.Hour + 1e6}).Draw(h.T, "age")
		r := Remove{Path: h.live[i], DeletionTimestamp: clock().Add(-age).UnixMilli(), DataChange: true, Size: h.number("size"), DeletionVector: h.vector(), BaseRowID: h.number("row id"), DefaultRowCommitVersion: h.number("row version"), Stats: `{"numRecords":1}`}
		if r.ExtendedFileMetadata = rapid.Bool().Draw(h.T, "extended"); r.ExtendedFileMetadata {
			r.PartitionValues = map[string]*string{"device": h.maybe("device")}
		}
		c.removes = append(c.removes, r)
	}
	for range rapid.SampledFrom([]int{0, 1, 2, 20}).Draw(h.T, "adds") {
		name := fmt.Sprint("f", h.next)
		h.next++
		if len(h.live) > 0 && rapid.IntRange(0, 5).Draw(h.T, "again") == 0 {
			name = rapid.SampledFrom(h.live).Draw(h.T, "which")
		}
		h.live = append(h.live, name)
		c.adds = append(c.adds, Add{
			Path: name, PartitionValues: h.values("value"), Size: rapid.Int64Range(0, 1<<40).Draw(h.T, "bytes"), ModificationTime: rapid.Int64().Draw(h.T, "modified"),
			DataChange: true, Stats: h.text("stats"), Tags: h.values("tag"), DeletionVector: h.vector(), BaseRowID: h.number("row id"),
			DefaultRowCommitVersion: h.number("row version"), ClusteringProvider: h.maybe("clustering"),
		})
	}
	return c
}

// same checks that two tables have the same state, with the files in the same order and the same tombstones.
func same(t interface{ Fatalf(string, ...any) }, what string, want, got *Snapshot) {
	if want.Version != got.Version {
		t.Fatalf("%s: version %d, want %d", what, got.Version, want.Version)
	}
	if diff := want.differs(got); diff != "" {
		t.Fatalf("%s: version %d: %s", what, got.Version, diff)
	}
	if !slices.Equal(paths(want), paths(got)) {
		t.Fatalf("%s: files are %q, want %q", what, paths(got), paths(want))
	}
	if want.NumFiles() != got.NumFiles() || want.SizeBytes() != got.SizeBytes() {
		t.Fatalf("%s: %d files of %d bytes, want %d of %d", what, got.NumFiles(), got.SizeBytes(), want.NumFiles(), want.SizeBytes())
	}
	stones := func(s *Snapshot) []Remove {
		out := s.tombstones(clock())
		for i := range out {
			out[i].DataChange = false
		}
		return out
	}
	if w, g := stones(want), stones(got); len(w) != len(g) || len(w) > 0 && !reflect.DeepEqual(w, g) {
		t.Fatalf("%s: tombstones are %+v, want %+v", what, g, w)
	}
}

// spec/delta.md §9: the same from the commits alone and from each checkpoint with the commits after it.
func TestCheckpoint_DT02_HasTheStateOfItsVersion(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		h := &history{T: rt}
		whole, store := lake.NewMemory(), lake.NewMemory() // with the commits alone, and with checkpoints
		open := func(s lake.Store) *Table {
			table, err := Open(ctx, s, Options{Now: clock})
			if err != nil {
				rt.Fatal(err)
			}
			return deterministic(table)
		}
		n := int64(rapid.IntRange(1, 12).Draw(rt, "commits"))
		for v := range n {
			body, err := encode(CommitInfo{Operation: "WRITE"}, h.commit(v == 0))
			if err != nil {
				rt.Fatal(err)
			}
			for _, s := range []lake.Store{whole, store} {
				if err := s.PutIfAbsent(ctx, commitPath(v), body); err != nil {
					rt.Fatal(err)
				}
			}
			if rapid.IntRange(0, 2).Draw(rt, "checkpoint") > 0 {
				continue
			}
			table := open(store)
			same(rt, "before the checkpoint", open(whole).Snapshot(), table.Snapshot())
			if at, err := table.Checkpoint(ctx); err != nil || at != v {
				rt.Fatalf("checkpoint of version %d: %v", at, err)
			}
			if rapid.Bool().Draw(rt, "clean") {
				for old := range v + rapid.Int64Range(0, 1).Draw(rt, "own commit too") {
					if err := store.Delete(ctx, commitPath(old)); err != nil {
						rt.Fatal(err)
					}
				}
			}
			if rapid.Bool().Draw(rt, "no hint") {
				if err := store.Delete(ctx, hintPath); err != nil {
					rt.Fatal(err)
				}
			}
			same(rt, "after the checkpoint", open(whole).Snapshot(), open(store).Snapshot())
		}
		same(rt, "in the end", open(whole).Snapshot(), open(store).Snapshot())
	})
}

// spec/delta.md §4: columns and their order as in Spark 4.0's.
func TestCheckpoint_Schema(t *testing.T) {
	v1 := parquet.SchemaOf(checkpointRow{}).String()
	want := `
txn: appId version lastUpdated
add: path partitionValues{key_value{key! value}} size modificationTime dataChange tags{key_value{key! value}} deletionVector{storageType pathOrInlineDv offset sizeInBytes cardinality} baseRowId defaultRowCommitVersion clusteringProvider stats
remove: path deletionTimestamp dataChange extendedFileMetadata partitionValues{key_value{key! value}} size deletionVector{storageType pathOrInlineDv offset sizeInBytes cardinality} baseRowId defaultRowCommitVersion
metaData: id name description format{provider options{key_value{key! value}}} schemaString partitionColumns{list{element}} configuration{key_value{key! value}} createdTime
protocol: minReaderVersion minWriterVersion readerFeatures{list{element}} writerFeatures{list{element}}
domainMetadata: domain configuration removed
`
	var b strings.Builder
	b.WriteString("\n")
	var inside func(n parquet.Node) string
	inside = func(n parquet.Node) string {
		var parts []string
		for _, f := range n.Fields() {
			part := f.Name()
			switch {
			case !f.Leaf():
				part += "{" + inside(f) + "}"
			case f.Required():
				part += "!"
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, " ")
	}
	for _, f := range parquet.SchemaOf(checkpointRow{}).Fields() {
		if !f.Optional() {
			t.Errorf("%s is not optional", f.Name())
		}
		fmt.Fprintf(&b, "%s: %s\n", f.Name(), inside(f))
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("columns (-want +got):\n%s\n%s", diff, v1)
	}
}

// spec/delta.md §4: the hint, features null or not, dataChange false, no statistics of removes.
func TestCheckpoint_File(t *testing.T) {
	store := lake.NewMemory()
	table := newTestTable(t, store)
	mustAppend(t, table, appendFiles("app", 1, "a", "b"))
	writeRaw(t, store, 2, `{"remove":{"path":"a","deletionTimestamp":1764000000000,"dataChange":true,"stats":"{}","size":100}}`)
	if err := table.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, err := table.Checkpoint(t.Context()); err != nil || v != 2 {
		t.Fatalf("checkpoint of version %d: %v", v, err)
	}
	data, err := store.Get(t.Context(), "_delta_log/00000000000000000002.checkpoint.parquet")
	if err != nil {
		t.Fatal(err)
	}
	hint, err := store.Get(t.Context(), "_delta_log/_last_checkpoint")
	if want := fmt.Sprintf(`{"version":2,"size":5,"sizeInBytes":%d,"numOfAddFiles":1}`, len(data)); err != nil || string(hint) != want {
		t.Errorf("hint %s, error %v; want %s", hint, err, want)
	}
	rows, err := parquet.Read[checkpointRow](bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		switch {
		case r.Protocol != nil && (r.Protocol.ReaderFeatures != nil || r.Protocol.WriterFeatures != nil):
			t.Error("features of a protocol that has none are not null")
		case r.Add != nil && (*r.Add.DataChange || r.Add.PartitionValues == nil || *r.Add.Path != "b"):
			t.Errorf("add %+v", r.Add)
		case r.Remove != nil && (*r.Remove.DataChange || *r.Remove.Path != "a" || *r.Remove.Size != 100):
			t.Errorf("remove %+v", r.Remove)
		}
	}
	// The same version again is no error, and writes nothing.
	if _, err := openTestTable(t, store).Checkpoint(t.Context()); err != nil {
		t.Error(err)
	}
	fresh := openTestTable(t, store)
	fresh.checkpointed.Store(-1) // as if it had been written by somebody else meanwhile
	if _, err := fresh.Checkpoint(t.Context()); err != nil {
		t.Error(err)
	}
	if again, err := store.Get(t.Context(), checkpointPath(2)); err != nil || !bytes.Equal(again, data) {
		t.Errorf("the checkpoint was replaced, error %v", err)
	}
	wantClean(t, store, "b")
}

// A table whose checkpoints need what is not written keeps those of its other writers.
func TestCheckpoint_IsLeftToOthers(t *testing.T) {
	for _, c := range []struct {
		name, protocol, property string
	}{
		{"feature", `{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["unheardOf"],"writerFeatures":["unheardOf"]}}`, ""},
		{"statistics in columns", "", `"delta.checkpoint.writeStatsAsStruct":"true"`},
		{"no statistics in JSON", "", `"delta.checkpoint.writeStatsAsJson":"false"`},
		{"statistics in columns, in capitals", "", `"delta.checkpoint.writeStatsAsStruct":"TRUE"`},
		{"no statistics in JSON, in capitals", "", `"delta.checkpoint.writeStatsAsJson":"False"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := lake.NewMemory()
			newTestTable(t, store)
			line := c.protocol
			if line == "" {
				line = fmt.Sprintf(`{"metaData":{"id":"table-id","format":{"provider":"parquet"},"schemaString":%q,"configuration":{%s}}}`, testSchema, c.property)
			}
			writeRaw(t, store, 1, line)
			_, err := openTestTable(t, store).Checkpoint(t.Context())
			wantErr(t, "Checkpoint", err, ErrNoCheckpoint)
			if _, err := store.Get(t.Context(), checkpointPath(1)); err == nil {
				t.Error("it was written all the same")
			}
		})
	}
}

// The memory of tombstones follows those that have not expired.
func TestBuilder_DropsExpiredTombstones(t *testing.T) {
	b := newBuilder("t")
	for day := range int64(60) {
		c := &commit{}
		for i := range 200 {
			c.removes = append(c.removes, Remove{Path: fmt.Sprint(day, "-", i), DeletionTimestamp: day * 24 * 3600 * 1000})
		}
		b.apply(c)
	}
	if n := len(b.draft.removes); n > 2*7*200+200 {
		t.Errorf("%d tombstones are held for a week of 200 a day", n)
	}
	now := time.UnixMilli(59 * 24 * 3600 * 1000)
	if n := len(b.draft.tombstones(now)); n != 7*200 {
		t.Errorf("%d tombstones in a checkpoint, want those of 7 days", n)
	}
}

// counted counts the operations on a store by name, and by what they are about.
func counted(base lake.Store, ops map[string]int) lake.Store {
	return lake.Faulty(base, func(op lake.Op) (error, error) {
		what := op.Name
		if _, ok := commitVersion(op.Path); ok {
			what += " commit"
		}
		ops[what]++
		return nil, nil
	})
}

// Opening reads a bounded number of commits, and appending does a bounded number of things, at any age of the table.
func TestCheckpoint_BoundsWhatAnOldTableCosts(t *testing.T) {
	store := lake.NewMemory()
	ops := map[string]int{}
	table := newTestTable(t, counted(store, ops))
	const commits, interval = 2000, 100
	costs := map[string]bool{}
	for v := int64(1); v <= commits; v++ {
		clear(ops)
		mustAppend(t, table, appendFiles("app", v, fmt.Sprint("f", v)))
		costs[fmt.Sprint(ops)] = true
		if table.SinceCheckpoint() >= interval {
			if _, err := table.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(costs) != 1 {
		t.Errorf("appends cost %v operations", costs)
	}
	clear(ops)
	old := openTestTable(t, counted(store, ops))
	if s := old.Snapshot(); s.Version != commits || s.NumFiles() != commits {
		t.Errorf("version %d with %d files", s.Version, s.NumFiles())
	}
	if ops["get commit"] > interval+2 || ops["list"] != 1 {
		t.Errorf("opening costs %v", ops)
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, checkpoints := range []bool{false, true} {
		b.Run(fmt.Sprintf("commits=5000/checkpoints=%t", checkpoints), func(b *testing.B) {
			store := lake.NewMemory()
			table, err := Create(b.Context(), store, CreateSpec{SchemaString: testSchema, Now: clock})
			if err != nil {
				b.Fatal(err)
			}
			for v := int64(1); v <= 5000; v++ {
				if _, err := table.Append(b.Context(), appendFiles("app", v, fmt.Sprint("f", v))); err != nil {
					b.Fatal(err)
				}
				if checkpoints && table.SinceCheckpoint() >= 100 {
					if _, err := table.Checkpoint(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Open(b.Context(), store, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCheckpoint(b *testing.B) {
	for _, files := range []int{1000, 100_000} {
		b.Run(fmt.Sprintf("files=%d", files), func(b *testing.B) {
			table, err := Create(b.Context(), lake.NewMemory(), CreateSpec{SchemaString: testSchema, Now: clock})
			if err != nil {
				b.Fatal(err)
			}
			a := Append{AppID: "app", TxnVersion: 1}
			for i := range files {
				f := file(fmt.Sprintf("part-00000-%036d.c000.zstd.parquet", i))
				f.Stats = fmt.Sprintf(`{"numRecords":%d,"minValues":{"device":"a%d","temp":1},"maxValues":{"device":"z%d","temp":9},"nullCount":{"device":0,"temp":0}}`, i, i, i)
				a.Adds = append(a.Adds, f)
			}
			if _, err := table.Append(b.Context(), a); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			var size int64
			for b.Loop() {
				out := &counter{w: discard{}}
				if _, err := encodeCheckpoint(b.Context(), out, table.Snapshot(), nil, "bench"); err != nil {
					b.Fatal(err)
				}
				size = out.n
			}
			b.ReportMetric(float64(size), "file-bytes")
		})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
