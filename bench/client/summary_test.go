package main

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"strings"
	"testing"
)

// rated makes results with these rates.
func rated(rates ...int64) (results []Result) {
	for _, n := range rates {
		results = append(results, Result{Records: 2 * n, Seconds: 2, CPU: 1, Allocs: uint64(n)})
	}
	return results
}

func TestMiddle(t *testing.T) {
	for _, c := range []struct {
		v    []float64
		want float64
	}{
		{[]float64{3}, 3},
		{[]float64{1, 2}, 1.5},
		{[]float64{1, 2, 9}, 2},
		{[]float64{1, 2, 4, 9}, 3},
	} {
		if got := middle(c.v); got != c.want {
			t.Errorf("middle of %v: %g, want %g", c.v, got, c.want)
		}
	}
}

func TestStatOf(t *testing.T) {
	for _, c := range []struct {
		results []Result
		want    Stat
	}{
		{nil, Stat{}},
		{rated(7), Stat{7, 7, 7}},
		{rated(9, 1, 5), Stat{5, 1, 9}},
		{rated(4, 1, 2, 10), Stat{3, 1, 10}},
	} {
		if got := statOf(c.results, Result.rate); got != c.want {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
}

// The median of the ratios is not the ratio of the medians: results with the same index are compared.
func TestRatioOf(t *testing.T) {
	for _, c := range []struct {
		name           string
		ours, baseline []Result
		want           Stat
		ok             bool
	}{
		{"neighbours", rated(10, 40, 90), rated(10, 10, 30), Stat{3, 1, 4}, true},
		{"one", rated(6), rated(3), Stat{2, 2, 2}, true},
		{"even", rated(1, 4), rated(1, 1), Stat{2.5, 1, 4}, true},
		{"none", nil, nil, Stat{}, false},
		{"ours only", rated(1), nil, Stat{}, false},
		{"not as many", rated(1, 2), rated(1), Stat{}, false},
	} {
		got, ok := ratioOf(Measurement{Results: map[string][]Result{ours: c.ours, baseLine: c.baseline}}, Result.rate)
		if got != c.want || ok != c.ok {
			t.Errorf("%s: %+v, %t, want %+v, %t", c.name, got, ok, c.want, c.ok)
		}
		if got, ok := versus(c.ours, c.baseline, Result.rate); got != c.want || ok != c.ok {
			t.Errorf("%s, versus: %+v, %t", c.name, got, ok)
		}
	}
}

func TestSummarize(t *testing.T) {
	m := Measurement{
		Case: Case{Form: formProto, Size: 100, Records: normal.Records, Bytes: normal.Bytes},
		Results: map[string][]Result{
			ours: {{
				Records: 4_000_000, Seconds: 2, CPU: 1, ServerCPU: 0.5, Allocs: 1_000_000, P50: 1, P99: 2, P999: 3,
				PeakRSS: 5 << 20, Messages: 1000,
			}},
			baseLine: {{Records: 1_000_000, Seconds: 1}},
		},
	}
	got := summarize(m)
	same := func(v float64) Stat { return Stat{v, v, v} }
	want := Summary{
		Records: same(2e6), MB: same(200), CPU: same(0.25), ServerCPU: same(0.125), Allocs: same(0.25),
		P50: same(1), P99: same(2), P999: same(3), PeakRSS: same(5), Message: same(4000),
	}
	if got.Clients[ours] != want {
		t.Errorf("%+v, want %+v", got.Clients[ours], want)
	}
	if got.Name != "proto 100 B" || got.Ratio == nil || *got.Ratio != same(2) {
		t.Errorf("name %q, ratio %+v", got.Name, got.Ratio)
	}
	if message := got.Clients[baseLine].Message; message != same(1_000_000) {
		t.Errorf("no message was counted: %+v", message) // and nothing is divided by zero
	}
	delete(m.Results, baseLine)
	if got := summarize(m); got.Ratio != nil {
		t.Errorf("a ratio without a baseline: %+v", got.Ratio)
	}
}

func TestVerdict(t *testing.T) {
	measured := func(group string, size int) Measurement {
		return Measurement{
			Case:    Case{Group: group, Size: size},
			Results: map[string][]Result{ours: rated(3_000_000, 8_000_000, 4_000_000), baseLine: rated(1_000_000, 1_000_000, 3_000_000)},
		}
	}
	got := verdict([]Measurement{measured("plaintext", 20), measured("tls", 20), measured("plaintext", 750)})
	want := map[string]float64{
		"ratio_20": 3, "cpu_s_per_mrec_20": 0.125, "mrec_per_s_20": 4, "allocs_per_record": 0.5,
		"ratio_750": 3, "cpu_s_per_mrec_750": 0.125, "mrec_per_s_750": 4,
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestRound(t *testing.T) {
	for v, want := range map[float64]float64{
		0: 0, 1: 1, 1.23456: 1.235, 123_456: 123_500, 0.000123449: 0.0001234, -9.99999: -10, 1e21: 1e21,
	} {
		if got := round(v); got != want {
			t.Errorf("round(%g) is %g, want %g", v, got, want)
		}
	}
	if got := round(math.Inf(1)); !math.IsInf(got, 1) {
		t.Errorf("round of infinity is %g", got)
	}
}

func TestMeasurementsThatAreNotThere(t *testing.T) {
	if _, err := readMeasurements(filepath.Join(t.TempDir(), "client.json")); err == nil {
		t.Error("no file, and no error")
	}
}

func TestMergeReplacesGroups(t *testing.T) {
	dir := t.TempDir()
	if r, err := merge(dir, Report{Reps: 1}); err != nil || r.Reps != 1 {
		t.Fatalf("without results there: %+v, %v", r, err)
	}
	report := func(command string, rate int64, groups ...string) Report {
		r := Report{Command: command, Machine: "m", Reps: 1}
		for _, g := range groups {
			r.Measurements = append(r.Measurements, Measurement{
				Case: Case{Group: g, Size: 20, Producers: 1, Streams: 1}, Results: map[string][]Result{ours: {{Records: rate, Seconds: 1}}},
			})
		}
		return r
	}
	if err := writePage(dir, report("first", 1, "plaintext", "latency", "memory")); err != nil {
		t.Fatal(err)
	}
	r, err := merge(dir, report("second", 2, "acks", "latency"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range r.Measurements {
		got = append(got, fmt.Sprint(m.Case.Group, m.Results[ours][0].Records))
	}
	if want := "plaintext1 latency2 acks2 memory1"; strings.Join(got, " ") != want || r.Command != "first\nsecond" {
		t.Errorf("%q by %q; want %q", got, r.Command, want)
	}
	if _, err := merge(dir, Report{Machine: "another", Reps: 1}); err == nil {
		t.Error("results of two machines were merged")
	}
}
