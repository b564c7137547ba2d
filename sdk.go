package zerobus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus/internal/batch"
	"github.com/zerobus-go/zerobus/internal/dial"
	"github.com/zerobus-go/zerobus/internal/oauth"
	"github.com/zerobus-go/zerobus/internal/recovery"
	"github.com/zerobus-go/zerobus/internal/version"
)

// Version is the version of the SDK, as the server is told.
const Version = version.Number

// identity is how the SDK calls itself.
const identity = "zerobus-go/" + Version

// SDK makes streams to one server. One is enough for a program.
type SDK struct {
	endpoint     dial.Endpoint
	workspaceURL string
	log          *slog.Logger
	hooks        hooks
	sharing      bool // all streams share a connection

	// What may hold secrets is behind functions: package fmt prints what a pointer in an unexported field points to.
	http func() *http.Client
	dial func(*dial.Faults) (*grpc.ClientConn, error)

	pool   batch.Pool
	tokens oauth.Cache

	mu      sync.Mutex // guards the following
	closed  bool
	streams map[*pipeline]struct{}
	shared  *channel // with WithSharedConnection, from the first stream on
}

// New makes an SDK for the server at serverEndpoint, such as https://1234567890.zerobus.us-west-2.cloud.databricks.com;
// https and port 443 may be left out, and http:// means plaintext. workspaceURL is where tokens come from; it may be
// empty when no stream uses [ClientCredentials]. New checks its arguments and connects to nothing.
func New(serverEndpoint, workspaceURL string, opts ...Option) (*SDK, error) {
	const op = "new"
	k := &SDK{workspaceURL: workspaceURL, streams: map[*pipeline]struct{}{}}
	var set settings
	for i, o := range opts {
		if o == nil {
			return nil, invalid(op, "", "option %d is nil", i)
		}
		o(&set)
	}
	if err := k.setUp(serverEndpoint, set); err != nil {
		return nil, newError(op, "", ErrInvalidArgument, err)
	}
	return k, nil
}

// setUp checks the settings and makes of them what streams need.
func (k *SDK) setUp(serverEndpoint string, set settings) (err error) {
	if k.endpoint, err = dial.ParseEndpoint(serverEndpoint); err != nil {
		return err
	}
	if k.workspaceURL != "" {
		if _, err := oauth.TokenURL(k.workspaceURL); err != nil {
			return err
		}
	}
	if k.hooks, err = newHooks(set.hooks); err != nil {
		return err
	}
	if err := set.validate(); err != nil {
		return err
	}
	proxies, err := set.proxies()
	if err != nil {
		return err
	}
	client := set.http
	if client == nil {
		client = tokenClient(set.tls, proxies)
	}
	k.http = func() *http.Client { return client }
	k.log = set.log
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	k.sharing = set.shared
	k.dial = func(faults *dial.Faults) (*grpc.ClientConn, error) {
		opts, err := dial.Options(k.endpoint, dial.Settings{
			TLS:       set.tls,
			UserAgent: strings.TrimSpace(set.userAgent + " " + identity),
			Proxies:   proxies,
			Dialer:    set.dialer,
			Faults:    faults,
		})
		if err != nil {
			return nil, err
		}
		if set.keepalive.Time > 0 {
			opts = append(opts, grpc.WithKeepaliveParams(set.keepalive))
		}
		return grpc.NewClient(k.endpoint.Target(), opts...)
	}
	cc, err := k.dial(new(dial.Faults)) // connects to nothing, and finds what is wrong with the settings
	if err != nil {
		return err
	}
	return cc.Close()
}

// tokenClient trusts what connections to the server trust. It keeps no connection between token requests.
func tokenClient(cfg *tls.Config, proxies *dial.Proxies) *http.Client {
	t := &http.Transport{
		Proxy:               proxies.ForHTTP,
		DisableKeepAlives:   true,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 10 * time.Second,
	}
	if cfg != nil {
		t.TLSClientConfig = cfg.Clone()
		// These two are the server's, not the workspace's.
		t.TLSClientConfig.ServerName = ""
		t.TLSClientConfig.EncryptedClientHelloConfigList = nil
	}
	return &http.Client{Transport: t}
}

