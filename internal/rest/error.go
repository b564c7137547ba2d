package rest

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

// Error is why a request failed.
type Error struct {
	Op          string // what the request was: "token request"
	Status      int    // the answer's HTTP status; 0 without an answer
	Code        string // the server's word for it, such as invalid_client; may be empty
	Description string // the server's explanation, shortened; may be empty
	Retriable   bool   // whether the same request may succeed later
	Err         error  // the cause; nil when the server said no
}

// Error is one line. It never contains a secret of the request.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op + ": ")
	}
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
func (c Call) networkError(req *http.Request, err error) *Error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err // without the method and the URL, which we name ourselves
	}
	what := strings.ToLower(req.Method) + " to "
	if req.Method == http.MethodGet {
		what = "get "
	}
	what += req.URL.String()
	e := &Error{Op: c.Op}
	var untrusted *tls.CertificateVerificationError
	var plaintext tls.RecordHeaderError
	switch {
	case errors.As(err, &untrusted):
		err = fmt.Errorf("%s: %w; give the server's certificate authority", what, err)
	case errors.As(err, &plaintext):
		err = fmt.Errorf("%s: %w; is it an http:// URL?", what, err)
	default:
		e.Retriable = true
		err = fmt.Errorf("%s: %w", what, err)
	}
	e.Err = c.cleaned(err)
	return e
}

// cleaned is an error whose text may have been taken from an answer.
func (c Call) cleaned(err error) error {
	text := Clean(err.Error(), c.Secrets...)
	if text == err.Error() {
		return err
	}
	return &cleanedError{text, err}
}

// cleanedError is an error with another text.
type cleanedError struct {
	text string
	err  error
}

func (e *cleanedError) Error() string { return e.text }

func (e *cleanedError) Unwrap() error { return e.err }

// answerError is for an answer that is not 200. Timeouts, too many requests and faults of the server pass; everything
// else would be answered in the same way again.
func (c Call) answerError(status int, body []byte) *Error {
	e := &Error{
		Op:        c.Op,
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
		e.Code = Clean(firstOf(answer.Error, answer.ErrorCode), c.Secrets...)
		e.Description = Clean(firstOf(answer.Description, answer.Message), c.Secrets...)
	}
	return e
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Clean makes a text of a server fit for a log: one line, printable, not long, and without the secrets.
func Clean(s string, secrets ...string) string {
	for _, secret := range secrets {
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
