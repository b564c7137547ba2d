package zerobus_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zerobus-go/zerobus"
)

// messages returns the numbers of records in the requests of the only connection.
func (w *world) messages() (sizes []int) {
	w.Helper()
	synctest.Wait()
	for _, r := range w.conns(1)[0].Requests() {
		sizes = append(sizes, len(r.Records))
	}
	return sizes
}

// two has a message of two calls sent and acknowledged. It returns the number of the next record.
func (w *world) two(s *zerobus.Stream, n int) int {
	w.Helper()
	for range 1000 {
		acks := w.ingest(s, n, 2)
		w.must(acks[1].Wait(w.Context()))
		n += 2
		if sizes := w.messages(); sizes[len(sizes)-1] == 2 {
			return n
		}
		w.must(w.ingest(s, n, 1)[0].Wait(w.Context())) // so that the message before this is not one of several calls
		n++
	}
	w.Fatal("the sender was always faster than two calls")
	return n
}

func TestBatchPause_MessagesGrow(t *testing.T) {
	for _, tt := range []struct {
		pause time.Duration
		want  []int
	}{{0, []int{1, 1, 1, 1, 1}}, {ms, []int{3, 2}}} {
		inBubble(t, func(w *world) {
			s := w.open(zerobus.WithMaxBatchRecords(0), zerobus.WithBatchPause(tt.pause))
			n := w.two(s, 0)
			before := len(w.messages())
			for _, after := range []time.Duration{ms, ms / 4, ms / 4, ms, ms / 4} {
				time.Sleep(after)
				w.ingest(s, n, 1)
				n++
				synctest.Wait()
			}
			time.Sleep(tt.pause)
			if got := w.messages()[before:]; !slices.Equal(got, tt.want) {
				w.Errorf("pause %v: messages of %v records; want %v", tt.pause, got, tt.want)
			}
			w.must(s.Close(w.Context()))
			wantRecords(w, "received", w.conns(1)[0].Records(), 0, n)
		})
	}
}

// Calls that come one at a time never wait, nor do large messages, nor what somebody flushes.
func TestBatchPause_DelaysNothingInVain(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open(zerobus.WithMaxBatchRecords(0), zerobus.WithBatchPause(100*ms))
		start := time.Now()
		n := 0
		for ; n < 5; n++ {
			w.must(w.ingest(s, n, 1)[0].Wait(w.Context()))
		}
		for range 2 {
			w.must(w.batch(s, n, 10).Wait(w.Context()))
			n += 10
		}
		n = w.two(s, n)
		large, err := s.Ingest(w.Context(), zerobus.JSONString(`{"n":"`+strings.Repeat("x", 16<<10)+`"}`))
		w.must(err)
		w.must(large.Wait(w.Context()))
		w.took("lone records, lone batches, and a large record after a message of two", start, 0, 0)

		n = w.two(s, n)
		ack := w.ingest(s, n, 1)[0]
		n++
		synctest.Wait()
		if ack.IsDone() {
			w.Error("the message did not wait")
		}
		w.must(s.Flush(w.Context()))
		w.took("a flush during a pause", start, 0, 0)

		n = w.two(s, n)
		w.must(w.ingest(s, n, 1)[0].Wait(w.Context()))
		n++
		w.took("a record after a message of two", start, 100*ms, 100*ms)

		n = w.two(s, n)
		w.ingest(s, n, 1)
		synctest.Wait()
		w.must(s.Close(w.Context()))
		w.took("a close during a pause", start, 100*ms, 100*ms)
	})
}

// A connection that breaks during a pause takes nothing with it.
func TestBatchPause_ConnectionLost(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open(zerobus.WithMaxBatchRecords(0), zerobus.WithBatchPause(100*ms))
		n := w.two(s, 0)
		w.ingest(s, n, 1)
		synctest.Wait()
		w.conns(1)[0].Kill()
		w.must(s.Flush(w.Context()))
		w.must(s.Close(w.Context()))
		wantRecords(w, "received by the second connection", w.conns(2)[1].Records(), n, 1)
	})
}

// What came long after is not delayed, nor what cannot grow.
func TestBatchPause_NotForLong(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open(zerobus.WithMaxBatchRecords(0), zerobus.WithBatchPause(100*ms))
		n := w.two(s, 0)
		time.Sleep(1001 * ms)
		start := time.Now()
		w.must(w.ingest(s, n, 1)[0].Wait(w.Context()))
		w.took("a record that came much later", start, 0, 0)
	})
	inBubble(t, func(w *world) {
		s := w.open(zerobus.WithMaxBatchRecords(0), zerobus.WithBatchPause(100*ms), zerobus.WithMaxInflightRecords(2))
		start := time.Now()
		acks := w.ingest(s, 0, 40)
		w.must(acks[39].Wait(w.Context()))
		w.took("forty records two at a time", start, 0, 100*ms) // the last one may wait
	})
	inBubble(t, func(w *world) {
		s := w.open(zerobus.WithMaxBatchRecords(2), zerobus.WithBatchPause(100*ms))
		n := w.two(s, 0)
		start := time.Now()
		acks := w.ingest(s, n, 3) // the first two may leave in two messages
		w.must(acks[0].Wait(w.Context()))
		w.took("a full message", start, 0, 100*ms)
	})
}
