package window

import (
	"bytes"
	"fmt"
	"iter"
	"time"

	"github.com/zerobus-go/zerobus/internal/batch"
)

// Limits bound what is kept: appended, and not acknowledged. A call that is larger than a limit is admitted when nothing
// is kept.
type Limits struct {
	Records int // at least 1
	Bytes   int // of memory: of records, of framing, and of what full chunks leave unused; at least 1
}

// AckError is an acknowledgement that a correct server does not send.
type AckError struct {
	UpTo  int64 // the wire offset that was acknowledged
	Taken int64 // wire offsets below this one were in use
}

// Error names both offsets.
func (e *AckError) Error() string {
	if e.UpTo < 0 {
		return fmt.Sprintf("the server acknowledged the negative offset %d", e.UpTo)
	}
	if e.Taken == 0 {
		return fmt.Sprintf("the server acknowledged offset %d before anything was sent", e.UpTo)
	}
	return fmt.Sprintf("the server acknowledged offset %d, but only offsets up to %d were sent", e.UpTo, e.Taken-1)
}

// Progress is what an acknowledgement made durable. The zero value is none.
type Progress struct {
	First, Last int64 // logical offsets
	Calls       int   // Last - First + 1; 0 for no progress, and when [Window.Skip] has cut off a part of a call and no more
	Records     int   // 0 for no progress
	Bytes       int
	Messages    int       // all of whose records are durable
	Since       time.Time // when the oldest of the messages was taken
}

// Refusal is what a refused message tells about the records in it.
type Refusal int

// The refusals.
const (
	RefusedNothing Refusal = iota // nothing was outstanding, so it is not about records
	RefusedSome                   // the refused call is among those that will be taken next, one message at a time
	RefusedFirst                  // it is the oldest call: [Window.Drop] it
)

// kept is a range of the ring.
type kept struct {
	batch.Range
	at     time.Time // when it was taken last
	tries  int       // how often it was taken
	wasted int       // bytes of its chunk that nothing is in, and nothing will be
}

// Window keeps ranges until they are acknowledged. It is used after Init.
//
// Invariants:
//
//	0 <= sent <= taken <= n, and taken-sent <= 1
//	durable < next; the kept ranges hold the logical offsets durable+1 … next-1, in order
//	suspects > 0 implies taken <= 1
//	the ranges that were ever taken stand before those that were not
//	records and bytes are the sums over the kept ranges, with what they waste, the open one, and reservations: those
//	that are not used yet, and those of dropped calls
type Window struct {
	// What an append looks at stands together: producers on several processors share it.
	limits         Limits
	records, bytes int
	unsettled      int   // records in the kept ranges and the open one
	next           int64 // logical offset of the next call
	builder        batch.Builder

	ring []kept // its length is a power of two, or 0
	head int    // of the oldest range in ring
	n    int    // ranges in the ring

	gen         uint64
	live        bool // the generation gen has begun and not ended
	taken, sent int
	suspects    int   // ranges at the head, one of which the server has refused
	held        int64 // the acknowledgement that waits for Sent; -1 without one

	base  int64 // number of the oldest range; so many were released before
	start int64 // base when the generation began

	durable int64 // all logical offsets up to and with this one are acknowledged or dropped; -1 at first
	settled int64 // records that were acknowledged, skipped or dropped; of the call after durable, too, if Skip has cut it
}

// Init makes an empty window, whose ranges have their own limits and take their memory from pool.
func (w *Window) Init(limits Limits, ranges batch.Limits, pool *batch.Pool) {
	*w = Window{limits: limits, held: -1, durable: -1}
	w.builder.Init(pool, ranges)
}

// Reserve counts records and bytes as kept, if the limits allow them, and reports whether they do.
func (w *Window) Reserve(records, bytes int) bool {
	if w.records > 0 && (w.records+records > w.limits.Records || w.bytes+bytes > w.limits.Bytes) {
		return false
	}
	w.ReserveBeyond(records, bytes)
	return true
}

// ReserveBeyond is Reserve whatever the limits.
func (w *Window) ReserveBeyond(records, bytes int) {
	w.records += records
	w.bytes += bytes
}

// Unreserve gives back a reservation that was not used, or that of a dropped call.
func (w *Window) Unreserve(records, bytes int) {
	w.records -= records
	w.bytes -= bytes
}

// Space returns an empty slice with a capacity of size bytes for the framed records of one call, for which they are
// reserved. They are not kept before [Window.Commit]. The slice is good until the next call.
func (w *Window) Space(size, records int) []byte {
	if !w.builder.Ready(size) {
		w.makeReady(size, records)
	}
	return w.builder.Space(size)
}

// makeReady makes Space for size bytes: in the open range, or in a new one.
func (w *Window) makeReady(size, records int) {
	if !w.builder.Fits(size, records) {
		w.seal()
		if wasted := w.builder.Grow(size); wasted > 0 { // it is memory that is held as long as the last range in it
			w.at(w.n - 1).wasted = wasted
			w.bytes += wasted
		}
	}
	w.builder.Prepare(size)
}

