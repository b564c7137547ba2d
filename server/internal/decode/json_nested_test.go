package decode

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/variant"
)

// Values of nested columns as the tests write them: a struct is []any, an array list, a map pairs in the order of the record, a
// VARIANT its text.
type (
	list   []any
	pairs  [][2]any
	asJSON string
)

// anyAt is value i of a vector of a type. It checks what holds of every vector on the way.
func anyAt(t tester, v *column.Vector, typ *schema.Type, i int) any {
	t.Helper()
	switch typ.Kind {
	case schema.StructKind, schema.Variant, schema.Array, schema.Map:
	default:
		return cell(t, v, i)
	}
	if v.Layout == column.Struct {
		for k := range v.Kids {
			if v.Kids[k].N != v.N {
				t.Fatalf("field %d has %d values, the struct %d", k, v.Kids[k].N, v.N)
			}
		}
	} else if kids := v.Kids; v.Begun() != kids[0].N || kids[len(kids)-1].N != kids[0].N {
		t.Fatalf("the offsets end at %d, there are %d and %d elements", v.Begun(), kids[0].N, kids[len(kids)-1].N)
	}
	if !v.IsValid(i) {
		for k := range v.Kids {
			if v.Layout == column.Struct && v.Kids[k].IsValid(i) {
				t.Fatalf("the null at %d has a field %d", i, k)
			}
		}
		if v.Layout != column.Struct {
			if from, to := v.Range(i); from != to {
				t.Fatalf("the null at %d has %d elements", i, to-from)
			}
		}
		return nil
	}
	switch typ.Kind {
	case schema.StructKind:
		fields := make([]any, len(typ.Fields))
		for k := range fields {
			fields[k] = anyAt(t, &v.Kids[k], &typ.Fields[k].Type, i)
		}
		return fields
	case schema.Variant:
		text, err := variant.JSON(v.Kids[column.VariantMetadata].BytesAt(i), v.Kids[column.VariantValue].BytesAt(i))
		if err != nil {
			t.Fatal(err)
		}
		return asJSON(text)
	}
	from, to := v.Range(i)
	if typ.Kind == schema.Array {
		l := list{}
		for e := from; e < to; e++ {
			l = append(l, anyAt(t, &v.Kids[0], typ.Elem, e))
		}
		return l
	}
	m := pairs{}
	for e := from; e < to; e++ {
		m = append(m, [2]any{anyAt(t, &v.Kids[0], typ.Key, e), anyAt(t, &v.Kids[1], typ.Elem, e)})
	}
	return m
}

func anyRow(t tester, c *column.Chunk, table *schema.Struct, i int) []any {
	t.Helper()
	row := make([]any, len(c.Cols))
	for k := range c.Cols {
		if c.Cols[k].N != c.Rows {
			t.Fatalf("column %d has %d values, the chunk %d rows", k, c.Cols[k].N, c.Rows)
		}
		row[k] = anyAt(t, &c.Cols[k], &table.Fields[k].Type, i)
	}
	return row
}

// acceptedNested decodes a record.
func acceptedNested(t tester, d Decoder, c *column.Chunk, record []byte) {
	t.Helper()
	n := c.Rows
	if err := d.Decode(c, record); err != nil || c.Rows != n+1 {
		t.Fatalf("record %q: %v; %d rows, %d before", record, err, c.Rows, n)
	}
}

// refusedNested decodes a record that must be refused, checks that the chunk is as before, and returns the refusal.
func refusedNested(t tester, d Decoder, c *column.Chunk, record []byte) *RecordError {
	t.Helper()
	before, rows := c.AppendBinary(nil), c.Rows
	err := d.Decode(c, record)
	var re *RecordError
	if !errors.As(err, &re) {
		t.Fatalf("record %q: %v", record, err)
	}
	if c.Rows != rows || !bytes.Equal(c.AppendBinary(nil), before) {
		t.Fatalf("record %q was refused and left something behind", record)
	}
	return re
}

