package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/bench/internal/report"
)

const dump = `SIGQUIT: quit
PC=0x47a4e1 m=0 sigcode=0

goroutine 0 gp=0x1a58340 m=0 mp=0x1a59a20 [idle]:
runtime.futex.abi0()

goroutine 1 gp=0x175445bdc1e0 m=nil [chan receive]:
main.main()
	/src/main.go:1 +0x1

goroutine 2 gp=0x175445bdcd20 m=nil [force gc (idle)]:
runtime.gopark()
created by runtime.init.7 in goroutine 1
	/go/proc.go:1 +0x1

goroutine 21 gp=0x175445d4d0e0 m=nil [select, 3 minutes, locked to thread]:
created by example.com/wal.Open in goroutine 1

goroutine 22 [IO wait]:
created by example.com/wal.Open in goroutine 1

goroutine 23 [IO wait]:
created by example.com/net.(*Server).Serve in goroutine 22

rax    0x1
`

func TestStacks(t *testing.T) {
	got := parseStacks(dump)
	want := stacks{"main": 1, "example.com/wal.Open": 2, "example.com/net.(*Server).Serve": 1}
	if !reflect.DeepEqual(got, want) || got.total() != 4 {
		t.Errorf("%v, %d in all, want %v", got, got.total(), want)
	}
	other := stacks{"main": 1, "example.com/wal.Open": 1, "gone": 2}
	if diff, want := got.diff(other), "+1 of example.com/net.(*Server).Serve, +1 of example.com/wal.Open, -2 of gone"; diff != want {
		t.Errorf("difference %q, want %q", diff, want)
	}
	if diff := got.diff(got); diff != "" {
		t.Errorf("difference to itself: %q", diff)
	}
	if got := parseStacks("nothing"); got.total() != 0 {
		t.Errorf("%v of no dump", got)
	}
}

