package delta

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

const uuidName = "80a083e8-7026-4e79-81be-64bd76c43a11"

// aged makes a log of versions 0 to n-1 with several kinds of actions, and returns its state.
func aged(t *testing.T, store lake.Store, n int64) *Snapshot {
	t.Helper()
	newTestTable(t, store)
	for v := int64(1); v < n; v++ {
		lines := []string{
			fmt.Sprintf(`{"add":{"path":"f%d","partitionValues":{"p":%s},"size":%d,"modificationTime":5,"dataChange":true,"stats":"{\"numRecords\":%d}","tags":{"t":"u"}}}`, v, []string{"null", `"x"`}[v%2], v, v),
			fmt.Sprintf(`{"txn":{"appId":"app%d","version":%d,"lastUpdated":7}}`, v%3, v),
		}
		if v%4 == 0 {
			lines = append(lines, fmt.Sprintf(`{"remove":{"path":"f%d","deletionTimestamp":%d,"dataChange":true,"extendedFileMetadata":true,"partitionValues":{"p":null},"size":%d}}`, v-1, clock().UnixMilli(), v-1))
		}
		writeRaw(t, store, v, lines...)
	}
	return openTestTable(t, store).Snapshot()
}

// parquetOf encodes rows as another engine's file.
func parquetOf[R any](t *testing.T, rows iter.Seq[R]) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := encodeRows(t.Context(), &b, rows, "another engine"); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func put(t *testing.T, store lake.Store, path string, data []byte) {
	t.Helper()
	if err := store.Put(t.Context(), path, data); err != nil {
		t.Fatal(err)
	}
}

// forget deletes the commits before the version.
func forget(t *testing.T, store lake.Store, before int64) {
	t.Helper()
	for v := range before {
		if err := store.Delete(t.Context(), commitPath(v)); err != nil {
			t.Fatal(err)
		}
	}
}

