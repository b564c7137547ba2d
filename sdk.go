package zerobus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
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
	settings     settings
	log          *slog.Logger
	dialOptions  []grpc.DialOption
	faults       dial.Faults
	hooks        hooks
	pool         batch.Pool
	tokens       oauth.Cache

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
	for i, o := range opts {
		if o == nil {
			return nil, invalid(op, "", "option %d is nil", i)
		}
		o(&k.settings)
	}
	if err := k.setUp(serverEndpoint); err != nil {
		return nil, newError(op, "", ErrInvalidArgument, err)
	}
	return k, nil
}

// setUp checks the settings and makes of them what streams need.
func (k *SDK) setUp(serverEndpoint string) (err error) {
	if k.endpoint, err = dial.ParseEndpoint(serverEndpoint); err != nil {
		return err
	}
	if err := checkWorkspaceURL(k.workspaceURL); err != nil {
		return err
	}
	if k.hooks, err = newHooks(k.settings.hooks); err != nil {
		return err
	}
	if err := k.settings.validate(); err != nil {
		return err
	}
	proxies, err := k.settings.proxies()
	if err != nil {
		return err
	}
	if k.settings.http == nil {
		k.settings.http = tokenClient(k.settings.tls, proxies)
	}
	k.log = k.settings.log
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	k.dialOptions, err = dial.Options(k.endpoint, dial.Settings{
		TLS:       k.settings.tls,
		UserAgent: strings.TrimSpace(k.settings.userAgent + " " + identity),
		Proxies:   proxies,
		Dialer:    k.settings.dialer,
		Faults:    &k.faults,
	})
	if err != nil {
		return err
	}
	if k.settings.keepalive.Time > 0 {
		k.dialOptions = append(k.dialOptions, grpc.WithKeepaliveParams(k.settings.keepalive))
	}
	return nil
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
	}
	return &http.Client{Transport: t}
}

// permanentFault marks the failure to connect to a server that cannot be trusted, or that speaks no TLS: every other try
// would meet it again. gRPC has made a text of the reason.
func (k *SDK) permanentFault(err error) error {
	if recovery.Code(err) != codes.Unavailable {
		return err
	}
	fault := k.faults.Last()
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

// checkWorkspaceURL finds slips early. Its errors do not repeat the URL, which may hold a password.
func checkWorkspaceURL(s string) error {
	if s == "" {
		return nil
	}
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return errors.New("the workspace URL is not a URL; it looks like https://<instance>.cloud.databricks.com")
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("the workspace URL has the scheme %q; it is https or http", u.Scheme)
	case u.User != nil:
		return errors.New("the workspace URL has user information; remove everything up to the @")
	}
	return nil
}

// CreateStream opens a stream to a table and returns when the server has accepted it. It retries failures that may pass,
// as the settings say; ctx bounds the whole of that, and not the life of the stream.
func (k *SDK) CreateStream(ctx context.Context, table TableProperties, auth Auth, opts ...StreamOption) (*Stream, error) {
	const op = "create stream"
	cfg := DefaultStreamSettings()
	if err := apply(op, table.Name, &cfg, opts); err != nil {
		return nil, err
	}
	return k.create(ctx, op, table, auth, cfg)
}

// RecreateStream opens a stream like old, which has failed or is closed, and ingests again what old left unacknowledged:
// batches as batches, in order. Table, authentication and settings are those of old, with opts applied to them. It waits,
// for as long as ctx allows, where the limits of unacknowledged records make it wait; it does not wait for the
// acknowledgements of the rest.
//
// The new stream counts its offsets from 0. After an error old is as it was, and the call may be repeated; the server may
// then have some records twice. A stream that was recreated cannot be recreated again, which would ingest everything
// twice: that, and an old stream that has not ended, is an ErrInvalidState.
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
	s, err := k.create(ctx, op, p.table, p.auth, cfg)
	if err != nil {
		return nil, err
	}
	for _, call := range left {
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

// create is CreateStream with its settings.
func (k *SDK) create(ctx context.Context, op string, table TableProperties, auth Auth, cfg StreamSettings) (*Stream, error) {
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

	p, err := newPipeline(ctx, k, table, auth, cfg)
	if err != nil {
		return nil, err
	}
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
// in [Stream.Unacked]. Close may be called more than once; it always returns nil.
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

// pipe returns the pipeline of a stream that CreateStream made.
func (s *Stream) pipe(op string) (*pipeline, error) {
	if s == nil || s.p == nil {
		return nil, newError(op, "", ErrInvalidState, errNoStream)
	}
	return s.p, nil
}

var errNoStream = errors.New("the stream is nil or the zero Stream; make it with CreateStream")
