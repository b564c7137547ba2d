package table

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// The payload of a log entry, little-endian:
//
//	8   signature of the columns
//	    the chunk's byte form (package column)
//
// The signature is FNV-1a, 64 bits, over name, 0, type text, 0 of each column that the chunk has. Replay compares it with the
// table's columns: when somebody else has replaced the schema by one of the same layouts, rows would otherwise land in the
// wrong columns in silence. Columns that were added at the end do not matter.
const signatureSize = 8

func signature(columns []schema.Field) uint64 {
	h := fnv.New64a()
	for i := range columns {
		h.Write([]byte(columns[i].Name))
		h.Write([]byte{0})
		h.Write([]byte(columns[i].Type.String()))
		h.Write([]byte{0})
	}
	return h.Sum64()
}

// appendEntry appends the payload for a chunk of a table whose columns have this signature.
func appendEntry(b []byte, signature uint64, c *column.Chunk) []byte {
	return c.AppendBinary(binary.LittleEndian.AppendUint64(b, signature))
}

// decodeEntry reads a payload as rows of the table; columns that were added since get nulls.
func decodeEntry(b []byte, table *schema.Struct) (*column.Chunk, error) {
	if len(b) < signatureSize {
		return nil, fmt.Errorf("the entry has %d bytes, too few for one", len(b))
	}
	c, err := column.Decode(b[signatureSize:])
	if err != nil {
		return nil, err
	}
	if err := c.Compatible(table); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint64(b) != signature(table.Fields[:len(c.Cols)]) {
		return nil, fmt.Errorf("names or types of the table's columns are not those that the rows were written for")
	}
	c.Widen(table)
	return c, nil
}
