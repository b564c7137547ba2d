package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/server"
	"github.com/zerobus-go/zerobus/server/internal/admin"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/datadir"
)

// The sample is the first 100,000 of 3,000,000 flights of 2001 from the npm package vega-datasets 3.2.1 (BSD-3-Clause), which
// are records of the US Bureau of Transportation Statistics: date in µs since the epoch of local time, delay in minutes,
// distance in miles, and the two airports.
//
//go:embed sample/flights.ndjson.gz
var sampleFlights []byte

const (
	demoTable     = "main.default.flights"
	demoPrincipal = "demo"
	demoDDL       = `CREATE TABLE IF NOT EXISTS main.default.flights (
  date TIMESTAMP_NTZ, delay BIGINT, distance BIGINT, origin STRING, destination STRING
) USING DELTA COMMENT 'Flights of 2001, US Bureau of Transportation Statistics'`
)

func newDemo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "The whole path in one command: server, table, real records, read back",
		Long: `Starts a server on free loopback ports, makes a table and a principal, streams 100,000 real flights through the SDK
and shows what is in the Delta table then. The table stays in the data directory; another run appends to it.`,
		Args: cobra.NoArgs,
	}
	data := dataFlag(cmd)
	cmd.RunE = command(func(cmd *cobra.Command, _ []string) error {
		return demo(cmd.Context(), cmd.OutOrStdout(), *data)
	})
	return cmd
}

func demo(ctx context.Context, w io.Writer, data string) (err error) {
	srv, err := server.New(ctx, server.Config{DataDir: data, GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0"})
	if errors.Is(err, catalog.ErrLocked) {
		return fmt.Errorf("%w: end the server that uses %s, or name another directory with --data", err, data)
	}
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve() }()
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		err = errors.Join(err, srv.Shutdown(end), <-served)
	}()
	fmt.Fprintf(w, "Server: streams at %s, HTTP at %s, data in %s.\n", srv.GRPCEndpoint(), srv.WorkspaceURL(), srv.DataDir())

	dir, err := datadir.Open(data)
	if err != nil {
		return err
	}
	api, release, err := connect(ctx, dir)
	if err != nil {
		return err
	}
	defer release()
	creds, err := prepareDemo(ctx, api)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Table %s and principal %q are there.\n", demoTable, demoPrincipal)

	load, err := loadSample(ctx, srv, creds)
	if err != nil {
		return err
	}
	if err := api.Flush(ctx, demoTable); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nStreamed %s flights in %s: %s records/s, every one durable before its acknowledgement.\n",
		count(load.records), load.took.Round(time.Millisecond), count(int64(float64(load.records)/load.took.Seconds())))
	fmt.Fprintf(w, "Ack latency: p50 %s, p99 %s.\n", load.percentile(50), load.percentile(99))
	return showDemo(ctx, w, api)
}

// prepareDemo makes the table and a principal that may write it. The principal's secret is new in every run.
func prepareDemo(ctx context.Context, api admin.API) (admin.Credentials, error) {
	if _, err := api.SQL(ctx, demoDDL); err != nil {
		return admin.Credentials{}, err
	}
	ps, err := api.Principals(ctx)
	if err != nil {
		return admin.Credentials{}, err
	}
	issue := api.CreatePrincipal
	if slices.ContainsFunc(ps, func(p admin.Principal) bool { return p.Name == demoPrincipal }) {
		issue = api.RotatePrincipal
	}
	creds, err := issue(ctx, demoPrincipal)
	if err != nil {
		return creds, err
	}
	_, err = api.SQL(ctx, fmt.Sprintf("GRANT USE CATALOG ON CATALOG main TO `%[1]s`;"+
		"GRANT USE SCHEMA ON SCHEMA main.default TO `%[1]s`;"+
		"GRANT SELECT, MODIFY ON TABLE main.default.flights TO `%[1]s`", creds.ID))
	return creds, err
}

// load is what a run of the sample measured.
type load struct {
	records   int
	took      time.Duration
	latencies []time.Duration // from the ingest call to the acknowledgement, sorted
}

func (l load) percentile(p int) time.Duration {
	if len(l.latencies) == 0 {
		return 0
	}
	return l.latencies[(len(l.latencies)-1)*p/100].Round(10 * time.Microsecond)
}

func loadSample(ctx context.Context, srv *server.Server, creds admin.Credentials) (load, error) {
	lines, err := sampleLines()
	if err != nil {
		return load{}, err
	}
	sdk, err := zerobus.New(srv.GRPCEndpoint(), srv.WorkspaceURL(), zerobus.WithoutProxy())
	if err != nil {
		return load{}, err
	}
	defer sdk.Close()

	l := load{records: len(lines), latencies: make([]time.Duration, len(lines))}
	sent := make([]atomic.Int64, len(lines)) // ns since start, by offset
	start := time.Now()
	stream, err := sdk.CreateStream(ctx, zerobus.Table(demoTable), zerobus.ClientCredentials{ID: creds.ID, Secret: creds.Secret},
		zerobus.WithAckCallback(func(a zerobus.AckInfo) {
			now := time.Since(start)
			for o := a.First; a.Err == nil && o <= a.Last; o++ {
				l.latencies[o] = now - time.Duration(sent[o].Load())
			}
		}))
	if err != nil {
		return load{}, err
	}
	start = time.Now()
	for i, line := range lines {
		sent[i].Store(int64(time.Since(start)))
		if _, err := stream.Ingest(ctx, zerobus.JSONBytes(line)); err != nil {
			return load{}, errors.Join(err, stream.Close(ctx))
		}
	}
	err = stream.Flush(ctx)
	l.took = time.Since(start)
	// Close waits for the callbacks.
	err = errors.Join(err, stream.Close(ctx))
	slices.Sort(l.latencies)
	return l, err
}

func sampleLines() ([][]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(sampleFlights))
	if err != nil {
		return nil, err
	}
	var lines [][]byte
	for s := bufio.NewScanner(z); ; {
		if !s.Scan() {
			return lines, s.Err()
		}
		lines = append(lines, bytes.Clone(s.Bytes()))
	}
}

func showDemo(ctx context.Context, w io.Writer, api admin.API) error {
	rows, err := api.Head(ctx, demoTable, 5)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n$ zerobus table head %s\n", demoTable)
	printRows(w, rows)
	history, err := api.History(ctx, demoTable, 5)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n$ zerobus table history %s\n", demoTable)
	printHistory(w, history)
	detail, err := api.Describe(ctx, demoTable)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, `
The table has %s rows in %s now. Read it with
  DuckDB   SELECT origin, count(*), avg(delay) FROM delta_scan('%[3]s') GROUP BY 1 ORDER BY 2 DESC LIMIT 5;
  Spark    spark.read.format("delta").load("%[3]s").groupBy("origin").avg("delay").show()
  Python   deltalake.DeltaTable("%[3]s").to_pyarrow_table()
`, count(detail.Rows), detail.Location, filepath.ToSlash(detail.Location))
	return nil
}
