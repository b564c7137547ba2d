package zerobus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/zerobus-go/zerobus/internal/conn"
	"github.com/zerobus-go/zerobus/internal/recovery"
)

// Position is where a stream stands among all the records of its producer, see [WithProducerID].
type Position struct {
	// Records is the number of the next record that the stream ingests, which is how many records of the source come before
	// it. Records count, not calls: a batch of n takes n numbers. A record that was refused keeps its number.
	Records int64

	// ExactlyOnce says that the server keeps the producer's position, so that it takes no record twice. When it is false,
	// delivery is at least once: the stream has no producer, or the server does not know what one is; Records then counts
	// from 0 since the stream began. It may turn false, and stays so, when a later connection meets a server that does not
	// know producers; Records then goes on counting.
	ExactlyOnce bool
}

// String tells both in words.
func (p Position) String() string {
	if p.ExactlyOnce {
		return fmt.Sprintf("exactly once, from record %d on", p.Records)
	}
	return fmt.Sprintf("at least once, from record %d on", p.Records)
}

// Resume is [SDK.CreateStream] for a producer, see [WithProducerID], which overrules an option. The Position tells where to
// go on: position.Records of the source's records are durable and must not be ingested again, and the next one is the first
// to ingest. Another stream that writes to the table as this producer, also one of a process that hangs, is ended with an
// [ErrProducerTaken], and what the server had taken from it is durable and counted before Resume returns.
//
// With position.ExactlyOnce false the server keeps no positions, and position.Records is 0: the program must know by itself
// where to go on, and records may arrive twice.
//
// Errors are those of CreateStream. An empty producerID is an ErrInvalidArgument.
func (k *SDK) Resume(ctx context.Context, producerID string, table TableProperties, auth Auth, opts ...StreamOption) (*Stream, Position, error) {
	const op = "resume"
	cfg := DefaultStreamSettings()
	if err := apply(op, table.Name, &cfg, opts); err != nil {
		return nil, Position{}, err
	}
	if producerID == "" {
		return nil, Position{}, invalid(op, table.Name, "the producer's id is empty")
	}
	cfg.ProducerID = producerID
	s, err := k.create(ctx, op, table, auth, cfg, nil)
	if err != nil {
		return nil, Position{}, err
	}
	return s, s.Position(), nil
}

// Position returns where the stream stands: the number that the next record gets. See [WithProducerID] for what a number is.
// After the end of the stream it is behind everything that was ingested, acknowledged or not. It may be called at any time.
func (s *Stream) Position() Position {
	if s == nil || s.p == nil {
		return Position{}
	}
	p := s.p
	p.mu.Lock()
	defer p.mu.Unlock()
	return Position{
		Records:     p.producer.base + p.win.Settled() + int64(p.win.Unsettled()),
		ExactlyOnce: p.producer.exact,
	}
}

// Names of the headers by which a client names its producer and a server answers. docs/wire.md has the whole of it.
const (
	headerProducerPrefix  = "x-zerobus-producer-"
	headerProducerID      = headerProducerPrefix + "id"
	headerProducerSession = headerProducerPrefix + "session"
	headerProducerTry     = headerProducerPrefix + "try"
	headerProducerFirst   = headerProducerPrefix + "first"
	headerProducerNext    = headerProducerPrefix + "next"
	headerProducerTaken   = headerProducerPrefix + "taken" // a trailer
)

// session is what the connections of one stream have in common, and those of the streams that were recreated from it, one
// after the other.
type session struct {
	id    string // a UUID
	tries int64  // to open a connection, so far
	known bool   // a server has answered with a position
}

func newSession() *session {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return &session{id: fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])}
}

// producer is a stream's part in resuming. The number of a record is base plus the records that the stream ingested before.
//
// A server that is silent about the position at the first opening keeps none: the stream has no producer from then on.
type producer struct {
	// The following are the supervisor's alone.
	id       string   // "" for none
	session  *session // nil with an id of ""
	named    bool     // the present try to connect names the producer
	answered bool     // the server has answered it with a position
	next     int64    // that position
	left     int64    // records from base on that a stream before this one had, and that may have been sent already
	warned   bool

	// The following are guarded by the pipeline's lock.
	base   int64
	exact  bool
	number bool // the next message says what number its first record has
}

// begin names the producer of a new stream: a new session, or that of the stream before.
func (p *producer) begin(id string, before *producer) {
	switch {
	case id == "":
	case before != nil:
		*p = *before
	default:
		p.id, p.session = id, newSession()
	}
}

