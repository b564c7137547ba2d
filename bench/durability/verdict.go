package main

import (
	"errors"
	"fmt"
	"os"
)

// Bounds of a soak, in bytes.
const (
	// memoryBound is for the server's resident memory. The budget for rows that are not committed is 1 GiB; serve has Go's
	// collector keep the heap near that, a quarter more, and 512 MiB for what is beside it. 256 MiB are for what the collector
	// does not count and for its being a goal, not a wall.
	memoryBound = 1<<30 + 1<<28 + 512<<20 + 256<<20

	// logBound is what the write-ahead log keeps to itself: LogBytes of the server's Config, by default.
	logBound = 8 << 30

	// logCalm is for the log when nothing is written: the segment in use, one that is sealed at most, two spares.
	logCalm = 4 * logSegment

	// logUsual is for the log in the middle of the load, most of the time: rows of some seconds. Commits come each second
	// and free what they hold.
	logUsual = 16 * logSegment

	logSegment = 64<<20 + 64<<10 // with the small files beside it
)

// trendBound is how much more memory the last quarter may have than the second: a tenth, and 32 MiB, which is what a garbage
// collection more or less makes of so small a heap.
func trendBound(second float64) float64 { return second*1.1 + 32<<20 }

// verdict is one criterion.
type verdict struct {
	What string // must hold
	OK   bool
	Seen string
}

func (v verdict) String() string {
	word := "ok"
	if !v.OK {
		word = "FAILED"
	}
	return fmt.Sprintf("%-6s %s: %s", word, v.What, v.Seen)
}

// conclude tells of all criteria, and gives errFailed if one does not hold.
func conclude(verdicts []verdict) error {
	var failed []error
	for _, v := range verdicts {
		fmt.Fprintln(os.Stderr, v)
		if !v.OK {
			failed = append(failed, fmt.Errorf("not so: %s", v.What))
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%w: %w", errFailed, errors.Join(failed...))
	}
	return nil
}

// verdictRows is a table of them.
func verdictRows(verdicts []verdict) [][]string {
	rows := [][]string{{"must hold", "", "seen"}}
	for _, v := range verdicts {
		word := "yes"
		if !v.OK {
			word = "**no**"
		}
		rows = append(rows, []string{v.What, word, v.Seen})
	}
	return rows
}

// quarter returns the samples of a quarter, 0 to 3, of the load; at least one if there are any.
func quarter(all []sample, q int) []sample {
	from, to := len(all)*q/4, len(all)*(q+1)/4
	if from == to && to < len(all) {
		to++
	}
	return all[from:to]
}

// judge compares what was found with what must hold.
func (r soakResult) judge() []verdict {
	bytes := func(v float64) string { return size(v) }
	rss := func(all []sample) stat { return statOf(all, func(s sample) float64 { return float64(s.RSS) }) }
	logs := statOf(r.During, func(s sample) float64 { return float64(s.LogBytes) })
	second, last := rss(quarter(r.During, 1)).Median, rss(quarter(r.During, 3)).Median
	peak := float64(r.After.Peak)
	goroutines := fmt.Sprintf("%d, and %d of a server after one record", r.Left.total(), r.Reference.total())
	if diff := r.Left.diff(r.Reference); diff != "" {
		goroutines += ": " + diff
	}
	return []verdict{
		{
			"memory stays below " + size(memoryBound), peak < memoryBound && len(r.During) > 0,
			fmt.Sprintf("%s at the highest, %s in the middle", size(peak), size(rss(r.During).Median)),
		},
		{
			"memory does not grow", last <= trendBound(second),
			fmt.Sprintf("median %s in the second quarter, %s in the last", size(second), size(last)),
		},
		{
			"the log stays below " + size(logBound), logs.Max <= logBound,
			fmt.Sprintf("%s at the highest", size(logs.Max)),
		},
		{
			"the log is mostly below " + size(logUsual), logs.Median <= logUsual,
			fmt.Sprintf("median %s", logs.Text(bytes)),
		},
		{
			"the log is small again afterwards", r.After.LogBytes <= logCalm,
			fmt.Sprintf("%s, and %s before", size(float64(r.After.LogBytes)), size(float64(r.Before.LogBytes))),
		},
		{
			"no file is left open", r.After.Files <= r.Before.Files,
			fmt.Sprintf("%d, and %d before", r.After.Files, r.Before.Files),
		},
		{"no goroutine is left", r.Left.total() <= r.Reference.total(), goroutines},
		{
			"all acknowledged records are in the table", r.Rows >= r.Acked && r.Acked > 0,
			fmt.Sprintf("%s acknowledged, %s rows", count(r.Acked), count(r.Rows)),
		},
		{
			"no record is there twice", r.Rows <= r.Acked+r.Last.Resent,
			fmt.Sprintf("%s rows too many, %s records were sent again over %s", count(max(0, r.Rows-r.Acked)), count(r.Last.Resent), plural(int(r.Last.Connections), "connection")),
		},
		{
			"a restart after a crash changes nothing", r.Reopened == r.Rows,
			fmt.Sprintf("%s rows", count(r.Reopened)),
		},
	}
}
