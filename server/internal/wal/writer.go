package wal

import (
	"context"
	"runtime/pprof"
	"time"
)

// writer is the goroutine that alone writes segments and calls done. Its fields are its own.
//
// It takes all that has gathered while it was busy, so groups grow with the load and a lone entry waits for nobody.
type writer struct {
	log   *Local
	seg   *segment // mirrors file; retention reads it under the log's lock
	file  *segmentFile
	next  uint64 // sequence number of the next entry
	other *batch // the batch that is not being filled
	done  chan struct{}
}

func (w *writer) run() {
	defer close(w.done)
	pprof.Do(context.Background(), pprof.Labels("zerobus", "wal writer"), func(context.Context) { w.loop() })
}

func (w *writer) loop() {
	for b := w.take(); b != nil; b = w.take() {
		b.copying.Wait()
		w.commit(b)
		b.reset()
		w.other = b
	}
	w.end()
}

// take waits for entries and swaps the batches. It returns nil when the log is closing and nothing is queued.
func (w *writer) take() *batch {
	l := w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if len(l.filling.slots) > 0 {
			b := l.filling
			l.filling, w.other = w.other, nil
			return b
		}
		// Nothing is queued, so all that were refused through done have had their answer.
		if l.full != nil && len(l.stock.spares) > 0 {
			l.full = nil
			l.mu.Unlock()
			l.log.Info("the write-ahead log takes entries again")
			l.mu.Lock()
			continue
		}
		if l.closing {
			return nil
		}
		if w.file.unmarked && l.poison == nil {
			// The mark costs no sync. If the process dies, it is what tells a complete log from one whose last group
			// was damaged; if the machine dies, it helps when the system had the time to write it.
			l.mu.Unlock()
			if err := w.file.writeEnd(kindMark, w.next); err != nil {
				l.stop(err)
			}
			l.mu.Lock()
			continue
		}
		l.work.Wait()
	}
}

// commit makes the entries of b durable, as one group as far as they fit into the segment, and calls done for each.
func (w *writer) commit(b *batch) {
	for i := 0; i < len(b.slots); {
		if err := w.refusal(); err != nil {
			w.refuse(b, i, len(b.slots), err)
			return
		}
		if b.slots[i].broken() {
			w.refuse(b, i, i+1, ErrChain)
			i++
			continue
		}
		j, size := b.fit(i, w.file.room())
		if j == i {
			w.roll()
			continue
		}
		if err := w.write(b, i, j); err != nil {
			w.log.stop(err)
			continue
		}
		w.settle(b, i, j, size)
		i = j
	}
}

// refusal is why what is queued cannot be written.
func (w *writer) refusal() error {
	l := w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.poison != nil {
		return l.poison
	}
	return l.full
}

// write writes the slots from i to j and makes them durable.
func (w *writer) write(b *batch, i, j int) error {
	for k := i; k < j; k++ {
		completeHead(b.mem(&b.slots[k]), w.next+uint64(k-i), w.next, w.file.seed)
	}
	off := w.file.off
	err := b.runs(i, j, func(p []byte) error {
		if _, err := w.file.file.WriteAt(p, off); err != nil {
			return ioError("write", w.file.name, err)
		}
		off += int64(len(p))
		return nil
	})
	if err != nil {
		return err
	}
	start := time.Now()
	err = w.file.datasync()
	w.log.syncTime.Observe(time.Since(start))
	return err
}

// settle records that the slots from i to j, of size bytes in all, are durable, and tells those who wait.
func (w *writer) settle(b *batch, i, j int, size int64) {
	l := w.log
	first := w.next
	w.next += uint64(j - i)
	w.file.off += size
	w.file.unmarked = true

	l.mu.Lock()
	w.seg.next, w.seg.end = w.next, w.file.off
	for k := i; k < j; k++ {
		l.retention.note(TableID(b.mem(&b.slots[k])[32:48]), w.seg, first+uint64(k-i))
	}
	l.seq = w.next
	l.syncs++
	l.entries += uint64(j - i)
	l.written += size
	l.mu.Unlock()

	for k := i; k < j; k++ {
		b.slots[k].done(first+uint64(k-i), nil)
	}
	l.room.Release(size)
}

// refuse tells those of the slots from i to j that their entries are not in the log.
func (w *writer) refuse(b *batch, i, j int, err error) {
	for k := i; k < j; k++ {
		if c := b.slots[k].chain; c != nil {
			c.broken = true
		}
		b.slots[k].done(0, err)
	}
	w.log.room.Release(b.bytes(i, j))
}

// roll goes on to the next segment. If there is no room for one, nothing has changed and the log is full; after any
// other error it is poisoned.
//
// The steps, each durable before the next begins:
//  1. The next segment gets its header and its name. A crash after this leaves an empty segment behind one without a
//     seal; the header's first sequence number proves that the one before is complete.
//  2. The old segment is sealed: from now on, its successor must exist.
//  3. Entries are written to the new segment.
func (w *writer) roll() {
	l := w.log
	spare, err := l.stock.take()
	if err != nil {
		l.mu.Lock()
		full := l.poison == nil
		if full {
			l.full = err
		}
		l.mu.Unlock()
		if full {
			l.log.Warn("the write-ahead log is full and refuses entries", "err", err)
		}
		return
	}
	h := segmentHeader{
		number:   w.seg.number + 1,
		firstSeq: w.next,
		capacity: uint64(l.opts.SegmentBytes),
		log:      l.id,
	}
	file, err := activate(l.fs, l.dir, spare, h)
	if err != nil {
		l.stop(err)
		return
	}
	old := w.file
	w.file = file
	if err := sealFile(old, w.next); err != nil {
		l.stop(err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stock.discard(l.retention.seal(w.seg))
	w.seg = &segment{number: h.number, firstSeq: h.firstSeq, next: h.firstSeq, end: blockSize, size: l.opts.SegmentBytes}
	l.retention.live = append(l.retention.live, w.seg)
}

// sealFile seals a segment and closes it.
func sealFile(f *segmentFile, next uint64) error {
	err := f.writeEnd(kindSeal, next)
	if err == nil {
		err = f.datasync()
	}
	if cerr := f.close(); err == nil {
		err = cerr
	}
	return err
}

// end leaves a durable mark, so that the next Open knows that nothing is missing, and closes the segment.
func (w *writer) end() {
	if w.log.poisoned() != nil {
		w.file.close() // its error would tell nothing new
		return
	}
	err := w.file.writeEnd(kindMark, w.next)
	if err == nil {
		err = w.file.datasync()
	}
	if cerr := w.file.close(); err == nil {
		err = cerr
	}
	if err != nil {
		w.log.stop(err)
	}
}
