package zerobus_test

import (
	"bytes"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

func TestCallbacks_CB01_CB07_RangesInOrder(t *testing.T) {
	inBubble(t, func(w *world) {
		var steps []zerobustest.Step
		for i := int64(9); i < 50; i += 10 {
			steps = append(steps, zerobustest.On(i, zerobustest.Wait(5*ms), zerobustest.Ack(i)))
		}
		w.srv.Script(zerobustest.Accept(steps...))
		var infos []zerobus.AckInfo
		s := w.open(one(zerobus.WithAckCallback(func(i zerobus.AckInfo) { infos = append(infos, i) }))...)
		w.ingest(s, 0, 50)
		w.must(s.Close(w.Context()))
		next := int64(0)
		for _, i := range infos {
			if i.First != next || i.Last < i.First || i.Err != nil {
				w.Errorf("callbacks %+v", infos)
			}
			next = i.Last + 1
		}
		if next != 50 {
			w.Errorf("callbacks up to %d; want 49", next-1)
		}
	})
}

func TestCallbacks_CB05_ErrorForTheRest(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Ack(0), zerobustest.Wait(ms), zerobustest.Fail(codes.InvalidArgument, "bad record"))))
		var infos []zerobus.AckInfo
		s := w.open(one(zerobus.WithAckCallback(func(i zerobus.AckInfo) { infos = append(infos, i) }))...)
		w.ingest(s, 0, 3)
		wantErr(w, s.Close(w.Context()), zerobus.ErrInvalidArgument, "bad record")
		if len(infos) != 2 || infos[0] != (zerobus.AckInfo{First: 0, Last: 0}) || infos[1].First != 1 || infos[1].Last != 2 {
			w.Fatalf("callbacks %+v", infos)
		}
		wantErr(w, infos[1].Err, zerobus.ErrStreamFailed, "bad record")
	})
}

func TestCallbacks_CB11_SlowOneDelaysNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		var calls int
		s := w.open(one(zerobus.WithAckCallback(func(zerobus.AckInfo) { calls++; time.Sleep(time.Second) }))...)
		start := time.Now()
		w.ingest(s, 0, 100)
		w.must(s.Flush(w.Context()))
		w.took("flush", start, 0, 0)
		w.must(s.Close(w.Context()))
		w.took("close", start, time.Second, 3*time.Second)
		if calls < 1 || calls > 3 {
			w.Errorf("%d calls", calls)
		}
	})
}

func TestCallbacks_CB13_CloseWaitsForThemButNotForEver(t *testing.T) {
	inBubble(t, func(w *world) {
		release := make(chan struct{})
		s := w.open(zerobus.WithAckCallback(func(zerobus.AckInfo) { <-release }))
		w.ingest(s, 0, 1)
		start := time.Now()
		w.must(s.Close(w.Context()))
		w.took("close", start, 5*time.Second, 5*time.Second)
		close(release)
	})
}

func TestCallbacks_CB14_AcrossRecovery(t *testing.T) {
	inBubble(t, func(w *world) {
		for range 5 {
			w.srv.Script(zerobustest.Accept(zerobustest.On(4, zerobustest.Ack(3), zerobustest.Wait(ms), zerobustest.End())))
		}
		var infos []zerobus.AckInfo
		s := w.open(one(zerobus.WithAckCallback(func(i zerobus.AckInfo) { infos = append(infos, i) }))...)
		w.ingest(s, 0, 50)
		w.must(s.Close(w.Context()))
		next := int64(0)
		for _, i := range infos {
			if i.First != next || i.Err != nil {
				w.Errorf("callbacks %+v", infos)
			}
			next = i.Last + 1
		}
		if next != 50 {
			w.Errorf("callbacks up to %d; want 49", next-1)
		}
	})
}

func TestCallbacks_CB15_PanicIsContained(t *testing.T) {
	inBubble(t, func(w *world) {
		var calls int
		s := w.open(zerobus.WithAckCallback(func(zerobus.AckInfo) {
			calls++
			if calls == 1 {
				panic("a bug in the callback")
			}
		}))
		w.must(w.ingest(s, 0, 1)[0].Wait(w.Context()))
		synctest.Wait()
		w.must(w.ingest(s, 1, 1)[0].Wait(w.Context()))
		wantState(w, s, zerobus.StateOpened)
		w.must(s.Close(w.Context()))
		if calls != 2 {
			w.Errorf("%d calls; want 2", calls)
		}
		w.conns(1)
		if !bytes.Contains([]byte(w.log.String()), []byte("a bug in the callback")) {
			w.Error("the panic was not logged")
		}
	})
}

// Any method may be called within a callback.
func TestCallbacks_MayCallTheStream(t *testing.T) {
	inBubble(t, func(w *world) {
		var once sync.Once
		var s *zerobus.Stream
		ready, done := make(chan struct{}), make(chan struct{})
		s = w.open(zerobus.WithAckCallback(func(zerobus.AckInfo) {
			<-ready
			once.Do(func() {
				w.ingest(s, 1, 1)
				w.must(s.Flush(w.Context()))
				s.State()
				s.ID()
				close(done)
			})
		}))
		close(ready)
		w.ingest(s, 0, 1)
		<-done
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 2)
	})
}
