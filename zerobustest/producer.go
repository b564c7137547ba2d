package zerobustest

import (
	"fmt"
	"regexp"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// Metadata keys of producers; docs/wire.md describes them.
const (
	producerID      = "x-zerobus-producer-id"
	producerSession = "x-zerobus-producer-session"
	producerTry     = "x-zerobus-producer-try"
	producerFirst   = "x-zerobus-producer-first"
	producerNext    = "x-zerobus-producer-next"
	producerTaken   = "x-zerobus-producer-taken"
)

var (
	validProducer = regexp.MustCompile(`^[A-Za-z0-9._:/@-]{1,128}$`)
	validSession  = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

type producerKey struct{ table, id string }

// producer is what the server knows of one. server.mu guards it.
type producer struct {
	position int64            // the number after the last durable record
	last     string           // the session that had it last
	tries    map[string]int64 // the highest of each session
	conn     *Connection      // the last one; nil for none
}

// taken ends a connection because another one writes as its producer.
type taken struct{ *status.Status }

func (t *taken) Error() string              { return t.Err().Error() }
func (t *taken) GRPCStatus() *status.Status { return t.Status }

func takenf(format string, args ...any) error {
	return &taken{status.Newf(codes.Aborted, format, args...)}
}

// WithoutProducers makes a server that does not know producers, as Databricks' service does not: it ignores their names, and
// clients write at least once.
func WithoutProducers() Option { return func(c *config) { c.plain = true } }

// IgnoreProducer is a connection to a server that does not know producers, among others that do.
func IgnoreProducer() Step { return func(b *Behavior) { b.plain = true } }

// Position returns how far a producer is in a table: the number after its last durable record, and 0 for one that is not
// known.
func (s *Server) Position(table, producer string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.producers[producerKey{table, producer}]; p != nil {
		return p.position
	}
	return 0
}

// ForgetProducer makes a producer one that the server does not know, as a server does when it has not written for long. A
// connection that it has goes on.
func (s *Server) ForgetProducer(table, producer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.producers[producerKey{table, producer}]; p != nil {
		p.position, p.last = 0, ""
		clear(p.tries)
	}
	s.tell()
}

// introduce reads which producer the client is, has this connection take over from the one before, and answers with the
// position. The reader calls it before it reads anything.
func (c *Connection) introduce() error {
	if c.server.plain || c.behavior.plain || len(c.metadata.Get(producerID)) == 0 {
		return nil
	}
	id, session := c.header(producerID), c.header(producerSession)
	try, err := c.decimal(producerTry)
	if err != nil {
		return err
	}
	first, err := c.decimal(producerFirst)
	if err != nil {
		return err
	}
	continues := len(c.metadata.Get(producerFirst)) > 0
	table := c.header(tableHeader)
	switch {
	case !validProducer.MatchString(id):
		return invalid("%s is not valid", producerID)
	case session != "" && !validSession.MatchString(session):
		return invalid("%s is not a UUID", producerSession)
	case table == "":
		return invalid("a producer needs the header %s", tableHeader)
	case session == "":
		session = fmt.Sprintf("connection %d", c.number)
	}

	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.producers[producerKey{table, id}]
	if p == nil {
		p = &producer{tries: map[string]int64{}}
		s.producers[producerKey{table, id}] = p
	}
	for {
		switch {
		case try < p.tries[session]:
			return takenf("try %d of producer %q is behind try %d", try, id, p.tries[session])
		case continues && p.last != "" && p.last != session:
			return takenf("another client has written as producer %q meanwhile", id)
		}
		before := p.conn
		if before == nil || before.done {
			break
		}
		s.mu.Unlock()
		before.end(takenf("another connection writes as producer %q", id))
		<-before.ended // so that nothing of it becomes durable any more
		s.mu.Lock()
	}
	p.tries[session], p.last, p.conn = try, session, c
	c.producer = p
	c.next = p.position
	if continues {
		c.next = first
	}
	return c.stream.SetHeader(metadata.Pairs(producerNext, strconv.FormatInt(p.position, 10)))
}

// decimal reads a number of the client's headers; 0 without it.
func (c *Connection) decimal(key string) (int64, error) {
	values := c.metadata.Get(key)
	if len(values) == 0 {
		return 0, nil
	}
	n, err := strconv.ParseUint(values[0], 10, 63)
	if err != nil || len(values) > 1 {
		return 0, invalid("%s is no number", key)
	}
	return int64(n), nil
}

// count numbers the records of a request.
func (c *Connection) count(request *Request, r wire.Request) error {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	switch {
	case c.producer == nil && r.HasFirst:
		return invalid("the request with offset %d numbers its records, and the connection has no position", r.Offset)
	case c.producer == nil:
		return nil
	case r.HasFirst && (r.First < 0 || r.First < c.next && r.Offset > 0):
		return invalid("the request with offset %d goes back to record %d, behind %d", r.Offset, r.First, c.next)
	case r.HasFirst:
		c.next = r.First
	}
	request.First = c.next
	c.next += int64(len(request.Records))
	return nil
}

// fresh returns the records of a request that are not durable yet, and counts them.
//
// server.mu is held.
func (p *producer) fresh(r Request) [][]byte {
	if p == nil {
		return r.Records
	}
	repeats := min(max(0, p.position-r.First), int64(len(r.Records)))
	p.position = max(p.position, r.First+int64(len(r.Records)))
	return r.Records[repeats:]
}
