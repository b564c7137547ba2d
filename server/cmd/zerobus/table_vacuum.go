package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/zerobus-go/zerobus/server/internal/admin"
)

// newTableVacuum is zerobus table vacuum.
func newTableVacuum(data *string, asJSON *bool) *cobra.Command {
	var o admin.VacuumOptions
	var retain time.Duration
	cmd := &cobra.Command{
		Use:   "vacuum TABLE",
		Short: "Delete data files that no version needs",
		Long: `Delete the files below the table's directory that its latest version does not name, once they are older than the retention.

The retention is the table's delta.deletedFileRetentionDuration, a week unless it is set. Versions from before it cannot be read
any more afterwards. Names that begin with a dot or an underscore are left alone. It can be interrupted and run again.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "list the files and delete none")
	cmd.Flags().DurationVar(&retain, "retain", 0, "keep files that were needed within this time, such as 168h (default: the table's own retention)")
	cmd.Flags().BoolVar(&o.Force, "force", false, "allow --retain below the table's own retention: nobody else may write to the table meanwhile")
	cmd.RunE = command(func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("retain") {
			o.Retain = &retain
		}
		return look(cmd, *data, func(api admin.API) error {
			t := &task{}
			end := t.show(cmd.ErrOrStderr(), isTerminal(cmd.ErrOrStderr()))
			v, err := api.Vacuum(cmd.Context(), args[0], o, t.progress)
			end()
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), v)
			}
			printVacuum(cmd.OutOrStdout(), v)
			return nil
		})
	})
	return cmd
}

// printVacuum lists the files of a dry run, and gives the figures in the last line.
func printVacuum(w io.Writer, v admin.Vacuum) {
	if v.DryRun && len(v.List) > 0 {
		rows := make([][]string, len(v.List))
		for i, f := range v.List {
			why := "not in the log"
			if !f.Removed.IsZero() {
				why = "removed " + when(f.Removed)
			}
			rows[i] = []string{f.Path, bytesText(f.Bytes), when(f.Modified), why}
		}
		printTable(w, []string{"file", "size", "modified", "why"}, rows)
		more(w, v.Files-len(v.List))
		fmt.Fprintln(w)
	}
	what := "deleted"
	if v.DryRun {
		what = "would be deleted"
	}
	fmt.Fprintf(w, "%s %s; %s younger than %s kept; %s %s in use, version %d\n", amount(v.Files, v.Bytes), what,
		amount(v.Kept, v.KeptBytes), span(v.RetainSeconds), count(v.Listed-v.Files-v.Kept), plural(v.Listed-v.Files-v.Kept, "file"), v.Version)
}

func plural[T ~int | ~int64](n T, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// span writes a retention in the greatest unit that it is a whole number of.
func span(seconds float64) string {
	for _, u := range []struct {
		name    string
		seconds float64
	}{{"day", 86400}, {"hour", 3600}, {"minute", 60}} {
		if n := seconds / u.seconds; n >= 1 && n == float64(int64(n)) {
			return fmt.Sprintf("%d %s", int64(n), plural(int(n), u.name))
		}
	}
	return fmt.Sprintf("%g s", seconds)
}
