package zerobustest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// tableHeader is the metadata key that carries the table's name.
const tableHeader = "x-databricks-zerobus-table-name"

// Create is a request to create a stream.
type Create struct {
	Table      string // catalog.schema.table
	Descriptor []byte // a serialized google.protobuf.DescriptorProto; nil when there is none
	RecordType int32  // 1 for PROTO, 2 for JSON; 0 when it was not sent, which means PROTO
}

// Request is a request with records.
type Request struct {
	Offset  int64     // of the connection, from 0; a batch has one
	JSON    bool      // whether the records are JSON, and not protobuf
	Batch   bool      // whether it is a batch, also one of a single record
	Records [][]byte  // as they were sent
	First   int64     // the number of the first record among its producer's; -1 on a connection without one
	Told    bool      // whether the request says so itself, and does not follow on the one before
	Arrived time.Time // by the time package's clock, which a bubble has of its own
}

// Connection is one opened stream: its log, and the means to act on it.
type Connection struct {
	server   *Server
	socket   *socket
	stream   grpc.ServerStream
	ctx      context.Context // of the stream: done when either side has ended it
	behavior Behavior
	number   int
	metadata metadata.MD
	producer *producer // nil for none; set before the first request is read

	ending  sync.Once
	over    chan struct{} // closed when the connection shall end, once verdict says how
	verdict error
	ended   chan struct{} // closed when it has ended: once done is set

	stopping sync.Once
	stop     chan struct{}  // closed when no more requests shall be read
	acting   sync.WaitGroup // steps of offsets that run

	// sending is held while a response is sent: a stream takes one at a time. It is taken before server.mu. A client that
	// does not read can hold up who has it, so the end of the connection does not wait for it: gRPC allows a SendMsg that
	// runs when the handler returns, and ends it.
	sending sync.Mutex
	told    int64 // the highest offset that was acknowledged to the client, or -1; guarded by sending

	// The following are guarded by server.mu.
	create   *Create
	requests []Request
	acked    int64 // the highest acknowledged offset, or -1
	durable  int   // requests whose records are in server.records
	next     int64 // number of the next record, on the connection of a producer
	late     []lateAck
	closed   bool // the client sends no more
	done     bool // and nothing becomes durable any more
	err      error
}

// lateAck is an acknowledgement that is due later.
type lateAck struct {
	offset int64
	due    time.Time
}

// serve runs one stream from beginning to end. It returns with the first verdict; a reader that still waits for a
// request then gets an error from the stream and ends too.
func (s *Server) serve(k *socket, stream grpc.ServerStream) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	c := &Connection{
		server:   s,
		socket:   k,
		stream:   stream,
		ctx:      stream.Context(),
		metadata: md.Copy(),
		over:     make(chan struct{}),
		ended:    make(chan struct{}),
		stop:     make(chan struct{}),
		told:     -1,
		acked:    -1,
	}
	s.mu.Lock()
	c.number = len(s.connections)
	if err := s.authorize(c.metadata); err != nil {
		c.behavior = refuseAtOnce(err)
	} else {
		c.behavior = s.next(c.header(tableHeader))
	}
	s.connections = append(s.connections, c)
	s.tell()
	s.mu.Unlock()

	if c.behavior.refused {
		c.end(c.behavior.atOnce)
	} else {
		s.running.Go(c.read)
	}
	select {
	case <-c.over:
	case <-c.ctx.Done():
		c.end(status.FromContextError(c.ctx.Err()).Err())
	}
	err := c.verdict
	if errors.As(err, new(*taken)) {
		stream.SetTrailer(metadata.Pairs(producerTaken, "1"))
	}

	s.mu.Lock()
	c.done, c.err = true, err
	close(c.ended)
	s.tell()
	s.mu.Unlock()
	return err
}

