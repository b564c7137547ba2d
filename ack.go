package zerobus

import "context"

// An Ack stands for the acknowledgement of one ingest call. It is a small value: keep it, copy it, compare it, or throw
// it away. The zero Ack, which an empty batch gets, stands for nothing and is done.
//
// Its methods may be called from any goroutine and from callbacks, at any time, also after the stream has ended.
type Ack struct {
	p *pipeline
	n int64 // the offset + 1, so that the zero value has none
}

// Offset returns the call's logical offset: 0 for the first of a stream, one more for every further Ingest or
// IngestBatch, whatever happens to connections. It is -1 for the zero Ack.
func (a Ack) Offset() int64 { return a.n - 1 }

// Wait waits until the records are durable. It returns nil then, and an error when the stream ended without their
// acknowledgement or when ctx ended first. The end of ctx does not touch the records: they are still on their way, and
// Wait may be called again.
func (a Ack) Wait(ctx context.Context) error {
	if a.p == nil {
		return nil
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

// closedChan is the Done of everything that is done already.
var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// AckInfo tells a callback what has become of a range of offsets.
type AckInfo struct {
	First, Last int64 // logical offsets, both included

	// Err is nil when the records are durable. Otherwise the stream has ended without their acknowledgement, and this
	// is the last call.
	Err error
}
