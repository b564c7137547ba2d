package decode

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/variant"
)

var (
	integerRE = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	base64RE  = regexp.MustCompile(`^[A-Za-z0-9+/]*={0,2}$`)
)

// jsonOracle reads a record with jsontext, whose own rules are as strict, and holds the values against the table.
func jsonOracle(table *schema.Struct, record []byte) ([]any, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(record))
	value, err := dec.ReadValue()
	if err != nil {
		return nil, err
	}
	value = value.Clone()
	if _, err := dec.ReadToken(); err != io.EOF {
		return nil, fmt.Errorf("after the object: %v", err)
	}
	return jsonFields(table.Fields, value)
}

// jsonMembers reads an object.
func jsonMembers(value jsontext.Value, member func(key string, value jsontext.Value) error) error {
	if value.Kind() != '{' {
		return errors.New("no object")
	}
	dec := jsontext.NewDecoder(bytes.NewReader(value))
	for _, err := dec.ReadToken(); dec.PeekKind() != '}'; {
		if err != nil {
			return err
		}
		tok, err := dec.ReadToken()
		if err != nil {
			return err
		}
		key := tok.String()
		value, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if err := member(key, value.Clone()); err != nil {
			return err
		}
	}
	return nil
}

func jsonFields(fields []schema.Field, value jsontext.Value) ([]any, error) {
	table := schema.Struct{Fields: fields}
	row := make([]any, len(fields))
	err := jsonMembers(value, func(key string, value jsontext.Value) (err error) {
		i := table.Index(key)
		if i < 0 {
			return fmt.Errorf("unknown %s", key)
		}
		row[i], err = jsonCell(&fields[i].Type, value)
		return err
	})
	for i, f := range fields {
		if err == nil && row[i] == nil && !f.Nullable {
			err = fmt.Errorf("%s: no value", f.Name)
		}
	}
	return row, err
}

// jsonPart is a value in an array or a map.
func jsonPart(t *schema.Type, nullable bool, value jsontext.Value) (any, error) {
	x, err := jsonCell(t, value)
	if err == nil && x == nil && !nullable {
		err = errors.New("null")
	}
	return x, err
}

func jsonNested(t *schema.Type, value jsontext.Value) (any, error) {
	switch t.Kind {
	case schema.StructKind:
		return jsonFields(t.Fields, value)
	case schema.Array:
		if value.Kind() != '[' {
			return nil, errors.New("no array")
		}
		l := list{}
		dec := jsontext.NewDecoder(bytes.NewReader(value))
		for _, err := dec.ReadToken(); dec.PeekKind() != ']'; {
			if err != nil {
				return nil, err
			}
			value, err := dec.ReadValue()
			if err != nil {
				return nil, err
			}
			x, err := jsonPart(t.Elem, t.ElemNullable, value.Clone())
			if err != nil {
				return nil, err
			}
			l = append(l, x)
		}
		return l, nil
	case schema.Map:
		m := pairs{}
		seen := map[any]bool{}
		return m, jsonMembers(value, func(key string, value jsontext.Value) error {
			k, err := jsonKey(t.Key, key)
			if err != nil {
				return err
			}
			if seen[k] {
				return fmt.Errorf("%v twice", k)
			}
			seen[k] = true
			x, err := jsonPart(t.Elem, t.ElemNullable, value)
			m = append(m, [2]any{k, x})
			return err
		})
	}
	// VARIANT, which has its own test.
	if value.Kind() != '"' {
		return nil, errors.New("no string")
	}
	text, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return nil, err
	}
	metadata, encoded, reason := variant.Append(nil, nil, text)
	if reason != "" {
		return nil, errors.New(reason)
	}
	text, err = variant.JSON(metadata, encoded)
	return asJSON(text), err
}

