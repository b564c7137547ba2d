package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/zerobus-go/zerobus/internal/leaktest"
	"github.com/zerobus-go/zerobus/schema"
)

// TestMain is the queue, too, which is this program started by itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == queueCommand {
		main()
		return
	}
	leaktest.Main(m)
}

// sample is a report of all groups, with figures that reach their aims by a factor.
func sample(factor float64) Report {
	run := Run{
		RecordBytes: 1000, PerSecond: 4e6 * factor, MB: 200 * factor, Sent: 1000, TableSeconds: 2, TablePerSecond: 500, Commits: 3, Resident: (1 << 28) / factor / factor,
		Ack: Distribution{P50: 1 / factor, P99: 10 / factor, Max: 20, Curve: [][2]float64{{0, 0.1}, {0.5, 1}, {0.99, 10}, {1, 20}}},
	}
	run.Table = Distribution{P50: 600 / factor, P99: 2000 / factor, Max: 2100, Curve: run.Ack.Curve}
	run.Sync = Distribution{P50: 0.2}
	slow := run
	slow.PerSecond *= 0.97 * factor * factor
	r := Report{
		Commands: []string{"go run ./bench/server"}, Date: "2026-01-02", Machine: "a machine", Rounds: 2,
		Decode: []Decoding{
			{Decoder: ours, Shape: "small", Encoding: "protobuf", Bytes: 25, MB: []float64{1000 * factor, 1100 * factor}, Allocs: 1 - min(factor, 1)},
			{Decoder: "hyperpb", Shape: "small", Encoding: "protobuf", Bytes: 25, MB: []float64{90, 100}, Allocs: 1.5},
			{Decoder: ours, Shape: "wide", Encoding: "json", Bytes: 460, MB: []float64{700 * factor, 700 * factor}},
		},
		Receive: []Receiving{{Shape: "small", Encoding: "protobuf", Bytes: 25, Streams: 8, MB: []float64{300, 310}}},
		Growth:  []Growth{{Commits: slices.Repeat([]int64{4e6, 5e6}, 50), Files: 100}},
		ByHand:  []ByHand{{Shape: "small", Rows: []float64{5e6, 6e6}, Bytes: 3e6}},
		Queued: []Queued{
			{Shape: "small", Always: true, RecordBytes: 25, Runs: []QueueRun{{Records: 10, AckedPerSecond: 4e6, FilesPerSecond: 3e6, AckP50: 5, StoreBytes: 6e7}}},
			{Shape: "1k", Packed: 1 << 19, RecordBytes: 1000, Runs: []QueueRun{{Records: 10, AckedPerSecond: 1000, FilesPerSecond: 900, AckP50: 7}}},
		},
		Flights: []Flight{{Rows: 2e6 * factor, Bytes: 14e6 / factor, Source: 13.5e6}},
	}
	for _, n := range []int{1, 64} {
		for _, shape := range []string{"small", "1k"} {
			r.Cases = append(r.Cases, Case{Group: "ack", Shape: shape, Encoding: "protobuf", Streams: n, Runs: []Run{run, run}})
		}
	}
	for _, group := range []string{"latency", "table", "memory", "behind", "compression"} {
		r.Cases = append(r.Cases,
			Case{Group: group, Shape: "small", Encoding: "protobuf", Streams: 8, Args: []string{"zstd"}, Runs: []Run{run, run}},
			Case{Group: group, Shape: "1k", Encoding: "protobuf", Streams: 8, Args: []string{"snappy"}, Runs: []Run{slow, slow}})
	}
	return r
}

func TestReport_AimsHoldOrDoNot(t *testing.T) {
	for _, c := range []struct {
		factor float64
		held   bool
	}{{1, true}, {0.1, false}} {
		aims := sample(c.factor).aims()
		if len(aims) < 14 {
			t.Errorf("only %d aims", len(aims))
		}
		for _, a := range aims {
			switch got := a.holds(a.got.Median); {
			case strings.HasPrefix(a.what, "64 streams"), strings.HasPrefix(a.what, "allocations of a record, json"): // the same in both
				if !got {
					t.Errorf("%v: %s does not hold", c.factor, a.what)
				}
			case got != c.held:
				t.Errorf("%v: %s: %v, with %s", c.factor, a.what, got, a.got.Text(a.unit))
			}
		}
	}
}

