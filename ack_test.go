package zerobus_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

const ms = time.Millisecond

func TestAcks_AK01_WaitForOffset(t *testing.T) {
	for _, name := range []string{"texts", "encoded messages"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(50 * ms)))
				s := w.openFor(encodings[name].proto)
				start := time.Now()
				ack, err := s.Ingest(w.Context(), encodings[name].record(0))
				w.must(err)
				w.must(s.WaitForOffset(w.Context(), ack.Offset()))
				w.took("wait", start, 50*ms, 50*ms)
				if n := requests(w.conns(1)); n != 1 {
					w.Errorf("%d requests", n)
				}
				w.must(s.Close(w.Context()))
			})
		})
	}
}

func TestAcks_AK02_FlushTen(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(9, zerobustest.Wait(200*ms), zerobustest.Ack(9))))
		s := w.open(one()...)
		acks := w.ingest(s, 0, 10)
		w.must(s.Flush(w.Context()))
		for i, ack := range acks {
			if ack.Offset() != int64(i) || !ack.IsDone() || ack.Err() != nil {
				w.Errorf("ack %d: offset %d, done %v, error %v", i, ack.Offset(), ack.IsDone(), ack.Err())
			}
		}
		if n := len(w.conns(1)[0].Requests()); n != 10 {
			w.Errorf("%d requests", n)
		}
		w.must(s.Close(w.Context()))
	})
}

func TestAcks_AK03_ServerErrorReachesTheWaiter(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Wait(100*ms), zerobustest.Fail(codes.Internal, "disk on fire"))))
		s := w.open(zerobus.WithRecovery(false))
		w.ingest(s, 0, 1)
		start := time.Now()
		err := s.WaitForOffset(w.Context(), 0)
		wantErr(w, err, zerobus.ErrStreamFailed, "disk on fire", table)
		w.took("wait", start, 100*ms, 100*ms)
		if status.Code(err) != codes.Internal || status.Convert(err).Message() != "disk on fire" {
			w.Errorf("status %v", status.Convert(err))
		}
		if !zerobus.IsRetriable(err) {
			w.Error("INTERNAL is worth another stream")
		}
	})
}

func TestAcks_AK04_FirstGoodSecondBad(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(
			zerobustest.On(0, zerobustest.Ack(0)),
			zerobustest.On(1, zerobustest.Wait(10*ms), zerobustest.Fail(codes.Internal, "disk on fire"))))
		s := w.open(one(zerobus.WithRecovery(false))...)
		acks := w.ingest(s, 0, 2)
		w.must(acks[0].Wait(w.Context()))
		wantErr(w, acks[1].Wait(w.Context()), zerobus.ErrStreamFailed, "disk on fire")
		wantErr(w, acks[1].Err(), zerobus.ErrStreamFailed, "disk on fire")
		if acks[0].Err() != nil {
			w.Errorf("the acknowledged record has the error %v", acks[0].Err())
		}
		_, err := s.Ingest(w.Context(), rec(2))
		wantErr(w, err, zerobus.ErrStreamClosed, "disk on fire")
		wantState(w, s, zerobus.StateFailed)
	})
}

func TestAcks_AK05_AllWaitersGetCodeAndText(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(4, zerobustest.Wait(100*ms), zerobustest.Fail(codes.PermissionDenied, "no MODIFY"))))
		s := w.open(one()...)
		for _, ack := range w.ingest(s, 0, 5) {
			err := ack.Wait(w.Context())
			wantErr(w, err, zerobus.ErrAuth, "no MODIFY")
			wantErr(w, err, zerobus.ErrNonRetriable)
			if status.Code(err) != codes.PermissionDenied {
				w.Errorf("code %v", status.Code(err))
			}
		}
		w.conns(1)
	})
}

func TestAcks_AK06_TimedWaitLeavesTheRecordAlone(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(time.Second)))
		s := w.open()
		ack := w.ingest(s, 0, 1)[0]
		start := time.Now()
		for name, wait := range map[string]func() error{
			"Wait":          func() error { return ack.Wait(w.timeout(100 * ms)) },
			"WaitForOffset": func() error { return s.WaitForOffset(w.timeout(100*ms), 0) },
		} {
			err := wait()
			wantErr(w, err, zerobus.ErrAckTimeout, "offset 0")
			if !errors.Is(err, context.DeadlineExceeded) || !zerobus.IsRetriable(err) || errors.Is(err, zerobus.ErrStreamClosed) {
				w.Errorf("%s: %v is of the wrong kind", name, err)
			}
		}
		w.took("two waits", start, 200*ms, 200*ms)
		if ack.IsDone() || ack.Err() != nil {
			w.Error("the end of the wait is taken for an end of the record")
		}
		w.must(ack.Wait(w.Context()))
		wantState(w, s, zerobus.StateOpened)
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 1)
	})
}

// WaitForOffset without a deadline ends with the flush timeout.
func TestAcks_AK06_WaitForOffsetIsBounded(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(time.Second)))
		s := w.open(zerobus.WithFlushTimeout(300 * ms))
		w.ingest(s, 0, 1)
		start := time.Now()
		wantErr(w, s.WaitForOffset(w.Context(), 0), zerobus.ErrAckTimeout)
		w.took("wait", start, 300*ms, 300*ms)
		time.Sleep(time.Second)
		w.must(s.WaitForOffset(w.Context(), 0))
		w.must(s.Close(w.Context()))
	})
}

