package dial

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus/zerobustest"
)

// connectProxy is a proxy on a free port of 127.0.0.1 that knows CONNECT.
type connectProxy struct {
	*httptest.Server
	tunnels sync.WaitGroup

	mu sync.Mutex
	// The following are guarded by mu.
	requests []*http.Request
	first    [][]byte // first bytes that clients sent through the tunnels
	refuse   int      // status of the answer, if not 0
}

// startProxy starts a proxy. start is [httptest.Server.Start] or StartTLS.
func startProxy(t *testing.T, start func(*httptest.Server)) *connectProxy {
	t.Helper()
	p := &connectProxy{}
	p.Server = httptest.NewUnstartedServer(p)
	p.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust it
	start(p.Server)
	t.Cleanup(func() {
		p.Close()
		p.tunnels.Wait() // their clients are closed: cleanups run backwards
	})
	return p
}

func (p *connectProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.tunnels.Add(1)
	defer p.tunnels.Done()
	p.mu.Lock()
	p.requests = append(p.requests, r)
	refuse := p.refuse
	p.mu.Unlock()
	if refuse != 0 {
		http.Error(w, "no, and nobody reads why", refuse)
		return
	}
	server, err := net.Dial("tcp", r.Host)
	if err != nil || r.Method != http.MethodConnect {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer server.Close()
	client, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer client.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	first, err := buffered.Peek(3)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.first = append(p.first, bytes.Clone(first))
	p.mu.Unlock()
	p.tunnels.Go(func() {
		io.Copy(client, server)
		client.Close()
		server.Close()
	})
	io.Copy(server, buffered)
}

// seen returns the CONNECT requests so far, and what came first through their tunnels.
func (p *connectProxy) seen() ([]*http.Request, [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests, p.first
}

func (p *connectProxy) address() string { return p.Listener.Addr().String() }

func (p *connectProxy) setRefuse(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = status
}

func TestProxy_PX07_TLSGoesEndToEnd(t *testing.T) {
	s := zerobustest.New(zerobustest.TLS())
	t.Cleanup(s.Close)
	target := strings.TrimPrefix(s.Endpoint(), "https://")
	proxy := startProxy(t, (*httptest.Server).Start)
	settings := Settings{
		TLS:       &tls.Config{RootCAs: s.RootCAs()},
		UserAgent: "zerobus-go/test",
		Proxies:   proxies(t, "grpc_proxy="+proxy.URL),
	}
	if err := ingest(testContext(t), connect(t, endpoint(t, s.Endpoint()), settings)); err != nil {
		t.Fatal(err)
	}
	requests, first := proxy.seen()
	if len(requests) != 1 || len(first) != 1 {
		t.Fatalf("%d CONNECTs, %d tunnels", len(requests), len(first))
	}
	r := requests[0]
	if r.Host != target || r.RequestURI != target || r.UserAgent() != "zerobus-go/test" || r.Header.Get("Proxy-Authorization") != "" {
		t.Errorf("asked for %s, Host %s, %v", r.RequestURI, r.Host, r.Header)
	}
	if handshake := []byte{22, 3}; !bytes.HasPrefix(first[0], handshake) { // RFC 8446, section 5.1
		t.Errorf("the tunnel begins with % x, not with a TLS handshake", first[0])
	}

	// It is the server that is verified.
	settings.TLS = nil
	err := ingest(testContext(t), connect(t, endpoint(t, s.Endpoint()), settings))
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without its root certificate: %v", err)
	}
}

// Plaintext goes through a tunnel, too.
func TestProxy_PX01_PlaintextGoesByCONNECT(t *testing.T) {
	s := zerobustest.New()
	t.Cleanup(s.Close)
	proxy := startProxy(t, (*httptest.Server).Start)
	conn := connect(t, endpoint(t, s.Endpoint()), Settings{Proxies: proxies(t, "grpc_proxy="+proxy.address())})
	for range 2 { // on one connection
		if err := ingest(testContext(t), conn); err != nil {
			t.Fatal(err)
		}
	}
	if requests, first := proxy.seen(); len(requests) != 1 || len(first) != 1 || string(first[0]) != "PRI" { // RFC 9113, section 3.4
		t.Errorf("%d CONNECTs, and the tunnels begin with %q", len(requests), first)
	}
	if got, want := s.Connections()[0].Metadata().Get(":authority"), strings.TrimPrefix(s.Endpoint(), "http://"); len(got) != 1 || got[0] != want {
		t.Errorf("authority is %q, want %q", got, want)
	}
}

func TestProxy_PX02_BypassedServerIsReachedDirectly(t *testing.T) {
	s := zerobustest.New()
	t.Cleanup(s.Close)
	proxy := startProxy(t, (*httptest.Server).Start)
	settings := Settings{Proxies: proxies(t, "grpc_proxy="+proxy.URL, "no_grpc_proxy=127.0.0.1, localhost")}
	if err := ingest(testContext(t), connect(t, endpoint(t, s.Endpoint()), settings)); err != nil {
		t.Fatal(err)
	}
	if requests, _ := proxy.seen(); len(requests) != 0 {
		t.Errorf("%d CONNECTs", len(requests))
	}
}

func TestOwnDialerReplacesProxies(t *testing.T) {
	s := zerobustest.New(zerobustest.InMemory())
	t.Cleanup(s.Close)
	settings := Settings{Dialer: s.Dialer(), Proxies: proxies(t, "grpc_proxy=127.0.0.1:1")}
	if err := ingest(testContext(t), connect(t, endpoint(t, s.Endpoint()), settings)); err != nil {
		t.Error(err)
	}
}

func TestProxy_PX05_RefusalIsRetriableAndHasTheStatus(t *testing.T) {
	s := zerobustest.New()
	t.Cleanup(s.Close)
	target := strings.TrimPrefix(s.Endpoint(), "http://")
	for _, tt := range []struct {
		status int
		user   string
		want   string
	}{
		{407, "", "407 Proxy Authentication Required; put user and password into the proxy's URL"},
		{407, "secretuser:hunter2@", "407 Proxy Authentication Required; the proxy does not take the user"},
		{403, "", "403 Forbidden"},
		{502, "secretuser:hunter2@", "502 Bad Gateway"},
		{599, "", "599 (unknown status)"},
		{101, "", "101 Switching Protocols"},
		{302, "", "302 Found"},
	} {
		proxy := startProxy(t, (*httptest.Server).Start)
		proxy.setRefuse(tt.status)
		conn := connect(t, endpoint(t, s.Endpoint()), Settings{Proxies: proxies(t, "grpc_proxy=http://"+tt.user+proxy.address())})
		err := ingest(testContext(t), conn)
		if want := "proxy " + proxy.URL + ": CONNECT " + target + ": " + tt.want; status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if strings.Contains(err.Error(), "secretuser") || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "nobody reads") {
			t.Errorf("the error says too much: %v", err)
		}
		// The channel gets over it.
		proxy.setRefuse(0)
		ctx := testContext(t)
		for err = ingest(ctx, conn); status.Code(err) == codes.Unavailable && ctx.Err() == nil; err = ingest(ctx, conn) {
		}
		if err != nil {
			t.Errorf("after %d: %v", tt.status, err)
		}
	}
}

