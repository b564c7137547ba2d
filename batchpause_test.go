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

func TestBatchPause_MessagesGrow(t *testing.T) {
	for _, tt := range []struct {
		pause time.Duration
		want  []int
	}{{0, []int{2, 1, 1, 1, 1, 1}}, {ms, []int{2, 3, 2}}} {
		inBubble(t, func(w *world) {
			s := w.open(zerobus.WithMaxBatchRecords(0), zerobus.WithBatchPause(tt.pause))
			w.batch(s, 0, 2)
			synctest.Wait()
			for i, after := range []time.Duration{ms, ms / 4, ms / 4, ms, ms / 4} {
				time.Sleep(after)
				w.ingest(s, 2+i, 1)
				synctest.Wait()
			}
			time.Sleep(tt.pause)
			if got := w.messages(); !slices.Equal(got, tt.want) {
				w.Errorf("pause %v: messages of %v records; want %v", tt.pause, got, tt.want)
			}
			w.must(s.Close(w.Context()))
			wantRecords(w, "received", w.conns(1)[0].Records(), 0, 7)
		})
	}
}

// Records that come one at a time never wait, nor do large messages, nor what somebody flushes.
func TestBatchPause_DelaysNothingInVain(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open(zerobus.WithMaxBatchRecords(0), zerobus.WithBatchPause(time.Second))
		start := time.Now()
		for i := range 5 {
			w.must(w.ingest(s, i, 1)[0].Wait(w.Context()))
		}
		w.took("five lone records", start, 0, 0)

		w.must(w.batch(s, 5, 2).Wait(w.Context()))
		large, err := s.Ingest(w.Context(), zerobus.JSONString(`{"n":"`+strings.Repeat("x", 16<<10)+`"}`))
		w.must(err)
		w.must(large.Wait(w.Context()))
		w.took("a large record after a message of two", start, 0, 0)

		w.must(w.batch(s, 8, 2).Wait(w.Context()))
		ack := w.ingest(s, 10, 1)[0]
		synctest.Wait()
		if ack.IsDone() {
			w.Error("the message did not wait")
		}
		w.must(s.Flush(w.Context()))
		w.took("a flush during a pause", start, 0, 0)

		w.must(w.batch(s, 11, 2).Wait(w.Context()))
		w.must(w.ingest(s, 13, 1)[0].Wait(w.Context()))
		w.took("a record after a message of two", start, time.Second, time.Second)

		w.must(w.batch(s, 14, 2).Wait(w.Context()))
		w.ingest(s, 16, 1)
		synctest.Wait()
		w.must(s.Close(w.Context()))
		w.took("a close during a pause", start, time.Second, time.Second)
	})
}

// A connection that breaks during a pause takes nothing with it.
func TestBatchPause_ConnectionLost(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open(zerobus.WithMaxBatchRecords(0), zerobus.WithBatchPause(time.Second))
		w.must(w.batch(s, 0, 2).Wait(w.Context()))
		w.ingest(s, 2, 1)
		synctest.Wait()
		w.conns(1)[0].Kill()
		w.must(s.Flush(w.Context()))
		w.must(s.Close(w.Context()))
		wantRecords(w, "received by the second connection", w.conns(2)[1].Records(), 2, 1)
	})
}
