package zerobus_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

var simSeed = flag.String("zerobus.seed", os.Getenv("ZEROBUS_SEED"), "the one seed that the simulation runs, telling all about it")

// Sizes of the simulation. ZEROBUS_SEEDS and ZEROBUS_FIRST_SEED are for more of it.
const (
	simSeeds      = 10_000
	simSeedsShort = 300
)

// TestSimulation_FaultsOfEveryKind runs streams against servers that do everything wrong that a server can do, and checks
// that every record ends as it should; see simWorld.judge for what that means.
//
// A seed decides everything that a world does: the settings, what producers do and when, what each connection does, how
// the stream is ended; see simPlan. Time is that of the bubble, so a seed does nearly the same in every run. Not quite:
// what happens at the same instant happens in any order, and how many records a message takes depends on it. A seed that
// failed once may have to be run several times, with -count.
//
// ZEROBUS_SEEDS=100000 runs more seeds than CI does, ZEROBUS_FIRST_SEED=10000 others; ZEROBUS_SEED=17, or the flag
// -zerobus.seed 17, runs one and prints its plan and what happens.
func TestSimulation_FaultsOfEveryKind(t *testing.T) {
	if *simSeed != "" {
		seed, err := strconv.ParseUint(*simSeed, 10, 64)
		if err != nil {
			t.Fatalf("the seed is no number: %v", err)
		}
		result := simulate(t, seed, true)
		for _, f := range result.faults {
			t.Errorf("seed %d: %s", seed, f)
		}
		return
	}

	first, count := uint64(0), uint64(simSeeds)
	if testing.Short() {
		count = simSeedsShort
	}
	first, count = numberFromEnv(t, "ZEROBUS_FIRST_SEED", first), numberFromEnv(t, "ZEROBUS_SEEDS", count)
	var next, failed atomic.Uint64
	var mu sync.Mutex
	total := simCoverage{}
	t.Run("seeds", func(t *testing.T) {
		for shard := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				for seed := first + next.Add(1) - 1; seed < first+count && failed.Load() < 5; seed = first + next.Add(1) - 1 {
					result := simulate(t, seed, false)
					if len(result.faults) > 0 {
						failed.Add(1)
						t.Errorf("seed %d:\n  %s\nagain: %s\n%v%s", seed, strings.Join(result.faults, "\n  "), again(seed), result.plan, result.story)
					}
					mu.Lock()
					total.merge(result.seen)
					mu.Unlock()
				}
			})
		}
	})
	t.Logf("in %d seeds:\n%v", count, total)
	if t.Failed() || count < simSeeds {
		return
	}
	for _, name := range simEverything {
		if total[name] == 0 {
			t.Errorf("no seed has seen %q: the simulation has lost something", name)
		}
	}
}

// again is the command that runs one seed.
func again(seed uint64) string {
	return fmt.Sprintf("go test -race -run TestSimulation_FaultsOfEveryKind -v . -zerobus.seed %d", seed)
}

