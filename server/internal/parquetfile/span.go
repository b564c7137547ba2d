package parquetfile

import "github.com/zerobus-go/zerobus/server/internal/column"

// span is a run of values of one column: those from lo to hi of a vector, or hi-lo nulls where v is nil. It is nil for a chunk
// that is older than the column and for a column of nulls only, which has no slices to look into. Lists of spans have no empty
// ones.
type span struct {
	v      *column.Vector
	lo, hi int
}

// nulls counts the nulls.
func (s span) nulls() int {
	if s.v == nil {
		return s.hi - s.lo
	}
	if s.v.Nulls == 0 {
		return 0
	}
	n := 0
	for i := s.lo; i < s.hi; i++ {
		if !s.v.Valid.Get(i) {
			n++
		}
	}
	return n
}

// countSpans counts the values and the nulls among them.
func countSpans(spans []span) (values, nulls int) {
	for _, s := range spans {
		values += s.hi - s.lo
		nulls += s.nulls()
	}
	return values, nulls
}

// slab is a run of rows of one chunk.
type slab struct {
	c      *column.Chunk
	lo, hi int
}

// rowGroups cuts the chunks into row groups of at most maxRows rows and about maxBytes bytes.
func rowGroups(chunks []*column.Chunk, maxRows, maxBytes int) [][]slab {
	var groups [][]slab
	var group []slab
	rows, size := 0, 0
	for _, c := range chunks {
		if c.Rows == 0 {
			continue
		}
		width := max(1, c.Bytes()/c.Rows)
		for lo := 0; lo < c.Rows; {
			n := min(c.Rows-lo, maxRows-rows, max(1, (maxBytes-size)/width))
			group = append(group, slab{c, lo, lo + n})
			lo, rows, size = lo+n, rows+n, size+n*width
			if rows == maxRows || size >= maxBytes-width {
				groups = append(groups, group)
				group, rows, size = nil, 0, 0
			}
		}
	}
	if rows > 0 {
		groups = append(groups, group)
	}
	return groups
}

// of is a column's rows of the slab.
func (s slab) of(n *node) span {
	if n.kid < len(s.c.Cols) && !s.c.Cols[n.kid].AllNull() {
		return span{&s.c.Cols[n.kid], s.lo, s.hi}
	}
	return span{nil, s.lo, s.hi}
}

// inside is what kid k has of a span of n: the same values of a struct, the elements of lists and maps. It may be empty.
func (s span) inside(n *node, k int) span {
	lo, hi := s.lo, s.hi
	if n.list() {
		if s.v == nil || lo == hi {
			return span{}
		}
		lo, hi = int(s.v.Offsets[lo]), int(s.v.Offsets[hi])
	}
	if s.v == nil || k >= len(s.v.Kids) || s.v.Kids[k].AllNull() {
		return span{nil, lo, hi}
	}
	return span{&s.v.Kids[k], lo, hi}
}

// within is what kid k of n has of spans of n.
func within(spans []span, n, k *node) []span {
	below := make([]span, 0, len(spans))
	for _, s := range spans {
		if s = s.inside(n, k.kid); s.lo < s.hi {
			below = append(below, s)
		}
	}
	return below
}

// spansOf is what the leaf at the end of a path has of a row group, in spans' memory.
func spansOf(spans []span, group []slab, path []*node) []span {
	spans = spans[:0]
	for _, g := range group {
		s := g.of(path[0])
		for i, n := range path[1:] {
			s = s.inside(path[i], n.kid)
		}
		if s.lo < s.hi {
			spans = append(spans, s)
		}
	}
	return spans
}

// A page holds at most this many rows, and of strings about this many bytes: large enough to compress well, small enough to
// be decoded in a cache and to keep our own memory small.
const (
	maxPageRows  = 1 << 16
	maxPageBytes = 1 << 20
)

// nextPage moves the rows of one page from the front of rest to page, whose memory it uses.
func nextPage(page, rest []span) (_, _ []span) {
	page = page[:0]
	rows, size := 0, 0
	for len(rest) > 0 && rows < maxPageRows && size < maxPageBytes {
		s := &rest[0]
		n := min(s.hi-s.lo, maxPageRows-rows)
		if s.v != nil && s.v.Layout == column.Bytes {
			n = fitting(s.v.Offsets[s.lo:s.lo+n+1], maxPageBytes-size)
			size += int(s.v.Offsets[s.lo+n] - s.v.Offsets[s.lo])
		}
		page = append(page, span{s.v, s.lo, s.lo + n})
		rows += n
		if s.lo += n; s.lo == s.hi {
			rest = rest[1:]
		}
	}
	return page, rest
}

// fitting is how many values, at least one, fit into size bytes; the last one may stick out.
func fitting(offsets []int32, size int) int {
	n := len(offsets) - 1
	if int(offsets[n]-offsets[0]) <= size {
		return n
	}
	lo, hi := 1, n // the answer is in lo..hi
	for lo < hi {
		mid := (lo + hi) / 2
		if int(offsets[mid]-offsets[0]) >= size {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}
