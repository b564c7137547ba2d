package wal

import (
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
	"slices"
	"sync"
	"time"
)

const (
	zeroChunk = 256 << 10
	// How long to wait before trying again what the disk refused: long enough to cost nothing, short enough that
	// producers, who back off for about as long, do not wait for the log when space has returned.
	retryAfter = 500 * time.Millisecond
)

var zeroes [zeroChunk]byte

var errStopped = errors.New("wal: stopped")

// stock owns the files that are not part of the log: it recycles segments that are not needed, and has at least one
// spare ready, written with zeroes, before the writer asks. A file system maps blocks at their first write, which
// costs a journal commit; overwriting costs none.
//
// It never touches a segment that is needed. What it cannot do now, it tries again later; that is the writer's concern
// only when the writer needs a spare and there is none.
type stock struct {
	log *Local
	// The following are guarded by log.mu.
	changed sync.Cond // something below changed
	spares  []string  // names
	serial  uint64    // number of the next spare's name
	bytes   int64     // size of all files: segments, spares, the one that is being made
	dead    []*segment
	later   []*segment // dead ones that could not be recycled
	busy    bool
	err     error // why there is no spare; nil if that is not known yet
	warned  bool  // err was logged
	stop    bool
	timer   *time.Timer
	done    chan struct{}
}

// run is the stock's goroutine. It ends when stop is set.
func (s *stock) run() {
	defer close(s.done)
	pprof.Do(context.Background(), pprof.Labels("zerobus", "wal stock"), func(context.Context) { s.loop() })
}

func (s *stock) loop() {
	mu := &s.log.mu
	mu.Lock()
	defer mu.Unlock()
	for !s.stop {
		switch {
		case len(s.dead) > 0 && s.log.poison == nil:
			seg := s.dead[0]
			s.dead = slices.Delete(s.dead, 0, 1)
			s.recycle(seg)
		case len(s.spares) == 0 && s.err == nil && s.log.poison == nil:
			s.add()
		default:
			s.changed.Wait()
			continue
		}
		s.changed.Broadcast()
		if len(s.spares) > 0 {
			s.err, s.warned = nil, false
			s.log.work.Signal() // the writer may be waiting for room
		}
	}
	if s.timer != nil {
		s.timer.Stop()
	}
}

// take gives the writer a spare. It waits while one is being made; it returns why there is none if so.
func (s *stock) take() (string, error) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	for len(s.spares) == 0 {
		if s.log.poison != nil {
			return "", s.log.poison
		}
		if s.err != nil && len(s.dead) == 0 && !s.busy {
			return "", s.err
		}
		s.changed.Wait()
	}
	name := s.spares[0]
	s.spares = slices.Delete(s.spares, 0, 1)
	s.changed.Broadcast()
	return name, nil
}

// discard hands over segments that are not needed. log.mu is held.
func (s *stock) discard(dead []*segment) {
	if len(dead) == 0 {
		return
	}
	s.dead = append(s.dead, dead...)
	s.changed.Broadcast()
}

// retryLater lets the loop try again after a while. log.mu is held.
func (s *stock) retryLater() {
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timer = time.AfterFunc(retryAfter, func() {
		s.log.mu.Lock()
		defer s.log.mu.Unlock()
		if s.stop {
			return
		}
		s.err = nil
		s.dead = append(s.dead, s.later...)
		s.later = nil
		s.changed.Broadcast()
	})
}

// recycle makes a spare of a segment, or removes it. log.mu is held, and released meanwhile.
func (s *stock) recycle(seg *segment) {
	l := s.log
	keep := len(s.spares) < l.opts.Recycled && seg.size == l.opts.SegmentBytes
	spare := numberedName(s.serial, spareSuffix)
	s.busy = true
	l.mu.Unlock()

	name := l.segmentPath(seg.number)
	var err error
	if keep {
		if err = l.fs.Rename(name, l.path(spare)); err != nil {
			err = ioError("rename", name, err)
		}
	} else if err = l.fs.Remove(name); err != nil {
		err = ioError("remove", name, err)
	}
	switch {
	case err != nil:
		l.log.Warn("a segment of the write-ahead log could not be recycled; it will be tried again", "err", err)
	default:
		// Before the file is used again, the old name must be gone for good: else, after a crash, the header of a
		// new segment could be found under it.
		if err := l.fs.SyncDir(l.dir); err != nil {
			l.stop(ioError("sync directory", l.dir, err))
		}
	}

	l.mu.Lock()
	s.busy = false
	switch {
	case err != nil:
		s.later = append(s.later, seg)
		s.retryLater()
	case keep:
		s.serial++
		s.spares = append(s.spares, spare)
	default:
		s.bytes -= seg.size
		s.err = nil // there may be room for a new one now
	}
}

// add makes a new spare. log.mu is held, and released meanwhile.
func (s *stock) add() {
	l := s.log
	size := l.opts.SegmentBytes
	if s.bytes+size > l.opts.MaxBytes {
		s.err = fmt.Errorf("%w: its files have %d bytes and the limit is %d: it goes on when tables have committed what is in it",
			ErrFull, s.bytes, l.opts.MaxBytes)
		return
	}
	s.bytes += size
	name := numberedName(s.serial, spareSuffix)
	s.busy = true
	warned := s.warned
	l.mu.Unlock()
	err := s.make(name, size)
	if err != nil && !warned && !errors.Is(err, errStopped) {
		l.log.Warn("a segment for the write-ahead log could not be made; it will be tried again", "err", err)
	}
	l.mu.Lock()
	s.busy = false
	if err != nil {
		s.bytes -= size
		s.err = fmt.Errorf("%w: no further segment could be made: %w", ErrFull, err)
		s.warned = true
		if !s.stop {
			s.retryLater()
		}
		return
	}
	s.serial++
	s.spares = append(s.spares, name)
}

// make creates a spare file of the size, all zeroes, durable. If it cannot, it leaves nothing behind.
func (s *stock) make(name string, size int64) (err error) {
	l := s.log
	final := l.path(name)
	temp := final + tempSuffix
	f, err := l.fs.Create(temp)
	if err != nil {
		return ioError("create", temp, err)
	}
	defer func() {
		if err != nil {
			if rerr := l.fs.Remove(temp); rerr != nil {
				l.log.Warn("a file of the write-ahead log could not be removed", "err", ioError("remove", temp, rerr))
				// The next attempt needs another name.
				l.mu.Lock()
				s.serial++
				l.mu.Unlock()
			}
		}
	}()
	err = s.fill(f, temp, size)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = ioError("close", temp, cerr)
	}
	if err != nil {
		return err
	}
	// The directory is not synced: after a crash the file is found under either name, and is removed or a spare.
	if err := l.fs.Rename(temp, final); err != nil {
		return ioError("rename", temp, err)
	}
	return nil
}

func (s *stock) fill(f File, name string, size int64) error {
	if err := f.Preallocate(size); err != nil {
		return ioError("preallocate", name, err)
	}
	for off := int64(0); off < size; off += zeroChunk {
		if _, err := f.WriteAt(zeroes[:min(zeroChunk, size-off)], off); err != nil {
			return ioError("write", name, err)
		}
		if s.stopped() {
			return errStopped
		}
	}
	if err := f.Sync(); err != nil {
		return ioError("sync", name, err)
	}
	return nil
}

func (s *stock) stopped() bool {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.stop
}
