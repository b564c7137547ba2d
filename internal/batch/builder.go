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

// A Builder frames records into the open range.
type Builder struct {
	pool   *Pool
	limits Limits
	size   int // of a chunk: what a whole range needs, in steps of ChunkSize

	cur  *chunk // nil until the first record
	open Range  // a piece at the end of cur; empty when it has no records

	spare []Group // of a released range, to be used again
}

// NewBuilder returns a builder that takes its memory from pool.
func NewBuilder(pool *Pool, limits Limits) *Builder {
	steps := max(1, (limits.Bytes+ChunkSize-1)/ChunkSize)
	return &Builder{pool: pool, limits: limits, size: steps * ChunkSize}
}

// Open returns the number of records in the open range.
func (b *Builder) Open() int { return b.open.records }

// Fits reports whether size framed bytes with that many records can join the open range. When they cannot, Seal comes
// before Append.
func (b *Builder) Fits(size, records int) bool {
	if b.open.records == 0 {
		return true
	}
	return b.open.end-b.open.start+size <= b.limits.Bytes &&
		(b.limits.Records == 0 || b.open.records+records <= b.limits.Records) &&
		b.cur.used+size <= len(b.cur.buf)
}

// Append frames rec into the open range. [Builder.Fits] must hold for its framed size.
func (b *Builder) Append(rec []byte) {
	size := wire.RecordSize(len(rec))
	if b.open.records == 0 {
		b.begin(size)
	}
	c := b.cur
	wire.AppendRecord(c.buf[:c.used], rec) // within the capacity: nothing is allocated
	c.used += size
	b.open.end = c.used
	b.open.records++
	b.open.offsets++
}

// AppendBatch copies the records of one call, already framed, into the open range. [Builder.Fits] must hold for them.
func (b *Builder) AppendBatch(framed []byte, records int) {
	if b.open.records == 0 {
		b.begin(len(framed))
	}
	c := b.cur
	c.used += copy(c.buf[c.used:], framed)
	b.open.end = c.used
	if records != 1 {
		if b.open.groups == nil {
			b.open.groups, b.spare = b.spare, nil
		}
		b.open.groups = append(b.open.groups, Group{First: b.open.records, Count: records})
	}
	b.open.records += records
	b.open.offsets++
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
		b.cur = nil
	}
}

// begin opens a range of at least size bytes, in a new chunk when the present one has no room for it.
func (b *Builder) begin(size int) {
	if b.cur == nil || b.cur.used+size > len(b.cur.buf) {
		old := b.cur
		b.cur = newChunk(b.pool.Get(max(size, b.size)), b.pool)
		if old != nil {
			old.retire()
		}
	}
	b.cur.live++
	b.open = Range{chunk: b.cur, start: b.cur.used, end: b.cur.used}
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
