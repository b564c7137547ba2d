package main

import (
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot"
)

// svgs returns the plots of a report.
func svgs(t *testing.T, r Report) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, f := range figures(r) {
		data, err := render(f)
		if err != nil {
			t.Fatal(err)
		}
		files[f.file] = string(data)
	}
	return files
}

// texts returns what is written in an SVG document.
func texts(t *testing.T, svg string) (all []string) {
	t.Helper()
	inText := false
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			inText = token.Name.Local == "text"
		case xml.EndElement:
			inText = false
		case xml.CharData:
			if inText {
				all = append(all, string(token))
			}
		}
	}
}

func TestPlotsHaveTitleAxesAndLegend(t *testing.T) {
	files := svgs(t, synthetic(all()))
	want := map[string][]string{
		"client-rate": {
			"Records per second by record size", "size of a record", "records/s", "20 B", "10,000 B", "1 M",
			"zerobus, plaintext", "zerobus, TLS", "baseline, plaintext", "baseline, TLS",
		},
		"client-cpu":       {"CPU time by record size", "CPU seconds per million records", "750 B", "0.1", "zerobus, plaintext", "baseline, plaintext"},
		"client-producers": {"producers", "rate / rate of one producer", "1", "4", "16", "20 B", "10,000 B", "zerobus", "baseline"},
		"client-batches":   {"records in a call", "records/s", "1,000", "zerobus, 20 B", "baseline, 220 B"},
		"client-latency":   {"latency", "quantile", "p50", "p99.9", "100 µs", "proto 220 B, one outstanding", "proto 220 B, a record every 2ms", "baseline, TLS"},
		"client-acks":      {"records/s", "limit / delay", "zerobus, acks after 20ms", "baseline, acks after 150ms"},
	}
	if got, want := slices.Sorted(maps.Keys(files)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
		t.Errorf("the plots are %q, want %q", got, want)
	}
	for name, svg := range files {
		if len(svg) > 40_000 {
			t.Errorf("%s has %d bytes", name, len(svg))
		}
		written := texts(t, svg)
		for _, text := range want[name] {
			if !slices.Contains(written, text) {
				t.Errorf("%s says nothing of %q, only %q", name, text, written)
			}
		}
		before, _, ok := strings.Cut(svg, "<text")
		if !ok || !strings.Contains(before, "fill:#FFFFFF") {
			t.Errorf("%s has no white background", name)
		}
	}
}

func TestPlotsAreMadeOfWhatThereIs(t *testing.T) {
	only := func(group, client string) Report {
		cases, err := choose(all(), "^"+group+"$", "", client)
		if err != nil {
			t.Fatal(err)
		}
		return synthetic(cases)
	}
	for _, c := range []struct {
		group, client string
		want          string
	}{
		{"plaintext", "", "client-rate client-cpu"},
		{"tls", "", "client-rate"},
		{"producers", baseLine, "client-producers"},
		{"latency", ours, "client-latency"},
		{"acks", baseLine, "client-acks"},
		{"batches", ours, "client-batches"},
		{"streams", "", ""},
		{"memory", "", ""},
	} {
		r := only(c.group, c.client)
		var names []string
		for _, f := range figures(r) {
			names = append(names, f.file)
			if f.group != c.group {
				t.Errorf("%s stands in the group %s, and only %s was measured", f.file, f.group, c.group)
			}
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s, %s: the plots are %q, want %q", c.group, c.client, got, c.want)
		}
		for name, svg := range svgs(t, r) {
			if other := map[string]string{ours: baseLine, baseLine: ours}[c.client]; other != "" && strings.Contains(svg, ">"+other) {
				t.Errorf("%s has %s, which was not measured", name, other)
			}
		}
	}
}

