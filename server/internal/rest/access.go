package rest

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/token"
)

// caller is who asks Unity Catalog's endpoints, and what it may do.
type caller struct {
	*catalog.Access
	expires  time.Time // of its token
	readOnly bool      // the token was narrowed by authorization_details
}

// adminLife is what the administrator's access is said to last: its token has no end.
const adminLife = time.Hour

// caller finds out who the bearer is: a principal by an access token, or the administrator by the admin token.
func (s *server) caller(r *http.Request) (*caller, error) {
	scheme, t, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, unauthenticated("A bearer token is required: POST /oidc/v1/token gives one.")
	}
	t = strings.TrimSpace(t)
	// Digests, so that not even the length of the admin token shows in the time that it takes.
	given, want := sha256.Sum256([]byte(t)), sha256.Sum256([]byte(s.AdminToken))
	if s.AdminToken != "" && subtle.ConstantTimeCompare(given[:], want[:]) == 1 {
		return &caller{Access: s.Catalog.AdminAccess(), expires: time.Now().Add(adminLife)}, nil
	}
	claims, err := s.Tokens.Verify(t)
	switch {
	case errors.Is(err, token.ErrExpired):
		return nil, unauthenticated("The token has expired.")
	case err != nil:
		return nil, unauthenticated("A valid bearer token is required: POST /oidc/v1/token gives one.")
	case claims.Audience != "":
		return nil, unauthenticated("The token is for streams only: request one without a resource for Unity Catalog.")
	}
	a, err := s.Catalog.Access(claims.PrincipalID)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, unauthenticated("The principal of the token does not exist any more.")
	}
	if err != nil {
		return nil, err
	}
	return &caller{Access: a, expires: claims.Expires, readOnly: len(claims.Grants) > 0}, nil
}
