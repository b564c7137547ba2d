package zerobus_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// The end is told once, also when there is more to tell after it.
func TestCallbacks_CB05_TheEndIsToldOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Wait(ms), zerobustest.Fail(codes.NotFound, "dropped"))))
		var ranges []zerobus.AckInfo
		offsets, done := map[int64]int{}, map[int64]int{}
		s := w.open(one(
			zerobus.WithAckCallback(func(a zerobus.AckInfo) { ranges = append(ranges, a); time.Sleep(ms) }),
			zerobus.WithAckHandler(zerobus.AckHandler{OnError: func(o int64, _ error) { offsets[o]++ }}))...)
		var again func(a zerobus.Ack, depth int)
		again = func(a zerobus.Ack, depth int) {
			a.OnDone(func(o int64, err error) {
				wantErr(w, err, zerobus.ErrStreamFailed, "dropped")
				if done[o]++; depth > 0 {
					again(a, depth-1) // there is always something left to tell
				}
			})
		}
		for _, a := range w.ingest(s, 0, 5) {
			again(a, 3)
		}
		wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed)
		if len(ranges) != 1 || ranges[0].First != 0 || ranges[0].Last != 4 {
			w.Errorf("ranges %+v", ranges)
		}
		for o := range int64(5) {
			if offsets[o] != 1 || done[o] != 4 {
				w.Errorf("offset %d: OnError %d times, OnDone %d times; want 1 and 4", o, offsets[o], done[o])
			}
		}
	})
}

// A second Close returns when nothing of the stream is running, like the first.
func TestClose_CL02_TheSecondWaitsForCallbacksToo(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open(zerobus.WithAckCallback(func(zerobus.AckInfo) { time.Sleep(time.Second) }))
		start := time.Now()
		w.ingest(s, 0, 1)
		first := make(chan error)
		go func() { first <- s.Close(w.Context()) }()
		time.Sleep(100 * ms)
		w.must(s.Close(w.Context()))
		w.took("the second close", start, time.Second, time.Second)
		w.must(<-first)
	})
}

// A Close whose time is over as the last acknowledgement comes has nothing to complain about.
func TestClose_CL13_AckedAtTheLastMoment(t *testing.T) {
	for range 50 {
		inBubble(t, func(w *world) {
			w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Wait(100*ms), zerobustest.Ack(0))))
			s := w.open()
			w.ingest(s, 0, 1)
			err := s.Close(w.timeout(100 * ms))
			if left := len(w.unacked(s)); (err == nil) != (left == 0) {
				w.Errorf("%d unacknowledged, and the error %v", left, err)
			}
		})
	}
}