func TestJSONNested_Accepts(t *testing.T) {
	const address = "STRUCT<street: STRING, zip: INT NOT NULL>"
	many := make(pairs, 1000)
	var members []string
	for i := range many {
		many[i] = [2]any{fmt.Sprint("key", i), int64(i)}
		members = append(members, fmt.Sprintf(`"key%d":%d`, i, i))
	}
	tests := []struct {
		typ, value string
		want       any
	}{
		{address, `{"street":"a","zip":1}`, []any{"a", int64(1)}},
		{address, ` { "zip" : 1 , "street" : null } `, []any{nil, int64(1)}},
		{address, `{"zip":1}`, []any{nil, int64(1)}},
		{address, `{"\u007aip":1}`, []any{nil, int64(1)}},
		{address, `null`, nil},
		{"STRUCT<a: INT>", `{}`, []any{nil}},
		{"STRUCT<a: STRUCT<b: STRUCT<c: INT>>, d: INT>", `{"a":{"b":{"c":1}}}`, []any{[]any{[]any{int64(1)}}, nil}},
		{"STRUCT<a: STRUCT<b: INT NOT NULL>>", `{"a":null}`, []any{nil}},
		{"STRUCT<a: STRUCT<b: INT NOT NULL>>", `{}`, []any{nil}},
		{"STRUCT<a: ARRAY<INT>, m: MAP<STRING, INT>, v: VARIANT>", `{}`, []any{nil, nil, nil}},
		{"ARRAY<INT>", `[]`, list{}},
		{"ARRAY<INT>", ` [ ] `, list{}},
		{"ARRAY<INT>", `[1, null ,3]`, list{int64(1), nil, int64(3)}},
		{"ARRAY<INT>", `null`, nil},
		{"ARRAY<ARRAY<STRING>>", `[["a"],[],null,["b","c\n"]]`, list{list{"a"}, list{}, nil, list{"b", "c\n"}}},
		{"ARRAY<" + address + ">", `[{"zip":1},null,{"street":"x","zip":2}]`, list{[]any{nil, int64(1)}, nil, []any{"x", int64(2)}}},
		{"MAP<STRING, INT>", `{}`, pairs{}},
		{"MAP<STRING, INT>", `{"b":1,"a":null,"":3,"\u00e9":4}`, pairs{{"b", int64(1)}, {"a", nil}, {"", int64(3)}, {"é", int64(4)}}},
		{"MAP<STRING, INT>", `null`, nil},
		{"MAP<STRING, INT>", "{" + strings.Join(members, ",") + "}", many},
		{"MAP<VARCHAR(2), INT>", `{"éé":1}`, pairs{{"éé", int64(1)}}},
		{"MAP<INT, STRING>", `{"-1":"a","20":"b"}`, pairs{{int64(-1), "a"}, {int64(20), "b"}}},
		{"MAP<INT, STRING>", `{"\u0031":"a"}`, pairs{{int64(1), "a"}}},
		{"MAP<BIGINT, STRING>", `{"9223372036854775807":"a"}`, pairs{{int64(9223372036854775807), "a"}}},
		{"MAP<DATE, INT>", `{"20000":1}`, pairs{{int64(20000), int64(1)}}},
		{"MAP<TIMESTAMP, INT>", `{"-1":1}`, pairs{{int64(-1), int64(1)}}},
		{"MAP<BOOLEAN, INT>", `{"true":1,"false":0}`, pairs{{true, int64(1)}, {false, int64(0)}}},
		{"MAP<DECIMAL(5,2), INT>", `{"1.5":1,"-0":2}`, pairs{{"150", int64(1)}, {"0", int64(2)}}},
		{"MAP<DOUBLE, INT>", `{"1.5":1,"0":2,"1e3":3}`, pairs{{1.5, int64(1)}, {0.0, int64(2)}, {1000.0, int64(3)}}},
		{"MAP<FLOAT, INT>", `{"0.1":1}`, pairs{{float32(0.1), int64(1)}}},
		{"MAP<BINARY, INT>", `{"AP8=":1}`, pairs{{"\x00\xff", int64(1)}}},
		{"MAP<STRING, MAP<INT, ARRAY<INT>>>", `{"a":{"1":[1],"2":null},"b":{}}`, pairs{{"a", pairs{{int64(1), list{int64(1)}}, {int64(2), nil}}}, {"b", pairs{}}}},
		{"MAP<STRING, " + address + ">", `{"home":{"zip":1},"work":null}`, pairs{{"home", []any{nil, int64(1)}}, {"work", nil}}},
		{"VARIANT", `"{\"b\":[1,2.50],\"a\":null}"`, asJSON(`{"a":null,"b":[1,2.50]}`)},
		{"VARIANT", `"null"`, asJSON("null")},
		{"VARIANT", `" 1 "`, asJSON("1")},
		{"VARIANT", `"\"text\""`, asJSON(`"text"`)},
		{"VARIANT", `null`, nil},
		{"ARRAY<VARIANT>", `["1",null,"[]"]`, list{asJSON("1"), nil, asJSON("[]")}},
		{"MAP<STRING, VARIANT>", `{"a":"{}"}`, pairs{{"a", asJSON("{}")}}},
		{"STRUCT<`a\"b`: INT, `é`: INT>", `{"é":1,"a\"b":2}`, []any{int64(2), int64(1)}},
	}
	for _, tt := range tests {
		t.Run(tt.typ+" "+clip(tt.value), func(t *testing.T) {
			table := tableOf(t, "x "+tt.typ)
			d, c := jsonOf(t, table), chunkOf(t, table)
			record := []byte(`{"x":` + tt.value + `}`)
			acceptedNested(t, d, c, []byte(`{}`))
			for range 2 { // also in the order that it has learnt
				acceptedNested(t, d, c, record)
			}
			acceptedNested(t, d, c, []byte(`{"x":null}`))
			for i, want := range []any{nil, tt.want, tt.want, nil} {
				if diff := cmp.Diff([]any{want}, anyRow(t, c, table, i)); diff != "" {
					t.Error(i, diff)
				}
			}
		})
	}
}

