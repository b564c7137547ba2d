package zerobustest

import (
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Behavior is what one connection does. It may be used for many. The zero Behavior is Accept().
type Behavior struct {
	refused     bool  // ends before anything is read, with atOnce
	atOnce      error // nil for OK
	lateHeaders bool
	plain       bool // knows no producers
	ackAll      bool
	ackDelay    time.Duration
	streamID    *string
	onCreate    []Action
	onOffset    map[int64][]Action
	onClose     []Action
	after       []timed
}

type timed struct {
	delay   time.Duration
	actions []Action
}

// Accept is a connection that creates its stream and then does what the steps say, and nothing else: it acknowledges
// nothing unless told to.
func Accept(steps ...Step) Behavior {
	var b Behavior
	for _, step := range steps {
		if step != nil {
			step(&b)
		}
	}
	return b
}

// Refuse is a connection that answers the creation of its stream with an error.
func Refuse(code codes.Code, text string) Behavior {
	return Accept(OnCreate(Fail(code, text)))
}

// RefuseAtOnce is a connection that ends with an error and no headers, before it reads a thing.
func RefuseAtOnce(code codes.Code, text string) Behavior {
	return refuseAtOnce(status.Error(code, text))
}

func refuseAtOnce(err error) Behavior { return Behavior{refused: true, atOnce: err} }

// Silent is a connection that never answers the creation of its stream.
func Silent() Behavior {
	return Accept(OnCreate(Hang()))
}

// Step is one line of a connection's script: when something happens, do something. A nil Step does nothing. To wait
// for a duration that is not positive is not to wait.
type Step func(*Behavior)

// AckAll acknowledges every request as soon as it arrives, but for those that an [On] step is about.
func AckAll() Step { return AckAllAfter(0) }

// AckAllAfter is [AckAll], some time after the request's arrival.
func AckAllAfter(d time.Duration) Step {
	return func(b *Behavior) { b.ackAll, b.ackDelay = true, d }
}

// StreamID gives the stream an id of the test's choice, which may be empty.
func StreamID(id string) Step {
	return func(b *Behavior) { b.streamID = &id }
}

// LateHeaders sends the response headers with the first response, instead of at once. Some servers do so.
func LateHeaders() Step {
	return func(b *Behavior) { b.lateHeaders = true }
}

// OnCreate acts when the request to create the stream arrives, and before it is answered.
func OnCreate(actions ...Action) Step {
	return func(b *Behavior) { b.onCreate = append(b.onCreate, actions...) }
}

// On acts when the request with the offset arrives: an offset of the connection, from 0, where a batch has one. Actions
// of different steps run beside each other, and while further requests arrive.
func On(offset int64, actions ...Action) Step {
	return func(b *Behavior) {
		if b.onOffset == nil {
			b.onOffset = map[int64][]Action{}
		}
		b.onOffset[offset] = append(b.onOffset[offset], actions...)
	}
}

// OnClose acts when the client has said that it sends no more, and before the connection ends for that.
func OnClose(actions ...Action) Step {
	return func(b *Behavior) { b.onClose = append(b.onClose, actions...) }
}

// After acts some time after the stream was created.
func After(d time.Duration, actions ...Action) Step {
	return func(b *Behavior) { b.after = append(b.after, timed{d, actions}) }
}

// Action is something that a connection does. The actions of a step run in order, until one ends the connection. A nil
// Action does nothing.
type Action func(*Connection)

// Ack acknowledges everything up to and with the offset.
func Ack(offset int64) Action { return func(c *Connection) { c.Ack(offset) } }

// Commit makes everything up to and with the offset durable without a word of it. With a [Kill] after it, it is an
// acknowledgement that is lost with its connection:
//
//	zerobustest.On(9, zerobustest.Commit(9), zerobustest.Kill())
func Commit(offset int64) Action { return func(c *Connection) { c.Commit(offset) } }

// AckNothing sends an acknowledgement that names no offset, which is a fault.
func AckNothing() Action { return func(c *Connection) { c.AckNothing() } }

// Fail ends the connection with an error.
func Fail(code codes.Code, text string) Action { return func(c *Connection) { c.Fail(code, text) } }

// End ends the connection without an error.
func End() Action { return func(c *Connection) { c.End() } }

// CloseSignal says that the server ends the connection after d. It does not do so: that is a step of its own.
func CloseSignal(d time.Duration) Action { return func(c *Connection) { c.CloseSignal(d) } }

// CloseSignalNow is a signal without a duration.
func CloseSignalNow() Action { return func(c *Connection) { c.CloseSignalNow() } }

// Send sends bytes as a response, whatever they are.
func Send(response []byte) Action { return func(c *Connection) { c.Send(response) } }

// Kill breaks the TCP connection at once, and with it all streams on it. Responses that have not left yet are lost, as
// they are in life. Where an [Ack] shall arrive, put a [Wait] between the two: in a testing/synctest bubble a
// millisecond is certain to be enough.
func Kill() Action { return func(c *Connection) { c.Kill() } }

// GoAway is [Server.GoAway]: it tells the clients on all TCP connections, not this one's only.
func GoAway() Action { return func(c *Connection) { c.server.GoAway() } }

// StopReading reads no more requests, so that the client is held up by flow control. What was sent can still be
// acknowledged.
func StopReading() Action { return func(c *Connection) { c.StopReading() } }

// Wait waits before the step's next action.
func Wait(d time.Duration) Action { return func(c *Connection) { c.wait(d) } }

// Hang waits until the connection ends.
func Hang() Action { return func(c *Connection) { <-c.ctx.Done() } }

// Do calls f, which may wait, but not for longer than the connection lives, which [Connection.Done] tells:
// [Server.Close] waits for f, so f must not call that.
func Do(f func(*Connection)) Action { return f }
