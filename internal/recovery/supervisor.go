package recovery

import (
	"context"
	"math/rand/v2"
	"time"
)

// Line is a connection, as the supervisor sees it.
type Line interface {
	Done() <-chan struct{}      // closed when it has ended, with all its goroutines
	Err() error                 // why; good after Done
	Rotated() bool              // whether it ended because the server asked for it; good after Done
	Abort(cause error)          // ends it now
	Finish(drain time.Duration) // half-closes it, and ends it after drain at the latest
}

// Host is the stream that is kept alive. All methods are called from the goroutine of [Supervise].
type Host interface {
	// Connect opens a connection on which everything that is kept is sent again. ctx bounds the try.
	Connect(ctx context.Context) (Line, error)

	// Owed reports since when the server has made no progress on something that was sent. It is false when nothing is
	// to be expected from it.
	Owed() (since time.Time, owed bool)

	// Lost is told that the connection, or the try to connect, has failed, and why. It fills in what it knows better:
	// whether the connection brought an acknowledgement, whether it left something unacknowledged, whether a record was
	// refused; and it may mark the error as [Passing].
	Lost(f *Failure)

	// Decided is told what was decided about a failure.
	Decided(f Failure, d Decision)
}

// drainFinished is how long a server may take to end a stream after the half-close of a clean end.
const drainFinished = 500 * time.Millisecond

// Supervise connects, watches the connection, and connects again, as policy allows. It returns nil soon after finish
// ends, which means that everything was acknowledged; the cause of ctx when that ends; and otherwise why it gave up.
// No connection is alive when it returns.
func Supervise(ctx context.Context, host Host, policy Policy, finish context.Context) error {
	s := supervisor{host: host, policy: policy, finish: finish}
	budget := Budget{Policy: policy}
	var first error // of the row of failures
	for {
		f := s.once(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case f.Err == nil, s.finished():
			return nil
		}
		f.At = time.Now()
		host.Lost(&f)
		d := budget.Decide(f, rand.Float64())
		host.Decided(f, d)
		if budget.Failures() <= 1 {
			first = f.Err
		}
		if !d.Retry {
			if n := budget.Failures(); n > 1 {
				return &GaveUp{Failures: n, First: first, Last: f.Err}
			}
			return f.Err
		}
		if !s.sleep(ctx, d.Wait) && ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

type supervisor struct {
	host   Host
	policy Policy
	finish context.Context
}

// once is one connection, from the try to the end. The failure has no error when the stream is finished.
func (s *supervisor) once(ctx context.Context) Failure {
	if s.finished() {
		return Failure{}
	}
	try, cancel := context.WithTimeout(ctx, s.policy.Timeout)
	stop := context.AfterFunc(s.finish, cancel) // nobody needs the connection any more
	line, err := s.host.Connect(try)
	stop()
	cancel()
	if err != nil {
		return Failure{Err: err}
	}
	opened := time.Now()
	err = s.watch(ctx, line)
	return Failure{Err: err, Opened: true, Rotated: line.Rotated(), Lived: time.Since(opened)}
}

// watch waits for the end of a connection. It ends it when the server owes an acknowledgement for too long, and when
// nobody needs it any more.
func (s *supervisor) watch(ctx context.Context, line Line) error {
	timer := time.NewTimer(s.policy.AckTimeout)
	defer timer.Stop()
	finish := s.finish.Done()
	for {
		select {
		case <-line.Done():
			return line.Err()
		case <-ctx.Done():
			line.Abort(context.Cause(ctx))
			<-line.Done()
			return context.Cause(ctx)
		case <-finish:
			finish = nil
			line.Finish(drainFinished)
		case <-timer.C:
			wait := s.policy.AckTimeout
			if since, owed := s.host.Owed(); owed {
				wait -= time.Since(since)
			}
			if wait <= 0 {
				line.Abort(&Unresponsive{After: s.policy.AckTimeout})
				<-line.Done()
				return line.Err()
			}
			timer.Reset(wait)
		}
	}
}

// finished reports whether the stream needs no connection any more.
func (s *supervisor) finished() bool {
	return s.finish.Err() != nil
}

// sleep waits for d. It is false when something ended the wait.
func (s *supervisor) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.finish.Done():
	}
	return false
}
