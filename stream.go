package zerobus

import (
	"context"
	"errors"
	"iter"
	"slices"
)

// Ingest adds a record to the stream. It copies the record, so the caller may use its memory again, and returns without
// waiting for the server. It waits when the limits of unacknowledged records or bytes are reached, until there is room
// again, ctx ends, or the stream ends. ctx is looked at for that only. Within a callback it does not wait, because room
// may be what the callback holds up: there it goes beyond the limits.
//
// After an error the record is not in the stream. A record of the wrong kind, that cannot be encoded, that is larger
// than 10 MiB - 64 KiB with its framing, or JSON that is not UTF-8 is an ErrInvalidArgument, and does no harm to the
// stream. While the stream recovers, records are accepted and kept.
func (s *Stream) Ingest(ctx context.Context, rec Record) (Ack, error) {
	if s == nil || s.p == nil || ctx == nil {
		_, err := s.pipeFor(ctx, opIngest)
		return Ack{}, err
	}
	return s.p.ingest(ctx, &rec, true)
}

// IngestAndWait is Ingest and [Ack.Wait] in one: it returns the record's offset once it is durable. It is the simple way
// for few records; every one takes a round trip.
func (s *Stream) IngestAndWait(ctx context.Context, rec Record) (offset int64, err error) {
	ack, err := s.Ingest(ctx, rec)
	if err != nil {
		return -1, err
	}
	return ack.Offset(), ack.Wait(ctx)
}

// TryIngest is Ingest without the wait: where that would wait, it returns ErrWouldBlock.
func (s *Stream) TryIngest(rec Record) (Ack, error) {
	p, err := s.pipe(opIngest)
	if err != nil {
		return Ack{}, err
	}
	return p.ingest(context.Background(), &rec, false)
}

// IngestBatch adds records that stay together: they have one offset and one acknowledgement, are sent in one message,
// and become durable together or not at all. Otherwise it is like Ingest; the size limit is for all records together,
// with their framing.
//
// No records are no call: the Ack is the zero Ack, and nothing is sent.
func (s *Stream) IngestBatch(ctx context.Context, recs []Record) (Ack, error) {
	p, err := s.pipeFor(ctx, opBatch)
	if err != nil {
		return Ack{}, err
	}
	return p.ingestBatch(ctx, recs)
}

// Flush waits until everything that was ingested before is durable, or was handed to the reject handler. It ends a
// [StreamSettings].BatchPause, and others may go on ingesting. Callbacks may still be behind when it returns; Close
// waits for them. Its wait ends with ctx, with [StreamSettings].FlushTimeout (ErrFlushTimeout), or with the stream; the
// stream is as usable after the first two as it was before. On an ended stream Flush returns nil if everything is settled.
func (s *Stream) Flush(ctx context.Context) error {
	const op = "flush"
	p, err := s.pipeFor(ctx, op)
	if err != nil {
		return err
	}
	return p.flush(ctx, op, false)
}

// WaitForOffset waits until the call with that logical offset, and all before it, are durable. It is [Ack.Wait] for those
// who keep offsets, and ends after [StreamSettings].FlushTimeout at the latest, with an ErrAckTimeout. An offset that was
// never issued is an ErrInvalidArgument.
func (s *Stream) WaitForOffset(ctx context.Context, offset int64) error {
	const op = "wait for offset"
	p, err := s.pipeFor(ctx, op)
	if err != nil {
		return err
	}
	if next := p.next(); offset < 0 || offset >= next {
		e := invalid(op, p.table.Name, "offset %d was not issued; the next one is %d", offset, next)
		e.Offset = offset
		return e
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.cfg.FlushTimeout, ErrAckTimeout)
	defer cancel()
	return p.wait(ctx, op, offset)
}

// Close ends the stream: it takes no more records, waits like Flush for what is unacknowledged, and ends the connection.
// When the wait ends early, because of ctx or the flush timeout, the stream is ended all the same, and what is
// unacknowledged is in Unacked. Afterwards, whatever ctx says, it waits for callbacks, for
// [StreamSettings].CallbackTimeout at most, and half a second at most for the server to end the stream. When Close
// returns, nothing of the stream is running, but for a callback that takes longer than that.
//
// Close returns why something is unacknowledged, or why the stream had failed. Calls at the same time wait for the
// first and return the same; later ones return nil.
func (s *Stream) Close(ctx context.Context) error {
	const op = "close"
	p, err := s.pipeFor(ctx, op)
	if err != nil {
		return err
	}
	return p.close(ctx)
}

// State returns where the stream is in its life.
func (s *Stream) State() State {
	if s == nil || s.p == nil {
		return StateUninitialized
	}
	return s.p.currentState()
}

// ID returns the server's id of the present connection, or of the last one. It changes when the stream reconnects.
func (s *Stream) ID() string {
	if s == nil || s.p == nil {
		return ""
	}
	return s.p.streamID()
}

// TableName returns the name of the stream's table.
func (s *Stream) TableName() string {
	if s == nil || s.p == nil {
		return ""
	}
	return s.p.table.Name
}

// Settings returns the stream's settings, with all options applied.
func (s *Stream) Settings() StreamSettings {
	if s == nil || s.p == nil {
		return StreamSettings{}
	}
	return s.p.cfg
}

// Err returns why the stream has failed, and nil while it has not.
func (s *Stream) Err() error {
	p, err := s.pipe("stream")
	if err != nil {
		return err
	}
	return p.failed("stream")
}

// Unacked returns all records that were ingested and not acknowledged, in order, as they were encoded. It is empty, not
// nil, when there are none. It works after the stream has ended, as often as it is called; before, it is an
// ErrInvalidState. The records share memory with the stream. What the reject handler was given is not among them.
//
// The server may have some of them all the same: it may have lost the connection before it could say so.
// [SDK.RecreateStream] makes a new stream of them. A batch of which a server has told that it has a part, see [WithProducerID],
// is here with the rest of its records.
func (s *Stream) Unacked() ([]Record, error) {
	calls, err := s.EachUnacked()
	if err != nil {
		return nil, err
	}
	recs := []Record{}
	for _, call := range calls {
		recs = append(recs, call...)
	}
	return recs, nil
}

// UnackedBatches is Unacked with the records of each ingest call together: one for Ingest, and as many as there were for
// IngestBatch.
func (s *Stream) UnackedBatches() ([][]Record, error) {
	calls, err := s.EachUnacked()
	if err != nil {
		return nil, err
	}
	batches := [][]Record{}
	for _, call := range calls {
		batches = append(batches, slices.Clone(call))
	}
	return batches, nil
}

// EachUnacked is UnackedBatches as an iterator, which makes no list of what may be many records: it yields the logical
// offset and the records of each call. The slice, not the records, is used again for the next call.
func (s *Stream) EachUnacked() (iter.Seq2[int64, []Record], error) {
	const op = "unacked"
	p, err := s.pipe(op)
	if err != nil {
		return nil, err
	}
	return p.unacked(op)
}

// errStillOpen is why a living stream tells nothing about unacknowledged records: they change while one looks.
var errStillOpen = errors.New("the stream is still open; close it first")
