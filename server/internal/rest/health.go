package rest

import (
	"net/http"
	"sync"
	"sync/atomic"
)

// Health is how a server is.
type Health struct {
	Dead          string   // what is so wrong that the process should be started again; empty: it lives
	Reasons       []Reason // why it should get no streams; none: it is ready
	TablesRefused int      // tables that take no rows until an operator has looked at them; the others do, so it is no reason
}

// Reason is one reason of [Health], without names of tables, paths or other details of the inside: anybody may read it.
type Reason struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Probes answers what orchestrators and monitors ask, and nothing else. metrics may be nil: then there are none.
//
//	GET /healthz   200 while the process lives, else 503: start it again
//	GET /readyz    200 when it takes streams, else 503 with the reasons
//	GET /metrics   Prometheus metrics
func Probes(health func() Health, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if h := health(); h.Dead != "" {
			reply(w, http.StatusServiceUnavailable, map[string]string{"status": "dead", "detail": h.Dead})
			return
		}
		reply(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		type answer struct {
			Status        string   `json:"status"`
			Reasons       []Reason `json:"reasons,omitempty"`
			TablesRefused int      `json:"tables_refused"`
		}
		h := health()
		if len(h.Reasons) > 0 {
			reply(w, http.StatusServiceUnavailable, answer{"unavailable", h.Reasons, h.TablesRefused})
			return
		}
		reply(w, http.StatusOK, answer{"ready", nil, h.TablesRefused})
	})
	if metrics != nil {
		mux.Handle("GET /metrics", metrics)
	}
	return mux
}

// Front is the outermost handler of the HTTP listener. It answers probes at once, while the server is still starting too: the
// replay of a large log takes longer than an orchestrator is patient. All other requests wait for Open.
type Front struct {
	probes  http.Handler
	counted counts

	once sync.Once
	open chan struct{} // closed by Open
	next http.Handler  // not read before
}

// NewFront makes a front with [Probes].
func NewFront(health func() Health, metrics http.Handler) *Front {
	return &Front{probes: Probes(health, metrics), open: make(chan struct{})}
}

// Open hands requests to a handler from now on. The first call counts.
func (f *Front) Open(next http.Handler) {
	f.once.Do(func() {
		f.next = next
		close(f.open)
	})
}

// Closing answers that the server is shutting down.
var Closing = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusServiceUnavailable, map[string]string{"status": "unavailable", "detail": "the server is shutting down"})
})

// ServeHTTP implements [http.Handler].
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz", "/readyz", "/metrics":
		f.probes.ServeHTTP(w, r)
		return
	}
	select {
	case <-f.open:
	case <-r.Context().Done():
		return // the client is gone
	}
	if r.URL.Path == tokenPath && r.Method == http.MethodPost {
		c := &codeWriter{ResponseWriter: w, code: http.StatusOK}
		defer func() { f.counted.add(c.code) }()
		w = c
	}
	f.next.ServeHTTP(w, r)
}

// tokenPath is the path of the token endpoint, whose answers are counted.
const tokenPath = "/oidc/v1/token"

// TokenCodes are the status codes that token requests are counted by; all others count as 500.
var TokenCodes = [...]int{
	http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInternalServerError,
}

type counts [len(TokenCodes)]atomic.Int64

func (c *counts) add(code int) {
	for i, known := range TokenCodes {
		if code == known || i == len(TokenCodes)-1 {
			c[i].Add(1)
			return
		}
	}
}

// Tokens is how many token requests have been answered, by [TokenCodes].
func (f *Front) Tokens() (n [len(TokenCodes)]int64) {
	for i := range n {
		n[i] = f.counted[i].Load()
	}
	return n
}

// codeWriter remembers the status code.
type codeWriter struct {
	http.ResponseWriter
	code int
}

func (w *codeWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap is for [http.ResponseController].
func (w *codeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
