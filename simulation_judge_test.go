package zerobus_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// simPlace is where a record belongs.
type simPlace struct {
	call *simCall
	i    int // in its call
}

// simJudge knows what there is, and checks what has become of it.
type simJudge struct {
	*simWorld
	calls     []*simCall // those that were taken, by offset
	fates     []simOutcome
	records   int
	places    map[string]simPlace
	surely    []bool // by record: a connection that had received it has acknowledged it
	perhaps   []bool // by record: it was acknowledged by a connection that may not have received it
	durable   map[string]bool
	hasFailed bool
}

// judge checks a world that has ended and where nothing happens any more.
//
//  1. Every record whose ingest call returned nil is acknowledged, or rejected, or unacknowledged, and one of these only.
//     Those of a call that failed are nowhere. Offsets are 0, 1, 2, … and rise for each producer.
//  2. What is acknowledged is durable, and a connection has said so that had received it. What is rejected is poison, or
//     was refused without a reason.
//  3. All that the server gets, on each connection and in sum, is in the order of offsets and without gaps. Calls stay
//     whole, and what is sent is within the limits.
//  4. Callbacks tell all of that once, and in order.
//  5. Close, the state and its changes agree with it.
//
// That nothing goes on running is for the bubble to find.
func (w *simWorld) judge() {
	j := &simJudge{simWorld: w, places: map[string]simPlace{}, durable: map[string]bool{}}
	j.hasFailed = w.stream.State() == zerobus.StateFailed
	j.collect()
	j.judgeOutcomes()
	j.judgeConnections()
	j.judgeDurable()
	j.judgeCallbacks()
	j.judgeEnd()
}

// collect puts the calls into the order of their offsets.
func (j *simJudge) collect() {
	for number, calls := range append(j.producers, j.extra) {
		last := int64(-1)
		for _, call := range calls {
			for i, rec := range call.records {
				j.places[string(rec)] = simPlace{call, i}
			}
			offset := call.ack.Offset()
			switch {
			case call.err != nil || len(call.records) == 0:
				if offset != -1 {
					j.fault("a call that was not taken has offset %d: %v", offset, call.err)
				}
				continue
			case offset <= last:
				j.fault("producer %d: offset %d after %d", number, offset, last)
			}
			last = offset
			j.calls = append(j.calls, call)
		}
	}
	slices.SortFunc(j.calls, func(a, b *simCall) int { return int(a.ack.Offset() - b.ack.Offset()) })
	for i, call := range j.calls {
		if call.ack.Offset() != int64(i) {
			j.fault("call %d has offset %d", i, call.ack.Offset())
		}
		call.at = j.records
		j.records += len(call.records)
	}
	j.surely, j.perhaps = make([]bool, j.records), make([]bool, j.records)
}

// judgeOutcomes finds the fate of each call.
func (j *simJudge) judgeOutcomes() {
	left := map[int64]bool{}
	each, err := j.stream.EachUnacked()
	if err != nil {
		j.fault("EachUnacked: %v", err)
		return
	}
	var flat [][]byte
	last := int64(-1)
	for offset, recs := range each {
		if offset <= last || offset >= int64(len(j.calls)) {
			j.fault("offset %d is unacknowledged after %d, of %d", offset, last, len(j.calls))
			return
		}
		last = offset
		left[offset] = true
		flat = append(flat, j.compare("unacknowledged", offset, recs)...)
	}
	all, err := j.stream.Unacked()
	if err != nil || len(all) != len(flat) || !slices.EqualFunc(all, flat, func(r zerobus.Record, b []byte) bool { return bytes.Equal(r.Bytes(), b) }) {
		j.fault("Unacked has %d records, EachUnacked %d: %v", len(all), len(flat), err)
	}
	j.fates = make([]simOutcome, len(j.calls))
	for i, call := range j.calls {
		offset := int64(i)
		err := call.ack.Err()
		fate := outcomeOf(err)
		j.fates[i] = fate
		select {
		case <-call.ack.Done():
		default:
			j.fault("offset %d: Done is not closed", i)
		}
		switch {
		case !call.ack.IsDone():
			j.fault("offset %d is not done", i)
		case left[offset] != (fate == outcomeUnacked):
			j.fault("offset %d: its error is %v, in Unacked: %v", i, err, left[offset])
		case fate == outcomeUnacked && !errors.Is(err, zerobus.ErrStreamClosed):
			j.fault("offset %d: unacknowledged with %v", i, err)
		case call.told != outcomeUnknown && call.told != fate:
			j.fault("offset %d: a wait said %v, and now it is %v", i, call.told, fate)
		}
		j.sawMany(fate.String()+" records", len(call.records))
	}
}

