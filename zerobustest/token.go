package zerobustest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"time"
)

// TokenRequest is a request to the token endpoint.
type TokenRequest struct {
	ClientID     string      // of the Authorization header: user and password
	ClientSecret string      // of the same header
	Form         url.Values  // of the body
	Header       http.Header // of the request, Authorization included
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	r.ParseForm() // a body that is no form leaves an empty one, which the test sees
	id, secret, _ := r.BasicAuth()
	s.mu.Lock()
	s.tokenRequests = append(s.tokenRequests, TokenRequest{id, secret, r.PostForm, r.Header.Clone()})
	answer := s.answerToken
	s.tell()
	s.mu.Unlock()
	answer(w, r)
}

// grant answers with a token that differs from every other one.
func (s *Server) grant(w http.ResponseWriter, r *http.Request) {
	tables, err := writable(r.PostForm.Get("authorization_details"))
	if s.authentic {
		id, _, _ := r.BasicAuth()
		switch {
		case id == "":
			answerError(w, http.StatusUnauthorized, "invalid_client", "Client authentication failed")
			return
		case r.PostForm.Get("grant_type") != "client_credentials":
			answerError(w, http.StatusBadRequest, "unsupported_grant_type", "grant_type is not client_credentials")
			return
		case err != nil:
			answerError(w, http.StatusBadRequest, "invalid_authorization_details", err.Error())
			return
		}
	}
	access := "zerobustest-" + rand.Text()
	s.mu.Lock()
	lifetime := s.tokenLifetime
	s.tokens[access] = &token{tables: tables, expires: time.Now().Add(lifetime)}
	s.mu.Unlock()
	answerJSON(w, http.StatusOK, map[string]any{
		"access_token": access,
		"token_type":   "Bearer",
		"scope":        "all-apis",
		"expires_in":   int64(max(lifetime, 0) / time.Second),
	})
}

func answerError(w http.ResponseWriter, httpStatus int, code, description string) {
	answerJSON(w, httpStatus, map[string]string{"error": code, "error_description": description})
}

func answerJSON(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(body)
}

// TokenRequests returns the requests for a token so far.
func (s *Server) TokenRequests() []TokenRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tokenRequests)
}

// HandleToken sets what answers requests for a token. They are recorded first. Nil grants every one again. h may wait,
// but not for longer than the request's context lasts, which ends with the server too. With [Authentic], tokens that h
// makes up are not valid.
func (s *Server) HandleToken(h http.HandlerFunc) {
	if h == nil {
		h = s.grant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answerToken = h
}

// RefuseTokens answers requests for a token with an error in OAuth's form, such as 401, "invalid_client". It panics
// when the status is none that ends a request: from 200 to 999.
func (s *Server) RefuseTokens(httpStatus int, code, description string) {
	if httpStatus < 200 || httpStatus > 999 {
		panic(fmt.Sprintf("zerobustest: tokens cannot be refused with the HTTP status %d", httpStatus))
	}
	s.HandleToken(func(w http.ResponseWriter, _ *http.Request) { answerError(w, httpStatus, code, description) })
}

// AcceptOnly grants tokens to one client and answers 401 to all others.
func (s *Server) AcceptOnly(clientID, clientSecret string) {
	s.HandleToken(func(w http.ResponseWriter, r *http.Request) {
		if id, secret, _ := r.BasicAuth(); id != clientID || secret != clientSecret {
			answerError(w, http.StatusUnauthorized, "invalid_client", "Client authentication failed")
			return
		}
		s.grant(w, r)
	})
}

// errClosed is what clients in memory get from a server that was closed.
var errClosed = errors.New("zerobustest: the server is closed")

// direct calls the workspace's handler where a client would use the network.
type direct struct {
	server *Server
}

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	body := r.Body
	if body == nil {
		body = http.NoBody
	}
	defer body.Close()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer context.AfterFunc(d.server.ctx, func() { cancel(errClosed) })()
	if d.server.ctx.Err() != nil {
		return nil, errClosed
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	received := r.Clone(ctx)
	received.Body = body
	if received.Host == "" {
		received.Host = received.URL.Host
	}
	w := httptest.NewRecorder()
	if err := serveHTTP(d.server.mux, w, received); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// serveHTTP calls a handler, which may break the connection in the way that net/http knows.
func serveHTTP(h http.Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			err = io.ErrUnexpectedEOF
		default:
			panic(p)
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}
