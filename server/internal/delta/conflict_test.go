package delta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// metaDataLine is a metaData action of the test table after edit.
func metaDataLine(edit func(m *Metadata)) string {
	m := Metadata{
		ID: "table-id", Name: "main.default.air", Format: Format{Provider: "parquet", Options: map[string]string{}},
		SchemaString: testSchema, PartitionColumns: []string{}, Configuration: map[string]string{},
	}
	edit(&m)
	line, err := json.Marshal(action{Metadata: &m})
	if err != nil {
		panic(err)
	}
	return string(line)
}

// withColumn is the test schema with one more column.
func withColumn(column string) string {
	return strings.TrimSuffix(testSchema, "]}") + "," + column + "]}"
}

// spec/delta.md §5, "Blind append vs winners", rules 1 to 5. Each transcript is what others committed between our reading
// version 1 and our append of txn a:5 upon a:2.
func TestAppend_JudgesTheWinners(t *testing.T) {
	foreign := `{"commitInfo":{"operation":"WRITE","operationMetrics":{"num_added_files":1},"txnId":"theirs"}}`
	add := func(path string) string {
		return `{"add":{"path":"` + path + `","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}`
	}
	txn := func(app string, v int64) string {
		return fmt.Sprintf(`{"txn":{"appId":"%s","version":%d}}`, app, v)
	}
	protocol := func(p string) string { return `{"protocol":` + p + `}` }
	for _, c := range []struct {
		name    string
		winners []string
		want    error
	}{
		{"rule 5: adds of others", []string{foreign + "\n" + add("x"), foreign + "\n" + add("y")}, nil},
		{"rule 5: removes of others", []string{foreign + "\n" + `{"remove":{"path":"f0","deletionTimestamp":1,"dataChange":true}}`}, nil},
		{"unknown actions", []string{`{"cdc":{"path":"c"}}` + "\n" + `{"from2030":{"add":7}}`}, nil},
		{"empty commit", []string{""}, nil},
		{"rule 3: txn of another application", []string{txn("b", 99)}, nil},
		{"rule 3: our txn, equal", []string{txn("a", 5)}, ErrAlreadyCommitted},
		{"rule 3: our txn, beyond", []string{foreign, txn("a", 6)}, ErrAlreadyCommitted},
		{"rule 3: our txn, lower but moved", []string{txn("a", 3)}, ErrFenced},
		{"rule 3: our txn, moved back", []string{txn("a", 1)}, ErrFenced},
		{"rule 1: protocol, still supported", []string{protocol(`{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["timestampNtz"],"writerFeatures":["timestampNtz","appendOnly","invariants"]}`)}, nil},
		{"rule 1: protocol, no longer supported", []string{protocol(`{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["typeWidening"],"writerFeatures":["typeWidening"]}`)}, ErrUnsupported},
		{"rule 2: the same metaData", []string{metaDataLine(func(*Metadata) {})}, nil},
		{"rule 2: properties", []string{metaDataLine(func(m *Metadata) { m.Configuration["delta.appendOnly"] = "true"; m.Description = "new" })}, nil},
		{"rule 2: nullable column", []string{metaDataLine(func(m *Metadata) {
			m.SchemaString = withColumn(`{"name":"new","type":"long","nullable":true,"metadata":{}}`)
		})}, nil},
		{"rule 2: comment on a column", []string{metaDataLine(func(m *Metadata) {
			m.SchemaString = strings.Replace(testSchema, `"metadata":{}`, `"metadata":{"comment":"c"}`, 1)
		})}, nil},
		{"rule 2: NOT NULL column", []string{metaDataLine(func(m *Metadata) {
			m.SchemaString = withColumn(`{"name":"new","type":"long","nullable":false,"metadata":{}}`)
		})}, ErrSchemaChanged},
		{"rule 2: type", []string{metaDataLine(func(m *Metadata) { m.SchemaString = strings.Replace(testSchema, `"integer"`, `"long"`, 1) })}, ErrSchemaChanged},
		{"rule 2: NOT NULL", []string{metaDataLine(func(m *Metadata) {
			m.SchemaString = strings.Replace(testSchema, `"nullable":true`, `"nullable":false`, 1)
		})}, ErrSchemaChanged},
		{"rule 2: column dropped", []string{metaDataLine(func(m *Metadata) { m.SchemaString = strings.Replace(testSchema, `"device"`, `"gerät"`, 1) })}, ErrSchemaChanged},
		{"rule 2: partitioning", []string{metaDataLine(func(m *Metadata) { m.PartitionColumns = []string{"device"} })}, ErrSchemaChanged},
		{"rule 2: another table", []string{metaDataLine(func(m *Metadata) { m.ID = "other" })}, ErrSchemaChanged},
		{"rule 2: changed and changed again", []string{
			foreign,
			metaDataLine(func(m *Metadata) { m.SchemaString = strings.Replace(testSchema, `"integer"`, `"long"`, 1) }), foreign,
		}, ErrSchemaChanged},
		{"rule 1: constraint", []string{metaDataLine(func(m *Metadata) { m.Configuration["delta.constraints.c"] = "temp > 0" })}, ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := lake.NewMemory()
			table := newTestTable(t, store)
			mustAppend(t, table, appendFiles("a", 2, "f0"))
			for i, w := range c.winners {
				writeRaw(t, store, int64(2+i), w)
			}
			next := int64(2 + len(c.winners))
			version, err := table.Append(t.Context(), appendFiles("a", 5, "f5"))
			if !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			snapshot := openTestTable(t, store).Snapshot()
			if c.want != nil {
				if snapshot.Version != next-1 {
					t.Errorf("the table is at version %d, want %d: nothing of ours", snapshot.Version, next-1)
				}
				return
			}
			if version != next || snapshot.Version != next || snapshot.Txns["a"].Version != 5 {
				t.Errorf("appended as version %d, the table is at %d with txn %d; want %d with txn 5", version, snapshot.Version, snapshot.Txns["a"].Version, next)
			}
			data, err := store.Get(t.Context(), commitPath(next))
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf(`"readVersion":%d`, next-1); !strings.Contains(string(data), want) {
				t.Errorf("the commit does not say %s: %s", want, data)
			}
		})
	}
}

