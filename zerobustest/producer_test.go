package zerobustest

import (
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus/internal/wire"
)

const (
	sessionA = "00000000-0000-4000-8000-00000000000a"
	sessionB = "00000000-0000-4000-8000-00000000000b"
)

// as are the headers of a producer's connection. more are pairs of a key, without the common part, and a value.
func as(id, session string, more ...string) []string {
	header := []string{tableHeader, table, producerID, id, producerSession, session}
	for i := 0; i < len(more); i += 2 {
		header = append(header, "x-zerobus-producer-"+more[i], more[i+1])
	}
	return header
}

// expectPosition checks the answer to the opening. It is empty for none.
func (c *client) expectPosition(want string) *client {
	c.t.Helper()
	md, err := c.stream.Header()
	if err != nil {
		c.t.Fatal(err)
	}
	if got := strings.Join(md.Get(producerNext), ", "); got != want {
		c.t.Errorf("the position is %q; want %q", got, want)
	}
	return c
}

// numbered sends a record that says its number.
func (c *client) numbered(offset, first int64, rec string) {
	c.t.Helper()
	b := wire.AppendFirstRecord(nil, first)
	c.send(append(wire.AppendSinglePrefix(b, offset, wire.JSON, len(rec)), rec...))
}

func TestProducerIsResumed(t *testing.T) {
	s := newServer(t)
	s.Script(Accept(On(2, Commit(1))))
	c := dial(t, s, as("p", sessionA)...).expectPosition("0").create().created()
	c.record(0, "0")
	c.batch(1, "1", "2", "3")
	c.record(2, "4")
	if err := s.WaitRecords(testContext(t), table, 4); err != nil {
		t.Fatal(err)
	}
	c.close()
	// It does not know what is durable.
	c = dial(t, s, as("p", sessionA, "try", "1", "first", "0")...).expectPosition("4").create().created()
	c.record(0, "0") // follows on the header
	c.expectAck(0)
	c.numbered(1, 3, "3")
	c.expectAck(1)
	c.record(2, "4")
	c.expectAck(2)
	c.numbered(3, 9, "9")
	c.expectAck(3)
	expectRecords(t, s.Records(table), "0", "1", "2", "3", "4", "9")
	if got := s.Position(table, "p"); got != 10 {
		t.Errorf("position %d; want 10", got)
	}
	var firsts []int64
	for _, r := range s.Connections()[1].Requests() {
		firsts = append(firsts, r.First)
	}
	if len(firsts) != 4 || firsts[0] != 0 || firsts[1] != 3 || firsts[2] != 4 || firsts[3] != 9 {
		t.Errorf("first records %v", firsts)
	}
	if !strings.Contains(s.Log(), `producer "p"`) {
		t.Error(s.Log())
	}
	c.close()
	// Without a word about numbers it goes on at the position.
	c = dial(t, s, as("p", sessionB)...).expectPosition("10").create().created()
	c.record(0, "10")
	c.expectAck(0)
	if s.Position(table, "p") != 11 || s.Position(table, "q") != 0 || s.Position("a.b.c", "p") != 0 {
		t.Error("another position")
	}
}

func TestProducerHasACutBatch(t *testing.T) {
	s := newServer(t)
	c := dial(t, s, as("p", sessionA)...).create().created()
	c.batch(0, "0", "1")
	c.expectAck(0)
	c.close()
	c = dial(t, s, as("p", sessionA, "try", "1", "first", "0")...).create().created()
	c.batch(0, "0", "1", "2", "3")
	c.expectAck(0)
	expectRecords(t, s.Records(table), "0", "1", "2", "3")
}

