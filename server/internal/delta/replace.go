package delta

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
)

// Replacement is files that take the place of others and have the same rows.
type Replacement struct {
	Swaps []Swap // at least one; no file is in two of them

	// Base is the snapshot under whose schema the new files were written.
	Base *Snapshot

	// Auto says that nobody asked for it.
	Auto bool
}

// Swap is a file that takes the place of others.
type Swap struct {
	// Remove are live files, as a snapshot has them. All are of one partition, and none has a deletion vector.
	Remove []Add

	// Add is the file with their rows, in place and durable already, of the same partition, with DataChange false. Its maps become
	// part of the Snapshot and must not be changed afterwards.
	Add Add
}

// Replace commits the removal of files and the addition of those with the same rows as one version, and returns the version. For
// who reads the table as a stream of changes nothing has happened: dataChange is false in all of it.
//
// It gives way to other writers. When it finds that the table no longer has one of the files, or has it with a deletion vector,
// the error is ErrConflict; when the table's columns or partitions are others, ErrSchemaChanged; when the table may not be
// written by us, ErrUnsupported, also for tables with row tracking, whose rows would lose their ids. In all these cases nothing
// was written, and the new files are the caller's to delete; so it is after any other error but ErrUndecided. After that one
// they must stay until the version after that of Snapshot is known, by whomever it was written: they are in the table
// if it is ours.
func (t *Table) Replace(ctx context.Context, r Replacement) (version int64, err error) {
	if err := r.check(); err != nil {
		return 0, t.wrap(fmt.Errorf("replace: %w", err))
	}
	if err := t.take(ctx); err != nil {
		return 0, err
	}
	defer t.give()
	if err := t.verifyTail(ctx); err != nil {
		return 0, err
	}
	for attempt := 1; ; attempt++ {
		if err := t.admitReplacement(&r); err != nil {
			return 0, t.wrap(fmt.Errorf("replace: %w", err))
		}
		version = t.state.draft.Version + 1
		c := r.commit(t.now().UnixMilli())
		body, err := t.body(ctx, r.info(), c)
		if err != nil {
			return 0, t.wrap(fmt.Errorf("replace: %w", err))
		}
		won, err := t.write(ctx, version, body)
		if err != nil {
			return 0, t.wrap(fmt.Errorf("replace: %w", err))
		}
		if won {
			t.advance(c, body)
			t.publish()
			return version, nil
		}
		t.log.DebugContext(ctx, "version taken by another writer", "version", version, "attempt", attempt)
		if err := t.pause(ctx, attempt); err != nil {
			return 0, t.wrap(fmt.Errorf("replace: version %d was taken by another writer: %w", version, err))
		}
		if err := t.forward(ctx); err != nil {
			return 0, err
		}
	}
}

// check finds what no table would take.
func (r *Replacement) check() error {
	switch {
	case len(r.Swaps) == 0:
		return errors.New("there are no files to replace")
	case r.Base == nil:
		return errors.New("the snapshot that the files were written under is missing")
	}
	seen := map[string]bool{}
	for i := range r.Swaps {
		if err := r.Swaps[i].check(seen); err != nil {
			return err
		}
	}
	return nil
}

// check is that of one swap. seen are the paths of those before.
func (w *Swap) check(seen map[string]bool) error {
	f := w.Add
	if len(w.Remove) == 0 {
		return fmt.Errorf("file %q takes the place of none", f.Path)
	}
	if f.DataChange {
		return fmt.Errorf("file %q: dataChange is true, and no row is new", f.Path)
	}
	f.DataChange = true // the rest is as for any other file
	if err := checkAdd(&f); err != nil {
		return fmt.Errorf("file %q: %w", f.Path, err)
	}
	for _, f := range append(slices.Clone(w.Remove), w.Add) {
		if seen[f.Path] {
			return fmt.Errorf("file %q is there twice", f.Path)
		}
		seen[f.Path] = true
		if !samePartition(f.PartitionValues, w.Add.PartitionValues) {
			return fmt.Errorf("file %q is of another partition than %q", f.Path, w.Add.Path)
		}
	}
	return nil
}

// removes are the files that go, and adds those that come.
func (r *Replacement) removes() (files []Add) {
	for i := range r.Swaps {
		files = append(files, r.Swaps[i].Remove...)
	}
	return files
}

func (r *Replacement) adds() (files []Add) {
	for i := range r.Swaps {
		files = append(files, r.Swaps[i].Add)
	}
	return files
}