func TestAppend_BaseIsTheSchemaOfTheFiles(t *testing.T) {
	store := lake.NewMemory()
	table := newTestTable(t, store)
	base := table.Snapshot()
	writeRaw(t, store, 1, metaDataLine(func(m *Metadata) { m.SchemaString = strings.Replace(testSchema, `"integer"`, `"long"`, 1) }))
	if err := table.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := appendFiles("a", 1, "f")
	a.Base = base
	_, err := table.Append(t.Context(), a)
	wantErr(t, "Append of files of the old schema", err, ErrSchemaChanged)
	a.Base = table.Snapshot()
	mustAppend(t, table, a)
	wantPaths(t, table.Snapshot(), "f")
}

func TestAppend_DT07_FencesTheOlderOfTwoOwners(t *testing.T) {
	store := lake.NewMemory()
	zombie := newTestTable(t, store)
	mustAppend(t, zombie, appendFiles("a", 1, "f1"))
	owner := openTestTable(t, store)
	mustAppend(t, owner, appendFiles("a", 2, "f2"))

	_, err := zombie.Append(t.Context(), appendFiles("a", 3, "f1-again"))
	wantErr(t, "Append of the zombie", err, ErrFenced)
	// It stays fenced, also when it has read on.
	if err := zombie.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = zombie.Append(t.Context(), appendFiles("a", 4, "f1-again"))
	wantErr(t, "second Append of the zombie", err, ErrFenced)
	// Another shard is not touched by that.
	mustAppend(t, zombie, appendFiles("b", 1, "g1"))
	mustAppend(t, owner, appendFiles("a", 3, "f3"))
	wantClean(t, store, "f1", "f2", "f3", "g1")
}

func TestAppend_RefusesWhatTheTableHas(t *testing.T) {
	store := lake.NewMemory()
	table := newTestTable(t, store)
	mustAppend(t, table, appendFiles("a", 5, "f5"))
	for _, txn := range []int64{5, 4, 0} {
		_, err := table.Append(t.Context(), appendFiles("a", txn, "again"))
		wantErr(t, fmt.Sprintf("Append a:%d after a:5", txn), err, ErrAlreadyCommitted)
		_, err = openTestTable(t, store).Append(t.Context(), appendFiles("a", txn, "again"))
		wantErr(t, fmt.Sprintf("Append a:%d after a:5 and a restart", txn), err, ErrAlreadyCommitted)
	}
	mustAppend(t, table, appendFiles("a", 6, "f6"))
	wantClean(t, store, "f5", "f6")
}

