package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/zerobus-go/zerobus/server/internal/admin"
)

func newPrincipal() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "principal",
		Short: "Manage service principals: create, list, rotate, delete",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	data, asJSON := dataFlag(cmd), jsonFlag(cmd)

	withSecret := func(use, short string, do func(api admin.API, cmd *cobra.Command, name string) (admin.Credentials, error)) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1), RunE: command(func(cmd *cobra.Command, args []string) error {
			return administer(cmd, *data, func(api admin.API) error {
				c, err := do(api, cmd, args[0])
				if err != nil {
					return err
				}
				if *asJSON {
					return printJSON(cmd.OutOrStdout(), c)
				}
				w := cmd.OutOrStdout()
				fmt.Fprintf(w, "name           %s\nclient id      %s\nclient secret  %s\n\n", c.Name, c.ID, c.Secret)
				fmt.Fprintf(w, "export DATABRICKS_CLIENT_ID=%s\nexport DATABRICKS_CLIENT_SECRET=%s\n\n", c.ID, c.Secret)
				fmt.Fprintln(w, "The secret is shown only now. GRANT takes the id or the name.")
				return nil
			})
		})}
	}
	cmd.AddCommand(
		withSecret("create NAME", "Make a principal and print its client id and secret", func(api admin.API, cmd *cobra.Command, name string) (admin.Credentials, error) {
			return api.CreatePrincipal(cmd.Context(), name)
		}),
		withSecret("rotate NAME|ID", "Give a principal a new secret; the old one ends", func(api admin.API, cmd *cobra.Command, name string) (admin.Credentials, error) {
			return api.RotatePrincipal(cmd.Context(), name)
		}),
		&cobra.Command{Use: "list", Short: "List principals", Args: cobra.NoArgs, RunE: command(func(cmd *cobra.Command, _ []string) error {
			return look(cmd, *data, func(api admin.API) error {
				ps, err := api.Principals(cmd.Context())
				if err != nil {
					return err
				}
				if *asJSON {
					return printJSON(cmd.OutOrStdout(), ps)
				}
				rows := make([][]string, len(ps))
				for i, p := range ps {
					rows[i] = []string{p.Name, p.ID, when(p.Created)}
				}
				printTable(cmd.OutOrStdout(), []string{"name", "client id", "created"}, rows)
				return nil
			})
		})},
		&cobra.Command{Use: "delete NAME|ID", Short: "Delete a principal and its grants", Args: cobra.ExactArgs(1), RunE: command(func(cmd *cobra.Command, args []string) error {
			return look(cmd, *data, func(api admin.API) error {
				p, err := api.DeletePrincipal(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if *asJSON {
					return printJSON(cmd.OutOrStdout(), p)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "deleted principal %s (%s)\n", p.Name, p.ID)
				return nil
			})
		})},
	)
	return cmd
}
