package table

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// eventually polls until ok, for at most a minute.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen within a minute", what)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(time.Millisecond):
		}
	}
}

func TestCommit_AfterTheInterval(t *testing.T) {
	h := newHouse(t)
	a := h.start(Options{CommitInterval: 10 * time.Millisecond})
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	for i := range int64(3) {
		a.durable(a.open(tName), i*10, 10)
		eventually(t, "the commit", func() bool { return h.versions(tName) == i+1 })
	}
	h.want(tName, 30)
}

func TestCommit_WhenEnoughHasGathered(t *testing.T) {
	h := newHouse(t)
	a := h.start(Options{CommitInterval: time.Hour, CommitBytes: 800})
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	a.durable(a.open(tName), 0, 10)
	a.durable(a.open(tName), 10, 100)
	eventually(t, "the commit", func() bool { return h.versions(tName) > 0 })
	h.want(tName, 110)
}

func TestCommit_TriesAgainUntilTheLakeAnswers(t *testing.T) {
	h := newHouse(t)
	var down atomic.Bool
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if down.Load() && op.Name != "get" && op.Name != "list" {
			return errors.New("no space left"), nil
		}
		return nil, nil
	})
	a := h.start(Options{CommitInterval: time.Millisecond})
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	down.Store(true)
	a.durable(tab, 0, 10) // acknowledged: the log has it
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	err := tab.Flush(ctx)
	cancel()
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("flush without the lake: %v", err)
	}
	a.durable(tab, 10, 10)
	h.want(tName, 0)
	down.Store(false)
	a.flush(tab)
	h.want(tName, 20)
}

// While a table cannot be committed its rows fill its part of the budget; then Append waits, and other tables do not.
func TestAppend_WaitsForMemoryAndOnlyForItsOwnTable(t *testing.T) {
	h := newHouse(t)
	var down atomic.Bool
	h.store = lake.Faulty(h.lake, func(op lake.Op) (error, error) {
		if down.Load() && op.Name == "create" && len(op.Path) > 14 && op.Path[:14] == "main/default/t" {
			return errors.New("no space left"), nil
		}
		return nil, nil
	})
	a := h.start(Options{CommitInterval: time.Millisecond, MemoryBytes: 64 << 10})
	a.sql("CREATE TABLE main.default.t (id BIGINT); CREATE TABLE main.default.u (id BIGINT)")
	tab := a.open(tName)
	down.Store(true)
	n, full := int64(0), false
	for !full {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		done := make(chan error, 1)
		c := ids(tab, n, 100)
		switch err := tab.Append(ctx, nil, c, func(err error) { done <- err }); {
		case err == nil:
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			n += 100
		case errors.Is(err, context.DeadlineExceeded):
			tab.Recycle(c)
			full = true
		default:
			t.Fatal(err)
		}
		cancel()
		if n > 10_000 {
			t.Fatal("10,000 rows were taken into 64 KiB")
		}
	}
	u := tName
	u.Table = "u"
	a.durable(a.open(u), 0, 10)
	a.flush(a.open(u))
	h.want(u, 10)

	down.Store(false)
	a.flush(tab)
	a.durable(tab, n, 1)
	a.stop()
	h.want(tName, n+1)
}

func TestAppend_ManyAtOnceAreEachThereOnce(t *testing.T) {
	h := newHouse(t)
	a := h.start(Options{CommitInterval: time.Millisecond})
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	var wg sync.WaitGroup
	for w := range int64(8) {
		wg.Go(func() {
			tab, err := a.set.Open(t.Context(), tName)
			if err != nil {
				t.Error(err)
				return
			}
			for i := range int64(50) {
				done := make(chan error, 1)
				if err := tab.Append(t.Context(), nil, ids(tab, w*500+i*10, 10), func(err error) { done <- err }); err != nil {
					t.Error(err)
					return
				}
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	a.stop()
	h.want(tName, 4000)
}

func TestClose_RefusesWhatComesLater(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	a.durable(tab, 0, 1)
	if err := a.set.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.set.Open(t.Context(), tName); !errors.Is(err, ErrClosed) {
		t.Errorf("open after close: %v", err)
	}
	if err := tab.Append(t.Context(), nil, ids(tab, 1, 1), func(error) { t.Error("durable was called") }); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	h.want(tName, 1)
}

func TestPending_SmallChunksAreCopiedTogether(t *testing.T) {
	h := newHouse(t)
	a := h.start(never)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	tab := a.open(tName)
	var p pending
	now := time.Now()
	if p.add(ids(tab, 0, 10), 1, 5, now) {
		t.Error("the first chunk was given back")
	}
	if !p.add(ids(tab, 10, 10), 2, 5, now.Add(time.Second)) {
		t.Error("the second small chunk was kept")
	}
	if p.add(ids(tab, 20, mergeBelow/8), 3, 5, now) {
		t.Error("the large chunk was copied")
	}
	if len(p.chunks) != 2 || p.rows != 20+mergeBelow/8 || p.lastSeq != 3 || p.memory != 15 || !p.since.Equal(now) || p.bytes != 8*p.rows {
		t.Errorf("pending is %d chunks, %d rows, %d bytes, seq %d, memory %d, since %v", len(p.chunks), p.rows, p.bytes, p.lastSeq, p.memory, p.since)
	}
	if got := p.chunks[0].Cols[0].I64[19]; got != 19 {
		t.Errorf("row 19 has id %d", got)
	}
}

// Memory that is used up is a reason to commit, however long the interval is: by one table alone, and by many that each have
// little.
func TestAppend_ShortMemoryIsAReasonToCommit(t *testing.T) {
	h := newHouse(t)
	a := h.start(Options{CommitInterval: time.Hour, MemoryBytes: 64 << 10})
	tables := []string{"t", "u", "v", "w", "x"}
	for _, name := range tables {
		a.sql("CREATE TABLE main.default." + name + " (id BIGINT)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	add := func(name string, from int64) {
		n := tName
		n.Table = name
		tab := a.open(n)
		done := make(chan error, 1)
		if err := tab.Append(ctx, nil, ids(tab, from, 500), func(err error) { done <- err }); err != nil {
			t.Fatalf("table %s, row %d: %v", name, from, err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for i := range int64(40) {
		add("t", i*500)
	}
	for i := range int64(10) {
		for _, name := range tables[1:] {
			add(name, i*500)
		}
	}
	a.stop()
	h.want(tName, 20_000)
	for _, name := range tables[1:] {
		n := tName
		n.Table = name
		h.want(n, 5_000)
	}
}
