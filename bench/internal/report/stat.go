package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Stat is a figure over rounds, or over a time.
type Stat struct {
	Median, Min, Max float64
}

// Once is a figure that was taken once.
func Once(v float64) Stat { return Stat{Median: v, Min: v, Max: v} }

// StatOf takes the figure of each round.
func StatOf[T any](all []T, of func(T) float64) Stat {
	if len(all) == 0 {
		return Stat{}
	}
	v := make([]float64, len(all))
	for i, r := range all {
		v[i] = of(r)
	}
	slices.Sort(v)
	return Stat{Median: (v[(len(v)-1)/2] + v[len(v)/2]) / 2, Min: v[0], Max: v[len(v)-1]}
}

// Text writes a figure with its range in brackets.
func (s Stat) Text(unit func(float64) string) string {
	if s.Min == s.Max {
		return unit(s.Median)
	}
	return fmt.Sprintf("%s (%s to %s)", unit(s.Median), unit(s.Min), unit(s.Max))
}

// Count writes a whole number with its thousands separated.
func Count[T int | int64 | float64](n T) string {
	s := fmt.Sprintf("%.0f", float64(n))
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Times writes a ratio.
func Times(v float64) string { return fmt.Sprintf("%.3g ×", v) }

// Percent writes a part of a whole.
func Percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }

// ThreeDigits writes a number short.
func ThreeDigits(v float64) string { return fmt.Sprintf("%.3g", v) }

// Span writes a time with three digits.
func Span(seconds float64) string {
	switch {
	case seconds >= 0.9995:
		return fmt.Sprintf("%.3g s", seconds)
	case seconds >= 0.9995e-3:
		return fmt.Sprintf("%.3g ms", seconds*1e3)
	}
	return fmt.Sprintf("%.3g µs", seconds*1e6)
}

// Size writes bytes with a binary unit, with three digits.
func Size(bytes float64) string {
	switch {
	case bytes >= 1000<<20: // three digits of MiB would not be written as such
		return fmt.Sprintf("%.3g GiB", bytes/(1<<30))
	case bytes >= 1000<<10:
		return fmt.Sprintf("%.3g MiB", bytes/(1<<20))
	case bytes >= 1000:
		return fmt.Sprintf("%.3g KiB", bytes/(1<<10))
	}
	return fmt.Sprintf("%.0f B", bytes)
}

// Plural writes a number with a thing.
func Plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%s %ss", Count(n), thing)
}

// Table writes rows as Markdown, the first as the head.
func Table(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			b.WriteString("|" + strings.Repeat("---|", len(row)) + "\n")
		}
	}
	return b.String()
}

// Distinct returns the values in their order.
func Distinct[T any, V cmp.Ordered](all []T, of func(T) V) (v []V) {
	for _, x := range all {
		v = append(v, of(x))
	}
	slices.Sort(v)
	return slices.Compact(v)
}

// Duration writes a time as it is given to a flag: 20m, not 20m0s.
func Duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
