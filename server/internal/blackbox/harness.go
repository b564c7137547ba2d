package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/zerobus-go/zerobus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// progressTime is how long a stream may take to get something acknowledged once the server can. The SDK's pauses
	// grow while it cannot.
	progressTime = 90 * time.Second
	// refusalTime is how long a server may go on taking records on a full disk: the log has space ahead.
	refusalTime = 60 * time.Second
)

// A harness is one run: the server, what happens to it, and the writers.
type harness struct {
	cfg     config
	disk    *disk
	server  *server
	load    *load
	writers []*writer
	rand    *rand.Rand

	began    time.Time
	launched time.Time // the present process
	starved  bool      // it was launched on a full disk
	life     life
	stats    stats

	mu     sync.Mutex
	faults []string // what must not be
}

// stats is what is told at the end.
type stats struct {
	done     map[kind]int
	start    time.Duration // the longest from the launch of a process until it answered
	recovery time.Duration // from a launch to the first acknowledgement
	shutdown time.Duration // from SIGTERM to the end
	resume   time.Duration // from space on the disk until every stream had an acknowledgement
	refused  int           // full disks on which records were refused with RESOURCE_EXHAUSTED
	unborn   int           // starts on a full disk that failed
	loading  time.Duration
}

func (h *harness) fault(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, fmt.Sprintf(format, args...))
}