func numberFromEnv(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// simResult is what has come of a seed.
type simResult struct {
	plan   *simPlan
	faults []string
	seen   simCoverage
	story  string // of a seed with faults
}

// simulate runs a seed in a bubble of its own.
func simulate(t *testing.T, seed uint64, aloud bool) *simResult {
	t.Helper()
	result := &simResult{plan: newSimPlan(seed), seen: simCoverage{}}
	if aloud {
		fmt.Print(result.plan)
	}
	whole := false
	defer func() {
		if !whole { // the bubble has panicked: what remains in it is blocked for ever
			fmt.Printf("seed %d: %s\nagain: %s\n%v%s\n", seed, strings.Join(result.faults, "\n"), again(seed), result.plan, result.story)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		w := &simWorld{plan: result.plan, result: result, aloud: aloud, began: time.Now(), firstClose: -1}
		w.hooked.kept = -1
		w.hooked.before, w.hooked.sent = map[string]int{}, map[string][]int{}
		w.run(t)
	})
	whole = true
	return result
}

// simWorld is one seed while it runs.
type simWorld struct {
	plan   *simPlan
	result *simResult
	aloud  bool
	began  time.Time

	srv       *zerobustest.Server
	sdk       *zerobus.SDK
	stream    *zerobus.Stream
	producers [][]*simCall // each its producer's, until that is done

	telling atomic.Int32 // callbacks that run
	tried   atomic.Int32 // calls of the headers provider

	mu sync.Mutex
	// The following are guarded by mu.
	story      []simEvent
	links      []*simLink // by number of the connection
	calls      int        // of callbacks
	infos      []zerobus.AckInfo
	handled    []simHandled
	rejected   []zerobus.Rejected
	watches    []*simWatch
	states     []zerobus.State
	closing    int           // calls of Close that have begun
	closes     []error       // what they have returned
	firstClose time.Duration // when it returned first; -1 before
	sdkClosed  bool
	hooked     simHooked
}

// simCall is an ingest call.
type simCall struct {
	records [][]byte
	poison  bool
	ack     zerobus.Ack
	err     error
	told    simOutcome // by a Wait
	at      int        // the place of its first record among all; set by the judge
}

// simHandled is a call of an AckHandler.
type simHandled struct {
	offset int64
	err    error
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

// simEvent is a line of the story. It becomes text only when somebody reads it.
type simEvent struct {
	at     time.Duration
	who    string
	format string
	args   []any
}

func (e simEvent) String() string {
	return fmt.Sprintf("%12v %-14s %s", e.at, e.who, fmt.Sprintf(e.format, e.args...))
}

func (w *simWorld) note(who, format string, args ...any) {
	e := simEvent{time.Since(w.began), who, format, args}
	w.mu.Lock()
	w.story = append(w.story, e)
	w.mu.Unlock()
	if w.aloud {
		fmt.Println(e)
	}
}

// fault records that something is not as it should be.
func (w *simWorld) fault(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.note("FAULT", "%s", text)
	w.mu.Lock()
	w.result.faults = append(w.result.faults, text)
	w.mu.Unlock()
}

func (w *simWorld) saw(name string) { w.sawMany(name, 1) }

func (w *simWorld) sawMany(name string, n int) {
	w.mu.Lock()
	w.result.seen[name] += n
	w.mu.Unlock()
}

// simLimit is the virtual time in which every seed ends.
const simLimit = time.Hour

func (w *simWorld) run(t *testing.T) {
	w.srv = zerobustest.New(zerobustest.InMemory())
	defer w.srv.Close()
	w.script()
	opts := []zerobus.Option{
		zerobus.WithDialer(w.srv.Dialer()), zerobus.WithoutProxy(), zerobus.WithLogger(slog.New(simLog{w})),
	}
	if w.plan.hooks {
		opts = append(opts, zerobus.WithHooks(simHook{w}))
	}
	if w.plan.shared {
		opts = append(opts, zerobus.WithSharedConnection())
	}
	var err error
	if w.sdk, err = zerobus.New(w.srv.Endpoint(), "", opts...); err != nil {
		t.Fatal(err)
	}
	defer w.sdk.Close()
	w.stream, err = w.sdk.CreateStream(t.Context(), zerobus.Table(table), zerobus.HeadersProviderFunc(w.headers), w.options()...)
	if err != nil {
		w.note("main", "CreateStream: %v", err)
		w.saw("a stream that could not be created")
		if n := len(w.srv.Records(table)); n > 0 {
			w.fault("%d records without a stream", n)
		}
		w.tell()
		return
	}
	w.note("main", "created %v", w.stream.ID())

	over := make(chan struct{})
	go func() {
		defer close(over)
		w.work()
	}()
	select {
	case <-over:
	case <-time.After(simLimit):
		stacks := make([]byte, 1<<20)
		w.fault("not over after %v\n%s", simLimit, stacks[:runtime.Stack(stacks, true)])
		w.sdk.Close()
		w.tell()
		return
	}
	w.sawMost("seconds of virtual time, at most", int(time.Since(w.began)/time.Second))
	time.Sleep(simLimit) // until the last callback has returned
	synctest.Wait()
	w.judge()
	w.tell()
}

// tell puts the story into the result when there are faults.
func (w *simWorld) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.result.faults) == 0 {
		return
	}
	var b strings.Builder
	const most = 400
	for i, e := range w.story {
		if i < most/2 || i >= len(w.story)-most/2 {
			fmt.Fprintln(&b, e)
		}
	}
	b.WriteString(w.srv.Log())
	w.result.story = b.String()
}

