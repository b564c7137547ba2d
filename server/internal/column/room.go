package column

// Room remembers how long the columns of a chunk became, so that the next chunk gets its memory at once. A large chunk stays with
// the table until its rows are committed; one that grows value by value is copied some four times meanwhile.
//
// The zero value remembers nothing. It belongs to one stream: its requests mostly look alike.
type Room struct {
	encoded int       // bytes that the rows were made of
	bytes   int       // of the values
	columns []lengths // depth first
}

type lengths struct{ values, data int }

// roomFrom is the bytes of a request from which on memory is made before: smaller chunks are used again and have theirs.
const roomFrom = 16 << 10

// What a chunk holds beside its values is given back if it is more than half of them and this many bytes: what was made for columns
// that got no values this time.
const looseRoom = 256 << 10

// Note remembers a chunk whose rows were made of so many bytes, and gives back what it holds and does not use.
func (r *Room) Note(c *Chunk, encoded int) {
	if encoded < roomFrom {
		return
	}
	r.encoded, r.bytes, r.columns = encoded, c.Bytes(), r.columns[:0]
	for i := range c.Cols {
		r.note(&c.Cols[i])
	}
	if c.Held() > r.bytes+r.bytes/2+looseRoom {
		c.Cols = c.Clone().Cols
	}
}

func (r *Room) note(v *Vector) {
	var l lengths
	if v.Nulls < v.N { // a column of nulls takes nothing
		l = lengths{v.N, len(v.Data)}
	}
	r.columns = append(r.columns, l)
	for i := range v.Kids {
		r.note(&v.Kids[i])
	}
}

// Make gives an empty chunk the memory for rows that so many bytes become, by what they became in the chunk noted last, and a
// sixteenth more. Before that sixteenth it is at most as much as that chunk took, or twice the bytes: few bytes of a wide table can
// be many in columns.
func (r *Room) Make(c *Chunk, encoded int) {
	if encoded < roomFrom || r.bytes == 0 {
		return
	}
	share := float64(encoded) / float64(r.encoded)
	most := float64(max(r.bytes, 2*encoded)) / float64(r.bytes)
	share = min(share, most) * 17 / 16
	columns := r.columns
	for i := range c.Cols {
		columns = c.Cols[i].makeRoom(columns, share)
	}
}

// makeRoom takes the lengths of the vector and its kids from the front of those given, and returns the others.
func (v *Vector) makeRoom(columns []lengths, share float64) []lengths {
	if len(columns) == 0 {
		return nil
	}
	n, data := int(share*float64(columns[0].values)), int(share*float64(columns[0].data))
	columns = columns[1:]
	switch {
	case n == 0:
	case v.Layout == Bool:
		v.Bits = withRoom(v.Bits, bitmapLen(n))
	case v.Layout == Int32:
		v.I32 = withRoom(v.I32, n)
	case v.Layout == Int64:
		v.I64 = withRoom(v.I64, n)
	case v.Layout == Float32:
		v.F32 = withRoom(v.F32, n)
	case v.Layout == Float64:
		v.F64 = withRoom(v.F64, n)
	case v.Layout == Int128:
		v.Dec = withRoom(v.Dec, n)
	case v.Layout == Bytes:
		v.Offsets, v.Data = withRoom(v.Offsets, n+1), withRoom(v.Data, data)
	case v.Layout == List, v.Layout == Map:
		v.Offsets = withRoom(v.Offsets, n+1)
	}
	for i := range v.Kids {
		columns = v.Kids[i].makeRoom(columns, share)
	}
	return columns
}

// withRoom is an empty slice that takes n values.
func withRoom[S ~[]T, T any](s S, n int) S {
	if cap(s) >= n {
		return s
	}
	return make(S, 0, n)
}
