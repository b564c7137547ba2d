package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// manyRun is what one run of server/internal/commits tells. Times are in nanoseconds.
type manyRun struct {
	Checkpoint int // commits between checkpoints
	Commits    []int64
	Young      []int64 // the first ones of another table, in turns with the last
	Log        []manySample
	Rows       int64
	Files      int
	OpenHint   []int64
	OpenBare   []int64
}

// manySample is the table's log after so many commits.
type manySample struct {
	Commit  int
	Objects int
	Bytes   int64
	CPU     int64 // processor time of the process up to then
}

// fewest commits of a round: a tenth of them has percentiles.
const fewest = 100

type manyBench struct {
	*place
	commits, rows, perDay, retention int
}

// commits is the command.
func commits(ctx context.Context, args []string, out io.Writer) (err error) {
	f := newFlagsOf("commits", "program", "server/internal/commits")
	rounds := f.Int("rounds", 3, "rounds")
	b := manyBench{}
	f.IntVar(&b.commits, "commits", 5000, "commits of a round")
	f.IntVar(&b.rows, "rows", 100, "rows of a commit")
	f.IntVar(&b.perDay, "per-day", 200, "commits in a day of the table's clock")
	f.IntVar(&b.retention, "retention", 2, "days for which versions stay in the table's log")
	if b.place, err = f.open(ctx, args); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if *rounds < 1 || b.commits < fewest || b.commits%10 != 0 {
		return fmt.Errorf("-rounds must be above 0, -commits a multiple of 10 from %d", fewest)
	}
	report := manyReport{
		Command: commandLine("commits", args), Date: today(), Machine: machine(b.place), InMemory: b.inMemory(),
		Commits: b.commits, Rows: b.rows, PerDay: b.perDay, Retention: b.retention, Load: []string{loadAverage()},
	}
	for round := range *rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d: %s: ", round+1, *rounds, plural(b.commits, "commit"))
		r, err := b.run(ctx)
		if err != nil {
			return err
		}
		report.Runs = append(report.Runs, r)
		report.Load = append(report.Load, loadAverage())
		fmt.Fprintf(os.Stderr, "p50 %s at first, %s in the end\n", span(r.latency(0, report.window(), 50)), span(r.latency(b.commits-report.window(), b.commits, 50)))
	}
	report.Verdicts = report.judge()
	if err := writePage(f.out, "commits", report.page(f.out != ""), out, report.figure()); err != nil {
		return err
	}
	return conclude(report.Verdicts)
}

// run is one round.
func (b *manyBench) run(ctx context.Context) (r manyRun, err error) {
	cmd := exec.CommandContext(ctx, b.binary, "-dir", b.dir, "-commits", strconv.Itoa(b.commits), "-rows", strconv.Itoa(b.rows),
		"-per-day", strconv.Itoa(b.perDay), "-retention", strconv.Itoa(b.retention))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopTime
	var told bytes.Buffer
	cmd.Stderr = &told
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("commits: %w\n%s", err, told.String())
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, fmt.Errorf("commits: %w", err)
	}
	if len(r.Commits) != b.commits || len(r.Young) != min(manyWindow, b.commits/10) || len(r.Log) == 0 || r.Rows != int64(b.commits)*int64(b.rows) {
		return r, fmt.Errorf("commits: it tells of %d commits, %d rows and %d looks at the log", len(r.Commits), r.Rows, len(r.Log))
	}
	return r, nil
}

// latency is a percentile of the commits from and to, in seconds.
func (r manyRun) latency(from, to, percent int) float64 {
	return percentile(r.Commits[from:to], percent)
}

// percentile is one of nanoseconds, in seconds.
func percentile(took []int64, percent int) float64 {
	sorted := slices.Sorted(slices.Values(took))
	return time.Duration(sorted[len(sorted)*percent/100]).Seconds()
}

// highest is the most that the log had, of a figure, in the samples of the commits above from, up to to.
func (r manyRun) highest(from, to int, of func(manySample) float64) (most float64) {
	for _, s := range r.Log {
		if from < s.Commit && s.Commit <= to {
			most = max(most, of(s))
		}
	}
	return most
}

// cpu is the processor time of a commit, in seconds, over those above from, up to to: between the samples there.
func (r manyRun) cpu(from, to int) float64 {
	var first, last manySample
	for _, s := range r.Log {
		if s.Commit <= from {
			first = s
		}
		if s.Commit <= to {
			last = s
		}
	}
	if last.Commit == first.Commit {
		return 0
	}
	return time.Duration(last.CPU-first.CPU).Seconds() / float64(last.Commit-first.Commit)
}

// loadAverage is that of the last minute; empty if it cannot be told.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