// The own-412 trap of spec/delta.md §5, with every outcome that a write can have.
func TestAppend_SettlesAVersionBeforeItLeavesIt(t *testing.T) {
	type step struct{ before, after error }
	theirs := func(t *testing.T, base lake.Store) {
		writeRaw(t, base, 1, `{"commitInfo":{"txnId":"theirs"}}`)
	}
	for _, c := range []struct {
		name    string
		puts    []step                              // faults of the writes, one after the other
		gets    []step                              // faults of the reads that follow a write
		during  func(t *testing.T, base lake.Store) // before the first write reaches the store
		want    int64                               // version
		written int                                 // number of writes
	}{
		{name: "a clean write", puts: []step{{}}, want: 1, written: 1},
		{name: "a failed write is repeated", puts: []step{{before: errIO}}, want: 1, written: 2},
		{name: "a lost answer is recognised", puts: []step{{after: errIO}}, want: 1, written: 2},
		{name: "our own ErrExist is recognised", puts: []step{{after: fs.ErrExist}}, want: 1, written: 1},
		{name: "a lost answer and a failed read", puts: []step{{after: errIO}}, gets: []step{{before: errIO}, {before: errIO}}, want: 1, written: 3},
		{name: "a winner is left alone", puts: []step{{}}, during: theirs, want: 2, written: 2},
		{name: "a winner behind an error", puts: []step{{before: errIO}}, during: theirs, want: 2, written: 2},
		{name: "a winner behind a failed read", puts: []step{{}}, gets: []step{{before: errIO}}, during: theirs, want: 2, written: 3},
		{name: "errors on and on", puts: []step{{before: errIO}, {before: errIO}, {after: errIO}, {before: errIO}}, want: 1, written: 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := lake.NewMemory()
			newTestTable(t, base)
			puts, gets := 0, 0
			store := lake.Faulty(base, func(op lake.Op) (error, error) {
				switch op.Name {
				case "put if absent":
					puts++
					if puts == 1 && c.during != nil {
						c.during(t, base)
					}
					if puts <= len(c.puts) {
						return c.puts[puts-1].before, c.puts[puts-1].after
					}
				case "get":
					if puts == 0 {
						return nil, nil
					}
					if gets++; gets <= len(c.gets) {
						return c.gets[gets-1].before, c.gets[gets-1].after
					}
				}
				return nil, nil
			})
			table := openTestTable(t, store)
			version := mustAppend(t, table, appendFiles("a", 1, "f"))
			if version != c.want {
				t.Errorf("version %d, want %d", version, c.want)
			}
			if puts != c.written {
				t.Errorf("%d writes, want %d", puts, c.written)
			}
			wantPaths(t, table.Snapshot(), "f")
			wantClean(t, base, "f")
		})
	}
}

func TestAppend_DT07_ThatEndsUndecidedIsSettledByTheNext(t *testing.T) {
	for _, landed := range []bool{true, false} {
		for _, next := range []string{"append", "refresh"} {
			t.Run(fmt.Sprintf("landed=%v/%s", landed, next), func(t *testing.T) {
				base := lake.NewMemory()
				mustAppend(t, newTestTable(t, base), appendFiles("a", 1, "f1"))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				wrote := false
				store := lake.Faulty(base, func(op lake.Op) (error, error) {
					switch {
					case ctx.Err() != nil:
						return nil, nil
					case wrote:
						cancel()
						return errIO, nil
					case op.Name != "put if absent":
						return nil, nil
					}
					wrote = true
					if landed {
						return nil, errIO
					}
					return errIO, nil
				})
				table := openTestTable(t, store)
				_, err := table.Append(ctx, appendFiles("a", 2, "f2"))
				wantErr(t, "Append", err, ErrUndecided)
				wantErr(t, "Append", err, context.Canceled)

				txn := int64(2)
				if next == "refresh" {
					if err := table.Refresh(t.Context()); err != nil {
						t.Fatal(err)
					}
					if got := table.Snapshot().Txns["a"].Version == 2; got != landed {
						t.Errorf("after Refresh the table has a:2: %v, want %v", got, landed)
					}
					if landed {
						txn = 3
					}
				}
				_, err = table.Append(t.Context(), appendFiles("a", txn, "f3"))
				switch {
				case landed && next == "append":
					wantErr(t, "second Append", err, ErrAlreadyCommitted)
					wantClean(t, base, "f1", "f2")
				case landed:
					wantErr(t, "second Append", err, nil)
					wantClean(t, base, "f1", "f2", "f3")
				default:
					wantErr(t, "second Append", err, nil)
					wantClean(t, base, "f1", "f3")
				}
			})
		}
	}
}

