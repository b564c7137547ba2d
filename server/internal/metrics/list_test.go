package metrics

import (
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/zerobus-go/zerobus/server/internal/gateway"
	"github.com/zerobus-go/zerobus/server/internal/histogram"
	"github.com/zerobus-go/zerobus/server/internal/rest"
	"github.com/zerobus-go/zerobus/server/internal/table"
	"github.com/zerobus-go/zerobus/server/internal/wal"
)

var update = flag.Bool("update", false, "rewrite the list of metrics in docs/operations.md")

const document = "../../../docs/operations.md"

func sources(perTable int, tables ...table.TableStats) Sources {
	var h histogram.Histogram
	h.Observe(3 * time.Millisecond)
	h.Observe(time.Hour)
	return Sources{
		Log:      func() wal.Stats { return wal.Stats{Entries: 7, Full: true, SyncTime: h.Snapshot()} },
		Tables:   func() table.Stats { return table.Stats{Oldest: 1500 * time.Millisecond} },
		Gateway:  func() gateway.Stats { return gateway.Stats{Opened: 3, Ended: [gateway.Codes]int64{0: 2, 16: 1}} },
		Tokens:   func() (n [len(rest.TokenCodes)]int64) { n[0] = 5; return n },
		Ready:    func() bool { return false },
		Each:     func() []table.TableStats { return slices.Clone(tables) },
		PerTable: perTable,
	}
}

func scrape(t *testing.T, s Sources) string {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(s).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Fatalf("%d %v\n%s", w.Code, w.Header(), w.Body)
	}
	return w.Body.String()
}

func TestMetrics_TheDocumentHasTheListOfTheCode(t *testing.T) {
	var b strings.Builder
	b.WriteString("| metric | type | |\n|---|---|---|\n")
	for _, m := range List() {
		name := m.Name
		if len(m.Labels) > 0 {
			name += "{" + strings.Join(m.Labels, ", ") + "}"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, m.Type, m.Help)
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- metrics -->\n", "<!-- end -->\n"
	before, rest, ok := strings.Cut(string(text), begin)
	is, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no table between %q and %q", document, begin, end)
	}
	if is == b.String() {
		return
	}
	if !*update {
		t.Fatalf("%s has another list of metrics than the code; go test ./server/internal/metrics -update rewrites it", document)
	}
	if err := os.WriteFile(document, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What the document says about metrics names only metrics that are there.
func TestMetrics_TheDocumentNamesWhatExists(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, m := range List() {
		known[m.Name] = true
		if m.Type == "histogram" {
			known[m.Name+"_bucket"], known[m.Name+"_count"], known[m.Name+"_sum"] = true, true, true
		}
	}
	for _, name := range regexp.MustCompile(`\bzerobus_[a-z_]*[a-z]\b`).FindAllString(string(text), -1) {
		if !known[name] {
			t.Errorf("%s names %s, which is no metric", document, name)
		}
	}
}

func TestMetrics_FollowPrometheusConventions(t *testing.T) {
	families, err := registry(sources(1, table.TableStats{Name: "a.b.c"})).Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, f := range families {
		found[f.GetName()] = true
	}
	for _, m := range List() {
		if !found[m.Name] {
			t.Errorf("%s is not shown", m.Name)
		}
		if !strings.HasSuffix(m.Help, ".") {
			t.Errorf("%s: the help %q is no sentence", m.Name, m.Help)
		}
	}
	for _, name := range []string{"go_goroutines", "process_open_fds", "process_resident_memory_bytes"} {
		if !found[name] && !(strings.HasPrefix(name, "process") && !hasProc()) {
			t.Errorf("%s is not shown", name)
		}
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "zerobus_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func hasProc() bool {
	_, err := os.Stat("/proc/self/stat")
	return err == nil
}

func TestMetrics_Values(t *testing.T) {
	text := scrape(t, sources(0, table.TableStats{Name: "main.secret.t", Rows: 9}))
	for _, line := range []string{
		"zerobus_ready 0",
		"zerobus_streams_open 0", `zerobus_streams_ended_total{code="OK"} 2`, `zerobus_streams_ended_total{code="Unauthenticated"} 1`,
		`zerobus_requests_refused_total{reason="wal_full"} 0`,
		"zerobus_wal_entries_total 7", "zerobus_wal_full 1", "zerobus_pending_age_seconds 1.5",
		`zerobus_token_requests_total{code="200"} 5`,
		`zerobus_wal_sync_duration_seconds_bucket{le="0.0025"} 0`, `zerobus_wal_sync_duration_seconds_bucket{le="0.005"} 1`,
		`zerobus_wal_sync_duration_seconds_bucket{le="60"} 1`, `zerobus_wal_sync_duration_seconds_bucket{le="+Inf"} 2`,
		"zerobus_wal_sync_duration_seconds_sum 3600.003", "zerobus_wal_sync_duration_seconds_count 2",
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
	if strings.Contains(text, "main.secret.t") {
		t.Error("the name of a table is shown without having been asked for")
	}
	for _, name := range refusals {
		if name == "" {
			t.Error("a refusal has no name")
		}
	}
}

func TestMetrics_PerTableOnesAreBounded(t *testing.T) {
	text := scrape(t, sources(2, table.TableStats{Name: "c"}, table.TableStats{Name: "a", Rows: 9, Oldest: time.Second, Failing: true, Interval: 2 * time.Second}, table.TableStats{Name: "b"}))
	for _, line := range []string{
		`zerobus_table_pending_rows{table="a"} 9`, `zerobus_table_pending_age_seconds{table="a"} 1`, `zerobus_table_commit_interval_seconds{table="a"} 2`, `zerobus_table_failing{table="a"} 1`, `zerobus_table_failing{table="b"} 0`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
	if strings.Contains(text, `table="c"`) {
		t.Error("a third table is shown")
	}
}