func TestReport_PageAndPlots(t *testing.T) {
	dir := t.TempDir()
	r := sample(1)
	if err := r.write(dir, nil); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "server.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# The server\n", "\n## Aims\n", "\n## Decoding alone\n", "\n## Receiving and decoding\n", "\n## To the durable acknowledgement\n", "\n## Latency\n", "\n## To the table\n",
		"\n## Memory\n", "\n## With commits behind it\n", "\n## A growing table\n", "\n## Without a server\n", "| small, protobuf, 25 B | hyperpb |", "| 64 that write |",
		"| small, by hand | – |", "| small, queue with a sink, every publish synced | 4,000,000 | 100 | 5 ms |", "| 1k, queue with a sink, synced every 2 minutes, records packed into messages of 512 KiB | 1,000 | 1 |",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, name := range []string{"decode", "ack", "latency", "growth"} {
		svg, err := os.ReadFile(filepath.Join(dir, "server-"+name+".svg"))
		if err != nil || !strings.Contains(string(page), "(server-"+name+".svg)") || !strings.Contains(string(svg), "<svg") {
			t.Errorf("%s: %d bytes, %v", name, len(svg), err)
		}
	}
	again, err := readReport(dir)
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[string]bool{"decode": true, "ack": true, "latency": true, "growth": true}
	if again.page(drawn) != string(page) {
		t.Error("the page of what was read back is another one")
	}
	if empty := (Report{}).page(nil); strings.Contains(empty, "## ") {
		t.Errorf("the page of nothing has sections:\n%s", empty)
	}
}

func TestMerge_ReplacesGroups(t *testing.T) {
	dir := t.TempDir()
	if r, err := merge(dir, sample(1)); err != nil || len(r.Cases) != len(sample(1).Cases) {
		t.Fatalf("into nothing: %v", err)
	}
	if err := sample(1).write(dir, nil); err != nil {
		t.Fatal(err)
	}
	fresh := Report{Machine: "a machine", Commands: []string{"again"}, Cases: []Case{{Group: "memory", Shape: "wide"}}}
	r, err := merge(dir, fresh)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.of("memory")) != 1 || len(r.of("ack")) != 4 || len(r.Decode) != 3 || len(r.Flights) != 1 || len(r.Queued) != 2 || len(r.Commands) != 2 {
		t.Errorf("%+v", r)
	}
	fresh.Machine = "another one"
	if _, err := merge(dir, fresh); err == nil {
		t.Error("results of two machines are put together")
	}
}

func TestLine_OfWhatWasDecoded(t *testing.T) {
	all := []Decoding{
		{Decoder: ours, Shape: "small", Encoding: "protobuf", MB: []float64{800.123456}},
		{Decoder: ours, Shape: "wide", Encoding: "protobuf", MB: []float64{1200}},
		{Decoder: ours, Shape: "small", Encoding: "json", MB: []float64{600}, Allocs: 0.25},
		{Decoder: ours, Shape: "wide", Encoding: "json", MB: []float64{610}},
		{Decoder: "dynamicpb", Shape: "wide", Encoding: "protobuf", MB: []float64{30}, Allocs: 40},
	}
	var l Line
	if err := l.decoded(all); err != nil {
		t.Fatal(err)
	}
	l.round()
	if l.Proto25 != 800.1 || l.JSON460 != 610 || l.Allocs != 0.25 || l.Dynamicpb != 40 {
		t.Errorf("%+v", l)
	}
	if err := new(Line).decoded(all[1:]); err == nil {
		t.Error("nothing is missed")
	}
}

