package wal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/zerobus-go/zerobus/server/internal/wal"
	"github.com/zerobus-go/zerobus/server/internal/wal/waltest"
)

// fill appends entries of 1,600 bytes until the log is full, and returns what was acknowledged.
func fill(t *testing.T, l *wal.Local, tab wal.TableID) (all []record) {
	t.Helper()
	for i := range 1000 {
		payload := fmt.Sprintf("%d %s", i, bytes.Repeat([]byte{'f'}, 1600))
		seq, err := put(l, tab, []byte(payload))
		if errors.Is(err, wal.ErrFull) {
			if seq != 0 {
				t.Errorf("ErrFull comes with number %d", seq)
			}
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, record{seq, tab, payload})
	}
	t.Fatal("the log is never full")
	return nil
}

func TestSpace_FullDiskRefusesAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := waltest.New()
		o := small(d)
		d.SetSpace(3*o.SegmentBytes + 1000)
		l := open(t, o)
		all := fill(t, l, table(1))
		err := l.Append(context.Background(), nil, table(1), []byte("small"), func(uint64, error) { t.Error("done was called") })
		if !errors.Is(err, wal.ErrFull) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("full disk: %v", err)
		}
		if len(all) < 15 {
			t.Errorf("only %d entries in 3 segments", len(all))
		}
		if !l.Stats().Full {
			t.Error("Stats does not say that the log is full")
		}
		for _, name := range d.Files() {
			if strings.HasSuffix(name, ".tmp") {
				t.Errorf("%s was left behind", name)
			}
		}

		// Space comes back.
		d.SetSpace(0)
		time.Sleep(time.Second) // of the bubble
		seq := mustPut(t, l, table(1), []byte("again"))
		if want := all[len(all)-1].seq + 1; seq != want {
			t.Errorf("after the disk was full an entry has number %d, want %d", seq, want)
		}
		all = append(all, record{seq, table(1), "again"})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = open(t, o)
		if diff := cmp.Diff(all, mustReplay(t, l), cmp.AllowUnexported(record{})); diff != "" {
			t.Errorf("replay (-want +got):\n%s", diff)
		}
		l.Close()
	})
}

func TestSpace_BoundIsKeptUntilTrim(t *testing.T) {
	d := waltest.New()
	o := small(d)
	o.MaxBytes = 4 * o.SegmentBytes
	l := open(t, o)
	for round := range 5 {
		all := fill(t, l, table(1))
		if n := l.Stats().Bytes; n > o.MaxBytes {
			t.Fatalf("%d bytes on disk, the bound is %d", n, o.MaxBytes)
		}
		if round == 0 && len(all) < 4*7 {
			t.Errorf("full after %d entries", len(all))
		}
		l.Trim(table(1), all[len(all)-1].seq)
		eventually(t, "takes entries again", func() bool { return !l.Stats().Full })
	}
}

// Entries behind one that was refused are refused as well, so that no gap appears within a stream.
func TestSpace_NothingOvertakesARefusal(t *testing.T) {
	d := waltest.New()
	o := small(d)
	o.MaxBytes = 2 * o.SegmentBytes
	l := open(t, o)
	g := newGate(d)
	type result struct {
		i   int
		seq uint64
		err error
	}
	results := make(chan result, 100)
	add := func(i, size int) {
		err := l.Append(context.Background(), nil, table(1), make([]byte, size), func(seq uint64, err error) { results <- result{i, seq, err} })
		if err != nil {
			t.Errorf("append %d: %v", i, err)
		}
	}
	add(0, 4500)
	<-g.reached
	// 0 and 1 fit into the first segment, 2 and 3 go to the second, the last one.
	for i, size := range []int{4500, 4500, 1} {
		add(i+1, size)
	}
	d.Hook(nil)
	g.open <- struct{}{}
	var last uint64
	refused := false
	for i := range 4 {
		r := <-results
		if r.i != i {
			t.Fatalf("result %d is for entry %d", i, r.i)
		}
		switch {
		case r.err == nil && (refused || r.seq != last+1):
			t.Errorf("entry %d has number %d after %d, refused before: %t", i, r.seq, last, refused)
		case r.err == nil:
			last = r.seq
		default:
			refused = true
		}
	}
	// Of the next group, entry 3 does not fit; 4 and 5 would.
	g = newGate(d)
	add(0, 1)
	<-g.reached
	sizes := []int{3000, 3000, 3000, 1, 1}
	for i, size := range sizes {
		add(i+1, size)
	}
	d.Hook(nil)
	g.open <- struct{}{}
	refused = false
	for range 1 + len(sizes) {
		r := <-results
		if r.err == nil && refused {
			t.Errorf("entry %d overtook a refused one", r.i)
		}
		if r.err != nil && !errors.Is(r.err, wal.ErrFull) {
			t.Errorf("entry %d: %v", r.i, r.err)
		}
		refused = refused || r.err != nil
	}
	if !refused {
		t.Error("nothing was refused: the test does not test")
	}
}

