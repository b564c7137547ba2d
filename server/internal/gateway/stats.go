package gateway

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/admission"
	"github.com/zerobus-go/zerobus/server/internal/histogram"
	"github.com/zerobus-go/zerobus/server/internal/table"
	"github.com/zerobus-go/zerobus/server/internal/wal"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Refusal says why a request was not taken.
type Refusal uint8

// The refusals.
const (
	RefusedRequest  Refusal = iota // it is malformed, too large, or out of turn
	RefusedRecord                  // a record does not fit the table
	RefusedFull                    // the log has no room
	RefusedStopped                 // the log has stopped after a disk error
	RefusedBehind                  // one before it on the stream was refused when it was on its way to the log
	RefusedTable                   // the table was dropped, or needs its operator
	RefusedProducer                // another stream has the producer, or there are too many
	RefusedClosing                 // the server is shutting down
	RefusedOther                   // anything else: the server's log says what
	Refusals        = iota         // how many there are
)

// Codes is how many status codes there are: those of gRPC, from OK on.
const Codes = int(codes.Unauthenticated) + 1

// Stats is what a gateway has seen since it was made.
type Stats struct {
	Open     int64        // streams that are open now
	Limit    int64        // of these and those in their handshake
	Opened   int64        // streams that were opened: their handshake came to a good end
	Ended    [Codes]int64 // of these those that have ended, by status code
	Turned   [Codes]int64 // streams that were not opened, by status code
	Requests int64        // with records that fit; from here on down only of those
	Records  int64
	Bytes    int64 // of payload
	Durable  int64 // records that are in the log
	Repeats  int64 // records of producers that are durable already and were discarded
	Refused  [Refusals]int64

	Limits  admission.Stats    // what the limits of streams and rates have done
	AckTime histogram.Snapshot // from the receipt of a request until it is durable
}

// counters are the gateway's part of [Stats]. They grow by atomic additions, one a request at most.
type counters struct {
	opened, requests, records, bytes, durable, repeats atomic.Int64

	ended, turned [Codes]atomic.Int64
	refused       [Refusals]atomic.Int64
	ackTime       histogram.Histogram
}

// Stats gives the present state.
func (g *Gateway) Stats() Stats {
	c := &g.counters
	s := Stats{
		Limit:    g.gate.MaxStreams,
		Requests: c.requests.Load(), Records: c.records.Load(), Bytes: c.bytes.Load(), Durable: c.durable.Load(), Repeats: c.repeats.Load(),
		Limits:  g.gate.Stats(),
		AckTime: c.ackTime.Snapshot(),
	}
	for i := range s.Ended { // before opened, so that no stream has ended that was not opened
		s.Ended[i], s.Turned[i] = c.ended[i].Load(), c.turned[i].Load()
		s.Open -= s.Ended[i]
	}
	s.Opened = c.opened.Load()
	s.Open += s.Opened
	for i := range s.Refused {
		s.Refused[i] = c.refused[i].Load()
	}
	return s
}

// clock is the time since the gateway was made: half the cost and a third of the size of the time of day.
func (g *Gateway) clock() time.Duration { return time.Since(g.made) }

// over counts the end of a stream.
func (c *counters) over(opened bool, err error) {
	code := status.Code(err)
	if int(code) >= Codes {
		code = codes.Unknown
	}
	if opened {
		c.ended[code].Add(1)
	} else {
		c.turned[code].Add(1)
	}
}

// taken counts a request whose records fit: rows to be made durable, repeats that are so already, and bytes of payload.
func (c *counters) taken(rows int, repeats int64, bytes int) {
	c.requests.Add(1)
	c.records.Add(int64(rows) + repeats)
	c.bytes.Add(int64(bytes))
	if repeats > 0 {
		c.repeats.Add(repeats)
	}
}

// refuse counts a request that the table or the log does not take.
func (c *counters) refuse(err error) {
	why := RefusedOther
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return // the client is gone, nobody was refused
	case errors.Is(err, wal.ErrFull):
		why = RefusedFull
	case errors.Is(err, wal.ErrPoisoned):
		why = RefusedStopped
	case errors.Is(err, wal.ErrChain):
		why = RefusedBehind
	case errors.Is(err, wal.ErrTooLarge), status.Code(err) == codes.InvalidArgument:
		why = RefusedRequest
	case errors.Is(err, table.ErrDropped), errors.Is(err, table.ErrBroken):
		why = RefusedTable
	case errors.Is(err, table.ErrTaken), errors.Is(err, table.ErrProducers):
		why = RefusedProducer
	case errors.Is(err, table.ErrClosed), errors.Is(err, wal.ErrClosed):
		why = RefusedClosing
	}
	c.refused[why].Add(1)
}
