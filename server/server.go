package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/zerobus-go/zerobus/internal/version"
	"github.com/zerobus-go/zerobus/server/internal/admin"
	"github.com/zerobus-go/zerobus/server/internal/admission"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/datadir"
	"github.com/zerobus-go/zerobus/server/internal/gateway"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/ledger"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
	"github.com/zerobus-go/zerobus/server/internal/rest"
	"github.com/zerobus-go/zerobus/server/internal/table"
	"github.com/zerobus-go/zerobus/server/internal/token"
	"github.com/zerobus-go/zerobus/server/internal/wal"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// Engine names this software in commits.
const Engine = "zerobus-go/" + version.Number

// createdBy names this software in data files, in the form that readers know: name, "version", number.
const createdBy = "zerobus-go version " + version.Number

// maxEntryBytes is the largest decoded request that the log takes: above the gateway's limit for one.
const maxEntryBytes = 56 << 20

// What the end of the server takes, at most, before the commits have their turn.
const (
	closeGrace = 1500 * time.Millisecond // for clients to leave; not 2 s, after which SDKs that were refused come again, all at once
	closeRest  = time.Second             // for last acknowledgements and statuses to go out
	cutTime    = time.Second             // for gRPC to cut what is left
)

// Server is a running server.
type Server struct {
	cfg     Config
	dir     datadir.Dir
	catalog *catalog.Catalog
	log     *wal.Local
	ledger  *ledger.Ledger
	tables  *table.Set
	gateway *gateway.Gateway
	admin   *admin.Local

	grpc         *grpc.Server
	http         *http.Server
	probes       *http.Server // nil without a listener of their own
	front        *rest.Front
	grpcListener net.Listener
	httpListener net.Listener
	handler      http.Handler // of HTTP requests, from Serve on
	metricsURL   string       // empty when metrics are off
	running      datadir.Running
	life         life
	failed       chan error // results of gRPC and HTTP

	shutdown sync.Once
	ended    chan struct{} // closed when Shutdown is done
	endError error         // of Shutdown
}

// New takes the ports, opens the stores of the data directory and replays the log. Until Serve it answers nothing but /healthz,
// /readyz and /metrics; other HTTP requests wait.
// ctx bounds the opening only. Errors name the store or the address.
func New(ctx context.Context, cfg Config) (_ *Server, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Server{cfg: cfg, ended: make(chan struct{}), failed: make(chan error, 2)}
	var undo []func() error
	defer func() {
		if err != nil {
			for i := len(undo) - 1; i >= 0; i-- {
				err = errors.Join(err, undo[i]())
			}
		}
	}()
	if s.dir, err = datadir.Open(cfg.DataDir); err != nil {
		return nil, err
	}
	tlsConfig, ca, err := cfg.tlsConfig(s.dir.TLS())
	if err != nil {
		return nil, err
	}

	// The ports first: the commonest mistake is found before anything is touched.
	if s.grpcListener, err = listen("gRPC", cfg.GRPCListen, cfg.MaxConnections); err != nil {
		return nil, err
	}
	undo = append(undo, s.grpcListener.Close)
	if s.httpListener, err = listen("HTTP", cfg.HTTPListen, cfg.MaxConnections); err != nil {
		return nil, err
	}
	undo = append(undo, func() error {
		_ = s.httpListener.Close() // its server may have done so
		return nil
	})
	stop, err := s.serveHTTP(tlsConfig)
	if err != nil {
		return nil, err
	}
	undo = append(undo, stop)

	if s.catalog, err = catalog.Open(s.dir.Catalog(), catalog.Options{}); err != nil {
		return nil, err
	}
	undo = append(undo, s.catalog.Close)
	adminToken, err := s.dir.EnsureAdminToken()
	if err != nil {
		return nil, err
	}
	s.running = datadir.Running{
		PID: os.Getpid(), CA: ca,
		GRPCEndpoint: endpoint(s.grpcListener, tlsConfig != nil),
		WorkspaceURL: endpoint(s.httpListener, tlsConfig != nil),
	}
	if err := s.announce(); err != nil {
		return nil, err
	}
	undo = append(undo, s.dir.Retract)
	tokens, err := token.Open(s.dir.TokenKeys(), token.Options{})
	if err != nil {
		return nil, err
	}
	store, err := lake.NewLocal(s.dir.Tables())
	if err != nil {
		return nil, err
	}
	s.log, err = wal.Open(wal.Options{
		Dir: s.dir.WAL(), MaxEntryBytes: maxEntryBytes, MaxBytes: cfg.LogBytes, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	undo = append(undo, s.log.Close)

	if s.ledger, err = ledger.Open(s.dir.Ledger()); err != nil {
		return nil, err
	}
	undo = append(undo, s.ledger.Close)

	lakeTables := table.NewTables(store, Engine, time.Now)
	roots, err := lake.NewRoots(s.dir.Root(), cfg.ExternalRoots...)
	if err != nil {
		return nil, err
	}
	for _, dir := range roots.Missing() {
		cfg.Logger.Warn("an external root is not there: tables below it take no rows", "location", dir)
	}
	lakeTables.AllowExternal(roots)
	s.tables = table.NewSet(s.log, s.ledger, s.catalog, lakeTables, table.Options{
		Compaction: table.Compaction{
			Off: cfg.Compaction == CompactionOff, SmallFile: cfg.CompactionSmallFile, Target: cfg.CompactionTarget, MinFiles: int(cfg.CompactionMinFiles),
		},
		Parquet:        parquetfile.Options{Compression: cfg.Compression, CreatedBy: createdBy},
		CommitInterval: cfg.CommitInterval, CommitIntervalMax: cfg.CommitIntervalMax, ProducerRetention: cfg.ProducerRetention, MemoryBytes: cfg.MemoryBytes, Engine: Engine, Logger: cfg.Logger,
	})
	lakeTables.OnDrop(s.tables.Drop)
	lakeTables.OnRetire(s.tables.Retire)
	lakeTables.OnVacuum(s.tables.Staged)
	lakeTables.OnOptimize(s.tables.Optimize)
	undo = append(undo, func() error {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.tables.Close(gone) // what is not committed is in the log
		return nil
	})
	if err := s.tables.Recover(ctx); err != nil {
		return nil, err
	}

	gate := &admission.Gate{
		Tokens: tokens, Catalog: s.catalog, Tables: s.tables, MaxStreams: cfg.MaxStreams,
		Quotas: admission.Quotas{PrincipalStreams: cfg.PrincipalStreams, PrincipalBytes: cfg.PrincipalRate, TableBytes: cfg.TableRate},
	}
	s.gateway = gateway.New(gate, gateway.Options{Lifetime: cfg.StreamLifetime, Logger: cfg.Logger})
	opts := s.gateway.ServerOptions()
	if tlsConfig != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(tlsConfig)))
	}
	if tlsConfig == nil && !(loopback(cfg.GRPCListen) && loopback(cfg.HTTPListen)) {
		cfg.Logger.Warn("TLS is off on an address that is not loopback: tokens, secrets and records go over the network in plaintext")
	}
	s.grpc = grpc.NewServer(opts...)
	s.gateway.Register(s.grpc)

	s.admin = admin.NewLocal(s.catalog, lakeTables, func() (*token.Authority, error) { return tokens, nil }, s.tables.Flush)
	s.handler = rest.Handler(rest.Config{
		Catalog: s.catalog, Tokens: tokens, Lake: lakeTables, Logger: cfg.Logger,
		AdminToken: adminToken, Admin: admin.Handler(s.admin, rest.AdminPath, adminToken, cfg.Logger),
	})
	return s, nil
}

