package decode

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zerobus-go/zerobus/schema"
)

func TestJSONAccepts(t *testing.T) {
	long := strings.Repeat("long text ", 20)
	tests := []struct {
		typ, value string
		want       any
	}{
		{"BOOLEAN", "true", true},
		{"BOOLEAN", "false", false},
		{"BOOLEAN", "null", nil},
		{"TINYINT", "-128", int64(-128)},
		{"TINYINT", "127", int64(127)},
		{"SMALLINT", "-32768", int64(-32768)},
		{"SMALLINT", "32767", int64(32767)},
		{"INT", "-2147483648", int64(math.MinInt32)},
		{"INT", "2147483647", int64(math.MaxInt32)},
		{"INT", "-0", int64(0)},
		{"BIGINT", "-9223372036854775808", int64(math.MinInt64)},
		{"BIGINT", "9223372036854775807", int64(math.MaxInt64)},
		{"BIGINT", "9007199254740993", int64(1<<53 + 1)},
		{"DATE", "-719162", int64(-719162)},
		{"TIMESTAMP", "1732312096123456", int64(1732312096123456)},
		{"TIMESTAMP_NTZ", "-1", int64(-1)},
		{"FLOAT", "0.1", float32(0.1)},
		{"FLOAT", "16777217", float32(16777216)},
		{"FLOAT", "3.4028234663852886e38", float32(math.MaxFloat32)},
		{"FLOAT", "1e-46", float32(0)},
		{"FLOAT", "1.00000017881393432617187499", math.Float32frombits(0x3f800001)}, // rounding a double would give the next
		{"DOUBLE", "0", 0.0},
		{"DOUBLE", "-1.5E+3", -1500.0},
		{"DOUBLE", "0.3", 0.3},
		{"DOUBLE", "123456789012345678901234567890", 123456789012345678901234567890.0},
		{"DOUBLE", "8.98846567431158e307", 8.98846567431158e307},
		{"DOUBLE", "2.2250738585072011e-308", 2.2250738585072011e-308},
		{"DOUBLE", "4.9406564584124654e-324", 5e-324},
		{"DOUBLE", "9007199254740993", 9007199254740992.0},
		{"DOUBLE", "1e22", 1e22},
		{"DOUBLE", "1e23", 1e23},
		{"STRING", `""`, ""},
		{"STRING", `"Grüße, 世界 🌍"`, "Grüße, 世界 🌍"},
		{"STRING", `"\"\\\/\b\f\n\r\t\u0000\u00e9\u4e16\uD83C\uDF0d"`, "\"\\/\b\f\n\r\t\x00é世🌍"},
		{"STRING", `"` + long + `\n` + long + `"`, long + "\n" + long},
		{"STRING", `"` + "\x7f" + `"`, "\x7f"},
		{"STRING", `"2024"`, "2024"},
		{"VARCHAR(3)", `"äöü"`, "äöü"},
		{"VARCHAR(3)", `"\u00e4öü"`, "äöü"},
		{"CHAR(3)", `"ab"`, "ab"},
		{"BINARY", `""`, ""},
		{"BINARY", `"AP8="`, "\x00\xff"},
		{"BINARY", `"\/\/8="`, "\xff\xff"},
		{"BINARY", `"+/+/"`, "\xfb\xff\xbf"},
		{"DECIMAL(10,2)", `"12.34"`, "1234"},
		{"DECIMAL(10,2)", `-12.34`, "-1234"},
		{"DECIMAL(10,2)", `"+5"`, "500"},
		{"DECIMAL(10,2)", `1e3`, "100000"},
		{"DECIMAL(10,2)", `"1E-2"`, "1"},
		{"DECIMAL(10,2)", `1.5000`, "150"},
		{"DECIMAL(10,2)", `"12345678.90"`, "1234567890"},
		{"DECIMAL(10,2)", `"\u0031"`, "100"},
		{"DECIMAL(3,0)", `"0e999999999999999999999"`, "0"},
		{"DECIMAL(38,0)", "99999999999999999999999999999999999999", strings.Repeat("9", 38)},
		{"DECIMAL(38,38)", "-0.99999999999999999999999999999999999999", "-" + strings.Repeat("9", 38)},
	}
	for _, tt := range tests {
		t.Run(tt.typ+" "+clip(tt.value), func(t *testing.T) {
			table := tableOf(t, "x "+tt.typ)
			got := accepted(t, jsonOf(t, table), chunkOf(t, table), []byte(`{"x":`+tt.value+`}`))
			if diff := cmp.Diff([]any{tt.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJSONKeepsTheSignOfZero(t *testing.T) {
	table := tableOf(t, "f FLOAT, d DOUBLE")
	c := chunkOf(t, table)
	accepted(t, jsonOf(t, table), c, []byte(`{"f":-0,"d":-0.0e5}`))
	if !math.Signbit(float64(c.Cols[0].F32[0])) || !math.Signbit(c.Cols[1].F64[0]) {
		t.Error("minus is lost")
	}
}

func TestJSONShapes(t *testing.T) {
	table := tableOf(t, "a INT, b STRING, `q\"\\` INT, `grün` INT")
	tests := []struct {
		record string
		want   []any
	}{
		{`{}`, []any{nil, nil, nil, nil}},
		{" \t\r\n{ \n } \n", []any{nil, nil, nil, nil}},
		{`{"a":1,"b":"x"}`, []any{int64(1), "x", nil, nil}},
		{`{"b":"x","a":1}`, []any{int64(1), "x", nil, nil}},
		{` { "b" : "x" , "a" : 1 } `, []any{int64(1), "x", nil, nil}},
		{`{"\u0061":1}`, []any{int64(1), nil, nil, nil}},
		{`{"q\"\\":1}`, []any{nil, nil, int64(1), nil}},
		{`{"q\u0022\\":1,"b":null}`, []any{nil, nil, int64(1), nil}},
		{`{"grün":7}`, []any{nil, nil, nil, int64(7)}},
		{`{"gr\u00fcn":7}`, []any{nil, nil, nil, int64(7)}},
		{`{"a":null,"b":null}`, []any{nil, nil, nil, nil}},
	}
	// Every record after every other: the guess from the last record's order must not change the result.
	d, c := jsonOf(t, table), chunkOf(t, table)
	for _, before := range tests {
		for _, tt := range tests {
			accepted(t, d, c, []byte(before.record))
			if diff := cmp.Diff(tt.want, accepted(t, d, c, []byte(tt.record))); diff != "" {
				t.Errorf("%s after %s: %s", tt.record, before.record, diff)
			}
		}
	}
}

func TestJSONRefuses(t *testing.T) {
	tests := []struct {
		columns, record, want string
	}{
		// Keys.
		{"a INT", `{"a":1,"ip":2}`, "unrecognized field name 'ip' at line 1 column 8"},
		{"a INT", "{\n  \"a\": 1,\n  \"ip\": 2}", "unrecognized field name 'ip' at line 3 column 3"},
		{"a INT", `{"A":1}`, "unrecognized field name 'A' at line 1 column 2"},
		{"a INT", `{"":1}`, "unrecognized field name '' at line 1 column 2"},
		{"a INT", `{"a\u0007":1}`, `unrecognized field name 'a\a' at line 1 column 2`},
		{"a INT", `{"` + strings.Repeat("ü", 60) + `":1}`, "unrecognized field name '" + strings.Repeat("ü", 32) + "…' at line 1 column 2"},
		{"a INT", `{"a":1,"a":1}`, "duplicate field 'a' at line 1 column 8"},
		{"a INT", `{"a":null, "\u0061":1}`, "duplicate field 'a' at line 1 column 12"},
		{"a INT", `{a:1}`, "key must be a string at line 1 column 2"},
		{"a INT", `{'a':1}`, "key must be a string at line 1 column 2"},
		{"a INT", `{"a`, "EOF while parsing a string at line 1 column 4"},
		{"a INT", "{\"\xff\":1}", "invalid UTF-8 in a string at line 1 column 3"},
		// The object.
		{"a INT", ``, "EOF while parsing a value at line 1 column 1"},
		{"a INT", " \n ", "EOF while parsing a value at line 2 column 2"},
		{"a INT", `[1]`, "invalid type: array, expected an object at line 1 column 1"},
		{"a INT", ` "a"`, "invalid type: string, expected an object at line 1 column 2"},
		{"a INT", `7`, "invalid type: integer `7`, expected an object at line 1 column 1"},
		{"a INT", `null`, "invalid type: null, expected an object at line 1 column 1"},
		{"a INT", "\xef\xbb\xbf{}", "expected value at line 1 column 1"},
		{"a INT", `{`, "EOF while parsing an object at line 1 column 2"},
		{"a INT", `{"a"`, "EOF while parsing an object at line 1 column 5"},
		{"a INT", `{"a":`, "field a: EOF while parsing a value at line 1 column 6"},
		{"a INT", `{"a":1`, "EOF while parsing an object at line 1 column 7"},
		{"a INT", `{"a":1,`, "EOF while parsing an object at line 1 column 8"},
		{"a INT", `{"a" 1}`, "expected `:` at line 1 column 6"},
		{"a INT", `{"a":1 "b":2}`, "expected `,` or `}` at line 1 column 8"},
		{"a INT", `{"a":1,}`, "trailing comma at line 1 column 8"},
		{"a INT", `{,"a":1}`, "key must be a string at line 1 column 2"},
		{"a INT", `{"a":1}}`, "trailing characters at line 1 column 8"},
		{"a INT", `{"a":1} {"a":2}`, "trailing characters at line 1 column 9"},
		{"a INT", "{\"a\":1}\n\x00", "trailing characters at line 2 column 1"},
		{"a INT", "{\"a\":1,\v}", "key must be a string at line 1 column 8"},
		// Nulls.
		{"a INT NOT NULL", `{"a":null}`, "field a: invalid type: null, the column is INT NOT NULL at line 1 column 6"},
		{"a INT, b STRING NOT NULL", "{\"a\":1\n}", "field b: no value, but the column is STRING NOT NULL at line 2 column 1"},
		{"a INT", `{"a":nul}`, "field a: expected value at line 1 column 6"},
		{"a INT", `{"a":nullx}`, "field a: expected value at line 1 column 6"},
		// Booleans.
		{"a BOOLEAN", `{"a":1}`, "field a: invalid type: integer `1`, expected a boolean at line 1 column 6"},
		{"a BOOLEAN", `{"a":"true"}`, "field a: invalid type: string, expected a boolean at line 1 column 6"},
		{"a BOOLEAN", `{"a":True}`, "field a: expected value at line 1 column 6"},
		{"a BOOLEAN", `{"a":truefalse}`, "field a: expected value at line 1 column 6"},
		// Integers.
		{"temp TINYINT", `{"temp":300}`, "field temp: value 300 is out of range for TINYINT (-128 to 127) at line 1 column 9"},
		{"a TINYINT", `{"a":-129}`, "field a: value -129 is out of range for TINYINT (-128 to 127) at line 1 column 6"},
		{"a SMALLINT", `{"a":32768}`, "field a: value 32768 is out of range for SMALLINT (-32768 to 32767) at line 1 column 6"},
		{"a INT", `{"a":2147483648}`, "field a: value 2147483648 is out of range for INT (-2147483648 to 2147483647) at line 1 column 6"},
		{"a DATE", `{"a":-2147483649}`, "field a: value -2147483649 is out of range for DATE (-2147483648 to 2147483647) at line 1 column 6"},
		{"a BIGINT", `{"a":9223372036854775808}`, "field a: value 9223372036854775808 is out of range for BIGINT (-9223372036854775808 to 9223372036854775807) at line 1 column 6"},
		{"a BIGINT", `{"a":-9223372036854775809}`, "field a: value -9223372036854775809 is out of range for BIGINT (-9223372036854775808 to 9223372036854775807) at line 1 column 6"},
		{"a BIGINT", `{"a":9999999999999999999}`, "field a: value 9999999999999999999 is out of range for BIGINT (-9223372036854775808 to 9223372036854775807) at line 1 column 6"},
		{"a BIGINT", `{"a":-9999999999999999999}`, "field a: value -9999999999999999999 is out of range for BIGINT (-9223372036854775808 to 9223372036854775807) at line 1 column 6"},
		{"a BIGINT", `{"a":18446744073709551617}`, "field a: value 18446744073709551617 is out of range for BIGINT (-9223372036854775808 to 9223372036854775807) at line 1 column 6"},
		{"a INT", `{"a":1` + strings.Repeat("0", 99) + `}`, "field a: value 1" + strings.Repeat("0", 63) + "… is out of range for INT (-2147483648 to 2147483647) at line 1 column 6"},
		{"a INT", `{"a":1.0}`, "field a: invalid type: floating point `1.0`, expected an integer at line 1 column 6"},
		{"a INT", `{"a":1e3}`, "field a: invalid type: floating point `1e3`, expected an integer at line 1 column 6"},
		{"a BIGINT", `{"a":"1"}`, "field a: invalid type: string, expected an integer at line 1 column 6"},
		{"a TIMESTAMP", `{"a":"2024-01-01T00:00:00Z"}`, "field a: invalid type: string, expected an integer, microseconds since 1970-01-01 at line 1 column 6"},
		{"a TIMESTAMP_NTZ", `{"a":1.5}`, "field a: invalid type: floating point `1.5`, expected an integer, microseconds since 1970-01-01 at line 1 column 6"},
		{"a DATE", `{"a":"2024-01-01"}`, "field a: invalid type: string, expected an integer, days since 1970-01-01 at line 1 column 6"},
		{"a INT", `{"a":012}`, "field a: invalid number at line 1 column 6"},
		{"a INT", `{"a":-}`, "field a: invalid number at line 1 column 6"},
		{"a INT", `{"a":-01}`, "field a: invalid number at line 1 column 6"},
		{"a INT", `{"a":12x}`, "field a: invalid number at line 1 column 6"},
		{"a INT", `{"a":0x10}`, "field a: invalid number at line 1 column 6"},
		{"a INT", `{"a":1_000}`, "field a: invalid number at line 1 column 6"},
		{"a INT", `{"a":+1}`, "field a: expected value at line 1 column 6"},
		{"a INT", `{"a":true}`, "field a: invalid type: boolean, expected an integer at line 1 column 6"},
		{"a INT", `{"a":[1]}`, "field a: invalid type: array, expected an integer at line 1 column 6"},
		{"a INT", `{"a":{"b":1}}`, "field a: invalid type: object, expected an integer at line 1 column 6"},
		// Floats.
		{"a DOUBLE", `{"a":1e999}`, "field a: value 1e999 is out of range for DOUBLE at line 1 column 6"},
		{"a DOUBLE", `{"a":-1e309}`, "field a: value -1e309 is out of range for DOUBLE at line 1 column 6"},
		{"a FLOAT", `{"a":3.4028236e38}`, "field a: value 3.4028236e38 is out of range for FLOAT at line 1 column 6"},
		{"a DOUBLE", `{"a":NaN}`, "field a: expected value at line 1 column 6"},
		{"a DOUBLE", `{"a":Infinity}`, "field a: expected value at line 1 column 6"},
		{"a DOUBLE", `{"a":-Infinity}`, "field a: invalid number at line 1 column 6"},
		{"a DOUBLE", `{"a":"NaN"}`, "field a: invalid type: string, expected a number at line 1 column 6"},
		{"a DOUBLE", `{"a":.5}`, "field a: expected value at line 1 column 6"},
		{"a DOUBLE", `{"a":5.}`, "field a: invalid number at line 1 column 6"},
		{"a DOUBLE", `{"a":00.5}`, "field a: invalid number at line 1 column 6"},
		{"a DOUBLE", `{"a":1e}`, "field a: invalid number at line 1 column 6"},
		{"a DOUBLE", `{"a":1e+}`, "field a: invalid number at line 1 column 6"},
		{"a DOUBLE", `{"a":1.5.2}`, "field a: invalid number at line 1 column 6"},
		{"a DOUBLE", `{"a":1e5e5}`, "field a: invalid number at line 1 column 6"},
		{"a FLOAT", `{"a":false}`, "field a: invalid type: boolean, expected a number at line 1 column 6"},
		// Strings.
		{"a STRING", `{"a":1}`, "field a: invalid type: integer `1`, expected a string at line 1 column 6"},
		{"a STRING", `{"a":{}}`, "field a: invalid type: object, expected a string at line 1 column 6"},
		{"a STRING", `{"a":"abc`, "field a: EOF while parsing a string at line 1 column 10"},
		{"a STRING", `{"a":"abc\`, "field a: EOF while parsing a string at line 1 column 11"},
		{"a STRING", `{"a":"abc\u12`, "field a: EOF while parsing a string at line 1 column 14"},
		{"a STRING", `{"a":"abc\x"}`, "field a: invalid escape at line 1 column 10"},
		{"a STRING", `{"a":"\u12g4"}`, "field a: invalid escape at line 1 column 7"},
		{"a STRING", `{"a":"\ud800"}`, "field a: lone leading surrogate in hex escape at line 1 column 7"},
		{"a STRING", `{"a":"x\ud800\u0041"}`, "field a: lone leading surrogate in hex escape at line 1 column 8"},
		{"a STRING", `{"a":"\ud800\ue000"}`, "field a: lone leading surrogate in hex escape at line 1 column 7"},
		{"a STRING", `{"a":"\udc00"}`, "field a: lone trailing surrogate in hex escape at line 1 column 7"},
		{"a STRING", "{\"a\":\"ab\ncd\"}", "field a: control character (\\u0000-\\u001F) found while parsing a string at line 1 column 9"},
		{"a STRING", "{\"a\":\"0123456789\x00\"}", "field a: control character (\\u0000-\\u001F) found while parsing a string at line 1 column 17"},
		{"a STRING", "{\"a\":\"01234567ä\xff\"}", "field a: invalid UTF-8 in a string at line 1 column 17"},
		{"a STRING", "{\"a\":\"\xed\xa0\x80\"}", "field a: invalid UTF-8 in a string at line 1 column 7"},
		{"a STRING", "{\"a\":\"\\n\xc3\\n\"}", "field a: invalid UTF-8 in a string at line 1 column 9"},
		{"a VARCHAR(3)", `{"a":"abcd"}`, "field a: text of 4 characters is longer than VARCHAR(3) at line 1 column 6"},
		{"a CHAR(3)", `{"a":"äöüß"}`, "field a: text of 4 characters is longer than CHAR(3) at line 1 column 6"},
		// Binary.
		{"a BINARY", `{"a":[1,2]}`, "field a: invalid type: array, expected a string, base64 in the standard alphabet with padding at line 1 column 6"},
		{"a BINARY", `{"a":"AP8"}`, "field a: invalid base64, expected a string, base64 in the standard alphabet with padding at line 1 column 6"},
		{"a BINARY", `{"a":"AP9="}`, "field a: invalid base64, expected a string, base64 in the standard alphabet with padding at line 1 column 6"},
		{"a BINARY", `{"a":"__8="}`, "field a: invalid base64, expected a string, base64 in the standard alphabet with padding at line 1 column 6"},
		{"a BINARY", `{"a":"AP8=\n"}`, "field a: invalid base64, expected a string, base64 in the standard alphabet with padding at line 1 column 6"},
		// Decimals.
		{"a DECIMAL(4,2)", `{"a":"100"}`, "field a: value 100 is out of range for DECIMAL(4,2) at line 1 column 6"},
		{"a DECIMAL(4,2)", `{"a":1e999999999999999999999}`, "field a: value 1e999999999999999999999 is out of range for DECIMAL(4,2) at line 1 column 6"},
		{"a DECIMAL(4,2)", `{"a":0.001}`, "field a: value 0.001 has more than 2 digits behind the point for DECIMAL(4,2) at line 1 column 6"},
		{"a DECIMAL(4,2)", `{"a":"1e-3"}`, "field a: value 1e-3 has more than 2 digits behind the point for DECIMAL(4,2) at line 1 column 6"},
		{"a DECIMAL(4,2)", `{"a":""}`, "field a: text is not a decimal number at line 1 column 6"},
		{"a DECIMAL(4,2)", `{"a":"1 "}`, "field a: text is not a decimal number at line 1 column 6"},
		{"a DECIMAL(4,2)", `{"a":"0x1"}`, "field a: text is not a decimal number at line 1 column 6"},
		{"a DECIMAL(4,2)", `{"a":"NaN"}`, "field a: text is not a decimal number at line 1 column 6"},
		{"a DECIMAL(4,2)", `{"a":01}`, "field a: invalid number at line 1 column 6"},
		{"a DECIMAL(4,2)", `{"a":true}`, "field a: invalid type: boolean, expected a decimal number or a string with one at line 1 column 6"},
	}
	for _, tt := range tests {
		t.Run(tt.columns+" "+clip(tt.record), func(t *testing.T) {
			table := tableOf(t, tt.columns)
			got := refused(t, jsonOf(t, table), chunkOf(t, table), []byte(tt.record)).Error()
			if got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.record, got, tt.want)
			}
		})
	}
}

func TestNewRefusesTablesThatChunksCannotHold(t *testing.T) {
	table := tableOf(t, "a INT, b ARRAY<INT>")
	table.Fields[1].Type.Elem.Kind = schema.Invalid
	const want = "column b.element: type invalid cannot be stored yet"
	if _, err := NewJSON(table); err == nil || err.Error() != want {
		t.Errorf("NewJSON: %v", err)
	}
	if _, err := NewProto(table, nil); err == nil || err.Error() != want {
		t.Errorf("NewProto: %v", err)
	}
	table.Fields = nil
	if _, err := NewJSON(table); err == nil {
		t.Error("NewJSON took a table without columns")
	}
}

// TestJSONEveryByteInAString puts every byte at every place of strings around the width of the fast path.
func TestJSONEveryByteInAString(t *testing.T) {
	table := tableOf(t, "a STRING, b STRING")
	d := jsonOf(t, table)
	var taken int
	for c := range 256 {
		for _, n := range []int{1, 7, 8, 9, 17} {
			for at := range n {
				text := []byte("0123456789ACDEGHIJ"[:n])
				text[at] = byte(c)
				record := append(append([]byte(`{"a":"`), text...), `","b":"and some more"}`...)
				if checkJSON(t, d, table, record) {
					taken++
				}
			}
		}
	}
	if want := (128 - 32 - 2) * (1 + 7 + 8 + 9 + 17); taken != want {
		t.Errorf("%d strings were accepted, want %d", taken, want)
	}
}

// learned is the order in which the fields are expected.
func (o *jsonObject) learned() (names []string) {
	for f := o.begin.next; f != nil && len(names) <= len(o.fields); f = f.next {
		names = append(names, f.field)
	}
	return names
}

// TestJSONLearnsTheOrder: the keys of a record are those that the next record is expected to have. A field that is absent once, or
// comes for the first time, does not change what is known of the others.
func TestJSONLearnsTheOrder(t *testing.T) {
	table := tableOf(t, "a INT, b INT, c INT, d INT")
	d, c := jsonOf(t, table), chunkOf(t, table)
	for _, step := range []struct {
		record string
		want   []string
	}{
		{`{"c":1,"a":1,"d":1}`, []string{"c", "a", "d"}},
		{`{"c":1,"d":1}`, []string{"c", "a", "d"}},
		{`{"a":1,"d":1}`, []string{"c", "a", "d"}},
		{`{"c":1,"b":1,"a":1,"d":1}`, []string{"c", "b", "a", "d"}},
		{`{"d":1}`, []string{"d"}},
	} {
		accepted(t, d, c, []byte(step.record))
		if got := d.(*jsonDecoder).root.learned(); !slices.Equal(got, step.want) {
			t.Errorf("after %s the order is %v, want %v", step.record, got, step.want)
		}
	}
}
