package column

import "slices"

// AppendNull adds a null.
func (v *Vector) AppendNull() {
	if v.Layout == Struct {
		for i := range v.Kids {
			v.Kids[i].AppendNull()
		}
	}
	if v.Nulls < v.N {
		if v.Nulls == 0 {
			v.Valid = v.Valid.fill(v.N)
		}
		v.appendZero()
		v.Valid = v.Valid.Append(v.N, false)
	}
	v.Nulls++
	v.N++
}

// appendNulls adds n nulls.
func (v *Vector) appendNulls(n int) {
	if v.Layout == Struct {
		for i := range v.Kids {
			v.Kids[i].appendNulls(n)
		}
	}
	if v.Nulls < v.N {
		if v.Nulls == 0 {
			v.Valid = v.Valid.fill(v.N)
		}
		v.appendZeros(n)
		v.Valid = v.Valid.appendZeros(v.N, n)
	}
	v.Nulls += n
	v.N += n
}

// ready is what every value that is added asks for first.
func (v *Vector) ready() {
	if v.Nulls > 0 && v.Nulls == v.N {
		v.materialize()
	}
}

// materialize gives a column of nulls the slices that it needs before a value comes.
func (v *Vector) materialize() {
	n, kept := v.N, v.zeros
	v.resize(kept)
	v.Valid = v.Valid[:bitmapLen(kept)].appendZeros(kept, n-kept)
	v.N = kept
	v.appendZeros(n - kept)
	v.N = n
}

// prepare makes a column that has nulls, or no value yet, ready for one more value, and marks it as one.
func (v *Vector) prepare() {
	if v.Nulls > 0 {
		v.ready()
		v.Valid = v.Valid.Append(v.N, true)
	} else if len(v.Offsets) == 0 {
		v.Offsets = append(v.Offsets, 0)
	}
}

// appendZero is appendZeros(1) for a column that has a value: records of wide tables have many nulls.
func (v *Vector) appendZero() {
	switch v.Layout {
	case Bool:
		v.Bits = v.Bits.Append(v.N, false)
	case Int32:
		v.I32 = append(v.I32, 0)
	case Int64:
		v.I64 = append(v.I64, 0)
	case Float32:
		v.F32 = append(v.F32, 0)
	case Float64:
		v.F64 = append(v.F64, 0)
	case Int128:
		v.Dec = append(v.Dec, Decimal128{})
	case Bytes, List, Map:
		v.Offsets = append(v.Offsets, v.Offsets[len(v.Offsets)-1])
	}
}

// appendZeros appends n zero values to the slice of the layout; N stays.
func (v *Vector) appendZeros(n int) {
	switch v.Layout {
	case Bool:
		v.Bits = v.Bits.appendZeros(v.N, n)
	case Int32:
		v.I32 = appendZeros(v.I32, n)
	case Int64:
		v.I64 = appendZeros(v.I64, n)
	case Float32:
		v.F32 = appendZeros(v.F32, n)
	case Float64:
		v.F64 = appendZeros(v.F64, n)
	case Int128:
		v.Dec = appendZeros(v.Dec, n)
	case Bytes, List, Map:
		end := int32(0)
		if len(v.Offsets) == 0 {
			v.Offsets = append(v.Offsets, 0)
		} else {
			end = v.Offsets[len(v.Offsets)-1]
		}
		v.Offsets = slices.Grow(v.Offsets, n)
		for range n {
			v.Offsets = append(v.Offsets, end)
		}
	}
}

func appendZeros[T any](s []T, n int) []T {
	s = slices.Grow(s, n)
	s = s[:len(s)+n]
	clear(s[len(s)-n:])
	return s
}
