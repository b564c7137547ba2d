package main

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/zerobus-go/zerobus/schema"
)

// jsonWriter writes rows as JSON records: members in any order, with white space and escapes at times, NULL as null or not at all.
type jsonWriter struct {
	dice
	b      []byte
	spoil  int  // which value is written wrong, from 1; 0 for none
	values int  // that could have been
	nested bool // a VARIANT may be any JSON value, not a text of one alone
}

func (w *jsonWriter) put(s string) { w.b = append(w.b, s...) }

func (w *jsonWriter) space() {
	if w.in(8) {
		w.put(one(w.dice, " ", "\n", "\t", "\r\n", "   "))
	}
}

func (w *jsonWriter) token(s string) {
	w.space()
	w.put(s)
	w.space()
}

// here reports whether the value that comes now is the one to be spoiled.
func (w *jsonWriter) here() bool {
	w.values++
	return w.values == w.spoil
}

// object writes the columns of a row, or the members of a struct. What is wrong with one that is spoiled is a member that there is
// not, one that is there twice, or one that is missing.
func (w *jsonWriter) object(fields []schema.Field, x members) {
	spoiled := w.here()
	skipped := -1
	w.token("{")
	first := true
	member := func(name string) {
		if !first {
			w.token(",")
		}
		first = false
		w.put(quoted(w.dice, name))
		w.token(":")
	}
	if spoiled {
		for i := range fields {
			if !fields[i].Nullable && w.in(2) {
				skipped = i
				break
			}
		}
		if skipped < 0 {
			name := fields[w.IntN(len(fields))].Name
			if w.in(2) {
				name += "_"
			} else {
				member(name)
				w.put("null")
			}
			member(name) // unknown, or there twice: with the one below, or with this one
			w.put("null")
		}
	}
	for _, i := range w.Perm(len(fields)) {
		if i == skipped && w.in(2) || x[i] == nil && i != skipped && w.in(2) {
			continue
		}
		member(fields[i].Name)
		if x[i] == nil || i == skipped {
			w.put("null")
		} else {
			w.value(&fields[i].Type, x[i])
		}
	}
	w.token("}")
}

func (w *jsonWriter) value(t *schema.Type, x any) {
	switch x := x.(type) {
	case nil:
		w.put("null")
	case members:
		w.object(t.Fields, x)
	case list:
		if w.here() {
			w.put(one(w.dice, "{}", `"[]"`, "1", `[{"no":`))
			return
		}
		w.token("[")
		for i, e := range x {
			if i > 0 {
				w.token(",")
			}
			w.value(t.Elem, e)
		}
		w.token("]")
	case entries:
		if w.here() {
			w.put(one(w.dice, "[]", `"{}"`, "true", `{"k":`))
			return
		}
		w.token("{")
		for i, e := range x {
			if i > 0 {
				w.token(",")
			}
			w.put(quoted(w.dice, keyText(t.Key, e.key)))
			w.token(":")
			w.value(t.Elem, e.value)
		}
		w.token("}")
	default:
		if w.here() {
			w.put(misfit(w.dice, t))
			return
		}
		w.scalar(t, x)
	}
}

func (w *jsonWriter) scalar(t *schema.Type, x any) {
	switch x := x.(type) {
	case string:
		w.put(quoted(w.dice, x))
	case []byte:
		w.put(quoted(w.dice, base64Text(x)))
	case jsonText:
		if w.nested && string(x) != "null" && !strings.HasPrefix(string(x), `"`) && w.in(2) {
			w.put(string(x))
			return
		}
		w.put(quoted(w.dice, string(x)))
	case *big.Int:
		text := decimalText(x, t.Scale)
		switch w.IntN(4) {
		case 0:
			text = x.String() + "e-" + strconv.Itoa(t.Scale)
		case 1:
			if t.Scale > 0 {
				text += "00"
			}
		}
		if w.in(2) {
			text = quoted(w.dice, text)
		}
		w.put(text)
	case float32:
		w.put(strconv.FormatFloat(float64(x), one[byte](w.dice, 'g', 'e', 'f'), -1, 32))
	case float64:
		w.put(strconv.FormatFloat(x, one[byte](w.dice, 'g', 'e'), -1, 64))
	default:
		w.put(fmt.Sprint(x))
	}
}

// keyText is a key of a map as the key of an object.
func keyText(t *schema.Type, x any) string {
	switch x := x.(type) {
	case []byte:
		return base64Text(x)
	case *big.Int:
		return decimalText(x, t.Scale)
	case float32:
		return strconv.FormatFloat(float64(x), 'g', -1, 32)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return fmt.Sprint(x)
}

// quoted is a text as JSON, some of its characters escaped, or all of them.
func quoted(d dice, s string) string {
	if d.in(8) {
		var b strings.Builder
		b.WriteByte('"')
		for _, unit := range utf16.Encode([]rune(s)) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
		return b.String() + `"`
	}
	b, err := written(s)
	if err != nil {
		panic(err) // a text is always JSON
	}
	return strings.TrimSuffix(string(b), "\n")
}

// misfit is a JSON value that no column of a scalar type takes, nor VARIANT.
func misfit(d dice, t *schema.Type) string {
	switch t.Kind {
	case schema.Boolean:
		return one(d, "0", `"true"`, "tru", "[]")
	case schema.Byte, schema.Short, schema.Integer, schema.Long, schema.Date, schema.Timestamp, schema.TimestampNTZ:
		lo, hi := ranges(t.Kind)
		above, below := new(big.Int).Add(big.NewInt(hi), big.NewInt(1)), new(big.Int).Sub(big.NewInt(lo), big.NewInt(1))
		return one(d, above.String(), below.String(), "1.0", "1e1", `"1"`, "true", "01", "{}")
	case schema.Float:
		return one(d, "1e39", "-3.5e38", `"1"`, "NaN", "1.", "[]")
	case schema.Double:
		return one(d, "1e309", `"1"`, "Infinity", ".5", "{}")
	case schema.Decimal:
		long := "1" + strings.Repeat("0", t.Precision-t.Scale)
		fine := "0." + strings.Repeat("0", t.Scale) + "1"
		return one(d, long, `"-`+long+`"`, fine, `"`+fine+`"`, `"one"`, `""`, "false", "[]")
	case schema.String:
		if t.Length > 0 && d.in(2) {
			return `"` + strings.Repeat("🎈", t.Length+1) + `"`
		}
		return one(d, "7", "true", `{"s":1}`, `"\ud83c"`, `"\x"`, "\"\n\"", `"open`)
	case schema.Binary:
		return one(d, "7", `"A"`, `"AA="`, `"A-__"`, `"A A="`, "[1]")
	}
	return one(d, `"{"`, `"{\"a\":1,\"a\":2}"`, `"01"`, `""`, `"1e999"`, `"1`+strings.Repeat("0", 40)+`.5"`)
}
