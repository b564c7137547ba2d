package main

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// steady is a report in which all is well: commits of 4 ms, and each hundredth of 20 ms.
func steady() manyReport {
	r := manyReport{
		Command: "go run x", Date: "2026-01-02", Machine: "a machine", Commits: 5000, Rows: 100, PerDay: 200, Retention: 2, Load: []string{"0.5", "0.7"},
	}
	for range 3 {
		m := manyRun{Checkpoint: 100, OpenHint: []int64{int64(20 * time.Millisecond)}, OpenBare: []int64{int64(30 * time.Millisecond)}}
		for i := range 500 {
			took := 4 * time.Millisecond
			if i%100 == 0 {
				took = 20 * time.Millisecond
			}
			m.Young = append(m.Young, int64(took))
		}
		for i := range 5000 {
			took := 4 * time.Millisecond
			if i%100 == 0 {
				took = 20 * time.Millisecond
			}
			m.Commits = append(m.Commits, int64(took))
			if (i+1)%25 == 0 {
				m.Log = append(m.Log, manySample{Commit: i + 1, Objects: min(i+1, 600+i%100), Bytes: int64(min(i+1, 600)) << 10, CPU: int64(i+1) * int64(time.Millisecond)})
			}
		}
		r.Runs = append(r.Runs, m)
	}
	return r
}

func TestCommits_EveryCriterionCanFail(t *testing.T) {
	for _, v := range steady().judge() {
		if !v.OK {
			t.Errorf("of a good run: %v", v)
		}
	}
	// faster bounds what some of the first commits, or of those of the new table, have taken.
	faster := func(of func(manyRun) []int64, took time.Duration) func(*manyReport) {
		return func(r *manyReport) {
			for _, m := range r.Runs {
				some := of(m)
				for i := range some {
					some[i] = min(some[i], int64(took))
				}
			}
		}
	}
	first := func(m manyRun) []int64 { return m.Commits[:500] }
	young := func(m manyRun) []int64 { return m.Young }
	tests := []struct {
		what  []string
		spoil func(*manyReport)
	}{
		{[]string{"p50 of the last 500 commits is at most 1.5 × that of the first", "p99 of the last 500 commits is at most 1.5 × that of the first"}, faster(first, 2*time.Millisecond)},
		{[]string{"p99 of the last 500 commits is at most 1.5 × that of the first"}, faster(first, 10*time.Millisecond)},
		{[]string{"p50 of the last 500 commits is at most 1.5 × that of a new table's, in turns", "p99 of the last 500 commits is at most 1.5 × that of a new table's, in turns"}, faster(young, 2*time.Millisecond)},
		{[]string{"p99 of the last 500 commits is at most 1.5 × that of a new table's, in turns"}, faster(young, 10*time.Millisecond)},
		{[]string{"the log stays below 911 objects"}, func(r *manyReport) { r.Runs[1].Log[30].Objects = 912 }},
		{[]string{"with the hint of the last checkpoint the table is opened within 1 s"}, func(r *manyReport) { r.Runs[0].OpenHint[0] = int64(time.Second) }},
		{[]string{"with no hint the table is opened within 1 s"}, func(r *manyReport) { r.Runs[2].OpenBare = append(r.Runs[2].OpenBare, int64(time.Minute)) }},
	}
	if n := len(steady().judge()); n != len(tests) {
		t.Errorf("%d criteria, %d tests", n, len(tests))
	}
	for _, tt := range tests {
		r := steady()
		tt.spoil(&r)
		var failed []string
		for _, v := range r.judge() {
			if !v.OK {
				failed = append(failed, v.What)
			}
		}
		if !slices.Equal(failed, tt.what) {
			t.Errorf("failed is %q, want %q", failed, tt.what)
		}
	}
	if err := conclude(steady().judge()); err != nil {
		t.Error(err)
	}
}

func TestCommits_Page(t *testing.T) {
	r := steady()
	r.Verdicts = r.judge()
	page := r.page(true)
	for _, want := range []string{
		"```\ngo run x\n```\n\n2026-01-02, a machine, 3 rounds; load average 0.5, 0.7.", "5,000 commits on one table, of 100 rows each", "a day of 200 commits",
		"versions live for 2 days", "| yes | 1 ×: 4 ms, against 4 ms |", "| the log stays below 911 objects | yes | 699 at the highest |", "(commits.svg)",
		"\n| to 500 | 4 ms | 20 ms | 1 ms | 500 | 500 KiB |\n", "\n| to 5,000 | 4 ms | 20 ms | 1 ms | 699 | 600 KiB |\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	svg, err := r.figure().Render()
	if err != nil {
		t.Fatal(err)
	}
	if texts := checkSVG(t, svg); !slices.Contains(texts, "bound") || !slices.Contains(texts, "p99") {
		t.Errorf("in the plot is %q", texts)
	}
	r.InMemory = true
	if page := r.page(false); strings.Contains(page, "svg") || !strings.Contains(page, "so these figures say nothing of a disk") {
		t.Errorf("a page without a plot, of memory:\n%s", page)
	}
}

func TestCommits_OfTheRealPieces(t *testing.T) {
	needProc(t)
	// A machine that is busy with other tests can make ratios fail: what counts is that there are some.
	page, err := measure(t, "", "commits", "-commits", "200", "-rows", "2", "-rounds", "1", "-per-day", "20", "-retention", "1")
	if err != nil {
		t.Log(err)
	}
	for _, want := range []string{"| the log stays below 345 objects | yes |", "\n| to 20 | ", "\n| to 200 | "} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}

func TestCommits_RefusesWhatItCannotDo(t *testing.T) {
	needProc(t)
	for _, args := range [][]string{{"-rounds", "0"}, {"-commits", "90"}, {"-commits", "505"}, {"more"}, {"-rows", "1"}} {
		dir := t.TempDir()
		args = append([]string{"commits", "-dir", dir, "-program", "none"}, args...) // which is there for none of them
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%q left %v behind, %v", args, left, err)
		}
	}
}
