package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/schema"
	"google.golang.org/grpc/codes"
)

// flushGrace is what an interrupted load may take until what is on its way is acknowledged.
const flushGrace = 10 * time.Second

// publishEvery is a mask: the loop tells the meter every 1,024 records, which costs nothing.
const publishEvery = 1<<10 - 1

// loader sends the records of inputs to a table, in order, through one stream.
//
// Records have numbers, from 0, over all inputs. Those below skip are passed over; the others have the stream's offsets
// 0, 1, 2, …. So skip and the count of acknowledged records are the number of the first record that is not durable. For a
// producer the server says how many to skip, and these numbers are the ones that it keeps.
type loader struct {
	sdk      *zerobus.SDK
	target   *target
	inputs   []input
	stdin    io.Reader
	columns  []schema.Field // of the table; for CSV only
	comma    rune
	skip     int64
	producer string
	options  []zerobus.StreamOption
	meter    *meter

	next   int64 // the number of the record that is read next
	bytes  int64 // of the records that were sent
	places places
}

// stopped is the end of a load before the end of its inputs.
type stopped struct {
	place   string // FILE:LINE of the record that is to blame, or empty
	cause   string
	durable int64 // records of this run that were acknowledged
	skipped int64
	again   bool // the same command goes on by itself
}

func (e *stopped) resume() int64 { return e.skipped + e.durable }

func (e *stopped) Error() string {
	var b strings.Builder
	if e.place != "" {
		b.WriteString(e.place + ": ")
	}
	fmt.Fprintf(&b, "%s; %s %s", e.cause, count(e.durable), plural(e.durable, "record"))
	if e.skipped > 0 {
		fmt.Fprintf(&b, ", after the %s skipped ones,", count(e.skipped))
	}
	if e.durable == 1 {
		b.WriteString(" is durable; ")
	} else {
		b.WriteString(" are durable; ")
	}
	if e.place != "" {
		b.WriteString("fix the line and ")
	}
	if e.again {
		b.WriteString("go on with the same command")
	} else {
		fmt.Fprintf(&b, "go on with --skip %d", e.resume())
	}
	return b.String()
}

// run loads all inputs. Its error is a [*stopped], unless no stream could be opened.
func (l *loader) run(ctx context.Context) error {
	// Reading ends with the command, and with the stream when that fails while nothing comes in.
	reading, endReading := context.WithCancel(ctx)
	defer endReading()
	stream, position, err := l.open(ctx, zerobus.WithAckCallback(func(a zerobus.AckInfo) {
		if a.Err != nil {
			endReading()
			return
		}
		l.meter.acked.Store(a.Last + 1)
	}))
	if err != nil {
		return l.nobodyThere(err)
	}
	if l.producer != "" {
		l.skip = position
	}
	l.meter.watch(stream)
	why := l.feed(reading, stream)
	l.publish()

	end, cancel := outlive(ctx, flushGrace)
	defer cancel()
	closed := stream.Close(end)
	unacked, err := stream.Unacked()
	if err != nil {
		return err // a stream that is closed has an answer
	}
	acked := max(l.next-l.skip, 0) - int64(len(unacked))
	l.meter.acked.Store(acked)

	failure := stream.Err()
	switch {
	case failure == nil && closed == nil && why == nil:
		if l.next < l.skip && l.producer != "" {
			return fmt.Errorf("producer %s: the table has %s of its records, and the inputs have only %s: are they others?", l.producer, count(l.skip), count(l.next))
		}
		if l.next < l.skip {
			return fmt.Errorf("--skip %d: the inputs have only %s %s", l.skip, count(l.next), plural(l.next, "record"))
		}
		return nil
	case failure != nil && refused(failure) && len(unacked) > 0:
		return l.blame(end, failure, unacked, acked)
	case failure != nil:
		return l.stop("", failure, acked)
	case ctx.Err() != nil:
		return l.stop("", errInterrupted, acked)
	case why != nil:
		var at *placedError
		if errors.As(why, &at) {
			return l.stop(at.place, at.err, acked)
		}
		return l.stop("", why, acked)
	}
	return l.stop("", closed, acked)
}

// nobodyThere adds both addresses to the error of a stream for which no server was found: one of them may be the other's.
func (l *loader) nobodyThere(err error) error {
	var e *zerobus.Error
	if !errors.As(err, &e) || !e.Retriable || e.Code == codes.ResourceExhausted {
		return err
	}
	return fmt.Errorf("%w; streams go to %s, tokens come from %s: are these the server's addresses?", err, l.target.endpoint, l.target.workspace)
}

var errInterrupted = errors.New("interrupted")

func (l *loader) stop(place string, cause error, acked int64) error {
	return &stopped{place: place, cause: plainText(cause), durable: acked, skipped: l.skip, again: l.producer != ""}
}

// open opens a stream. For a producer, position is how many of its records are durable.
func (l *loader) open(ctx context.Context, more ...zerobus.StreamOption) (s *zerobus.Stream, position int64, err error) {
	opts := append(append([]zerobus.StreamOption{}, l.options...), more...)
	table := zerobus.Table(l.target.table)
	if l.producer == "" {
		s, err = l.sdk.CreateStream(ctx, table, l.target.creds, opts...)
		return s, 0, err
	}
	s, at, err := l.sdk.Resume(ctx, l.producer, table, l.target.creds, opts...)
	if err == nil && !at.ExactlyOnce {
		err = errors.Join(errors.New("the server keeps no positions of producers: load without --producer, and go on with --skip where it ends early"), s.Close(ctx))
	}
	return s, at.Records, err
}

