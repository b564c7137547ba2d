package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/bench/internal/report"
)

// What must hold.
const (
	manyWindow = 500 // commits that are compared: so many, or a tenth
	manyGrowth = 1.5
	manyOpen   = time.Second
)

// manyReport is what the page tells.
type manyReport struct {
	Command, Date, Machine string
	InMemory               bool // the data was on no disk
	Commits, Rows          int  // of a round, of a commit
	PerDay, Retention      int  // commits, days
	Load                   []string
	Runs                   []manyRun
	Verdicts               []verdict
}

func (r manyReport) window() int { return min(manyWindow, r.Commits/10) }

// bound is how many objects the log may have: the commits of its retention, back to the midnight before and to the checkpoint before
// that, until the next checkpoint brings the clean-up, with those that come while it is at work; the checkpoints of them; and the
// hint.
func (r manyReport) bound() int {
	commits := (r.Retention+1)*r.PerDay + 3*r.Runs[0].Checkpoint
	return commits + commits/r.Runs[0].Checkpoint + 1 + 1
}

func (r manyReport) judge() []verdict {
	n := r.window()
	of := func(percent int, than string, first func(manyRun) float64) verdict {
		last := func(m manyRun) float64 { return m.latency(r.Commits-n, r.Commits, percent) }
		ratio := statOf(r.Runs, func(m manyRun) float64 { return last(m) / first(m) })
		return verdict{
			fmt.Sprintf("p%d of the last %d commits is at most %.1f × that of %s", percent, n, manyGrowth, than), ratio.Median <= manyGrowth,
			fmt.Sprintf("%s: %s, against %s", ratio.Text(times), statOf(r.Runs, last).Text(span), statOf(r.Runs, first).Text(span)),
		}
	}
	var verdicts []verdict
	for _, percent := range []int{50, 99} {
		verdicts = append(verdicts,
			of(percent, "the first", func(m manyRun) float64 { return m.latency(0, n, percent) }),
			of(percent, "a new table's, in turns", func(m manyRun) float64 { return percentile(m.Young, percent) }))
	}
	objects := statOf(r.Runs, func(m manyRun) float64 { return m.highest(0, r.Commits, objectsOf) })
	verdicts = append(verdicts, verdict{
		fmt.Sprintf("the log stays below %s objects", count(r.bound())), objects.Max <= float64(r.bound()),
		fmt.Sprintf("%s at the highest", objects.Text(count)),
	})
	for _, o := range []struct {
		what string
		took func(manyRun) []int64
	}{
		{"the hint of the last checkpoint", func(m manyRun) []int64 { return m.OpenHint }},
		{"no hint", func(m manyRun) []int64 { return m.OpenBare }},
	} {
		var all []int64
		for _, m := range r.Runs {
			all = append(all, o.took(m)...)
		}
		s := statOf(all, func(v int64) float64 { return time.Duration(v).Seconds() })
		verdicts = append(verdicts, verdict{
			fmt.Sprintf("with %s the table is opened within %s", o.what, span(manyOpen.Seconds())),
			len(all) > 0 && s.Max < manyOpen.Seconds(), s.Text(span),
		})
	}
	return verdicts
}

func objectsOf(s manySample) float64 { return float64(s.Objects) }

func bytesOf(s manySample) float64 { return float64(s.Bytes) }

const manyPreface = `# Many commits on one table

%[1]s
%[2]s
%[1]s

%[3]s, %[4]s, %[5]s; load average %[6]s.%[7]s

[What it does](../../server/internal/commits/doc.go): %[8]s on one table, of %[9]s each, one after the other without a
pause. A commit is a data file and a version, both synced. After every %[10]d a checkpoint is written beside the commits that
follow, as by default, and expired versions go; to have that within the run, the table's clock makes a day of %[11]d commits, and
versions live for %[12]s. A figure is the median of the rounds; brackets hold the lowest and the highest.

Ratios are within one round. Latencies are those of the disk and of what else the machine was busy with, for which the load average
stands: before, between and after the rounds. So the last commits are compared with the first ones, which were some time before, and
with those of a new table that took turns with them.

`

