package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// Position is how far a producer has come in a table.
type Position struct {
	Session [16]byte  // the stream of the client that wrote last
	Next    int64     // the number after that of its last record
	Used    time.Time // when that one came; kept to the second
}

// Mark is a place in a log.
type Mark struct {
	Log string // the log's id
	Seq uint64
}

// Table is what is known of one table. The zero value is a table that nothing is known of.
type Table struct {
	UpTo      Mark
	Positions map[string]Position // by producer id
	Orphans   []string            // data files that no commit names
	Rewrites  []string            // data files of compactions that may have no commit
	Columns   []string            // descriptions of columns that entries of the log may be written for, a line each
}

// The file: a bucket for each table, named by the 16 bytes of its id; in it upTo, orphans, rewrites, columns and the bucket of positions.
var (
	metaKey      = []byte("meta") // a bucket with the version; no table id has four bytes
	versionKey   = []byte("version")
	positionsKey = []byte("positions")
	upToKey      = []byte("upTo")
	orphansKey   = []byte("orphans") // names, each with a line feed
	rewritesKey  = []byte("rewrites")
	columnsKey   = []byte("columns")
)

const (
	fileVersion  = "1"
	positionSize = 16 + 8 + 8 // session, next, used in seconds since 1970; big-endian
	lockTimeout  = time.Second
)

// Ledger is the open file.
type Ledger struct{ db *bbolt.DB }

// Open opens the file, or makes it, readable by its owner only. Another process that has it open is an error after a second.
func Open(path string) (*Ledger, error) {
	_, statErr := os.Stat(path)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout})
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", path, err)
	}
	l := &Ledger{db}
	err = errors.Join(os.Chmod(path, 0o600), l.prepare())
	if err == nil && errors.Is(statErr, fs.ErrNotExist) {
		err = syncDir(filepath.Dir(path)) // a file that vanishes with its name would take the positions with it
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open ledger %s: %w", path, err), db.Close())
	}
	return l, nil
}

// syncDir makes a name in a directory durable, where directories can be synced.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync() // Windows and some network file systems cannot, and have nothing else to offer
	return d.Close()
}

// prepare checks the version, or writes it into a new file.
func (l *Ledger) prepare() error {
	isNew := false
	err := l.db.View(func(tx *bbolt.Tx) error { // a full disk does not keep an old one from being opened
		meta := tx.Bucket(metaKey)
		if isNew = meta == nil; isNew {
			return nil
		}
		if v := string(meta.Get(versionKey)); v != fileVersion {
			return fmt.Errorf("the file has version %q, this program reads %q", v, fileVersion)
		}
		return nil
	})
	if err != nil || !isNew {
		return err
	}
	return l.db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucket(metaKey)
		if err != nil {
			return err
		}
		return meta.Put(versionKey, []byte(fileVersion))
	})
}

// Close waits for calls that are under way and lets go of the file. Later calls fail.
func (l *Ledger) Close() error { return l.db.Close() }

// Load reads what is known of a table.
func (l *Ledger) Load(id [16]byte) (t Table, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(id[:])
		if b == nil {
			return nil
		}
		if v := b.Get(upToKey); v != nil {
			if t.UpTo, err = readMark(v); err != nil {
				return err
			}
		}
		t.Orphans, t.Rewrites = readNames(b.Get(orphansKey)), readNames(b.Get(rewritesKey))
		t.Columns = readNames(b.Get(columnsKey))
		positions := b.Bucket(positionsKey)
		if positions == nil {
			return nil
		}
		t.Positions = map[string]Position{}
		return positions.ForEach(func(producer, v []byte) error {
			p, err := readPosition(v)
			if err != nil {
				return fmt.Errorf("producer %q: %w", producer, err)
			}
			t.Positions[string(producer)] = p
			return nil
		})
	})
	if err != nil {
		return Table{}, fmt.Errorf("ledger: table %x: %w", id, err)
	}
	return t, nil
}

// Save keeps the positions that have changed, and that all entries of the log up to a place are in the positions now.
func (l *Ledger) Save(id [16]byte, upTo Mark, changed map[string]Position) error {
	return l.change(id, func(b *bbolt.Bucket) error {
		positions, err := b.CreateBucketIfNotExists(positionsKey)
		if err != nil {
			return err
		}
		for producer, p := range changed {
			if err := positions.Put([]byte(producer), p.append(nil)); err != nil {
				return err
			}
		}
		return b.Put(upToKey, upTo.append(nil))
	})
}

