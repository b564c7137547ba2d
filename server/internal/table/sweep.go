package table

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
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

// seqOf is the sequence in the name of a data file, which may be in the directory of a partition. False: the file is not of
// this table and log.
func (t *Table) seqOf(name string) (uint64, bool) {
	name = name[strings.LastIndexByte(name, '/')+1:]
	digits, isPart := strings.CutPrefix(name, "part-")
	if !isPart || len(digits) < len("00000-")+36 || digits[5] != '-' {
		return 0, false
	}
	id, err := uuid.Parse(digits[6 : 6+36])
	if err != nil || id.Version() != 8 {
		return 0, false
	}
	if own := fileID(t.info.ID, t.set.wal.ID(), 0, 0); !bytes.Equal(id[:6], own[:6]) {
		return 0, false
	}
	seq := uint64(id[6]&0x0f)<<52 | uint64(id[7])<<44 | uint64(id[8]&0x3f)<<38
	return seq | uint64(binary.BigEndian.Uint32(id[9:]))<<6 | uint64(id[13])>>2, true
}

// fileNames counts the names of files of one range of sequences, so that none is used twice: the random part of their ids begins
// anywhere and goes on from there.
type fileNames struct {
	begun bool
	start uint32
	used  uint32
}

// randomBits are those of an id.
const randomBits = 18

// next is the random part, and how often it has come around: that is the number behind part-.
func (n *fileNames) next() (random, round uint32) {
	if !n.begun {
		n.begun, n.start = true, rand.Uint32()
	}
	random, round = n.start+n.used, n.used>>randomBits
	n.used++
	return random & (1<<randomBits - 1), round
}

// newFile names a data file for the rows up to seq.
func (t *Table) newFile(seq uint64, names *fileNames, o parquetfile.Options) string {
	random, round := names.next()
	name := parquetfile.NewName(fileID(t.info.ID, t.set.wal.ID(), seq, random), o)
	return fmt.Sprintf("part-%05d", round) + name[len("part-00000"):]
}

// firstFile is where the names of files begin that have rows above seq.
func (t *Table) firstFile(seq uint64) string {
	name := parquetfile.NewName(fileID(t.info.ID, t.set.wal.ID(), seq+1, 0), t.set.opts.Parquet)
	id, _, _ := strings.Cut(name, ".")
	return id
}

// newFiles yields the data files whose rows are above the txn. Those of a table that is not partitioned stand together; of a
// partitioned one all directories are looked at, but for the log.
func (t *Table) newFiles(ctx context.Context) iter.Seq2[string, error] {
	type span struct{ prefix, after, until string }
	spans := []span{{"", "", logDir}, {"", logDirEnd, ""}}
	if !t.shape.Load().scheme.Partitioned() {
		first := t.firstFile(t.committed)
		spans = []span{{first[:sameLog], first, ""}}
	}
	return func(yield func(string, error) bool) {
		for _, s := range spans {
			for f, err := range t.store.List(ctx, s.prefix, s.after) {
				if err != nil {
					yield("", err)
					return
				}
				if s.until != "" && f.Path >= s.until {
					break
				}
				if seq, ours := t.seqOf(f.Path); ours && seq > t.committed && !yield(f.Path, nil) {
					return
				}
			}
		}
	}
}

// The names below _delta_log/ are between these.
const (
	logDir    = "_delta_log/"
	logDirEnd = "_delta_log0"
)

// findOrphans looks for them when the table is opened. known is what the ledger remembers.
func (t *Table) findOrphans(ctx context.Context, known []string) error {
	t.orphans, t.noted = slices.Clone(known), known
	for name, err := range t.newFiles(ctx) {
		if err != nil {
			return err
		}
		if !slices.Contains(known, name) {
			t.orphans = append(t.orphans, name)
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
	left := t.orphans[:0]
	for _, name := range t.orphans {
		if seq, ours := t.seqOf(name); !ours || seq > t.committed {
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

// keepNamed takes the files out of orphans that the table names, or has named: earlier versions need what was removed since.
func (t *Table) keepNamed() {
	if len(t.orphans) == 0 {
		return
	}
	named := map[string]bool{}
	for path := range t.delta.Snapshot().Mentioned() {
		named[strings.ToLower(path)] = true // names of ours have nothing that is encoded
	}
	left := t.orphans[:0]
	for _, name := range t.orphans {
		// Where file systems do not tell cases apart, a=X/ is listed as a=x/ when that was there first.
		if !named[strings.ToLower(name)] {
			left = append(left, name)
		}
	}
	t.orphans = left
}
