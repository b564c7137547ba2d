package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/loadgen"
)

// benchPlan is what a measurement is to do.
type benchPlan struct {
	shape    *loadgen.Shape
	encoding loadgen.Encoding
	streams  int
	idle     int           // further streams, on which nothing is sent
	rate     float64       // records a second, of all streams; 0 for as fast as it goes
	warm     time.Duration // before it counts
	length   time.Duration // that counts; 0 with records
	records  int64         // to send instead, all of which count
	commits  int           // of one record each, to make first
	inflight int           // records of a stream that may be on their way
	table    string
	dir      string   // where the own server's data directory is made
	data     string   // of a running server; empty for an own one
	serve    []string // flags of the own server
}

func newBench() *cobra.Command {
	var shapes []string
	for _, s := range loadgen.Shapes {
		shapes = append(shapes, fmt.Sprintf("  %-7s  %s", s.Name, s.About))
	}
	cmd := &cobra.Command{
		Use:   "bench [-- FLAGS OF SERVE]",
		Short: "Measure the server: rates, latency of acknowledgements, time to the table",
		Long: `Writes made-up records with this program's own client and tells what came of it. By default it starts a server of its own,
as a process, in a temporary directory that it removes at the end. With --data the running server of that directory is measured,
in a table that stays there.

Shapes of records:
` + strings.Join(shapes, "\n") + `

The latency of an acknowledgement is from the call that ingests a record to the callback that it is durable. Time to table is
from the same call until the Delta log has the version with the record, in which the record's id was found: the directory of
the log is looked at every 2 ms, and the data files are read at the end. Without a rate both have the wait in the client's
window, so give one to know latencies. Rates are of what is acknowledged after the warm-up. Processor time and bytes are those of the
whole run, the last commit included.`,
		Example: "  zerobus bench\n  zerobus bench --rate 10000 --streams 8 --for 10s\n  zerobus bench --shape wide --encoding json --streams 64 --json\n" +
			"  zerobus bench -- --commit-interval 5s --memory-limit 2GiB",
	}
	p := benchPlan{}
	asJSON := jsonFlag(cmd)
	f := cmd.Flags()
	shape := f.String("shape", "1k", "shape of the records")
	encoding := f.String("encoding", string(loadgen.Proto), "protobuf or json")
	f.IntVar(&p.streams, "streams", 1, "streams that write at the same time, each with a connection of its own")
	f.IntVar(&p.idle, "idle", 0, "further streams that are open and write nothing, on one connection")
	f.Float64Var(&p.rate, "rate", 0, "records a second, of all streams together (default as fast as it goes)")
	f.DurationVar(&p.length, "for", 5*time.Second, "length of the measurement")
	f.DurationVar(&p.warm, "warm", time.Second, "time before it that does not count")
	f.Int64Var(&p.records, "records", 0, "send so many records, all of which count, instead of --for and --warm")
	f.IntVar(&p.commits, "commits", 0, "make so many commits of one record each first")
	f.IntVar(&p.inflight, "max-inflight", 0, "records of a stream that may be sent and not acknowledged (default the client's, with many streams 200,000 of all)")
	f.StringVar(&p.table, "table", "", "table to write, made when it is not there; nobody else may write it meanwhile (default main.default.bench_SHAPE)")
	f.StringVar(&p.dir, "dir", "", "make the temporary directory below this one, which should be on the disk that is to be measured (default the system's)")
	f.StringVar(&p.data, "data", "", "data directory of a running server to measure")
	cmd.RunE = command(func(cmd *cobra.Command, args []string) (err error) {
		if p.shape, err = loadgen.ShapeNamed(*shape); err == nil {
			p.encoding, err = loadgen.EncodingNamed(*encoding)
		}
		if err != nil {
			return &usageError{"--" + err.Error()}
		}
		if p.serve = args; cmd.ArgsLenAtDash() != 0 && len(args) > 0 {
			return &usageError{fmt.Sprintf("unexpected argument %q: flags of serve stand behind --", args[0])}
		}
		if err := p.validate(cmd.Flags().Changed("for") || cmd.Flags().Changed("warm")); err != nil {
			return err
		}
		progress := new(task)
		errw := cmd.ErrOrStderr()
		end := progress.show(errw, isTerminal(errw))
		result, err := p.run(cmd.Context(), progress)
		end()
		if err != nil {
			return errors.New(plainText(err))
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), result)
		}
		result.print(cmd.OutOrStdout())
		return nil
	})
	return cmd
}

// Bounds of what one process can measure.
const (
	benchStreams = 10_000
	benchCommits = 1_000_000

	// benchInflight is how many records of all streams may wait for their acknowledgement: the client's default for each of a
	// thousand streams would be more than its memory.
	benchInflight = 200_000
)

// validate looks at the numbers and fills in what follows from them. timed: the command line has a time.
func (p *benchPlan) validate(timed bool) error {
	switch {
	case p.streams < 1 || p.streams > benchStreams || p.idle < 0 || p.idle > benchStreams:
		return &usageError{fmt.Sprintf("--streams is 1 to %s, --idle 0 to the same", count(benchStreams))}
	case p.rate < 0 || p.commits < 0 || p.commits > benchCommits || p.inflight < 0:
		return &usageError{"--rate, --commits and --max-inflight are at least 0"}
	case p.records < 0 || p.records > loadgen.Capacity:
		return &usageError{fmt.Sprintf("--records is at most %s: ids of records end there", count(loadgen.Capacity))}
	case p.records > 0 && timed:
		return &usageError{"--records and --for or --warm exclude each other"}
	case p.records == 0 && (p.length < 10*time.Millisecond || p.warm < 0):
		return &usageError{"--for is at least 10ms, --warm at least 0"}
	case p.data != "" && (len(p.serve) > 0 || p.dir != ""):
		return &usageError{"--dir and flags of serve are for a server of its own, not for that of --data"}
	case slices.ContainsFunc(p.serve, func(f string) bool { return f == "--data" || strings.HasPrefix(f, "--data=") }):
		return &usageError{"the data directory of the own server is made below --dir"}
	}
	if p.records > 0 {
		p.length, p.warm = 0, 0
	}
	if p.inflight == 0 {
		p.inflight = max(100, min(zerobus.DefaultStreamSettings().MaxInflightRecords, benchInflight/p.streams))
	}
	if p.table == "" {
		p.table = "main.default.bench_" + strings.ReplaceAll(p.shape.Name, "-", "_")
	}
	if _, err := catalog.ParseTableName(p.table); err != nil {
		return &usageError{fmt.Sprintf("--table %s: %v", p.table, err)}
	}
	return nil
}

// run makes the measurement.
func (p *benchPlan) run(ctx context.Context, progress *task) (r *benchResult, err error) {
	s, err := p.server(ctx, progress)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	r = &benchResult{Shape: p.shape.Name, Encoding: p.encoding, RecordBytes: p.shape.Size(p.encoding), Streams: p.streams, Idle: p.idle, Rate: p.rate}
	if r.Sync, err = measureSyncs(ctx, s.data); err != nil {
		return nil, err
	}
	sdk, err := s.target.connect()
	if err != nil {
		return nil, err
	}
	defer sdk.Close()
	if err := p.age(ctx, s, sdk, progress); err != nil {
		return nil, err
	}
	return r, p.measure(ctx, s, sdk, progress, r)
}
