package zerobus_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
)

// simPlan is all that a seed decides: it is made before anything runs, and nothing is drawn while it runs but by the
// connections' own generators.
type simPlan struct {
	seed     uint64
	settings zerobus.StreamSettings // without functions

	ackCallback, ackHandler, rejectHandler bool
	slowEvery                              int // every so many calls of a callback take slow; 0 for none
	slow                                   time.Duration
	meddling                               bool // callbacks call methods
	extra                                  int  // records that they ingest, beyond the limits
	hooks                                  bool
	shared                                 bool  // WithSharedConnection
	headers                                []int // what becomes of the n-th call of the headers provider, see simHeaders
	validate                               bool  // Server.Validate refuses the poison, and not the connections' scripts
	slowReader                             time.Duration

	producers [][]simOp
	calls     int // ingest calls of all producers

	conns   []simConn
	rest    simRest // what connections beyond conns do
	closing simClosing
	closeAt time.Duration // of closings at a time
	closeIn time.Duration // bound of the first Close; 0 for none, negative for a context that has ended
	afterIt time.Duration // from the end of the stream to one more Close; negative for none
}

// simRest says what comes after the scripted connections.
type simRest int

const (
	restBenign   simRest = iota // everything is acknowledged
	restWild                    // more of the same faults
	restHopeless                // nothing works any more
)

func (r simRest) String() string { return [...]string{"benign", "wild", "hopeless"}[r] }

// simClosing says how a stream is ended.
type simClosing int

const (
	closeAfter    simClosing = iota // when the producers are done
	closeFlushed                    // when they are done, after a flush
	closeAtTime                     // by Close at a random time
	closeTwice                      // by two of them
	closeSDK                        // by SDK.Close at a random time
	closeCallback                   // by a callback
)

func (c simClosing) String() string {
	return [...]string{"after", "flushed", "at a time", "twice at a time", "the SDK at a time", "in a callback"}[c]
}

// simOp is one thing that a producer does.
type simOp struct {
	kind    simOpKind
	pause   time.Duration // before it
	records int           // of a batch
	size    int           // of the padding of each record
	poison  bool
	bound   time.Duration // of the context; 0 for none, negative for one that has ended
	back    int           // which of the producer's calls it is about, counted from the last
}

type simOpKind int

const (
	opIngest simOpKind = iota
	opTryIngest
	opBatch
	opWait
	opWaitForOffset
	opFlush
	opOnDone
	opOnDoneStop // and takes it back after a while
	opInvalid
)

func (k simOpKind) String() string {
	return [...]string{"Ingest", "TryIngest", "IngestBatch", "Wait", "WaitForOffset", "Flush", "OnDone", "OnDone+stop", "invalid"}[k]
}

func (k simOpKind) ingests() bool { return k <= opBatch }

// simConn is the script of one connection.
type simConn struct {
	open     simOpen
	code     codes.Code
	late     bool // headers
	delay    time.Duration
	acks     simAcks
	ackDelay time.Duration
	faults   []simFault
	poison   int           // what is acknowledged before a refusal: 0 for all before, 1 for some, 2 for nothing
	onClose  int           // 0 for an end at once, 1 for one after acknowledgements, 2 for none
	refusal  time.Duration // from a poisonous record to its refusal
}

// simOpen is how a connection begins.
type simOpen int

const (
	openAccept simOpen = iota
	openRefuse
	openRefuseAtOnce
	openSilent
	openEnd
	openNoID
	openOther // another answer than an id
	openKill
)

func (o simOpen) String() string {
	return [...]string{"accept", "refuse", "refuse at once", "silent", "end", "no id", "another answer", "kill"}[o]
}

// simAcks is how a connection acknowledges.
type simAcks int

const (
	acksPrompt simAcks = iota
	acksLate
	acksJumpy // late, in jumps, again, and backwards
	acksNever
)

func (a simAcks) String() string { return [...]string{"prompt", "late", "jumpy", "never"}[a] }

// simFault is something that goes wrong on a connection.
type simFault struct {
	kind  simFaultKind
	on    int64         // the request on which it happens; negative for a time
	after time.Duration // otherwise
	code  codes.Code
	d     time.Duration // of a signal or a stall
	n     int64         // of a bad ack: beyond what
	then  int           // after a signal: 0 for nothing, 1 for an end, 2 for a failure, 3 for a kill, 4 for another signal
	wait  time.Duration // before that
}

type simFaultKind int

const (
	faultKill simFaultKind = iota
	faultEnd
	faultFail
	faultTerminal
	faultRefusal // INVALID_ARGUMENT, about no record
	faultStopReading
	faultStall
	faultSignal
	faultSignalNow
	faultAckBeyond
	faultAckNext
	faultAckNegative
	faultAckNothing
	faultGarbage
	faultGoAway
	faultKinds // their number
)

