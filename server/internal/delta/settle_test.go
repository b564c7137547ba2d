package delta

import (
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
