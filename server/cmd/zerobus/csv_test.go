package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zerobus-go/zerobus/schema"
)

func csvColumns(t testing.TB) []schema.Field {
	t.Helper()
	var fields []schema.Field
	for _, c := range [][2]string{{"id", "bigint"}, {"text", "string"}, {"at", "timestamp"}, {"on", "date"}, {"ok", "boolean"}} {
		fields = append(fields, schema.Field{Name: c[0], Type: *parseType(t, c[1])})
	}
	return fields
}

func TestRows(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		comma    rune
		want     []lineRecord
		line     int64  // of the error
		err      string // empty for EOF
	}{
		{"nothing", "", ',', nil, 1, ""},
		{"header only", "id,text\n", ',', nil, 1, ""},
		{"rows", "id,text\r\n1,a\r\n\r\n2,\n3,b", ',', []lineRecord{{2, `{"id":1,"text":"a"}`}, {4, `{"id":2}`}, {5, `{"id":3,"text":"b"}`}}, 5, ""},
		{"all empty", "id,text\n,\n", ',', []lineRecord{{2, `{}`}}, 2, ""},
		{"order of the file", "ok,id\nt,1\n", ',', []lineRecord{{2, `{"ok":true,"id":1}`}}, 2, ""},
		{"quotes", "id,text\n1,\"a \"\"b\"\",\nc\"\n2,d\n", ',', []lineRecord{{2, `{"id":1,"text":"a \"b\",\nc"}`}, {4, `{"id":2,"text":"d"}`}}, 4, ""},
		{"semicolons", "id;text\n1;a,b\n", ';', []lineRecord{{2, `{"id":1,"text":"a,b"}`}}, 2, ""},
		{"tabs", "id\ttext\n1\ta\n", '\t', []lineRecord{{2, `{"id":1,"text":"a"}`}}, 2, ""},
		{"byte order mark", "\ufeffid\n1\n", ',', []lineRecord{{2, `{"id":1}`}}, 2, ""},
		{"spaces in the header", "id, text\n1,a\n", ',', []lineRecord{{2, `{"id":1,"text":"a"}`}}, 2, ""},

		{"unknown column", "id,texst\n1,a\n", ',', nil, 1, `"texst", and the table has no such column: it has id, text, at, on, ok`},
		{"wrong case", "ID\n1\n", ',', nil, 1, `names "ID"`},
		{"column twice", "id,text,id\n", ',', nil, 1, `names "id" twice, the second time as column 3`},
		{"no number", "id,text\n1,a\n\nx,b\n", ',', []lineRecord{{2, `{"id":1,"text":"a"}`}}, 4, `column id: "x" is not an integer (BIGINT)`},
		{"no number, in a later line of the record", "text,id\n\"a\nb\",x\n", ',', nil, 3, `column id: "x" is not an integer`},
		{"no time", "at\nnow\n", ',', nil, 2, `column at: "now" is not a time like`},
		{"long cell", "id\n" + strings.Repeat("x", 1000) + "\n", ',', nil, 2, `column id: "` + strings.Repeat("x", 60) + `"… is not`},
		{"too few cells", "id,text\n1\n", ',', nil, 2, "the number of cells differs from the 2 of the header"},
		{"too many cells", "id,text\n1,2,3\n", ',', nil, 2, "the number of cells differs"},
		{"bare quote", "id,text\n1,a\"b\n", ',', nil, 2, `bare " in non-quoted-field, at column 4`},
		{"quote not closed", "id,text\n1,\"a\nb\n", ',', nil, 2, `extraneous or missing " in quoted-field, at line`},
		{"quote not closed, in the header", "\"id\n", ',', nil, 1, `extraneous or missing "`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := newRows(strings.NewReader(tt.in), tt.comma, csvColumns(t))
			var got []lineRecord
			if err == nil {
				got, err = readLines(r)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			if r.line() != tt.line {
				t.Errorf("ended on line %d, want %d", r.line(), tt.line)
			}
			var bad badRecord
			switch {
			case tt.err == "" && err != io.EOF:
				t.Errorf("error %v, want EOF", err)
			case tt.err != "" && (!errors.As(err, &bad) || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("error %v, want one that says %q", err, tt.err)
			}
		})
	}
}

