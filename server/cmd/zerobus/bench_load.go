package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/loadgen"
	"google.golang.org/protobuf/types/dynamicpb"
)

const (
	// coarseShift is for streams that write more than coarseRate records a second: one time for 64 of them, because looking at the
	// clock takes as long as half a record.
	coarseShift = 6
	coarseRate  = 100_000

	// shortest pause of a stream that keeps to a rate: what is due after it is sent together.
	shortestPause = 200 * time.Microsecond

	residentEvery = time.Second
)

// benchLoad is the streams that write.
type benchLoad struct {
	plan    *benchPlan
	began   time.Time
	streams []*benchStream
	sent    atomic.Int64
	acked   atomic.Int64
}

// benchStream is one of them.
type benchStream struct {
	*zerobus.Stream
	load   *benchLoad
	maker  *loadgen.Maker
	stamps stamps
	sent   int64
	behind time.Duration // the most that it was behind its rate
	acks   latencies     // the callback's, until the stream is closed
}

// open opens a stream of the plan's records.
func (p *benchPlan) open(ctx context.Context, s *benchServer, sdk *zerobus.SDK, opts ...zerobus.StreamOption) (*zerobus.Stream, error) {
	table := zerobus.Table(p.table)
	if p.encoding == loadgen.Proto {
		md, err := schema.Resolve(p.shape.Descriptor())
		if err != nil {
			return nil, err
		}
		table = zerobus.ProtoTable(p.table, dynamicpb.NewMessage(md))
	}
	opts = append(opts, zerobus.WithMaxInflightRecords(p.inflight))
	return sdk.CreateStream(ctx, table, s.target.creds, opts...)
}

// next is the next record of a maker.
func (p *benchPlan) next(m *loadgen.Maker) (rec zerobus.Record, err error) {
	b, err := m.Next()
	if p.encoding == loadgen.JSON {
		return zerobus.JSONBytes(b), err
	}
	return zerobus.ProtoBytes(b), err
}

// openAll opens the streams of the load.
func (l *benchLoad) openAll(ctx context.Context, s *benchServer, sdk *zerobus.SDK) error {
	shift := uint(0)
	if rate := l.plan.rate / float64(l.plan.streams); rate == 0 || rate > coarseRate {
		shift = coarseShift
	}
	for i := range l.plan.streams {
		b := &benchStream{load: l, stamps: stamps{shift: shift}, maker: loadgen.NewMaker(l.plan.shape, l.plan.encoding, i, l.plan.streams)}
		var err error
		if b.Stream, err = l.plan.open(ctx, s, sdk, zerobus.WithAckCallback(b.ack)); err != nil {
			return err
		}
		l.streams = append(l.streams, b)
	}
	return nil
}

// close ends what is open. Streams that have ended already are closed again, which does nothing.
func (l *benchLoad) close(ctx context.Context) error {
	end, cancel := outlive(ctx, flushGrace)
	defer cancel()
	var errs []error
	for _, b := range l.streams {
		errs = append(errs, b.Close(end))
	}
	return errors.Join(errs...)
}

// ack counts records that are durable. Those of the warm-up have no latency.
func (b *benchStream) ack(a zerobus.AckInfo) {
	if a.Err != nil {
		return
	}
	now := time.Since(b.load.began)
	b.stamps.each(a.First, a.Last, func(at time.Duration, records int64) {
		if at >= b.load.plan.warm {
			b.acks.add(now-at, records)
		}
	})
	b.load.acked.Add(a.Last - a.First + 1)
}

// produce writes until the plan's end, or a number of records.
func (b *benchStream) produce(ctx context.Context, i int) error {
	p := b.load.plan
	end := p.warm + p.length
	quota := p.records / int64(p.streams)
	if int64(i) < p.records%int64(p.streams) {
		quota++
	}
	pace := newPace(p.rate/float64(p.streams), float64(i)/float64(p.streams), b.load.began)
	defer func() { b.behind = pace.behind }()
	for n := int64(0); p.records == 0 || n < quota; n++ {
		if n&(1<<b.stamps.shift-1) == 0 {
			if err := pace.wait(ctx, n); err != nil {
				return err
			}
			now := max(1, time.Since(b.load.began))
			if p.records == 0 && now >= end {
				return nil
			}
			b.stamps.put(n, now)
			b.load.sent.Add(n - b.sent)
			b.sent = n
		}
		rec, err := p.next(b.maker)
		if err != nil {
			return err
		}
		if _, err := b.Ingest(ctx, rec); err != nil {
			return err
		}
	}
	return nil
}

// pace holds a stream to a rate. What it is behind is made up for, so that a server that stalls gets the same load.
type pace struct {
	interval float64 // nanoseconds between records; 0 for none
	phase    float64 // of an interval, so that streams do not write at the same time
	began    time.Time
	behind   time.Duration
}

func newPace(rate, phase float64, began time.Time) *pace {
	p := &pace{phase: phase, began: began}
	if rate > 0 {
		p.interval = 1e9 / rate
	}
	return p
}

// wait returns when a record is due.
func (p *pace) wait(ctx context.Context, n int64) error {
	if p.interval == 0 {
		return nil
	}
	due := time.Duration((float64(n) + p.phase) * p.interval)
	now := time.Since(p.began)
	p.behind = max(p.behind, now-due)
	if now >= due {
		return nil
	}
	t := time.NewTimer(max(due-now, shortestPause))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write has all streams write, and fills in what the client sees. It returns when everything is durable.
func (l *benchLoad) write(ctx context.Context, r *benchResult) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make([]error, len(l.streams))
	var wait sync.WaitGroup
	for i, b := range l.streams {
		wait.Go(func() {
			if failed[i] = b.produce(ctx, i); failed[i] != nil {
				stop() // the others, too
				return
			}
			failed[i] = b.Close(ctx)
			l.sent.Add(b.maker.Made() - b.sent)
			b.sent = b.maker.Made()
		})
	}
	began, first := time.Duration(0), int64(0)
	if l.plan.records == 0 {
		if at, n, ok := l.at(ctx, l.plan.warm); ok {
			began, first = at, n
		}
		if at, n, ok := l.at(ctx, l.plan.warm+l.plan.length); ok {
			r.seconds(at-began, n-first)
		}
	}
	wait.Wait()
	if l.plan.records > 0 {
		r.seconds(time.Since(l.began), l.acked.Load())
	}
	return firstFailure(failed)
}

// firstFailure is what went wrong, before what that has stopped.
func firstFailure(all []error) (err error) {
	for _, one := range all {
		if one != nil && (err == nil || errors.Is(err, context.Canceled)) {
			err = one
		}
	}
	return err
}

// at waits for a time and says what is acknowledged then.
func (l *benchLoad) at(ctx context.Context, t time.Duration) (now time.Duration, acked int64, ok bool) {
	timer := time.NewTimer(t - time.Since(l.began))
	defer timer.Stop()
	select {
	case <-timer.C:
		return time.Since(l.began), l.acked.Load(), true
	case <-ctx.Done():
		return 0, 0, false
	}
}
