package delta

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Snapshots share memory; a model that shares nothing says what each must show, then and after everything that came later.
func TestSnapshot_IsWhatItWasWhateverComesLater(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type seen struct {
			snapshot *Snapshot
			files    []string
			size     int64
			txns     map[string]Txn
			domains  map[string]DomainMetadata
		}
		b := newBuilder("model")
		order := []string{} // live files in the order of their adds
		sizes := map[string]int64{}
		txns := map[string]Txn{}
		domains := map[string]DomainMetadata{}
		var all []seen
		next := 0
		for range rapid.IntRange(1, 30).Draw(rt, "commits") {
			c := &commit{}
			for range rapid.IntRange(0, 3).Draw(rt, "txns") {
				txn := Txn{AppID: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "app"), Version: rapid.Int64Range(0, 9).Draw(rt, "txn")}
				c.txns = append(c.txns, txn)
				txns[txn.AppID] = txn
			}
			if rapid.Bool().Draw(rt, "domain") {
				d := DomainMetadata{Domain: rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "name"), Removed: rapid.Bool().Draw(rt, "removed")}
				c.domains = append(c.domains, d)
				delete(domains, d.Domain)
				if !d.Removed {
					domains[d.Domain] = d
				}
			}
			for range rapid.IntRange(0, 5).Draw(rt, "removes") {
				if len(order) == 0 {
					break
				}
				i := rapid.IntRange(0, len(order)-1).Draw(rt, "remove")
				c.removes = append(c.removes, Remove{Path: order[i]})
				delete(sizes, order[i])
				order = slices.Delete(order, i, i+1)
			}
			// Large commits bring the list to the length at which dead files are dropped.
			for range rapid.SampledFrom([]int{0, 1, 3, 700}).Draw(rt, "adds") {
				name := fmt.Sprint("f", next)
				next++
				if len(order) > 0 && len(c.adds) == 0 && rapid.Bool().Draw(rt, "again") {
					name = order[0]
					order = order[1:]
				}
				c.adds = append(c.adds, Add{Path: name, Size: int64(next)})
				order = append(order, name)
				sizes[name] = int64(next)
			}
			if rapid.IntRange(0, 5).Draw(rt, "truncate") == 0 {
				// A commit of its own that removes all but the last file.
				b.apply(c)
				c = &commit{}
				for len(order) > 1 {
					c.removes = append(c.removes, Remove{Path: order[0]})
					delete(sizes, order[0])
					order = order[1:]
				}
			}
			b.apply(c)
			if rapid.Bool().Draw(rt, "snapshot") {
				s := seen{snapshot: b.snapshot(), files: slices.Clone(order), txns: maps.Clone(txns), domains: maps.Clone(domains)}
				for _, n := range sizes {
					s.size += n
				}
				all = append(all, s)
			}
		}
		for _, s := range all {
			if got := paths(s.snapshot); !slices.Equal(got, s.files) {
				rt.Fatalf("version %d has %d files, want %d: %.200q, want %.200q", s.snapshot.Version, len(got), len(s.files), got, s.files)
			}
			if s.snapshot.NumFiles() != len(s.files) || s.snapshot.SizeBytes() != s.size {
				rt.Fatalf("version %d counts %d files of %d bytes, want %d of %d", s.snapshot.Version, s.snapshot.NumFiles(), s.snapshot.SizeBytes(), len(s.files), s.size)
			}
			if !maps.Equal(s.snapshot.Txns, s.txns) || !maps.Equal(s.snapshot.Domains, s.domains) {
				rt.Fatalf("version %d has %v %v, want %v %v", s.snapshot.Version, s.snapshot.Txns, s.snapshot.Domains, s.txns, s.domains)
			}
		}
	})
}

// PROTOCOL.md, "Add File and Remove File": a logical file is its path and its deletion vector.
func TestSnapshot_DeletionVectorIsPartOfAFilesIdentity(t *testing.T) {
	dv := func(offset int32) *DeletionVector {
		return &DeletionVector{StorageType: "u", PathOrInlineDV: "x", Offset: new(offset), SizeInBytes: 1, Cardinality: int64(offset)}
	}
	b := newBuilder("t")
	b.apply(&commit{adds: []Add{{Path: "f", Size: 1}}})
	// The order of actions in a commit says nothing; here the add of the new one comes with the remove of the old one.
	b.apply(&commit{adds: []Add{{Path: "f", Size: 1, DeletionVector: dv(1)}}, removes: []Remove{{Path: "f"}}})
	b.apply(&commit{adds: []Add{{Path: "f", Size: 1, DeletionVector: dv(2)}}, removes: []Remove{{Path: "f", DeletionVector: dv(1)}}})
	s := b.snapshot()
	n := 0
	for a := range s.Files() {
		if n++; a.DeletionVector == nil || *a.DeletionVector.Offset != 2 {
			t.Errorf("live file %+v, want the one with the second deletion vector", a)
		}
	}
	if n != 1 || s.NumFiles() != 1 {
		t.Errorf("%d live files, counted %d; want 1", n, s.NumFiles())
	}
	b.apply(&commit{removes: []Remove{{Path: "f"}}}) // without a vector it is another file
	if b.snapshot().NumFiles() != 1 {
		t.Error("a remove without the deletion vector took the file with it")
	}
}

func TestSnapshot_FilesStopsWhenAsked(t *testing.T) {
	b := newBuilder("t")
	b.apply(&commit{adds: []Add{{Path: "a"}, {Path: "b"}, {Path: "c"}}})
	n := 0
	for range b.snapshot().Files() {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d files after a break at 2", n)
	}
}

// Memory follows the live files: a table that is rewritten over and over does not grow.
func TestBuilder_DropsDeadFiles(t *testing.T) {
	b := newBuilder("t")
	const live = 100
	for round := range 200 {
		c := &commit{}
		for i := range live {
			c.adds = append(c.adds, Add{Path: fmt.Sprintf("%d-%d", round, i)})
			if round > 0 {
				c.removes = append(c.removes, Remove{Path: fmt.Sprintf("%d-%d", round-1, i)})
			}
		}
		b.apply(c)
	}
	if n := len(b.draft.files.adds); n > 1024+live {
		t.Errorf("%d files are held for %d live ones", n, live)
	}
	if len(b.index) != live || b.draft.files.live != live {
		t.Errorf("index %d, live %d; want %d", len(b.index), b.draft.files.live, live)
	}
}
