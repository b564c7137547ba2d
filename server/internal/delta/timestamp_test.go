package delta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

const (
	timed   = `"delta.enableInCommitTimestamps":"true"`
	tracked = `"delta.enableRowTracking":"true","delta.rowTracking.materializedRowIdColumnName":"_row-id","delta.rowTracking.materializedRowCommitVersionColumnName":"_row-version"`
)

// zeroth is version 0 of a table of writer features with these properties, as another engine writes it; at is its
// inCommitTimestamp, and not there when it is 0.
func zeroth(at int64, configuration string, features ...string) string {
	info := `{"commitInfo":{"timestamp":1,"operation":"CREATE TABLE"`
	if at != 0 {
		info += fmt.Sprintf(`,"inCommitTimestamp":%d`, at)
	}
	list, err := json.Marshal(append([]string{}, features...))
	if err != nil {
		panic(err)
	}
	return strings.Join([]string{
		info + "}}",
		fmt.Sprintf(`{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":%s}}`, list),
		fmt.Sprintf(`{"metaData":{"id":"table-id","name":"main.default.air","format":{"provider":"parquet","options":{}},"schemaString":%q,"partitionColumns":[],"configuration":{%s}}}`, testSchema, configuration),
	}, "\n")
}

// ticking is a table whose clock the test turns.
func ticking(t *testing.T, store lake.Store, now *int64) *Table {
	t.Helper()
	table, err := Open(t.Context(), store, Options{Now: func() time.Time { return time.UnixMilli(*now) }})
	if err != nil {
		t.Fatal(err)
	}
	return deterministic(table)
}

// infoOf reads the first line of a version.
func infoOf(t *testing.T, store lake.Store, version int64) CommitInfo {
	t.Helper()
	data, err := store.Get(t.Context(), commitPath(version))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	var a action
	if err := json.Unmarshal([]byte(line), &a); err != nil || a.CommitInfo == nil {
		t.Fatalf("version %d begins with %s: %v", version, line, err)
	}
	return *a.CommitInfo
}

func stampAt(t *testing.T, store lake.Store, version int64) int64 {
	t.Helper()
	info := infoOf(t, store, version)
	if info.InCommitTimestamp == nil {
		t.Fatalf("version %d has no inCommitTimestamp", version)
	}
	if info.Timestamp != *info.InCommitTimestamp {
		t.Errorf("version %d has timestamp %d and inCommitTimestamp %d", version, info.Timestamp, *info.InCommitTimestamp)
	}
	return *info.InCommitTimestamp
}

// PROTOCOL.md, "Writer Requirements for In-Commit Timestamps", 1 to 3: the larger of the clock and one more than the commit before.
func TestInCommitTimestamps_GrowWhateverTheClockSays(t *testing.T) {
	store := lake.NewMemory()
	writeRaw(t, store, 0, zeroth(1000, timed, inCommitTimestamp))
	now := int64(5000)
	table := ticking(t, store, &now)
	for i, c := range []struct{ now, want int64 }{{5000, 5000}, {5000, 5001}, {5003, 5003}, {4000, 5004}, {-7, 5005}, {5007, 5007}} {
		now = c.now
		v := mustAppend(t, table, appendFiles("a", int64(i), fmt.Sprint("f", i)))
		if got := stampAt(t, store, v); got != c.want {
			t.Errorf("version %d at %d: inCommitTimestamp %d, want %d", v, c.now, got, c.want)
		}
		if i%2 == 0 {
			table = ticking(t, store, &now) // as after a restart
		}
	}
	wantClean(t, store, "f0", "f1", "f2", "f3", "f4", "f5")
	h, err := table.History(t.Context(), 1)
	if err != nil || h[0].Timestamp.UnixMilli() != 5007 {
		t.Errorf("history: %+v, %v", h, err)
	}
}

