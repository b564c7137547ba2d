package token

import (
	"errors"
	"regexp"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// MaxSize bounds a token in bytes; clients are known that take no larger answer. Issue refuses to make a larger one, Verify
// refuses to look at it.
const MaxSize = 4096

// The errors of Verify, and of Issue for [ErrTooLarge]; compare with errors.Is.
var (
	ErrExpired  = errors.New("the token has expired; request a new one")
	ErrInvalid  = errors.New("the token is not valid")
	ErrTooLarge = errors.New("the token would be too large; request fewer authorization details at once")
)

// Claims are what a token says.
type Claims struct {
	PrincipalID   string // the client id
	PrincipalName string // for logs and messages
	Audience      string // the resource that was asked for, may be empty
	Grants        []Grant

	// Set by Issue.
	ID      string
	Issued  time.Time
	Expires time.Time
}

// directWrite is the resource of tokens for streams, as the service's clients ask for it.
var directWrite = regexp.MustCompile(`^api://databricks/workspaces/[^/]{0,128}/zerobusDirectWriteApi$`)

// ForStreams reports whether an audience is that of tokens for streams.
func ForStreams(audience string) bool { return directWrite.MatchString(audience) }

// Grant is one element of authorization_details, in the request and in the token.
type Grant struct {
	Type       string   `json:"type"`
	Privileges []string `json:"privileges"`
	ObjectType string   `json:"object_type"`      // CATALOG, SCHEMA or TABLE
	Object     string   `json:"object_full_path"` // catalog[.schema[.table]]
}

// payload is the JSON of a token.
type payload struct {
	jwt.RegisteredClaims
	Name   string  `json:"name,omitempty"`
	Grants []Grant `json:"authorization_details,omitempty"`
}

func (p *payload) claims() Claims {
	c := Claims{PrincipalID: p.Subject, PrincipalName: p.Name, Grants: p.Grants, ID: p.RegisteredClaims.ID}
	if len(p.Audience) == 1 {
		c.Audience = p.Audience[0]
	}
	if p.IssuedAt != nil {
		c.Issued = p.IssuedAt.Time
	}
	if p.ExpiresAt != nil {
		c.Expires = p.ExpiresAt.Time
	}
	return c
}
