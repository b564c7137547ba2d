package zerobus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime/pprof"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/zerobus-go/zerobus/internal/batch"
	"github.com/zerobus-go/zerobus/internal/conn"
	"github.com/zerobus-go/zerobus/internal/oauth"
	"github.com/zerobus-go/zerobus/internal/recovery"
	"github.com/zerobus-go/zerobus/internal/spin"
	"github.com/zerobus-go/zerobus/internal/window"
	"github.com/zerobus-go/zerobus/internal/wire"
)

// pipeline is one stream: it joins the stages batch, window, conn and recovery, and brings the lock that they do
// without.
//
// Goroutines: the supervisor lives as long as the stream; a connection has two; callbacks have one. Producers run in
// their callers' goroutines.
//
// The lock is held for moments: never while something blocks, and never while code of a user or of gRPC runs, but for the
// protobuf runtime's. No other lock is taken under it, but for that of the pool of chunks.
type pipeline struct {
	sdk    *SDK
	table  TableProperties
	typ    RecordType
	auth   func() Auth // a function hides credentials from package fmt
	cfg    StreamSettings
	log    *slog.Logger
	create wire.CreateStream

	// The following are the supervisor's alone.
	channel *channel
	grant   *oauth.Grant // the token of the present connection, if it is one of ours
	number  int          // connections that were opened

	life     context.Context // ends when the stream is to end at once; its cause is why
	cancel   context.CancelCauseFunc
	finish   context.Context // ends when all is acknowledged and the stream is to end
	finished context.CancelFunc
	opened   chan struct{} // closed by the first connection
	ended    chan struct{} // closed when the stream has ended; the supervisor and connections are gone

	callbacks *callbacks
	producer  producer

	_ [64]byte // what every append writes is no neighbour of what every append reads

	mu         spin.Mutex // guards the following
	shut       bool       // no more records are taken
	idle       bool       // the connection's sender sleeps, and must be woken
	room       room
	win        window.Window
	settling   settling
	rejects    rejects
	watchers   []*stateWatcher
	watched    uint64    // calls of OnDone
	message    SendEvent // the message taken last, where a hook is to be told of it
	calls      int       // in that message
	taken      time.Time // when that was
	recreated  bool      // by RecreateStream
	state      State     // without FLUSHING, which is OPENED with flushes
	flushes    int       // Flush and Close calls that wait
	over       bool      // the stream has ended; state is final
	cause      error     // why it ended; nil for a clean end
	closing    *closing
	id         string
	link       *conn.Conn // the connection; nil while there is none
	gen        uint64     // of the connection; 0 while there is none, not even one that is being opened
	careful    bool       // messages are sent one at a time, to find one that was refused
	paused     bool       // by a close signal: nothing is sent, acknowledgements still count
	progressed bool       // the connection brought an acknowledgement
	failure    error      // why the last try to connect failed, or the last connection ended; nil while there is one
	since      time.Time  // of the last progress, or of the first message after which some was due
}

// closing is a Close that has begun.
type closing struct {
	done chan struct{}
	err  error // good after done
}

