package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zerobus-go/zerobus"
)

const (
	controlTable = "main.default.control"

	// sendRing is how many records of a stream can be unacknowledged before their times are mixed up: minutes of them.
	sendRing = 1 << 17

	// finishTime is what the end of a stream may take.
	finishTime = time.Minute
)

// A control is the load of those who behave: streams that write records at a steady rate, and are watched.
type control struct {
	writers []*writer
	stop    context.CancelFunc
	ended   sync.WaitGroup

	mu sync.Mutex // guards the following
	// window is the acknowledgement times since the last look, began when that was.
	window []time.Duration
	began  time.Time
	broken []string // connections that ended
	failed []error
}

// writer is one of its streams. Record n of it is offset n.
type writer struct {
	c      *control
	id     int
	stream *zerobus.Stream
	sent   []atomic.Int64 // when a record was given away, in ns, by its number modulo sendRing
	given  atomic.Int64
	acked  atomic.Int64
}

// figures are what a window says.
type figures struct {
	acked int
	took  time.Duration
	p99   time.Duration
}

func (f figures) rate() float64 { return float64(f.acked) / max(f.took.Seconds(), 1e-9) }

// startControl opens n streams, which have perSecond records a second together.
func startControl(ctx context.Context, s *server, auth zerobus.Auth, n int, perSecond float64, log *slog.Logger) (*control, error) {
	ctx, stop := context.WithCancel(ctx)
	c := &control{stop: stop, began: time.Now()}
	for i := range n {
		sdk, err := zerobus.New("http://"+s.grpc, "http://"+s.http, zerobus.WithLogger(log), zerobus.WithHooks(c))
		if err != nil {
			stop()
			return nil, err
		}
		w := &writer{c: c, id: i, sent: make([]atomic.Int64, sendRing)}
		w.acked.Store(-1)
		w.stream, err = sdk.CreateStream(ctx, zerobus.Table(controlTable), auth, zerobus.WithProducerID("control/"+strconv.Itoa(i)),
			zerobus.WithAckCallback(w.settled), zerobus.WithFlushTimeout(finishTime), zerobus.WithMaxInflightRecords(sendRing/2))
		if err != nil {
			stop()
			sdk.Close()
			return nil, err
		}
		c.writers = append(c.writers, w)
		c.ended.Go(func() {
			defer sdk.Close()
			if err := w.run(ctx, time.Duration(float64(n)/perSecond*float64(time.Second))); err != nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.failed = append(c.failed, fmt.Errorf("control stream %d: %w", i, err))
			}
		})
	}
	return c, nil
}

// OnDisconnect is told of every connection that ends.
func (c *control) OnDisconnect(e zerobus.DisconnectEvent) {
	if e.Err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = append(c.broken, e.Err.Error())
}

// run writes until ctx ends, and then waits until everything is acknowledged.
func (w *writer) run(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(max(every, time.Millisecond))
	defer tick.Stop()
	for due := time.Now(); ; {
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
			defer cancel()
			return w.stream.Close(ctx)
		case <-tick.C:
		}
		for now := time.Now(); due.Before(now); due = due.Add(every) {
			n := w.given.Load()
			w.sent[n%sendRing].Store(time.Now().UnixNano())
			if _, err := w.stream.Ingest(ctx, zerobus.JSONString(fmt.Sprintf(`{"stream":%d,"n":%d}`, w.id, n))); err != nil {
				if ctx.Err() != nil {
					break
				}
				return err
			}
			w.given.Add(1)
		}
	}
}

// settled is the callback of the stream.
func (w *writer) settled(a zerobus.AckInfo) {
	if a.Err != nil {
		return
	}
	now := time.Now().UnixNano()
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	for n := a.First; n <= a.Last; n++ {
		w.c.window = append(w.c.window, time.Duration(now-w.sent[n%sendRing].Load()))
	}
	w.acked.Store(a.Last)
}

// look ends a window and begins the next one.
func (c *control) look() figures {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := figures{acked: len(c.window), took: time.Since(c.began)}
	if len(c.window) > 0 {
		slices.Sort(c.window)
		f.p99 = c.window[len(c.window)*99/100]
	}
	c.window, c.began = nil, time.Now()
	return f
}

// complaints are what the streams have met since the last call.
func (c *control) complaints() (texts []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.broken {
		texts = append(texts, "a connection of the control load broke: "+b)
	}
	for _, err := range c.failed {
		texts = append(texts, err.Error())
	}
	c.broken, c.failed = nil, nil
	return texts
}

// finish ends the load and waits.
func (c *control) finish() {
	c.stop()
	c.ended.Wait()
}
