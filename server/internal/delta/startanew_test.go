package delta

import (
	"errors"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// Other writers go on while this Table stands still, and clean up behind them. It finds their checkpoint, and its own transactions there.
func TestTable_CleanedUpByOthers(t *testing.T) {
	for name, bare := range map[string]bool{"with the commit": false, "with a checkpoint alone": true} {
		t.Run(name, func(t *testing.T) {
			store := lake.NewMemory()
			table := newTestTable(t, store)
			mustAppend(t, table, appendFiles("a", 1, "f1"))
			mustAppend(t, table, appendFiles("a", 2, "f2"))
			other := openTestTable(t, store)
			last := mustAppend(t, other, appendFiles("b", 1, "g1"))
			if _, err := other.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
			until := last
			if bare {
				until++
			}
			for v := range until {
				if err := store.Delete(t.Context(), commitPath(v)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := table.Append(t.Context(), appendFiles("a", 2, "f2 again")); !errors.Is(err, ErrAlreadyCommitted) {
				t.Errorf("error %v, want ErrAlreadyCommitted", err)
			}
			if v := mustAppend(t, table, appendFiles("a", 3, "f3")); v != last+1 {
				t.Errorf("version %d, want %d", v, last+1)
			}
			s := openTestTable(t, store).Snapshot()
			if d := table.Snapshot().differs(s); d != "" || s.NumFiles() != 4 {
				t.Errorf("%d files; %s", s.NumFiles(), d)
			}
			if _, err := table.Checkpoint(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// What stands in its place is another table, or an older state of this one: nothing is written.
func TestTable_CleanedUpAndNotTheSame(t *testing.T) {
	for name, stand := range map[string]func(t *testing.T, store lake.Store){
		"another table": func(t *testing.T, store lake.Store) {
			table := newTestTable(t, store)
			for i := range int64(5) {
				mustAppend(t, table, Append{AppID: "b", TxnVersion: i})
			}
			if err := store.Put(t.Context(), commitPath(0), []byte(metaDataLine(func(m *Metadata) { m.ID = "another" })+"\n"+`{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}`+"\n")); err != nil {
				t.Fatal(err)
			}
			cut(t, openTestTable(t, store), 5)
		},
		"an older state": func(t *testing.T, store lake.Store) {
			cut(t, newTestTable(t, store), 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := lake.NewMemory()
			table := newTestTable(t, store)
			mustAppend(t, table, appendFiles("a", 1, "f1"))
			mustAppend(t, table, appendFiles("a", 2, "f2"))
			if err := store.RemoveAll(t.Context(), "_delta_log"); err != nil {
				t.Fatal(err)
			}
			stand(t, store)
			_, err := table.Append(t.Context(), appendFiles("a", 3, "f3"))
			wantErr(t, "Append", err, ErrOutdated)
			if v := table.Snapshot().Version; v != 2 {
				t.Errorf("the table stands at version %d", v)
			}
		})
	}
}

// cut leaves of a log its state as a checkpoint.
func cut(t *testing.T, table *Table, commits int64) {
	t.Helper()
	if _, err := table.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	for v := range commits {
		if err := table.store.Delete(t.Context(), commitPath(v)); err != nil {
			t.Fatal(err)
		}
	}
}

// Wherever the lake fails while the state is read again, the Table stays where it was, and the next try goes through.
func TestTable_CleanedUpByOthers_AndTheLakeFails(t *testing.T) {
	for k := int64(1); ; k++ {
		base := lake.NewMemory()
		on, hit, n := false, false, int64(0)
		store := lake.Faulty(base, func(lake.Op) (before, after error) {
			if on {
				if n++; n == k {
					hit = true
					return errors.New("no answer"), nil
				}
			}
			return nil, nil
		})
		table := newTestTable(t, store)
		mustAppend(t, table, appendFiles("a", 1, "f1"))
		other := openTestTable(t, base)
		mustAppend(t, other, appendFiles("b", 1, "g1"))
		cut(t, other, 2)
		on = true
		err := table.Refresh(t.Context())
		if !hit {
			if err != nil {
				t.Fatal(err)
			}
			if k < 3 {
				t.Errorf("%d operations", k-1)
			}
			return
		}
		if errors.Is(err, ErrOutdated) {
			t.Fatalf("operation %d: error %v", k, err)
		}
		if v := mustAppend(t, table, appendFiles("a", 2, "f2")); v != 3 {
			t.Errorf("operation %d: version %d", k, v)
		}
	}
}

func TestTable_LoggedTxn(t *testing.T) {
	store := lake.NewMemory()
	table := newTestTable(t, store)
	mustAppend(t, table, appendFiles("a", 1, "f1"))
	mustAppend(t, table, appendFiles("a", 2, "f2"))
	mustAppend(t, table, appendFiles("b", 7, "g1"))
	want := func(table *Table, appID string, version int64, there bool) {
		t.Helper()
		txn, ok, err := table.LoggedTxn(t.Context(), appID)
		if err != nil || ok != there || txn.Version != version {
			t.Errorf("%s: %+v, %t, %v", appID, txn, ok, err)
		}
	}
	want(table, "a", 2, true)
	want(table, "c", 0, false)
	cut(t, table, 3)
	want(table, "b", 7, true)
	want(table, "a", 0, false)
	if err := store.Put(t.Context(), commitPath(2), []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := table.LoggedTxn(t.Context(), "a"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("error %v", err)
	}
}
