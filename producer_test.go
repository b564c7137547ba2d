package zerobus_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// resume makes a stream of the producer "p" by an SDK of its own, as a program does that has started again.
func (w *world) resume(opts ...zerobus.StreamOption) (*zerobus.Stream, zerobus.Position) {
	w.Helper()
	sdk := w.newSDK()
	w.Cleanup(func() { sdk.Close() })
	s, at, err := sdk.Resume(w.Context(), "p", zerobus.Table(table), auth, opts...)
	if err != nil {
		w.Fatal(err)
	}
	return s, at
}

func (w *world) wantPosition(s *zerobus.Stream, records int64, exact bool) {
	w.Helper()
	if got, want := s.Position(), (zerobus.Position{Records: records, ExactlyOnce: exact}); got != want {
		w.Errorf("position %+v; want %+v", got, want)
	}
}

// header is a header of a producer that a connection was opened with.
func header(c *zerobustest.Connection, name string) string {
	return strings.Join(c.Metadata().Get("x-zerobus-producer-"+name), ", ")
}

// lostAck makes durable what comes up to an offset, and breaks the connection instead of telling so.
func lostAck(offset int64, more ...zerobustest.Step) zerobustest.Behavior {
	return zerobustest.Accept(append(more, zerobustest.On(offset, zerobustest.Commit(offset), zerobustest.Kill()))...)
}

// elsewhere writes records in the session of a stream, whose connection is lost: as a server would have them that has taken a
// part of a message.
func (w *world) elsewhere(of *zerobustest.Connection, first int64, recs ...zerobus.Record) {
	w.Helper()
	cc, err := grpc.NewClient("passthrough:///server", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return w.dial(ctx, addr) }))
	w.must(err)
	defer cc.Close()
	md := of.Metadata()
	for name := range md {
		if !strings.HasPrefix(name, "x-") && name != "authorization" {
			delete(md, name)
		}
	}
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(w.Context(), md))
	defer cancel()
	stream, err := cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, wire.Method, grpc.ForceCodecV2(wire.Codec()))
	w.must(err)
	send := func(b []byte) {
		w.must(stream.SendMsg(&wire.Outgoing{Buffers: mem.BufferSlice{mem.SliceBuffer(b)}}))
		var in wire.Incoming
		w.must(stream.RecvMsg(&in))
	}
	send(wire.AppendCreateStream(nil, wire.CreateStream{Table: table, Type: wire.JSON, HasType: true}))
	for i, rec := range recs {
		b := wire.AppendFirstRecord(nil, first+int64(i))
		send(append(wire.AppendSinglePrefix(b, int64(i), wire.JSON, len(rec.Bytes())), rec.Bytes()...))
	}
}

func TestProducer_LostAcknowledgement(t *testing.T) {
	for name, c := range map[string]struct {
		opts []zerobustest.Option
		want []int
	}{
		"exactly once":  {nil, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		"at least once": {[]zerobustest.Option{zerobustest.WithoutProducers()}, []int{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				exact := len(c.opts) == 0
				w.srv.Script(lostAck(4))
				hook := &recorder{}
				w.sdk = w.newSDK(zerobus.WithHooks(hook))
				defer w.sdk.Close()
				var infos []zerobus.AckInfo
				s := w.open(one(zerobus.WithProducerID("p"), zerobus.WithAckCallback(func(i zerobus.AckInfo) { infos = append(infos, i) }))...)
				acks := w.ingest(s, 0, 5)
				w.must(zerobus.WaitAll(w.Context(), acks...))
				acks = w.ingest(s, 5, 5)
				w.wantPosition(s, 10, exact)
				w.must(s.Close(w.Context()))
				w.must(zerobus.WaitAll(w.Context(), acks...))
				w.wantNumbers(false, w.srv.Records(table), c.want)
				next := int64(0)
				for _, i := range infos {
					if i.First != next || i.Err != nil {
						t.Errorf("callbacks %+v", infos)
					}
					next = i.Last + 1
				}
				if next != 10 {
					t.Errorf("callbacks up to %d", next)
				}
				if hook.acked != 10 || hook.ackedBytes == 0 || hook.ackedMessages != 10 {
					t.Errorf("hooks were told of %d records in %d messages", hook.acked, hook.ackedMessages)
				}
				conns := w.conns(2)
				if exact {
					wantRecords(w, "second connection", conns[1].Records(), 5, 5)
					for i, want := range []string{"p, 0, ", "p, 1, 0"} {
						if got := fmt.Sprintf("%s, %s, %s", header(conns[i], "id"), header(conns[i], "try"), header(conns[i], "first")); got != want {
							t.Errorf("headers %s; want %s", got, want)
						}
					}
					if a := header(conns[0], "session"); len(a) != 36 || a != header(conns[1], "session") {
						t.Errorf("session %q", a)
					}
					for _, c := range conns {
						for i, r := range c.Requests() {
							if r.Told != (i == 0) {
								t.Errorf("request %+v", r)
							}
						}
					}
				}
			}, c.opts...)
		})
	}
}

