package conn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// Reasons for an end. All of them may be retried on a new connection.
var (
	// ErrEnded is a stream that the server ended with status OK, although nobody asked for it.
	ErrEnded = errors.New("the server ended the stream")

	// ErrRotated is a stream that was given up after the server's close signal.
	ErrRotated = errors.New("the server asked to close the stream")

	// ErrNoResponse is a server that let the time for the handshake pass in silence.
	ErrNoResponse = errors.New("no response to create_stream yet")

	// ErrFinished is the end that [Conn.Finish] asked for.
	ErrFinished = errors.New("the stream is finished")
)

// ProtocolError is a message that a correct server does not send.
type ProtocolError struct {
	Err error
}

// Error says what was wrong.
func (e *ProtocolError) Error() string { return "protocol error: " + e.Err.Error() }

// Unwrap returns what was wrong.
func (e *ProtocolError) Unwrap() error { return e.Err }

// Ended is the end of a stream by the server, with what it had to say beside the status.
type Ended struct {
	Err     error // has a gRPC status
	Trailer metadata.MD
}

// Error is that of the status.
func (e *Ended) Error() string { return e.Err.Error() }

// Unwrap returns the error with the status.
func (e *Ended) Unwrap() error { return e.Err }

// Message is one request to send: a batch body, or a single record without framing.
type Message struct {
	Offset   int64 // on the wire
	Single   bool
	Numbered bool       // whether it says what number its first record has
	First    int64      // that number; 0 or more
	Body     mem.Buffer // the connection owns this reference
}

// Owner is what a connection works for. Its methods are called with the connection's generation, from the sender (Take,
// Gathering, Sent) and from the receiver (Ack, CloseSignal), also after the owner has turned to a newer generation.
type Owner interface {
	// Take returns the next message to send. When there is none, [Conn.Wake] must follow as soon as there is one.
	Take(gen uint64) (Message, bool)

	// Gathering reports whether the next message is small yet, and likely to grow. It is asked before Take where
	// [Config].BatchPause is set.
	Gathering(gen uint64) bool

	// Sent says that the message taken last is in the transport's hands.
	Sent(gen uint64) (drained bool)

	// Ack settles everything up to and with a wire offset. An error is the server's fault and ends the connection.
	Ack(gen uint64, upTo int64) (drained bool, err error)

	// CloseSignal says that the server will end the stream in so long a time. When the owner pauses, Take gives this
	// generation nothing from now on, and drained reports here and in Sent and Ack that the generation is paused and
	// that all that it has taken is settled. Otherwise the stream goes on until the server ends it.
	CloseSignal(gen uint64, in time.Duration) (paused, drained bool)
}

// Config says how to open a connection.
type Config struct {
	Gen    uint64
	Client grpc.ClientConnInterface // with the codec of package wire
	Header metadata.MD
	Create wire.CreateStream
	Owner  Owner

	// Check is given the headers of the server's answer once the handshake has succeeded. An error of it is Open's. Nil is no
	// check.
	Check func(metadata.MD) error

	// BatchPause is how long the sender waits before it takes a message that is gathering. 0 for not at all.
	BatchPause time.Duration

	// MaxPause bounds the wait for acknowledgements after a close signal, together with the time that the server
	// gives. Negative means the server's time alone.
	MaxPause time.Duration
}

// drainRotated is how long a rotated stream may take for its end after the half-close. A cancelled stream is an error in
// the server's log, so it is worth a moment; not more, since records may wait for the next connection.
const drainRotated = 100 * time.Millisecond

// maxGrace bounds the time that a server gives. Servers say seconds, or a few minutes; what is beyond is a fault, and
// would hold the stream up for as long.
const maxGrace = 2 * time.Minute

// maxStreamID bounds the id that a server gives, in bytes: it stands in every error and log line. Ids in use are UUIDs.
const maxStreamID = 256

// Conn is one connection generation.
type Conn struct {
	cfg    Config
	stream grpc.ClientStream
	id     string

	ctx    context.Context // of the stream; its cause is why it was aborted
	cancel context.CancelCauseFunc

	wake      chan struct{} // capacity 1: something to send, or half-close
	halfClose atomic.Bool
	pauses    *time.Timer // the sender's; nil until the first pause
	ended     chan struct{}

	mu     sync.Mutex
	ending error       // guarded by mu: what the half-close was for; nil before
	timer  *time.Timer // guarded by mu: of the pause, then of the drain

	err error // set before ended is closed
}

