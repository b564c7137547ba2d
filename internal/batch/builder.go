package batch

import (
	"google.golang.org/grpc/mem"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// Limits bound a range. One call that is larger than a limit makes a range of its own.
type Limits struct {
	Bytes   int // of records and framing; at least 1
	Records int // 0 for no limit
}

// A Builder gives space for framed records in the open range, and cuts ranges. It is used after Init.
//
// What an append looks at is here and next to each other, not in the chunk: producers on several processors share it.
type Builder struct {
	cur   *chunk // nil until the first record
	buf   []byte // of cur
	used  int    // buf[:used] is written and never changes again
	ready int    // up to here the open range may go without another look at anything
	open  Range  // a piece of cur that ends at used; empty when it has no records

	limits Limits
	size   int // of a chunk: what a whole range needs, in steps of ChunkSize
	pool   *Pool
	spare  []Group // of a released range, to be used again
}

// Init makes an empty builder that takes its memory from pool.
func (b *Builder) Init(pool *Pool, limits Limits) {
	steps := max(1, (limits.Bytes+ChunkSize-1)/ChunkSize)
	*b = Builder{pool: pool, limits: limits, size: steps * ChunkSize}
}

// Open returns the number of records in the open range.
func (b *Builder) Open() int { return b.open.records }

// Len returns the bytes of the open range.
func (b *Builder) Len() int { return b.open.Len() }

// Full reports whether the open range has as many records as it may have.
func (b *Builder) Full() bool { return b.limits.Records > 0 && b.open.records >= b.limits.Records }

// Ready reports whether the next call is known to fit, with size framed bytes, and Space may follow at once. Otherwise
// Prepare comes first, and before it Seal and Grow unless it Fits.
func (b *Builder) Ready(size int) bool { return b.used+size <= b.ready }

// Fits reports whether size framed bytes with that many records can join the open range.
func (b *Builder) Fits(size, records int) bool {
	if b.used+size > len(b.buf) {
		return false
	}
	return b.open.records == 0 || b.used-b.open.start+size <= b.limits.Bytes &&
		(b.limits.Records == 0 || b.open.records+records <= b.limits.Records)
}

// Grow sees to it that size bytes fit into an open range that is empty. When the present chunk has no room for them, a new
// one takes its place: wasted is what the old one was left with, if sealed ranges still hold it.
func (b *Builder) Grow(size int) (wasted int) {
	if b.used+size <= len(b.buf) {
		return 0
	}
	old := b.cur
	if old != nil && old.live > 0 {
		wasted = len(b.buf) - b.used
	}
	b.cur = newChunk(b.pool.Get(max(size, b.size)), b.pool)
	b.buf, b.used, b.ready = b.cur.buf, 0, 0
	if old != nil {
		old.retire()
	}
	return wasted
}

// fetchSize is how much of a chunk is fetched at a time for records that are much smaller, and fetchBelow says for which.
const (
	fetchSize  = 4 << 10
	fetchBelow = 128
)

// Prepare makes Space for size bytes, which must fit.
//
// For small records it writes zeros where the next ones will be. The chunk was read by another processor before, which sent
// what it held, so each of its cache lines must first be taken from there. Taken one by one they cost a wait each, since
// the lock's atomic operations wait for all writes before them; taken together they cost one. Where the processors are far
// apart this makes small records twice as fast, and nowhere slower by more than can be measured.
func (b *Builder) Prepare(size int) {
	end := b.used + size
	b.ready = end
	if b.limits.Records > 0 {
		return // each call must be looked at
	}
	start := b.used
	if b.open.records > 0 {
		start = b.open.start
	}
	b.ready = max(end, min(start+b.limits.Bytes, len(b.buf)))
	if size < fetchBelow {
		b.ready = min(b.ready, b.used+fetchSize)
		clear(b.buf[b.used:b.ready])
	}
}

// Space returns an empty slice with a capacity of size bytes, for the framed records of one call, which must be Ready.
// Once they are written there, Commit adds them to the open range; without it nothing has happened. The slice is good
// until the next call.
func (b *Builder) Space(size int) []byte {
	return b.buf[b.used : b.used : b.used+size]
}

// Forget gives the last Space back, to which nothing was committed.
func (b *Builder) Forget() { b.ready = min(b.ready, b.used) }

// Commit adds what was written into the Space of size bytes to the open range: the records of one call.
func (b *Builder) Commit(size, records int) {
	r := &b.open
	if r.records == 0 {
		b.cur.live++
		*r = Range{chunk: b.cur, start: b.used}
	}
	b.used += size
	r.end = b.used
	if records != 1 {
		if r.groups == nil {
			r.groups, b.spare = b.spare, nil
		}
		r.groups = append(r.groups, Group{First: r.records, Count: records})
	}
	r.records += records
	r.offsets++
}

// Seal ends the open range and returns it. It is empty when nothing was appended.
func (b *Builder) Seal() Range {
	r := b.open
	b.open = Range{}
	return r
}

// Release gives a sealed range up: its memory may be used again as soon as no connection reads it.
func (b *Builder) Release(r *Range) {
	c := r.chunk
	if r.groups != nil {
		b.spare = r.groups[:0]
	}
	*r = Range{}
	c.live--
	if c != b.cur {
		c.retire()
	}
}

// Split divides a sealed range of two calls or more into its first half of calls and the rest. r is empty afterwards; the
// halves are released each by itself.
func (b *Builder) Split(r *Range) (first, rest Range) {
	calls := r.offsets / 2
	first, rest = *r, *r
	first.records, first.offsets, first.groups = 0, 0, nil
	end, left := r.start, calls
	for call := range r.Calls() {
		if left == 0 {
			break
		}
		left--
		for _, rec := range call {
			end += wire.RecordSize(len(rec))
		}
		first.records += len(call)
		first.offsets++
	}
	first.end, rest.start = end, end
	rest.records -= first.records
	rest.offsets -= calls
	n := 0
	for n < len(r.groups) && r.groups[n].First < first.records {
		n++
	}
	first.groups = r.groups[:n:n]
	rest.groups = nil // a slice of its own: Release gives each away to be used again
	for _, g := range r.groups[n:] {
		rest.groups = append(rest.groups, Group{First: g.First - first.records, Count: g.Count})
	}
	r.chunk.live++
	*r = Range{}
	return first, rest
}

// Close leaves the present chunk, which is then freed with its last range. There must be no open range, and nothing may
// be appended afterwards.
func (b *Builder) Close() {
	if b.cur != nil {
		b.cur.retire()
		b.cur, b.buf, b.used, b.ready = nil, nil, 0, 0
	}
}

func newChunk(buf *[]byte, pool *Pool) *chunk {
	// The count is on the whole chunk, and messages are slices of it: mem does not count buffers of 1 KiB and less.
	return &chunk{root: mem.NewBuffer(buf, pool), buf: *buf}
}

// retire frees a chunk that the builder has left, once its last range is released.
func (c *chunk) retire() {
	if c.live == 0 {
		c.root.Free()
	}
}
