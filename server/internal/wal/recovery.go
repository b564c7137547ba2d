package wal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"
)

// Recovery is what Open found.
type Recovery struct {
	Segments int    // segments with entries, or ready for them
	Entries  uint64 // entries that Replay gives
	Cut      *Cut   // nil if the log ended cleanly
}

// Cut is the end of a group whose writing a crash interrupted. Nobody was told that its entries are durable.
type Cut struct {
	File   string
	Offset int64
	Bytes  int64 // from Offset on, as far as entries were recognised
}

// Open opens the log in o.Dir, or makes one. It reads and checks all segments.
//
// Errors: ErrLocked if another server has the log open; a *CorruptionError if acknowledged entries are damaged; what
// Options.Validate reports; errors of the file system.
func Open(o Options) (*Local, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	if err := o.FS.MkdirAll(o.Dir); err != nil {
		return nil, ioError("create directory", o.Dir, err)
	}
	l := &Local{opts: o, fs: o.FS, dir: o.Dir, log: o.Logger, closed: make(chan struct{})}
	unlock, err := o.FS.Lock(l.path(lockName))
	if errors.Is(err, ErrLocked) {
		return nil, fmt.Errorf("%w: directory %s: stop that server, or give this one another directory", err, o.Dir)
	}
	if err != nil {
		return nil, ioError("lock", l.path(lockName), err)
	}
	l.unlock = unlock

	slab := int(min(slabBytes, o.MaxPendingBytes))
	l.room = semaphore.NewWeighted(o.MaxPendingBytes)
	l.filling = &batch{slab: slab}
	l.work.L = &l.mu
	l.stock = stock{log: l, changed: sync.Cond{L: &l.mu}, done: make(chan struct{})}
	l.writer = writer{log: l, other: &batch{slab: slab}, done: make(chan struct{})}
	if err := l.recover(); err != nil {
		unlock.Close()
		return nil, err
	}
	go l.writer.run()
	go l.stock.run()
	return l, nil
}

// recover makes l fit to the directory. It runs before the goroutines, and so without the lock.
func (l *Local) recover() error {
	segments, hasID, err := l.sort()
	if err != nil {
		return err
	}
	// The names that are seen may be the work of a process that died before it synced them.
	if err := l.fs.SyncDir(l.dir); err != nil {
		return ioError("sync directory", l.dir, err)
	}
	if len(segments) == 0 {
		if hasID {
			return &CorruptionError{File: l.path(idName), Reason: "the log has an id but no segments: they have been removed. " +
				"If what they held may be lost, remove the directory to begin a new log"}
		}
		return l.create()
	}
	last, err := l.check(segments)
	if err != nil {
		return err
	}
	if hasID {
		l.id, err = readID(l.fs, l.dir, &last.log)
	} else {
		l.id, err = last.log, l.restoreID(last)
	}
	if err != nil {
		return err
	}
	seg := l.retention.live[len(l.retention.live)-1]
	l.found.Segments = len(l.retention.live)
	l.seq = seg.next
	l.writer.seg, l.writer.next = seg, seg.next
	l.stock.discard(l.retention.sweep())
	return l.resume(last)
}