// newPipeline makes a stream that is not live yet, but can be aborted. Values of ctx are for the headers provider.
func newPipeline(ctx context.Context, op string, k *SDK, table TableProperties, auth Auth, cfg StreamSettings) (*pipeline, error) {
	p := &pipeline{
		sdk:    k,
		table:  table,
		typ:    table.recordType(),
		auth:   func() Auth { return auth },
		cfg:    cfg,
		log:    k.log.With("table", table.Name),
		opened: make(chan struct{}),
		ended:  make(chan struct{}),
	}
	if p.typ != RecordTypeProto {
		p.table.described = nil // JSON records are sent as they are
	}
	p.callbacks = newCallbacks(p)
	p.create = wire.CreateStream{Table: table.Name, Type: wire.RecordType(p.typ), HasType: true}
	switch {
	case p.typ == RecordTypeProto:
		descriptor, err := proto.MarshalOptions{Deterministic: true}.Marshal(table.Descriptor)
		if err != nil {
			return nil, invalid(op, table.Name, "encode the descriptor: %w", err)
		}
		p.create.Descriptor = descriptor
	case table.Descriptor != nil:
		p.log.Warn("the descriptor of a table of JSON records is not used")
	}
	p.win.Init(
		window.Limits{Records: cfg.MaxInflightRecords, Bytes: cfg.MaxInflightBytes},
		batch.Limits{Bytes: cfg.MaxBatchBytes, Records: cfg.MaxBatchRecords},
		&k.pool)

	var err error
	if p.channel, err = k.channel(); err != nil {
		return nil, newError(op, table.Name, ErrInvalidState, err)
	}
	ctx = context.WithoutCancel(ctx)
	p.life, p.cancel = context.WithCancelCause(ctx)
	p.finish, p.finished = context.WithCancel(ctx)
	return p, nil
}

// start has the stream live.
func (p *pipeline) start() {
	labels := pprof.Labels("zerobus", "supervisor", "table", p.table.Name)
	if p.cfg.AckCallback != nil || p.cfg.AckHandler.any() || p.cfg.RejectHandler != nil {
		p.mu.Lock()
		p.callbacks.begin()
		p.mu.Unlock()
	}
	policy := recovery.Policy{
		Enabled:    p.cfg.Recovery,
		Retries:    p.cfg.RecoveryRetries,
		Backoff:    p.cfg.RecoveryBackoff,
		Timeout:    p.cfg.RecoveryTimeout,
		AckTimeout: p.cfg.ServerAckTimeout,
	}
	go pprof.Do(p.life, labels, func(ctx context.Context) {
		p.end(recovery.Supervise(ctx, host{p}, policy, p.finish))
	})
}

// abort ends the stream without a flush. It does not wait; ended is closed soon.
func (p *pipeline) abort(cause error) { p.cancel(cause) }

// end settles everything once the supervisor has returned.
func (p *pipeline) end(err error) {
	failed := err != nil && p.life.Err() == nil
	if failed {
		p.log.Error("the stream has failed", "stream_id", p.streamID(), "error", err)
	}
	p.sdk.release(p.channel, false)

	p.mu.Lock()
	event := DisconnectEvent{Table: p.table.Name, StreamID: p.id, Reason: ReasonClosed}
	event.Unacked = p.win.Unsettled()
	connected := p.link != nil
	p.win.End(p.gen)
	p.win.Close()
	p.gen, p.link = 0, nil
	p.idle, p.paused = false, false
	p.shut, p.over = true, true
	p.cause = err
	p.change(func() {
		p.state = StateClosed
		if failed {
			p.state = StateFailed
		}
	})
	p.settling.all()
	p.room.wakeAll()
	p.callbacks.wake()
	p.mu.Unlock()
	if connected {
		observe(p, p.sdk.hooks.disconnect, DisconnectHook.OnDisconnect, event)
	}
	p.cancel(err)
	p.finished()
	p.sdk.remove(p) // not earlier: SDK.Close waits for what it finds
	close(p.ended)
}

// reserve reserves room for one call, or says why there is none. It waits for room in the queue when block is set. The
// lock is held before, and after unless there is an error.
func (p *pipeline) reserve(ctx context.Context, op string, records, size int, block bool) error {
	switch {
	case p.shut:
		defer p.mu.Unlock()
		return p.endedLocked(op, -1)
	case p.room.empty() && p.win.Reserve(records, size):
		return nil
	case !block:
		p.mu.Unlock()
		return newError(op, p.table.Name, ErrWouldBlock, nil)
	}
	return p.waitForRoom(ctx, op, records, size)
}

