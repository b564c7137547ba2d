package zerobus_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus/zerobustest"
)

// simLink is what the server side of a connection has done that the judge must know.
type simLink struct {
	conn  *zerobustest.Connection
	stall atomic.Int64 // nothing is acknowledged until then, in nanoseconds since the world began

	// turn is held while something is sent, so that what is recorded here has the order in which it is sent. It is a
	// channel, since a bubble's clock stands still while a goroutine waits for a mutex.
	turn chan struct{}

	// The following are guarded by turn. The judge reads them when nothing runs any more.
	acked    int64 // offset up to which requests were acknowledged that had been received; -1 at first
	liar     bool  // something was sent at which the client must end the connection: nothing counts any more
	guess    int64 // the offset of an acknowledgement that was one ahead of what was received; -1 for none
	refusing bool  // it ended with a code that is about records, and no record was the reason
}

// link returns the record of a connection.
func (w *simWorld) link(c *zerobustest.Connection) *simLink {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.links) <= c.Number() {
		w.links = append(w.links, &simLink{turn: make(chan struct{}, 1), acked: -1, guess: -1})
	}
	l := w.links[c.Number()]
	l.conn = c
	return l
}

// do runs f while nobody else sends.
func (l *simLink) do(f func()) {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	f()
}

// script tells the server what the plan wants of it.
func (w *simWorld) script() {
	p := w.plan
	for i := range p.conns {
		w.srv.Script(w.behavior(p.conns[i]))
	}
	if p.rest == restHopeless {
		w.srv.Otherwise(w.behavior(p.conn(len(p.conns))))
	} else {
		w.srv.Otherwise(zerobustest.Accept(zerobustest.After(0, zerobustest.Do(func(c *zerobustest.Connection) {
			script := p.conn(c.Number())
			for _, f := range script.faults {
				go w.later(c, f)
			}
			w.drive(c, script)
		}))))
	}
	if !p.validate && p.slowReader == 0 {
		return
	}
	w.srv.Validate(table, func(rec []byte) error {
		time.Sleep(p.slowReader)
		if p.validate && poisonous(rec) {
			return errors.New("poison")
		}
		return nil
	})
}

func (w *simWorld) behavior(s simConn) zerobustest.Behavior {
	var begin []zerobustest.Action
	if s.delay > 0 {
		begin = append(begin, zerobustest.Wait(s.delay))
	}
	switch s.open {
	case openRefuseAtOnce:
		return zerobustest.RefuseAtOnce(s.code, "refused at once")
	case openRefuse:
		return zerobustest.Accept(zerobustest.OnCreate(append(begin, zerobustest.Fail(s.code, "refused"))...))
	case openSilent:
		return zerobustest.Silent()
	case openEnd:
		return zerobustest.Accept(zerobustest.OnCreate(append(begin, zerobustest.End())...))
	case openNoID:
		return zerobustest.Accept(zerobustest.OnCreate(begin...), zerobustest.StreamID(""))
	case openOther:
		return zerobustest.Accept(zerobustest.OnCreate(append(begin, zerobustest.CloseSignalNow())...))
	case openKill:
		return zerobustest.Accept(zerobustest.OnCreate(append(begin, zerobustest.Kill())...))
	}
	steps := []zerobustest.Step{
		zerobustest.OnCreate(begin...),
		zerobustest.After(0, zerobustest.Do(func(c *zerobustest.Connection) { w.drive(c, s) })),
		zerobustest.OnClose(zerobustest.Do(func(c *zerobustest.Connection) { w.halfClosed(c, s) })),
	}
	if s.late {
		steps = append(steps, zerobustest.LateHeaders())
	}
	for _, f := range s.faults {
		do := zerobustest.Do(func(c *zerobustest.Connection) { w.misbehave(c, f) })
		if f.on >= 0 {
			steps = append(steps, zerobustest.On(f.on, do))
		} else {
			steps = append(steps, zerobustest.After(f.after, do))
		}
	}
	return zerobustest.Accept(steps...)
}

// whileOpen is a context that ends with a connection.
type whileOpen struct{ c *zerobustest.Connection }

func (o whileOpen) Deadline() (time.Time, bool) { return time.Time{}, false }
func (o whileOpen) Done() <-chan struct{}       { return o.c.Done() }
func (o whileOpen) Value(any) any               { return nil }
func (o whileOpen) Err() error {
	if ended, _ := o.c.Ended(); ended {
		return context.Canceled
	}
	return nil
}

// pause waits, and reports whether the connection is still there.
func pause(c *zerobustest.Connection, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.Done():
		return false
	}
}

// drive acknowledges what a connection receives, in the way of its script, and refuses poison.
func (w *simWorld) drive(c *zerobustest.Connection, s simConn) {
	l := w.link(c)
	r := generator(w.plan.seed, uint64(2000+c.Number()))
	acked, looked := int64(-1), 0
	for {
		var requests []zerobustest.Request
		if w.srv.WaitFor(whileOpen{c}, func() bool {
			requests = c.Requests()
			return len(requests) > looked || s.acks != acksNever && int64(len(requests)-1) > acked
		}) != nil {
			return
		}
		for ; looked < len(requests); looked++ {
			if slices.ContainsFunc(requests[looked].Records, poisonous) {
				w.refuse(c, s, r, acked, int64(looked))
				return
			}
		}
		if s.acks == acksNever {
			continue
		}
		target := int64(len(requests) - 1)
		if s.acks == acksJumpy {
			target = acked + 1 + r.Int64N(target-acked)
		}
		if s.acks != acksPrompt && !pause(c, coarse(r, s.ackDelay+1)) {
			return
		}
		if !pause(c, time.Duration(l.stall.Load())-time.Since(w.began)) {
			return
		}
		w.ack(c, target)
		acked = target
		if s.acks == acksJumpy && chance(r, 30) {
			w.saw("an ack that came twice or went back")
			w.ack(c, r.Int64N(acked+1))
		}
	}
}

