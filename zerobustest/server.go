package zerobustest

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/test/bufconn"

	"github.com/zerobus-go/zerobus/schema"
)

// Server is a Zerobus server and the token endpoint of its workspace.
type Server struct {
	listener    net.Listener
	credentials []grpc.ServerOption // for TLS
	web         *httptest.Server    // nil in memory
	mux         *http.ServeMux
	endpoint    string
	dial        func(context.Context, string) (net.Conn, error)
	roots       *x509.CertPool // nil without TLS
	authentic   bool
	plain       bool // knows no producers

	ctx      context.Context // done from the beginning of Close
	cancel   context.CancelFunc
	accepted chan struct{}  // closed when no more TCP connections are accepted
	running  sync.WaitGroup // goroutines of TCP connections and of streams; only those that run add some after Close

	mu sync.Mutex
	// The following are guarded by mu.
	changed     chan struct{} // closed and replaced whenever a test might see something new
	sockets     map[*socket]struct{}
	connections []*Connection
	script      []Behavior
	byTable     map[string][]Behavior
	otherwise   Behavior
	records     map[string][][]byte // the durable ones, by table
	validators  map[string]func([]byte) error
	producers   map[producerKey]*producer

	tokenRequests []TokenRequest
	answerToken   http.HandlerFunc // answers, once the request is recorded
	tokens        map[string]*token
	tokenLifetime time.Duration

	tables map[string]*schema.Struct // that the workspace describes
}

// An Option changes what [New] makes. Nil changes nothing.
type Option func(*config)

type config struct {
	inMemory  bool
	tls       bool
	authentic bool
	plain     bool
}

// InMemory makes a server without sockets. Clients reach it by [Server.Dialer] and [Server.HTTPClient] only. It is for
// testing/synctest: everything it starts belongs to the bubble that New is called in.
func InMemory() Option { return func(c *config) { c.inMemory = true } }

// TLS makes the server and its token endpoint speak TLS, with a certificate that [Server.RootCAs] trusts.
func TLS() Option { return func(c *config) { c.tls = true } }

// New starts a server on a free port of 127.0.0.1. It panics when it cannot, as httptest does. Close it when done.
func New(opts ...Option) *Server {
	var cfg config
	for _, o := range opts {
		if o != nil {
			o(&cfg)
		}
	}
	if cfg.inMemory && cfg.tls {
		panic("zerobustest: a server in memory has no TLS")
	}
	s := &Server{
		mux:        http.NewServeMux(),
		authentic:  cfg.authentic,
		plain:      cfg.plain,
		accepted:   make(chan struct{}),
		changed:    make(chan struct{}),
		sockets:    map[*socket]struct{}{},
		byTable:    map[string][]Behavior{},
		otherwise:  Accept(AckAll()),
		records:    map[string][][]byte{},
		validators: map[string]func([]byte) error{},
		producers:  map[producerKey]*producer{},

		tokens:        map[string]*token{},
		tables:        map[string]*schema.Struct{},
		tokenLifetime: time.Hour,
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.answerToken = s.grant
	s.mux.HandleFunc("POST /oidc/v1/token", s.serveToken)
	s.mux.HandleFunc("GET /api/2.1/unity-catalog/tables/{name}", s.serveTable)
	if cfg.inMemory {
		s.listenInMemory()
	} else {
		s.listen(cfg.tls)
	}
	go s.accept()
	return s
}

func (s *Server) listenInMemory() {
	pipe := bufconn.Listen(1 << 20)
	s.listener = pipe
	s.dial = func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }
	s.endpoint = "http://zerobustest"
}

func (s *Server) listen(useTLS bool) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("zerobustest: listen on a free port: %v", err))
	}
	s.listener = socket
	s.dial = func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", socket.Addr().String())
	}
	s.web = httptest.NewUnstartedServer(s.mux)
	if !useTLS {
		s.web.Start()
		s.endpoint = "http://" + socket.Addr().String()
		return
	}
	s.web.StartTLS()
	s.roots = x509.NewCertPool()
	s.roots.AddCert(s.web.Certificate())
	s.endpoint = "https://" + socket.Addr().String()
	s.credentials = []grpc.ServerOption{grpc.Creds(credentials.NewServerTLSFromCert(&s.web.TLS.Certificates[0]))}
}

