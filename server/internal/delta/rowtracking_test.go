package delta

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// numbered lists the live files with the numbers of their rows, as path:base@version.
func numbered(s *Snapshot) []string {
	var out []string
	for f := range s.Files() {
		text := f.Path + ":none"
		if f.BaseRowID != nil {
			text = fmt.Sprintf("%s:%d", f.Path, *f.BaseRowID)
		}
		if f.DefaultRowCommitVersion != nil {
			text += fmt.Sprintf("@%d", *f.DefaultRowCommitVersion)
		}
		out = append(out, text)
	}
	return out
}

func wantNumbered(t *testing.T, s *Snapshot, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, numbered(s)); diff != "" {
		t.Errorf("rows of version %d (-want +got):\n%s", s.Version, diff)
	}
}

func wantHigh(t *testing.T, s *Snapshot, want string) {
	t.Helper()
	if got := s.Domains[rowDomain].Configuration; got != want {
		t.Errorf("domain %s is %q, want %q", rowDomain, got, want)
	}
}

// PROTOCOL.md, "Writer Requirements for Row Tracking": base, version and high water mark of new files, whether row tracking is
// enabled or only supported, from the commits and from a checkpoint alone.
func TestRowTracking_NumbersNewRows(t *testing.T) {
	for _, c := range []struct {
		name, configuration, tags string
	}{
		{"enabled", tracked, "map[delta.rowTracking.preserved:true]"},
		{"supported", "", "map[]"},
		{"not suspended", `"delta.rowTrackingSuspended":"false"`, "map[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := lake.NewMemory()
			writeRaw(t, store, 0, zeroth(0, c.configuration, rowTracking, domainMetadata))
			table := openTestTable(t, store)
			if !table.Snapshot().RowTracking() {
				t.Error("the table does not say that it tracks rows")
			}
			mustAppend(t, table, appendFiles("a", 1, "f1", "f2"))
			wantNumbered(t, table.Snapshot(), "f1:0@1", "f2:4@1")
			wantHigh(t, table.Snapshot(), `{"rowIdHighWaterMark":7}`)
			if got := fmt.Sprint(infoOf(t, store, 1).Tags); got != c.tags {
				t.Errorf("tags of commitInfo are %s", got)
			}
			// A commit without rows moves nothing, and has no action for it.
			empty := appendFiles("a", 2, "f3")
			empty.Adds[0].Stats = `{"numRecords":0}`
			for _, a := range []Append{empty, {AppID: "a", TxnVersion: 3}} {
				v := mustAppend(t, table, a)
				if data, err := store.Get(t.Context(), commitPath(v)); err != nil || strings.Contains(string(data), "domainMetadata") {
					t.Errorf("a commit without rows: %s, %v", data, err)
				}
			}
			mustAppend(t, table, appendFiles("a", 4, "f4"))
			want := []string{"f1:0@1", "f2:4@1", "f3:8@2", "f4:8@4"}
			wantNumbered(t, table.Snapshot(), want...)
			wantHigh(t, table.Snapshot(), `{"rowIdHighWaterMark":11}`)

			if _, err := table.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
			forget(t, store, 4)
			again := openTestTable(t, store)
			same(t, "from the checkpoint", table.Snapshot(), again.Snapshot())
			wantNumbered(t, again.Snapshot(), want...)
			mustAppend(t, again, appendFiles("a", 5, "f5"))
			wantNumbered(t, again.Snapshot(), append(want, "f5:12@5")...)
			wantClean(t, store, "f1", "f2", "f3", "f4", "f5")
		})
	}
}