func TestProxy_PX06_UserInfoIsSent(t *testing.T) {
	s := zerobustest.New()
	t.Cleanup(s.Close)
	proxy := startProxy(t, (*httptest.Server).Start)
	for user, want := range map[string]string{
		"user:pass":            "user:pass",
		"user":                 "user:",
		"us%65r:p%40ss%2F%3A:": "user:p@ss/::",
		"dom%5Cuser:p%C3%A4ss": "dom\\user:päss",
	} {
		before, _ := proxy.seen()
		conn := connect(t, endpoint(t, s.Endpoint()), Settings{Proxies: proxies(t, "grpc_proxy="+user+"@"+proxy.address())})
		if err := ingest(testContext(t), conn); err != nil {
			t.Fatal(err)
		}
		requests, _ := proxy.seen()
		if len(requests) != len(before)+1 {
			t.Fatalf("%d CONNECTs", len(requests)-len(before))
		}
		kind, credentials, _ := strings.Cut(requests[len(before)].Header.Get("Proxy-Authorization"), " ")
		if got, err := base64.StdEncoding.DecodeString(credentials); kind != "Basic" || err != nil || string(got) != want {
			t.Errorf("%s: %s %q, %v, want %q", user, kind, got, err, want)
		}
	}
}

func TestProxyOverTLS(t *testing.T) {
	s := zerobustest.New(zerobustest.TLS())
	t.Cleanup(s.Close)
	proxy := startProxy(t, (*httptest.Server).StartTLS)
	both := s.RootCAs().Clone()
	both.AddCert(proxy.Certificate())
	named := &tls.Config{RootCAs: both, ServerName: "example.com", NextProtos: []string{"h2"}}

	for _, tt := range []struct {
		name string
		cfg  *tls.Config
	}{
		{"one root for both", &tls.Config{RootCAs: both}},
		{"a server name, which is not the proxy's", named},
	} {
		settings := Settings{TLS: tt.cfg, Proxies: proxies(t, "grpc_proxy="+proxy.URL)}
		if err := ingest(testContext(t), connect(t, endpoint(t, s.Endpoint()), settings)); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	requests, _ := proxy.seen()
	for _, r := range requests {
		if r.TLS == nil || r.TLS.ServerName == "example.com" || r.TLS.NegotiatedProtocol != "http/1.1" {
			t.Errorf("%+v", r.TLS)
		}
	}
	if len(requests) != 2 {
		t.Errorf("%d CONNECTs", len(requests))
	}

	for name, cfg := range map[string]*tls.Config{
		"the system's roots": nil,
		"another root":       {RootCAs: x509.NewCertPool()},
	} {
		p := proxies(t, "grpc_proxy="+proxy.URL)
		_, err := p.Dialer(dialTCP, cfg, "")(testContext(t), "host:443")
		if want := (*tls.CertificateVerificationError)(nil); !errors.As(err, &want) || !strings.HasPrefix(err.Error(), "proxy "+proxy.URL+": CONNECT host:443: tls: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// throughPipe dials host:443 through a proxy that is serve, at the other end of a pipe. It is called in a bubble, which
// fails when anything is still running at its end.
func throughPipe(ctx context.Context, t *testing.T, proxy string, serve func(net.Conn)) (net.Conn, error) {
	t.Helper()
	return proxies(t, "grpc_proxy="+proxy).Dialer(func(_ context.Context, addr string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			serve(server)
		}()
		return client, nil
	}, nil, "")(ctx, "host:443")
}

// readRequest reads a request as far as it goes.
func readRequest(conn net.Conn) string {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return err.Error()
	}
	return r.Method + " " + r.RequestURI
}

func TestSilentProxyIsBoundedByContext(t *testing.T) {
	silent := func(conn net.Conn) { io.Copy(io.Discard, conn) }
	for name, serve := range map[string]func(net.Conn){
		"reads and says nothing": silent,
		"does not even read":     func(conn net.Conn) { conn.Write([]byte("nobody reads this")) }, // until the pipe is closed
		"stops in its answer": func(conn net.Conn) {
			readRequest(conn)
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nVia: ")
			silent(conn)
		},
	} {
		for _, proxy := range []string{"http://proxy:3128", "https://proxy:3128"} {
			if strings.HasPrefix(name, "stops") && strings.HasPrefix(proxy, "https") {
				continue // it answers without TLS, which ends in an error at once: TestBadProxies
			}
			t.Run(name+" "+proxy, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
					defer cancel()
					start := time.Now()
					conn, err := throughPipe(ctx, t, proxy, serve)
					if conn != nil || !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "proxy "+proxy+": CONNECT host:443: ") {
						t.Errorf("%v, %v", conn, err)
					}
					if d := time.Since(start); d != 7*time.Second { // the bubble's time
						t.Errorf("after %v", d)
					}
				})
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithCancel(t.Context())
					time.AfterFunc(time.Second, cancel)
					if conn, err := throughPipe(ctx, t, proxy, serve); conn != nil || !errors.Is(err, context.Canceled) {
						t.Errorf("%v, %v", conn, err)
					}
				})
			})
		}
	}
}