func TestProducer_ResumesInAnotherLife(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(9, zerobustest.Ack(4), zerobustest.Commit(7))))
		s, at := w.resume(one()...)
		if want := (zerobus.Position{ExactlyOnce: true}); at != want {
			t.Errorf("at first %v", at)
		}
		w.ingest(s, 0, 10)
		w.must(s.WaitForOffset(w.Context(), 4))
		w.must(w.srv.WaitRecords(w.Context(), table, 8))

		again, at := w.resume() // while the other one lives
		if at.Records != 8 || !at.ExactlyOnce || at.String() != "exactly once, from record 8 on" {
			t.Errorf("then %v", at)
		}
		w.ingest(again, 8, 5)
		w.batch(again, 13, 7)
		w.wantPosition(again, 20, true)
		w.must(again.Close(w.Context()))
		w.wantPosition(again, 20, true)
		wantRecords(w, "durable", w.srv.Records(table), 0, 20)

		wantErr(w, s.Close(w.Context()), zerobus.ErrProducerTaken, "another stream writes as this producer")
		wantErr(w, s.Err(), zerobus.ErrStreamFailed)
		wantErr(w, s.Err(), zerobus.ErrNonRetriable)
		if e := s.Err().(*zerobus.Error); e.Code != codes.Aborted {
			t.Errorf("code %v", e.Code)
		}
		wantState(w, s, zerobus.StateFailed)
		wantRecords(w, "unacknowledged", w.unacked(s), 5, 5)
		w.conns(2) // it does not come back
	})
}

// A stream whose connection is lost finds that another one has written meanwhile.
func TestProducer_TakenWhileAway(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(lostAck(2), zerobustest.Refuse(codes.Unavailable, "restarting"))
		s, _ := w.resume(one()...)
		acks := w.ingest(s, 0, 3)
		w.must(w.srv.WaitFor(w.Context(), func() bool { return len(w.srv.Connections()) == 2 }))
		synctest.Wait() // it waits to try again
		again, at := w.resume()
		if at.Records != 3 {
			t.Errorf("position %v", at)
		}
		w.ingest(again, 3, 3)
		w.must(again.Close(w.Context()))
		wantErr(w, acks[0].Wait(w.Context()), zerobus.ErrProducerTaken)
		wantErr(w, s.Close(w.Context()), zerobus.ErrProducerTaken)
		wantRecords(w, "durable", w.srv.Records(table), 0, 6)

		_, err := w.sdk.RecreateStream(w.Context(), s)
		wantErr(w, err, zerobus.ErrProducerTaken)
		wantErr(w, err, zerobus.ErrNonRetriable)
		last := w.conns(5)[4]
		if header(last, "first") != "0" || header(last, "try") != "3" {
			t.Errorf("headers of the last connection: first %s, try %s", header(last, "first"), header(last, "try"))
		}
	})
}

// Who says nothing of producers when it aborts means something that may pass: a proxy, or a server that does not know them.
func TestProducer_AbortedByOthers(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Refuse(codes.Aborted, "busy"), zerobustest.RefuseAtOnce(codes.Aborted, "busy"))
		s := w.open(zerobus.WithProducerID("p"))
		w.must(s.Close(w.Context()))
		w.wantPosition(s, 0, true)
		w.srv.Script(zerobustest.Accept(zerobustest.IgnoreProducer(), zerobustest.On(0, zerobustest.Fail(codes.Aborted, "busy"))))
		s = w.open(zerobus.WithProducerID("p"))
		w.ingest(s, 0, 1)
		w.must(s.Close(w.Context()))
		w.wantPosition(s, 1, false)
		if conns := w.conns(5); header(conns[4], "id") != "" {
			t.Error("a server that knows no producers is told of one again")
		}
	})
}

