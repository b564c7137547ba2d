package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/zerobus-go/zerobus"
)

// gcCase is some streams with one outstanding record each.
type gcCase struct {
	Streams int
	Delay   time.Duration // added to every fdatasync
}

// gcResult is one run of a case.
type gcResult struct {
	Disk    diskLimit // measured before
	Records float64   // acknowledged in a second
	PerSync float64   // records
	Syncs   float64   // in a second
	P50     time.Duration
	P99     time.Duration
	Server  time.Duration // processor time for a record
	Client  time.Duration // the same
}

// gcMeasurement is a case with the results of its rounds.
type gcMeasurement struct {
	gcCase
	Results []gcResult
}

type gcBench struct {
	*place
	size    int
	shared  bool
	warm    time.Duration
	measure time.Duration
	disk    time.Duration
}

// groupCommit is the command.
func groupCommit(ctx context.Context, args []string, out io.Writer) (err error) {
	f := newFlags("groupcommit")
	streams := f.String("streams", "1,2,4,8,16,32,64,128", "numbers of streams")
	delays := f.String("sync-delay", "0,2ms", "what to add to every fdatasync, by strace; 0 is the disk as it is")
	rounds := f.Int("rounds", 5, "rounds")
	b := gcBench{}
	f.IntVar(&b.size, "size", 200, "bytes of a record, as JSON")
	f.BoolVar(&b.shared, "shared", false, "all streams share one connection, instead of one each")
	f.DurationVar(&b.measure, "for", 3*time.Second, "length of a run")
	f.DurationVar(&b.warm, "warm", time.Second, "time before it that does not count")
	f.DurationVar(&b.disk, "disk", 500*time.Millisecond, "length of each measurement of the disk's limit")
	if b.place, err = f.open(ctx, args); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if b.size < minSize || b.size > corpusSize {
		return fmt.Errorf("-size is %d: want %d to %d", b.size, minSize, corpusSize)
	}
	ms, err := gcCases(*streams, *delays)
	if err != nil {
		return err
	}
	for round := range *rounds {
		for i := range ms {
			m := &ms[i]
			fmt.Fprintf(os.Stderr, "round %d of %d: %d streams, fdatasync + %v: ", round+1, *rounds, m.Streams, m.Delay)
			r, err := b.run(ctx, m.gcCase)
			if err != nil {
				return fmt.Errorf("%d streams: %w", m.Streams, err)
			}
			m.Results = append(m.Results, r)
			fmt.Fprintf(os.Stderr, "%.0f records/s, %.0f syncs/s of %.0f\n", r.Records, r.Syncs, r.Disk.PerSecond)
		}
	}
	report := gcReport{commandLine("groupcommit", args), today(), describeMachine(b.place), *rounds, b.size, b.shared, b.inMemory(), ms}
	return writePage(f.out, "groupcommit", report.page(f.out != ""), out, report.figure())
}

// gcCases makes all cases, the delays one after the other.
func gcCases(streams, delays string) (ms []gcMeasurement, err error) {
	for _, text := range strings.Split(delays, ",") {
		delay, err := time.ParseDuration(text)
		if err != nil || delay < 0 {
			return nil, fmt.Errorf("-sync-delay: %q is no time", text)
		}
		for _, text := range strings.Split(streams, ",") {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("-streams: %q is no number of streams", text)
			}
			ms = append(ms, gcMeasurement{gcCase: gcCase{n, delay}})
		}
	}
	return ms, nil
}

// run measures a case with a server of its own.
func (b *gcBench) run(ctx context.Context, c gcCase) (r gcResult, err error) {
	wrap, err := slowed(c.Delay)
	if err != nil {
		return r, err
	}
	dir, err := os.MkdirTemp(b.dir, "case-")
	if err != nil {
		return r, err
	}
	if !b.keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if r.Disk, err = runDisk(ctx, dir, b.disk, wrap); err != nil {
		return r, err
	}
	s, err := startServer(ctx, b.binary, dir, "data", wrap...)
	if err != nil {
		return r, err
	}
	acked, err := b.load(ctx, s, c.Streams, &r)
	if err = errors.Join(err, s.stop()); err != nil {
		return r, err
	}
	counts, err := parseLogCounts(s.logText())
	if err != nil {
		return r, err
	}
	// One record in a request is one entry. Anything else would make records per sync something else.
	if counts.Entries != acked || counts.Syncs == 0 {
		return r, fmt.Errorf("%d records were acknowledged, and the log has %d entries in %d syncs", acked, counts.Entries, counts.Syncs)
	}
	r.PerSync = float64(counts.Entries) / float64(counts.Syncs)
	r.Syncs = r.Records / r.PerSync
	return r, nil
}