// "Writers must never commit duplicate Row IDs": after a lost race, all three are made anew from what the winner left.
func TestRowTracking_IsMadeAnewAfterALostRace(t *testing.T) {
	base := lake.NewMemory()
	writeRaw(t, base, 0, zeroth(0, tracked, rowTracking, domainMetadata))
	other := openTestTable(t, base)
	raced := false
	store := lake.Faulty(base, func(op lake.Op) (error, error) {
		if op.Name == "put if absent" && !raced {
			raced = true
			mustAppend(t, other, appendFiles("b", 1, "theirs"))
			writeRaw(t, base, 2, `{"commitInfo":{}}`, `{"domainMetadata":{"domain":"delta.rowTracking","configuration":"{\"rowIdHighWaterMark\":99}","removed":false}}`) // a reservation
		}
		return nil, nil
	})
	a := appendFiles("a", 1, "f")
	mustAppend(t, openTestTable(t, store), a)
	wantNumbered(t, openTestTable(t, base).Snapshot(), "theirs:0@1", "f:100@3")
	wantHigh(t, openTestTable(t, base).Snapshot(), `{"rowIdHighWaterMark":103}`)
	if a.Adds[0].BaseRowID != nil {
		t.Error("the caller's file was numbered")
	}
	wantClean(t, base, "theirs", "f")
}

// "When Row Tracking is supported but suspended, writers should not assign".
func TestRowTracking_Suspended(t *testing.T) {
	store := lake.NewMemory()
	writeRaw(t, store, 0, zeroth(0, `"delta.rowTrackingSuspended":"true","delta.enableRowTracking":"false"`, rowTracking, domainMetadata))
	writeRaw(t, store, 1, `{"domainMetadata":{"domain":"delta.rowTracking","configuration":"{\"rowIdHighWaterMark\":9}","removed":false}}`)
	table := openTestTable(t, store)
	mustAppend(t, table, appendFiles("a", 1, "f"))
	wantNumbered(t, table.Snapshot(), "f:none")
	wantHigh(t, table.Snapshot(), `{"rowIdHighWaterMark":9}`)
	wantClean(t, store, "f")
}

// A table without the domain may have numbers all the same, of a feature that was dropped and came back.
func TestRowTracking_WithoutItsDomain(t *testing.T) {
	numbers := `{"add":{"path":"old","partitionValues":{},"size":3,"modificationTime":1,"dataChange":true,"baseRowId":40,"defaultRowCommitVersion":1,"stats":"{\"numRecords\":2}"}}`
	for _, c := range []struct {
		name, line string
		want       string // the new file; empty when refused
	}{
		{"numbers", numbers, "f:42@2"},
		{"none", strings.Replace(numbers, `"baseRowId":40,"defaultRowCommitVersion":1,`, "", 1), "f:0@2"},
		{"numbers of who knows how many rows", strings.Replace(numbers, "numRecords", "rows", 1), ""},
		{"a removed domain", numbers + "\n" + `{"domainMetadata":{"domain":"delta.rowTracking","configuration":"{\"rowIdHighWaterMark\":70}","removed":true}}`, "f:42@2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := lake.NewMemory()
			writeRaw(t, store, 0, zeroth(0, "", rowTracking, domainMetadata))
			writeRaw(t, store, 1, c.line)
			table := openTestTable(t, store)
			_, err := table.Append(t.Context(), appendFiles("a", 1, "f"))
			if c.want == "" {
				wantRefusal(t, err, rowTracking)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := numbered(table.Snapshot()); got[1] != c.want {
				t.Errorf("got %q, want %s", got, c.want)
			}
		})
	}
}