func TestPlotsLeaveOutWhatALogarithmCannotShow(t *testing.T) {
	r := synthetic(all())
	for _, m := range r.Measurements {
		for _, results := range m.Results {
			for i := range results {
				results[i].CPU = 0 // as where it is not measured
				if m.Case.Group == "acks" {
					results[i].Records = 0
				}
				if m.Case.Group == "batches" {
					results[i].Seconds = 0
				}
				if m.Case.Group == "latency" {
					results[i].P99 = math.NaN()
				}
			}
		}
	}
	files := svgs(t, r)
	if got := strings.Join(slices.Sorted(maps.Keys(files)), " "); got != "client-latency client-producers client-rate" {
		t.Errorf("the plots are %q", got)
	}
	for name, svg := range files {
		texts(t, svg)
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s has numbers that are none", name)
		}
	}
}

func TestPlotOfOnePoint(t *testing.T) {
	r := synthetic([]Case{all()[0]})
	r.Measurements[0].Results = map[string][]Result{ours: r.Measurements[0].Results[ours][:1]}
	for name, svg := range svgs(t, r) {
		if texts := texts(t, svg); !slices.Contains(texts, "20 B") || strings.Contains(svg, "NaN") {
			t.Errorf("%s: %q", name, texts)
		}
	}
}

func TestDecades(t *testing.T) {
	labels := func(low, high float64) string {
		var all []string
		for _, tick := range decades(math.Log10(low), math.Log10(high), short) {
			all = append(all, tick.Label)
		}
		return strings.Join(all, " | ")
	}
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{0.09, 2.5, "0.1 | 0.2 | 0.5 | 1 | 2"},
		{3, 4, ""},
		{900, 1_200_000, "1 k |  |  | 10 k |  |  | 100 k |  |  | 1 M"},
		{400_000, 11e6, "500 k | 1 M | 2 M | 5 M | 10 M"},
	} {
		if got := labels(c.low, c.high); got != c.want {
			t.Errorf("from %g to %g: %q, want %q", c.low, c.high, got, c.want)
		}
	}
}

func TestAxisShowsAllPanels(t *testing.T) {
	panels := []panel{
		{series: []series{{points: []point{{1, Stat{5, 4, 6}}}}}},
		{series: []series{{points: []point{{3, Stat{50, 40, 100}}}}}},
	}
	y := func(q point) (low, high float64) { return q.Min, q.Max }
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
	var p plot.Axis
	if (axis{}).set(&p, panels, y); p.Min != 0 || !near(p.Max, 110) {
		t.Errorf("linear: from %g to %g", p.Min, p.Max)
	}
	if (axis{tick: short}).set(&p, panels, y); !near(p.Min, math.Log10(3.2)) || !near(p.Max, math.Log10(125)) {
		t.Errorf("logarithmic: from %g to %g", p.Min, p.Max)
	}
	if (axis{names: []string{"a", "b", "c"}}).set(&p, panels, y); !near(p.Min, -0.4) || !near(p.Max, 2.4) {
		t.Errorf("of categories: from %g to %g", p.Min, p.Max)
	}
}

func TestBound(t *testing.T) {
	c := Case{Size: 220, AckDelay: 100_000_000, Records: 50_000, Bytes: 64 << 20}
	for _, test := range []struct {
		change func(*Case)
		client string
		rate   float64
		of     string
	}{
		{func(*Case) {}, ours, 500_000, "50,000 records"},
		{func(*Case) {}, baseLine, 500_000, "50,000 records"},
		{func(c *Case) { c.Records = 1_000_000 }, ours, 10 * (64 << 20 / 223), "64 MiB"},
		{func(c *Case) { c.Records = 1_000_000 }, baseLine, 10 * (64 << 20 / 220), "64 MiB"},
		{func(c *Case) { c.Records, c.Size = 10_000_000, 20 }, ours, 10 * (64 << 20 / 22), "64 MiB"},
	} {
		with := c
		test.change(&with)
		if rate, of := bound(with, test.client); math.Abs(rate-test.rate) > 1e-6 || of != test.of {
			t.Errorf("%v, %s: %g of %s, want %g of %s", with, test.client, rate, of, test.rate, test.of)
		}
	}
}
