package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/zerobus-go/zerobus/server"
)

const (
	// shutdownTime is what ending in order may take. Then rows that are not committed are left in the log.
	shutdownTime = 20 * time.Second

	// hangTime is what may come on top of it, for a disk that does not answer. Then the process ends as it is: what was
	// acknowledged is in the log. Together they stay below the 30 s after which Kubernetes kills.
	hangTime = 5 * time.Second
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Runs the server until it is interrupted. Tables, log and catalog are kept in the data directory.

Without --tls the server speaks plaintext on loopback addresses and TLS with a certificate of its own authority on any
other; the file of the authority, for clients to trust, is printed at start.

Every flag can stand in a YAML file: --print-config prints one with all settings, --config reads it. Flags come before the
file; the environment is not looked at.`,
		Example: "  zerobus serve\n  zerobus serve --data /var/lib/zerobus --grpc-listen :8980 --http-listen :8981 --tls auto\n" +
			"  zerobus serve --print-config > zerobus.yaml\n  zerobus serve --config zerobus.yaml",
		Args: cobra.NoArgs,
	}
	flags := defaultSettings().list()
	for _, one := range flags {
		cmd.Flags().Var(one.value, one.flag(), one.usage())
	}
	file := cmd.Flags().String("config", "", "configuration file")
	printOnly := cmd.Flags().Bool("print-config", false, "print the settings that are in effect as a configuration file, and end")
	cmd.RunE = command(func(cmd *cobra.Command, _ []string) error {
		set, err := effective(cmd, flags, *file)
		if err != nil {
			return err
		}
		if *printOnly {
			return set.print(cmd.OutOrStdout())
		}
		if set.Logger, err = newLogger(cmd.ErrOrStderr(), set.LogLevel, set.LogFormat); err != nil {
			return err
		}
		limitMemory(set.Config.MemoryBytes)
		srv, err := server.New(cmd.Context(), set.Config)
		if err != nil {
			return err
		}
		announce(cmd.OutOrStdout(), srv)
		ctx, served := context.WithCancel(cmd.Context())
		result := make(chan error, 1)
		go func() {
			result <- srv.Serve()
			served()
		}()
		<-ctx.Done()
		if err := shutdown(srv); err != nil {
			return err
		}
		return <-result
	})
	return cmd
}

// effective is the settings of the defaults, the file and the flags, the later ones before the earlier ones. Everything that is
// wrong with them is told at once.
func effective(cmd *cobra.Command, flags []setting, file string) (*settings, error) {
	set := defaultSettings()
	var lines map[string]int
	var faults []fault
	if file != "" {
		var err error
		if lines, faults, err = set.readFile(file); err != nil {
			return nil, &usageError{oneLine(err)}
		}
	}
	for i, one := range set.list() {
		if !cmd.Flags().Changed(one.flag()) {
			continue
		}
		if err := assign(one.value, flags[i].value); err != nil {
			return nil, err // it was read before
		}
		delete(lines, one.key)
	}
	for _, f := range set.validate() {
		f.line = lines[f.key]
		if !slices.ContainsFunc(faults, func(g fault) bool { return f.line > 0 && g.line == f.line }) {
			faults = append(faults, f)
		}
	}
	if len(faults) == 0 {
		return set, nil
	}
	slices.SortStableFunc(faults, func(a, b fault) int { return cmp.Compare(a.line, b.line) })
	if len(faults) == 1 {
		return nil, &usageError{faults[0].text(file)}
	}
	for _, f := range faults {
		fmt.Fprintf(cmd.ErrOrStderr(), "zerobus: %s\n", oneLine(errors.New(f.text(file))))
	}
	return nil, &usageError{fmt.Sprintf("%d settings are wrong", len(faults))}
}

// text says where a fault is: in the file, or on the command line.
func (f fault) text(file string) string {
	if f.line == 0 {
		return f.msg
	}
	at := fmt.Sprintf("%s:%d: ", file, f.line)
	if f.key != "" {
		at += f.key + ": "
	}
	return at + f.msg
}

// shutdown ends the server, in order as far as there is time.
func shutdown(srv *server.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- srv.Shutdown(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-time.After(shutdownTime + hangTime):
		return fmt.Errorf("the shutdown has not ended after %v; what was acknowledged is in the log", shutdownTime+hangTime)
	}
}

func announce(w io.Writer, srv *server.Server) {
	fmt.Fprintf(w, "streams    %s\n", srv.GRPCEndpoint())
	fmt.Fprintf(w, "http       %s\n", srv.WorkspaceURL())
	if url := srv.MetricsURL(); url != "" {
		fmt.Fprintf(w, "metrics    %s\n", url)
	}
	fmt.Fprintf(w, "data       %s\n", srv.DataDir())
	if ca := srv.CAFile(); ca != "" {
		fmt.Fprintf(w, "trust      %s   (SSL_CERT_FILE=%s)\n", ca, ca)
	}
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	l, err := logLevel(level)
	if err != nil {
		return nil, err
	}
	o := &slog.HandlerOptions{Level: l}
	if strings.EqualFold(format, "json") {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}

func logLevel(text string) (l slog.Level, err error) {
	if err := l.UnmarshalText([]byte(text)); err != nil {
		return l, fmt.Errorf("log level %q: expected debug, info, warn or error", text)
	}
	return l, nil
}
