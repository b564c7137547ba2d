package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/zerobus-go/zerobus/server/internal/admin"
	"github.com/zerobus-go/zerobus/server/internal/table"
)

// newTableOptimize is zerobus table optimize.
func newTableOptimize(data *string, asJSON *bool) *cobra.Command {
	o := admin.OptimizeOptions{Target: table.DefaultTarget}
	cmd := &cobra.Command{
		Use:   "optimize TABLE",
		Short: "Rewrite small data files into larger ones",
		Long: `Rewrite the data files that are smaller than the target size into files of up to that size, partition by partition. Rows stay what
they are, and in their order: what stands one behind the other is put together.

A running server does it by itself, for files that are much smaller; this does it at once and for all that are not full. Other
writers go on meanwhile; where one changes the same files, its change stands. The old files stay for readers of earlier versions,
until a vacuum. It can be interrupted and run again.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().Var(sizeValue(&o.Target), "target-size", "size up to which files grow")
	cmd.Flags().IntVar(&o.MinFiles, "min-files", 2, "rewrite so many files into one at least")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "tell what would be rewritten and change nothing")
	cmd.RunE = command(func(cmd *cobra.Command, args []string) error {
		if o.MinFiles < 2 {
			return &usageError{fmt.Sprintf("--min-files %d: one file alone is not rewritten", o.MinFiles)}
		}
		return look(cmd, *data, func(api admin.API) error {
			t := &task{}
			end := t.show(cmd.ErrOrStderr(), isTerminal(cmd.ErrOrStderr()))
			v, err := api.Optimize(cmd.Context(), args[0], o, t.progress)
			end()
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), v)
			}
			printOptimize(cmd.OutOrStdout(), v)
			return nil
		})
	})
	return cmd
}

// printOptimize gives the figures, and what a person may have to do.
func printOptimize(w io.Writer, v admin.Optimize) {
	removed, added, size := "rewritten", "new", bytesText(v.BytesAdded)
	if v.DryRun {
		removed, added, size = "to be rewritten", "to be written", ""
	}
	printTable(w, []string{"", "files", "size"}, [][]string{
		{removed, count(v.FilesRemoved), bytesText(v.BytesRemoved)},
		{added, count(v.FilesAdded), size},
	})
	fmt.Fprintf(w, "\n%s has %s %s, version %d\n", v.Table, count(v.Files), plural(v.Files, "file"), v.Version)
	if v.Left > 0 {
		fmt.Fprintf(w, "%s %s cannot be rewritten; the log of the server says why, zerobus table check %s looks closer\n", count(v.Left), plural(v.Left, "file"), v.Table)
	}
	if v.Conflicts > 0 {
		fmt.Fprintf(w, "%s %s gave way to another writer of the same files: run it again\n", count(v.Conflicts), plural(v.Conflicts, "rewrite"))
	}
}
