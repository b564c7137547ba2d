package parquetfile

import (
	"encoding/json"
	"io"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/variant"
)

// Values of types with parts, as Read gives them.
type (
	// Struct has the fields in the order of the type.
	Struct []Member

	// Member is a field of a struct.
	Member struct {
		Name  string
		Value any
	}

	// Map has the entries in the order of the file, whatever their keys: a file may have one twice.
	Map []Entry

	// Entry is one of a map.
	Entry struct{ Key, Value any }

	// Variant is one that JSON cannot say, such as a date, or one that is damaged.
	Variant struct{ Metadata, Value []byte }
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
//	STRUCT, ARRAY, MAP         Struct, []any, Map; in them these values again
//	VARIANT                    json.RawMessage, the value as JSON; else Variant
//	null, or not in the file   nil
//
// Columns, errors and the callback's error are as with ReadChunks.
func Read(r io.ReaderAt, size int64, table *schema.Struct, limit int, row func(values []any) error) error {
	return ReadChunks(r, size, table, limit, func(c *column.Chunk) error {
		for i := range c.Rows {
			if err := row(Row(c, table, i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Row is row i of a chunk as Read gives it. The table's names are those of the fields of structs.
func Row(c *column.Chunk, table *schema.Struct, i int) []any {
	values := make([]any, len(c.Cols))
	for j := range c.Cols {
		values[j] = valueAt(&c.Cols[j], &table.Fields[j].Type, i)
	}
	return values
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
	case schema.StructKind:
		s := make(Struct, len(t.Fields))
		for k := range s {
			s[k] = Member{t.Fields[k].Name, valueAt(&v.Kids[k], &t.Fields[k].Type, i)}
		}
		return s
	case schema.Array:
		from, to := v.Range(i)
		list := make([]any, 0, to-from)
		for ; from < to; from++ {
			list = append(list, valueAt(&v.Kids[0], t.Elem, from))
		}
		return list
	case schema.Map:
		from, to := v.Range(i)
		m := make(Map, 0, to-from)
		for ; from < to; from++ {
			m = append(m, Entry{valueAt(&v.Kids[0], t.Key, from), valueAt(&v.Kids[1], t.Elem, from)})
		}
		return m
	case schema.Variant:
		return variantValue(v.Kids[column.VariantMetadata].BytesAt(i), v.Kids[column.VariantValue].BytesAt(i))
	default: // Binary
		return append([]byte{}, v.BytesAt(i)...)
	}
}

// variantValue is a variant as Read gives it. Its bytes may be anyone's.
func variantValue(metadata, value []byte) any {
	text, err := func() (text []byte, err error) {
		defer asError(&err)
		return variant.JSON(metadata, value)
	}()
	if err != nil {
		return Variant{append([]byte{}, metadata...), append([]byte{}, value...)}
	}
	return json.RawMessage(text)
}