// compare checks that what the stream gives back is what was ingested.
func (j *simJudge) compare(what string, offset int64, recs []zerobus.Record) (got [][]byte) {
	for _, r := range recs {
		got = append(got, r.Bytes())
	}
	if offset < 0 || offset >= int64(len(j.calls)) {
		j.fault("%s: there is no offset %d", what, offset)
	} else if !slices.EqualFunc(got, j.calls[offset].records, bytes.Equal) {
		j.fault("%s: offset %d has %d records that are not those of the call", what, offset, len(recs))
	}
	return got
}

// judgeConnections checks what each connection was sent, and finds which records were acknowledged.
func (j *simJudge) judgeConnections() {
	start := 0 // of the connection before
	for number, c := range j.srv.Connections() {
		l := j.link(c)
		next := -1
		for _, request := range c.Requests() {
			at, ok := j.judgeRequest(c, request)
			if !ok {
				return
			}
			if next < 0 {
				j.judgeStart(c, start, at)
				start = at
			} else if at != next {
				j.fault("connection %d: request %d begins with record %d; want %d", number, request.Offset, at, next)
			}
			next = at + len(request.Records)
			for i := at; i < next; i++ {
				j.surely[i] = j.surely[i] || request.Offset <= l.acked
				j.perhaps[i] = j.perhaps[i] || request.Offset <= l.guess
			}
		}
		j.judgeStatus(c, l)
		j.judgeSent(c, l)
		if records, ok := l.accepted(j.simWorld); ok && int64(len(c.Requests())) <= l.guess {
			j.saw("an ack that was believed before its request had arrived")
			if next < 0 {
				// Nothing has arrived. The guess is about the first message, and so about what came after all that was settled.
				next = j.settledBefore(c)
			}
			for i := next; i < min(next+records, j.records); i++ {
				j.perhaps[i] = true
			}
		}
		if number > 0 {
			j.saw("reconnects")
		}
	}
}

// judgeRequest checks one request, and returns the place of its first record.
func (j *simJudge) judgeRequest(c *zerobustest.Connection, request zerobustest.Request) (first int, ok bool) {
	calls, bytes, want := 0, 0, -1
	for n, rec := range request.Records {
		place, found := j.places[string(rec)]
		switch {
		case !found:
			j.fault("connection %d: %q was never ingested", c.Number(), rec)
			return 0, false
		case place.call.err != nil:
			j.fault("connection %d: %q was sent, and the call returned %v", c.Number(), rec, place.call.err)
			return 0, false
		}
		at := place.call.at + place.i
		if n == 0 {
			first, want = at, at
		}
		if at != want || n == 0 && place.i != 0 || n == len(request.Records)-1 && place.i != len(place.call.records)-1 {
			j.fault("connection %d, request %d: %q is out of order, or its call is torn", c.Number(), request.Offset, rec)
		}
		want++
		if place.i == 0 {
			calls++
		}
		bytes += len(rec)
	}
	if calls > 1 {
		j.saw("messages of several calls")
	}
	s := j.plan.settings
	if calls > 1 && (bytes > s.MaxBatchBytes || s.MaxBatchRecords > 0 && len(request.Records) > s.MaxBatchRecords) {
		j.fault("connection %d, request %d has %d records with %d bytes, of %d calls: more than the limits", c.Number(), request.Offset, len(request.Records), bytes, calls)
	}
	if calls > 1 && j.plan.extra == 0 && (bytes > s.MaxInflightBytes || len(request.Records) > s.MaxInflightRecords) {
		j.fault("connection %d, request %d has %d records with %d bytes, of %d calls: more than may be in flight", c.Number(), request.Offset, len(request.Records), bytes, calls)
	}
	return first, true
}

