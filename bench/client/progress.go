package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// progress returns what shows how far a run is: a bar on a terminal, and nothing elsewhere.
func progress(w *os.File) func(done, of int, what string) {
	if !term.IsTerminal(int(w.Fd())) {
		return func(int, int, string) {}
	}
	began := time.Now()
	return func(done, of int, what string) {
		const width = 30
		filled := done * width / max(1, of)
		left := ""
		if done > 0 {
			left = (time.Since(began) / time.Duration(done) * time.Duration(of-done)).Round(time.Second).String() + " left"
		}
		columns, _, err := term.GetSize(int(w.Fd()))
		if err != nil {
			columns = 80
		}
		line := fmt.Sprintf("%s%s %d/%d %s  %s", strings.Repeat("█", filled), strings.Repeat("░", width-filled), done, of, left, what)
		if r := []rune(line); len(r) > columns-1 {
			line = string(r[:columns-1])
		}
		if done == of {
			line += "\n"
		}
		fmt.Fprint(w, "\r\x1b[K"+line)
	}
}
