package report

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestFigure_IsTheSameEachTime(t *testing.T) {
	f := Figure{Title: "title", Panels: []Panel{
		{Title: "linear", X: "x", Y: "y", Series: []Series{{Name: "a", Look: LookA, Points: []Point{At(1, Once(2)), At(3, Stat{Median: 4, Min: 3, Max: 5})}}}},
		{Title: "logarithmic", X: "x", Y: "y", XLog: true, YLog: true, Series: []Series{
			{Name: "b", Look: LookLimit, Points: []Point{At(1, Once(0)), At(64, Once(1e6))}}, // a logarithm does not show 0
			{Name: "empty", Look: LookB},
		}},
	}}
	first, err := f.Render()
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.Render()
	if err != nil || !bytes.Equal(first, again) {
		t.Errorf("the second time: %d bytes of %d, %v", len(again), len(first), err)
	}
	for _, want := range []string{"title", "linear", "logarithmic", ">a<", ">b<"} {
		if !strings.Contains(string(first), want) {
			t.Errorf("%q is not in the figure", want)
		}
	}
}

func TestStat_OverRounds(t *testing.T) {
	same := func(v float64) float64 { return v }
	if got := StatOf([]float64{3, 1, 2}, same); got != (Stat{Median: 2, Min: 1, Max: 3}) || got.Text(ThreeDigits) != "2 (1 to 3)" {
		t.Errorf("%+v, %s", got, got.Text(ThreeDigits))
	}
	if got := StatOf(nil, same); got != (Stat{}) || Once(2).Text(Times) != "2 ×" {
		t.Errorf("%+v of nothing", got)
	}
}

func TestTable_IsMarkdown(t *testing.T) {
	if got, want := Table([][]string{{"a", "b"}, {"1", "2"}}), "| a | b |\n|---|---|\n| 1 | 2 |\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMachine_NamesItsParts(t *testing.T) {
	if _, err := os.Stat("/proc/cpuinfo"); err != nil {
		t.Skip("this system does not tell its processor in /proc")
	}
	if got := Machine("."); !strings.Contains(got, "CPUs (") || !strings.Contains(got, "go1.") {
		t.Errorf("%q", got)
	}
}