// Commit keeps the framed records of one call together, which were written into the Space for them. It returns the call's
// logical offset.
func (w *Window) Commit(size, records int) int64 {
	w.builder.Commit(size, records)
	w.unsettled += records
	off := w.next
	w.next++
	return off
}

// Abandon gives back the reservation and the Space of a call that is not committed.
func (w *Window) Abandon(records, bytes int) {
	w.Unreserve(records, bytes)
	w.builder.Forget()
}

// Next returns the logical offset of the next call.
func (w *Window) Next() int64 { return w.next }

// Durable returns the logical offset up to which everything is acknowledged, or dropped; -1 at first.
func (w *Window) Durable() int64 { return w.durable }

// Kept returns the records and bytes that are kept or reserved.
func (w *Window) Kept() (records, bytes int) { return w.records, w.bytes }

// Unsettled returns the records that were appended, and neither acknowledged nor dropped.
func (w *Window) Unsettled() int { return w.unsettled }

// Settled returns the records that were acknowledged, skipped or dropped since the stream began.
func (w *Window) Settled() int64 { return w.settled }

// Tried returns the records that are kept and that a generation has taken: a server may have them.
func (w *Window) Tried() (records int) {
	for i := 0; i < w.n && w.at(i).tries > 0; i++ {
		records += w.at(i).Records()
	}
	return records
}

// Outstanding returns the number of ranges that the generation has taken and that are not acknowledged.
func (w *Window) Outstanding() int { return w.taken }

// Begin starts the next generation and returns its number. All ranges that are kept will be taken again.
func (w *Window) Begin() uint64 {
	w.gen++
	w.live = true
	w.taken, w.sent = 0, 0
	w.held = -1
	w.start = w.base
	return w.gen
}

// End ends the generation gen: it takes and acknowledges nothing more. It reports whether gen was the living one.
func (w *Window) End(gen uint64) bool {
	if !w.current(gen) {
		return false
	}
	w.live = false
	w.taken, w.sent = 0, 0
	w.held = -1
	return true
}

// Take returns the next range for gen to send, and its wire offset; nil when there is none, and while a suspect is
// outstanding. The pointer is good until the next call; the bytes, until they are acknowledged. again says that an
// earlier generation had taken the range already.
func (w *Window) Take(gen uint64, now time.Time) (r *batch.Range, wireOffset int64, again bool) {
	if !w.current(gen) || w.suspects > 0 && w.taken > 0 {
		return nil, 0, false
	}
	if w.taken == w.n {
		if w.builder.Open() == 0 {
			return nil, 0, false
		}
		w.seal()
	}
	k := w.at(w.taken)
	k.at = now
	k.tries++
	wireOffset = w.base - w.start + int64(w.taken)
	w.taken++
	return &k.Range, wireOffset, k.tries > 1
}

// Gathering returns the bytes of the open range if Take would give that one next and it can grow, and 0 otherwise.
func (w *Window) Gathering() int {
	if w.taken < w.n || w.builder.Full() {
		return 0
	}
	return w.builder.Len()
}

// Refuse ends the generation gen, of which the server has refused something. Of several outstanding messages any may be
// meant: the next generations take them one at a time, until all are settled. A single one is halved if it holds more than
// one call; one call that was a suspect already is the refused one. So it is found by as many refusals as its message can
// be halved, and two more.
func (w *Window) Refuse(gen uint64) Refusal {
	outstanding, acked := w.taken, w.held >= 0
	switch {
	case !w.End(gen) || outstanding == 0:
		return RefusedNothing
	case outstanding > 1 || acked: // an acknowledgement that is lost with its connection proves nothing
		w.suspects = max(w.suspects, outstanding)
		return RefusedSome
	case w.at(0).Offsets() == 1 && w.suspects > 0:
		return RefusedFirst
	case w.at(0).Offsets() == 1:
		// It may have been on its way while the server refused something else, such as the stream. If it is refused again,
		// when nothing else can be meant, it was this.
		w.suspects = 1
		return RefusedSome
	}
	if w.n == len(w.ring) {
		w.grow()
	}
	first, rest := w.builder.Split(&w.at(0).Range)
	*w.at(0) = kept{Range: rest, tries: 1, wasted: w.at(0).wasted}
	w.head = (w.head - 1) & (len(w.ring) - 1)
	w.n++
	w.base-- // no generation lives, so no wire offset depends on it
	*w.at(0) = kept{Range: first, tries: 1}
	w.suspects = max(w.suspects, 1) + 1
	return RefusedSome
}

// Drop takes the oldest call out, which stands alone in its range and will not be acknowledged: its offset counts as
// settled. It returns copies of its records. Their reservation stays until [Window.Unreserve]. No generation may live.
func (w *Window) Drop() (Progress, [][]byte) {
	r := w.at(0)
	p := Progress{First: w.durable + 1, Last: w.durable + 1, Calls: 1, Records: r.Records(), Bytes: r.Len()}
	var recs [][]byte
	for call := range r.Calls() {
		for _, rec := range call {
			recs = append(recs, bytes.Clone(rec))
		}
	}
	w.release(1)
	w.durable++
	return p, recs
}

