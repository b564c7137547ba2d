package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/zerobus-go/zerobus"
)

// sample is what is seen of the server at a moment.
type sample struct {
	At time.Duration // since the load began
	process
	LogBytes   int64 // of all files of the write-ahead log
	TableBytes int64 // of all data files
	DataFiles  int
	Commits    int // versions of the table
	Load       loadReport
	Rate       float64 // records acknowledged in a second, since the sample before
	Cores      float64 // processor time of the server in a second, since the sample before, in seconds
}

// soakResult is all that was found.
type soakResult struct {
	During    []sample
	Before    sample // idle, after one record
	After     sample // idle, when all streams are closed
	Reference stacks // goroutines of a server that idles after one record
	Left      stacks // goroutines of this one after the load
	Acked     int64  // records, the one of before included
	Last      loadReport
	Rows      int64 // in the table, by its Delta log
	Reopened  int64 // rows in the table, by a server that was started on the data again
}

type soakBench struct {
	*place
	streams int
	size    int
	rate    float64
	time    time.Duration
	every   time.Duration
	idle    time.Duration
	disk    int64
}

// diskReserve is what a soak leaves of the disk to others, in bytes.
const diskReserve = 4 << 30

// errFailed is a measurement in which a criterion does not hold.
var errFailed = errors.New("the measurement has failed")

// reportEvery is how often the load reports: so often that a sample's rate is hardly wrong for it.
const reportEvery = 100 * time.Millisecond

// soak is the command.
func soak(ctx context.Context, args []string, out io.Writer) (err error) {
	f := newFlags("soak")
	b := soakBench{}
	f.DurationVar(&b.time, "for", 20*time.Minute, "length of the load")
	f.Float64Var(&b.rate, "rate", 500_000, "records per second of all streams; 0 for as fast as it goes")
	f.IntVar(&b.streams, "streams", 8, "streams")
	f.IntVar(&b.size, "size", 200, "bytes of a record, as JSON")
	f.DurationVar(&b.every, "every", 5*time.Second, "time between samples")
	f.DurationVar(&b.idle, "idle", 10*time.Second, "time to calm down, before the server's idle state is taken")
	gib := f.Float64("disk", 20, "GiB that the table may take; the load ends when it does, and the soak has failed")
	if b.place, err = f.open(ctx, args); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	b.disk = int64(*gib * (1 << 30))
	switch {
	case b.size < minSize || b.size > corpusSize:
		return fmt.Errorf("-size is %d: want %d to %d", b.size, minSize, corpusSize)
	case b.streams < 1 || b.time <= 0 || b.every <= 0 || b.rate < 0:
		return errors.New("-streams, -for and -every must be above 0, -rate not below")
	}
	// The rows take less than their JSON, and the log is not counted in -disk.
	need := b.disk
	if b.rate > 0 {
		need = min(need, int64(b.rate*b.time.Seconds()*float64(b.size)))
	}
	need += diskReserve
	if free, err := freeBytes(b.dir); err != nil || free < need {
		return errors.Join(err, fmt.Errorf("%s has %s of disk, and %s may be needed: give less with -disk or -rate", b.dir, size(float64(free)), size(float64(need))))
	}
	r, err := b.run(ctx)
	if err != nil {
		return err
	}
	report := soakReport{
		Command: commandLine("soak", args), Date: today(), Machine: describeMachine(b.place), For: b.time, Idle: b.idle,
		Streams: b.streams, Size: b.size, Rate: b.rate, soakResult: r, Verdicts: r.judge(),
	}
	if err := writePage(f.out, "soak", report.page(f.out != ""), out, report.figure()); err != nil {
		return err
	}
	return conclude(report.Verdicts)
}

func (b *soakBench) run(ctx context.Context) (r soakResult, err error) {
	reference, _, err := b.start(ctx, "reference")
	if err != nil {
		return r, err
	}
	if r.Reference, err = reference.dump(); err != nil {
		return r, err
	}
	s, before, err := b.start(ctx, "data")
	if err != nil {
		return r, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	r.Before = before
	if err := b.load(ctx, s, &r); err != nil {
		return r, err
	}
	if err := pause(ctx, b.idle); err != nil {
		return r, err
	}
	if r.After, err = b.look(s); err != nil {
		return r, err
	}
	if r.Left, err = s.dump(); err != nil {
		return r, err
	}
	if r.Rows, err = countRows(filepath.Join(s.data, tablePath)); err != nil {
		return r, err
	}
	r.Reopened, err = b.reopen(ctx)
	return r, err
}

// start starts a server, writes one record, so that what a table needs is there, and lets it calm down.
func (b *soakBench) start(ctx context.Context, name string) (s *server, idle sample, err error) {
	if s, err = startServer(ctx, b.binary, b.dir, name); err != nil {
		return nil, idle, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if err := s.prepare(ctx); err != nil {
		return nil, idle, err
	}
	if err := one(ctx, s); err != nil {
		return nil, idle, err
	}
	if err := pause(ctx, b.idle); err != nil {
		return nil, idle, err
	}
	idle, err = b.look(s)
	return s, idle, err
}

// one writes one record with a stream of its own.
func one(ctx context.Context, s *server) (err error) {
	sdk, err := zerobus.New(s.Endpoint, s.Workspace)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sdk.Close()) }()
	stream, err := s.open(ctx, sdk)
	if err != nil {
		return err
	}
	_, err = stream.IngestAndWait(ctx, zerobus.JSONBytes(newMaker(-1, 1, minSize).next()))
	return errors.Join(err, stream.Close(ctx))
}

