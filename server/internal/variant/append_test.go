package variant

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go/variant"
	"pgregory.net/rapid"
)

// encode encodes a text that must be accepted.
func encode(t rapid.TB, text string) (m, v []byte) {
	t.Helper()
	m, v, reason := Append([]byte("before"), []byte("ahead"), []byte(text))
	if reason != "" {
		t.Fatalf("%.200s: %s", text, reason)
	}
	if !bytes.HasPrefix(m, []byte("before")) || !bytes.HasPrefix(v, []byte("ahead")) {
		t.Fatalf("%.200s: what was there is gone", text)
	}
	return m[len("before"):], v[len("ahead"):]
}

func text(t rapid.TB, m, v []byte) string {
	t.Helper()
	b, err := JSON(m, v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestAppend_Bytes holds the bytes against those that the format's document gives.
func TestAppend_Bytes(t *testing.T) {
	const empty = "\x11\x00\x00"
	long := strings.Repeat("x", 64)
	for _, tt := range []struct{ text, metadata, value string }{
		{`null`, empty, "\x00"},
		{` true `, empty, "\x04"},
		{"\tfalse\r\n", empty, "\x08"},
		{`0`, empty, "\x0c\x00"},
		{`-0`, empty, "\x0c\x00"},
		{`-128`, empty, "\x0c\x80"},
		{`128`, empty, "\x10\x80\x00"},
		{`-32769`, empty, "\x14\xff\x7f\xff\xff"},
		{`2147483648`, empty, "\x18\x00\x00\x00\x80\x00\x00\x00\x00"},
		{`1.5e0`, empty, "\x1c\x00\x00\x00\x00\x00\x00\xf8\x3f"},
		{`-1.50`, empty, "\x20\x02\x6a\xff\xff\xff"},
		{`999999999.5`, empty, "\x24\x01\xfb\xe3\x0b\x54\x02\x00\x00\x00"},
		{`0.0000000001`, empty, "\x24\x0a\x01\x00\x00\x00\x00\x00\x00\x00"}, // Spark wants a scale of at most 9 in four bytes
		{`18446744073709551616`, empty, "\x28\x00" + strings.Repeat("\x00", 8) + "\x01" + strings.Repeat("\x00", 7)},
		{`-9223372036854775809`, empty, "\x28\x00\xff\xff\xff\xff\xff\xff\xff\x7f" + strings.Repeat("\xff", 8)},
		{`0.0000000000000000001`, empty, "\x28\x13\x01" + strings.Repeat("\x00", 15)},
		{`""`, empty, "\x01"},
		{`"a\u00e9"`, empty, "\x0da\xc3\xa9"},
		{`"` + long + `"`, empty, "\x40\x40\x00\x00\x00" + long},
		{`[]`, empty, "\x03\x00\x00"},
		{`[1,[2]]`, empty, "\x03\x02\x00\x02\x08\x0c\x01\x03\x01\x00\x02\x0c\x02"},
		{`{}`, empty, "\x02\x00\x00"},
		// Keys in order in the dictionary and in the object, whatever the order of the values.
		{`{"b":1,"a":{"b":2}}`, "\x11\x02\x00\x01\x02ab", "\x02\x02\x00\x01\x02\x00\x09\x0c\x01\x02\x01\x01\x00\x02\x0c\x02"},
		{`{"":null}`, "\x11\x01\x00\x00", "\x02\x01\x00\x00\x01\x00"},
	} {
		m, v := encode(t, tt.text)
		if string(m) != tt.metadata || string(v) != tt.value {
			t.Errorf("%s: %x %x, want %x %x", tt.text, m, v, tt.metadata, tt.value)
		}
	}
}

func TestAppend_Numbers(t *testing.T) {
	nines := strings.Repeat("9", 38)
	for in, want := range map[string]string{
		"9223372036854775807":           "9223372036854775807",
		"-9223372036854775808":          "-9223372036854775808",
		nines:                           nines,
		"-" + nines[1:] + ".9":          "-" + nines[1:] + ".9",
		"0." + nines:                    "0." + nines,
		"-0." + strings.Repeat("0", 50): "0",
		"123456789012345678901." + strings.Repeat("0", 50): "123456789012345678901",
		"-0.0":                          "0.0",
		"1.50":                          "1.50",
		"1.5" + strings.Repeat("0", 50): "1.5",
		"1." + strings.Repeat("0", 50):  "1",
		"0.1000000000000000055511151231257827021181583404541015625": "1e-01", // a double, exactly
		"1361129467683753853853498429727072845824":                  strconv.FormatFloat(math.Pow(2, 130), 'e', -1, 64),
		"1e2":      "1e+02",
		"-0.0e0":   "-0e+00",
		"1E-400":   "0e+00",
		"5e-324":   "5e-324",
		"0.1e0":    "1e-01",
		"1e22":     "1e+22",
		"123456e5": "1.23456e+10",
	} {
		m, v := encode(t, in)
		if got := text(t, m, v); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}

func TestAppend_Refuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`[{"a":`, n/2) + "1" + strings.Repeat("}]", n/2) }
	const digits = "has too many digits for DECIMAL(38): give it an exponent if it may be rounded"
	encode(t, deep(MaxDepth))
	for _, tt := range []struct{ text, reason string }{
		{"", "EOF while parsing a value"},
		{"x", "expected value"},
		{"nul", "expected value"},
		{"1 2", "trailing characters"},
		{"01", "invalid number"},
		{"NaN", "expected value"},
		{"[1,]", "trailing comma"},
		{"[1", "EOF while parsing an array"},
		{`{"a":1`, "EOF while parsing an object"},
		{`{"a" 1}`, "expected `:`"},
		{`{a:1}`, "key must be a string"},
		{`[}`, "expected value"},
		{`{"a":1]`, "expected `,` or `}`"},
		{`"\ud800"`, "lone leading surrogate in hex escape"},
		{"\"\xff\"", "invalid UTF-8 in a string"},
		{"{\"\xff\":1}", "invalid UTF-8 in a string"},
		{"\ufeff1", "expected value"},
		{`{"a":1,"b":2,"a":3}`, "duplicate key 'a'"},
		{`{"a":{"a":1},"\u0061":3}`, "duplicate key 'a'"},
		{`[{"a":1},{"b":{"x":1,"x":2}}]`, "duplicate key 'x'"},
		{deep(MaxDepth + 2), "arrays and objects are nested too deep"},
		{"1e309", "value 1e309 is out of range for DOUBLE"},
		{strings.Repeat("9", 39), "value " + strings.Repeat("9", 39) + " " + digits},
		{"0." + strings.Repeat("1", 39), "value 0." + strings.Repeat("1", 39) + " " + digits},
		{strings.Repeat("8", 1<<20), "value " + strings.Repeat("8", 64) + "… " + digits},
		{`"` + strings.Repeat("x", MaxSize) + `"`, "the value takes more than 16777216 bytes as VARIANT"},
		{`{"` + strings.Repeat("x", MaxSize) + `":1}`, "the value takes more than 16777216 bytes as VARIANT"},
	} {
		m, v, reason := Append([]byte("m"), []byte("v"), []byte(tt.text))
		if reason != tt.reason || string(m) != "m" || string(v) != "v" {
			t.Errorf("%.100s: %s, want %s", tt.text, reason, tt.reason)
		}
	}
}

