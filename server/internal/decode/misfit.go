package decode

import (
	"fmt"
	"strings"
)

// SchemaError tells why a descriptor cannot feed the table.
type SchemaError struct {
	Field  string // of the first misfit; empty when the descriptor as a whole is refused
	Reason string // of the first misfit, or of the whole

	// Misfits are all the fields and columns that do not fit, in the order of the descriptor, then of the table. Empty when
	// the descriptor as a whole is refused.
	Misfits []Misfit
}

// Misfit is one field of a descriptor or one column of a table without a counterpart that fits.
type Misfit struct {
	Field      string // name of the field or column
	Descriptor string // the field's type, such as "repeated string"; empty when the descriptor lacks it
	Column     string // the column's type, such as "DECIMAL(10,2)"; empty when the table lacks it
	Reason     string // what is wrong and what to do
}

// maxListed bounds the misfits that the text of an error lists.
const maxListed = 20

// Error lists the misfits on one line.
func (e *SchemaError) Error() string {
	if len(e.Misfits) == 0 {
		return "descriptor refused: " + e.Reason
	}
	var s strings.Builder
	s.WriteString("the descriptor does not fit the table: ")
	for i, m := range e.Misfits {
		if i == maxListed {
			fmt.Fprintf(&s, "; and %d more", len(e.Misfits)-i)
			break
		}
		if i > 0 {
			s.WriteString("; ")
		}
		s.WriteString("field " + clip(m.Field) + ": " + m.Reason)
	}
	return s.String()
}

func refuseDescriptor(format string, args ...any) *SchemaError {
	return &SchemaError{Reason: fmt.Sprintf(format, args...)}
}

func misfits(all []Misfit) *SchemaError {
	return &SchemaError{Field: all[0].Field, Reason: all[0].Reason, Misfits: all}
}