func (w *simWorld) sawMost(name string, n int) {
	w.mu.Lock()
	w.result.seen[name] = max(w.result.seen[name], n)
	w.mu.Unlock()
}

// work is the life of the stream: it returns when the stream has ended, and everybody who used it has.
func (w *simWorld) work() {
	p := w.plan
	var all, producers sync.WaitGroup
	all.Go(func() {
		for state := range w.stream.StateChanges(context.Background()) {
			w.note("states", "%v", state)
			w.mu.Lock()
			w.states = append(w.states, state)
			asked := w.closing > 0 || w.sdkClosed
			w.mu.Unlock()
			if state == zerobus.StateClosed && !asked {
				w.fault("the stream is closed, and nobody has closed it")
			}
		}
	})
	w.producers = make([][]*simCall, len(p.producers))
	for i := range p.producers {
		producers.Go(func() { w.produce(i) })
	}
	closeAt := func(f func()) {
		all.Go(func() {
			time.Sleep(p.closeAt)
			f()
		})
	}
	switch p.closing {
	case closeAtTime:
		closeAt(func() { w.close(p.closeIn) })
	case closeTwice:
		closeAt(func() { w.close(p.closeIn) })
		closeAt(func() { w.close(0) })
	case closeSDK:
		closeAt(func() {
			w.note("main", "SDK.Close")
			w.mu.Lock()
			w.sdkClosed = true
			w.mu.Unlock()
			w.sdk.Close()
			w.note("main", "SDK.Close has returned")
		})
	}
	producers.Wait()
	switch p.closing {
	case closeFlushed:
		w.flush("main", 0, nil)
		fallthrough
	case closeAfter:
		w.close(p.closeIn)
	}
	w.close(0) // whoever was first
	all.Wait()
}

// bound makes the context that a plan asks for.
func bound(d time.Duration) (context.Context, context.CancelFunc) {
	switch {
	case d == 0:
		return context.Background(), func() {}
	case d < 0:
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx, cancel
	}
	return context.WithTimeout(context.Background(), d)
}