// PROTOCOL.md, "Checkpoints": every form of them, written as others would, with the commits before deleted.
func TestOpen_CheckpointsOfAllForms(t *testing.T) {
	const at = 9
	base := fmt.Sprintf("_delta_log/%020d.checkpoint.", at)
	// split gives each row to one of the parts.
	split := func(s *Snapshot, parts int, which func(i int, r checkpointRow) int) []iter.Seq[checkpointRow] {
		out := make([]iter.Seq[checkpointRow], parts)
		for p := range out {
			out[p] = func(yield func(checkpointRow) bool) {
				i := 0
				for r := range rowsOf(s, s.tombstones(clock())) {
					if which(i, r) == p && !yield(r) {
						return
					}
					i++
				}
			}
		}
		return out
	}
	sidecars := func(t *testing.T, store lake.Store, s *Snapshot) (top iter.Seq[checkpointRow], names []string, sizes []int64) {
		parts := split(s, 3, func(i int, r checkpointRow) int {
			if r.Add == nil && r.Remove == nil {
				return 0
			}
			return 1 + min(1, i/8)
		})
		for i, p := range parts[1:] {
			data := parquetOf(t, p)
			names = append(names, fmt.Sprintf("side-%d.parquet", i))
			sizes = append(sizes, int64(len(data)))
			put(t, store, sidecarDir+names[i], data)
		}
		return parts[0], names, sizes
	}
	for _, c := range []struct {
		name  string
		write func(t *testing.T, store lake.Store, s *Snapshot)
	}{
		{"classic", func(t *testing.T, store lake.Store, s *Snapshot) {
			put(t, store, base+"parquet", parquetOf(t, rowsOf(s, s.tombstones(clock()))))
		}},
		{"of parts", func(t *testing.T, store lake.Store, s *Snapshot) {
			for i, p := range split(s, 3, func(i int, _ checkpointRow) int { return min(2, i/5) }) {
				put(t, store, fmt.Sprintf("%s%010d.%010d.parquet", base, i+1, 3), parquetOf(t, p))
			}
			// Those of another number of parts are not whole.
			put(t, store, base+"0000000001.0000000002.parquet", nil)
		}},
		{"V2 in one file", func(t *testing.T, store lake.Store, s *Snapshot) {
			put(t, store, base+uuidName+".parquet", parquetOf(t, rowsOfV2(s, s.tombstones(clock()))))
		}},
		{"V2 with the classic name", func(t *testing.T, store lake.Store, s *Snapshot) {
			put(t, store, base+"parquet", parquetOf(t, rowsOfV2(s, s.tombstones(clock()))))
		}},
		{"V2 in Parquet with sidecars", func(t *testing.T, store lake.Store, s *Snapshot) {
			top, names, sizes := sidecars(t, store, s)
			put(t, store, base+uuidName+".parquet", parquetOf(t, func(yield func(checkpointRowV2) bool) {
				yield(checkpointRowV2{Checkpoint: &checkpointColumns{Version: new(int64(at))}})
				for i := range names {
					yield(checkpointRowV2{Sidecar: &sidecarColumns{Path: &names[i], SizeInBytes: &sizes[i], ModificationTime: new(int64(1))}})
				}
				for r := range top {
					yield(checkpointRowV2{Txn: r.Txn, Metadata: r.Metadata, Protocol: r.Protocol, Domain: r.Domain})
				}
			}))
		}},
		{"V2 in JSON with sidecars", func(t *testing.T, store lake.Store, s *Snapshot) {
			_, names, sizes := sidecars(t, store, s)
			top := &commit{protocol: &s.Protocol, metadata: &s.Metadata}
			for _, id := range sortedKeys(s.Txns) {
				top.txns = append(top.txns, s.Txns[id])
			}
			body, err := encode(CommitInfo{}, top)
			if err != nil {
				t.Fatal(err)
			}
			_, body, _ = bytes.Cut(body, []byte("\n")) // without commitInfo
			for i := range names {
				body = fmt.Appendf(body, `{"sidecar":{"path":"file:/somewhere/_delta_log/_sidecars/%s","sizeInBytes":%d,"modificationTime":1,"tags":{}}}`+"\n", names[i], sizes[i])
			}
			put(t, store, base+uuidName+".json", append([]byte(`{"checkpointMetadata":{"version":9,"tags":{}}}`+"\n"), body...))
		}},
	} {
		for _, own := range []bool{true, false} {
			for _, after := range []int64{0, 3} {
				t.Run(fmt.Sprintf("%s/commit=%t/after=%d", c.name, own, after), func(t *testing.T) {
					store := lake.NewMemory()
					aged(t, store, at+1)
					c.write(t, store, openTestTable(t, store).Snapshot())
					for v := int64(at + 1); v <= at+after; v++ {
						writeRaw(t, store, v, fmt.Sprintf(`{"add":{"path":"later%d","partitionValues":{},"size":1,"modificationTime":5,"dataChange":true}}`, v))
					}
					want := replay(t, store)
					forget(t, store, at)
					if !own {
						forget(t, store, at+1)
					}
					table := openTestTable(t, store)
					same(t, "opened", want, table.Snapshot())
					if err := table.Settle(t.Context()); err != nil {
						t.Errorf("Settle: %v", err)
					}
					if err := table.Refresh(t.Context()); err != nil {
						t.Errorf("Refresh: %v", err)
					}
					mustAppend(t, table, appendFiles("ours", 1, "ours"))
					if v := openTestTable(t, store).Snapshot().Version; v != at+after+1 {
						t.Errorf("version %d after an append", v)
					}
				})
			}
		}
	}
}

// replay reads the commits alone.
func replay(t *testing.T, store lake.Store) *Snapshot {
	t.Helper()
	table := newTable(store, Options{Now: clock})
	if err := table.forward(t.Context()); err != nil {
		t.Fatal(err)
	}
	return table.Snapshot()
}