// What the server says that it has ends within a batch, and within a message.
func TestProducer_CutWithinABatch(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(1, zerobustest.Kill())), zerobustest.Refuse(codes.Unavailable, "away"),
			zerobustest.Accept(zerobustest.AckAll()), zerobustest.Accept(zerobustest.On(0, zerobustest.Wait(time.Second), zerobustest.Ack(0)), zerobustest.AckAllAfter(time.Second)))
		s, _ := w.resume(one(zerobus.WithMaxInflightRecords(11))...)
		first := w.ingest(s, 0, 1)[0]
		batch := w.batch(s, 1, 5)
		second := w.batch(s, 6, 5)
		w.must(w.srv.WaitFor(w.Context(), func() bool { return len(w.srv.Connections()) == 2 }))
		synctest.Wait()
		w.elsewhere(w.srv.Connections()[1], 0, rec(0), rec(1), rec(2))
		w.must(first.Wait(w.Context())) // by the handshake
		if batch.IsDone() {
			t.Error("a batch of which a part is durable is done")
		}
		if _, err := s.TryIngest(rec(11)); err != nil { // there is room for three
			t.Errorf("no room: %v", err)
		}
		w.must(batch.Wait(w.Context()))
		w.must(second.Wait(w.Context()))
		w.must(s.Close(w.Context()))
		conns := w.conns(4)
		if reqs := conns[3].Requests(); reqs[0].First != 3 || !reqs[0].Told || len(reqs[0].Records) != 3 || !reqs[0].Batch {
			t.Errorf("requests after the cut: %+v", reqs)
		}
		wantRecords(w, "durable", w.srv.Records(table), 0, 12)
	})
}

// The room of the part of a batch that is durable goes to who waits for it.
func TestProducer_PartOfABatchGivesRoom(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Kill())), zerobustest.Refuse(codes.Unavailable, "away"),
			zerobustest.Accept(zerobustest.AckAll()), zerobustest.Accept())
		s, _ := w.resume(zerobus.WithMaxInflightRecords(5), zerobus.WithFlushTimeout(time.Second))
		w.batch(s, 0, 5)
		w.must(w.srv.WaitFor(w.Context(), func() bool { return len(w.srv.Connections()) == 2 }))
		synctest.Wait()
		w.elsewhere(w.srv.Connections()[1], 0, rec(0), rec(1))
		w.ingest(s, 5, 2) // waits until the handshake tells
		wantErr(w, s.Close(w.Context()), zerobus.ErrFlushTimeout)
		batches, err := s.UnackedBatches()
		w.must(err)
		if len(batches) != 3 || len(batches[0]) != 3 || string(batches[0][0].Bytes()) != string(rec(2).Bytes()) {
			t.Errorf("left %v", batches)
		}
		w.wantPosition(s, 7, true)
	})
}

func TestProducer_RecreateLeavesOutWhatIsDurable(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Ack(0)), zerobustest.On(3, zerobustest.Commit(1), zerobustest.Wait(ms), zerobustest.Kill())))
		s, _ := w.resume(one(zerobus.WithRecovery(false))...)
		w.ingest(s, 0, 2)
		w.batch(s, 2, 5)
		w.batch(s, 7, 3)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed)
		w.wantPosition(s, 10, true)
		w.elsewhere(w.srv.Connections()[0], 2, rec(2), rec(3), rec(4))

		again := w.again(s)
		w.wantPosition(again, 10, true)
		w.ingest(again, 10, 2)
		w.must(again.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 12)
		conns := w.conns(3)
		if header(conns[2], "session") != header(conns[0], "session") || header(conns[2], "try") != "1" || header(conns[2], "first") != "1" {
			t.Errorf("the session was not continued: %v", conns[2].Metadata())
		}
		if reqs := conns[2].Requests(); len(reqs) != 4 || reqs[0].First != 5 || len(reqs[0].Records) != 2 || !reqs[0].Batch {
			t.Errorf("requests %+v", reqs)
		}
		wantRecords(w, "what is left of the old one", w.unacked(s), 1, 9)

		// A clean end leaves nothing, and is continued all the same.
		third := w.again(again)
		w.wantPosition(third, 12, true)
		w.must(third.Close(w.Context()))
		// Another producer begins with what is left.
		fourth := w.again(third, zerobus.WithProducerID("q"))
		w.wantPosition(fourth, 0, true)
		w.must(fourth.Close(w.Context()))
		if conns := w.conns(5); header(conns[4], "session") == header(conns[0], "session") || header(conns[4], "first") != "" {
			t.Errorf("another producer has the session of the first: %v", conns[4].Metadata())
		}
	})
}

