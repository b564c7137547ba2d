package zerobus

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/zerobus-go/zerobus/internal/dial"
	"github.com/zerobus-go/zerobus/internal/oauth"
)

// OAuthConfig says where and for what a token is requested. Most programs give [ClientCredentials] to CreateStream and
// need none.
type OAuthConfig struct {
	WorkspaceURL string            // such as https://dbc-a1b2c3d4.cloud.databricks.com; https is assumed without a scheme
	WorkspaceID  string            // of the workspace that the token is for; see [ParseWorkspaceURL]
	Table        string            // catalog.schema.table
	Credentials  ClientCredentials // of the service principal

	// HTTPClient makes the request. Nil means that of the stream's SDK, with its proxy and its trust; for [FetchToken],
	// which has no stream, one that uses the proxies of the environment and the system's root certificates. Its redirect
	// policy is not used: redirects are not followed.
	HTTPClient *http.Client
}

func (c OAuthConfig) request() oauth.Config {
	return oauth.Config{
		WorkspaceURL: c.WorkspaceURL,
		WorkspaceID:  c.WorkspaceID,
		Table:        c.Table,
		ClientID:     c.Credentials.ID,
		ClientSecret: c.Credentials.Secret,
		Client:       c.HTTPClient,
	}
}

// Token is an access token. Printed, it does not show itself.
type Token struct {
	// Access is the token, for the header "authorization: Bearer …".
	Access string

	// ExpiresIn counts from the server's answer. It is 0 when the server did not say.
	ExpiresIn time.Duration
}

// String tells the token's lifetime only.
func (t Token) String() string { return fmt.Sprintf("token (hidden), expires in %v", t.ExpiresIn) }

// Format tells what String tells, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) { fmt.Fprint(f, t.String()) }

// MarshalText tells what String tells, so that no encoder writes the token.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// FetchToken requests a token, once and without a cache. It returns when ctx ends, or after 30 s. A refusal is an ErrAuth,
// a bad configuration an ErrInvalidArgument; anything else may be retried.
func FetchToken(ctx context.Context, cfg OAuthConfig) (Token, error) {
	const op = "fetch token"
	if ctx == nil {
		return Token{}, newError(op, cfg.Table, ErrInvalidArgument, errNilContext)
	}
	request := cfg.request()
	if request.Client == nil {
		proxies, err := dial.ProxyFromEnvironment(os.Getenv)
		if err != nil {
			return Token{}, newError(op, cfg.Table, ErrInvalidArgument, err)
		}
		request.Client = tokenClient(nil, proxies)
	}
	t, err := oauth.Fetch(ctx, request)
	if err != nil {
		return Token{}, newError(op, cfg.Table, nil, tokenError(err))
	}
	return Token{Access: t.Access, ExpiresIn: t.ExpiresIn}, nil
}

// NewOAuthHeadersProvider returns a provider that requests tokens as cfg says, whatever the workspace of the SDK is, and
// keeps them as [ClientCredentials] do. What cfg leaves empty of workspace and table is that of the stream.
func NewOAuthHeadersProvider(cfg OAuthConfig) HeadersProvider {
	return &oauthProvider{cfg: cfg.request}
}

type oauthProvider struct {
	cfg    func() oauth.Config // a function hides the secret from package fmt
	tokens oauth.Cache
}

// Headers returns the header with a token.
func (p *oauthProvider) Headers(ctx context.Context) ([]Header, error) {
	if ctx == nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidArgument, errNilContext)
	}
	cfg := p.cfg()
	t, _ := targetOf(ctx)
	for _, field := range []struct {
		own    *string
		stream string
	}{{&cfg.WorkspaceURL, t.WorkspaceURL}, {&cfg.WorkspaceID, t.WorkspaceID}, {&cfg.Table, t.Table}} {
		if *field.own == "" {
			*field.own = field.stream
		}
	}
	if cfg.Client == nil {
		cfg.Client = t.http
	}
	return t.authorize(ctx, &p.tokens, cfg)
}

// Format hides the credentials.
func (p *oauthProvider) Format(f fmt.State, _ rune) { fmt.Fprint(f, "OAuth headers provider") }

// BearerTokens is a provider of tokens that come from elsewhere, such as an oauth2.TokenSource or a token manager. The
// function is called for every try to connect and should keep its token for as long as it is good.
//
// An error counts as a failure to connect and is retried as such, unless it wraps [ErrNonRetriable], [ErrAuth] or
// [ErrInvalidArgument].
func BearerTokens(token func(ctx context.Context) (string, error)) HeadersProvider {
	return HeadersProviderFunc(func(ctx context.Context) ([]Header, error) {
		if token == nil {
			return nil, fmt.Errorf("%w: the function of BearerTokens is nil", ErrInvalidArgument)
		}
		t, err := token(ctx)
		if err != nil {
			return nil, err
		}
		return []Header{{headerAuthorization, "Bearer " + t}}, nil
	})
}
