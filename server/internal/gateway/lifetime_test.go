package gateway

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/server/internal/admission"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// many is more responses than any test here provokes: a client that reads when it likes.
const many = 10_000

func wantTimeout(t *testing.T, err error) {
	t.Helper()
	if status.Code(err) != codes.Unavailable || !strings.HasPrefix(status.Convert(err).Message(), "Stream timeout reached. Closing the stream (ID: ") ||
		!strings.HasSuffix(err.Error(), "). Error Code: 6002, Error State: 0.") {
		t.Errorf("the stream ended with %v", err)
	}
}

func wantAfter(t *testing.T, what string, start time.Time, from, to time.Duration) {
	t.Helper()
	if took := time.Since(start); took < from || took > to {
		t.Errorf("%s after %v, want %v to %v", what, took, from, to)
	}
}

func TestLifetime_IsSpread(t *testing.T) {
	ages := map[time.Duration]bool{}
	for range 1000 {
		age := Options{Lifetime: time.Hour}.age()
		if age < 54*time.Minute || age > time.Hour {
			t.Fatalf("a stream of at most an hour serves for %v", age)
		}
		ages[age] = true
	}
	if len(ages) < 900 {
		t.Errorf("1000 streams have only %d different ages", len(ages))
	}
	if age := (Options{Lifetime: -1}).age(); age != math.MaxInt64 {
		t.Errorf("a stream for ever serves for %v", age)
	}
	if age := (Options{Lifetime: 1}).age(); age != 1 {
		t.Errorf("the shortest stream serves for %v", age)
	}
}

// Protocol §2.4: a close signal precedes the end, acknowledgements go on, and the half-close ends the stream well.
func TestLifetime_ClientThatLeaves(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		start := time.Now()
		c := d.open(many)
		c.record(0)
		c.acked(0)
		c.signalled(10 * time.Second)
		wantAfter(d.T, "the signal came", start, 13*time.Minute+30*time.Second, 15*time.Minute)
		c.record(1)
		c.acked(1)
		c.record(2)
		c.halfClose()
		if acked, err := c.end(); acked != 2 || err != nil {
			d.Errorf("the stream ended with %v, acknowledged up to %d", err, acked)
		}
		wantAfter(d.T, "the stream ended", start, 0, 15*time.Minute)
		if n := d.rows(); n != 3 {
			d.Errorf("%d rows are durable, want 3", n)
		}
	})
}

// A client that does not care is ended after the grace, with the service's text. What was taken until then is acknowledged,
// nothing else is in the table.
func TestLifetime_ClientThatStays(t *testing.T) {
	inBubble(t, Options{Lifetime: time.Minute, Grace: 3 * time.Second}, func(d *door) {
		start := time.Now()
		c := d.open(many)
		sent := int64(0)
		for c.record(sent) {
			sent++
			time.Sleep(100 * time.Millisecond)
		}
		acked, err := c.end()
		wantTimeout(d.T, err)
		wantAfter(d.T, "the stream ended", start, 57*time.Second, 63*time.Second)
		if sent < 570 || acked+1 > sent {
			d.Errorf("%d records were sent and %d acknowledged", sent, acked+1)
		}
		if n := d.rows(); n != acked+1 {
			d.Errorf("%d rows are durable, %d records were acknowledged", n, acked+1)
		}
	})
}

func TestLifetime_IdleStreamsEndToo(t *testing.T) {
	inBubble(t, Options{Lifetime: time.Minute, Grace: 3 * time.Second}, func(d *door) {
		c := d.open(many)
		c.signalled(3 * time.Second)
		start := time.Now()
		_, err := c.end()
		wantTimeout(d.T, err)
		wantAfter(d.T, "the end came", start, 3*time.Second, 3*time.Second)
	})
}