func TestLibraries_MakeTheSameColumns(t *testing.T) {
	table, err := schema.ParseCreateTable("CREATE TABLE t (i BIGINT, n INT, s STRING, b BINARY, d DOUBLE, f FLOAT, ok BOOLEAN)")
	if err != nil {
		t.Fatal(err)
	}
	d, err := table.Columns.Descriptor("R")
	if err != nil {
		t.Fatal(err)
	}
	text, err := proto.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	md, err := resolve(text)
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(md)
	for name, v := range map[protoreflect.Name]any{
		"i": int64(-5), "n": int32(7), "s": "äöü", "b": []byte{0, 255}, "d": 1.25, "f": float32(0.5), "ok": true,
	} {
		m.Set(md.Fields().ByName(name), protoreflect.ValueOf(v))
	}
	record, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	records := map[string][]byte{"protobuf": record, "json": []byte(`{"i":-5,"n":7,"s":"äöü","b":"AP8=","d":1.25,"f":0.5,"ok":true}`)}
	for _, lib := range allLibraries(md) {
		c := newColumns(md)
		decode := lib.decode(c)
		for range 2 {
			if err := decode(records[lib.encoding]); err != nil {
				t.Fatalf("%s: %v", lib.name, err)
			}
		}
		rows, err := c.rows()
		v := c.all
		if err != nil || rows != 2 || v[0].ints[1] != -5 || v[1].ints[0] != 7 || string(v[2].data) != "äöüäöü" || string(v[3].data[2:]) != "\x00\xff" ||
			v[4].floats[1] != 1.25 || v[5].floats[0] != 0.5 || !v[6].bools[1] {
			t.Errorf("%s: %d rows, %v: %+v", lib.name, rows, err, v)
		}
		if err := decode([]byte("{\xff")); err == nil {
			t.Errorf("%s takes what is no record", lib.name)
		}
		c.reset()
		if rows, err := c.rows(); rows != 0 || err != nil {
			t.Errorf("%s: %d rows after a reset, %v", lib.name, rows, err)
		}
	}
}

func TestCorpus_Truncated(t *testing.T) {
	name := filepath.Join(t.TempDir(), "records")
	for text, want := range map[string]int{"": 0, "\x01\x00\x00\x00a\x00\x00\x00\x00": 2, "\x02\x00\x00\x00a": -1, "\x02\x00": -1} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		all, err := corpus{File: name}.records()
		if (err != nil) != (want < 0) || err == nil && len(all) != want {
			t.Errorf("%q: %d records, %v", text, len(all), err)
		}
	}
}

func TestReadFlights(t *testing.T) {
	dir := t.TempDir()
	files := filepath.Join(dir, "data/tables/main/default/flights_1")
	if err := os.MkdirAll(files, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{filepath.Join(dir, "run-1.json"): `{"records": 24, "committed_seconds": 2}`, filepath.Join(files, "a.parquet"): "1234"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all, err := readFlights(dir, 1, 5)
	if err != nil || len(all) != 1 || all[0] != (Flight{Rows: 12, Bytes: 4, Source: 5}) {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := readFlights(dir, 2, 5); err == nil {
		t.Error("a run is missing, and nobody says so")
	}
}

// All of it, with the real programs: a small part of every kind of measurement.
func TestRun_SomeGroups(t *testing.T) {
	out := t.TempDir()
	args := []string{"-group", "^(decode|latency|growth|otherwise|flights)$", "-rounds", "1", "-for", "20ms", "-scale", "0.002", "-dir", t.TempDir(), "-out", out}
	if err := run(t.Context(), args, nil); err != nil {
		t.Fatal(err)
	}
	r, err := readReport(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Decode) != 16+4+4+4 || len(r.of("latency")) != 2 || len(r.Growth) != 1 || len(r.Growth[0].Commits) != 20 || len(r.ByHand) != 2 || len(r.Queued) != 8 || len(r.Flights) != 0 {
		text, _ := json.Marshal(r)
		t.Errorf("%s", text)
	}
	for _, c := range r.of("latency") {
		if run := c.Runs[0]; run.PerSecond <= 0 || run.Ack.P50 <= 0 || len(run.Table.Curve) == 0 || run.Sync.P50 <= 0 {
			t.Errorf("%+v", run)
		}
	}
	for _, q := range r.Queued {
		if run := q.Runs[0]; run.AckedPerSecond <= 0 || run.FilesPerSecond <= 0 || run.AckP99 <= 0 || run.StoreBytes < 20e6 || run.FileBytes <= 0 {
			t.Errorf("%s: %+v", q.title(), run)
		}
	}
	if err := run(t.Context(), []string{"-from", out}, nil); err != nil {
		t.Errorf("page and plots again: %v", err)
	}
}

func TestRun_WrongFlags(t *testing.T) {
	for _, args := range [][]string{
		{"more"}, {"-group", "nothing"}, {"-group", "("}, {"-rounds", "0"}, {"-scale", "2"}, {"-for", "1ms"}, {"-from", "not/there"}, {"-bin", "not/there", "-dir", t.TempDir()}, {queueCommand}, {queueCommand, "-dir", t.TempDir(), "more"},
	} {
		if err := run(t.Context(), args, nil); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
