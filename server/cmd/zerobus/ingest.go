package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/server/internal/admin"
)

func newIngest() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ingest --table CATALOG.SCHEMA.TABLE FILE…",
		Short: "Load files: NDJSON or CSV, compressed or not",
		Long: `Streams the records of files into a table, in order, and returns when all of them are durable, or with --commit when they are in
the table. - is standard input; files that end in .gz are decompressed.

NDJSON has one JSON object a line, which is sent as it stands: dates are days since 1970, times microseconds since 1970,
BINARY is base64. Blank lines are no records.

CSV has the names of columns in its first line. Cells become what their columns need: numbers; true, false, t, f, 1 or 0;
dates as 2006-01-02 or days since 1970; times as 2006-01-02 15:04:05.999999, with or without a zone, or microseconds since
1970 (a TIMESTAMP without a zone is UTC; a TIMESTAMP_NTZ is the clock that is written, whatever the zone); base64 for
BINARY; JSON for arrays, maps and structs. An empty cell is NULL.

Without an endpoint, the server of the data directory is used when one is running. Credentials are those of a principal
that may write the table; give the secret in the environment, where other users do not see it.

A load that ends early tells how many records are durable, and the --skip with which it goes on. With --producer the server
keeps that: the same command goes on where it was, and no record is there twice, whatever was cut off. The inputs must have
the same records in the same order each time; new ones may follow.`,
		Example: "  zerobus ingest --table main.default.flights flights-2001.ndjson.gz flights-2002.ndjson.gz\n" +
			"  zerobus ingest --table main.default.air_quality --csv-comma ';' readings.csv\n" +
			"  zerobus ingest --table main.default.events --producer host7:app.log /var/log/app.log\n" +
			"  generator | zerobus ingest --table main.default.events -",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{"no input: name files, or - for standard input"}
			}
			return nil
		},
	}
	var to targetFlags
	data, asJSON := dataFlag(cmd), jsonFlag(cmd)
	f := cmd.Flags()
	// The environment is no default of a flag: help would show it, secrets included.
	f.StringVar(&to.table, "table", "", "table to write, CATALOG.SCHEMA.TABLE (default $"+tableVar+")")
	f.StringVar(&to.endpoint, "server-endpoint", "", "where streams go (default $"+endpointVar+")")
	f.StringVar(&to.workspace, "workspace-url", "", "where tokens come from (default $"+workspaceVar+")")
	f.StringVar(&to.id, "client-id", "", "client id of the principal (default $"+idVar+")")
	f.StringVar(&to.secret, "client-secret", "", "its secret; prefer the environment (default $"+secretVar+")")
	f.StringVar(&to.ca, "ca", "", "file of a certificate authority to trust beside the system's")
	format := f.String("format", "auto", "auto, ndjson or csv; auto is csv for .csv and .csv.gz, else ndjson")
	comma := f.String("csv-comma", ",", "separator of CSV cells, one character or tab")
	skip := f.Int64("skip", 0, "records to pass over at the start")
	producer := f.String("producer", "", "name of these inputs, for which the server keeps how far they are")
	inflight := f.Int("max-inflight", zerobus.DefaultStreamSettings().MaxInflightRecords, "records that may be sent and not acknowledged")
	batch := f.Int("max-batch-records", 0, "records in one message at most (default no limit)")
	commit := f.Bool("commit", false, "have the records committed to the table at once, and wait for it; for the server of a data directory")
	cmd.RunE = command(func(cmd *cobra.Command, args []string) error {
		if !slices.Contains([]string{"auto", "ndjson", "csv"}, *format) {
			return &usageError{fmt.Sprintf("--format %q: expected auto, ndjson or csv", *format)}
		}
		if *skip < 0 || *inflight < 1 || *batch < 0 {
			return &usageError{"--skip and --max-batch-records are at least 0, --max-inflight at least 1"}
		}
		if *producer != "" && cmd.Flags().Changed("skip") {
			return &usageError{"--producer and --skip exclude each other: with a producer the server says where to go on"}
		}
		separator, err := parseComma(*comma)
		if err != nil {
			return err
		}
		to.data, to.useData = *data, cmd.Flags().Changed("data")
		t, err := to.target()
		if err != nil {
			return err
		}
		if *commit && t.data == "" {
			return &usageError{"--commit is for the server of a data directory: name it by --data instead of by its endpoints"}
		}
		inputs, err := findInputs(args, *format, cmd.InOrStdin())
		if err != nil {
			return err
		}
		return ingest(cmd, *asJSON, *commit, &loader{
			target: t, inputs: inputs, stdin: cmd.InOrStdin(), comma: separator, skip: *skip, producer: *producer,
			options: []zerobus.StreamOption{zerobus.WithMaxInflightRecords(*inflight), zerobus.WithMaxBatchRecords(*batch)},
			meter:   newMeter(totalSize(inputs)),
		})
	})
	return cmd
}