func TestAcks_AK07_WaitIsCancelledBeforeTheAck(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(time.Second)))
		var infos []zerobus.AckInfo
		s := w.open(one(zerobus.WithAckCallback(func(i zerobus.AckInfo) { infos = append(infos, i) }))...)
		acks := w.ingest(s, 0, 2)
		ctx, cancel := context.WithCancel(w.Context())
		time.AfterFunc(100*ms, cancel)
		err := acks[0].Wait(ctx)
		wantErr(w, err, context.Canceled)
		if errors.Is(err, zerobus.ErrAckTimeout) {
			w.Errorf("%v is no timeout", err)
		}
		w.must(zerobus.WaitAll(w.Context(), acks...))
		w.must(acks[0].Wait(ctx)) // it is known, so a context that has ended does not matter
		wantState(w, s, zerobus.StateOpened)
		w.must(s.Close(w.Context()))
		told := int64(0)
		for _, i := range infos {
			if i.Err != nil || i.First != told {
				w.Errorf("callbacks %+v", infos)
			}
			told = i.Last + 1
		}
		if told != 2 {
			w.Errorf("callbacks up to %d", told-1)
		}
		w.conns(1)
	})
}

func TestAcks_AK08_RegressingAckIsIgnored(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(9, zerobustest.Ack(5), zerobustest.Ack(3), zerobustest.Ack(5))))
		s := w.open(one()...)
		acks := w.ingest(s, 0, 10)
		synctest.Wait()
		for i, ack := range acks {
			if ack.IsDone() != (i <= 5) {
				w.Errorf("ack %d: done is %v", i, ack.IsDone())
			}
		}
		wantState(w, s, zerobus.StateOpened)
	})
}

func TestAcks_AK10_FaultyAckLeadsToRecovery(t *testing.T) {
	for name, fault := range map[string]zerobustest.Action{
		"without offset":       zerobustest.AckNothing(),
		"unknown payload":      zerobustest.Send([]byte{0x7a, 0}),
		"beyond what was sent": zerobustest.Ack(1000),
		"negative":             zerobustest.Ack(-1),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept(zerobustest.On(2, fault, zerobustest.Hang())))
				s := w.open(one()...)
				start := time.Now()
				acks := w.ingest(s, 0, 3)
				time.Sleep(ms)
				synctest.Wait()
				wantState(w, s, zerobus.StateRecovering)
				for i, ack := range acks {
					if ack.IsDone() {
						w.Errorf("record %d is done by a faulty ack", i)
					}
				}
				w.must(s.Flush(w.Context()))
				w.took("the recovery", start, 2*time.Second, 2500*ms) // not only when the server counts as silent
				wantRecords(w, "sent again", w.conns(2)[1].Records(), 0, 3)
				w.must(s.Close(w.Context()))
			})
		})
	}
}

// The transport drops what comes for a stream that the client has left. An acknowledgement that was received before, and
// is looked at after, is in TestGeneration_AK12_CS10_TheOldOneHasNoEffect and in package window.
func TestAcks_AK12_LateAckOfAReplacedConnection(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(), zerobustest.Accept())
		s := w.open(zerobus.WithServerAckTimeout(time.Second), zerobus.WithRecoveryBackoff(ms))
		w.ingest(s, 0, 1)
		time.Sleep(1100 * ms) // the first connection was found silent
		conns := w.conns(2)
		conns[0].Ack(0)
		synctest.Wait()
		if s.State() != zerobus.StateOpened || s.WaitForOffset(w.timeout(ms), 0) == nil {
			w.Error("the acknowledgement of a replaced connection has an effect")
		}
		conns[1].Ack(0)
		w.must(s.Close(w.Context()))
	})
}

func TestAcks_AK13_OffsetsThatWereNotIssued(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		w.ingest(s, 0, 3)
		for _, offset := range []int64{-1, 3, 1 << 40} {
			wantErr(w, s.WaitForOffset(w.Context(), offset), zerobus.ErrInvalidArgument)
		}
		w.must(s.WaitForOffset(w.Context(), 2))
		w.must(s.Close(w.Context()))
	})
}

func TestAcks_AK14_ManyWaitForOne(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(time.Second)))
		s := w.open()
		acks := w.ingest(s, 0, 3)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				ack := acks[i%3]
				for range 2 {
					if err := ack.Wait(w.Context()); err != nil || ack.Offset() != int64(i%3) {
						w.Errorf("offset %d: %v", ack.Offset(), err)
					}
				}
				<-ack.Done()
			})
		}
		wg.Wait()
		w.must(s.Close(w.Context()))
		<-acks[0].Done()
	})
}

func TestAcks_ZeroAckIsDone(t *testing.T) {
	var ack zerobus.Ack
	if ack.Offset() != -1 || !ack.IsDone() || ack.Err() != nil || ack.Wait(t.Context()) != nil {
		t.Errorf("offset %d, done %v, error %v", ack.Offset(), ack.IsDone(), ack.Err())
	}
	<-ack.Done()
}
