package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zerobus-go/zerobus"
)

// streamPatience is how long a writer goes on trying to open a stream, or to get everything acknowledged at the end.
const streamPatience = 3 * time.Minute

// pressure is how much the writers ingest.
type pressure = int32

const (
	paced pressure = iota // as many records as the rate says
	burst                 // as many as possible, so that many are on their way
	bulk                  // as many bytes as possible
)

// load is what all writers share.
type load struct {
	grpc, http string
	auth       zerobus.Auth
	json       zerobus.TableProperties // JSON records go over the wire
	proto      zerobus.TableProperties // they go as protobuf
	log        *slog.Logger            // of the SDK
	rate       float64                 // records a second of one writer; 0: as fast as it goes
	producers  bool                    // streams name themselves, and nothing arrives twice

	life      atomic.Int64 // of the server
	press     atomic.Int32 // a pressure
	acked     atomic.Int64 // records
	refused   atomic.Int64 // connections that ended with RESOURCE_EXHAUSTED
	failed    atomic.Int64 // streams that ended with an error although they may try for ever
	forgot    atomic.Int64 // streams that were thrown away
	recreated atomic.Int64 // streams that were cut, and continued by another one

	mu       sync.Mutex
	failures map[string]int // why streams failed
}

// note keeps why a stream failed.
func (l *load) note(err error) {
	l.failed.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failures == nil {
		l.failures = map[string]int{}
	}
	l.failures[err.Error()]++
}

// OnDisconnect is told of the end of every connection.
func (l *load) OnDisconnect(e zerobus.DisconnectEvent) {
	if exhausted(e.Err) {
		l.refused.Add(1)
	}
}

// A writer has one stream at a time, each with the records of its own ledger.
type writer struct {
	*load
	id     int
	per    int64 // records that one ingest call brings
	table  zerobus.TableProperties
	rand   *rand.Rand
	ledger ledger

	interrupt atomic.Pointer[context.CancelFunc] // ends the present round
	mishap    atomic.Int32                       // what happens to the stream then

	sdk    *zerobus.SDK
	stream *zerobus.Stream
	offset *offsets // of the stream
	buf    []byte
	recs   []zerobus.Record
}

// newWriter makes the writers different: every other one sends protobuf, every fourth batches.
func newWriter(l *load, id int, r *rand.Rand) *writer {
	w := &writer{load: l, id: id, per: 1, table: l.json, rand: r, ledger: ledger{exact: l.producers}}
	if id%2 == 1 {
		w.table = l.proto
	}
	if id%4 == 3 {
		w.per = 16
	}
	return w
}