const manyOverTime = `
## Over the commits

CPU is processor time of the process for a commit, with checkpoints, clean-up and the making of the rows. The log is the highest of the
line. Each checkpoint in it names all files of the table, which compaction would make fewer and is off here: so there is a part of
the log's bytes, and of the CPU, that grows with their number.

`

// page is commits.md.
func (r manyReport) page(plot bool) string {
	var b strings.Builder
	memory := ""
	if r.InMemory {
		memory = " The data was in memory, so these figures say nothing of a disk."
	}
	fmt.Fprintf(&b, manyPreface, "```", r.Command, r.Date, r.Machine, plural(len(r.Runs), "round"), strings.Join(r.Load, ", "), memory,
		plural(r.Commits, "commit"), plural(r.Rows, "row"), r.Runs[0].Checkpoint, r.PerDay, plural(r.Retention, "day"))
	b.WriteString(table(verdictRows(r.Verdicts)))
	if plot {
		b.WriteString("\n![Size of the log and latency over the commits](commits.svg)\n")
	}
	b.WriteString(manyOverTime)
	rows := [][]string{{"commits", "p50", "p99", "CPU", "objects in the log", "bytes of the log"}}
	for from := 0; from < r.Commits; from += r.Commits / 10 {
		to := from + r.Commits/10
		of := func(f func(manyRun) float64) stat { return statOf(r.Runs, f) }
		rows = append(rows, []string{
			"to " + count(to),
			of(func(m manyRun) float64 { return m.latency(from, to, 50) }).Text(span),
			of(func(m manyRun) float64 { return m.latency(from, to, 99) }).Text(span),
			span(of(func(m manyRun) float64 { return m.cpu(from, to) }).Median),
			count(of(func(m manyRun) float64 { return m.highest(from, to, objectsOf) }).Median),
			size(of(func(m manyRun) float64 { return m.highest(from, to, bytesOf) }).Median),
		})
	}
	b.WriteString(table(rows))
	return b.String()
}

// figure shows the log of the first round, which is the same in all but for how far clean-up had come, and the latency of all.
func (r manyReport) figure() figure {
	over := func(name string, l look, of func(manySample) float64) series {
		l.Dots = false
		s := series{Name: name, Look: l}
		for _, m := range r.Runs[0].Log {
			v := of(m)
			s.Points = append(s.Points, report.At(float64(m.Commit)/1000, report.Once(v)))
		}
		return s
	}
	latency := func(name string, l look, percent int) series {
		s := series{Name: name, Look: l}
		for from := 0; from < r.Commits; from += r.Commits / 10 {
			to := from + r.Commits/10
			of := statOf(r.Runs, func(m manyRun) float64 { return m.latency(from, to, percent) * 1000 })
			if !l.Dots { // it has no bars either
				of.Min, of.Max = of.Median, of.Median
			}
			s.Points = append(s.Points, report.At(float64(to)/1000, of))
		}
		return s
	}
	return figure{Title: fmt.Sprintf("%s on one table", plural(r.Commits, "commit")), Panels: []panel{
		{Title: "Objects in the table's log", X: "thousand commits", Y: "objects", Series: []series{
			over("log", lookA, objectsOf),
			over("bound", lookLimit, func(manySample) float64 { return float64(r.bound()) }),
		}},
		{Title: "Bytes of the table's log", X: "thousand commits", Y: "KiB", Series: []series{
			over("log", lookA, func(s manySample) float64 { return bytesOf(s) / 1024 }),
		}},
		{Title: "A commit", X: "thousand commits", Y: "ms", Series: []series{
			latency("p50", lookB, 50),
			latency("p99", look{Color: lookB.Color, Dashed: true}, 99),
		}},
	}}
}