// After a lost race the time is that of the commit that won, and one more.
func TestInCommitTimestamps_AreMadeAnewAfterALostRace(t *testing.T) {
	base := lake.NewMemory()
	writeRaw(t, base, 0, zeroth(1000, timed, inCommitTimestamp))
	now := int64(2000)
	other := openTestTable(t, base) // whose clock is years ahead
	raced, theirs := false, []string{}
	store := lake.Faulty(base, func(op lake.Op) (error, error) {
		if op.Name == "put if absent" && !raced {
			raced = true
			theirs = append(theirs, fmt.Sprint("theirs", len(theirs)))
			mustAppend(t, other, appendFiles("b", int64(len(theirs)), theirs[len(theirs)-1]))
		}
		return nil, nil
	})
	table := ticking(t, store, &now)
	if v := mustAppend(t, table, appendFiles("a", 1, "f")); v != 2 {
		t.Fatalf("version %d", v)
	}
	if got, want := stampAt(t, base, 2), clock().UnixMilli()+1; got != want {
		t.Errorf("inCommitTimestamp %d, want %d", got, want)
	}
	m := func(s *Snapshot) (*Change, error) {
		m := s.Metadata
		m.Description = "new"
		return &Change{Metadata: m, Operation: "SET TBLPROPERTIES"}, nil
	}
	raced = false
	if v, err := table.Alter(t.Context(), m); v != 4 || err == nil && stampAt(t, base, 4) != clock().UnixMilli()+3 {
		t.Errorf("altered as version %d: %v", v, err)
	}
	wantClean(t, base, "f", "theirs0", "theirs1")
}

// A table that supports timestamps and does not turn them on needs nothing (PROTOCOL.md, "In-Commit Timestamps").
func TestInCommitTimestamps_SupportIsNotEnablement(t *testing.T) {
	for _, c := range []struct {
		name, zero string
	}{
		{"supported", zeroth(0, "", inCommitTimestamp)},
		{"turned off", zeroth(0, `"delta.enableInCommitTimestamps":"false"`, inCommitTimestamp)},
		{"not supported", zeroth(0, timed, "appendOnly")},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := lake.NewMemory()
			writeRaw(t, store, 0, c.zero)
			v := mustAppend(t, openTestTable(t, store), appendFiles("a", 1, "f"))
			if info := infoOf(t, store, v); info.InCommitTimestamp != nil {
				t.Errorf("commitInfo is %+v", info)
			}
			table := openTestTable(t, store)
			before := table.Snapshot().Protocol
			if _, err := table.Alter(t.Context(), func(s *Snapshot) (*Change, error) {
				m := s.Metadata
				m.Description = "new"
				return &Change{Metadata: m, Operation: "SET TBLPROPERTIES"}, nil
			}); err != nil {
				t.Fatal(err)
			}
			if now := table.Snapshot().Protocol; !reflect.DeepEqual(before, now) {
				t.Errorf("a comment made the protocol %+v", now)
			}
			wantClean(t, store, "f")
		})
	}
}

// Where the time of the latest commit is found: in the commit, also when the log is read from its checkpoint, or in the checksum.
func TestInCommitTimestamps_GoOnFromACheckpoint(t *testing.T) {
	ahead := clock().UnixMilli() + 1000
	sum := func(stamp string) func(t *testing.T, store lake.Store) {
		return func(t *testing.T, store lake.Store) {
			forget(t, store, 2)
			put(t, store, checksumPath(1), []byte(`{"tableSizeBytes":100,"numFiles":1,`+stamp+`"numMetadata":1,"numProtocol":1}`))
		}
	}
	for _, c := range []struct {
		name    string
		edit    func(t *testing.T, store lake.Store)
		refused bool
	}{
		{"all of the log", func(*testing.T, lake.Store) {}, false},
		{"the commit", func(t *testing.T, store lake.Store) { forget(t, store, 1) }, false},
		{"the checksum", sum(fmt.Sprintf(`"inCommitTimestampOpt":%d,`, ahead)), false},
		{"a checksum without a time", sum(""), true},
		{"a checksum with a null", sum(`"inCommitTimestampOpt":null,`), true},
		{"a damaged checksum", sum(`"inCommitTimestampOpt":"`), true},
		{"no checksum", func(t *testing.T, store lake.Store) { forget(t, store, 2) }, true},
		{"a damaged commit", func(t *testing.T, store lake.Store) {
			forget(t, store, 1)
			put(t, store, commitPath(1), []byte(`{"commitInfo":{"inCommitTimestamp":7}}`+"\n{"))
		}, true},
		{"a commit without a time", func(t *testing.T, store lake.Store) {
			forget(t, store, 1)
			put(t, store, commitPath(1), []byte(`{"commitInfo":{"timestamp":7}}`))
		}, true},
		{"a commit with a time that is none", func(t *testing.T, store lake.Store) {
			forget(t, store, 1)
			put(t, store, commitPath(1), []byte(`{"commitInfo":{"inCommitTimestamp":"7"}}`))
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := lake.NewMemory()
			writeRaw(t, store, 0, zeroth(1000, timed, inCommitTimestamp))
			writeRaw(t, store, 1, fmt.Sprintf(`{"commitInfo":{"inCommitTimestamp":%d}}`, ahead), `{"add":{"path":"f1","partitionValues":{},"size":100,"modificationTime":1,"dataChange":true}}`)
			if _, err := openTestTable(t, store).Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.edit(t, store)
			table := openTestTable(t, store)
			wantPaths(t, table.Snapshot(), "f1") // it can be read in any case
			before := everything(t, store)
			v, err := table.Append(t.Context(), appendFiles("a", 1, "f2"))
			if c.refused {
				wantRefusal(t, err, inCommitTimestamp)
				wantRefusal(t, CheckWritable(table.Snapshot()), inCommitTimestamp)
				if _, err := table.Checkpoint(t.Context()); err != nil && !errors.Is(err, ErrNoCheckpoint) {
					t.Error(err)
				}
				if after := everything(t, store); !maps.Equal(before, after) {
					t.Error("the refused table was changed")
				}
				return
			}
			if err != nil || stampAt(t, store, v) != ahead+1 {
				t.Errorf("version %d: %v, %+v", v, err, infoOf(t, store, v))
			}
		})
	}
}

