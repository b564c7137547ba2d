package zerobus_test

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// A call tells of a range of offsets, and there are as many as acknowledgements that come one by one.
func TestCallbacks_CB01_CallsForAcknowledgements(t *testing.T) {
	inBubble(t, func(w *world) {
		var steps []zerobustest.Step
		for i := int64(9); i < 50; i += 10 {
			steps = append(steps, zerobustest.On(i, zerobustest.Wait(time.Duration(i)*5*ms), zerobustest.Ack(i)))
		}
		w.srv.Script(zerobustest.Accept(steps...))
		var infos []zerobus.AckInfo
		s := w.open(one(zerobus.WithAckCallback(func(i zerobus.AckInfo) { infos = append(infos, i) }))...)
		w.ingest(s, 0, 50)
		w.must(s.Close(w.Context()))
		want := []zerobus.AckInfo{{First: 0, Last: 9}, {First: 10, Last: 19}, {First: 20, Last: 29}, {First: 30, Last: 39}, {First: 40, Last: 49}}
		if !slices.Equal(infos, want) {
			w.Errorf("callbacks %+v; want %+v", infos, want)
		}
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
	for name, tt := range map[string]struct {
		opts []zerobus.StreamOption
		want time.Duration
	}{
		"default": {nil, 5 * time.Second},
		"set":     {[]zerobus.StreamOption{zerobus.WithCallbackTimeout(300 * ms)}, 300 * ms},
		"none":    {[]zerobus.StreamOption{zerobus.WithCallbackTimeout(0)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				release := make(chan struct{})
				s := w.open(append(tt.opts, zerobus.WithAckCallback(func(zerobus.AckInfo) { <-release }))...)
				w.ingest(s, 0, 1)
				start := time.Now()
				w.must(s.Close(w.Context()))
				w.took("close", start, tt.want, tt.want)
				wantState(w, s, zerobus.StateClosed)
				close(release)
			})
		})
	}
}

// A callback that is only slow is waited for.
func TestCallbacks_CB13_CloseWaitsForSlowOnes(t *testing.T) {
	inBubble(t, func(w *world) {
		told := int64(-1)
		s := w.open(one(zerobus.WithAckCallback(func(i zerobus.AckInfo) { time.Sleep(time.Second); told = i.Last }))...)
		w.ingest(s, 0, 10)
		w.must(s.Close(w.Context()))
		if told != 9 {
			w.Errorf("callbacks up to %d when Close returns", told)
		}
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

// A callback may ingest more than there is room for: it does not wait for room that it may hold up itself. Others do.
func TestCallbacks_IngestBeyondTheLimit(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(10 * ms)))
		var s *zerobus.Stream
		ready, done := make(chan struct{}), make(chan struct{})
		first := true
		s = w.open(one(zerobus.WithMaxInflightRecords(2), zerobus.WithAckCallback(func(zerobus.AckInfo) {
			<-ready
			if !first {
				return
			}
			first = false
			start := time.Now()
			w.ingest(s, 1, 19)
			w.batch(s, 20, 5)
			w.took("ingest within the callback", start, 0, 0)
			_, err := s.TryIngest(rec(25))
			wantErr(w, err, zerobus.ErrWouldBlock)
			close(done)
		}))...)
		close(ready)
		w.ingest(s, 0, 1)
		<-done
		start := time.Now()
		w.ingest(s, 25, 1)
		w.took("ingest outside", start, 10*ms, 10*ms)
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 26)
	})
}

// A callback that waits for what comes after it, on a stream that fails meanwhile, gets the failure.
func TestCallbacks_WaitForAFailure(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(fails(1, 0))
		var s *zerobus.Stream
		ready, got := make(chan struct{}), make(chan error, 2)
		s = w.open(one(zerobus.WithRecovery(false), zerobus.WithAckCallback(func(i zerobus.AckInfo) {
			<-ready
			if i.Err == nil {
				got <- s.WaitForOffset(w.Context(), 1)
			} else {
				got <- i.Err
			}
		}))...)
		w.ingest(s, 0, 2)
		close(ready)
		for range 2 {
			wantErr(w, <-got, zerobus.ErrStreamFailed, "disk on fire")
		}
		wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed)
	})
}
