package server_test

import (
	"bufio"
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/server"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func get(t *testing.T, url string) (code int, body string) {
	t.Helper()
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// scrape gives the metrics by name and labels, as they are written.
func scrape(t *testing.T, srv *server.Server) map[string]string {
	t.Helper()
	code, body := get(t, srv.MetricsURL())
	if code != http.StatusOK {
		t.Fatalf("/metrics: %d %s", code, body)
	}
	m := map[string]string{}
	for s := bufio.NewScanner(strings.NewReader(body)); s.Scan(); {
		if name, value, ok := strings.Cut(s.Text(), " "); ok && name != "#" {
			m[name] = value
		}
	}
	return m
}

// eventually is for what happens beside the request that caused it.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func (r *raw) acked(offset int64) {
	r.t.Helper()
	for {
		if resp := r.must(); resp.Kind == wire.ResponseAck && resp.AckUpTo >= offset {
			return
		}
	}
}

// producerStream opens a stream that names its producer.
func (h *harness) producerStream(table, producer string) *raw {
	h.t.Helper()
	r := h.open("authorization", "Bearer "+h.token(table), "x-databricks-zerobus-table-name", table, "x-zerobus-producer-id", producer)
	r.send(wire.AppendCreateStream(nil, wire.CreateStream{Table: table, Type: wire.JSON, HasType: true}))
	if resp := r.must(); resp.Kind != wire.ResponseCreated {
		h.t.Fatalf("the first response is %+v", resp)
	}
	return r
}

func TestMetrics_CountAKnownLoad(t *testing.T) {
	h := start(t, func(c *server.Config) { c.CommitInterval, c.MetricsTables = time.Hour, 10 })
	ctx := t.Context()

	a := h.stream(airQuality)
	a.batch(0, good, good, good)
	a.record(1, good)
	a.acked(1)
	a.record(2, `{"temp":"warm"}`)
	if _, err := a.end(); status.Code(err) != codes.InvalidArgument {
		t.Fatal(err)
	}
	b := h.producerStream(airQuality, "p")
	b.batch(0, good, good)
	b.acked(0)
	c := h.producerStream(airQuality, "p") // takes over
	if _, err := b.end(); status.Code(err) != codes.Aborted {
		t.Fatal(err)
	}
	rec := wire.AppendRecord(wire.AppendRecord(nil, []byte(good)), []byte(good))
	c.send(append(wire.AppendBatchPrefix(wire.AppendFirstRecord(nil, 1), 0, wire.JSON, len(rec)), rec...)) // of two records one is a repeat
	c.acked(0)
	if _, err := h.open("authorization", "Bearer nonsense").end(); status.Code(err) != codes.Unauthenticated {
		t.Fatal(err)
	}
	h.tokenAnswer(h.id, "wrong", "")

	expect := func(want map[string]string) {
		t.Helper()
		is := scrape(t, h.Server)
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if is[name] != want[name] {
				t.Errorf("%s is %q, want %q", name, is[name], want[name])
			}
		}
	}
	bytes := 3*len(wire.AppendRecord(nil, []byte(good))) + len(good) + 2*len(rec)
	expect(map[string]string{
		"zerobus_ready":                                                "1",
		"zerobus_streams_open":                                         "1",
		"zerobus_streams_limit":                                        "10000",
		"zerobus_streams_opened_total":                                 "3",
		`zerobus_streams_ended_total{code="InvalidArgument"}`:          "1",
		`zerobus_streams_ended_total{code="Aborted"}`:                  "1",
		`zerobus_streams_ended_total{code="OK"}`:                       "0",
		`zerobus_streams_refused_total{code="Unauthenticated"}`:        "1",
		"zerobus_requests_received_total":                              "4",
		"zerobus_records_received_total":                               "8",
		"zerobus_received_bytes_total":                                 strconv.Itoa(bytes),
		"zerobus_records_durable_total":                                "7",
		"zerobus_records_repeated_total":                               "1",
		`zerobus_requests_refused_total{reason="record"}`:              "1",
		`zerobus_requests_refused_total{reason="request"}`:             "0",
		"zerobus_ack_duration_seconds_count":                           "4",
		"zerobus_wal_entries_total":                                    "4",
		"zerobus_wal_full":                                             "0",
		"zerobus_wal_limit_bytes":                                      "8.589934592e+09",
		"zerobus_memory_limit_bytes":                                   "1.073741824e+09",
		"zerobus_memory_waiting_requests":                              "0",
		"zerobus_tables_open":                                          "1",
		"zerobus_tables_refused":                                       "0",
		"zerobus_pending_rows":                                         "7",
		`zerobus_table_pending_rows{table="main.default.air_quality"}`: "7",
		"zerobus_commits_total":                                        "0",
		"zerobus_producers_known":                                      "1",
		"zerobus_producer_takeovers_total":                             "1",
		`zerobus_token_requests_total{code="200"}`:                     "3",
		`zerobus_token_requests_total{code="401"}`:                     "1",
	})
	if m := scrape(t, h.Server); m["zerobus_wal_syncs_total"] != m["zerobus_wal_sync_duration_seconds_count"] || m["zerobus_memory_used_bytes"] == "0" || m["zerobus_pending_age_seconds"] == "0" {
		t.Errorf("syncs %s and %s, memory %s, age %s", m["zerobus_wal_syncs_total"], m["zerobus_wal_sync_duration_seconds_count"], m["zerobus_memory_used_bytes"], m["zerobus_pending_age_seconds"])
	}

	if err := h.Flush(ctx, airQuality); err != nil {
		t.Fatal(err)
	}
	expect(map[string]string{
		"zerobus_pending_rows": "0", "zerobus_pending_age_seconds": "0",
		"zerobus_commits_total": "1", "zerobus_commit_failures_total": "0", "zerobus_commit_duration_seconds_count": "1",
		"zerobus_committed_rows_total": "7", "zerobus_committed_files_total": "1",
	})
	// The memory is given back after the flush was answered.
	eventually(t, "all memory is given back", func() bool { return scrape(t, h.Server)["zerobus_memory_used_bytes"] == "0" })
	if err := c.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.end(); err != io.EOF {
		t.Fatal(err)
	}
	expect(map[string]string{"zerobus_streams_open": "0", `zerobus_streams_ended_total{code="OK"}`: "1"})
}

