package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
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
other; the file of the authority, for clients to trust, is printed at start.`,
		Example: "  zerobus serve\n  zerobus serve --data /var/lib/zerobus --grpc-listen :8980 --http-listen :8981 --tls auto",
		Args:    cobra.NoArgs,
	}
	var cfg server.Config
	data := dataFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&cfg.GRPCListen, "grpc-listen", "127.0.0.1:8980", "address for streams")
	f.StringVar(&cfg.HTTPListen, "http-listen", "127.0.0.1:8981", "address for tokens, table metadata and administration")
	f.StringVar(&cfg.TLS, "tls", "", "off, auto or CERT,KEY (default: off on loopback, else auto)")
	f.DurationVar(&cfg.CommitInterval, "commit-interval", time.Second, "longest time from a durable row to its commit")
	f.Int64Var(&cfg.MaxStreams, "max-streams", 10_000, "streams that may be open at a time")
	f.DurationVar(&cfg.StreamLifetime, "stream-lifetime", 15*time.Minute, "age at which a client is asked to open another stream; negative: never")
	f.DurationVar(&cfg.ProducerRetention, "producer-retention", 7*24*time.Hour, "how long an idle producer's position is kept")
	level := f.String("log-level", "info", "debug, info, warn or error")
	format := f.String("log-format", "text", "text or json")
	cmd.RunE = command(func(cmd *cobra.Command, _ []string) error {
		cfg.DataDir = *data
		if err := cfg.Validate(); err != nil {
			return &usageError{oneLine(err)}
		}
		log, err := newLogger(cmd.ErrOrStderr(), *level, *format)
		if err != nil {
			return err
		}
		cfg.Logger = log
		srv, err := server.New(cmd.Context(), cfg)
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
	fmt.Fprintf(w, "data       %s\n", srv.DataDir())
	if ca := srv.CAFile(); ca != "" {
		fmt.Fprintf(w, "trust      %s   (SSL_CERT_FILE=%s)\n", ca, ca)
	}
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, &usageError{fmt.Sprintf("log level %q: expected debug, info, warn or error", level)}
	}
	o := &slog.HandlerOptions{Level: l}
	switch strings.ToLower(format) {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, &usageError{fmt.Sprintf("log format %q: expected text or json", format)}
}