// Open opens the stream and shakes hands. ctx bounds the handshake only; a connection lives until it ends. Nothing is
// sent or received before [Conn.Start], which must follow. On error nothing is left behind.
func Open(ctx context.Context, cfg Config) (*Conn, error) {
	life, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	c := &Conn{
		cfg:    cfg,
		ctx:    life,
		cancel: cancel,
		wake:   make(chan struct{}, 1),
		ended:  make(chan struct{}),
	}
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	err := c.handshake()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = c.late(context.Cause(ctx)) // not the broken stream that came of it
		}
		cancel(err)
		return nil, err
	}
	return c, nil
}

// Start has the connection send and receive. It follows Open, once.
func (c *Conn) Start() { go c.run() }

// desc is a literal, not the generated one: nothing of the protocol is registered.
var desc = grpc.StreamDesc{StreamName: "EphemeralStream", ClientStreams: true, ServerStreams: true}

func (c *Conn) handshake() error {
	ctx := metadata.NewOutgoingContext(c.ctx, c.cfg.Header)
	stream, err := c.cfg.Client.NewStream(ctx, &desc, wire.Method, grpc.ForceCodecV2(wire.Codec()))
	if err != nil {
		return err
	}
	c.stream = stream
	create := mem.SliceBuffer(wire.AppendCreateStream(nil, c.cfg.Create))
	if err := stream.SendMsg(&wire.Outgoing{Buffers: mem.BufferSlice{create}}); err != nil && err != io.EOF {
		return err
	}
	var in wire.Incoming
	if err := stream.RecvMsg(&in); err != nil {
		if err == io.EOF {
			return fmt.Errorf("no response to create_stream: %w", ErrEnded)
		}
		return c.status(err)
	}
	resp, err := wire.ParseResponse(in.Bytes)
	switch {
	case err != nil:
		return &ProtocolError{err}
	case resp.Kind != wire.ResponseCreated:
		return &ProtocolError{fmt.Errorf("no response to create_stream: %s came instead", resp.Kind)}
	case resp.StreamID == "":
		return &ProtocolError{errors.New("create_stream_response has no stream id")}
	case len(resp.StreamID) > maxStreamID || strings.ContainsFunc(resp.StreamID, unicode.IsControl):
		return &ProtocolError{errors.New("the stream id of create_stream_response is too long or not text")}
	}
	c.id = resp.StreamID
	if c.cfg.Check == nil {
		return nil
	}
	md, err := stream.Header() // came before the response, so this does not wait
	if err != nil {
		return err
	}
	return c.cfg.Check(md)
}

// status adds the trailer, where there is one, to an error of RecvMsg.
func (c *Conn) status(err error) error {
	if md := c.stream.Trailer(); err != io.EOF && len(md) > 0 {
		return &Ended{Err: err, Trailer: md}
	}
	return err
}

// late says what the handshake was waiting for when its time was over.
func (c *Conn) late(cause error) error {
	if c.stream == nil {
		return fmt.Errorf("no connection to the server yet: %w", cause)
	}
	return fmt.Errorf("%w: %w", ErrNoResponse, cause)
}

// ID returns the server's id of the stream.
func (c *Conn) ID() string { return c.id }

// Gen returns the connection's generation.
func (c *Conn) Gen() uint64 { return c.cfg.Gen }

// Done is closed when the connection has ended and its goroutines have returned.
func (c *Conn) Done() <-chan struct{} { return c.ended }

// Err returns why the connection ended. It is good after Done: ErrEnded, ErrRotated, ErrFinished, a [*ProtocolError],
// an error with a gRPC status, which is an [*Ended] if there was a trailer, or the cause given to Abort.
func (c *Conn) Err() error { return c.err }

// Wake says that the owner has something to send, and ends a pause. It never blocks.
func (c *Conn) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Abort ends the connection now. Its end has this cause unless it has ended already.
func (c *Conn) Abort(cause error) { c.cancel(cause) }

// Finish closes the sending side, once what the owner has is sent, and gives the server the time to end the stream. It
// returns at once.
func (c *Conn) Finish(drain time.Duration) { c.end(ErrFinished, drain) }

// end half-closes the stream for a reason, the first one, and aborts it when the server takes longer than drain to end
// it.
func (c *Conn) end(reason error, drain time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending != nil {
		return
	}
	c.ending = reason
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer = time.AfterFunc(drain, func() { c.cancel(reason) })
	c.halfClose.Store(true)
	c.Wake()
}

// run is the connection's life after the handshake.
func (c *Conn) run() {
	labels := pprof.Labels("zerobus", "conn")
	var sender sync.WaitGroup
	sender.Go(func() { pprof.Do(c.ctx, labels, func(context.Context) { c.send() }) })
	var err error
	pprof.Do(c.ctx, labels, func(context.Context) { err = c.receive() })

	c.mu.Lock()
	if c.timer != nil {
		c.timer.Stop()
	}
	c.err = c.verdict(err)
	c.ending = c.err // a timer that fires now does nothing
	c.mu.Unlock()
	c.cancel(c.err) // wakes the sender
	sender.Wait()
	close(c.ended)
}

