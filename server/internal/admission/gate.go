package admission

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/table"
	"github.com/zerobus-go/zerobus/server/internal/token"
)

// Reason says why something was denied.
type Reason uint8

// The reasons.
const (
	Unauthenticated  Reason = iota + 1 // no token, or one that does not hold
	PermissionDenied                   // the token or the grants do not allow it
	NotFound                           // no such table
	InvalidRequest                     // the request contradicts itself or is malformed
	Unsupported                        // the table has features that cannot be written
	TooMany                            // a limit is reached; worth another try later
)

// Denial is a refusal. Code and State are the numbers that clients of the service know; 0 when there is none.
type Denial struct {
	Reason      Reason
	Msg         string
	Code, State int
}

func (d *Denial) Error() string { return d.Msg }

// Gate decides. MaxStreams bounds the streams that are open at a time; 0 means no bound.
type Gate struct {
	Tokens     *token.Authority
	Catalog    *catalog.Catalog
	Tables     *table.Set
	MaxStreams int64
	Quotas     Quotas

	streams atomic.Int64
	refused [Limits]atomic.Int64
	limits  limits
}

// Limit is one that a stream was refused for.
type Limit int

// The limits.
const (
	LimitServer    Limit  = iota // of all streams
	LimitPrincipal               // of the principal's
	Limits         = iota        // how many there are
)

// Stats is what the limits have done since the gate was made.
type Stats struct {
	Refused [Limits]int64 // streams, by the limit
	Held    time.Duration // that streams have waited for their rates, all together
}

// Stats gives the present state.
func (g *Gate) Stats() Stats {
	s := Stats{Held: time.Duration(g.limits.held.Load())}
	for i := range s.Refused {
		s.Refused[i] = g.refused[i].Load()
	}
	return s
}

// Authenticate checks the value of an authorization header. Denials: Unauthenticated.
func (g *Gate) Authenticate(authorization string) (token.Claims, error) {
	scheme, tok, ok := strings.Cut(authorization, " ")
	if authorization == "" || !ok || !strings.EqualFold(scheme, "Bearer") {
		return token.Claims{}, &Denial{Reason: Unauthenticated, Msg: "a bearer token is required in the authorization header: request one from /oidc/v1/token"}
	}
	claims, err := g.Tokens.Verify(strings.TrimSpace(tok))
	switch {
	case errors.Is(err, token.ErrExpired):
		return claims, &Denial{Reason: Unauthenticated, Msg: "the token has expired: request a new one"}
	case err != nil:
		return claims, &Denial{Reason: Unauthenticated, Msg: "the token is not valid"}
	case claims.Audience != "" && !token.ForStreams(claims.Audience):
		return claims, &Denial{Reason: Unauthenticated, Msg: "Invalid token audience: request a token for the resource api://databricks/workspaces/<workspace id>/zerobusDirectWriteApi"}
	}
	return claims, nil
}

// Enter takes a place among the open streams, those of the principal among them. The caller calls leave once when the stream
// ends. Denials: TooMany.
func (g *Gate) Enter(principal string) (leave func(), err error) {
	if n := g.streams.Add(1); g.MaxStreams > 0 && n > g.MaxStreams {
		g.streams.Add(-1)
		g.refused[LimitServer].Add(1)
		return nil, &Denial{Reason: TooMany, Msg: fmt.Sprintf("the server has %d open streams, its limit: try again later", g.MaxStreams)}
	}
	if limit := g.Quotas.PrincipalStreams; !g.limits.enter(principal, limit) {
		g.streams.Add(-1)
		g.refused[LimitPrincipal].Add(1)
		return nil, &Denial{Reason: TooMany, Msg: fmt.Sprintf("the principal has %d open streams, its limit: try again later", limit)}
	}
	return func() {
		g.streams.Add(-1)
		g.limits.leave(principal, g.Quotas.PrincipalStreams)
	}, nil
}

// Streams is the number of open streams.
func (g *Gate) Streams() int64 { return g.streams.Load() }

// May checks that the bearer of the claims may write the table, without opening it: nothing is read from who may not. Denials:
// InvalidRequest, PermissionDenied, NotFound.
func (g *Gate) May(claims token.Claims, table string) error {
	name, err := allowed(claims, table)
	if err != nil {
		return err
	}
	if _, err := g.Catalog.Table(name); errors.Is(err, catalog.ErrNotFound) {
		return notFound(name)
	} else if err != nil {
		return err
	}
	return g.granted(claims.PrincipalID, name)
}