func TestLogCounts(t *testing.T) {
	got, err := parseLogCounts("time=x level=INFO msg=\"shutting down\"\ntime=x level=INFO msg=\"write-ahead log closed\" entries=12 syncs=3 bytes=4096\n")
	if want := (logCounts{12, 3, 4096}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if _, err := parseLogCounts("killed"); err == nil {
		t.Error("no error for a log without counts")
	}
}

func TestProcess(t *testing.T) {
	got, err := parseCPU("12 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 8 0 1 1 1")
	if err != nil || got != 2*time.Second {
		t.Errorf("%v, %v, want 2 s", got, err)
	}
	for _, text := range []string{"", "12 (a) S 1", "12 (a) S 1 2 3 4 5 6 7 8 9 10 x 50 0"} {
		if _, err := parseCPU(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
	needProc(t)
	p, err := readProcess(os.Getpid())
	if err != nil || p.RSS < 1<<20 || p.Peak < p.RSS || p.Threads < 2 || p.Files < 3 {
		t.Errorf("this process is %+v, %v", p, err)
	}
	if _, err := readProcess(1 << 30); err == nil {
		t.Error("no error for a process that cannot be")
	}
	if fileSystem("/proc") != "proc" || fileSystem("/proc/self") != "proc" {
		t.Errorf("/proc is on %q, /proc/self on %q", fileSystem("/proc"), fileSystem("/proc/self"))
	}
}

func TestDelta_CountsTheRowsOfWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("_delta_log/00000000000000000000.json", `{"commitInfo":{}}`+"\n"+`{"metaData":{}}`+"\n")
	write("_delta_log/00000000000000000001.json", `{"add":{"path":"a","stats":"{\"numRecords\":3}"}}`+"\n"+`{"add":{"path":"b","stats":"{\"numRecords\":4}"}}`+"\n")
	write("_delta_log/00000000000000000002.json", `{"remove":{"path":"a"}}`+"\n"+`{"add":{"path":"c","stats":"{\"numRecords\":10}"}}`+"\n")
	write("b.parquet", "1234")
	write("orphan.parquet", "12")
	rows, err := countRows(dir)
	if err != nil || rows != 14 {
		t.Errorf("%d rows, %v, want 14", rows, err)
	}
	data, commits, bytes, err := tableFiles(dir)
	if err != nil || data != 2 || commits != 3 || bytes != 6 {
		t.Errorf("%d files of %d bytes, %d commits, %v; want 2, 6, 3", data, bytes, commits, err)
	}
	if total, err := treeSize(dir); err != nil || total <= 6 {
		t.Errorf("%d bytes in all, %v", total, err)
	}
	if total, err := treeSize(filepath.Join(dir, "none")); err != nil || total != 0 {
		t.Errorf("%d bytes, %v, of a directory that is not there", total, err)
	}
	write("_delta_log/00000000000000000003.json", `{"add":{"path":"d","stats":"{}"}}`+"\n")
	if _, err := countRows(dir); err == nil {
		t.Error("no error for a file without numRecords")
	}
}

func TestRecords_HaveTheirSizeAndAreDistinct(t *testing.T) {
	for _, size := range []int{minSize, 200, 5000} {
		seen := map[int64]bool{}
		notes := map[string]bool{}
		for first := range int64(3) {
			m := newMaker(first+9_999_999_990, 3, size)
			for range 50 {
				rec := m.next()
				if len(rec) != size {
					t.Fatalf("%d bytes, want %d: %s", len(rec), size, rec)
				}
				var v struct {
					ID   int64
					At   int64
					Temp float64
					Note string
				}
				if err := json.Unmarshal(rec, &v); err != nil {
					t.Fatalf("%v: %s", err, rec)
				}
				if seen[v.ID] {
					t.Fatalf("record %d came twice", v.ID)
				}
				seen[v.ID], notes[v.Note] = true, true
			}
		}
		if len(notes) < 100 {
			t.Errorf("%d different notes in 150 records of %d bytes", len(notes), size)
		}
	}
}

func TestText(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{count(1234567), "1,234,567"},
		{count(999), "999"},
		{count(-1234.4), "-1,234"},
		{count(int64(0)), "0"},
		{span(1.5), "1.5 s"},
		{span(0.0999), "99.9 ms"},
		{span(0.000101), "101 µs"},
		{span(0.99999), "1 s"},
		{span(0.0009999), "1 ms"},
		{size(0), "0 B"},
		{size(821), "821 B"},
		{size(1 << 20), "1 MiB"},
		{size(1023 << 20), "0.999 GiB"},
		{size(2.5 * (1 << 30)), "2.5 GiB"},
		{plural(1, "stream"), "1 stream"},
		{plural(1000, "stream"), "1,000 streams"},
		{duration(20 * time.Minute), "20m"},
		{duration(2 * time.Hour), "2h"},
		{duration(90 * time.Second), "1m30s"},
		{duration(time.Second), "1s"},
		{times(27.18), "27.2 ×"},
		{percent(0.943), "94 %"},
		{stat{Median: 2, Min: 1, Max: 3}.Text(threeDigits), "2 (1 to 3)"},
		{report.Once(2).Text(threeDigits), "2"},
		{table([][]string{{"a", "b"}, {"1", "2"}}), "| a | b |\n|---|---|\n| 1 | 2 |\n"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
	id := func(v float64) float64 { return v }
	if got, want := statOf([]float64{4, 1, 3, 2}, id), (stat{Median: 2.5, Min: 1, Max: 4}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if got := statOf(nil, id); got != (stat{}) {
		t.Errorf("%v of nothing", got)
	}
}

// checkSVG fails when an SVG document is none, and returns what is written in it.
func checkSVG(t *testing.T, svg []byte) (all []string) {
	t.Helper()
	inText := false
	for d := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch v := token.(type) {
		case xml.StartElement:
			inText = v.Name.Local == "text"
		case xml.EndElement:
			inText = false
		case xml.CharData:
			if inText {
				all = append(all, string(v))
			}
		}
	}
	if len(all) == 0 {
		t.Errorf("nothing is written in the plot: %s", svg)
	}
	return all
}