// verdict says why the connection ended, given what the receiver met. c.mu is held.
func (c *Conn) verdict(err error) error {
	switch {
	case c.ctx.Err() != nil:
		return context.Cause(c.ctx) // aborted: the status is only an echo
	case c.ending != nil:
		return c.ending // we have ended it; how the server answers does not matter
	case err == io.EOF:
		return ErrEnded
	}
	return err
}

// send takes messages from the owner until there is nothing to send on.
func (c *Conn) send() {
	for {
		if c.cfg.BatchPause > 0 && c.cfg.Owner.Gathering(c.cfg.Gen) {
			c.pause()
			if c.ctx.Err() != nil {
				return
			}
		}
		m, ok := c.cfg.Owner.Take(c.cfg.Gen)
		if !ok {
			if c.halfClose.Load() {
				c.stream.CloseSend() // its error would be the receiver's, too
				return
			}
			select {
			case <-c.wake:
			case <-c.ctx.Done():
				return
			}
			continue
		}
		if c.sendMessage(m) != nil {
			return // the receiver knows why
		}
		if c.cfg.Owner.Sent(c.cfg.Gen) {
			c.end(ErrRotated, drainRotated)
		}
	}
}

// pause waits for more to gather, but not when the connection is to end.
func (c *Conn) pause() {
	if c.halfClose.Load() {
		return
	}
	if c.pauses == nil {
		c.pauses = time.NewTimer(c.cfg.BatchPause)
	} else {
		c.pauses.Reset(c.cfg.BatchPause)
	}
	select {
	case <-c.pauses.C:
	case <-c.wake:
		c.pauses.Stop()
	case <-c.ctx.Done():
		c.pauses.Stop()
	}
}

// sendMessage puts a prefix before the body. Both belong to the transport afterwards.
func (c *Conn) sendMessage(m Message) error {
	p := new(packet)
	p.prefix = p.space[:0]
	if m.Numbered {
		p.prefix = wire.AppendFirstRecord(p.prefix, m.First)
	}
	if m.Single {
		p.prefix = wire.AppendSinglePrefix(p.prefix, m.Offset, c.cfg.Create.Type, m.Body.Len())
	} else {
		p.prefix = wire.AppendBatchPrefix(p.prefix, m.Offset, c.cfg.Create.Type, m.Body.Len())
	}
	p.buffers = [2]mem.Buffer{&p.prefix, m.Body}
	p.Buffers = p.buffers[:]
	return c.stream.SendMsg(&p.Outgoing)
}

// packet is all that a message needs, in one allocation. The transport keeps it until the message is written.
type packet struct {
	wire.Outgoing
	buffers [2]mem.Buffer
	prefix  mem.SliceBuffer
	space   [wire.MaxPrefix]byte
}

// receive hands the server's messages to the owner until the stream ends.
func (c *Conn) receive() error {
	var in wire.Incoming
	for {
		if err := c.stream.RecvMsg(&in); err != nil {
			return c.status(err)
		}
		resp, err := wire.ParseResponse(in.Bytes)
		if err != nil {
			return &ProtocolError{err}
		}
		switch {
		case resp.Kind == wire.ResponseAck && resp.HasAck:
			drained, err := c.cfg.Owner.Ack(c.cfg.Gen, resp.AckUpTo)
			if err != nil {
				return &ProtocolError{err}
			}
			if drained {
				c.end(ErrRotated, drainRotated)
			}
		case resp.Kind == wire.ResponseAck:
			return &ProtocolError{errors.New("an acknowledgement without an offset")}
		case resp.Kind == wire.ResponseClose:
			c.closeSignal(resp)
		default:
			return &ProtocolError{fmt.Errorf("%s after the handshake", resp.Kind)}
		}
	}
}

// closeSignal ends the stream when all that was sent is settled or the grace is over.
func (c *Conn) closeSignal(resp wire.Response) {
	in := max(0, resp.CloseIn) // no duration means now
	paused, drained := c.cfg.Owner.CloseSignal(c.cfg.Gen, in)
	if !paused {
		return
	}
	grace := min(in, maxGrace)
	if c.cfg.MaxPause >= 0 {
		grace = min(grace, c.cfg.MaxPause)
	}
	if drained {
		c.end(ErrRotated, drainRotated)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer == nil { // the first signal counts
		c.timer = time.AfterFunc(grace, func() { c.end(ErrRotated, drainRotated) })
	}
}

// Rotated reports whether the connection ended because the server asked for it. It is good after Done.
func (c *Conn) Rotated() bool { return errors.Is(c.err, ErrRotated) }