func TestRowTracking_Refusals(t *testing.T) {
	mark := func(text string) string {
		return fmt.Sprintf(`{"domainMetadata":{"domain":"delta.rowTracking","configuration":%q,"removed":false}}`, text)
	}
	for _, c := range []struct {
		name, zero, line string
	}{
		{"without domainMetadata", zeroth(0, tracked, rowTracking), ""},
		{"enabled and suspended", zeroth(0, tracked+`,"delta.rowTrackingSuspended":"true"`, rowTracking, domainMetadata), ""},
		{"no JSON", zeroth(0, "", rowTracking, domainMetadata), mark("{")},
		{"no mark", zeroth(0, "", rowTracking, domainMetadata), mark("{}")},
		{"a mark that is no number", zeroth(0, "", rowTracking, domainMetadata), mark(`{"rowIdHighWaterMark":"7"}`)},
		{"a mark below none", zeroth(0, "", rowTracking, domainMetadata), mark(`{"rowIdHighWaterMark":-2}`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := lake.NewMemory()
			writeRaw(t, store, 0, c.zero, c.line)
			table := openTestTable(t, store)
			wantRefusal(t, CheckWritable(table.Snapshot()), rowTracking)
			_, err := table.Append(t.Context(), appendFiles("a", 1, "f"))
			wantRefusal(t, err, rowTracking)
			if table.Snapshot().Version != 0 {
				t.Error("a version was written")
			}
		})
	}

	// What is found when the rows are numbered only.
	store := lake.NewMemory()
	writeRaw(t, store, 0, zeroth(0, "", rowTracking, domainMetadata), mark(fmt.Sprintf(`{"rowIdHighWaterMark":%d}`, int64(math.MaxInt64-5))))
	table := openTestTable(t, store)
	uncounted := appendFiles("a", 1, "f")
	uncounted.Adds[0].Stats = `{"nullCount":{}}`
	if _, err := table.Append(t.Context(), uncounted); err == nil || !strings.Contains(err.Error(), "how many rows") {
		t.Errorf("a file without numRecords: %v", err)
	}
	own := appendFiles("a", 1, "f")
	own.Adds[0].BaseRowID = new(int64(7))
	if _, err := table.Append(t.Context(), own); err == nil || !strings.Contains(err.Error(), "row ids") {
		t.Errorf("a file with row ids: %v", err)
	}
	mustAppend(t, table, appendFiles("a", 1, "last"))
	_, err := table.Append(t.Context(), appendFiles("a", 2, "f"))
	wantRefusal(t, err, rowTracking)
}

// "Writers must set the baseRowId field in … checkpointed … remove actions to the value of the last committed add action with the
// same path", also of a remove whose writer did not; and a commit of ours that removes files says it itself, or is not made.
func TestRowTracking_RemovesKeepTheNumbers(t *testing.T) {
	store := lake.NewMemory()
	writeRaw(t, store, 0, zeroth(0, "", rowTracking, domainMetadata))
	table := openTestTable(t, store)
	mustAppend(t, table, appendFiles("a", 1, "f1", "f2"))
	gone := Remove{Path: "f2", DeletionTimestamp: clock().UnixMilli(), DataChange: true}
	body, err := table.body(t.Context(), CommitInfo{}, &commit{removes: []Remove{gone}, adds: []Add{file("f3")}})
	if err != nil || !strings.Contains(string(body), `"dataChange":true,"baseRowId":4,"defaultRowCommitVersion":1}}`) || !strings.Contains(string(body), `"baseRowId":8,"defaultRowCommitVersion":2}}`) {
		t.Errorf("%s, %v", body, err)
	}
	writeRaw(t, store, 2, fmt.Sprintf(`{"remove":{"path":"f2","deletionTimestamp":%d,"dataChange":true}}`, clock().UnixMilli()))
	if err := table.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := table.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	forget(t, store, 2)
	stones := openTestTable(t, store).Snapshot().tombstones(clock())
	if len(stones) != 1 || stones[0].BaseRowID == nil || *stones[0].BaseRowID != 4 || *stones[0].DefaultRowCommitVersion != 1 {
		t.Errorf("tombstones %+v", stones)
	}

	store = lake.NewMemory()
	writeRaw(t, store, 0, zeroth(0, tracked, rowTracking, domainMetadata))
	table = openTestTable(t, store)
	mustAppend(t, table, appendFiles("a", 1, "f1"))
	_, err = table.body(t.Context(), CommitInfo{}, &commit{removes: []Remove{{Path: "f1"}}, adds: []Add{file("f2")}})
	wantRefusal(t, err, rowTracking)
}