func (k simFaultKind) String() string {
	return [...]string{
		"kill", "end", "fail", "terminal", "false refusal", "stop reading", "stall", "signal", "signal now", "ack beyond",
		"ack next", "ack negative", "ack nothing", "garbage", "goaway",
	}[k]
}

// simGarbage are responses that no server sends after the handshake.
var simGarbage = [...][]byte{
	{0x07},                            // a field 0 of no wire type
	{0xff, 0xff},                      // a tag that is cut off
	{0x12, 0x7f, 0x08},                // an ack that is cut off
	{},                                // nothing at all
	{0x32, 0x00},                      // a response of a later protocol
	{0x0a, 0x03, 0x0a, 0x01, 'x'},     // a second id
	{0x1a, 0x03, 0x0a, 0x01, 0x08},    // a signal whose duration is cut off
	{0x12, 0x02, 0x0d, 0x00},          // an offset of another type, cut off
	{0x12, 0x04, 0x0b, 0x0b, 0x0b, 0}, // groups that do not end
}

var (
	retriableCodes = []codes.Code{codes.Unavailable, codes.Internal, codes.Aborted, codes.ResourceExhausted, codes.DeadlineExceeded, codes.Unknown, codes.Canceled, codes.FailedPrecondition, codes.DataLoss}
	terminalCodes  = []codes.Code{codes.NotFound, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented}
	refusalCodes   = []codes.Code{codes.InvalidArgument, codes.OutOfRange}
)

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// chance is true in so many of a hundred cases.
func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

// coarse is a duration up to most. Most are on a coarse grid, so that things happen at the same instant.
func coarse(r *rand.Rand, most time.Duration) time.Duration {
	switch r.IntN(4) {
	case 0:
		return 0
	case 1:
		return most / 10 * time.Duration(1+r.IntN(10))
	case 2:
		return (most/100 + 1) * time.Duration(r.IntN(20))
	}
	return time.Duration(r.Int64N(int64(most) + 1))
}

// generator is the source of one actor of a seed.
func generator(seed, actor uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, actor)) }

func newSimPlan(seed uint64) *simPlan {
	r := generator(seed, 0)
	p := &simPlan{seed: seed}
	s := &p.settings
	*s = zerobus.StreamSettings{
		MaxInflightRecords: pick(r, 1, 3, 20, 20, 100, 1_000, 50_000),
		MaxInflightBytes:   pick(r, 1, 400, 5_000, 64<<20, 64<<20, 64<<20, 64<<20, 64<<20),
		MaxBatchBytes:      pick(r, 1, 200, 1_000, 1<<20, 1<<20, 1<<20),
		MaxBatchRecords:    pick(r, 0, 0, 0, 1, 3, 10),
		BatchPause:         pick(r, 0, 0, 0, 50*time.Microsecond, 20*ms),
		Recovery:           !chance(r, 8),
		RecoveryTimeout:    pick(r, 500*ms, 5*time.Second, 15*time.Second),
		RecoveryBackoff:    pick(r, 0, 10*ms, 500*ms, 2*time.Second),
		RecoveryRetries:    pick(r, 0, 1, 3, 3, 5, 8, 8),
		FlushTimeout:       pick(r, 100*ms, 2*time.Second, 30*time.Second, 30*time.Second),
		ServerAckTimeout:   pick(r, 200*ms, 2*time.Second, 20*time.Second),
		MaxPause:           pick(r, -1, -1, 0, 100*ms, 10*time.Second),
		CallbackTimeout:    pick(r, 0, 100*ms, 5*time.Second, 5*time.Second),
	}
	p.ackCallback, p.ackHandler = chance(r, 60), chance(r, 30)
	p.rejectHandler = s.Recovery && chance(r, 50)
	if chance(r, 20) {
		p.slowEvery, p.slow = 1+r.IntN(8), coarse(r, pick(r, 50*ms, time.Second, 10*time.Second))
	}
	if p.meddling = chance(r, 30); p.meddling {
		p.extra = r.IntN(4)
		p.calls += p.extra
	}
	p.hooks = chance(r, 50)
	p.shared = chance(r, 15)
	if chance(r, 6) {
		for range 1 + r.IntN(4) {
			p.headers = append(p.headers, pick(r, headersGood, headersGood, headersGood, headersFail, headersFail, headersSlow, headersTerminal))
		}
	}
	p.validate = chance(r, 50)
	if chance(r, 10) {
		p.slowReader = coarse(r, 100*ms)
	}
	p.planProducers(r)
	p.planConnections(r)
	p.closing = pick(r, closeAfter, closeAfter, closeAfter, closeFlushed, closeFlushed, closeFlushed, closeAtTime, closeTwice, closeSDK, closeCallback)
	p.closeAt = coarse(r, pick(r, 100*ms, 2*time.Second, 20*time.Second, time.Minute))
	p.closeIn = pick(r, 0, 0, 0, -1, 10*ms, time.Second, 20*time.Second)
	if p.afterIt = -1; chance(r, 30) {
		p.afterIt = coarse(r, p.slow+1)
	}
	return p
}

