package delta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

const day = 24 * time.Hour

// ages is when objects were written, in days before the clock; others just now.
type ages map[string]float64

func (a ages) at(path string) time.Time {
	return clock().Add(-time.Duration(a[path] * float64(day)))
}

// removeLine is a remove of so many days ago.
func removeLine(path string, days float64, more string) string {
	return fmt.Sprintf(`{"remove":{"path":%q,"dataChange":true,"deletionTimestamp":%d%s}}`, path, clock().Add(-time.Duration(days*float64(day))).UnixMilli(), more)
}

// untimedRemove is a commit of so many days ago, with a remove that does not say when.
func untimedRemove(path string, days float64) string {
	return fmt.Sprintf("{\"commitInfo\":{\"timestamp\":%d}}\n{\"remove\":{\"path\":%q,\"dataChange\":true}}", clock().Add(-time.Duration(days*float64(day))).UnixMilli(), path)
}

func addLine(path, more string) string {
	return fmt.Sprintf(`{"add":{"path":%q,"partitionValues":{},"size":3,"modificationTime":1,"dataChange":true%s}}`, path, more)
}

// putFiles writes objects of three bytes.
func putFiles(t *testing.T, store lake.Store, paths ...string) {
	t.Helper()
	for _, p := range paths {
		put(t, store, p, []byte("abc"))
	}
}

// dataPaths lists what is below the table, without the log.
func dataPaths(t *testing.T, store lake.Store) []string {
	t.Helper()
	out := []string{}
	for info, err := range store.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(info.Path, logDir) {
			out = append(out, info.Path)
		}
	}
	return out
}

func loosePaths(files []LooseFile) []string {
	out := []string{}
	for _, f := range files {
		out = append(out, f.Path)
	}
	return out
}

const (
	vectorZ85 = `,"deletionVector":{"storageType":"u","pathOrInlineDv":"ab^-aqEH.-t@S}K{vb[*k^","offset":4,"sizeInBytes":40,"cardinality":6}`
	vectorBin = "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin"
)

// The example of PROTOCOL.md, "Deletion Vector Descriptor Schema".
func TestDeletionVector_FileOfEachStorageType(t *testing.T) {
	for _, c := range []struct{ storage, text, want, fault string }{
		{"u", "ab^-aqEH.-t@S}K{vb[*k^", vectorBin, ""},
		{"u", "^-aqEH.-t@S}K{vb[*k^", "deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin", ""},
		{"p", "s3://bucket/a.bin", "s3://bucket/a.bin", ""},
		{"i", "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", "", ""},
		{"u", "short", "", "too short"},
		{"u", "\"-aqEH.-t@S}K{vb[*k^", "", "no digit"},
		{"u", "#####.-t@S}K{vb[*k^ab", "", "too great"},
		{"x", "", "", "not known"},
	} {
		got, err := (&DeletionVector{StorageType: c.storage, PathOrInlineDV: c.text}).File()
		if got != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s %q: %q, %v; want %q, %q", c.storage, c.text, got, err, c.want, c.fault)
		}
	}
}

