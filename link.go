package zerobus

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus/internal/conn"
	"github.com/zerobus-go/zerobus/internal/recovery"
	"github.com/zerobus-go/zerobus/internal/window"
)

// host is the pipeline as its connections and its supervisor see it.
type host struct{ *pipeline }

var (
	_ conn.Owner    = host{}
	_ recovery.Host = host{}
)

// Connect opens the next generation.
func (h host) Connect(ctx context.Context) (recovery.Line, error) {
	md, err := fetchHeaders(ctx, h.auth, target{
		Target: Target{
			Table:        h.table.Name,
			WorkspaceURL: h.sdk.workspaceURL,
			WorkspaceID:  h.sdk.endpoint.WorkspaceID(),
		},
		http: h.sdk.settings.http,
	}, h.log)
	if err != nil {
		return nil, err
	}

	if h.channel == nil {
		if h.pipeline.channel, err = h.sdk.channel(); err != nil {
			return nil, err
		}
	}

	h.mu.Lock()
	gen := h.win.Begin()
	h.gen = gen
	h.mu.Unlock()

	link, err := conn.Open(ctx, conn.Config{
		Gen:      gen,
		Client:   h.channel.cc,
		Header:   md,
		Create:   h.create,
		Owner:    h,
		MaxPause: h.cfg.MaxPause,
	})
	if err != nil {
		return nil, err
	}

	h.mu.Lock()
	first := h.state == StateUninitialized
	h.state = StateOpened
	h.link = link
	h.failure = nil
	h.id = link.ID()
	records, _ := h.win.Kept()
	h.mu.Unlock()
	link.Wake() // its sender may have gone to sleep before there was a link to wake
	if first {
		close(h.opened)
	}
	h.log.Info("connected", "stream_id", link.ID(), "generation", gen, "unacknowledged_records", records)
	return link, nil
}

// Owed reports since when an acknowledgement is due.
func (h host) Owed() (since time.Time, owed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.since, !h.paused && h.win.Outstanding() > 0
}

// Lost ends the generation. Its connection has ended, or could not be opened.
func (h host) Lost(f *recovery.Failure) {
	var unresponsive *recovery.Unresponsive
	if errors.As(f.Err, &unresponsive) || errors.Is(f.Err, conn.ErrNoResponse) {
		h.sdk.release(h.channel, true)
		h.pipeline.channel = nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.life.Err() == nil {
		h.failure = f.Err
	}
	records, _ := h.win.Kept()
	f.Progress = h.progressed
	f.Idle = records == 0
	h.win.End(h.gen)
	h.gen, h.link = 0, nil
	h.idle, h.paused, h.progressed = false, false, false
}

// Retry turns to recovery.
func (h host) Retry(f recovery.Failure, d recovery.Decision) {
	h.mu.Lock()
	if h.state == StateOpened {
		h.state = StateRecovering
	}
	records, _ := h.win.Kept()
	id := h.id
	h.mu.Unlock()
	log := h.log.Warn
	if f.Rotated || f.Progress && recovery.Code(f.Err) == codes.Unavailable {
		log = h.log.Info // servers end streams as a matter of routine
	}
	log("connecting again", "stream_id", id, "error", f.Err, "attempt", d.Attempt, "of", h.cfg.RecoveryRetries,
		"wait", d.Wait, "unacknowledged_records", records)
}

// Take gives a connection its next message.
func (h host) Take(gen uint64) (conn.Message, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if gen != h.gen || h.paused {
		return conn.Message{}, false // nothing ever, so nobody must wake it
	}
	r, offset := h.win.Take(gen)
	if r == nil {
		h.idle = true
		return conn.Message{}, false
	}
	if h.win.Outstanding() == 1 {
		h.since = time.Now()
	}
	if r.Records() == 1 {
		return conn.Message{Offset: offset, Single: true, Body: r.Only()}, true
	}
	return conn.Message{Offset: offset, Body: r.Buffer()}, true
}

// Sent settles an acknowledgement that came before the transport had returned.
func (h host) Sent(gen uint64) (drained bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.settle(gen, h.win.Sent(gen))
}

// Ack settles what the server has made durable.
func (h host) Ack(gen uint64, upTo int64) (drained bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	progress, err := h.win.Ack(gen, upTo)
	if err != nil {
		return false, err
	}
	return h.settle(gen, progress), nil
}

// settle tells everybody who waits for progress. h.mu is held.
func (h host) settle(gen uint64, progress window.Progress) (drained bool) {
	if progress.Calls > 0 {
		h.progressed = true
		h.since = time.Now()
		h.settling.upTo(progress.Last)
		if !h.room.empty() {
			h.room.grant(h.win.Reserve)
		}
		if h.callbacks != nil {
			h.callbacks.wake()
		}
	}
	return gen == h.gen && h.paused && h.win.Outstanding() == 0
}

// CloseSignal pauses the stream until the next connection. Without recovery there will be none, so all goes on until the
// server ends it.
func (h host) CloseSignal(gen uint64, in time.Duration) (paused, drained bool) {
	h.mu.Lock()
	id := h.id
	if gen == h.gen && h.cfg.Recovery {
		h.paused, h.idle = true, false
		paused, drained = true, h.win.Outstanding() == 0
	}
	h.mu.Unlock()
	h.log.Info("the server will close the stream", "stream_id", id, "in", in, "pause", paused)
	return paused, drained
}
