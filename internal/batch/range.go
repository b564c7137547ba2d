package batch

import (
	"iter"

	"google.golang.org/grpc/mem"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// chunk is a piece of the arena.
//
// Invariant: root is not freed while live > 0 or the builder appends to the chunk.
type chunk struct {
	root mem.Buffer
	buf  []byte // the whole of it
	live int    // ranges that are not released
}

// A Group is the records of one batch call inside a range: Count records, from the record with index First.
// Records in no group were appended one by one.
type Group struct {
	First, Count int
}

// A Range is a piece of a chunk: the body of one request. The zero value is an empty range.
type Range struct {
	chunk      *chunk
	start, end int

	records int
	offsets int
	groups  []Group
}

// Records returns the number of records in the range.
func (r *Range) Records() int { return r.records }

// Offsets returns the number of calls that appended to the range: one logical offset each.
func (r *Range) Offsets() int { return r.offsets }

// Len returns the bytes of the range: the records and their framing.
func (r *Range) Len() int { return r.end - r.start }

// Body returns the bytes of the range. They do not change and are good until the range is released.
func (r *Range) Body() []byte {
	if r.chunk == nil {
		return nil
	}
	return r.chunk.buf[r.start:r.end:r.end]
}

// Buffer returns a new reference to the bytes of the range.
func (r *Range) Buffer() mem.Buffer {
	return r.chunk.root.Slice(r.start, r.end)
}

// Only returns a new reference to the bytes of the range's only record, without its framing. The range must have
// exactly one record.
func (r *Range) Only() mem.Buffer {
	rec, _, _ := wire.NextRecord(r.Body()) // framed by us
	return r.chunk.root.Slice(r.end-len(rec), r.end)
}

// Calls yields the records of each call that appended to the range, in order: as many as were
// committed. The yielded slice is used again for the next call; the records are views of the chunk.
func (r *Range) Calls() iter.Seq[[][]byte] {
	return func(yield func([][]byte) bool) {
		body, groups := r.Body(), r.groups
		var call [][]byte
		for i := 0; i < r.records; {
			count := 1
			if len(groups) > 0 && groups[0].First == i {
				count = groups[0].Count
				groups = groups[1:]
			}
			call = call[:0]
			for range count {
				var rec []byte
				rec, body, _ = wire.NextRecord(body) // framed by us
				call = append(call, rec)
			}
			i += count
			if !yield(call) {
				return
			}
		}
	}
}

// Cut takes the first records out of a sealed range, which must have more than these. It returns how many calls are gone with
// them, and how many bytes. A call that the cut goes through keeps the rest of its records. The bytes stay where they are: who
// has a reference to them may go on reading.
func (r *Range) Cut(records int) (calls, size int) {
	body := r.Body()
	for range records {
		_, body, _ = wire.NextRecord(body) // framed by us
	}
	size = r.Len() - len(body)
	for i := 0; i < records; {
		count := 1
		if len(r.groups) > 0 && r.groups[0].First == i {
			if count = r.groups[0].Count; i+count > records {
				break
			}
			r.groups = r.groups[1:]
		}
		i += count
		calls++
	}
	for i := range r.groups {
		g := &r.groups[i]
		end := g.First + g.Count - records
		g.First = max(0, g.First-records)
		g.Count = end - g.First
	}
	r.start += size
	r.records -= records
	r.offsets -= calls
	return calls, size
}
