package partition

import "github.com/zerobus-go/zerobus/server/internal/column"

// Split is the rows of some chunks by partition. It goes through the files that they make, one after the other:
//
//	for f, ok := s.Next(limit); ok; f, ok = s.Next(limit) {
//		write f
//	}
//
// After Rewind, Next gives what it has given since the last Done, the same files if the limit is the same.
//
// Where all rows of a chunk are of one partition, the file gets a view of it. Rows of mixed chunks are copied, into memory that
// serves file after file. Beside that, 4 bytes a row are kept for mixed chunks, and some 100 for each partition and each chunk
// that it has rows of.
type Split struct {
	scheme *Scheme
	chunks []*column.Chunk
	order  [][]int32 // by chunk: its rows, those of one partition together and in order; nil when all are of one
	groups []group

	at, done place
	copies   []*column.Chunk // memory of the files' copied rows
}

// group is a partition. Its values are those of one of its rows.
type group struct {
	chunk, row int32
	parts      []part
	other      int32 // the next group whose rows have the same sum, -1 for none

	// While a chunk is sorted.
	last  int32 // the chunk
	count int32 // its rows of the group
	fill  int32 // where the next one goes
}

// part is the rows of a group in one chunk: all of them, or from and to in order.
type part struct{ chunk, from, to int32 }

// place is how far the files have come: in a group, in its parts, in the rows of the part.
type place struct{ group, part, row int }

// File is what one data file has.
type File struct {
	Rows   int
	Chunks []*column.Chunk    // with the columns of Scheme.Files, until the next call of Next
	Values map[string]*string // for the add action
	Dir    string             // with a slash at its end, or empty
}

// Split sorts the rows of the chunks by partition. The order of a partition's rows stays, that of the partitions is that of their
// first rows. The chunks must not change while the split is used.
func (s *Scheme) Split(chunks []*column.Chunk) *Split {
	p := &Split{scheme: s, chunks: chunks, order: make([][]int32, len(chunks))}
	b := splitter{Split: p, hasher: newHasher(), first: map[uint64]int32{}}
	for i, c := range chunks {
		if c.Rows > 0 {
			b.sort(int32(i), c)
		}
	}
	return p
}

// Partitions is how many there are.
func (p *Split) Partitions() int { return len(p.groups) }

// splitter is what sorting needs.
type splitter struct {
	*Split
	hasher hasher
	first  map[uint64]int32 // the first group of a sum

	sums    []uint64
	ids     []int32
	touched []int32 // groups that the chunk has rows of
}

// sort finds the groups of a chunk's rows.
func (b *splitter) sort(n int32, c *column.Chunk) {
	one := true
	for _, k := range b.scheme.keys {
		one = one && constant(key(c, k), c.Rows)
	}
	if one {
		b.sum(c, 1)
		g := b.group(n, c, 0)
		b.groups[g].parts = append(b.groups[g].parts, part{chunk: n})
		return
	}
	b.sum(c, c.Rows)
	b.ids, b.touched = b.ids[:0], b.touched[:0]
	for i := range c.Rows {
		var id int32
		if i > 0 && b.sums[i] == b.sums[i-1] && b.scheme.same(c, i, c, i-1) {
			id = b.ids[i-1]
		} else {
			id = b.group(n, c, i)
		}
		b.ids = append(b.ids, id)
		g := &b.groups[id]
		if g.last != n {
			g.last, g.count = n, 0
			b.touched = append(b.touched, id)
		}
		g.count++
	}
	at := int32(0)
	for _, id := range b.touched {
		g := &b.groups[id]
		g.parts = append(g.parts, part{n, at, at + g.count})
		g.fill = at
		at += g.count
	}
	order := make([]int32, c.Rows)
	for i, id := range b.ids {
		g := &b.groups[id]
		order[g.fill] = int32(i)
		g.fill++
	}
	b.order[n] = order
}

// sum makes the sums of the first n rows.
func (b *splitter) sum(c *column.Chunk, n int) {
	b.sums = b.sums[:0]
	for range n {
		b.sums = append(b.sums, b.hasher.start)
	}
	for _, k := range b.scheme.keys {
		b.hasher.add(b.sums, key(c, k))
	}
}

