package gateway

import (
	"math"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// MinLifetime is the shortest lifetime that makes sense: with less, streams spend their lives in handshakes.
const MinLifetime = 100 * time.Millisecond

const (
	// defaultLifetime is the service's own figure.
	defaultLifetime = 15 * time.Minute

	// defaultGrace lets the acknowledgements of all that is on its way arrive even when the disk is slow. It costs nothing with
	// clients that heed the signal: they go as soon as they have them.
	defaultGrace = 10 * time.Second

	// settleTime is what the last acknowledgements may take after the grace: rows that cannot become durable, or a client that
	// does not read, must not keep the stream's place.
	settleTime = 5 * time.Second
)

// maxUnread is how long a client may leave an acknowledgement unread that does not fit into the transport's window any more: then
// thousands before it are unread, too.
const maxUnread = 2 * time.Minute

// unread tells whether the sender has been stuck for so long.
func (s *stream) unread() bool {
	since := s.sending.Load()
	return since != 0 && s.g.clock()-time.Duration(since) > maxUnread
}

// age is how long a new stream serves before its client is asked to leave. It is up to a tenth shorter than the lifetime, at
// random: streams that were opened together, after a restart for one, do not come back together for ever.
func (o Options) age() time.Duration {
	if o.Lifetime < 0 {
		return math.MaxInt64 // never: a timer of 292 years
	}
	return o.Lifetime - rand.N(o.Lifetime/10+1)
}

// term is how long the new stream serves, and the grace after that. It does not outlive its token: who has been revoked since
// gets no other.
func (s *stream) term() (age, grace time.Duration) {
	left := max(0, time.Until(s.claims.Expires))
	grace = min(s.g.opts.Grace, left/2)
	return min(s.g.opts.age(), left-grace), grace
}

// askToLeave has the stream's client asked to leave within d, or sooner than it was asked before. Never blocks.
func (s *stream) askToLeave(d time.Duration) {
	select {
	case s.leave <- d:
	default:
	}
}

// live is the handler after the handshake. It sees to it that the stream ends:
//
//	serving ──(old, or the server goes)──> leaving ──(grace over)──> settling ──(settleTime over)──> cut
//
// Leaving: the client has the close signal; records are taken and acknowledged as before. Settling: nothing more is taken, what
// was taken is made durable and acknowledged, so that the client need not send it again. Cut: the last acknowledgements are
// given up; their rows may be in the table all the same, as after a lost connection.
//
// In every stage the sender ends the stream when all is said, with OK after the client's half-close. It is not this goroutine
// because it may be stuck in front of a client that does not read, until this one returns.
func (s *stream) live() error {
	sent := make(chan error, 1)
	go func() { sent <- s.acknowledge() }()
	age, grace := s.term()
	timer := time.NewTimer(age)
	defer timer.Stop()

	closing := false
	watch := time.NewTicker(maxUnread / 4)
	defer watch.Stop()
	for serving := true; serving; {
		select {
		case err := <-sent:
			return err
		case <-timer.C:
			serving = false
		case grace = <-s.leave:
			serving, closing = false, true
		case <-watch.C:
			if s.unread() {
				return status.Errorf(codes.DeadlineExceeded, "table %s: the client has read no acknowledgement for %s.", s.name, maxUnread)
			}
		}
	}

	s.signal <- grace
	end := time.Now().Add(grace)
	for leaving := true; leaving; {
		timer.Reset(time.Until(end))
		select {
		case err := <-sent:
			return err
		case <-timer.C:
			leaving = false
		case sooner := <-s.leave: // the server goes: no second signal, clients heed the first
			closing = true
			if t := time.Now().Add(sooner); t.Before(end) {
				end = t
			}
		}
	}

	over := coded(codes.Unavailable, codeLifetime, 0, "Stream timeout reached. Closing the stream (ID: %s)", s.id)
	if closing {
		over = errClosing
	}
	s.progress.end(over)
	timer.Reset(settleTime)
	select {
	case err := <-sent:
		return err
	case <-timer.C:
		return over
	}
}
