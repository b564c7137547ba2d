package main

import (
	"fmt"

	"github.com/zerobus-go/zerobus/bench/internal/report"
)

// aim is something that the server should reach, with the figure of the report.
type aim struct {
	what, want string
	got        report.Stat
	unit       func(float64) string
	holds      func(median float64) bool
}

func (a aim) row() []string {
	holds := "no"
	if a.holds(a.got.Median) {
		holds = "yes"
	}
	return []string{a.what, a.want, a.got.Text(a.unit), holds}
}

func megabytes(v float64) string { return report.Count(v) + " MB/s" }

func perSecond(v float64) string { return report.Count(v) + "/s" }

func millis(v float64) string { return report.Span(v / 1000) }

func atLeast(least float64) func(float64) bool { return func(v float64) bool { return v >= least } }

func atMost(most float64) func(float64) bool { return func(v float64) bool { return v <= most } }

func same(v float64) float64 { return v }

// memoryBudget is what zerobus serve keeps near by default: 1 GiB of rows, a quarter of it for garbage, and 512 MiB beside.
const memoryBudget = 1<<30 + 1<<28 + 1<<29

// aims are those for which the report has figures.
func (r Report) aims() (all []aim) {
	for _, one := range []struct {
		shape, encoding string
		least           float64
	}{{"small", "protobuf", 800}, {"wide", "protobuf", 1200}, {"small", "json", 600}, {"wide", "json", 600}} {
		for _, d := range r.Decode {
			if d.Decoder == ours && d.Shape == one.shape && d.Encoding == one.encoding {
				all = append(all,
					aim{fmt.Sprintf("decode %s of %d B", d.Encoding, d.Bytes), "at least " + megabytes(one.least), report.StatOf(d.MB, same), megabytes, atLeast(one.least)},
					aim{fmt.Sprintf("allocations of a record, %s of %d B", d.Encoding, d.Bytes), "0", report.Once(d.Allocs), report.ThreeDigits, atMost(0.001)})
			}
		}
	}
	rate := func(r Run) float64 { return r.PerSecond }
	for _, c := range r.of("ack") {
		if c.Encoding != "protobuf" {
			continue
		}
		streams := "1 stream"
		if c.Streams == 64 {
			streams = "64 streams together"
		} else if c.Streams != 1 {
			continue
		}
		switch c.Shape {
		case "1k":
			all = append(all, aim{"to durable, " + streams + ", 1 kB", "at least " + megabytes(150), report.StatOf(c.Runs, func(r Run) float64 { return r.MB }), megabytes, atLeast(150)})
		case "small":
			all = append(all, aim{"to durable, " + streams + ", 25 B", "at least " + perSecond(2e6), report.StatOf(c.Runs, rate), perSecond, atLeast(2e6)})
		}
	}
	for _, c := range r.of("latency") {
		if c.Shape != "small" {
			continue
		}
		limit := 2*report.StatOf(c.Runs, func(r Run) float64 { return r.Sync.P50 }).Median + 1
		of := func(f func(Run) float64) report.Stat { return report.StatOf(c.Runs, f) }
		all = append(all,
			aim{"ack at 10,000/s over 8 streams, p50", "at most 2 syncs of the disk and 1 ms: " + millis(limit), of(func(r Run) float64 { return r.Ack.P50 }), millis, atMost(limit)},
			aim{"the same, p99", "at most 20 ms", of(func(r Run) float64 { return r.Ack.P99 }), millis, atMost(20)},
			aim{"to the table at that load, p50", "at most 1.2 s", of(func(r Run) float64 { return r.Table.P50 }), millis, atMost(1200)},
			aim{"the same, p99", "at most 3 s", of(func(r Run) float64 { return r.Table.P99 }), millis, atMost(3000)})
	}
	for i, c := range r.of("memory") {
		if i == 1 {
			all = append(all, aim{
				"resident with 64 streams that write and 1,000 that do not", "at most " + report.Size(memoryBudget),
				report.StatOf(c.Runs, func(r Run) float64 { return r.Resident }), report.Size, atMost(memoryBudget),
			})
		}
	}
	if c := r.of("behind"); len(c) == 2 {
		all = append(all, aim{"rate with 5,000 commits behind it, against none", "at least 0.95 ×", against(c[1], c[0], rate), report.Times, atLeast(0.95)})
	}
	if len(r.Flights) > 0 {
		all = append(all,
			aim{"3,000,000 flights from NDJSON to the table", "at least " + perSecond(1e6), report.StatOf(r.Flights, func(f Flight) float64 { return f.Rows }), perSecond, atLeast(1e6)},
			aim{"their Parquet against the source's", "at most 1.1 ×", report.StatOf(r.Flights, func(f Flight) float64 { return f.Bytes / f.Source }), report.Times, atMost(1.1)})
	}
	return all
}

// find is the case of a shape and a number of streams, of protobuf.
func find(all []Case, shape string, streams int) Case {
	for _, c := range all {
		if c.Shape == shape && c.Streams == streams && c.Encoding == "protobuf" {
			return c
		}
	}
	return Case{}
}

// against is the ratio of two cases, round by round.
func against(c, base Case, of func(Run) float64) report.Stat {
	var ratios []float64
	for i := range min(len(c.Runs), len(base.Runs)) {
		if b := of(base.Runs[i]); b > 0 {
			ratios = append(ratios, of(c.Runs[i])/b)
		}
	}
	return report.StatOf(ratios, same)
}
