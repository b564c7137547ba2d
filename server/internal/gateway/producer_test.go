package gateway

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/zerobus-go/zerobus/internal/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const sessionA, sessionB = "0a000000-0000-4000-8000-000000000000", "0b000000-0000-4000-8000-000000000000"

// named is the metadata of a producer.
func named(id string, more ...string) metadata.MD {
	return metadata.Join(metadata.Pairs(tableHeader, tableName, producerHeader, id), metadata.Pairs(more...))
}

// openAs begins a stream of JSON records with more metadata, shakes hands, and gives the position that it was told; -1 for none.
func (d *door) openAs(md metadata.MD) (*client, int64) {
	d.Helper()
	c := d.dialWith(64, md)
	c.send(wire.AppendCreateStream(nil, wire.CreateStream{Table: tableName, Type: wire.JSON, HasType: true}))
	if r, ok := c.next(); !ok || r.Kind != wire.ResponseCreated {
		d.Fatalf("the first response is %+v, the status %v", r, c.status)
	}
	return c, c.told()
}

func (c *client) told() int64 {
	v := first(<-c.headers, nextHeader)
	if v == "" {
		return -1
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		c.Fatal(err)
	}
	return n
}

// batch sends records with the ids from first on; number is their first_record, -1 for none.
func (c *client) batch(offset, number int64, n int) {
	var body []byte
	for i := range n {
		body = wire.AppendRecord(body, []byte(`{"id":`+strconv.Itoa(i)+`}`))
	}
	var b []byte
	if number >= 0 {
		b = wire.AppendFirstRecord(b, number)
	}
	b = wire.AppendBatchPrefix(b, offset, wire.JSON, len(body))
	c.send(append(b, body...))
}

func (c *client) endsWith(code codes.Code, text string) {
	c.Helper()
	_, err := c.end()
	if status.Code(err) != code || !strings.Contains(err.Error(), text) {
		c.Errorf("the stream ended with %v, want %v and %q", err, code, text)
	}
}

func TestProducer_RepeatsAreDiscarded(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		c, at := d.openAs(named("p", sessionHeader, sessionA))
		if at != 0 {
			t.Fatalf("a new producer is at %d", at)
		}
		c.batch(0, 0, 10)
		c.acked(0)
		c.batch(1, -1, 5) // follows on
		c.acked(1)
		c.gone()
		<-c.ended

		// A client that sends all again, and says so in the first request.
		c, at = d.openAs(named("p", sessionHeader, sessionA, tryHeader, "1", firstHeader, "10"))
		if at != 15 {
			t.Errorf("the position is %d, want 15", at)
		}
		c.batch(0, 0, 10) // nothing new
		c.acked(0)
		c.batch(1, -1, 10) // 10 to 19: half of it
		c.acked(1)
		c.halfClose()
		if _, err := c.end(); err != nil {
			t.Error(err)
		}

		// One that relies on the header, and begins there.
		c, at = d.openAs(named("p", sessionHeader, sessionA, tryHeader, "2", firstHeader, "18"))
		if at != 20 {
			t.Errorf("the position is %d, want 20", at)
		}
		c.batch(0, -1, 4) // 18 to 21
		c.acked(0)
		c.send(append(wire.AppendSinglePrefix(wire.AppendFirstRecord(nil, 30), 1, wire.JSON, len(good)), good...)) // a gap
		c.acked(1)
		c.halfClose()
		if _, err := c.end(); err != nil {
			t.Error(err)
		}

		// A new one begins at the position; a single record that is a repeat.
		c, at = d.openAs(named("p"))
		if at != 31 {
			t.Errorf("the position is %d, want 31", at)
		}
		c.send(append(wire.AppendSinglePrefix(wire.AppendFirstRecord(nil, 30), 0, wire.JSON, len(good)), good...))
		c.acked(0)
		c.batch(1, -1, 2)
		c.acked(1)
		c.halfClose()
		if _, err := c.end(); err != nil {
			t.Error(err)
		}
		if rows, want := d.rows(), int64(15+5+2+1+2); rows != want {
			t.Errorf("%d rows are durable, want %d", rows, want)
		}
	})
}

