package lake_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/lake/laketest"
)

func TestMemory_Contract(t *testing.T) {
	laketest.Run(t, func(*testing.T) lake.Store { return lake.NewMemory() })
}

func TestLocal_Contract(t *testing.T) {
	laketest.Run(t, func(t *testing.T) lake.Store { return newLocal(t) })
}

func TestLocal_ContractOfAForeignDirectory(t *testing.T) {
	laketest.Run(t, func(t *testing.T) lake.Store {
		top, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		r, err := lake.NewRoots(filepath.Join(top, "data"), filepath.Join(top, "root"))
		if err != nil {
			t.Fatal(err)
		}
		l, err := r.Make(filepath.Join(top, "root", "t"))
		if err != nil {
			t.Fatal(err)
		}
		return l
	})
}

func TestFaulty_ContractWithoutFaults(t *testing.T) {
	laketest.Run(t, func(*testing.T) lake.Store {
		return lake.Faulty(lake.NewMemory(), func(lake.Op) (error, error) { return nil, nil })
	})
}

func newLocal(t *testing.T) *lake.Local {
	t.Helper()
	l, err := lake.NewLocal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var errLost = errors.New("connection reset")

func TestFaulty_FailureHasNoEffectAndALostAnswerHas(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault func(n int64, err error) lake.Fault
		there bool
	}{
		{"FailAt", lake.FailAt, false},
		{"LoseAt", lake.LoseAt, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := lake.NewMemory()
			s := lake.Faulty(base, c.fault(2, errLost)).Sub("t")
			if err := s.Put(t.Context(), "first", nil); err != nil {
				t.Fatal(err)
			}
			if err := s.PutIfAbsent(t.Context(), "second", nil); !errors.Is(err, errLost) {
				t.Fatalf("second operation: %v, want %v", err, errLost)
			}
			_, err := base.Get(t.Context(), "t/second")
			if there := !errors.Is(err, fs.ErrNotExist); there != c.there {
				t.Errorf("object is there: %v, want %v", there, c.there)
			}
			if err := s.Put(t.Context(), "third", nil); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestFaulty_NamesEveryOperation(t *testing.T) {
	var got []string
	s := lake.Faulty(lake.NewMemory(), func(op lake.Op) (error, error) {
		got = append(got, op.Name+" "+op.Path)
		return nil, nil
	})
	ctx := t.Context()
	w, _ := s.Create(ctx, "a")
	_, _ = w.Write([]byte("x"))
	_ = w.Commit()
	_, _ = s.Open(ctx, "a")
	_, _ = s.Get(ctx, "a")
	for range s.List(ctx, "a", "") {
	}
	_ = s.Put(ctx, "a", nil)
	_ = s.PutIfAbsent(ctx, "a", nil)
	_ = s.Delete(ctx, "a")
	_ = s.RemoveAll(ctx, "d")
	want := []string{"create a", "write a", "commit a", "open a", "get a", "list a", "put a", "put if absent a", "delete a", "remove all d"}
	if !slices.Equal(got, want) {
		t.Errorf("operations %q, want %q", got, want)
	}
}

func TestStores_RootRefusesToRemoveEverything(t *testing.T) {
	for _, s := range []lake.Store{lake.NewMemory(), newLocal(t)} {
		if err := s.Put(t.Context(), "a", nil); err != nil {
			t.Fatal(err)
		}
		if err := s.RemoveAll(t.Context(), ""); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: RemoveAll of everything: %v, want %v", s.URL(), err, fs.ErrInvalid)
		}
		if _, err := s.Get(t.Context(), "a"); err != nil {
			t.Errorf("%s: %v", s.URL(), err)
		}
	}
}

func TestSub_PanicsOnAnInvalidPrefix(t *testing.T) {
	for _, prefix := range []string{"", "..", "a/../b", "/a"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Sub(%q) did not panic", prefix)
				}
			}()
			lake.NewMemory().Sub("t").Sub(prefix)
		}()
	}
}