// ingest runs a load, with its progress on standard error and its summary on standard output.
func ingest(cmd *cobra.Command, asJSON, commit bool, l *loader) error {
	ctx := cmd.Context()
	sdk, err := l.target.connect()
	if err != nil {
		return err
	}
	defer l.target.http.CloseIdleConnections()
	defer sdk.Close()
	l.sdk = sdk
	if slices.ContainsFunc(l.inputs, func(in input) bool { return in.csv }) {
		if l.columns, err = l.target.columns(ctx); err != nil {
			return err
		}
	}
	progress := cmd.ErrOrStderr()
	end := l.meter.show(progress, isTerminal(progress))
	err = l.run(ctx)
	result := l.meter.look()
	var committed float64
	if commit && err == nil {
		committed, err = l.commit(cmd)
	}
	end()
	sum := summarize(l, result, err)
	sum.Committed = committed
	if asJSON {
		if printErr := printJSON(cmd.OutOrStdout(), sum); err == nil {
			err = printErr
		}
	} else if err == nil {
		sum.print(cmd.OutOrStdout())
	}
	if err != nil {
		return errors.New(plainText(err))
	}
	return nil
}

// commit has the server commit what is durable, and tells the seconds since the first record could be sent.
func (l *loader) commit(cmd *cobra.Command) (seconds float64, err error) {
	err = look(cmd, l.target.data, func(api admin.API) error {
		err := api.Flush(cmd.Context(), l.target.table)
		seconds = l.meter.look().seconds
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("all records are durable, but not in the table yet: %w", err)
	}
	return seconds, nil
}

// summary is the result of a load. Bytes are those of the records.
type summary struct {
	Table            string  `json:"table"`
	Records          int64   `json:"records"` // durable
	Bytes            int64   `json:"bytes"`
	Seconds          float64 `json:"seconds"`
	RecordsPerSecond int64   `json:"records_per_second"`
	MBPerSecond      float64 `json:"mb_per_second"`
	Committed        float64 `json:"committed_seconds,omitempty"` // until they were in the table, with --commit
	Skipped          int64   `json:"skipped"`
	Error            string  `json:"error,omitempty"`
	Place            string  `json:"place,omitempty"`  // FILE:LINE of the record to blame
	Resume           *int64  `json:"resume,omitempty"` // the --skip to go on with
}

func summarize(l *loader, r reading, err error) summary {
	s := summary{
		Table: l.target.table, Records: r.records, Bytes: r.bytes, Seconds: r.seconds,
		RecordsPerSecond: r.perSecond(), MBPerSecond: r.megabytesPerSecond(), Skipped: min(l.skip, l.next),
	}
	if err == nil {
		return s
	}
	s.Error = plainText(err)
	var early *stopped
	if errors.As(err, &early) {
		next := early.resume()
		s.Error, s.Place, s.Resume = early.cause, early.place, &next
	}
	return s
}

func (s summary) print(w io.Writer) {
	skipped := ""
	if s.Skipped > 0 {
		skipped = fmt.Sprintf(" (%s skipped)", count(s.Skipped))
	}
	committed := ""
	if s.Committed > 0 {
		committed = fmt.Sprintf("; in the table after %.1f s", s.Committed)
	}
	fmt.Fprintf(w, "%s %s%s, %.1f MB in %.1f s: %s records/s, %.1f MB/s%s\n",
		count(s.Records), plural(s.Records, "record"), skipped, float64(s.Bytes)/1e6, s.Seconds, count(s.RecordsPerSecond), s.MBPerSecond, committed)
}
