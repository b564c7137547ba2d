package delta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testSchema = `{"type":"struct","fields":[{"name":"device","type":"string","nullable":true,"metadata":{}},{"name":"temp","type":"integer","nullable":true,"metadata":{}}]}`

// clock is a fixed time.
func clock() time.Time { return time.UnixMilli(1764000000123) }

// deterministic gives a table ids that count, and pauses that do not wait.
func deterministic(t *Table) *Table {
	n := 0
	t.newID = func() string { n++; return fmt.Sprintf("id-%d", n) }
	t.pause = noPause
	return t
}

func noPause(ctx context.Context, _ int) error { return ctx.Err() }

func newTestTable(t *testing.T, store lake.Store) *Table {
	t.Helper()
	table, err := Create(t.Context(), store, CreateSpec{
		ID: "table-id", Name: "main.default.air", SchemaString: testSchema, EngineInfo: "zerobus/test", Now: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	return deterministic(table)
}

func openTestTable(t *testing.T, store lake.Store) *Table {
	t.Helper()
	table, err := Open(t.Context(), store, Options{EngineInfo: "zerobus/test", Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return deterministic(table)
}

// file returns an add of a file of 4 rows and 100 bytes.
func file(path string) Add {
	return Add{Path: path, Size: 100, ModificationTime: 1764000000100, DataChange: true, Stats: `{"numRecords":4}`}
}

func appendFiles(appID string, txn int64, paths ...string) Append {
	a := Append{AppID: appID, TxnVersion: txn, Rows: 4 * int64(len(paths)), Bytes: 100 * int64(len(paths))}
	for _, p := range paths {
		a.Adds = append(a.Adds, file(p))
	}
	return a
}

func mustAppend(t *testing.T, table *Table, a Append) int64 {
	t.Helper()
	v, err := table.Append(t.Context(), a)
	if err != nil {
		t.Fatalf("Append(%s:%d): %v", a.AppID, a.TxnVersion, err)
	}
	return v
}

// writeRaw writes a commit as another engine would.
func writeRaw(t *testing.T, store lake.Store, version int64, lines ...string) {
	t.Helper()
	if err := store.PutIfAbsent(t.Context(), commitPath(version), []byte(strings.Join(lines, "\n")+"\n")); err != nil {
		t.Fatal(err)
	}
}

func paths(s *Snapshot) []string {
	out := []string{}
	for a := range s.Files() {
		out = append(out, a.Path)
	}
	return out
}

func wantPaths(t *testing.T, s *Snapshot, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), paths(s)); diff != "" {
		t.Errorf("files of version %d (-want +got):\n%s", s.Version, diff)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// wantClean checks the log and that each file is in the table once.
func wantClean(t *testing.T, store lake.Store, files ...string) {
	t.Helper()
	problems, err := Lint(t.Context(), store, LintOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("lint: %s", p)
	}
	got := map[string]int{}
	for a := range openTestTable(t, store).Snapshot().Files() {
		got[a.Path]++
	}
	want := map[string]int{}
	for _, f := range files {
		want[f] = 1
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files in the table (-want +got):\n%s", diff)
	}
}

// spec/delta.md §10.5: commitInfo, protocol (1,2), metaData.
func TestCreate_WritesVersion0(t *testing.T) {
	store := lake.NewMemory()
	table := newTable(store, Options{EngineInfo: "zerobus/1.0.0", Now: clock})
	deterministic(table)
	err := table.create(t.Context(), CreateSpec{
		SchemaString:     testSchema,
		Description:      "air & <temperature>",
		PartitionColumns: []string{"device"},
		Configuration:    map[string]string{"delta.logRetentionDuration": "interval 7 days"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := store.Get(t.Context(), "_delta_log/00000000000000000000.json")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"commitInfo":{"timestamp":1764000000123,"operation":"CREATE TABLE","operationParameters":{"description":"air & <temperature>","isManaged":"false","partitionBy":"[\"device\"]","properties":"{\"delta.logRetentionDuration\":\"interval 7 days\"}"},"isolationLevel":"Serializable","isBlindAppend":true,"engineInfo":"zerobus/1.0.0","txnId":"id-2"}}
{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"id":"id-1","description":"air & <temperature>","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"device\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}},{\"name\":\"temp\",\"type\":\"integer\",\"nullable\":true,\"metadata\":{}}]}","partitionColumns":["device"],"configuration":{"delta.logRetentionDuration":"interval 7 days"},"createdTime":1764000000123}}
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("version 0 (-want +got):\n%s", diff)
	}
	wantClean(t, store)
}

// spec/delta.md §10.4, and the Go traps: null partition values, HTML in statistics, no dropped zeros.
func TestAppend_WritesACommit(t *testing.T) {
	store := lake.NewMemory()
	table, err := Create(t.Context(), store, CreateSpec{SchemaString: testSchema, PartitionColumns: []string{"device"}, EngineInfo: "zerobus/1.0.0", Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	deterministic(table)
	north, null := file("device=north/part-0.parquet"), file("part-1.parquet")
	north.PartitionValues = map[string]*string{"device": new("north")}
	north.Stats = `{"numRecords":4,"minValues":{"temp":-3},"maxValues":{"temp":9007199254740993},"nullCount":{"temp":0}}`
	null.PartitionValues = map[string]*string{"device": nil}
	null.Stats = `{"numRecords":4,"maxValues":{"s":"<&>"}}`
	version := mustAppend(t, table, Append{AppID: "zb-x-0", TxnVersion: 9007199254740993, Adds: []Add{north, null}, Rows: 8, Bytes: 200})
	if version != 1 {
		t.Errorf("version %d, want 1", version)
	}
	got, err := store.Get(t.Context(), "_delta_log/00000000000000000001.json")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"commitInfo":{"timestamp":1764000000123,"operation":"STREAMING UPDATE","operationParameters":{"epochId":"9007199254740993","outputMode":"Append","queryId":"zb-x-0"},"readVersion":0,"isolationLevel":"Serializable","isBlindAppend":true,"operationMetrics":{"numAddedFiles":"2","numOutputBytes":"200","numOutputRows":"8"},"engineInfo":"zerobus/1.0.0","txnId":"id-1"}}
{"txn":{"appId":"zb-x-0","version":9007199254740993,"lastUpdated":1764000000123}}
{"add":{"path":"device=north/part-0.parquet","partitionValues":{"device":"north"},"size":100,"modificationTime":1764000000100,"dataChange":true,"stats":"{\"numRecords\":4,\"minValues\":{\"temp\":-3},\"maxValues\":{\"temp\":9007199254740993},\"nullCount\":{\"temp\":0}}"}}
{"add":{"path":"part-1.parquet","partitionValues":{"device":null},"size":100,"modificationTime":1764000000100,"dataChange":true,"stats":"{\"numRecords\":4,\"maxValues\":{\"s\":\"<&>\"}}"}}
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("version 1 (-want +got):\n%s", diff)
	}
	// What was written and what is read back are the same state.
	read := openTestTable(t, store).Snapshot()
	wrote := table.Snapshot()
	if diff := cmp.Diff(wrote, read, cmp.AllowUnexported(Snapshot{}, files{})); diff != "" {
		t.Errorf("state as written and as read (-written +read):\n%s", diff)
	}
	if read.Txns["zb-x-0"].Version != 9007199254740993 {
		t.Errorf("txn version %d lost precision", read.Txns["zb-x-0"].Version)
	}
}

func TestAppend_WithoutFilesMovesThePosition(t *testing.T) {
	store := lake.NewMemory()
	table := newTestTable(t, store)
	mustAppend(t, table, Append{AppID: "a", TxnVersion: 0})
	mustAppend(t, table, Append{AppID: "a", TxnVersion: 7})
	if got := openTestTable(t, store).Snapshot().Txns["a"].Version; got != 7 {
		t.Errorf("txn version %d, want 7", got)
	}
	wantClean(t, store)
}

func TestAppend_LeavesTheCallersSliceAlone(t *testing.T) {
	table := newTestTable(t, lake.NewMemory())
	a := appendFiles("a", 1, "f")
	mustAppend(t, table, a)
	if diff := cmp.Diff(appendFiles("a", 1, "f"), a, cmp.AllowUnexported(Snapshot{}, files{})); diff != "" {
		t.Errorf("the append as it was and as it is (-was +is):\n%s", diff)
	}
	a.Adds[0].Path = "changed"
	wantPaths(t, table.Snapshot(), "f")
}

func TestAppend_RefusesWhatWouldBreakReaders(t *testing.T) {
	bad := func(f func(a *Add)) Append {
		a := appendFiles("a", 1, "f.parquet")
		f(&a.Adds[0])
		return a
	}
	for name, a := range map[string]Append{
		"no appId":         {TxnVersion: 1},
		"negative txn":     {AppID: "a", TxnVersion: -1},
		"path twice":       appendFiles("a", 1, "f", "f"),
		"empty path":       bad(func(a *Add) { a.Path = "" }),
		"absolute path":    bad(func(a *Add) { a.Path = "/f" }),
		"encoded absolute": bad(func(a *Add) { a.Path = "%2Ff" }),
		"path with scheme": bad(func(a *Add) { a.Path = "s3://b/f" }),
		"path upwards":     bad(func(a *Add) { a.Path = "x/../../f" }),
		"path in the log":  bad(func(a *Add) { a.Path = "_delta_log/f" }),
		"bad encoding":     bad(func(a *Add) { a.Path = "50%" }),
		"bad UTF-8":        bad(func(a *Add) { a.Path = "f\xff" }),
		"no size":          bad(func(a *Add) { a.Size = 0 }),
		"no data change":   bad(func(a *Add) { a.DataChange = false }),
		"bad stats":        bad(func(a *Add) { a.Stats = `{"numRecords":` }),
		"deletion vector":  bad(func(a *Add) { a.DeletionVector = &DeletionVector{} }),
		"partition values": bad(func(a *Add) { a.PartitionValues = map[string]*string{"device": new("x")} }),
	} {
		t.Run(name, func(t *testing.T) {
			store := lake.NewMemory()
			table := newTestTable(t, store)
			if v, err := table.Append(t.Context(), a); err == nil {
				t.Errorf("Append succeeded as version %d", v)
			}
			if got := openTestTable(t, store).Snapshot().Version; got != 0 {
				t.Errorf("the table is at version %d, want 0", got)
			}
		})
	}
}

func TestCreate_RefusesASecondTime(t *testing.T) {
	store := lake.NewMemory()
	newTestTable(t, store)
	_, err := Create(t.Context(), store, CreateSpec{SchemaString: testSchema})
	wantErr(t, "second Create", err, ErrTableExists)

	t.Run("when version 0 was cleaned up", func(t *testing.T) {
		store := lake.NewMemory()
		if err := store.Put(t.Context(), "_delta_log/00000000000000000010.checkpoint.parquet", nil); err != nil {
			t.Fatal(err)
		}
		_, err := Create(t.Context(), store, CreateSpec{SchemaString: testSchema})
		wantErr(t, "Create", err, ErrTableExists)
	})
	t.Run("when another writer is faster", func(t *testing.T) {
		base := lake.NewMemory()
		store := lake.Faulty(base, func(op lake.Op) (error, error) {
			if op.Name == "put if absent" {
				newTestTable(t, base)
			}
			return nil, nil
		})
		_, err := Create(t.Context(), store, CreateSpec{SchemaString: testSchema})
		wantErr(t, "Create", err, ErrTableExists)
	})
}

func TestCreate_RefusesWhatCannotBeATable(t *testing.T) {
	column := `{"type":"struct","fields":[{"name":"a","type":%s,"nullable":true,"metadata":{}},{"name":"b","type":"long","nullable":true,"metadata":{}}]}`
	for name, spec := range map[string]CreateSpec{
		"no schema":              {},
		"no struct":              {SchemaString: `"long"`},
		"no columns":             {SchemaString: `{"type":"struct","fields":[]}`},
		"column without type":    {SchemaString: `{"type":"struct","fields":[{"name":"a"}]}`},
		"unknown partition":      {SchemaString: testSchema, PartitionColumns: []string{"Device"}},
		"partition twice":        {SchemaString: testSchema, PartitionColumns: []string{"device", "device"}},
		"all partitions":         {SchemaString: testSchema, PartitionColumns: []string{"device", "temp"}},
		"partition of binary":    {SchemaString: fmt.Sprintf(column, `"binary"`), PartitionColumns: []string{"a"}},
		"partition of struct":    {SchemaString: fmt.Sprintf(column, `{"type":"struct","fields":[]}`), PartitionColumns: []string{"a"}},
		"feature we do not have": {SchemaString: testSchema, Protocol: Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{"typeWidening"}, WriterFeatures: []string{"typeWidening"}}},
	} {
		t.Run(name, func(t *testing.T) {
			store := lake.NewMemory()
			if _, err := Create(t.Context(), store, spec); err == nil {
				t.Error("Create succeeded")
			}
			_, err := Open(t.Context(), store, Options{})
			wantErr(t, "Open", err, ErrNoTable)
		})
	}
}

// PROTOCOL.md, "Table Features": with (3,7) both lists are there, even when empty.
func TestCreate_WritesFeatureLists(t *testing.T) {
	for _, c := range []struct {
		reader, writer []string
		want           string
	}{
		{
			[]string{"timestampNtz"},
			[]string{"timestampNtz", "appendOnly", "invariants"},
			`{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["timestampNtz"],"writerFeatures":["timestampNtz","appendOnly","invariants"]}}`,
		},
		{[]string{}, []string{}, `{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":[],"writerFeatures":[]}}`},
	} {
		store := lake.NewMemory()
		_, err := Create(t.Context(), store, CreateSpec{SchemaString: testSchema, Protocol: Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: c.reader, WriterFeatures: c.writer}})
		if err != nil {
			t.Fatal(err)
		}
		data, err := store.Get(t.Context(), commitPath(0))
		if err != nil || !bytes.Contains(data, []byte(c.want+"\n")) {
			t.Errorf("version 0 does not hold %s: %s, %v", c.want, data, err)
		}
		wantClean(t, store)
	}
}

func TestOpen_TellsWhatIsWrongWithTheLog(t *testing.T) {
	protocol := `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}`
	metadata := `{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{}}}`
	whole := protocol + "\n" + metadata
	for _, c := range []struct {
		name  string
		files map[string]string
		want  error
		text  string
	}{
		{"nothing", nil, ErrNoTable, ""},
		{"data only", map[string]string{"part-0.parquet": ""}, ErrNoTable, ""},
		{"hidden and foreign names", map[string]string{"_delta_log/_last_checkpoint": "{}", "_delta_log/0.json": "", "_delta_log/_staged_commits/00000000000000000000.json": whole, "_delta_log/0000000000000000000x.json": ""}, ErrNoTable, ""},
		{"beginning is gone", map[string]string{commitPath(5): "", commitPath(6): "", "_delta_log/00000000000000000005.checkpoint.parquet": ""}, ErrCheckpointNeeded, "checkpoint of version 5"},
		{"checkpoint of many parts", map[string]string{commitPath(5): "", "_delta_log/00000000000000000005.checkpoint.0000000001.0000000002.parquet": ""}, ErrCheckpointNeeded, "before version 5"},
		{"checkpoint only", map[string]string{"_delta_log/00000000000000000005.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json": ""}, ErrCheckpointNeeded, "version 5"},
		{"beginning is gone without a checkpoint", map[string]string{commitPath(5): ""}, ErrCorrupt, "version 4 is missing"},
		{"hole", map[string]string{commitPath(0): whole, commitPath(2): ""}, ErrCorrupt, "version 1 is missing"},
		{"hole under an old checkpoint", map[string]string{commitPath(0): whole, commitPath(1): "", commitPath(3): "", "_delta_log/00000000000000000001.checkpoint.parquet": ""}, ErrCorrupt, "version 2 is missing"},
		{"no JSON", map[string]string{commitPath(0): whole + "\n{\"add\":"}, ErrCorrupt, "line 3"},
		{"number too large", map[string]string{commitPath(0): whole, commitPath(1): `{"txn":{"appId":"a","version":9223372036854775808}}`}, ErrCorrupt, "version 1"},
		{"no metaData", map[string]string{commitPath(0): protocol}, ErrCorrupt, "metaData"},
		{"no protocol", map[string]string{commitPath(0): metadata}, ErrCorrupt, "protocol"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := lake.NewMemory()
			for name, data := range c.files {
				if err := store.Put(t.Context(), name, []byte(data)); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Open(t.Context(), store, Options{})
			wantErr(t, "Open", err, c.want)
			if err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %q does not say %q", err, c.text)
			}
		})
	}
}

