package decode

import (
	"github.com/zerobus-go/zerobus/internal/jsonscan"
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// noInteger refuses what is not an integer, where end is negative: another type, or not even a number; or an integer out of
// the column's range.
func (d *jsonDecoder) noInteger(c *jsonColumn, b []byte, i, end int) int {
	if end >= 0 {
		return d.fail(i, c.outOfRange(clip(b[i:end])))
	}
	expected := "an integer"
	switch c.kind {
	case schema.Date:
		expected = "an integer, days since 1970-01-01"
	case schema.Timestamp, schema.TimestampNTZ:
		expected = "an integer, microseconds since 1970-01-01"
	}
	return d.mistyped(b, i, expected)
}

func (d *jsonDecoder) double(v *column.Vector, b []byte, i int) int {
	x, end, ok := jsonscan.Float64(b, i)
	if !ok {
		return d.noFloat(b, i, end, "DOUBLE")
	}
	v.AppendFloat64(x)
	return end
}

func (d *jsonDecoder) float(v *column.Vector, b []byte, i int) int {
	x, end, ok := jsonscan.Float32(b, i)
	if !ok {
		return d.noFloat(b, i, end, "FLOAT")
	}
	v.AppendFloat32(x)
	return end
}

// noFloat refuses what is not a number, where end is negative, or is beyond the range of a type.
func (d *jsonDecoder) noFloat(b []byte, i, end int, typ string) int {
	if end < 0 {
		return d.mistyped(b, i, "a number")
	}
	return d.fail(i, "value "+clip(b[i:end])+" is out of range for "+typ)
}
