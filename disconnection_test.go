package zerobus_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

func TestRecovery_RC14_EveryEndReconnects(t *testing.T) {
	for name, ends := range map[string][]zerobustest.Action{
		"ended":               {zerobustest.End()},
		"reset":               {zerobustest.Kill()},
		"GOAWAY, then ended":  {zerobustest.GoAway(), zerobustest.Wait(10 * ms), zerobustest.End()},
		"GOAWAY, then failed": {zerobustest.GoAway(), zerobustest.Wait(10 * ms), zerobustest.Fail(codes.Unavailable, "shutting down")},
		"GOAWAY, then reset":  {zerobustest.GoAway(), zerobustest.Wait(10 * ms), zerobustest.Kill()},
	} {
		t.Run(name+" in flight", func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept(zerobustest.On(0, ends...)))
				s := w.open()
				w.ingest(s, 0, 3)
				w.must(s.Close(w.Context()))
				w.conns(2)
				wantRecords(w, "durable", w.srv.Records(table), 0, 3)
			})
		})
		t.Run(name+" idle", func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.Script(zerobustest.Accept(zerobustest.AckAll(), zerobustest.After(time.Minute, ends...)))
				s := w.open()
				id := s.ID()
				time.Sleep(time.Minute + 10*ms)
				synctest.Wait()
				wantState(w, s, zerobus.StateOpened)
				if s.ID() == id {
					w.Error("the id is that of the lost connection")
				}
				w.ingest(s, 0, 3)
				w.must(s.Close(w.Context()))
				w.conns(2)
				wantRecords(w, "durable", w.srv.Records(table), 0, 3)
			})
		})
	}
}

// A GOAWAY alone is about new streams: those that are there go on, the next one has a TCP connection of its own.
func TestGoAway_StreamsGoOn(t *testing.T) {
	inBubble(t, func(w *world) {
		var d dials
		sdk := w.newSDK(zerobus.WithSharedConnection(), d.dialer(w.dial))
		defer sdk.Close()
		open := func() *zerobus.Stream {
			s, err := sdk.CreateStream(w.Context(), zerobus.Table(table), auth)
			w.must(err)
			return s
		}
		old := open()
		w.must(w.ingest(old, 0, 1)[0].Wait(w.Context()))
		w.srv.GoAway()
		synctest.Wait()
		w.must(w.ingest(old, 1, 1)[0].Wait(w.Context()))
		wantState(w, old, zerobus.StateOpened)
		if d.made.Load() != 1 {
			w.Errorf("%d TCP connections", d.made.Load())
		}
		next := open()
		w.must(w.ingest(next, 2, 1)[0].Wait(w.Context()))
		w.must(w.ingest(old, 3, 1)[0].Wait(w.Context()))
		if d.made.Load() != 2 || d.open.Load() != 2 {
			w.Errorf("%d TCP connections were made, %d are open; want 2 and 2", d.made.Load(), d.open.Load())
		}
		w.must(old.Close(w.Context()))
		synctest.Wait()
		if d.open.Load() != 1 {
			w.Errorf("%d TCP connections are open; the one that was told to go away has no stream", d.open.Load())
		}
		w.must(next.Close(w.Context()))
		w.conns(2)
		wantRecords(w, "durable", w.srv.Records(table), 0, 4)
	})
}

// Servers end idle streams every some minutes. That must not use up the retries.
func TestRecovery_IdleStreamLivesForEver(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Accept(zerobustest.AckAll(),
			zerobustest.After(15*time.Minute, zerobustest.Fail(codes.Unavailable, "Stream timeout reached. Error Code: 6002"))))
		s := w.open()
		time.Sleep(24 * time.Hour)
		wantState(w, s, zerobus.StateOpened)
		w.ingest(s, 0, 1)
		w.must(s.Close(w.Context()))
		wantRecords(w, "durable", w.srv.Records(table), 0, 1)
	})
}

// And what the service does that restarts: all streams of all tables are told, and then all end at once.
func TestGoAway_RollingRestart(t *testing.T) {
	inBubble(t, func(w *world) {
		const streams, each = 10, 50
		w.srv.Otherwise(zerobustest.Accept(zerobustest.AckAll(),
			zerobustest.After(time.Second, zerobustest.GoAway(), zerobustest.Wait(100*ms), zerobustest.Fail(codes.Unavailable, "restarting"))))
		var all []*zerobus.Stream
		for i := range streams {
			s, err := w.sdk.CreateStream(w.Context(), zerobus.Table(fmt.Sprintf("main.default.t%d", i)), auth)
			w.must(err)
			all = append(all, s)
		}
		for n := range each {
			for _, s := range all {
				w.ingest(s, n, 1)
			}
			time.Sleep(100 * ms)
		}
		for _, s := range all {
			w.must(s.Close(w.Context()))
			wantRecords(w, s.TableName(), w.srv.Records(s.TableName()), 0, each)
		}
		if n := len(w.srv.Connections()); n < 2*streams {
			w.Errorf("only %d connections", n)
		}
	})
}