// allowed reads a table's name and checks that the token is for it.
func allowed(claims token.Claims, table string) (name catalog.Name, err error) {
	if name, err = catalog.ParseTableName(table); err != nil {
		return name, &Denial{Reason: InvalidRequest, Msg: err.Error()}
	}
	for _, privilege := range []catalog.Privilege{catalog.Modify, catalog.Select} {
		if !holds(claims, name, privilege) {
			return name, &Denial{
				Reason: PermissionDenied, Code: 3,
				Msg: fmt.Sprintf("Authorization token is missing %s privilege for a table %s", privilege, name),
			}
		}
	}
	return name, nil
}

func notFound(name catalog.Name) error {
	return &Denial{Reason: NotFound, Msg: fmt.Sprintf("Table %q cannot be found", name.String())}
}

// Table checks that the bearer of the claims may write the table and opens it. header is the table named in the stream's
// metadata, or empty; it must be the same. Denials: InvalidRequest, PermissionDenied, NotFound, Unsupported.
func (g *Gate) Table(ctx context.Context, claims token.Claims, header, request string) (*table.Table, error) {
	if header != "" && !strings.EqualFold(header, request) {
		if _, err := catalog.ParseTableName(request); err != nil { // it may have megabytes, and is not repeated then
			return nil, &Denial{Reason: InvalidRequest, Msg: err.Error()}
		}
		return nil, &Denial{Reason: InvalidRequest, Msg: fmt.Sprintf("table %q of the request is not the table %q of the header x-databricks-zerobus-table-name", request, header)}
	}
	name, err := allowed(claims, request)
	if err != nil {
		return nil, err
	}
	t, err := g.Tables.Open(ctx, name)
	switch {
	case err == nil:
		// The token says what was granted when it was issued. A grant may be gone since.
		return t, g.granted(claims.PrincipalID, name)
	case errors.Is(err, catalog.ErrNotFound), errors.Is(err, table.ErrDropped):
		return nil, notFound(name)
	case errors.Is(err, delta.ErrUnsupported), errors.Is(err, table.ErrBroken), errors.Is(err, delta.ErrNoTable),
		errors.Is(err, delta.ErrCorrupt), errors.Is(err, delta.ErrCheckpointNeeded), errors.Is(err, delta.ErrOutdated):
		// The error has paths and other details of the inside; only the feature is the client's business.
		code, why := 1022, "it needs its operator: the server's log says why"
		if u, ok := errors.AsType[*delta.UnsupportedError](err); ok {
			why = "feature " + u.Feature + ": " + u.Reason
			if u.Feature == "generatedColumns" {
				code = 1015
			}
		}
		return nil, &Denial{Reason: Unsupported, Code: code, Msg: fmt.Sprintf("Failed to open table for write: table %s: %s", name, why)}
	}
	return nil, err
}

func holds(claims token.Claims, name catalog.Name, privilege catalog.Privilege) bool {
	for _, g := range claims.Grants {
		if !strings.EqualFold(g.ObjectType, "TABLE") || !strings.EqualFold(g.Object, name.String()) {
			continue
		}
		for _, p := range g.Privileges {
			if q, err := catalog.ParsePrivilege(p); err == nil && q == privilege {
				return true
			}
		}
	}
	return false
}

// Need is one privilege that writing a table takes.
type Need struct {
	Privilege catalog.Privilege
	On        catalog.Name
}

// Needs lists the privileges that writing a table takes, outermost object first.
func Needs(table catalog.Name) []Need {
	sch := table.Parent()
	return []Need{
		{catalog.UseCatalog, sch.Parent()}, {catalog.UseSchema, sch}, {catalog.Select, table}, {catalog.Modify, table},
	}
}

// granted asks the catalog for all that writing a table takes.
func (g *Gate) granted(principal string, name catalog.Name) error {
	for _, need := range Needs(name) {
		ok, err := g.Catalog.Checked(principal, need.Privilege, need.On)
		if err != nil {
			return err
		}
		if !ok {
			return &Denial{Reason: PermissionDenied, Code: 3, Msg: fmt.Sprintf(
				"the principal is missing %s on %s %s: an administrator can run GRANT %[1]s ON %[2]s %[3]s TO `%[4]s`",
				need.Privilege, need.On.Type(), need.On, principal)}
		}
	}
	return nil
}