// A stream without an end of its own ends with its token, which in these tests lives for an hour.
func TestLifetime_ForEverIsThatOfTheToken(t *testing.T) {
	inBubble(t, Options{Lifetime: -1}, func(d *door) {
		time.Sleep(10 * time.Minute)
		c, start := d.open(many), time.Now()
		time.Sleep(45 * time.Minute)
		c.record(0)
		c.acked(0)
		c.signalled(10 * time.Second)
		wantAfter(d.T, "the close signal came", start, 50*time.Minute-10*time.Second, 50*time.Minute-10*time.Second)
		_, err := c.end()
		wantTimeout(d.T, err)
		wantAfter(d.T, "the end came", start, 50*time.Minute, 50*time.Minute)
	})
}

// A token that is about to end leaves its stream half of that time, and the other half to go.
func TestLifetime_OfATokenAboutToExpire(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		time.Sleep(time.Hour - 4*time.Second)
		c, start := d.open(many), time.Now()
		c.record(0)
		c.acked(0)
		c.signalled(2 * time.Second)
		wantAfter(d.T, "the close signal came", start, 2*time.Second, 2*time.Second)
		_, err := c.end()
		wantTimeout(d.T, err)
		wantAfter(d.T, "the end came", start, 4*time.Second, 4*time.Second)
	})
}

// Rows that are late become durable and are acknowledged before the status goes out: the client need not send them again.
func TestLifetime_TheEndWaitsForWhatWasTaken(t *testing.T) {
	inBubble(t, Options{Lifetime: time.Minute, Grace: 3 * time.Second}, func(d *door) {
		c := d.open(many)
		c.signalled(3 * time.Second)
		d.log.hold()
		c.record(0)
		time.Sleep(3*time.Second + settleTime/2)
		if c.record(1) {
			synctest.Wait() // received, and thrown away
		}
		d.log.release()
		c.acked(0)
		_, err := c.end()
		wantTimeout(d.T, err)
		if n := d.rows(); n != 1 {
			d.Errorf("%d rows are durable, want 1: what comes after the end is not taken", n)
		}
	})
}

// The same with a client that has left already: OK says that everything it sent is durable.
func TestLifetime_HalfCloseOfAClientWithLateRows(t *testing.T) {
	inBubble(t, Options{Lifetime: time.Minute, Grace: 3 * time.Second}, func(d *door) {
		c := d.open(many)
		c.signalled(3 * time.Second)
		d.log.hold()
		c.record(0)
		c.halfClose()
		time.Sleep(3*time.Second + settleTime/2)
		d.log.release()
		c.acked(0)
		if _, err := c.end(); err != nil {
			d.Errorf("the stream ended with %v", err)
		}
	})
}

// Rows that do not become durable do not keep the stream. They are not acknowledged.
func TestLifetime_TheEndDoesNotWaitForEver(t *testing.T) {
	inBubble(t, Options{Lifetime: time.Minute, Grace: 3 * time.Second}, func(d *door) {
		c := d.open(many)
		c.signalled(3 * time.Second)
		start := time.Now()
		d.log.hold()
		c.record(0)
		acked, err := c.end()
		wantTimeout(d.T, err)
		wantAfter(d.T, "the end came", start, 3*time.Second+settleTime, 3*time.Second+settleTime)
		if acked != -1 {
			d.Errorf("record %d was acknowledged and is not durable", acked)
		}
		d.log.release()
	})
}

// A client that does not read makes the sender wait in the transport. It can neither stay nor write for longer than others.
func TestLifetime_ClientThatDoesNotRead(t *testing.T) {
	inBubble(t, Options{Lifetime: time.Minute, Grace: 3 * time.Second}, func(d *door) {
		start := time.Now()
		c := d.open(1)
		sent := int64(0)
		for c.record(sent) {
			sent++
			time.Sleep(100 * time.Millisecond)
		}
		wantTimeout(d.T, c.status)
		wantAfter(d.T, "the stream ended", start, 57*time.Second+settleTime, 63*time.Second+settleTime)
		if n, most := d.rows(), int64(63*time.Second/(100*time.Millisecond))+1; n > most {
			d.Errorf("%d rows are durable, of at most %d until the end of the grace", n, most)
		}
		if n := d.gate.Streams(); n != 0 {
			d.Errorf("%d streams are still counted", n)
		}
	})
}

