package zerobus

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// callbacks calls the user's ack callback on a goroutine of its own. It keeps no queue: it looks how far things are
// settled, tells about the range since it last looked, and looks again. So a slow callback costs nothing but larger
// ranges.
type callbacks struct {
	p       *pipeline
	signal  chan struct{} // capacity 1: there may be something to tell
	done    chan struct{} // closed after the last call
	running atomic.Value  // []byte: the goroutine, as goroutineID names it
}

func newCallbacks(p *pipeline) *callbacks {
	return &callbacks{p: p, signal: make(chan struct{}, 1), done: make(chan struct{})}
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
			err = c.p.endedLocked("ack callback", -1)
		}
		c.p.mu.Unlock()
		if durable > told {
			c.call(AckInfo{First: told + 1, Last: durable})
			told = durable
		}
		if err != nil {
			c.call(AckInfo{First: told + 1, Last: last, Err: err})
		}
		if over {
			return
		}
	}
}

// call contains a panic of the callback.
func (c *callbacks) call(info AckInfo) {
	defer func() {
		if r := recover(); r != nil {
			c.p.log.Error("the ack callback panicked", "first", info.First, "last", info.Last,
				"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	c.p.cfg.AckCallback(info)
}

// wait waits for the last call, but not for long, and not at all within a callback, which would wait for itself.
func (c *callbacks) wait(limit time.Duration) {
	if id, ok := c.running.Load().([]byte); ok && bytes.Equal(id, goroutineID()) {
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

// goroutineID names the calling goroutine by the first line of its stack, "goroutine 7 [running]:". There is no other
// way to know that Close is called from within a callback.
func goroutineID() []byte {
	var buf [64]byte
	line, _, _ := bytes.Cut(buf[:runtime.Stack(buf[:], false)], []byte("["))
	return bytes.Clone(line)
}