// run ingests until load ends, and then until all is acknowledged. It heals what happens to its streams; an error is what
// it cannot heal. load is a part of ctx, which ends everything.
func (w *writer) run(ctx, load context.Context) error {
	if err := w.open(ctx); err != nil {
		return err
	}
	defer func() { w.sdk.Close() }()
	for {
		failure := w.round(load)
		var err error
		bad := mishap(w.mishap.Swap(int32(none)))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case bad == forget:
			err = w.startAnew(ctx)
		case failure != nil || bad == recreate:
			err = w.recreate(ctx, failure)
		default:
			return w.finish(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// round ingests until load ends or the stream meets with a mishap, which are no errors, or the stream fails.
func (w *writer) round(load context.Context) error {
	ctx, cancel := context.WithCancel(load)
	defer cancel()
	w.interrupt.Store(&cancel)
	if mishap(w.mishap.Load()) != none {
		return nil
	}
	return w.ingest(ctx)
}

// suffer lets the stream meet with a mishap, soon.
func (w *writer) suffer(m mishap) {
	w.mishap.Store(int32(m))
	if cancel := w.interrupt.Load(); cancel != nil {
		(*cancel)()
	}
}

// options are those of every stream, which gets offsets of its own.
func (w *writer) options() []zerobus.StreamOption {
	o := &offsets{ledger: &w.ledger, per: w.per, acked: &w.acked}
	w.offset = o
	return []zerobus.StreamOption{
		zerobus.WithRecoveryBackoff(50 * time.Millisecond),
		zerobus.WithRecoveryRetries(1_000_000),
		zerobus.WithRecoveryTimeout(10 * time.Second),
		zerobus.WithFlushTimeout(streamPatience),
		zerobus.WithCallbackTimeout(time.Minute),
		zerobus.WithMaxInflightRecords(20_000),
		zerobus.WithMaxInflightBytes(8 << 20),
		zerobus.WithAckCallback(func(a zerobus.AckInfo) {
			if a.Err == nil {
				o.settled(a.Last)
			}
		}),
	}
}

// open makes a stream for the ledger's next records, with an SDK of its own, which knows nothing of what was before. This is
// the only place where a stream comes from, but for recreate. A producer asks the server where to go on.
func (w *writer) open(ctx context.Context) (err error) {
	if w.sdk, err = zerobus.New(w.grpc, w.http, zerobus.WithHooks(&w.ledger, w.load), zerobus.WithLogger(w.log.With("writer", w.id))); err != nil {
		return err
	}
	given, _ := w.ledger.totals()
	w.ledger.begin(given)
	var at zerobus.Position
	err = w.patiently(ctx, func(ctx context.Context) error {
		if w.producers {
			w.stream, at, err = w.sdk.Resume(ctx, fmt.Sprintf("blackbox/%d", w.id), w.table, w.auth, w.options()...)
		} else {
			w.stream, err = w.sdk.CreateStream(ctx, w.table, w.auth, w.options()...)
		}
		return err
	})
	switch {
	case err != nil || !w.producers:
		return err
	case !at.ExactlyOnce:
		return errors.New("the server keeps no positions of producers: use -producers=false")
	}
	w.acked.Add(w.ledger.resume(at.Records))
	return nil
}

// ingest brings records into the stream until ctx ends, which is no error, or the stream fails.
func (w *writer) ingest(ctx context.Context) error {
	var pace pacer
	for ctx.Err() == nil {
		first := w.ledger.give(w.per)
		life, press := int(w.life.Load()), w.press.Load()
		var (
			ack zerobus.Ack
			err error
		)
		if w.per == 1 {
			w.buf = appendRecord(w.buf[:0], w.id, first, life, newRounds(w.rand, press == bulk))
			ack, err = w.stream.Ingest(ctx, zerobus.JSONBytes(w.buf))
		} else {
			ack, err = w.stream.IngestBatch(ctx, w.batch(first, life, press))
		}
		if err != nil {
			w.ledger.takeBack(w.per)
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		w.offset.anchor(ack.Offset(), first)
		if press == paced && w.rate > 0 {
			pace.wait(ctx, time.Duration(float64(w.per)*float64(time.Second)/w.rate))
		}
	}
	return nil
}

// batch is the records from first on. It is valid until the next call.
func (w *writer) batch(first int64, life int, press pressure) []zerobus.Record {
	w.buf, w.recs = w.buf[:0], w.recs[:0]
	ends := make([]int, w.per)
	for i := range ends {
		w.buf = appendRecord(w.buf, w.id, first+int64(i), life, newRounds(w.rand, press == bulk))
		ends[i] = len(w.buf)
	}
	from := 0
	for _, end := range ends {
		w.recs = append(w.recs, zerobus.JSONBytes(w.buf[from:end]))
		from = end
	}
	return w.recs
}

// startAnew throws the stream away and opens another one. What was not acknowledged is given up, unless the server knows
// the producer's position.
func (w *writer) startAnew(ctx context.Context) error {
	w.cut(ctx)
	left, err := w.stream.Unacked()
	if err != nil {
		return err
	}
	w.sdk.Close()
	w.forgot.Add(1)
	if !w.producers {
		w.ledger.forget(int64(len(left)))
	}
	return w.open(ctx)
}

// cut ends the stream at once and waits for its callbacks.
func (w *writer) cut(ctx context.Context) {
	over, cancel := context.WithCancel(ctx)
	cancel()
	_ = w.stream.Close(over) // that something is unacknowledged is the point
}

// recreate replaces a stream by one that takes over what is unacknowledged. failure is why the stream has failed, if it has.
func (w *writer) recreate(ctx context.Context, failure error) error {
	if failure != nil {
		w.note(failure)
	} else {
		w.recreated.Add(1)
	}
	w.cut(ctx)
	left, err := w.stream.Unacked()
	if err != nil {
		return err
	}
	given, _ := w.ledger.totals()
	w.ledger.begin(given - int64(len(left)))
	return w.patiently(ctx, func(ctx context.Context) error {
		s, err := w.sdk.RecreateStream(ctx, w.stream, w.options()...)
		if err == nil {
			w.stream = s
		}
		return err
	})
}

// finish waits until everything is acknowledged.
func (w *writer) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, streamPatience)
	defer cancel()
	for {
		err := w.stream.Flush(ctx)
		if err == nil {
			break
		}
		if !errors.Is(err, zerobus.ErrStreamFailed) {
			return fmt.Errorf("stream %d: %w", w.id, err)
		}
		if err := w.recreate(ctx, err); err != nil {
			return err
		}
	}
	if err := w.stream.Close(ctx); err != nil {
		return fmt.Errorf("stream %d: %w", w.id, err)
	}
	w.offset.all()
	if n := w.ledger.unacked(); n > 0 {
		return fmt.Errorf("stream %d: flushed and closed, and its callbacks have not acknowledged %d records", w.id, n)
	}
	return nil
}

// patiently tries until f succeeds.
func (w *writer) patiently(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, streamPatience)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("stream %d cannot be opened: %w", w.id, err)
		}
		w.note(err)
		pause(ctx, 200*time.Millisecond)
	}
}

