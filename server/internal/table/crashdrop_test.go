package table

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// A table is dropped while it is being opened. The drop waited for the end of a committer that was never started, and every
// later CREATE and DROP behind it.
func TestDrop_OfATableThatIsBeingOpened(t *testing.T) {
	h := newHouse(t)
	var armed atomic.Bool
	loading, dropped := make(chan struct{}), make(chan struct{})
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if op.Name == "list" && strings.HasPrefix(op.Path, "main/default/t/") && armed.CompareAndSwap(true, false) {
			close(loading)
			<-dropped
		}
		return nil, nil
	})
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	armed.Store(true)
	opened, done := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := a.set.Open(t.Context(), tName)
		opened <- err
	}()
	<-loading
	go func() {
		_, err := a.eng.Exec(t.Context(), "DROP TABLE main.default.t")
		done <- err
	}()
	eventually(t, "the drop of the entry", func() bool {
		_, err := a.cat.Table(tName)
		return errors.Is(err, catalog.ErrNotFound)
	})
	close(dropped)
	if err := <-opened; !errors.Is(err, ErrDropped) {
		t.Errorf("open says %v", err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("drop says %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the drop does not end")
	}
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	a.durable(a.open(tName), 0, 1)
	a.stop()
	h.want(tName, 1)
}
