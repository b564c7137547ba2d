package ledger

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	a = [16]byte{1}
	b = [16]byte{2}
)

// reopened runs f on a ledger, and gives the file to the next one.
func reopened(t *testing.T, path string, f func(l *Ledger)) {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, l *Ledger, id [16]byte, want Table) {
	t.Helper()
	got, err := l.Load(id)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("table %x is\n%+v\nwant\n%+v", id[0], got, want)
	}
}

func TestLedger_KeepsWhatItWasTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	at := time.Unix(1_800_000_000, 0)
	one := Position{Session: [16]byte{7}, Next: 10, Used: at}
	two := Position{Next: 1 << 60, Used: at.Add(time.Hour)}
	reopened(t, path, func(l *Ledger) {
		want(t, l, a, Table{})
		must(t, l.Remove(a, "nobody"))
		must(t, l.Forget(a))
		must(t, l.Forget(b))
		must(t, l.Save(a, Mark{"log", 5}, map[string]Position{"one": one, "two": two}))
		must(t, l.SetOrphans(b, []string{"one", "two"}))
		must(t, l.SetRewrites(b, []string{"three"}))
		must(t, l.SetColumns(b, []string{`{"id":"x"}`, `{}`}))
	})
	reopened(t, path, func(l *Ledger) {
		want(t, l, a, Table{UpTo: Mark{"log", 5}, Positions: map[string]Position{"one": one, "two": two}})
		want(t, l, b, Table{Orphans: []string{"one", "two"}, Rewrites: []string{"three"}, Columns: []string{`{"id":"x"}`, `{}`}})
		one.Next = 11
		must(t, l.Save(a, Mark{"another log", 6}, map[string]Position{"one": one}))
		must(t, l.Remove(a, "two", "nobody"))
		must(t, l.SetOrphans(b, nil))
		must(t, l.SetRewrites(b, nil))
		must(t, l.SetColumns(b, nil))
	})
	reopened(t, path, func(l *Ledger) {
		want(t, l, a, Table{UpTo: Mark{"another log", 6}, Positions: map[string]Position{"one": one}})
		want(t, l, b, Table{})
		ids, err := l.Tables()
		if err != nil || !reflect.DeepEqual(ids, [][16]byte{a, b}) {
			t.Fatalf("tables are %x, %v", ids, err)
		}
		must(t, l.Forget(a))
		want(t, l, a, Table{})
	})
}

func TestLedger_ChangesAtTheSameTime(t *testing.T) {
	reopened(t, filepath.Join(t.TempDir(), "ledger.db"), func(l *Ledger) {
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				id := [16]byte{byte(i % 4)}
				if err := l.Save(id, Mark{"log", uint64(i)}, map[string]Position{fmt.Sprint(i): {Next: int64(i)}}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for i := range 32 {
			got, err := l.Load([16]byte{byte(i % 4)})
			if err != nil || len(got.Positions) != 8 || got.Positions[fmt.Sprint(i)].Next != int64(i) {
				t.Fatalf("table %d is %+v, %v", i%4, got, err)
			}
		}
	})
}

func TestLedger_FaultsAreNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	reopened(t, path, func(l *Ledger) {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("a second Open says %v", err)
		}
		must(t, l.Save(a, Mark{"log", 1}, map[string]Position{"one": {}}))
		must(t, l.Save(b, Mark{"log", 1}, nil))
		must(t, l.db.Update(func(tx *bbolt.Tx) error {
			if err := tx.Bucket(b[:]).Put(upToKey, []byte("no mark")); err != nil {
				return err
			}
			return tx.Bucket(a[:]).Bucket(positionsKey).Put([]byte("one"), []byte("short"))
		}))
		if _, err := l.Load(a); err == nil || !strings.Contains(err.Error(), `"one"`) {
			t.Errorf("a damaged position says %v", err)
		}
		if _, err := l.Load(b); err == nil {
			t.Error("a damaged mark is taken")
		}
		must(t, l.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaKey).Put(versionKey, []byte("2")) }))
	})
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("a later version says %v", err)
	}
}
