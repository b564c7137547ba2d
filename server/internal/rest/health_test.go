package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/rest"
)

func ask(h http.Handler, method, path string) (code int, body string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader("x=y")))
	return w.Code, w.Body.String()
}

func TestProbes(t *testing.T) {
	var h rest.Health
	p := rest.Probes(func() rest.Health { return h }, nil)
	expect := func(path string, code int, want string) {
		t.Helper()
		got, body := ask(p, "GET", path)
		if got != code || strings.TrimSpace(body) != want {
			t.Errorf("GET %s: %d %s, want %d %s", path, got, body, code, want)
		}
	}
	expect("/healthz", 200, `{"status":"ok"}`)
	expect("/readyz", 200, `{"status":"ready","tables_refused":0}`)
	h.TablesRefused = 2
	expect("/readyz", 200, `{"status":"ready","tables_refused":2}`)
	h.Reasons = []rest.Reason{{Code: "wal_full", Detail: "the log is full"}}
	expect("/readyz", 503, `{"status":"unavailable","reasons":[{"code":"wal_full","detail":"the log is full"}],"tables_refused":2}`)
	expect("/healthz", 200, `{"status":"ok"}`)
	h.Dead = "it hangs"
	expect("/healthz", 503, `{"detail":"it hangs","status":"dead"}`)

	if code, _ := ask(p, "GET", "/metrics"); code != 404 {
		t.Errorf("/metrics without metrics: %d", code)
	}
	if code, _ := ask(p, "POST", "/readyz"); code != 405 {
		t.Errorf("POST /readyz: %d", code)
	}
}

func TestFront_HoldsRequestsUntilItIsOpenButAnswersProbes(t *testing.T) {
	f := rest.NewFront(func() rest.Health { return rest.Health{} }, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(418) }))
	if code, _ := ask(f, "GET", "/healthz"); code != 200 {
		t.Errorf("/healthz before Open: %d", code)
	}
	if code, _ := ask(f, "GET", "/metrics"); code != 418 {
		t.Errorf("/metrics before Open: %d", code)
	}
	held := make(chan int)
	go func() {
		code, _ := ask(f, "POST", "/oidc/v1/token")
		held <- code
	}()
	answer := http.StatusOK
	f.Open(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer != http.StatusOK { // a handler that only writes has status 200
			w.WriteHeader(answer)
		}
		_ = json.NewEncoder(w).Encode(r.URL.Path)
	}))
	f.Open(rest.Closing) // comes too late
	if code := <-held; code != 200 {
		t.Errorf("a request from before Open: %d", code)
	}
	for _, answer = range []int{400, 401, 401, 429, 503, 500, 413} {
		ask(f, "POST", "/oidc/v1/token")
	}
	answer = 404
	ask(f, "GET", "/oidc/v1/token")
	ask(f, "POST", "/other")
	if got := f.Tokens(); got != [...]int64{1, 1, 2, 1, 1, 2} {
		t.Errorf("token requests by %v: %v", rest.TokenCodes, got)
	}
}

func TestFront_AnswersAfterAShutdownThatCameFirst(t *testing.T) {
	f := rest.NewFront(func() rest.Health { return rest.Health{} }, nil)
	f.Open(rest.Closing)
	if code, body := ask(f, "GET", "/api/2.1/unity-catalog/tables/a.b.c"); code != 503 || !strings.Contains(body, "shutting down") {
		t.Errorf("%d %s", code, body)
	}
}