func TestJSONNested_Refuses(t *testing.T) {
	const address = "a STRUCT<street: VARCHAR(3), zip: TINYINT NOT NULL>"
	const long = "l MAP<INT, STRUCT<b: ARRAY<INT>>>"
	var members, integers []string
	for i := range 100 {
		members = append(members, fmt.Sprintf(`"k%d":1`, i))
		integers = append(integers, fmt.Sprintf(`"%d":1`, i))
	}
	tests := []struct {
		columns, record, want string
	}{
		// STRUCT.
		{address, `{"a":{"zip":300}}`, "field a.zip: value 300 is out of range for TINYINT (-128 to 127) at line 1 column 13"},
		{address, "{\"a\":{\n \"zip\":1,\n \"street\":\"abcd\"}}", "field a.street: text of 4 characters is longer than VARCHAR(3) at line 3 column 11"},
		{address, `{"a":{"Zip":1}}`, "field a: unrecognized field name 'Zip' at line 1 column 7"},
		{address, `{"a":{"zip":1,"zip":1}}`, "field a: duplicate field 'zip' at line 1 column 15"},
		{address, `{"a":{"zip":1,"\u007aip":1}}`, "field a: duplicate field 'zip' at line 1 column 15"},
		{address, `{"a":{"street":null,"street":"x","zip":1}}`, "field a: duplicate field 'street' at line 1 column 21"},
		{address, `{"a":{"zip":1},"a":{"zip":1}}`, "duplicate field 'a' at line 1 column 16"},
		{address, `{"a":null,"a":{"zip":1}}`, "duplicate field 'a' at line 1 column 11"},
		{address, `{"a":{"street":"x"}}`, "field a.zip: no value, but the member is TINYINT NOT NULL at line 1 column 19"},
		{address, `{"a":{}}`, "field a.zip: no value, but the member is TINYINT NOT NULL at line 1 column 7"},
		{address, `{"a":{"zip":null}}`, "field a.zip: invalid type: null, the member is TINYINT NOT NULL at line 1 column 13"},
		{address, `{"a":[]}`, "field a: invalid type: array, expected an object at line 1 column 6"},
		{address, `{"a":"{}"}`, "field a: invalid type: string, expected an object at line 1 column 6"},
		{address, `{"a":`, "field a: EOF while parsing a value at line 1 column 6"},
		{address, `{"a":{`, "field a: EOF while parsing an object at line 1 column 7"},
		{address, `{"a":{"zip":1`, "field a: EOF while parsing an object at line 1 column 14"},
		{address, `{"a":{"zip":1]}`, "field a: expected `,` or `}` at line 1 column 14"},
		{address, `{"a":{"zip":1,}}`, "field a: trailing comma at line 1 column 15"},
		{address, `{"a":{"zip" 1}}`, "field a: expected `:` at line 1 column 13"},
		{address, `{"a":{zip:1}}`, "field a: key must be a string at line 1 column 7"},
		{address, `{"a":{"zip":1}`, "EOF while parsing an object at line 1 column 15"},
		{"a STRUCT<b: INT> NOT NULL", `{}`, "field a: no value, but the column is STRUCT<b: INT> NOT NULL at line 1 column 2"},
		{"a STRUCT<b: INT> NOT NULL", `{"a":null}`, "field a: invalid type: null, the column is STRUCT<b: INT> NOT NULL at line 1 column 6"},
		{"a STRUCT<b: STRUCT<c: STRUCT<d: INT>>>", `{"a":{"b":{"c":{"d":{}}}}}`, "field a.b.c.d: invalid type: object, expected an integer at line 1 column 21"},
		{"a STRUCT<b: STRUCT<c: STRUCT<d: INT>>>", `{"a":{"b":{"c":{"e":1}}}}`, "field a.b.c: unrecognized field name 'e' at line 1 column 17"},
		// ARRAY.
		{"a ARRAY<INT>", `{"a":[1,"2"]}`, "field a.element: invalid type: string, expected an integer at line 1 column 9"},
		{"a ARRAY<INT>", `{"a":{}}`, "field a: invalid type: object, expected an array at line 1 column 6"},
		{"a ARRAY<INT>", `{"a":1}`, "field a: invalid type: integer `1`, expected an array at line 1 column 6"},
		{"a ARRAY<INT>", `{"a":[`, "field a.element: EOF while parsing a value at line 1 column 7"},
		{"a ARRAY<INT>", `{"a":[1`, "field a: EOF while parsing an array at line 1 column 8"},
		{"a ARRAY<INT>", `{"a":[1,`, "field a.element: EOF while parsing a value at line 1 column 9"},
		{"a ARRAY<INT>", `{"a":[1,]}`, "field a: trailing comma at line 1 column 9"},
		{"a ARRAY<INT>", `{"a":[,1]}`, "field a.element: expected value at line 1 column 7"},
		{"a ARRAY<INT>", `{"a":[1 2]}`, "field a: expected `,` or `]` at line 1 column 9"},
		{"a ARRAY<INT>", `{"a":[1}}`, "field a: expected `,` or `]` at line 1 column 8"},
		{"a ARRAY<ARRAY<INT>>", `{"a":[[1],[2.5]]}`, "field a.element.element: invalid type: floating point `2.5`, expected an integer at line 1 column 12"},
		{"a ARRAY<STRUCT<b: INT NOT NULL>>", `{"a":[{"b":1},{}]}`, "field a.element.b: no value, but the member is INT NOT NULL at line 1 column 16"},
		// MAP.
		{"a MAP<STRING, INT>", `{"a":{"k":"v"}}`, "field a.value: invalid type: string, expected an integer at line 1 column 11"},
		{"a MAP<STRING, INT>", `{"a":[]}`, "field a: invalid type: array, expected an object at line 1 column 6"},
		{"a MAP<STRING, INT>", `{"a":{k:1}}`, "field a: key must be a string at line 1 column 7"},
		{"a MAP<STRING, INT>", `{"a":{"\x":1}}`, "field a.key: invalid escape at line 1 column 8"},
		{"a MAP<STRING, INT>", `{"a":{"k" 1}}`, "field a: expected `:` at line 1 column 11"},
		{"a MAP<STRING, INT>", `{"a":{"k":}}`, "field a.value: expected value at line 1 column 11"},
		{"a MAP<STRING, INT>", `{"a":{"k":1`, "field a: EOF while parsing an object at line 1 column 12"},
		{"a MAP<STRING, INT>", `{"a":{"k":1,}}`, "field a: trailing comma at line 1 column 13"},
		{"a MAP<STRING, INT>", `{"a":{"k":1,"k":2}}`, "field a: duplicate key 'k' at line 1 column 13"},
		{"a MAP<STRING, INT>", `{"a":{"k":1,"\u006b":2}}`, "field a: duplicate key 'k' at line 1 column 13"},
		{"a MAP<STRING, INT>", `{"a":{` + strings.Join(members, ",") + `,"k0":1}}`, "field a: duplicate key 'k0' at line 1 column 797"},
		{"a MAP<STRING, INT>", `{"a":{` + strings.Join(members, ",") + `,"k99":1}}`, "field a: duplicate key 'k99' at line 1 column 797"},
		{"a MAP<INT, INT>", `{"a":{` + strings.Join(integers, ",") + `,"50":1}}`, "field a: duplicate key '50' at line 1 column 697"},
		{"a MAP<BIGINT, INT>", `{"a":{` + strings.Join(integers, ",") + `,"8":1}}`, "field a: duplicate key '8' at line 1 column 697"},
		{"a MAP<DOUBLE, INT>", `{"a":{` + strings.Join(integers, ",") + `,"9.0":1}}`, "field a: duplicate key '9.0' at line 1 column 697"},
		{"a MAP<FLOAT, INT>", `{"a":{` + strings.Join(integers, ",") + `,"1e1":1}}`, "field a: duplicate key '1e1' at line 1 column 697"},
		{"a MAP<DECIMAL(9,3), INT>", `{"a":{` + strings.Join(integers, ",") + `,"99.00":1}}`, "field a: duplicate key '99.00' at line 1 column 697"},
		{"a MAP<VARCHAR(2), INT>", `{"a":{"abc":1}}`, "field a.key: text of 3 characters is longer than VARCHAR(2) at line 1 column 7"},
		{"a MAP<TINYINT, INT>", `{"a":{"128":1}}`, "field a.key: value 128 is out of range for TINYINT (-128 to 127) at line 1 column 7"},
		{"a MAP<INT, INT>", `{"a":{"01":1}}`, "field a.key: key '01' is not a plain integer at line 1 column 7"},
		{"a MAP<INT, INT>", `{"a":{"-0":1}}`, "field a.key: key '-0' is not a plain integer at line 1 column 7"},
		{"a MAP<INT, INT>", `{"a":{"":1}}`, "field a.key: key '' is not a plain integer at line 1 column 7"},
		{"a MAP<INT, INT>", `{"a":{" 1":1}}`, "field a.key: key ' 1' is not a plain integer at line 1 column 7"},
		{"a MAP<INT, INT>", `{"a":{"1 ":1}}`, "field a.key: key '1 ' is not a plain integer at line 1 column 7"},
		{"a MAP<INT, INT>", `{"a":{"1":1,"1":2}}`, "field a: duplicate key '1' at line 1 column 13"},
		{"a MAP<DATE, INT>", `{"a":{"2024-01-01":1}}`, "field a.key: key '2024-01-01' is not a plain integer at line 1 column 7"},
		{"a MAP<BOOLEAN, INT>", `{"a":{"True":1}}`, "field a.key: key 'True' is neither true nor false at line 1 column 7"},
		{"a MAP<BOOLEAN, INT>", `{"a":{"true":1,"true":1}}`, "field a: duplicate key 'true' at line 1 column 16"},
		{"a MAP<DECIMAL(3,1), INT>", `{"a":{"1.0":1,"1":1}}`, "field a: duplicate key '1' at line 1 column 15"},
		{"a MAP<DECIMAL(3,1), INT>", `{"a":{"x":1}}`, "field a.key: text is not a decimal number at line 1 column 7"},
		{"a MAP<DOUBLE, INT>", `{"a":{"-0.0":1}}`, "field a.key: key '-0.0' is not a plain number at line 1 column 7"},
		{"a MAP<DOUBLE, INT>", `{"a":{"NaN":1}}`, "field a.key: key 'NaN' is not a plain number at line 1 column 7"},
		{"a MAP<DOUBLE, INT>", `{"a":{"":1}}`, "field a.key: key '' is not a plain number at line 1 column 7"},
		{"a MAP<DOUBLE, INT>", `{"a":{"1e999":1}}`, "field a.key: value 1e999 is out of range for DOUBLE at line 1 column 7"},
		{"a MAP<FLOAT, INT>", `{"a":{"1e39":1}}`, "field a.key: value 1e39 is out of range for FLOAT at line 1 column 7"},
		{"a MAP<BINARY, INT>", `{"a":{"AP8":1}}`, "field a.key: invalid base64, expected a string, base64 in the standard alphabet with padding at line 1 column 7"},
		{long, `{"l":{"1":{"b":[1,true]}}}`, "field l.value.b.element: invalid type: boolean, expected an integer at line 1 column 19"},
		// VARIANT.
		{"v VARIANT", `{"v":{}}`, "field v: invalid type: object, expected a string with JSON text at line 1 column 6"},
		{"v VARIANT", `{"v":1}`, "field v: invalid type: integer `1`, expected a string with JSON text at line 1 column 6"},
		{"v VARIANT", `{"v":[1]}`, "field v: invalid type: array, expected a string with JSON text at line 1 column 6"},
		{"v VARIANT", `{"v":""}`, "field v: the string holds no JSON text: EOF while parsing a value at line 1 column 6"},
		{"v VARIANT", `{"v":"text"}`, "field v: the string holds no JSON text: expected value at line 1 column 6"},
		{"v VARIANT", `{"v":"1 2"}`, "field v: the string holds no JSON text: trailing characters at line 1 column 6"},
		{"v VARIANT", `{"v":"{\"a\":1,\"a\":2}"}`, "field v: the string holds no JSON text: duplicate key 'a' at line 1 column 6"},
		{"v VARIANT", `{"v":"\ud800"}`, "field v: lone leading surrogate in hex escape at line 1 column 7"},
		{"v VARIANT", `{"v":"[`, "field v: EOF while parsing a string at line 1 column 8"},
		{"v VARIANT NOT NULL", `{"v":null}`, "field v: invalid type: null, the column is VARIANT NOT NULL at line 1 column 6"},
		{"v ARRAY<VARIANT>", `{"v":["1","x"]}`, "field v.element: the string holds no JSON text: expected value at line 1 column 11"},
	}
	for _, tt := range tests {
		t.Run(tt.columns+" "+clip(tt.record), func(t *testing.T) {
			table := tableOf(t, "pad INT, "+tt.columns)
			d, c := jsonOf(t, table), chunkOf(t, table)
			for range 3 {
				got := refusedNested(t, d, c, []byte(tt.record)).Error()
				if got != tt.want {
					t.Errorf("%s\n got %s\nwant %s", tt.record, got, tt.want)
				}
				if table.Fields[1].Nullable {
					acceptedNested(t, d, c, []byte(`{"pad":1}`))
				}
			}
		})
	}
}

