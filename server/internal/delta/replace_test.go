package delta

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// merged is an add of a file with the rows of others.
func merged(path string) Add {
	f := file(path)
	f.DataChange = false
	return f
}

// live returns files of the snapshot by their paths.
func live(t *testing.T, s *Snapshot, paths ...string) []Add {
	t.Helper()
	var out []Add
	for _, p := range paths {
		for a := range s.Files() {
			if a.Path == p {
				out = append(out, a)
			}
		}
	}
	if len(out) != len(paths) {
		t.Fatalf("the table has %d of the files %q", len(out), paths)
	}
	return out
}

// PROTOCOL.md, "Add File and Remove File": dataChange is false when the rows are those that were there; extendedFileMetadata asks
// for partitionValues and size. "Commit Provenance Information" leaves commitInfo free; these are Spark's fields of an OPTIMIZE.
func TestReplace_WritesACommit(t *testing.T) {
	store := lake.NewMemory()
	table, err := Create(t.Context(), store, CreateSpec{SchemaString: testSchema, PartitionColumns: []string{"device"}, EngineInfo: "zerobus/1.0.0", Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	deterministic(table)
	north := map[string]*string{"device": new("north")}
	a := appendFiles("a", 1, "f1", "f2", "f3")
	for i := range a.Adds {
		a.Adds[i].PartitionValues = north
	}
	a.Adds[0].Tags = map[string]*string{"k": new("v")}
	a.Adds[1].Size = 50
	mustAppend(t, table, a)
	m := merged("device=north/m")
	m.PartitionValues, m.Size, m.Stats = north, 120, `{"numRecords":8}`
	s := table.Snapshot()
	version, err := table.Replace(t.Context(), Replacement{Swaps: []Swap{{live(t, s, "f1", "f2"), m}}, Base: s, Auto: true})
	if err != nil || version != 2 {
		t.Fatalf("version %d, %v", version, err)
	}
	got, err := store.Get(t.Context(), commitPath(2))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"commitInfo":{"timestamp":1764000000123,"operation":"OPTIMIZE","operationParameters":{"auto":"true","clusterBy":"[]","predicate":"[]","zOrderBy":"[]"},"readVersion":1,"isolationLevel":"Serializable","isBlindAppend":false,"operationMetrics":{"maxFileSize":"120","minFileSize":"120","numAddedBytes":"120","numAddedFiles":"1","numDeletionVectorsRemoved":"0","numRemovedBytes":"150","numRemovedFiles":"2","p25FileSize":"120","p50FileSize":"120","p75FileSize":"120"},"engineInfo":"zerobus/1.0.0","txnId":"id-2"}}
{"remove":{"path":"f1","deletionTimestamp":1764000000123,"dataChange":false,"extendedFileMetadata":true,"partitionValues":{"device":"north"},"size":100,"tags":{"k":"v"}}}
{"remove":{"path":"f2","deletionTimestamp":1764000000123,"dataChange":false,"extendedFileMetadata":true,"partitionValues":{"device":"north"},"size":50}}
{"add":{"path":"device=north/m","partitionValues":{"device":"north"},"size":120,"modificationTime":1764000000100,"dataChange":false,"stats":"{\"numRecords\":8}"}}
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("version 2 (-want +got):\n%s", diff)
	}
	wantPaths(t, table.Snapshot(), "f3", "device=north/m")
	read := openTestTable(t, store).Snapshot()
	if diff := cmp.Diff(table.Snapshot(), read, cmp.AllowUnexported(Snapshot{}, files{})); diff != "" {
		t.Errorf("state as written and as read (-written +read):\n%s", diff)
	}
	wantClean(t, store, "f3", "device=north/m")
	for path, want := range map[string]bool{"f1": true, "f3": true, "device=north/m": true, "f4": false} {
		if got := read.Mentions(path); got != want {
			t.Errorf("the table mentions %s: %v", path, got)
		}
	}
}

