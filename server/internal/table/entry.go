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
//	[   a mark, when the rows are a producer's:
//	1   2
//	1   n, length of the producer's id
//	n   the producer's id
//	16  the session of its stream
//	8   the number after the last row; the rows before it count back
//	]   the chunk's byte form (package column), which begins with 1
//
// The signature is FNV-1a, 64 bits, over name, 0, type text, 0 of each column that the chunk has. Replay compares it with the
// table's columns: when somebody else has replaced the schema by one of the same layouts, rows would otherwise land in the
// wrong columns in silence. Columns that were added at the end do not matter. Names are those in files, which a column keeps when it
// is renamed.
const (
	signatureSize = 8
	markFollows   = 2
	markSize      = 16 + 8 // without the first two bytes and the producer's id
)

// MaxProducerID is the longest id of a producer, in bytes.
const MaxProducerID = 128

// mark says which of a producer's records an entry has. The zero mark is for rows that are nobody's.
type mark struct {
	producer string
	session  [16]byte
	next     int64
}

func signature(columns []schema.Field) uint64 {
	if len(columns) == 0 {
		return fnv.New64a().Sum64()
	}
	return signatures(columns)[len(columns)-1]
}

// signatures are those of the first column, of the first two, and so on.
func signatures(columns []schema.Field) []uint64 {
	out := make([]uint64, len(columns))
	h := fnv.New64a()
	for i := range columns {
		h.Write([]byte(columns[i].Name))
		h.Write([]byte{0})
		h.Write([]byte(columns[i].Type.String()))
		h.Write([]byte{0})
		out[i] = h.Sum64()
	}
	return out
}

// appendEntry appends the payload for a chunk of a table whose columns have this signature.
func appendEntry(b []byte, signature uint64, m *mark, c *column.Chunk) []byte {
	b = binary.LittleEndian.AppendUint64(b, signature)
	if m.producer != "" {
		b = append(b, markFollows, byte(len(m.producer)))
		b = append(b, m.producer...)
		b = append(b, m.session[:]...)
		b = binary.LittleEndian.AppendUint64(b, uint64(m.next))
	}
	return c.AppendBinary(b)
}

// logged is a payload in its parts; rows is a view of it.
type logged struct {
	signature uint64
	mark      mark
	rows      []byte
}

// parseEntry reads a payload up to its rows.
func parseEntry(b []byte) (e logged, err error) {
	short := func() (logged, error) { return e, fmt.Errorf("the entry has %d bytes, too few for one", len(b)) }
	if len(b) < signatureSize+2 {
		return short()
	}
	e.signature, e.rows = binary.LittleEndian.Uint64(b), b[signatureSize:]
	if e.rows[0] != markFollows {
		return e, nil
	}
	n := int(e.rows[1])
	if e.rows = e.rows[2:]; len(e.rows) < n+markSize {
		return short()
	}
	e.mark.producer, e.rows = string(e.rows[:n]), e.rows[n:]
	copy(e.mark.session[:], e.rows)
	e.mark.next = int64(binary.LittleEndian.Uint64(e.rows[16:]))
	e.rows = e.rows[markSize:]
	return e, nil
}

// chunk reads the rows as those of the table, whose columns are as files have them; those that were added since get nulls. The error
// is errOtherColumns when they are rows of other columns.
func (e *logged) chunk(table *schema.Struct) (*column.Chunk, error) {
	c, err := column.Decode(e.rows)
	if err != nil {
		return nil, err
	}
	if err := c.Compatible(table); err != nil {
		return nil, fmt.Errorf("%w: %w", errOtherColumns, err)
	}
	if e.signature != signature(table.Fields[:len(c.Cols)]) {
		return nil, errOtherColumns
	}
	c.Widen(table)
	return c, nil
}
