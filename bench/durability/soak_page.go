package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/bench/internal/report"
)

// soakReport is what the page tells.
type soakReport struct {
	Command, Date, Machine string
	For, Idle              time.Duration
	Streams, Size          int
	Rate                   float64
	Verdicts               []verdict
	soakResult
}

const soakPreface = `# Soak

%[1]s
%[2]s
%[1]s

%[3]s, %[4]s.

[What it does](../durability/doc.go): %[5]s write records of %[6]d bytes of JSON to zerobus serve for
%[7]s, %[8]s, both with their defaults. Before and afterwards the server idles for %[9]s, with no stream open.

`

const soakOverTime = `
## Over time

A line is the median of %s, with the extremes in brackets. p99 is of the time from a message's way into the
transport to its acknowledgement, the highest of the line. CPUs is processor time of the server per time. Memory is resident;
heap and stacks are the part that no file backs. Data files, commits and the size of the table are those at the end of the line.

`

// intervals is how many lines the table of the load has at most.
const intervals = 12

// page is soak.md.
func (r soakReport) page(plot bool) string {
	var b strings.Builder
	pace := "as fast as it goes"
	if r.Rate > 0 {
		pace = count(r.Rate) + " a second"
	}
	fmt.Fprintf(&b, soakPreface, "```", r.Command, r.Date, r.Machine, plural(r.Streams, "stream"), r.Size, duration(r.For), pace, duration(r.Idle))
	b.WriteString(table(verdictRows(r.Verdicts)))
	if plot {
		b.WriteString("\n![Memory, log and rate over time](soak.svg)\n")
	}
	fmt.Fprintf(&b, soakOverTime, plural((len(r.During)+intervals-1)/intervals, "sample"))
	b.WriteString(table(r.rows()))
	return b.String()
}

func (r soakReport) rows() [][]string {
	rows := [][]string{{"time", "records/s", "p99", "CPUs", "memory", "heap and stacks", "threads", "open files", "log", "data files", "commits", "table"}}
	line := func(name string, all []sample) {
		of := func(f func(sample) float64) stat { return statOf(all, f) }
		last := all[len(all)-1]
		rate, p99, cores := "", "", ""
		if last.Load.Acked > 0 {
			rate = of(func(s sample) float64 { return s.Rate }).Text(count)
			p99 = span(of(func(s sample) float64 { return s.Load.P99.Seconds() }).Max)
			cores = fmt.Sprintf("%.2f", of(func(s sample) float64 { return s.Cores }).Median)
		}
		rows = append(rows, []string{
			name, rate, p99, cores,
			of(func(s sample) float64 { return float64(s.RSS) }).Text(size),
			size(of(func(s sample) float64 { return float64(s.Anon) }).Median),
			count(of(func(s sample) float64 { return float64(s.Threads) }).Median),
			count(of(func(s sample) float64 { return float64(s.Files) }).Median),
			of(func(s sample) float64 { return float64(s.LogBytes) }).Text(size),
			count(last.DataFiles), count(last.Commits), size(float64(last.TableBytes)),
		})
	}
	line("idle, before", []sample{r.Before})
	step := (len(r.During) + intervals - 1) / intervals
	for from := 0; from < len(r.During); from += step {
		some := r.During[from:min(from+step, len(r.During))]
		line("to "+duration(some[len(some)-1].At.Round(time.Second)), some)
	}
	line("idle, after", []sample{r.After})
	return rows
}

// figure shows memory and log, rate, and files over time.
func (r soakReport) figure() figure {
	over := func(name string, l look, of func(sample) float64) series {
		l.Dots = false
		s := series{Name: name, Look: l}
		for _, m := range r.During {
			v := of(m)
			s.Points = append(s.Points, report.At(m.At.Minutes(), report.Once(v)))
		}
		return s
	}
	const mib = 1 << 20
	return figure{Title: fmt.Sprintf("Soak of %s", duration(r.For)), Panels: []panel{
		{Title: "Space", X: "minutes", Y: "MiB", Series: []series{
			over("memory", lookA, func(s sample) float64 { return float64(s.RSS) / mib }),
			over("log", lookB, func(s sample) float64 { return float64(s.LogBytes) / mib }),
		}},
		{Title: "Acknowledged", X: "minutes", Y: "thousand records/s", Series: []series{
			over("records", look{Color: lookLimit.Color}, func(s sample) float64 { return s.Rate / 1000 }),
		}},
		{Title: "Held", X: "minutes", Y: "number", Series: []series{
			over("open files", look{Color: lookA.Color, Dashed: true}, func(s sample) float64 { return float64(s.Files) }),
			over("threads", look{Color: lookB.Color, Dashed: true}, func(s sample) float64 { return float64(s.Threads) }),
		}},
	}}
}
