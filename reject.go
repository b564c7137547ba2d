package zerobus

import (
	"errors"
	"sort"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus/internal/recovery"
	"github.com/zerobus-go/zerobus/internal/window"
)

// Rejected is an ingest call that the server refused, see [WithRejectHandler].
type Rejected struct {
	Offset  int64    // the call's logical offset
	Records []Record // what it ingested, as it was encoded: one record, or those of an IngestBatch call
	Err     error    // the server's reason: an ErrRejected
}

// refusesRecords reports whether a server with this verdict may mean a record. The code decides, never the text.
func refusesRecords(err error) bool {
	code := recovery.Code(err)
	return code == codes.InvalidArgument || code == codes.OutOfRange
}

// rejection is a refused call on its way to the reject handler. Its room in the window stays taken until it has been
// there, so a slow handler slows the producers down and does not fill the memory.
type rejection struct {
	Rejected
	count, bytes int
}

// refuse finds the call that the server has refused, in as many connections as that takes. It reports whether there is
// such a call. h.mu is held, and the generation has not ended.
func (h host) refuse(err error) bool {
	switch h.win.Refuse(h.gen) {
	case window.RefusedNothing:
		return false
	case window.RefusedSome:
		h.careful = true
		return true
	}
	dropped, records := h.win.Drop()
	e := newError("ingest", h.table.Name, ErrRejected, err)
	e.StreamID, e.Offset = h.id, dropped.First
	r := rejection{Rejected{Offset: dropped.First, Err: e}, dropped.Records, dropped.Bytes}
	for _, data := range records {
		r.Records = append(r.Records, encodedRecord(h.typ, data))
	}
	h.rejects.add(r.Offset, e)
	h.callbacks.rejected = append(h.callbacks.rejected, r)
	h.settling.upTo(r.Offset)
	h.callbacks.wake()
	return true
}

// rejects are the offsets that were refused, below the watermark. Those whose reason is still known are few; what came
// before is kept as spans, 16 bytes for each refused call that had no refused neighbour, for the stream's life: an Ack may
// ask at any time.
//
// The pipeline's lock guards it.
type rejects struct {
	recent []rejectedOffset
	spans  []span
}

type rejectedOffset struct {
	offset int64
	err    *Error
}

type span struct{ first, last int64 }

// keepReasons is how many refused calls are remembered with the server's words.
const keepReasons = 1000

var errReasonForgotten = errors.New("the server's reason is not kept for so long; the reject handler was told")

// add remembers a refused offset. Offsets rise.
func (r *rejects) add(offset int64, err *Error) {
	if len(r.recent) == keepReasons {
		old := r.recent[0].offset
		if n := len(r.spans); n > 0 && r.spans[n-1].last == old-1 {
			r.spans[n-1].last = old
		} else {
			r.spans = append(r.spans, span{old, old})
		}
		copy(r.recent, r.recent[1:])
		r.recent = r.recent[:keepReasons-1]
	}
	r.recent = append(r.recent, rejectedOffset{offset, err})
}

// of returns why an offset was refused, as an error of its own; nil when it was not.
func (r *rejects) of(offset int64, table string) *Error {
	if i := sort.Search(len(r.recent), func(i int) bool { return r.recent[i].offset >= offset }); i < len(r.recent) && r.recent[i].offset == offset {
		e := *r.recent[i].err
		return &e
	}
	if i := sort.Search(len(r.spans), func(i int) bool { return r.spans[i].last >= offset }); i < len(r.spans) && r.spans[i].first <= offset {
		e := newError("ingest", table, ErrRejected, errReasonForgotten)
		e.Offset = offset
		return e
	}
	return nil
}
