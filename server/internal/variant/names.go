package variant

import (
	"bytes"
	"hash/maphash"
	"slices"
)

// names are the keys of one text, each once. The zero value is ready.
type names struct {
	seed  maphash.Seed // a secret: who sends the keys cannot choose what collides
	text  []byte       // the names, one behind the other
	ends  []int        // of each
	marks []int32      // of each: the number of the last object that had it, see mark
	order []int32      // see sorted
	table []int32      // by hash: 1 + which name, 0 for none; a power of two, no less than twice as many as names
}

const minTable = 32 // enough for most texts

func (s *names) reset() {
	s.text, s.ends, s.marks = s.text[:0], s.ends[:0], s.marks[:0]
	s.table = s.table[:min(len(s.table), minTable)]
	clear(s.table)
}

// name is name n.
func (s *names) name(n int32) []byte {
	begin := 0
	if n > 0 {
		begin = s.ends[n-1]
	}
	return s.text[begin:s.ends[n]]
}

// add returns the number of a name, which is copied if it is new.
func (s *names) add(name []byte) int32 {
	if s.table == nil {
		s.seed, s.table = maphash.MakeSeed(), make([]int32, minTable)
	}
	at := s.find(name)
	if n := s.table[at]; n != 0 {
		return n - 1
	}
	s.text = append(s.text, name...)
	s.ends, s.marks = append(s.ends, len(s.text)), append(s.marks, 0)
	s.table[at] = int32(len(s.ends))
	if 2*len(s.ends) > len(s.table) {
		s.grow()
	}
	return int32(len(s.ends) - 1)
}

// find is where a name is in the table, or would be.
func (s *names) find(name []byte) uint64 {
	mask := uint64(len(s.table) - 1)
	at := maphash.Bytes(s.seed, name) & mask
	for s.table[at] != 0 && !bytes.Equal(s.name(s.table[at]-1), name) {
		at = (at + 1) & mask
	}
	return at
}

// grow doubles the table.
func (s *names) grow() {
	size := 2 * len(s.table)
	s.table = slices.Grow(s.table[:0], size)[:size]
	clear(s.table)
	for n := range s.ends {
		s.table[s.find(s.name(int32(n)))] = int32(n) + 1
	}
}

// mark gives a name to an object, and reports whether the object did not have it.
func (s *names) mark(n, object int32) bool {
	if s.marks[n] == object {
		return false
	}
	s.marks[n] = object
	return true
}

// sorted is the names in the order of their bytes. It is valid until the next call.
func (s *names) sorted() []int32 {
	s.order = s.order[:0]
	for n := range s.ends {
		s.order = append(s.order, int32(n))
	}
	slices.SortFunc(s.order, func(a, b int32) int { return bytes.Compare(s.name(a), s.name(b)) })
	return s.order
}
