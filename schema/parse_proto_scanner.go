package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// protoKind says what a token of a .proto file is.
type protoKind uint8

const (
	protoEnd    protoKind = iota // the end of the file
	protoWord                    // an identifier or keyword
	protoInt                     // an unsigned integer: decimal, hexadecimal or octal
	protoReal                    // another number
	protoString                  // a string literal
	protoSymbol                  // one of protoSymbols
)

// What .proto files are made of.
const (
	protoBlanks  = " \t\r\n\v\f"
	protoSymbols = ";,.:=-+(){}[]<>/"
	protoDigits  = "0123456789"
	protoLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
)

var (
	protoInteger = regexp.MustCompile(`^(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$`)
	protoFloat   = regexp.MustCompile(`^(([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$`)
)

// protoToken is one piece of a .proto file.
type protoToken struct {
	kind    protoKind
	text    string // as the file has it
	value   string // of a string: what it says
	at, end int    // where it begins and ends in the file, in bytes
}

// is reports whether the token is the given symbol or keyword.
func (t protoToken) is(text string) bool {
	return t.text == text && (t.kind == protoWord || t.kind == protoSymbol)
}

// String describes the token for error messages.
func (t protoToken) String() string {
	if t.kind == protoEnd {
		return "the end of the file"
	}
	return clip(t.text)
}

// clip quotes a piece of a file for a message, and shortens it.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		return strconv.Quote(strings.ToValidUTF8(s[:most], "")) + "…"
	}
	return strconv.Quote(s)
}

// protoScanner cuts a .proto file into tokens, with one token of look-ahead. The first fault ends the scan: from then on
// there is nothing but the end of the file, and err is set.
type protoScanner struct {
	text  string
	lines []int      // where the lines begin, in bytes
	off   int        // where tok ends
	prev  protoToken // the last one that was taken
	tok   protoToken // the next one
	err   error

	counted, column int // the last place: offset and column
}

// start puts the scanner before the first token of a text.
func (s *protoScanner) start(text string) {
	s.text, s.lines = strings.TrimPrefix(text, "\ufeff"), []int{0}
	for i, r := range s.text {
		switch {
		case r == '\n':
			s.lines = append(s.lines, i+1)
		case r == 0, r == utf8.RuneError && !strings.HasPrefix(s.text[i:], string(r)):
			s.fail(i, "the text is not plain UTF-8")
			return
		}
	}
	s.tok = s.scan()
}

// fail ends the scan with a fault at a place. Only the first one counts.
func (s *protoScanner) fail(at int, format string, args ...any) {
	if s.err == nil {
		line, column := s.place(at)
		s.err = fmt.Errorf("line %d, column %d: %s", line+1, column+1, fmt.Sprintf(format, args...))
	}
	s.off = len(s.text)
	s.tok = protoToken{at: s.off, end: s.off}
}

// place is the line and the column of an offset, both from 0. Columns are characters. Mostly offsets rise: within a line the
// count goes on from the last one.
func (s *protoScanner) place(at int) (line, column int) {
	line, begins := slices.BinarySearch(s.lines, at)
	if !begins {
		line--
	}
	from, column := s.lines[line], 0
	if s.counted >= from && s.counted <= at {
		from, column = s.counted, s.column
	}
	column += utf8.RuneCountInString(s.text[from:at])
	s.counted, s.column = at, column
	return line, column
}

// take takes the next token.
func (s *protoScanner) take() protoToken {
	s.prev = s.tok
	s.tok = s.scan()
	return s.prev
}

// accept takes the next token if it is the given symbol or keyword.
func (s *protoScanner) accept(text string) bool {
	ok := s.tok.is(text)
	if ok {
		s.take()
	}
	return ok
}

// atMap reports whether the type of a map comes next. Without the bracket it is another type, which is called map.
func (s *protoScanner) atMap() bool {
	ahead := *s
	return ahead.accept("map") && ahead.tok.is("<")
}

// expect takes the next token, which must be the given symbol or keyword.
func (s *protoScanner) expect(text string) {
	if !s.accept(text) {
		s.fail(s.tok.at, "expected %q, got %s", text, s.tok)
	}
}

// expectKind takes the next token, which must be of a kind.
func (s *protoScanner) expectKind(k protoKind, what string) protoToken {
	if s.tok.kind != k {
		s.fail(s.tok.at, "expected %s, got %s", what, s.tok)
	}
	return s.take()
}

