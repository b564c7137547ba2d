package zerobustest

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// token is what an access token of the token endpoint is good for.
type token struct {
	tables  []string // that it may write to
	expires time.Time
	revoked bool
}

// Authentic makes the server as strict about credentials as the service is. A stream needs the header
// x-databricks-zerobus-table-name, and a bearer token that this server's token endpoint gave out for that table, that
// has not expired and was not revoked when the stream is opened. Otherwise it is refused before anything is read:
// UNAUTHENTICATED for a token that is not valid, PERMISSION_DENIED for one of another table. The token endpoint wants
// client credentials, of any client unless [Server.AcceptOnly] names one, and reads the table from the request's
// authorization_details.
//
// Credentials come before scripts: a stream that is refused for them takes no line of one.
func Authentic() Option { return func(c *config) { c.authentic = true } }

// TokenLifetime sets how long tokens are good that are given out from now on: an hour, unless set. With d that is not
// positive they have expired when they are given out. Clients are told whole seconds, rounded down, and at least 0.
func (s *Server) TokenLifetime(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokenLifetime = d
}

// RevokeTokens makes all tokens that were given out so far invalid. With [Authentic], streams that are opened from now
// on need other ones; those that are open go on.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		t.revoked = true
	}
}

// authorize returns the error for a stream whose headers do not allow it. It repeats no header but the table's name.
//
// s.mu is held.
func (s *Server) authorize(md metadata.MD) error {
	if !s.authentic {
		return nil
	}
	const missing = "Invalid token: there is no bearer token in the header authorization"
	authorization := md.Get("authorization")
	if len(authorization) != 1 {
		return status.Error(codes.Unauthenticated, missing)
	}
	scheme, access, _ := strings.Cut(authorization[0], " ")
	t := s.tokens[access]
	switch {
	case !strings.EqualFold(scheme, "bearer") || access == "":
		return status.Error(codes.Unauthenticated, missing)
	case t == nil:
		return status.Error(codes.Unauthenticated, "Invalid token: it was not issued by this workspace")
	case t.revoked:
		return status.Error(codes.Unauthenticated, "Invalid token: it was revoked")
	case !time.Now().Before(t.expires):
		return status.Error(codes.Unauthenticated, "Invalid token: it has expired")
	}
	table := md.Get(tableHeader)
	if len(table) != 1 || table[0] == "" {
		return invalid("there is no table name in the header %s", tableHeader)
	}
	if !slices.Contains(t.tables, table[0]) {
		return status.Errorf(codes.PermissionDenied,
			"Authorization token is missing MODIFY privilege for a table %s. Error Code: 3, Error State: 0.", table[0])
	}
	return nil
}

// writable returns the tables that a token's authorization_details ask to write to. Without any it is none.
func writable(details string) ([]string, error) {
	if details == "" {
		return nil, nil
	}
	var entries []struct {
		Privileges     []string `json:"privileges"`
		ObjectType     string   `json:"object_type"`
		ObjectFullPath string   `json:"object_full_path"`
	}
	if err := json.Unmarshal([]byte(details), &entries); err != nil {
		return nil, errors.New("authorization_details is not the list that it should be")
	}
	var tables []string
	for _, e := range entries {
		if e.ObjectType == "TABLE" && slices.Contains(e.Privileges, "MODIFY") {
			tables = append(tables, e.ObjectFullPath)
		}
	}
	return tables, nil
}
