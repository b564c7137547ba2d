package schema

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// writer writes random values as JSON, and says what they are: nil, bool, int64, float32, float64, string, []byte, []any,
// map[any]any of a map and map[string]any of a struct. Decimals and variants are their text.
type writer struct {
	*rand.Rand
	json []byte

	// One of the leaves may be a value that its type does not take.
	leaves, spoilAt int
	badPath         string
	badAt           int
}

var scalars = []Kind{
	Boolean, Byte, Short, Integer, Long, Float, Double, Decimal, String, Binary, Date, Timestamp, TimestampNTZ, Variant,
}

// scalar draws a type without parts.
func (w *writer) scalar(kinds ...Kind) Type {
	t := of(kinds[w.IntN(len(kinds))])
	switch t.Kind {
	case Decimal:
		t.Precision = 1 + w.IntN(MaxDecimalPrecision)
		t.Scale = w.IntN(t.Precision + 1)
	case String:
		t.Length = []int{0, 0, 5}[w.IntN(3)]
	}
	return t
}

// column draws a type that protobuf can say: single ones in arrays and maps, but no arrays and maps there.
func (w *writer) column(single bool, depth int) Type {
	switch n := w.IntN(10); {
	case n < 2 && depth > 0:
		return structOf(w.fields(depth - 1)...)
	case n < 4 && !single:
		return arrayOf(w.column(true, depth))
	case n < 6 && !single:
		key := w.scalar(Boolean, Byte, Short, Integer, Long, Date, Timestamp, TimestampNTZ, String, Decimal)
		return mapOf(key, w.column(true, depth))
	}
	return w.scalar(scalars...)
}

func (w *writer) fields(depth int) []Field {
	fields := make([]Field, 1+w.IntN(5))
	for i := range fields {
		fields[i] = Field{Name: fmt.Sprintf("f_%d", i), Type: w.column(false, depth), Nullable: w.IntN(3) > 0}
	}
	return fields
}

func (w *writer) put(s string) { w.json = append(w.json, s...) }

// space puts white space where there may be some.
func (w *writer) space() { w.put([]string{"", "", "", " ", "\n\t", "\r"}[w.IntN(6)]) }

func (w *writer) token(s string) {
	w.space()
	w.put(s)
	w.space()
}

// quote puts a string, with some of its characters escaped.
func (w *writer) quote(s string) {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	text := string(b)
	if w.IntN(3) == 0 && !strings.ContainsAny(s, `"\`) {
		var all strings.Builder
		for _, unit := range utf16.Encode([]rune(s)) {
			fmt.Fprintf(&all, `\u%04x`, unit)
		}
		text = `"` + all.String() + `"`
	}
	w.put(text)
}

// object puts the members of a struct in any order, some as null and some not at all, and returns those that have a value.
func (w *writer) object(fields []Field, path string) map[string]any {
	members := map[string]any{}
	w.token("{")
	first := true
	for _, i := range w.Perm(len(fields)) {
		f := &fields[i]
		absent := f.Nullable && w.IntN(4) == 0
		if absent && w.IntN(2) == 0 {
			continue
		}
		if !first {
			w.token(",")
		}
		first = false
		w.quote(f.Name)
		w.token(":")
		if absent {
			w.put("null")
		} else if x := w.value(&f.Type, path+f.Name); x != nil {
			members[f.Name] = x
		}
		w.space()
	}
	w.put("}")
	return members
}

// value puts a value of a type. Empty arrays and maps are nil.
func (w *writer) value(t *Type, path string) any {
	switch t.Kind {
	case StructKind:
		return w.object(t.Fields, path+".")
	case Array:
		var list []any
		w.put("[")
		for i := range w.IntN(4) {
			if i > 0 {
				w.put(",")
			}
			w.space()
			list = append(list, w.value(t.Elem, path+".element"))
			w.space()
		}
		w.token("]")
		if list == nil {
			return nil
		}
		return list
	case Map:
		entries := map[any]any{}
		w.put("{")
		for range w.IntN(4) {
			key, text := w.leaf(t.Key)
			if _, dup := entries[key]; dup {
				continue
			}
			if len(entries) > 0 {
				w.put(",")
			}
			w.space()
			w.quote(text)
			w.token(":")
			entries[key] = w.value(t.Elem, path+".value")
			w.space()
		}
		w.put("}")
		if len(entries) == 0 {
			return nil
		}
		return entries
	}
	if w.leaves++; w.leaves == w.spoilAt {
		w.badPath, w.badAt = path, len(w.json)
		w.put(w.misfit(t))
		return nil
	}
	x, text := w.leaf(t)
	switch t.Kind {
	case Decimal, Variant: // a string, or what it holds, if that is no string itself and JSON takes it
		if strings.ContainsAny(text[:1], `"+.`) || w.IntN(2) == 0 {
			w.quote(text)
			return x
		}
	case String, Binary:
		w.quote(text)
		return x
	}
	w.put(text)
	return x
}

// misfit is a value that a scalar type does not take.
func (w *writer) misfit(t *Type) string {
	switch lo, hi, _ := bounds(t.Kind); t.Kind {
	case String:
		return "7"
	case Binary:
		return `"A==="`
	case Decimal:
		return `"one"`
	case Variant:
		return `"text"`
	case Byte, Short, Integer, Date:
		return strconv.FormatInt([]int64{lo - 1, hi + 1}[w.IntN(2)], 10)
	}
	return `{"no":1}`
}

