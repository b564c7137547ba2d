package delta

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

func TestTable_EarlierMetadata(t *testing.T) {
	var fault error
	memory := lake.NewMemory()
	store := lake.Faulty(memory, func(op lake.Op) (error, error) {
		if op.Path == commitPath(4) {
			return fault, nil
		}
		return nil, nil
	})
	for v, description := range []string{"first", "", "second", "third", "", "now", ""} {
		c := &commit{txns: []Txn{{AppID: "a", Version: int64(v)}}}
		if description != "" {
			c.metadata = &Metadata{ID: "x", Description: description, Format: Format{Provider: "parquet"}, SchemaString: testSchema}
		}
		if v == 0 {
			c.protocol = &Protocol{MinReaderVersion: 1, MinWriterVersion: 2}
		}
		body, err := encode(CommitInfo{}, c)
		if err == nil {
			err = memory.Put(t.Context(), commitPath(int64(v)), body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	table := openTestTable(t, store)
	found := func(versions int64) (all []string) {
		for m, err := range table.EarlierMetadata(t.Context(), versions) {
			if err != nil {
				return append(all, fmt.Sprint(errors.Is(err, fault)))
			}
			all = append(all, m.Description)
		}
		return all
	}
	for versions, want := range map[int64][]string{100: {"third", "second", "first"}, 7: {"third", "second", "first"}, 5: {"third", "second"}, 3: nil} {
		if got := found(versions); !slices.Equal(got, want) {
			t.Errorf("%d versions: got %q, want %q", versions, got, want)
		}
	}
	for m := range table.EarlierMetadata(t.Context(), 100) {
		if m.Description != "third" {
			t.Errorf("got %q after the end", m.Description)
		}
		break
	}
	fault = errors.New("the lake is away")
	if got := found(100); !slices.Equal(got, []string{"true"}) {
		t.Errorf("got %q, want the store's error", got)
	}
	fault = nil
	for v := range int64(3) {
		if err := memory.Delete(t.Context(), commitPath(v)); err != nil {
			t.Fatal(err)
		}
	}
	if got := found(100); !slices.Equal(got, []string{"third"}) {
		t.Errorf("got %q of a log that was cleaned up", got)
	}
	if err := memory.Put(t.Context(), commitPath(3), []byte("{")); err != nil {
		t.Fatal(err)
	}
	for _, err := range table.EarlierMetadata(t.Context(), 100) {
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("error %v, want %v", err, ErrCorrupt)
		}
	}
}
