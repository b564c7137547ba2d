package sqltext

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLength bounds the text of one script, in bytes.
const MaxLength = 1 << 20

// byteOrderMark is what some editors put in front of UTF-8 text.
const byteOrderMark = "\ufeff"

// Kind says what a token is.
type Kind uint8

// The kinds of tokens.
const (
	End    Kind = iota // the end of the text
	Word               // an unquoted identifier or keyword, which may begin with a digit; Text as it was written
	Quoted             // an identifier in backticks; Text without them
	String             // a string literal; Text is its value
	Number             // an unsigned integer or decimal number
	Symbol             // one of ( ) , ; . < > : = - or another single character
)

// Token is one piece of the text.
type Token struct {
	Kind Kind
	Text string
	Pos  Pos

	// Offset and End are where the token begins and ends in the text, in bytes.
	Offset, End int
}

// Is reports whether the token is the given symbol, or the given keyword in any case.
func (t Token) Is(text string) bool {
	switch t.Kind {
	case Word:
		return strings.EqualFold(t.Text, text)
	case Symbol:
		return t.Text == text
	}
	return false
}

// IsName reports whether the token can stand for an identifier.
func (t Token) IsName() bool { return t.Kind == Word || t.Kind == Quoted }

// String describes the token for error messages.
func (t Token) String() string {
	switch t.Kind {
	case End:
		return "the end of the statement"
	case Quoted:
		return "the quoted name " + clip(t.Text)
	case String:
		return "the string " + clip(t.Text)
	}
	return clip(t.Text)
}

// clip quotes a text for a message and shortens it: a script may be a megabyte in one pair of quotes.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		return strconv.Quote(strings.ToValidUTF8(s[:most], "")) + "…"
	}
	return strconv.Quote(s)
}

// Pos is a place in the text; both count from 1, the column in characters.
type Pos struct{ Line, Column int }

func (p Pos) String() string { return fmt.Sprintf("line %d column %d", p.Line, p.Column) }

// Error is a fault in the text.
type Error struct {
	Pos Pos
	Msg string
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Pos, e.Msg) }

// Errorf makes an Error at a token.
func Errorf(t Token, format string, args ...any) error {
	return &Error{Pos: t.Pos, Msg: fmt.Sprintf(format, args...)}
}

// Scanner reads tokens from left to right with one token of look-ahead. After a fault it gives End for ever and Err is set.
type Scanner struct {
	text   string
	off    int
	pos    Pos
	peeked bool
	next   Token
	taken  int // where the last token that was taken ended
	err    error
}

// NewScanner starts at the beginning of text.
func NewScanner(text string) *Scanner {
	s := &Scanner{text: text, pos: Pos{1, 1}}
	if strings.HasPrefix(text, byteOrderMark) {
		s.off = len(byteOrderMark)
	}
	if len(text) > MaxLength {
		s.fail(s.pos, fmt.Sprintf("the text has %d bytes, more than the limit of %d", len(text), MaxLength))
	}
	return s
}

// Err is the fault that ended the scan, or nil.
func (s *Scanner) Err() error { return s.err }

// Peek returns the next token without taking it.
func (s *Scanner) Peek() Token {
	if !s.peeked {
		s.next = s.scan()
		s.peeked = true
	}
	return s.next
}

// Next takes the next token.
func (s *Scanner) Next() Token {
	t := s.Peek()
	s.peeked = false
	s.taken = t.End
	return t
}

// Taken is where the last token that was taken ended, in bytes from the beginning of the text; 0 before the first.
func (s *Scanner) Taken() int { return s.taken }

// Accept takes the given symbols or keywords when the next token is the first of them. The others must follow then: anything
// else is a fault.
func (s *Scanner) Accept(first string, rest ...string) bool {
	if !s.Peek().Is(first) {
		return false
	}
	s.Next()
	for _, w := range rest {
		if t := s.Next(); !t.Is(w) {
			s.fail(t.Pos, fmt.Sprintf("expected %s after %s, got %s", w, first, t))
			return false
		}
	}
	return true
}

// Expect takes the next token, which must be the given symbol or keyword.
func (s *Scanner) Expect(text string) error {
	t := s.Next()
	if s.err != nil {
		return s.err
	}
	if !t.Is(text) {
		return Errorf(t, "expected %s, got %s", text, t)
	}
	return nil
}

