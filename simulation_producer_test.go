package zerobus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus"
)

// simCall is an ingest call.
type simCall struct {
	records [][]byte
	poison  bool
	ack     zerobus.Ack
	err     error
	told    simOutcome // by a Wait
	at      int        // the place of its first record among all; set by the judge
}

// simWatch is a function given to OnDone.
type simWatch struct {
	offset  int64
	calls   int
	err     error
	stopped bool // in time
}

// simOutcome is what has become of a call.
type simOutcome int

const (
	outcomeUnknown simOutcome = iota
	outcomeAcked
	outcomeRejected
	outcomeUnacked
)

func (o simOutcome) String() string {
	return [...]string{"pending", "acknowledged", "rejected", "unacknowledged"}[o]
}

// outcomeOf tells what an error says about a record whose fate is known.
func outcomeOf(err error) simOutcome {
	switch {
	case err == nil:
		return outcomeAcked
	case errors.Is(err, zerobus.ErrRejected):
		return outcomeRejected
	}
	return outcomeUnacked
}

// produce is one producer.
func (w *simWorld) produce(number int) {
	who := fmt.Sprint("producer ", number)
	var done []*simCall // that returned an ack
	shut := false       // an ingest call has found the stream closed
	for i, op := range w.plan.producers[number] {
		time.Sleep(op.pause)
		var about *simCall
		if n := len(done); n > 0 {
			about = done[max(0, n-1-op.back)]
		}
		switch {
		case op.kind.ingests():
			call := w.newCall(number, i, op)
			w.ingest(who, call, op)
			w.producers[number] = append(w.producers[number], call)
			switch {
			case call.err == nil && shut && len(call.records) > 0:
				w.fault("%s: op %d was taken after one that the closed stream had refused", who, i)
			case call.err == nil && len(call.records) > 0:
				done = append(done, call)
			case errors.Is(call.err, zerobus.ErrStreamClosed):
				shut = true
			}
		case op.kind == opFlush:
			w.flush(who, op.bound, done)
		case op.kind == opInvalid:
			_, err := w.stream.Ingest(context.Background(), zerobus.JSONString("\xff"))
			_, err2 := w.stream.TryIngest(zerobus.ProtoBytes([]byte("x")))
			if !errors.Is(err, zerobus.ErrInvalidArgument) || !errors.Is(err2, zerobus.ErrInvalidArgument) {
				w.fault("%s: ingested what is invalid: %v, %v", who, err, err2)
			}
			w.saw("an invalid record")
		case about == nil:
		case op.kind == opWait, op.kind == opWaitForOffset:
			w.wait(who, op, about)
		case op.kind == opOnDone, op.kind == opOnDoneStop:
			w.watch(who, op, about)
		}
	}
	w.note(who, "done")
}

// newCall makes records that no other call has.
func (w *simWorld) newCall(producer, op int, o simOp) *simCall {
	call := &simCall{poison: o.poison}
	for i := range o.records {
		poison := ""
		if o.poison && i == o.records/2 {
			poison = `,"poison":1`
		}
		call.records = append(call.records, fmt.Appendf(nil, `{"p":%d,"op":%d,"i":%d%s,"x":"%s"}`, producer, op, i, poison, strings.Repeat("x", o.size)))
	}
	return call
}

func poisonous(rec []byte) bool {
	return bytes.Contains(rec[:min(len(rec), 60)], []byte(`"poison"`))
}

func (w *simWorld) ingest(who string, call *simCall, op simOp) {
	ctx, cancel := bound(op.bound)
	defer cancel()
	began := time.Now()
	var batch []zerobus.Record
	for _, r := range call.records {
		batch = append(batch, zerobus.JSONBytes(slices.Clone(r)))
	}
	switch op.kind {
	case opIngest:
		call.ack, call.err = w.stream.Ingest(ctx, batch[0])
	case opTryIngest:
		call.ack, call.err = w.stream.TryIngest(batch[0])
	default:
		call.ack, call.err = w.stream.IngestBatch(ctx, batch)
	}
	w.note(who, "%v of %d: offset %d, %v", op.kind, len(call.records), call.ack.Offset(), call.err)
	waited := time.Since(began)
	switch err := call.err; {
	case err == nil:
		if waited > 0 {
			w.saw("an ingest call that waited for room")
		}
		if len(batch) > w.plan.settings.MaxInflightRecords {
			w.saw("a call larger than the limit in flight")
		}
	case errors.Is(err, zerobus.ErrStreamClosed):
		w.saw("an ingest call on a closed stream")
	case op.kind == opTryIngest && errors.Is(err, zerobus.ErrWouldBlock):
		w.saw("would block")
	case op.kind != opTryIngest && ctx.Err() != nil && errors.Is(err, ctx.Err()):
		w.saw("an ingest call whose context ended")
	default:
		w.fault("%s: %v: %v", who, op.kind, err)
	}
	if op.kind == opTryIngest && waited > 0 {
		w.fault("%s: TryIngest has waited %v", who, waited)
	}
	if op.bound > 0 && waited > op.bound {
		w.fault("%s: %v has waited %v; its context ended after %v", who, op.kind, waited, op.bound)
	}
}

