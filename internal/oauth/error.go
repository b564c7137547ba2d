package oauth

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Error is why there is no token.
type Error struct {
	Status      int    // the answer's HTTP status; 0 without an answer
	Code        string // OAuth's error, such as invalid_client; may be empty
	Description string // the server's explanation, shortened; may be empty
	Retriable   bool   // whether the same request may succeed later
	Err         error  // the cause; nil when the server said no
}

// Error never contains the secret or a token.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("token request: ")
	if e.Err != nil {
		b.WriteString(e.Err.Error())
		if e.Status != 0 && e.Status != http.StatusOK {
			fmt.Fprintf(&b, " (HTTP %d)", e.Status)
		}
		return b.String()
	}
	fmt.Fprintf(&b, "refused with HTTP %d", e.Status)
	if text := http.StatusText(e.Status); text != "" {
		b.WriteString(" " + text)
	}
	if e.Code != "" {
		b.WriteString(": " + e.Code)
	}
	if e.Description != "" {
		b.WriteString(": " + e.Description)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// networkError is for a request without a whole answer. It is worth another try, also after a timeout; whether there is
// time for one is the caller's affair. Only a server that cannot be trusted, or speaks no TLS, will be the same again.
func networkError(endpoint string, err error) *Error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err // without the method and the URL, which we name ourselves
	}
	var untrusted *tls.CertificateVerificationError
	var plaintext tls.RecordHeaderError
	switch {
	case errors.As(err, &untrusted):
		return &Error{Err: fmt.Errorf("post to %s: %w; give the SDK the server's certificate authority", endpoint, err)}
	case errors.As(err, &plaintext):
		return &Error{Err: fmt.Errorf("post to %s: %w; is it an http:// URL?", endpoint, err)}
	}
	return &Error{Retriable: true, Err: fmt.Errorf("post to %s: %w", endpoint, err)}
}

// answerError is for an answer that is not 200. Timeouts, too many requests and faults of the server pass; everything
// else would be answered in the same way again.
func (c Config) answerError(status int, body []byte) *Error {
	e := &Error{
		Status:    status,
		Retriable: status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500,
	}
	if 300 <= status && status < 400 {
		e.Err = errors.New("the server redirects; redirects are not followed, set the workspace URL to where it is")
		return e
	}
	var answer struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		ErrorCode   string `json:"error_code"` // the form of Databricks' other APIs
		Message     string `json:"message"`
	}
	if json.Unmarshal(body, &answer) == nil {
		e.Code = c.clean(firstOf(answer.Error, answer.ErrorCode))
		e.Description = c.clean(firstOf(answer.Description, answer.Message))
	}
	return e
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// clean makes a server's text fit for a log: one line, printable, not long, and without the secret, also where the
// server echoes the request back.
func (c Config) clean(s string) string {
	if s == "" {
		return ""
	}
	// Both the secret itself and the forms in which the request carries it.
	basic := basicCredentials(c.ClientID, c.ClientSecret)
	for _, secret := range []string{c.ClientSecret, url.QueryEscape(c.ClientSecret), basic} {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "(hidden)")
		}
	}
	const most = 500
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	s = strconv.Quote(s)
	return strings.ReplaceAll(s[1:len(s)-1], `\"`, `"`)
}

// basicCredentials returns what stands behind "Basic " in the request's header.
func basicCredentials(id, secret string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(id, secret)
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")
}