// A checksum that cannot be read for the moment is not one without a time.
func TestInCommitTimestamps_FaultsAroundTheChecksum(t *testing.T) {
	base := lake.NewMemory()
	writeRaw(t, base, 0, zeroth(1000, timed, inCommitTimestamp))
	mustAppend(t, openTestTable(t, base), appendFiles("a", 1, "f1"))
	if _, err := openTestTable(t, base).Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	forget(t, base, 2)
	put(t, base, checksumPath(1), []byte(fmt.Sprintf(`{"inCommitTimestampOpt":%d}`, clock().UnixMilli()+1000)))
	failed := 0
	for n := int64(1); ; n++ {
		ops := int64(0)
		fault := lake.FailAt(n, errIO)
		table, err := Open(t.Context(), lake.Faulty(base, func(op lake.Op) (error, error) { ops = op.N; return fault(op) }), Options{Now: clock})
		switch {
		case err != nil:
			failed++
			wantErr(t, fmt.Sprintf("operation %d: Open", n), err, errIO)
		case table.Snapshot().stamp == nil || *table.Snapshot().stamp != clock().UnixMilli()+1000:
			t.Errorf("operation %d: the time of version 1 is not known", n)
		}
		if ops < n {
			break
		}
	}
	if failed < 3 {
		t.Errorf("%d operations failed, want those on the checkpoint, the commit and the checksum at least", failed)
	}
}

// everything is the content of a store by path.
func everything(t *testing.T, store lake.Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	for info, err := range store.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := store.Get(t.Context(), info.Path)
		if err != nil {
			t.Fatal(err)
		}
		out[info.Path] = string(data)
	}
	return out
}

func wantRefusal(t *testing.T, err error, feature string) {
	t.Helper()
	var u *UnsupportedError
	if !errors.As(err, &u) || u.Feature != feature {
		t.Errorf("error %v, want a refusal for %s", err, feature)
	}
}

// A writer that knows nothing of timestamps breaks the table while it is open: what is next cannot be known.
func TestInCommitTimestamps_ACommitWithoutOneEndsThem(t *testing.T) {
	for name, winner := range map[string]string{
		"without":       `{"commitInfo":{"timestamp":5}}`,
		"no commitInfo": `{"txn":{"appId":"b","version":1}}`,
		"the last":      fmt.Sprintf(`{"commitInfo":{"inCommitTimestamp":%d}}`, int64(math.MaxInt64)),
	} {
		t.Run(name, func(t *testing.T) {
			store := lake.NewMemory()
			writeRaw(t, store, 0, zeroth(1000, timed, inCommitTimestamp))
			table := openTestTable(t, store)
			mustAppend(t, table, appendFiles("a", 1, "f"))
			writeRaw(t, store, 2, winner)
			_, err := table.Append(t.Context(), appendFiles("a", 2, "g"))
			wantRefusal(t, err, inCommitTimestamp)
			if _, err := store.Get(t.Context(), commitPath(3)); err == nil {
				t.Error("version 3 was written")
			}
		})
	}
}