// Every operation fails once, before and after its effect, through the life of a table. The caller does what the errors
// say; each file must be in the table once.
func TestTable_DT07_EveryOperationFailsOnce(t *testing.T) {
	for _, kind := range []struct {
		name  string
		fault func(n int64, err error) lake.Fault
	}{{"Before", lake.FailAt}, {"After", lake.LoseAt}} {
		t.Run(kind.name, func(t *testing.T) {
			for n := int64(1); ; n++ {
				base := lake.NewMemory()
				ops := int64(0)
				fault := kind.fault(n, errIO)
				store := lake.Faulty(base, func(op lake.Op) (error, error) {
					ops = op.N
					return fault(op)
				})
				var want []string
				table := createOrOpen(t, store)
				for txn := int64(1); txn <= 3; txn++ {
					name := fmt.Sprintf("f%d", txn)
					want = append(want, name)
					// Another writer takes a version in between, so that losing is part of the walk.
					other := openTestTable(t, base)
					mustAppend(t, other, appendFiles(fmt.Sprintf("other%d", txn), 1, "o"+name))
					want = append(want, "o"+name)
					for {
						_, err := table.Append(t.Context(), appendFiles("a", txn, name))
						if err == nil || errors.Is(err, ErrAlreadyCommitted) {
							break
						}
						if !errors.Is(err, errIO) {
							t.Fatalf("operation %d: Append: %v", n, err)
						}
					}
				}
				wantClean(t, base, want...)
				if t.Failed() {
					t.Fatalf("operation %d failed %s", n, kind.name)
				}
				if ops < n {
					if n < 15 {
						t.Errorf("the walk has only %d operations", ops)
					}
					return
				}
			}
		})
	}
}

// createOrOpen does what a caller does until it has the table.
func createOrOpen(t *testing.T, store lake.Store) *Table {
	t.Helper()
	for range 10 {
		table, err := Create(t.Context(), store, CreateSpec{ID: "table-id", SchemaString: testSchema, Now: clock})
		if errors.Is(err, ErrTableExists) {
			table, err = Open(t.Context(), store, Options{Now: clock})
		}
		if err == nil {
			table.pause = noPause
			return table
		}
		if !errors.Is(err, errIO) {
			t.Fatal(err)
		}
	}
	t.Fatal("no table after 10 attempts")
	return nil
}

func TestAppend_DT08_ManyWritersOnOneLog(t *testing.T) {
	const writers, commits = 16, 6
	for name, open := range map[string]func(t *testing.T) lake.Store{
		"Memory": func(*testing.T) lake.Store { return lake.NewMemory() },
		"Local": func(t *testing.T) lake.Store {
			l, err := lake.NewLocal(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			return l.Sub("main/default/t")
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			newTestTable(t, store)
			var want []string
			tables := make([]*Table, writers)
			for i := range tables {
				table, err := Open(t.Context(), store, Options{})
				if err != nil {
					t.Fatal(err)
				}
				tables[i] = table
			}
			var wg sync.WaitGroup
			for i, table := range tables {
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
			snapshot := openTestTable(t, store).Snapshot()
			if snapshot.Version != writers*commits {
				t.Errorf("version %d, want %d", snapshot.Version, writers*commits)
			}
			for i := range writers {
				if got := snapshot.Txns[fmt.Sprint("app", i)].Version; got != commits-1 {
					t.Errorf("txn of writer %d is %d, want %d", i, got, commits-1)
				}
			}
		})
	}
}

// One Table used by many goroutines is one writer after the other.
func TestAppend_ManyCallersOfOneTable(t *testing.T) {
	store := lake.NewMemory()
	table := newTestTable(t, store)
	var want []string
	var wg sync.WaitGroup
	for i := range 16 {
		name := fmt.Sprintf("f%d", i)
		want = append(want, name)
		wg.Go(func() {
			if _, err := table.Append(t.Context(), appendFiles(name, 1, name)); err != nil {
				t.Error(err)
			}
			n := 0
			for range table.Snapshot().Files() {
				n++
			}
			if n == 0 {
				t.Error("a snapshot after an append has no files")
			}
			if err := table.Refresh(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantClean(t, store, want...)
}

func TestPause_EndsWithItsContextAndStaysInBounds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, attempt := range []int{10, 63, 64, 65, 1 << 30} {
		wantErr(t, fmt.Sprintf("pause %d", attempt), pause(ctx, attempt), context.Canceled)
	}
	wantErr(t, "first pause", pause(t.Context(), 1), nil)
}