// Remove forgets producers.
func (l *Ledger) Remove(id [16]byte, producers ...string) error {
	return l.change(id, func(b *bbolt.Bucket) error {
		positions := b.Bucket(positionsKey)
		if positions == nil {
			return nil
		}
		for _, producer := range producers {
			if err := positions.Delete([]byte(producer)); err != nil {
				return err
			}
		}
		return nil
	})
}

// SetOrphans keeps the names of data files that no commit names, in place of those before.
func (l *Ledger) SetOrphans(id [16]byte, names []string) error {
	return l.setNames(id, orphansKey, names)
}

// SetRewrites keeps the names of data files that a compaction makes, in place of those before, until it is known what became of
// them.
func (l *Ledger) SetRewrites(id [16]byte, names []string) error {
	return l.setNames(id, rewritesKey, names)
}

// SetColumns keeps descriptions of columns that the table had and entries of the log may be written for, in place of those before.
// They have no line feed.
func (l *Ledger) SetColumns(id [16]byte, descriptions []string) error {
	return l.setNames(id, columnsKey, descriptions)
}

func (l *Ledger) setNames(id [16]byte, key []byte, names []string) error {
	return l.change(id, func(b *bbolt.Bucket) error {
		if len(names) == 0 {
			return b.Delete(key)
		}
		return b.Put(key, []byte(strings.Join(names, "\n")+"\n"))
	})
}

func readNames(b []byte) (names []string) {
	for name := range strings.Lines(string(b)) {
		names = append(names, strings.TrimSuffix(name, "\n"))
	}
	return names
}

// Forget forgets a table.
func (l *Ledger) Forget(id [16]byte) error {
	known := false
	err := l.db.View(func(tx *bbolt.Tx) error {
		known = tx.Bucket(id[:]) != nil
		return nil
	})
	if err != nil || !known {
		return err
	}
	err = l.db.Batch(func(tx *bbolt.Tx) error {
		if tx.Bucket(id[:]) == nil {
			return nil
		}
		return tx.DeleteBucket(id[:])
	})
	if err != nil {
		return fmt.Errorf("ledger: forget table %x: %w", id, err)
	}
	return nil
}

// Tables lists the tables that something is known of.
func (l *Ledger) Tables() (ids [][16]byte, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
			if len(name) == 16 {
				ids = append(ids, [16]byte(name))
			}
			return nil
		})
	})
	return ids, err
}

// change runs f on a table's bucket, in a transaction that it may share. f may run more than once.
func (l *Ledger) change(id [16]byte, f func(*bbolt.Bucket) error) error {
	err := l.db.Batch(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(id[:])
		if err != nil {
			return err
		}
		return f(b)
	})
	if err != nil {
		return fmt.Errorf("ledger: table %x: %w", id, err)
	}
	return nil
}

func (p Position) append(b []byte) []byte {
	b = append(b, p.Session[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Next))
	return binary.BigEndian.AppendUint64(b, uint64(p.Used.Unix()))
}

func readPosition(b []byte) (p Position, err error) {
	if len(b) != positionSize {
		return p, fmt.Errorf("a position of %d bytes, want %d", len(b), positionSize)
	}
	copy(p.Session[:], b)
	p.Next = int64(binary.BigEndian.Uint64(b[16:]))
	p.Used = time.Unix(int64(binary.BigEndian.Uint64(b[24:])), 0)
	return p, nil
}

// append writes the log's id, a zero byte, and the sequence.
func (m Mark) append(b []byte) []byte {
	b = append(append(b, m.Log...), 0)
	return binary.BigEndian.AppendUint64(b, m.Seq)
}

func readMark(b []byte) (Mark, error) {
	log, seq, ok := bytes.Cut(b, []byte{0})
	if !ok || len(seq) != 8 {
		return Mark{}, fmt.Errorf("%d bytes are no place in a log", len(b))
	}
	return Mark{Log: string(log), Seq: binary.BigEndian.Uint64(seq)}, nil
}
