package table

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// abroad is a house with a directory of somebody else's tables.
type abroad struct {
	*house
	root, data string
}

func newAbroad(t *testing.T) *abroad {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := &abroad{newHouse(t), filepath.Join(top, "root"), filepath.Join(top, "data")}
	if err := os.Mkdir(a.root, 0o755); err != nil {
		t.Fatal(err)
	}
	a.allow(a.root)
	return a
}

// allow names other roots, for the next start.
func (a *abroad) allow(dirs ...string) {
	a.t.Helper()
	var err error
	if a.roots, err = lake.NewRoots(a.data, dirs...); err != nil {
		a.t.Fatal(err)
	}
}

const idSchema = `{"type":"struct","fields":[{"name":"id","type":"long","nullable":true,"metadata":{}}]}`

// make has somebody else make a table below the root.
func (a *abroad) make(name, id string) string {
	a.t.Helper()
	dir := filepath.Join(a.root, name)
	store, err := lake.NewLocal(dir)
	if err != nil {
		a.t.Fatal(err)
	}
	if _, err := delta.Create(a.t.Context(), store, delta.CreateSpec{ID: id, SchemaString: idSchema, EngineInfo: "other"}); err != nil {
		a.t.Fatal(err)
	}
	return dir
}

// commit has somebody else commit actions as the table's next version.
func (a *abroad) commit(dir string, actions ...string) {
	a.t.Helper()
	versions, err := filepath.Glob(filepath.Join(dir, "_delta_log", "*.json"))
	if err != nil {
		a.t.Fatal(err)
	}
	lines := append([]string{`{"commitInfo":{"timestamp":1,"operation":"WRITE"}}`}, actions...)
	name := filepath.Join(dir, "_delta_log", fmt.Sprintf("%020d.json", len(versions)))
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		a.t.Fatal(err)
	}
}

// idsOf reads the ids of the table at a directory, sorted, and checks its log.
func (a *abroad) idsOf(dir string) (all []int64) {
	a.t.Helper()
	store, err := a.roots.Open(dir)
	if err != nil {
		a.t.Fatal(err)
	}
	d, err := delta.Open(a.t.Context(), store, delta.Options{})
	if err != nil {
		a.t.Fatal(err)
	}
	info := catalog.Table{Name: tName, Location: dir, External: true, DeltaID: d.Snapshot().Metadata.ID}
	err = NewTables(a.lake, "test", time.Now).Head(a.t.Context(), info, 1<<30, func(v []any) error {
		all = append(all, v[0].(int64))
		return nil
	})
	if err != nil {
		a.t.Fatal(err)
	}
	problems, err := delta.Lint(a.t.Context(), store, delta.LintOptions{Files: true})
	if err != nil {
		a.t.Fatal(err)
	}
	for _, p := range problems {
		a.t.Errorf("delta log: %v", p)
	}
	slices.Sort(all)
	return all
}

// wantAt checks that the table at a directory has the ids 0 to n-1, each exactly once.
func (a *abroad) wantAt(dir string, n int64) {
	a.t.Helper()
	got := a.idsOf(dir)
	for i, id := range got {
		if id != int64(i) {
			a.t.Fatalf("row %d of %d has id %d: lost or twice", i, len(got), id)
		}
	}
	if int64(len(got)) != n {
		a.t.Fatalf("the table has %d rows, want %d", len(got), n)
	}
}

