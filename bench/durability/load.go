package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zerobus-go/zerobus"
)

// loadJob is what the process that writes is to do.
type loadJob struct {
	Access  access
	Streams int
	Size    int     // bytes of a record
	Rate    float64 // records a second, of all streams; 0 for as fast as it goes
	For     time.Duration
	Every   time.Duration // between reports
}

// loadReport is what it tells.
type loadReport struct {
	Acked       int64         // records so far
	Connections int64         // so far
	Resent      int64         // records that were sent again, because a connection ended before their acknowledgement
	P99         time.Duration // of acknowledgements since the last report: from a message's way into the transport
	Done        bool          // everything was acknowledged
}

// load counts what hooks and callbacks tell.
type load struct {
	acked, connections, resent atomic.Int64

	mu   sync.Mutex
	took []time.Duration // guarded by mu
}

// OnConnect implements [zerobus.ConnectHook].
func (l *load) OnConnect(e zerobus.ConnectEvent) {
	l.connections.Add(1)
	l.resent.Add(int64(e.Unacked))
}

// OnAck implements [zerobus.AckHook].
func (l *load) OnAck(e zerobus.AckEvent) {
	l.acked.Add(int64(e.Records))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = append(l.took, e.Latency)
}

func (l *load) report() loadReport {
	r := loadReport{Acked: l.acked.Load(), Connections: l.connections.Load(), Resent: l.resent.Load()}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.took); n > 0 {
		slices.Sort(l.took)
		r.P99 = l.took[n*99/100]
		l.took = l.took[:0]
	}
	return r
}

// loadProcess writes as a job on standard input says, and reports as lines of JSON.
func loadProcess(ctx context.Context, _ []string, out io.Writer) (err error) {
	var job loadJob
	if err := json.NewDecoder(os.Stdin).Decode(&job); err != nil {
		return fmt.Errorf("job: %w", err)
	}
	l := &load{}
	sdk, err := zerobus.New(job.Access.Endpoint, job.Access.Workspace, zerobus.WithHooks(l))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sdk.Close()) }()
	streams := make([]*zerobus.Stream, job.Streams)
	for i := range streams {
		if streams[i], err = job.Access.open(ctx, sdk); err != nil {
			return err
		}
		defer streams[i].Close(ctx) // again, unless something failed
	}
	var wait sync.WaitGroup
	failed := make([]error, job.Streams)
	for i, stream := range streams {
		records := newMaker(int64(i), int64(job.Streams), job.Size)
		wait.Go(func() {
			failed[i] = produce(ctx, stream, records, job.Rate/float64(job.Streams), job.For)
			failed[i] = errors.Join(failed[i], stream.Close(ctx))
		})
	}
	ended := make(chan struct{})
	go func() {
		wait.Wait()
		close(ended)
	}()
	enc := json.NewEncoder(out)
	tick := time.NewTicker(job.Every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			err = errors.Join(err, enc.Encode(l.report()))
		case <-ended:
			if err := errors.Join(append(failed, err)...); err != nil {
				return err
			}
			r := l.report()
			r.Done = true
			return enc.Encode(r)
		}
	}
}

// produce ingests records at a rate for a time. What the rate is behind by more than a second it does not make up for.
func produce(ctx context.Context, stream *zerobus.Stream, records *maker, rate float64, d time.Duration) error {
	const slice = 2 * time.Millisecond
	began := time.Now()
	end := began.Add(d)
	for sent := 0.0; ; {
		now := time.Now()
		if !now.Before(end) {
			return nil
		}
		due := sent + 1000
		if rate > 0 {
			due = rate * now.Sub(began).Seconds()
			sent = max(sent, due-rate)
		}
		for ; sent < due; sent++ {
			if _, err := stream.Ingest(ctx, zerobus.JSONBytes(records.next())); err != nil {
				return err
			}
		}
		if rate > 0 {
			if err := pause(ctx, slice); err != nil {
				return err
			}
		}
	}
}
