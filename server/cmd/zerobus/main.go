// Command zerobus is the server, the administration and the bulk loader in one binary.
//
// Exit status: 0 done, 1 failed, 2 wrong command line.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	// The first signal asks the command to end in order; a second one ends the process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errw)
	cmd, err := root.ExecuteContextC(ctx)
	var failed *commandError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &failed):
		fmt.Fprintf(errw, "zerobus: %s\n", oneLine(failed.err))
		return 1
	}
	fmt.Fprintf(errw, "zerobus: %s (see %s --help)\n", oneLine(err), cmd.CommandPath())
	return 2
}

// oneLine keeps an error on one line, whatever was joined in it, and commands the terminal nothing.
func oneLine(err error) string {
	return cut(strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; "), false)
}

// commandError is the failure of a command that was called rightly; every other error is a wrong command line.
type commandError struct{ err error }

func (e *commandError) Error() string { return e.err.Error() }
func (e *commandError) Unwrap() error { return e.err }

// command turns a function into cobra's RunE and marks its errors.
func command(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd, args)
		var wrong *usageError
		if err == nil || errors.As(err, &wrong) {
			return err
		}
		return &commandError{err}
	}
}

// usageError is a wrong command line that only the command itself can see.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "zerobus",
		Short: "Stream records into Delta tables: server, administration, bulk loader",
		Long: `zerobus streams records into Delta Lake tables over gRPC, with acknowledgements once they are durable.

Try it:      zerobus demo
Serve:       zerobus serve
Administer:  zerobus sql "CREATE TABLE main.default.t (id BIGINT) USING DELTA"
Load:        zerobus ingest --table main.default.t FILE.ndjson`,
		Version:       versionText(),
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newDemo(), newServe(), newSQL(), newPrincipal(), newTokenKey(), newIngest(), newTable(), newGenerateProto(), newBench(), newVersion())
	return root
}
