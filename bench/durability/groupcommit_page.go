package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/bench/internal/report"
)

// What issue 6 asks of 64 streams.
const (
	gcStreams = 64
	gcGrowth  = 20.0
)

// gcReport is what the page tells.
type gcReport struct {
	Command, Date, Machine string
	Rounds                 int
	Size                   int
	Shared                 bool
	InMemory               bool // the data was on no disk
	Measurements           []gcMeasurement
}

func (r gcReport) delays() []time.Duration {
	return distinct(r.Measurements, func(m gcMeasurement) time.Duration { return m.Delay })
}

func (r gcReport) with(delay time.Duration) (ms []gcMeasurement) {
	for _, m := range r.Measurements {
		if m.Delay == delay {
			ms = append(ms, m)
		}
	}
	return ms
}

// growth is a case's rate relative to one stream's, round by round. It is false when one stream was not measured.
func growth(ms []gcMeasurement, m gcMeasurement) (stat, bool) {
	one := slices.IndexFunc(ms, func(m gcMeasurement) bool { return m.Streams == 1 })
	if one < 0 {
		return stat{}, false
	}
	ratios := make([]float64, len(m.Results))
	for i, r := range m.Results {
		ratios[i] = r.Records / ms[one].Results[i].Records
	}
	return statOf(ratios, func(v float64) float64 { return v }), true
}

// share is how much of the disk's limit a run's syncs were.
func share(r gcResult) float64 { return r.Syncs / r.Disk.PerSecond }

// diskName names a disk by what was added to its syncs.
func diskName(delay time.Duration) string {
	if delay == 0 {
		return "The disk as it is"
	}
	return fmt.Sprintf("Every fdatasync %v longer", delay)
}

const gcPreface = `# Group commit

%[1]s
%[2]s
%[1]s

%[3]s, %[4]s, %[5]s.%[6]s

[What it does](../durability/doc.go): streams write records of %[7]d bytes of JSON to zerobus serve, each one at a time: the
next when the one before is acknowledged, which is when it is durable. %[8]s. A figure is the median
of the rounds; brackets hold the lowest and the highest. Ratio is to one stream in the same round. Records per sync are
counted by the server's log; fdatasyncs/s are records/s divided by them. Of limit is the part that they are of what one
writer of 4 KiB reaches on the same disk, measured beside each run. CPU is processor time for a record, of each process.

Two halves of the streams take turns: while the records of one are being synced, the other gets its acknowledgements and sends
again. So a sync has the records of half the streams at most, and of 64 streams no more can be had than 32 records a sync.
`

// page is groupcommit.md.
func (r gcReport) page(plot bool) string {
	var b strings.Builder
	memory := ""
	if r.InMemory {
		memory = " The data was in memory, so these figures say nothing of a disk."
	}
	connections := "Each has a connection of its own"
	if r.Shared {
		connections = "All share one connection"
	}
	fmt.Fprintf(&b, gcPreface, "```", r.Command, r.Date, r.Machine, plural(r.Rounds, "round"), memory, r.Size, connections)
	if plot {
		b.WriteString("\n![Records and syncs per second by streams](groupcommit.svg)\n")
	}
	for _, delay := range r.delays() {
		ms := r.with(delay)
		disk := statOf(ms, func(m gcMeasurement) float64 {
			return statOf(m.Results, func(r gcResult) float64 { return r.Disk.PerSecond }).Median
		})
		took := statOf(ms, func(m gcMeasurement) float64 {
			return statOf(m.Results, func(r gcResult) float64 { return r.Disk.P50.Seconds() }).Median
		})
		fmt.Fprintf(&b, "\n## %s\n\n", diskName(delay))
		fmt.Fprintf(&b, "One writer of 4 KiB and fdatasync reaches %s a second; one takes %s.\n", disk.Text(count), took.Text(span))
		if text := r.verdict(ms); text != "" {
			fmt.Fprintf(&b, "%s\n", text)
		}
		b.WriteString("\n" + table(gcRows(ms)))
	}
	return b.String()
}

// verdict compares 64 streams with what they should reach.
func (r gcReport) verdict(ms []gcMeasurement) string {
	i := slices.IndexFunc(ms, func(m gcMeasurement) bool { return m.Streams == gcStreams })
	if i < 0 {
		return ""
	}
	ratio, ok := growth(ms, ms[i])
	if !ok {
		return ""
	}
	reached := "reached"
	if ratio.Median < gcGrowth {
		reached = "not reached"
	}
	return fmt.Sprintf("Of one stream's records/s, %d streams have %s (aim: %.0f ×, %s), with %s of the disk's limit of syncs.",
		gcStreams, ratio.Text(times), gcGrowth, reached, statOf(ms[i].Results, share).Text(percent))
}

func gcRows(ms []gcMeasurement) [][]string {
	rows := [][]string{{"streams", "records/s", "ratio", "records/sync", "fdatasyncs/s", "of limit", "p50", "p99", "CPU server", "CPU client"}}
	for _, m := range ms {
		of := func(f func(gcResult) float64) stat { return statOf(m.Results, f) }
		ratio := ""
		if g, ok := growth(ms, m); ok {
			ratio = g.Text(times)
		}
		rows = append(rows, []string{
			count(m.Streams),
			of(func(r gcResult) float64 { return r.Records }).Text(count),
			ratio,
			of(func(r gcResult) float64 { return r.PerSync }).Text(threeDigits),
			count(of(func(r gcResult) float64 { return r.Syncs }).Median),
			of(share).Text(percent),
			span(of(func(r gcResult) float64 { return r.P50.Seconds() }).Median),
			span(of(func(r gcResult) float64 { return r.P99.Seconds() }).Median),
			span(of(func(r gcResult) float64 { return r.Server.Seconds() }).Median),
			span(of(func(r gcResult) float64 { return r.Client.Seconds() }).Median),
		})
	}
	return rows
}

// figure shows a panel for each disk.
func (r gcReport) figure() figure {
	f := figure{Title: "Single records outstanding, one a stream"}
	for _, delay := range r.delays() {
		ms := r.with(delay)
		p := panel{Title: diskName(delay), X: "streams", Y: "a second", XLog: true, YLog: true}
		for _, s := range []struct {
			name string
			look look
			of   func(gcResult) float64
		}{
			{"records", lookA, func(r gcResult) float64 { return r.Records }},
			{"fdatasyncs", lookB, func(r gcResult) float64 { return r.Syncs }},
			{"limit of one writer", lookLimit, func(r gcResult) float64 { return r.Disk.PerSecond }},
		} {
			line := series{Name: s.name, Look: s.look}
			for _, m := range ms {
				line.Points = append(line.Points, report.At(float64(m.Streams), statOf(m.Results, s.of)))
			}
			p.Series = append(p.Series, line)
		}
		f.Panels = append(f.Panels, p)
	}
	return f
}
