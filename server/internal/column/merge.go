package column

import "slices"

// Clone is a copy of the chunk with memory of its own, about as much as its values take.
func (c *Chunk) Clone() *Chunk {
	o := &Chunk{Cols: emptyAs(c.Cols), leaves: c.leaves}
	o.AppendChunk(c)
	return o
}

// emptyAs makes empty vectors of the same layouts.
func emptyAs(like []Vector) []Vector {
	if len(like) == 0 {
		return nil
	}
	out := make([]Vector, len(like))
	for i := range like {
		out[i] = Vector{Layout: like[i].Layout, Kids: emptyAs(like[i].Kids)}
	}
	return out
}

// appendVector adds the values of o, which has the same layout.
func (v *Vector) appendVector(o *Vector) {
	if o.N == 0 {
		return
	}
	if o.AllNull() {
		v.appendNulls(o.N)
		return
	}
	v.ready()
	if v.Nulls == 0 && o.Nulls > 0 {
		v.Valid = v.Valid.fill(v.N)
	}
	switch {
	case o.Nulls > 0:
		v.Valid = v.Valid.appendBits(v.N, o.Valid, o.N)
	case v.Nulls > 0:
		v.Valid = v.Valid.appendOnes(v.N, o.N)
	}
	switch v.Layout {
	case Bool:
		v.Bits = v.Bits.appendBits(v.N, o.Bits, o.N)
	case Int32:
		v.I32 = append(v.I32, o.I32...)
	case Int64:
		v.I64 = append(v.I64, o.I64...)
	case Float32:
		v.F32 = append(v.F32, o.F32...)
	case Float64:
		v.F64 = append(v.F64, o.F64...)
	case Int128:
		v.Dec = append(v.Dec, o.Dec...)
	case Bytes:
		if len(v.Offsets) == 0 {
			v.Offsets = append(v.Offsets, 0)
		}
		base := int32(len(v.Data))
		v.Offsets = slices.Grow(v.Offsets, o.N)
		for _, off := range o.Offsets[1:] {
			v.Offsets = append(v.Offsets, base+off)
		}
		v.Data = append(v.Data, o.Data...)
	case Struct:
		v.appendKids(o)
	case List, Map:
		if len(v.Offsets) == 0 {
			v.Offsets = append(v.Offsets, 0)
		}
		base := int32(v.Kids[0].N)
		v.Offsets = slices.Grow(v.Offsets, o.N)
		for _, off := range o.Offsets[1:] {
			v.Offsets = append(v.Offsets, base+off)
		}
		v.appendKids(o)
	}
	v.N += o.N
	v.Nulls += o.Nulls
}

// appendKids adds the kids of o; those that it lacks at the end get nulls.
func (v *Vector) appendKids(o *Vector) {
	for i := range v.Kids {
		if i < len(o.Kids) {
			v.Kids[i].appendVector(&o.Kids[i])
			continue
		}
		v.Kids[i].appendNulls(o.N)
	}
}
