package table

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
)

// Orphans are data files that no commit names, because the server ended, or met an error, between the file and the commit.
// Nobody reads them, but they take space, and only VACUUM would find them.
//
// A data file's name says which log its rows come from and up to which sequence. What a table has of a log it has by a commit
// with a txn. So when a table is opened, files of its log above the txn are orphans, or belong to a commit that is still on its
// way, which an object store can bring about. They are deleted once the txn has come to them: then the version that the other
// commit would have had is taken. The ledger remembers their names until they are gone, since the txn rises; files below the txn
// that are not remembered were named by a commit once, and earlier versions of the table may need them.

// fileID is the id in a data file's name, a UUID of version 8: 48 bits that stand for table and log, 56 of the sequence, 18
// that are random. The text of ids has the order of their sequences.
func fileID(table [16]byte, log string, seq uint64, random uint32) uuid.UUID {
	h := sha256.New()
	h.Write(table[:])
	h.Write([]byte(log))
	var id uuid.UUID
	copy(id[:6], h.Sum(nil))
	id[6] = 0x80 | byte(seq>>52)&0x0f
	id[7] = byte(seq >> 44)
	id[8] = 0x80 | byte(seq>>38)&0x3f
	binary.BigEndian.PutUint32(id[9:], uint32(seq>>6))
	id[13] = byte(seq)<<2 | byte(random>>16)&0x03
	id[14], id[15] = byte(random>>8), byte(random)
	return id
}

// newFile names a data file for the rows up to seq.
func (t *Table) newFile(seq uint64) string {
	return parquetfile.NewName(fileID(t.info.ID, t.set.wal.ID(), seq, rand.Uint32()), t.set.opts.Parquet)
}

// firstFile is where the names of files begin that have rows above seq.
func (t *Table) firstFile(seq uint64) string {
	name := parquetfile.NewName(fileID(t.info.ID, t.set.wal.ID(), seq+1, 0), t.set.opts.Parquet)
	id, _, _ := strings.Cut(name, ".")
	return id
}

// findOrphans looks for them when the table is opened. known is what the ledger remembers.
func (t *Table) findOrphans(ctx context.Context, known []string) error {
	t.orphans, t.noted = slices.Clone(known), known
	first := t.firstFile(t.committed)
	for f, err := range t.store.List(ctx, first[:sameLog], first) {
		if err != nil {
			return err
		}
		if !slices.Contains(t.orphans, f.Path) {
			t.orphans = append(t.orphans, f.Path)
		}
	}
	t.keepNamed()
	if len(t.orphans) > 0 {
		t.log.Info("the table has data files without a commit; they go when it has their rows", "files", len(t.orphans))
	}
	if err := t.note(); err != nil { // before a commit raises the txn
		return err
	}
	t.sweep(ctx)
	return nil
}

// sameLog is how much of the names of a log's files is the same.
const sameLog = len("part-00000-") + len("00000000-0000-8")

// note has the ledger remember the orphans.
func (t *Table) note() error {
	if slices.Equal(t.orphans, t.noted) {
		return nil
	}
	if err := t.set.ledger.SetOrphans(t.info.ID, t.orphans); err != nil {
		return err
	}
	t.noted = slices.Clone(t.orphans)
	return nil
}

// orphaned is told of a data file that may be there though it failed.
func (t *Table) orphaned(name string) {
	t.orphans = append(t.orphans, name)
	if err := t.note(); err != nil {
		t.log.Warn("an unfinished data file may stay behind", "file", name, "err", err)
	}
}

// sweep deletes the orphans that the table's txn has come to. What cannot be deleted is tried again after the next commit, and so
// is the ledger's answer. Files of another log stay: its rows may come back with it.
func (t *Table) sweep(ctx context.Context) {
	if len(t.orphans) == 0 && len(t.noted) == 0 {
		return
	}
	t.keepNamed()
	end := t.firstFile(t.committed)
	left := t.orphans[:0]
	for _, name := range t.orphans {
		if name[:min(len(name), sameLog)] != end[:sameLog] || name >= end {
			left = append(left, name)
			continue
		}
		if err := t.store.Delete(ctx, name); err != nil {
			t.log.Warn("a data file without a commit is not deleted yet", "file", name, "err", err)
			left = append(left, name)
			continue
		}
		t.set.counters.orphans.Add(1)
		t.log.Info("a data file without a commit was deleted", "file", name)
	}
	t.orphans = left
	if err := t.note(); err != nil {
		t.log.Warn("the ledger still has names of data files that are gone", "err", err)
	}
}

// keepNamed takes the files out of orphans that the table names.
func (t *Table) keepNamed() {
	if len(t.orphans) == 0 {
		return
	}
	named := map[string]bool{}
	for f := range t.delta.Snapshot().Files() {
		named[f.Path] = true // names of ours have nothing that is encoded
	}
	left := t.orphans[:0]
	for _, name := range t.orphans {
		if !named[name] {
			left = append(left, name)
		}
	}
	t.orphans = left
}
