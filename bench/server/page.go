package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/zerobus-go/zerobus/bench/internal/report"
)

// ours is the name of the server's decoder in results.
const ours = "zerobus"

// write writes server.json, the page and the plots to a directory; without one, the page to out.
func (r Report) write(dir string, out io.Writer) error {
	figures := r.figures()
	if dir == "" {
		_, err := io.WriteString(out, r.page(nil))
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	drawn := map[string]bool{}
	for name, f := range figures {
		svg, err := f.Render()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "server-"+name+".svg"), svg, 0o644); err != nil {
			return err
		}
		drawn[name] = true
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	if err := enc.Encode(r); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "server.json"), b.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "server.md"), []byte(r.page(drawn)), 0o644)
}

// page is the page, with the plots that were drawn.
func (r Report) page(drawn map[string]bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The server\n\n```\n%s\n```\n\n%s, %s; client and server share them, %s.\n", strings.Join(r.Commands, "\n"), r.Date, r.Machine, report.Plural(r.Rounds, "round"))
	b.WriteString(`
[How it is measured](../server/doc.go). A figure is the median of the rounds; brackets hold the lowest and the highest. MB are
10^6 bytes of records. Everything is on, unless a section says otherwise: tokens, grants, schema checks, fdatasync before each
acknowledgement, statistics, zstd.
`)
	section := func(title, plot, text string, rows [][]string) {
		if len(rows) < 2 {
			return
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", title, strings.TrimSpace(text))
		if drawn[plot] {
			fmt.Fprintf(&b, "![%s](server-%s.svg)\n\n", title, plot)
		}
		b.WriteString(report.Table(rows))
	}
	aims := [][]string{{"what", "aim", "figure", "reached"}}
	for _, a := range r.aims() {
		aims = append(aims, a.row())
	}
	section("Aims", "", "What the server should reach on two cores that it shares with the client.", aims)
	section("Decoding alone", "decode", `
Records in memory become columns in memory, on one core. dynamicpb and encoding/json make a message or a map and no columns;
hyperpb, a protowire loop and jx lay values into plain slices, without nulls, ranges and refusals to roll back.`, r.decodeRows())
	section("Receiving and decoding", "", `
The gateway's gRPC options and codec with a handler that decodes and acknowledges: no log, no table, no tokens. Windows and buffers are
gRPC's own, which grow with what a connection carries. Larger ones from the start could be left unread by any client on every stream.`, r.receiveRows())
	section("To the durable acknowledgement", "ack", `
As fast as it goes: the latencies are those of a full window, which is the client's default of 50,000 records or 64 MiB, or 200,000
records of all streams. CPU is processor time in seconds for a million records, log and data the bytes written for them.`+r.together(), caseRows(r.of("ack")))
	section("Latency", "latency", `
10,000 records/s over 8 streams. Time to the table is from the ingest call until the version is seen in the Delta log. The disk's
sync was measured before each run; behind is the most that a stream was behind its rate.`, latencyRows(r.of("latency")))
	section("To the table", "", `
A number of records as fast as it goes, until the last of them is in the table: log, Parquet files and commits included.`, tableRows(r.of("table")))
	section("Compression", "", `
As fast as it goes, with files of each compression: the default is zstd, as Delta's protocol recommends, because its files are the
smallest and the others gain little where they are not much larger. Spark, delta-rs, DuckDB and Polars read all four.`, compressionRows(r.of("compression")))
	section("Memory", "", `
64 streams that write as fast as it goes, alone and beside 1,000 that are open and do not. Resident is the most that was seen.`, memoryRows(r.of("memory")))
	section("With commits behind it", "", fmt.Sprintf(`
The rate on a new table, and on one that has %s commits of one record each, in turns.`, report.Count(commitsBehind)), behindRows(r.of("behind")))
	section("A growing table", "growth", `
One commit after the other, of 10 rows and a file each, without compaction, so that no file goes. The server's pieces without a
network, as in [commits](commits.md).`, growthRows(r.Growth))
	section("Without a server", "", `
By hand: rows of Go structs that parquet-go's generic writer puts into one file, made durable at its end. There is no acknowledgement
before that, no table, no checks.

A queue with a sink: one node of NATS JetStream in a process of its own, async publishes over loopback with a full window, and
a sink that writes a Parquet file a second and acknowledges messages when it is durable. Synced every 2 minutes is JetStream's default:
when the machine stops, that queue can lose what it has acknowledged. CPU is processor time in seconds for a million records, the
queue's files and Parquet are the bytes of a million; the queue keeps all of them.

Such a setup has files and no table: no Delta commit, no check of the schema, no compaction. When the sink stops between file and acknowledgement, the messages come again
and rows are there twice. Where records are packed, the producer batches by itself: a message is what is acknowledged, and its
latency counts from when it is full.

The closed service promises 100 MB/s and 100,000 records/s a stream, acknowledgements in about 150 ms and rows in the table
after about 5 s.`, otherwiseRows(r.ByHand, r.Queued))
	return b.String()
}

func (r Report) decodeRows() [][]string {
	rows := [][]string{{"records", "decoder", "MB/s", "million records/s", "allocations a record"}}
	for _, name := range decodeOrder(r.Decode) {
		for _, d := range r.Decode {
			if d.title() != name {
				continue
			}
			mb := report.StatOf(d.MB, same)
			rows = append(rows, []string{name, d.Decoder, mb.Text(digits), digits(mb.Median / float64(d.Bytes)), report.ThreeDigits(d.Allocs)})
		}
	}
	return rows
}

// digits writes three digits, or all before the point.
func digits(v float64) string {
	if v >= 1000 {
		return report.Count(v)
	}
	return report.ThreeDigits(v)
}

func (d Decoding) title() string { return fmt.Sprintf("%s, %s, %d B", d.Shape, d.Encoding, d.Bytes) }

// decodeOrder is the cases in the order in which they came.
func decodeOrder(all []Decoding) (names []string) {
	seen := map[string]bool{}
	for _, d := range all {
		if !seen[d.title()] {
			seen[d.title()] = true
			names = append(names, d.title())
		}
	}
	return names
}

// network is what a network takes, in milliseconds.
func network(ms float64) string {
	if ms == 0 {
		return "loopback"
	}
	return millis(ms)
}

func (r Report) receiveRows() [][]string {
	rows := [][]string{{"records", "streams", "network, both ways", "MB/s", "million records/s"}}
	for _, d := range r.Receive {
		mb := report.StatOf(d.MB, same)
		rows = append(rows, []string{
			fmt.Sprintf("%s, %s, %d B", d.Shape, d.Encoding, d.Bytes), fmt.Sprint(d.Streams), network(2 * d.Delay), mb.Text(digits), digits(mb.Median / float64(d.Bytes)),
		})
	}
	return rows
}

// cell writes a figure of a case's runs.
func (c Case) cell(unit func(float64) string, of func(Run) float64) string {
	return report.StatOf(c.Runs, of).Text(unit)
}

// middle writes the median of a case's runs alone.
func (c Case) middle(unit func(float64) string, of func(Run) float64) string {
	return unit(report.StatOf(c.Runs, of).Median)
}

func (c Case) title() string {
	bytes := 0
	if len(c.Runs) > 0 {
		bytes = c.Runs[0].RecordBytes
	}
	return fmt.Sprintf("%s, %s, %d B", c.Shape, c.Encoding, bytes)
}

func caseRows(all []Case) [][]string {
	rows := [][]string{{"records", "streams", "records/s", "MB/s", "ack p50", "p99", "CPU server", "CPU client", "log", "data", "resident"}}
	for _, c := range all {
		rows = append(rows, []string{
			c.title(), report.Count(c.Streams), c.cell(func(v float64) string { return report.Count(v) }, func(r Run) float64 { return r.PerSecond }),
			c.middle(digits, func(r Run) float64 { return r.MB }), c.middle(millis, func(r Run) float64 { return r.Ack.P50 }),
			c.middle(millis, func(r Run) float64 { return r.Ack.P99 }), c.middle(report.ThreeDigits, func(r Run) float64 { return r.ServerCPU }),
			c.middle(report.ThreeDigits, func(r Run) float64 { return r.ClientCPU }), c.middle(report.Size, func(r Run) float64 { return r.LogBytes }),
			c.middle(report.Size, func(r Run) float64 { return r.DataBytes }), c.middle(report.Size, func(r Run) float64 { return r.Resident }),
		})
	}
	return rows
}

func latencyRows(all []Case) [][]string {
	rows := [][]string{{"records", "ack p50", "p99", "max", "to the table p50", "p99", "max", "disk's sync p50", "behind", "CPU server", "CPU client"}}
	for _, c := range all {
		rows = append(rows, []string{
			c.title(), c.cell(millis, func(r Run) float64 { return r.Ack.P50 }), c.cell(millis, func(r Run) float64 { return r.Ack.P99 }),
			c.middle(millis, func(r Run) float64 { return r.Ack.Max }), c.cell(millis, func(r Run) float64 { return r.Table.P50 }),
			c.cell(millis, func(r Run) float64 { return r.Table.P99 }), c.middle(millis, func(r Run) float64 { return r.Table.Max }),
			c.cell(millis, func(r Run) float64 { return r.Sync.P50 }), c.middle(millis, func(r Run) float64 { return r.Behind }),
			c.middle(report.ThreeDigits, func(r Run) float64 { return r.ServerCPU }), c.middle(report.ThreeDigits, func(r Run) float64 { return r.ClientCPU }),
		})
	}
	return rows
}