// load writes to a server, fills in what the client sees, and returns how many records were acknowledged, warm-up included.
func (b *gcBench) load(ctx context.Context, s *server, streams int, r *gcResult) (acked int64, err error) {
	if err := s.prepare(ctx); err != nil {
		return 0, err
	}
	var opts []zerobus.Option
	if b.shared {
		opts = append(opts, zerobus.WithSharedConnection())
	}
	sdk, err := zerobus.New(s.Endpoint, s.Workspace, opts...)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, sdk.Close()) }()
	open := make([]*zerobus.Stream, streams)
	for i := range open {
		// Without recovery no record is sent twice, so entries can be compared with acknowledgements.
		if open[i], err = s.open(ctx, sdk, zerobus.WithRecovery(false)); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, open[i].Close(ctx)) }()
	}

	runtime.GC() // of what earlier cases left
	from := time.Now().Add(b.warm)
	to := from.Add(b.measure)
	workers := make([]gcWorker, streams)
	var wait sync.WaitGroup
	for i := range workers {
		w := &workers[i]
		w.stream, w.records = open[i], newMaker(int64(i), int64(streams), b.size)
		wait.Go(func() { w.run(ctx, from, to) })
	}
	begin, err := b.cpu(ctx, s, from)
	end, err2 := b.cpu(ctx, s, to)
	wait.Wait()

	var took []time.Duration
	for i := range workers {
		acked += workers[i].acked
		took = append(took, workers[i].took...)
		err2 = errors.Join(err2, workers[i].err)
	}
	if err := errors.Join(err, err2, ctx.Err()); err != nil {
		return acked, err
	}
	if len(took) == 0 {
		return acked, fmt.Errorf("nothing was acknowledged within %v", b.measure)
	}
	slices.Sort(took)
	n := time.Duration(len(took))
	r.Records = float64(n) / b.measure.Seconds()
	r.P50, r.P99 = took[n*50/100], took[n*99/100]
	r.Server, r.Client = (end[0]-begin[0])/n, (end[1]-begin[1])/n
	return acked, nil
}

// cpu waits for a moment and returns the processor time of server and client up to it.
func (b *gcBench) cpu(ctx context.Context, s *server, at time.Time) (used [2]time.Duration, err error) {
	if err := pause(ctx, time.Until(at)); err != nil {
		return used, err
	}
	for i, pid := range []int{s.cmd.Process.Pid, os.Getpid()} {
		p, err := readProcess(pid)
		if err != nil {
			return used, err
		}
		used[i] = p.CPU
	}
	return used, nil
}

// gcWorker is the producer of one stream.
type gcWorker struct {
	stream  *zerobus.Stream
	records *maker
	acked   int64
	took    []time.Duration // of the records that were acknowledged while it counted
	err     error
}

// run writes records one at a time up to a moment. Those that are acknowledged after the first moment count.
func (w *gcWorker) run(ctx context.Context, from, to time.Time) {
	for began := time.Now(); began.Before(to); {
		if _, w.err = w.stream.IngestAndWait(ctx, zerobus.JSONBytes(w.records.next())); w.err != nil {
			return
		}
		w.acked++
		now := time.Now()
		if !now.Before(from) && now.Before(to) {
			w.took = append(w.took, now.Sub(began))
		}
		began = now
	}
}

// writePage writes a page, and its plot, to a directory; without one, the page to out.
func writePage(dir, name, page string, out io.Writer, fig figure) error {
	if dir == "" {
		_, err := io.WriteString(out, page)
		return err
	}
	svg, err := fig.Render()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, name+".svg"), svg, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".md"), []byte(page), 0o644)
}
