package variant

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/parquet-go/parquet-go/variant"

	"github.com/zerobus-go/zerobus/internal/decimal"
	"github.com/zerobus-go/zerobus/internal/jsonscan"
)

// JSON is the text of a variant that [Append] has made, without white space, keys in order. Appended, it is the same
// value of the same types: doubles have an exponent, decimals have all digits of their scale. What JSON cannot say, such as a date, is
// an error. The bytes may be anyone's: beyond 1,000 levels, or 128 MiB of text, they are refused.
func JSON(metadata, value []byte) ([]byte, error) {
	if err := inspect(value); err != nil {
		return nil, err
	}
	m, err := variant.DecodeMetadata(metadata)
	if err != nil {
		return nil, err
	}
	x, err := variant.Decode(m, value)
	if err != nil {
		return nil, err
	}
	return appendText(nil, x)
}

// maxText bounds a text: a key is in the metadata once and may be in the text as often as there are objects.
const maxText = 128 << 20

func appendText(b []byte, x variant.Value) ([]byte, error) {
	var err error
	if len(b) > maxText {
		return b, fmt.Errorf("the text is too long: more than %d MiB", maxText>>20)
	}
	switch x.Basic() {
	case variant.BasicObject:
		b = append(b, '{')
		for i, f := range x.ObjectValue().Fields {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(jsonscan.AppendQuoted(b, f.Name), ':')
			if b, err = appendText(b, f.Value); err != nil {
				return b, err
			}
		}
		return append(b, '}'), nil
	case variant.BasicArray:
		b = append(b, '[')
		for i, y := range x.ArrayValue().Elements {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendText(b, y); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	}
	switch x.Type() {
	case variant.PrimitiveNull:
		return append(b, "null"...), nil
	case variant.PrimitiveTrue, variant.PrimitiveFalse:
		return strconv.AppendBool(b, x.BoolValue()), nil
	case variant.PrimitiveInt8, variant.PrimitiveInt16, variant.PrimitiveInt32, variant.PrimitiveInt64:
		return strconv.AppendInt(b, x.Int(), 10), nil
	case variant.PrimitiveString:
		return jsonscan.AppendQuoted(b, x.Str()), nil
	case variant.PrimitiveDouble:
		f := x.FloatValue()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return b, errors.New("JSON has no such number")
		}
		return strconv.AppendFloat(b, f, 'e', -1, 64), nil
	case variant.PrimitiveDecimal4, variant.PrimitiveDecimal8:
		return appendDecimal(b, decimal.Number{Hi: x.Int() >> 63, Lo: uint64(x.Int())}, x.Scale())
	case variant.PrimitiveDecimal16:
		wide := x.Decimal16Value()
		return appendDecimal(b, decimal.Number{
			Hi: int64(binary.LittleEndian.Uint64(wide[8:])), Lo: binary.LittleEndian.Uint64(wide[:]),
		}, x.Scale())
	}
	return b, fmt.Errorf("JSON cannot say a variant of type %d", x.Type())
}

func appendDecimal(b []byte, x decimal.Number, scale byte) ([]byte, error) {
	if scale > decimal.MaxPrecision {
		return b, fmt.Errorf("a decimal has a scale of %d", scale)
	}
	return x.Append(b, int(scale)), nil
}
