package decode

import (
	"fmt"

	"github.com/zerobus-go/zerobus/internal/decimal"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// decimalFault is why a text is no value of a DECIMAL column.
type decimalFault = decimal.Fault

const (
	decimalOK     = decimal.OK
	decimalSyntax = decimal.Syntax
)

// parseDecimal reads a decimal number, see [decimal.Parse], as the chunk holds it.
func parseDecimal(text []byte, precision, scale int) (column.Decimal128, decimalFault) {
	x, fault := decimal.Parse(text, precision, scale)
	return column.Decimal128{Lo: x.Lo, Hi: x.Hi}, fault
}

func (t *target) decimalReason(text []byte, fault decimalFault) string {
	switch fault {
	case decimal.Scale:
		return fmt.Sprintf("value %s has more than %d digits behind the point for %s", clip(text), t.scale, t.ddl)
	case decimal.TooLong:
		return fmt.Sprintf("value %s is out of range for %s", clip(text), t.ddl)
	}
	return "text is not a decimal number"
}
