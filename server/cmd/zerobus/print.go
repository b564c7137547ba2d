package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// maxCell is the widest a column gets on a terminal, in characters.
const maxCell = 48

// printJSON writes v for programs.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printTable writes rows under their headings. Columns of numbers are set right. On a terminal long cells are cut.
func printTable(w io.Writer, columns []string, rows [][]string) {
	fit := isTerminal(w)
	width := make([]int, len(columns))
	number := make([]bool, len(columns))
	for i, c := range columns {
		width[i], number[i] = utf8.RuneCountInString(c), len(rows) > 0
		for _, r := range rows {
			cell := cut(r[i], fit)
			width[i] = max(width[i], utf8.RuneCountInString(cell))
			number[i] = number[i] && isNumber(cell)
		}
	}
	line := func(cells []string) {
		var b strings.Builder
		for i, c := range cells {
			c = cut(c, fit)
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if number[i] {
				c = pad + c
			} else if i < len(cells)-1 {
				c += pad
			}
			if i > 0 {
				b.WriteString("  ")
			}
			b.WriteString(c)
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
	line(columns)
	rule := make([]string, len(columns))
	for i := range rule {
		rule[i] = strings.Repeat("─", width[i])
	}
	line(rule)
	for _, r := range rows {
		line(r)
	}
}

func cut(s string, fit bool) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) { // what is stored must not command the terminal
			return ' '
		}
		return r
	}, s)
	if fit && utf8.RuneCountInString(s) > maxCell {
		return string([]rune(s)[:maxCell-1]) + "…"
	}
	return s
}

func isNumber(s string) bool {
	digits := 0
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case strings.ContainsRune("+-.,e", r):
		default:
			return s == "" || s == "NULL"
		}
	}
	return digits > 0 || s == ""
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// count writes a number with thousands separated.
func count[T ~int | ~int64 | ~uint64](n T) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// bytesText writes a size with a binary unit.
func bytesText(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	v, units := float64(n), []string{"KiB", "MiB", "GiB", "TiB"}
	i := -1
	for v >= 1024 && i < len(units)-1 {
		v /= 1024
		i++
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// when writes a time in the local zone; empty for none.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
