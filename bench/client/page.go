package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// section is what the page says of a group of cases.
type section struct {
	group, title string
	columns      string // of the table, by their heads
	text         string
	say          []remark
}

// throughput are the columns of most groups.
const throughput = "case, client, records/s, spread, MB/s, CPU s/M, allocs/rec, rec/message, ratio"

var sections = []section{{
	"plaintext", "Record sizes",
	"case, client, records/s, spread, MB/s, CPU s/M, sink s/M, allocs/rec, rec/message, peak MiB, ratio",
	"One producer sends encoded protobuf records as fast as it can.",
	[]remark{rateRatios, cpuRatios},
}, {
	"tls", "TLS", throughput,
	"The same with TLS.",
	[]remark{rateRatios, toPlaintext},
}, {
	"json", "JSON", throughput,
	"The records are encoded JSON. A client has to look at every byte of them, because they must be UTF-8.",
	[]remark{rateRatios, toPlaintext},
}, {
	"defaults", "Default limits", "case, client, records/s, spread, CPU s/M, rec/message, p50, p99, p99.9, ratio",
	"The clients have narrow limits, the SDK's defaults. What may be in flight is also what may queue, so the limits bound the\n" +
		"latency under a producer that never pauses.",
	[]remark{rateRatios, toPlaintext},
}, {
	"typed", "Values that the client encodes", throughput,
	"The program hands over a proto.Message (message) or a struct for encoding/json (value). The SDK's Ingest encodes it; with\n" +
		"the baseline the program does that before.",
	[]remark{rateRatios},
}, {
	"producers", "Several producers", throughput,
	"Producers are goroutines that share one stream. Above 1 × they help each other, below they are in each other's way.",
	[]remark{growth(func(c Case) int { return c.Producers }, func(n int) string { return plural(n, "producer") })},
}, {
	"batches", "Batches", throughput,
	"Records are handed over one by one, or many in a call. The baseline makes a message of each call; the SDK makes one of what\n" +
		"there is.",
	[]remark{growth(perCall, func(n int) string { return "calls of " + plural(n, "record") })},
}, {
	"latency", "Latency", "case, client, CPU s/M, allocs/rec, p50, p99, p99.9",
	"Nothing queues here: this is the time of a record through client, loopback and sink, and back. One that comes after a pause\n" +
		"finds everybody asleep, and their waking is in its time.",
	[]remark{items("The medians:", median)},
}, {
	"paced", "A steady pace", "case, client, records/s, CPU s/M, sink s/M, rec/message, p50, p99, p99.9, ratio",
	"One producer sends at a pace, and is busy until the next record is due; that is in CPU s/M.",
	[]remark{items("What the clients reach of the pace:", ofPace)},
}, {
	"acks", "Late acknowledgements", "case, client, records/s, spread, CPU s/M, p50, p99, p99.9, ratio",
	"The sink acknowledges late. A client sends at most what its limits allow in flight during each delay. The first table has the\n" +
		"share of that bound which the clients reach: near 100 % it is the limit that holds them up, else the client or the machine.",
	[]remark{bounds},
}, {
	"streams", "Several streams", throughput,
	"Each stream has a connection and a producer of its own.",
	[]remark{growth(func(c Case) int { return c.Streams }, func(n int) string { return plural(n, "stream") }), busy},
}, {
	"memory", "Memory", "case, records/s, MB/s, CPU s/M, peak MiB",
	"Acknowledgements come late, so bytes in flight pile up to the limit if the rate suffices. The peak is of the whole process.\n" +
		"In a longer run the garbage collector lets as much garbage pile up as is in flight (GOGC), which takes it many seconds.",
	[]remark{peaks},
}}

// writePage writes client.json, client.md and the plots to a directory.
func writePage(dir string, r Report) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	lines := strings.NewReplacer(`{"Case":`, "\n{\"Case\":", `{"Client":`, "\n  {\"Client\":") // nothing like it is in a string
	files := map[string][]byte{"client.json": []byte(lines.Replace(string(data)) + "\n")}
	plots := figures(r)
	files["client.md"] = page(r, plots)
	for _, f := range plots {
		if files[f.file+".svg"], err = render(f); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

const preface = `# Clients of the protocol

%[1]s
%[2]s
%[1]s

%[3]s, %[4]s, %[5]s. All results are in [client.json](client.json).

The [benchmark](../client/doc.go) measures this project's SDK (zerobus) against a [baseline](../client/baseline/doc.go), a
client as clients commonly are: it has an object, a future and a gRPC message for every record. Both write over loopback to
a [sink](../client/sink/doc.go), a server that acknowledges everything and looks into nothing. Every run is a process of its
own, and the clients take turns within each repetition. A figure is the median of the repetitions, a ratio the median of their
ratios; brackets hold the lowest and the highest. Absolute rates depend on the machine and on what else it does: compare
ratios.

In the tables, CPU s/M is processor time of the client's process, in seconds for a million records, and sink s/M the sink's.
MB/s counts the records' bytes, rec/message the records in a gRPC message. p50 to p99.9 are of the time from the ingest call
to the acknowledgement. Ratio is the SDK's records/s to the baseline's.
`

// page is client.md.
func page(r Report, plots []figure) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, preface, "```", r.Command, r.Date, r.Machine, plural(r.Reps, "repetition"))
	for _, group := range groupsOf(r.Measurements) {
		s := section{group: group, title: group}
		if i := slices.IndexFunc(sections, func(s section) bool { return s.group == group }); i >= 0 {
			s = sections[i]
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", s.title, s.text)
		for _, about := range s.say {
			if text := about(r, r.cases(group)); text != "" {
				fmt.Fprintf(&b, "%s\n", text)
			}
		}
		for _, f := range plots {
			if f.group == group {
				fmt.Fprintf(&b, "\n![%s](%s.svg)\n", f.title, f.file)
			}
		}
		table := rows(r.Measurements, group)
		text := "\n" + tableText(table, s.columns)
		if len(table) > 1+8 {
			text = "\n<details><summary>Table</summary>\n" + text + "\n</details>\n"
		}
		b.WriteString(text)
	}
	return b.Bytes()
}

// tableText writes the named columns of a table as Markdown; all without names. Columns without content are left out.
func tableText(table [][]string, names string) string {
	lines := make([]string, len(table)+1)
	for k, name := range table[0] {
		empty := !slices.ContainsFunc(table[1:], func(row []string) bool { return row[k] != "" })
		if empty || names != "" && !slices.Contains(strings.Split(names, ", "), name) {
			continue
		}
		lines[0] += "| " + name + " "
		lines[1] += "|---"
		for i, row := range table[1:] {
			lines[i+2] += "| " + row[k] + " "
		}
	}
	return strings.Join(lines, "|\n") + "|\n"
}