// leaf draws a scalar value, and how it is spelled.
func (w *writer) leaf(t *Type) (x any, text string) {
	if lo, hi, ok := bounds(t.Kind); ok {
		n := []int64{lo, hi, 0, lo/2 + w.Int64N(hi), int64(int8(w.Uint32()))}[w.IntN(5)]
		return n, strconv.FormatInt(n, 10)
	}
	switch t.Kind {
	case Boolean:
		b := w.IntN(2) == 0
		return b, strconv.FormatBool(b)
	case Float:
		f := math.Float32frombits(w.Uint32())
		if f != f || math.IsInf(float64(f), 0) {
			f = -1.5
		}
		return f, strconv.FormatFloat(float64(f), 'g', -1, 32)
	case Double:
		f := math.Float64frombits(w.Uint64())
		if f != f || math.IsInf(f, 0) {
			f = 2.5e-7
		}
		return f, strconv.FormatFloat(f, 'e', 17, 64)
	case Decimal:
		return w.decimal(t)
	case Binary:
		b := make([]byte, w.IntN(200))
		for i := range b {
			b[i] = byte(w.Uint32())
		}
		return b, base64.StdEncoding.EncodeToString(b)
	case Variant:
		text = []string{`true`, `-1.5e3`, `""`, `[]`, `{"a":[1,"\n"],"b":{}}`, `[ { } ]`}[w.IntN(6)]
		return text, text
	}
	runes := make([]rune, w.IntN(6))
	for i := range runes {
		runes[i] = []rune{'a', 'z', '"', '\\', '\n', 0, 'ä', '世', '🌍'}[w.IntN(9)]
	}
	if t.Length == 0 {
		runes = append(runes, []rune(strings.Repeat("x", w.IntN(150)))...)
	}
	return string(runes), string(runes)
}

// decimal draws a number, as its plain text, and another spelling of it.
func (w *writer) decimal(t *Type) (x any, text string) {
	whole, fraction := "", ""
	for range w.IntN(t.Precision - t.Scale + 1) {
		whole += strconv.Itoa(w.IntN(10))
	}
	for range t.Scale {
		fraction += strconv.Itoa(w.IntN(10))
	}
	whole = strings.TrimLeft(whole, "0")
	sign := ""
	if w.IntN(2) == 0 && strings.Trim(whole+fraction, "0") != "" {
		sign = "-"
	}
	plain := sign + "0"
	if whole != "" {
		plain = sign + whole
	}
	if t.Scale == 0 {
		return plain, plain
	}
	plain += "." + fraction
	switch w.IntN(4) {
	case 0:
		return plain, plain + "000"
	case 1:
		if sign == "" && whole == "" {
			return plain, "+." + fraction
		}
	case 2:
		if whole != "" {
			return plain, sign + whole + fraction + "e-" + strconv.Itoa(t.Scale)
		}
	}
	return plain, plain
}

// valueOf reads a value of a message as writer says it.
func valueOf(v any) any {
	switch v := v.(type) {
	case int32:
		return int64(v)
	case protoreflect.Message:
		members := map[string]any{}
		v.Range(func(fd protoreflect.FieldDescriptor, x protoreflect.Value) bool {
			members[string(fd.Name())] = valueOf(x.Interface())
			return true
		})
		return members
	case protoreflect.List:
		var list []any
		for i := range v.Len() {
			list = append(list, valueOf(v.Get(i).Interface()))
		}
		return list
	case protoreflect.Map:
		entries := map[any]any{}
		v.Range(func(k protoreflect.MapKey, x protoreflect.Value) bool {
			entries[valueOf(k.Interface())] = valueOf(x.Interface())
			return true
		})
		return entries
	}
	return v
}

// TestEncoder_RandomRecords encodes random records of random nested tables, and reads them with protobuf's own library. Some
// have one value that does not fit: the error names its path and its place.
func TestEncoder_RandomRecords(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	taken, refusals := 0, 0
	for table := range 400 {
		w := &writer{Rand: rand.New(rand.NewPCG(seed, uint64(table)))}
		s := &Struct{Fields: w.fields(3)}
		e, md := encoderOf(t, s)
		for range 25 {
			w.json, w.leaves, w.spoilAt, w.badAt = nil, 0, 0, -1
			if w.IntN(3) == 0 {
				w.spoilAt = 1 + w.IntN(8)
			}
			want := w.object(s.Fields, "")
			w.space()
			if w.badAt >= 0 {
				err := refusedRecord(t, e, string(w.json))
				before := string(w.json[:w.badAt])
				line, column := 1+strings.Count(before, "\n"), w.badAt-strings.LastIndex(before, "\n")
				if err.Path != w.badPath || err.Line != line || err.Column != column {
					t.Fatalf("%s: %v, want field %s at line %d column %d", w.json, err, w.badPath, line, column)
				}
				refusals++
				continue
			}
			b, err := e.AppendJSON(nil, w.json)
			if err != nil {
				t.Fatalf("%s: %v", w.json, err)
			}
			if got := valueOf(readRecord(t, md, b)); !reflect.DeepEqual(got, any(want)) {
				t.Fatalf("%s\nbecame %v\nwant %v", w.json, got, want)
			}
			taken++
		}
	}
	if taken == 0 || refusals == 0 {
		t.Errorf("%d records accepted, %d refused: the test sees one side only", taken, refusals)
	}
}
