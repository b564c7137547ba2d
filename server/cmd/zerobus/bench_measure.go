package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/server/internal/loadgen"
)

// measure writes, waits until everything is in the table, and fills in the result.
func (p *benchPlan) measure(ctx context.Context, s *benchServer, sdk *zerobus.SDK, progress *task, r *benchResult) (err error) {
	detail, err := s.api.Describe(ctx, p.table)
	if err != nil {
		return err
	}
	endIdle, err := p.openIdle(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endIdle()) }()
	l := &benchLoad{plan: p}
	defer func() { err = errors.Join(err, l.close(ctx)) }()
	if err := l.openAll(ctx, s, sdk); err != nil {
		return err
	}
	before, err := s.usage.look(ctx)
	if err != nil {
		return err
	}
	client := processorTime()
	l.began = time.Now()
	watch, stopWatch := watchTable(s.table, detail.Version+1, l.began)
	stopLooking := l.observe(ctx, s, progress, r)
	stop := sync.OnceFunc(func() {
		stopLooking()
		stopWatch()
	})
	defer stop()
	if err := l.write(ctx, r); err != nil {
		return err
	}
	if err := watch.wait(ctx, l.sent.Load()); err != nil {
		return err
	}
	client = processorTime() - client
	stop()
	after, err := s.usage.look(ctx)
	if err != nil {
		return err
	}
	r.use(before, after, client, l.sent.Load())
	return r.collect(ctx, l, watch)
}

// openIdle opens the streams that write nothing.
func (p *benchPlan) openIdle(ctx context.Context, s *benchServer) (end func() error, err error) {
	if p.idle == 0 {
		return func() error { return nil }, nil
	}
	sdk, err := s.target.connect(zerobus.WithSharedConnection())
	if err != nil {
		return nil, err
	}
	for range p.idle {
		if _, err := p.open(ctx, s, sdk); err != nil {
			return nil, errors.Join(fmt.Errorf("idle streams: %w", err), sdk.Close())
		}
	}
	return sdk.Close, nil
}

// observe shows the progress and follows the server's memory, until the function that it returns is called.
func (l *benchLoad) observe(ctx context.Context, s *benchServer, progress *task, r *benchResult) (stop func()) {
	last, at := int64(0), time.Now()
	endShow := every(barRate, func() {
		acked, now := l.acked.Load(), time.Now()
		rate := float64(acked-last) / now.Sub(at).Seconds()
		last, at = acked, now
		progress.progress(fmt.Sprintf("records acknowledged, %s/s", count(int64(rate))), acked, l.plan.records)
	})
	endLook := every(residentEvery, func() {
		if u, err := s.usage.look(ctx); err == nil { // what it says at the end is read again, with its error
			r.Resident = max(r.Resident, int64(u.resident))
		}
	})
	return func() {
		endShow()
		endLook()
	}
}

// collect adds up the latencies, and finds every record in the table.
func (r *benchResult) collect(ctx context.Context, l *benchLoad, w *tableWatch) error {
	var acks, table latencies
	for _, b := range l.streams {
		acks.join(&b.acks)
		r.Behind = max(r.Behind, milliseconds(b.behind))
	}
	r.Ack = acks.distribution()
	found := int64(0)
	if err := w.eachID(ctx, l.plan.shape.IDColumn(), func(id int64, at time.Duration) {
		i, n, ok := loadgen.Origin(id, len(l.streams))
		if !ok {
			return
		}
		found++
		if sent, ok := l.streams[i].stamps.of(n); ok && sent >= l.plan.warm {
			table.add(at-sent, 1)
		}
	}); err != nil {
		return err
	}
	if sent := l.sent.Load(); found < sent {
		return fmt.Errorf("%s records were acknowledged, and the table has %s of them", count(sent), count(found))
	}
	r.Table = table.distribution()
	r.Commits = int64(len(w.seen))
	for _, v := range w.seen {
		r.Files += int64(len(v.files))
		r.FileBytes += v.bytes
		r.TableSeconds = max(r.TableSeconds, v.at.Seconds())
	}
	r.DataBytes += float64(r.FileBytes) / float64(max(r.Sent, 1)) * 1e6
	r.TablePerSecond = float64(r.Sent) / max(r.TableSeconds, 1e-9)
	return nil
}
