package zerobus_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// relay passes TCP connections on, until it is told to swallow what comes on those that are there: a peer that vanished
// without a word, as behind a NAT that forgot the connection.
type relay struct {
	net.Listener
	made   atomic.Int32
	vanish atomic.Int32 // connections up to this number are dead
	conns  sync.WaitGroup
}

func newRelay(t *testing.T, target string) *relay {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l}
	var open []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				in.Close()
				continue
			}
			n := r.made.Add(1)
			open = append(open, in, out)
			r.conns.Go(func() { r.copy(out, in, n) })
			r.conns.Go(func() { r.copy(in, out, n) })
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		for _, c := range open {
			c.Close()
		}
		r.conns.Wait()
	})
	return r
}

func (r *relay) copy(to, from net.Conn, n int32) {
	b := make([]byte, 64<<10)
	for {
		k, err := from.Read(b)
		if r.vanish.Load() >= n {
			if err != nil {
				return
			}
			continue
		}
		if err != nil {
			to.Close()
			return
		}
		if _, err := to.Write(b[:k]); err != nil {
			return
		}
	}
}

func TestRecovery_ADeadTCPConnectionIsLeft(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared %v", shared), func(t *testing.T) {
			srv := zerobustest.New()
			defer srv.Close()
			r := newRelay(t, strings.TrimPrefix(srv.Endpoint(), "http://"))
			var opts []zerobus.Option
			if shared {
				opts = append(opts, zerobus.WithSharedConnection())
			}
			sdk, err := zerobus.New("http://"+r.Addr().String(), "", opts...)
			if err != nil {
				t.Fatal(err)
			}
			defer sdk.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			s, err := sdk.CreateStream(ctx, zerobus.Table(table), auth, zerobus.WithServerAckTimeout(300*time.Millisecond),
				zerobus.WithRecoveryTimeout(5*time.Second), zerobus.WithRecoveryBackoff(10*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			for i := range 2 {
				if i == 1 {
					r.vanish.Store(r.made.Load())
				}
				if _, err := s.Ingest(ctx, zerobus.JSONString("{}")); err != nil {
					t.Fatal(err)
				}
				if err := s.Flush(ctx); err != nil {
					t.Fatalf("flush %d: %v", i, err)
				}
			}
			if r.made.Load() < 2 {
				t.Error("the dead connection is still in use")
			}
			if err := s.Close(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSDKClose_WhileAStreamIsBeingCreated(t *testing.T) {
	srv := zerobustest.New()
	defer srv.Close()
	for range 300 {
		sdk, err := zerobus.New(srv.Endpoint(), "")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := sdk.CreateStream(t.Context(), zerobus.Table(table), auth)
			if err != nil && !errors.Is(err, zerobus.ErrInvalidState) {
				t.Error(err)
			}
		})
		wg.Go(func() { sdk.Close() })
		wg.Wait()
		sdk.Close()
	}
}

func TestClose_CL14_DoesNotWaitForAReconnectThatHangs(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(
			zerobustest.Accept(zerobustest.AckAll(), zerobustest.After(time.Second, zerobustest.Fail(codes.Unavailable, "gone"))),
			zerobustest.Accept(zerobustest.OnCreate(zerobustest.Hang())),
		)
		s := w.open()
		w.ingest(s, 0, 3)
		w.must(s.Flush(w.Context()))
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if s.State() != zerobus.StateRecovering {
			t.Fatalf("the state is %v", s.State())
		}
		start := time.Now()
		w.must(s.Close(w.timeout(time.Second)))
		w.took("close", start, 0, time.Second)
	})
}

func TestCloseSignal_ADurationBeyondReasonIsBounded(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.CloseSignal(1<<62))))
		s := w.open()
		w.ingest(s, 0, 1)
		w.must(s.Flush(w.Context()))
		w.must(s.Close(w.Context()))
	})
}

func TestRecovery_ShortLivesAreNotFollowedAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Accept(zerobustest.On(0, zerobustest.Ack(0), zerobustest.Wait(time.Millisecond), zerobustest.End())))
		s := w.open(one()...)
		w.ingest(s, 0, 100)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(w.srv.Connections()); n > 12 {
			t.Errorf("%d connections in 10 s, with a backoff of 2 s", n)
		}
		_ = s.Close(w.timeout(0))
	})
}

func TestRecovery_AnIdleStreamOutlivesRotations(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Accept(zerobustest.After(30*time.Second, zerobustest.CloseSignal(time.Second))))
		s := w.open()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if s.State() == zerobus.StateFailed || len(w.srv.Connections()) < 10 {
			t.Errorf("the stream is %v after %d connections: %v", s.State(), len(w.srv.Connections()), s.Err())
		}
		w.must(s.Close(w.Context()))
	})
}