// literal takes the string literals that stand side by side, as one: its value is theirs.
func (s *protoScanner) literal(what string) protoToken {
	t := s.expectKind(protoString, what)
	values := []string{t.value}
	for s.tok.kind == protoString {
		values = append(values, s.take().value)
	}
	t.value = strings.Join(values, "")
	return t
}

// integer takes an integer from lo to hi, with its sign.
func (s *protoScanner) integer(what string, lo, hi int64) int64 {
	at, sign := s.tok.at, ""
	if lo < 0 && s.accept("-") {
		sign = "-"
	}
	t := s.expectKind(protoInt, "a "+what)
	n, err := strconv.ParseInt(sign+t.text, 0, 64)
	if err != nil || n < lo || n > hi {
		s.fail(at, "%s %s is out of range: it must be from %d to %d", what, sign+t.text, lo, hi)
	}
	return n
}

// scan reads the token behind off.
func (s *protoScanner) scan() protoToken {
	s.skipBlank()
	t := protoToken{at: s.off}
	switch rest := s.text[s.off:]; {
	case rest == "":
	case among(rest[0], protoLetters):
		t.kind = protoWord
		s.off = len(s.text) - len(strings.TrimLeft(rest, protoLetters+protoDigits))
	case among(rest[0], protoDigits), rest[0] == '.' && len(rest) > 1 && among(rest[1], protoDigits):
		t.kind = s.number()
	case rest[0] == '"' || rest[0] == '\'':
		t.kind = protoString
		t.value = s.quoted()
	case among(rest[0], protoSymbols):
		t.kind = protoSymbol
		s.off++
	default:
		r, _ := utf8.DecodeRuneInString(rest)
		s.fail(s.off, "unexpected %q", r)
	}
	if s.err != nil {
		return s.tok
	}
	t.end = s.off
	t.text = s.text[t.at:t.end]
	return t
}

// skipBlank goes to where the next token begins.
func (s *protoScanner) skipBlank() {
	for {
		rest := strings.TrimLeft(s.text[s.off:], protoBlanks)
		s.off = len(s.text) - len(rest)
		switch {
		case strings.HasPrefix(rest, "//"):
			line, _, _ := strings.Cut(rest, "\n")
			s.off += len(line)
		case strings.HasPrefix(rest, "/*"):
			body, _, closed := strings.Cut(rest[2:], "*/")
			if !closed {
				s.fail(s.off, "the comment is not closed")
				return
			}
			s.off += 2 + len(body) + 2
		default:
			return
		}
	}
}

// among reports whether a byte is one of a set.
func among(c byte, set string) bool { return strings.IndexByte(set, c) >= 0 }

// number takes a number and says of which kind it is. A letter at its end makes it none, as there must be a blank between.
func (s *protoScanner) number() protoKind {
	from := s.off
	for s.off++; s.off < len(s.text); s.off++ {
		c := s.text[s.off]
		sign := among(c, "+-") && protoFloat.MatchString(s.text[from:s.off]+"+0") // of an exponent
		if !sign && !among(c, protoLetters+protoDigits+".") {
			break
		}
	}
	text := s.text[from:s.off]
	switch {
	case protoInteger.MatchString(text):
		return protoInt
	case protoFloat.MatchString(text):
		return protoReal
	}
	s.fail(from, "%s is no number", clip(text))
	return protoEnd
}

// quoted takes a string literal and gives its value.
func (s *protoScanner) quoted() string {
	from, quote := s.off, s.text[s.off]
	var b strings.Builder
	for s.off++; s.off < len(s.text) && s.text[s.off] != '\n'; {
		switch c := s.text[s.off]; c {
		case quote:
			s.off++
			return b.String()
		case '\\':
			s.escape(&b)
		default:
			b.WriteByte(c)
			s.off++
		}
	}
	s.fail(from, "the string is not closed on its line")
	return ""
}

