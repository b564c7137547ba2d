package zerobus_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// sharers opens streams to tables of their own, over one connection.
func sharers(w *world, d *dials, n int, opts ...zerobus.StreamOption) (*zerobus.SDK, []*zerobus.Stream) {
	w.Helper()
	sdk := w.newSDK(zerobus.WithSharedConnection(), d.dialer(w.dial))
	streams := make([]*zerobus.Stream, n)
	for i := range streams {
		var err error
		streams[i], err = sdk.CreateStream(w.Context(), zerobus.Table(fmt.Sprintf("main.default.t%d", i)), auth, one(opts...)...)
		w.must(err)
	}
	return sdk, streams
}

// A stream that fails takes no other one along.
func TestSharing_OneFailsOthersGoOn(t *testing.T) {
	for name, end := range map[string]zerobustest.Action{
		"failed":     zerobustest.Fail(codes.Unavailable, "gone"),
		"dropped":    zerobustest.Fail(codes.NotFound, "dropped"),
		"ended":      zerobustest.End(),
		"garbage":    zerobustest.Send([]byte{0xff}),
		"asked away": zerobustest.CloseSignalNow(),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.ScriptTable("main.default.t1", zerobustest.Accept(zerobustest.On(5, zerobustest.Ack(3), end)))
				var d dials
				sdk, streams := sharers(w, &d, 3, zerobus.WithRecoveryBackoff(ms))
				defer sdk.Close()
				ids := []string{streams[0].ID(), streams[1].ID(), streams[2].ID()}
				for i := range 10 {
					for k, s := range streams {
						if _, err := s.Ingest(w.Context(), rec(i)); err != nil && (name != "dropped" || k != 1) {
							w.Fatal(err)
						}
					}
					synctest.Wait()
				}
				for k, s := range streams {
					err := s.Close(w.Context())
					if name == "dropped" && k == 1 {
						wantErr(w, err, zerobus.ErrStreamFailed, "dropped")
						continue
					}
					w.must(err)
					wantRecords(w, s.TableName(), w.srv.Records(s.TableName()), 0, 10)
					if k != 1 && s.ID() != ids[k] {
						w.Errorf("stream %d was opened again", k)
					}
				}
				if n := d.made.Load(); n != 1 {
					w.Errorf("%d TCP connections", n)
				}
			})
		})
	}
}

// The end of the TCP connection is that of all streams on it. They come back on one, too.
func TestSharing_TheConnectionIsReset(t *testing.T) {
	inBubble(t, func(w *world) {
		var d dials
		sdk, streams := sharers(w, &d, 5, zerobus.WithRecoveryBackoff(ms))
		defer sdk.Close()
		for i := range 10 {
			if i == 5 {
				time.Sleep(ms) // what was acknowledged has arrived
				w.srv.Connections()[2].Kill()
			}
			for _, s := range streams {
				w.ingest(s, i, 1)
			}
		}
		for _, s := range streams {
			w.must(s.Close(w.Context()))
			wantRecords(w, s.TableName(), w.srv.Records(s.TableName()), 0, 10)
		}
		w.conns(10)
		if d.made.Load() != 2 || d.open.Load() != 1 {
			w.Errorf("%d TCP connections were made, %d are open; want 2 and 1", d.made.Load(), d.open.Load())
		}
	})
}

// A stream whose server is silent looks for another TCP connection, since this one may be dead; the others stay.
func TestSharing_OneIsSilent(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.ScriptTable("main.default.t0", zerobustest.Accept())
		var d dials
		sdk, streams := sharers(w, &d, 3, zerobus.WithServerAckTimeout(time.Second))
		defer sdk.Close()
		for i := range 5 {
			for _, s := range streams {
				w.ingest(s, i, 1)
			}
			time.Sleep(time.Second)
		}
		w.must(streams[0].Flush(w.Context()))
		if d.made.Load() != 2 || d.open.Load() != 2 {
			w.Errorf("%d TCP connections were made, %d are open; want 2 and 2", d.made.Load(), d.open.Load())
		}
		for _, s := range streams {
			w.must(s.Close(w.Context()))
			wantRecords(w, s.TableName(), w.srv.Records(s.TableName()), 0, 5)
		}
		synctest.Wait()
		if d.open.Load() != 1 {
			w.Errorf("%d TCP connections are open; the one that nobody shares any more is to be closed", d.open.Load())
		}
		w.conns(4)
	})
}

