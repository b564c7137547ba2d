package server

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/gateway"
	"github.com/zerobus-go/zerobus/server/internal/metrics"
	"github.com/zerobus-go/zerobus/server/internal/rest"
	"github.com/zerobus-go/zerobus/server/internal/table"
	"github.com/zerobus-go/zerobus/server/internal/wal"
)

// phase is what a server is at.
type phase int32

const (
	starting phase = iota // the stores may not be there yet
	serving
	closing
)

// life is what probes look at before everything else is there.
type life struct {
	phase  atomic.Int32
	closed atomic.Int64 // when closing began, in nanoseconds since 1970
}

// shutdownHangs is after how long a shutdown counts as hanging: no disk that works takes so long.
const shutdownHangs = time.Minute

func (l *life) now() phase { return phase(l.phase.Load()) }

func (l *life) serve() { l.phase.CompareAndSwap(int32(starting), int32(serving)) }

func (l *life) close() {
	l.closed.Store(time.Now().UnixNano())
	l.phase.Store(int32(closing))
}

// health is what /healthz and /readyz answer.
func (s *Server) health() (h rest.Health) {
	reason := func(code, detail string) { h.Reasons = append(h.Reasons, rest.Reason{Code: code, Detail: detail}) }
	switch s.life.now() {
	case starting:
		reason("starting", "the stores are being opened and the log is replayed")
		return h
	case closing:
		reason("shutting_down", "clients are asked to leave, and what is durable is committed")
		if since := time.Since(time.Unix(0, s.life.closed.Load())); since > shutdownHangs {
			h.Dead = "the shutdown has not ended after " + since.Truncate(time.Second).String() + "; what was acknowledged is in the log"
		}
	}
	switch log := s.log.Stats(); {
	case log.Stopped:
		reason("wal_stopped", "the write-ahead log stopped after a disk error: restart the server when the disk is well")
	case log.Full:
		reason("wal_full", "the write-ahead log is full: it goes on when tables have committed what is in it")
	}
	h.TablesRefused = s.tables.Stats().Refused
	return h
}

// metrics answers scrapes; nil when metrics are off.
func (s *Server) metrics() http.Handler {
	if s.cfg.Metrics == MetricsOff {
		return nil
	}
	shown := metrics.Handler(metrics.Sources{
		Log:     func() wal.Stats { return s.log.Stats() },
		Tables:  func() table.Stats { return s.tables.Stats() },
		Gateway: func() gateway.Stats { return s.gateway.Stats() },
		Tokens:  func() [len(rest.TokenCodes)]int64 { return s.front.Tokens() },
		Ready:   func() bool { return len(s.health().Reasons) == 0 },
		Each:    func() []table.TableStats { return s.tables.Each() }, PerTable: int(min(s.cfg.MetricsTables, 1<<30)),
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.life.now() == starting {
			http.Error(w, "the server is starting", http.StatusServiceUnavailable)
			return
		}
		shown.ServeHTTP(w, r)
	})
}