// jsonKey is the key of a map that a text says: that of a string as it is, that of other types as JSON has the value.
func jsonKey(t *schema.Type, text string) (any, error) {
	switch t.Kind {
	case schema.String, schema.Binary, schema.Decimal:
		b, err := jsontext.AppendQuote(nil, text)
		if err != nil {
			return nil, err
		}
		return jsonCell(t, b)
	}
	value := jsontext.Value(text)
	if !value.IsValid() || strings.TrimSpace(text) != text {
		return nil, fmt.Errorf("%q is no %s", text, t)
	}
	x, err := jsonCell(t, value)
	if zero := strings.TrimLeft(text, "-0.") == "" || strings.HasPrefix(text, "-") && (x == 0.0 || x == float32(0)); err == nil && (x == nil || zero && text[0] == '-') {
		err = errors.New("null or a negative zero")
	}
	return x, err
}

func jsonCell(t *schema.Type, value jsontext.Value) (any, error) {
	wrong := fmt.Errorf("%s is no %s", value, t)
	text := string(value)
	if value.Kind() == 'n' {
		return nil, nil
	}
	if !t.Scalar() {
		return jsonNested(t, value)
	}
	switch value.Kind() {
	case 't', 'f':
		if t.Kind != schema.Boolean {
			return nil, wrong
		}
		return text == "true", nil
	case '"':
		b, err := jsontext.AppendUnquote(nil, value)
		if err != nil {
			return nil, err
		}
		s := string(b)
		switch t.Kind {
		case schema.String:
			if x, ok := textCell(t, s); ok {
				return x, nil
			}
		case schema.Binary:
			if b, err := base64.StdEncoding.Strict().DecodeString(s); err == nil && base64RE.MatchString(s) {
				return string(b), nil
			}
		case schema.Decimal:
			if x, ok := decimalCell(t, s); ok {
				return x, nil
			}
		}
		return nil, wrong
	case '0':
		switch t.Kind {
		case schema.Byte, schema.Short, schema.Integer, schema.Long, schema.Date, schema.Timestamp, schema.TimestampNTZ:
			n, ok := new(big.Int).SetString(text, 10)
			if !ok || !integerRE.MatchString(text) {
				return nil, wrong
			}
			if x, ok := integerCell(t, n); ok {
				return x, nil
			}
		case schema.Float:
			x, err := strconv.ParseFloat(text, 32)
			return float32(x), err
		case schema.Double:
			return strconv.ParseFloat(text, 64)
		case schema.Decimal:
			if x, ok := decimalCell(t, text); ok {
				return x, nil
			}
		}
	}
	return nil, wrong
}

const jsonDiffColumns = "b BOOLEAN, t TINYINT, s SMALLINT, i INT, l BIGINT, d DATE, ts TIMESTAMP, f FLOAT, dd DOUBLE, " +
	"str STRING, vc VARCHAR(3), bin BINARY, dec DECIMAL(5,2), big DECIMAL(38,10), `q\"ü` INT"

const nestedDiffColumns = "i INT, s STRUCT<a: INT NOT NULL, b: STRUCT<c: STRING, d: ARRAY<INT>>>, l ARRAY<STRUCT<a: INT, v: VARIANT>>, " +
	"m MAP<STRING, MAP<INT, ARRAY<BOOLEAN>>>, k MAP<DECIMAL(5,2), INT>, f MAP<DOUBLE, DATE>, n MAP<BINARY, INT>, " +
	"o MAP<BOOLEAN, MAP<FLOAT, STRING>>, v VARIANT, ll ARRAY<ARRAY<VARCHAR(3)>>"

