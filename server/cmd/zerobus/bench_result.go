package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/loadgen"
)

// benchResult is what a measurement found. Times of distributions are milliseconds, MB are 10^6 bytes of records.
type benchResult struct {
	Shape       string           `json:"shape"`
	Encoding    loadgen.Encoding `json:"encoding"`
	RecordBytes int              `json:"record_bytes"`
	Streams     int              `json:"streams"`
	Idle        int              `json:"idle_streams,omitempty"`
	Rate        float64          `json:"rate,omitempty"` // that was asked for

	Seconds   float64 `json:"seconds"` // that count
	Records   int64   `json:"records"` // acknowledged in them
	PerSecond float64 `json:"records_per_second"`
	MB        float64 `json:"mb_per_second"`
	Behind    float64 `json:"behind_ms,omitempty"` // the most that a stream was behind its rate

	Ack   *distribution `json:"ack_ms"`
	Table *distribution `json:"table_ms"`

	// Of the whole run, warm-up and last commit included.
	Sent           int64   `json:"sent"`
	TableSeconds   float64 `json:"table_seconds"` // until all are in the table
	TablePerSecond float64 `json:"table_records_per_second"`
	Commits        int64   `json:"commits"`
	Files          int64   `json:"files"`
	FileBytes      int64   `json:"file_bytes"`
	ServerCPU      float64 `json:"server_cpu_s_per_million"`
	ClientCPU      float64 `json:"client_cpu_s_per_million"`
	LogBytes       float64 `json:"log_bytes_per_million"`
	DataBytes      float64 `json:"data_bytes_per_million"` // compactions included
	Syncs          int64   `json:"log_syncs"`
	Resident       int64   `json:"resident_bytes"` // the most that was seen, once a second

	Sync *distribution `json:"disk_sync_ms"` // 4 KiB over a file that has its blocks, before the run
	Load string        `json:"load_average,omitempty"`
}

// seconds is what counted.
func (r *benchResult) seconds(d time.Duration, records int64) {
	r.Seconds, r.Records = d.Seconds(), records
	r.PerSecond = float64(records) / max(r.Seconds, 1e-9)
	r.MB = r.PerSecond * float64(r.RecordBytes) / 1e6
}

// use is what server and client have used for the records of a run.
func (r *benchResult) use(before, after usage, client time.Duration, sent int64) {
	million := float64(max(sent, 1)) / 1e6
	r.Sent = sent
	r.ServerCPU = (after.cpu - before.cpu) / million
	r.ClientCPU = client.Seconds() / million
	r.LogBytes = (after.log - before.log) / million
	r.DataBytes = (after.rewrites - before.rewrites) / million
	r.Syncs = int64(after.syncs - before.syncs)
	r.Resident = max(r.Resident, int64(after.resident))
	r.Load = loadAverage()
}

// loadAverage is how many wanted to run in the last minute; empty where that is not told.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

func (r *benchResult) print(w io.Writer) {
	fmt.Fprintf(w, "%s records of %d B (%s, %s), %s %s", count(r.Sent), r.RecordBytes, r.Shape, r.Encoding, count(r.Streams), plural(r.Streams, "stream"))
	if r.Idle > 0 {
		fmt.Fprintf(w, " and %s idle", count(r.Idle))
	}
	fmt.Fprintf(w, "\n\n")
	row := func(name, value string) { fmt.Fprintf(w, "%-22s%s\n", name, value) }
	row("acknowledged", fmt.Sprintf("%s records/s, %.1f MB/s, over %.1f s", count(int64(r.PerSecond)), r.MB, r.Seconds))
	row("in the table", fmt.Sprintf("%s records/s, all after %.1f s, %s %s, %s of data files",
		count(int64(r.TablePerSecond)), r.TableSeconds, count(r.Commits), plural(int(r.Commits), "commit"), bytesText(r.FileBytes)))
	row("latency, ack", r.Ack.text())
	row("latency, table", r.Table.text())
	row("disk's sync", r.Sync.text())
	if r.Rate > 0 {
		row("behind the rate", fmt.Sprintf("%s ms at most", three(r.Behind)))
	}
	row("a million records", fmt.Sprintf("server %.2f s of processor, client %.2f s; %s in the log, %s in data files",
		r.ServerCPU, r.ClientCPU, bytesText(int64(r.LogBytes)), bytesText(int64(r.DataBytes))))
	row("server's memory", fmt.Sprintf("%s resident at most", bytesText(r.Resident)))
	if r.Load != "" {
		row("load average", r.Load)
	}
}

// text is a distribution on one line.
func (d *distribution) text() string {
	if d == nil {
		return "nothing measured"
	}
	return fmt.Sprintf("p50 %s ms, p99 %s ms, max %s ms", three(d.P50), three(d.P99), three(d.Max))
}

// three writes a number with three digits, or all before the point.
func three(v float64) string {
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
