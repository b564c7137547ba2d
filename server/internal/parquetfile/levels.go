package parquetfile

import (
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// levels are those of the values of one page of a nested leaf. There is an entry for every value, and for every list on the way to
// it that is empty or null, and for every struct that is null. The definition level says how much of the path is there, the
// repetition level in which of the lists the entry goes on; 0 begins a row.
type levels struct {
	definition, repetition []byte
}

func (x *levels) reset() { x.definition, x.repetition = x.definition[:0], x.repetition[:0] }

func (x *levels) one(definition, repetition byte) {
	x.definition, x.repetition = append(x.definition, definition), append(x.repetition, repetition)
}

// add adds the entries of the leaf at the end of a path: for the values of a span of its first node, whose parents are there. first
// is the repetition level of the first of them.
func (x *levels) add(path []*node, s span, first byte) {
	n := path[0]
	path = path[1:]
	switch {
	case s.v == nil:
		for i := s.lo; i < s.hi; i++ {
			x.one(n.null(), first)
			first = n.rep
		}
	case len(path) == 0:
		for i := s.lo; i < s.hi; i++ {
			if s.v.IsValid(i) {
				x.one(n.def, first)
			} else {
				x.one(n.null(), first)
			}
			first = n.rep
		}
	case s.v.Nulls == 0 && !n.list():
		x.add(path, s.inside(n, path[0].kid), first)
	default:
		for i := s.lo; i < s.hi; i++ {
			in := span{s.v, i, i + 1}.inside(n, path[0].kid)
			switch {
			case !s.v.IsValid(i):
				x.one(n.null(), first)
			case in.lo == in.hi:
				x.one(n.def, first)
			default:
				x.add(path, in, first)
			}
			first = n.rep
		}
	}
}

// weigh gives, for the rows of a slab, a bound on the leaf's entries and the bytes of its strings. Both grow with every row.
func (l *leaf) weigh(g slab) (entries, size int) {
	s := g.of(l.nodes[0])
	entries = s.hi - s.lo
	for i, n := range l.nodes[1:] {
		s = s.inside(l.nodes[i], n.kid)
		if l.nodes[i].list() {
			entries += s.hi - s.lo
		}
	}
	if s.v != nil && l.layout == column.Bytes && s.lo < s.hi {
		size = int(s.v.Offsets[s.hi] - s.v.Offsets[s.lo])
	}
	return entries, size
}

// nextRows moves the rows of one page of a nested leaf from the front of rest to page, whose memory it uses. A page has whole rows;
// the last one may stick out of the page's limits.
func (l *leaf) nextRows(page, rest []slab) (_, _ []slab) {
	page = page[:0]
	entries, size := 0, 0
	for len(rest) > 0 && entries < maxPageRows && size < maxPageBytes {
		g := &rest[0]
		full := func(n int) bool {
			e, b := l.weigh(slab{g.c, g.lo, g.lo + n})
			return entries+e >= maxPageRows || size+b >= maxPageBytes
		}
		n := g.hi - g.lo
		if full(n) {
			for lo := 1; lo < n; { // the least number that fills the page is in lo..n
				if mid := (lo + n) / 2; full(mid) {
					n = mid
				} else {
					lo = mid + 1
				}
			}
		}
		part := slab{g.c, g.lo, g.lo + n}
		e, b := l.weigh(part)
		entries, size, page = entries+e, size+b, append(page, part)
		if g.lo += n; g.lo == g.hi {
			rest = rest[1:]
		}
	}
	return page, rest
}

// appendNested adds the levels of a leaf inside of other columns to the body.
func (p *page) appendNested() (err error) {
	p.nested.reset()
	for _, s := range p.slabs {
		p.nested.add(p.leaf.nodes, s.of(p.leaf.nodes[0]), 0)
	}
	p.entries = len(p.nested.definition)
	if p.body, err = p.appendRuns(p.body, p.nested.repetition, p.leaf.rep); err == nil {
		p.body, err = p.appendRuns(p.body, p.nested.definition, p.leaf.def)
	}
	return err
}