// TestAppend_ManyKeys: a million keys, in one object or in many, take time in proportion.
func TestAppend_ManyKeys(t *testing.T) {
	var b strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&b, `,"k%d":%d`, i, i)
	}
	many := "{" + b.String()[1:] + "}"
	m, v := encode(t, many)
	if got := text(t, m, v); len(got) != len(many) {
		t.Errorf("%d bytes became %d", len(many), len(got))
	}
	if _, _, reason := Append(nil, nil, []byte(many[:len(many)-1]+`,"k7":1}`)); reason != "duplicate key 'k7'" {
		t.Error(reason)
	}
	m, v = encode(t, "["+strings.Repeat(`{"b":1,"a":2},`, 200_000)+"0]")
	if len(m) != len("\x11\x02\x00\x01\x02ab") || len(v) > 4<<20 {
		t.Errorf("metadata takes %d bytes, the value %d", len(m), len(v))
	}
}

func TestEncoder_DoesNotAllocate(t *testing.T) {
	texts := [][]byte{
		[]byte(`{"id":12345678901,"tags":["a","b\n"],"price":12.50,"nested":{"x":1e3,"y":null,"\u0061":[true,{"id":-1}]}}`),
		[]byte(`[{"a":1},{"a":2},{"b":0.000000000000000000001}]`), []byte(`"text"`), []byte("99999999999999999999"),
	}
	var e Encoder
	var m, v []byte
	if n := testing.AllocsPerRun(100, func() {
		m, v = m[:0], v[:0]
		for _, text := range texts {
			var reason string
			if m, v, reason = e.Append(m, v, text); reason != "" {
				t.Fatal(reason)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestEncoder_LetsGo: the memory of a long text is not kept.
func TestEncoder_LetsGo(t *testing.T) {
	var e Encoder
	for _, long := range []string{`["` + strings.Repeat("x", maxKept) + `"]`, strings.Repeat("[", maxKept+1)} {
		e.Append(nil, nil, []byte(`{"a":1}`))
		if e.builder == nil || cap(e.names.text) == 0 {
			t.Error("nothing is kept")
		}
		if e.Append(nil, nil, []byte(long)); e.builder != nil || cap(e.names.text) != 0 {
			t.Error("the memory is kept")
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for name, text := range map[string]string{
		"scalar": `12.50`,
		"event": `{"id":12345678901,"type":"page_view","tags":["a","b","c"],"price":12.50,"ok":true,` +
			`"user":{"id":77,"name":"Ada Lovelace","address":{"city":"London","zip":"NW1"}},"at":1732312096123456}`,
	} {
		b.Run(fmt.Sprintf("%s/%dB", name, len(text)), func(b *testing.B) {
			var e Encoder
			var m, v []byte
			text := []byte(text)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				m, v, _ = e.Append(m[:0], v[:0], text)
			}
		})
	}
}

// drawText draws a JSON value of up to so many levels, with white space.
func drawText(t *rapid.T, levels int) string {
	space := func() string { return rapid.SampledFrom([]string{"", "", "", " ", "\n\t"}).Draw(t, "space") }
	str := func() string {
		if rapid.Bool().Draw(t, "short") {
			return rapid.SampledFrom([]string{`"a"`, `"b"`, `"\u0061"`, `""`, `"c\n"`, `"é"`, `"z"`}).Draw(t, "text")
		}
		b, _ := json.Marshal(rapid.String().Draw(t, "text"))
		return string(b)
	}
	kind := rapid.IntRange(0, 6).Draw(t, "kind")
	if levels == 0 && kind > 4 {
		kind = 3
	}
	switch kind {
	case 0:
		return rapid.SampledFrom([]string{"null", "true", "false"}).Draw(t, "literal")
	case 1:
		return strconv.FormatInt(rapid.Int64().Draw(t, "integer")>>rapid.IntRange(0, 63).Draw(t, "shift"), 10)
	case 2:
		return rapid.StringMatching(`-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?`).Draw(t, "decimal")
	case 3:
		return strconv.FormatFloat(rapid.Float64().Draw(t, "float"), byte(rapid.SampledFrom([]rune("efg")).Draw(t, "format")), -1, 64)
	case 4:
		return str()
	}
	open, closing := "[", "]"
	if kind == 6 {
		open, closing = "{", "}"
	}
	s := open + space()
	for i := range rapid.IntRange(0, 4).Draw(t, "members") {
		if i > 0 {
			s += "," + space()
		}
		if kind == 6 {
			s += str() + space() + ":" + space()
		}
		s += drawText(t, levels-1) + space()
	}
	return s + closing
}

// tree is the value of a text as encoding/json reads it, or why it is none: no key twice, and numbers as they are written.
func tree(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	x, err := treeOf(dec)
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			err = fmt.Errorf("more follows: %v", more)
		}
	}
	return x, err
}

func treeOf(dec *json.Decoder) (any, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch tok {
	case json.Delim('['):
		l := []any{}
		for dec.More() {
			x, err := treeOf(dec)
			if err != nil {
				return nil, err
			}
			l = append(l, x)
		}
		_, err = dec.Token()
		return l, err
	case json.Delim('{'):
		m := map[string]any{}
		for dec.More() {
			k, err := dec.Token()
			if err != nil {
				return nil, err
			}
			x, err := treeOf(dec)
			if err != nil {
				return nil, err
			}
			if _, ok := m[k.(string)]; ok {
				return nil, fmt.Errorf("key %s twice", k)
			}
			m[k.(string)] = x
		}
		_, err = dec.Token()
		return m, err
	}
	return tok, nil
}

// same compares a variant with what encoding/json has read.
func same(got variant.Value, want any) error {
	wrong := fmt.Errorf("%v is not %v", got.GoValue(), want)
	switch want := want.(type) {
	case []any:
		l := got.ArrayValue().Elements
		if got.Basic() != variant.BasicArray || len(l) != len(want) {
			return wrong
		}
		for i := range l {
			if err := same(l[i], want[i]); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		fields := got.ObjectValue().Fields
		if got.Basic() != variant.BasicObject || len(fields) != len(want) {
			return wrong
		}
		for _, f := range fields {
			x, ok := want[f.Name]
			if !ok {
				return wrong
			}
			if err := same(f.Value, x); err != nil {
				return err
			}
		}
		return nil
	case json.Number:
		return sameNumber(got, string(want))
	}
	if got.GoValue() != want {
		return wrong
	}
	return nil
}

func sameNumber(got variant.Value, text string) error {
	wrong := fmt.Errorf("%v is not %s", got.GoValue(), text)
	if strings.ContainsAny(text, "eE") {
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || got.Type() != variant.PrimitiveDouble || math.Float64bits(got.FloatValue()) != math.Float64bits(x) {
			return wrong
		}
		return nil
	}
	want, _ := new(big.Rat).SetString(text)
	is := new(big.Rat)
	switch got.Type() {
	case variant.PrimitiveInt8, variant.PrimitiveInt16, variant.PrimitiveInt32, variant.PrimitiveInt64:
		is.SetInt64(got.Int())
	case variant.PrimitiveDouble:
		is.SetFloat64(got.FloatValue())
	case variant.PrimitiveDecimal4, variant.PrimitiveDecimal8:
		is.SetInt64(got.Int())
	case variant.PrimitiveDecimal16:
		wide := got.Decimal16Value()
		n := new(big.Int)
		for i := len(wide) - 1; i >= 0; i-- {
			n.Or(n.Lsh(n, 8), big.NewInt(int64(wide[i])))
		}
		if n.Bit(127) == 1 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), 128))
		}
		is.SetInt(n)
	default:
		return wrong
	}
	is.Quo(is, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(got.Scale())), nil)))
	if is.Cmp(want) != 0 {
		return wrong
	}
	return nil
}

