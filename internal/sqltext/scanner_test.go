package sqltext

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func tokens(text string) ([]Token, error) {
	s := NewScanner(text)
	var list []Token
	for {
		t := s.Next()
		if t.Kind == End {
			return list, s.Err()
		}
		list = append(list, t)
	}
}

func TestScanner_Tokens(t *testing.T) {
	type tok struct {
		kind Kind
		text string
	}
	for _, c := range []struct {
		text string
		want []tok
	}{
		{"", nil},
		{" \t\r\n", nil},
		{"select", []tok{{Word, "select"}}},
		{"a.b_1.c", []tok{{Word, "a"}, {Symbol, "."}, {Word, "b_1"}, {Symbol, "."}, {Word, "c"}}},
		{"_x größe", []tok{{Word, "_x"}, {Word, "größe"}}},
		{"a.2020_flights", []tok{{Word, "a"}, {Symbol, "."}, {Word, "2020_flights"}}},
		{"12 1.50 1.x 7d 3.", []tok{{Number, "12"}, {Number, "1.50"}, {Number, "1"}, {Symbol, "."}, {Word, "x"}, {Word, "7d"}, {Number, "3"}, {Symbol, "."}}},
		{"1.2.3", []tok{{Number, "1.2"}, {Symbol, "."}, {Number, "3"}}},
		{"`a b` `c``d` `e\\n`", []tok{{Quoted, "a b"}, {Quoted, "c`d"}, {Quoted, `e\n`}}},
		{`'it''s' "a""b"`, []tok{{String, "it's"}, {String, `a"b`}}},
		{`'a\'b' "\"" '\\' '\n\t\r\b\0' '\q'`, []tok{{String, "a'b"}, {String, `"`}, {String, `\`}, {String, "\n\t\r\b\x00"}, {String, "q"}}},
		{"''", []tok{{String, ""}}},
		{"``", []tok{{Quoted, ""}}},
		{"a--b\nc", []tok{{Word, "a"}, {Word, "c"}}},
		{"a /* b\n ; */ c -- d", []tok{{Word, "a"}, {Word, "c"}}},
		{"/**/", nil},
		{"(a<b>,c:=;-*)", []tok{
			{Symbol, "("},
			{Word, "a"},
			{Symbol, "<"},
			{Word, "b"},
			{Symbol, ">"},
			{Symbol, ","},
			{Word, "c"},
			{Symbol, ":"},
			{Symbol, "="},
			{Symbol, ";"},
			{Symbol, "-"},
			{Symbol, "*"},
			{Symbol, ")"},
		}},
		{"'-- no comment /* */'", []tok{{String, "-- no comment /* */"}}},
		{"\ufeffa", []tok{{Word, "a"}}},
	} {
		list, err := tokens(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		var got []tok
		for _, x := range list {
			got = append(got, tok{x.Kind, x.Text})
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q:\ngot  %q\nwant %q", c.text, got, c.want)
		}
	}
}

func TestScanner_Positions(t *testing.T) {
	text := "a\n  `b\nc` 'ü' d /* \n */ e"
	list, err := tokens(text)
	if err != nil {
		t.Fatal(err)
	}
	want := []Pos{{1, 1}, {2, 3}, {3, 4}, {3, 8}, {4, 5}}
	for i, x := range list {
		if x.Pos != want[i] {
			t.Errorf("token %d %s is at %v, want %v", i, x, x.Pos, want[i])
		}
	}
	var pieces []string
	for _, x := range list {
		pieces = append(pieces, text[x.Offset:x.End])
	}
	if got := strings.Join(pieces, "|"); got != "a|`b\nc`|'ü'|d|e" {
		t.Errorf("the tokens' places in the text are %q", got)
	}
}

func TestScanner_Taken(t *testing.T) {
	s := NewScanner(" ab /* c */ d")
	if s.Peek(); s.Taken() != 0 {
		t.Errorf("before the first token: %d", s.Taken())
	}
	if s.Next(); s.Taken() != 3 {
		t.Errorf("after the first token: %d", s.Taken())
	}
	if s.Peek(); s.Taken() != 3 {
		t.Errorf("after a look at the second: %d", s.Taken())
	}
}

func TestScanner_Faults(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a 'b", "line 1 column 3: the quote ' is not closed"},
		{"a\n `b``", "line 2 column 2: the quote ` is not closed"},
		{`"\`, `line 1 column 1: the quote " is not closed`},
		{"a /* b", "line 1 column 3: the comment is not closed"},
		{"a \xff", "line 1 column 3: the text is not valid UTF-8"},
		{"'a\xff'", "line 1 column 3: the text is not valid UTF-8"},
		{"'a\\\xff'", "line 1 column 4: the text is not valid UTF-8"},
		{strings.Repeat(" ", MaxLength+1), "line 1 column 1: the text has 1048577 bytes, more than the limit of 1048576"},
	} {
		_, err := tokens(c.text)
		if err == nil || err.Error() != c.want {
			t.Errorf("%.20q: error %v, want %s", c.text, err, c.want)
		}
	}
	if _, err := tokens(strings.Repeat(" ", MaxLength)); err != nil {
		t.Errorf("a text of the largest length: %v", err)
	}
}

func TestScanner_AfterAFaultThereIsOnlyTheEnd(t *testing.T) {
	s := NewScanner("a 'b c d")
	s.Next()
	for range 3 {
		if x := s.Next(); x.Kind != End {
			t.Fatalf("got %s", x)
		}
	}
	if _, err := s.Name("a name"); err != s.Err() || err == nil {
		t.Errorf("Name after a fault: %v", err)
	}
	if err := s.Expect("c"); err != s.Err() || err == nil {
		t.Errorf("Expect after a fault: %v", err)
	}
}

func TestScanner_Accept(t *testing.T) {
	s := NewScanner("IF NOT exists `if` x")
	if s.Accept("x") {
		t.Fatal("took what is not there")
	}
	if !s.Accept("if", "not", "exists") {
		t.Fatal("did not take if not exists")
	}
	if s.Accept("if") {
		t.Fatal("took a quoted name as a keyword")
	}
	if name, err := s.Name("a name"); name != "if" || err != nil {
		t.Fatalf("got %q, %v", name, err)
	}
	if s.Accept("x", "y") {
		t.Fatal("took x y")
	}
	if err := s.Err(); err == nil || err.Error() != "line 1 column 21: expected y after x, got the end of the statement" {
		t.Fatal(err)
	}
}

func TestScanner_NameAndExpectTellWhatTheyGot(t *testing.T) {
	for _, c := range []struct{ text, name, expect string }{
		{"'a'", `line 1 column 1: expected a name, got the string "a"`, `line 1 column 1: expected FROM, got the string "a"`},
		{"12", `line 1 column 1: expected a name, got "12"`, `line 1 column 1: expected FROM, got "12"`},
		{"``", "line 1 column 1: expected a name, got the quoted name \"\"", "line 1 column 1: expected FROM, got the quoted name \"\""},
		{"", "line 1 column 1: expected a name, got the end of the statement", "line 1 column 1: expected FROM, got the end of the statement"},
	} {
		_, err := NewScanner(c.text).Name("a name")
		var at *Error
		if !errors.As(err, &at) || err.Error() != c.name {
			t.Errorf("Name of %q: %v, want %s", c.text, err, c.name)
		}
		if err := NewScanner(c.text).Expect("FROM"); err == nil || err.Error() != c.expect {
			t.Errorf("Expect of %q: %v, want %s", c.text, err, c.expect)
		}
	}
}

func TestToken_LongTextsAreCutInMessages(t *testing.T) {
	x := Token{Kind: String, Text: strings.Repeat("ü", 1000)}
	if got := x.String(); len(got) > 200 || !strings.HasSuffix(got, "…") || strings.ContainsRune(got, '�') {
		t.Errorf("got %q", got)
	}
}

// FuzzScanner: the scan ends, tokens stand in order at the places they claim, and what is between them is blank.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{"", "CREATE TABLE a.`b` (c INT) -- x", "'a\\'b''c' \"d\"", "/* \n */ 1.5 2020_x", "`", "'\\", "\ufeffx", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := tokens(text)
		end, pos := 0, Pos{1, 1}
		for _, x := range list {
			if x.Offset < end || x.End <= x.Offset || x.End > len(text) {
				t.Fatalf("token %s from %d to %d after %d", x, x.Offset, x.End, end)
			}
			if x.Pos.Line < pos.Line || x.Pos.Line == pos.Line && x.Pos.Column < pos.Column {
				t.Fatalf("token %s at %v after %v", x, x.Pos, pos)
			}
			if x.Kind != String && x.Kind != Quoted && x.Text != text[x.Offset:x.End] {
				t.Fatalf("token %s is %q in the text", x, text[x.Offset:x.End])
			}
			if between, err := tokens(text[end:x.Offset]); err != nil || len(between) != 0 {
				t.Fatalf("%q was passed over: %v", text[end:x.Offset], err)
			}
			end, pos = x.End, x.Pos
		}
		if rest, restErr := tokens(text[end:]); err == nil && (restErr != nil || len(rest) != 0) {
			t.Fatalf("%q at the end was passed over", text[end:])
		}
		var at *Error
		if err != nil && !errors.As(err, &at) {
			t.Fatalf("error without a place: %v", err)
		}
	})
}
