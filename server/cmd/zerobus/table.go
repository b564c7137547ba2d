package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/zerobus-go/zerobus/server/internal/admin"
)

func newTable() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "table",
		Short: "Look at tables and keep them: list, describe, head, history, optimize, vacuum, check",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	data, asJSON := dataFlag(cmd), jsonFlag(cmd)

	var headRows, commits int
	head := inspect("head TABLE", "Show rows of the newest files", data, asJSON, func(api admin.API, cmd *cobra.Command, table string) (admin.Rows, error) {
		return api.Head(cmd.Context(), table, headRows)
	}, printRows)
	head.Flags().IntVarP(&headRows, "rows", "n", 10, fmt.Sprintf("number of rows, up to %d", admin.MaxHeadRows))
	history := inspect("history TABLE", "List commits, newest first", data, asJSON, func(api admin.API, cmd *cobra.Command, table string) ([]admin.Commit, error) {
		return api.History(cmd.Context(), table, commits)
	}, printHistory)
	history.Flags().IntVarP(&commits, "limit", "n", 20, fmt.Sprintf("number of commits, up to %d", admin.MaxCommits))

	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List tables", Args: cobra.NoArgs, RunE: command(func(cmd *cobra.Command, _ []string) error {
			return look(cmd, *data, func(api admin.API) error {
				ts, err := api.Tables(cmd.Context())
				if err != nil {
					return err
				}
				if *asJSON {
					return printJSON(cmd.OutOrStdout(), ts)
				}
				printTables(cmd.OutOrStdout(), ts)
				return nil
			})
		})},
		inspect("describe TABLE", "Show columns and properties", data, asJSON, func(api admin.API, cmd *cobra.Command, table string) (admin.TableDetail, error) {
			return api.Describe(cmd.Context(), table)
		}, printDetail),
		head, history, newTableOptimize(data, asJSON), newTableVacuum(data, asJSON), newTableCheck(data, asJSON),
	)
	return cmd
}

// inspect makes a command that asks for one table and prints the answer.
func inspect[T any](use, short string, data *string, asJSON *bool, ask func(admin.API, *cobra.Command, string) (T, error), print func(io.Writer, T)) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1), RunE: command(func(cmd *cobra.Command, args []string) error {
		return look(cmd, *data, func(api admin.API) error {
			v, err := ask(api, cmd, args[0])
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), v)
			}
			print(cmd.OutOrStdout(), v)
			return nil
		})
	})}
}

func printTables(w io.Writer, ts []admin.TableSummary) {
	rows := make([][]string, len(ts))
	for i, t := range ts {
		if t.Err != "" {
			rows[i] = []string{t.Name, "", "", "", "", "", t.Err}
			continue
		}
		rows[i] = []string{t.Name, fmt.Sprint(t.Columns), fmt.Sprint(t.Version), count(t.Files), count(t.Rows), bytesText(t.Bytes), when(t.LastCommit)}
	}
	printTable(w, []string{"table", "columns", "version", "files", "rows", "size", "last commit"}, rows)
}

func printDetail(w io.Writer, t admin.TableDetail) {
	rows := make([][]string, len(t.Schema))
	for i, c := range t.Schema {
		null := ""
		if !c.Nullable {
			null = "NOT NULL"
		}
		rows[i] = []string{c.Name, c.Type, null, c.Comment}
	}
	printTable(w, []string{"column", "type", "", "comment"}, rows)
	fmt.Fprintln(w)
	facts := [][2]string{
		{"table", t.Name},
		{"comment", t.Comment},
		{"id", t.ID},
		{"owner", t.Owner},
		{"created", when(t.Created)},
		{"type", t.Type},
		{"location", t.Location},
		{"protocol", t.Protocol},
		{"partitioned", strings.Join(t.PartitionBy, ", ")},
		{"version", fmt.Sprint(t.Version)},
		{"last commit", when(t.LastCommit)},
		{"files", count(t.Files)},
		{"rows", count(t.Rows)},
		{"size", bytesText(t.Bytes)},
	}
	for _, f := range facts {
		if f[1] != "" {
			fmt.Fprintf(w, "%-12s %s\n", f[0], f[1])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(t.Properties)) {
		fmt.Fprintf(w, "%-12s %s = %s\n", "property", k, t.Properties[k])
	}
}

func printRows(w io.Writer, r admin.Rows) {
	rows := make([][]string, len(r.Rows))
	for i, row := range r.Rows {
		rows[i] = make([]string, len(row))
		for j, v := range row {
			rows[i][j] = "NULL"
			if v != nil {
				rows[i][j] = *v
			}
		}
	}
	printTable(w, r.Columns, rows)
}

func printHistory(w io.Writer, cs []admin.Commit) {
	rows := make([][]string, len(cs))
	for i, c := range cs {
		rows[i] = []string{fmt.Sprint(c.Version), when(c.Time), c.Operation, count(c.Files), count(c.Rows), bytesText(c.Bytes)}
	}
	printTable(w, []string{"version", "time", "operation", "files", "rows", "size"}, rows)
}
