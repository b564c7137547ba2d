package zerobus_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

func TestCallbacks_CB02_EveryTenth(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open(one()...)
		var told []int64
		for i, ack := range w.ingest(s, 0, 50) {
			if i%10 == 9 {
				ack.OnDone(func(offset int64, err error) {
					w.must(err)
					told = append(told, offset)
				})
			}
		}
		w.must(s.Flush(w.Context()))
		w.must(s.Close(w.Context()))
		if !slices.Equal(told, []int64{9, 19, 29, 39, 49}) {
			w.Errorf("told %v", told)
		}
	})
}

func TestCallbacks_CB03_ItPanics(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(10 * ms)))
		s := w.open(one()...)
		acks := w.ingest(s, 0, 2)
		later := false
		acks[0].OnDone(func(int64, error) { panic("a bug in the callback") })
		acks[1].OnDone(func(int64, error) { later = true })
		w.must(zerobus.WaitAll(w.Context(), acks...))
		synctest.Wait()
		wantState(w, s, zerobus.StateOpened)
		w.must(s.Close(w.Context()))
		if !later {
			w.Error("the callback after the panic was not called")
		}
		if !strings.Contains(w.log.String(), "a bug in the callback") {
			w.Error("the panic is not logged")
		}
		w.conns(1)
	})
}

// watch registers a function and returns how often it was called, and what it was told last.
type watch struct {
	calls  int
	offset int64
	err    error
}

func (x *watch) on(ack zerobus.Ack) (stop func() bool) {
	return ack.OnDone(func(offset int64, err error) {
		x.calls++
		x.offset, x.err = offset, err
	})
}

func TestCallbacks_CB10_OnDoneAlwaysFires(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Ack(0)), zerobustest.On(1, zerobustest.Wait(time.Second), zerobustest.Fail(codes.NotFound, "dropped"))))
		s := w.open(one()...)
		acks := w.ingest(s, 0, 2)
		var before, twice, after, failed, failedToo, atTheEnd, atTheEndToo, ofNothing watch
		before.on(acks[0])
		twice.on(acks[0])
		failed.on(acks[1])
		failedToo.on(acks[1])
		w.must(acks[0].Wait(w.Context()))
		after.on(acks[0])
		synctest.Wait()
		for name, x := range map[string]watch{"before": before, "twice": twice, "after": after} {
			if x != (watch{1, 0, nil}) {
				w.Errorf("%s the acknowledgement: %+v", name, x)
			}
		}
		if failed.calls > 0 {
			w.Error("called before it is known what becomes of the record")
		}
		wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed)
		atTheEnd.on(acks[1])
		atTheEndToo.on(acks[0])
		ofNothing.on(zerobus.Ack{})
		synctest.Wait()
		for name, x := range map[string]watch{"before": failed, "twice": failedToo, "after": atTheEnd} {
			if x.calls != 1 || x.offset != 1 || !errors.Is(x.err, zerobus.ErrStreamFailed) || !strings.Contains(x.err.Error(), "dropped") {
				w.Errorf("%s the failure: %+v", name, x)
			}
		}
		if atTheEndToo != (watch{1, 0, nil}) || ofNothing != (watch{1, -1, nil}) {
			w.Errorf("of a durable record on an ended stream: %+v, of the zero Ack: %+v", atTheEndToo, ofNothing)
		}
	})
}

// On a stream that never had a callback, and has ended, there is still somebody to call.
func TestCallbacks_CB10_FirstOneAfterTheEnd(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		ack := w.ingest(s, 0, 1)[0]
		w.must(s.Close(w.Context()))
		var first, second watch
		first.on(ack)
		synctest.Wait()
		second.on(ack)
		synctest.Wait()
		if first != (watch{1, 0, nil}) || second != (watch{1, 0, nil}) {
			w.Errorf("%+v, %+v", first, second)
		}
	})
}

func TestOnDone_InTheOrderOfOffsets(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(4, zerobustest.Wait(ms), zerobustest.Ack(4))))
		s := w.open(one()...)
		acks := w.ingest(s, 0, 5)
		var told []int64
		for _, i := range []int{3, 0, 4, 1, 2, 0} {
			acks[i].OnDone(func(offset int64, _ error) { told = append(told, offset) })
		}
		w.must(s.Close(w.Context()))
		if !slices.Equal(told, []int64{0, 0, 1, 2, 3, 4}) {
			w.Errorf("told %v", told)
		}
	})
}

func TestOnDone_IsTakenBack(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.AckAllAfter(ms)))
		s := w.open(one()...)
		acks := w.ingest(s, 0, 3)
		var kept, taken watch
		stopKept, stop := kept.on(acks[1]), taken.on(acks[1])
		if !stop() || stop() {
			w.Error("the first stop is in time, the second is not")
		}
		w.must(s.Close(w.Context()))
		if kept.calls != 1 || taken.calls != 0 || stopKept() {
			w.Errorf("kept %+v, taken back %+v", kept, taken)
		}
		if stop := acks[0].OnDone(nil); stop() {
			w.Error("nil was registered")
		}
	})
}

// A function that is called may itself use the stream and the Ack.
func TestOnDone_MayCallTheStream(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open(zerobus.WithMaxInflightRecords(1))
		done := make(chan error, 1)
		w.ingest(s, 0, 1)[0].OnDone(func(int64, error) {
			next, err := s.Ingest(w.Context(), rec(1))
			if err == nil {
				err = next.Wait(w.Context())
			}
			if err == nil {
				next.OnDone(func(int64, error) { done <- s.Close(w.Context()) })
				return
			}
			done <- err
		})
		w.must(<-done)
		wantState(w, s, zerobus.StateClosed)
		wantRecords(w, "durable", w.srv.Records(table), 0, 2)
	})
}
