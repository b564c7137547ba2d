package zerobustest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
)

// TokenRequest is a request to the token endpoint.
type TokenRequest struct {
	ClientID     string
	ClientSecret string
	Form         url.Values
	Header       http.Header
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
func grant(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, map[string]any{
		"access_token": "zerobustest-" + rand.Text(),
		"token_type":   "Bearer",
		"scope":        "all-apis",
		"expires_in":   3600,
	})
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

// HandleToken sets what answers requests for a token. They are recorded first. Nil grants every one again.
func (s *Server) HandleToken(h http.HandlerFunc) {
	if h == nil {
		h = grant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answerToken = h
}

// RefuseTokens answers requests for a token with an error in OAuth's form, such as 401, "invalid_client".
func (s *Server) RefuseTokens(httpStatus int, code, description string) {
	s.HandleToken(func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, httpStatus, map[string]string{"error": code, "error_description": description})
	})
}

// AcceptOnly grants tokens to one client and answers 401 to all others.
func (s *Server) AcceptOnly(clientID, clientSecret string) {
	s.HandleToken(func(w http.ResponseWriter, r *http.Request) {
		if id, secret, _ := r.BasicAuth(); id != clientID || secret != clientSecret {
			answerJSON(w, http.StatusUnauthorized, map[string]string{
				"error": "invalid_client", "error_description": "Client authentication failed",
			})
			return
		}
		grant(w, r)
	})
}

// direct calls a handler where a client would use the network.
type direct struct {
	handler http.Handler
}

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}