// judgeStart checks where a connection begins: with the first record that was not settled before.
func (j *simJudge) judgeStart(c *zerobustest.Connection, before, at int) {
	if at < before {
		j.fault("connection %d begins with record %d; the one before began with %d", c.Number(), at, before)
	}
	for i, call := range j.calls {
		for k := call.at; k < min(at, call.at+len(call.records)); k++ {
			if !j.surely[k] && !j.perhaps[k] && j.fates[i] != outcomeRejected {
				j.fault("connection %d begins with record %d, and record %d of offset %d was not settled", c.Number(), at, k, i)
				return
			}
		}
	}
	if j.plan.hooks && at != j.settledBefore(c) {
		j.fault("connection %d begins with record %d; settled were %d", c.Number(), at, j.settledBefore(c))
	}
}

// settledBefore is the place of the first record that was not settled when a connection was opened, by what hooks had
// been told: so many were acknowledged, and what was rejected among them does not count.
func (j *simJudge) settledBefore(c *zerobustest.Connection) int {
	acked := j.hooked.before[j.streamID(j.link(c))]
	at := 0
	for i, call := range j.calls {
		switch {
		case j.fates[i] == outcomeRejected && (acked > 0 || j.rejectedBefore(i, c)):
		case acked > 0:
			acked -= len(call.records)
		default:
			return at
		}
		at += len(call.records)
	}
	return at
}

// rejectedBefore reports whether a rejected call that follows directly on what was settled was rejected before a
// connection: then that one does not begin with it.
func (j *simJudge) rejectedBefore(i int, c *zerobustest.Connection) bool {
	for _, request := range c.Requests() {
		place := j.places[string(request.Records[0])]
		return place.call.at > j.calls[i].at
	}
	return true
}

// judgeSent checks what hooks were told of the messages on a connection. What was sent when the connection broke may have
// arrived without having been handed over.
func (j *simJudge) judgeSent(c *zerobustest.Connection, l *simLink) {
	requests, sent := c.Requests(), j.hooked.sent[j.streamID(l)]
	if !j.plan.hooks {
		return
	}
	for i, request := range requests {
		switch {
		case i < len(sent) && sent[i] != len(request.Records), i >= len(sent) && i < len(requests)-1:
			j.fault("connection %d has got %d requests, the %d. of %d records; hooks were told of messages of %v records", c.Number(), len(requests), i, len(request.Records), sent)
			return
		}
	}
}

// judgeStatus checks that the server has found nothing wrong but what its script says.
func (j *simJudge) judgeStatus(c *zerobustest.Connection, l *simLink) {
	ended, err := c.Ended()
	if !ended {
		j.fault("connection %d has not ended", c.Number())
	}
	text := status.Convert(err).Message()
	switch code := status.Code(err); {
	case code == codes.InvalidArgument && j.plan.validate && strings.Contains(text, "poison") && strings.Contains(text, "Record decoder"):
		// What came before is acknowledged.
		l.acked = max(l.acked, int64(len(c.Requests())-1))
		for _, request := range c.Requests() {
			place := j.places[string(request.Records[0])]
			for i := range request.Records {
				j.surely[place.call.at+place.i+i] = true
			}
		}
	case code == codes.InvalidArgument && text != "poison" && text != "no reason" && text != "refused" && text != "refused at once":
		j.fault("connection %d: the server has found fault with the client: %v", c.Number(), err)
	}
}