// read takes the requests one after the other. It is the only goroutine that reads from the stream.
func (c *Connection) read() {
	// A function of the test that calls t.FailNow ends this goroutine. The client shall not wait for it.
	defer c.end(status.Error(codes.Internal, "the script did not return"))
	if err := c.introduce(); err != nil {
		c.end(err)
		return
	}
	if !c.behavior.lateHeaders {
		// Some clients send nothing before they have the headers.
		if err := c.stream.SendHeader(nil); err != nil {
			c.end(err)
			return
		}
	}
	for first := true; ; first = false {
		select {
		case <-c.stop:
			<-c.ctx.Done()
			return
		default:
		}
		var frame wire.Frame
		err := c.stream.RecvMsg(&frame)
		switch {
		case err == io.EOF:
			c.close()
			return
		case err != nil:
			c.end(err)
			return
		}
		if first {
			err = c.open(frame.Bytes())
		} else {
			err = c.take(frame.Bytes())
		}
		frame.Free()
		if err != nil {
			c.end(err)
			return
		}
	}
}

// open reads the first request and creates the stream.
func (c *Connection) open(b []byte) error {
	var r wire.Request
	if err := wire.ParseRequest(b, &r); err != nil {
		return invalid("malformed request: %v", err)
	}
	if r.Kind != wire.RequestCreate {
		return invalid("the first request is %s, not create_stream", r.Kind)
	}
	header := c.header(tableHeader)
	switch {
	case r.Create.Table == "":
		return invalid("table name is empty")
	case header != "" && header != r.Create.Table:
		return invalid("table name %q differs from the header's", r.Create.Table)
	case r.Create.HasType && r.Create.Type != wire.Proto && r.Create.Type != wire.JSON:
		return invalid("Record type is not specified")
	case r.Create.Type != wire.JSON && len(r.Create.Descriptor) == 0:
		return invalid("a descriptor is required for records of type PROTO")
	}
	c.server.mu.Lock()
	c.create = &Create{Table: r.Create.Table, Descriptor: r.Create.Descriptor, RecordType: int32(r.Create.Type)}
	c.server.tell()
	c.server.mu.Unlock()

	c.act(c.behavior.onCreate)
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", c.number)
	if c.behavior.streamID != nil {
		id = *c.behavior.streamID
	}
	c.send(wire.Response{Kind: wire.ResponseCreated, StreamID: id})
	for _, step := range c.behavior.after {
		c.server.running.Go(func() {
			c.wait(step.delay)
			c.act(step.actions)
		})
	}
	return nil
}

// take reads a request with records.
func (c *Connection) take(b []byte) error {
	var r wire.Request
	if err := wire.ParseRequest(b, &r); err != nil {
		return invalid("malformed request: %v", err)
	}
	if r.Kind != wire.RequestRecord && r.Kind != wire.RequestBatch {
		return invalid("the request is %s, not a record or a batch", r.Kind)
	}
	request := Request{
		Offset: r.Offset, JSON: r.Type == wire.JSON, Batch: r.Kind == wire.RequestBatch,
		First: -1, Told: r.HasFirst, Arrived: time.Now(),
	}
	want := int64(len(c.requests)) // written by this goroutine alone
	switch {
	case !r.HasOffset:
		return invalid("the request has no offset")
	case r.Offset != want:
		return invalid("Non-incremental offset: expected %d, actual %d. Error Code: 4002, Error State: 0.", want, r.Offset)
	case r.Type == wire.Unspecified:
		return invalid("the request with offset %d has no records", r.Offset)
	case request.JSON != (c.create.RecordType == int32(wire.JSON)):
		return invalid("the records of offset %d are %s, which is not the stream's type", r.Offset, r.Type)
	case len(r.Body) > wire.MaxRequest:
		return invalid("the request with offset %d has %d bytes of records, the limit is %d", r.Offset, len(r.Body), wire.MaxRequest)
	}
	var err error
	if request.Records, err = records(r); err != nil {
		return invalid("malformed batch at offset %d: %v", r.Offset, err)
	}

	if err := c.count(&request, r); err != nil {
		return err
	}
	if err := c.validate(request.Records); err != nil {
		return c.refuse(r.Offset, err)
	}
	c.server.mu.Lock()
	if c.done { // while the records were validated: nothing becomes durable any more
		c.server.mu.Unlock()
		return nil
	}
	c.requests = append(c.requests, request)
	c.settle()
	c.server.tell()
	c.server.mu.Unlock()

	if actions, found := c.behavior.onOffset[r.Offset]; found {
		c.start(actions)
		return nil
	}
	if !c.behavior.ackAll {
		return nil
	}
	if c.behavior.ackDelay == 0 {
		c.ack(r.Offset, false)
		return nil
	}
	c.ackLater(r.Offset)
	return nil
}

