package delta

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// dated is a store whose objects say that they were written when the test wants it.
type dated struct {
	lake.Store
	at func(path string) time.Time
}

func (d dated) List(ctx context.Context, prefix, startAfter string) iter.Seq2[lake.Info, error] {
	return func(yield func(lake.Info, error) bool) {
		for info, err := range d.Store.List(ctx, prefix, startAfter) {
			info.ModTime = d.at(info.Path)
			if !yield(info, err) {
				return
			}
		}
	}
}

// names lists the log by short names: 3 for a commit, 3c for a checkpoint, others as they are.
func names(t *testing.T, store lake.Store) string {
	t.Helper()
	var out []string
	for info, err := range store.List(t.Context(), logDir, "") {
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(info.Path, logDir)
		if v, ok := commitVersion(info.Path); ok {
			name = fmt.Sprint(v)
		} else if v, ok := checkpointVersion(info.Path); ok {
			name = fmt.Sprint(v, "c")
		} else {
			name = strings.TrimLeft(name, "0")
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

var today = time.Date(2026, 3, 10, 15, 0, 0, 0, time.UTC)

// perDay is when the objects of a log were written that has a commit at noon of each day, the first 10 days before today.
func perDay(path string) time.Time {
	digits := strings.TrimPrefix(path, logDir)
	v, ok := parseVersion(digits[:min(20, len(digits))])
	if !ok {
		return today
	}
	return time.Date(2026, 2, 28+int(v), 12, 0, 0, 0, time.UTC)
}

// byDay is a table with ten commits, one a day, and the last today.
func byDay(t *testing.T, store lake.Store, retention string, checkpoints ...int64) *Table {
	t.Helper()
	newTestTable(t, store)
	writeRaw(t, store, 1, fmt.Sprintf(`{"metaData":{"id":"table-id","format":{"provider":"parquet"},"schemaString":%q,"configuration":{%s}}}`, testSchema, retention))
	for v := int64(2); v <= 10; v++ {
		writeRaw(t, store, v, fmt.Sprintf(`{"add":{"path":"f%d","partitionValues":{},"size":1,"modificationTime":5,"dataChange":true}}`, v))
	}
	for _, v := range checkpoints {
		put(t, store, checkpointPath(v), checkpointOf(t, store, v))
	}
	table, err := Open(t.Context(), store, Options{Now: func() time.Time { return today }})
	if err != nil {
		t.Fatal(err)
	}
	return deterministic(table)
}

// PROTOCOL.md, "Metadata Cleanup".
func TestCleanLog_Rule(t *testing.T) {
	const all = "0 1 2 3 4 5 6 7 8 9 10"
	days := func(n int) string { return fmt.Sprintf(`"delta.logRetentionDuration":"interval %d days"`, n) }
	for _, c := range []struct {
		name, retention string
		checkpoints     []int64
		left            string
	}{
		{"by default a month", "", []int64{5}, "0 1 2 3 4 5c 5 6 7 8 9 10"},
		// Three days before the 10th is the 7th: at its midnight version 6 is the newest that is not newer.
		{"up to the cutoff", days(3), []int64{6}, "6c 6 7 8 9 10"},
		{"an older checkpoint will do", days(3), []int64{2, 4, 7}, "4c 4 5 6 7c 7 8 9 10"},
		{"no checkpoint that is old enough", days(3), []int64{7}, "0 1 2 3 4 5 6 7c 7 8 9 10"},
		{"no checkpoint", days(3), nil, all},
		{"of hours", `"delta.logRetentionDuration":"interval 1 day 24 hours"`, []int64{1, 7}, "7c 7 8 9 10"},
		{"none", `"delta.logRetentionDuration":"interval 0 days"`, []int64{9}, "9c 9 10"},
		{"not wanted", days(3) + `,"delta.enableExpiredLogCleanup":"false"`, []int64{6}, "0 1 2 3 4 5 6c 6 7 8 9 10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := dated{lake.NewMemory(), perDay}
			table := byDay(t, store, c.retention, c.checkpoints...)
			want := table.Snapshot()
			n, err := table.CleanLog(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := names(t, store); got != c.left {
				t.Errorf("left: %s, want %s", got, c.left)
			}
			if gone := 11 + len(c.checkpoints) - len(strings.Fields(c.left)); n != gone {
				t.Errorf("%d deleted, want %d", n, gone)
			}
			same(t, "opened", want, openTestTable(t, store).Snapshot())
			problems, err := Lint(t.Context(), store, LintOptions{})
			if err != nil || len(problems) > 0 {
				t.Errorf("lint: %v, %v", problems, err)
			}
			mustAppend(t, table, appendFiles("app", 1, "later"))
			ops := map[string]int{}
			table.store = counted(store, ops)
			if n, err := table.CleanLog(t.Context()); n != 0 || err != nil || len(ops) > 0 && c.left != all {
				t.Errorf("again: %d deleted, error %v, operations %v", n, err, ops)
			}
		})
	}
}

// What belongs to versions that go goes with them: parts, V2 files, checksums, compacted commits; not what is of no known kind.
func TestCleanLog_TakesWhatBelongsToAVersion(t *testing.T) {
	store := dated{lake.NewMemory(), perDay}
	table := byDay(t, store, `"delta.logRetentionDuration":"interval 3 days"`, 2, 6)
	v := func(n int64, rest string) string { return fmt.Sprintf("%s%020d%s", logDir, n, rest) }
	goes := []string{
		v(1, ".crc"), v(5, ".crc"), v(3, ".checkpoint.0000000001.0000000002.parquet"), v(4, ".checkpoint."+uuidName+".json"),
		v(1, ".00000000000000000003.compacted.json"), v(6, ".00000000000000000008.compacted.json"),
	}
	stays := []string{
		v(6, ".crc"), v(7, ".crc"), v(7, ".00000000000000000009.compacted.json"), v(3, ".notes"), hintPath, logDir + "_commits/x.json", logDir + "1.json",
	}
	for _, path := range slices.Concat(goes, stays) {
		put(t, store, path, nil)
	}
	if _, err := table.CleanLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range goes {
		if _, err := store.Get(t.Context(), path); err == nil {
			t.Errorf("%s stays", path)
		}
	}
	for _, path := range stays {
		if _, err := store.Get(t.Context(), path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A time that lies before that of an earlier version does not make a version old.
func TestCleanLog_TimesNeverFall(t *testing.T) {
	store := dated{lake.NewMemory(), func(path string) time.Time {
		if path == commitPath(3) {
			return today // written late, or restored
		}
		return perDay(path)
	}}
	table := byDay(t, store, `"delta.logRetentionDuration":"interval 3 days"`, 1, 6)
	if _, err := table.CleanLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, store), "1c 1 2 3 4 5 6c 6 7 8 9 10"; got != want {
		t.Errorf("left: %s, want %s", got, want)
	}
}

// Nothing goes before the checkpoint that is to stand for it has been read.
func TestCleanLog_DamagedCheckpointsStandForNothing(t *testing.T) {
	store := dated{lake.NewMemory(), perDay}
	table := byDay(t, store, `"delta.logRetentionDuration":"interval 3 days"`, 4, 6)
	put(t, store, checkpointPath(6), []byte("PAR1"))
	if _, err := table.CleanLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, store), "4c 4 5 6c 6 7 8 9 10"; got != want {
		t.Errorf("left: %s, want %s", got, want)
	}
}

func TestCleanLog_IsLeftToOthers(t *testing.T) {
	for name, line := range map[string]string{
		"checkpointProtection": `{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["checkpointProtection"]}}`,
		"unknown feature":      `{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["unheardOf"]}}`,
		"unknown retention":    fmt.Sprintf(`{"metaData":{"id":"table-id","format":{"provider":"parquet"},"schemaString":%q,"configuration":{"delta.logRetentionDuration":"interval 2 months"}}}`, testSchema),
	} {
		t.Run(name, func(t *testing.T) {
			store := dated{lake.NewMemory(), perDay}
			byDay(t, store, `"delta.logRetentionDuration":"interval 3 days"`, 6)
			writeRaw(t, store, 11, line)
			before := names(t, store)
			_, err := openTestTable(t, store).CleanLog(t.Context())
			wantErr(t, "CleanLog", err, ErrNoCheckpoint)
			if got := names(t, store); got != before {
				t.Errorf("left: %s, want %s", got, before)
			}
		})
	}
}

// Sidecars of checkpoints that are gone go, a day later; not when a checkpoint cannot tell which it needs.
func TestCleanLog_Sidecars(t *testing.T) {
	top := fmt.Sprintf("%s%020d.checkpoint.%s.json", logDir, 6, uuidName)
	for _, c := range []struct{ name, line, left string }{
		{"unnamed", `{"sidecar":{"path":"named.parquet","sizeInBytes":1}}`, "named.parquet new.parquet"},
		{"unknown", `{"sidecar":`, "named.parquet new.parquet old.parquet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := dated{lake.NewMemory(), func(path string) time.Time {
				if path == sidecarDir+"new.parquet" {
					return today.Add(-30 * time.Hour) // since the midnight before yesterday
				}
				if strings.HasPrefix(path, sidecarDir) {
					return today.Add(-50 * time.Hour)
				}
				return perDay(path)
			}}
			table := byDay(t, store, `"delta.logRetentionDuration":"interval 3 days"`, 4)
			for _, name := range []string{"named", "new", "old"} {
				put(t, store, sidecarDir+name+".parquet", nil)
			}
			put(t, store, top, []byte(c.line))
			_, err := table.CleanLog(t.Context())
			if (err != nil) != (c.name == "unknown") {
				t.Errorf("error %v", err)
			}
			var left []string
			for info := range store.List(t.Context(), sidecarDir, "") {
				left = append(left, strings.TrimPrefix(info.Path, sidecarDir))
			}
			if diff := cmp.Diff(c.left, strings.Join(left, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Checkpoint and clean-up meet an error, or end, at each of their operations, with effect and without: the table is whole at
// once, and the next try does the rest.
func TestCheckpointAndCleanLog_FaultAtEveryOperation(t *testing.T) {
	broken := errors.New("broken")
	kinds := map[string]bool{}
	for _, lose := range []bool{false, true} {
		for n := int64(1); ; n++ {
			what := fmt.Sprintf("fault at %d, with effect: %t", n, lose)
			base := lake.NewMemory()
			store := dated{base, perDay}
			table := byDay(t, store, `"delta.logRetentionDuration":"interval 3 days"`, 2, 6)
			want := table.Snapshot()
			hit := false
			table.store = dated{lake.Faulty(base, func(op lake.Op) (error, error) {
				if op.N == n {
					hit = true
					kinds[op.Name] = true
				}
				if lose {
					return lake.LoseAt(n, broken)(op)
				}
				return lake.FailAt(n, broken)(op)
			}), perDay}
			_, err := table.Checkpoint(t.Context())
			if err == nil {
				_, err = table.CleanLog(t.Context())
			}
			if !hit {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			if err != nil {
				wantErr(t, what, err, broken)
			}
			same(t, what, want, openTestTable(t, store).Snapshot())
			if problems, err := Lint(t.Context(), store, LintOptions{}); err != nil || len(problems) > 0 {
				t.Errorf("%s: lint: %v, %v", what, problems, err)
			}
			table.store = store
			if _, err := table.Checkpoint(t.Context()); err != nil {
				t.Errorf("%s: again: %v", what, err)
			}
			if _, err := table.CleanLog(t.Context()); err != nil {
				t.Errorf("%s: again: %v", what, err)
			}
			same(t, what+", and again", want, openTestTable(t, store).Snapshot())
			got := strings.TrimSuffix(names(t, store), " _last_checkpoint")
			if left := "6c 6 7 8 9 10c 10"; got != left {
				t.Errorf("%s: left %s, want %s", what, got, left)
			}
		}
	}
	for _, name := range []string{"get", "put", "put if absent", "create", "write", "commit", "list", "delete"} {
		if !kinds[name] {
			t.Errorf("no fault came at %s", name)
		}
	}
}

// A clean-up deletes a bounded number of objects at a time.
func TestCleanLog_Batches(t *testing.T) {
	store := lake.NewMemory()
	table := newTestTable(t, store)
	table.batch = 20
	const n = 2*20 + 10
	for v := int64(1); v < n; v++ {
		mustAppend(t, table, Append{AppID: "app", TxnVersion: v})
	}
	if _, err := table.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	table.now = func() time.Time { return time.Now().Add(40 * 24 * time.Hour) }
	for _, want := range []int{20, 20, 9, 0} {
		if got, err := table.CleanLog(t.Context()); got != want || err != nil {
			t.Errorf("%d deleted, want %d; error %v", got, want, err)
		}
	}
	same(t, "opened", table.Snapshot(), openTestTable(t, store).Snapshot())
}

func TestParseInterval(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"interval 7 days": 7 * day, "7 days": 7 * day, "INTERVAL 1 Week": 7 * day, "interval 1 week 2 days 3 hours": 9*day + 3*time.Hour,
		"interval 0 seconds": 0, "interval 5 milliseconds 6 microseconds": 5006 * time.Microsecond, " interval  2  minutes ": 2 * time.Minute,
		"interval 9223372036854775807 weeks": 1<<63 - 1, "interval 200000 days 200000 days": 1<<63 - 1,
		"": -1, "interval": -1, "7": -1, "interval 7": -1, "interval days": -1, "interval -7 days": -1, "interval 1 month": -1, "interval 1.5 days": -1, "7 days interval": -1,
	} {
		got, err := parseInterval(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
}
