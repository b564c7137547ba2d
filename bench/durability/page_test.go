package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// good is a soak in which all is well.
func good() soakResult {
	const mib = 1 << 20
	at := func(rss int64) process { return process{RSS: rss * mib, Peak: rss * mib, Threads: 9, Files: 20} }
	r := soakResult{
		Before: sample{process: process{RSS: 60 * mib, Files: 15}, LogBytes: 128 * mib}, After: sample{process: process{RSS: 210 * mib, Peak: 250 * mib, Files: 15}, LogBytes: 192 * mib},
		Reference: stacks{"main": 1, "wal": 2}, Left: stacks{"main": 1, "wal": 2},
		Acked: 1001, Rows: 1001, Reopened: 1001, Last: loadReport{Acked: 1000, Connections: 8, Done: true},
	}
	for i := range 40 {
		r.During = append(r.During, sample{
			At: time.Duration(i+1) * 5 * time.Second, process: at(200 + int64(i%3)), LogBytes: 192 * mib, Load: loadReport{Acked: int64(i+1) * 25, P99: 4 * time.Millisecond}, Rate: 5,
			Cores: 0.5, DataFiles: i, Commits: i + 1,
		})
	}
	return r
}

func TestSoak_EveryCriterionCanFail(t *testing.T) {
	for _, v := range good().judge() {
		if !v.OK {
			t.Errorf("of a good soak: %v", v)
		}
	}
	tests := []struct {
		what  string
		spoil func(*soakResult)
	}{
		{"memory stays below 2 GiB", func(r *soakResult) { r.After.Peak = 3 << 30 }},
		{"memory does not grow", func(r *soakResult) {
			for i := range r.During {
				r.During[i].RSS += int64(i) * 5 << 20
			}
		}},
		{"the log stays below 8 GiB", func(r *soakResult) { r.During[7].LogBytes = 9 << 30 }},
		{"the log is mostly below 1 GiB", func(r *soakResult) {
			for i := range r.During {
				r.During[i].LogBytes = 2 << 30
			}
		}},
		{"the log is small again afterwards", func(r *soakResult) { r.After.LogBytes = 320 << 20 }},
		{"no file is left open", func(r *soakResult) { r.After.Files++ }},
		{"no goroutine is left", func(r *soakResult) { r.Left["stream"] = 8 }},
		{"all acknowledged records are in the table", func(r *soakResult) { r.Rows, r.Reopened = 1000, 1000 }},
		{"no record is there twice", func(r *soakResult) { r.Rows, r.Reopened = 1002, 1002 }},
		{"a restart after a crash changes nothing", func(r *soakResult) { r.Reopened++ }},
	}
	if n := len(good().judge()); n != len(tests) {
		t.Errorf("%d criteria, %d tests", n, len(tests))
	}
	for _, tt := range tests {
		r := good()
		tt.spoil(&r)
		var failed []string
		for _, v := range r.judge() {
			if !v.OK {
				failed = append(failed, v.What)
			}
		}
		if !slices.Equal(failed, []string{tt.what}) {
			t.Errorf("%s: failed is %q", tt.what, failed)
		}
	}

	// Records that were sent again may be there twice.
	r := good()
	r.Rows, r.Reopened, r.Last.Resent = 1010, 1010, 9
	for _, v := range r.judge() {
		if !v.OK {
			t.Errorf("with 9 records sent again: %v", v)
		}
	}
	for _, v := range (soakResult{}).judge() {
		if v.What == "all acknowledged records are in the table" && v.OK {
			t.Error("a soak without records is a good one")
		}
	}
}

