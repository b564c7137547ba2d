package column

// WeightWith is no less than what Bytes will be when the rows of o have been appended. It tells what two small chunks do not: a
// column of nulls takes nothing, however long it is, until the other chunk's first value takes the room of all of them. Every value
// weighs a bit at least, so that it grows with rows and elements that take no bytes.
func (c *Chunk) WeightWith(o *Chunk) int {
	w := 0
	for i := range c.Cols {
		if i < len(o.Cols) {
			w += c.Cols[i].WeightWith(&o.Cols[i])
		} else {
			w += c.Cols[i].WeightWith(&Vector{Layout: c.Cols[i].Layout, N: o.Rows, Nulls: o.Rows})
		}
	}
	return w
}

// WeightWith is that of one column.
func (v *Vector) WeightWith(o *Vector) int {
	n := v.N + o.N
	w := bitmapLen(n)
	if v.Nulls < v.N || o.Nulls < o.N {
		if v.Layout != Struct {
			w += n * v.Layout.width()
		}
		if len(v.Kids) > 0 || v.Layout == Bytes {
			w += 4 + len(v.Data) + len(o.Data) // one offset more than values
		}
	}
	for i := range v.Kids {
		if i < len(o.Kids) {
			w += v.Kids[i].WeightWith(&o.Kids[i])
			continue
		}
		nulls := 0
		if v.Layout == Struct {
			nulls = o.N
		}
		w += v.Kids[i].WeightWith(&Vector{Layout: v.Kids[i].Layout, N: nulls, Nulls: nulls})
	}
	return w
}

// Held is the memory behind the values in bytes, that of values which were taken back included.
func (c *Chunk) Held() int {
	n := 0
	for i := range c.Cols {
		n += c.Cols[i].held()
	}
	return n
}

func (v *Vector) held() int {
	n := cap(v.Valid) + cap(v.Bits) + 4*cap(v.I32) + 8*cap(v.I64) + 4*cap(v.F32) + 8*cap(v.F64) + 16*cap(v.Dec) + 4*cap(v.Offsets) + cap(v.Data)
	for i := range v.Kids {
		n += v.Kids[i].held()
	}
	return n
}