func TestProducer_TheLaterStreamTakesOver(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		one, _ := d.openAs(named("p", sessionHeader, sessionA, tryHeader, "3"))
		one.batch(0, 0, 10)
		one.acked(0)
		d.log.hold()
		one.batch(1, -1, 10) // on its way when the other one comes
		synctest.Wait()
		two := d.dialWith(64, named("p", sessionHeader, sessionB))
		synctest.Wait()
		select {
		case md := <-two.headers:
			t.Errorf("the second stream was told %v while records of the first were on their way", md)
		default:
		}
		d.log.release()
		two.send(wire.AppendCreateStream(nil, wire.CreateStream{Table: tableName, Type: wire.JSON, HasType: true}))
		if r := two.recv(); r.Kind != wire.ResponseCreated {
			t.Fatalf("got %+v", r)
		}
		if at := two.told(); at != 20 {
			t.Errorf("the position is %d, want 20", at)
		}
		if acked, err := one.end(); acked != 1 || status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), "producer p") {
			t.Errorf("the first stream ended with offset %d acknowledged, %v", acked, err)
		}
		two.batch(0, 20, 1)
		two.acked(0)

		// The first one comes back: it has not seen that the other one wrote.
		d.dialWith(64, named("p", sessionHeader, sessionA, tryHeader, "4", firstHeader, "20")).endsWith(codes.Aborted, "another stream")
		two.halfClose()
		if _, err := two.end(); err != nil {
			t.Error(err)
		}
		d.dialWith(64, named("p", sessionHeader, sessionA, tryHeader, "4", firstHeader, "20")).endsWith(codes.Aborted, "another stream")
		d.dialWith(64, named("p", sessionHeader, sessionB, tryHeader, "1")).gone()

		// Another producer, and a stream without one, are nobody's business.
		_, at := d.openAs(named("q"))
		if at != 0 {
			t.Errorf("another producer is at %d", at)
		}
		if _, at := d.openAs(nil); at != -1 {
			t.Errorf("a stream without a producer was told %d", at)
		}
	})
}

func TestProducer_Malformed(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		for header, md := range map[string]metadata.MD{
			producerHeader: named("white space"),
			sessionHeader:  named("p", sessionHeader, "0a"),
			tryHeader:      named("p", tryHeader, "-1"),
			"not of zeros": named("p", sessionHeader, "00000000-0000-0000-0000-000000000000"),
			firstHeader:    named("p", firstHeader, "1e3"),
			tableHeader:    metadata.Pairs(producerHeader, "p"),
		} {
			d.dialWith(1, md).endsWith(codes.InvalidArgument, header)
		}
		for _, id := range []string{strings.Repeat("x", 129), "ä", "", "a\x00"} {
			d.dialWith(1, named(id)).endsWith(codes.InvalidArgument, producerHeader)
		}
		d.dialWith(1, metadata.Pairs(tableHeader, "main.default.other", producerHeader, "p")).endsWith(codes.PermissionDenied, "")

		c, _ := d.openAs(named(strings.Repeat("x", 128)))
		c.batch(0, 5, 1)
		c.acked(0)
		c.batch(1, 5, 1)
		c.endsWith(codes.InvalidArgument, "first_record is 5")
		for _, n := range []int64{-1, maxNumber + 1, maxNumber} {
			c, _ = d.openAs(named("p"))
			c.send(append(wire.AppendSinglePrefix(wire.AppendFirstRecord(nil, n), 0, wire.JSON, len(good)), good...))
			want := "first_record is "
			if n == maxNumber {
				want = "the numbers of the records go beyond"
			}
			c.endsWith(codes.InvalidArgument, want)
		}
		c, _ = d.openAs(nil)
		c.batch(0, 5, 1)
		c.endsWith(codes.InvalidArgument, "first_record is for streams with the header")
	})
}

// A refused record ends the stream as ever, and the position is that of what came before it.
func TestProducer_RefusedRecord(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		c, _ := d.openAs(named("p", sessionHeader, sessionA))
		c.batch(0, 0, 3)
		const bad = `{"id":"x"}`
		c.send(append(wire.AppendSinglePrefix(nil, 1, wire.JSON, len(bad)), bad...))
		acked, err := c.end()
		if acked != 0 || status.Code(err) != codes.InvalidArgument {
			t.Errorf("offset %d was acknowledged, %v", acked, err)
		}
		c, at := d.openAs(named("p", sessionHeader, sessionA, tryHeader, "1", firstHeader, "3"))
		if at != 3 {
			t.Errorf("the position is %d, want 3", at)
		}
		c.batch(0, 4, 1) // it is given up
		c.acked(0)
		c.halfClose()
		if _, err := c.end(); err != nil {
			t.Error(err)
		}
		if _, at := d.openAs(named("p")); at != 5 {
			t.Errorf("the position is %d, want 5", at)
		}
	})
}

// The table of the headers and that of the first request are the same.
func TestHandshake_TwoTables(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		for _, md := range []metadata.MD{metadata.Pairs(tableHeader, otherName), metadata.Pairs(tableHeader, otherName, producerHeader, "p")} {
			c := d.dialWith(1, md)
			c.send(wire.AppendCreateStream(nil, wire.CreateStream{Table: tableName, Type: wire.JSON, HasType: true}))
			c.endsWith(codes.InvalidArgument, tableHeader)
		}
		d.dialWith(1, metadata.Pairs(tableHeader, "main.default.none")).endsWith(codes.PermissionDenied, "main.default.none")
		d.dialWith(1, metadata.Pairs(tableHeader, "t")).endsWith(codes.InvalidArgument, "t")
	})
}