// serveHTTP serves probes, which must be answered while a long replay goes on, and holds back all other requests. stop ends it.
func (s *Server) serveHTTP(tlsConfig *tls.Config) (stop func() error, err error) {
	shown := s.metrics()
	var listener net.Listener
	if s.cfg.MetricsListen == "" {
		s.front = rest.NewFront(s.health, shown)
		if shown != nil {
			s.metricsURL = endpoint(s.httpListener, tlsConfig != nil) + "/metrics"
		}
	} else {
		if listener, err = listen("metrics", s.cfg.MetricsListen, s.cfg.MaxConnections); err != nil {
			return nil, err
		}
		s.front = rest.NewFront(s.health, nil)
		s.probes = rest.Server(rest.Probes(s.health, shown), s.cfg.Logger)
		if shown != nil {
			s.metricsURL = endpoint(listener, false) + "/metrics"
		}
		go func() {
			if err := s.probes.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				s.cfg.Logger.Error("metrics and probes are not answered any more", "err", err)
			}
		}()
	}
	s.http = rest.Server(s.front, s.cfg.Logger)
	s.http.TLSConfig = tlsConfig.Clone() // net/http changes it
	go func() {
		if tlsConfig != nil {
			s.failed <- s.http.ServeTLS(s.httpListener, "", "")
			return
		}
		s.failed <- s.http.Serve(s.httpListener)
	}()
	return func() error {
		s.front.Open(rest.Closing)
		return errors.Join(s.http.Close(), s.closeProbes())
	}, nil
}

// closeProbes ends the listener of probes, if they have one.
func (s *Server) closeProbes() error {
	if s.probes == nil {
		return nil
	}
	return s.probes.Close()
}

// endpoint is the URL of a listener for clients on this machine.
func endpoint(l net.Listener, secure bool) string {
	if secure {
		return "https://" + dialable(l.Addr())
	}
	return "http://" + dialable(l.Addr())
}

// announce lets the tool find the server. The catalog's lock is held, so what is there is of a server that was killed. A disk
// without room for so small a file is no reason not to serve: commits may make room, and tables may lie elsewhere.
func (s *Server) announce() error {
	if err := s.dir.Retract(); err != nil {
		return err
	}
	err := s.dir.Announce(s.running)
	if errors.Is(err, syscall.ENOSPC) {
		s.cfg.Logger.Error("the disk is full: the tool will not find this server by its data directory", "err", err)
		return nil
	}
	return err
}

