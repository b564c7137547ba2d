package decode

import (
	"fmt"
	"strconv"

	"github.com/zerobus-go/zerobus/internal/jsonscan"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// Decoder turns the records of one stream into rows.
type Decoder interface {
	// Decode appends one record as one row of dst, or refuses it with a *RecordError and leaves dst as it was. Dst has the
	// columns of the table that the decoder was made for. The record is not kept.
	Decode(dst *column.Chunk, record []byte) error
}

// RecordError tells why a record was refused.
type RecordError struct {
	Field  string // the column concerned; empty when it is the record as a whole or a name that no column has
	Reason string // without the place

	Line, Column int // of JSON: where the offending token begins, both from 1, the column in bytes; 0 for protobuf
}

// Error is one line of bounded length, such as "field temp: value 300 is out of range for TINYINT (-128 to 127)" or
// "unrecognized field name 'ip' at line 1 column 285".
func (e *RecordError) Error() string {
	s := e.Reason
	if e.Field != "" {
		s = "field " + e.Field + ": " + s
	}
	if e.Line > 0 {
		s += " at line " + strconv.Itoa(e.Line) + " column " + strconv.Itoa(e.Column)
	}
	return s
}

// clip makes text of a client fit for an error.
func clip[T string | []byte](text T) string { return jsonscan.Clip(text) }

// tooLate is the reason when columns begin so late in a batch that the rows before would take too much memory.
const tooLate = "the column gets its first value after too many records of the batch without one: send smaller batches"

// missing is the refusal of a record without a value for a NOT NULL column.
func missing(t *target) *RecordError {
	return &RecordError{Field: t.name, Reason: fmt.Sprintf("no value, but the column is %s NOT NULL", t.ddl)}
}
