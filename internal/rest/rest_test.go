package rest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestURL(t *testing.T) {
	for _, tt := range []struct {
		base string
		path []string
		want string // or the beginning of the error
	}{
		{"example.com", []string{"a", "b"}, "https://example.com/a/b"},
		{"http://example.com:8080/", []string{"a"}, "http://example.com:8080/a"},
		{"https://example.com/unity/", []string{"api", "2.1"}, "https://example.com/unity/api/2.1"},
		{"https://example.com", []string{"tables", "c.s.a/b c%d?e#f"}, "https://example.com/tables/c.s.a%2Fb%20c%25d%3Fe%23f"},
		{"https://example.com", []string{"tables", "größe"}, "https://example.com/tables/gr%C3%B6%C3%9Fe"},
		{"", nil, "the workspace URL is empty"},
		{"ftp://example.com", nil, "the workspace URL has a scheme"},
		{"https://", nil, "the workspace URL has no host"},
		{"https://me:secret@example.com", nil, "the workspace URL has user information"},
		{"https://example.com?a=b", nil, "the workspace URL has a query"},
		{"https://exa mple.com", nil, "the workspace URL is not a URL"},
	} {
		got, err := URL(tt.base, tt.path...)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want && (err == nil || !strings.HasPrefix(got, tt.want)) || strings.Contains(got, "secret") {
			t.Errorf("%s %q: %s", tt.base, tt.path, got)
		}
	}
}

func TestCall_Do(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			_, _ = w.Write([]byte("0123456789"))
		case "/gone":
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"error_code":"TABLE_NOT_FOUND","message":"Bearer s3cret does not see it"}`))
		case "/busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/malformed":
			conn, buf, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			_, _ = buf.WriteString("HTTP/1.1 200 OK\r\nBearer s3cret\r\n\r\n")
			_ = buf.Flush()
			_ = conn.Close()
		case "/away":
			http.Redirect(w, r, "/ok", http.StatusFound)
		}
	}))
	defer srv.Close()
	do := func(path string, max int) (string, *Error) {
		req, err := http.NewRequest(http.MethodGet, srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := Call{Op: "table", Max: max, Secrets: []string{"s3cret"}}.Do(req)
		if err != nil {
			return "", err.(*Error)
		}
		return string(body), nil
	}
	if body, err := do("/ok", 10); err != nil || body != "0123456789" {
		t.Errorf("%q, %v", body, err)
	}
	for _, tt := range []struct {
		path, text string
		max        int
		status     int
		retriable  bool
	}{
		{"/ok", "table: the answer has more than 9 bytes", 9, 200, false},
		{"/gone", "table: refused with HTTP 404 Not Found: TABLE_NOT_FOUND: Bearer (hidden) does not see it", 1000, 404, false},
		{"/busy", "table: refused with HTTP 503 Service Unavailable", 1000, 503, true},
		{"/away", "table: the server redirects; redirects are not followed, set the workspace URL to where it is (HTTP 302)", 1000, 302, false},
	} {
		_, err := do(tt.path, tt.max)
		if err == nil || err.Error() != tt.text || err.Status != tt.status || err.Retriable != tt.retriable {
			t.Errorf("%s: %v", tt.path, err)
		}
	}
	if _, err := do("/malformed", 10); err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "malformed") {
		t.Errorf("an answer that breaks HTTP: %v", err)
	}
	cause := errors.New("it says s3cret")
	if err := (Call{Op: "table", Secrets: []string{"s3cret"}}).Bad(cause); err.Error() != "table: it says (hidden)" || !errors.Is(err, cause) {
		t.Errorf("a bad answer: %v", err)
	}
	srv.Close()
	if _, err := do("/ok", 10); err == nil || !err.Retriable || err.Status != 0 || !strings.HasPrefix(err.Error(), "table: get "+srv.URL+"/ok: ") {
		t.Errorf("a server that is gone: %v", err)
	}
}

// Whatever a server answers to a refused request, the error is one short line without the secret.
func FuzzAnswerError(f *testing.F) {
	secrets := []string{"hunter2+secret/=", "hunter2%2Bsecret%2F%3D", "aWQ6aHVudGVyMitzZWNyZXQvPQ=="}
	call := Call{Op: "token request", Secrets: secrets}
	f.Add(401, []byte(`{"error":"invalid_client","error_description":"Client authentication failed"}`))
	f.Add(403, []byte(`{"error_code":"PERMISSION_DENIED","message":"hunter2+secret/= is no good"}`))
	f.Add(500, []byte(`{"error":"\u0000\u001b[2Jhunter2%2Bsecret%2F%3D"}`))
	f.Add(302, []byte("<html>"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := call.answerError(status, body)
		text := e.Error()
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(text) > 5000 {
			t.Errorf("%q", text)
		}
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%q shows the secret", text)
			}
		}
		if want := status == 408 || status == 429 || status >= 500; e.Retriable != want {
			t.Errorf("status %d: retriable is %v", status, e.Retriable)
		}
	})
}
