package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zerobus-go/zerobus/bench/internal/report"
)

func tableRows(all []Case) [][]string {
	rows := [][]string{{"records", "number", "records/s", "MB/s", "seconds", "commits", "CPU server", "CPU client", "data for a million"}}
	for _, c := range all {
		rows = append(rows, []string{
			c.title(), c.middle(func(v float64) string { return report.Count(v) }, func(r Run) float64 { return float64(r.Sent) }),
			c.cell(func(v float64) string { return report.Count(v) }, func(r Run) float64 { return r.TablePerSecond }),
			c.middle(digits, func(r Run) float64 { return r.TablePerSecond * float64(r.RecordBytes) / 1e6 }),
			c.middle(report.ThreeDigits, func(r Run) float64 { return r.TableSeconds }),
			c.middle(report.ThreeDigits, func(r Run) float64 { return float64(r.Commits) }),
			c.middle(report.ThreeDigits, func(r Run) float64 { return r.ServerCPU }),
			c.middle(report.ThreeDigits, func(r Run) float64 { return r.ClientCPU }),
			c.middle(report.Size, func(r Run) float64 { return r.DataBytes }),
		})
	}
	return rows
}

func compressionRows(all []Case) [][]string {
	rows := [][]string{{"records", "compression", "records/s", "MB/s", "CPU server", "data for a million"}}
	for _, c := range all {
		rows = append(rows, []string{
			c.title(), c.Args[len(c.Args)-1], c.cell(func(v float64) string { return report.Count(v) }, func(r Run) float64 { return r.PerSecond }),
			c.middle(digits, func(r Run) float64 { return r.MB }), c.middle(report.ThreeDigits, func(r Run) float64 { return r.ServerCPU }),
			c.middle(report.Size, func(r Run) float64 { return r.DataBytes }),
		})
	}
	return rows
}

func memoryRows(all []Case) [][]string {
	rows := [][]string{{"streams", "resident", "records/s", "ack p99"}}
	for i, c := range all {
		rows = append(rows, []string{
			[]string{"64 that write", "and 1,000 idle"}[i%2], c.cell(report.Size, func(r Run) float64 { return r.Resident }),
			c.cell(func(v float64) string { return report.Count(v) }, func(r Run) float64 { return r.PerSecond }),
			c.middle(millis, func(r Run) float64 { return r.Ack.P99 }),
		})
	}
	return rows
}

func behindRows(all []Case) [][]string {
	rows := [][]string{{"table", "records/s", "MB/s", "ack p99", "to the table p99"}}
	for i, c := range all {
		rows = append(rows, []string{
			[]string{"new", "with commits behind it"}[i%2], c.cell(func(v float64) string { return report.Count(v) }, func(r Run) float64 { return r.PerSecond }),
			c.middle(digits, func(r Run) float64 { return r.MB }), c.middle(millis, func(r Run) float64 { return r.Ack.P99 }),
			c.middle(millis, func(r Run) float64 { return r.Table.P99 }),
		})
	}
	return rows
}

// growthParts is how many parts of a growing table's commits are told.
const growthParts = 20

// growthPoint is a part of the commits: up to which one, and what they took in milliseconds.
type growthPoint struct {
	upTo     int
	p50, p99 report.Stat
}

func growthPoints(all []Growth) (points []growthPoint) {
	if len(all) == 0 {
		return nil
	}
	n := len(all[0].Commits)
	size := max(1, n/growthParts)
	for from := 0; from+size <= n; from += size {
		quantile := func(part int) func(g Growth) float64 {
			return func(g Growth) float64 {
				took := slices.Sorted(slices.Values(g.Commits[from : from+size]))
				return float64(took[(len(took)-1)*part/100]) / 1e6
			}
		}
		points = append(points, growthPoint{from + size, report.StatOf(all, quantile(50)), report.StatOf(all, quantile(99))})
	}
	return points
}

func growthRows(all []Growth) [][]string {
	rows := [][]string{{"up to file", "commit p50", "p99"}}
	for _, p := range growthPoints(all) {
		rows = append(rows, []string{report.Count(p.upTo), p.p50.Text(millis), p.p99.Text(millis)})
	}
	return rows
}

func (q Queued) title() string {
	text := fmt.Sprintf("%s, queue with a sink, synced every 2 minutes", q.Shape)
	if q.Always {
		text = fmt.Sprintf("%s, queue with a sink, every publish synced", q.Shape)
	}
	if q.Packed > 0 {
		text += fmt.Sprintf(", records packed into messages of %s", report.Size(float64(q.Packed)))
	}
	return text
}

// otherwiseRows has what is done by hand beside the queues; it acknowledges nothing, and what is not measured is a dash.
func otherwiseRows(byHand []ByHand, queued []Queued) [][]string {
	count := func(v float64) string { return report.Count(v) }
	rows := [][]string{{"rows", "acks: records/s", "MB/s", "p50", "p99", "in files: records/s", "CPU queue", "CPU producer and sink", "queue's files", "Parquet"}}
	for _, h := range byHand {
		rows = append(rows, []string{h.Shape + ", by hand", "–", "–", "–", "–", report.StatOf(h.Rows, same).Text(count), "–", "–", "–", report.Size(h.Bytes)})
	}
	for _, q := range queued {
		stat := func(of func(QueueRun) float64) report.Stat { return report.StatOf(q.Runs, of) }
		acked := stat(func(r QueueRun) float64 { return r.AckedPerSecond })
		rows = append(rows, []string{
			q.title(), acked.Text(count), digits(acked.Median * float64(q.RecordBytes) / 1e6),
			millis(stat(func(r QueueRun) float64 { return r.AckP50 }).Median), millis(stat(func(r QueueRun) float64 { return r.AckP99 }).Median),
			stat(func(r QueueRun) float64 { return r.FilesPerSecond }).Text(count),
			report.ThreeDigits(stat(func(r QueueRun) float64 { return r.QueueCPU }).Median), report.ThreeDigits(stat(func(r QueueRun) float64 { return r.ClientCPU }).Median),
			report.Size(stat(func(r QueueRun) float64 { return r.StoreBytes }).Median), report.Size(stat(func(r QueueRun) float64 { return r.FileBytes }).Median),
		})
	}
	return rows
}

// together tells what 64 streams make of what one does.
func (r Report) together() string {
	var all []string
	for _, shape := range []string{"small", "wide", "1k", "1k-100"} {
		one, many := find(r.of("ack"), shape, 1), find(r.of("ack"), shape, 64)
		if len(one.Runs) == 0 || len(many.Runs) == 0 {
			continue
		}
		ratio := against(many, one, func(r Run) float64 { return r.PerSecond })
		all = append(all, fmt.Sprintf("%s %s", shape, ratio.Text(report.Times)))
	}
	if len(all) == 0 {
		return ""
	}
	return "\n64 streams together make of what one does: " + strings.Join(all, ", ") +
		".\nWhere one stream fills both processors already, as large records do, more of them can only share those."
}