// load runs the process that writes, and takes samples until it ends.
func (b *soakBench) load(ctx context.Context, s *server, r *soakResult) error {
	job, err := json.Marshal(loadJob{
		Access: s.access, Streams: b.streams, Size: b.size, Rate: b.rate, For: b.time,
		Every: min(reportEvery, b.every),
	})
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := exec.CommandContext(ctx, self, "load")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(job), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	reports := make(chan loadReport)
	go func() { // ends with the process
		defer close(reports)
		dec := json.NewDecoder(out)
		for {
			var l loadReport
			if dec.Decode(&l) != nil {
				return
			}
			reports <- l
		}
	}()
	err = b.watch(ctx, s, reports, r, cancel)
	if err != nil {
		cancel(err)
	}
	for range reports { // so that its goroutine ends
	}
	if werr := cmd.Wait(); werr != nil && err == nil {
		err = fmt.Errorf("the load: %w", errors.Join(werr, context.Cause(ctx)))
	}
	if err == nil && !r.Last.Done {
		err = errors.New("the load ended before all was acknowledged")
	}
	r.Acked = r.Last.Acked + 1 // the record of before
	return err
}

// watch takes samples until there are no more reports. P99 of a sample is the highest of its reports. stop ends the load.
func (b *soakBench) watch(ctx context.Context, s *server, reports <-chan loadReport, r *soakResult, stop func(error)) error {
	began := time.Now()
	last := sample{process: r.Before.process}
	tick := time.NewTicker(b.every)
	defer tick.Stop()
	var p99 time.Duration
	for {
		select {
		case l, ok := <-reports:
			if !ok {
				return nil
			}
			p99 = max(p99, l.P99)
			l.P99 = p99
			r.Last = l
		case <-s.ended:
			return fmt.Errorf("zerobus serve ended in the middle of the load: %w\n%s", s.err, s.logText())
		case <-tick.C:
			now, err := b.look(s)
			if err != nil {
				return err
			}
			now.At, now.Load, p99 = time.Since(began), r.Last, 0
			passed := (now.At - last.At).Seconds()
			now.Rate = float64(now.Load.Acked-last.Load.Acked) / passed
			now.Cores = (now.CPU - last.CPU).Seconds() / passed
			r.During = append(r.During, now)
			last = now
			fmt.Fprintf(os.Stderr, "%5.0f s: %s records/s, p99 %s, %s of memory, log %s, table %s in %d files\n", now.At.Seconds(),
				count(now.Rate), span(now.Load.P99.Seconds()), size(float64(now.RSS)), size(float64(now.LogBytes)), size(float64(now.TableBytes)), now.DataFiles)
			if free, err := freeBytes(b.dir); err != nil || free < diskReserve/2 || now.TableBytes > b.disk {
				stop(fmt.Errorf("the table has %s, %s of disk are left: lower -rate", size(float64(now.TableBytes)), size(float64(free))))
				return errors.Join(err, context.Cause(ctx))
			}
		}
	}
}

// look takes a sample.
func (b *soakBench) look(s *server) (m sample, err error) {
	if m.process, err = readProcess(s.cmd.Process.Pid); err != nil {
		return m, err
	}
	if m.LogBytes, err = treeSize(filepath.Join(s.data, logPath)); err != nil {
		return m, err
	}
	m.DataFiles, m.Commits, m.TableBytes, err = tableFiles(filepath.Join(s.data, tablePath))
	return m, err
}

// reopen starts a server on the data again, as after a crash, and returns how many rows the table has by what it says.
func (b *soakBench) reopen(ctx context.Context) (rows int64, err error) {
	s, err := startServer(ctx, b.binary, b.dir, "data")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	out, err := s.tool(ctx, "table", "describe", tableName, "--json")
	if err != nil {
		return 0, err
	}
	var detail struct {
		Rows *int64 `json:"rows"`
	}
	if err := json.Unmarshal(out, &detail); err != nil {
		return 0, fmt.Errorf("table describe: %w", err)
	}
	if detail.Rows == nil {
		return 0, fmt.Errorf("table describe tells no rows: %s", out)
	}
	return *detail.Rows, nil
}
