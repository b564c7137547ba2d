package admin

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
)

// text is a value as people read it. What has parts is JSON.
func text(t *schema.Type, v any) string {
	switch x := v.(type) {
	case string:
		return x
	case []byte:
		return base64.StdEncoding.EncodeToString(x)
	case float32:
		return strconv.FormatFloat(float64(x), 'g', -1, 32)
	case time.Time:
		switch t.Kind {
		case schema.Date:
			return x.Format("2006-01-02")
		case schema.TimestampNTZ:
			return x.Format("2006-01-02 15:04:05.999999")
		}
		return x.Format("2006-01-02T15:04:05.999999Z")
	case parquetfile.Variant:
		return "a variant that JSON cannot say"
	case parquetfile.Struct, parquetfile.Map, []any, json.RawMessage:
		return string(appendParts(nil, t, v))
	}
	return fmt.Sprint(v)
}

// appendParts appends a value as JSON: a map is an object of its keys' texts, and numbers and booleans are as they are.
func appendParts(b []byte, t *schema.Type, v any) []byte {
	switch x := v.(type) {
	case nil:
		return append(b, "null"...)
	case json.RawMessage:
		return append(b, x...)
	case parquetfile.Struct:
		b = append(b, '{')
		for i, m := range x {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, m.Name), ':')
			b = appendParts(b, &t.Fields[i].Type, m.Value)
		}
		return append(b, '}')
	case parquetfile.Map:
		b = append(b, '{')
		for i, e := range x {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, text(t.Key, e.Key)), ':')
			b = appendParts(b, t.Elem, e.Value)
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, e := range x {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendParts(b, t.Elem, e)
		}
		return append(b, ']')
	case bool, int32, int64, float32, float64:
		return append(b, text(t, v)...)
	case string:
		if t.Kind == schema.Decimal {
			return append(b, x...)
		}
		return appendString(b, x)
	default:
		return appendString(b, text(t, v))
	}
}

// appendString appends a JSON string.
func appendString(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil { // a string never fails
		return strconv.AppendQuote(b, s)
	}
	return append(b, text...)
}