// When the log takes entries again, those of a chain that has lost one are refused all the same; others are taken.
func TestSpace_AChainHasNoHole(t *testing.T) {
	d := waltest.New()
	o := small(d)
	o.MaxBytes = 2 * o.SegmentBytes
	l := open(t, o)
	var broken, whole wal.Chain
	add := func(c *wal.Chain, size int) (uint64, error) {
		type result struct {
			seq uint64
			err error
		}
		done := make(chan result, 1)
		if err := l.Append(context.Background(), c, table(1), make([]byte, size), func(seq uint64, err error) { done <- result{seq, err} }); err != nil {
			return 0, err
		}
		r := <-done
		return r.seq, r.err
	}
	var last uint64
	for {
		seq, err := add(&broken, 5000)
		if errors.Is(err, wal.ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		last = seq
	}
	l.Trim(table(1), last)
	eventually(t, "takes entries again", func() bool { return !l.Stats().Full })
	for range 2 {
		if _, err := add(&broken, 1); !errors.Is(err, wal.ErrChain) {
			t.Errorf("behind a hole: %v", err)
		}
		seq, err := add(&whole, 1)
		if err != nil || seq != last+1 {
			t.Errorf("another chain: %d, %v, want %d", seq, err, last+1)
		}
		last = seq
	}
	// In one group: those of the broken chain are left out, the others are one behind the other.
	g := newGate(d)
	type result struct {
		i   int
		seq uint64
		err error
	}
	results := make(chan result, 8)
	chains := []*wal.Chain{nil, &broken, &whole, &broken, nil, &whole}
	queue := func(i int) {
		if err := l.Append(context.Background(), chains[i], table(1), []byte{byte(i)}, func(seq uint64, err error) { results <- result{i, seq, err} }); err != nil {
			t.Error(err)
		}
	}
	queue(0)
	<-g.reached
	for i := 1; i < len(chains); i++ {
		queue(i)
	}
	d.Hook(nil)
	g.open <- struct{}{}
	for i, c := range chains {
		r := <-results
		if c == &broken {
			if !errors.Is(r.err, wal.ErrChain) {
				t.Errorf("entry %d: %v", i, r.err)
			}
			continue
		}
		last++
		if r.i != i || r.err != nil || r.seq != last {
			t.Errorf("got %+v, want entry %d with number %d", r, i, last)
		}
	}
}

func TestTrim_RecyclesSegments(t *testing.T) {
	d := waltest.New()
	o := small(d)
	l := open(t, o)
	a, b := table(1), table(2)
	big := make([]byte, third)
	// Three entries to a segment: a's are in 1 and 5, b's in 2 to 5.
	mustPut(t, l, a, big)
	for range 12 {
		mustPut(t, l, b, big)
	}
	last := mustPut(t, l, a, big)
	if n := l.Stats().Segments; n != 5 {
		t.Fatalf("%d segments, want 5", n)
	}

	l.Trim(a, 0)
	l.Trim(b, 8)
	l.Trim(table(3), 100)
	eventually(t, "segment 2 is recycled, with a gap before 3", func() bool {
		s := l.Stats()
		return s.Segments == 4 && d.Read(segmentName(2)) == nil && d.Read(segmentName(1)) != nil
	})
	l.Close()
	l = open(t, o)
	var seqs []uint64
	for _, r := range mustReplay(t, l) {
		seqs = append(seqs, r.seq)
	}
	if want := []uint64{1, 2, 3, 7, 8, 9, 10, 11, 12, 13, 14}; !cmp.Equal(seqs, want) {
		t.Errorf("replay gives %v, want %v", seqs, want)
	}

	l.Forget(b)
	eventually(t, "segments 3 and 4 are recycled", func() bool { return l.Stats().Segments == 2 })
	l.Trim(a, last)
	eventually(t, "only the present segment is left", func() bool { return l.Stats().Segments == 1 })
	eventually(t, "spares are bounded", func() bool {
		s := l.Stats()
		return s.Spares == 2 && s.Bytes == 3*o.SegmentBytes && len(d.Files()) == 4 // and ID
	})
	l.Close()

	// The log goes on where it was, though most entries are gone.
	l = open(t, o)
	if seq := mustPut(t, l, a, big); seq != last+1 {
		t.Errorf("entry %d after %d", seq, last)
	}
}

// An empty log remembers its next number, restart after restart.
func TestTrim_NumbersAreNeverUsedAgain(t *testing.T) {
	d := waltest.New()
	o := small(d)
	var last uint64
	for range 12 {
		l := open(t, o)
		for range 4 {
			seq := mustPut(t, l, table(1), make([]byte, third))
			if seq != last+1 {
				t.Fatalf("entry %d after %d", seq, last)
			}
			last = seq
		}
		l.Trim(table(1), last)
		l.Forget(table(1))
		l.Close()
	}
}

// All entries have one size, so those of a segment's earlier life stand exactly where new ones will.
func TestRecycled_OldEntriesAreNeverReplayed(t *testing.T) {
	d := waltest.New()
	o := small(d)
	o.MaxBytes = 2 * o.SegmentBytes
	var last uint64
	for round := range 200 {
		l := open(t, o)
		all := mustReplay(t, l)
		if n := len(all); n > 0 && all[n-1].seq != last {
			t.Fatalf("round %d: replay ends with %d, want %d", round, all[n-1].seq, last)
		}
		for _, r := range all {
			if want := fmt.Sprintf("%08d", r.seq); !strings.HasPrefix(r.payload, want) {
				t.Fatalf("round %d: entry %d is %q", round, r.seq, brief(r.payload))
			}
		}
		if last > 0 {
			l.Trim(table(1), last)
		}
		for range 3 {
			var seq uint64
			eventually(t, "taken", func() (ok bool) {
				var err error
				seq, err = put(l, table(1), fmt.Appendf(nil, "%08d %01999d", last+1, 0))
				if err != nil && !errors.Is(err, wal.ErrFull) {
					t.Fatal(err)
				}
				return err == nil
			})
			if seq != last+1 {
				t.Fatalf("entry %d after %d", seq, last)
			}
			last = seq
		}
		d.StopAt(1)
		l.Close()
		d.Kill()
	}
	if got := d.Count("create"); got > 10 {
		t.Errorf("%d files were made: segments are not recycled", got)
	}
}