// A context that ends once the tunnel is there does not end the tunnel.
func TestContextBoundsTheDialOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		conn, err := throughPipe(ctx, t, "proxy", func(conn net.Conn) {
			readRequest(conn)
			io.WriteString(conn, "HTTP/1.0 200 OK\r\n\r\n")
			io.Copy(conn, conn)
		})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		cancel()
		synctest.Wait()
		go io.WriteString(conn, "there and back")
		got := make([]byte, len("there and back"))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != "there and back" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestBadProxies(t *testing.T) {
	answering := func(answer string) func(net.Conn) {
		return func(conn net.Conn) {
			readRequest(conn)
			io.WriteString(conn, answer)
		}
	}
	for _, tt := range []struct {
		name  string
		proxy string
		serve func(net.Conn)
		want  error // nil for any
	}{
		{"hangs up at once", "http", func(net.Conn) {}, nil},
		{"hangs up at once, TLS", "https", func(net.Conn) {}, nil},
		{"hangs up after the request", "http", answering(""), errHungUp},
		{"hangs up in its answer", "http", answering("HTTP/1.1 200 OK\r\nVia: x\r\n"), errHungUp},
		{"greets like SMTP", "http", answering("220 mail.example ESMTP\r\n"), errNotHTTP},
		{"greets like HTTP 2", "http", answering("\x00\x00\x12\x04\x00\x00\x00\x00\x00\n"), errNotHTTP},
		{"bad header", "http", answering("HTTP/1.1 200 OK\r\nno header\r\n\r\n"), errNotHTTP},
		{"bad status", "http", answering("HTTP/1.1 OK\r\n\r\n"), errNotHTTP},
		{"speaks no TLS", "https", func(conn net.Conn) {
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			io.Copy(io.Discard, conn) // the alert
		}, nil},
		{"sends our credentials back", "http", func(conn net.Conn) {
			b := make([]byte, 4096)
			n, _ := conn.Read(b)
			_, ours, _ := strings.Cut(string(b[:n]), "Proxy-Authorization: ")
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+ours)
		}, errNotHTTP},
		{"endless line", "http", func(conn net.Conn) {
			readRequest(conn)
			for _, err := io.WriteString(conn, "HTTP/1.1 200 "); err == nil; _, err = conn.Write(make([]byte, 1000)) {
			}
		}, errLongAnswer},
		{"endless header", "http", func(conn net.Conn) {
			readRequest(conn)
			for _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n"); err == nil; _, err = io.WriteString(conn, "Via: x\r\n") {
			}
		}, errLongAnswer},
		{"endless patience", "http", func(conn net.Conn) {
			readRequest(conn)
			for err := error(nil); err == nil; _, err = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n") {
			}
		}, errLongAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, err := throughPipe(t.Context(), t, tt.proxy+"://secretuser:hunter2@proxy:3128", tt.serve)
				if err == nil {
					conn.Close()
					t.Fatal("no error")
				}
				if tt.want != nil && !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
				if !strings.HasPrefix(err.Error(), "proxy "+tt.proxy+"://proxy:3128: CONNECT host:443: ") {
					t.Errorf("%v", err)
				}
				encoded := base64.StdEncoding.EncodeToString([]byte("secretuser:hunter2"))
				for _, secret := range []string{"secretuser", "hunter2", encoded} {
					if strings.Contains(err.Error(), secret) {
						t.Errorf("the error repeats the credentials: %v", err)
					}
				}
			})
		})
	}
}

