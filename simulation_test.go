package zerobus_test

import (
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

	// The following are of callbacks, which are called one at a time. The judge reads them when nothing runs any more.
	extra    []*simCall // what they have ingested
	infos    []zerobus.AckInfo
	handled  []simHandled
	rejected []zerobus.Rejected

	mu sync.Mutex
	// The following are guarded by mu.
	story      []simEvent
	links      []*simLink // by number of the connection
	calls      int        // of callbacks
	watches    []*simWatch
	states     []zerobus.State
	closing    int           // calls of Close that have begun
	closes     []error       // what they have returned
	firstClose time.Duration // when it returned first; -1 before
	sdkClosed  bool
	hooked     simHooked
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
		if p.afterIt >= 0 { // callbacks may still run
			time.Sleep(p.afterIt)
			w.close(0)
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

// simCoverage counts what was seen, so that a simulation in which nothing happens does not pass.
type simCoverage map[string]int

func (c simCoverage) merge(o simCoverage) {
	for name, n := range o {
		if strings.HasSuffix(name, "at most") {
			c[name] = max(c[name], n)
		} else {
			c[name] += n
		}
	}
}

func (c simCoverage) String() string {
	var b strings.Builder
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%9d  %s\n", c[name], name)
	}
	return b.String()
}

// simEverything is what ten thousand seeds have seen, each of it often enough not to be missed by chance.
var simEverything = []string{
	"acknowledged records", "rejected records", "unacknowledged records", "records that were durable twice", "messages of several calls",

	"a stream that could not be created", "a stream that ended well", "a stream that gave up", "a stream that failed for good",
	"a stream that failed without another try", "a stream that failed because of a record",
	"a stream that failed because of an ack timeout", "a stream that was closed with something unacknowledged",
	"an SDK that was closed with something unacknowledged",

	"reconnects", "reason closed", "reason ended", "reason headers", "reason protocol_error", "reason rejected", "reason rotated",
	"reason unresponsive", "reason Unavailable", "reason InvalidArgument", "reason PermissionDenied",

	"a flush timeout", "a flush timeout of Close", "a Close whose context ended", "a Flush whose context ended",
	"a Wait whose context ended", "a WaitForOffset whose context ended", "a WaitForOffset that took the flush timeout",
	"a handshake that got no answer", "an ack timeout", "an ingest call whose context ended", "a wait to the end",

	"would block", "a call larger than the limit in flight", "an ingest call that waited for room", "an ingest call on a closed stream",
	"an invalid record", "headers that failed",

	"a slow callback", "a Close in a callback", "an Ingest in a callback", "an OnDone that was called", "an OnDone that was stopped",
	"an OnDone that was stopped too late",

	"fault kill", "fault end", "fault fail", "fault terminal", "fault false refusal", "fault stop reading", "fault stall", "fault signal",
	"fault signal now", "fault ack beyond", "fault ack next", "fault ack negative", "fault ack nothing", "fault garbage", "fault goaway",
	"an ack that came twice or went back", "acks after the half-close", "a half-close without an end",
}