// A stream that could not take over what is left may have sent some of it. The next one begins behind that.
func TestProducer_RecreateIsRepeated(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Internal, "disk on fire"))), lostAck(1))
		s, _ := w.resume(one(zerobus.WithRecovery(false))...)
		w.ingest(s, 0, 6) // most of them were never sent
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed)
		_, err := w.sdk.RecreateStream(w.Context(), s, zerobus.WithMaxInflightRecords(2))
		wantErr(w, err, zerobus.ErrStreamFailed)
		again := w.again(s)
		w.must(again.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 6)
		wantRecords(w, "third connection", w.conns(3)[2].Records(), 2, 4)
		w.wantPosition(again, 6, true)
	})
}

func TestProducer_RecreateFindsThatMoreIsDurable(t *testing.T) {
	inBubble(t, func(w *world) {
		s, _ := w.resume(one(zerobus.WithRecovery(false))...)
		w.ingest(s, 0, 2)
		w.must(s.Close(w.Context()))
		w.elsewhere(w.srv.Connections()[0], 2, rec(2))
		_, err := w.sdk.RecreateStream(w.Context(), s)
		wantErr(w, err, zerobus.ErrProducerTaken, "number 3")
		wantErr(w, err, zerobus.ErrNonRetriable)
	})
}

// What an old stream has left counts at the first opening of the new one, and not after that.
func TestProducer_RecreatedPositionBeyondWhatWasSent(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(4, zerobustest.Commit(4), zerobustest.Kill())), zerobustest.Accept(zerobustest.On(0, zerobustest.Kill())),
			zerobustest.Refuse(codes.Unavailable, "away"), zerobustest.Accept(zerobustest.AckAll()))
		s, _ := w.resume(one(zerobus.WithRecovery(false))...)
		w.ingest(s, 0, 5)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrStreamFailed)
		again := w.again(s, zerobus.WithRecovery(true)) // nothing is left
		w.ingest(again, 5, 1)
		w.must(w.srv.WaitFor(w.Context(), func() bool { return len(w.srv.Connections()) == 3 }))
		synctest.Wait()
		w.elsewhere(w.srv.Connections()[2], 5, rec(5), rec(6))
		wantErr(w, again.Close(w.Context()), zerobus.ErrProducerTaken, "number 7")
	})
}

// A position that cannot come of what was sent is the work of somebody else.
func TestProducer_PositionBeyondWhatWasSent(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(1, zerobustest.Kill())), zerobustest.Refuse(codes.Unavailable, "away"), zerobustest.Accept(zerobustest.AckAll()))
		s, _ := w.resume(one()...)
		w.ingest(s, 0, 2)
		w.must(w.srv.WaitFor(w.Context(), func() bool { return len(w.srv.Connections()) == 2 }))
		synctest.Wait()
		w.ingest(s, 2, 4) // never sent
		w.elsewhere(w.srv.Connections()[1], 0, rec(0), rec(1), rec(2))
		err := s.Close(w.Context())
		wantErr(w, err, zerobus.ErrProducerTaken, "number 3", "from 2 on")
		if e := err.(*zerobus.Error); e.Code != codes.Aborted || e.Retriable {
			t.Errorf("error %+v", e)
		}
		wantRecords(w, "unacknowledged", w.unacked(s), 0, 6)
		w.conns(4)
	})
}

func TestProducer_ForgottenGoesOn(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(4, zerobustest.Ack(4)), zerobustest.On(5, zerobustest.Kill())))
		s, _ := w.resume(one()...)
		w.ingest(s, 0, 5)
		w.must(s.Flush(w.Context()))
		w.srv.ForgetProducer(table, "p")
		w.ingest(s, 5, 5)
		w.must(s.Close(w.Context()))
		w.wantPosition(s, 10, true)
		wantRecords(w, "durable", w.srv.Records(table), 0, 10)
		if n := w.srv.Position(table, "p"); n != 10 {
			t.Errorf("the server's position is %d; want 10", n)
		}
	})
}

