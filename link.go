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
	began := time.Now()
	md, grant, err := fetchHeaders(ctx, h.auth(), h.sdk.target(h.table.Name), h.log)
	h.pipeline.grant = grant
	if err != nil {
		return nil, err
	}

	if h.channel == nil {
		if h.pipeline.channel, err = h.sdk.channel(); err != nil {
			return nil, err
		}
	}

	h.introduce(md)
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
		Check:    h.answer,

		BatchPause: h.cfg.BatchPause,
	})
	if err != nil {
		return nil, h.channel.permanentFault(err)
	}
	h.pipeline.number++
	h.mu.Lock()
	first := h.state == StateUninitialized
	h.change(func() { h.state = StateOpened })
	h.link = link
	h.failure = nil
	h.id = link.ID()
	durable, silent := h.settleAnswer(first)
	progress := h.win.Skip(durable)
	records := h.win.Unsettled()
	log := h.log.Info
	if h.careful {
		log = h.log.Debug // one of many
	}
	h.mu.Unlock()
	if first {
		close(h.opened)
	}
	log("connected", "stream_id", link.ID(), "generation", gen, "unacknowledged_records", records)
	observe(h.pipeline, h.sdk.hooks.connect, ConnectHook.OnConnect, ConnectEvent{
		Table: h.table.Name, StreamID: link.ID(), Number: h.number, Took: time.Since(began), Unacked: records,
	})
	if silent {
		h.log.Warn("the server does not know producers: delivery is at least once", "stream_id", link.ID(), "producer", h.cfg.ProducerID)
	}
	if durable > 0 {
		log("the server has records that it could not acknowledge", "stream_id", link.ID(), "producer", h.cfg.ProducerID, "records", durable)
		h.mu.Lock()
		h.settle(gen, progress)
		h.mu.Unlock()
	}
	link.Start()
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
	h.renew(f)
	h.ousted(f)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cfg.RejectHandler != nil && h.link != nil && refusesRecords(f.Err) && h.life.Err() == nil {
		f.Refused = h.refuse(f.Err)
	}
	if h.life.Err() == nil && !f.Refused {
		h.failure = f.Err
	}
	f.Progress = h.progressed
	f.Idle = h.win.Unsettled() == 0
	h.win.End(h.gen)
	h.gen, h.link = 0, nil
	h.idle, h.paused, h.progressed = false, false, false
}

// renew gives the token of a connection up that was refused for it. Unless the token was requested for that very
// connection, it may have been revoked or have expired since, and another one may do.
func (h host) renew(f *recovery.Failure) {
	grant := h.grant
	h.pipeline.grant = nil
	if grant == nil {
		return
	}
	switch recovery.Code(f.Err) {
	case codes.Unauthenticated:
	case codes.PermissionDenied:
		if f.Opened {
			return // the token was good enough to open the stream; what is denied is something else
		}
	default:
		return
	}
	grant.Reject()
	if f.Opened || !grant.Minted() {
		f.Err = recovery.Passing(f.Err)
	}
}

// Decided turns to recovery, when there is another try.
func (h host) Decided(f recovery.Failure, d recovery.Decision) {
	h.mu.Lock()
	if d.Retry && h.state == StateOpened {
		h.change(func() { h.state = StateRecovering })
	}
	event := DisconnectEvent{Table: h.table.Name, Reason: reason(f), Err: f.Err, Retry: d.Retry, Wait: d.Wait, Attempt: d.Attempt}
	event.Unacked = h.win.Unsettled()
	if f.Opened {
		event.StreamID = h.id
	}
	h.mu.Unlock()
	observe(h.pipeline, h.sdk.hooks.disconnect, DisconnectHook.OnDisconnect, event)
	if !d.Retry {
		return // the end is told elsewhere
	}
	log := h.log.Warn
	switch {
	case f.Refused:
		log = h.log.Debug // the handler is told what comes of it
	case f.Rotated, f.Opened && d.Attempt <= 1:
		log = h.log.Info // servers end streams as a matter of routine
	}
	log("connecting again", "stream_id", event.StreamID, "reason", event.Reason, "error", f.Err, "attempt", d.Attempt,
		"of", h.cfg.RecoveryRetries, "wait", d.Wait, "unacknowledged_records", event.Unacked)
}

// Take gives a connection its next message.
func (h host) Take(gen uint64) (conn.Message, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if gen != h.gen || h.paused {
		return conn.Message{}, false // nothing ever, so nobody must wake it
	}
	now := time.Now()
	r, offset, again := h.win.Take(gen, now)
	if r == nil {
		h.idle = true
		return conn.Message{}, false
	}
	if h.win.Outstanding() == 1 {
		h.since = now
	}
	h.calls, h.taken = r.Offsets(), now
	h.message = SendEvent{Table: h.table.Name, StreamID: h.id, Records: r.Records(), Bytes: r.Len(), Resend: again}
	m := conn.Message{Offset: offset}
	if r.Records() == 1 {
		m.Single, m.Body = true, r.Only()
	} else {
		m.Body = r.Buffer()
	}
	if h.producer.number {
		h.producer.number = false // those that follow count on
		m.Numbered, m.First = true, h.producer.base+h.win.Settled()
	}
	return m, true
}

// smallMessage is the size from which on a message is not worth a pause: what it costs is no longer its number but its
// bytes.
const smallMessage = 16 << 10

// manyPauses is how long ago the last message may have left, in pauses, if it is to say something about the next one.
const manyPauses = 10

// Gathering reports whether a pause may make the next message larger: the last one held several calls and left only just
// now, so they come faster than messages leave; and nobody waits for room, or for the end of the stream or of what it
// holds.
func (h host) Gathering(gen uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if gen != h.gen || h.paused || h.careful || h.shut || h.flushes > 0 || h.calls < 2 ||
		!h.room.empty() || time.Since(h.taken) > manyPauses*h.cfg.BatchPause {
		return false
	}
	n := h.win.Gathering()
	return 0 < n && n < smallMessage
}

// Sent settles an acknowledgement that came before the transport had returned.
func (h host) Sent(gen uint64) (drained bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.sdk.hooks.send) > 0 {
		message := h.message // of this sender, which calls Take and Sent in turns
		h.mu.Unlock()
		observe(h.pipeline, h.sdk.hooks.send, SendHook.OnSend, message) // before any acknowledgement of it is told
		h.mu.Lock()
	}
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

// settle tells everybody who waits for progress. h.mu is held, but for the time in which hooks are called.
func (h host) settle(gen uint64, progress window.Progress) (drained bool) {
	if progress.Records > 0 {
		now := time.Now()
		h.progressed = true
		h.since = now
		h.settling.upTo(progress.Last)
		if !h.room.empty() {
			h.room.grant(h.win.Reserve)
		}
		if h.callbacks.started {
			h.callbacks.wake()
		}
		if h.careful {
			h.careful = h.win.Suspicious()
			if h.idle && h.link != nil { // the next message has waited for this one to be settled
				h.idle = false
				h.link.Wake()
			}
		}
		if len(h.sdk.hooks.ack) > 0 {
			event := AckEvent{
				Table: h.table.Name, StreamID: h.id, Records: progress.Records, Bytes: progress.Bytes,
				Messages: progress.Messages, Latency: now.Sub(progress.Since),
			}
			h.mu.Unlock()
			observe(h.pipeline, h.sdk.hooks.ack, AckHook.OnAck, event)
			h.mu.Lock()
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
