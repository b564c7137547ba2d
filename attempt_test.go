package zerobus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// counting is credentials that count for how many tries to connect they were asked.
func counting(n *int) zerobus.Auth {
	return zerobus.HeadersProviderFunc(func(context.Context) ([]zerobus.Header, error) {
		*n++
		return auth, nil
	})
}

// Four retries are five attempts (D1), also where it is the network that fails.
func TestCreation_CR09_NetworkFailsEveryTime(t *testing.T) {
	inBubble(t, func(w *world) {
		dialed := 0
		sdk := w.newSDK(zerobus.WithDialer(func(context.Context, string) (net.Conn, error) {
			dialed++
			return nil, fmt.Errorf("no route to host, the %d. time", dialed)
		}))
		defer sdk.Close()
		attempts := 0
		start := time.Now()
		_, err := sdk.CreateStream(w.Context(), zerobus.Table(table), counting(&attempts),
			zerobus.WithRecoveryRetries(4), zerobus.WithRecoveryBackoff(500*ms))
		wantErr(w, err, nil, fmt.Sprintf("no route to host, the %d. time", dialed), "5 failures")
		if attempts != 5 || !zerobus.IsRetriable(err) || status.Code(err) != codes.Unavailable {
			w.Errorf("%d attempts, retriable %v, code %v", attempts, zerobus.IsRetriable(err), status.Code(err))
		}
		w.took("create", start, 7500*ms, 9375*ms) // waits of 0.5, 1, 2 and 4 s
		w.conns(0)
	})
}

func TestCreation_CR13_NoConnectionInTime(t *testing.T) {
	inBubble(t, func(w *world) {
		sdk := w.newSDK(zerobus.WithDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}))
		defer sdk.Close()
		start := time.Now()
		_, err := sdk.CreateStream(w.Context(), zerobus.Table(table), auth, zerobus.WithRecovery(false), zerobus.WithRecoveryTimeout(500*ms))
		wantErr(w, err, context.DeadlineExceeded, "no connection to the server yet")
		w.took("create", start, 500*ms, 500*ms)
	})
}

// https and its port are assumed, the workspace's id is the first label, and a provider of headers needs no workspace URL.
func TestCreation_CR15_EndpointWithoutAScheme(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var addr string
		first := make(chan byte, 1)
		var target zerobus.Target
		sdk, err := zerobus.New("1234567890.zerobus.us-west-2.cloud.databricks.com", "",
			zerobus.WithDialer(func(_ context.Context, a string) (net.Conn, error) {
				addr = a
				client, server := net.Pipe()
				go func() {
					defer server.Close()
					b := make([]byte, 1)
					if _, err := io.ReadFull(server, b); err == nil {
						first <- b[0]
					}
				}()
				return client, nil
			}))
		if err != nil {
			t.Fatal(err)
		}
		defer sdk.Close()
		provider := zerobus.HeadersProviderFunc(func(ctx context.Context) ([]zerobus.Header, error) {
			target, _ = zerobus.TargetFrom(ctx)
			return auth, nil
		})
		_, err = sdk.CreateStream(t.Context(), zerobus.Table(table), provider, zerobus.WithRecovery(false), zerobus.WithRecoveryTimeout(time.Second))
		if err == nil {
			t.Fatal("a server that says nothing created a stream")
		}
		if addr != "1234567890.zerobus.us-west-2.cloud.databricks.com:443" {
			t.Errorf("address %q", addr)
		}
		if want := (zerobus.Target{Table: table, WorkspaceID: "1234567890"}); target != want {
			t.Errorf("target %+v; want %+v", target, want)
		}
		const handshake = 22 // the type of TLS's first record
		if b := <-first; b != handshake {
			t.Errorf("the first byte is %d; want that of a TLS handshake", b)
		}
	})
}

func TestCreation_CR17_UnknownTableAndBadCredentials(t *testing.T) {
	inBubble(t, func(w *world) {
		const unknown = "main.default.no_such_table"
		w.srv.ScriptTable(unknown, zerobustest.Refuse(codes.NotFound, "the table does not exist"))
		_, err := w.sdk.CreateStream(w.Context(), zerobus.Table(unknown), auth)
		wantErr(w, err, zerobus.ErrNonRetriable, unknown, "the table does not exist")
		if status.Code(err) != codes.NotFound || errors.Is(err, zerobus.ErrAuth) {
			w.Errorf("code %v", status.Code(err))
		}
		w.conns(1)

		w.srv.AcceptOnly("somebody", "else")
		_, err = w.createAs(credentials)
		wantErr(w, err, zerobus.ErrAuth, "invalid_client", table)
		wantErr(w, err, zerobus.ErrNonRetriable)
		wantNoSecret(w, err, secret)
		w.conns(1) // the server was not even asked
		if n := len(w.srv.TokenRequests()); n != 1 {
			w.Errorf("%d token requests", n)
		}
	})
}

// A context that ends is heeded wherever a stream's creation is: the bubble checks that nothing of it is left.
func TestCreation_CR21_ContextEndsAnywhere(t *testing.T) {
	silence := func(ctx context.Context, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	hang := zerobus.HeadersProviderFunc(func(ctx context.Context) ([]zerobus.Header, error) { <-ctx.Done(); return nil, ctx.Err() })
	for name, tt := range map[string]struct {
		auth     zerobus.Auth
		opts     []zerobus.Option
		behavior zerobustest.Behavior
	}{
		"in the provider":      {auth: hang},
		"dialing":              {auth: auth, opts: []zerobus.Option{zerobus.WithDialer(silence)}},
		"before the answer":    {auth: auth, behavior: zerobustest.Silent()},
		"between two attempts": {auth: auth, behavior: zerobustest.Refuse(codes.Unavailable, "starting")},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				sdk := w.newSDK(tt.opts...)
				defer sdk.Close()
				w.srv.Otherwise(tt.behavior)
				ctx, cancel := context.WithCancelCause(w.Context())
				cause := errors.New("the user has left")
				time.AfterFunc(time.Second, func() { cancel(cause) })
				start := time.Now()
				_, err := sdk.CreateStream(ctx, zerobus.Table(table), tt.auth)
				wantErr(w, err, cause)
				w.took("create", start, time.Second, time.Second)
			})
		})
	}
}