// listen takes a port. Connections beyond limit wait to be accepted.
func listen(what, addr string, limit int64) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s listener: %w: another server may be running; choose another address", what, err)
	case err != nil:
		return nil, fmt.Errorf("%s listener: %w", what, err)
	}
	if limit <= 0 {
		limit = defaultConnections()
	}
	return netutil.LimitListener(l, int(min(limit, math.MaxInt32))), nil
}

// maxDefaultConnections is the most that a listener has open by default.
const maxDefaultConnections = 20_000

// defaultConnections is a third of what the process may have open: files for log and tables must not depend on strangers.
func defaultConnections() int64 {
	return min(maxDefaultConnections, max(1, fileLimit()/3))
}

// dialable is the address that a client on this machine can use: an unspecified host becomes loopback.
func dialable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// GRPCEndpoint is the server's address for New of the SDK, scheme included.
func (s *Server) GRPCEndpoint() string { return s.running.GRPCEndpoint }

// WorkspaceURL is the server's HTTP address for New of the SDK: token endpoint and Unity Catalog.
func (s *Server) WorkspaceURL() string { return s.running.WorkspaceURL }

// CAFile is the certificate authority that clients must trust, or empty: without TLS, or with certificates from outside.
func (s *Server) CAFile() string { return s.running.CA }

// MetricsURL is where Prometheus finds the metrics, or empty when they are off.
func (s *Server) MetricsURL() string { return s.metricsURL }

// DataDir is the absolute path of the data directory.
func (s *Server) DataDir() string { return s.dir.Root() }

// Serve answers until Shutdown, then returns its error; or returns at once when a listener fails.
func (s *Server) Serve() error {
	go func() { s.failed <- s.grpc.Serve(s.grpcListener) }()
	s.life.serve()
	s.front.Open(s.handler)
	select {
	case <-s.ended:
	case err := <-s.failed:
		if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) {
			return errors.Join(err, s.Shutdown(context.Background()))
		}
		<-s.ended
	}
	return s.endError
}

// Shutdown asks clients to leave, acknowledges what they sent, commits it, and closes the stores. When ctx ends first, streams
// are cut; what was acknowledged and is not committed stays in the log for the next start. Later calls wait for the first.
func (s *Server) Shutdown(ctx context.Context) error {
	s.shutdown.Do(func() {
		defer close(s.ended)
		s.life.close()
		s.front.Open(rest.Closing) // if it was never served
		log := s.cfg.Logger
		log.Info("shutting down")
		// A client that does not go, or does not read, must not take the time that the commits need.
		leave, cancel := context.WithTimeout(ctx, closeGrace+closeRest)
		defer cancel()
		if err := s.gateway.Drain(leave, closeGrace); err != nil {
			log.Warn("streams were cut", "err", err)
		}
		s.stopGRPC(leave)
		errs := []error{s.tables.Close(ctx)}
		// HTTP is answered as long as that: clients that were asked to leave want tokens, and some take a connection that was
		// accepted and not answered for a refusal that will stay.
		s.stopHTTP()
		// server.json goes before the locks do: afterwards it may be another server's.
		errs = append(errs, s.dir.Retract(), s.log.Close(), s.ledger.Close(), s.catalog.Close(), s.closeProbes())
		// Stop does not close a listener that was never served.
		_ = s.grpcListener.Close()
		_ = s.httpListener.Close()
		s.endError = errors.Join(errs...)
	})
	<-s.ended
	return s.endError
}

// stopGRPC ends the gRPC server. Streams have ended by now, as far as they will; a graceful stop sees to it that their statuses
// reach the clients.
//
// Both ways to stop wait for connections in their handshake, up to the gateway's limit for one, and cut nothing before. They
// can open no stream any more, so they are not waited for here.
func (s *Server) stopGRPC(ctx context.Context) {
	stopped := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(stopped)
	}()
	select {
	case <-stopped:
		return
	case <-ctx.Done():
	}
	go s.grpc.Stop() // cuts what is left, and lets GracefulStop return
	cut := time.NewTimer(cutTime)
	defer cut.Stop()
	select {
	case <-stopped:
	case <-cut.C:
		s.cfg.Logger.Warn("connections are still in their handshake and are left to themselves")
	}
}

// stopHTTP ends the HTTP server; what was accepted is answered.
func (s *Server) stopHTTP() {
	ctx, cancel := context.WithTimeout(context.Background(), cutTime)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		s.http.Close()
	}
}

// SQL runs a script of statements, as zerobus sql does, up to the first that fails.
func (s *Server) SQL(ctx context.Context, script string) error {
	_, err := s.admin.SQL(ctx, script)
	return err
}

// CreatePrincipal makes a service principal without grants. The secret is shown here and nowhere else.
func (s *Server) CreatePrincipal(ctx context.Context, name string) (clientID, secret string, err error) {
	c, err := s.admin.CreatePrincipal(ctx, name)
	return c.ID, c.Secret, err
}

// Flush commits what is durable in a table, named catalog.schema.table, and waits for it.
func (s *Server) Flush(ctx context.Context, table string) error { return s.admin.Flush(ctx, table) }
