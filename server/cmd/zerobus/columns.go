package main

import (
	"context"
	"time"

	"github.com/zerobus-go/zerobus/internal/unity"
	"github.com/zerobus-go/zerobus/schema"
)

// columnsTimeout bounds the requests for a table's columns.
const columnsTimeout = 30 * time.Second

// columns asks the workspace for the columns of the table.
func (t *target) columns(ctx context.Context) ([]schema.Field, error) {
	ctx, cancel := context.WithTimeout(ctx, columnsTimeout)
	defer cancel()
	s, err := unity.Fetch(ctx, unity.Config{
		Endpoint: t.workspace,
		Token:    unity.ClientToken(t.workspace, t.creds.ID, t.creds.Secret, t.http),
		Client:   t.http,
	}, t.table)
	if err != nil {
		return nil, withWayOut(err)
	}
	return s.Fields, nil
}
