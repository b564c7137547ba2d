package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLatencies_QuantilesAreAtMostABucketAway(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var l, a, b latencies
	var all []time.Duration
	for i := range 20_000 {
		d := time.Duration(r.ExpFloat64() * float64(50*time.Millisecond))
		all = append(all, d)
		l.add(d, 1)
		if i%3 == 0 {
			a.add(d, 1)
		} else {
			b.add(d, 1)
		}
	}
	a.join(&b)
	slices.Sort(all)
	if a.n != l.n || a.max != l.max {
		t.Errorf("joined: %d up to %v, want %d up to %v", a.n, a.max, l.n, l.max)
	}
	for _, part := range curveParts {
		exact := milliseconds(all[int(part*float64(len(all)-1))])
		got := l.quantile(part)
		if got != a.quantile(part) {
			t.Errorf("quantile %v: %v, and %v of the joined ones", part, got, a.quantile(part))
		}
		if got < exact-0.001 || got > exact*(1+1.0/64)+0.002 {
			t.Errorf("quantile %v is %v ms, want %v ms or a little more", part, got, exact)
		}
	}
}

func TestLatencies_BucketsAreInOrderAndWithoutGaps(t *testing.T) {
	for us := range uint64(100_000) {
		b := bucketOf(us)
		if us >= boundOf(b) || b > 0 && us < boundOf(b-1) {
			t.Fatalf("%d µs are in bucket %d, from %d to below %d", us, b, boundOf(b-1), boundOf(b))
		}
	}
	var l latencies
	if l.distribution() != nil {
		t.Error("no times have a distribution")
	}
	l.add(-time.Second, 1)
	l.add(1<<62, 1)
	if l.n != 2 || l.quantile(0) != 0.001 {
		t.Errorf("%d times, the least %v ms", l.n, l.quantile(0))
	}
}

func TestStamps(t *testing.T) {
	for _, shift := range []uint{0, coarseShift} {
		s := stamps{shift: shift}
		const n = 3*stampPart<<coarseShift + 7
		step := int64(1) << shift
		for i := range int64(n) {
			s.put(i, time.Duration(i+1))
		}
		for _, i := range []int64{0, 1, 63, 64, stampPart - 1, stampPart, n - 1} {
			at, ok := s.of(i)
			if want := time.Duration(i/step*step + 1); at != want || !ok {
				t.Errorf("shift %d: record %d is of %d, want %d", shift, i, at, want)
			}
		}
		if _, ok := s.of(n + stampPart<<coarseShift); ok {
			t.Errorf("shift %d: a record that was not sent has a time", shift)
		}
		records, last := int64(0), time.Duration(0)
		s.each(10, 200, func(at time.Duration, k int64) {
			if at <= last {
				t.Errorf("shift %d: %d after %d", shift, at, last)
			}
			records, last = records+k, at
		})
		if records != 191 {
			t.Errorf("shift %d: %d records of 10 to 200", shift, records)
		}
	}
}