func TestRows_SkipPassesOverBadRows(t *testing.T) {
	r, err := newRows(strings.NewReader("id,text\n1,a\nx,b\n1,2,3\n2,a\"b\n7,g\n"), ',', csvColumns(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if err := r.skip(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readLines(r)
	if d := cmp.Diff([]lineRecord{{6, `{"id":7,"text":"g"}`}}, got); d != "" || err != io.EOF {
		t.Errorf("%v (-want +got)\n%s", err, d)
	}
	if err := r.skip(); err != io.EOF {
		t.Errorf("skip behind the end: %v", err)
	}
}

// endless is rows without end, and counts what is read of it.
type endless struct{ n int64 }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
		if i%1000 == 0 {
			b[i] = '\n'
		}
	}
	e.n += int64(len(b))
	return len(b), nil
}

// A quote that is never closed does not take all memory.
func TestRows_OpenQuoteIsBounded(t *testing.T) {
	e := &endless{}
	r, err := newRows(io.MultiReader(strings.NewReader("id,text\n1,a\n2,\""), e), ',', csvColumns(t))
	if err != nil {
		t.Fatal(err)
	}
	got, err := readLines(r)
	if len(got) != 1 || err != errLongRow || r.line() != 2 {
		t.Errorf("%d rows, then %v on line %d; want 1, then %v on line 2", len(got), err, r.line(), errLongRow)
	}
	if most := int64(fuseLength + readBuffer); e.n > most {
		t.Errorf("%d bytes were read, want at most %d", e.n, most)
	}
	if err := r.skip(); err != errLongRow {
		t.Errorf("skip: %v, want %v: nobody knows where the next record begins", err, errLongRow)
	}
}

func TestParseComma(t *testing.T) {
	for s, want := range map[string]rune{",": ',', ";": ';', "|": '|', "\t": '\t', `\t`: '\t', "tab": '\t', "§": '§'} {
		if got, err := parseComma(s); got != want || err != nil {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", ",,", `"`, "\n", "\r", "\xff"} {
		var wrong *usageError
		if _, err := parseComma(s); !errors.As(err, &wrong) {
			t.Errorf("%q: %v, want a usage error", s, err)
		}
	}
}

func FuzzRows(f *testing.F) {
	f.Add("id,text\n1,a\n")
	f.Add("\ufeffid;text\r\n\"1\",\"a\"\"\nb\"\n\nx,y\n")
	f.Add("text,at,on,ok\na,2001-01-01 00:00:00,2001-01-01,t\n")
	columns := csvColumns(f)
	f.Fuzz(func(t *testing.T, in string) {
		r, err := newRows(strings.NewReader(in), ',', columns)
		if err != nil {
			return
		}
		last, total := int64(0), int64(strings.Count(in, "\n")+1)
		for {
			rec, err := r.next()
			if err != nil {
				if err != io.EOF && !isBad(err) {
					t.Fatalf("error %v", err)
				}
				return
			}
			checkObject(t, rec)
			if l := r.line(); l <= last || l > total {
				t.Fatalf("line %d behind line %d of %d", l, last, total)
			}
			last = r.line()
		}
	})
}

func isBad(err error) bool {
	var bad badRecord
	return errors.As(err, &bad)
}

func checkObject(t *testing.T, rec []byte) {
	t.Helper()
	var row struct {
		ID   *json.Number `json:"id"`
		Text *string      `json:"text"`
		At   *json.Number `json:"at"`
		On   *json.Number `json:"on"`
		OK   *bool        `json:"ok"`
	}
	d := json.NewDecoder(bytes.NewReader(rec))
	d.DisallowUnknownFields()
	if err := d.Decode(&row); err != nil {
		t.Fatalf("%q: %v", rec, err)
	}
}
