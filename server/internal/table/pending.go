package table

import (
	"time"

	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/ledger"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
	"github.com/zerobus-go/zerobus/server/internal/partition"
)

// mergeBelow is the size in bytes up to which chunks are copied together. Single records come as chunks of their own, and a
// million small objects cost more than one copy; large chunks are linked.
const mergeBelow = 256 << 10

// mergeWeight bounds what is copied together, in bytes: a column of nulls takes none until its first value comes, and then those of
// all rows and elements before it.
const mergeWeight = 1 << 20

// A chunk that is linked holds at most looseMost times what its values take, and looseFree bytes. Chunks are used again: one that was
// filled by a large request holds the memory of that when a small one comes, and the budget counts values.
const (
	looseMost = 4
	looseFree = 64 << 10
)

// pending is durable rows that are not in the table yet, in order of their sequence. Pure: the table's lock guards it.
type pending struct {
	chunks  []*column.Chunk
	tail    int // bytes of values that were added to the last chunk
	rows    int
	bytes   int       // of values
	memory  int64     // reserved from the budget, to be given back
	lastSeq uint64    // of the log
	since   time.Time // when the oldest row became durable

	positions map[string]ledger.Position // of the producers of these rows, as far as they are here

	// Of what the committer has taken: how much that was, the rows by partition, the data files that are written, those that are
	// being written, and the names of files that were used; whether a commit was tried whose outcome is not known; and that it is in the table, while the ledger waits for the
	// positions.
	taken     batch
	shape     *Shape // as which they are written
	parquet   parquetfile.Options
	split     *partition.Split
	files     []delta.Add
	some      []delta.Add
	names     fileNames
	tried     bool // to be written and committed, without success
	undecided bool
	inTable   bool
}

// add takes a chunk over, or copies it into the last one and reports that the caller may use it again.
func (p *pending) add(c *column.Chunk, seq uint64, memory int64, now time.Time) (reusable bool) {
	if p.empty() {
		p.since = now
	}
	p.lastSeq = seq
	size := c.Bytes()
	p.rows += c.Rows
	p.bytes += size
	p.memory += memory
	if size < mergeBelow && p.tail < mergeBelow && len(p.chunks) > 0 {
		if last := p.chunks[len(p.chunks)-1]; len(last.Cols) == len(c.Cols) && last.WeightWith(c) <= mergeWeight {
			last.AppendChunk(c)
			p.tail += size
			return true
		}
	}
	if c.Held() > looseMost*size+looseFree {
		c = c.Clone()
	}
	p.chunks, p.tail = append(p.chunks, c), size
	return false
}

// moved notes how far a producer has come with what is pending.
func (p *pending) moved(producer string, at ledger.Position) {
	if p.positions == nil {
		p.positions = map[string]ledger.Position{}
	}
	p.positions[producer] = at
}

func (p *pending) empty() bool { return p.lastSeq == 0 }

// batch is how much is pending at a time.
func (p *pending) batch(now time.Time) batch { return batch{p.rows, p.bytes, now.Sub(p.since)} }
