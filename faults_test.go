package zerobus_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// One stream whose server speaks no TLS does not end another one that is only asked to wait.
func TestFaults_AreOfOneChannel(t *testing.T) {
	good, plaintext := zerobustest.New(zerobustest.TLS()), zerobustest.New()
	defer good.Close()
	defer plaintext.Close()
	var astray atomic.Bool
	sdk, err := zerobus.New(good.Endpoint(), "", zerobus.WithTLSConfig(tlsConfig(good)),
		zerobus.WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			if astray.Load() {
				return plaintext.Dialer()(ctx, addr)
			}
			return good.Dialer()(ctx, addr)
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer sdk.Close()
	release := make(chan struct{})
	good.Script(
		zerobustest.Accept(zerobustest.On(0, zerobustest.Do(func(*zerobustest.Connection) { <-release }), zerobustest.Fail(codes.Unavailable, "restarting"))),
		zerobustest.Refuse(codes.Unavailable, "still restarting"))
	s, err := sdk.CreateStream(t.Context(), zerobus.Table(table), auth, zerobus.WithRecoveryBackoff(time.Millisecond))
	if err != nil {
		close(release)
		t.Fatal(err)
	}
	_, ingestErr := s.Ingest(t.Context(), rec(0))

	astray.Store(true)
	_, err = sdk.CreateStream(t.Context(), zerobus.Table(table), auth)
	astray.Store(false)
	close(release)
	wantErr(t, err, zerobus.ErrNonRetriable, "speaks no TLS")
	if ingestErr != nil {
		t.Fatal(ingestErr)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("the other stream: %v", err)
	}
	wantRecords(t, "durable", good.Records(table), 0, 1)
}

// A close signal needs no retries: the server has asked for another connection.
func TestCloseSignal_CS03_WithoutRetries(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.CloseSignal(time.Second))))
		s := w.open(zerobus.WithRecoveryRetries(0))
		w.ingest(s, 0, 1)
		w.must(s.Flush(w.Context()))
		w.must(s.Close(w.Context()))
		w.conns(2)
	})
}
