package wal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zerobus-go/zerobus/server/internal/wal"
	"github.com/zerobus-go/zerobus/server/internal/wal/waltest"
)

const (
	block    = 4096
	headSize = 48
)

func sizeOf(payload string) int { return (headSize + len(payload) + 7) &^ 7 }

// grouped makes a log of which each group has the given payloads, and returns the disk as a kill leaves it.
func grouped(t *testing.T, groups [][]string) (*waltest.Disk, []record) {
	t.Helper()
	d := waltest.New()
	l := open(t, small(d))
	mustReplay(t, l)
	var want []record
	for _, group := range groups {
		g := newGate(d)
		var wait sync.WaitGroup
		add := func(payload string) {
			wait.Add(1)
			n := len(want)
			want = append(want, record{table: table(1), payload: payload})
			err := l.Append(context.Background(), nil, table(1), []byte(payload), func(seq uint64, err error) {
				if err != nil {
					t.Error(err)
				}
				want[n].seq = seq
				wait.Done()
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		// The entry "-" keeps the writer busy while the group gathers.
		add("-")
		<-g.reached
		for _, payload := range group {
			add(payload)
		}
		g.open <- struct{}{}
		g.pass()
		wait.Wait()
		d.Hook(nil)
	}
	// The idle writer's mark, by which damage of the last group is told from an interrupted write.
	eventually(t, "the mark", func() bool { return d.Read(segmentName(1))[length(want)+12] != 0 })
	d.StopAt(1)
	l.Close()
	d.Kill()
	return d, want
}

// length is where the entries of want end in a segment.
func length(want []record) int {
	n := block
	for _, r := range want {
		n += sizeOf(r.payload)
	}
	return n
}

// goOn checks that a log which was opened after damage takes entries, and keeps them over another kill.
func goOn(t *testing.T, d *waltest.Disk, l *wal.Local, have []record) {
	t.Helper()
	next := uint64(1)
	if n := len(have); n > 0 {
		next = have[n-1].seq + 1
	}
	// Of the size of those that were cut, so that what is left of them would fit.
	want := append([]record{}, have...)
	for i := range 2 {
		payload := fmt.Sprintf("new %d....", i)
		// The state to restart from is that between the sync and the mark.
		type result struct {
			seq   uint64
			err   error
			after *waltest.Disk
		}
		c := make(chan result, 1)
		err := l.Append(context.Background(), nil, table(2), []byte(payload), func(seq uint64, err error) { c <- result{seq, err, d.Clone()} })
		if err != nil {
			t.Fatal(err)
		}
		r := <-c
		seq, again := r.seq, r.after
		if r.err != nil {
			t.Fatal(r.err)
		}
		if seq != next+uint64(i) {
			t.Fatalf("a new entry has number %d, want %d", seq, next+uint64(i))
		}
		want = append(want, record{seq, table(2), payload})
		l := open(t, small(again))
		if diff := cmp.Diff(want, mustReplay(t, l), cmp.AllowUnexported(record{})); diff != "" {
			t.Fatalf("after one more restart (-want +got):\n%s", diff)
		}
		l.Close()
	}
}

// A crash while the last group is written leaves a part of it. Whatever part, the log opens, keeps what was
// acknowledged before, gives entries of the group only whole, and goes on.
func TestTornTail_AtEveryByte(t *testing.T) {
	first := [][]string{{"acked 1", "acked two"}}
	_, before := grouped(t, first)
	d, all := grouped(t, append(first, []string{"torn 00000", "torn 11111", "torn 22222", "torn 33333"}))
	img := d.Read(segmentName(1))
	// The group of four; the mark behind it is taken away. So is the "-" before it, which was acknowledged.
	acked := len(before) + 1
	from, to := length(all[:acked]), length(all)
	clear(img[to : to+headSize])

	stale := rand.New(rand.NewPCG(1, 2))
	for name, fillUp := range map[string]func() byte{
		"zeroes":    func() byte { return 0 },
		"old bytes": func() byte { return byte(stale.IntN(256)) },
	} {
		for at := from; at <= to; at++ {
			for _, front := range []bool{true, false} {
				c := d.Clone()
				torn := bytes.Clone(img)
				lo, hi := at, to
				if !front {
					lo, hi = from, at
				}
				for i := lo; i < hi; i++ {
					torn[i] = fillUp()
				}
				c.Put(segmentName(1), torn)
				l := open(t, small(c))
				got := mustReplay(t, l)
				n := len(got)
				if n < acked || !cmp.Equal(all[:n], got, cmp.AllowUnexported(record{})) {
					t.Fatalf("%s, byte %d, front %t: replay gives %v", name, at, front, got)
				}
				if front {
					whole := acked
					for whole < len(all) && length(all[:whole+1]) <= at {
						whole++
					}
					// The padding of an entry says nothing; the last byte of a payload could be what was there.
					if n != whole && name == "zeroes" && at-length(all[:whole]) < sizeOf(all[whole].payload)-6 {
						t.Fatalf("%s, byte %d: %d entries, want %d", name, at, n, whole)
					}
				}
				if r := l.Recovery(); n < len(all) && name == "zeroes" && front && at > length(all[:n])+headSize && r.Cut == nil {
					t.Fatalf("%s, byte %d: the cut was not reported", name, at)
				} else if r.Cut != nil && (r.Cut.File != segmentName(1) || r.Cut.Offset != int64(length(got)) || r.Cut.Bytes <= 0) {
					t.Fatalf("%s, byte %d: cut is %+v, entries end at %d", name, at, r.Cut, length(got))
				}
				goOn(t, c, l, got)
				l.Close()
			}
		}
	}
}

// Each bit of a small log that a kill left is flipped in turn. Every flip in what was acknowledged is found, and names
// the place; no flip makes up data.
func TestDamage_EveryBitFlipIsFound(t *testing.T) {
	d, want := grouped(t, [][]string{{"one", "two two"}, {"", "a longer payload than the others"}})
	img := d.Read(segmentName(1))
	end := length(want)
	for bit := range 8 * (end + 2*headSize) {
		if at := bit / 8; at >= 64 && at < block {
			continue // the rest of the header's block, which is never read; covered by the next test
		}
		c := d.Clone()
		c.Put(segmentName(1), flip(img, bit))
		l, err := wal.Open(small(c))
		at := bit / 8
		if err != nil {
			var damage *wal.CorruptionError
			if !errors.As(err, &damage) || damage.File != segmentName(1) || damage.Reason == "" {
				t.Fatalf("byte %d: %v", at, err)
			}
			if at >= end {
				t.Fatalf("byte %d, behind the last entry at %d: %v", at, end, err)
			}
			if damage.Offset > int64(at) || at >= block && damage.Offset < int64(at)-128 {
				t.Fatalf("byte %d: the error says %d", at, damage.Offset)
			}
			continue
		}
		got := mustReplay(t, l)
		l.Close()
		if !cmp.Equal(want, got, cmp.AllowUnexported(record{})) {
			t.Fatalf("byte %d, bit %d: not found, replay gives %v", at, bit%8, got)
		}
		// Only padding may change without a trace.
		if at < end && !inPadding(want, at) {
			t.Fatalf("byte %d, bit %d: not found", at, bit%8)
		}
	}
}

func inPadding(want []record, at int) bool {
	off := block
	for _, r := range want {
		if at >= off+headSize+len(r.payload) && at < off+sizeOf(r.payload) {
			return true
		}
		off += sizeOf(r.payload)
	}
	return false
}

func TestDamage_FlipsInSealedSegments(t *testing.T) {
	d := waltest.New()
	l := open(t, small(d))
	var want []record
	for i := range 10 {
		payload := fmt.Sprint(i, strings.Repeat("x", third-1))
		want = append(want, record{mustPut(t, l, table(1), []byte(payload)), table(1), payload})
	}
	l.Close()
	r := rand.New(rand.NewPCG(3, 4))
	var bits []int
	for i := range 4 * headSize {
		// A bit of each byte of the heads of the three entries and of the seal.
		bits = append(bits, 8*(block+i/headSize*sizeOf(want[0].payload)+i%headSize)+i%8)
	}
	for range 200 {
		bits = append(bits, r.IntN(8*length(want[:3])))
	}
	for _, segment := range []int{1, 2, 3} {
		img := d.Read(segmentName(segment))
		for _, bit := range bits {
			c := d.Clone()
			c.Put(segmentName(segment), flip(img, bit))
			l, err := wal.Open(small(c))
			if err == nil {
				got := mustReplay(t, l)
				l.Close()
				at := bit / 8
				if !cmp.Equal(want, got, cmp.AllowUnexported(record{})) {
					t.Fatalf("segment %d, byte %d: replay gives %d entries", segment, at, len(got))
				}
				if (at < 64 || at >= block) && !inPadding(want, at) {
					t.Fatalf("segment %d, byte %d: not found", segment, at)
				}
				continue
			}
			var damage *wal.CorruptionError
			if !errors.As(err, &damage) || damage.File != segmentName(segment) {
				t.Fatalf("segment %d, byte %d: %v", segment, bit/8, err)
			}
		}
	}
}

func TestDamage_TruncationIsFound(t *testing.T) {
	d, want := grouped(t, [][]string{{"one", "two two"}})
	img := d.Read(segmentName(1))
	sizes := []int{len(img) - 1, len(img) - 512, len(img) / 2}
	for n := range length(want) + 2*headSize {
		sizes = append(sizes, n)
	}
	for _, n := range sizes {
		c := d.Clone()
		c.Put(segmentName(1), img[:n])
		_, err := wal.Open(small(c))
		var damage *wal.CorruptionError
		if !errors.As(err, &damage) || damage.File != segmentName(1) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

func TestDamage_MissingAndMixedFiles(t *testing.T) {
	big := make([]byte, third)
	d := waltest.New()
	l := open(t, small(d))
	for range 10 {
		mustPut(t, l, table(1), big)
	}
	l.Close()
	other := waltest.New()
	l = open(t, small(other))
	for range 10 {
		mustPut(t, l, table(1), big)
	}
	l.Close()
	id := dir + "/ID"

	for name, c := range map[string]struct {
		change func(*waltest.Disk)
		file   string
		reason string
	}{
		"last segment":       {func(d *waltest.Disk) { d.Drop(segmentName(4)) }, segmentName(4), "missing"},
		"last two segments":  {func(d *waltest.Disk) { d.Drop(segmentName(4)); d.Drop(segmentName(3)) }, segmentName(3), "missing"},
		"all segments":       {func(d *waltest.Disk) { drop(d, ".wal") }, id, "no segments"},
		"id":                 {func(d *waltest.Disk) { d.Drop(id) }, id, "missing"},
		"id, damaged":        {func(d *waltest.Disk) { d.Put(id, flip(d.Read(id), 100)) }, id, "should be"},
		"id, empty":          {func(d *waltest.Disk) { d.Put(id, nil) }, id, "should be"},
		"id of another log":  {func(d *waltest.Disk) { d.Put(id, other.Read(id)) }, id, "two logs"},
		"segment of another": {func(d *waltest.Disk) { d.Put(segmentName(2), other.Read(segmentName(2))) }, segmentName(2), "two logs"},
		"segment renamed":    {func(d *waltest.Disk) { d.Put(segmentName(7), d.Read(segmentName(2))) }, segmentName(7), "renamed"},
		"segment empty":      {func(d *waltest.Disk) { d.Put(segmentName(2), nil) }, segmentName(2), "0 bytes"},
		"segment all zeroes": {func(d *waltest.Disk) { d.Put(segmentName(2), make([]byte, 16<<10)) }, segmentName(2), "not a segment"},
		"segment, old copy":  {func(d *waltest.Disk) { clearFrom(d, segmentName(2), length(nil)+third+headSize) }, segmentName(2), "later segment"},
		"segment lengthened": {func(d *waltest.Disk) { d.Put(segmentName(2), append(d.Read(segmentName(2)), 0)) }, segmentName(2), "added to"},
		"last, entry is lost": {func(d *waltest.Disk) {
			d.Put(segmentName(4), zeroed(d.Read(segmentName(4)), block, block+third+headSize))
		}, segmentName(4), "durable"},
	} {
		t.Run(name, func(t *testing.T) {
			d := d.Clone()
			c.change(d)
			_, err := wal.Open(small(d))
			var damage *wal.CorruptionError
			if !errors.As(err, &damage) {
				t.Fatalf("open: %v", err)
			}
			if damage.File != c.file || !strings.Contains(damage.Reason, c.reason) {
				t.Errorf("%v\nwant file %s and %q", err, c.file, c.reason)
			}
			// Nothing was changed by looking, and the lock is free.
			if _, again := wal.Open(small(d)); again == nil || again.Error() != err.Error() {
				t.Errorf("the second time: %v", again)
			}
		})
	}
}

func drop(d *waltest.Disk, suffix string) {
	for _, name := range d.Files() {
		if strings.HasSuffix(name, suffix) {
			d.Drop(name)
		}
	}
}

func zeroed(b []byte, from, to int) []byte {
	clear(b[from:to])
	return b
}

func clearFrom(d *waltest.Disk, name string, from int) {
	b := d.Read(name)
	d.Put(name, zeroed(b, from, len(b)))
}

// A segment that is changed after Open, behind the log's back, is found by Replay.
func TestDamage_AfterOpenIsFoundByReplay(t *testing.T) {
	d, want := grouped(t, [][]string{{"one", "two two"}})
	l := open(t, small(d))
	img := d.Read(segmentName(1))
	d.Put(segmentName(1), flip(img, 8*(length(want[:1])+headSize)))
	got, err := replay(l)
	var damage *wal.CorruptionError
	if !errors.As(err, &damage) || damage.File != segmentName(1) || damage.Offset != int64(length(want[:1])) {
		t.Errorf("replay: %v", err)
	}
	if !cmp.Equal(want[:1], got, cmp.AllowUnexported(record{})) {
		t.Errorf("replay gives %v", got)
	}
}

// A failed sync is believed at once: nothing is synced again, and every caller hears of it.
func TestPoison_NamesTheCauseAndStays(t *testing.T) {
	for _, kind := range []string{"write", "datasync"} {
		t.Run(kind, func(t *testing.T) {
			d := waltest.New()
			l := open(t, small(d))
			mustPut(t, l, table(1), []byte("kept"))
			d.Hook(func(op waltest.Op) error {
				if op.Kind == kind && strings.HasSuffix(op.Name, ".wal") {
					return errInjected
				}
				return nil
			})
			_, err := put(l, table(1), []byte("lost"))
			verify := func(err error) {
				t.Helper()
				if !errors.Is(err, wal.ErrPoisoned) || !errors.Is(err, errInjected) ||
					!strings.Contains(err.Error(), kind) || !strings.Contains(err.Error(), segmentName(1)) {
					t.Errorf("error is %v", err)
				}
			}
			verify(err)
			d.Hook(nil)
			syncs := d.Count("datasync")
			err = l.Append(context.Background(), nil, table(1), nil, func(uint64, error) { t.Error("done was called") })
			verify(err)
			_, err = replay(l)
			verify(err)
			verify(l.Close())
			if n := d.Count("datasync"); n != syncs {
				t.Errorf("%d more syncs after the failure", n-syncs)
			}
			l = open(t, small(d))
			if got := mustReplay(t, l); len(got) == 0 || got[0].payload != "kept" {
				t.Errorf("after restart: %v", got)
			}
		})
	}
}