func TestIngest_IN17_WhatMarshalersGiveIsCheckedToo(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.open()
		_, err := s.Ingest(w.Context(), zerobus.JSON(json.RawMessage("{\"a\":\"\xff\"}")))
		if !errors.Is(err, zerobus.ErrInvalidArgument) {
			t.Errorf("got %v", err)
		}
		w.must(s.Close(w.Context()))
		if n := len(w.srv.Records(table)); n != 0 {
			t.Errorf("%d records arrived", n)
		}
	})
}

func TestClose_CL16_InACallbackAndOutsideAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		var s *zerobus.Stream
		ready, in := make(chan struct{}), make(chan struct{})
		s = w.open(zerobus.WithAckCallback(func(zerobus.AckInfo) {
			<-ready
			close(in)
			time.Sleep(10 * time.Millisecond)
			w.must(s.Close(context.Background()))
		}))
		w.ingest(s, 0, 1)
		close(ready)
		<-in
		start := time.Now()
		w.must(s.Close(w.Context()))
		w.took("close", start, 0, time.Second)
	})
}

// Records that a Close left behind are worth another stream; the same call on the closed stream is not worth another try.
func TestClose_CL13_WhatIsLeftIsRetriable(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Accept())
		s := w.open()
		acks := w.ingest(s, 0, 2)
		if err := s.Close(w.timeout(time.Second)); err == nil {
			t.Error("close says nothing of what is left")
		}
		if err := acks[0].Wait(w.Context()); !zerobus.IsRetriable(err) {
			t.Errorf("the acknowledgement's error is not retriable: %v", err)
		}
		if _, err := s.Ingest(w.Context(), zerobus.JSONString("{}")); err == nil || zerobus.IsRetriable(err) {
			t.Errorf("ingest says %v", err)
		}
		if n := len(w.unacked(s)); n != 2 {
			t.Errorf("%d records are unacknowledged", n)
		}
	})
}

func TestAuth_AU05_ProvidersThatPanicOrAreNil(t *testing.T) {
	inBubble(t, func(w *world) {
		for name, p := range map[string]zerobus.HeadersProvider{
			"nil":   zerobus.HeadersProviderFunc(nil),
			"panic": zerobus.HeadersProviderFunc(func(context.Context) ([]zerobus.Header, error) { panic("no luck") }),
		} {
			if _, err := w.sdk.CreateStream(w.Context(), zerobus.Table(table), p); err == nil || zerobus.IsRetriable(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestCreate_CR20_AStreamIDThatIsNoText(t *testing.T) {
	for _, id := range []string{strings.Repeat("x", 257), "a\nb"} {
		inBubble(t, func(w *world) {
			w.srv.Otherwise(zerobustest.Accept(zerobustest.StreamID(id)))
			_, err := w.create(zerobus.WithRecovery(false))
			if err == nil || len(err.Error()) > 500 {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCreate_CR22_ABackoffThatWouldOverflow(t *testing.T) {
	inBubble(t, func(w *world) {
		if _, err := w.create(zerobus.WithRecoveryBackoff(1<<63 - 1)); !errors.Is(err, zerobus.ErrInvalidArgument) {
			t.Errorf("got %v", err)
		}
	})
}

// A context that ends while the stream cannot connect says so, and why the stream could not.
func TestCreate_CR21_ADeadlineDoesNotHideTheCause(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Otherwise(zerobustest.Refuse(codes.Unavailable, "down for repair"))
		_, err := w.sdk.CreateStream(w.timeout(time.Second), zerobus.Table(table), auth)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "down for repair") {
			t.Errorf("got %v", err)
		}
	})
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Unavailable, "down for repair"))))
		w.srv.Otherwise(zerobustest.Refuse(codes.Unavailable, "still down"))
		s := w.open()
		w.ingest(s, 0, 1)
		err := s.Flush(w.timeout(time.Second))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "down for repair") {
			t.Errorf("got %v", err)
		}
		_ = s.Close(w.timeout(0))
	})
}

func TestAuth_TheTokenRequestTrustsWhatTheStreamTrusts(t *testing.T) {
	srv := zerobustest.New(zerobustest.TLS())
	defer srv.Close()
	for _, trusted := range []bool{true, false} {
		cfg := &tls.Config{RootCAs: x509.NewCertPool()}
		if trusted {
			cfg.RootCAs = srv.RootCAs()
		}
		sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL(), zerobus.WithTLSConfig(cfg))
		if err != nil {
			t.Fatal(err)
		}
		defer sdk.Close()
		s, err := sdk.CreateStream(t.Context(), zerobus.Table(table), zerobus.ClientCredentials{ID: "id", Secret: "secret"})
		if trusted != (err == nil) {
			t.Fatalf("trusted %v: %v", trusted, err)
		}
		if err != nil { // at once, not after retries
			if zerobus.IsRetriable(err) || !strings.Contains(err.Error(), "certificate authority") {
				t.Errorf("got %v", err)
			}
			continue
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
