package zerobus_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// outcomes writes down what an AckHandler is told.
type outcomes struct {
	acked, failed []int64
	errs          []error
}

func (o *outcomes) handler() zerobus.StreamOption {
	return zerobus.WithAckHandler(zerobus.AckHandler{
		OnAck:   func(offset int64) { o.acked = append(o.acked, offset) },
		OnError: func(offset int64, err error) { o.failed, o.errs = append(o.failed, offset), append(o.errs, err) },
	})
}

// upTo are the offsets from 0.
func upTo(last int64) (all []int64) {
	for i := range last + 1 {
		all = append(all, i)
	}
	return all
}

func TestCallbacks_CB04_OneByOne(t *testing.T) {
	for _, n := range []int{3, 10, 11} {
		inBubble(t, func(w *world) {
			var got outcomes
			s := w.open(one(got.handler())...)
			acks := w.ingest(s, 0, n)
			w.must(acks[n-1].Wait(w.Context()))
			synctest.Wait() // the callback is told beside the one who waits
			if !slices.Equal(got.acked, upTo(int64(n-1))) || len(got.failed) > 0 {
				w.Errorf("of %d records: %+v", n, got)
			}
			w.must(s.Close(w.Context()))
			if len(got.acked) != n {
				w.Errorf("Close brought more calls: %+v", got)
			}
		})
	}
}

func TestCallbacks_CB05_ErrorForTheRest(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(
			zerobustest.On(0, zerobustest.Ack(0)),
			zerobustest.On(1, zerobustest.Wait(ms), zerobustest.Fail(codes.Internal, "disk on fire"))))
		var got outcomes
		var infos []zerobus.AckInfo
		s := w.open(one(zerobus.WithRecovery(false), got.handler(),
			zerobus.WithAckCallback(func(i zerobus.AckInfo) { infos = append(infos, i) }))...)
		w.ingest(s, 0, 3)
		time.Sleep(500 * ms)
		synctest.Wait()
		if !slices.Equal(got.acked, []int64{0}) || !slices.Equal(got.failed, []int64{1, 2}) {
			w.Fatalf("%+v", got)
		}
		for _, err := range got.errs {
			wantErr(w, err, zerobus.ErrStreamFailed, "disk on fire")
		}
		if len(infos) != 2 || infos[0] != (zerobus.AckInfo{First: 0, Last: 0}) || infos[1].First != 1 || infos[1].Last != 2 {
			w.Fatalf("callbacks %+v", infos)
		}
		wantErr(w, infos[1].Err, zerobus.ErrStreamFailed, "disk on fire")
		wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed)
		if len(got.failed) != 2 || len(infos) != 2 {
			w.Error("Close has told it again")
		}
	})
}

func TestCallbacks_CB06_ABatchIsOneCall(t *testing.T) {
	inBubble(t, func(w *world) {
		var got outcomes
		s := w.open(got.handler())
		w.batch(s, 0, 2)
		w.must(s.Close(w.Context()))
		if !slices.Equal(got.acked, []int64{0}) || len(got.failed) > 0 {
			w.Errorf("%+v", got)
		}
	})
}

func TestCallbacks_CB07_OneAckForFive(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(4, zerobustest.Ack(4))))
		var got outcomes
		s := w.open(one(got.handler())...)
		w.ingest(s, 0, 5)
		w.must(s.Flush(w.Context()))
		synctest.Wait()
		if !slices.Equal(got.acked, upTo(4)) || len(got.failed) > 0 {
			w.Errorf("%+v", got)
		}
		w.must(s.Close(w.Context()))
	})
}

func TestCallbacks_CB08_PanicAtOneOfThree(t *testing.T) {
	inBubble(t, func(w *world) {
		var told []int64
		s := w.open(one(zerobus.WithAckHandler(zerobus.AckHandler{OnAck: func(offset int64) {
			told = append(told, offset)
			if offset == 1 {
				panic("a bug in the handler")
			}
		}}))...)
		w.ingest(s, 0, 3)
		w.must(s.Flush(w.Context()))
		synctest.Wait()
		if !slices.Equal(told, upTo(2)) {
			w.Errorf("told %v", told)
		}
		wantState(w, s, zerobus.StateOpened)
		w.must(s.Close(w.Context()))
		if n := strings.Count(w.log.String(), "a bug in the handler"); n != 1 {
			w.Errorf("the panic is logged %d times", n)
		}
		w.conns(1)
	})
}

func TestCallbacks_CB09_AnyOfTheTwo(t *testing.T) {
	for name, tt := range map[string]struct {
		onAck, onError bool
	}{"only OnAck": {true, false}, "only OnError": {false, true}, "neither": {false, false}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept(zerobustest.On(2, zerobustest.Ack(1), zerobustest.Wait(ms), zerobustest.Fail(codes.NotFound, "dropped"))))
				var acked, failed []int64
				var h zerobus.AckHandler
				if tt.onAck {
					h.OnAck = func(offset int64) { acked = append(acked, offset) }
				}
				if tt.onError {
					h.OnError = func(offset int64, _ error) { failed = append(failed, offset) }
				}
				s := w.open(one(zerobus.WithAckHandler(h))...)
				w.ingest(s, 0, 3)
				wantErr(w, s.Close(w.Context()), zerobus.ErrStreamFailed)
				if tt.onAck != slices.Equal(acked, upTo(1)) || tt.onError != slices.Equal(failed, []int64{2}) {
					w.Errorf("acknowledged %v, failed %v", acked, failed)
				}
			})
		})
	}
}