// escape takes a backslash and what belongs to it.
func (s *protoScanner) escape(b *strings.Builder) {
	const plain, means = `abfnrtv\?'"`, "\a\b\f\n\r\t\v\\?'\""
	const octal, hex = "01234567", protoDigits + "abcdefABCDEF"
	at := s.off
	s.off++
	rest := s.text[s.off:]
	if rest == "" {
		return // the string is not closed
	}
	if i := strings.IndexByte(plain, rest[0]); i >= 0 {
		b.WriteByte(means[i])
		s.off++
		return
	}
	digits, base, least, most, largest := hex, 16, 1, 2, uint64(0xff)
	switch rest[0] {
	case 'x', 'X':
		s.off++
	case 'u':
		s.off++
		least, most, largest = 4, 4, utf8.MaxRune
	case 'U':
		s.off++
		least, most, largest = 8, 8, utf8.MaxRune
	default:
		digits, base, most = octal, 8, 3
	}
	rest = s.text[s.off:]
	rest = rest[:min(most, len(rest))]
	n := len(rest) - len(strings.TrimLeft(rest, digits))
	code, _ := strconv.ParseUint(rest[:n], base, 64)
	s.off += n
	switch {
	case n < least:
		s.fail(at, "%s is no escape in a string", clip(s.text[at:min(s.off+1, len(s.text))]))
	case code > largest:
		s.fail(at, "%s is no escape in a string", clip(s.text[at:s.off]))
	case largest == utf8.MaxRune:
		b.WriteRune(rune(code))
	default:
		b.WriteByte(byte(code))
	}
}

// protoComment is a block comment, or // comments on lines that follow each other.
type protoComment struct {
	text        []string // pieces, line ends included
	line        bool     // of // comments
	first, last int      // lines, counted from that of the token before
}

// attribute gives the comments between two tokens to the declaration that ends with the first one, and to the one that
// begins with the next. gap is the text between the tokens; start says that there is no token before.
//
// It is what protoc does (NextWithComments of io/tokenizer.cc). A comment trails when it begins on the line of the token
// before or on the next line, and a blank line, another comment or the end of the scope comes between it and the next token.
// It leads when it ends on the line of the next token or on the line before. What stands on one line with both is nobody's, and
// so is the rest.
func attribute(gap string, start bool, next protoToken) (trailing, leading string) {
	line := 0
	if start {
		line = 2 // as if behind a blank line
	}
	comments, line := protoComments(gap, line)
	if len(comments) == 0 {
		return "", ""
	}
	if next.kind == protoEnd {
		line += 2
	}
	first := comments[0]
	if len(comments) == 1 && first.first == 0 && first.last == line {
		return "", ""
	}
	if next.is("}") {
		line += 2
	}
	if first.first == 0 && first.last < line || first.first <= 1 && (first.last < line-1 || len(comments) > 1) {
		trailing = strings.Join(first.text, "")
		comments = comments[1:]
	}
	if n := len(comments); n > 0 && comments[n-1].last >= line-1 {
		leading = strings.Join(comments[n-1].text, "")
	}
	return trailing, leading
}

// protoComments are the comments in blank text that begins on a line, and the line on which it ends.
func protoComments(gap string, line int) ([]protoComment, int) {
	var comments []protoComment
	for gap = strings.ReplaceAll(gap, "\r\n", "\n"); gap != ""; {
		switch {
		case strings.HasPrefix(gap, "//"):
			text, rest, ended := strings.Cut(gap[2:], "\n")
			if ended {
				text += "\n"
			}
			// The first comment stands for itself when it is on the line of the token before.
			if n := len(comments) - 1; n >= 0 && comments[n].line && comments[n].last == line-1 && n+comments[n].first > 0 {
				comments[n].text = append(comments[n].text, text)
				comments[n].last = line
			} else {
				comments = append(comments, protoComment{text: []string{text}, line: true, first: line, last: line})
			}
			if gap = rest; ended {
				line++
			}
		case strings.HasPrefix(gap, "/*"):
			body, rest, _ := strings.Cut(gap[2:], "*/")
			lines := strings.Split(body, "\n")
			for i := 1; i < len(lines); i++ {
				lines[i-1] += "\n"
				lines[i] = strings.TrimPrefix(strings.TrimLeft(lines[i], protoBlanks), "*")
			}
			comments = append(comments, protoComment{text: lines, first: line, last: line + len(lines) - 1})
			line += len(lines) - 1
			gap = rest
		default:
			if gap[0] == '\n' {
				line++
			}
			gap = gap[1:]
		}
	}
	return comments, line
}
