package partition

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/internal/decimal"
	"github.com/zerobus-go/zerobus/schema"
)

// Parse reads the values of an add action, as this or another writer has written them, one for each partition column: of the Go
// types that parquetfile.Read gives, nil for null.
func (s *Scheme) Parse(values map[string]*string) ([]any, error) {
	out := make([]any, len(s.keys))
	for i, k := range s.keys {
		text, ok := values[s.columns[i]]
		if !ok {
			return nil, fmt.Errorf("the file has no value of the partition column %s", s.table.Fields[k].Name)
		}
		if text == nil || *text == "" {
			continue
		}
		v, err := parse(&s.table.Fields[k].Type, *text)
		if err != nil {
			return nil, fmt.Errorf("partition column %s: %.100q is no %s", s.table.Fields[k].Name, *text, s.table.Fields[k].Type)
		}
		out[i] = v
	}
	return out, nil
}

// Row is a row of the table: values of the partition columns, as Parse gives them, and of the columns of the file.
func (s *Scheme) Row(keys, file []any) []any {
	if len(keys) == 0 {
		return file
	}
	row := make([]any, len(s.table.Fields))
	for i, k := range s.keys {
		row[k] = keys[i]
	}
	for i, k := range s.kept {
		row[k] = file[i]
	}
	return row
}

func parse(t *schema.Type, text string) (any, error) {
	integer := func(bits int) (any, error) {
		n, err := strconv.ParseInt(text, 10, bits)
		if t.Kind == schema.Long {
			return n, err
		}
		return int32(n), err
	}
	switch t.Kind {
	case schema.Boolean:
		switch {
		case strings.EqualFold(text, "true"):
			return true, nil
		case strings.EqualFold(text, "false"):
			return false, nil
		}
		return nil, strconv.ErrSyntax
	case schema.Byte:
		return integer(8)
	case schema.Short:
		return integer(16)
	case schema.Integer:
		return integer(32)
	case schema.Long:
		return integer(64)
	case schema.Float:
		x, err := parseFloat(text, 32)
		return float32(x), err
	case schema.Double:
		return parseFloat(text, 64)
	case schema.Decimal:
		n, fault := decimal.Parse([]byte(text), t.Precision, t.Scale)
		if fault != decimal.OK {
			return nil, strconv.ErrSyntax
		}
		return string(n.Append(nil, t.Scale)), nil
	case schema.Date:
		return parseTime(text, dateLayouts)
	case schema.Timestamp, schema.TimestampNTZ:
		at, err := parseTime(text, timeLayouts)
		if err == nil && t.Kind == schema.TimestampNTZ && at.Location() != time.UTC {
			err = strconv.ErrSyntax // a wall clock has no zone
		}
		return at.UTC().Truncate(time.Microsecond), err
	}
	return text, nil
}

// parseFloat reads what Java and others write.
func parseFloat(text string, bits int) (float64, error) {
	switch strings.ToLower(strings.TrimLeft(text, "+-")) {
	case "nan":
		return math.NaN(), nil
	case "inf", "infinity":
		return math.Inf(1 - 2*strings.Count(text, "-")), nil
	}
	if strings.ContainsAny(text, "xXpP_") {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(text, bits)
}

// What is written here, and by others: without a zone, with an offset, and a day alone. Fractions of seconds need no mention.
var (
	dateLayouts = []string{"2006-01-02"}
	timeLayouts = []string{
		"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02",
	}
)

// parseTime reads years of any length, which package time does not.
func parseTime(text string, layouts []string) (time.Time, error) {
	digits := strings.IndexByte(text[1:], '-') + 1 // behind a sign
	if digits < 4 {
		return time.Time{}, strconv.ErrSyntax
	}
	year, err := strconv.Atoi(text[:digits])
	if err != nil || year < -300_000_000 || year > 300_000_000 {
		return time.Time{}, strconv.ErrSyntax
	}
	for _, layout := range layouts {
		at, err := time.Parse(layout, "2000"+text[digits:]) // which has a day more than others
		if err != nil {
			continue
		}
		y := time.Date(year, at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), at.Location())
		if y.Day() != at.Day() {
			break
		}
		return y, nil
	}
	return time.Time{}, strconv.ErrSyntax
}