// judgeDurable checks what the server has, against the fates.
func (j *simJudge) judgeDurable() {
	last := -1
	for _, rec := range j.srv.Records(table) {
		place := j.places[string(rec)]
		if place.call == nil {
			continue // reported already
		}
		if j.durable[string(rec)] {
			j.saw("records that were durable twice")
			continue
		}
		j.durable[string(rec)] = true
		at := place.call.at + place.i
		if at < last && !j.perhaps[at] {
			j.fault("record %d became durable after record %d", at, last)
		}
		last = max(last, at)
	}
	lies, dropped := 0, 0
	for _, l := range j.links {
		if l.refusing || l.guess >= 0 { // who acknowledges poison and refuses it then, refuses something else
			lies++
		}
	}
	for i, call := range j.calls {
		switch j.fates[i] {
		case outcomeAcked:
			for k, rec := range call.records {
				at := call.at + k
				if (!j.surely[at] || !j.durable[string(rec)]) && !j.perhaps[at] {
					j.fault("offset %d, record %d: acknowledged; by a connection that had it: %v, durable: %v", i, k, j.surely[at], j.durable[string(rec)])
				}
			}
		case outcomeRejected:
			if !call.poison {
				dropped++
			}
			if !j.plan.rejectHandler {
				j.fault("offset %d was rejected without a handler", i)
			}
		}
	}
	if dropped > lies {
		j.fault("%d good calls were rejected; the server has refused %d times without a reason", dropped, lies)
	}
	j.sawMany("good calls that were rejected", dropped)
	if !j.plan.hooks {
		return
	}
	count := map[simOutcome]int{}
	for i, call := range j.calls {
		count[j.fates[i]] += len(call.records)
	}
	if acked := count[outcomeAcked]; acked != j.hooked.acked {
		j.fault("%d records are acknowledged; hooks were told of %d", acked, j.hooked.acked)
	}
	if kept := j.hooked.kept; kept >= 0 && kept != count[outcomeUnacked] {
		j.fault("%d records are unacknowledged; the hook was told of %d when the stream was closed", count[outcomeUnacked], kept)
	}
}

// judgeCallbacks checks that all fates were told, once and in order.
func (j *simJudge) judgeCallbacks() {
	check := func(what string, offset int64, err error) {
		if offset < 0 || offset >= int64(len(j.fates)) || outcomeOf(err) != j.fates[offset] {
			j.fault("%s: offset %d was told to be %v, and is not", what, offset, outcomeOf(err))
		} else if err != nil && !errors.Is(err, zerobus.ErrRejected) && !errors.Is(err, zerobus.ErrStreamClosed) {
			j.fault("%s: offset %d: %v", what, offset, err)
		}
	}
	next := int64(0)
	for i, info := range j.infos {
		outcome := outcomeOf(info.Err)
		switch {
		case info.First != next || info.Last < info.First:
			j.fault("ack callback: %d to %d; want a range from %d", info.First, info.Last, next)
		case outcome == outcomeRejected && info.First != info.Last:
			j.fault("ack callback: %d to %d: %v", info.First, info.Last, info.Err)
		case outcome == outcomeUnacked && i != len(j.infos)-1:
			j.fault("ack callback: %v is not the last call", info)
		}
		for offset := info.First; offset <= info.Last; offset++ {
			check("ack callback", offset, info.Err)
		}
		next = info.Last + 1
	}
	if j.plan.ackCallback && next != int64(len(j.calls)) {
		j.fault("ack callback: told up to %d; want %d", next-1, len(j.calls)-1)
	}
	for i, h := range j.handled {
		if h.offset != int64(i) {
			j.fault("ack handler: offset %d; want %d", h.offset, i)
		}
		check("ack handler", h.offset, h.err)
	}
	if j.plan.ackHandler && len(j.handled) != len(j.calls) {
		j.fault("ack handler: %d calls; want %d", len(j.handled), len(j.calls))
	}
	var rejected []int64
	for i, fate := range j.fates {
		if fate == outcomeRejected {
			rejected = append(rejected, int64(i))
		}
	}
	var told []int64
	for _, r := range j.rejected {
		told = append(told, r.Offset)
		j.compare("rejected", r.Offset, r.Records)
		if !errors.Is(r.Err, zerobus.ErrRejected) {
			j.fault("rejected: offset %d: %v", r.Offset, r.Err)
		}
	}
	if !slices.Equal(rejected, told) {
		j.fault("offsets %v were rejected; the handler was told of %v", rejected, told)
	}
	for _, watch := range j.watches {
		want := 1
		if watch.stopped {
			want = 0
		}
		if watch.calls != want {
			j.fault("OnDone of %d was called %d times; stopped in time: %v", watch.offset, watch.calls, watch.stopped)
		}
		if watch.calls > 0 {
			check("OnDone", watch.offset, watch.err)
			j.saw("an OnDone that was called")
		}
	}
}