func (p *simPlan) planProducers(r *rand.Rand) {
	fat := chance(r, 6)
	poisonous := 0 // calls that may be poison
	if chance(r, 35) {
		poisonous = 1 + r.IntN(3)
	}
	most := pick(r, 8, 20, 40)
	pause := pick(r, 0, ms, 20*ms, 200*ms, 2*time.Second)
	for range 1 + r.IntN(4) {
		var ops []simOp
		for range 1 + r.IntN(most) {
			op := simOp{
				kind: pick(r, opIngest, opIngest, opIngest, opIngest, opIngest, opIngest, opTryIngest, opTryIngest, opBatch, opBatch,
					opWait, opWaitForOffset, opFlush, opOnDone, opOnDoneStop, opInvalid),
				pause: coarse(r, pause),
				back:  r.IntN(5),
			}
			switch {
			case op.kind == opBatch:
				op.records = r.IntN(21)
			case op.kind.ingests():
				op.records = 1
			}
			if op.kind.ingests() {
				p.calls++
				op.bound = pick(r, 0, 0, 0, -1, 10*ms, time.Second, 5*time.Second)
				op.poison = poisonous > 0 && chance(r, 15)
				if op.poison {
					op.records = max(op.records, 1)
					poisonous--
				}
				switch {
				case fat:
					op.size = r.IntN(30_000)
				case chance(r, 10):
					op.size = r.IntN(500)
				}
			} else {
				op.bound = pick(r, 0, -1, 10*ms, 10*ms, 100*ms, time.Second, 10*time.Second)
			}
			ops = append(ops, op)
		}
		p.producers = append(p.producers, ops)
	}
}

func (p *simPlan) planConnections(r *rand.Rand) {
	bad := r.IntN(pick(r, 3, 6, 12))
	for i := range bad {
		p.conns = append(p.conns, p.newConn(r, i == 0 && !chance(r, 20)))
	}
	p.rest = pick(r, restBenign, restBenign, restBenign, restBenign, restBenign, restBenign, restWild, restWild, restHopeless)
}

// newConn draws the script of a connection that does not work well. One that has to open does so.
func (p *simPlan) newConn(r *rand.Rand, opens bool) simConn {
	c := simConn{
		code:    pick(r, retriableCodes...),
		late:    chance(r, 20),
		acks:    pick(r, acksPrompt, acksLate, acksLate, acksJumpy, acksJumpy, acksJumpy, acksNever),
		poison:  r.IntN(3),
		onClose: pick(r, 0, 0, 0, 1, 2),
	}
	if !opens && chance(r, 25) {
		c.open = pick(r, openRefuse, openRefuse, openRefuseAtOnce, openRefuseAtOnce, openSilent, openEnd, openNoID, openOther, openKill)
		if chance(r, 5) {
			c.code = pick(r, append(terminalCodes, refusalCodes...)...)
		}
	}
	if chance(r, 20) {
		c.delay = coarse(r, pick(r, 100*ms, 10*time.Second))
	}
	c.ackDelay = coarse(r, pick(r, ms, 50*ms, time.Second, 3*time.Second))
	c.refusal = coarse(r, pick(r, ms, 100*ms))
	for range pick(r, 0, 1, 1, 1, 1, 2, 3) {
		f := simFault{
			kind:  simFaultKind(r.IntN(int(faultKinds))),
			on:    -1,
			after: coarse(r, pick(r, 0, ms, 10*ms, 100*ms, time.Second)),
			code:  pick(r, retriableCodes...),
			d:     pick(r, -time.Second, 0, 0, 50*ms, time.Second, 10*time.Second, 10*time.Minute, math.MaxInt64, math.MinInt64),
			n:     pick[int64](r, 0, 0, 1, 7, 1<<40, math.MaxInt64-10_000),
			then:  r.IntN(5),
			wait:  coarse(r, pick(r, ms, 100*ms, 5*time.Second)),
		}
		if chance(r, 60) {
			f.on = int64(r.IntN(pick(r, 1, 1, 3, 8)))
		}
		switch {
		case f.kind == faultTerminal && chance(r, 25):
			f.code = pick(r, terminalCodes...)
		case f.kind == faultTerminal:
			f.kind = faultFail
		case f.kind == faultRefusal && !chance(r, 30):
			f.kind = faultKill
		case f.kind == faultRefusal:
			f.code = pick(r, refusalCodes...)
		case f.kind == faultAckNext && !p.hooks:
			f.kind = faultAckBeyond // what the SDK has sent is known by hooks only
		case f.kind == faultStall:
			f.d = coarse(r, 30*time.Second)
		case f.kind == faultAckNegative:
			f.n = pick[int64](r, -1, -1, -2, math.MinInt64)
		}
		c.faults = append(c.faults, f)
	}
	return c
}

