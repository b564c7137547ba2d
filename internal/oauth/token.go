package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/internal/rest"
)

const (
	// DefaultTimeout bounds a request whose context has no earlier deadline.
	DefaultTimeout = rest.Timeout

	// maxBody bounds what is read of an answer. Tokens of the service have some 3 kB.
	maxBody = 256 << 10
)

// Error is why there is no token.
type Error = rest.Error

// Config is one token request.
type Config struct {
	WorkspaceURL string       // where the token endpoint is; https unless the URL says http; a path stays in front
	WorkspaceID  string       // the workspace that the token is for
	Table        string       // catalog.schema.table; empty, as the workspace's id, for a token for the workspace's other APIs
	ClientID     string       // the service principal
	ClientSecret string       // its secret
	Client       *http.Client // nil for one of the package's own; its redirect policy is not used
}

// Token is an access token. It prints without the token itself.
type Token struct {
	Access    string        // the bearer token: printable ASCII, so fit for a header
	ExpiresIn time.Duration // from the time of the answer; 0 when the server did not say
}

// String tells the token's lifetime only.
func (t Token) String() string { return fmt.Sprintf("token (hidden), expires in %v", t.ExpiresIn) }

// GoString tells what String tells.
func (t Token) GoString() string { return t.String() }

// Format tells what String tells, so that no verb prints the token.
func (t Token) Format(f fmt.State, _ rune) { fmt.Fprint(f, t.String()) }

// LogValue tells what String tells.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText gives what String tells, so that no encoder writes the token.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// String tells everything but the secret.
func (c Config) String() string {
	return fmt.Sprintf("token request of %q to %s for table %q, workspace %q", c.ClientID, hideUserinfo(c.WorkspaceURL), c.Table, c.WorkspaceID)
}

// GoString tells what String tells.
func (c Config) GoString() string { return c.String() }

// Format tells what String tells, so that no verb prints the secret.
func (c Config) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// LogValue tells what String tells.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText gives what String tells, so that no encoder writes the secret.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Fetch asks for a token. It returns within [DefaultTimeout] or when ctx ends, whichever is first, and does not retry.
// Errors are of type [*Error].
func Fetch(ctx context.Context, c Config) (Token, error) {
	endpoint, err := TokenURL(c.WorkspaceURL)
	if err != nil {
		return Token{}, &Error{Op: op, Err: err}
	}
	form, err := c.form()
	if err != nil {
		return Token{}, &Error{Op: op, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, DefaultTimeout)
	defer cancel()

	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return Token{}, &Error{Op: op, Err: errors.New("the workspace URL makes no request")}
	}
	// RFC 6749 would have both escaped as in a form first. The service and its other clients do not.
	req.SetBasicAuth(c.ClientID, c.ClientSecret)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")

	call := rest.Call{Op: op, Max: maxBody, Secrets: c.secrets(), Client: c.Client}
	body, err := call.Do(req)
	if err != nil {
		return Token{}, err
	}
	token, err := parseToken(body)
	if err != nil {
		return Token{}, call.Bad(err)
	}
	return token, nil
}

// op is the request, for errors.
const op = "token request"

// secrets are the secret, and the forms in which the request carries it.
func (c Config) secrets() []string {
	return []string{c.ClientSecret, url.QueryEscape(c.ClientSecret), basicCredentials(c.ClientID, c.ClientSecret)}
}

// basicCredentials returns what stands behind "Basic " in the request's header.
func basicCredentials(id, secret string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(id, secret)
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")
}

// TokenURL returns the token endpoint of a workspace. Errors do not repeat the URL, which may hold a password.
func TokenURL(workspace string) (string, error) {
	return rest.URL(workspace, "oidc", "v1", "token")
}

// privilege is one element of authorization_details. Its fields are declared in the order in which other clients send
// them.
type privilege struct {
	Type           string   `json:"type"`
	Privileges     []string `json:"privileges"`
	ObjectType     string   `json:"object_type"`
	ObjectFullPath string   `json:"object_full_path"`
}

// form returns the fields of the request: four, or two for the workspace's other APIs.
func (c Config) form() (url.Values, error) {
	if c.ClientID == "" || c.ClientSecret == "" {
		return nil, errors.New("the client id or the client secret is empty")
	}
	if c.WorkspaceID == "" && c.Table == "" {
		return url.Values{"grant_type": {"client_credentials"}, "scope": {"all-apis"}}, nil
	}
	if c.WorkspaceID == "" {
		return nil, errors.New("the workspace id is empty")
	}
	parts := strings.Split(c.Table, ".")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return nil, fmt.Errorf("table name %q: it has three parts, catalog.schema.table", c.Table)
	}
	const kind = "unity_catalog_privileges"
	details, err := json.Marshal([]privilege{
		{kind, []string{"USE CATALOG"}, "CATALOG", parts[0]},
		{kind, []string{"USE SCHEMA"}, "SCHEMA", parts[0] + "." + parts[1]},
		{kind, []string{"SELECT", "MODIFY"}, "TABLE", c.Table},
	})
	if err != nil {
		return nil, err
	}
	return url.Values{
		"grant_type":            {"client_credentials"},
		"scope":                 {"all-apis"},
		"resource":              {"api://databricks/workspaces/" + c.WorkspaceID + "/zerobusDirectWriteApi"},
		"authorization_details": {string(details)},
	}, nil
}

// parseToken reads the answer of a request that was granted. Errors do not repeat any of it.
func parseToken(body []byte) (Token, error) {
	var answer struct {
		AccessToken string  `json:"access_token"`
		TokenType   string  `json:"token_type"`
		ExpiresIn   seconds `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return Token{}, errors.New("the answer is not the JSON of a token")
	}
	if answer.AccessToken == "" {
		return Token{}, errors.New("the answer has no access_token")
	}
	if answer.TokenType != "" && !strings.EqualFold(answer.TokenType, "bearer") {
		return Token{}, errors.New("the answer's token_type is not Bearer")
	}
	for i := range len(answer.AccessToken) {
		if c := answer.AccessToken[i]; c <= ' ' || c > '~' {
			return Token{}, errors.New("the access_token has characters that a header cannot carry")
		}
	}
	return Token{Access: answer.AccessToken, ExpiresIn: time.Duration(answer.ExpiresIn)}, nil
}

// seconds is expires_in: a number, or a number in quotes, as some servers have it. Absent, null and what is not
// positive are 0, which callers take as "do not keep the token".
type seconds time.Duration

// UnmarshalJSON refuses what is neither; a lifetime that a time.Duration cannot hold is the longest one.
func (s *seconds) UnmarshalJSON(b []byte) error {
	text := string(b)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	if text == "null" {
		return nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return errors.New("expires_in is not a number")
	}
	switch {
	case v <= 0:
		*s = 0
	case v >= float64(math.MaxInt64)/float64(time.Second):
		*s = math.MaxInt64
	default:
		*s = seconds(v * float64(time.Second))
	}
	return nil
}

// hideUserinfo returns the URL without a password, for messages.
func hideUserinfo(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return "(hidden)" + s[i:]
	}
	return s
}