// PROTOCOL.md, "Writer Requirements for In-Commit Timestamps", 4 and 5, for a table that we turn them on for, off and on again.
func TestInCommitTimestamps_AreTurnedOnByAlter(t *testing.T) {
	written := time.UnixMilli(1764000009999).Add(500 * time.Microsecond) // of the files, later than the clock
	store := dated{lake.NewMemory(), func(string) time.Time { return written }}
	table := newTestTable(t, store)
	mustAppend(t, table, appendFiles("a", 1, "f"))
	set := func(value string) int64 {
		v, err := table.Alter(t.Context(), func(s *Snapshot) (*Change, error) {
			m := s.Metadata
			m.Configuration = maps.Clone(m.Configuration)
			m.Configuration[enableTimestamps] = value
			return &Change{Metadata: m, Operation: "SET TBLPROPERTIES"}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	enabled := func(v int64) {
		t.Helper()
		s := openTestTable(t, store).Snapshot()
		if got := stampAt(t, store, v); got != 1764000010000 {
			t.Errorf("inCommitTimestamp %d is not right after the file before", got)
		}
		want := map[string]string{enableTimestamps: "true", enablementVersion: strconv.FormatInt(v, 10), enablementTimestamp: "1764000010000"}
		if !maps.Equal(s.Metadata.Configuration, want) {
			t.Errorf("properties %v, want %v", s.Metadata.Configuration, want)
		}
		if p := s.Protocol; p.MinReaderVersion != 1 || p.MinWriterVersion != 7 || p.ReaderFeatures != nil || !slices.Equal(p.WriterFeatures, []string{"appendOnly", "invariants", inCommitTimestamp}) {
			t.Errorf("protocol %+v", p)
		}
	}
	enabled(set("true"))
	if v := mustAppend(t, table, appendFiles("a", 2, "g")); stampAt(t, store, v) != 1764000010001 {
		t.Errorf("version %d: %+v", v, infoOf(t, store, v))
	}
	if v := set("false"); infoOf(t, store, v).InCommitTimestamp != nil {
		t.Error("the commit that turns timestamps off has one")
	}
	mustAppend(t, table, appendFiles("a", 3, "h"))
	enabled(set("true"))
	wantClean(t, store, "f", "g", "h")
}

func TestInCommitTimestamps_FromTheFirstVersion(t *testing.T) {
	store := lake.NewMemory()
	table, err := Create(t.Context(), store, CreateSpec{ID: "table-id", SchemaString: testSchema, Now: clock, Configuration: map[string]string{enableTimestamps: "true"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := stampAt(t, store, 0); got != clock().UnixMilli() {
		t.Errorf("inCommitTimestamp %d", got)
	}
	if m := table.Snapshot().Metadata; len(m.Configuration) != 1 {
		t.Errorf("a table that has had them always says more: %v", m.Configuration)
	}
	if v := mustAppend(t, deterministic(table), appendFiles("a", 1, "f")); stampAt(t, store, v) != clock().UnixMilli()+1 {
		t.Errorf("version %d: %+v", v, infoOf(t, store, v))
	}
	wantClean(t, store, "f")
}

// Many writers with clocks of their own, one of whose is behind.
func TestInCommitTimestamps_ManyWriters(t *testing.T) {
	const writers, commits = 6, 5
	l, err := lake.NewLocal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	store := l.Sub("t")
	writeRaw(t, store, 0, zeroth(1000, timed+","+tracked, inCommitTimestamp, rowTracking, domainMetadata))
	var want []string
	var wg sync.WaitGroup
	for i := range writers {
		late := time.Duration(i) * time.Hour
		table, err := Open(t.Context(), store, Options{Now: func() time.Time { return time.Now().Add(-late) }})
		if err != nil {
			t.Fatal(err)
		}
		for n := range commits {
			want = append(want, fmt.Sprintf("w%d-%d", i, n))
		}
		wg.Go(func() {
			for n := range commits {
				if _, err := table.Append(t.Context(), appendFiles(fmt.Sprint("app", i), int64(n), fmt.Sprintf("w%d-%d", i, n))); err != nil {
					t.Errorf("writer %d, commit %d: %v", i, n, err)
					return
				}
			}
		})
	}
	wg.Wait()
	wantClean(t, store, want...)
	if high, err := openTestTable(t, store).Snapshot().rowsHigh(); err != nil || high != 4*writers*commits-1 {
		t.Errorf("high water mark %d, %v", high, err)
	}
}

// PROTOCOL.md, "Metadata Cleanup": the commit of the checkpoint that the log begins with stays, for its commitInfo; and a version is
// as old as it says itself, not as its file.
func TestCleanLog_InCommitTimestamps(t *testing.T) {
	day := func(n int) int64 { return time.Date(2026, 2, 28+n, 12, 0, 0, 0, time.UTC).UnixMilli() }
	for _, c := range []struct {
		name    string
		enabled int64 // the first version with a time
		late    int64 // days that the times are after those of the files
		broken  int64 // a version whose time is missing
		left    string
	}{
		{name: "as old as their files", left: "6c 6 7 8c 8 9 10"},
		{name: "younger than their files", late: 2, left: "4c 4 5 6c 6 7 8c 8 9 10"},
		{name: "older than their files", late: -5, left: "6c 6 7 8c 8 9 10"},
		{name: "all of them young", late: 20, left: "0 1 2c 2 3 4c 4 5 6c 6 7 8c 8 9 10"},
		{name: "since version 5", enabled: 5, late: 20, left: "4c 4 5 6c 6 7 8c 8 9 10"},
		{name: "since version 9", enabled: 9, left: "6c 6 7 8c 8 9 10"},
		{name: "one is missing", broken: 5, late: 0, left: "4c 4 5 6c 6 7 8c 8 9 10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := dated{lake.NewMemory(), perDay}
			properties := timed + `,"delta.logRetentionDuration":"interval 3 days"`
			if c.enabled > 0 {
				properties += fmt.Sprintf(`,"delta.inCommitTimestampEnablementVersion":"%d","delta.inCommitTimestampEnablementTimestamp":"7"`, c.enabled)
			}
			for v := range int64(11) {
				zero := ""
				if v == 0 {
					_, zero, _ = strings.Cut(zeroth(0, properties, inCommitTimestamp), "\n")
				}
				info := fmt.Sprintf(`{"commitInfo":{"inCommitTimestamp":%d}}`, day(int(v+c.late)))
				if v < c.enabled || v > 0 && v == c.broken {
					info = `{"commitInfo":{}}`
				}
				writeRaw(t, store, v, info, zero)
			}
			for _, v := range []int64{2, 4, 6, 8} {
				put(t, store, checkpointPath(v), checkpointOf(t, store, v))
			}
			table, err := Open(t.Context(), store, Options{Now: func() time.Time { return today }})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := table.CleanLog(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := names(t, store); got != c.left {
				t.Errorf("left: %s, want %s", got, c.left)
			}
			mustAppend(t, openTestTable(t, store), appendFiles("a", 1, "f"))
		})
	}
}

// puts remembers what was to be written as commits.
type puts struct {
	lake.Store
	bodies map[string][]string
}

func (p *puts) PutIfAbsent(ctx context.Context, path string, data []byte) error {
	p.bodies[path] = append(p.bodies[path], string(data))
	return p.Store.PutIfAbsent(ctx, path, data)
}

// A commit whose outcome is not known is written again as it was: one txnId, one time and one range of row ids, however late it is.
// What is tried anew, after the outcome of an earlier try was left open, is another commit, and comes after what stands there.
func TestFeatures_ACommitWrittenAgainIsTheSame(t *testing.T) {
	for _, landed := range []bool{false, true} {
		base := lake.NewMemory()
		writeRaw(t, base, 0, zeroth(1_000, timed+","+tracked, inCommitTimestamp, rowTracking, domainMetadata))
		now, failures := int64(5_000), 0
		store := &puts{Store: lake.Faulty(base, func(op lake.Op) (error, error) {
			if op.Name != "put if absent" || failures == 0 {
				return nil, nil
			}
			failures--
			now += 60_000
			if landed && failures == 0 {
				return nil, errIO
			}
			return errIO, nil
		}), bodies: map[string][]string{}}
		table := ticking(t, store, &now)
		table.pause = noPause
		failures = 4
		mustAppend(t, table, appendFiles("a", 1, "f1"))
		tries := store.bodies[commitPath(1)]
		if len(tries) < 4 || slices.ContainsFunc(tries, func(body string) bool { return body != tries[0] }) {
			t.Errorf("landed %t: version 1 was written as %q", landed, tries)
		}

		clear(store.bodies)
		ctx, cancel := context.WithCancel(t.Context())
		table.pause = func(ctx context.Context, _ int) error { cancel(); return ctx.Err() }
		failures, now = 1, now-100_000 // and the clock goes back
		_, err := table.Append(ctx, appendFiles("a", 2, "f2"))
		wantErr(t, "Append", err, ErrUndecided)
		table.pause = noPause
		if _, err := table.Append(t.Context(), appendFiles("a", 2, "f2")); landed != errors.Is(err, ErrAlreadyCommitted) || !landed && err != nil {
			t.Errorf("landed %t: again: %v", landed, err)
		}
		mustAppend(t, table, appendFiles("a", 3, "f3"))
		for v := range int64(3) {
			if was, is := stampAtOrZero(t, base, v), stampAt(t, base, v+1); is <= was {
				t.Errorf("landed %t: version %d is of %d, after %d", landed, v+1, is, was)
			}
		}
		wantClean(t, base, "f1", "f2", "f3")
	}
}

// stampAtOrZero is stampAt for a version that another engine wrote.
func stampAtOrZero(t *testing.T, store lake.Store, version int64) int64 {
	t.Helper()
	if info := infoOf(t, store, version); info.InCommitTimestamp != nil {
		return *info.InCommitTimestamp
	}
	return 0
}

// Every operation fails once, before and after its effect, through the life of a table with both features that count.
func TestFeatures_EveryOperationFailsOnce(t *testing.T) {
	for _, kind := range []struct {
		name  string
		fault func(n int64, err error) lake.Fault
	}{{"Before", lake.FailAt}, {"After", lake.LoseAt}} {
		t.Run(kind.name, func(t *testing.T) {
			for n := int64(1); ; n++ {
				base := lake.NewMemory()
				writeRaw(t, base, 0, zeroth(0, tracked, rowTracking, domainMetadata))
				ops := int64(0)
				fault := kind.fault(n, errIO)
				store := lake.Faulty(base, func(op lake.Op) (error, error) {
					ops = op.N
					return fault(op)
				})
				until := func(what string, f func() error) {
					for {
						err := f()
						if err == nil || errors.Is(err, ErrAlreadyCommitted) {
							return
						}
						if !errors.Is(err, errIO) {
							t.Fatalf("operation %d: %s: %v", n, what, err)
						}
					}
				}
				var table *Table
				var want []string
				until("open", func() (err error) {
					table, err = Open(t.Context(), store, Options{Now: clock})
					return err
				})
				table.pause = noPause
				until("alter", func() error {
					_, err := table.Alter(t.Context(), func(s *Snapshot) (*Change, error) {
						m := s.Metadata
						if m.Configuration[enableTimestamps] != "" {
							return nil, nil
						}
						m.Configuration = maps.Clone(m.Configuration)
						m.Configuration[enableTimestamps] = "true"
						return &Change{Metadata: m, Operation: "SET TBLPROPERTIES"}, nil
					})
					return err
				})
				for txn := int64(1); txn <= 3; txn++ {
					name := fmt.Sprintf("f%d", txn)
					want = append(want, name, "o"+name)
					mustAppend(t, openTestTable(t, base), appendFiles(fmt.Sprintf("other%d", txn), 1, "o"+name))
					until("append", func() error {
						_, err := table.Append(t.Context(), appendFiles("a", txn, name))
						return err
					})
					if txn == 2 {
						until("checkpoint", func() error { _, err := table.Checkpoint(t.Context()); return err })
						until("open again", func() (err error) {
							table, err = Open(t.Context(), store, Options{Now: clock})
							return err
						})
						table.pause = noPause
					}
				}
				wantClean(t, base, want...)
				if t.Failed() {
					t.Fatalf("operation %d failed %s", n, kind.name)
				}
				if ops < n {
					if n < 25 {
						t.Errorf("the walk has only %d operations", ops)
					}
					return
				}
			}
		})
	}
}
