package zerobus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc/metadata"

	"github.com/zerobus-go/zerobus/internal/oauth"
	"github.com/zerobus-go/zerobus/internal/recovery"
)

// Names of headers that every connection has.
const (
	headerAuthorization = "authorization"
	headerTable         = "x-databricks-zerobus-table-name"
	headerSDK           = "x-zerobus-sdk"
)

// A Header is one name and value of the metadata with which a stream is opened.
type Header struct {
	Name, Value string // the name in any case; the value in printable ASCII, unless the name ends in -bin
}

// String hides the value, which may be a token.
func (h Header) String() string { return h.Name + ": (hidden)" }

// Format hides the value, whatever the verb.
func (h Header) Format(f fmt.State, _ rune) { fmt.Fprint(f, h.String()) }

// MarshalText hides the value, so that no encoder writes it.
func (h Header) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// HeadersProvider gives the headers with which a stream is opened. It is called for every try to connect, so a token
// may be renewed each time.
//
// There must be an authorization header. x-databricks-zerobus-table-name is filled in when it is missing. More headers
// may follow, but none whose name begins with x-zerobus-producer-, which [WithProducerID] is for. ctx ends with the try's
// time, and [TargetFrom] tells which table it is for.
//
// It may be called concurrently: by streams that share it, and by the next try while a call goes on that does not heed ctx.
//
// An error counts as a failure to connect and is retried as such, unless it wraps [ErrNonRetriable], [ErrAuth] or
// [ErrInvalidArgument].
type HeadersProvider interface {
	Headers(ctx context.Context) ([]Header, error)
}

// Auth says how a stream authenticates: [ClientCredentials] or any other [HeadersProvider].
type Auth = HeadersProvider

// HeadersProviderFunc is a function that is a [HeadersProvider].
type HeadersProviderFunc func(ctx context.Context) ([]Header, error)

// Headers calls the function.
func (f HeadersProviderFunc) Headers(ctx context.Context) ([]Header, error) {
	if f == nil {
		return nil, fmt.Errorf("%w: the HeadersProviderFunc is nil", ErrInvalidArgument)
	}
	return f(ctx)
}

// StaticHeaders are headers that never change.
type StaticHeaders []Header

// Headers returns the headers.
func (h StaticHeaders) Headers(context.Context) ([]Header, error) { return h, nil }

// Target is what a [HeadersProvider] may want to know about the stream that it opens.
type Target struct {
	Table        string // catalog.schema.table
	WorkspaceURL string // as given to New; may be empty
	WorkspaceID  string // as derived from the server's endpoint
}

type targetKey struct{}

// target is the context value: the public part, and what our own token request needs.
type target struct {
	Target
	http   *http.Client
	tokens *oauth.Cache
	grant  *atomic.Pointer[oauth.Grant] // filled by our own providers, so that a refused token can be given up
}

// TargetFrom returns the target of the stream for which a provider is called. It is false for contexts that do not come
// from this package.
func TargetFrom(ctx context.Context) (Target, bool) {
	t, ok := targetOf(ctx)
	return t.Target, ok
}

func targetOf(ctx context.Context) (target, bool) {
	if ctx == nil {
		return target{}, false
	}
	t, ok := ctx.Value(targetKey{}).(target)
	return t, ok
}

// ClientCredentials are those of a service principal: a token for the stream's table is requested from the workspace
// with OAuth 2.0 client credentials. The SDK keeps it for the connections to come, renews it five minutes before it
// expires, and gives it up when a server refuses it.
//
// Printed, logged or marshalled, the secret is not shown. Only in an unexported field of another struct does package fmt
// not ask, so do not print such a struct.
type ClientCredentials struct {
	ID, Secret string // of the service principal
}

// Headers returns the header with a token. It works in contexts that come from this package, which tell the workspace and
// the table; elsewhere there are [FetchToken] and [NewOAuthHeadersProvider].
func (c ClientCredentials) Headers(ctx context.Context) ([]Header, error) {
	t, ok := targetOf(ctx)
	if !ok {
		return nil, fmt.Errorf("%w: client credentials are for CreateStream, which says for which table", ErrInvalidArgument)
	}
	return t.authorize(ctx, t.tokens, oauth.Config{
		WorkspaceURL: t.WorkspaceURL,
		WorkspaceID:  t.WorkspaceID,
		Table:        t.Table,
		ClientID:     c.ID,
		ClientSecret: c.Secret,
		Client:       t.http,
	})
}