// run does it all but the reading. An error is what the run cannot go on with.
func (h *harness) run(ctx context.Context, plan []event, tell func(event, int)) error {
	h.life = newLife(h.rand)
	if err := h.start(ctx); err != nil {
		return err
	}
	defer func() { _ = h.server.kill() }()
	if err := h.setUp(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	loading, stop := context.WithCancel(ctx)
	defer stop()
	var writing sync.WaitGroup
	for _, w := range h.writers {
		writing.Go(func() {
			if err := w.run(ctx, loading); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	h.began = time.Now()
	err := h.happen(ctx, plan, tell)
	if err == nil {
		err = h.await(ctx, h.launched, progressTime)
	}
	if err != nil {
		cancel(err)
	}
	stop()
	writing.Wait()
	h.stats.loading = time.Since(h.began)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	// All that is acknowledged is committed by an end in order; what a restart finds in the log as well.
	if err := h.terminate(); err != nil {
		return err
	}
	if err := h.start(ctx); err != nil {
		return err
	}
	return h.terminate()
}

// setUp makes the table and who may write it, and the writers.
func (h *harness) setUp(ctx context.Context) error {
	if _, err := h.server.tool(ctx, "sql", createTable); err != nil {
		return err
	}
	out, err := h.server.tool(ctx, "principal", "create", "blackbox", "--json")
	if err != nil {
		return err
	}
	var c struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal(out, &c); err != nil {
		return fmt.Errorf("zerobus principal create: %w", err)
	}
	if _, err := h.server.tool(ctx, "sql", fmt.Sprintf("GRANT USE CATALOG ON CATALOG main TO `%s`; GRANT USE SCHEMA ON SCHEMA main.default TO `%[1]s`; "+
		"GRANT SELECT, MODIFY ON TABLE %[2]s TO `%[1]s`;", c.ID, tableName)); err != nil {
		return err
	}
	l := h.load
	l.grpc, l.http = "http://"+h.server.grpc, "http://"+h.server.http
	l.auth = zerobus.ClientCredentials{ID: c.ID, Secret: c.Secret}
	l.rate = h.cfg.rate / float64(h.cfg.streams)
	l.json = zerobus.Table(tableName)
	sdk, err := zerobus.New(l.grpc, l.http)
	if err != nil {
		return err
	}
	defer sdk.Close()
	if l.proto, err = sdk.DescribeTable(ctx, tableName, l.auth); err != nil {
		return err
	}
	for i := range h.cfg.streams {
		h.writers = append(h.writers, newWriter(l, i, newRand(h.cfg.seed, uint64(i)+1)))
	}
	return nil
}

// start starts the server and waits until it answers.
func (h *harness) start(ctx context.Context) error {
	if err := h.launch(); err != nil {
		return err
	}
	if err := h.server.await(ctx); err != nil {
		return err
	}
	h.stats.start = max(h.stats.start, time.Since(h.launched))
	return nil
}

func (h *harness) launch() error {
	h.load.life.Add(1)
	h.launched, h.starved = time.Now(), false
	for _, w := range h.writers {
		w.ledger.launch(h.launched)
	}
	return h.server.launch(h.life)
}

// happen lets everything happen that is planned.
func (h *harness) happen(ctx context.Context, plan []event, tell func(event, int)) error {
	h.stats.done = map[kind]int{}
	for i, e := range plan {
		tell(e, i)
		if e.settle {
			if err := h.await(ctx, h.launched, progressTime); err != nil {
				return err
			}
		}
		pause(ctx, e.wait-e.burst)
		if e.burst > 0 {
			h.load.press.Store(burst)
			pause(ctx, e.burst)
		}
		h.noteRecovery()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := h.server.alive(); err != nil {
			return err
		}
		if _, free, err := h.disk.space(); err != nil {
			return err
		} else if free < scarce {
			return fmt.Errorf("only %d MiB are left on the disk of the data directory: this load needs a lower -rate", free>>20)
		}
		if e.mishap != none {
			h.writers[e.victim].suffer(e.mishap)
		}
		err := h.do(ctx, e)
		h.load.press.Store(paced)
		if err != nil {
			return fmt.Errorf("event %d, %v: %w", i, e.kind, err)
		}
		h.stats.done[e.kind]++
	}
	return nil
}

// do lets one thing happen, and has the server running afterwards.
func (h *harness) do(ctx context.Context, e event) error {
	switch e.kind {
	case kill:
		if err := h.server.kill(); err != nil {
			return err
		}
	case killStart:
		if err := errors.Join(h.server.kill(), h.launch()); err != nil {
			return err
		}
		pause(ctx, e.hold)
		if err := errors.Join(h.server.alive(), h.server.kill()); err != nil {
			return err
		}
	case terminate:
		if err := h.terminate(); err != nil {
			return err
		}
	case full, fullKill:
		return h.fillUp(ctx, e)
	}
	h.life = e.life
	return h.start(ctx)
}

// terminate ends the server in order.
func (h *harness) terminate() error {
	took, err := h.server.terminate()
	h.stats.shutdown = max(h.stats.shutdown, took)
	if err != nil && took < hangTime {
		h.fault("%v", err) // the run can go on
		return nil
	}
	return err
}

// fillUp leaves the server no space until it says so, and waits until everything goes on.
func (h *harness) fillUp(ctx context.Context, e event) error {
	refused, complaints := h.load.refused.Load(), h.server.log.complaints()
	if err := h.disk.fill(ctx); err != nil {
		return err
	}
	h.load.press.Store(bulk)
	_ = until(ctx, refusalTime, func() bool { return h.load.refused.Load() > refused })
	h.load.press.Store(paced)
	switch {
	case h.load.refused.Load() > refused:
		h.stats.refused++
	case h.server.log.complaints() == complaints:
		h.fault("the disk was full for %v, and the server has neither refused a record nor complained", refusalTime)
	}
	pause(ctx, e.hold)
	if err := h.server.alive(); err != nil {
		return errors.Join(err, h.disk.release())
	}
	if e.kind == fullKill {
		if err := h.restartFull(ctx, e); err != nil {
			return errors.Join(err, h.disk.release())
		}
	}
	if err := h.disk.release(); err != nil {
		return err
	}
	now := time.Now()
	if err := h.server.alive(); e.kind == fullKill && err != nil {
		h.stats.unborn++
		if err := h.start(ctx); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if err := h.await(ctx, now, progressTime); err != nil {
		return fmt.Errorf("the disk has space again: %w", err)
	}
	h.stats.resume = max(h.stats.resume, time.Since(now))
	return h.server.alive()
}

// restartFull kills the server while the disk is full and starts it again, which may fail.
func (h *harness) restartFull(ctx context.Context, e event) error {
	h.life = e.life
	if err := errors.Join(h.server.kill(), h.launch()); err != nil {
		return err
	}
	h.starved = true
	var ended *endedError
	if err := h.server.await(ctx); err != nil && !errors.As(err, &ended) {
		return err
	}
	pause(ctx, e.hold)
	return nil
}

// await waits until every stream has an acknowledgement that is younger than that.
func (h *harness) await(ctx context.Context, since time.Time, limit time.Duration) error {
	late := -1
	err := until(ctx, limit, func() bool {
		if h.server.alive() != nil {
			return true
		}
		for i, w := range h.writers {
			if !w.ledger.ackedAt().After(since) {
				late = i
				return false
			}
		}
		return true
	})
	switch {
	case err == nil:
		h.noteRecovery()
		return h.server.alive()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("stream %d has got nothing acknowledged for %v", late, limit)
}

// noteRecovery looks when the present process has acknowledged first.
func (h *harness) noteRecovery() {
	var first time.Time
	for _, w := range h.writers {
		if at := w.ledger.firstAckedAt(); !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if !first.IsZero() && !h.starved {
		h.stats.recovery = max(h.stats.recovery, first.Sub(h.launched))
	}
}

// until looks every few milliseconds whether it is so.
func until(ctx context.Context, limit time.Duration, so func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for !so() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		pause(ctx, 5*time.Millisecond)
	}
	return nil
}

// exhausted reports whether the server had no room.
func exhausted(err error) bool {
	return status.Code(err) == codes.ResourceExhausted
}