// records returns copies of the request's records.
func records(r wire.Request) ([][]byte, error) {
	if r.Kind == wire.RequestRecord {
		return [][]byte{append([]byte{}, r.Body...)}, nil
	}
	var all [][]byte
	for body := r.Body; ; {
		rec, rest, err := wire.NextRecord(body)
		if err != nil {
			return nil, err
		}
		if rec == nil {
			return all, nil
		}
		all, body = append(all, append([]byte{}, rec...)), rest
	}
}

// close ends the connection after the client has ended its side: steps that run finish first, and so send what they
// have to acknowledge.
func (c *Connection) close() {
	c.server.mu.Lock()
	c.closed = true
	c.server.tell()
	c.server.mu.Unlock()
	c.act(c.behavior.onClose)
	c.acting.Wait()
	c.end(nil)
}

// start runs the actions of a step on a goroutine of their own.
func (c *Connection) start(actions []Action) {
	c.acting.Add(1)
	c.server.running.Go(func() {
		defer c.acting.Done()
		c.act(actions)
	})
}

// ackLater acknowledges the offset after the behavior's delay. One goroutine sends all late acknowledgements, so that
// they keep their order; it lives as long as some are due.
func (c *Connection) ackLater(offset int64) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.late = append(c.late, lateAck{offset, time.Now().Add(c.behavior.ackDelay)})
	if len(c.late) > 1 {
		return
	}
	c.acting.Add(1)
	c.server.running.Go(func() {
		defer c.acting.Done()
		for more := true; more; {
			c.server.mu.Lock()
			next := c.late[0]
			c.server.mu.Unlock()
			c.wait(time.Until(next.due))
			c.ack(next.offset, false)
			c.server.mu.Lock()
			c.late = c.late[1:]
			more = len(c.late) > 0
			c.server.mu.Unlock()
		}
	})
}

// act runs actions until the connection ends.
func (c *Connection) act(actions []Action) {
	for _, a := range actions {
		if c.isOver() {
			return
		}
		if a != nil {
			a(c)
		}
	}
}

func (c *Connection) wait(d time.Duration) {
	if d <= 0 {
		return // without a timer: several that fire at once in a bubble can crash the race detector (seen with go1.26.8)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.over:
	case <-c.ctx.Done():
	}
}

// end gives the verdict, if there is none yet.
func (c *Connection) end(err error) {
	c.ending.Do(func() {
		c.verdict = err
		close(c.over)
	})
}

func (c *Connection) isOver() bool {
	select {
	case <-c.over:
		return true
	case <-c.ctx.Done():
		return true
	default:
		return false
	}
}

func (c *Connection) header(key string) string {
	if v := c.metadata.Get(key); len(v) > 0 {
		return v[0]
	}
	return ""
}

// settle makes the records of acknowledged requests durable.
//
// server.mu is held.
func (c *Connection) settle() {
	for c.durable < len(c.requests) && c.requests[c.durable].Offset <= c.acked {
		table, request := c.create.Table, c.requests[c.durable]
		c.server.records[table] = append(c.server.records[table], c.producer.fresh(request)...)
		c.durable++
	}
}

// invalid is the error for a client that breaks a rule.
func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}
