package jsonscan

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppendString(t *testing.T) {
	long := strings.Repeat("long text ", 20)
	for _, tt := range []struct {
		text, want string
		at         int
		reason     string
	}{
		{`""`, "", 2, ""},
		{`"x" and more`, "x", 3, ""},
		{`"Grüße, 世界 🌍"`, "Grüße, 世界 🌍", 22, ""},
		{`"\"\\\/\b\f\n\r\t\u0000\u00e9\u4e16\uD83C\uDF0d"`, "\"\\/\b\f\n\r\t\x00é世🌍", 48, ""},
		{`"` + long + `\n` + long + `"`, long + "\n" + long, 404, ""},
		{"\"\x7f\"", "\x7f", 3, ""},
		{`"`, "", 1, "EOF while parsing a string"},
		{`"abc`, "abc", 4, "EOF while parsing a string"},
		{`"abc\`, "abc", 5, "EOF while parsing a string"},
		{`"abc\u12`, "abc", 8, "EOF while parsing a string"},
		{`"abc\x"`, "abc", 4, "invalid escape"},
		{`"\u12g4"`, "", 1, "invalid escape"},
		{`"\ud800"`, "", 1, "lone leading surrogate in hex escape"},
		{`"x\ud800\u0041"`, "x", 2, "lone leading surrogate in hex escape"},
		{`"\ud800\ue000"`, "", 1, "lone leading surrogate in hex escape"},
		{`"\udc00"`, "", 1, "lone trailing surrogate in hex escape"},
		{"\"ab\ncd\"", "ab", 3, `control character (\u0000-\u001F) found while parsing a string`},
		{"\"0123456789\x00\"", "0123456789", 11, `control character (\u0000-\u001F) found while parsing a string`},
		{"\"01234567ä\xff\"", "", 11, "invalid UTF-8 in a string"},
		{"\"\xed\xa0\x80\"", "", 1, "invalid UTF-8 in a string"},
		{"\"\\n\xc3\\n\"", "\n", 3, "invalid UTF-8 in a string"},
	} {
		got, at, reason := AppendString([]byte("before "), []byte(tt.text), 0)
		if string(got) != "before "+tt.want || at != tt.at || reason != tt.reason {
			t.Errorf("%s is %q to %d, %q; want %q to %d, %q", tt.text, got, at, reason, tt.want, tt.at, tt.reason)
		}
		var s Scratch
		view, at, reason := s.View([]byte(tt.text), 0)
		if reason == "" && string(view) != tt.want || at != tt.at || reason != tt.reason {
			t.Errorf("the view of %s is %q to %d, %q; want %q to %d, %q", tt.text, view, at, reason, tt.want, tt.at, tt.reason)
		}
	}
}

func TestScratch_View_LooksOrKeeps(t *testing.T) {
	var s Scratch
	b := []byte(`"plain" "\n"`)
	plain, _, _ := s.View(b, 0)
	if &plain[0] != &b[1] {
		t.Error("text without escapes was copied")
	}
	first, _, _ := s.View(b, 8)
	second, _, _ := s.View(b, 8)
	if &first[0] != &second[0] {
		t.Error("the scratch is not used again")
	}
	large := []byte(`"\n` + strings.Repeat("x", maxKept) + `"`)
	if text, _, reason := s.View(large, 0); len(text) != maxKept+1 || reason != "" || s.text != nil {
		t.Errorf("%d bytes, %q, kept %d", len(text), reason, cap(s.text))
	}
}

// TestEveryByteInAString puts every byte at every place of strings around the width of the fast path.
func TestEveryByteInAString(t *testing.T) {
	var taken int
	for c := range 256 {
		for _, n := range []int{1, 7, 8, 9, 17} {
			for at := range n {
				text := []byte(`"` + "0123456789ACDEGHIJ"[:n] + `" and more`)
				text[1+at] = byte(c)
				got, end, reason := AppendString(nil, text, 0)
				if reason != "" {
					continue
				}
				var want string
				if err := json.Unmarshal(text[:end], &want); err != nil || string(got) != want {
					t.Fatalf("%q is %q, want %q, %v", text, got, want, err)
				}
				if end == n+2 {
					taken++
				}
			}
		}
	}
	if want := (128 - 32 - 2) * (1 + 7 + 8 + 9 + 17); taken != want {
		t.Errorf("%d strings were accepted, want %d", taken, want)
	}
}

func TestAppendQuoted(t *testing.T) {
	for c := range rune(0x250) {
		want := "a" + string(c) + `"\`
		text := AppendQuoted([]byte("x"), want)
		got, end, reason := AppendString(nil, text, 1)
		if string(got) != want || end != len(text) || reason != "" {
			t.Errorf("%q became %s", want, text)
		}
	}
}

func TestAppendBase64(t *testing.T) {
	for text, want := range map[string]string{"": "", "AP8=": "\x00\xff", "+/+/": "\xfb\xff\xbf"} {
		if got, ok := AppendBase64([]byte("x"), []byte(text)); !ok || string(got) != "x"+want {
			t.Errorf("%s is %q, %v", text, got, ok)
		}
	}
	for _, text := range []string{"AP8", "AP9=", "__8=", "AP8=\n", "A\r===", "====", "AP8=AP8=", " AP8="} {
		if got, ok := AppendBase64([]byte("x"), []byte(text)); ok || string(got) != "x" {
			t.Errorf("%s was accepted: %q", text, got)
		}
	}
	data := bytes.Repeat([]byte{1, 2, 3}, 1000)
	if got, ok := AppendBase64(nil, []byte(base64.StdEncoding.EncodeToString(data))); !ok || !bytes.Equal(got, data) {
		t.Errorf("3000 bytes became %d, %v", len(got), ok)
	}
}

func TestInt64(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int64
		end  int
		ok   bool
	}{
		{"0", 0, 1, true},
		{"-0", 0, 2, true},
		{"12,", 12, 2, true},
		{"9223372036854775807", math.MaxInt64, 19, true},
		{"-9223372036854775808", math.MinInt64, 20, true},
		{"9223372036854775808", math.MinInt64, 19, false},
		{"-9223372036854775809", math.MaxInt64, 20, false},
		{"18446744073709551616", 0, 20, false},
		{"-18446744073709551617", -1, 21, false},
		{"100000000000000000000", 7766279631452241920, 21, false},
		{"", 0, -1, false},
		{"-", 0, -1, false},
		{"+1", 0, -1, false},
		{"01", 0, -1, false},
		{"-01", 0, -1, false},
		{"1.0", 0, -1, false},
		{"1e3", 0, -1, false},
		{"1_0", 0, -1, false},
		{"0x1", 0, -1, false},
	} {
		if x, end, ok := Int64([]byte(tt.text), 0); x != tt.want || end != tt.end || ok != tt.ok {
			t.Errorf("%s is %d to %d, %v; want %d to %d, %v", tt.text, x, end, ok, tt.want, tt.end, tt.ok)
		}
	}
}

// TestInt64_EveryByte puts every byte at every place of numbers around the width of the fast path, with and without text behind.
func TestInt64_EveryByte(t *testing.T) {
	const digits = "123456789012345678901"
	for n := range len(digits) + 1 {
		for at := range n {
			for c := range 256 {
				text := []byte(digits[:n])
				text[at] = byte(c)
				want, err := strconv.ParseInt(string(text), 10, 64)
				if text[0] == '0' && n > 1 || text[0] == '+' {
					err = strconv.ErrSyntax // that is no integer in JSON
				}
				for _, behind := range []string{"", ",", "}, and more"} {
					x, end, ok := Int64(append(text, behind...), 0)
					if ok = ok && end == n; ok != (err == nil) || ok && x != want {
						t.Fatalf("%q is %d to %d, %v; want %d, %v", append(text, behind...), x, end, ok, want, err)
					}
				}
			}
		}
	}
}

func TestFloats(t *testing.T) {
	check := func(text string) {
		t.Helper()
		want64, err64 := strconv.ParseFloat(text, 64)
		want32, err32 := strconv.ParseFloat(text, 32)
		got64, end64, ok64 := Float64([]byte(text+" "), 0)
		got32, end32, ok32 := Float32([]byte(text+" "), 0)
		if math.Float64bits(got64) != math.Float64bits(want64) || end64 != len(text) || ok64 != (err64 == nil) {
			t.Errorf("%s is %v to %d, %v; want %v", text, got64, end64, ok64, want64)
		}
		if math.Float32bits(got32) != math.Float32bits(float32(want32)) || end32 != len(text) || ok32 != (err32 == nil) {
			t.Errorf("%s is %v to %d, %v; want %v", text, got32, end32, ok32, float32(want32))
		}
	}
	for _, text := range []string{
		"0", "-0", "-0.0e5", "0.1", "0.3", "1e22", "1e23", "-1.5E+3", "16777217", "9007199254740993", "1.00000017881393432617187499",
		"123456789012345678901234567890", "8.98846567431158e307", "2.2250738585072011e-308", "4.9406564584124654e-324", "1e-46", "1e-400",
		"3.4028234663852886e38", "3.4028236e38", "-1e309", "1e999", "1e99999999999999999999", "0e99999999999999999999", "1e-99999999999999999999",
	} {
		check(text)
	}
	for range 20_000 {
		check(strconv.FormatInt(int64(rand.Uint64()>>rand.IntN(64)), 10) + "." + strconv.Itoa(rand.IntN(1<<rand.IntN(31))) +
			"e" + strconv.Itoa(rand.IntN(80)-45))
	}
}

func TestNumber(t *testing.T) {
	for text, want := range map[string]int{
		"0": 1, "-0": 2, "10": 2, "1.5": 3, "-1.5e+3,": 7, "1E5]": 3, "1 2": 1,
		"": -1, "-": -1, "+1": -1, ".5": -1, "5.": -1, "01": -1, "1e": -1, "1e+": -1, "1.5.2": -1, "1e5e5": -1, "0x10": -1, "1_0": -1, "NaN": -1, "-Infinity": -1,
	} {
		if got := Number([]byte(text), 0); got != want {
			t.Errorf("%s ends at %d, want %d", text, got, want)
		}
	}
}

func TestMistyped(t *testing.T) {
	for text, want := range map[string]string{
		"":       "EOF while parsing a value",
		`"`:      "invalid type: string, expected a cat",
		`{`:      "invalid type: object, expected a cat",
		`[`:      "invalid type: array, expected a cat",
		"12":     "invalid type: integer `12`, expected a cat",
		"-1.5":   "invalid type: floating point `-1.5`, expected a cat",
		"012":    "invalid number",
		"true":   "invalid type: boolean, expected a cat",
		"false,": "invalid type: boolean, expected a cat",
		"null":   "invalid type: null, expected a cat",
		"nullx":  "expected value",
		"NaN":    "expected value",
		"'":      "expected value",
	} {
		if got := Mistyped([]byte(text), 0, "a cat"); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestValue(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`[{"a":`, n) + "1" + strings.Repeat("}]", n) }
	for _, tt := range []struct {
		text   string
		at     int
		reason string
	}{
		{`null`, 4, ""},
		{`true,`, 4, ""},
		{`false]`, 5, ""},
		{`-1.5e3 `, 6, ""},
		{`"\u00e4"`, 8, ""},
		{`[]`, 2, ""},
		{`[ ]`, 3, ""},
		{`{}`, 2, ""},
		{`[ 1 , "\n" , [ ] , { "a" : null , "a" : [ { } ] } ] rest`, 51, ""},
		{deep(5), 41, ""},
		{deep(6), 30, "arrays and objects are nested too deep"},
		{``, 0, "EOF while parsing a value"},
		{`[`, 1, "EOF while parsing a value"},
		{`[1`, 2, "EOF while parsing an array"},
		{`[1,`, 3, "EOF while parsing a value"},
		{`[1 2]`, 3, "expected `,` or `]`"},
		{`[1,]`, 3, "trailing comma"},
		{`[,1]`, 1, "expected value"},
		{`[1}`, 2, "expected `,` or `]`"},
		{`[01]`, 1, "invalid number"},
		{`[nul]`, 1, "expected value"},
		{`[nullx]`, 1, "expected value"},
		{`["\x"]`, 2, "invalid escape"},
		{`{`, 1, "EOF while parsing an object"},
		{`{"a"`, 4, "EOF while parsing an object"},
		{`{"a":`, 5, "EOF while parsing a value"},
		{`{"a":1`, 6, "EOF while parsing an object"},
		{`{"a":1,`, 7, "EOF while parsing an object"},
		{`{"a" 1}`, 5, "expected `:`"},
		{`{"a":1 "b":2}`, 7, "expected `,` or `}`"},
		{`{"a":1,}`, 7, "trailing comma"},
		{`{a:1}`, 1, "key must be a string"},
		{`{"\x":1}`, 2, "invalid escape"},
		{`{"a":1]`, 6, "expected `,` or `}`"},
		{"\v", 0, "expected value"},
	} {
		var s Scratch
		at, reason := s.Value([]byte(tt.text), 0, 10)
		if at != tt.at || reason != tt.reason {
			t.Errorf("%s: to %d, %q; want %d, %q", tt.text, at, reason, tt.at, tt.reason)
		}
	}
}

func TestPlace(t *testing.T) {
	b := []byte("ab\n\ncd")
	for at, want := range [][2]int{{1, 1}, {1, 2}, {1, 3}, {2, 1}, {3, 1}, {3, 2}, {3, 3}} {
		if line, column := Place(b, at); line != want[0] || column != want[1] {
			t.Errorf("byte %d is at line %d column %d, want %v", at, line, column, want)
		}
	}
}

func TestClip(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		"plain":                  "plain",
		"a\ab\xff":               `a\ab\xff`,
		strings.Repeat("x", 64):  strings.Repeat("x", 64),
		strings.Repeat("x", 65):  strings.Repeat("x", 64) + "…",
		strings.Repeat("世", 22):  strings.Repeat("世", 21) + "…",
		strings.Repeat("\a", 65): strings.Repeat(`\a`, 64) + "…",
	} {
		if got := Clip(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
		if got := Clip([]byte(text)); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// FuzzValue compares with encoding/json, which is as strict but for text: it takes invalid UTF-8 and lone surrogates.
func FuzzValue(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,2.5e-3,true,false,null,"\u00e4\ud83c\udf0d"],"b":{}}`, ` [ ] `, `"text"`, `-0.0e+5`, `[1,]`, `{"a":}`, "[\"\xff\"]",
		`["\ud800"]`, `[[[[[[[[[[[]]]]]]]]]]]`, `nullx`, `[truefalse]`, `{"a":1 "b"}`, `01`, `"` + strings.Repeat("x", 30) + `\n"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Scratch
		const depth = 10
		at, reason := s.Value(b, Space(b, 0), depth)
		if at < 0 || at > len(b) {
			t.Fatalf("%q: position %d", b, at)
		}
		whole := reason == "" && Space(b, at) == len(b)
		switch {
		case whole && !json.Valid(b):
			t.Fatalf("%q was accepted", b)
		case whole && !utf8.Valid(b):
			t.Fatalf("%q was accepted, which is not UTF-8", b)
		case !whole && json.Valid(b) && utf8.Valid(b) && !strings.Contains(reason, "surrogate") && nesting(b) <= depth:
			t.Fatalf("%q was refused at %d: %s", b, at, reason)
		}
	})
}

// nesting is how deep the arrays and objects of a valid text are nested.
func nesting(b []byte) (deepest int) {
	depth := 0
	for dec := json.NewDecoder(bytes.NewReader(b)); ; {
		tok, err := dec.Token()
		if err != nil {
			return deepest
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}
