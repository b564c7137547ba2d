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
func connect(ctx context.Context, dir datadir.Dir) (admin.API, func() error, error) {
	return admin.Connect(ctx, dir, rest.AdminPath, server.Engine)
}

// administer calls f with the administration of a data directory, which is made when it does not exist.
func administer(cmd *cobra.Command, data string, f func(admin.API) error) error {
	return administerIn(cmd, data, datadir.Open, f)
}

// look is administer for a data directory that is there already.
func look(cmd *cobra.Command, data string, f func(admin.API) error) error {
	return administerIn(cmd, data, datadir.Existing, f)
}

func administerIn(cmd *cobra.Command, data string, open func(string) (datadir.Dir, error), f func(admin.API) error) error {
	dir, err := open(data)
	if err != nil {
		return err
	}
	api, release, err := connect(cmd.Context(), dir)
	if err != nil {
		return err
	}
	return errors.Join(f(api), release())
}
