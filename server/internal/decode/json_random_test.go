package decode

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// drawType draws a type of up to so many levels.
func drawType(rt *rapid.T, levels int) schema.Type {
	kind := rapid.IntRange(0, 6).Draw(rt, "nested")
	if levels == 0 {
		kind = 0
	}
	switch kind {
	case 1:
		return schema.Type{Kind: schema.Variant}
	case 2, 3:
		typ := schema.Type{Kind: schema.StructKind}
		for i := range rapid.IntRange(1, 4).Draw(rt, "fields") {
			name := rapid.SampledFrom([]string{"f", "é", `q"`, `b\`}).Draw(rt, "name") + strconv.Itoa(i)
			typ.Fields = append(typ.Fields, schema.Field{Name: name, Type: drawType(rt, levels-1), Nullable: rapid.IntRange(0, 3).Draw(rt, "nullable") > 0})
		}
		return typ
	case 4, 5, 6:
		elem := drawType(rt, levels-1)
		typ := schema.Type{Kind: schema.Array, Elem: &elem, ElemNullable: rapid.Bool().Draw(rt, "null elements")}
		if kind == 6 {
			key := drawType(rt, 0)
			typ.Kind, typ.Key = schema.Map, &key
		}
		return typ
	}
	return drawTable(rt).Fields[0].Type
}

// drawAny draws a value of a type as anyAt gives it.
func drawAny(rt *rapid.T, typ *schema.Type, nullable bool) any {
	if nullable && rapid.IntRange(0, 4).Draw(rt, "null") == 0 {
		return nil
	}
	size := func() int {
		return rapid.SampledFrom([]int{0, 1, 2, 3, 15}).Draw(rt, "size")
	}
	switch typ.Kind {
	case schema.StructKind:
		fields := make([]any, len(typ.Fields))
		for i := range fields {
			fields[i] = drawAny(rt, &typ.Fields[i].Type, typ.Fields[i].Nullable)
		}
		return fields
	case schema.Array:
		l := list{}
		for range size() {
			l = append(l, drawAny(rt, typ.Elem, typ.ElemNullable))
		}
		return l
	case schema.Map:
		m := pairs{}
		seen := map[any]bool{}
		for range size() {
			k := drawCell(rt, typ.Key)
			if !seen[k] && !negativeZero(k) {
				m = append(m, [2]any{k, drawAny(rt, typ.Elem, typ.ElemNullable)})
			}
			seen[k] = true
		}
		return m
	case schema.Variant:
		return asJSON(rapid.SampledFrom([]string{`null`, `"é\u000a"`, `[1,2.50,{"a":-1e+00}]`, `{"a":{"b":[]},"b":300}`}).Draw(rt, "variant"))
	}
	return drawCell(rt, typ)
}

func negativeZero(x any) bool {
	switch x := x.(type) {
	case float64:
		return x == 0 && math.Signbit(x)
	case float32:
		return x == 0 && math.Signbit(float64(x))
	}
	return false
}

// nestedWriter writes values as JSON, in any order and with white space, and spoils one of them if it shall.
type nestedWriter struct {
	rt      *rapid.T
	spoilAt int // the value to spoil, counted down; negative: none
}

func (w *nestedWriter) space() string {
	return rapid.SampledFrom([]string{"", "", "", "", " ", "\n\t"}).Draw(w.rt, "space")
}

// quoted writes a string, at times with escapes where none are needed.
func (w *nestedWriter) quoted(s string) string {
	if rapid.IntRange(0, 9).Draw(w.rt, "escape") == 0 {
		return escaped(s)
	}
	b, _ := json.Marshal(s)
	return string(b)
}

// escaped is a string of nothing but escapes.
func escaped(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if r > 0xffff {
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func (w *nestedWriter) value(typ *schema.Type, x any) string {
	w.spoilAt--
	if w.spoilAt == 0 {
		return rapid.SampledFrom([]string{"nul", "truth", `"\x"`, "01", `[[],]`, `{"a":`, `[}`}).Draw(w.rt, "spoiled")
	}
	switch x := x.(type) {
	case asJSON:
		return w.quoted(string(x))
	case []any:
		return w.fields(typ.Fields, x)
	case list:
		var parts []string
		for i := range x {
			parts = append(parts, w.space()+w.value(typ.Elem, x[i])+w.space())
		}
		return "[" + strings.Join(parts, ",") + "]"
	case pairs:
		var parts []string
		for i := range x {
			parts = append(parts, w.space()+w.quoted(keyText(typ.Key, x[i][0]))+w.space()+":"+w.space()+w.value(typ.Elem, x[i][1])+w.space())
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return jsonText(typ, x)
}

// keyText is the text of a key.
func keyText(typ *schema.Type, x any) string {
	text := jsonText(typ, x)
	var s string
	if json.Unmarshal([]byte(text), &s) == nil {
		return s
	}
	return text
}

func (w *nestedWriter) fields(fields []schema.Field, row []any) string {
	var parts []string
	for _, i := range rapid.Permutation(rangeOf(len(row))).Draw(w.rt, "order") {
		if row[i] == nil && rapid.Bool().Draw(w.rt, "left out") {
			continue
		}
		parts = append(parts, w.space()+w.quoted(fields[i].Name)+w.space()+":"+w.space()+w.value(&fields[i].Type, row[i])+w.space())
	}
	return "{" + strings.Join(parts, ",") + w.space() + "}"
}

// TestJSONNested_RowsComeBack writes random rows of random nested tables, spoils some at any depth, and reads the chunk back: it
// holds exactly the rows that were good, and is the same as one that never saw the others.
func TestJSONNested_RowsComeBack(t *testing.T) {
	var refusals int
	rapid.Check(t, func(rt *rapid.T) {
		table := &schema.Struct{}
		for i := range rapid.IntRange(1, 3).Draw(rt, "columns") {
			table.Fields = append(table.Fields, schema.Field{Name: fmt.Sprint("c", i), Type: drawType(rt, 3), Nullable: rapid.Bool().Draw(rt, "nullable")})
		}
		d, c, again, clean := jsonOf(rt, table), chunkOf(rt, table), jsonOf(rt, table), chunkOf(rt, table)
		var want [][]any
		for range rapid.IntRange(1, 8).Draw(rt, "rows") {
			row := make([]any, len(table.Fields))
			for i := range row {
				row[i] = drawAny(rt, &table.Fields[i].Type, table.Fields[i].Nullable)
			}
			w := nestedWriter{rt: rt, spoilAt: rapid.IntRange(-10, 12).Draw(rt, "spoil at")}
			spoils := w.spoilAt > 0
			record := []byte(w.fields(table.Fields, row))
			if spoils && w.spoilAt <= 0 {
				refusedNested(rt, d, c, record)
				refusals++
				continue
			}
			acceptedNested(rt, d, c, record)
			acceptedNested(rt, again, clean, record)
			want = append(want, row)
		}
		if string(c.AppendBinary(nil)) != string(clean.AppendBinary(nil)) {
			rt.Fatal("the chunk differs from one that saw the good records only")
		}
		read, err := column.Decode(c.AppendBinary(nil))
		if err != nil {
			rt.Fatal(err)
		}
		for i := range want {
			if diff := cmp.Diff(want[i], anyRow(rt, c, table, i)); diff != "" {
				rt.Fatalf("row %d: %s", i, diff)
			}
			if diff := cmp.Diff(want[i], anyRow(rt, read, table, i)); diff != "" {
				rt.Fatalf("row %d, from the byte form: %s", i, diff)
			}
		}
	})
	if refusals == 0 {
		t.Error("no record was refused")
	}
}

// nestedTokens are pieces of records of nestedDiffColumns.
var nestedTokens = []string{
	`"i":1`, `"i":null`, `"s":{"a":1}`, `"s":{"a":null}`, `"s":{"b":{"c":"x"},"a":2}`, `"s":{"a":1,"b":{"d":[1,null,2]}}`, `"s":null`, `"s":{}`,
	`"s":{"a":1,"\u0061":1}`, `"s":{"a":1,"b":{"c":1}}`, `"l":[]`, `"l":[{"a":1,"v":"[1]"},null,{}]`, `"l":[{"v":"{"}]`, `"l":[1]`, `"l":{}`,
	`"m":{}`, `"m":{"k":{"1":[true,null],"-2":[]},"":null}`, `"m":{"k":{"1":[],"1":[]}}`, `"m":{"k":{"1.0":[]}}`, `"m":{"k":[]}`,
	`"k":{"1":1,"2.5":2}`, `"k":{"1":1,"1.00":2}`, `"k":{"1e9":1}`, `"f":{"0":1,"0.5":2}`, `"f":{"0":1,"0.0":2}`, `"f":{"-0":1}`, `"f":{"x":1}`,
	`"n":{"":1,"AP8=":2}`, `"n":{"AP8":1}`, `"o":{"true":{"1e-99":"x"}}`, `"o":{"false":{"-1e-99":"x"}}`, `"o":{"1":{}}`,
	`"v":"{\"b\":1,\"a\":[2.5]}"`, `"v":"{\"b\":1,\"b\":2}"`, `"v":{}`, `"v":"1e999"`, `"ll":[["abc","äöü"],[],null]`, `"ll":[["abcd"]]`, `"ll":[[],[null]]`,
}

// TestJSONNested_AgreesWithJSONText composes records of pieces and damages some.
func TestJSONNested_AgreesWithJSONText(t *testing.T) {
	table := tableOf(t, nestedDiffColumns)
	d := jsonOf(t, table)
	var taken, refusals int
	rapid.Check(t, func(rt *rapid.T) {
		for range 15 {
			record := []byte("{" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(nestedTokens), 1, 4).Draw(rt, "members"), ", ") + "}")
			if rapid.IntRange(0, 3).Draw(rt, "damage") == 0 {
				record = mutate(rt, record)
			}
			if checkJSON(rt, d, table, record) {
				taken++
			} else {
				refusals++
			}
		}
	})
	if taken == 0 || refusals == 0 {
		t.Errorf("%d records accepted, %d refused: the test sees one side only", taken, refusals)
	}
}

// TestJSONNested_AgreesWithEncoder: what the client's encoder refuses, the decoder refuses in the same words, but for what only
// protobuf cannot say; and what it takes, the decoder takes.
func TestJSONNested_AgreesWithEncoder(t *testing.T) {
	table := tableOf(t, "i INT, s STRUCT<a: TINYINT NOT NULL, b: STRUCT<c: VARCHAR(3), d: ARRAY<DATE>>>, l ARRAY<STRUCT<a: INT, f: FLOAT>>, "+
		"m MAP<STRING, STRUCT<x: DECIMAL(5,2)>>, k MAP<SMALLINT, INT>, o MAP<BOOLEAN, BINARY>, v VARIANT")
	e, err := schema.NewEncoder(table)
	if err != nil {
		t.Fatal(err)
	}
	d := jsonOf(t, table)
	members := []string{
		`"i":1`, `"s":{"a":1,"b":{"c":"x","d":[1,2]}}`, `"s":{"b":{"c":null},"a":127}`, `"s":{"a":128}`, `"s":{"b":null}`, `"s":null`,
		`"l":[{"a":1,"f":2.5},{}]`, `"l":[]`, `"m":{"k":{"x":1.5},"":{}}`, `"m":{"k":{"x":"1.555"}}`, `"k":{"1":1,"2":2}`, `"k":{"1":1,"1":2}`, `"k":{"01":1}`,
		`"k":{"40000":1}`, `"k":{"1":1,"2":2,"3":3,"4":4,"5":5,"6":6,"7":7,"8":8,"9":9,"10":10,"11":11,"5":5}`, `"o":{"true":"AP8=","false":""}`, `"o":{"t":""}`,
		`"v":"[1]"`, `"v":"x"`, `"v":null`,
	}
	var taken, refusals int
	rapid.Check(t, func(rt *rapid.T) {
		for range 15 {
			record := []byte("{" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(members), 1, 4).Draw(rt, "members"), ", ") + "}")
			if rapid.Bool().Draw(rt, "damage") {
				record = mutate(rt, record)
			}
			c := chunkOf(rt, table)
			_, encodeErr := e.AppendJSON(nil, record)
			if encodeErr == nil {
				if err := d.Decode(c, record); err != nil && !strings.Contains(err.Error(), "expected a string with JSON text") {
					rt.Fatalf("record %q: the encoder takes it, the decoder says %v", record, err)
				}
				taken++
				continue
			}
			var got *schema.EncodeError
			if !errors.As(encodeErr, &got) {
				rt.Fatalf("error is a %T", encodeErr)
			}
			if strings.Contains(got.Reason, "protobuf cannot say") || got.Path == "v" {
				continue
			}
			want := refusedNested(rt, d, c, record)
			if same := (RecordError{got.Path, got.Reason, got.Line, got.Column}); same != *want && !lateEnd(got, want) && want.Field != "v" {
				rt.Fatalf("record %q: the encoder says %q, the decoder %q", record, got, want)
			}
			refusals++
		}
	})
	if taken == 0 || refusals == 0 {
		t.Errorf("%d records accepted, %d refused: the test sees one side only", taken, refusals)
	}
}
