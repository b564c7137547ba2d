package zerobustest

import (
	"bytes"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// ack makes durable and acknowledges what is up to and with the offset. Unless always, an offset that the client was
// told of already, by a step, is left out.
func (c *Connection) ack(offset int64, always bool) {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.isOver() || offset <= c.told && !always {
		return
	}
	if !c.commit(offset) { // ended since we looked
		return
	}
	c.told = max(c.told, offset)
	c.transmit(wire.AppendResponse(nil, wire.Response{Kind: wire.ResponseAck, AckUpTo: offset, HasAck: true}))
}

// commit makes durable what is up to and with the offset. It reports whether the connection had not ended.
func (c *Connection) commit(offset int64) bool {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.done {
		return false
	}
	c.acked = max(c.acked, offset)
	c.settle()
	c.server.tell()
	return true
}

// transmit sends a response that nobody else refers to.
//
// c.sending is held.
func (c *Connection) transmit(response []byte) {
	if c.isOver() {
		return
	}
	out := wire.Outgoing{Buffers: mem.BufferSlice{mem.SliceBuffer(response)}}
	if err := c.stream.SendMsg(&out); err != nil {
		c.end(err)
	}
}

func (c *Connection) send(r wire.Response) { c.Send(wire.AppendResponse(nil, r)) }

// Send sends bytes as a response, whatever they are. After the end of the connection it does nothing, like everything
// else that sends. Where the client does not read, sending waits for it, until the connection ends.
func (c *Connection) Send(response []byte) {
	c.sending.Lock()
	defer c.sending.Unlock()
	c.transmit(bytes.Clone(response))
}

// Ack acknowledges everything up to and with the offset: the records become durable, then the client is told. An offset
// that was not received yet, or was acknowledged before, is sent all the same.
func (c *Connection) Ack(offset int64) { c.ack(offset, true) }

// Commit makes everything up to and with the offset durable, as [Connection.Ack] does, and tells nobody.
func (c *Connection) Commit(offset int64) { c.commit(offset) }

// AckNothing sends an acknowledgement that names no offset, which is a fault.
func (c *Connection) AckNothing() { c.send(wire.Response{Kind: wire.ResponseAck}) }

// Fail ends the connection with an error.
func (c *Connection) Fail(code codes.Code, text string) { c.end(status.Error(code, text)) }

// End ends the connection without an error.
func (c *Connection) End() { c.end(nil) }

// CloseSignal says that the server ends the connection after d, without doing so.
func (c *Connection) CloseSignal(d time.Duration) {
	c.send(wire.Response{Kind: wire.ResponseClose, CloseIn: d, HasCloseIn: true})
}

// CloseSignalNow is a signal without a duration.
func (c *Connection) CloseSignalNow() {
	c.send(wire.Response{Kind: wire.ResponseClose})
}

// Kill breaks the TCP connection at once, and with it all streams on it. Responses that have not left yet are lost. It
// returns when the stream has ended of it. On a connection that has ended, it still breaks the TCP connection, where
// other streams may be.
func (c *Connection) Kill() {
	c.socket.kill()
	<-c.ended // so that nothing that a step does next counts
}

// StopReading reads no more requests, but for one that may be waited for already.
func (c *Connection) StopReading() { c.stopping.Do(func() { close(c.stop) }) }

// Done returns a channel that is closed when the connection has ended, whoever ended it, and [Connection.Ended] tells.
func (c *Connection) Done() <-chan struct{} { return c.ended }

// Number returns the connection's place among all of the server's, from 0.
func (c *Connection) Number() int { return c.number }

// Metadata returns what the client sent as headers.
func (c *Connection) Metadata() metadata.MD { return c.metadata.Copy() }

// Create returns the request that created the stream, and false as long as none was received.
func (c *Connection) Create() (Create, bool) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.create == nil {
		return Create{}, false
	}
	return *c.create, true
}

// Requests returns the requests with records that were received, in order, but for one that broke a rule or that
// [Server.Validate] refused.
func (c *Connection) Requests() []Request {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	return slices.Clone(c.requests)
}

// Records returns the records of [Connection.Requests], acknowledged or not.
func (c *Connection) Records() [][]byte {
	var all [][]byte
	for _, r := range c.Requests() {
		all = append(all, r.Records...)
	}
	return all
}

// HalfClosed tells whether the client has said that it sends no more.
func (c *Connection) HalfClosed() bool {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	return c.closed
}

// Ended tells whether the connection has ended, and the gRPC status it ended with: nil for OK, the code Canceled when
// the client left.
func (c *Connection) Ended() (bool, error) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	return c.done, c.err
}