// permanentFault marks the failure to connect to a server that cannot be trusted, or that speaks no TLS: every other try
// would meet it again. gRPC has made a text of the reason.
func (c *channel) permanentFault(err error) error {
	if recovery.Code(err) != codes.Unavailable {
		return err
	}
	fault := c.faults.Last()
	var untrusted *tls.CertificateVerificationError
	var plaintext tls.RecordHeaderError
	switch {
	case errors.As(fault, &untrusted):
		return recovery.Permanent(fmt.Errorf("%w; give the SDK the server's certificate authority, see WithTLSConfig", err))
	case errors.As(fault, &plaintext):
		return recovery.Permanent(fmt.Errorf("%w; the server speaks no TLS, is it an http:// endpoint?", err))
	}
	return err
}

// CreateStream opens a stream to a table and returns when the server has accepted it. It retries failures that may pass,
// as the settings say; ctx bounds the whole of that, and not the life of the stream.
func (k *SDK) CreateStream(ctx context.Context, table TableProperties, auth Auth, opts ...StreamOption) (*Stream, error) {
	const op = "create stream"
	cfg := DefaultStreamSettings()
	if err := apply(op, table.Name, &cfg, opts); err != nil {
		return nil, err
	}
	return k.create(ctx, op, table, auth, cfg, nil)
}

// RecreateStream opens a stream like old, which has failed or is closed, and ingests again what old left unacknowledged:
// batches as batches, in order. Table, authentication and settings are those of old, with opts applied to them. It waits,
// for as long as ctx allows, where the limits of unacknowledged records make it wait; it does not wait for the
// acknowledgements of the rest.
//
// A stream of a producer, see [WithProducerID], is continued: the server tells which of the records that are left it has, and
// those are not ingested again. An ErrProducerTaken is another stream that has written as the producer since. With a
// producer's id that old did not have, the new stream begins at that producer's position, and everything that is left gets the
// numbers from there on.
//
// The new stream counts its offsets from 0, and callbacks are told those. After an error old is as it was, and the call may
// be repeated; without a producer the server may then have some records twice. A stream that was recreated cannot be recreated
// again, which would ingest everything twice: that, and an old stream that has not ended, is an ErrInvalidState.
func (k *SDK) RecreateStream(ctx context.Context, old *Stream, opts ...StreamOption) (_ *Stream, err error) {
	const op = "recreate stream"
	p, err := old.pipe(op)
	if err != nil {
		return nil, err
	}
	cfg := p.cfg
	if err := apply(op, p.table.Name, &cfg, opts); err != nil {
		return nil, err
	}
	left, err := p.unacked(op)
	if err != nil {
		return nil, err
	}
	if !p.recreate(true) {
		return nil, newError(op, p.table.Name, ErrInvalidState, errors.New("the stream was recreated already"))
	}
	defer func() {
		if err != nil {
			p.recreate(false)
		}
	}()
	before := p.inherit(cfg.ProducerID)
	s, err := k.create(ctx, op, p.table, p.auth(), cfg, before)
	if err != nil {
		return nil, err
	}
	durable := 0 // of what is left
	if before != nil {
		durable = int(s.Position().Records - before.base)
	}
	for _, call := range left {
		if durable >= len(call) {
			durable -= len(call)
			continue
		}
		call, durable = call[durable:], 0
		if _, err := s.IngestBatch(ctx, call); err != nil {
			s.p.abort(errors.New("the stream could not take over what another one had left"))
			<-s.p.ended
			if e, ok := err.(*Error); ok {
				e.Op = op
			}
			return nil, err
		}
	}
	return s, nil
}

// apply applies options.
func apply(op, table string, cfg *StreamSettings, opts []StreamOption) error {
	for i, o := range opts {
		if o == nil {
			return invalid(op, table, "stream option %d is nil", i)
		}
		o(cfg)
	}
	return nil
}

