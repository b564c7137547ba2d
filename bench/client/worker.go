package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zerobus-go/zerobus/bench/internal/report"
)

// Job is what a worker process reads from its standard input.
type Job struct {
	Case
	Client  string
	Addr    string
	CA      string // PEM; for TLS
	Warm    time.Duration
	Measure time.Duration
	Profile string // file for a CPU profile of the measured time
}

// Result is what a worker process writes to its standard output.
type Result struct {
	Client     string
	Records    int64
	Warm       int64 // records before the measured time
	Seconds    float64
	CPU        float64 // seconds, of the client's process
	Allocs     uint64
	P50        float64 // of the time from an ingest call to the acknowledgement, in µs
	P99        float64
	P999       float64
	Samples    int
	PeakRSS    int64   // bytes, of the client's whole process
	StartRSS   int64   // the same before the first record
	Messages   int64   // by the sink
	ServerCPU  float64 // by the sink
	GoMaxProcs int
}

// rate is records in a second.
func (r Result) rate() float64 { return float64(r.Records) / r.Seconds }

// cpu is seconds for a million records.
func (r Result) cpu() float64 { return r.CPU / float64(r.Records) * 1e6 }

func (r Result) allocs() float64 { return float64(r.Allocs) / float64(r.Records) }

// client is what is measured: a number of streams.
type client interface {
	// send ingests n records of a producer, or n batches of a case of batches. It may sample the latency of the first.
	send(ctx context.Context, producer, n int, sample bool) error

	// wait ingests a record and waits until it is durable.
	wait(ctx context.Context, producer int) error

	// flush waits until all is durable.
	flush(ctx context.Context) error

	close(ctx context.Context) error
}

// work is the worker process.
func work(in io.Reader, out io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var job Job
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return err
	}
	result, err := run(ctx, job)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// run is one measurement.
func run(ctx context.Context, job Job) (*Result, error) {
	samples := newSamples()
	var c client
	var err error
	switch job.Client {
	case ours:
		c, err = openOurs(ctx, job, samples)
	case baseLine:
		c, err = openBaseline(ctx, job, samples)
	default:
		err = fmt.Errorf("there is no client %q", job.Client)
	}
	if err != nil {
		return nil, err
	}
	start := peakMemory()
	warm, err := load(ctx, job, c, job.Warm)
	if err != nil {
		return nil, err
	}
	if job.Profile != "" {
		f, err := os.Create(job.Profile)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return nil, err
		}
		defer pprof.StopCPUProfile()
	}
	samples.reset()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, began := report.ProcessorTime(), time.Now()
	records, err := load(ctx, job, c, job.Measure)
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	cpu = report.ProcessorTime() - cpu
	runtime.ReadMemStats(&after)
	if err := c.close(ctx); err != nil {
		return nil, err
	}
	r := &Result{
		Client: job.Client, Records: records, Warm: warm, Seconds: took.Seconds(), CPU: cpu.Seconds(),
		Allocs: after.Mallocs - before.Mallocs, PeakRSS: peakMemory(), StartRSS: start, GoMaxProcs: runtime.GOMAXPROCS(0),
	}
	r.P50, r.P99, r.P999, r.Samples = samples.quantiles()
	return r, nil
}

// load has all producers send for a time, and returns how many records were sent once they are acknowledged.
func load(ctx context.Context, job Job, c client, d time.Duration) (int64, error) {
	var over atomic.Bool
	timer := time.AfterFunc(d, func() { over.Store(true) })
	defer timer.Stop()
	var total atomic.Int64
	errs := make(chan error, job.Producers)
	var producers sync.WaitGroup
	for i := range job.Producers {
		producers.Go(func() {
			sent, err := produce(ctx, job, c, i, &over)
			total.Add(sent)
			if err != nil {
				errs <- err
			}
		})
	}
	producers.Wait()
	select {
	case err := <-errs:
		return 0, err
	default:
	}
	return total.Load() * int64(max(1, job.Batch)), c.flush(ctx)
}

// produce is one producer. It returns the number of calls.
func produce(ctx context.Context, job Job, c client, producer int, over *atomic.Bool) (sent int64, err error) {
	step := max(1, min(1024, 1<<20/job.Size)) // calls between two looks at the clock
	if job.Batch > 0 {
		step = max(1, step/job.Batch)
	}
	switch {
	case job.Wait:
		for ; !over.Load(); sent++ {
			if err := c.wait(ctx, producer); err != nil {
				return sent, err
			}
		}
	case job.Gap >= longGap:
		for due := time.Now(); !over.Load(); sent++ {
			if err := c.wait(ctx, producer); err != nil {
				return sent, err
			}
			due = pace(due, job.Gap)
		}
	case job.Gap > 0:
		every := max(1, int64(betweenSamples/job.Gap))
		for due := time.Now(); !over.Load(); sent++ {
			if err := c.send(ctx, producer, 1, sent%every == 0); err != nil {
				return sent, err
			}
			due = pace(due, job.Gap)
		}
	default:
		var sampled time.Time
		for ; !over.Load(); sent += int64(step) {
			now := time.Now()
			sample := now.Sub(sampled) >= betweenSamples
			if sample {
				sampled = now
			}
			if err := c.send(ctx, producer, step, sample); err != nil {
				return sent, err
			}
		}
	}
	return sent, nil
}

// betweenSamples is the time between two records of a producer whose latency is sampled.
const betweenSamples = time.Millisecond

// longGap is the gap from which on a producer waits for the acknowledgement of each record, and sleeps between them.
const longGap = 500 * time.Microsecond

// pace waits until the next record is due: by sleeping for long gaps, and by being busy for short ones, as a program is
// that makes its records. A producer that was held up does not make up for it.
func pace(due time.Time, gap time.Duration) time.Time {
	due = due.Add(gap)
	now := time.Now()
	if gap >= longGap {
		if wait := due.Sub(now); wait > 0 {
			time.Sleep(wait)
			return due
		}
		return now
	}
	if now.After(due) {
		return now
	}
	for time.Now().Before(due) {
	}
	return due
}