func TestOpen_ReadsACheckpointedLogThatIsWhole(t *testing.T) {
	store := lake.NewMemory()
	mustAppend(t, newTestTable(t, store), appendFiles("a", 1, "f"))
	if err := store.Put(t.Context(), "_delta_log/00000000000000000001.checkpoint.parquet", nil); err != nil {
		t.Fatal(err)
	}
	wantPaths(t, openTestTable(t, store).Snapshot(), "f")
}

func TestRefresh_ReadsOnAndKeepsOldSnapshots(t *testing.T) {
	store := lake.NewMemory()
	reader := newTestTable(t, store)
	writer := openTestTable(t, store)
	before := reader.Snapshot()
	mustAppend(t, writer, appendFiles("a", 1, "f1"))
	mustAppend(t, writer, appendFiles("a", 2, "f2"))
	if err := reader.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantPaths(t, reader.Snapshot(), "f1", "f2")
	wantPaths(t, before)
	if reader.Snapshot().SizeBytes() != 200 || reader.Snapshot().NumFiles() != 2 {
		t.Errorf("size %d, files %d; want 200, 2", reader.Snapshot().SizeBytes(), reader.Snapshot().NumFiles())
	}

	// What comes before a commit that cannot be read is kept.
	mustAppend(t, writer, appendFiles("a", 3, "f3"))
	writeRaw(t, store, 4, `{"add":{`)
	err := reader.Refresh(t.Context())
	wantErr(t, "Refresh", err, ErrCorrupt)
	if err == nil || !strings.Contains(err.Error(), "version 4") {
		t.Errorf("error %v does not name version 4", err)
	}
	wantPaths(t, reader.Snapshot(), "f1", "f2", "f3")
}

