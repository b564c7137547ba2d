package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestSpans_AreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s spans
		want := map[int64]bool{}
		for range rapid.IntRange(0, 20).Draw(t, "adds") {
			from := rapid.Int64Range(0, 40).Draw(t, "from")
			to := from + rapid.Int64Range(-1, 8).Draw(t, "size")
			s.add(from, to)
			for n := from; n < to; n++ {
				want[n] = true
			}
		}
		for n := int64(-1); n < 60; n++ {
			if s.has(n) != want[n] {
				t.Fatalf("%v has %d: %v", s, n, s.has(n))
			}
		}
		if s.count() != int64(len(want)) {
			t.Fatalf("%v: count %d, want %d", s, s.count(), len(want))
		}
		for i := range s[:max(len(s)-1, 0)] {
			if s[i].to >= s[i+1].from {
				t.Fatalf("%v touches itself", s)
			}
		}
	})
}

// The judge must find each thing that can be wrong, and nothing in what is right.
func TestJudge(t *testing.T) {
	// Of 10 records 0 to 7 are acknowledged, 4 and 5 were sent again, 2 and 3 were given up.
	known := func() *ledger {
		return &ledger{next: 10, acked: 8, resent: spans{{4, 6}}, unsure: spans{{2, 4}}}
	}
	for _, tt := range []struct {
		name          string
		rows          []run
		once          bool
		lost, doubled int64
		fault         string // "" for none
	}{
		{"all once", []run{{0, 0, 10}}, true, 0, 0, ""},
		{"what nobody knows of is missing", []run{{0, 0, 2}, {0, 4, 4}}, true, 0, 0, ""},
		{"an acknowledged one is missing", []run{{0, 0, 7}}, false, 1, 0, "was acknowledged and is LOST: 1 records: 7"},
		{"some are missing", []run{{0, 1, 5}}, false, 3, 0, "LOST: 3 records: 0, 6-7"},
		{"what was sent again is there twice", []run{{0, 0, 6}, {0, 4, 6}}, false, 0, 2, ""},
		{"it is, although it must not be", []run{{0, 0, 6}, {0, 4, 6}}, true, 0, 2, "is there more than once: 2 records: 4-5"},
		{"what was not sent again is there twice", []run{{0, 0, 8}, {0, 7, 1}}, false, 0, 1, "sent once and is there more than once: 1 records: 7"},
		{"three times", []run{{0, 0, 8}, {0, 4, 1}, {0, 4, 1}}, true, 0, 1, "more than once: 1 records: 4"},
		{"out of order", []run{{0, 0, 4}, {0, 5, 3}, {0, 4, 1}}, false, 0, 0, "is behind later ones: 1 records: 4"},
		{"what was given up comes late", []run{{0, 0, 2}, {0, 4, 4}, {0, 2, 2}}, false, 0, 0, ""},
		{"a number that was not sent", []run{{0, 0, 8}, {0, 10, 1}}, false, 0, 0, "1 records from 10 on were never sent"},
		{"a negative number", []run{{0, 0, 8}, {0, -1, 1}}, false, 0, 0, "from -1 on were never sent"},
		{"a stream that there is not", []run{{0, 0, 8}, {1, 0, 1}}, false, 0, 0, "stream 1: 1 records"},
		{"a negative stream", []run{{0, 0, 8}, {-1, 0, 1}}, false, 0, 0, "stream -1: 1 records"},
		{"nothing", nil, true, 6, 0, "LOST: 6 records: 0-1, 4-7"},
	} {
		table := newTally([]int64{10})
		for _, r := range tt.rows {
			table.add(r)
		}
		v := table.judge([]*ledger{known()}, tt.once)
		if v.acked != 6 || v.lost != tt.lost || v.doubled != tt.doubled {
			t.Errorf("%s: %d acknowledged, %d lost, %d doubled; want 6, %d, %d", tt.name, v.acked, v.lost, v.doubled, tt.lost, tt.doubled)
		}
		if faults := strings.Join(v.faults, "\n"); (faults == "") != (tt.fault == "") || !strings.Contains(faults, tt.fault) {
			t.Errorf("%s: faults %q, want %q", tt.name, faults, tt.fault)
		}
	}
}

func TestJudge_LedgersHaveAWord(t *testing.T) {
	l := &ledger{next: 5, acked: 3}
	l.settled(6)
	l.resume(2)
	v := newTally([]int64{0}).judge([]*ledger{l}, true)
	if len(v.faults) < 2 {
		t.Errorf("faults %q; want what was acknowledged and never ingested, and a position before what was acknowledged", v.faults)
	}
}

func TestPlan_HasWhatWasAskedForAndIsOfTheSeed(t *testing.T) {
	plan := func(seed uint64) []event { return newPlan(newRand(seed, 0), 20, 5, 3, 8, 1000) }
	counts := map[kind]int{}
	for _, e := range plan(1) {
		counts[e.kind]++
		if e.burst > e.wait || e.victim < 0 || e.victim >= 8 {
			t.Errorf("event %+v", e)
		}
	}
	if counts[kill]+counts[killStart] != 20 || counts[killStart] == 0 || counts[terminate] != 5 || counts[full]+counts[fullKill] != 3 || counts[fullKill] == 0 {
		t.Errorf("planned: %v", counts)
	}
	same := func(a, b []event) bool { return slices.Equal(a, b) }
	if !same(plan(1), plan(1)) || same(plan(1), plan(2)) {
		t.Error("a plan is that of its seed, and of no other")
	}
}

func TestPayload_IsThatOfItsRecord(t *testing.T) {
	of := func(stream, n int64, rounds int) string { return string(appendPayload(nil, stream, n, rounds)) }
	long := of(3, 1234, 125)
	for _, tt := range []struct {
		payload string
		want    bool
	}{
		{of(3, 1234, 0), true},
		{long, true},
		{of(3, 1235, 0), false},
		{of(2, 1234, 0), false},
		{long[:len(long)-1], false},
		{long[:len(long)-1] + "y", false},
		{long[:100] + "y" + long[101:], false},
		{"", false},
	} {
		if got := checkPayload(tt.payload, 3, 1234); got != tt.want {
			t.Errorf("%.40q of %d bytes: %v", tt.payload, len(tt.payload), got)
		}
	}
	want := `{"stream":3,"n":62,"life":4,"payload":"3.62.x` + strings.Repeat("x", 61) + `"}`
	if diff := cmp.Diff(want, string(appendRecord(nil, 3, 62, 4, 1))); diff != "" {
		t.Error(diff)
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 12345678: "12,345,678", -1000: "-1,000", -999: "-999"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
