package partition

import "github.com/zerobus-go/zerobus/server/internal/column"

// copyRows adds rows of c, without the partition columns, to a chunk of the files' columns.
func (s *Scheme) copyRows(dst, c *column.Chunk, rows []int32) {
	for j, i := range s.kept {
		if i < len(c.Cols) {
			copyValues(&dst.Cols[j], &c.Cols[i], rows)
			continue
		}
		for range rows {
			dst.Cols[j].AppendNull()
		}
	}
	dst.Rows += len(rows)
}

// copyValues adds values of v to dst.
func copyValues(dst, v *column.Vector, rows []int32) {
	if v.Nulls > 0 || len(v.Kids) > 0 {
		for _, i := range rows {
			copyValue(dst, v, int(i))
		}
		return
	}
	switch v.Layout {
	case column.Bool:
		for _, i := range rows {
			dst.AppendBool(v.Bits.Get(int(i)))
		}
	case column.Int32:
		for _, i := range rows {
			dst.AppendInt32(v.I32[i])
		}
	case column.Int64:
		for _, i := range rows {
			dst.AppendInt64(v.I64[i])
		}
	case column.Float32:
		for _, i := range rows {
			dst.AppendFloat32(v.F32[i])
		}
	case column.Float64:
		for _, i := range rows {
			dst.AppendFloat64(v.F64[i])
		}
	case column.Int128:
		for _, i := range rows {
			dst.AppendDecimal(v.Dec[i])
		}
	default:
		for _, i := range rows {
			dst.AppendBytes(v.BytesAt(int(i)))
		}
	}
}

// copyValue adds value i of v, with what is inside of it.
func copyValue(dst, v *column.Vector, i int) {
	if !v.IsValid(i) {
		dst.AppendNull()
		return
	}
	switch v.Layout {
	case column.Bool:
		dst.AppendBool(v.Bits.Get(i))
	case column.Int32:
		dst.AppendInt32(v.I32[i])
	case column.Int64:
		dst.AppendInt64(v.I64[i])
	case column.Float32:
		dst.AppendFloat32(v.F32[i])
	case column.Float64:
		dst.AppendFloat64(v.F64[i])
	case column.Int128:
		dst.AppendDecimal(v.Dec[i])
	case column.Bytes:
		dst.AppendBytes(v.BytesAt(i))
	case column.Struct:
		for k := range dst.Kids {
			if k < len(v.Kids) {
				copyValue(&dst.Kids[k], &v.Kids[k], i)
			} else {
				dst.Kids[k].AppendNull()
			}
		}
		dst.EndStruct()
	case column.List, column.Map:
		from, to := v.Range(i)
		for e := from; e < to; e++ {
			for k := range dst.Kids {
				copyValue(&dst.Kids[k], &v.Kids[k], e)
			}
		}
		dst.EndList()
	}
}
