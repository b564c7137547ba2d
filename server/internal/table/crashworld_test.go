package table

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"testing/synctest"

	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/wal/waltest"
)

// errFault is what an operation gives that a plan lets fail.
var errFault = errors.New("injected fault")

// fate is what becomes of an operation.
type fate int

const (
	goOn       fate = iota
	gone            // the process is dead: nothing happens
	stopBefore      // the process dies here, and the operation has not happened, or in part
	stopAfter       // the process dies here, and the operation has happened, though nobody learned so
	failBefore      // an error, and the operation has not happened, or in part
	failAfter       // an error, and the operation has happened
)

func (f fate) String() string {
	return [...]string{"goes on", "gone", "where it died, before it happened", "where it died, after it happened", "failed before it happened", "failed after it happened"}[f]
}

// plan is what a life has in store.
type plan struct {
	fate  fate   // goOn: nothing
	at    int    // the operation of this life that it comes to, from 1
	label string // when not empty, at counts the operations with this label alone
	more  int    // after a failure, so many of the lake's next operations fail too, before or after they happened
	tidy  bool   // the life commits to every table, and waits until nothing is left to do in the background
}

// turn is a goroutine that waits to do something.
type turn struct {
	label, name string
	op          bool // an operation of the disk or the lake, not merely a step of the test
	answer      chan fate
}

// world is what lies outside of a server's process: the disk of its log, its lake, and the order in which things happen.
//
// Everything that outlives a process goes through gate, one thing at a time: when all goroutines wait, there or for one
// another, the conductor chooses by the seed who goes on. So operations are counted over disk and lake together, and a seed
// gives the same history nearly every time: what is left to the runtime is when a committer runs beside a replay, the order of
// those who waited for the same memory, iteration over maps, and pauses after a fault.
//
// The lake has the durability of lake.Local: what was answered stays, an unfinished writer vanishes, and an operation that
// was not answered has happened or not. If it has, it is seen after a kill but not durable: a power cut may take it back,
// until an operation in the same directory is answered, since that syncs the directory.
type world struct {
	disk *waltest.Disk
	lake *lake.Memory
	r    *rand.Rand // the conductor's and the power's

	arrived chan struct{} // capacity 1: somebody waits
	quit    chan struct{} // ends the conductor
	ended   chan struct{} // closed when the conductor has ended

	mu       sync.Mutex // guards the following
	waiting  []*turn
	plan     plan
	matched  int // operations of this life that the plan counts
	stopped  bool
	faulted  bool // an operation failed in this life
	hit      turn // the operation that the plan came to
	hitAt    int  // its number in this life
	hitFate  fate // what became of it; goOn when the plan came to none
	kill     context.CancelCauseFunc
	unsynced []string       // objects of the lake that a power cut may take back, oldest first
	trace    []turn         // operations of this life
	used     map[string]int // by label: operations
	crashed  map[string]int // by label: operations at which the process died
}

func newWorld(r *rand.Rand) *world {
	return &world{disk: waltest.New(), lake: lake.NewMemory(), r: r, used: map[string]int{}, crashed: map[string]int{}}
}

// begin starts a process. The context ends with it.
func (w *world) begin(p plan) context.Context {
	ctx, kill := context.WithCancelCause(context.Background())
	w.plan, w.matched, w.stopped, w.faulted, w.kill, w.trace = p, 0, false, false, kill, w.trace[:0]
	w.hit, w.hitAt, w.hitFate = turn{}, 0, goOn
	w.arrived, w.quit, w.ended = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	w.disk.Hook(w.atDisk)
	go w.conduct()
	return ctx
}

// end comes when the process has no goroutines any more.
func (w *world) end(powerCut bool) {
	w.stop()
	close(w.quit)
	<-w.ended
	if !powerCut {
		w.disk.Kill()
		return
	}
	w.disk.PowerCut(w.r)
	byDir := map[string][]string{}
	var dirs []string
	for _, p := range w.unsynced {
		if byDir[path.Dir(p)] == nil {
			dirs = append(dirs, path.Dir(p))
		}
		byDir[path.Dir(p)] = append(byDir[path.Dir(p)], p)
	}
	for _, dir := range dirs { // names are kept from the first on, as a journal keeps them
		names := byDir[dir]
		for _, name := range names[w.r.IntN(len(names)+1):] {
			if err := w.lake.Delete(context.Background(), name); err != nil {
				panic(err)
			}
		}
	}
	w.unsynced = nil
}

// stop kills the process now, unless it is dead.
func (w *world) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.die()
}

// die lets nothing more happen. w.mu is held.
func (w *world) die() {
	w.stopped = true
	for _, t := range w.waiting {
		t.answer <- gone
	}
	w.waiting = nil
	w.kill(waltest.ErrStopped)
}

