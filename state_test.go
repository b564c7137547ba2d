package zerobus_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

func TestState_RC15_ChangesAreSeen(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Wait(10*ms), zerobustest.Fail(codes.Unavailable, "gone"))))
		s := w.open()
		id := s.ID()
		var seen []zerobus.State
		done := make(chan struct{})
		go func() {
			defer close(done)
			for state := range s.StateChanges(w.Context()) {
				seen = append(seen, state)
			}
		}()
		synctest.Wait()
		w.ingest(s, 0, 1)
		time.Sleep(time.Minute)
		if s.ID() == id {
			w.Error("the id is that of the lost connection")
		}
		w.must(s.Close(w.Context()))
		<-done
		if got := fmt.Sprint(seen); got != "[OPENED RECOVERING OPENED CLOSED]" {
			w.Errorf("states %s", got)
		}
	})
}

func TestState_FlushingIsSeen(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Wait(10*ms), zerobustest.Ack(0)), zerobustest.On(1, zerobustest.Fail(codes.NotFound, "dropped"))))
		s := w.open(one()...)
		done := make(chan string)
		go func() {
			var seen []zerobus.State
			for state := range s.StateChanges(w.Context()) {
				seen = append(seen, state)
			}
			done <- fmt.Sprint(seen)
		}()
		synctest.Wait()
		w.ingest(s, 0, 1)
		w.must(s.Flush(w.Context()))
		w.ingest(s, 1, 1)
		if got := <-done; got != "[OPENED FLUSHING OPENED FAILED]" {
			w.Errorf("states %s", got)
		}
		// After the end there is the end only.
		for state := range s.StateChanges(w.Context()) {
			if state != zerobus.StateFailed {
				w.Errorf("state %v", state)
			}
		}
	})
}

func TestState_LoopsEnd(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		start := time.Now()
		for range s.StateChanges(w.timeout(time.Second)) {
		}
		w.took("the loop", start, time.Second, time.Second)
		for range s.StateChanges(w.Context()) {
			break
		}
		var none context.Context
		for range s.StateChanges(none) {
			w.Error("a nil context has changes")
		}
		// A loop that does not keep up sees the end.
		var last zerobus.State
		n := 0
		for state := range s.StateChanges(w.Context()) {
			if n++; n == 1 {
				w.srv.Otherwise(zerobustest.Accept(zerobustest.AckAllAfter(ms)))
				for i := range 100 {
					w.ingest(s, i, 1)
					w.must(s.Flush(w.Context()))
				}
				w.must(s.Close(w.Context()))
			}
			last = state
		}
		if last != zerobus.StateClosed || n > 70 {
			w.Errorf("%d changes, the last %v", n, last)
		}
	})
}