func TestSharing_TwoHundredStreamsAtOnce(t *testing.T) {
	for name, opts := range map[string][]zerobus.Option{"own connections": nil, "a shared connection": {zerobus.WithSharedConnection()}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				const streams, each = 200, 20
				w.srv.Otherwise(zerobustest.Accept(zerobustest.AckAll(), zerobustest.On(7, zerobustest.Wait(time.Second), zerobustest.End())))
				var d dials
				sdk := w.newSDK(append(opts, d.dialer(w.dial))...)
				defer sdk.Close()
				var wg sync.WaitGroup
				for i := range streams {
					wg.Go(func() {
						name := fmt.Sprintf("main.default.t%d", i)
						s, err := sdk.CreateStream(w.Context(), zerobus.Table(name), auth, zerobus.WithMaxInflightRecords(5))
						if err != nil {
							w.Error(err)
							return
						}
						for n := range each {
							if _, err := s.Ingest(w.Context(), rec(n)); err != nil {
								w.Error(err)
							}
						}
						if err := s.Close(w.Context()); err != nil {
							w.Error(err)
						}
					})
				}
				wg.Wait()
				for i := range streams {
					name := fmt.Sprintf("main.default.t%d", i)
					wantRecords(w, name, w.srv.Records(name), 0, each)
				}
				synctest.Wait()
				kept := int32(0)
				if opts != nil {
					kept = 1
				}
				if d.open.Load() != kept {
					w.Errorf("%d TCP connections are open; want %d", d.open.Load(), kept)
				}
			})
		})
	}
}

// All streams of an SDK end with it, wherever they are in their lives.
func TestSharing_SDKIsClosedUnderMany(t *testing.T) {
	for name, opts := range map[string][]zerobus.Option{"own connections": nil, "a shared connection": {zerobus.WithSharedConnection()}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				behaviors := []zerobustest.Behavior{
					zerobustest.Accept(zerobustest.AckAll()), zerobustest.Accept(), zerobustest.Silent(),
					zerobustest.Refuse(codes.Unavailable, "starting"), zerobustest.Accept(zerobustest.On(0, zerobustest.CloseSignal(time.Hour))),
					zerobustest.Accept(zerobustest.On(0, zerobustest.End())),
				}
				for range 10 {
					w.srv.Script(behaviors...)
				}
				w.srv.Otherwise(zerobustest.Silent())
				var d dials
				sdk := w.newSDK(append(opts, d.dialer(w.dial))...)
				var wg sync.WaitGroup
				for range 60 {
					wg.Go(func() {
						s, err := sdk.CreateStream(w.Context(), zerobus.Table(table), auth, zerobus.WithMaxInflightRecords(3))
						if err != nil {
							wantErr(w, err, zerobus.ErrInvalidState, "the SDK was closed")
							return
						}
						for {
							if _, err := s.Ingest(w.Context(), rec(0)); err != nil {
								wantErr(w, err, zerobus.ErrStreamClosed, "the SDK was closed")
								break
							}
							time.Sleep(100 * ms)
						}
						wantState(w, s, zerobus.StateClosed)
					})
				}
				time.Sleep(5 * time.Second)
				start := time.Now()
				w.must(sdk.Close())
				w.took("close", start, 0, 0)
				wg.Wait()
				synctest.Wait()
				if d.open.Load() != 0 {
					w.Errorf("%d TCP connections are open", d.open.Load())
				}
			})
		})
	}
}