// TestJSONNested_NullsInside: the types of a table may say that elements are never null, which DDL cannot.
func TestJSONNested_NullsInside(t *testing.T) {
	for typ, tt := range map[string]struct{ record, want string }{
		"ARRAY<INT>":       {`{"a":[1,null]}`, "field a.element: invalid type: null, the element is INT NOT NULL at line 1 column 9"},
		"MAP<STRING, INT>": {`{"a":{"k":null}}`, "field a.value: invalid type: null, the value is INT NOT NULL at line 1 column 11"},
	} {
		table := tableOf(t, "a "+typ)
		table.Fields[0].Type.ElemNullable = false
		if got := refusedNested(t, jsonOf(t, table), chunkOf(t, table), []byte(tt.record)).Error(); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}

func TestNewJSON_RefusesKeysWithoutText(t *testing.T) {
	for typ, want := range map[string]string{
		"MAP<STRUCT<a: INT>, INT>":        "column m.key: JSON has no text for keys of type struct<a:int>, only for scalars",
		"ARRAY<MAP<ARRAY<INT>, INT>>":     "column m.element.key: JSON has no text for keys of type array<int>, only for scalars",
		"STRUCT<m: MAP<VARIANT, INT>>":    "column m.m.key: JSON has no text for keys of type variant, only for scalars",
		"MAP<INT, MAP<MAP<INT,INT>,INT>>": "column m.value.key: JSON has no text for keys of type map<int,int>, only for scalars",
	} {
		if _, err := NewJSON(tableOf(t, "m "+typ)); err == nil || err.Error() != want {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

// TestJSONNested_Depth: the deepest type that there is, and its value.
func TestJSONNested_Depth(t *testing.T) {
	types, value := "INT", "1"
	for i := range schema.MaxDepth {
		switch i % 3 {
		case 0:
			types, value = "ARRAY<"+types+">", "["+value+"]"
		case 1:
			types, value = "STRUCT<s: "+types+">", `{"s":`+value+"}"
		case 2:
			types, value = "MAP<STRING, "+types+">", `{"k":`+value+"}"
		}
	}
	table := tableOf(t, "a "+types)
	d, c := jsonOf(t, table), chunkOf(t, table)
	acceptedNested(t, d, c, []byte(`{"a":`+value+`}`))
	refusedNested(t, d, c, []byte(`{"a":`+strings.Replace(value, "1", "x", 1)+`}`))
	refusedNested(t, d, c, []byte(`{"a":`+strings.Replace(value, "1", "[1]", 1)+`}`))
	acceptedNested(t, d, c, []byte(`{"a":`+value+`}`))
	if one, two := anyRow(t, c, table, 0), anyRow(t, c, table, 1); !reflect.DeepEqual(one, two) { // cmp takes time exponential in the depth
		t.Errorf("%v became %v", one, two)
	}
}

// TestJSONNested_LearnsTheOrder: each struct has its own.
func TestJSONNested_LearnsTheOrder(t *testing.T) {
	table := tableOf(t, "a STRUCT<x: INT, y: INT, z: INT>, b STRUCT<x: INT, y: INT>")
	d, c := jsonOf(t, table), chunkOf(t, table)
	acceptedNested(t, d, c, []byte(`{"b":{"y":1,"x":2},"a":{"z":1,"x":1}}`))
	root := d.(*jsonDecoder).root
	for _, o := range []struct {
		name string
		got  []string
		want []string
	}{
		{"the record", root.learned(), []string{"b", "a"}},
		{"a", root.fields[0].object.learned(), []string{"z", "x"}},
		{"b", root.fields[1].object.learned(), []string{"y", "x"}},
	} {
		if !slices.Equal(o.got, o.want) {
			t.Errorf("the fields of %s are expected in the order %v, not %v", o.name, o.got, o.want)
		}
	}
}

// TestJSONNested_Bounds: what a small record can make large is refused.
func TestJSONNested_Bounds(t *testing.T) {
	table := tableOf(t, "a ARRAY<STRUCT<b: STRUCT<c: INT, d: ARRAY<STRUCT<e: INT>>>, v: VARIANT>>, m MAP<STRING, VARIANT>")
	d, c := jsonOf(t, table), chunkOf(t, table)
	for _, tt := range []struct {
		record, field string
		cells         int // that the record takes but for the last element
	}{
		{`{"a":[{},null,{"b":null}]}`, "a.element", 2 * 6},
		{`{"a":[{"b":{"d":[{},null]}}]}`, "a.element.b.d.element", 6 + 1},
		{`{"m":{"a":"1","b":"2"}}`, "m.value", 2},
	} {
		c.Reset()
		c.Nest(column.MaxNested - tt.cells)
		err := refusedNested(t, d, c, []byte(tt.record))
		if err.Field != tt.field || err.Reason != tooMany {
			t.Errorf("%s refused: %v", tt.record, err)
		}
		c.Reset()
		c.Nest(column.MaxNested - tt.cells - 6)
		acceptedNested(t, d, c, []byte(tt.record))
	}

	// Fields that begin late: 24 decimals, each with 200,000 nulls before its first value.
	var fields, members []string
	for i := range 24 {
		fields = append(fields, fmt.Sprintf("f%d: DECIMAL(38,0)", i))
		members = append(members, fmt.Sprintf(`"f%d":1`, i))
	}
	table = tableOf(t, "a ARRAY<STRUCT<"+strings.Join(fields, ", ")+">>")
	d, c = jsonOf(t, table), chunkOf(t, table)
	err := refusedNested(t, d, c, []byte(`{"a":[`+strings.Repeat("null,", 200_000)+"{"+strings.Join(members, ",")+`}]}`))
	if err.Reason != tooLate || err.Field != "a.element.f20" {
		t.Errorf("refused: %v", err)
	}

	// So do the two parts of a VARIANT.
	table = tableOf(t, "a STRUCT<v: VARIANT, w: VARIANT>")
	d, c = jsonOf(t, table), chunkOf(t, table)
	const rows = 4_000_000
	for range rows {
		c.Cols[0].AppendNull()
	}
	c.Rows = rows
	if err := refusedNested(t, d, c, []byte(`{"a":{"v":"1","w":"2"}}`)); err.Reason != tooLate || err.Field != "a.w" {
		t.Errorf("refused: %v", err)
	}
	acceptedNested(t, d, c, []byte(`{"a":null}`))
}

// TestJSONNested_BoundsBytes: once the fields of a struct have a value, every empty one after it takes the room of all fields.
func TestJSONNested_BoundsBytes(t *testing.T) {
	var fields, members []string
	for i := range 1000 {
		fields = append(fields, fmt.Sprintf("f%d: DECIMAL(38,0)", i))
		members = append(members, fmt.Sprintf(`"f%d":1`, i))
	}
	full := "{" + strings.Join(members, ",") + "}"
	table := tableOf(t, "n INT, a ARRAY<STRUCT<"+strings.Join(fields, ", ")+">>, m MAP<INT, STRUCT<"+strings.Join(fields, ", ")+">>")
	var entries strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&entries, `,"%d":{}`, i)
	}
	for record, path := range map[string]string{
		`{"n":1,"a":[` + full + strings.Repeat(",{}", 20_000) + `]}`: "a.element",
		`{"n":1,"m":{"-1":` + full + entries.String() + `}}`:         "m.value",
	} {
		d, c := jsonOf(t, table), chunkOf(t, table)
		acceptedNested(t, d, c, []byte(`{"n":1}`))
		if err := refusedNested(t, d, c, []byte(record)); err.Field != path || err.Reason != tooLarge {
			t.Errorf("refused: %v", err)
		}
		acceptedNested(t, d, c, []byte(`{"n":2}`))
	}
}

// TestJSONNested_ManyKeys: a map of many keys takes time in proportion, and its memory is let go.
func TestJSONNested_ManyKeys(t *testing.T) {
	table := tableOf(t, "s MAP<STRING, INT>, i MAP<INT, INT>")
	d, c := jsonOf(t, table), chunkOf(t, table)
	var b strings.Builder
	const n = 50_000
	for i := range n {
		fmt.Fprintf(&b, `"%d":1,`, i)
	}
	for i, name := range []string{"s", "i"} {
		acceptedNested(t, d, c, []byte(`{"`+name+`":{`+strings.TrimSuffix(b.String(), ",")+`}}`))
		p := &d.(*jsonDecoder).root.fields[i]
		if from, to := c.Cols[i].Range(i); to-from != n || p.keys.table != nil {
			t.Errorf("%d entries, memory for %d is kept", to-from, cap(p.keys.table))
		}
		if err := refusedNested(t, d, c, []byte(`{"`+name+`":{`+b.String()+`"77":1}}`)); err.Reason != "duplicate key '77'" {
			t.Errorf("refused: %v", err)
		}
	}
}

const nestedColumns = "id BIGINT NOT NULL, who STRUCT<name: STRING, address: STRUCT<city: STRING, zip: INT>>, " +
	"tags ARRAY<STRING>, points ARRAY<STRUCT<x: DOUBLE, y: DOUBLE>>, counts MAP<STRING, BIGINT>, payload VARIANT"

func nestedRecords() (records [][]byte) {
	for r := range 256 {
		records = append(records, fmt.Appendf(nil, `{"id":%d,"who":{"name":"Ada %d","address":{"city":"London","zip":%d}},`+
			`"tags":["red","green","blue %d"],"points":[{"x":1.5,"y":%d.25},{"x":-2,"y":0}],"counts":{"clicks":%d,"views":2,"errors":0},`+
			`"payload":"{\"kind\":\"page\",\"n\":%d,\"ok\":true}"}`, r, r, r, r, r, r, r))
	}
	return records
}

func TestJSONNested_DoesNotAllocate(t *testing.T) {
	table := tableOf(t, nestedColumns)
	noAllocs(t, jsonOf(t, table), chunkOf(t, table), nestedRecords())

	table = tableOf(t, "m MAP<STRING, ARRAY<MAP<INT, DECIMAL(9,2)>>>, b MAP<BINARY, FLOAT>, d MAP<DOUBLE, STRUCT<v: VARIANT, l: ARRAY<INT>>>")
	var long []string
	for i := range 100 {
		long = append(long, fmt.Sprintf(`"key\u0020%d":[{"%d":1.5},null,{}]`, i, i))
	}
	noAllocs(t, jsonOf(t, table), chunkOf(t, table), [][]byte{
		[]byte(`{"m":{` + strings.Join(long, ",") + `},"b":{"AP8=":1}}`), []byte(`{"d":{"1.5":{"v":"[1,{\"\\u0061\":2}]"},"2":null,"3":{"l":[1,null]}}}`), []byte(`{}`),
	})
}

func BenchmarkDecodeNested(b *testing.B) {
	table := tableOf(b, nestedColumns)
	d, c, records := jsonOf(b, table), chunkOf(b, table), nestedRecords()
	size := len(bytes.Join(records, nil))
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		c.Reset()
		for _, r := range records {
			if err := d.Decode(c, r); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(records))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrec/s")
	b.ReportMetric(float64(size)/float64(len(records)), "B/rec")
}
