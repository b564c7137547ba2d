package zerobus

import (
	"context"
	"iter"
	"slices"
	"strconv"
)

// State is where a stream is in its life.
//
//	UNINITIALIZED -> OPENED <-> FLUSHING
//	OPENED, FLUSHING -> RECOVERING -> OPENED, FLUSHING, FAILED
//	OPENED, FLUSHING, RECOVERING -> CLOSED, FAILED
type State int

// The states.
const (
	StateUninitialized State = iota // before the first connection
	StateOpened                     // connected
	StateFlushing                   // connected, and a Flush or Close waits
	StateRecovering                 // connecting again; records are accepted and kept
	StateClosed                     // ended by Close or by SDK.Close
	StateFailed                     // ended by an error that was not, or not any more, retried
)

var stateNames = [...]string{"UNINITIALIZED", "OPENED", "FLUSHING", "RECOVERING", "CLOSED", "FAILED"}

// String returns the state's name in capital letters.
func (s State) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return "State(" + strconv.Itoa(int(s)) + ")"
	}
	return stateNames[s]
}

// StateChanges yields the present state of the stream, then every state that it changes to, in order, until it has ended
// or ctx ends. A loop that lags behind by more than 64 changes misses the oldest of them, never the last.
func (s *Stream) StateChanges(ctx context.Context) iter.Seq[State] {
	return func(yield func(State) bool) {
		p, err := s.pipe("state changes")
		if err != nil || ctx == nil {
			return
		}
		w := p.watchStates()
		defer p.unwatchStates(w)
		for {
			for _, state := range p.takeStates(w) {
				if !yield(state) || state == StateClosed || state == StateFailed {
					return
				}
			}
			select {
			case <-w.signal:
			case <-ctx.Done():
				return
			}
		}
	}
}

// stateWatcher is a loop over StateChanges. The pipeline's lock guards pending.
type stateWatcher struct {
	pending []State
	signal  chan struct{} // capacity 1: there is something pending
}

// maxPendingStates bounds what a loop may miss.
const maxPendingStates = 64

func (w *stateWatcher) add(s State) {
	if len(w.pending) == maxPendingStates {
		w.pending = slices.Delete(w.pending, 0, 1)
	}
	w.pending = append(w.pending, s)
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

func (p *pipeline) watchStates() *stateWatcher {
	w := &stateWatcher{signal: make(chan struct{}, 1)}
	p.mu.Lock()
	defer p.mu.Unlock()
	w.add(p.stateLocked())
	p.watchers = append(p.watchers, w)
	return w
}

func (p *pipeline) unwatchStates(w *stateWatcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchers = slices.DeleteFunc(p.watchers, func(o *stateWatcher) bool { return o == w })
}

func (p *pipeline) takeStates(w *stateWatcher) []State {
	p.mu.Lock()
	defer p.mu.Unlock()
	pending := w.pending
	w.pending = nil
	return pending
}

// stateLocked is the state as users see it. p.mu is held.
func (p *pipeline) stateLocked() State {
	if p.state == StateOpened && p.flushes > 0 {
		return StateFlushing
	}
	return p.state
}

// change applies f to what the state is made of, and tells who watches. p.mu is held.
func (p *pipeline) change(f func()) {
	before := p.stateLocked()
	f()
	if after := p.stateLocked(); after != before {
		for _, w := range p.watchers {
			w.add(after)
		}
	}
}