// feed sends all inputs. The error says why it ended early.
func (l *loader) feed(ctx context.Context, stream *zerobus.Stream) error {
	for i := range l.inputs {
		if err := l.feedInput(ctx, stream, i); err != nil {
			return err
		}
	}
	return nil
}

// placedError is what is wrong with a record of an input.
type placedError struct {
	place string
	err   error
}

func (e *placedError) Error() string { return e.place + ": " + e.err.Error() }

func (l *loader) feedInput(ctx context.Context, stream *zerobus.Stream, n int) error {
	in := &l.inputs[n]
	src, err := in.open(ctx, l.stdin, func(used int64) { l.meter.read.Add(used) })
	if err != nil {
		return err
	}
	defer src.close()
	var r recordReader = newLines(src)
	if in.csv {
		if r, err = newRows(src, l.comma, l.columns); err != nil {
			return in.fault(r.line(), err)
		}
	}
	for l.next < l.skip {
		if err := r.skip(); err != nil {
			return in.fault(r.line(), err)
		}
		l.next++
		if l.next == l.skip {
			l.meter.begin()
		}
	}
	for {
		rec, err := r.next()
		if err != nil {
			return in.fault(r.line(), err)
		}
		l.places.note(l.next, n, r.line())
		if _, err := stream.Ingest(ctx, zerobus.JSONBytes(rec)); err != nil {
			if stream.Err() == nil && errors.Is(err, zerobus.ErrInvalidArgument) {
				return in.fault(r.line(), badRecord(plainText(err)))
			}
			return err
		}
		l.next++
		l.bytes += int64(len(rec))
		if l.next&publishEvery == 0 {
			l.publish()
			l.places.forget(l.skip + l.meter.acked.Load())
		}
	}
}

// fault is nil at the end of the input, and otherwise tells the place.
func (in *input) fault(line int64, err error) error {
	var bad badRecord
	switch {
	case err == io.EOF:
		return nil
	case errors.As(err, &bad):
		return &placedError{in.place(line), bad}
	}
	return fmt.Errorf("%s, behind line %d: %w", in.name, line, err)
}

func (in *input) place(line int64) string { return fmt.Sprintf("%s:%d", in.name, line) }

func (l *loader) publish() {
	l.meter.sent.Store(max(l.next-l.skip, 0))
	l.meter.bytes.Store(l.bytes)
}

// refused reports whether the server does not take what it was sent, however often.
func refused(err error) bool {
	var e *zerobus.Error
	return errors.As(err, &e) && e.Code == codes.InvalidArgument
}

// blame finds the record that the server refuses. The stream gathers records, and a refusal is about all that came together;
// so the unacknowledged ones are sent once more, one a message, and the first that is not acknowledged then is the suspect.
// It is convicted alone: a server may refuse before it acknowledges what came earlier.
func (l *loader) blame(ctx context.Context, failure error, recs []zerobus.Record, acked int64) error {
	for _, alone := range []bool{false, true} {
		taken, refusal, err := l.oneByOne(ctx, l.skip+acked, recs, alone)
		acked += int64(taken)
		recs = recs[taken:]
		l.meter.acked.Store(acked)
		switch {
		case err != nil && ctx.Err() != nil:
			return l.stop("", errInterrupted, acked)
		case err != nil:
			return l.stop("", err, acked)
		case refusal == nil:
			return l.stop("", fmt.Errorf("the server refuses records together that it takes one by one, try --max-batch-records: %w", failure), acked)
		case alone:
			n, line := l.places.at(l.skip + acked)
			return l.stop(l.inputs[n].place(line), errors.New(serverText(refusal)), acked)
		}
	}
	panic("unreachable: the second pass decides")
}

// oneByOne sends records, one a message, and tells how many were acknowledged. After a refusal, or another error, that is not
// all of them. With alone, each is sent when the one before it is acknowledged.
// first is the number of the first one.
func (l *loader) oneByOne(ctx context.Context, first int64, recs []zerobus.Record, alone bool) (taken int, refusal, err error) {
	stream, position, err := l.open(ctx, zerobus.WithMaxBatchRecords(1))
	if err != nil {
		return 0, nil, err
	}
	sent := 0
	if l.producer != "" { // some may be durable though nobody could say so
		sent = int(min(max(0, position-first), int64(len(recs))))
	}
	for _, rec := range recs[sent:] {
		if _, err = stream.Ingest(ctx, rec); err != nil {
			break
		}
		sent++
		if alone {
			if err = stream.Flush(ctx); err != nil {
				break
			}
		}
	}
	err = cmp.Or(err, stream.Close(ctx))
	rest, unackedErr := stream.Unacked()
	if unackedErr != nil {
		return 0, nil, unackedErr // a stream that is closed has an answer
	}
	taken = sent - len(rest)
	if failure := stream.Err(); failure != nil {
		if refused(failure) && taken < len(recs) {
			return taken, failure, nil
		}
		return taken, nil, failure
	}
	return taken, nil, err
}

// outlive is a context that ends some time after its parent.
func outlive(parent context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		t := time.NewTimer(by)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		stop()
		cancel()
	}
}

// plainText is an error without the name of the package that the command's own name repeats.
func plainText(err error) string { return strings.TrimPrefix(err.Error(), "zerobus: ") }

// serverText is what the server said, without the SDK's words about it.
func serverText(err error) string {
	var e *zerobus.Error
	if errors.As(err, &e) {
		return strings.TrimSuffix(e.GRPCStatus().Message(), ".")
	}
	return plainText(err)
}