// offsets knows which records the offsets of a stream are. A stream that was recreated begins with what the one before it had
// left, and that may be less than it said: so the first call behind that tells.
type offsets struct {
	ledger *ledger
	per    int64 // records of a call
	acked  *atomic.Int64

	mu sync.Mutex
	// mu guards the following.
	anchored  bool
	offset, n int64 // the call with this offset begins with record n
	due       int64 // an acknowledgement that came before that was known: offsets below it
}

// anchor says which record a call began with. Only the first one is heard.
func (o *offsets) anchor(offset, n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.anchored {
		return
	}
	o.anchored, o.offset, o.n = true, offset, n
	if o.due > 0 {
		o.tell(o.due)
	}
}

// settled says that the calls up to an offset are acknowledged.
func (o *offsets) settled(last int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.anchored {
		o.tell(last + 1)
	} else {
		o.due = last + 1
	}
}

// all says that every call is acknowledged, in a stream that was closed without an error. That is of interest where there
// was no call of which the record is known.
func (o *offsets) all() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.anchored {
		given, _ := o.ledger.totals()
		o.acked.Add(o.ledger.settled(given))
	}
}

// tell is for offsets below end. mu is held.
func (o *offsets) tell(end int64) { o.acked.Add(o.ledger.settled(o.n + (end-o.offset)*o.per)) }

// A pacer keeps a loop at a rate, without making good what it has missed.
type pacer struct{ due time.Time }

// wait accounts for what takes so long at the rate.
func (p *pacer) wait(ctx context.Context, d time.Duration) {
	now := time.Now()
	if p.due.Before(now.Add(-50 * time.Millisecond)) {
		p.due = now
	}
	p.due = p.due.Add(d)
	if ahead := p.due.Sub(now); ahead > 5*time.Millisecond {
		pause(ctx, ahead)
	}
}

// pause waits for the time, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
