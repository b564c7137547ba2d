package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// Report is what client.json holds.
type Report struct {
	Command      string
	Date         string
	Machine      string
	Reps         int
	Measurements []Measurement
}

func readMeasurements(file string) (r Report, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(data, &r)
}

// Stat is a figure over the repetitions.
type Stat struct {
	Median, Min, Max float64
}

func statOf(results []Result, of func(Result) float64) Stat {
	var v []float64
	for _, r := range results {
		v = append(v, of(r))
	}
	if len(v) == 0 {
		return Stat{}
	}
	slices.Sort(v)
	return Stat{Median: middle(v), Min: v[0], Max: v[len(v)-1]}
}

// middle is the median of sorted values.
func middle(v []float64) float64 {
	n := len(v)
	if n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[n/2]
}

// Summary is a line of a table: one client in one case.
type Summary struct {
	Records   Stat // a second
	MB        Stat // a second, 10^6 bytes of records
	CPU       Stat // seconds of the client's process for a million records
	ServerCPU Stat // the same of the sink's
	Allocs    Stat // for a record
	P50       Stat // µs
	P99       Stat
	P999      Stat
	PeakRSS   Stat // MiB
	Message   Stat // records in one
}

// CaseSummary is what -json prints for a case.
type CaseSummary struct {
	Case    Case
	Name    string
	Clients map[string]Summary
	Ratio   *Stat `json:",omitempty"` // records a second of the SDK against the baseline's, of neighbouring runs
}

func summarize(m Measurement) CaseSummary {
	s := CaseSummary{Case: m.Case, Name: m.Case.String(), Clients: map[string]Summary{}}
	for name, results := range m.Results {
		stat := func(of func(Result) float64) Stat { return statOf(results, of) }
		s.Clients[name] = Summary{
			Records:   stat(Result.rate),
			MB:        stat(func(r Result) float64 { return r.rate() * float64(m.Case.Size) / 1e6 }),
			CPU:       stat(Result.cpu),
			ServerCPU: stat(func(r Result) float64 { return r.ServerCPU / float64(r.Records) * 1e6 }),
			Allocs:    stat(Result.allocs),
			P50:       stat(func(r Result) float64 { return r.P50 }),
			P99:       stat(func(r Result) float64 { return r.P99 }),
			P999:      stat(func(r Result) float64 { return r.P999 }),
			PeakRSS:   stat(func(r Result) float64 { return float64(r.PeakRSS) / (1 << 20) }),
			Message:   stat(func(r Result) float64 { return float64(r.Records) / float64(max(1, r.Messages)) }),
		}
	}
	if ratio, ok := ratioOf(m, Result.rate); ok {
		s.Ratio = &ratio
	}
	return s
}

// ratioOf compares our client with the baseline, repetition by repetition.
func ratioOf(m Measurement, of func(Result) float64) (Stat, bool) {
	a, b := m.Results[ours], m.Results[baseLine]
	if len(a) == 0 || len(a) != len(b) {
		return Stat{}, false
	}
	var v []float64
	for i := range a {
		v = append(v, of(a[i])/of(b[i]))
	}
	slices.Sort(v)
	return Stat{Median: middle(v), Min: v[0], Max: v[len(v)-1]}, true
}

// verdict is the line of -quick.
func verdict(ms []Measurement) map[string]float64 {
	line := map[string]float64{}
	for _, m := range ms {
		if m.Case.Group != "plaintext" {
			continue
		}
		ratio, _ := ratioOf(m, Result.rate)
		line[fmt.Sprintf("ratio_%d", m.Case.Size)] = round(ratio.Median)
		ours := summarize(m).Clients[ours]
		line[fmt.Sprintf("cpu_s_per_mrec_%d", m.Case.Size)] = round(ours.CPU.Median)
		line[fmt.Sprintf("mrec_per_s_%d", m.Case.Size)] = round(ours.Records.Median / 1e6)
		if m.Case.Size == 20 {
			line["allocs_per_record"] = round(ours.Allocs.Median)
		}
	}
	return line
}

// round keeps four digits.
func round(v float64) float64 {
	var r float64
	fmt.Sscanf(fmt.Sprintf("%.4g", v), "%g", &r)
	return r
}

// describeMachine says what a reader must know to repeat the measurement.
func describeMachine() string {
	model := ""
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value) + ", "
				break
			}
		}
	}
	return fmt.Sprintf("%d CPUs (%s%s/%s), %s", runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, runtime.Version())
}
