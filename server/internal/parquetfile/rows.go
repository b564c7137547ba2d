package parquetfile

import (
	"io"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// Read calls row for the file's first limit rows, or all with a negative limit, in order. values has one entry for each
// column of the table, and belongs to the callback:
//
//	BOOLEAN                    bool
//	TINYINT, SMALLINT, INT     int32
//	BIGINT                     int64
//	FLOAT, DOUBLE              float32, float64
//	DECIMAL                    string, with all digits of the scale
//	STRING, BINARY             string, []byte
//	DATE                       time.Time, midnight UTC
//	TIMESTAMP, TIMESTAMP_NTZ   time.Time in UTC; for NTZ it shows the wall clock
//	null, or not in the file   nil
//
// Columns, errors and the callback's error are as with ReadChunks.
func Read(r io.ReaderAt, size int64, table *schema.Struct, limit int, row func(values []any) error) error {
	return ReadChunks(r, size, table, limit, func(c *column.Chunk) error {
		for i := range c.Rows {
			values := make([]any, len(c.Cols))
			for j := range c.Cols {
				values[j] = valueAt(&c.Cols[j], &table.Fields[j].Type, i)
			}
			if err := row(values); err != nil {
				return err
			}
		}
		return nil
	})
}

// valueAt is value i as a Go value.
func valueAt(v *column.Vector, t *schema.Type, i int) any {
	if !v.IsValid(i) {
		return nil
	}
	switch t.Kind {
	case schema.Boolean:
		return v.Bits.Get(i)
	case schema.Byte, schema.Short, schema.Integer:
		return v.I32[i]
	case schema.Date:
		return time.Unix(int64(v.I32[i])*86400, 0).UTC()
	case schema.Long:
		return v.I64[i]
	case schema.Timestamp, schema.TimestampNTZ:
		return time.UnixMicro(v.I64[i]).UTC()
	case schema.Float:
		return v.F32[i]
	case schema.Double:
		return v.F64[i]
	case schema.Decimal:
		return string(appendDecimal(nil, int128(v.Dec[i]), t.Scale))
	case schema.String:
		return string(v.BytesAt(i))
	default: // Binary
		return append([]byte{}, v.BytesAt(i)...)
	}
}
