package main

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/zerobus-go/zerobus/schema"
)

func parseType(t testing.TB, text string) *schema.Type {
	t.Helper()
	typ, err := schema.ParseType(text)
	if err != nil {
		t.Fatal(err)
	}
	return &typ
}

func TestAppendCell(t *testing.T) {
	for _, tt := range []struct{ typ, cell, want string }{ // want is empty for a refusal
		{"tinyint", "1", `1`},
		{"smallint", "-12", `-12`},
		{"int", "+7", `7`},
		{"bigint", "-9223372036854775808", `-9223372036854775808`},
		{"int", "007", `7`},
		{"int", "-0", `-0`},
		{"int", "000", `0`},
		{"int", " 5 ", `5`},
		{"int", "99999999999999999999", `99999999999999999999`}, // the server knows the range
		{"int", "abc", ""},
		{"int", "1.0", ""},
		{"int", "1e3", ""},
		{"int", "", ""},
		{"int", "-", ""},
		{"int", "0x10", ""},
		{"int", "1 2", ""},
		{"int", "1,000", ""},
		{"int", "٣", ""},
		{"int", "null", ""},

		{"double", "1.50", `1.50`},
		{"double", "-.5", `-0.5`},
		{"double", "5.", `5`},
		{"double", "+1e+05", `1e+05`},
		{"float", "00.1E-3", `0.1E-3`},
		{"double", "12345678901234567890.123456789", `12345678901234567890.123456789`},
		{"double", "NaN", ""},
		{"double", "inf", ""},
		{"double", ".", ""},
		{"double", "1e", ""},
		{"double", "1e+", ""},
		{"double", "1.2.3", ""},
		{"double", "1e5x", ""},
		{"double", "--1", ""},
		{"double", "1_000", ""},

		{"decimal(10,2)", "1.50", `"1.50"`},
		{"decimal(10,2)", "-.5", `"-0.5"`},
		{"decimal(38,18)", "0001", `"1"`},
		{"decimal(10,2)", "x", ""},

		{"boolean", "true", `true`},
		{"boolean", "TRUE", `true`},
		{"boolean", "t", `true`},
		{"boolean", "1", `true`},
		{"boolean", "False", `false`},
		{"boolean", "F", `false`},
		{"boolean", "0", `false`},
		{"boolean", "yes", ""},
		{"boolean", "2", ""},

		{"date", "1970-01-01", `0`},
		{"date", "1969-12-31", `-1`},
		{"date", "2024-02-29", `19782`},
		{"date", "0001-01-01", `-719162`},
		{"date", "9999-12-31", `2932896`},
		{"date", "19782", `19782`},
		{"date", "-5", `-5`},
		{"date", "2023-02-29", ""},
		{"date", "2024-13-01", ""},
		{"date", "2024-00-01", ""},
		{"date", "2024-1-1", ""},
		{"date", "2024-01-01T00:00:00Z", ""},
		{"date", "24/01/2024", ""},
		{"date", "2024-01-32", ""},
		{"date", "+024-01-01", ""},

		{"timestamp", "1970-01-01 00:00:00", `0`},
		{"timestamp", "1970-01-01T00:00:01Z", `1000000`},
		{"timestamp", "1970-01-01T00:00:00.123456Z", `123456`},
		{"timestamp", "1970-01-01 00:00:00.1", `100000`},
		{"timestamp", "1970-01-01 00:00:00.9999999", `999999`},
		{"timestamp", "1969-12-31 23:59:59.9999999", `-1`},
		{"timestamp", "1969-12-31 23:59:59.9999991", `-1`},
		{"timestamp", "1969-12-31 23:59:59.1234567", `-876544`},
		{"timestamp", "2001-01-01T02:00:00+02:00", `978307200000000`},
		{"timestamp", "2000-12-31T18:30:00-05:30", `978307200000000`},
		{"timestamp", "2001-01-01t00:00:00z", `978307200000000`},
		{"timestamp", "978307260000000", `978307260000000`},
		{"timestamp", "9999-12-31 23:59:59.999999", `253402300799999999`},
		{"timestamp", "0001-01-01 00:00:00", `-62135596800000000`},
		{"timestamp_ntz", "2001-01-01T02:00:00+02:00", `978314400000000`},
		{"timestamp_ntz", "2001-01-01 00:01:00", `978307260000000`},
		{"timestamp", "2001-01-01", ""},
		{"timestamp", "2001-01-01 24:00:00", ""},
		{"timestamp", "2001-01-01 00:60:00", ""},
		{"timestamp", "2001-01-01 00:00:60", ""},
		{"timestamp", "2001-01-01 00:00:00.", ""},
		{"timestamp", "2001-01-01 00:00:00 UTC", ""},
		{"timestamp", "2001-01-01 00:00", ""},
		{"timestamp", "2001-01-01 00:00:00+2", ""},
		{"timestamp", "2001-01-01 00:00:00+24:00", ""},
		{"timestamp", "2001-02-30 00:00:00", ""},
		{"timestamp", "1.5", ""},
		{"timestamp", "yesterday", ""},

		{"binary", "AP8=", `"AP8="`},
		{"binary", "AP8", ""},
		{"binary", "AP9=", ""},
		{"binary", "__8=", ""},
		{"binary", "AP\n8=", ""},

		{"string", " a ", `" a "`},
		{"string", `say "hi" \ there`, `"say \"hi\" \\ there"`},
		{"string", "a\tb\r\nc\x01\x1f\x7f", `"a\tb\r\nc\u0001\u001f` + "\x7f" + `"`},
		{"string", "Zürich 🚲 \u2028", `"Zürich 🚲 ` + "\u2028" + `"`},
		{"string", "null", `"null"`},
		{"string", "\xff", ""},
		{"string", "a\xc3", ""},
		{"varchar(3)", "1", `"1"`},
		{"variant", `{"a":[1,"x"]}`, `"{\"a\":[1,\"x\"]}"`},

		{"array<int>", "[1, 2]", `[1, 2]`},
		{"map<string,int>", `{"a":1}`, `{"a":1}`},
		{"struct<a:int>", `{"a":1}`, `{"a":1}`},
		{"array<int>", "1, 2", ""},
		{"array<int>", "[1", ""},
		{"struct<a:string>", "{\"a\":\"\xff\"}", ""},
	} {
		got, wanted := appendCell([]byte("…"), parseType(t, tt.typ), tt.cell)
		switch {
		case tt.want == "" && (wanted == "" || string(got) != "…"):
			t.Errorf("%s %q: %s, want a refusal", tt.typ, tt.cell, got)
		case tt.want != "" && (wanted != "" || string(got) != "…"+tt.want):
			t.Errorf("%s %q: %s, refused for %q; want %s", tt.typ, tt.cell, got, wanted, tt.want)
		}
	}
}

