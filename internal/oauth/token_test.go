package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

const (
	secret = "s3cr3t/+ä"
	token  = "eyJhbGciOiJFUzI1NiJ9.claims.signature"
)

func config(workspace string) Config {
	return Config{
		WorkspaceURL: workspace,
		WorkspaceID:  "1234567890",
		Table:        "main.default.air_quality",
		ClientID:     "client",
		ClientSecret: secret,
	}
}

// answering is a workspace that gives one answer to all requests, and counts them.
func answering(t *testing.T, status int, body string) (url string, calls *atomic.Int32) {
	t.Helper()
	calls = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL, calls
}

// mustFail fetches, and returns the error, of which it checks what holds for all (AU-12).
func mustFail(t *testing.T, ctx context.Context, c Config) *Error {
	t.Helper()
	got, err := Fetch(ctx, c)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, %v, want an *Error", got, err)
	}
	if got != (Token{}) {
		t.Errorf("a token comes with the error %v", err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		noSecrets(t, fmt.Sprintf(verb, err))
		noSecrets(t, fmt.Sprintf(verb, *e))
	}
	return e
}

func noSecrets(t *testing.T, text string) {
	t.Helper()
	for _, s := range []string{secret, url.QueryEscape(secret), basicCredentials("client", secret), token} {
		if strings.Contains(text, s) {
			t.Errorf("%q contains %q", text, s)
		}
	}
}

func TestFetch_AU07_RequestIsExact(t *testing.T) {
	var method, path, contentType, user, password string
	var form url.Values
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method, path, contentType = r.Method, r.RequestURI, r.Header.Get("Content-Type")
		user, password, _ = r.BasicAuth()
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		form = r.PostForm
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600,"scope":"all-apis"}`, token)
	}))
	defer s.Close()
	got, err := Fetch(t.Context(), config(s.URL))
	if err != nil || got != (Token{Access: token, ExpiresIn: time.Hour}) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if method != "POST" || path != "/oidc/v1/token" || contentType != "application/x-www-form-urlencoded" {
		t.Errorf("%s %s with %s", method, path, contentType)
	}
	if user != "client" || password != secret {
		t.Errorf("basic authentication as %q with %q", user, password)
	}
	want := map[string]string{
		"grant_type": "client_credentials",
		"scope":      "all-apis",
		"resource":   "api://databricks/workspaces/1234567890/zerobusDirectWriteApi",
		"authorization_details": `[` +
			`{"type":"unity_catalog_privileges","privileges":["USE CATALOG"],"object_type":"CATALOG","object_full_path":"main"},` +
			`{"type":"unity_catalog_privileges","privileges":["USE SCHEMA"],"object_type":"SCHEMA","object_full_path":"main.default"},` +
			`{"type":"unity_catalog_privileges","privileges":["SELECT","MODIFY"],"object_type":"TABLE","object_full_path":"main.default.air_quality"}` +
			`]`,
	}
	for key, value := range want {
		if got := form[key]; len(got) != 1 || got[0] != value {
			t.Errorf("%s is %q\nwant %q", key, got, value)
		}
	}
	if len(form) != len(want) {
		t.Errorf("the form has %d fields: %v", len(form), form)
	}
}

func TestFetch_AU08_AU09_Status(t *testing.T) {
	tests := []struct {
		status    int
		retriable bool
	}{
		{400, false},
		{401, false},
		{403, false},
		{404, false},
		{422, false},
		{301, false},
		{302, false},
		{307, false},
		{204, false},
		{408, true},
		{429, true},
		{500, true},
		{502, true},
		{503, true},
		{504, true},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			body := `{"error":"invalid_client","error_description":"Client authentication failed"}`
			if tt.status == 204 {
				body = ""
			}
			base, calls := answering(t, tt.status, body)
			e := mustFail(t, t.Context(), config(base))
			if e.Status != tt.status || e.Retriable != tt.retriable {
				t.Errorf("status %d, retriable %v", e.Status, e.Retriable)
			}
			if calls.Load() != 1 {
				t.Errorf("%d calls", calls.Load())
			}
			if !strings.Contains(e.Error(), fmt.Sprint(tt.status)) {
				t.Errorf("%q does not tell the status", e)
			}
			if tt.status >= 400 && (e.Code != "invalid_client" || e.Description != "Client authentication failed" ||
				!strings.Contains(e.Error(), "invalid_client: Client authentication failed")) {
				t.Errorf("%q: code %q, description %q", e, e.Code, e.Description)
			}
		})
	}
}

func TestFetch_AU09_NoAnswerIsRetriable(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		if e := mustFail(t, t.Context(), config("http://"+addr)); !e.Retriable || e.Status != 0 {
			t.Errorf("%v: retriable %v, status %d", e, e.Retriable, e.Status)
		}
	})
	t.Run("connection breaks in the body", func(t *testing.T) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, `{"access_token":"`+token)
		}))
		defer s.Close()
		if e := mustFail(t, t.Context(), config(s.URL)); !e.Retriable || !errors.Is(e, io.ErrUnexpectedEOF) {
			t.Errorf("%v: retriable %v", e, e.Retriable)
		}
	})
}

