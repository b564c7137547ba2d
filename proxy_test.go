package zerobus_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// proxy is an HTTP proxy on loopback: CONNECT for streams, and requests for plaintext URLs.
type proxy struct {
	url      *url.URL
	refuse   int // answer CONNECT with this status; 0 for none
	mu       sync.Mutex
	connects []string // targets
	requests []string // URLs of other requests
	auth     []string
}

func newProxy(t *testing.T) *proxy {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{url: &url.URL{Scheme: "http", Host: lis.Addr().String()}}
	var wg sync.WaitGroup
	var open sync.Map
	wg.Go(func() {
		for {
			c, err := lis.Accept()
			if err != nil {
				return
			}
			open.Store(c, nil)
			wg.Go(func() { defer c.Close(); p.serve(c, &open) })
		}
	})
	t.Cleanup(func() {
		lis.Close()
		open.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		wg.Wait()
	})
	return p
}

func (p *proxy) serve(c net.Conn, open *sync.Map) {
	in := bufio.NewReader(c)
	r, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.auth = append(p.auth, r.Header.Get("Proxy-Authorization"))
	refuse := p.refuse
	if r.Method == http.MethodConnect {
		p.connects = append(p.connects, r.Host)
	} else {
		p.requests = append(p.requests, r.URL.String())
	}
	p.mu.Unlock()
	if r.Method != http.MethodConnect {
		r.RequestURI = ""
		if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
			resp.Write(c)
			resp.Body.Close()
		}
		return
	}
	if refuse != 0 {
		resp := http.Response{StatusCode: refuse, ProtoMajor: 1, ProtoMinor: 1}
		resp.Write(c)
		return
	}
	server, err := net.Dial("tcp", r.Host)
	if err != nil {
		return
	}
	open.Store(server, nil)
	defer server.Close()
	io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
	var wg sync.WaitGroup
	wg.Go(func() { io.Copy(server, in); server.Close() })
	io.Copy(c, server)
	c.Close()
	wg.Wait()
}

func (p *proxy) seen() (connects, requests []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.connects, p.requests
}

// withoutProxyVariables clears what the environment says about proxies.
func withoutProxyVariables(t *testing.T) {
	for _, name := range []string{
		"grpc_proxy", "GRPC_PROXY", "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY",
		"no_grpc_proxy", "NO_GRPC_PROXY", "no_proxy", "NO_PROXY", "REQUEST_METHOD",
	} {
		t.Setenv(name, "")
	}
}

// ingestOne sends a record through a new SDK, with a token.
func ingestOne(t *testing.T, srv *zerobustest.Server, opts ...zerobus.Option) error {
	t.Helper()
	sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer sdk.Close()
	s, err := sdk.CreateStream(t.Context(), zerobus.Table(table), credentials, zerobus.WithRecovery(false))
	if err != nil {
		return err
	}
	if _, err := s.IngestAndWait(t.Context(), rec(0)); err != nil {
		return err
	}
	return s.Close(t.Context())
}

func TestProxy_PX01_PX02_PX04_PX08_OfTheEnvironment(t *testing.T) {
	srv := zerobustest.New()
	defer srv.Close()
	p, other := newProxy(t), newProxy(t)
	for _, tt := range []struct {
		name               string
		env                map[string]string
		connects, requests int
	}{
		{"PX-01 gRPC's own", map[string]string{"grpc_proxy": p.url.String(), "GRPC_PROXY": other.url.String(), "https_proxy": other.url.String()}, 1, 0},
		{"PX-02 an exception", map[string]string{"grpc_proxy": p.url.String(), "no_grpc_proxy": "127.0.0.1, localhost"}, 0, 0},
		{"PX-04 empty is none", map[string]string{"grpc_proxy": " ", "HTTPS_PROXY": p.url.String(), "http_proxy": other.url.String(), "no_proxy": ""}, 1, 0},
		{"PX-08 tokens too", map[string]string{"http_proxy": p.url.String()}, 1, 1},
		{"nobody", nil, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			withoutProxyVariables(t)
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			c0, r0 := p.seen()
			if err := ingestOne(t, srv); err != nil {
				t.Fatal(err)
			}
			c1, r1 := p.seen()
			if len(c1)-len(c0) != tt.connects || len(r1)-len(r0) != tt.requests {
				t.Errorf("CONNECT %v, requests %v", c1[len(c0):], r1[len(r0):])
			}
		})
	}
	if c, _ := other.seen(); len(c) != 0 {
		t.Errorf("the proxy of a later variable was asked for %v", c)
	}
}

func TestProxy_PX06_PX07_PX08_ByOption(t *testing.T) {
	withoutProxyVariables(t)
	srv := zerobustest.New(zerobustest.TLS())
	defer srv.Close()
	p, other := newProxy(t), newProxy(t)
	t.Setenv("grpc_proxy", other.url.String())
	t.Setenv("https_proxy", other.url.String())
	trust := zerobus.WithHTTPClient(srv.HTTPClient())
	u := *p.url
	u.User = url.UserPassword("me", "s3cret")
	tls := zerobus.WithTLSConfig(tlsConfig(srv))
	if err := ingestOne(t, srv, zerobus.WithProxy(&u), tls); err != nil {
		t.Fatal(err)
	}
	if c, _ := p.seen(); len(c) != 2 || p.auth[0] != "Basic bWU6czNjcmV0" || p.auth[1] != p.auth[0] {
		t.Errorf("CONNECT %v with %v; want one for the token and one for the stream", c, p.auth)
	}
	if err := ingestOne(t, srv, zerobus.WithoutProxy(), tls, trust); err != nil {
		t.Fatal(err)
	}
	if c, _ := other.seen(); len(c) != 0 {
		t.Errorf("the environment's proxy was asked for %v", c)
	}
	for _, bad := range []*url.URL{nil, {Scheme: "socks5", Host: "h:1"}, {}} {
		_, err := zerobus.New(srv.Endpoint(), "", zerobus.WithProxy(bad))
		wantErr(t, err, zerobus.ErrInvalidArgument, "proxy")
	}
	t.Setenv("grpc_proxy", "ftp://me:s3cret@h")
	_, err := zerobus.New(srv.Endpoint(), "")
	wantErr(t, err, zerobus.ErrInvalidArgument, "grpc_proxy")
	wantNoSecret(t, err, "s3cret")
}

func TestProxy_PX05_Refusals(t *testing.T) {
	withoutProxyVariables(t)
	srv := zerobustest.New()
	defer srv.Close()
	for _, status := range []int{407, 502} {
		p := newProxy(t)
		p.refuse = status
		u := *p.url
		u.User = url.UserPassword("me", "s3cret")
		err := ingestOne(t, srv, zerobus.WithProxy(&u), zerobus.WithHTTPClient(srv.HTTPClient()))
		wantErr(t, err, nil, http.StatusText(status))
		if !zerobus.IsRetriable(err) {
			t.Errorf("%v is not retriable", err)
		}
		wantNoSecret(t, err, "s3cret")
	}
}