// create is CreateStream with its settings, and the producer that a stream before this one wrote as, or nil.
func (k *SDK) create(ctx context.Context, op string, table TableProperties, auth Auth, cfg StreamSettings, before *producer) (*Stream, error) {
	switch {
	case k == nil || k.streams == nil:
		return nil, newError(op, table.Name, ErrInvalidState, errors.New("the SDK is nil or the zero SDK; make it with New"))
	case ctx == nil:
		return nil, newError(op, table.Name, ErrInvalidArgument, errNilContext)
	}
	if err := table.validate(op); err != nil {
		return nil, err
	}
	if err := cfg.faults(); err != nil {
		return nil, newError(op, table.Name, ErrInvalidArgument, err)
	}
	if auth == nil {
		return nil, invalid(op, table.Name, "there is no Auth; give ClientCredentials or a HeadersProvider")
	}
	if _, ok := auth.(ClientCredentials); ok && k.workspaceURL == "" {
		return nil, invalid(op, table.Name, "client credentials need the workspace URL, and New was given none")
	}
	if err := ctx.Err(); err != nil {
		return nil, newError(op, table.Name, nil, context.Cause(ctx))
	}

	if cfg.SchemaCheck {
		if err := k.checkSchema(ctx, op, table, auth); err != nil {
			return nil, err
		}
	}
	p, err := newPipeline(ctx, op, k, table, auth, cfg)
	if err != nil {
		return nil, err
	}
	p.producer.begin(cfg.ProducerID, before)
	if !k.add(p) {
		k.release(p.channel, false)
		return nil, newError(op, table.Name, ErrInvalidState, errAbandoned)
	}
	p.start()
	select {
	case <-p.opened:
		return &Stream{p: p}, nil
	case <-p.ended:
	case <-ctx.Done():
		p.abort(context.Cause(ctx))
		<-p.ended
		return nil, newError(op, table.Name, nil, p.waited(ctx))
	}
	err = p.ending()
	if err == errAbandoned {
		return nil, newError(op, table.Name, ErrInvalidState, err)
	}
	return nil, newError(op, table.Name, nil, err)
}

// Close ends all streams at once, without a flush: close streams first where records matter. What is unacknowledged is
// in [Stream.Unacked]. It does not wait for callbacks. Close may be called more than once; it always returns nil.
func (k *SDK) Close() error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	k.closed = true
	var open []*pipeline
	for p := range k.streams {
		open = append(open, p)
	}
	k.mu.Unlock()
	for _, p := range open {
		p.abort(errAbandoned)
	}
	for _, p := range open {
		<-p.ended
	}
	k.mu.Lock()
	shared := k.shared // no stream is left that uses it
	k.shared = nil
	k.mu.Unlock()
	if shared != nil {
		shared.cc.Close()
	}
	return nil
}

// errAbandoned is why streams end when their SDK is closed.
var errAbandoned = errors.New("the SDK was closed")

// Format writes the server's endpoint, whatever the verb: what an SDK refers to is nobody's to print.
func (k *SDK) Format(f fmt.State, _ rune) {
	if k == nil {
		fmt.Fprint(f, "no SDK")
		return
	}
	fmt.Fprintf(f, "SDK of %s", k.endpoint)
}

// add takes a new stream in, unless the SDK is closed.
func (k *SDK) add(p *pipeline) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		k.streams[p] = struct{}{}
	}
	return !k.closed
}

func (k *SDK) remove(p *pipeline) {
	k.mu.Lock()
	delete(k.streams, p)
	k.mu.Unlock()
}

// Stream is one ordered stream of records into one table.
//
// It ends by [Stream.Close], by [SDK.Close], or by a failure that recovery could not heal. It must be closed.
type Stream struct {
	p *pipeline
}

// Format writes the table, the state and the stream's id, whatever the verb: what a Stream refers to is nobody's to print.
func (s *Stream) Format(f fmt.State, _ rune) {
	if s == nil || s.p == nil {
		fmt.Fprint(f, "no stream")
		return
	}
	fmt.Fprintf(f, "stream %s to %s, %v", s.ID(), s.TableName(), s.State())
}

// pipe returns the pipeline of a stream that CreateStream made.
func (s *Stream) pipe(op string) (*pipeline, error) {
	if s == nil || s.p == nil {
		return nil, newError(op, "", ErrInvalidState, errNoStream)
	}
	return s.p, nil
}

// pipeFor is pipe for a call with a context, which must be one.
func (s *Stream) pipeFor(ctx context.Context, op string) (*pipeline, error) {
	p, err := s.pipe(op)
	if err == nil && ctx == nil {
		err = newError(op, p.table.Name, ErrInvalidArgument, errNilContext)
	}
	return p, err
}

var errNoStream = errors.New("the stream is nil or the zero Stream; make it with CreateStream")