// legalChanges is the diagram at [zerobus.State].
var legalChanges = map[zerobus.State][]zerobus.State{
	zerobus.StateOpened:     {zerobus.StateFlushing, zerobus.StateRecovering, zerobus.StateClosed, zerobus.StateFailed},
	zerobus.StateFlushing:   {zerobus.StateOpened, zerobus.StateRecovering, zerobus.StateClosed, zerobus.StateFailed},
	zerobus.StateRecovering: {zerobus.StateOpened, zerobus.StateFlushing, zerobus.StateClosed, zerobus.StateFailed},
}

// judgeEnd checks how the stream has ended, and what it says about that.
func (j *simJudge) judgeEnd() {
	state, err := j.stream.State(), j.stream.Err()
	if state != zerobus.StateClosed && state != zerobus.StateFailed || (err != nil) != (state == zerobus.StateFailed) {
		j.fault("the stream is %v, with the error %v", state, err)
	}
	for i, s := range j.states {
		if i > 0 && !slices.Contains(legalChanges[j.states[i-1]], s) {
			j.fault("state %v after %v: %v", s, j.states[i-1], j.states)
		}
	}
	if n := len(j.states); n == 0 || j.states[n-1] != state {
		j.fault("the states were %v, and now it is %v", j.states, state)
	}

	unacked := slices.Contains(j.fates, outcomeUnacked)
	var told error
	for _, err := range j.closes {
		switch {
		case err == nil:
		case told == nil:
			told = err
		case told != err:
			j.fault("Close has returned %q and %q", told, err)
		}
	}
	if (told != nil) != (unacked || j.hasFailed) {
		j.fault("Close has returned %v; something is unacknowledged: %v, the stream is %v", told, unacked, state)
	}
	if j.hasFailed && !errors.Is(told, zerobus.ErrStreamFailed) {
		j.fault("Close of a failed stream has returned %v", told)
	}
	if j.hasFailed && j.sdkClosed && told == nil {
		j.fault("nobody was told of the failure: %v", err)
	}

	if n := len(j.srv.Connections()); j.plan.quiet() && (told != nil || n > 1) {
		j.fault("nothing was wrong, and there were %d connections, and Close has returned %v", n, told)
	}

	switch {
	case j.hasFailed && strings.Contains(err.Error(), "gave up after"):
		j.saw("a stream that gave up")
	case j.hasFailed && zerobus.IsRetriable(err):
		j.saw("a stream that failed without another try")
	case j.hasFailed:
		j.saw("a stream that failed for good")
	case unacked && j.sdkClosed:
		j.saw("an SDK that was closed with something unacknowledged")
	case unacked:
		j.saw("a stream that was closed with something unacknowledged")
	default:
		j.saw("a stream that ended well")
	}
	if errors.Is(err, zerobus.ErrServerUnresponsive) {
		j.saw("a stream that failed because of an ack timeout")
	}
	if errors.Is(err, zerobus.ErrInvalidArgument) && !j.plan.rejectHandler {
		j.saw("a stream that failed because of a record")
	}
}

// streamID is the id that the server gives to a connection.
func (w *simWorld) streamID(l *simLink) string {
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", l.conn.Number())
}
