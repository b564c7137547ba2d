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

	"google.golang.org/grpc"

	"github.com/zerobus-go/zerobus/internal/batch"
	"github.com/zerobus-go/zerobus/internal/dial"
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
	pool         batch.Pool

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
	for _, o := range opts {
		o(&k.settings)
	}
	var err error
	if k.endpoint, err = dial.ParseEndpoint(serverEndpoint); err != nil {
		return nil, newError(op, "", ErrInvalidArgument, err)
	}
	if err := checkWorkspaceURL(workspaceURL); err != nil {
		return nil, newError(op, "", ErrInvalidArgument, err)
	}
	if k.settings.http == nil && k.settings.tls != nil {
		k.settings.http = tokenClient(k.settings.tls)
	}
	k.log = k.settings.log
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	k.dialOptions, err = dial.Options(k.endpoint, dial.Settings{
		TLS:       k.settings.tls,
		UserAgent: strings.TrimSpace(k.settings.userAgent + " " + identity),
		Dialer:    k.settings.dialer,
	})
	if err != nil {
		return nil, newError(op, "", ErrInvalidArgument, err)
	}
	return k, nil
}

// tokenClient trusts what connections to the server trust. It keeps no connection between token requests.
func tokenClient(cfg *tls.Config) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		TLSClientConfig:   cfg.Clone(),
		DisableKeepAlives: true,
	}}
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
// as the settings say; ctx bounds the whole of that.
func (k *SDK) CreateStream(ctx context.Context, table TableProperties, auth Auth, opts ...StreamOption) (*Stream, error) {
	const op = "create stream"
	cfg := DefaultStreamSettings()
	for _, o := range opts {
		o(&cfg)
	}
	if err := table.validate(op); err != nil {
		return nil, err
	}
	if err := cfg.Validate(); err != nil {
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