func TestTable_NoticesThatItsLogWasReplaced(t *testing.T) {
	for name, replace := range map[string]func(t *testing.T, store lake.Store){
		"dropped": func(t *testing.T, store lake.Store) {
			if err := store.RemoveAll(t.Context(), "_delta_log"); err != nil {
				t.Fatal(err)
			}
		},
		"made anew, shorter": func(t *testing.T, store lake.Store) {
			if err := store.RemoveAll(t.Context(), "_delta_log"); err != nil {
				t.Fatal(err)
			}
			newTestTable(t, store)
		},
		"made anew, longer": func(t *testing.T, store lake.Store) {
			if err := store.RemoveAll(t.Context(), "_delta_log"); err != nil {
				t.Fatal(err)
			}
			table := newTestTable(t, store)
			for i := range int64(5) {
				mustAppend(t, table, Append{AppID: "b", TxnVersion: i})
			}
		},
		"cleaned up": func(t *testing.T, store lake.Store) {
			writeRaw(t, store, 3, "")
			for v := range int64(3) {
				if err := store.Delete(t.Context(), commitPath(v)); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := lake.NewMemory()
			table := newTestTable(t, store)
			mustAppend(t, table, appendFiles("a", 1, "f1"))
			mustAppend(t, table, appendFiles("a", 2, "f2"))
			replace(t, store)
			count := func() (n int) {
				for range store.List(t.Context(), "", "") {
					n++
				}
				return n
			}
			before := count()
			_, err := table.Append(t.Context(), appendFiles("a", 3, "f3"))
			wantErr(t, "Append", err, ErrOutdated)
			wantErr(t, "Refresh", table.Refresh(t.Context()), ErrOutdated)
			if after := count(); after != before {
				t.Errorf("%d objects, %d before", after, before)
			}
		})
	}
}

