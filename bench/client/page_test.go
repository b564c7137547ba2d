package main

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// synthetic is a report with three repetitions of cases, whose figures follow from the cases.
func synthetic(cases []Case) Report {
	r := Report{Command: "go run ./bench/client -out bench/results", Date: "2026-11-27", Machine: "2 CPUs (Some, linux/amd64), go1.26.8", Reps: 3}
	for _, c := range cases {
		m := Measurement{Case: c, Results: map[string][]Result{}}
		for _, client := range c.clients() {
			for rep := range r.Reps {
				m.Results[client] = append(m.Results[client], invent(c, client, float64(rep)))
			}
		}
		r.Measurements = append(r.Measurements, m)
	}
	return r
}

// invent makes a result: the SDK needs 0.1 µs and the baseline 1 µs a record, and both 0.1 ns a byte. Repetitions differ
// by 5 %.
func invent(c Case, client string, rep float64) Result {
	each, messages := 0.1e-6, 1000.0
	if client == baseLine {
		each, messages = 1e-6, 1
	}
	each += 0.1e-9 * float64(c.Size)
	if c.TLS {
		each *= 1.5
	}
	rate := 1 / each
	if client == baseLine {
		rate /= math.Sqrt(float64(c.Producers))
	}
	if c.Batch > 0 {
		messages = max(messages, float64(c.Batch))
	}
	if c.Gap > 0 {
		rate = min(rate, 1/c.Gap.Seconds())
	}
	if c.AckDelay > 0 {
		limit, _ := bound(c, client)
		rate = min(rate, limit)
	}
	rate *= 1 - 0.05*rep
	p50 := 40 + 20*rep + 1e6*each
	if !c.Wait && c.Gap == 0 {
		p50 = float64(c.Records) / rate * 1e6
	}
	return Result{
		Client: client, Records: int64(rate), Seconds: 1, CPU: rate * each, Allocs: uint64(rate / messages * 3),
		P50: p50, P99: 2 * p50, P999: 5 * p50, Samples: 1000,
		PeakRSS: int64(20<<20 + rate*c.AckDelay.Seconds()*float64(c.Size)), Messages: int64(rate / messages), ServerCPU: rate * each / 10,
		GoMaxProcs: 2,
	}
}

// written returns the files that writePage makes of a report.
func written(t *testing.T, r Report) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "results")
	if err := writePage(dir, r); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(data)
	}
	return files
}

