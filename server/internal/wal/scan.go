package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// scan is what walking through a segment found. It is about the longest run of valid entries from the segment's start.
type scan struct {
	next uint64 // sequence number behind the last entry
	end  int64  // offset behind the last entry
	// groupAt is the offset of the first entry of the last group; all before it was durable when that was written.
	groupAt int64
	// final is kindMark or kindSeal if one ends the run, else 0.
	final kind
	// stop says why the run ends if final is 0.
	stop string
}

// why says what ends the run.
func (s scan) why() string {
	if s.final != 0 {
		return fmt.Sprintf("a mark says that the log ended after entry %d", s.next-1)
	}
	return s.stop
}

// walk calls fn for each entry of the segment image img, which begins with the header block, and stops at the first
// byte that does not continue the log. fn's error ends the walk and is returned as it is. fn may be nil.
func walk(img []byte, h segmentHeader, fn func(head, []byte) error) (scan, error) {
	var (
		s     = scan{next: h.firstSeq, end: blockSize, groupAt: blockSize}
		seed  = h.seed()
		group uint64
		e     head
	)
	for int64(len(img))-s.end >= entryHeadBytes {
		b := img[s.end:]
		if !headChecksumHolds(b, seed) {
			s.stop = "the checksum of a head does not hold"
			return s, nil
		}
		e.decode(b)
		if e.seq != s.next {
			s.stop = fmt.Sprintf("sequence number %d follows %d", e.seq, s.next-1)
			return s, nil
		}
		if e.kind == kindMark || e.kind == kindSeal {
			s.final = e.kind
			return s, nil
		}
		if e.kind != kindEntry {
			s.stop = fmt.Sprintf("unknown kind %d", e.kind)
			return s, nil
		}
		if e.group != e.seq && (e.group != group || group == 0) {
			s.stop = fmt.Sprintf("entry %d says that its group begins at %d, the entry before it says %d", e.seq, e.group, group)
			return s, nil
		}
		size := entrySize(int(e.length))
		// The place of the final mark is never taken.
		if size > int64(len(b)) || uint64(s.end+size) > h.capacity-entryHeadBytes {
			s.stop = fmt.Sprintf("entry %d of %d bytes goes beyond the segment's end", e.seq, e.length)
			return s, nil
		}
		payload := b[entryHeadBytes : entryHeadBytes+int64(e.length)]
		if crc32.Checksum(payload, castagnoli) != e.payloadCRC {
			s.stop = fmt.Sprintf("the checksum of the payload of entry %d does not hold", e.seq)
			return s, nil
		}
		if e.group != group {
			group, s.groupAt = e.group, s.end
		}
		if fn != nil {
			if err := fn(e, payload); err != nil {
				return s, err
			}
		}
		s.next++
		s.end += size
	}
	s.stop = "the segment ends"
	return s, nil
}

// leftover is what lies behind the run of valid entries in the last segment.
type leftover struct {
	// heads is the number of valid heads of this segment that were found, end the offset behind the last of them and
	// its payload.
	heads int
	end   int64
	// durable is the greatest number such that one of the heads proves: all entries before it were durable once. The
	// proof was written by the head at durableAt.
	durable   uint64
	durableAt int64
}

// inspect looks for heads of the segment behind the run that s describes.
//
// A group is written only after all groups before it are durable, and every head names the first entry of its group.
// So a head of a group that begins at or before s.next can be the rest of a group that a crash interrupted, and nobody
// was told that it is durable; a head of a later group proves that the entry s.next was durable, and now is not there.
func inspect(img []byte, h segmentHeader, s scan) leftover {
	var (
		l    leftover
		seed = h.seed()
		last = int64(len(img)) - entryHeadBytes
		// No entry of the segment can have a greater number.
		maxSeq = s.next + uint64(int64(len(img))-s.end)/entryHeadBytes
		off    = s.end
	)
	if s.final != 0 {
		off += entryHeadBytes
	}
	for ; off <= last; off += entryAlign {
		b := img[off : off+entryHeadBytes]
		// The cheap tests first: nearly all places fail them.
		if k := kind(binary.LittleEndian.Uint32(b[12:])); k < kindEntry || k > kindSeal {
			continue
		}
		if seq := binary.LittleEndian.Uint64(b[16:]); seq < s.next || seq > maxSeq {
			continue
		}
		if !headChecksumHolds(b, seed) {
			continue
		}
		var e head
		e.decode(b)
		l.heads++
		l.end = max(l.end, min(off+entrySize(int(e.length)), int64(len(img))))
		if e.group > l.durable {
			l.durable, l.durableAt = e.group, off
		}
	}
	return l
}