func TestProxyThatIsNotThere(t *testing.T) {
	refused := errors.New("connection refused")
	p := proxies(t, "grpc_proxy=https://secretuser:hunter2@proxy")
	conn, err := p.Dialer(func(context.Context, string) (net.Conn, error) { return nil, refused }, nil, "")(t.Context(), "host:443")
	if conn != nil || !errors.Is(err, refused) || err.Error() != "proxy https://proxy:443: connection refused" {
		t.Errorf("%v, %v", conn, err)
	}
}

func TestRequestOnTheWire(t *testing.T) {
	for addr, want := range map[string]string{
		"host:443":              "CONNECT host:443 HTTP/1.1\r\nHost: host:443\r\n\r\n",
		"[2001:db8::1]:8443":    "CONNECT [2001:db8::1]:8443 HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n\r\n",
		"[fe80::1%eth0]:8443":   "CONNECT [fe80::1]:8443 HTTP/1.1\r\nHost: [fe80::1]:8443\r\n\r\n", // the zone is ours
		"[fe80::1%e\r\nX: y]:1": "CONNECT  HTTP/1.1\r\nHost: \r\n\r\n",                             // no proxy takes that, and no header slips in
	} {
		conn := &scriptedConn{in: strings.NewReader("HTTP/1.1 200 OK\r\n\r\n")}
		u, err := parseProxy("proxy")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newTunnel(u, nil, nil, "").connect(conn, addr); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
		if got := conn.out.String(); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
}

// What the server says before we do may come together with the proxy's answer.
func TestBytesBehindTheAnswerAreKept(t *testing.T) {
	const early = "\x00\x00\x00\x04\x00\x00\x00\x00\x00 a SETTINGS frame, and more"
	long := strings.Repeat("Via: a proxy\r\n", 600) // longer than what is read at once
	for _, answer := range []string{
		"HTTP/1.1 200 Connection established\r\n\r\n",
		"HTTP/1.0 200\r\n\r\n",
		"HTTP/1.1 204 Any 2xx\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",          // which means nothing: RFC 9110, section 9.3.6
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", // as little
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + long + "\r\n",
	} {
		for name, in := range map[string]io.Reader{
			"at once":   strings.NewReader(answer + early),
			"bytewise":  iotest.OneByteReader(strings.NewReader(answer + early)),
			"separated": io.MultiReader(strings.NewReader(answer), strings.NewReader(early)),
		} {
			u, err := parseProxy("proxy")
			if err != nil {
				t.Fatal(err)
			}
			conn, err := newTunnel(u, nil, nil, "").connect(&scriptedConn{in: in}, "host:443")
			if err != nil {
				t.Errorf("%s, %q: %v", name, answer, err)
				continue
			}
			if got, err := io.ReadAll(iotest.OneByteReader(conn)); err != nil || string(got) != early {
				t.Errorf("%s, %q: %q, %v", name, answer, got, err)
			}
		}
	}
}

// scriptedConn reads what a peer says and keeps what it is told.
type scriptedConn struct {
	net.Conn // nil
	in       io.Reader
	out      bytes.Buffer
}

func (c *scriptedConn) Read(b []byte) (int, error)  { return c.in.Read(b) }
func (c *scriptedConn) Write(b []byte) (int, error) { return c.out.Write(b) }

func FuzzProxyAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\n\r\nearly", "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\n\r\n", "HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 \r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", "HTTP/1.1 200 OK\nA: b\n c\n\n", "SSH-2.0\r\n",
	} {
		f.Add(s)
	}
	u, err := parseProxy("proxy")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		var rest string
		var said string
		for i, in := range []io.Reader{strings.NewReader(answer), iotest.OneByteReader(strings.NewReader(answer))} {
			got, text := "", ""
			conn, err := newTunnel(u, nil, nil, "").connect(&scriptedConn{in: in}, "host:443")
			if err != nil {
				if text = err.Error(); len(text) > 100 {
					t.Errorf("%q makes a long error: %s", answer, text)
				}
			} else {
				b, err := io.ReadAll(conn)
				if got = string(b); err != nil || !strings.HasSuffix(answer, got) {
					t.Errorf("%q: the server says %q, %v", answer, got, err)
				}
			}
			if i > 0 && (got != rest || (text == "") != (said == "")) {
				t.Errorf("%q: at once %q and %q, bytewise %q and %q", answer, rest, said, got, text)
			}
			rest, said = got, text
		}
	})
}