// What a revoked principal can still do ends with its stream.
func TestLifetime_BoundsRevokedAccess(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		c := d.open(many)
		d.sql("REVOKE MODIFY ON TABLE " + tableName + " FROM `writer`")
		c.record(0)
		c.acked(0)
		c.signalled(10 * time.Second)
		c.halfClose()
		if _, err := c.end(); err != nil {
			d.Errorf("the stream ended with %v", err)
		}
		next := d.dial(many)
		next.send(wire.AppendCreateStream(nil, wire.CreateStream{Table: tableName, Type: wire.JSON, HasType: true}))
		if _, err := next.end(); status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "GRANT MODIFY ON TABLE "+tableName) {
			d.Errorf("the next stream ended with %v", err)
		}
	})
}

func TestDrain_Transcript(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		leaves, stays, shakes := d.open(many), d.open(many), d.dial(many)
		synctest.Wait()
		start := time.Now()
		drained := make(chan error, 1)
		go func() { drained <- d.Drain(context.Background(), 2*time.Second) }()

		leaves.signalled(2 * time.Second)
		stays.signalled(2 * time.Second)
		if _, err := shakes.end(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "shutting down") {
			d.Errorf("the stream in its handshake ended with %v", err)
		}
		if _, err := d.dial(many).end(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "shutting down") {
			d.Errorf("a new stream ended with %v", err)
		}
		leaves.record(0)
		leaves.acked(0)
		leaves.halfClose()
		if _, err := leaves.end(); err != nil {
			d.Errorf("the stream of the client that left ended with %v", err)
		}
		wantAfter(d.T, "it ended", start, 0, 0)
		if _, err := stays.end(); !errors.Is(err, errClosing) {
			d.Errorf("the stream of the client that stayed ended with %v", err)
		}
		if err := <-drained; err != nil {
			d.Error(err)
		}
		wantAfter(d.T, "drained", start, 2*time.Second, 2*time.Second)
	})
}

// The server's end does not wait for the grace of a rotation; nor does it prolong one.
func TestDrain_CutsTheGraceOfARotation(t *testing.T) {
	for _, c := range []struct {
		name                      string
		rotation, shutdown, after time.Duration
		want                      time.Duration
	}{
		{"less is left for the shutdown", 10 * time.Second, 2 * time.Second, time.Second, 3 * time.Second},
		{"less is left of the rotation", 10 * time.Second, 5 * time.Second, 9 * time.Second, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Options{Grace: c.rotation}, func(d *door) {
				s := d.open(many)
				s.signalled(c.rotation)
				start := time.Now()
				time.Sleep(c.after)
				if err := d.Drain(context.Background(), c.shutdown); err != nil {
					d.Error(err)
				}
				wantAfter(d.T, "drained", start, c.want, c.want)
				if r, ok := s.next(); ok {
					d.Errorf("got %+v: one signal is enough", r)
				}
				if !errors.Is(s.status, errClosing) {
					d.Errorf("the stream ended with %v", s.status)
				}
			})
		})
	}
}

func TestDrain_GivesUpWithItsContext(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		c := d.open(many)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := d.Drain(ctx, time.Hour); err != context.DeadlineExceeded {
			d.Errorf("got %v", err)
		}
		c.signalled(time.Hour)
		c.gone()
		c.end()
		if err := d.Drain(context.Background(), time.Hour); err != nil {
			d.Errorf("the second call: %v", err)
		}
	})
}