// inherit returns the producer for a stream that takes over what this ended one has left, in so many records; nil if it
// shall begin as a new one.
func (p *pipeline) inherit(id string) *producer {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := &p.producer
	if old.id != id || old.session == nil || !old.session.known {
		return nil
	}
	return &producer{
		id: id, session: old.session,
		base: old.base + p.win.Settled(), exact: old.exact, left: int64(p.win.Unsettled()),
	}
}

// introduce names the producer in the headers of a try to connect.
func (h host) introduce(md metadata.MD) {
	p := &h.producer
	p.named, p.answered = p.id != "", false
	if !p.named {
		return
	}
	md.Set(headerProducerID, p.id)
	md.Set(headerProducerSession, p.session.id)
	md.Set(headerProducerTry, strconv.FormatInt(p.session.tries, 10))
	p.session.tries++
	if p.session.known {
		md.Set(headerProducerFirst, strconv.FormatInt(h.firstUnsettled(), 10))
	}
}

// firstUnsettled is the number of the first record that is neither acknowledged nor dropped.
func (h host) firstUnsettled() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.producer.base + h.win.Settled()
}

// answer reads the server's position from the headers with which it has accepted a connection. It is an error when that
// cannot come of what this stream has sent.
func (h host) answer(md metadata.MD) error {
	p := &h.producer
	if !p.named {
		return nil
	}
	next, found, err := parsePosition(md.Get(headerProducerNext))
	if err != nil {
		return &conn.ProtocolError{Err: err}
	}
	if !found {
		return nil
	}
	p.answered, p.next = true, next
	if !p.session.known {
		return nil // nothing was sent: whatever it is, it is where to begin
	}
	h.mu.Lock()
	first := p.base + h.win.Settled()
	most := first + max(p.left, int64(h.win.Tried()))
	h.mu.Unlock()
	if next > most {
		return recovery.Permanent(fmt.Errorf("%w: the server has its records before number %d, and this stream has sent none from %d on",
			ErrProducerTaken, next, most))
	}
	return nil
}

// settleAnswer takes the server's position over when a connection has been opened. It returns how many of the stream's
// oldest records the server has, although it could not acknowledge them, and whether the server's silence is news.
// h.mu is held, and the connection does not send yet.
func (h host) settleAnswer(first bool) (durable int, silent bool) {
	p := &h.producer
	if !p.named {
		return 0, false
	}
	p.number = p.answered
	switch {
	case !p.answered && p.session.known: // a fleet of which not all know producers
		silent = !p.warned
		p.exact = false
	case !p.answered:
		silent = true
		p.id = ""
	case !p.session.known:
		p.session.known = true
		p.base, p.exact = p.next, true
	case first: // the window is empty, and filled with what comes from there
		p.base = max(p.base, p.next)
	default:
		durable = int(max(0, p.next-p.base-h.win.Settled()))
	}
	p.left = 0
	p.warned = p.warned || silent
	return durable, silent
}

// ousted marks the end of a connection that the server ended for another stream of the producer.
func (h host) ousted(f *recovery.Failure) {
	p := &h.producer
	var ended *conn.Ended
	if p.named && errors.As(f.Err, &ended) && len(ended.Trailer.Get(headerProducerTaken)) > 0 {
		f.Err = recovery.Permanent(fmt.Errorf("%w: %w", ErrProducerTaken, f.Err))
	}
	p.named = false
}

// maxPosition is beyond any source, and far below where numbers overflow.
const maxPosition = 1 << 62

// parsePosition reads the values of the header that has the producer's position. There may be none.
func parsePosition(values []string) (next int64, found bool, err error) {
	switch {
	case len(values) == 0:
		return 0, false, nil
	case len(values) > 1:
		return 0, false, fmt.Errorf("the server answered with %d positions of the producer", len(values))
	}
	n, err := strconv.ParseUint(values[0], 10, 64)
	if err != nil || n > maxPosition {
		return 0, false, errors.New("the server answered with a position of the producer that is no number of a record")
	}
	return int64(n), true, nil
}

// maxProducerID bounds a producer's id, in bytes.
const maxProducerID = 128

// validProducerID reports whether an id is one, or none.
func validProducerID(id string) bool {
	return len(id) <= maxProducerID && !strings.ContainsFunc(id, func(c rune) bool {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', strings.ContainsRune("._:/@-", c):
			return false
		}
		return true
	})
}