// checkJSON compares one record. The decoder may have seen others.
func checkJSON(t tester, d Decoder, table *schema.Struct, record []byte) bool {
	c := chunkOf(t, table)
	want, wantErr := jsonOracle(table, record)
	if wantErr != nil {
		err := refusedNested(t, d, c, record)
		if len(err.Error()) > 500 || err.Line < 1 || err.Column < 1 || err.Column > len(record)+1 {
			t.Fatalf("record %q: %v", record, err)
		}
		return false
	}
	if err := d.Decode(c, record); err != nil {
		t.Fatalf("record %q: %v, expected %v", record, err, want)
	}
	if diff := cmp.Diff(want, anyRow(t, c, table, 0)); diff != "" {
		t.Fatalf("record %q: %s", record, diff)
	}
	return true
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"b":true,"t":-128,"s":1,"i":2,"l":9223372036854775807,"d":20000,"ts":1732312096123456}`,
		`{"f":1.5,"dd":-0.1e-5,"str":"a\n\u00e9\ud83c\udf0d","vc":"äöü","bin":"AP8=","dec":"12.34","big":1e27}`,
		`{"q\"ü":1,"b":null}`, ` { "i" : 1 , "str":"ü" } `, `{"i":1,"i":2}`, `{"nope":[{},[1]]}`, `{"i":1.0}`, `{"dec":1e999}`,
		`{"str":"long enough for the fast way \\ and on"}`, `{"dd":123456789012345678901234567890.5}`, `{"f":16777217}`,
	} {
		f.Add([]byte(s))
	}
	table := tableOf(f, jsonDiffColumns)
	f.Fuzz(func(t *testing.T, record []byte) {
		d := jsonOf(t, table)
		checkJSON(t, d, table, record)
		checkJSON(t, d, table, record) // now in the order that the decoder has learnt
	})
}

func FuzzJSONNested(f *testing.F) {
	for _, s := range []string{
		`{"i":1,"s":{"a":1,"b":{"c":"x","d":[1,null]}},"l":[{"a":1,"v":"{\"b\":[1.5]}"},null,{}],"ll":[["abc"],[],null]}`,
		`{"m":{"k":{"1":[true],"2":null},"l":{}},"k":{"1.5":1,"1.50":2},"f":{"0":1,"1e2":2},"n":{"AP8=":1},"o":{"true":{"0.5":"x"}}}`,
		`{"v":"[1,2]"}`, `{"v":[1,2]}`, `{"v":"null","s":null}`, `{"s":{"b":{}}}`, `{"s":{"a":1,"a":2}}`, `{"m":{"a":{},"a":{}}}`,
		`{"m":{"a":{"1":[],"2":[],"3":[],"4":[],"5":[],"6":[],"7":[],"8":[],"9":[],"10":[],"11":[],"12":[],"3":[]}}}`,
		`{"f":{"-0":1}}`, `{"f":{"-0e1":1}}`, `{"o":{"false":{"1e-99":"x","-1e-99":"y"}}}`, ` { "l" : [ { "a" : 1 } , { } ] } `,
	} {
		f.Add([]byte(s))
	}
	table := tableOf(f, nestedDiffColumns)
	f.Fuzz(func(t *testing.T, record []byte) {
		d := jsonOf(t, table)
		checkJSON(t, d, table, record)
		checkJSON(t, d, table, record) // now in the order that the decoder has learnt
	})
}

// TestJSONAgreesWithJSONText composes records of tokens that are nearly right.
func TestJSONAgreesWithJSONText(t *testing.T) {
	table := tableOf(t, jsonDiffColumns)
	keys := []string{
		`"b"`, `"t"`, `"s"`, `"i"`, `"l"`, `"d"`, `"ts"`, `"f"`, `"dd"`, `"str"`, `"vc"`, `"bin"`, `"dec"`, `"big"`,
		`"q\"ü"`, `"q\u0022\u00fc"`, `"\u0069"`, `"I"`, `"x"`,
	}
	values := []string{
		"true", "false", "null", "0", "-0", "1", "-1", "127", "128", "-129", "32768", "2147483648",
		"9223372036854775807", "9223372036854775808", "-9223372036854775808", "99999999999999999999", "1.0", "1.5", "1e3", "1E-2",
		"1e400", "1e-400", "3.5e38", "3.4028235677973366e38", "3.4028235677973365e38", "0.1", "1234567890123456789e-5", "01", "1.", "-", "+1", "NaN",
		`""`, `"x"`, `"äöü"`, `"four"`, `"\u00e4\n"`, `"\ud83c\udf0d"`, `"\ud83c"`, `"\udf0d"`, `"AP8="`, `"AP8"`, `"AP8=\n"`,
		`"12.34"`, `"999.99"`, `"1000"`, `".5"`, `"+5."`, `"1e-2"`, "\"\xff\"", "\"\x01\"", "\"unfinished", "[]", "{}", "[1,{}]", "nul", "truee",
	}
	d := jsonOf(t, table)
	var taken, refusals int
	one := func(rt *rapid.T) {
		space := func() string { return rapid.SampledFrom([]string{"", "", "", " ", "\n\t", "\r"}).Draw(rt, "space") }
		var s strings.Builder
		s.WriteString(space() + "{")
		n := rapid.IntRange(0, 3).Draw(rt, "members")
		for i := range n {
			k := rapid.IntRange(0, len(keys)-1).Draw(rt, "key")
			s.WriteString(space() + keys[k] + space() + ":" + space())
			switch rapid.IntRange(0, 3).Draw(rt, "from") {
			case 0:
				s.WriteString(rapid.SampledFrom(values).Draw(rt, "value"))
			case 1:
				s.WriteString(strconv.FormatFloat(rapid.Float64().Draw(rt, "float"), 'g', rapid.IntRange(-1, 25).Draw(rt, "digits"), 64))
			case 2:
				s.WriteString(strconv.FormatFloat(float64(rapid.Float32().Draw(rt, "float"))*(1+1e-8), 'e', 20, 64))
			case 3:
				s.WriteString(strconv.Quote(rapid.String().Draw(rt, "text"))) // Go's escapes are not all JSON's
			}
			s.WriteString(space())
			if i < n-1 || rapid.IntRange(0, 20).Draw(rt, "comma") == 0 {
				s.WriteString(",")
			}
		}
		s.WriteString(space() + "}" + space())
		record := []byte(s.String())
		if rapid.IntRange(0, 9).Draw(rt, "damage") == 0 {
			record[rapid.IntRange(0, len(record)-1).Draw(rt, "at")] ^= byte(1 << rapid.IntRange(0, 7).Draw(rt, "bit"))
			record = record[:rapid.IntRange(0, len(record)).Draw(rt, "cut")]
		}
		if checkJSON(rt, d, table, record) {
			taken++
		} else {
			refusals++
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		for range 15 {
			one(rt)
		}
	})
	if taken == 0 || refusals == 0 {
		t.Errorf("%d records accepted, %d refused: the test sees one side only", taken, refusals)
	}
}

func TestJSONFloatsAreTheNearest(t *testing.T) {
	table := tableOf(t, "f FLOAT, d DOUBLE")
	dec, c := jsonOf(t, table), chunkOf(t, table)
	one := func(rt *rapid.T) {
		text := fmt.Sprintf("%d.%0*de%d", rapid.Int64().Draw(rt, "whole"), rapid.IntRange(1, 20).Draw(rt, "width"),
			rapid.Uint32().Draw(rt, "fraction"), rapid.IntRange(-60, 15).Draw(rt, "exponent"))
		if bits := rapid.IntRange(0, 62).Draw(rt, "bits"); bits > 0 {
			whole := int64(1)<<bits + rapid.Int64Range(-9, 9).Draw(rt, "whole near a power of two")
			text = fmt.Sprintf("%de%d", whole, rapid.IntRange(-45, 12).Draw(rt, "small exponent"))
		}
		c.Reset()
		accepted(rt, dec, c, []byte(`{"f":`+text+`,"d":`+text+`}`))
		f, _ := strconv.ParseFloat(text, 32)
		d, _ := strconv.ParseFloat(text, 64)
		if math.Float32bits(c.Cols[0].F32[0]) != math.Float32bits(float32(f)) || math.Float64bits(c.Cols[1].F64[0]) != math.Float64bits(d) {
			rt.Errorf("%s: %v and %v, want %v and %v", text, c.Cols[0].F32[0], c.Cols[1].F64[0], float32(f), d)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		for range 100 {
			one(rt)
		}
	})
}
