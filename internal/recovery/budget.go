package recovery

import (
	"time"
)

// Policy is how a stream heals.
type Policy struct {
	Enabled    bool          // whether a failure is ever retried
	Retries    int           // failures in a row that are retried
	Backoff    time.Duration // between tries
	Timeout    time.Duration // of one try to connect
	AckTimeout time.Duration // without progress on something that was sent
}

// stableAfter is how long a connection without traffic must have lived to count as a good one.
const stableAfter = time.Minute

// Failure is the end of a connection, or of a try to connect.
type Failure struct {
	Err      error
	Progress bool          // the connection brought an acknowledgement
	Idle     bool          // nothing was unacknowledged at its end
	Rotated  bool          // it ended because the server asked for it
	Lived    time.Duration // from the handshake to the end; 0 when there was none
}

// Decision is what to do about a failure.
type Decision struct {
	Retry   bool
	Wait    time.Duration
	Attempt int // of Policy.Retries, that the next try is
}

// Budget counts failures. The zero value with a policy is ready.
type Budget struct {
	Policy Policy

	failures int  // in a row
	hasty    bool // the last connection was short, and replaced without a wait
}

// Failures returns the number of failures in a row.
func (b *Budget) Failures() int { return b.failures }

// Decide counts a failure. random is in [0,1).
func (b *Budget) Decide(f Failure, random float64) Decision {
	cleared := f.Progress || f.Idle && (f.Rotated || f.Lived >= stableAfter)
	if cleared {
		b.failures = 0
	}
	if !f.Rotated || !cleared {
		b.failures++
	}
	if !b.Policy.Enabled || b.failures > b.Policy.Retries || !Retriable(f.Err) {
		return Decision{}
	}
	d := Decision{Retry: true, Attempt: b.failures}
	// A server that ends connection after connection must not be met as fast as it can end them, whatever it acknowledges
	// in between: of two short lives in a row, the second is followed by a wait.
	short := f.Lived < b.Policy.Backoff
	if !cleared && !(f.Rotated && b.failures == 1) || short && b.hasty {
		d.Wait = b.Policy.Backoff + time.Duration(random*float64(b.Policy.Backoff)/4)
	}
	b.hasty = short && d.Wait == 0
	return d
}