// refuse ends a connection because of the poison in a request.
func (w *simWorld) refuse(c *zerobustest.Connection, s simConn, r *rand.Rand, acked, poison int64) {
	if s.acks == acksNever {
		s.poison = 2
	}
	switch before := poison - 1; {
	case s.poison == 0 && before > acked:
		w.ack(c, before)
	case s.poison == 1 && before > acked:
		w.ack(c, acked+1+r.Int64N(before-acked))
	}
	if pause(c, s.refusal) {
		w.note("server", "connection %d refuses request %d", c.Number(), poison)
		c.Fail(codes.InvalidArgument, "poison")
	}
}

// ack acknowledges what was received.
func (w *simWorld) ack(c *zerobustest.Connection, upTo int64) {
	l := w.link(c)
	l.do(func() {
		w.note("server", "connection %d acknowledges %d", c.Number(), upTo)
		if !l.liar {
			w.judgeInflight(c, l)
			l.acked = max(l.acked, upTo)
		}
		c.Ack(upTo)
	})
}

// judgeInflight checks that the client does not have more in flight than it may: so much as the server has and has not
// acknowledged it has at least.
func (w *simWorld) judgeInflight(c *zerobustest.Connection, l *simLink) {
	calls, records, size := 0, 0, 0
	for _, request := range c.Requests()[l.acked+1:] {
		records += len(request.Records)
		for _, rec := range request.Records {
			size += len(rec)
			if bytes.Contains(rec[:min(len(rec), 60)], []byte(`"i":0,`)) {
				calls++
			}
		}
	}
	if s := w.plan.settings; l.guess < 0 && w.plan.extra == 0 && calls > 1 && (records > s.MaxInflightRecords || size > s.MaxInflightBytes) {
		w.fault("connection %d: %d records with %d bytes, of %d calls, are in flight", c.Number(), records, size, calls)
	}
}

// halfClosed is what happens when the client sends no more.
func (w *simWorld) halfClosed(c *zerobustest.Connection, s simConn) {
	switch s.onClose {
	case 1:
		if n := int64(len(c.Requests())); n > 0 && pause(c, s.ackDelay) && !slices.ContainsFunc(c.Records(), poisonous) && s.acks != acksNever {
			w.saw("acks after the half-close")
			w.ack(c, n-1)
		}
	case 2:
		w.saw("a half-close without an end")
		<-c.Done()
	}
}

// later is misbehave for connections whose script was not known when they were opened.
func (w *simWorld) later(c *zerobustest.Connection, f simFault) {
	if f.on >= 0 {
		if w.srv.WaitFor(whileOpen{c}, func() bool { return int64(len(c.Requests())) > f.on }) != nil {
			return
		}
	} else if !pause(c, f.after) {
		return
	}
	w.misbehave(c, f)
}

// misbehave commits a fault.
func (w *simWorld) misbehave(c *zerobustest.Connection, f simFault) {
	if ended, _ := c.Ended(); ended {
		return
	}
	l := w.link(c)
	w.note("server", "connection %d: %v", c.Number(), f)
	w.saw("fault " + f.kind.String())
	lie := func(send func()) {
		l.do(func() {
			l.liar = true
			send()
		})
	}
	switch f.kind {
	case faultKill:
		c.Kill()
	case faultEnd:
		c.End()
	case faultFail, faultTerminal:
		c.Fail(f.code, "a bad day")
	case faultRefusal:
		l.do(func() {
			l.refusing = true
			c.Fail(f.code, "no reason")
		})
	case faultStopReading:
		c.StopReading()
	case faultStall:
		l.stall.Store(int64(time.Since(w.began) + f.d))
	case faultSignal, faultSignalNow:
		w.signal(c, f)
	case faultAckBeyond:
		lie(func() { c.Ack(int64(w.plan.calls) + f.n) })
	case faultAckNext:
		l.do(func() {
			next := int64(len(c.Requests()))
			if !l.liar {
				l.guess = max(l.guess, next)
			}
			c.Ack(next)
		})
	case faultAckNegative:
		lie(func() { c.Ack(f.n) })
	case faultAckNothing:
		lie(c.AckNothing)
	case faultGarbage:
		lie(func() { c.Send(simGarbage[int(uint64(f.n)%uint64(len(simGarbage)))]) })
	case faultGoAway:
		w.srv.GoAway()
	}
}

// signal announces the end of a connection, and does what the script says then.
func (w *simWorld) signal(c *zerobustest.Connection, f simFault) {
	l := w.link(c)
	send := func() { c.CloseSignal(f.d) }
	if f.kind == faultSignalNow {
		send = c.CloseSignalNow
	}
	l.do(send)
	if !pause(c, f.wait) {
		return
	}
	switch f.then {
	case 1:
		c.End()
	case 2:
		c.Fail(f.code, "as announced")
	case 3:
		c.Kill()
	case 4:
		l.do(send)
	}
}

// accepted reports whether the client may have believed an acknowledgement of a request that was not received, and with
// it which records: those of the message that it had sent as the next one.
func (l *simLink) accepted(w *simWorld) (records int, ok bool) {
	if l.guess < 0 {
		return 0, false
	}
	sent := w.hooked.sent[w.streamID(l)]
	if int64(len(sent)) <= l.guess {
		return 0, false
	}
	return sent[l.guess], true
}