// An empty map of partition values is written: with extendedFileMetadata the field must be there.
func TestReplace_WithoutPartitions(t *testing.T) {
	store := lake.NewMemory()
	table := newTestTable(t, store)
	mustAppend(t, table, appendFiles("a", 1, "f1", "f2"))
	s := table.Snapshot()
	if _, err := table.Replace(t.Context(), Replacement{Swaps: []Swap{{live(t, s, "f1", "f2"), merged("m")}}, Base: s}); err != nil {
		t.Fatal(err)
	}
	got, err := store.Get(t.Context(), commitPath(2))
	if err != nil {
		t.Fatal(err)
	}
	if want := `"extendedFileMetadata":true,"partitionValues":{},"size":100`; strings.Count(string(got), want) != 2 {
		t.Errorf("two removes with %s expected in\n%s", want, got)
	}
}

// One commit for files of several partitions: all of them, or none when one is not there any more.
func TestReplace_SeveralPartitions(t *testing.T) {
	store := lake.NewMemory()
	table, err := Create(t.Context(), store, CreateSpec{SchemaString: testSchema, PartitionColumns: []string{"device"}, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	a := appendFiles("a", 1, "n1", "n2", "s1", "s2")
	for i := range a.Adds {
		a.Adds[i].PartitionValues = map[string]*string{"device": []*string{new("n"), new("n"), nil, new("")}[i]}
	}
	mustAppend(t, table, a)
	s := table.Snapshot()
	north, null := merged("n"), merged("s")
	north.PartitionValues, null.PartitionValues = map[string]*string{"device": new("n")}, map[string]*string{"device": nil}
	both := Replacement{Swaps: []Swap{{live(t, s, "n1", "n2"), north}, {live(t, s, "s1", "s2"), null}}, Base: s}
	writeRaw(t, store, 2, `{"remove":{"path":"s1","deletionTimestamp":1,"dataChange":true}}`)
	_, err = table.Replace(t.Context(), both)
	wantErr(t, "Replace", err, ErrConflict)
	wantPaths(t, openTestTable(t, store).Snapshot(), "n1", "n2", "s2")
	both.Swaps[1].Remove = both.Swaps[1].Remove[1:]
	if v, err := table.Replace(t.Context(), both); err != nil || v != 3 {
		t.Errorf("version %d, %v", v, err)
	}
	wantClean(t, store, "n", "s")
}

func TestReplace_RefusesWhatIsNone(t *testing.T) {
	table := newTestTable(t, lake.NewMemory())
	mustAppend(t, table, appendFiles("a", 1, "f1", "f2"))
	s := table.Snapshot()
	of := func(edit func(*Replacement)) Replacement {
		r := Replacement{Swaps: []Swap{{live(t, s, "f1", "f2"), merged("m")}}, Base: s}
		edit(&r)
		return r
	}
	for name, r := range map[string]Replacement{
		"nothing to replace": of(func(r *Replacement) { r.Swaps[0].Remove = nil }),
		"nothing at all":     of(func(r *Replacement) { r.Swaps = nil }),
		"a file in two":      of(func(r *Replacement) { r.Swaps = append(r.Swaps, Swap{r.Swaps[0].Remove[1:], merged("n")}) }),
		"a new file in two": of(func(r *Replacement) {
			r.Swaps = []Swap{{r.Swaps[0].Remove[:1], merged("m")}, {r.Swaps[0].Remove[1:], merged("m")}}
		}),
		"no base":               of(func(r *Replacement) { r.Base = nil }),
		"a file twice":          of(func(r *Replacement) { w := r.Swaps[0]; w.Remove[1] = w.Remove[0] }),
		"a file for itself":     of(func(r *Replacement) { r.Swaps[0].Add.Path = "f1" }),
		"new rows":              of(func(r *Replacement) { r.Swaps[0].Add.DataChange = true }),
		"no size":               of(func(r *Replacement) { r.Swaps[0].Add.Size = 0 }),
		"a path in the log":     of(func(r *Replacement) { r.Swaps[0].Add.Path = "_delta_log/m" }),
		"another partition":     of(func(r *Replacement) { r.Swaps[0].Add.PartitionValues = map[string]*string{"device": nil} }),
		"partitions of no name": of(func(r *Replacement) { r.Swaps[0].Remove[1].PartitionValues = map[string]*string{"device": new("x")} }),
	} {
		if v, err := table.Replace(t.Context(), r); err == nil {
			t.Errorf("%s: version %d was written", name, v)
		}
	}
	wantPaths(t, openTestTable(t, table.store).Snapshot(), "f1", "f2")
}

// spec/delta.md §5, a replacement against winners: what others did to its files, or to the table, between our reading version 1 and
// our commit.
func TestReplace_GivesWay(t *testing.T) {
	info := `{"commitInfo":{"operation":"WRITE","txnId":"theirs"}}`
	remove := func(path string) string {
		return `{"remove":{"path":"` + path + `","deletionTimestamp":1,"dataChange":true}}`
	}
	vector := `"deletionVector":{"storageType":"u","pathOrInlineDv":"x","offset":1,"sizeInBytes":1,"cardinality":1}`
	tracked := `{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["rowTracking","domainMetadata","appendOnly","invariants"]}}`
	for _, c := range []struct {
		name    string
		winners []string
		want    error
	}{
		{"an append", []string{info + "\n" + `{"add":{"path":"x","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}`}, nil},
		{"another file is removed", []string{info + "\n" + remove("f3")}, nil},
		{"appendOnly", []string{metaDataLine(func(m *Metadata) { m.Configuration["delta.appendOnly"] = "true" })}, nil},
		{"the file is described anew", []string{info + "\n" + `{"add":{"path":"f1","partitionValues":{},"size":100,"modificationTime":1,"dataChange":false}}`}, nil},
		{"a file is removed", []string{info, info + "\n" + remove("f2")}, ErrConflict},
		{"a file is replaced", []string{info + "\n" + strings.Replace(remove("f1"), "true", "false", 1)}, ErrConflict},
		{"a file is removed and another one has its name", []string{info + "\n" + remove("f1"), info + "\n" + `{"add":{"path":"f1","partitionValues":{},"size":99,"modificationTime":1,"dataChange":true}}`}, ErrConflict},
		{"rows of a file are removed", []string{info + "\n" + remove("f1") + "\n" + `{"add":{"path":"f1","partitionValues":{},"size":100,"modificationTime":1,"dataChange":true,` + vector + `}}`}, ErrConflict},
		{"a column comes", []string{metaDataLine(func(m *Metadata) {
			m.SchemaString = withColumn(`{"name":"new","type":"long","nullable":true,"metadata":{}}`)
		})}, nil},
		{"a type changes", []string{metaDataLine(func(m *Metadata) { m.SchemaString = strings.Replace(testSchema, `"integer"`, `"long"`, 1) })}, ErrSchemaChanged},
		{"the partitions change", []string{metaDataLine(func(m *Metadata) { m.PartitionColumns = []string{"device"} })}, ErrSchemaChanged},
		{"another feature", []string{`{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["typeWidening"],"writerFeatures":["typeWidening"]}}`}, ErrUnsupported},
		{"row tracking", []string{tracked}, ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := lake.NewMemory()
			table := newTestTable(t, store)
			mustAppend(t, table, appendFiles("a", 1, "f1", "f2", "f3"))
			for i, w := range c.winners {
				writeRaw(t, store, int64(2+i), w)
			}
			next := int64(2 + len(c.winners))
			s := table.Snapshot()
			version, err := table.Replace(t.Context(), Replacement{Swaps: []Swap{{live(t, s, "f1", "f2"), merged("m")}}, Base: s})
			wantErr(t, "Replace", err, c.want)
			is := openTestTable(t, store).Snapshot()
			if c.want != nil {
				if is.Version != next-1 || is.Mentions("m") {
					t.Errorf("the table is at version %d, want %d: nothing of ours", is.Version, next-1)
				}
				return
			}
			if version != next || is.Version != next {
				t.Errorf("replaced as version %d, the table is at %d, want %d", version, is.Version, next)
			}
		})
	}
}

// A table with row tracking is refused before anybody has to lose a race.
func TestReplace_RefusesRowTracking(t *testing.T) {
	store := lake.NewMemory()
	table := newTestTable(t, store)
	mustAppend(t, table, appendFiles("a", 1, "f1"))
	writeRaw(t, store, 2, `{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["rowTracking","domainMetadata","appendOnly","invariants"]}}`)
	table = openTestTable(t, store)
	s := table.Snapshot()
	_, err := table.Replace(t.Context(), Replacement{Swaps: []Swap{{live(t, s, "f1"), merged("m")}}, Base: s})
	wantErr(t, "Replace", err, ErrUnsupported)
}

// The answer to the commit is lost, and ctx ends before it is known: the files are in the table, or are not, and the next look
// tells which.
func TestReplace_ThatEndsUndecided(t *testing.T) {
	for _, landed := range []bool{true, false} {
		t.Run(fmt.Sprintf("landed=%v", landed), func(t *testing.T) {
			base := lake.NewMemory()
			mustAppend(t, newTestTable(t, base), appendFiles("a", 1, "f1", "f2"))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			wrote := false
			table := openTestTable(t, lake.Faulty(base, func(op lake.Op) (error, error) {
				switch {
				case ctx.Err() != nil:
					return nil, nil
				case wrote:
					cancel()
					return errIO, nil
				case op.Name != "put if absent":
					return nil, nil
				}
				if wrote = true; landed {
					return nil, errIO
				}
				return errIO, nil
			}))
			s := table.Snapshot()
			_, err := table.Replace(ctx, Replacement{Swaps: []Swap{{live(t, s, "f1", "f2"), merged("m")}}, Base: s})
			wantErr(t, "Replace", err, ErrUndecided)
			if table.Snapshot() != s {
				t.Error("the snapshot has moved")
			}
			if err := table.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := table.Snapshot().Mentions("m"); got != landed {
				t.Errorf("the table has the file: %v, want %v", got, landed)
			}
			mustAppend(t, table, appendFiles("a", 2, "f3"))
			if landed {
				wantClean(t, base, "m", "f3")
			} else {
				wantClean(t, base, "f1", "f2", "f3")
			}
		})
	}
}

// Every operation fails once, before and after its effect, while another writer takes a version in between. The files are replaced
// in the end, once, and no append is lost.
func TestReplace_DT07_EveryOperationFailsOnce(t *testing.T) {
	for _, kind := range []struct {
		name  string
		fault func(n int64, err error) lake.Fault
	}{{"Before", lake.FailAt}, {"After", lake.LoseAt}} {
		t.Run(kind.name, func(t *testing.T) {
			for n := int64(1); ; n++ {
				base := lake.NewMemory()
				mustAppend(t, newTestTable(t, base), appendFiles("a", 1, "f1", "f2"))
				table := openTestTable(t, base)
				ops := int64(0)
				fault := kind.fault(n, errIO)
				table.store = lake.Faulty(base, func(op lake.Op) (error, error) {
					ops = op.N
					return fault(op)
				})
				mustAppend(t, openTestTable(t, base), appendFiles("other", 1, "o1"))
				s := table.Snapshot()
				for {
					_, err := table.Replace(t.Context(), Replacement{Swaps: []Swap{{live(t, s, "f1", "f2"), merged("m")}}, Base: s})
					if err == nil {
						break
					}
					if !errors.Is(err, errIO) || table.Snapshot().Mentions("m") {
						t.Fatalf("operation %d: %v", n, err)
					}
				}
				mustAppend(t, openTestTable(t, base), appendFiles("a", 2, "f3"))
				wantClean(t, base, "o1", "m", "f3")
				if t.Failed() || n > ops {
					break
				}
			}
		})
	}
}

// A replacement and appends of one Table take turns.
func TestReplace_DT08_BesideAppends(t *testing.T) {
	store := lake.NewMemory()
	table := newTestTable(t, store)
	var names, want []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("f%02d", i))
	}
	mustAppend(t, table, appendFiles("a", 1, names...))
	s := table.Snapshot()
	done := make(chan error)
	go func() {
		var err error
		for txn := range int64(20) {
			_, e := table.Append(t.Context(), appendFiles("b", txn+1, fmt.Sprintf("g%02d", txn)))
			err = errors.Join(err, e)
		}
		done <- err
	}()
	for i := range 5 {
		m := fmt.Sprintf("m%d", i)
		if _, err := table.Replace(t.Context(), Replacement{Swaps: []Swap{{live(t, s, names[4*i:4*i+4]...), merged(m)}}, Base: s}); err != nil {
			t.Error(err)
		}
		want = append(want, m)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	for i := range 20 {
		want = append(want, fmt.Sprintf("g%02d", i))
	}
	wantClean(t, store, want...)
}