// spec/delta.md §4: readers survive a missing, stale or corrupt hint; and a stale one costs no look at what is before it.
func TestOpen_DT02_Hints(t *testing.T) {
	for _, c := range []struct{ name, hint string }{
		{"missing", ""},
		{"right", `{"version":8,"size":1}`},
		{"stale", `{"version":4,"size":1}`},
		{"of a checkpoint that is gone", `{"version":6}`},
		{"of a version that is not there yet", `{"version":1000}`},
		{"negative", `{"version":-1}`},
		{"highest", `{"version":9223372036854775807}`},
		{"too high", `{"version":9223372036854775808}`},
		{"fraction", `{"version":1.5}`},
		{"null", `null`},
		{"empty", "{}"},
		{"no JSON", "\x00\xff"},
		{"cut", `{"version":8`},
		{"huge", `{"version":8,"x":"` + strings.Repeat("x", maxHint) + `"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := lake.NewMemory()
			want := aged(t, store, 11)
			for _, v := range []int64{4, 8} {
				put(t, store, checkpointPath(v), checkpointOf(t, store, v))
			}
			if c.hint != "" {
				put(t, store, hintPath, []byte(c.hint))
			}
			ops := map[string]int{}
			same(t, "opened", want, openTestTable(t, counted(store, ops)).Snapshot())
			if ops["get commit"] != 4 { // 8, 9, 10, and 11, which is not there
				t.Errorf("operations %v", ops)
			}
			forget(t, store, 8)
			same(t, "cleaned", want, openTestTable(t, store).Snapshot())
		})
	}
}

// checkpointOf is the checkpoint of a version of a log that is whole.
func checkpointOf(t *testing.T, store lake.Store, version int64) []byte {
	t.Helper()
	old := lake.NewMemory()
	for v := range version + 1 {
		data, err := store.Get(t.Context(), commitPath(v))
		if err != nil {
			t.Fatal(err)
		}
		put(t, old, commitPath(v), data)
	}
	s := replay(t, old)
	return parquetOf(t, rowsOf(s, s.tombstones(clock())))
}

// A checkpoint that cannot be read is passed over, whatever stands before it; the log says so.
func TestOpen_DT02_DamagedCheckpointFallsBack(t *testing.T) {
	var logged bytes.Buffer
	open := func(store lake.Store) (*Table, error) {
		logged.Reset()
		return Open(t.Context(), store, Options{Now: clock, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	}
	store := lake.NewMemory()
	want := aged(t, store, 11)
	put(t, store, checkpointPath(4), checkpointOf(t, store, 4))
	good := checkpointOf(t, store, 8)
	other := checkpointOf(t, store, 0)
	empty := parquetOf(t, func(yield func(checkpointRow) bool) {})
	for name, bad := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)-1], "begun": good[:8], "noise": bytes.Repeat([]byte("PAR1"), 100), "of no rows": empty,
		"in the middle": append(append(bytes.Clone(good[:200]), 0xff), good[201:]...),
		"of a version": parquetOf(t, func(yield func(checkpointRowV2) bool) {
			yield(checkpointRowV2{Checkpoint: &checkpointColumns{Version: new(int64(7))}})
		}),
	} {
		for _, hint := range []string{"", `{"version":8}`} {
			t.Run(name+hint, func(t *testing.T) {
				put(t, store, checkpointPath(8), bad)
				put(t, store, hintPath, []byte(hint))
				table, err := open(store)
				if err != nil {
					t.Fatal(err)
				}
				same(t, "opened", want, table.Snapshot())
				if table.checkpointed.Load() != 4 || !strings.Contains(logged.String(), "a checkpoint cannot be read") || !strings.Contains(logged.String(), "version=8") {
					t.Errorf("started from %d, logged %s", table.checkpointed.Load(), &logged)
				}
			})
		}
	}
	put(t, store, checkpointPath(4), other[:50])
	table, err := open(store)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "from version 0", want, table.Snapshot())

	forget(t, store, 1)
	_, err = open(store)
	wantErr(t, "without version 0", err, ErrCheckpointNeeded)
	for _, word := range []string{"before version 1", "version 4", "version 8", "from a copy"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("error %v does not say %q", err, word)
		}
	}
}

// A V2 checkpoint whose sidecar is gone, or not the one that it names, is not used.
func TestOpen_SidecarsAreChecked(t *testing.T) {
	for name, spoil := range map[string]func(store lake.Store){
		"gone":         func(store lake.Store) { _ = store.Delete(t.Context(), sidecarDir+"s.parquet") },
		"of two sizes": func(store lake.Store) { put(t, store, sidecarDir+"s.parquet", []byte("x")) },
	} {
		t.Run(name, func(t *testing.T) {
			store := lake.NewMemory()
			want := aged(t, store, 6)
			data := checkpointOf(t, store, 5)
			put(t, store, sidecarDir+"s.parquet", data)
			put(t, store, fmt.Sprintf("_delta_log/%020d.checkpoint.%s.json", 5, uuidName), fmt.Appendf(nil, `{"sidecar":{"path":"s.parquet","sizeInBytes":%d}}`+"\n"+
				`{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}`+"\n"+`{"metaData":{"id":"table-id","schemaString":%q}}`, len(data), testSchema))
			spoil(store)
			table := openTestTable(t, store)
			same(t, "opened", want, table.Snapshot())
			if table.checkpointed.Load() >= 0 {
				t.Error("it was used")
			}
		})
	}
}

// Whatever bit of a checkpoint's pages is wrong: it is passed over, or gives the right state. The footer has no checksum; there
// nothing more is promised than an end without a panic.
func TestOpen_FlippedBits(t *testing.T) {
	store := lake.NewMemory()
	want := aged(t, store, 9)
	good := checkpointOf(t, store, 8)
	footer := len(good) - 8 - int(binary.LittleEndian.Uint32(good[len(good)-8:]))
	var wrong []int
	refused := 0
	for i := 0; i < len(good); i += 17 {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		s := &checkpointState{}
		if s.readParquet(bad, 8) != nil || s.protocol == nil || s.metadata == nil {
			refused++
			continue
		}
		b := newBuilder("t")
		b.load(8, s)
		if want.differs(&b.draft) != "" && i < footer {
			wrong = append(wrong, i)
		}
	}
	if len(wrong) > 0 || refused == 0 {
		t.Errorf("flips at %v of %d bytes before the footer gave another state; %d were refused", wrong, footer, refused)
	}
}

// A store that fails while the log is read gives its error, or is read another way; never a state that is not the table's.
func TestOpen_FaultAtEveryOperation(t *testing.T) {
	store := lake.NewMemory()
	want := aged(t, store, 11)
	put(t, store, checkpointPath(4), checkpointOf(t, store, 4))
	put(t, store, checkpointPath(8), checkpointOf(t, store, 8))
	put(t, store, hintPath, []byte(`{"version":8}`))
	forget(t, store, 5)
	broken := errors.New("broken")
	for n := int64(1); ; n++ {
		hit := false
		table, err := Open(t.Context(), lake.Faulty(store, func(op lake.Op) (error, error) {
			hit = hit || op.N == n
			return lake.FailAt(n, broken)(op)
		}), Options{Now: clock})
		if !hit {
			if n < 8 {
				t.Errorf("%d operations", n-1)
			}
			break
		}
		if err == nil {
			same(t, fmt.Sprintf("fault at %d", n), want, table.Snapshot())
		} else {
			wantErr(t, fmt.Sprintf("fault at %d", n), err, broken)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Open(gone, store, Options{})
	wantErr(t, "cancelled", err, context.Canceled)
}

// foreignCheckpoint has other columns than ours, in other forms.
func foreignCheckpoint(t *testing.T, options ...parquet.WriterOption) []byte {
	t.Helper()
	text := parquet.Optional(parquet.String())
	number := parquet.Optional(parquet.Int(64))
	array := func(list, element string) parquet.Node {
		return parquet.Optional(parquet.Group{list: parquet.Repeated(parquet.Group{element: text})})
	}
	entries := parquet.Optional(parquet.Group{"map": parquet.Repeated(parquet.Group{"key": parquet.String(), "value": text})})
	schema := parquet.NewSchema("spark_schema", parquet.Group{
		"metaData": parquet.Optional(parquet.Group{
			"id": text, "schemaString": text, "partitionColumns": array("bag", "array"), "configuration": entries,
			"format": parquet.Optional(parquet.Group{"provider": text, "options": entries}),
		}),
		"protocol": parquet.Optional(parquet.Group{"minReaderVersion": parquet.Optional(parquet.Int(32)), "minWriterVersion": parquet.Optional(parquet.Int(32))}),
		"add": parquet.Optional(parquet.Group{
			"path": text, "partitionValues": entries, "size": number, "stats": text,
			"stats_parsed": parquet.Optional(parquet.Group{"numRecords": number}),
		}),
		"commitInfo": text,
	})
	type row = map[string]any
	var b bytes.Buffer
	w := parquet.NewWriter(&b, append(options, schema)...)
	for _, r := range []row{
		{"protocol": row{"minReaderVersion": int32(1), "minWriterVersion": int32(2)}},
		{"metaData": row{
			"id": "table-id", "schemaString": testSchema, "format": row{"provider": "parquet", "options": row{"map": []any{}}},
			"partitionColumns": row{"bag": []any{row{"array": "device"}}}, "configuration": row{"map": []any{row{"key": "k", "value": "v"}}},
		}},
		{"add": row{"path": "a", "partitionValues": row{"map": []any{row{"key": "device", "value": "d"}}}, "size": int64(1), "stats_parsed": row{"numRecords": int64(4)}}},
	} {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Files of other engines have other columns, and other names for the parts of lists and maps.
func TestOpen_ColumnsOfOthers(t *testing.T) {
	store := lake.NewMemory()
	aged(t, store, 1)
	put(t, store, checkpointPath(0), foreignCheckpoint(t))
	table := openTestTable(t, store)
	s := table.Snapshot()
	if table.checkpointed.Load() != 0 || s.Metadata.Configuration["k"] != "v" || len(s.Metadata.PartitionColumns) != 1 || s.NumFiles() != 1 {
		t.Fatalf("from checkpoint %d: %+v, %d files", table.checkpointed.Load(), s.Metadata, s.NumFiles())
	}
	for a := range s.Files() {
		if v := a.PartitionValues["device"]; v == nil || *v != "d" {
			t.Errorf("add %+v", a)
		}
	}
	// Its statistics are in a form that is not kept, so our own checkpoint would lose them.
	mustAppend(t, table, Append{AppID: "app", TxnVersion: 1})
	_, err := table.Checkpoint(t.Context())
	wantErr(t, "Checkpoint", err, ErrNoCheckpoint)
}

// A checkpoint that cannot be read is passed over for the commits.
func TestOpen_CompressionOfOthers(t *testing.T) {
	for _, c := range []struct {
		codec compress.Codec
		from  int64 // the checkpoint that the table is opened from
	}{{&parquet.Zstd, 0}, {&parquet.Gzip, 0}, {&parquet.Lz4Raw, -1}} {
		store := lake.NewMemory()
		aged(t, store, 1)
		put(t, store, checkpointPath(0), foreignCheckpoint(t, parquet.Compression(c.codec)))
		if got := openTestTable(t, store).checkpointed.Load(); got != c.from {
			t.Errorf("%v: opened from checkpoint %d, want %d", c.codec, got, c.from)
		}
	}
}
