package gateway

import (
	"errors"
	"math"
	"strconv"

	"github.com/google/uuid"
	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/server/internal/table"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// The headers of a producer, see docs/wire.md.
const (
	producerHeader = "x-zerobus-producer-id"
	sessionHeader  = "x-zerobus-producer-session"
	tryHeader      = "x-zerobus-producer-try"
	firstHeader    = "x-zerobus-producer-first"
	nextHeader     = "x-zerobus-producer-next" // of the response
)

// takenHeader is a trailer: the stream ended because another one writes as its producer.
const takenHeader = "x-zerobus-producer-taken"

// maxNumber bounds the numbers of records, so that sums of them are numbers.
const maxNumber = math.MaxInt64 / 2

// numbers are those of a producer's records on one stream. The receiver owns them.
type numbers struct {
	lease *table.Lease // nil: the client does not name itself
	next  int64        // of the next record, if the request does not say otherwise
	begun bool         // a request with records has come
}

// claim reads the headers of a producer. ok is false when the client does not name itself.
func claim(md metadata.MD) (c table.Claim, ok bool, err error) {
	malformed := func(header, expected string) error {
		return status.Errorf(codes.InvalidArgument, "header %s is malformed: expected %s.", header, expected)
	}
	if len(md.Get(producerHeader)) == 0 {
		return c, false, nil
	}
	if c.Producer = first(md, producerHeader); !validProducer(c.Producer) {
		return c, false, malformed(producerHeader, "1 to "+strconv.Itoa(table.MaxProducerID)+" characters of A-Z, a-z, 0-9 and ._:/@-")
	}
	session := uuid.New()
	if v := first(md, sessionHeader); v != "" {
		if session, err = uuid.Parse(v); err != nil || session == uuid.Nil || session.String() != v {
			return c, false, malformed(sessionHeader, "a UUID in lower case, not of zeros alone")
		}
	}
	c.Session = session
	if v := first(md, tryHeader); v != "" {
		if c.Try, err = parseNumber(v); err != nil {
			return c, false, malformed(tryHeader, "a number")
		}
	}
	if v := first(md, firstHeader); v != "" {
		c.Continues = true
		if c.First, err = parseNumber(v); err != nil {
			return c, false, malformed(firstHeader, "the number of a record")
		}
	}
	return c, true, nil
}

func validProducer(id string) bool {
	if id == "" || len(id) > table.MaxProducerID {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == ':', c == '/', c == '@', c == '-':
		default:
			return false
		}
	}
	return true
}

var errNumber = errors.New("not a number of a record")

// parseNumber reads a number as it is written, without a sign or leading zeros.
func parseNumber(v string) (int64, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 || n > maxNumber || strconv.FormatInt(n, 10) != v {
		return 0, errNumber
	}
	return n, nil
}

// greet sends the headers, unless the client may not write the table that it names in its own. A client that names itself gets
// the lease of its producer first, and is told the position: for that the table of the header is opened before the first
// request comes.
func (s *stream) greet(md metadata.MD) error {
	c, named, err := claim(md)
	switch {
	case err != nil:
		return err
	case !named && s.header == "":
		return s.ss.SendHeader(nil) // some clients send nothing before they have seen headers
	case !named:
		if err := s.g.gate.May(s.claims, s.header); err != nil {
			s.logTrouble("table not looked up", err)
			return denied(err)
		}
		return s.ss.SendHeader(nil)
	case s.header == "":
		return status.Errorf(codes.InvalidArgument, "a stream with %s needs the header %s.", producerHeader, tableHeader)
	}
	t, err := s.g.gate.Table(s.ss.Context(), s.claims, s.header, s.header)
	if err != nil {
		s.logTrouble("table not opened", err)
		return denied(err)
	}
	s.table, s.name = t, t.Info().Name.String()
	over := status.Errorf(codes.Aborted, "table %s: another stream writes as producer %s now.", s.name, c.Producer)
	c.Evict = func() { s.progress.end(over) }
	lease, err := t.Claim(s.ss.Context(), c)
	if err != nil {
		s.logTrouble("producer not admitted", err)
		return trouble(err, s.name)
	}
	s.numbers = numbers{lease: lease, next: lease.Position()}
	if c.Continues {
		s.numbers.next = c.First
	}
	return s.ss.SendHeader(metadata.Pairs(nextHeader, strconv.FormatInt(lease.Position(), 10)))
}

// number gives the number of a request's first record, and how many of its records are repeats, if it has so many.
func (s *stream) number(req *wire.Request, offset int64) (first, repeats int64, err error) {
	n := &s.numbers
	if n.lease == nil {
		if req.HasFirst {
			return 0, 0, status.Errorf(codes.InvalidArgument, "table %s, offset %d: first_record is for streams with the header %s.", s.name, offset, producerHeader)
		}
		return 0, 0, nil
	}
	first = n.next
	if req.HasFirst {
		switch first = req.First; {
		case first < 0 || first > maxNumber:
			return 0, 0, status.Errorf(codes.InvalidArgument, "table %s, offset %d: first_record is %d, expected 0 to %d.", s.name, offset, first, int64(maxNumber))
		case n.begun && first < n.next:
			return 0, 0, status.Errorf(codes.InvalidArgument, "table %s, offset %d: first_record is %d, but the records before it end with %d.", s.name, offset, first, n.next-1)
		}
	}
	return first, max(0, n.lease.Position()-first), nil
}