func TestSoak_Page(t *testing.T) {
	r := soakReport{
		Command: "go run x", Date: "2026-01-02", Machine: "a machine", For: 20 * time.Minute, Idle: 10 * time.Second, Streams: 8, Size: 200, Rate: 500_000,
		soakResult: good(),
	}
	r.Left["stream"] = 3
	r.Verdicts = r.judge()
	page := r.page(true)
	for _, want := range []string{
		"```\ngo run x\n```\n\n2026-01-02, a machine.", "8 streams write records of 200 bytes", "20m, 500,000 a second,", "idles for 10s",
		"| memory does not grow | yes | median 201 MiB", "| no goroutine is left | **no** | 6, and 3 of a server after one record: +3 of stream |",
		"![Memory, log and rate over time](soak.svg)", "median of 4 samples", "| idle, before |  |  |  | 60 MiB |", "| to 3m20s | 5 | 4 ms | 0.50 | 200 MiB (200 MiB to 202 MiB) |", "| idle, after |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	svg, err := r.figure().Render()
	if err != nil {
		t.Fatal(err)
	}
	if texts := checkSVG(t, svg); !slices.Contains(texts, "thousand records/s") || !slices.Contains(texts, "open files") {
		t.Errorf("in the plot is %q", texts)
	}
	empty := soakReport{}
	if page := empty.page(false); strings.Contains(page, "svg") {
		t.Errorf("a page without a plot: %s", page)
	}
	if _, err := empty.figure().Render(); err != nil {
		t.Error(err)
	}
}

func TestGroupCommit_Page(t *testing.T) {
	run := func(records, perSync, disk float64) gcResult {
		return gcResult{
			Disk: diskLimit{disk, 2 * time.Millisecond}, Records: records, PerSync: perSync, Syncs: records / perSync,
			P50: 5 * time.Millisecond, P99: 9 * time.Millisecond, Server: 40 * time.Microsecond, Client: 33 * time.Microsecond,
		}
	}
	r := gcReport{Command: "go run x", Date: "2026-01-02", Machine: "a machine", Rounds: 2, Size: 200, Measurements: []gcMeasurement{
		{gcCase{1, 0}, []gcResult{run(4000, 1, 10_000), run(5000, 1, 10_000)}},
		{gcCase{64, 0}, []gcResult{run(40_000, 10, 10_000), run(40_000, 10, 10_000)}},
		{gcCase{1, 2 * time.Millisecond}, []gcResult{run(400, 1, 450), run(400, 1, 450)}},
		{gcCase{64, 2 * time.Millisecond}, []gcResult{run(12_000, 30, 450), run(10_000, 25, 400)}},
	}}
	page := r.page(true)
	for _, want := range []string{
		"```\ngo run x\n```\n\n2026-01-02, a machine, 2 rounds.", "Each has a connection of its own.", "(groupcommit.svg)",
		"## The disk as it is\n\nOne writer of 4 KiB and fdatasync reaches 10,000 a second; one takes 2 ms.\n",
		"64 streams have 9 × (8 × to 10 ×) (aim: 20 ×, not reached), with 40 % of the disk's limit of syncs.",
		"## Every fdatasync 2ms longer\n", "64 streams have 27.5 × (25 × to 30 ×) (aim: 20 ×, reached), with 94 % (89 % to 100 %) of the disk's",
		"| 64 | 11,000 (10,000 to 12,000) | 27.5 × (25 × to 30 ×) | 27.5 (25 to 30) | 400 | 94 % (89 % to 100 %) | 5 ms | 9 ms | 40 µs | 33 µs |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	svg, err := r.figure().Render()
	if err != nil {
		t.Fatal(err)
	}
	if texts := checkSVG(t, svg); !slices.Contains(texts, "limit of one writer") || !slices.Contains(texts, "64") {
		t.Errorf("in the plot is %q", texts)
	}

	r.Shared, r.InMemory, r.Measurements = true, true, r.Measurements[1:2]
	page = r.page(false)
	for _, want := range []string{"All share one connection.", "so these figures say nothing of a disk"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	for _, bad := range []string{"aim", "svg"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page without one stream and plot has %q:\n%s", bad, page)
		}
	}
}