func TestProducerIsTakenOver(t *testing.T) {
	s := newServer(t)
	s.Script(Accept(On(0, Ack(0))))
	a := dial(t, s, as("p", sessionA)...).create().created()
	a.record(0, "0")
	a.expectAck(0)
	a.record(1, "never durable")
	if err := s.WaitFor(testContext(t), func() bool { return len(s.Connections()[0].Requests()) == 2 }); err != nil {
		t.Fatal(err)
	}
	b := dial(t, s, as("p", sessionB)...).expectPosition("1").create().created()
	a.expectStatus(codes.Aborted, `another connection writes as producer "p"`)
	s.Connections()[0].Ack(1) // in vain
	b.record(0, "1")
	b.expectAck(0)
	expectRecords(t, s.Records(table), "0", "1")

	dial(t, s, as("p", sessionA, "try", "1", "first", "1")...).expectStatus(codes.Aborted, "meanwhile")
	dial(t, s, as("q", sessionA, "first", "1")...).expectPosition("0") // of another producer nothing is known
	b.record(1, "2")
	b.expectAck(1)
	dial(t, s, as("p", sessionA, "try", "1")...).expectPosition("3") // it does not say that it continues
	b.expectStatus(codes.Aborted, "another connection")
	dial(t, s, as("p", sessionA, "try", "0")...).expectStatus(codes.Aborted, "behind")
	dial(t, s, as("p", "", "try", "0")[:4]...).expectPosition("3") // no session is a session of its own
}

func TestProducerIsForgotten(t *testing.T) {
	s := newServer(t)
	c := dial(t, s, as("p", sessionA, "try", "3")...).create().created()
	c.record(0, "0")
	c.expectAck(0)
	s.ForgetProducer(table, "p")
	s.ForgetProducer(table, "nobody")
	c.record(1, "1")
	c.expectAck(1)
	if got := s.Position(table, "p"); got != 2 {
		t.Errorf("position %d after a record of an open connection; want 2", got)
	}
	s.ForgetProducer(table, "p")
	d := dial(t, s, as("p", sessionB, "first", "2")...).expectPosition("0").create().created()
	c.expectStatus(codes.Aborted, "another")
	d.numbered(0, 2, "2")
	d.expectAck(0)
	expectRecords(t, s.Records(table), "0", "1", "2")
	if got := s.Position(table, "p"); got != 3 {
		t.Errorf("position %d; want 3", got)
	}
}

func TestServerWithoutProducersIgnoresThem(t *testing.T) {
	s := newServer(t, WithoutProducers())
	for range 2 {
		c := dial(t, s, as("no name!", "no session", "try", "x")...).expectPosition("").create().created()
		c.record(0, "0")
		c.expectAck(0)
	}
	expectRecords(t, s.Records(table), "0", "0")
	s = newServer(t)
	s.Script(Accept(IgnoreProducer()))
	dial(t, s, as("p", sessionA)...).expectPosition("").create().created()
	dial(t, s, as("p", sessionA)...).expectPosition("0").create().created()
	dial(t, s).expectPosition("").create().created()
}

func TestBreakingTheRulesOfProducersIsInvalidArgument(t *testing.T) {
	s := newServer(t)
	for name, header := range map[string][]string{
		"id":        as("a b", sessionA),
		"long id":   as(strings.Repeat("x", 129), sessionA),
		"session":   as("p", "00000000-0000-4000-8000-00000000000A"),
		"try":       as("p", sessionA, "try", "-1"),
		"two tries": as("p", sessionA, "try", "1", "try", "2"),
		"first":     as("p", sessionA, "first", "9223372036854775808"),
		"table":     as("p", sessionA)[2:],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dial(t, s, header...).expectStatus(codes.InvalidArgument, "")
		})
	}
	c := dial(t, s).create().created()
	c.numbered(0, 0, "0")
	c.expectStatus(codes.InvalidArgument, "has no position")
	c = dial(t, s, as("q", sessionA)...).create().created()
	c.numbered(0, -1, "0")
	c.expectStatus(codes.InvalidArgument, "goes back")
	c = dial(t, s, as("q", sessionA)...).create().created()
	c.numbered(0, 5, "5")
	c.expectAck(0)
	c.numbered(1, 5, "5")
	c.expectStatus(codes.InvalidArgument, "goes back to record 5, behind 6")
}

// Connections of one producer that come at the same time take over from each other, and one of them is left.
func TestProducerIsTakenOverByMany(t *testing.T) {
	s := newServer(t)
	const n = 20
	var dialing sync.WaitGroup
	for range n {
		dialing.Go(func() { dial(t, s, as("p", "")[:4]...).create() })
	}
	dialing.Wait()
	open := func() (open, ended int) {
		for _, c := range s.Connections() {
			if over, _ := c.Ended(); over {
				ended++
			} else {
				open++
			}
		}
		return open, ended
	}
	if err := s.WaitFor(testContext(t), func() bool { a, b := open(); return a == 1 && b == n-1 }); err != nil {
		t.Error(s.Log())
	}
}