// waitForRoom is reserve's wait. The lock is held before, and after unless there is an error.
func (p *pipeline) waitForRoom(ctx context.Context, op string, records, size int) error {
	if p.callbacks.started && p.callbacks.within() {
		// Room may be held by refused records that wait for this very goroutine.
		p.win.ReserveBeyond(records, size)
		return nil
	}
	w := p.room.join(records, size)
	link := p.link
	p.mu.Unlock()
	if p.cfg.BatchPause > 0 && link != nil {
		link.Wake() // from a pause: nothing more can gather
	}
	select {
	case <-w.ready:
	case <-ctx.Done():
	}
	p.mu.Lock()
	if w.granted && !p.shut {
		p.room.free(w)
		return nil // even if ctx has ended: the room is there
	}
	if w.granted {
		p.win.Unreserve(records, size)
	} else {
		p.room.leave(w)
	}
	p.room.free(w)
	p.room.grant(p.win.Reserve) // what this call had, or held up
	defer p.mu.Unlock()
	if p.shut {
		return p.endedLocked(op, -1)
	}
	return newError(op, p.table.Name, nil, context.Cause(ctx))
}

// wakeSender releases the lock and wakes the sender, which sleeps.
func (p *pipeline) wakeSender() {
	p.idle = false
	link := p.link
	p.mu.Unlock()
	if link != nil {
		link.Wake()
	}
}

// recreate marks the stream as recreated, or not. It reports whether that is a change.
func (p *pipeline) recreate(done bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := p.recreated != done
	p.recreated = done
	return changed
}

// accepting returns why the stream takes no records.
func (p *pipeline) accepting(op string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		return p.endedLocked(op, -1)
	}
	return nil
}

// flush waits for everything that is in the stream. The last flush, of a Close, leaves the state to the end.
func (p *pipeline) flush(ctx context.Context, op string, last bool) error {
	p.mu.Lock()
	target := p.win.Next() - 1
	if target <= p.win.Durable() {
		p.mu.Unlock()
		return nil
	}
	p.change(func() { p.flushes++ })
	link := p.link
	p.mu.Unlock()
	if p.cfg.BatchPause > 0 && link != nil {
		link.Wake() // from a pause
	}
	defer func() {
		p.mu.Lock()
		if !last {
			p.change(func() { p.flushes-- })
		}
		p.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, p.cfg.FlushTimeout, ErrFlushTimeout)
	defer cancel()
	err := p.wait(ctx, op, target)
	if errors.Is(err, ErrRejected) {
		return nil // the reject handler has it, and all before it is settled
	}
	return err
}

// close is Stream.Close.
func (p *pipeline) close(ctx context.Context) error {
	const op = "close"
	p.mu.Lock()
	if c := p.closing; c != nil {
		p.mu.Unlock()
		select {
		case <-c.done:
			p.callbacks.wait(p.cfg.CallbackTimeout) // the first call may still do so
			return nil                              // not again what it has told
		default:
		}
		select {
		case <-c.done:
			p.callbacks.wait(p.cfg.CallbackTimeout)
			return c.err
		case <-ctx.Done():
			return newError(op, p.table.Name, nil, context.Cause(ctx))
		}
	}
	c := &closing{done: make(chan struct{})}
	p.closing = c
	p.shut = true
	p.room.wakeAll()
	p.mu.Unlock()

	err := p.flush(ctx, op, true)
	switch {
	case err == nil:
		p.finished()
	case errors.Is(err, ErrFlushTimeout):
		p.abort(ErrFlushTimeout)
	default:
		p.abort(errors.Unwrap(err)) // the context's, without this call's name around it
	}
	<-p.ended
	if failure := p.failed(op); failure != nil {
		err = failure
	} else if p.settled() {
		err = nil // the last acknowledgement came as the wait ended
	}
	c.err = err
	close(c.done) // before the wait: a Close within a callback must not wait for one that waits for the callback
	p.callbacks.wait(p.cfg.CallbackTimeout)
	return err
}

