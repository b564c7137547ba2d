package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/zerobus-go/zerobus/server"
	"github.com/zerobus-go/zerobus/server/internal/admin"
	"github.com/zerobus-go/zerobus/server/internal/datadir"
	"github.com/zerobus-go/zerobus/server/internal/rest"
)

// dataFlag adds --data, and jsonFlag --json, to a command and those below it.
func dataFlag(cmd *cobra.Command) *string {
	return cmd.PersistentFlags().String("data", "./"+datadir.Default, "data directory")
}

func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.PersistentFlags().Bool("json", false, "print JSON")
}

// connect gives the administration of a data directory, through the running server or without one.
func connect(ctx context.Context, data string) (admin.API, func() error, error) {
	dir, err := datadir.Open(data)
	if err != nil {
		return nil, nil, err
	}
	return admin.Connect(ctx, dir, rest.AdminPath, server.Engine)
}

// administer calls f with the administration of a data directory.
func administer(cmd *cobra.Command, data string, f func(admin.API) error) error {
	api, release, err := connect(cmd.Context(), data)
	if err != nil {
		return err
	}
	return errors.Join(f(api), release())
}
