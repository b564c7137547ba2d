package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus/internal/wire"
	"github.com/zerobus-go/zerobus/zerobustest"
)

func endpoint(t *testing.T, s string) Endpoint {
	t.Helper()
	e, err := ParseEndpoint(s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func connect(t *testing.T, ep Endpoint, s Settings) *grpc.ClientConn {
	t.Helper()
	opts, err := Options(ep, s)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(ep.Target(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ingest sends one record on a stream of its own and returns when it is acknowledged.
func ingest(ctx context.Context, conn *grpc.ClientConn) error {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, wire.Method)
	if err != nil {
		return err
	}
	send := func(b []byte) error {
		err := stream.SendMsg(&wire.Outgoing{Buffers: mem.BufferSlice{mem.SliceBuffer(b)}})
		if err == io.EOF {
			return nil // the error comes from receiving
		}
		return err
	}
	if err := send(wire.AppendCreateStream(nil, wire.CreateStream{Table: "a.b.c", Type: wire.JSON, HasType: true})); err != nil {
		return err
	}
	var in wire.Incoming
	if err := stream.RecvMsg(&in); err != nil {
		return err
	}
	if err := send(append(wire.AppendSinglePrefix(nil, 0, wire.JSON, 2), "{}"...)); err != nil {
		return err
	}
	if err := stream.RecvMsg(&in); err != nil {
		return err
	}
	if r, err := wire.ParseResponse(in.Bytes); err != nil || r.Kind != wire.ResponseAck {
		return errors.New("no acknowledgement")
	}
	stream.CloseSend()
	return nil
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestOptionsReachAServer(t *testing.T) {
	t.Run("plaintext", func(t *testing.T) {
		s := zerobustest.New()
		t.Cleanup(s.Close)
		conn := connect(t, endpoint(t, s.Endpoint()), Settings{UserAgent: "zerobus-go/test"})
		if err := ingest(testContext(t), conn); err != nil {
			t.Fatal(err)
		}
		md := s.Connections()[0].Metadata()
		if got := md.Get("user-agent"); len(got) != 1 || !strings.HasPrefix(got[0], "zerobus-go/test grpc-go/") {
			t.Errorf("user-agent is %q", got)
		}
		if got := md.Get("content-type"); !slices.Equal(got, []string{"application/grpc"}) {
			t.Errorf("content-type is %q", got)
		}
		if got, want := md.Get(":authority"), strings.TrimPrefix(s.Endpoint(), "http://"); !slices.Equal(got, []string{want}) {
			t.Errorf("authority is %q, want %q", got, want)
		}
	})
	t.Run("TLS", func(t *testing.T) {
		s := zerobustest.New(zerobustest.TLS())
		t.Cleanup(s.Close)
		cfg := &tls.Config{RootCAs: s.RootCAs()}
		if err := ingest(testContext(t), connect(t, endpoint(t, s.Endpoint()), Settings{TLS: cfg})); err != nil {
			t.Error(err)
		}
		if cfg.MinVersion != 0 {
			t.Error("the user's TLS settings were changed")
		}
	})
	t.Run("TLS with a server name", func(t *testing.T) {
		s := zerobustest.New(zerobustest.TLS())
		t.Cleanup(s.Close)
		cfg := &tls.Config{RootCAs: s.RootCAs(), ServerName: "example.com"} // which the test's certificate is for too
		if err := ingest(testContext(t), connect(t, endpoint(t, s.Endpoint()), Settings{TLS: cfg})); err != nil {
			t.Error(err)
		}
	})
	t.Run("TLS that the system does not trust", func(t *testing.T) {
		s := zerobustest.New(zerobustest.TLS())
		t.Cleanup(s.Close)
		err := ingest(testContext(t), connect(t, endpoint(t, s.Endpoint()), Settings{}))
		if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%v", err)
		}
	})
	t.Run("default port", func(t *testing.T) {
		s := zerobustest.New(zerobustest.InMemory())
		t.Cleanup(s.Close)
		var addr string
		dialer := func(ctx context.Context, a string) (net.Conn, error) {
			addr = a
			return s.Dialer()(ctx, a)
		}
		conn := connect(t, endpoint(t, "http://1234.example"), Settings{Dialer: dialer})
		if err := ingest(testContext(t), conn); err != nil {
			t.Fatal(err)
		}
		if addr != "1234.example:80" {
			t.Errorf("dialed %q", addr)
		}
		if got := s.Connections()[0].Metadata().Get(":authority"); !slices.Equal(got, []string{"1234.example"}) {
			t.Errorf("authority is %q", got)
		}
	})
}

func TestOptionsRefuseBadTLS(t *testing.T) {
	tests := []struct {
		name, endpoint string
		cfg            *tls.Config
		want           string
	}{
		{"TLS for plaintext", "http://host", &tls.Config{}, "plaintext"},
		{"TLS 1.0", "host", &tls.Config{MinVersion: tls.VersionTLS10}, "MinVersion"},
		{"at most TLS 1.1", "host", &tls.Config{MaxVersion: tls.VersionTLS11}, "MaxVersion"},
		{"from 1.3 to 1.2", "host", &tls.Config{MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS12}, "MaxVersion"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Options(endpoint(t, tt.endpoint), Settings{TLS: tt.cfg}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want an error with %q", err, tt.want)
			}
		})
	}
}

// After any number of failed connections, the channel is ready for the next one within its short delay: when to try
// again is the supervisor's affair.
func TestChannelDoesNotBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := zerobustest.New(zerobustest.InMemory())
		var up atomic.Bool
		opts, err := Options(endpoint(t, s.Endpoint()), Settings{Dialer: func(ctx context.Context, addr string) (net.Conn, error) {
			if !up.Load() {
				return nil, errors.New("no route")
			}
			return s.Dialer()(ctx, addr)
		}})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := grpc.NewClient(endpoint(t, s.Endpoint()).Target(), opts...)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			start := time.Now()
			if err := ingest(t.Context(), conn); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "no route") {
				t.Fatalf("%v", err)
			}
			if d := time.Since(start); d > retryDelay {
				t.Fatalf("the refusal took %v", d)
			}
			time.Sleep(2 * time.Second) // the supervisor's backoff, in the bubble's time
		}
		up.Store(true)
		time.Sleep(2 * retryDelay)
		if err := ingest(t.Context(), conn); err != nil {
			t.Errorf("the channel is not ready: %v", err)
		}
		conn.Close()
		s.Close()
	})
}