// While a request waits for the disk, the last acknowledgement is repeated: the client knows that the server lives.
func TestSilence_AcknowledgementsAreRepeated(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		c := d.open(64)
		c.record(0)
		c.acked(0)
		synctest.Wait()
		time.Sleep(time.Minute) // of the bubble: nothing is outstanding
		select {
		case r := <-c.came:
			t.Errorf("got %+v while nothing is outstanding", r)
		default:
		}
		d.log.hold()
		c.record(1)
		start := time.Now()
		for range 5 {
			c.acked(0)
		}
		if took := time.Since(start); took > 6*maxSilence {
			t.Errorf("five repetitions took %v", took)
		}
		d.log.release()
		c.acked(1)
		c.halfClose()
		if acked, err := c.end(); acked != -1 || err != nil {
			t.Errorf("the end: %d, %v", acked, err)
		}
	})
}

// A client that does not read keeps its stream, and what the server holds for it, for two minutes and no longer.
func TestSilence_ClientThatDoesNotRead(t *testing.T) {
	inBubble(t, Options{Lifetime: -1}, func(d *door) {
		c := d.open(1)
		start := time.Now()
		for i := range int64(10) {
			if !c.record(i) {
				break
			}
			synctest.Wait()
		}
		<-c.ended
		if took := time.Since(start); took < maxUnread || took > 2*maxUnread {
			t.Errorf("it was ended after %v", took)
		}
		if status.Code(c.status) != codes.DeadlineExceeded || !strings.Contains(c.status.Error(), "no acknowledgement") {
			t.Errorf("the status is %v", c.status)
		}
	})
}

// A principal's and a table's quotas.
func TestQuotas(t *testing.T) {
	t.Run("streams", func(t *testing.T) {
		inBubble(t, Options{}, func(d *door) {
			d.gate.Quotas.PrincipalStreams = 2
			a := d.open(8)
			d.open(8)
			d.dial(1).endsWith(codes.ResourceExhausted, "the principal has 2 open streams")
			a.halfClose()
			<-a.ended
			d.open(8)
			d.gate.MaxStreams = 2
			d.dial(1).endsWith(codes.ResourceExhausted, "the server has 2 open streams")
			if s := d.Stats().Limits; s.Refused != [admission.Limits]int64{1, 1} || s.Held != 0 {
				t.Errorf("the limits say %+v", s)
			}
		})
	})
	for name, q := range map[string]admission.Quotas{"principal": {PrincipalBytes: 1 << 20}, "table": {TableBytes: 1 << 20}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{}, func(d *door) {
				d.gate.Quotas = q
				c := d.open(1 << 10)
				rec := fmt.Sprintf(`{"id":%s1}`, strings.Repeat(" ", 1<<20))
				start := time.Now()
				const n = 40 // MiB: the first ten come at once
				for i := range int64(n) {
					c.send(append(wire.AppendSinglePrefix(nil, i, wire.JSON, len(rec)), rec...))
				}
				c.halfClose()
				if acked, err := c.end(); acked != n-1 || err != nil {
					t.Errorf("offset %d, %v", acked, err)
				}
				if took := time.Since(start); took < 29*time.Second || took > 32*time.Second {
					t.Errorf("40 MiB at 1 MiB/s took %v", took)
				}
				if held := d.Stats().Limits.Held; held < 29*time.Second || held > 32*time.Second {
					t.Errorf("the limits say that streams have waited for %v", held)
				}
			})
		})
	}
}

// A request that waits for its rate is outstanding to the client: it hears something meanwhile.
func TestQuotas_WhoWaitsHearsSomething(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		d.gate.Quotas.TableBytes = 100 << 10
		c := d.open(1 << 10)
		c.record(0)
		c.acked(0)
		rec := fmt.Sprintf(`{"id":%s1}`, strings.Repeat(" ", 9<<20))
		for i := range int64(2) { // the second one has to wait for a minute and more
			c.send(append(wire.AppendSinglePrefix(nil, i+1, wire.JSON, len(rec)), rec...))
		}
		c.acked(1)
		for range 5 {
			c.acked(1)
		}
	})
}