// sort goes through the directory: it removes what was being made, takes the spare files, and gives the segments in
// order.
func (l *Local) sort() (segments []*segment, hasID bool, err error) {
	files, err := l.fs.List(l.dir)
	if err != nil {
		return nil, false, ioError("list directory", l.dir, err)
	}
	remove := func(name string) error {
		if err := l.fs.Remove(l.path(name)); err != nil {
			return ioError("remove", l.path(name), err)
		}
		return nil
	}
	for _, f := range files {
		if base, ok := strings.CutSuffix(f.Name, tempSuffix); ok {
			n, spare := parseName(base, spareSuffix)
			if !spare && base != idName {
				continue
			}
			if spare {
				l.stock.serial = max(l.stock.serial, n+1)
			}
			if err := remove(f.Name); err != nil {
				return nil, false, err
			}
		} else if n, ok := parseName(f.Name, spareSuffix); ok {
			l.stock.serial = max(l.stock.serial, n+1)
			if f.Size != l.opts.SegmentBytes || len(l.stock.spares) >= l.opts.Recycled {
				if err := remove(f.Name); err != nil {
					return nil, false, err
				}
				continue
			}
			l.stock.spares = append(l.stock.spares, f.Name)
			l.stock.bytes += f.Size
		} else if n, ok := parseName(f.Name, segmentSuffix); ok {
			segments = append(segments, &segment{number: n, size: f.Size})
			l.stock.bytes += f.Size
		} else if f.Name == idName {
			hasID = true
		}
	}
	slices.SortFunc(segments, func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
	return segments, hasID, nil
}

// create begins a new log.
func (l *Local) create() error {
	l.id = newLogID()
	if len(l.stock.spares) == 0 {
		name := numberedName(l.stock.serial, spareSuffix)
		if err := l.stock.make(name, l.opts.SegmentBytes); err != nil {
			return err
		}
		l.stock.serial++
		l.stock.spares = append(l.stock.spares, name)
		l.stock.bytes += l.opts.SegmentBytes
	}
	spare := l.stock.spares[0]
	l.stock.spares = slices.Delete(l.stock.spares, 0, 1)
	h := segmentHeader{number: 1, firstSeq: 1, capacity: uint64(l.opts.SegmentBytes), log: l.id}
	file, err := activate(l.fs, l.dir, spare, h)
	if err != nil {
		return err
	}
	if err := writeFile(l.fs, l.dir, idName, []byte(idLine(l.id))); err != nil {
		file.close()
		return err
	}
	seg := &segment{number: 1, firstSeq: 1, next: 1, end: blockSize, size: l.opts.SegmentBytes}
	l.retention.live = []*segment{seg}
	l.writer.seg, l.writer.file, l.writer.next, l.seq = seg, file, 1, 1
	l.found.Segments = 1
	return nil
}

// restoreID writes the ID file that a crash in create left out.
func (l *Local) restoreID(h segmentHeader) error {
	if h.number != 1 || l.found.Entries > 0 {
		return &CorruptionError{File: l.path(idName), Reason: fmt.Sprintf(
			"the file is missing, though the log has entries; the log's segments say that it should be %q", idLine(h.log))}
	}
	return writeFile(l.fs, l.dir, idName, []byte(idLine(h.log)))
}

// check reads all segments, refuses damage, and fills retention. It returns the header of the last one.
func (l *Local) check(segments []*segment) (segmentHeader, error) {
	var (
		buf    []byte
		before segmentHeader
		end    scan // of the segment before
	)
	for i, seg := range segments {
		name := l.segmentPath(seg.number)
		damaged := func(off int64, format string, args ...any) (segmentHeader, error) {
			return segmentHeader{}, &CorruptionError{File: name, Offset: off, Reason: fmt.Sprintf(format, args...)}
		}
		if seg.size < segmentOverhead || seg.size > maxSegmentBytes {
			return damaged(0, "the file has %d bytes: a segment has %d to %d", seg.size, segmentOverhead, maxSegmentBytes)
		}
		img, err := readFile(l.fs, name, seg.size, buf)
		if err != nil {
			return segmentHeader{}, err
		}
		buf = img
		h, err := decodeHeader(img)
		if err != nil {
			return damaged(0, "%s", err)
		}
		adjacent := i > 0 && h.number == before.number+1
		// A crash before a segment was sealed leaves an empty one behind it.
		fresh := i == len(segments)-1 && adjacent && h.firstSeq == end.next
		unsealed := func() (segmentHeader, error) {
			return segmentHeader{}, &CorruptionError{File: l.segmentPath(before.number), Offset: end.end, Reason: fmt.Sprintf(
				"%s; a later segment has entries, so this is no interrupted write", end.why())}
		}
		switch {
		case h.number != seg.number:
			return damaged(0, "the header says that this is segment %d: the file was renamed", h.number)
		case h.capacity != uint64(seg.size):
			return damaged(seg.size, "the file has %d bytes, its header says %d: it was cut off, or added to", seg.size, h.capacity)
		case i > 0 && h.log != before.log:
			return damaged(0, "the segment belongs to log %s, the one before it to %s: files of two logs are mixed", h.log, before.log)
		case i > 0 && end.final != kindSeal && !fresh:
			return unsealed()
		case i > 0 && (h.firstSeq < end.next || adjacent && h.firstSeq != end.next):
			// A gap is right where segments were trimmed, and only there.
			return damaged(0, "the header says that the segment begins with entry %d, but the one before it ends with %d", h.firstSeq, end.next-1)
		}

		seg.firstSeq = h.firstSeq
		l.retention.live = append(l.retention.live, seg)
		s, err := walk(img, h, func(e head, _ []byte) error {
			l.retention.note(e.table, seg, e.seq)
			return nil
		})
		if err != nil {
			return segmentHeader{}, err
		}
		seg.next, seg.end = s.next, s.end
		l.found.Entries += s.next - h.firstSeq

		if i > 0 {
			segments[i-1].sealed = true
			fresh = fresh && s.next == h.firstSeq
			switch {
			case fresh:
				// The header proves that the segment before is complete. Its seal may be missing, or be seen though
				// it was never synced.
				if err := l.finishSeal(before, end); err != nil {
					return segmentHeader{}, err
				}
			case end.final != kindSeal:
				return unsealed()
			}
		}
		if i == len(segments)-1 {
			if s.final == kindSeal {
				return segmentHeader{}, &CorruptionError{File: l.segmentPath(h.number + 1), Reason: fmt.Sprintf(
					"the file is missing: segment %d ends with the note that this one follows", h.number)}
			}
			if err := l.cut(img, h, s); err != nil {
				return segmentHeader{}, err
			}
		}
		before, end = h, s
	}
	return before, nil
}

// finishSeal seals the last but one segment durably before entries are written to the last.
func (l *Local) finishSeal(h segmentHeader, s scan) error {
	f, err := openSegment(l.fs, l.segmentPath(h.number), h, s.end)
	if err != nil {
		return err
	}
	return sealFile(f, s.next)
}

// cut judges what lies behind the last valid entry of the last segment, and makes it harmless.
func (l *Local) cut(img []byte, h segmentHeader, s scan) error {
	name := l.segmentPath(h.number)
	rest := inspect(img, h, s)
	if rest.durable > s.next {
		return &CorruptionError{File: name, Offset: s.end, Reason: fmt.Sprintf(
			"%s; but byte %d proves that all entries up to %d were durable", s.why(), rest.durableAt, rest.durable-1)}
	}
	c := Cut{File: name, Offset: s.end}
	if rest.heads > 0 {
		c.Bytes = rest.end - s.end
	} else if s.final == 0 && slices.ContainsFunc(img[s.end:s.end+entryHeadBytes], func(b byte) bool { return b != 0 }) {
		// Either the rest of an interrupted group, or what was in the file before it was recycled.
		c.Bytes = entryHeadBytes
	}
	if err := l.anchor(img, h, s, rest.end); err != nil {
		return err
	}
	if c.Bytes > 0 {
		l.found.Cut = &c
		l.log.Warn("the write-ahead log ended within a write, as after a crash; what nobody was told is durable was cut",
			"file", c.File, "offset", c.Offset, "bytes", c.Bytes)
	}
	return nil
}

// anchor makes what Replay will give durable, and what was cut unreadable, before anybody acts on it.
//
// Entries that a killed process wrote but did not sync are read from the system's memory. A table that took them and
// remembered their numbers, followed by a power cut that lost them, would take new entries with these numbers for old
// ones. A sync is not enough: one that failed may have left pages behind that count as clean. So the last group, the
// only one that can be concerned, is written again as it is; a power cut while this goes on changes nothing.
//
// The rest of an interrupted group, up to the offset end, is overwritten with zeroes: else one of its entries could be
// taken for the continuation of what is written next. No mark is written before the sync: it would claim too much.
func (l *Local) anchor(img []byte, h segmentHeader, s scan, end int64) error {
	f, err := openSegment(l.fs, l.segmentPath(h.number), h, s.end)
	if err != nil {
		return err
	}
	defer f.close()
	if s.end > s.groupAt {
		if _, err := f.file.WriteAt(img[s.groupAt:s.end], s.groupAt); err != nil {
			return ioError("write", f.name, err)
		}
	}
	for off := s.end; off < end; off += zeroChunk {
		if _, err := f.file.WriteAt(zeroes[:min(zeroChunk, end-off)], off); err != nil {
			return ioError("write", f.name, err)
		}
	}
	return f.datasync()
}

// resume opens the last segment for writing.
func (l *Local) resume(h segmentHeader) error {
	seg := l.writer.seg
	file, err := openSegment(l.fs, l.segmentPath(seg.number), h, seg.end)
	if err != nil {
		return err
	}
	file.unmarked = true // a mark may be written now that the last group is durable
	l.writer.file = file
	return nil
}

// readFile reads the first n bytes of a file, into buf if it is large enough.
func readFile(fsys FS, name string, n int64, buf []byte) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, ioError("open", name, err)
	}
	defer f.Close()
	if int64(cap(buf)) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if got, err := f.ReadAt(buf, 0); err != nil && !(err == io.EOF && int64(got) == n) {
		return nil, ioError("read", name, err)
	}
	return buf, nil
}
