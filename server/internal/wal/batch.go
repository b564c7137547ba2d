package wal

import (
	"hash/crc32"
	"sync"
)

const (
	// Entries are gathered in slabs of this size, and a slab is written by one call. It holds entries of 1 MiB, the
	// usual upper end, several times.
	slabBytes = 4 << 20
	// More slots than this are given back after a burst.
	keepSlots = 16 << 10
)

// batch gathers entries for the writer. There are two: callers fill one while the writer writes the other.
//
// Room is reserved under the log's lock, but payloads are copied, and their checksums computed, outside it; copying
// counts who is at it. A slab never moves, so a reservation stays valid while others come after it.
type batch struct {
	slabs   [][]byte // len is what is reserved
	slots   []slot
	free    [][]byte // empty slabs for reuse
	slab    int      // size of a slab
	copying sync.WaitGroup
}

// slot is one queued entry.
type slot struct {
	slab  int
	off   int
	size  int // head, payload, padding
	chain *Chain
	done  func(seq uint64, err error)
}

// mem is the slot's place: room for its head, payload and padding.
func (b *batch) mem(s *slot) []byte { return b.slabs[s.slab][s.off : s.off+s.size] }

// reserve adds a slot and returns its memory. If own is not nil, it becomes the slot's memory. The caller fills it by
// fillEntry and then calls copying.Done.
func (b *batch) reserve(size int, own []byte, chain *Chain, done func(uint64, error)) []byte {
	b.copying.Add(1)
	i := len(b.slabs) - 1
	switch {
	case own != nil:
		b.slabs = append(b.slabs, own[:0])
		i++
	case i < 0 || cap(b.slabs[i])-len(b.slabs[i]) < size:
		var s []byte
		if n := len(b.free); n > 0 {
			s, b.free = b.free[n-1], b.free[:n-1]
		} else {
			s = make([]byte, 0, b.slab)
		}
		b.slabs = append(b.slabs, s)
		i++
	}
	s := b.slabs[i]
	off := len(s)
	s = s[: off+size : cap(s)]
	b.slabs[i] = s
	b.slots = append(b.slots, slot{slab: i, off: off, size: size, chain: chain, done: done})
	return s[off : off+size : off+size]
}

// fillEntry writes an entry into mem, all but what completeHead adds.
func fillEntry(mem []byte, table TableID, payload []byte) {
	n := copy(mem[entryHeadBytes:], payload)
	clear(mem[entryHeadBytes+n:])
	h := head{
		payloadCRC: crc32.Checksum(payload, castagnoli),
		length:     uint32(n),
		kind:       kindEntry,
		table:      table,
	}
	h.prepare(mem)
}

// bytes is the size of the slots from i to j.
func (b *batch) bytes(i, j int) (n int64) {
	for k := i; k < j; k++ {
		n += int64(b.slots[k].size)
	}
	return n
}

// broken tells whether an earlier entry of the slot's chain was refused.
func (s *slot) broken() bool { return s.chain != nil && s.chain.broken }

// fit returns j such that the slots from i to j are the most that take at most room bytes, and their size. None of them is of
// a broken chain.
func (b *batch) fit(i int, room int64) (j int, size int64) {
	for j = i; j < len(b.slots) && size+int64(b.slots[j].size) <= room && !b.slots[j].broken(); j++ {
		size += int64(b.slots[j].size)
	}
	return j, size
}

// runs calls fn for each stretch of memory that the slots from i to j take, in order.
func (b *batch) runs(i, j int, fn func([]byte) error) error {
	for i < j {
		first := b.slots[i]
		end := first.off
		for i < j && b.slots[i].slab == first.slab {
			end = b.slots[i].off + b.slots[i].size
			i++
		}
		if err := fn(b.slabs[first.slab][first.off:end]); err != nil {
			return err
		}
	}
	return nil
}

// reset empties the batch. It keeps as many slabs as were used, and at least one, so memory follows the load.
func (b *batch) reset() {
	used := len(b.slabs)
	for _, s := range b.slabs {
		if cap(s) == b.slab {
			b.free = append(b.free, s[:0])
		}
	}
	if keep := max(used, 1); len(b.free) > keep {
		clear(b.free[keep:])
		b.free = b.free[:keep]
	}
	clear(b.slabs)
	b.slabs = b.slabs[:0]
	clear(b.slots)
	b.slots = b.slots[:0]
	if cap(b.slots) > keepSlots {
		b.slots = nil
	}
}