// part returns what a page says under a title.
func part(t *testing.T, page, title string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, "\n## "+title+"\n")
	if !ok {
		t.Fatalf("the page has no part %q", title)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

func TestPageSaysWhatWasMeasured(t *testing.T) {
	r := synthetic(all())
	page := written(t, r)["client.md"]
	for _, want := range []string{
		"```\n" + r.Command + "\n```\n", r.Date + ", " + r.Machine + ", 3 repetitions.", "](client.json)", "](../client/doc.go)",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, file := range []string{"doc.go", "baseline/doc.go", "sink/doc.go"} { // linked from ../results
		if _, err := os.Stat(file); err != nil || !strings.Contains(page, "](../client/"+file+")") {
			t.Errorf("link to %s: %v", file, err)
		}
	}
}

func TestPageHasEveryGroupWithItsNumbers(t *testing.T) {
	r := synthetic(all())
	page := written(t, r)["client.md"]
	if got, want := len(sections), len(groupsOf(r.Measurements)); got != want {
		t.Errorf("%d sections for %d groups", got, want)
	}
	at := 0
	for _, s := range sections {
		text := part(t, page, s.title)
		if i := strings.Index(page, "\n## "+s.title); i < at {
			t.Errorf("%s is out of order", s.title)
		} else {
			at = i
		}
		heads := "| " + strings.ReplaceAll(s.columns, ", ", " | ") + " |\n"
		if !strings.Contains(text, heads) {
			t.Errorf("%s has no table with the heads %s", s.title, heads)
		}
		wanted := strings.Split(s.columns, ", ")
		lines := 0
		for i, row := range rows(r.Measurements, s.group) {
			var cells []string
			for _, name := range wanted {
				cells = append(cells, row[slices.Index(rows(r.Measurements, s.group)[0], name)])
			}
			if line := "| " + strings.Join(cells, " | ") + " |\n"; !strings.Contains(text, line) {
				t.Errorf("%s lacks line %d: %s", s.title, i, line)
			}
			lines++
		}
		if folded := strings.Contains(text, "<details>"); folded != (lines > 1+8) {
			t.Errorf("%s has %d rows; folded: %t", s.title, lines-1, folded)
		}
	}
}

// The expected figures are by hand, of what invent says.
func TestPageComparesWhatWasMeasured(t *testing.T) {
	page := written(t, synthetic(all()))["client.md"]
	for title, sentences := range map[string][]string{
		"Record sizes": {
			"The SDK's rate, relative to the baseline's, is 9.82 × at 20 B, 8.38 × at 220 B, 6.14 × at 750 B and 1.82 × at 10,000 B.",
			"Its CPU time for a record, relative likewise, is 0.102 × at 20 B, ",
		},
		"TLS":  {"Rates relative to those under Record sizes: SDK 0.667 × at 20 B, ", "; baseline 0.667 × at 20 B, "},
		"JSON": {"SDK 1.00 × at 20 B, "}, "Default limits": {"SDK 1.00 × at 20 B, "},
		"Values that the client encodes": {"is 8.38 × for a message and 1 producer, 33.5 × for a message and 16 producers, "},
		"Several producers": {
			"Rates with 16 producers, relative to those with 1 producer: SDK 1.00 × at 20 B, ", "; baseline 0.250 × at 20 B, ",
		},
		"Batches":       {"Rates with calls of 1,000 records, relative to those with calls of 1 record: SDK 1.00 × at 20 B and 1.00 × at 220 B; "},
		"Latency":       {"\n- proto 220 B, one outstanding: SDK 60 µs; baseline 61 µs.\n", "\n- proto 220 B, TLS, a record every 2ms: SDK 60 µs; baseline 62 µs.\n"},
		"A steady pace": {"\n- proto 220 B, a record every 300ns: SDK 95.0 %; baseline 27.9 %.\n"},
		"Late acknowledgements": {
			"| 20ms | 50,000 records | 2.50 M | 95.0 % | 37.2 % |\n", "| 20ms | 256 MiB | 60.2 M | 12.9 % | 1.52 % |\n",
			"| 150ms | 50,000 records | 333 k | 95.0 % | 95.0 % |\n",
		},
		"Several streams": {
			"Rates with 8 streams, relative to those with 1 stream: SDK 1.00 × at 20 B and 1.00 × at 750 B; baseline 0.354 × at 20 B and 0.354 × at 750 B.",
			"Client and sink together, with 8 streams, use of 2 CPUs: SDK 52.2 % at 20 B and 52.2 % at 750 B; baseline 18.5 % at 20 B and 18.5 % at 750 B.\n",
		},
		"Memory": {
			"between -208 and +20 MiB from the limit", "In 11 of 11 cases it is at most the limit and 32 MiB.",
		},
	} {
		for _, want := range sentences {
			if text := part(t, page, title); !strings.Contains(text, want) {
				t.Errorf("%s lacks %q:\n%s", title, want, text)
			}
		}
	}
	if strings.Contains(page, "the machine is what") {
		t.Error("the page says that the machine is busy, which it is not")
	}
}

func TestPageFollowsTheMeasurements(t *testing.T) {
	r := synthetic(all())
	for _, m := range r.Measurements {
		for client, results := range m.Results {
			for i := range results {
				switch m.Case.Group {
				case "streams":
					results[i].CPU = 1.8 * results[i].Seconds
				case "plaintext":
					results[i].Seconds *= []float64{1, 2, 4}[i] * map[string]float64{ours: 1, baseLine: 1 / float64(i+1)}[client]
				}
			}
		}
	}
	last := r.Measurements[len(r.Measurements)-1].Results[ours]
	last[0].PeakRSS = 164 << 20
	page := written(t, r)["client.md"]
	for _, want := range []string{
		"\nSo the machine is what holds them up.\n", "and +100 MiB from the limit, the most with proto 1500000 B", "In 10 of 11 cases",
		"is 4.91 × (3.27 to 9.82) at 20 B, ",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestPageOfSomeMeasurements(t *testing.T) {
	one := func(group string) []Case {
		return slices.DeleteFunc(all(), func(c Case) bool { return c.Group != group })
	}
	for _, s := range sections {
		t.Run(s.group, func(t *testing.T) {
			files := written(t, synthetic(one(s.group)))
			part(t, files["client.md"], s.title)
			if n := strings.Count(files["client.md"], "\n## "); n != 1 {
				t.Errorf("%d parts for one group", n)
			}
		})
		for _, client := range clients {
			cases, err := choose(one(s.group), "", "", client)
			if err != nil {
				continue // the group is not for this client
			}
			t.Run(s.group+"/"+client, func(t *testing.T) {
				text := part(t, written(t, synthetic(cases))["client.md"], s.title)
				for _, absent := range []string{"relative to the baseline's", "ratio |", "NaN", "Inf", "%!", map[string]string{ours: baseLine, baseLine: ours}[client]} {
					if strings.Contains(strings.ReplaceAll(text, s.text, ""), absent) {
						t.Errorf("only %s was measured, and the page says %q:\n%s", client, absent, text)
					}
				}
			})
		}
	}
	t.Run("no sizes in common", func(t *testing.T) {
		cases, err := choose(all(), "", "^proto 220 B(, TLS)?$", "")
		if err != nil {
			t.Fatal(err)
		}
		page := written(t, synthetic(cases))["client.md"]
		if strings.Contains(page, "Rates with") {
			t.Errorf("there is nothing to compare with:\n%s", page)
		}
	})
	t.Run("a new group", func(t *testing.T) {
		c := normal
		c.Group = "news"
		if text := part(t, written(t, synthetic([]Case{c}))["client.md"], "news"); !strings.Contains(text, "| proto 220 B | zerobus | ") {
			t.Errorf("no table:\n%s", text)
		}
	})
}

func TestPageIsTheSameForTheSameReport(t *testing.T) {
	a, b := written(t, synthetic(all())), written(t, synthetic(all()))
	if !maps.Equal(a, b) {
		t.Error("two runs made different files")
	}
}

func TestReportIsReadBack(t *testing.T) {
	r := synthetic(all())
	r.Command += ` -case '{"Case":'`
	dir := t.TempDir()
	if err := writePage(dir, r); err != nil {
		t.Fatal(err)
	}
	got, err := readMeasurements(filepath.Join(dir, "client.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, r) {
		t.Error("client.json has something else")
	}
	data, err := os.ReadFile(filepath.Join(dir, "client.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := 1
	for _, m := range r.Measurements {
		want++
		for _, results := range m.Results {
			want += len(results)
		}
	}
	if n := strings.Count(string(data), "\n"); n != want {
		t.Errorf("client.json has %d lines, want %d: one for each case and each result", n, want)
	}
}

func TestWritePageReportsFaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writePage(file, synthetic(quick())); err == nil {
		t.Error("the directory is a file, and there is no error")
	}
	r := synthetic(quick())
	r.Measurements[0].Results[ours][0].Seconds = math.NaN()
	if err := writePage(t.TempDir(), r); err == nil {
		t.Error("JSON has no NaN, and there is no error")
	}
}
