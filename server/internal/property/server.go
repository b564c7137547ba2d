package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/server"
)

// namespace has all tables.
const namespace = "main.default"

// tables sends cases to a server of its own.
type tables struct {
	sender
	server *server.Server
}

// start starts a server, and stop commits what it has and ends it.
func start(ctx context.Context, dir string) (t *tables, stop func() error, err error) {
	srv, err := server.New(ctx, server.Config{
		DataDir: filepath.Join(dir, "data"), GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0",
		CommitInterval: time.Hour, // commits are the cases' own, so that a case has the same ones whenever it is repeated
		Logger:         slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return nil, nil, err
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve() }()
	stopServer := func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
		defer cancel()
		return errors.Join(srv.Shutdown(ctx), <-served)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stopServer())
		}
	}()
	id, secret, err := srv.CreatePrincipal(ctx, "writer")
	if err != nil {
		return nil, nil, err
	}
	err = srv.SQL(ctx, fmt.Sprintf("GRANT USE CATALOG ON CATALOG main TO `%[1]s`; GRANT USE SCHEMA, SELECT, MODIFY ON SCHEMA %[2]s TO `%[1]s`", id, namespace))
	if err != nil {
		return nil, nil, err
	}
	sdk, err := zerobus.New(srv.GRPCEndpoint(), srv.WorkspaceURL(), zerobus.WithoutProxy(), zerobus.WithSharedConnection())
	if err != nil {
		return nil, nil, err
	}
	t = &tables{sender{sdk, zerobus.ClientCredentials{ID: id, Secret: secret}, srv.Flush}, srv}
	return t, func() error { return errors.Join(sdk.Close(), stopServer()) }, nil
}

// one makes, fills and writes down the table of one case.
func (t *tables) one(ctx context.Context, seed uint64, e *expectations) error {
	p, err := newPlan(seed, fmt.Sprintf("%s.t%d", namespace, seed))
	if err != nil {
		return err
	}
	ddl := p.table.DDL()
	if err := t.server.SQL(ctx, ddl); err != nil {
		return fmt.Errorf("%s: %w", ddl, err)
	}
	if err := t.send(ctx, p); err != nil {
		return fmt.Errorf("%s: %w", ddl, err)
	}
	return e.add(p, ddl)
}