// flush checks that what a producer ingested before is settled when Flush says so.
func (w *simWorld) flush(who string, within time.Duration, before []*simCall) {
	ctx, cancel := bound(within)
	defer cancel()
	began := time.Now()
	err := w.stream.Flush(ctx)
	w.note(who, "Flush(%v): %v", within, err)
	waited := time.Since(began)
	switch limit := w.plan.settings.FlushTimeout; {
	case err == nil:
		for _, call := range before {
			if !call.ack.IsDone() || outcomeOf(call.ack.Err()) == outcomeUnacked {
				w.fault("%s: Flush has returned nil, and offset %d: done %v, %v", who, call.ack.Offset(), call.ack.IsDone(), call.ack.Err())
			}
		}
	case errors.Is(err, zerobus.ErrStreamClosed): // first, since what ended it may be one of the following
	case errors.Is(err, zerobus.ErrFlushTimeout):
		w.saw("a flush timeout")
		if waited != limit {
			w.fault("%s: a flush timeout after %v", who, waited)
		}
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		w.saw("a Flush whose context ended")
	default:
		w.fault("%s: Flush: %v", who, err)
	}
	if within > 0 && waited > within || waited > w.plan.settings.FlushTimeout {
		w.fault("%s: Flush(%v) took %v", who, within, waited)
	}
}

// wait waits for a call, and keeps what it was told for the judge.
func (w *simWorld) wait(who string, op simOp, call *simCall) {
	ctx, cancel := bound(op.bound)
	defer cancel()
	var err error
	if op.kind == opWait {
		err = call.ack.Wait(ctx)
	} else {
		err = w.stream.WaitForOffset(ctx, call.ack.Offset())
	}
	w.note(who, "%v(%v) %d: %v", op.kind, op.bound, call.ack.Offset(), err)
	if err == nil || errors.Is(err, zerobus.ErrRejected) || errors.Is(err, zerobus.ErrStreamClosed) {
		if !call.ack.IsDone() {
			w.fault("%s: %v %d returned %v before it is done", who, op.kind, call.ack.Offset(), err)
		}
		told := outcomeOf(err)
		if call.told != outcomeUnknown && call.told != told {
			w.fault("%s: offset %d was %v, and is %v now", who, call.ack.Offset(), call.told, told)
		}
		call.told = told
		w.saw("a wait to the end")
		return
	}
	timeout := errors.Is(err, zerobus.ErrAckTimeout)
	switch ended := ctx.Err(); {
	case ended != nil && errors.Is(err, ended) && timeout == (ended == context.DeadlineExceeded):
		w.saw("a " + op.kind.String() + " whose context ended")
	case op.kind == opWaitForOffset && timeout:
		w.saw("a WaitForOffset that took the flush timeout")
	default:
		w.fault("%s: %v: %v", who, op.kind, err)
	}
}

// watch registers a function with OnDone, and may take it back.
func (w *simWorld) watch(who string, op simOp, call *simCall) {
	watch := &simWatch{offset: call.ack.Offset()}
	w.mu.Lock()
	w.watches = append(w.watches, watch)
	w.mu.Unlock()
	stop := call.ack.OnDone(func(offset int64, err error) {
		if n := w.telling.Add(1); n > 1 {
			w.fault("OnDone of %d: %d callbacks at a time", offset, n)
		}
		defer w.telling.Add(-1)
		w.mu.Lock()
		watch.calls++
		watch.err = err
		w.mu.Unlock()
		if offset != watch.offset {
			w.fault("OnDone of %d was told about %d", watch.offset, offset)
		}
		if !call.ack.IsDone() || outcomeOf(call.ack.Err()) != outcomeOf(err) {
			w.fault("OnDone of %d was told %v, the ack says done %v, %v", offset, err, call.ack.IsDone(), call.ack.Err())
		}
	})
	if op.kind == opOnDone {
		return
	}
	time.Sleep(max(0, op.bound))
	stopped := stop()
	w.mu.Lock()
	watch.stopped = stopped
	w.mu.Unlock()
	w.note(who, "OnDone %d taken back: %v", watch.offset, stopped)
	if stopped {
		w.saw("an OnDone that was stopped")
	} else {
		w.saw("an OnDone that was stopped too late")
	}
	if stop() {
		w.fault("OnDone was taken back twice")
	}
}