// Close ends all connections and waits until nothing of the server is left, so an action of a script must not call it.
// What the server recorded stays readable, and all other methods may still be called. Close may be called more than
// once.
func (s *Server) Close() {
	s.cancel()
	s.listener.Close()
	<-s.accepted
	// Sockets are closed here, before gRPC does so: it would wait for clients that connected and then said nothing.
	s.mu.Lock()
	for k := range s.sockets {
		k.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
	if s.web != nil {
		s.web.CloseClientConnections()
		s.web.Close()
	}
}

// Endpoint returns the address for clients, as a URL: http://127.0.0.1:port, or https with [TLS].
func (s *Server) Endpoint() string { return s.endpoint }

// WorkspaceURL returns the URL of the workspace, where the token endpoint is.
func (s *Server) WorkspaceURL() string {
	if s.web == nil {
		return "http://workspace.zerobustest"
	}
	return s.web.URL
}

// Dialer returns a function that connects to the server, whatever the address.
func (s *Server) Dialer() func(ctx context.Context, addr string) (net.Conn, error) { return s.dial }

// HTTPClient returns a client that reaches the workspace, also in memory, and trusts its certificate.
func (s *Server) HTTPClient() *http.Client {
	if s.web == nil {
		return &http.Client{Transport: direct{s}}
	}
	return s.web.Client()
}

// RootCAs returns what clients must trust to connect to a server with [TLS]; nil without.
func (s *Server) RootCAs() *x509.CertPool { return s.roots }

// Workspace returns the handler of the workspace's URL, where a test may add what else a workspace answers.
func (s *Server) Workspace() *http.ServeMux { return s.mux }

// Script appends to what the next connections do, in the order in which clients open them. Every opened stream is a
// connection in this sense, also when several share one TCP connection; one that [Authentic] refuses takes none.
func (s *Server) Script(behaviors ...Behavior) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = append(s.script, behaviors...)
}

// ScriptTable is [Server.Script] for the connections to one table, by their table header. A table's script comes before
// the common one.
func (s *Server) ScriptTable(table string, behaviors ...Behavior) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byTable[table] = append(s.byTable[table], behaviors...)
}

// Otherwise sets what connections beyond the scripts do. Without it they are accepted and everything is acknowledged.
func (s *Server) Otherwise(b Behavior) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.otherwise = b
}

// next takes the behavior of a new connection.
//
// s.mu is held.
func (s *Server) next(table string) Behavior {
	if q := s.byTable[table]; len(q) > 0 {
		s.byTable[table] = q[1:]
		return q[0]
	}
	if q := s.script; len(q) > 0 {
		s.script = q[1:]
		return q[0]
	}
	return s.otherwise
}

// Records returns the table's durable records, in the order in which they became so. A record is durable from just
// before its acknowledgement is sent; one that was not acknowledged is found in the log of its [Connection] only. The
// bytes are the server's own: change none.
func (s *Server) Records(table string) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.records[table])
}

// WaitRecords returns once the table has n durable records, or with an error that tells how many it has.
func (s *Server) WaitRecords(ctx context.Context, table string, n int) error {
	count := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.records[table])
	}
	if err := s.WaitFor(ctx, func() bool { return count() >= n }); err != nil {
		return fmt.Errorf("zerobustest: table %q has %d durable records, not %d: %w", table, count(), n, err)
	}
	return nil
}

// Connections returns all connections so far, the ended ones too, in the order in which they were opened.
func (s *Server) Connections() []*Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.connections)
}

// WaitConnection returns the connection with the number i, counted from 0, as soon as there is one.
func (s *Server) WaitConnection(ctx context.Context, i int) (*Connection, error) {
	if i < 0 {
		return nil, fmt.Errorf("zerobustest: there is no connection %d: they count from 0", i)
	}
	var c *Connection
	err := s.WaitFor(ctx, func() bool {
		all := s.Connections()
		if i >= len(all) {
			return false
		}
		c = all[i]
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("zerobustest: connection %d was not opened: %w", i, err)
	}
	return c, nil
}

// WaitFor returns once condition is true, or with the error of ctx. The condition is asked again after everything that
// happens on the server, so it should be about what the server tells: records, connections, token requests.
func (s *Server) WaitFor(ctx context.Context, condition func() bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if condition() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tell wakes those who wait for something to change.
//
// s.mu is held.
func (s *Server) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}
