package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/server/internal/admission"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// Options are the settings of a [Gateway]. Zero values mean the defaults.
type Options struct {
	HandshakeTimeout time.Duration // from the opening of a stream to its create_stream request; default 30 s
	Lifetime         time.Duration // age at which a client is asked to leave, less up to a tenth; default 15 min, negative: never
	Grace            time.Duration // from then to the end of the stream; default 10 s
	MaxRequestBytes  int           // most bytes of records in one request, without their framing; default 10 MiB, the service's limit
	MaxChunkBytes    int           // largest decoded form of one request; default 48 MiB, below the log's entry limit
	Logger           *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.HandshakeTimeout <= 0 {
		o.HandshakeTimeout = 30 * time.Second
	}
	if o.Lifetime == 0 {
		o.Lifetime = defaultLifetime
	}
	if o.Grace <= 0 {
		o.Grace = defaultGrace
	}
	if o.MaxRequestBytes <= 0 {
		o.MaxRequestBytes = wire.MaxRequest
	}
	if o.MaxChunkBytes <= 0 {
		o.MaxChunkBytes = 48 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Gateway serves the gRPC door. Register puts it on a server made with ServerOptions.
type Gateway struct {
	gate *admission.Gate
	opts Options

	counters counters
	made     time.Time

	mu       sync.Mutex // guards the following
	draining bool
	streams  map[*stream]struct{}
	idle     chan struct{} // closed when draining and no stream is left
}

// New makes a gateway behind a gate.
func New(gate *admission.Gate, o Options) *Gateway {
	return &Gateway{gate: gate, opts: o.withDefaults(), made: time.Now(), streams: map[*stream]struct{}{}, idle: make(chan struct{})}
}

// slack is what a request may be larger than its payload limit before gRPC itself refuses it with RESOURCE_EXHAUSTED, at once and
// with no word about the table: up to there the refusal is ours and says what is wrong. It is small because a request on its way
// takes memory that nobody has budgeted. Clients stop at the service's limit, below the payload's.
const slack = 1 << 20

const (
	maxConnStreams = 100_000          // one connection may carry all streams of an SDK; Gate.MaxStreams is the limit
	maxHeaders     = 64 << 10         // bytes; a token has up to 4 KiB
	connectTimeout = 20 * time.Second // from a connection to the end of its TLS and HTTP/2 handshakes; gRPC's own is two minutes
	idleAfter      = 2 * time.Minute  // of a connection without a stream, until it is closed
	pingAfter      = time.Minute
	pingTimeout    = 20 * time.Second
	clientPings    = 10 * time.Second
)

// ServerOptions are what a gRPC server for this gateway needs. Windows and buffers are gRPC's own, which grow with what a connection
// carries: larger ones from the start gain nothing nearby, and could be left unread by any client on every stream.
func (g *Gateway) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(wire.Codec()),
		grpc.MaxRecvMsgSize(g.opts.MaxRequestBytes + slack),
		grpc.MaxConcurrentStreams(maxConnStreams),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.ConnectionTimeout(connectTimeout),
		// A client that vanished without a word leaves its place after pingAfter and pingTimeout.
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleAfter, Time: pingAfter, Timeout: pingTimeout}),
		// Clients that ping on their own, as some do every 30 s, are not cut for it.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: clientPings, PermitWithoutStream: true}),
	}
}

// Register adds the service to a gRPC server.
func (g *Gateway) Register(s grpc.ServiceRegistrar) {
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: wire.Service,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName:    "EphemeralStream",
			Handler:       func(_ any, ss grpc.ServerStream) error { return g.serve(ss) },
			ServerStreams: true,
			ClientStreams: true,
		}},
	}, g)
}

// Drain takes no more streams and asks the clients of open ones to go within grace, by close signal; what they have sent is
// still acknowledged. Streams that are in their grace already get no more of it than that. It returns when all streams have
// ended or ctx has; then streams are left to the caller, who can cut their connections.
func (g *Gateway) Drain(ctx context.Context, grace time.Duration) error {
	g.mu.Lock()
	if !g.draining {
		g.draining = true
		if len(g.streams) == 0 {
			close(g.idle)
		}
	}
	for s := range g.streams {
		s.askToLeave(grace)
	}
	g.mu.Unlock()
	select {
	case <-g.idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g *Gateway) add(s *stream) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.draining {
		return false
	}
	g.streams[s] = struct{}{}
	return true
}

func (g *Gateway) remove(s *stream) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.streams, s)
	if g.draining && len(g.streams) == 0 {
		close(g.idle)
	}
}