// conn is the script of the connection with that number.
func (p *simPlan) conn(number int) simConn {
	if number < len(p.conns) {
		return p.conns[number]
	}
	switch p.rest {
	case restHopeless:
		return simConn{open: openRefuse, code: codes.Unavailable}
	case restWild:
		if r := generator(p.seed, uint64(1000+number)); chance(r, 70) {
			c := p.newConn(r, true)
			c.late = false
			return c
		}
	}
	return simConn{acks: acksPrompt}
}

// quiet reports whether nothing goes wrong in this world, so that all must go well.
func (p *simPlan) quiet() bool {
	poison := slices.ContainsFunc(p.producers, func(ops []simOp) bool {
		return slices.ContainsFunc(ops, func(op simOp) bool { return op.poison })
	})
	return len(p.conns) == 0 && p.rest == restBenign && len(p.headers) == 0 && p.slowReader == 0 && !poison && p.closeIn == 0 && p.closing != closeSDK
}

// patient reports whether Close waits long enough for all callbacks, so that none comes after it.
func (p *simPlan) patient() bool {
	most := ms
	switch {
	case p.slowEvery > 0 && (p.ackHandler || p.rejectHandler): // of calls without number
		return false
	case p.slowEvery > 0:
		most += 3 * p.slow // the one that runs, one for what is acknowledged, one for the rest
	}
	if p.meddling {
		most += time.Second
	}
	return p.settings.CallbackTimeout > most && p.closing != closeCallback
}

// String tells the plan in lines.
func (p *simPlan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "settings %+v\n", p.settings)
	fmt.Fprintf(&b, "ack callback %v, ack handler %v, reject handler %v, every %d. call takes %v, meddling %v with %d records\n",
		p.ackCallback, p.ackHandler, p.rejectHandler, p.slowEvery, p.slow, p.meddling, p.extra)
	fmt.Fprintf(&b, "hooks %v, shared connection %v, headers %v, validator %v, reads a record in %v\n",
		p.hooks, p.shared, p.headers, p.validate, p.slowReader)
	for i, ops := range p.producers {
		fmt.Fprintf(&b, "producer %d:", i)
		for _, op := range ops {
			fmt.Fprintf(&b, " %v", op)
		}
		b.WriteString("\n")
	}
	for i, c := range p.conns {
		fmt.Fprintf(&b, "connection %d: %v\n", i, c)
	}
	fmt.Fprintf(&b, "further connections: %v\n", p.rest)
	fmt.Fprintf(&b, "close %v: at %v, in %v; again after %v\n", p.closing, p.closeAt, p.closeIn, p.afterIt)
	return b.String()
}

func (op simOp) String() string {
	s := op.kind.String()
	if op.kind == opBatch {
		s += fmt.Sprint(op.records)
	}
	if op.poison {
		s += "☠"
	}
	return fmt.Sprintf("+%v %s(%v)", op.pause, s, op.bound)
}

func (c simConn) String() string {
	s := fmt.Sprintf("%v in %v", c.open, c.delay)
	if c.open != openAccept {
		return fmt.Sprintf("%s (%v)", s, c.code)
	}
	s += fmt.Sprintf(", late headers %v, acks %v in %v, refusals in %v after %s, half-close %d",
		c.late, c.acks, c.ackDelay, c.refusal, [...]string{"all", "some", "nothing"}[c.poison], c.onClose)
	for _, f := range c.faults {
		s += fmt.Sprintf("; %v", f)
	}
	return s
}

func (f simFault) String() string {
	when := fmt.Sprintf("after %v", f.after)
	if f.on >= 0 {
		when = fmt.Sprintf("on %d", f.on)
	}
	switch f.kind {
	case faultFail, faultTerminal, faultRefusal:
		return fmt.Sprintf("%s %v %v", when, f.kind, f.code)
	case faultStall:
		return fmt.Sprintf("%s stall %v", when, f.d)
	case faultSignal, faultSignalNow:
		return fmt.Sprintf("%s %v %v, then %d in %v", when, f.kind, f.d, f.then, f.wait)
	case faultAckBeyond, faultAckNegative, faultGarbage:
		return fmt.Sprintf("%s %v %d", when, f.kind, f.n)
	}
	return fmt.Sprintf("%s %v", when, f.kind)
}
