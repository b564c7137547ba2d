package decode

import (
	"github.com/zerobus-go/zerobus/internal/jsonscan"
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// noInteger refuses what is not an integer, where end is negative: another type, or not even a number; or an integer out of
// the column's range.
func (d *jsonDecoder) noInteger(p *jsonPlan, b []byte, i, end int) int {
	if end >= 0 {
		return d.fail(p.name, i, p.outOfRange(clip(b[i:end])))
	}
	expected := "an integer"
	switch p.kind {
	case schema.Date:
		expected = "an integer, days since 1970-01-01"
	case schema.Timestamp, schema.TimestampNTZ:
		expected = "an integer, microseconds since 1970-01-01"
	}
	return d.mistyped(p.name, b, i, expected)
}

func (d *jsonDecoder) double(v *column.Vector, p *jsonPlan, b []byte, i int) int {
	x, end, ok := jsonscan.Float64(b, i)
	if !ok {
		return d.noFloat(p, b, i, end)
	}
	v.AppendFloat64(x)
	return end
}

func (d *jsonDecoder) float(v *column.Vector, p *jsonPlan, b []byte, i int) int {
	x, end, ok := jsonscan.Float32(b, i)
	if !ok {
		return d.noFloat(p, b, i, end)
	}
	v.AppendFloat32(x)
	return end
}

// noFloat refuses what is not a number, where end is negative, or is beyond the range of its type.
func (d *jsonDecoder) noFloat(p *jsonPlan, b []byte, i, end int) int {
	if end < 0 {
		return d.mistyped(p.name, b, i, "a number")
	}
	return d.fail(p.name, i, "value "+clip(b[i:end])+" is out of range for "+p.ddl)
}
