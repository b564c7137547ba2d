package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/token"
)

// maxDetails bounds the privileges that one token request may ask for.
const maxDetails = 64

// token answers POST /oidc/v1/token: client id and secret by HTTP Basic or in the form; authorization_details, when there are
// any, must all be granted. Errors have the fields that clients require: error, error_id, error_description.
func (s *server) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		oauthError(w, http.StatusBadRequest, "invalid_request", "the form cannot be read")
		return
	}
	if gt := r.PostForm.Get("grant_type"); gt != "client_credentials" {
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type", "the grant_type must be client_credentials")
		return
	}
	id, secret := credentials(r)
	if id == "" || secret == "" {
		oauthError(w, http.StatusUnauthorized, "invalid_client", "Client authentication failed: send the client id and secret by HTTP Basic or in the form")
		return
	}
	// Multiple resources (RFC 8707) would need a token for each; a token with another one would be taken for more than its client
	// meant.
	resource := r.PostForm["resource"]
	if len(resource) > 1 || len(resource) == 1 && resource[0] != "" && !token.ForStreams(resource[0]) {
		oauthError(w, http.StatusBadRequest, "invalid_target", "the resource must be api://databricks/workspaces/<workspace id>/zerobusDirectWriteApi, or left out")
		return
	}
	p, err := s.Catalog.Authenticate(r.Context(), address(r), id, secret)
	var limited *catalog.LimitError
	switch {
	case errors.As(err, &limited):
		// The refusals before it are in the log: a flood of these would tell nothing more.
		s.Logger.Debug("login held up", "client", clip(id), "from", r.RemoteAddr)
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(limited.RetryAfter.Seconds()))))
		oauthError(w, http.StatusTooManyRequests, "slow_down", "too many logins have failed from here; try again later")
		return
	case errors.Is(err, catalog.ErrBadCredentials):
		s.Logger.Warn("login refused", "client", clip(id), "from", r.RemoteAddr)
		oauthError(w, http.StatusUnauthorized, "invalid_client", "Client authentication failed: the client id or the secret is wrong")
		return
	case err != nil:
		s.Logger.Error("login not decided", "client", clip(id), "err", err)
		oauthError(w, http.StatusServiceUnavailable, "temporarily_unavailable", "try again later")
		return
	}
	grants, err := s.granted(p.ID, r.PostForm.Get("authorization_details"))
	var denied *detailsError
	switch {
	case errors.As(err, &denied):
		oauthError(w, http.StatusUnauthorized, "invalid_authorization_details", denied.msg)
		return
	case err != nil:
		s.Logger.Error("grants not read", "principal", p.Name, "err", err)
		oauthError(w, http.StatusServiceUnavailable, "temporarily_unavailable", "try again later")
		return
	}
	t, life, err := s.Tokens.Issue(token.Claims{
		PrincipalID: p.ID, PrincipalName: p.Name, Audience: r.PostForm.Get("resource"), Grants: grants,
	})
	switch {
	case errors.Is(err, token.ErrTooLarge):
		oauthError(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	case err != nil:
		s.Logger.Error("token not issued", "principal", p.Name, "err", err)
		oauthError(w, http.StatusServiceUnavailable, "temporarily_unavailable", "try again later")
		return
	}
	reply(w, http.StatusOK, map[string]any{
		"access_token": t, "token_type": "Bearer", "expires_in": int64(life.Seconds()), "scope": "all-apis",
	})
}

// address is what failed logins are counted by: the client's, or the network of an IPv6 client, who has many.
func address(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	ip := at.Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	network, err := ip.Prefix(bits)
	if err != nil {
		return ip.String()
	}
	return network.String()
}

// credentials are by HTTP Basic, whose parts OAuth has form-encoded (RFC 6749 §2.3.1), or in the form.
func credentials(r *http.Request) (id, secret string) {
	if id, secret, ok := r.BasicAuth(); ok {
		return unescape(id), unescape(secret)
	}
	return r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// detailsError is an authorization detail that is malformed or not granted.
type detailsError struct{ msg string }

func (e *detailsError) Error() string { return e.msg }

// granted reads authorization_details and checks that the principal has all of it.
func (s *server) granted(principal, details string) ([]token.Grant, error) {
	if details == "" {
		return nil, nil
	}
	var grants []token.Grant
	if err := json.Unmarshal([]byte(details), &grants); err != nil {
		return nil, &detailsError{"authorization_details is not the JSON list that it should be"}
	}
	n := 0
	for i := range grants {
		g := &grants[i]
		if n += max(1, len(g.Privileges)); n > maxDetails {
			return nil, &detailsError{fmt.Sprintf("authorization_details asks for more than %d privileges", maxDetails)}
		}
		if g.Type != "unity_catalog_privileges" {
			return nil, &detailsError{fmt.Sprintf("the authorization detail type %q is not known", clip(g.Type))}
		}
		on, err := catalog.ParseSecurable(g.ObjectType, g.Object)
		if err != nil {
			return nil, &detailsError{err.Error()}
		}
		var missing []string
		for _, text := range g.Privileges {
			p, err := catalog.ParsePrivilege(text)
			if err != nil {
				return nil, &detailsError{err.Error()}
			}
			ok, err := s.Catalog.Checked(principal, p, on)
			if err != nil {
				return nil, err
			}
			if !ok {
				missing = append(missing, string(p))
			}
		}
		if len(missing) > 0 {
			need := strings.Join(missing, ", ") + " on " + on.Type() + " " + on.String()
			return nil, &detailsError{fmt.Sprintf("User is not authorized to the requested authorizations: %s is not granted, or there is no such object; "+
				"an administrator can run GRANT %s TO `%s`", need, strings.Replace(need, " on ", " ON ", 1), principal)}
		}
	}
	return grants, nil
}

func oauthError(w http.ResponseWriter, code int, name, description string) {
	reply(w, code, map[string]string{"error": name, "error_id": uuid.NewString(), "error_description": description})
}

// clip keeps what a client sent short in logs and messages.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