// group is that of a row, made if need be.
func (b *splitter) group(n int32, c *column.Chunk, row int) int32 {
	sum := b.sums[row]
	first, ok := b.first[sum]
	if !ok {
		first = -1
	}
	for id := first; id >= 0; id = b.groups[id].other {
		if g := &b.groups[id]; b.scheme.same(c, row, b.chunks[g.chunk], int(g.row)) {
			return id
		}
	}
	id := int32(len(b.groups))
	b.groups = append(b.groups, group{chunk: n, row: int32(row), other: first, last: -1})
	b.first[sum] = id
	return id
}

// same tells whether two rows are of one partition.
func (s *Scheme) same(a *column.Chunk, i int, b *column.Chunk, j int) bool {
	for _, k := range s.keys {
		if !sameValue(key(a, k), i, key(b, k), j) {
			return false
		}
	}
	return true
}

// Next gives the rows of the next file, or false when there are no more. A partition's rows are in one file, unless copies of
// them take more than limit bytes; then the file ends with the block of rows that goes beyond.
func (p *Split) Next(limit int) (f File, ok bool) {
	if p.at.group == len(p.groups) {
		return f, false
	}
	g := &p.groups[p.at.group]
	used, copied := 0, 0   // of copies; bytes
	var into *column.Chunk // the copy that is being filled
	for ; p.at.part < len(g.parts); p.at.part, p.at.row = p.at.part+1, 0 {
		m := g.parts[p.at.part]
		c := p.chunks[m.chunk]
		if p.order[m.chunk] == nil {
			if !p.scheme.Partitioned() {
				f.Chunks = append(f.Chunks, c)
			} else {
				f.Chunks = append(f.Chunks, p.scheme.view(c))
			}
			f.Rows += c.Rows
			into = nil // what follows is behind it
			continue
		}
		if copied >= limit {
			break
		}
		if into == nil || p.late(into, c) {
			into = p.copy(used)
			used++
			f.Chunks = append(f.Chunks, into)
		}
		before := into.Bytes()
		rows := p.order[m.chunk][m.from:m.to][p.at.row:]
		for len(rows) > 0 && copied+into.Bytes()-before < limit {
			n := min(len(rows), blockRows)
			p.scheme.copyRows(into, c, rows[:n])
			rows = rows[n:]
			f.Rows += n
			p.at.row += n
		}
		copied += into.Bytes() - before
		if len(rows) > 0 {
			break
		}
	}
	if p.at.part == len(g.parts) {
		p.at = place{group: p.at.group + 1}
	}
	f.Values, f.Dir = p.scheme.values(p.chunks[g.chunk], int(g.row))
	return f, true
}

// maxLate is how many bytes the copies of a chunk's rows may take in columns for the rows before them: those of a column of nulls come
// with its first value.
const maxLate = 16 << 20

// late reports whether the rows of c are better copied elsewhere than behind those of into.
func (p *Split) late(into, c *column.Chunk) bool {
	weight := 0
	for j, i := range p.scheme.kept {
		if i < len(c.Cols) {
			weight += into.Cols[j].WeightWith(&c.Cols[i])
		}
	}
	return weight > into.Bytes()+c.Bytes()+maxLate
}

// blockRows is how many rows are copied between two looks at the size of the copies.
const blockRows = 256

// Done keeps how far Next has come.
func (p *Split) Done() { p.done = p.at }

// Rewind goes back to where Done was called, or to the beginning.
func (p *Split) Rewind() { p.at = p.done }

// view is a chunk without the partition columns.
func (s *Scheme) view(c *column.Chunk) *column.Chunk {
	v := &column.Chunk{Rows: c.Rows, Cols: make([]column.Vector, 0, len(s.kept))}
	for _, i := range s.kept {
		if i < len(c.Cols) {
			v.Cols = append(v.Cols, c.Cols[i])
		}
	}
	return v
}

// copy is an empty chunk for copied rows.
func (p *Split) copy(i int) *column.Chunk {
	if i == len(p.copies) {
		c, err := column.NewChunk(&p.scheme.files)
		if err != nil {
			panic(err) // the chunks of the table have the same columns
		}
		p.copies = append(p.copies, c)
	}
	c := p.copies[i]
	c.Reset()
	return c
}

// values are the partition's values, as the log has them, and its directory.
func (s *Scheme) values(c *column.Chunk, row int) (map[string]*string, string) {
	values := make(map[string]*string, len(s.keys))
	for i, k := range s.keys {
		v := key(c, k)
		if isNull(v, row) {
			values[s.columns[i]] = nil
			continue
		}
		text := string(appendText(nil, &s.table.Fields[k].Type, v, row))
		values[s.columns[i]] = &text
	}
	return values, s.dir(values)
}
