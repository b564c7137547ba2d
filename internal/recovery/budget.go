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
	Opened   bool          // there was a connection
	Lived    time.Duration // from the handshake to the end; 0 when there was none
	Refused  bool          // the server refused a record, which is being looked for or was found
	At       time.Time     // of the end
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

	failures int       // in a row
	hasty    bool      // the last connection was short, and replaced without a wait
	paid     time.Time // until when refusals have used up what they may
}

// maxWait bounds the waits of a long row of failures, unless the policy's backoff is longer: a server that is back
// must not wait for its clients for minutes.
const maxWait = 30 * time.Second

// Refused records cost connections. That many at once are replaced without a wait, and more at that pace: a stream of
// nothing but refused records must not be a load for the server.
const (
	refusalBurst = 64
	refusalEvery = 100 * time.Millisecond
)

// Failures returns the number of failures in a row.
func (b *Budget) Failures() int { return b.failures }

// Decide counts a failure. random is in [0,1).
func (b *Budget) Decide(f Failure, random float64) Decision {
	if f.Refused && b.Policy.Enabled {
		b.failures = 0
		return Decision{Retry: true, Wait: b.refusal(f.At)}
	}
	cleared := f.Progress || f.Idle && (f.Rotated || f.Lived >= stableAfter)
	if cleared {
		b.failures = 0
	}
	if !f.Rotated || !cleared {
		b.failures++
	}
	asked := f.Rotated && b.failures == 1 // the server wants another connection: that is no failure, unless it repeats
	if !b.Policy.Enabled || b.failures > b.Policy.Retries && !asked || !Retriable(f.Err) {
		return Decision{}
	}
	d := Decision{Retry: true, Attempt: b.failures}
	// A server that ends connection after connection must not be met as fast as it can end them, whatever it acknowledges
	// in between: of two short lives in a row, the second is followed by a wait.
	short := f.Lived < b.Policy.Backoff
	free := asked || b.failures == 1 && isPassing(f.Err)
	if !cleared && !free || short && b.hasty {
		d.Wait = b.wait(random)
	}
	b.hasty = short && d.Wait == 0
	return d
}

// wait is the backoff, doubled for every failure in a row after the first, and lengthened at random.
func (b *Budget) wait(random float64) time.Duration {
	wait, most := b.Policy.Backoff, max(maxWait, b.Policy.Backoff)
	for range b.failures - 1 {
		if wait = min(2*wait, most); wait == most {
			break
		}
	}
	return wait + time.Duration(random*float64(wait)/4)
}

// refusal pays for one refusal, and returns how long to wait for that.
func (b *Budget) refusal(now time.Time) time.Duration {
	if full := now.Add(-refusalBurst * refusalEvery); b.paid.Before(full) {
		b.paid = full
	}
	b.paid = b.paid.Add(refusalEvery)
	return max(0, b.paid.Sub(now))
}
