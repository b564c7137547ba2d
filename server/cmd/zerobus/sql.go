package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/zerobus-go/zerobus/server/internal/admin"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
)

func newSQL() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sql STATEMENT…",
		Short: "Run statements: CREATE, DROP, GRANT, REVOKE, SHOW, DESCRIBE",
		Long: `Runs statements on the catalog of a data directory, whether its server runs or not. Several are separated
by semicolons; - reads them from standard input. The first that fails ends the run.`,
		Example: "  zerobus sql \"CREATE TABLE main.default.air_quality (device_name STRING, temp INT, humidity BIGINT) USING DELTA;\"\n" +
			"  zerobus sql 'GRANT SELECT, MODIFY ON TABLE main.default.air_quality TO `my-service`'\n" +
			"  zerobus sql \"SHOW TABLES IN main.default\"",
		Args: cobra.MinimumNArgs(1),
	}
	data, asJSON := dataFlag(cmd), jsonFlag(cmd)
	cmd.RunE = command(func(cmd *cobra.Command, args []string) error {
		script := strings.Join(args, " ")
		if script == "-" {
			b, err := io.ReadAll(cmd.InOrStdin())
			if err != nil {
				return err
			}
			script = string(b)
		}
		return administer(cmd, *data, func(api admin.API) error {
			results, err := api.SQL(cmd.Context(), script)
			if *asJSON {
				if results == nil {
					results = []catalog.Result{}
				}
				if perr := printJSON(cmd.OutOrStdout(), results); perr != nil {
					return perr
				}
				return err
			}
			printResults(cmd.OutOrStdout(), results)
			return err
		})
	})
	return cmd
}

func printResults(w io.Writer, results []catalog.Result) {
	for i, r := range results {
		if i > 0 && (len(r.Columns) > 0 || len(results[i-1].Columns) > 0) {
			fmt.Fprintln(w)
		}
		if len(r.Columns) > 0 {
			printTable(w, r.Columns, r.Rows)
		}
		if r.Message != "" {
			fmt.Fprintln(w, r.Message)
		}
	}
}