func TestProducer_RefusedRecordsKeepTheirNumbers(t *testing.T) {
	inBubble(t, func(w *world) {
		w.poison(3, 9)
		var refused []int64
		s, _ := w.resume(one(zerobus.WithRejectHandler(func(r zerobus.Rejected) { refused = append(refused, r.Offset) }))...)
		w.ingest(s, 0, 10)
		w.must(s.Flush(w.Context()))
		w.wantPosition(s, 10, true)
		if n := w.srv.Position(table, "p"); n != 9 { // the last one is durable nowhere
			t.Errorf("the server's position is %d; want 9", n)
		}
		w.ingest(s, 10, 2)
		w.must(s.Close(w.Context()))
		w.wantNumbers(false, w.srv.Records(table), []int{0, 1, 2, 4, 5, 6, 7, 8, 10, 11})
		if len(refused) != 2 || refused[0] != 3 || refused[1] != 9 {
			t.Errorf("refused %v", refused)
		}
		_, at := w.resume()
		if at.Records != 12 {
			t.Errorf("resumed %v", at)
		}
	})
}

func TestProducer_ServerThatKnowsNone(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(lostAck(0))
		s, at := w.resume(one()...)
		if want := (zerobus.Position{}); at != want || at.String() != "at least once, from record 0 on" {
			t.Errorf("position %v", at)
		}
		w.ingest(s, 0, 2)
		w.must(s.Close(w.Context()))
		w.wantPosition(s, 2, false)
		w.wantNumbers(false, w.srv.Records(table), []int{0, 0, 1})
		if n := strings.Count(w.log.String(), "level=WARN"); n != 1 || !strings.Contains(w.log.String(), "at least once") {
			t.Errorf("%d warnings:\n%s", n, w.log)
		}
		conns := w.conns(2)
		if header(conns[0], "id") != "p" || header(conns[1], "id") != "" {
			t.Error("the second connection names the producer again, or the first did not")
		}
		for _, c := range conns {
			for _, r := range c.Requests() {
				if r.Told {
					t.Errorf("request %+v", r)
				}
			}
		}
		// What it left begins as new.
		again := w.again(s)
		w.wantPosition(again, 0, false)
		w.must(again.Close(w.Context()))
	}, zerobustest.WithoutProducers())
}

func TestProducer_FleetOfBothKinds(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(lostAck(1), lostAck(2, zerobustest.IgnoreProducer()), lostAck(0, zerobustest.IgnoreProducer()))
		s, _ := w.resume(one()...)
		w.ingest(s, 0, 2)
		w.must(w.srv.WaitFor(w.Context(), func() bool { return len(w.srv.Connections()) >= 2 }))
		w.ingest(s, 2, 1)
		w.must(s.Close(w.Context()))
		w.wantPosition(s, 3, false)
		conns := w.conns(4)
		if first := header(conns[3], "first"); first != "0" || header(conns[3], "try") != "3" {
			t.Errorf("the last connection has first %s", first)
		}
		if reqs := conns[3].Requests(); reqs[0].First != 2 || !reqs[0].Told {
			t.Errorf("requests %+v", reqs)
		}
		if n := strings.Count(w.log.String(), "at least once"); n != 1 {
			t.Errorf("%d warnings:\n%s", n, w.log)
		}
		w.wantPosition(w.again(s), 3, false)
	})
}

func TestProducer_ProviderMustNotNameIt(t *testing.T) {
	inBubble(t, func(w *world) {
		for _, name := range []string{"x-zerobus-producer-id", "X-Zerobus-Producer-Next"} {
			_, err := w.createAs(zerobus.StaticHeaders{{"authorization", "Bearer t"}, {name, "1"}}, zerobus.WithProducerID("p"))
			wantErr(w, err, zerobus.ErrInvalidArgument, "WithProducerID")
			_, err = w.createAs(zerobus.StaticHeaders{{"authorization", "Bearer t"}, {name, "1"}})
			wantErr(w, err, zerobus.ErrInvalidArgument, "WithProducerID")
		}
		w.conns(0)
	})
}

func TestProducer_IDs(t *testing.T) {
	for id, good := range map[string]bool{
		"": true, "a": true, "AZaz09._:/@-": true, strings.Repeat("x", 128): true,
		strings.Repeat("x", 129): false, "a b": false, "ä": false, "a\n": false, "a,b": false, "a\xff": false,
	} {
		settings := zerobus.DefaultStreamSettings()
		settings.ProducerID = id
		if err := settings.Validate(); (err == nil) != good {
			t.Errorf("%q: %v", id, err)
		}
	}
	sdk, err := zerobus.New("http://localhost:1", "")
	if err != nil {
		t.Fatal(err)
	}
	defer sdk.Close()
	for _, id := range []string{"", "a b"} {
		_, _, err := sdk.Resume(t.Context(), id, zerobus.Table(table), auth)
		wantErr(t, err, zerobus.ErrInvalidArgument, "resume")
	}
	_, _, err = sdk.Resume(t.Context(), "p", zerobus.Table(table), auth, nil)
	wantErr(t, err, zerobus.ErrInvalidArgument, "option 0 is nil")
	if got := (*zerobus.Stream)(nil).Position(); got != (zerobus.Position{}) {
		t.Errorf("position of no stream %v", got)
	}
}

