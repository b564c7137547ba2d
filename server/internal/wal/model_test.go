package wal_test

import (
	"fmt"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/wal"
	"github.com/zerobus-go/zerobus/server/internal/wal/waltest"
	"pgregory.net/rapid"
)

// A log, and a list in its place, live through the same random steps.
func TestModel_AcrossRestarts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := waltest.New()
		o := small(d)
		o.MaxBytes = int64(rapid.IntRange(20, 40).Draw(t, "segments")) * o.SegmentBytes
		var (
			list    []record
			trimmed = map[wal.TableID]uint64{}
			id      string
			l       *wal.Local
		)
		start := func() {
			var err error
			if l, err = wal.Open(o); err != nil {
				t.Fatalf("open: %v", err)
			}
			if id == "" {
				id = l.ID()
			} else if l.ID() != id {
				t.Fatalf("id was %s, is %s", id, l.ID())
			}
			if next := l.Stats().NextSeq; next != uint64(len(list)+1) {
				t.Fatalf("next entry is %d, want %d", next, len(list)+1)
			}
			got, err := replay(l)
			if err != nil {
				t.Fatalf("replay: %v", err)
			}
			have := map[uint64]bool{}
			var last uint64
			for _, r := range got {
				if r.seq <= last || r.seq > uint64(len(list)) || list[r.seq-1] != r {
					t.Fatalf("entry %d after %d is %q of %s", r.seq, last, brief(r.payload), r.table)
				}
				last = r.seq
				have[r.seq] = true
			}
			for _, r := range list {
				if r.seq > trimmed[r.table] && !have[r.seq] {
					t.Fatalf("entry %d of %s is lost; it is trimmed up to %d", r.seq, r.table, trimmed[r.table])
				}
			}
		}
		start()
		defer func() { l.Close() }()
		tables := rapid.IntRange(1, 4)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				tab := table(tables.Draw(t, "table"))
				size := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(0, o.MaxEntryBytes-30)).Draw(t, "size")
				payload := fmt.Sprintf("%d %0*d", len(list), size, 0)
				seq, err := put(l, tab, []byte(payload))
				if err != nil || seq != uint64(len(list)+1) {
					t.Fatalf("append: %d, %v", seq, err)
				}
				list = append(list, record{seq, tab, payload})
			},
			"trim": func(t *rapid.T) {
				tab := table(tables.Draw(t, "table"))
				upTo := rapid.Uint64Range(0, uint64(len(list))).Draw(t, "up to")
				l.Trim(tab, upTo)
				trimmed[tab] = max(trimmed[tab], upTo)
			},
			"forget": func(t *rapid.T) {
				tab := table(tables.Draw(t, "table"))
				l.Forget(tab)
				trimmed[tab] = uint64(len(list))
			},
			"close": func(t *rapid.T) {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				start()
			},
			"kill": func(t *rapid.T) {
				d.StopAt(1)
				l.Close()
				d.Kill()
				start()
			},
			"": func(t *rapid.T) {
				if n := l.Stats().Bytes; n > o.MaxBytes {
					t.Fatalf("%d bytes on disk, the bound is %d", n, o.MaxBytes)
				}
			},
		})
	})
}