// samePartition compares partition values. An empty text stands for null (PROTOCOL.md, "Partition Value Serialization").
func samePartition(a, b map[string]*string) bool {
	return maps.EqualFunc(a, b, func(x, y *string) bool {
		if x == nil || y == nil {
			return (x == nil || *x == "") && (y == nil || *y == "")
		}
		return *x == *y
	})
}

// admitReplacement judges a replacement against the state that it would stand on, anew for every version.
func (t *Table) admitReplacement(r *Replacement) error {
	s := t.Snapshot()
	if err := CheckWritable(s); err != nil {
		return err
	}
	if s.RowTracking() {
		return s.refusal(rowTracking, "rows that move to other files would lose their ids")
	}
	if r.Base != s {
		if err := fits(&r.Base.Metadata, &s.Metadata); err != nil {
			return err
		}
	}
	for _, f := range r.removes() {
		at, live := t.state.index[fileKey(f.Path, nil)]
		if !live {
			return fmt.Errorf("file %s is no longer in version %d as it was read: %w", f.Path, s.Version, ErrConflict)
		}
		if is := &t.state.draft.files.adds[at]; is.Size != f.Size || !samePartition(is.PartitionValues, f.PartitionValues) {
			return fmt.Errorf("file %s is another one in version %d: %w", f.Path, s.Version, ErrConflict)
		}
	}
	a := Append{Adds: r.adds()}
	for i := range a.Adds {
		if _, live := t.state.index[fileKey(a.Adds[i].Path, nil)]; live {
			return fmt.Errorf("file %s is in the table already", a.Adds[i].Path)
		}
	}
	return a.checkPartitions(s.Metadata.partitionKeys())
}

// commit returns the actions of the replacement.
func (r *Replacement) commit(now int64) *commit {
	c := &commit{adds: r.adds()}
	for _, f := range r.removes() {
		c.removes = append(c.removes, Remove{
			Path: f.Path, DeletionTimestamp: now, ExtendedFileMetadata: true,
			PartitionValues: orNoValues(f.PartitionValues), Size: new(f.Size), Tags: f.Tags,
		})
	}
	for i := range c.adds {
		c.adds[i].PartitionValues = orNoValues(c.adds[i].PartitionValues)
	}
	return c
}

func orNoValues(v map[string]*string) map[string]*string {
	if len(v) == 0 {
		return noValues
	}
	return v
}

// info describes the replacement as Spark describes an OPTIMIZE. It has read the files, so it is no blind append.
func (r *Replacement) info() CommitInfo {
	removed, added := sizesOf(r.removes()), sizesOf(r.adds())
	text := func(n int64) string { return strconv.FormatInt(n, 10) }
	at := func(percent int) string { return text(added[(len(added)-1)*percent/100]) }
	return CommitInfo{
		Operation: "OPTIMIZE",
		OperationParameters: map[string]string{
			"predicate": "[]", "zOrderBy": "[]", "clusterBy": "[]", "auto": strconv.FormatBool(r.Auto),
		},
		IsBlindAppend: new(false),
		OperationMetrics: map[string]string{
			"numRemovedFiles": strconv.Itoa(len(removed)), "numRemovedBytes": text(sum(removed)),
			"numAddedFiles": strconv.Itoa(len(added)), "numAddedBytes": text(sum(added)),
			"minFileSize": at(0), "p25FileSize": at(25), "p50FileSize": at(50), "p75FileSize": at(75), "maxFileSize": at(100),
			"numDeletionVectorsRemoved": "0",
		},
	}
}

// sizesOf are the sizes of files, the least first.
func sizesOf(files []Add) []int64 {
	sizes := make([]int64, len(files))
	for i := range files {
		sizes[i] = files[i].Size
	}
	slices.Sort(sizes)
	return sizes
}

func sum(sizes []int64) (total int64) {
	for _, n := range sizes {
		total += n
	}
	return total
}

// Mentions tells whether the table has a file of this path, or has had one that a tombstone still tells of.
func (s *Snapshot) Mentions(path string) bool {
	for p := range s.Mentioned() {
		if p == path {
			return true
		}
	}
	return false
}

// Mentioned yields the paths of the files that the table has, and of those that a tombstone still tells of.
func (s *Snapshot) Mentioned() iter.Seq[string] {
	return func(yield func(string) bool) {
		for f := range s.Files() {
			if !yield(f.Path) {
				return
			}
		}
		for i := range s.removes {
			if !yield(s.removes[i].Path) {
				return
			}
		}
	}
}