// Skip settles the oldest records, no more than [Window.Tried]: the server says that it has them, although it could not
// acknowledge them. Unlike an acknowledgement it may end within a range, and within a call: that is settled with the last of its
// records. A generation that lives must not have taken anything; its wire offsets begin with what is left.
func (w *Window) Skip(records int) Progress {
	if records == 0 {
		return Progress{}
	}
	p := Progress{First: w.durable + 1, Records: records, Since: w.at(0).at}
	for records > 0 && w.at(0).Records() <= records {
		r := w.at(0)
		p.Calls += r.Offsets()
		p.Bytes += r.Len()
		p.Messages++
		records -= r.Records()
		w.release(1)
	}
	if records > 0 {
		calls, size := w.at(0).Cut(records)
		p.Calls += calls
		p.Bytes += size
		w.unsettled -= records
		w.settled += int64(records)
	}
	w.start = w.base
	w.durable += int64(p.Calls)
	w.records -= p.Records
	w.bytes -= p.Bytes
	p.Last = w.durable
	return p
}

// Sent says that the range taken last is in the transport's hands. An acknowledgement that came before is settled now.
func (w *Window) Sent(gen uint64) Progress {
	if !w.current(gen) {
		return Progress{}
	}
	w.sent = w.taken
	upTo := w.held
	w.held = -1
	if upTo < 0 {
		return Progress{}
	}
	return w.settle(upTo)
}

// Ack settles everything up to and with a wire offset of gen. Its error is an [*AckError].
func (w *Window) Ack(gen uint64, upTo int64) (Progress, error) {
	if !w.current(gen) {
		return Progress{}, nil
	}
	first := w.base - w.start // wire offset of the ring's head
	if upTo < 0 || upTo >= first+int64(w.taken) {
		return Progress{}, &AckError{UpTo: upTo, Taken: first + int64(w.taken)}
	}
	if upTo >= first+int64(w.sent) {
		w.held = upTo
		upTo = first + int64(w.sent) - 1
	}
	return w.settle(upTo), nil
}

// settle releases the ranges up to and with a wire offset, all of which are sent.
func (w *Window) settle(upTo int64) Progress {
	count := int(upTo - (w.base - w.start) + 1)
	if count <= 0 {
		return Progress{}
	}
	p := Progress{First: w.durable + 1, Messages: count, Since: w.at(0).at}
	for i := range count {
		r := w.at(i)
		p.Calls += r.Offsets()
		p.Records += r.Records()
		p.Bytes += r.Len()
	}
	w.release(count)
	w.taken -= count
	w.sent -= count
	w.durable += int64(p.Calls)
	w.records -= p.Records
	w.bytes -= p.Bytes
	p.Last = w.durable
	return p
}

// release gives up the oldest ranges.
func (w *Window) release(count int) {
	for range count {
		k := w.at(0)
		w.unsettled -= k.Records()
		w.settled += int64(k.Records())
		w.bytes -= k.wasted
		w.builder.Release(&k.Range)
		w.head = (w.head + 1) & (len(w.ring) - 1)
	}
	w.n -= count
	w.base += int64(count)
	w.suspects = max(0, w.suspects-count)
}

// Suspicious reports whether messages are taken one at a time, because one of them was refused.
func (w *Window) Suspicious() bool { return w.suspects > 0 }

// All seals the open range and yields all that are kept, oldest first. They are good while nothing is acknowledged.
func (w *Window) All() iter.Seq[*batch.Range] {
	w.seal()
	return func(yield func(*batch.Range) bool) {
		for i := range w.n {
			if !yield(&w.at(i).Range) {
				return
			}
		}
	}
}

// Close gives memory back that nothing kept needs. Nothing may be appended afterwards.
func (w *Window) Close() {
	w.seal()
	w.builder.Close()
}

func (w *Window) current(gen uint64) bool { return w.live && gen == w.gen }

// at returns the i-th range of the ring, from the oldest.
func (w *Window) at(i int) *kept {
	return &w.ring[(w.head+i)&(len(w.ring)-1)]
}

// seal moves the open range, if there is one, into the ring.
func (w *Window) seal() {
	r := w.builder.Seal()
	if r.Records() == 0 {
		return
	}
	if w.n == len(w.ring) {
		w.grow()
	}
	w.n++
	*w.at(w.n - 1) = kept{Range: r}
}

// grow doubles the ring. It grows on demand: a limit of a million records must not cost memory before they come.
func (w *Window) grow() {
	ring := make([]kept, max(16, 2*len(w.ring)))
	for i := range w.n {
		ring[i] = *w.at(i)
	}
	w.ring, w.head = ring, 0
}
