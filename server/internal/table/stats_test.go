package table

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
)

func TestStats_WhileTheLakeFailsAndAfterwards(t *testing.T) {
	h := newHouse(t)
	var down atomic.Bool
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if down.Load() && op.Name == "create" {
			return errors.New("no space left"), nil
		}
		return nil, nil
	})
	a := h.start(Options{CommitInterval: time.Millisecond, MemoryBytes: 1 << 20})
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	if s := a.set.Stats(); s != (Stats{MemoryLimit: 1 << 20}) {
		t.Errorf("before anything: %+v", s)
	}
	tab := a.open(tName)
	down.Store(true)
	a.durable(tab, 0, 10)
	eventually(t, "two failures", func() bool { return a.set.Stats().CommitFailures >= 2 })
	s := a.set.Stats()
	if s.Open != 1 || s.Refused != 0 || s.Rows != 10 || s.Oldest <= 0 || s.MemoryUsed <= 0 || s.Commits != 0 || s.CommitTime.Count != 0 {
		t.Errorf("while the lake fails: %+v", s)
	}
	if all := a.set.Each(); len(all) != 1 || all[0].Name != tName.String() || all[0].Rows != 10 || all[0].Oldest <= 0 || !all[0].Failing {
		t.Errorf("while the lake fails: %+v", all)
	}

	down.Store(false)
	a.flush(tab)
	eventually(t, "the memory is given back", func() bool { return a.set.Stats().MemoryUsed == 0 })
	eventually(t, "the table does not fail any more", func() bool { return !a.set.Each()[0].Failing })
	if s := a.set.Stats(); s.Rows != 0 || s.Oldest != 0 || s.Commits != 1 || s.CommittedRows != 10 || s.CommittedFiles != 1 || s.CommittedBytes <= 0 || s.CommitTime.Count != 1 {
		t.Errorf("afterwards: %+v", s)
	}

	tab.refuse(errors.Join(ErrBroken, delta.ErrSchemaChanged))
	if s, all := a.set.Stats(), a.set.Each(); s.Refused != 1 || !all[0].Failing {
		t.Errorf("a table that is refused: %+v %+v", s, all)
	}
}
