package dial

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"
)

// countingConn counts writes and can fail them.
type countingConn struct {
	net.Conn
	writes atomic.Int64
	broken atomic.Bool
}

var errBroken = errors.New("broken")

func (c *countingConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	if c.broken.Load() {
		return 0, errBroken
	}
	return c.Conn.Write(b)
}

// tlsPair returns our end of a TLS connection, the network below it, and the other end.
func tlsPair(t *testing.T) (client net.Conn, network *countingConn, server *tls.Conn) {
	t.Helper()
	web := httptest.NewUnstartedServer(nil)
	web.StartTLS() // for its certificate
	t.Cleanup(web.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	raw, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server = tls.Server(accepted, &tls.Config{Certificates: web.TLS.Certificates, NextProtos: []string{"h2"}})
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()

	network = &countingConn{Conn: raw}
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	creds, err := transportCredentials(Endpoint{Host: "127.0.0.1", Port: "443"}, &tls.Config{RootCAs: roots}, nil)
	if err != nil {
		t.Fatal(err)
	}
	client, _, err = creds.Clone().ClientHandshake(t.Context(), "127.0.0.1", network)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		accepted.Close()
	})
	return client, network, server
}

func TestRecordsOfOneWriteLeaveTogether(t *testing.T) {
	client, network, server := tlsPair(t)
	var want []byte
	sizes := []int{1, gatherFrom - 1, gatherFrom, 20_000, writeBuffer, 3*writeBuffer + 7, 5}
	for i, n := range sizes {
		want = append(want, bytes.Repeat([]byte{byte(i + 1)}, n)...)
	}
	received := make(chan []byte, 1)
	go func() {
		got := make([]byte, len(want))
		n, _ := io.ReadFull(server, got)
		received <- got[:n]
	}()
	rest := want
	for _, size := range sizes {
		before := network.writes.Load()
		if n, err := client.Write(rest[:size]); n != size || err != nil {
			t.Fatalf("write of %d: %d, %v", size, n, err)
		}
		if n := network.writes.Load() - before; n != 1 {
			t.Errorf("a write of %d bytes made %d writes to the network", size, n)
		}
		rest = rest[size:]
	}
	if got := <-received; !bytes.Equal(got, want) {
		t.Errorf("%d bytes arrived, and not those that were sent", len(got))
	}
}

// A write that did not reach the network is an error at once, and everything after it.
func TestFailedWritesAreNotLost(t *testing.T) {
	client, network, _ := tlsPair(t)
	network.broken.Store(true)
	if n, err := client.Write(make([]byte, 100_000)); n != 0 || !errors.Is(err, errBroken) {
		t.Errorf("%d, %v", n, err)
	}
	network.broken.Store(false)
	for _, size := range []int{10, 100_000} {
		if n, err := client.Write(make([]byte, size)); n != 0 || err == nil {
			t.Errorf("after a failure a write of %d bytes gives %d, %v", size, n, err)
		}
	}
}

// A connection whose other end does not read is closed without waiting for it: crypto/tls would try for 5 s.
func TestCloseEndsAWriteThatIsStuck(t *testing.T) {
	client, network, _ := tlsPair(t)
	stuck := make(chan error, 1)
	go func() {
		for {
			if _, err := client.Write(make([]byte, writeBuffer)); err != nil {
				stuck <- err
				return
			}
		}
	}()
	// Stuck is when no write has come to its end for a while; a write that is only slow makes the test easier, not wrong.
	for before := int64(-1); before != network.writes.Load(); time.Sleep(50 * time.Millisecond) {
		before = network.writes.Load()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	closed := make(chan struct{})
	go func() {
		client.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-ctx.Done():
		t.Fatal("close waits for the write")
	}
	if err := <-stuck; err == nil {
		t.Error("the write is no error")
	}
}

// What TLS writes on its own account keeps its place between our writes.
func TestTheOtherEndMayWriteToo(t *testing.T) {
	client, _, server := tlsPair(t)
	const size = 1 << 20
	errs := make(chan error, 3)
	go func() { _, err := server.Write(make([]byte, size)); errs <- err }()
	go func() { _, err := io.CopyN(io.Discard, server, size); errs <- err }()
	go func() { _, err := io.CopyN(io.Discard, client, size); errs <- err }()
	for sent := 0; sent < size; sent += writeBuffer {
		if _, err := client.Write(make([]byte, writeBuffer)); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

var _ credentials.TransportCredentials = coalescing{}