// A refusal is one, also when its explanation breaks off (pitfall 59).
func TestFetch_AU08_BrokenRefusal(t *testing.T) {
	for status, retriable := range map[int]bool{401: false, 403: false, 429: true, 503: true} {
		c := config("https://workspace")
		c.Client = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			body := io.MultiReader(strings.NewReader(`{"error":"inv`), iotest.ErrReader(io.ErrUnexpectedEOF))
			return &http.Response{StatusCode: status, Body: io.NopCloser(body), Request: r}, nil
		})}
		if e := mustFail(t, t.Context(), c); e.Status != status || e.Retriable != retriable {
			t.Errorf("%d: %v, status %d, retriable %v", status, e, e.Status, e.Retriable)
		}
	}
}

// roundTripper is a network.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestFetch_AU15_HangingEndpointIsBounded(t *testing.T) {
	hang := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})}
	for name, tt := range map[string]struct{ timeout, want time.Duration }{
		"by the context": {3 * time.Second, 3 * time.Second},
		"by the default": {time.Hour, DefaultTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
				defer cancel()
				start := time.Now()
				c := config("https://workspace")
				c.Client = hang
				e := mustFail(t, ctx, c)
				if !e.Retriable || !errors.Is(e, context.DeadlineExceeded) {
					t.Errorf("%v: retriable %v", e, e.Retriable)
				}
				if d := time.Since(start); d != tt.want {
					t.Errorf("took %v, want %v", d, tt.want)
				}
			})
		})
	}
}

func TestFetch_AU10_MalformedAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"empty":               "",
		"no JSON":             token,
		"a list":              `["` + token + `"]`,
		"cut off":             `{"access_token":"` + token,
		"no access_token":     `{"token_type":"Bearer","expires_in":3600}`,
		"empty access_token":  `{"access_token":""}`,
		"number for a token":  `{"access_token":12}`,
		"line break in it":    `{"access_token":"` + token + `\r\nx-admin: 1"}`,
		"space in it":         `{"access_token":"` + token + ` x"}`,
		"not ASCII":           `{"access_token":"` + token + `ü"}`,
		"control character":   `{"access_token":"` + token + `\u007f"}`,
		"other token type":    `{"access_token":"` + token + `","token_type":"mac"}`,
		"expires_in a word":   `{"access_token":"` + token + `","expires_in":"soon"}`,
		"expires_in a list":   `{"access_token":"` + token + `","expires_in":[3600]}`,
		"expires_in NaN":      `{"access_token":"` + token + `","expires_in":"NaN"}`,
		"expires_in Inf":      `{"access_token":"` + token + `","expires_in":"Inf"}`,
		"more than the limit": `{"access_token":"` + token + `","pad":"` + strings.Repeat("x", maxBody) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			base, calls := answering(t, 200, body)
			if e := mustFail(t, t.Context(), config(base)); e.Retriable || e.Status != 200 || e.Err == nil {
				t.Errorf("%v: retriable %v, status %d", e, e.Retriable, e.Status)
			}
			if calls.Load() != 1 {
				t.Errorf("%d calls", calls.Load())
			}
		})
	}
}

// endless is an answer without end.
type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	e.read += len(b)
	if e.read > 100*maxBody {
		return 0, errors.New("read far too much")
	}
	return len(b), nil
}

func (e *endless) Close() error { return nil }

func TestAnswersAreReadUpToALimit(t *testing.T) {
	for _, status := range []int{200, 401} {
		body := &endless{}
		c := config("https://workspace")
		c.Client = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: body, Request: r}, nil
		})}
		if e := mustFail(t, t.Context(), c); e.Retriable || e.Status != status {
			t.Errorf("%v: retriable %v, status %d", e, e.Retriable, e.Status)
		}
		if body.read > 2*maxBody {
			t.Errorf("%d bytes were read", body.read)
		}
	}
}

func TestExpiresIn(t *testing.T) {
	for in, want := range map[string]time.Duration{
		`3600`: time.Hour, `"3600"`: time.Hour, `3600.5`: time.Hour + 500*time.Millisecond, `0`: 0, `-5`: 0, `null`: 0,
		`1e300`: math.MaxInt64, `"1e300"`: math.MaxInt64, `9223372036.8547758`: math.MaxInt64,
	} {
		got, err := parseToken([]byte(`{"access_token":"t","expires_in":` + in + `}`))
		if err != nil || got.ExpiresIn != want {
			t.Errorf("expires_in %s is %v, %v, want %v", in, got.ExpiresIn, err, want)
		}
	}
	if got, err := parseToken([]byte(`{"access_token":"t"}`)); err != nil || got.ExpiresIn != 0 {
		t.Errorf("without expires_in: %v, %v", got.ExpiresIn, err)
	}
}

