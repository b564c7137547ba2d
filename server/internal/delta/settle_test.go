package delta

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

func TestSettle_AsksTheLakeForTheLatestVersion(t *testing.T) {
	base := lake.NewMemory()
	var asked []string
	store := lake.Faulty(base, func(op lake.Op) (error, error) {
		if op.Name == "put if absent" {
			asked = append(asked, op.Path)
		}
		return nil, nil
	})
	if _, err := Create(t.Context(), store, CreateSpec{SchemaString: `{"type":"struct","fields":[{"name":"id","type":"long","nullable":true,"metadata":{}}]}`}); err != nil {
		t.Fatal(err)
	}
	d, err := Open(t.Context(), store, Options{})
	if err != nil {
		t.Fatal(err)
	}
	asked = nil
	if err := d.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(asked) != 1 || !strings.HasSuffix(asked[0], "_delta_log/00000000000000000000.json") {
		t.Errorf("asked for %v", asked)
	}
	before, _ := base.Get(t.Context(), asked[0])
	if strings.Count(string(before), "\n") != 3 {
		t.Errorf("version 0 is now %q", before)
	}
	if err := base.Delete(t.Context(), asked[0]); err != nil {
		t.Fatal(err)
	}
	if err := d.Settle(t.Context()); err == nil {
		t.Error("a version that vanished is settled")
	}
	fault := errors.New("no answer")
	bad := lake.Faulty(base, func(lake.Op) (error, error) { return fault, nil })
	d.store = bad
	if err := d.Settle(t.Context()); !errors.Is(err, fault) {
		t.Errorf("got %v", err)
	}
}

// A commit whose answer was lost can be visible without being durable. Others who refresh the table read it; that alone must not
// have the caller forget its rows.
func TestAppend_SaysAlreadyCommittedOfWhatIsDurableOnly(t *testing.T) {
	base := lake.NewMemory()
	mustAppend(t, newTestTable(t, base), appendFiles("a", 1, "f1"))
	lost, refuses, asked := false, false, 0
	store := lake.Faulty(base, func(op lake.Op) (error, error) {
		switch {
		case op.Name != "put if absent" || op.Path != commitPath(2):
			return nil, nil
		case !lost:
			lost = true
			return nil, errIO
		case refuses:
			return errIO, nil
		}
		asked++
		return nil, nil
	})
	table := openTestTable(t, store)
	table.pause = func(context.Context, int) error { return context.Canceled }
	_, err := table.Append(t.Context(), appendFiles("a", 2, "f2"))
	wantErr(t, "Append", err, ErrUndecided)
	if err := table.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := table.Snapshot().Txns["a"].Version; got != 2 {
		t.Fatalf("after Refresh the table has a:%d, want a:2", got)
	}

	refuses = true
	_, err = table.Append(t.Context(), appendFiles("a", 2, "f3"))
	wantErr(t, "Append while the store fails", err, ErrUndecided)
	wantErr(t, "Append while the store fails", err, errIO)
	if errors.Is(err, ErrAlreadyCommitted) {
		t.Errorf("%v calls a commit committed that may be taken back", err)
	}

	refuses = false
	_, err = table.Append(t.Context(), appendFiles("a", 2, "f3"))
	wantErr(t, "Append", err, ErrAlreadyCommitted)
	if asked != 1 {
		t.Errorf("the store was asked %d times whether the commit is durable, want 1", asked)
	}
	wantClean(t, base, "f1", "f2")
}