func TestHistory_IsNewestFirst(t *testing.T) {
	store := lake.NewMemory()
	table := newTestTable(t, store)
	mustAppend(t, table, appendFiles("a", 11, "f1", "f2"))
	writeRaw(t, store, 2,
		`{"commitInfo":{"timestamp":1764000001000,"operation":"OPTIMIZE","operationMetrics":{"numRemovedFiles":2},"engineInfo":"delta-rs:0.30","userMetadata":"nightly"}}`,
		`{"remove":{"path":"f1","dataChange":false}}`, `{"remove":{"path":"f2","dataChange":false}}`,
		`{"add":{"path":"f3","partitionValues":{},"size":150,"modificationTime":1,"dataChange":false,"stats":"{\"numRecords\":8}"}}`)
	writeRaw(t, store, 3,
		`{"commitInfo":{"operationMetrics":{"numOutputRows":5}}}`,
		`{"add":{"path":"f4","partitionValues":{},"size":10,"modificationTime":1,"dataChange":true}}`)
	if err := table.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := table.History(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	at := clock().UTC()
	want := []HistoryEntry{
		{Version: 3, NumFiles: 1, Rows: 5, Bytes: 10},
		{Version: 2, Timestamp: time.UnixMilli(1764000001000).UTC(), Operation: "OPTIMIZE", NumFiles: 1, NumRemoved: 2, Rows: 8, Bytes: 150, Engine: "delta-rs:0.30", UserMetadata: "nightly"},
		{Version: 1, Timestamp: at, Operation: "STREAMING UPDATE", NumFiles: 2, Rows: 8, Bytes: 200, TxnAppID: "a", TxnVersion: 11, Engine: "zerobus/test"},
		{Version: 0, Timestamp: at, Operation: "CREATE TABLE", Engine: "zerobus/test"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	got, err = table.History(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[:2], got); diff != "" {
		t.Errorf("history of 2 (-want +got):\n%s", diff)
	}
}

func TestTable_WaitsForItsTurnNoLongerThanItsContext(t *testing.T) {
	base := lake.NewMemory()
	newTestTable(t, base)
	ctx, cancel := context.WithCancel(t.Context())
	entered, release := make(chan struct{}), make(chan struct{})
	store := lake.Faulty(base, func(op lake.Op) (error, error) {
		if op.Name == "put if absent" {
			close(entered)
			<-release
		}
		return nil, nil
	})
	table := openTestTable(t, store)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := table.Append(t.Context(), appendFiles("a", 1, "f")); err != nil {
			t.Errorf("Append: %v", err)
		}
	})
	<-entered
	if v := table.Snapshot().Version; v != 0 {
		t.Errorf("Snapshot during an Append gives version %d, want 0", v)
	}
	cancel()
	wantErr(t, "Refresh", table.Refresh(ctx), context.Canceled)
	_, err := table.Append(ctx, appendFiles("a", 2, "f2"))
	wantErr(t, "Append", err, context.Canceled)
	close(release)
	wg.Wait()
	wantPaths(t, table.Snapshot(), "f")
}

func TestTable_DoesNotTouchTheLogToGiveASnapshot(t *testing.T) {
	base := lake.NewMemory()
	newTestTable(t, base)
	ops := 0
	store := lake.Faulty(base, func(lake.Op) (error, error) { ops++; return nil, nil })
	table := openTestTable(t, store)
	ops = 0
	if table.Snapshot() == nil || ops != 0 {
		t.Errorf("Snapshot made %d operations", ops)
	}
}

var errIO = errors.New("input/output error")

func TestAppend_PermissionIsNotRetried(t *testing.T) {
	base := lake.NewMemory()
	newTestTable(t, base)
	store := lake.Faulty(base, func(op lake.Op) (error, error) {
		if op.Name == "put if absent" {
			return fs.ErrPermission, nil
		}
		return nil, nil
	})
	_, err := openTestTable(t, store).Append(t.Context(), appendFiles("a", 1, "f"))
	wantErr(t, "Append", err, fs.ErrPermission)
	if errors.Is(err, ErrUndecided) {
		t.Errorf("error %v calls a refused write undecided", err)
	}
}