// Other domains stay as they are (PROTOCOL.md, "Writer Requirements for Domain Metadata").
func TestDomainMetadata_IsKept(t *testing.T) {
	store := lake.NewMemory()
	writeRaw(t, store, 0, zeroth(0, "", domainMetadata), `{"domainMetadata":{"domain":"com.example","configuration":"{\"a\":1}","removed":false}}`)
	table := openTestTable(t, store)
	mustAppend(t, table, appendFiles("a", 1, "f"))
	if _, err := table.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	forget(t, store, 1)
	want := map[string]DomainMetadata{"com.example": {Domain: "com.example", Configuration: `{"a":1}`}}
	if diff := cmp.Diff(want, openTestTable(t, store).Snapshot().Domains); diff != "" {
		t.Errorf("domains (-want +got):\n%s", diff)
	}
	if (&Snapshot{}).RowTracking() || table.Snapshot().RowTracking() {
		t.Error("a table without the feature says that it tracks rows")
	}
}

func TestLint_Features(t *testing.T) {
	stamp := func(n int) string { return fmt.Sprintf(`{"commitInfo":{"inCommitTimestamp":%d}}`, n) }
	add := func(path, rows string) string {
		return `{"add":{"path":"` + path + `","partitionValues":{},"size":3,"modificationTime":1,"dataChange":true,` + rows + `"stats":"{\"numRecords\":2}"}}`
	}
	rm := func(path, rows string) string {
		return `{"remove":{"path":"` + path + `",` + rows + `"dataChange":true}}`
	}
	ids := func(base, version int) string {
		return fmt.Sprintf(`"baseRowId":%d,"defaultRowCommitVersion":%d,`, base, version)
	}
	mark := func(n int) string {
		return fmt.Sprintf(`{"domainMetadata":{"domain":"delta.rowTracking","configuration":"{\"rowIdHighWaterMark\":%d}","removed":false}}`, n)
	}
	clock0 := zeroth(10, timed, inCommitTimestamp)
	rows0 := zeroth(0, "", rowTracking, domainMetadata)
	properties := func(configuration string) string {
		return fmt.Sprintf(`{"metaData":{"id":"table-id","format":{"provider":"parquet"},"schemaString":%q,"configuration":{%s}}}`, testSchema, configuration)
	}
	since := func(version, at int) string {
		return properties(fmt.Sprintf(timed+`,"delta.inCommitTimestampEnablementVersion":"%d","delta.inCommitTimestampEnablementTimestamp":"%d"`, version, at))
	}
	join := func(lines ...string) string { return strings.Join(lines, "\n") }
	for _, c := range []struct {
		name    string
		commits []string
		want    []string // each must be found, and no other
	}{
		{name: "times", commits: []string{clock0, stamp(11), stamp(30)}},
		{name: "times that stand still", commits: []string{clock0, stamp(11), stamp(11)}, want: []string{"version 2: inCommitTimestamp is 11, after 11"}},
		{name: "times that fall", commits: []string{clock0, stamp(9), stamp(12)}, want: []string{"version 1: inCommitTimestamp is 9, after 10"}},
		{name: "no time", commits: []string{clock0, `{"commitInfo":{}}`, stamp(5)}, want: []string{"version 1: commitInfo with inCommitTimestamp is missing"}},
		{name: "no commitInfo", commits: []string{clock0, add("f", "")}, want: []string{"version 1: commitInfo with inCommitTimestamp is missing"}},
		{name: "no time in version 0", commits: []string{zeroth(0, timed, inCommitTimestamp)}, want: []string{"version 0: commitInfo with inCommitTimestamp is missing"}},
		{name: "a time that is text", commits: []string{clock0, `{"commitInfo":{"inCommitTimestamp":"11"}}`}, want: []string{"version 1: commitInfo with inCommitTimestamp is missing"}},
		{name: "a time further down", commits: []string{clock0, join(add("f", ""), stamp(11))}, want: []string{"version 1: inCommitTimestamp is not in the first"}},
		{name: "times later on", commits: []string{zeroth(0, "", inCommitTimestamp), join(stamp(7), since(1, 7)), stamp(8)}},
		{name: "times later on, wrongly said", commits: []string{zeroth(0, "", inCommitTimestamp), join(stamp(7), since(2, 8))}, want: []string{`EnablementVersion is "2", want 1`, `EnablementTimestamp is "8", want 7`}},
		{name: "times later on, not said", commits: []string{zeroth(0, "", inCommitTimestamp), join(stamp(7), properties(timed))}, want: []string{`EnablementVersion is ""`, `EnablementTimestamp is ""`}},
		{name: "times that end", commits: []string{clock0, properties(""), `{"commitInfo":{}}`}},

		{name: "rows", commits: []string{rows0, join(mark(3), add("f", ids(0, 1)), add("g", ids(2, 1))), join(mark(9), add("h", ids(8, 2)))}},
		{name: "rows out of order", commits: []string{rows0, join(mark(3), add("g", ids(2, 1)), add("f", ids(0, 1)))}},
		{name: "rows of a reservation", commits: []string{rows0, mark(20), join(mark(22), add("f", ids(21, 2)))}},
		{name: "rows without ids", commits: []string{rows0, add("f", "")}, want: []string{"add of f gives no row ids"}},
		{name: "rows without a mark", commits: []string{rows0, add("f", ids(0, 1))}, want: []string{"the high water mark of row ids is -1, 1 was given"}},
		{name: "a mark that is too low", commits: []string{rows0, join(mark(0), add("f", ids(0, 1)))}, want: []string{"the high water mark of row ids is 0, 1 was given"}},
		{name: "a mark that falls", commits: []string{rows0, mark(9), mark(8)}, want: []string{"version 2: the high water mark of row ids is 8, 9 was given"}},
		{name: "a mark that is none", commits: []string{rows0, `{"domainMetadata":{"domain":"delta.rowTracking","configuration":"{}"}}`}, want: []string{"version 1: domain delta.rowTracking has no rowIdHighWaterMark"}},
		{name: "rows that overlap", commits: []string{rows0, join(mark(2), add("f", ids(0, 1)), add("g", ids(1, 1)))}, want: []string{"add of g gives row ids from 1 on, 1 was given before"}},
		{name: "rows that were given", commits: []string{rows0, join(mark(1), add("f", ids(0, 1))), join(mark(3), add("g", ids(0, 2)))}, want: []string{"version 2: add of g gives row ids from 0 on, 1 was given"}},
		{name: "the version of another commit", commits: []string{rows0, join(mark(1), add("f", ids(0, 7)))}, want: []string{"add of f has defaultRowCommitVersion 7"}},
		{name: "how many rows is not known", commits: []string{rows0, join(mark(1), strings.Replace(add("f", ids(0, 1)), "numRecords", "n", 1))}, want: []string{"does not say to how many"}},
		{name: "added again", commits: []string{rows0, join(mark(1), add("f", ids(0, 1))), strings.Replace(add("f", ids(0, 1)), "true", "false", 1)}},
		{name: "added again, as another", commits: []string{rows0, join(mark(1), add("f", ids(0, 1))), join(mark(3), strings.Replace(add("f", ids(2, 2)), "true", "false", 1))}, want: []string{"add of f changes the row ids"}},
		{name: "numbered later", commits: []string{zeroth(0, ""), add("f", ""), join(`{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["rowTracking","domainMetadata"]}}`, mark(1), strings.Replace(add("f", ids(0, 2)), "true", "false", 1)), properties(tracked)}},
		{name: "turned on too early", commits: []string{zeroth(0, ""), join(add("f", ""), add("g", "")), join(`{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["rowTracking","domainMetadata"]}}`, properties(tracked), rm("g", ""))}, want: []string{"version 2: row tracking is turned on, and file f has no row ids"}},
		{name: "removed", commits: []string{rows0, join(mark(1), add("f", ids(0, 1))), rm("f", ids(0, 1))}},
		{name: "removed without", commits: []string{rows0, join(mark(1), add("f", ids(0, 1))), rm("f", "")}, want: []string{"remove of f does not have the row ids of its add"}},
		{name: "restored", commits: []string{rows0, join(mark(1), add("f", ids(0, 1))), rm("f", ids(0, 1)), join(`{"commitInfo":{"operation":"RESTORE"}}`, add("f", ids(0, 1)))}},
		{name: "suspended", commits: []string{zeroth(0, `"delta.rowTrackingSuspended":"true"`, rowTracking, domainMetadata), add("f", "")}},
		{name: "suspended, and given", commits: []string{zeroth(0, `"delta.rowTrackingSuspended":"true"`, rowTracking, domainMetadata), join(mark(1), add("f", ids(0, 1)))}, want: []string{"add of f gives row ids, which are suspended"}},
		{name: "without domainMetadata", commits: []string{zeroth(0, "", rowTracking)}, want: []string{"without the feature domainMetadata"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := lake.NewMemory()
			for v, lines := range c.commits {
				writeRaw(t, store, int64(v), lines)
			}
			problems, err := Lint(t.Context(), store, LintOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range c.want {
				found := false
				for _, p := range problems {
					found = found || strings.Contains(p.String(), w)
				}
				if !found {
					t.Errorf("not found: %s", w)
				}
			}
			if len(problems) != len(c.want) {
				t.Errorf("%d problems, want %d: %v", len(problems), len(c.want), problems)
			}
		})
	}
}

// A log whose beginning is gone is checked from its checkpoint on.
func TestLint_FeaturesFromACheckpoint(t *testing.T) {
	store := lake.NewMemory()
	writeRaw(t, store, 0, zeroth(1000, timed+","+tracked, inCommitTimestamp, rowTracking, domainMetadata))
	table := openTestTable(t, store)
	mustAppend(t, table, appendFiles("a", 1, "f1"))
	if _, err := table.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, table, appendFiles("a", 2, "f2"))
	forget(t, store, 1)
	wantClean(t, store, "f1", "f2")
	writeRaw(t, store, 3, fmt.Sprintf(`{"commitInfo":{"inCommitTimestamp":%d}}`, clock().UnixMilli()+9), `{"remove":{"path":"f1","dataChange":true,"baseRowId":1,"defaultRowCommitVersion":1}}`)
	problems, err := Lint(context.Background(), store, LintOptions{})
	if err != nil || len(problems) != 1 || !strings.Contains(problems[0].Text, "remove of f1") {
		t.Errorf("%v, %v", problems, err)
	}
}

func FuzzFeatureTexts(f *testing.F) {
	f.Add(`{"rowIdHighWaterMark":7}`)
	f.Add(`{"rowIdHighWaterMark":-1,"x":null}`)
	f.Add(`{"rowIdHighWaterMark":1e3}`)
	f.Add(`{"inCommitTimestamp":1764000000123}`)
	f.Fuzz(func(t *testing.T, text string) {
		s := &Snapshot{Domains: map[string]DomainMetadata{rowDomain: {Domain: rowDomain, Configuration: text}}}
		high, err := s.rowsHigh()
		if err == nil && high < noRows || err != nil && high != 0 {
			t.Errorf("%q gives %d, %v", text, high, err)
		}
		if n := stampOf([]byte(text)); n != nil && !json.Valid([]byte(text)) {
			t.Errorf("%q has the time %d", text, *n)
		}
	})
}
