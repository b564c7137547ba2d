package zerobus

import (
	"context"
	"fmt"
)

// An Ack stands for the acknowledgement of one ingest call. It is a small value: keep it, copy it, compare it, or throw
// it away. The zero Ack, which an empty batch gets, stands for nothing and is done.
//
// Its methods may be called from any goroutine and from callbacks, at any time, also after the stream has ended.
type Ack struct {
	p *pipeline
	n int64 // the offset + 1, so that the zero value has none
}

// Format writes the offset, whatever the verb: what an Ack refers to is nobody's to print.
func (a Ack) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "ack of offset %d", a.Offset()) }

// Offset returns the call's logical offset: 0 for the first of a stream, one more for every further Ingest or
// IngestBatch, whatever happens to connections. It is -1 for the zero Ack.
func (a Ack) Offset() int64 { return a.n - 1 }

// Wait waits until the records are durable. It returns nil then, and an error when the stream ended without their
// acknowledgement or when ctx ended first; a deadline of ctx is an ErrAckTimeout, too. The end of ctx does not touch the
// records: they are still on their way, and Wait may be called again.
func (a Ack) Wait(ctx context.Context) error {
	if a.p == nil {
		return nil
	}
	if ctx == nil {
		return newError("wait", a.p.table.Name, ErrInvalidArgument, errNilContext)
	}
	return a.p.wait(ctx, "wait", a.Offset())
}

// Done returns a channel that is closed when the records are durable or the stream has ended without their
// acknowledgement; Err tells which.
func (a Ack) Done() <-chan struct{} {
	if a.p == nil {
		return closedChan
	}
	return a.p.done(a.Offset())
}

// IsDone reports whether Done is closed.
func (a Ack) IsDone() bool {
	if a.p == nil {
		return true
	}
	done, _ := a.p.outcome(a.Offset())
	return done
}

// Err returns why the records will not be acknowledged. It is nil before that is known, and when they are durable.
func (a Ack) Err() error {
	if a.p == nil {
		return nil
	}
	_, err := a.p.outcome(a.Offset())
	return err
}

// OnDone has f called once the records are durable, with their offset and nil, or once it is known that they will not be
// acknowledged, with the reason; at once if that is so already. Any number of functions may be registered. They are called
// in the order of offsets, one at a time, on the goroutine of ack callbacks, see [WithAckCallback].
//
// stop takes the function back. It reports whether that was in time: false means that f was called, is being called, or
// was taken back before.
func (a Ack) OnDone(f func(offset int64, err error)) (stop func() bool) {
	switch {
	case f == nil:
		return func() bool { return false }
	case a.p == nil:
		go func() {
			defer func() { _ = recover() }() // contained, as elsewhere; there is no stream whose log could have it
			f(a.Offset(), nil)
		}()
		return func() bool { return false }
	}
	return a.p.callbacks.onDone(a.Offset(), f)
}

// WaitAll waits for all acks, of any streams, and returns the first error that it finds, in the order of acks. ctx bounds
// the whole wait.
func WaitAll(ctx context.Context, acks ...Ack) error {
	for _, a := range acks {
		if err := a.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// AckHandler are functions that are called for every offset: a call of Ingest or IngestBatch.
type AckHandler struct {
	OnAck   func(offset int64)            // the records are durable
	OnError func(offset int64, err error) // they will not be acknowledged
}

func (h AckHandler) any() bool { return h.OnAck != nil || h.OnError != nil }

// closedChan is the Done of everything that is done already.
var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// AckInfo tells a callback what has become of a range of offsets.
type AckInfo struct {
	First, Last int64 // logical offsets, both included

	// Err is nil when the records are durable. An ErrRejected is about one call that went to the reject handler. With any
	// other error the stream has ended without their acknowledgement, and this is the last call.
	Err error
}