var (
	numberForm = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	zoneForm   = regexp.MustCompile(`([Zz]|[+-][0-9]{2}:[0-9]{2})$`)
)

func FuzzAppendCell(f *testing.F) {
	types := []string{"bigint", "double", "decimal(20,4)", "boolean", "date", "timestamp", "timestamp_ntz", "binary", "string", "variant", "array<int>"}
	for i, cell := range []string{
		"-0012", "+.5e-07", "1.", "T", "2024-02-29", "1969-12-31 23:59:59.1234567", "2001-01-01T00:00:00+02:00", "AP8=", "a\"\\\x00\xff", `{"a":1}`, "[1,2]",
	} {
		f.Add(uint8(i), cell)
	}
	parsed := make([]*schema.Type, len(types))
	for i, text := range types {
		parsed[i] = parseType(f, text)
	}
	f.Fuzz(func(t *testing.T, kind uint8, cell string) {
		typ := parsed[int(kind)%len(parsed)]
		const before = `{"k":`
		out, wanted := appendCell([]byte(before), typ, cell)
		text, ok := strings.CutPrefix(string(out), before)
		if !ok || wanted != "" && text != "" {
			t.Fatalf("%s %q: what was there became %q", typ, cell, out)
		}
		accepted := wanted == ""
		if accepted && (!json.Valid([]byte(text)) || !utf8.ValidString(text)) {
			t.Fatalf("%s %q: %q is not JSON", typ, cell, text)
		}
		trimmed := strings.TrimSpace(cell)
		switch typ.Kind {
		case schema.Long, schema.Double, schema.Decimal:
			isNumber := numberForm.MatchString(trimmed) && (typ.Kind != schema.Long || !strings.ContainsAny(trimmed, ".eE"))
			if accepted != isNumber {
				t.Fatalf("%s %q: accepted is %v", typ, cell, accepted)
			}
			if n := strings.Trim(text, `"`); accepted && !sameNumber(n, trimmed) {
				t.Fatalf("%s %q: became %s", typ, cell, n)
			}
		case schema.Boolean:
			b, err := strconv.ParseBool(strings.ToLower(trimmed))
			if accepted != (err == nil) || accepted && text != strconv.FormatBool(b) {
				t.Fatalf("boolean %q: %q", cell, text)
			}
		case schema.Date, schema.Timestamp, schema.TimestampNTZ:
			if accepted && !numberForm.MatchString(trimmed) && text != timeOracle(t, typ.Kind, trimmed) {
				t.Fatalf("%s %q: %s, want %s", typ, cell, text, timeOracle(t, typ.Kind, trimmed))
			}
		case schema.Binary:
			_, err := base64.StdEncoding.Strict().DecodeString(trimmed)
			if accepted != (err == nil && !strings.ContainsAny(trimmed, "\r\n")) || accepted && text != `"`+trimmed+`"` {
				t.Fatalf("binary %q: %q", cell, text)
			}
		case schema.String, schema.Variant:
			if accepted != utf8.ValidString(cell) {
				t.Fatalf("string %q: accepted is %v", cell, accepted)
			}
			var back string
			if accepted && (json.Unmarshal([]byte(text), &back) != nil || back != cell) {
				t.Fatalf("string %q: %s", cell, text)
			}
		}
	})
}

// sameNumber compares exactly. Numbers with huge exponents would take all memory; their digits are compared instead.
func sameNumber(a, b string) bool {
	split := func(s string) (string, string) {
		m, e, _ := strings.Cut(strings.ToLower(s), "e")
		return m, e
	}
	ma, ea := split(a)
	mb, eb := split(b)
	x, ok1 := new(big.Rat).SetString(ma)
	y, ok2 := new(big.Rat).SetString(mb)
	return ok1 && ok2 && x.Cmp(y) == 0 && ea == eb
}

// timeOracle reads the text with the time package.
func timeOracle(t *testing.T, kind schema.Kind, s string) string {
	t.Helper()
	if kind == schema.Date {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatalf("date %q was accepted, and time.Parse says %v", s, err)
		}
		return strconv.FormatInt(d.Unix()/secondsPerDay, 10)
	}
	s = s[:10] + "T" + s[11:]
	if kind == schema.TimestampNTZ || !zoneForm.MatchString(s) {
		s = zoneForm.ReplaceAllString(s, "") + "Z"
	}
	at, err := time.Parse(time.RFC3339, strings.ToUpper(s))
	if err != nil {
		t.Fatalf("time %q was accepted, and time.Parse says %v", s, err)
	}
	return strconv.FormatInt(at.UnixMicro(), 10)
}