func TestMetrics_OffAndOnAnAddressOfTheirOwn(t *testing.T) {
	off := start(t, func(c *server.Config) { c.Metrics = server.MetricsOff })
	if code, _ := get(t, off.WorkspaceURL()+"/metrics"); code != http.StatusNotFound || off.MetricsURL() != "" {
		t.Errorf("metrics that are off: %d at %q", code, off.MetricsURL())
	}
	if code, _ := get(t, off.WorkspaceURL()+"/readyz"); code != http.StatusOK {
		t.Errorf("/readyz: %d", code)
	}

	own := start(t, func(c *server.Config) { c.MetricsListen, c.TLS = "127.0.0.1:0", server.TLSOff })
	base := strings.TrimSuffix(own.MetricsURL(), "/metrics")
	for path, want := range map[string]int{"/metrics": 200, "/healthz": 200, "/readyz": 200, "/health": 404, "/oidc/v1/token": 404} {
		if code, _ := get(t, base+path); code != want {
			t.Errorf("%s on the address of its own: %d, want %d", path, code, want)
		}
	}
	for path, want := range map[string]int{"/metrics": 404, "/healthz": 200, "/readyz": 200, "/health": 200} {
		if code, _ := get(t, own.WorkspaceURL()+path); code != want {
			t.Errorf("%s on the HTTP listener: %d, want %d", path, code, want)
		}
	}
}

func TestHealth_FromStartToEnd(t *testing.T) {
	srv, err := server.New(t.Context(), server.Config{
		DataDir: t.TempDir(), GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0", MetricsListen: "127.0.0.1:0",
	})
	if err != nil {
		t.Fatal(err)
	}
	base := strings.TrimSuffix(srv.MetricsURL(), "/metrics")
	for _, at := range []string{base, srv.WorkspaceURL()} {
		if code, body := get(t, at+"/readyz"); code != 503 || !strings.Contains(body, `"starting"`) {
			t.Errorf("before Serve: %d %s", code, body)
		}
		if code, _ := get(t, at+"/healthz"); code != 200 {
			t.Errorf("/healthz before Serve: %d", code)
		}
	}
	if code, _ := get(t, base+"/metrics"); code != 503 {
		t.Errorf("/metrics before Serve: %d", code)
	}

	h := &harness{Server: srv, t: t, served: make(chan error, 1)}
	go func() { h.served <- srv.Serve() }()
	t.Cleanup(h.stop)
	eventually(t, "ready", func() bool { code, _ := get(t, base+"/readyz"); return code == 200 })
	h.sql("CREATE TABLE " + airQuality + " (device_name STRING, temp INT, humidity BIGINT) USING DELTA;")
	h.id, h.secret = h.principal("writer", airQuality)
	r := h.stream(airQuality)

	ended := make(chan error, 1)
	go func() { ended <- srv.Shutdown(context.Background()) }()
	if resp := r.must(); resp.Kind != wire.ResponseClose {
		t.Fatalf("%+v", resp)
	}
	for _, at := range []string{base, srv.WorkspaceURL()} {
		if code, body := get(t, at+"/readyz"); code != 503 || !strings.Contains(body, `"shutting_down"`) {
			t.Errorf("while clients are asked to leave: %d %s", code, body)
		}
		if code, _ := get(t, at+"/healthz"); code != 200 {
			t.Errorf("/healthz while clients are asked to leave: %d", code)
		}
	}
	if err := r.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestHealth_NotReadyWhileTheLogIsFull(t *testing.T) {
	h := start(t, func(c *server.Config) { c.LogBytes, c.CommitInterval = 128<<20, time.Hour })
	record := `{"device_name":"` + strings.Repeat("x", 9<<20) + `"}`
	r := h.stream(airQuality)
	for offset := int64(0); ; offset++ {
		r.record(offset, record)
		resp, err := r.recv()
		if status.Code(err) == codes.ResourceExhausted {
			break
		}
		if err != nil || resp.AckUpTo != offset {
			t.Fatal(resp, err)
		}
	}
	if code, body := get(t, h.WorkspaceURL()+"/readyz"); code != 503 || !strings.Contains(body, `"wal_full"`) {
		t.Errorf("/readyz with a full log: %d %s", code, body)
	}
	if code, _ := get(t, h.WorkspaceURL()+"/healthz"); code != 200 {
		t.Errorf("/healthz with a full log: %d", code)
	}
	m := scrape(t, h.Server)
	if m["zerobus_wal_full"] != "1" || m["zerobus_ready"] != "0" || m[`zerobus_requests_refused_total{reason="wal_full"}`] != "1" {
		t.Errorf("full %s, ready %s, refused %s", m["zerobus_wal_full"], m["zerobus_ready"], m[`zerobus_requests_refused_total{reason="wal_full"}`])
	}
	if err := h.Flush(t.Context(), airQuality); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready again", func() bool { code, _ := get(t, h.WorkspaceURL()+"/readyz"); return code == 200 })
}