// authorize returns the header with a token, and leaves word of it for the connection.
func (t target) authorize(ctx context.Context, tokens *oauth.Cache, cfg oauth.Config) ([]Header, error) {
	grant, err := tokens.Get(ctx, cfg)
	if err != nil {
		return nil, tokenError(err)
	}
	if t.grant != nil {
		t.grant.Store(&grant)
	}
	return []Header{{headerAuthorization, "Bearer " + grant.Access()}}, nil
}

// tokenError says of which kind a failed token request is.
func tokenError(err error) error {
	var e *oauth.Error
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &e) && e.Retriable:
		return err
	case e != nil && (e.Status == http.StatusBadRequest || e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden):
		return fmt.Errorf("%w: %w", ErrAuth, err)
	case errors.As(err, &untrusted):
		return recovery.Permanent(err)
	}
	return fmt.Errorf("%w: %w", ErrInvalidArgument, err)
}

// String shows the id only.
func (c ClientCredentials) String() string {
	return fmt.Sprintf("client credentials of %q, secret hidden", c.ID)
}

// GoString shows what String shows.
func (c ClientCredentials) GoString() string { return c.String() }

// Format shows what String shows, whatever the verb.
func (c ClientCredentials) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// LogValue shows what String shows.
func (c ClientCredentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText shows what String shows, so that no encoder writes the secret.
func (c ClientCredentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// fetchHeaders calls the provider and checks what it gives. Errors that another try would meet again are marked. The grant
// is nil when the token is not one that the SDK requested.
func fetchHeaders(ctx context.Context, auth Auth, t target, log *slog.Logger) (metadata.MD, *oauth.Grant, error) {
	t.grant = new(atomic.Pointer[oauth.Grant])
	headers, err := callProvider(context.WithValue(ctx, targetKey{}, t), auth)
	if err == nil {
		var md metadata.MD
		if md, err = buildMetadata(headers, t.Table, log); err == nil {
			return md, t.grant.Load(), nil
		}
	} else {
		err = fmt.Errorf("headers of the stream: %w", err)
	}
	// A gRPC code in it is not the server's.
	var known *Error
	if isTerminal(err) || errors.As(err, &known) && !known.Retriable {
		err = recovery.Permanent(err)
	}
	return nil, nil, headersError{err}
}

// callProvider returns when ctx ends, even if the provider does not heed it: its goroutine ends when the provider does.
func callProvider(ctx context.Context, auth Auth) ([]Header, error) {
	type answer struct {
		headers []Header
		err     error
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	c := make(chan answer, 1)
	go func() {
		// A provider runs on a goroutine that is not its caller's: nobody else could catch its panic.
		defer func() {
			if p := recover(); p != nil {
				c <- answer{nil, recovery.Permanent(fmt.Errorf("the headers provider panicked: %v", p))}
			}
		}()
		h, err := auth.Headers(ctx)
		c <- answer{h, err}
	}()
	select {
	case a := <-c:
		return a.headers, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// buildMetadata checks the headers, and adds those that are missing. Errors do not repeat values.
func buildMetadata(headers []Header, table string, log *slog.Logger) (metadata.MD, error) {
	md := metadata.MD{}
	for _, h := range headers {
		name := strings.ToLower(h.Name)
		if err := checkHeader(name, h.Value); err != nil {
			return nil, fmt.Errorf("%w: header %q: %w", ErrInvalidArgument, h.Name, err)
		}
		md.Append(name, h.Value)
	}
	switch {
	case len(md[headerAuthorization]) != 1 || md[headerAuthorization][0] == "":
		return nil, fmt.Errorf("%w: the headers provider gave %d authorization headers; there must be one, and not empty",
			ErrInvalidArgument, len(md[headerAuthorization]))
	case len(md[headerTable]) == 0:
		md.Set(headerTable, table)
	case md[headerTable][0] != table || len(md[headerTable]) > 1:
		log.Warn("the headers provider names another table than the stream's", "header", md[headerTable])
	}
	if len(md[headerSDK]) == 0 {
		md.Set(headerSDK, identity)
	}
	return md, nil
}

func checkHeader(name, value string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case strings.HasPrefix(name, headerProducerPrefix):
		return errors.New("the stream gives it; see WithProducerID")
	case strings.HasPrefix(name, "grpc-"), name == "content-type", name == "te", name == "user-agent":
		return errors.New("the name is reserved for gRPC")
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return errors.New("the name has characters that a header name cannot have")
		}
	}
	if strings.HasSuffix(name, "-bin") {
		return nil // gRPC encodes it
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' {
			return errors.New("the value has characters that a header cannot carry")
		}
	}
	return nil
}