func (w *simWorld) close(within time.Duration) {
	w.mu.Lock()
	w.closing++
	first := w.closing == 1
	w.mu.Unlock()
	if !first {
		within = 0                  // a context would bound the wait for the first one, and nothing else
		time.Sleep(time.Nanosecond) // so that the first one is the first
	}
	ctx, cancel := bound(within)
	defer cancel()
	w.note("close", "begins, in %v", within)
	err := w.stream.Close(ctx)
	w.note("close", "returned %v", err)
	w.mu.Lock()
	w.closes = append(w.closes, err)
	if w.firstClose < 0 {
		w.firstClose = time.Since(w.began)
	}
	w.mu.Unlock()
	switch {
	case errors.Is(err, zerobus.ErrFlushTimeout):
		w.saw("a flush timeout of Close")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		w.saw("a Close whose context ended")
	case err != nil && !errors.Is(err, zerobus.ErrStreamClosed):
		w.fault("Close: %v", err)
	}
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

// options are the stream's settings with the functions.
func (w *simWorld) options() []zerobus.StreamOption {
	p := w.plan
	opts := []zerobus.StreamOption{zerobus.WithStreamSettings(p.settings)}
	if p.ackCallback {
		opts = append(opts, zerobus.WithAckCallback(func(info zerobus.AckInfo) {
			w.callback("ack callback", func() {
				w.note("callback", "%d to %d: %v", info.First, info.Last, info.Err)
				w.infos = append(w.infos, info)
			})
		}))
	}
	if p.ackHandler {
		handle := func(offset int64, err error) {
			w.callback("ack handler", func() { w.handled = append(w.handled, simHandled{offset, err}) })
		}
		opts = append(opts, zerobus.WithAckHandler(zerobus.AckHandler{
			OnAck:   func(offset int64) { handle(offset, nil) },
			OnError: func(offset int64, err error) { handle(offset, errors.Join(err)) },
		}))
	}
	if p.rejectHandler {
		opts = append(opts, zerobus.WithRejectHandler(func(r zerobus.Rejected) {
			w.callback("reject handler", func() {
				w.note("callback", "rejected %d: %v", r.Offset, r.Err)
				w.rejected = append(w.rejected, r)
			})
		}))
	}
	return opts
}

// callback is what all callbacks do. record is called by one at a time: that is what is promised.
func (w *simWorld) callback(what string, record func()) {
	if n := w.telling.Add(1); n > 1 {
		w.fault("%s: %d callbacks at a time", what, n)
	}
	defer w.telling.Add(-1)
	record()
	w.mu.Lock()
	w.calls++
	n, closed := w.calls, w.firstClose
	w.mu.Unlock()
	p := w.plan
	if patient := p.settings.CallbackTimeout > ms && !(p.meddling && p.settings.CallbackTimeout < time.Second); closed >= 0 && patient && p.slowEvery == 0 && p.closing != closeCallback {
		w.fault("%s: called after Close has returned", what)
	}
	if p.slowEvery > 0 && n%p.slowEvery == 0 {
		w.saw("a slow callback")
		time.Sleep(p.slow)
	}
	if p.meddling {
		w.meddle(n)
	}
	if p.closing == closeCallback && n == 3 {
		w.saw("a Close in a callback")
		w.close(p.closeIn)
	}
}

// meddle calls methods within a callback.
func (w *simWorld) meddle(n int) {
	s := w.stream
	switch n % 4 {
	case 0:
		ctx, cancel := bound(ms)
		defer cancel()
		s.Flush(ctx)
	case 1:
		state := s.State()
		left, err := s.Unacked()
		if over := state == zerobus.StateClosed || state == zerobus.StateFailed; over && err != nil || err != nil && !errors.Is(err, zerobus.ErrInvalidState) {
			w.fault("Unacked in a callback, in state %v: %d, %v", state, len(left), err)
		}
	case 2:
		if err := s.Err(); err != nil && !errors.Is(err, zerobus.ErrStreamFailed) {
			w.fault("Err in a callback: %v", err)
		}
	}
}

// What becomes of a call of the headers provider.
const (
	headersGood = iota
	headersFail
	headersSlow
	headersTerminal
)

func (w *simWorld) headers(ctx context.Context) ([]zerobus.Header, error) {
	n := int(w.tried.Add(1)) - 1
	if n < len(w.plan.headers) {
		switch w.plan.headers[n] {
		case headersFail:
			w.saw("headers that failed")
			return nil, errors.New("no token today")
		case headersSlow:
			select {
			case <-time.After(time.Duration(n+1) * 3 * time.Second):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		case headersTerminal:
			return nil, fmt.Errorf("no token ever: %w", zerobus.ErrNonRetriable)
		}
	}
	return auth, nil
}

// simLog puts the SDK's log into the story.
type simLog struct{ w *simWorld }

func (l simLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l simLog) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l simLog) WithGroup(string) slog.Handler                    { return l }

func (l simLog) Handle(_ context.Context, r slog.Record) error {
	var attrs []slog.Attr
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	l.w.note("sdk", "%s %v", r.Message, attrs)
	if strings.Contains(r.Message, "panicked") {
		l.w.fault("%s: %v", r.Message, attrs)
	}
	return nil
}

// simHooked is what hooks have told.
type simHooked struct {
	kept   int              // records that were unacknowledged when the stream was closed; -1 before, and without a connection
	acked  int              // records
	before map[string]int   // acked when a connection was opened, by its id
	sent   map[string][]int // records of each message that was handed to the transport, by the connection's id
}

// simHook counts.
type simHook struct{ w *simWorld }

func (h simHook) OnConnect(e zerobus.ConnectEvent) {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	h.w.hooked.before[e.StreamID] = h.w.hooked.acked
}

func (h simHook) OnDisconnect(e zerobus.DisconnectEvent) {
	h.w.saw("reason " + e.Reason)
	if e.Reason == zerobus.ReasonClosed {
		h.w.mu.Lock()
		h.w.hooked.kept = e.Unacked
		h.w.mu.Unlock()
	}
	switch {
	case e.Reason == zerobus.ReasonUnresponsive && e.StreamID == "":
		h.w.saw("a handshake that got no answer")
	case e.Reason == zerobus.ReasonUnresponsive:
		h.w.saw("an ack timeout")
	}
	h.w.note("hook", "disconnect %+v", e)
}

func (h simHook) OnSend(e zerobus.SendEvent) {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	h.w.hooked.sent[e.StreamID] = append(h.w.hooked.sent[e.StreamID], e.Records)
}

func (h simHook) OnAck(e zerobus.AckEvent) {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	h.w.hooked.acked += e.Records
}
