package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/internal/sqltext"
	"github.com/zerobus-go/zerobus/internal/unity"
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/admin"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
)

// sourceTable is a table as one of the sources knows it.
type sourceTable struct {
	name    string // as messages call it; its last part names the message
	columns *schema.Struct
}

func (t sourceTable) shortName() string { return t.name[strings.LastIndexByte(t.name, '.')+1:] }

// tableSource reads the table.
type tableSource func(ctx context.Context) (sourceTable, error)

// source is what the flags, and then the environment, choose.
func (g *generateFlags) source(stdin io.Reader) (tableSource, error) {
	switch {
	case g.ddl != "":
		return func(ctx context.Context) (sourceTable, error) { return readDDL(ctx, g.ddl, g.table, stdin) }, nil
	case g.delta != "":
		return func(ctx context.Context) (sourceTable, error) { return readDelta(ctx, g.delta, g.table) }, nil
	}
	c, err := g.catalogTable()
	if err != nil {
		return nil, err
	}
	return c.read, nil
}

// fetchTimeout bounds the requests for a table together.
const fetchTimeout = 30 * time.Second

// catalogTable is a table in Unity Catalog, and how to ask for it.
type catalogTable struct {
	endpoint, id, secret string
	name                 string
	client               *http.Client
	timeout              time.Duration
}

func (g *generateFlags) catalogTable() (*catalogTable, error) {
	c := &catalogTable{
		endpoint: cmp.Or(g.endpoint, os.Getenv(workspaceVar)),
		id:       cmp.Or(g.id, os.Getenv(idVar)),
		secret:   cmp.Or(g.secret, os.Getenv(secretVar)),
		name:     cmp.Or(g.table, os.Getenv(tableVar)),
		timeout:  fetchTimeout,
	}
	var missing []string
	for _, v := range []struct{ value, flag, env string }{
		{c.endpoint, "--uc-endpoint", workspaceVar},
		{c.id, "--client-id", idVar},
		{c.secret, "--client-secret", secretVar},
		{c.name, "--table", tableVar},
	} {
		if v.value == "" {
			missing = append(missing, v.flag+" or "+v.env)
		}
	}
	if len(missing) > 0 {
		return nil, &usageError{"missing: " + strings.Join(missing, ", ") + "; --ddl and --delta need none of them"}
	}
	if _, err := catalog.ParseTableName(c.name); err != nil {
		return nil, &usageError{fmt.Sprintf("--table %s: %v", c.name, err)}
	}
	tlsConfig, err := admin.TLSConfig(g.ca)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = tlsConfig
	c.client = &http.Client{Transport: transport}
	return c, nil
}

func (c *catalogTable) read(ctx context.Context) (sourceTable, error) {
	defer c.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	columns, err := unity.Fetch(ctx, unity.Config{
		Endpoint: c.endpoint, Client: c.client,
		Token: unity.ClientToken(c.endpoint, c.id, c.secret, c.client),
	}, c.name)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return sourceTable{}, fmt.Errorf("table %s: the workspace did not answer within %v: is its URL right?", c.name, c.timeout)
	case err != nil:
		return sourceTable{}, withWayOut(err)
	}
	return sourceTable{c.name, columns}, nil
}

// withWayOut adds to an error of the workspace what the user of the command can do about it.
func withWayOut(err error) error {
	var failed *unity.Error
	var untrusted *tls.CertificateVerificationError
	hint := ""
	switch {
	case errors.As(err, &untrusted):
		hint = "--ca FILE trusts one"
	case !errors.As(err, &failed):
	case failed.Status == http.StatusUnauthorized:
		hint = "are the client id and secret right?"
	case failed.Status == http.StatusForbidden:
		hint = "the principal needs USE CATALOG, USE SCHEMA and SELECT"
	case failed.Status == http.StatusNotFound:
		hint = "are the table's name and the workspace's URL right?"
	case failed.Status == 0 && failed.Retriable:
		hint = "is the workspace's URL right?"
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, hint)
}

// readDDL reads the CREATE TABLE statement of a file. name stands for the statement's own name of the table, unless empty.
func readDDL(ctx context.Context, path, name string, stdin io.Reader) (sourceTable, error) {
	file, text, err := readLimited(ctx, path, stdin, sqltext.MaxLength)
	if err != nil {
		return sourceTable{}, err
	}
	stmt, err := schema.ParseCreateTable(string(text))
	var at *sqltext.Error
	switch {
	case errors.As(err, &at):
		return sourceTable{}, fmt.Errorf("%s:%d:%d: %s", file, at.Pos.Line, at.Pos.Column, at.Msg)
	case err != nil:
		return sourceTable{}, fmt.Errorf("%s: %w", file, err)
	case len(stmt.Columns.Fields) == 0:
		return sourceTable{}, fmt.Errorf("%s: the statement has no columns: read the table itself with --delta %s", file, stmt.Location)
	}
	return sourceTable{cmp.Or(name, strings.Join(stmt.Name, ".")), &stmt.Columns}, nil
}
