package table

import (
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
)

func TestExternal_DropCommitsWhatIsDurableAndLeavesTheFiles(t *testing.T) {
	h := newAbroad(t)
	dir := h.make("t", "of-spark")
	a := h.start(never)
	a.register("t", dir)
	tab := a.open(tName)
	a.durable(tab, 0, 10)
	a.sql("DROP TABLE main.default.t")
	if err := tab.Append(t.Context(), nil, ids(tab, 10, 1), func(error) {}); !errors.Is(err, ErrDropped) {
		t.Errorf("got %v, want ErrDropped", err)
	}
	h.wantAt(dir, 10)

	// The same place again, while a stream of before is still there, and after a crash.
	a.register("t", dir)
	again := a.open(tName)
	if again == tab || again.Info().ID == tab.Info().ID {
		t.Error("it is the same table")
	}
	a.durable(again, 10, 10)
	if err := tab.Append(t.Context(), nil, ids(tab, 99, 1), func(error) {}); !errors.Is(err, ErrDropped) {
		t.Errorf("got %v, want ErrDropped", err)
	}
	a.crash()
	b := h.start(never)
	b.stop()
	h.wantAt(dir, 20)
}

// The server dies between the last commit and the end of the entry: nothing is lost, and the table is as it was.
func TestExternal_CrashInTheMiddleOfADrop(t *testing.T) {
	h := newAbroad(t)
	dir := h.make("t", "of-spark")
	a := h.start(never)
	a.register("t", dir)
	tab := a.open(tName)
	a.durable(tab, 0, 10)
	a.set.Retire(tab.Info().ID)
	h.wantAt(dir, 10)
	if _, err := a.set.Open(t.Context(), tName); !errors.Is(err, ErrDropped) {
		t.Errorf("got %v, want ErrDropped", err)
	}
	a.crash()

	b := h.start(never)
	b.durable(b.open(tName), 10, 10)
	b.flush(b.open(tName))
	h.wantAt(dir, 20)
	b.crash()

	// One that is not open is not opened either.
	c := h.start(never)
	c.set.Retire(tab.Info().ID)
	if _, err := c.set.Open(t.Context(), tName); !errors.Is(err, ErrDropped) {
		t.Errorf("got %v, want ErrDropped", err)
	}
	c.sql("DROP TABLE main.default.t")
	c.register("t", dir)
	c.open(tName)
}

// Whatever is acknowledged while the table is dropped is in its files.
func TestExternal_DropUnderLiveStreams(t *testing.T) {
	h := newAbroad(t)
	dir := h.make("t", "of-spark")
	a := h.start(Options{CommitInterval: time.Millisecond})
	for round := range 5 {
		a.register("t", dir)
		tab := a.open(tName)
		before := h.idsOf(dir)
		const streams = 4
		var wg sync.WaitGroup
		acked := make([][]int64, streams)
		begun := make(chan struct{}, streams)
		for s := range streams {
			wg.Go(func() {
				var mu sync.Mutex
				var writes sync.WaitGroup
				for i := range int64(1 << 30) {
					id := int64(round)<<40 + int64(s)<<30 + i
					writes.Add(1)
					err := tab.Append(t.Context(), nil, ids(tab, id, 1), func(err error) {
						if err == nil {
							mu.Lock()
							acked[s] = append(acked[s], id)
							mu.Unlock()
						}
						writes.Done()
					})
					if err != nil {
						writes.Done()
						if !errors.Is(err, ErrDropped) {
							t.Error(err)
						}
						break
					}
					if i == 50 {
						begun <- struct{}{}
					}
				}
				writes.Wait()
			})
		}
		for range streams {
			<-begun
		}
		a.sql("DROP TABLE main.default.t")
		wg.Wait()
		want := before
		for _, of := range acked {
			want = append(want, of...)
		}
		slices.Sort(want)
		if got := h.idsOf(dir); !slices.Equal(got, want) {
			t.Fatalf("round %d: the table has %d rows, acknowledged were %d", round, len(got), len(want))
		}
	}
}

// A table that cannot be committed to can be dropped all the same.
func TestExternal_DropOfATableThatIsAway(t *testing.T) {
	h := newAbroad(t)
	dir := h.make("t", "of-spark")
	a := h.start(Options{CommitInterval: time.Hour, CommitTimeout: 50 * time.Millisecond})
	a.register("t", dir)
	a.durable(a.open(tName), 0, 10)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	a.sql("DROP TABLE main.default.t")
	if _, err := a.set.Open(t.Context(), tName); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