// state tells whether the process is dead, and whether an operation failed in this life. After either nearly any error is
// right.
func (w *world) state() (stopped, faulted bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stopped, w.faulted
}

// gate waits for the goroutine's turn.
func (w *world) gate(label, name string, op bool) fate {
	w.mu.Lock()
	if w.stopped {
		w.mu.Unlock()
		return gone
	}
	t := &turn{label, name, op, make(chan fate, 1)}
	w.waiting = append(w.waiting, t)
	w.mu.Unlock()
	select {
	case w.arrived <- struct{}{}:
	default:
	}
	return <-t.answer
}

// step waits for the turn of something that is no operation. False: the process is dead.
func (w *world) step(label, name string) bool { return w.gate(label, name, false) != gone }

func (w *world) conduct() {
	defer close(w.ended)
	for {
		select {
		case <-w.arrived:
		case <-w.quit:
			return
		}
		for w.next() {
		}
	}
}

// next lets one of those who wait go on, when nobody else runs.
func (w *world) next() bool {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 {
		return false
	}
	slices.SortStableFunc(w.waiting, func(a, b *turn) int {
		return cmp.Or(cmp.Compare(a.label, b.label), cmp.Compare(a.name, b.name))
	})
	i := w.r.IntN(len(w.waiting))
	t := w.waiting[i]
	w.waiting = slices.Delete(w.waiting, i, i+1)
	t.answer <- w.decide(t)
	return true
}

// decide gives the fate of an operation. w.mu is held.
func (w *world) decide(t *turn) fate {
	if !t.op {
		return goOn
	}
	w.trace = append(w.trace, *t)
	w.used[t.label]++
	if w.faulted && w.plan.more > 0 && strings.HasPrefix(t.label, "lake ") {
		w.plan.more--
		return failBefore + fate(w.r.IntN(2))
	}
	if w.plan.label == "" || w.plan.label == t.label {
		w.matched++
	}
	if w.plan.fate == goOn || w.matched != w.plan.at {
		return goOn
	}
	f := w.plan.fate
	w.plan.fate = goOn // once
	w.hit, w.hitAt, w.hitFate = *t, len(w.trace), f
	switch f {
	case stopBefore, stopAfter:
		w.crashed[t.label]++
		w.die()
	default:
		w.faulted = true
	}
	return f
}

// atDisk is the disk's hook.
func (w *world) atDisk(op waltest.Op) error {
	// The disk itself knows how an operation is half done. No other operation comes in between: all wait at the gate.
	switch w.gate("disk "+op.Kind+" "+kindOf(op.Name), op.Name, true) {
	case gone:
		return waltest.ErrStopped
	case stopBefore, stopAfter: // the end of the life makes of it what it will
		w.disk.StopAt(1)
	case failBefore, failAfter:
		w.disk.FailAt(1, errFault)
	}
	return nil
}

// kindOf is the kind of file that a name of the log's directory has.
func kindOf(name string) string {
	base := path.Base(name)
	if base == "log" {
		return "directory"
	}
	return strings.TrimLeft(base, "0123456789.")
}

// atLake is the lake's fault function.
func (w *world) atLake(op lake.Op) (before, after error) {
	label := "lake " + op.Name
	switch {
	case strings.Contains(op.Path, "/_delta_log"):
		label += " log"
	case strings.HasSuffix(op.Path, ".parquet"):
		label += " data"
	}
	names := op.Name == "put" || op.Name == "put if absent" || op.Name == "commit"
	f := w.gate(label, op.Path, true)
	if names {
		w.mu.Lock()
		defer w.mu.Unlock()
		dir := path.Dir(op.Path)
		switch f {
		case goOn: // syncs the directory whether it names a new object or finds one
			w.unsynced = slices.DeleteFunc(w.unsynced, func(p string) bool { return path.Dir(p) == dir })
		case stopAfter, failAfter:
			if _, err := w.lake.Get(context.Background(), op.Path); err != nil {
				w.unsynced = append(w.unsynced, op.Path)
			}
		}
	}
	switch f {
	case gone, stopBefore:
		return waltest.ErrStopped, nil
	case stopAfter:
		return nil, waltest.ErrStopped
	case failBefore:
		return errFault, nil
	case failAfter:
		return nil, errFault
	}
	return nil, nil
}

// story tells the last operations of the life.
func (w *world) story() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	from := max(0, len(w.trace)-6)
	for i, t := range w.trace[from:] {
		fmt.Fprintf(&b, "\n  %4d %s  %s", from+i+1, t.label, t.name)
	}
	return b.String()
}
