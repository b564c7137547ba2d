package jsonscan

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// Place is the line and column of b[at], both from 1, the column in bytes.
func Place(b []byte, at int) (line, column int) {
	before := b[:at]
	return 1 + bytes.Count(before, []byte{'\n'}), at - bytes.LastIndexByte(before, '\n')
}

// maxQuoted is how many bytes of a text an error repeats.
const maxQuoted = 64

// Clip makes text from outside fit for an error: short, and without characters that do not print.
func Clip[T string | []byte](text T) string {
	end := min(len(text), maxQuoted)
	for end < len(text) && end > maxQuoted-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	s := string(text[:end])
	for _, r := range s {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			s = strconv.QuoteToASCII(s)
			s = s[1 : len(s)-1]
			break
		}
	}
	if end < len(text) {
		s += "…"
	}
	return s
}