func (l *life) register(table, dir string) {
	l.t.Helper()
	l.sql("CREATE TABLE main.default." + table + " LOCATION '" + strings.ReplaceAll(dir, `\`, `\\`) + "'")
}

func TestExternal_RowsOfATableThatOthersMade(t *testing.T) {
	h := newAbroad(t)
	dir := h.make("t", "of-spark")
	a := h.start(never)
	a.register("t", dir)
	a.durable(a.open(tName), 0, 10)
	a.flush(a.open(tName))
	a.durable(a.open(tName), 10, 10)
	a.crash() // durable, and not committed

	b := h.start(never)
	b.flush(b.open(tName))
	h.wantAt(dir, 20)
	h.commit(dir) // another writer takes a version
	b.durable(b.open(tName), 20, 1)
	b.sql("ALTER TABLE main.default.t ADD COLUMN more STRING; ALTER TABLE main.default.t SET TBLPROPERTIES ('k' = 'v')")
	b.stop()
	h.wantAt(dir, 21)
	if names, err := os.ReadDir(h.dir); err != nil || slices.ContainsFunc(names, func(e fs.DirEntry) bool { return e.Name() == "tables" }) {
		t.Errorf("%v, %v", names, err)
	}
}

func TestExternal_AwayAtStart(t *testing.T) {
	h := newAbroad(t)
	dir := h.make("t", "of-spark")
	a := h.start(never)
	a.register("t", dir)
	a.sql("CREATE TABLE main.default.u (id BIGINT)")
	u := catalog.Name{Catalog: "main", Schema: "default", Table: "u"}
	a.durable(a.open(tName), 0, 10)
	a.durable(a.open(u), 0, 5)
	a.crash()
	if err := os.Rename(h.root, h.root+"2"); err != nil {
		t.Fatal(err)
	}

	b := h.start(never)
	if _, err := b.set.Open(t.Context(), tName); !errors.Is(err, ErrBroken) || !errors.Is(err, lake.ErrAway) {
		t.Errorf("got %v, want ErrBroken and ErrAway", err)
	}
	b.durable(b.open(u), 5, 5) // others go on
	b.stop()
	h.want(u, 10)
	if _, err := os.Stat(h.root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the root was made: %v", err)
	}

	if err := os.Rename(h.root+"2", h.root); err != nil {
		t.Fatal(err)
	}
	c := h.start(never)
	c.stop()
	h.wantAt(dir, 10)
}

// Without rows in the log the table is opened by a stream, so it is refused only as long as its directory is away.
func TestExternal_AwayWhenAStreamOpens(t *testing.T) {
	h := newAbroad(t)
	dir := h.make("t", "of-spark")
	a := h.start(never)
	a.register("t", dir)
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.set.Open(t.Context(), tName); !errors.Is(err, delta.ErrNoTable) || !errors.Is(err, lake.ErrAway) {
		t.Errorf("got %v, want ErrNoTable and ErrAway", err)
	}
	if err := os.Rename(dir+"2", dir); err != nil {
		t.Fatal(err)
	}
	a.durable(a.open(tName), 0, 1)
	a.flush(a.open(tName))
	h.wantAt(dir, 1)
}

func TestExternal_AwayForATime(t *testing.T) {
	h := newAbroad(t)
	dir := h.make("t", "of-spark")
	a := h.start(never)
	a.register("t", dir)
	tab := a.open(tName)
	a.durable(tab, 0, 1)
	a.flush(tab)
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	a.durable(tab, 1, 1)
	gone, cancel := context.WithCancel(t.Context())
	failed := make(chan struct{})
	go func() {
		defer close(failed)
		for a.set.Stats().CommitFailures == 0 {
			runtime.Gosched()
		}
		cancel()
	}()
	if err := tab.Flush(gone); !errors.Is(err, context.Canceled) || !errors.Is(err, lake.ErrAway) {
		t.Errorf("got %v, want ErrAway as the last try", err)
	}
	<-failed
	a.durable(a.open(tName), 2, 1) // rows are taken meanwhile
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
	if err := os.Rename(dir+"2", dir); err != nil {
		t.Fatal(err)
	}
	a.flush(tab)
	h.wantAt(dir, 3)
}

// A table that took the place of the one that was registered gets none of its rows.
func TestExternal_ReplacedTablesAreOutdated(t *testing.T) {
	h := newAbroad(t)
	dir := h.make("t", "first")
	a := h.start(never)
	a.register("t", dir)
	a.durable(a.open(tName), 0, 10)
	a.flush(a.open(tName))
	a.durable(a.open(tName), 10, 10)
	a.crash()
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	h.make("t", "second")

	b := h.start(never)
	if _, err := b.set.Open(t.Context(), tName); !errors.Is(err, ErrBroken) || !errors.Is(err, delta.ErrOutdated) || !strings.Contains(err.Error(), "metaData.id at "+dir+" is second, registered was first") {
		t.Errorf("got %v, want ErrBroken and ErrOutdated", err)
	}
	if _, err := b.eng.Exec(t.Context(), "DESCRIBE main.default.t"); !errors.Is(err, delta.ErrOutdated) {
		t.Errorf("got %v, want ErrOutdated", err)
	}
	if _, err := b.eng.Exec(t.Context(), "ALTER TABLE main.default.t ADD COLUMN x INT"); !errors.Is(err, delta.ErrOutdated) {
		t.Errorf("got %v, want ErrOutdated", err)
	}
	b.stop()
	h.wantAt(dir, 0)

	// The first one comes back: nothing is lost.
	if err := errors.Join(os.RemoveAll(dir), os.Rename(dir+"2", dir)); err != nil {
		t.Fatal(err)
	}
	c := h.start(never)
	c.durable(c.open(tName), 20, 1)

	// While it is open: by CREATE OR REPLACE TABLE in the same log, or by another log.
	h.commit(dir, `{"metaData":{"id":"third","format":{"provider":"parquet","options":{}},"schemaString":"`+strings.ReplaceAll(idSchema, `"`, `\"`)+`","partitionColumns":[],"configuration":{}}}`)
	if _, err := c.set.Open(t.Context(), tName); !errors.Is(err, ErrBroken) || !errors.Is(err, delta.ErrOutdated) {
		t.Errorf("got %v, want ErrBroken and ErrOutdated", err)
	}
	c.sql("DROP TABLE main.default.t")
	c.register("t", dir)
	c.flush(c.open(tName))

	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	h.make("t", "fourth")
	if _, err := c.set.Open(t.Context(), tName); !errors.Is(err, ErrBroken) || !errors.Is(err, delta.ErrOutdated) {
		t.Errorf("got %v, want ErrBroken and ErrOutdated", err)
	}
}

// As TestRecovery_AnErrorAtEveryOperationOfTheLake, in an external directory.
func TestExternal_AnErrorAtEveryOperation(t *testing.T) {
	fault := errors.New("no answer")
	for _, kind := range []struct {
		name string
		at   func(int64, error) lake.Fault
	}{{"without effect", lake.FailAt}, {"after its effect", lake.LoseAt}} {
		t.Run(kind.name, func(t *testing.T) {
			for k := int64(1); ; k++ {
				hit := false
				h := newAbroad(t)
				dir := h.make("t", "of-spark")
				a := h.start(never)
				a.register("t", dir)
				a.stop()

				one := kind.at(k, fault)
				h.around = func(s lake.Store) lake.Store {
					return lake.Faulty(s, func(op lake.Op) (before, after error) {
						if hit {
							return nil, nil
						}
						before, after = one(op)
						hit = before != nil || after != nil
						return before, after
					})
				}
				b := h.start(never)
				tab, err := b.set.Open(t.Context(), tName)
				if err != nil { // the fault was at opening: the next try is good
					tab = b.open(tName)
				}
				b.durable(tab, 0, 10)
				b.flush(tab)
				b.durable(tab, 10, 10)
				b.crash()

				h.around = nil
				c := h.start(never)
				c.stop()
				h.wantAt(dir, 20)
				if t.Failed() || !hit {
					t.Logf("%d operations", k-1)
					if k < 5 {
						t.Errorf("only %d operations were seen", k-1)
					}
					return
				}
			}
		})
	}
}