// Streams without a producer have a position, too: how many records they took.
func TestProducer_None(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		w.ingest(s, 0, 3)
		w.batch(s, 3, 4)
		w.wantPosition(s, 7, false)
		w.must(s.Close(w.Context()))
		if c := w.conns(1)[0]; header(c, "id")+header(c, "session")+header(c, "try") != "" || c.Requests()[0].Told {
			t.Error("a stream without a producer tells of one")
		}
	})
}

// Whatever connections do, and whatever life of the program it is, every record is there once.
func TestProducer_ExactlyOnceWhateverHappens(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 15
	}
	for seed := range seeds {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			inBubble(t, func(w *world) { exactlyOnce(w, rand.New(rand.NewPCG(seed, 11))) })
		})
	}
}

func exactlyOnce(w *world, r *rand.Rand) {
	const source = 400
	for range 60 {
		var steps []zerobustest.Step
		last := int64(-1)
		for range r.IntN(4) {
			last += 1 + int64(r.IntN(4))
			upTo := last - int64(r.IntN(3))
			act := []func(int64) zerobustest.Action{zerobustest.Ack, zerobustest.Commit}[r.IntN(2)](max(0, upTo))
			steps = append(steps, zerobustest.On(last, act))
		}
		end := []zerobustest.Action{
			zerobustest.Kill(), zerobustest.Fail(codes.Unavailable, "away"), zerobustest.End(), zerobustest.CloseSignal(5 * ms),
		}[r.IntN(4)]
		w.srv.Script(zerobustest.Accept(append(steps, zerobustest.On(last+1+int64(r.IntN(3)), zerobustest.Commit(last), end))...))
	}
	poison := map[int]bool{}
	for range r.IntN(4) {
		poison[r.IntN(source)] = true
	}
	w.poison(slices.Collect(maps.Keys(poison))...)
	var s *zerobus.Stream
	for lives := 0; ; lives++ {
		var at zerobus.Position
		opts := []zerobus.StreamOption{
			zerobus.WithMaxBatchRecords(1 + r.IntN(8)), zerobus.WithMaxInflightRecords(1 + r.IntN(40)), zerobus.WithRecoveryBackoff(ms),
			zerobus.WithRecoveryRetries(1000), zerobus.WithServerAckTimeout(time.Second), zerobus.WithMaxPause(10 * ms),
			zerobus.WithRejectHandler(func(zerobus.Rejected) {}),
		}
		s, at = w.resume(opts...)
		next, end := int(at.Records), source
		if lives < 5 {
			end = min(source, next+r.IntN(source/4))
		}
		var reading sync.WaitGroup
		done := make(chan struct{})
		first := s
		reading.Go(func() { // what others may do meanwhile
			for last := at; ; {
				p := first.Position()
				if p.Records < last.Records || !p.ExactlyOnce {
					w.Errorf("position %v after %v", p, last)
				}
				last = p
				select {
				case <-done:
					return
				case <-time.After(ms):
				}
			}
		})
		for next < end {
			if r.IntN(100) == 0 {
				s = w.replaced(s)
			}
			if n := min(r.IntN(6), end-next); n > 1 && !poison[next] && !poison[next+1] && !poison[next+2] && !poison[next+3] && !poison[next+4] {
				w.batch(s, next, n)
				next += n
			} else {
				w.ingest(s, next, 1)
				next++
			}
		}
		w.wantPosition(s, int64(next), true)
		close(done)
		reading.Wait()
		if next == source {
			break
		} // else it is left as it is: the next life takes over
	}
	w.must(s.Close(w.Context()))
	var want []int
	for n := range source {
		if !poison[n] {
			want = append(want, n)
		}
	}
	w.wantNumbers(false, w.srv.Records(table), want)
}

// replaced ends a stream at once, whatever is on its way, and makes another one of what is left.
func (w *world) replaced(s *zerobus.Stream) *zerobus.Stream {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	cancel()
	_ = s.Close(ctx)
	before := s.Position()
	again := w.again(s)
	if got := again.Position(); got != before {
		w.Errorf("position %v of the new stream, %v of the old one", got, before)
	}
	return again
}