// check holds a text against encoding/json: what is accepted is the same value, and comes back as the same bytes.
func check(t rapid.TB, in []byte) bool {
	m, v, reason := Append(nil, nil, in)
	want, err := tree(in)
	if reason != "" {
		// What encoding/json takes and we do not: text that is not UTF-8, half of a surrogate, and the limits.
		ours := strings.Contains(reason, "surrogate") || strings.Contains(reason, "UTF-8") || strings.Contains(reason, "too deep") ||
			strings.Contains(reason, "digits") || strings.Contains(reason, "DOUBLE")
		if err == nil && !ours || len(reason) > 300 || m != nil || v != nil {
			t.Fatalf("%q: refused, %s", in, reason)
		}
		return false
	}
	if err != nil {
		t.Fatalf("%q was accepted: %v", in, err)
	}
	md, err := variant.DecodeMetadata(m)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(md.Strings); i++ {
		if md.Strings[i-1] >= md.Strings[i] || !md.Sorted {
			t.Fatalf("%q: the dictionary is out of order: %q", in, md.Strings)
		}
	}
	got, err := variant.Decode(md, v)
	if err == nil {
		err = same(got, want)
	}
	if err != nil {
		t.Fatalf("%q: %v", in, err)
	}
	again := text(t, m, v)
	if m2, v2 := encode(t, again); !bytes.Equal(m, m2) || len(v) != len(v2) || text(t, m2, v2) != again {
		t.Fatalf("%q became %s, and that another value", in, again)
	}
	return true
}