func TestParseVersion(t *testing.T) {
	v, rows, err := parseVersion([]byte(`{"commitInfo":{"operation":"WRITE"}}
{"add":{"path":"a.parquet","size":10,"dataChange":true,"stats":"{\"numRecords\":3}"}}
{"add":{"path":"b.parquet","size":5,"dataChange":true,"stats":"{\"numRecords\":4}"}}
{"add":{"path":"c.parquet","size":99,"dataChange":false,"stats":"{\"numRecords\":7}"}}
`))
	if err != nil || rows != 7 || v.bytes != 15 || !slices.Equal(v.files, []string{"a.parquet", "b.parquet"}) {
		t.Errorf("%+v with %d rows, %v", v, rows, err)
	}
	for _, text := range []string{`{"add":{"path":"a","dataChange":true}}`, `{"add":`, `{"add":{"path":"a","dataChange":true,"stats":"{}"}}`} {
		if _, _, err := parseVersion([]byte(text)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

func TestParseUsage(t *testing.T) {
	u, err := parseUsage(strings.NewReader(`# HELP process_cpu_seconds_total Time.
process_cpu_seconds_total 1.5
process_resident_memory_bytes 1e+08
zerobus_wal_written_bytes_total 7
zerobus_wal_syncs_total 3
zerobus_compaction_written_bytes_total 20
zerobus_streams_ended_total{code="OK"} 9
`))
	if want := (usage{cpu: 1.5, resident: 1e8, log: 7, rewrites: 20, syncs: 3}); err != nil || u != want {
		t.Errorf("%+v, %v", u, err)
	}
	for _, text := range []string{"", "other 1\n", "zerobus_wal_syncs_total many\n"} {
		if _, err := parseUsage(strings.NewReader(text)); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestPace_KeepsToTheRateAndTellsWhatItIsBehind(t *testing.T) {
	began := time.Now().Add(-time.Second)
	p := newPace(100, 0.5, began)
	for n := range int64(100) { // all of them are due, the first since 995 ms
		if err := p.wait(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	if p.behind < 990*time.Millisecond {
		t.Errorf("behind by %v", p.behind)
	}
	if err := newPace(0, 0, began).wait(t.Context(), 1<<40); err != nil {
		t.Errorf("without a rate: %v", err)
	}
}

func TestBench_WrongCommandLines(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--shape huge", `shape "huge": expected small, wide, 1k, 1k-100`},
		{"--encoding avro", `encoding "avro"`},
		{"--streams 0", "--streams is 1 to 10,000"},
		{"--records 5 --for 1s", "exclude each other"},
		{"--for 1ms", "--for is at least 10ms"},
		{"--rate -1", "at least 0"},
		{"--table t", "--table t"},
		{"--data x --dir y", "for a server of its own"},
		{"extra", "flags of serve stand behind --"},
		{"-- --data=x", "the data directory of the own server"},
	} {
		out, errw, status := tool(t, append([]string{"bench"}, strings.Fields(c.args)...)...)
		if status != 2 || !strings.Contains(errw, c.want) || out != "" {
			t.Errorf("bench %s: exit status %d, %q, want %q", c.args, status, errw, c.want)
		}
	}
}

func TestBench_OfARunningServer(t *testing.T) {
	data := t.TempDir()
	out, errw, status := tool(t, "bench", "--data", data)
	if status != 1 || !strings.Contains(errw, "zerobus") || out != "" {
		t.Errorf("without a server: exit status %d, %q", status, errw)
	}
	p := serveProcess(t, data, "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--commit-interval", "100ms")
	for _, encoding := range []string{"protobuf", "json"} { // in this process, so that the race detector sees it
		var text strings.Builder
		args := []string{
			"bench", "--data", data, "--json", "--shape", "small", "--encoding", encoding, "--records", "1000", "--streams", "3",
			"--idle", "2", "--commits", "2", "--rate", "20000",
		}
		if status := run(t.Context(), args, strings.NewReader(""), &text, os.Stderr); status != 0 {
			t.Fatalf("exit status %d", status)
		}
		checkBench(t, text.String(), 1000)
	}
	p.terminate()
	if _, err := os.Stat(filepath.Join(data, ".zerobus-bench")); !os.IsNotExist(err) {
		t.Errorf("the file for the disk's syncs is left behind: %v", err)
	}
}

func TestBench_OfAServerOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	out := mustTool(t, "bench", "--dir", dir, "--json", "--shape", "wide", "--for", "200ms", "--warm", "100ms", "--", "--commit-interval", "100ms")
	checkBench(t, out, 0)
	text := mustTool(t, "bench", "--dir", dir, "--records", "50")
	for _, want := range []string{"50 records of 1000 B (1k, protobuf), 1 stream\n", "\nlatency, ack ", "\nlatency, table ", "resident at most"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v behind, %v", left, err)
	}
	if _, errw, status := tool(t, "bench", "--dir", dir, "--", "--commit-interval", "never"); status != 1 || !strings.Contains(errw, "did not get ready") {
		t.Errorf("a server that does not start: exit status %d, %q", status, errw)
	}
}

// checkBench looks whether a result can be true. Sent is how many records there were, 0 when only the run knows.
func checkBench(t *testing.T, text string, sent int64) {
	t.Helper()
	var r benchResult
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	if sent > 0 && (r.Sent != sent || r.Records != sent || r.Ack == nil || r.Ack.Records != sent || r.Table == nil || r.Table.Records != sent) {
		t.Errorf("%d sent, %d acknowledged: %s", r.Sent, r.Records, text)
	}
	if r.Sent == 0 || r.Ack == nil || r.Table == nil || r.Sync == nil || r.Commits < 1 || r.PerSecond <= 0 || r.LogBytes <= 0 || r.DataBytes <= 0 {
		t.Fatalf("%s", text)
	}
	if r.Ack.P50 > r.Ack.P99 || r.Ack.P99 > r.Ack.Max || r.Table.P50 > r.Table.Max || r.Table.Max > 1000*r.TableSeconds {
		t.Errorf("out of order: %s", text)
	}
	if r.Table.Max < r.Ack.P50 {
		t.Errorf("in the table before it was acknowledged: %s", text)
	}
}
