package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"

	"github.com/zerobus-go/zerobus/server/internal/histogram"
	"golang.org/x/sync/semaphore"
)

// Local is a log in a directory of this machine.
//
// Lock order: mu is the only lock; no I/O is done, nothing is logged and no caller's function is called under it.
type Local struct {
	opts   Options
	fs     FS
	dir    string
	log    *slog.Logger
	id     logID
	unlock io.Closer
	found  Recovery

	// room counts the bytes of queued entries. It is reserved before mu is taken, so nobody waits under mu.
	room *semaphore.Weighted

	mu sync.Mutex
	// mu guards the following.
	filling   *batch
	work      sync.Cond // the writer waits for entries, for room, for closing
	retention retention
	stock     stock
	poison    error // after a failed write or sync; wraps ErrPoisoned
	full      error // while entries are refused for lack of room; wraps ErrFull
	closing   bool
	appended  bool // Append was called
	replaying int
	seq       uint64 // of the next entry, as far as entries are durable
	syncs     uint64 // groups made durable since Open
	entries   uint64 // in these
	written   int64  // bytes of these

	syncTime histogram.Histogram // of groups; has no lock
	writer   writer

	closed   chan struct{}
	closeErr error
}

var _ Log = (*Local)(nil)

var errReplaying = errors.New("wal: Append while Replay runs: replay first, then append")

// ID implements [Log]. It is a UUID.
func (l *Local) ID() string { return l.id.String() }

// Next implements [Log].
func (l *Local) Next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seq
}

// Append implements [Log].
func (l *Local) Append(ctx context.Context, chain *Chain, table TableID, payload []byte, done func(seq uint64, err error)) error {
	if len(payload) > l.opts.MaxEntryBytes {
		return fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrTooLarge, len(payload), l.opts.MaxEntryBytes)
	}
	size := entrySize(len(payload))
	if err := l.room.Acquire(ctx, size); err != nil {
		return fmt.Errorf("wal: waiting for %d bytes of room in the queue: %w", size, err)
	}
	var own []byte
	if size > slabBytes {
		own = make([]byte, size)
	}

	l.mu.Lock()
	if err := l.refusal(); err != nil {
		l.mu.Unlock()
		l.room.Release(size)
		return err
	}
	b := l.filling
	mem := b.reserve(int(size), own, chain, done)
	l.appended = true
	l.work.Signal()
	l.mu.Unlock()

	fillEntry(mem, table, payload)
	b.copying.Done()
	return nil
}

// refusal is why entries are not taken. mu is held.
func (l *Local) refusal() error {
	switch {
	case l.poison != nil:
		return l.poison
	case l.closing:
		return ErrClosed
	case l.full != nil:
		return l.full
	case l.replaying > 0:
		return errReplaying
	}
	return nil
}

// stop poisons the log. The first error stays.
func (l *Local) stop(err error) {
	l.mu.Lock()
	first := l.poison == nil
	if first {
		l.poison = fmt.Errorf("%w: %w: restart the server; what was acknowledged is kept", ErrPoisoned, err)
		l.work.Broadcast()
		l.stock.changed.Broadcast()
	}
	l.mu.Unlock()
	if first {
		l.log.Error("the write-ahead log stopped", "err", err)
	}
}

// poisoned returns the reason if the log was stopped.
func (l *Local) poisoned() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.poison
}

// Trim implements [Log].
func (l *Local) Trim(table TableID, upTo uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stock.discard(l.retention.trim(table, upTo))
}

// Forget implements [Log].
func (l *Local) Forget(table TableID) { l.Trim(table, ^uint64(0)) }

// Close implements [Log]. It returns ErrPoisoned and its cause if the log was stopped by a disk error. It logs how many entries
// were made durable since Open, with how many syncs: the first divided by the second is what group commit was worth.
func (l *Local) Close() error {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		<-l.closed
		return l.closeErr
	}
	l.closing = true
	l.work.Broadcast()
	l.mu.Unlock()

	// The writer may need the stock until it ends.
	<-l.writer.done
	l.mu.Lock()
	l.stock.stop = true
	l.stock.changed.Broadcast()
	l.mu.Unlock()
	<-l.stock.done

	l.closeErr = l.poisoned()
	if err := l.unlock.Close(); err != nil && l.closeErr == nil {
		l.closeErr = ioError("unlock", l.path(lockName), err)
	}
	s := l.Stats()
	l.log.Info("write-ahead log closed", "entries", s.Entries, "syncs", s.Syncs, "bytes", s.Written)
	close(l.closed)
	return l.closeErr
}

// Replay implements [Log]. It returns a *CorruptionError if an entry cannot be read as it was when the log was opened.
func (l *Local) Replay(ctx context.Context, fn func(Entry) error) error {
	l.mu.Lock()
	switch {
	case l.poison != nil || l.closing:
		err := l.refusal()
		l.mu.Unlock()
		return err
	case l.appended:
		l.mu.Unlock()
		return errors.New("wal: Replay after Append: replay first, then append")
	}
	l.replaying++
	segments := slices.Clone(l.retention.live)
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.replaying--
		l.mu.Unlock()
	}()

	var buf []byte
	for _, seg := range segments {
		if seg.next == seg.firstSeq {
			continue
		}
		name := l.segmentPath(seg.number)
		img, err := readFile(l.fs, name, seg.end, buf)
		if err != nil {
			// Segments that are trimmed meanwhile disappear.
			if l.trimmed(seg) {
				continue
			}
			return err
		}
		buf = img
		h, err := decodeHeader(img)
		if err != nil {
			return &CorruptionError{File: name, Reason: err.Error()}
		}
		s, err := walk(img, h, func(e head, payload []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return fn(Entry{Seq: e.seq, Table: e.table, Payload: payload})
		})
		if err != nil {
			return err
		}
		if s.next != seg.next {
			return &CorruptionError{
				File: name, Offset: s.end,
				Reason: fmt.Sprintf("%s, but entries up to %d were here when the log was opened", s.stop, seg.next-1),
			}
		}
	}
	return nil
}

// trimmed tells whether the segment is not needed any more.
func (l *Local) trimmed(seg *segment) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !slices.Contains(l.retention.live, seg)
}

func (l *Local) path(name string) string { return filepath.Join(l.dir, name) }

func (l *Local) segmentPath(number uint64) string { return l.path(numberedName(number, segmentSuffix)) }

// Stats is the state of a log, for metrics and for people.
type Stats struct {
	NextSeq  uint64 // sequence number of the next entry
	Segments int    // segments that hold entries, or will
	Spares   int    // spare segments
	Bytes    int64  // size of all files
	Pending  int    // entries that wait for the writer
	Syncs    uint64 // groups made durable since Open, each with one sync
	Entries  uint64 // entries in these groups
	Written  int64  // bytes of these entries, as they are in the log
	Full     bool   // entries are refused for lack of room
	Stopped  bool   // entries are refused after a disk error, until the log is opened anew
	Limit    int64  // Options.MaxBytes

	SyncTime histogram.Snapshot // of the groups' syncs
}

// Stats gives the present state.
func (l *Local) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{
		NextSeq:  l.seq,
		Segments: len(l.retention.live),
		Spares:   len(l.stock.spares),
		Bytes:    l.stock.bytes,
		Pending:  len(l.filling.slots),
		Syncs:    l.syncs,
		Entries:  l.entries,
		Written:  l.written,
		Full:     l.full != nil,
		Stopped:  l.poison != nil,
		Limit:    l.opts.MaxBytes,
		SyncTime: l.syncTime.Snapshot(),
	}
}

// Recovery gives what Open found.
func (l *Local) Recovery() Recovery { return l.found }