func TestAppend_AgreesWithEncodingJSON(t *testing.T) {
	var taken, refused int
	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			in := []byte(drawText(t, 4))
			if rapid.IntRange(0, 3).Draw(t, "damage") == 0 {
				in[rapid.IntRange(0, len(in)-1).Draw(t, "at")] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "bit"))
			}
			if check(t, in) {
				taken++
			} else {
				refused++
			}
		}
	})
	if taken == 0 || refused == 0 {
		t.Errorf("%d accepted, %d refused: the test sees one side only", taken, refused)
	}
}

func FuzzAppend(f *testing.F) {
	for _, s := range []string{
		`{"b":[1,2.50,-1e3,true,false,null,"\u00e4\ud83c\udf0d"],"a":{"b":{}}}`, ` [ ] `, `"text"`, `-0.0e+5`, `[1,]`, `{"a":1,"a":2}`,
		"99999999999999999999999999999999999999", "0.00000000000000000001", "1e400", "[\"\xff\"]", `["\ud800"]`, `nullx`, `{"":{"":0}}`,
		"0.1000000000000000055511151231257827021181583404541015625",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { check(t, b) })
}

// FuzzJSON: bytes that are no variant are an error or a text that is JSON.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"b":[1,2.50,-1e3,true,false,null,"x"],"a":{"b":{}}}`, "99999999999999999999.5", "[[[[]]]]"} {
		m, v, _ := Append(nil, nil, []byte(s))
		f.Add(m, v)
	}
	f.Fuzz(func(t *testing.T, m, v []byte) {
		if b, err := JSON(m, v); err == nil && !json.Valid(b) {
			t.Fatalf("%x %x is %q", m, v, b)
		}
	})
}