// spec/delta.md §9.9, and §1 "Paths".
func TestVacuum_DT09_ListsOnlyWhatNoVersionNeeds(t *testing.T) {
	const partitioned = `"partitionColumns":["_p"],`
	for _, c := range []struct {
		name    string
		config  string // of metaData
		fields  string
		log     []string
		files   map[string]float64 // age in days, by path
		logAges map[string]float64 // likewise
		retain  time.Duration      // 0: the table's
		force   bool
		deleted []string
	}{
		{name: "live", log: []string{addLine("f", "")}, files: map[string]float64{"f": 99}},
		{name: "orphan", files: map[string]float64{"old": 8, "new": 6, "d/old": 8}, deleted: []string{"d/old", "old"}},
		{name: "exactly as old as the retention", files: map[string]float64{"f": 7}},
		{name: "tombstone that has expired", log: []string{addLine("f", ""), removeLine("f", 8, "")}, files: map[string]float64{"f": 9}, deleted: []string{"f"}},
		{name: "tombstone that counts", log: []string{addLine("f", ""), removeLine("f", 6, "")}, files: map[string]float64{"f": 9}},
		{
			name: "tombstone without a time is of that of its commit", log: []string{addLine("f", ""), addLine("g", ""), untimedRemove("f", 6), untimedRemove("g", 8)},
			files: map[string]float64{"f": 9, "g": 9}, deleted: []string{"g"},
		},
		{
			name: "or of that of the commit's file", log: []string{addLine("f", ""), addLine("g", ""), `{"remove":{"path":"f","dataChange":true}}`, `{"remove":{"path":"g","dataChange":true}}`},
			files: map[string]float64{"f": 9, "g": 9}, logAges: map[string]float64{commitPath(3): 6, commitPath(4): 8}, deleted: []string{"g"},
		},
		{name: "expired, but changed since", log: []string{addLine("f", ""), removeLine("f", 8, "")}, files: map[string]float64{"f": 1}},
		{name: "the table's retention", config: `"delta.deletedFileRetentionDuration":"interval 2 days"`, files: map[string]float64{"a": 3, "b": 1}, deleted: []string{"a"}},
		{name: "longer", retain: 30 * day, files: map[string]float64{"a": 31, "b": 29}, deleted: []string{"a"}},
		{name: "shorter", retain: time.Hour, force: true, files: map[string]float64{"a": 1, "b": 0}, deleted: []string{"a"}},
		{
			name: "hidden names", files: map[string]float64{
				"_spark_metadata/0": 99, ".f.crc": 99, "d/_tmp/f": 99, "_SUCCESS": 99, "_delta_index/f": 99, "_change_data/f": 99,
				"metadata/v1.json": 99, "_p=1/f": 99, "_q=1/f": 99, "metadata": 99, "a/metadata/f": 99,
			},
			fields:  partitioned,
			deleted: []string{"_change_data/f", "_delta_index/f", "_p=1/f", "metadata"},
		},
		{name: "encoded", log: []string{addLine("p=US%252FEast/a%20b", "")}, files: map[string]float64{"p=US%2FEast/a b": 99, "p=US/East/a b": 99}, deleted: []string{"p=US/East/a b"}},
		{name: "not encoded", log: []string{addLine("100%", ""), addLine("t=10:00/f", "")}, files: map[string]float64{"100%": 99, "t=10:00/f": 99}},
		{name: "encoded in part", log: []string{addLine("a%20b%", "")}, files: map[string]float64{"a b%": 99, "a%20b": 99}, deleted: []string{"a%20b"}},
		{name: "out and in again", log: []string{addLine("../t/a%20b", "")}, files: map[string]float64{"a b": 99, "c": 99}, deleted: []string{"c"}},
		{name: "a colon in the name", log: []string{addLine("a:b%20c", ""), addLine("x:d/e%20f", "")}, files: map[string]float64{"a:b c": 99, "x:d/e f": 99, "x:d/g": 99}, deleted: []string{"x:d/g"}},
		{
			name: "taken apart by the file system", log: []string{addLine("s=Se\u0301te/Ångström/a", ""), addLine("caf%C3%A9", "")},
			files: map[string]float64{"s=S\u00e9te/A\u030angstro\u0308m/a": 99, "cafe\u0301": 99, "s=S\u00e9te/b": 99}, deleted: []string{"s=S\u00e9te/b"},
		},
		{name: "another case", log: []string{addLine("P=Größe/F", "")}, files: map[string]float64{"p=GRÖßE/f": 99}},
		{name: "not as the store names it", log: []string{addLine("./a//f", "")}, files: map[string]float64{"a/f": 99}},
		{
			name: "absolute paths", log: []string{addLine("file:///data/t/p=1/f", ""), addLine("/link/t/g%20h", ""), addLine("s3a://b/t/i", "")},
			files: map[string]float64{"p=1/f": 99, "g h": 99, "i": 99, "t/i": 99, "p=2/f": 99}, deleted: []string{"p=2/f"},
		},
		{name: "deletion vector", log: []string{addLine("f", vectorZ85)}, files: map[string]float64{"f": 99, vectorBin: 99, "ab/deletion_vector_0.bin": 99}, deleted: []string{"ab/deletion_vector_0.bin"}},
		{name: "absolute deletion vector", log: []string{addLine("f", `,"deletionVector":{"storageType":"p","pathOrInlineDv":"file:/t/x.bin","sizeInBytes":1,"cardinality":1}`)}, files: map[string]float64{"f": 99, "x.bin": 99}},
		{name: "vector of a tombstone that counts", log: []string{addLine("f", vectorZ85), removeLine("f", 6, vectorZ85)}, files: map[string]float64{"f": 99, vectorBin: 99}},
		{
			name: "file that lives on without the vector", log: []string{addLine("f", vectorZ85), removeLine("f", 8, vectorZ85), addLine("f", "")},
			files: map[string]float64{"f": 99, vectorBin: 99}, deleted: []string{vectorBin},
		},
		{
			name: "tombstones of vectors, as Spark commits them when it drops the feature", log: []string{removeLine("ab/deletion_vector_0.bin", 6, ""), removeLine("ab/deletion_vector_1.bin", 8, "")},
			files: map[string]float64{"ab/deletion_vector_0.bin": 99, "ab/deletion_vector_1.bin": 99}, deleted: []string{"ab/deletion_vector_1.bin"},
		},
		{name: "another table inside", files: map[string]float64{"in/_delta_log/0.json": 99, "in/a": 99, "in/p=1/b": 99, "inn": 99, "k/in/c": 99}, deleted: []string{"inn", "k/in/c"}},
		{name: "restored", log: []string{addLine("f", ""), removeLine("f", 8, ""), addLine("f", "")}, files: map[string]float64{"f": 99}},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := lake.NewMemory()
			writeRaw(t, base, 0, `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}`,
				fmt.Sprintf(`{"metaData":{"id":"table-id","format":{"provider":"parquet"},"schemaString":%q,%s"configuration":{%s}}}`, testSchema, c.fields, c.config))
			for i, line := range c.log {
				writeRaw(t, base, int64(i+1), line)
			}
			for p := range c.files {
				putFiles(t, base, p)
			}
			when := ages{}
			maps.Copy(when, c.files)
			maps.Copy(when, c.logAges)
			table := openTestTable(t, dated{base, when.at})
			o := VacuumOptions{Force: c.force, DryRun: true}
			if c.retain > 0 {
				o.Retain = &c.retain
			}
			before := dataPaths(t, base)
			res, err := table.Vacuum(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(append([]string{}, c.deleted...), loosePaths(res.Files)); diff != "" {
				t.Errorf("dry run (-want +got):\n%s", diff)
			}
			if res.Bytes != 3*int64(len(c.deleted)) {
				t.Errorf("%d bytes", res.Bytes)
			}
			if diff := cmp.Diff(before, dataPaths(t, base)); diff != "" {
				t.Errorf("a dry run deleted (-want +got):\n%s", diff)
			}
			o.DryRun = false
			if res, err = table.Vacuum(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			left := []string{}
			for _, p := range before {
				if !contains(c.deleted, p) {
					left = append(left, p)
				}
			}
			if diff := cmp.Diff(left, dataPaths(t, base)); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(append([]string{}, c.deleted...), loosePaths(res.Files)); diff != "" {
				t.Errorf("deleted (-want +got):\n%s", diff)
			}
		})
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func TestVacuum_LessThanTheTablesRetentionNeedsForce(t *testing.T) {
	for _, c := range []struct {
		config string
		retain time.Duration
		want   error // with Force there is none
		text   string
	}{
		{"", 7*day - 1, ErrRetention, "less than the 168h0m0s"},
		{"", 7 * day, nil, ""},
		{`"delta.deletedFileRetentionDuration":"interval 30 days"`, 29 * day, ErrRetention, ""},
		{`"delta.deletedFileRetentionDuration":"interval 1 hour"`, time.Hour, nil, ""},
		{`"delta.deletedFileRetentionDuration":"some time"`, 99 * day, nil, "is no interval"},
	} {
		store := lake.NewMemory()
		writeRaw(t, store, 0, `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}`,
			fmt.Sprintf(`{"metaData":{"id":"table-id","format":{"provider":"parquet"},"schemaString":%q,"configuration":{%s}}}`, testSchema, c.config))
		table := openTestTable(t, store)
		_, err := table.Vacuum(t.Context(), VacuumOptions{Retain: &c.retain})
		if (err != nil) != (c.want != nil || c.text != "") || c.want != nil && !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s, retain %s: %v", c.config, c.retain, err)
		}
		if _, err := table.Vacuum(t.Context(), VacuumOptions{Retain: &c.retain, Force: true}); err != nil {
			t.Errorf("%s, retain %s, forced: %v", c.config, c.retain, err)
		}
	}
	below := -time.Second
	if _, err := newTestTable(t, lake.NewMemory()).Vacuum(t.Context(), VacuumOptions{Retain: &below, Force: true}); err == nil {
		t.Error("a retention below zero was taken")
	}
}

// PROTOCOL.md, "Writer Requirements for Vacuum Protocol Check".
func TestVacuum_RefusesWhatItCannotWrite(t *testing.T) {
	for feature, refused := range map[string]bool{"vacuumProtocolCheck": false, "somethingNew": true, "catalogManaged": true} {
		store := lake.NewMemory()
		writeRaw(t, store, 0, fmt.Sprintf(`{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":[%q],"writerFeatures":[%q]}}`, feature, feature), metaDataLine(func(*Metadata) {}))
		putFiles(t, store, "old")
		table := openTestTable(t, dated{store, ages{"old": 8}.at})
		_, err := table.Vacuum(t.Context(), VacuumOptions{Force: true})
		if errors.Is(err, ErrUnsupported) != refused || !refused && err != nil {
			t.Errorf("%s: %v", feature, err)
		}
		if left := len(dataPaths(t, store)) == 1; left != refused {
			t.Errorf("%s: the file is there: %t", feature, left)
		}
	}
}

func TestVacuum_AVectorThatCannotBeFoundRefuses(t *testing.T) {
	for _, line := range []string{addLine("f", `,"deletionVector":{"storageType":"x"}`), removeLine("f", 1, `,"deletionVector":{"storageType":"u"}`)} {
		store := lake.NewMemory()
		newTestTable(t, store)
		writeRaw(t, store, 1, line)
		putFiles(t, store, "old")
		if _, err := openTestTable(t, dated{store, ages{"old": 8}.at}).Vacuum(t.Context(), VacuumOptions{}); err == nil || !strings.Contains(err.Error(), "file f: the deletion vector") {
			t.Errorf("%s: %v", line, err)
		}
		if len(dataPaths(t, store)) != 1 {
			t.Errorf("%s: a file was deleted", line)
		}
	}
}

// A file that comes into the table between the listing and the deletion stays; so does one that is staged.
func TestVacuum_LooksAtTheLogBeforeItDeletes(t *testing.T) {
	base := lake.NewMemory()
	newTestTable(t, base)
	writeRaw(t, base, 1, addLine("restored", ""))
	writeRaw(t, base, 2, removeLine("restored", 20, ""))
	putFiles(t, base, "added", "old", "restored", "staged")
	store := dated{lake.Faulty(base, func(op lake.Op) (error, error) {
		if op.Name == "list" && op.Path == "" { // it runs before the list does
			if _, err := base.Get(t.Context(), commitPath(3)); errors.Is(err, fs.ErrNotExist) {
				writeRaw(t, base, 3, addLine("restored", ""), addLine("added", ""))
			}
		}
		return nil, nil
	}), ages{"added": 99, "old": 99, "restored": 99, "staged": 99}.at}
	table := openTestTable(t, store)
	looks := 0
	res, err := table.Vacuum(t.Context(), VacuumOptions{Staged: func() func(string) bool {
		looks++
		return func(path string) bool { return path == "staged" }
	}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"old"}, loosePaths(res.Files)); diff != "" {
		t.Errorf("deleted (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"added", "restored", "staged"}, dataPaths(t, base)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if looks != 2 || res.Version != 3 {
		t.Errorf("asked %d times for staged files, ended at version %d", looks, res.Version)
	}
}

// A checkpoint forgets tombstones after the table's retention; commits do not.
func TestVacuum_LongerRetentionReadsTheCommits(t *testing.T) {
	base := lake.NewMemory()
	newTestTable(t, base)
	writeRaw(t, base, 1, addLine("f", ""), addLine("g", ""))
	writeRaw(t, base, 2, removeLine("f", 10, ""))
	writeRaw(t, base, 3, removeLine("g", 40, ""))
	putFiles(t, base, "f", "g")
	store := dated{base, ages{"f": 60, "g": 60, commitPath(2): 10, commitPath(3): 9}.at}
	if _, err := openTestTable(t, store).Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	for retain, want := range map[time.Duration][]string{7 * day: {"f", "g"}, 30 * day: {"g"}, 50 * day: {}} {
		res, err := openTestTable(t, store).Vacuum(t.Context(), VacuumOptions{Retain: &retain, DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, loosePaths(res.Files)); diff != "" {
			t.Errorf("retain %s (-want +got):\n%s", retain, diff)
		}
	}
}

// Commits are read for a longer retention alone: a table may have very many.
func TestVacuum_ReadsNoOldCommitsWithTheTablesRetention(t *testing.T) {
	for extra, want := range map[time.Duration]int{0: 0, time.Hour: 3} {
		base := lake.NewMemory()
		table := newTestTable(t, base)
		for i := range 3 {
			mustAppend(t, table, appendFiles("a", int64(i), fmt.Sprint("f", i)))
		}
		read := 0
		store := lake.Faulty(base, func(op lake.Op) (error, error) {
			if version, isCommit := commitVersion(op.Path); isCommit && op.Name == "get" && version < 3 {
				read++
			}
			return nil, nil
		})
		now := clock()
		table, err := Open(t.Context(), store, Options{Now: func() time.Time { now = now.Add(time.Second); return now }})
		if err != nil {
			t.Fatal(err)
		}
		read = 0
		if _, err := table.Vacuum(t.Context(), VacuumOptions{Retain: new(7*day + extra)}); err != nil {
			t.Fatal(err)
		}
		if read != want {
			t.Errorf("with %s more than the table's retention: %d old commits read, want %d", extra, read, want)
		}
	}
}

// Wherever it ends, no file is gone that counts, and running it again finishes the work.
func TestVacuum_InterruptedAtEveryStep(t *testing.T) {
	for n := int64(1); ; n++ {
		base := lake.NewMemory()
		newTestTable(t, base)
		writeRaw(t, base, 1, addLine("live", ""), addLine("gone", ""))
		writeRaw(t, base, 2, removeLine("gone", 8, ""))
		putFiles(t, base, "gone", "live", "o1", "o2", "young")
		at := ages{"gone": 9, "live": 9, "o1": 9, "o2": 9}.at
		lost := errors.New("lost")
		failed, opened, steps := false, false, int64(0)
		table := openTestTable(t, dated{lake.Faulty(base, func(lake.Op) (error, error) {
			if opened {
				steps++
			}
			if opened && steps == n {
				failed = true
				return lost, nil
			}
			return nil, nil
		}), at})
		opened = true
		_, err := table.Vacuum(t.Context(), VacuumOptions{})
		for _, p := range []string{"live", "young"} {
			if !contains(dataPaths(t, base), p) {
				t.Fatalf("step %d: %s is gone", n, p)
			}
		}
		if _, again := openTestTable(t, dated{base, at}).Vacuum(t.Context(), VacuumOptions{}); again != nil {
			t.Fatalf("step %d: again: %v", n, again)
		}
		if diff := cmp.Diff([]string{"live", "young"}, dataPaths(t, base)); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", n, diff)
		}
		if !failed {
			if n < 6 {
				t.Fatalf("only %d steps", n-1)
			}
			return
		}
		if !errors.Is(err, lost) {
			t.Fatalf("step %d: error %v", n, err)
		}
	}
}

func TestVacuum_EndsWithItsContext(t *testing.T) {
	base := lake.NewMemory()
	newTestTable(t, base)
	putFiles(t, base, "a", "b", "c")
	table := openTestTable(t, dated{base, ages{"a": 9, "b": 9, "c": 9}.at})
	ctx, cancel := context.WithCancel(t.Context())
	res, err := table.Vacuum(ctx, VacuumOptions{Progress: func(step string, done, total int64) {
		if step == "files deleted" && done == 2 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || len(res.Files) != 2 || res.Bytes != 6 || !strings.Contains(err.Error(), "2 of 3 files are deleted") {
		t.Errorf("%d files, %v", len(res.Files), err)
	}
}

// One that may not be deleted, in a directory of somebody else, does not keep the others for ever.
func TestVacuum_GoesOnBehindAFileThatItMayNotDelete(t *testing.T) {
	for _, cause := range []error{fs.ErrPermission, fs.ErrInvalid} {
		base := lake.NewMemory()
		newTestTable(t, base)
		putFiles(t, base, "a", "b", "c")
		store := lake.Faulty(base, func(op lake.Op) (error, error) {
			if op.Name == "delete" && op.Path == "a" {
				return cause, nil
			}
			return nil, nil
		})
		res, err := openTestTable(t, dated{store, ages{"a": 9, "b": 9, "c": 9}.at}).Vacuum(t.Context(), VacuumOptions{})
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "2 of 3 files are deleted, 1 cannot be deleted here") || len(res.Files) != 2 || res.Kept != 1 {
			t.Errorf("%d deleted, %d kept, %v", len(res.Files), res.Kept, err)
		}
		if diff := cmp.Diff([]string{"a"}, dataPaths(t, base)); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
	}
}

// A writer whose clock is years ahead must not have the tombstones of the others dropped: their files would go too early.
func TestVacuum_AWriterWhoseClockIsAheadEndsNoRetention(t *testing.T) {
	base := lake.NewMemory()
	newTestTable(t, base)
	var adds, removes []string
	when := ages{}
	for i := range 2000 {
		p := fmt.Sprint("f", i)
		adds, removes = append(adds, addLine(p, "")), append(removes, removeLine(p, 1, ""))
		when[p] = 9
	}
	writeRaw(t, base, 1, append(adds, addLine("g", ""))...)
	writeRaw(t, base, 2, removes[:1000]...)
	writeRaw(t, base, 3, removeLine("g", -1000, ""))
	writeRaw(t, base, 4, removes[1000:]...)
	putFiles(t, base, "f0", "f1999", "g")
	when["g"] = 9
	table := openTestTable(t, dated{base, when.at})
	res, err := table.Vacuum(t.Context(), VacuumOptions{DryRun: true})
	if err != nil || len(res.Files) != 0 {
		t.Errorf("%q would go, %v", loosePaths(res.Files), err)
	}
	if n := len(table.Snapshot().tombstones(clock())); n != 2001 {
		t.Errorf("%d tombstones", n)
	}
}

func TestLooseFiles_KnowsNewExpiredAndRemoved(t *testing.T) {
	base := lake.NewMemory()
	newTestTable(t, base)
	writeRaw(t, base, 1, addLine("live", ""), addLine("removed", ""))
	writeRaw(t, base, 2, removeLine("removed", 6, ""))
	putFiles(t, base, "live", "new", "old", "removed", "_hidden")
	table := openTestTable(t, dated{base, ages{"live": 9, "old": 9, "removed": 9}.at})
	files, err := table.LooseFiles(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range files {
		got[f.Path] = fmt.Sprintf("expired %t, removed %t", table.Snapshot().Expired(f, clock()), !f.Removed.IsZero())
	}
	want := map[string]string{"new": "expired false, removed false", "old": "expired true, removed false", "removed": "expired false, removed true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Every path keeps at least the file of that very name, whatever is in it.
func FuzzNames(f *testing.F) {
	f.Add("a/b.parquet", "u", "ab^-aqEH.-t@S}K{vb[*k^")
	f.Add("file:///x/%41", "p", "s3://b/c%")
	f.Add("//", "i", "")
	f.Fuzz(func(t *testing.T, path, storage, vector string) {
		found := false
		eachPath(path, func(key string) { found = found || key == fold(path) })
		if !found && !strings.HasPrefix(path, "/") && !strings.Contains(path, ":") {
			t.Errorf("%q is not among its names", path)
		}
		dv := &DeletionVector{StorageType: storage, PathOrInlineDV: vector}
		if name, err := dv.File(); err == nil && (name == "") != (storage == "i" || storage == "p" && vector == "") {
			t.Errorf("%s %q is %q", storage, vector, name)
		}
	})
}