// Name takes an identifier.
func (s *Scanner) Name(what string) (string, error) {
	t := s.Next()
	if s.err != nil {
		return "", s.err
	}
	if !t.IsName() || t.Text == "" {
		return "", Errorf(t, "expected %s, got %s", what, t)
	}
	return t.Text, nil
}

func (s *Scanner) fail(p Pos, msg string) {
	if s.err == nil {
		s.err = &Error{Pos: p, Msg: msg}
	}
	s.off = len(s.text)
}

func (s *Scanner) rune() (rune, int) {
	if s.off >= len(s.text) {
		return -1, 0
	}
	return utf8.DecodeRuneInString(s.text[s.off:])
}

func (s *Scanner) advance(r rune, n int) {
	s.off += n
	if r == '\n' {
		s.pos = Pos{s.pos.Line + 1, 1}
	} else {
		s.pos.Column++
	}
}

func (s *Scanner) scan() Token {
	s.skipBlank()
	t := Token{Pos: s.pos, Offset: s.off}
	r, n := s.rune()
	switch {
	case r < 0:
	case r == utf8.RuneError && n == 1:
		s.fail(s.pos, "the text is not valid UTF-8")
	case r == '`':
		t.Kind = Quoted
		t.Text = s.quoted(r)
	case r == '\'' || r == '"':
		t.Kind = String
		t.Text = s.quoted(r)
	case inWord(r):
		t.Kind = s.word()
		t.Text = s.text[t.Offset:s.off]
	default:
		t.Kind = Symbol
		s.advance(r, n)
		t.Text = s.text[t.Offset:s.off]
	}
	if s.err != nil {
		t = Token{Kind: End, Pos: t.Pos, Offset: len(s.text)}
	}
	t.End = s.off
	return t
}

func inWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// word takes a word or a number: 12 and 1.5 are numbers; t12, 12t and _12 are words. A point belongs to a number only with a
// digit behind it.
func (s *Scanner) word() Kind {
	from := s.off
	s.while(inWord)
	if strings.Trim(s.text[from:s.off], "0123456789") != "" {
		return Word
	}
	if rest := s.text[s.off:]; len(rest) > 1 && rest[0] == '.' && '0' <= rest[1] && rest[1] <= '9' {
		s.advance('.', 1)
		s.while(func(r rune) bool { return r >= '0' && r <= '9' })
	}
	return Number
}

func (s *Scanner) while(ok func(rune) bool) {
	for {
		r, n := s.rune()
		if r < 0 || !ok(r) {
			return
		}
		s.advance(r, n)
	}
}

func (s *Scanner) skipBlank() {
	for {
		rest := s.text[s.off:]
		switch {
		case strings.HasPrefix(rest, "--"):
			s.while(func(r rune) bool { return r != '\n' })
		case strings.HasPrefix(rest, "/*"):
			start := s.pos
			end := strings.Index(rest, "*/")
			if end < 0 {
				s.fail(start, "the comment is not closed")
				return
			}
			for stop := s.off + end + 2; s.off < stop; {
				s.advance(s.rune())
			}
		default:
			r, n := s.rune()
			if r < 0 || !unicode.IsSpace(r) {
				return
			}
			s.advance(r, n)
		}
	}
}

// quoted takes what stands between two quotes. Only strings have backslash escapes.
func (s *Scanner) quoted(quote rune) string {
	start := s.pos
	s.advance(quote, 1)
	var b strings.Builder
	for {
		r, n := s.rune()
		switch {
		case r < 0:
			s.fail(start, fmt.Sprintf("the quote %c is not closed", quote))
			return ""
		case r == utf8.RuneError && n == 1:
			s.fail(s.pos, "the text is not valid UTF-8")
			return ""
		}
		s.advance(r, n)
		switch {
		case r == quote:
			if again, m := s.rune(); again == quote {
				s.advance(again, m)
				b.WriteRune(quote)
				continue
			}
			return b.String()
		case r == '\\' && quote != '`':
			esc, m := s.rune()
			if esc < 0 || esc == utf8.RuneError && m == 1 {
				continue // the fault is found above
			}
			s.advance(esc, m)
			b.WriteRune(unescape(esc))
		default:
			b.WriteRune(r)
		}
	}
}

func unescape(r rune) rune {
	switch r {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'b':
		return '\b'
	case '0':
		return 0
	}
	return r
}
