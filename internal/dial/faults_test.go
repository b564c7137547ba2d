package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptest"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus/zerobustest"
)

func refusesCertificate(err error) bool {
	var refused *tls.CertificateVerificationError
	return errors.As(err, &refused)
}

func TestFaultsTellARefusedCertificate(t *testing.T) {
	s := zerobustest.New(zerobustest.TLS())
	t.Cleanup(s.Close)
	faults := &Faults{}
	if err := faults.Last(); err != nil {
		t.Fatalf("before anything: %v", err)
	}
	err := ingest(testContext(t), connect(t, endpoint(t, s.Endpoint()), Settings{Faults: faults}))
	if status.Code(err) != codes.Unavailable {
		t.Fatalf("%v", err)
	}
	if err := faults.Last(); !refusesCertificate(err) {
		t.Errorf("%T: %v", err, err)
	}

	// Another channel that reports to the same place succeeds.
	settings := Settings{TLS: &tls.Config{RootCAs: s.RootCAs()}, Faults: faults}
	if err := ingest(testContext(t), connect(t, endpoint(t, s.Endpoint()), settings)); err != nil {
		t.Fatal(err)
	}
	if err := faults.Last(); err != nil {
		t.Errorf("after a handshake that succeeded: %v", err)
	}
}

func TestFaultsTellAServerWithoutTLS(t *testing.T) {
	s := zerobustest.New()
	t.Cleanup(s.Close)
	ep := endpoint(t, s.Endpoint())
	ep.Plaintext = false
	faults := &Faults{}
	err := ingest(testContext(t), connect(t, ep, Settings{Faults: faults}))
	if status.Code(err) != codes.Unavailable {
		t.Fatalf("%v", err)
	}
	var noTLS tls.RecordHeaderError
	if err := faults.Last(); !errors.As(err, &noTLS) {
		t.Errorf("%T: %v", err, err)
	}
}

// A server that is down now is not one whose certificate is refused, even if it was that before.
func TestFaultsForgetWhenThereIsNoServer(t *testing.T) {
	s := zerobustest.New(zerobustest.TLS())
	t.Cleanup(s.Close)
	faults := &Faults{}
	var mu sync.Mutex
	down := false
	conn := connect(t, endpoint(t, s.Endpoint()), Settings{Faults: faults, Dialer: func(ctx context.Context, addr string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if down {
			return nil, errBroken
		}
		return dialTCP(ctx, addr)
	}})
	if err := ingest(testContext(t), conn); err == nil || !refusesCertificate(faults.Last()) {
		t.Fatalf("%v, %v", err, faults.Last())
	}
	mu.Lock()
	down = true
	mu.Unlock()
	ctx := testContext(t)
	for faults.Last() != nil {
		if err := ingest(ctx, conn); ctx.Err() != nil {
			t.Fatalf("%v, %v", err, faults.Last())
		}
	}
}

// A proxy whose certificate is refused is a proxy that fails, and is not said to be the server.
func TestFaultsAreTheServers(t *testing.T) {
	proxy := startProxy(t, (*httptest.Server).StartTLS)
	faults := &Faults{}
	conn := connect(t, endpoint(t, "host"), Settings{Faults: faults, Proxies: proxies(t, "grpc_proxy="+proxy.URL)})
	if err := ingest(testContext(t), conn); status.Code(err) != codes.Unavailable {
		t.Errorf("%v", err)
	}
	if err := faults.Last(); err != nil {
		t.Errorf("%v", err)
	}
}

// gRPC clones the credentials for each channel.
func TestFaultsAreSharedByClones(t *testing.T) {
	faults := &Faults{}
	creds, err := transportCredentials(endpoint(t, "host"), nil, faults)
	if err != nil {
		t.Fatal(err)
	}
	client, server := net.Pipe()
	server.Close()
	if _, _, err := creds.Clone().Clone().ClientHandshake(testContext(t), "host", client); err == nil || faults.Last() != err {
		t.Errorf("%v, %v", err, faults.Last())
	}
}
