package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/zerobus-go/zerobus/server/internal/admin"
)

// newTableCheck is zerobus table check.
func newTableCheck(data *string, asJSON *bool) *cobra.Command {
	var o admin.CheckOptions
	cmd := &cobra.Command{
		Use:   "check TABLE",
		Short: "Prove a table right: log, checkpoints, files, schema, statistics",
		Long: `Read the whole table, and compare its log, its checkpoints and checksums, the columns of its files and their statistics with what
they should be. Nothing is changed. The exit status is 1 when there is a fault.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&o.Quick, "quick", false, "leave the rows alone: no values, and of the statistics numRecords only")
	cmd.RunE = command(func(cmd *cobra.Command, args []string) error {
		return look(cmd, *data, func(api admin.API) error {
			t := &task{}
			end := t.show(cmd.ErrOrStderr(), isTerminal(cmd.ErrOrStderr()))
			c, err := api.Check(cmd.Context(), args[0], o, t.progress)
			end()
			if err != nil {
				return err
			}
			if *asJSON {
				err = printJSON(cmd.OutOrStdout(), c)
			} else {
				printCheck(cmd.OutOrStdout(), c)
			}
			if faults, _ := c.Total(); err == nil && faults > 0 {
				err = fmt.Errorf("table %s has %s %s", c.Table, count(faults), plural(faults, "fault"))
			}
			return err
		})
	})
	return cmd
}

// maxLoose is how many files are listed that are in no version, which is no fault.
const maxLoose = 20

func printCheck(w io.Writer, c *admin.Check) {
	var rows [][]string
	for _, r := range c.Checks {
		unit := r.Unit
		if r.Looked == 1 {
			unit = strings.TrimSuffix(unit, "s")
		}
		looked := count(r.Looked) + " " + unit
		if r.Skipped != "" {
			looked += " (" + r.Skipped + ")"
		}
		rows = append(rows, []string{r.Check, looked, count(r.Faults), count(r.Unchecked)})
	}
	printTable(w, []string{"check", "looked at", "faults", "not checked"}, rows)
	faults, unchecked := c.Total()
	if faults > 0 {
		fmt.Fprintln(w)
		rows = nil
		for _, f := range c.Faults {
			version := ""
			if f.Version != nil {
				version = fmt.Sprint(*f.Version)
			}
			rows = append(rows, []string{f.Check, version, f.File, f.Column, f.Text})
		}
		printTable(w, []string{"fault in", "version", "file", "column", "what"}, rows)
		more(w, faults-len(c.Faults))
	}
	if unchecked > 0 {
		fmt.Fprintln(w)
		rows = nil
		for _, u := range c.Unchecked {
			rows = append(rows, []string{u.Check, u.File, u.Column, u.Reason})
		}
		printTable(w, []string{"not checked", "file", "column", "why"}, rows)
		more(w, unchecked-len(c.Unchecked))
	}
	fmt.Fprintln(w)
	l := c.Loose
	if loose := l.Removed.Files + l.New.Files + l.Expired.Files; loose > 0 {
		rows = nil
		for _, f := range l.List[:min(len(l.List), maxLoose)] {
			rows = append(rows, []string{f.Path, bytesText(f.Bytes), when(f.Modified), f.State})
		}
		printTable(w, []string{"loose file", "size", "modified", "is"}, rows)
		more(w, loose-len(rows))
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "not in version %d: %s of earlier versions, %s new, %s that a vacuum would delete\n", c.Version,
		amount(l.Removed.Files, l.Removed.Bytes), amount(l.New.Files, l.New.Bytes), amount(l.Expired.Files, l.Expired.Bytes))
	verdict := "sound"
	switch {
	case faults > 0:
		verdict = count(faults) + " " + plural(faults, "fault")
	case unchecked > 0:
		verdict = "no fault found, but not all could be checked"
	case !c.Sound:
		verdict = "no fault found, the rows were left alone"
	}
	fmt.Fprintf(w, "%s version %d: %s; %s, %s rows\n", c.Table, c.Version, verdict, amount(c.Files, c.Bytes), count(c.Rows))
}

func more(w io.Writer, n int) {
	if n > 0 {
		fmt.Fprintf(w, "and %s more\n", count(n))
	}
}