// settled reports whether nothing is unacknowledged.
func (p *pipeline) settled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.win.Durable() == p.win.Next()-1
}

// wait waits for an offset that was issued.
func (p *pipeline) wait(ctx context.Context, op string, offset int64) error {
	settled, err := p.outcome(offset)
	if !settled {
		select {
		case <-p.done(offset):
		case <-ctx.Done():
		}
		settled, err = p.outcome(offset)
	}
	if e, ok := err.(*Error); ok {
		e.Op = op
	}
	if settled {
		return err
	}
	var e *Error
	switch cause := context.Cause(ctx); {
	case cause == ErrFlushTimeout, cause == ErrAckTimeout:
		e = newError(op, p.table.Name, cause, p.struggle())
	case errors.Is(cause, context.DeadlineExceeded) && (op == "wait" || op == "wait for offset"):
		e = newError(op, p.table.Name, ErrAckTimeout, p.waited(ctx))
	default:
		e = newError(op, p.table.Name, nil, p.waited(ctx))
	}
	e.StreamID, e.Offset = p.streamID(), offset
	return e
}

// done returns a channel that is closed when an offset is settled.
func (p *pipeline) done(offset int64) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || offset <= p.win.Durable() {
		return closedChan
	}
	return p.settling.on(offset)
}

// outcome reports whether an offset is settled, and why it will not be acknowledged.
func (p *pipeline) outcome(offset int64) (settled bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case offset <= p.win.Durable():
		if e := p.rejects.of(offset, p.table.Name); e != nil {
			return true, e
		}
		return true, nil
	case p.over:
		return true, p.endedLocked("wait", offset)
	}
	return false, nil
}

// endedLocked is the error of a call on a stream that has ended or is closing. p.mu is held.
func (p *pipeline) endedLocked(op string, offset int64) error {
	kind := ErrStreamClosed
	if p.state == StateFailed {
		kind = ErrStreamFailed
	}
	e := newError(op, p.table.Name, kind, p.cause)
	e.StreamID, e.Offset = p.id, offset
	if offset >= 0 && p.cause != nil {
		e.Retriable = retriable(p.cause) // about records, which another stream may take; not about the call
	}
	return e
}

// failed returns why the stream has failed, or nil.
func (p *pipeline) failed(op string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != StateFailed {
		return nil
	}
	return p.endedLocked(op, -1)
}

// waited is the cause of ctx, and what the stream was struggling with meanwhile, in words: it is ctx that ended the wait.
func (p *pipeline) waited(ctx context.Context) error {
	cause := context.Cause(ctx)
	if s := p.struggle(); s != nil && cause != nil {
		return fmt.Errorf("%w; %w", cause, s)
	}
	return cause
}

// struggle is why the stream has no connection at the moment, in words; nil when it has one.
func (p *pipeline) struggle() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure == nil {
		return nil
	}
	return fmt.Errorf("meanwhile the last connection failed: %v", p.failure)
}

// ending returns why the stream has ended.
func (p *pipeline) ending() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cause
}

func (p *pipeline) next() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.win.Next()
}

func (p *pipeline) streamID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.id
}

func (p *pipeline) currentState() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stateLocked()
}

// unacked yields the calls of an ended stream that were not settled, with their offsets. The records are good for ever;
// the slice of them is used again for the next call.
func (p *pipeline) unacked(op string) (iter.Seq2[int64, []Record], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		return nil, newError(op, p.table.Name, ErrInvalidState, errStillOpen)
	}
	ranges, first := p.win.All(), p.win.Durable()+1 // neither changes any more
	return func(yield func(int64, []Record) bool) {
		offset := first
		var recs []Record
		for r := range ranges {
			for call := range r.Calls() {
				recs = recs[:0]
				for _, data := range call {
					recs = append(recs, encodedRecord(p.typ, data))
				}
				if !yield(offset, recs) {
					return
				}
				offset++
			}
		}
	}, nil
}
