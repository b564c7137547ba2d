package rest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Timeout bounds a request whose context has no earlier deadline.
const Timeout = 30 * time.Second

// URL is a URL of a workspace: its base, which is https unless it says http, and in which a path stays in front; and the
// elements of a path, which are escaped. Errors do not repeat the base, which may hold a password.
func URL(workspace string, path ...string) (string, error) {
	if workspace == "" {
		return "", errors.New("the workspace URL is empty; it looks like https://<instance>.cloud.databricks.com")
	}
	if !strings.Contains(workspace, "://") {
		workspace = "https://" + workspace
	}
	u, err := url.Parse(workspace)
	if err != nil {
		return "", errors.New("the workspace URL is not a URL")
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("the workspace URL has a scheme that is neither https nor http")
	case u.Hostname() == "":
		return "", errors.New("the workspace URL has no host")
	case u.User != nil:
		return "", errors.New("the workspace URL has user information; remove everything up to the @")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("the workspace URL has a query or a fragment; remove it")
	}
	escaped := make([]string, len(path))
	for i, element := range path {
		escaped[i] = url.PathEscape(element)
	}
	return u.JoinPath(escaped...).String(), nil
}

// A Call is what is special about a request.
type Call struct {
	Op      string   // what it is, for errors: "token request"
	Max     int      // bytes that the answer may have
	Secrets []string // what it carries and nobody may see
	Client  *http.Client
}

// Do makes the request and returns the body of the answer. A nil Client is one of the package's own; the redirect policy of
// any other is not used. Errors are of type [*Error].
func (c Call) Do(req *http.Request) ([]byte, error) {
	resp, err := c.client().Do(req)
	if err != nil {
		return nil, c.networkError(req, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(c.Max)+1))
	if resp.StatusCode != http.StatusOK {
		return nil, c.answerError(resp.StatusCode, body) // also if the explanation breaks off: a refusal is one
	}
	if err != nil {
		return nil, c.networkError(req, err)
	}
	if len(body) > c.Max {
		return nil, c.Bad(fmt.Errorf("the answer has more than %d bytes", c.Max))
	}
	return body, nil
}

// Bad is the error of an answer that is 200 and is not what it should be.
func (c Call) Bad(err error) *Error {
	return &Error{Op: c.Op, Status: http.StatusOK, Err: c.cleaned(err)}
}

// defaultTransport keeps no connections: requests are rare, and an idle connection costs goroutines. It is not
// http.DefaultTransport, which any package of a program may replace by one that sees the secret.
var defaultTransport = &http.Transport{
	Proxy:               http.ProxyFromEnvironment,
	ForceAttemptHTTP2:   true,
	DisableKeepAlives:   true,
	TLSHandshakeTimeout: 10 * time.Second,
}

// client returns a copy of the configured client that follows no redirect.
func (c Call) client() *http.Client {
	client := http.Client{Transport: defaultTransport}
	if c.Client != nil {
		client = *c.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}
