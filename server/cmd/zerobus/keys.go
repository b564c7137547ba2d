package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/zerobus-go/zerobus/server/internal/admin"
)

func newTokenKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token-key",
		Short: "Manage the key that signs access tokens: rotate",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	data, asJSON := dataFlag(cmd), jsonFlag(cmd)
	var revoke bool
	rotate := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new key, while the server runs or without one",
		Long: `Makes a new key, which signs tokens from then on. The old one verifies what it has signed until the last such token has
expired. With --revoke it is removed: every token that was issued is invalid at once, and clients request new ones.`,
		Args: cobra.NoArgs,
		RunE: command(func(cmd *cobra.Command, _ []string) error {
			return look(cmd, *data, func(api admin.API) error {
				k, err := api.RotateKeys(cmd.Context(), revoke)
				if err != nil {
					return err
				}
				if *asJSON {
					return printJSON(cmd.OutOrStdout(), k)
				}
				what := "tokens of the keys before it stay valid until they expire"
				if revoke {
					what = "all tokens issued before are invalid"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "key %s signs tokens now; %s\n", k.ID, what)
				return nil
			})
		}),
	}
	rotate.Flags().BoolVar(&revoke, "revoke", false, "remove the keys before it, for when others know them")
	cmd.AddCommand(rotate)
	return cmd
}
