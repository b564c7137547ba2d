package zerobus

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync/atomic"
	"time"
)

// callbacks calls functions of the user on a goroutine of its own: ack callbacks, the reject handler, and what was given
// to [Ack.OnDone]. It keeps no queue of acknowledgements: it looks how far things are settled, tells about the range
// since it last looked, and looks again. So a slow callback costs nothing but larger ranges.
//
// The goroutine begins with the first need for it.
type callbacks struct {
	p       *pipeline
	signal  chan struct{} // capacity 1: there may be something to tell
	done    chan struct{} // closed after the last call
	running atomic.Value  // []byte: the goroutine, as goroutineID names it

	// The following are guarded by p.mu.
	started  bool
	ended    bool // nothing will be told by the goroutine any more
	late     bool // another one tells what came after that
	watches  watchHeap
	rejected []rejection // not told yet, in order
}

func newCallbacks(p *pipeline) *callbacks {
	return &callbacks{p: p, signal: make(chan struct{}, 1), done: make(chan struct{})}
}

// begin starts the goroutine, once. p.mu is held.
func (c *callbacks) begin() {
	if c.started {
		return
	}
	c.started = true
	labels := pprof.Labels("zerobus", "callbacks", "table", c.p.table.Name)
	go pprof.Do(c.p.life, labels, func(context.Context) { c.run() })
}

// wake never blocks.
func (c *callbacks) wake() {
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

// run tells what is settled until the stream has ended and all is told. The owner that ends it is pipeline.end.
func (c *callbacks) run() {
	defer close(c.done)
	c.running.Store(goroutineID())
	told := int64(-1)
	for range c.signal {
		c.p.mu.Lock()
		durable, last, over := c.p.win.Durable(), c.p.win.Next()-1, c.p.over
		var err error
		if over && durable < last {
			err = c.p.endedLocked("ack callback", durable+1)
		}
		rejected := c.rejected
		c.rejected = nil
		due := c.due(durable, over)
		c.p.mu.Unlock()

		for _, r := range rejected {
			if told < r.Offset-1 {
				c.ack(AckInfo{First: told + 1, Last: r.Offset - 1})
			}
			c.reject(r)
			told = r.Offset
		}
		if told < durable {
			c.ack(AckInfo{First: told + 1, Last: durable})
			told = durable
		}
		if err != nil && told < last {
			c.ack(AckInfo{First: told + 1, Last: last, Err: err})
			told = last
		}
		for _, w := range due {
			c.tell(w)
		}
		if over && c.end() {
			return
		}
		if over {
			c.wake()
		}
	}
}

// end reports whether all is told after the end of the stream. What comes later is not the goroutine's any more.
func (c *callbacks) end() bool {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.ended = len(c.watches) == 0
	return c.ended
}

// ack tells the ack callbacks about a range.
func (c *callbacks) ack(info AckInfo) {
	if f := c.p.cfg.AckCallback; f != nil {
		c.guard("ack callback", info.First, func() { f(info) })
	}
	h := c.p.cfg.AckHandler
	for offset := info.First; offset <= info.Last; offset++ {
		switch {
		case info.Err == nil && h.OnAck != nil:
			c.guard("OnAck", offset, func() { h.OnAck(offset) })
		case info.Err != nil && h.OnError != nil:
			e := *info.Err.(*Error) // all that this type makes are
			e.Offset = offset
			c.guard("OnError", offset, func() { h.OnError(offset, &e) })
		default:
			return
		}
	}
}

// reject hands a refused call over, and gives its room back afterwards.
func (c *callbacks) reject(r rejection) {
	c.guard("reject handler", r.Offset, func() { c.p.cfg.RejectHandler(r.Rejected) })
	c.p.mu.Lock()
	c.p.win.Unreserve(r.count, r.bytes)
	c.p.room.grant(c.p.win.Reserve)
	c.p.mu.Unlock()
	c.ack(AckInfo{First: r.Offset, Last: r.Offset, Err: r.Err})
}

// tell calls the function of an OnDone.
func (c *callbacks) tell(w *watch) {
	_, err := c.p.outcome(w.offset)
	c.guard("OnDone", w.offset, func() { w.f(w.offset, err) })
}

// guard contains a panic.
func (c *callbacks) guard(what string, offset int64, f func()) {
	defer func() {
		if r := recover(); r != nil {
			c.p.log.Error("a callback panicked", "callback", what, "offset", offset,
				"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	f()
}

// wait waits for the last call, but not for long, and not at all within a callback, which would wait for itself.
func (c *callbacks) wait(limit time.Duration) {
	c.p.mu.Lock()
	started := c.started
	c.p.mu.Unlock()
	if !started || c.within() {
		return
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		c.p.log.Warn("a callback still runs after Close", "waited", limit)
	}
}

// within reports whether it is called within a callback.
func (c *callbacks) within() bool {
	id, ok := c.running.Load().([]byte)
	return ok && bytes.Equal(id, goroutineID())
}

// goroutineID names the calling goroutine by the first line of its stack, "goroutine 7 [running]:". There is no other
// way to know that Close is called from within a callback.
func goroutineID() []byte {
	var buf [64]byte
	line, _, _ := bytes.Cut(buf[:runtime.Stack(buf[:], false)], []byte("["))
	return bytes.Clone(line)
}

// tellLate is for what is registered after the end. It runs while there is some, and in one goroutine.
func (c *callbacks) tellLate() {
	c.running.Store(goroutineID())
	for {
		c.p.mu.Lock()
		due := c.due(c.p.win.Durable(), true)
		c.late = len(due) > 0
		c.p.mu.Unlock()
		if len(due) == 0 {
			return
		}
		for _, w := range due {
			c.tell(w)
		}
	}
}

// watch is a function of the user that waits for an offset.
type watch struct {
	offset int64
	order  uint64 // of the calls of OnDone
	f      func(offset int64, err error)
	index  int // in the heap; -1 when it is out
}

// onDone registers f for an offset.
func (c *callbacks) onDone(offset int64, f func(int64, error)) (stop func() bool) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	w := &watch{offset: offset, f: f, index: -1}
	c.p.watched++
	w.order = c.p.watched
	heap.Push(&c.watches, w)
	switch {
	case !c.ended:
		c.begin()
		c.wake()
	case !c.late:
		c.late = true
		go c.tellLate()
	}
	return func() bool {
		c.p.mu.Lock()
		defer c.p.mu.Unlock()
		if w.index < 0 {
			return false
		}
		heap.Remove(&c.watches, w.index)
		return true
	}
}

// due takes the watches out whose offsets are settled, in order. p.mu is held.
func (c *callbacks) due(durable int64, over bool) (due []*watch) {
	for len(c.watches) > 0 && (over || c.watches[0].offset <= durable) {
		due = append(due, heap.Pop(&c.watches).(*watch))
	}
	return due
}

// watchHeap has the lowest offset first, and of the same offset the oldest watch.
type watchHeap []*watch

func (h watchHeap) Len() int { return len(h) }
func (h watchHeap) Less(i, j int) bool {
	if h[i].offset != h[j].offset {
		return h[i].offset < h[j].offset
	}
	return h[i].order < h[j].order
}

func (h watchHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *watchHeap) Push(x any) {
	w := x.(*watch)
	w.index = len(*h)
	*h = append(*h, w)
}

func (h *watchHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	w.index = -1
	return w
}