func TestFetch_AU11_WorkspaceURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://w.cloud.databricks.com":   "https://w.cloud.databricks.com/oidc/v1/token",
		"https://w.cloud.databricks.com/":  "https://w.cloud.databricks.com/oidc/v1/token",
		"https://w.cloud.databricks.com//": "https://w.cloud.databricks.com/oidc/v1/token",
		"w.cloud.databricks.com":           "https://w.cloud.databricks.com/oidc/v1/token",
		"localhost:8981":                   "https://localhost:8981/oidc/v1/token",
		"http://localhost:8981":            "http://localhost:8981/oidc/v1/token",
		"HTTPS://W.example:444/prefix/":    "https://W.example:444/prefix/oidc/v1/token",
		"http://[::1]:8981/a/b":            "http://[::1]:8981/a/b/oidc/v1/token",
	} {
		if got, err := TokenURL(in); err != nil || got != want {
			t.Errorf("%q gives %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "ftp://w", "https://", "https:///path", "https://user:" + url.QueryEscape(secret) + "@w", "user:" + secret + "@w",
		"https://w?o=1", "https://w?", "https://w#top", "https://w:port", "https://[::1", "https://w\n",
	} {
		e := mustFail(t, t.Context(), config(in))
		if e.Retriable || e.Status != 0 {
			t.Errorf("%q: %v, retriable %v, status %d", in, e, e.Retriable, e.Status)
		}
	}
}

func TestFetchChecksItsConfig(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no id":           func(c *Config) { c.ClientID = "" },
		"no secret":       func(c *Config) { c.ClientSecret = "" },
		"no workspace id": func(c *Config) { c.WorkspaceID = "" },
		"two parts":       func(c *Config) { c.Table = "a.b" },
		"four parts":      func(c *Config) { c.Table = "a.b.c.d" },
		"empty part":      func(c *Config) { c.Table = "a..c" },
	} {
		t.Run(name, func(t *testing.T) {
			base, calls := answering(t, 200, `{"access_token":"t"}`)
			c := config(base)
			change(&c)
			if e := mustFail(t, t.Context(), c); e.Retriable {
				t.Errorf("%v is retriable", e)
			}
			if calls.Load() != 0 {
				t.Error("a request was made")
			}
		})
	}
}

// The secret goes nowhere but where the user sent it, also when the user's client would follow.
func TestRedirectsAreNotFollowed(t *testing.T) {
	base, calls := answering(t, 200, `{"access_token":"stolen"}`)
	s := httptest.NewServer(http.RedirectHandler(base, http.StatusTemporaryRedirect))
	defer s.Close()
	c := config(s.URL)
	c.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
	e := mustFail(t, t.Context(), c)
	if e.Retriable || e.Status != http.StatusTemporaryRedirect || !strings.Contains(e.Error(), "redirect") {
		t.Errorf("%v: retriable %v", e, e.Retriable)
	}
	if calls.Load() != 0 {
		t.Error("the redirect was followed")
	}
	if c.Client.CheckRedirect(nil, nil) != nil {
		t.Error("the user's client was changed")
	}
}

func TestFetch_AU12_ServerEchoesTheRequest(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		w.WriteHeader(http.StatusUnauthorized)
		json.NewEncoder(w).Encode(map[string]string{
			"error":             r.Header.Get("Authorization"),
			"error_description": "bad secret " + password + " or " + url.QueryEscape(password) + "\nred \x1b[31m " + strings.Repeat("long", 1000),
		})
	}))
	defer s.Close()
	e := mustFail(t, t.Context(), config(s.URL)) // checks for the secret
	if strings.ContainsAny(e.Error(), "\n\x1b") || len(e.Error()) > 2000 {
		t.Errorf("the server's text is not cleaned: %q", e.Error())
	}
	if !strings.Contains(e.Description, "bad secret (hidden) or (hidden)") {
		t.Errorf("description is %q", e.Description)
	}
}

func TestFetch_AU12_ValuesPrintWithoutSecrets(t *testing.T) {
	c := config("https://user:" + secret + "@w")
	tok := Token{Access: token, ExpiresIn: time.Minute}
	for _, v := range []any{c, &c, tok, &tok, struct{ T Token }{tok}} {
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
		texts := []string{log.String()}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			texts = append(texts, fmt.Sprintf(verb, v))
		}
		if b, err := json.Marshal(v); err != nil {
			t.Error(err)
		} else {
			texts = append(texts, string(b))
		}
		for _, text := range texts {
			noSecrets(t, text)
			if !strings.Contains(text, "hidden") {
				t.Errorf("prints %q", text)
			}
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add([]byte(`{"access_token":"t","token_type":"Bearer","expires_in":3600}`))
	f.Add([]byte(`{"access_token":"t","expires_in":"3600"}`))
	f.Add([]byte(`{"access_token":"t\n","expires_in":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := parseToken(body)
		if err != nil {
			if got != (Token{}) {
				t.Errorf("a token comes with %v", err)
			}
			return
		}
		if got.Access == "" || got.ExpiresIn < 0 {
			t.Errorf("%#v", got)
		}
		r, _ := http.NewRequest("GET", "http://w", nil)
		r.Header.Set("Authorization", "Bearer "+got.Access)
		if err := r.Header.Write(io.Discard); err != nil || strings.ContainsAny(got.Access, "\r\n\x00 ") {
			t.Errorf("token %q is not fit for a header: %v", got.Access, err)
		}
	})
}
