package dial

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func hostPort(t *testing.T, addr string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

// environment returns the lookup of "NAME=value" strings.
func environment(vars ...string) func(string) string {
	env := map[string]string{}
	for _, v := range vars {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	return func(name string) string { return env[name] }
}

func proxies(t *testing.T, vars ...string) *Proxies {
	t.Helper()
	p, err := ProxyFromEnvironment(environment(vars...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// route returns where a connection to addr would be opened.
func route(t *testing.T, p *Proxies, addr string) string {
	t.Helper()
	to := "nowhere"
	stop := errors.New("stop")
	_, err := p.Dialer(func(_ context.Context, addr string) (net.Conn, error) {
		to = addr
		return nil, stop
	}, nil, "")(t.Context(), addr)
	if !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	return to
}

func httpRoute(t *testing.T, p *Proxies, target string) string {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	u, err := p.ForHTTP(r)
	if err != nil {
		t.Error(err)
	}
	if u == nil {
		return "direct"
	}
	return u.String()
}

func TestProxy_PX04_Precedence(t *testing.T) {
	order := []string{"grpc_proxy", "GRPC_PROXY", "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"}
	wantFirst := func(names []string, direct string, got func(*Proxies) string, form string) {
		t.Helper()
		for i := range order {
			env := map[string]string{}
			for j, name := range order { // those before i are empty
				env[name] = " "
				if j >= i {
					env[name] = strings.ReplaceAll(name, "_", "-") + ":1"
				}
			}
			want := direct
			for _, name := range names {
				if v := env[name]; v != " " {
					want = strings.ReplaceAll(form, "*", v)
					break
				}
			}
			p, err := ProxyFromEnvironment(func(name string) string { return env[name] })
			if err != nil {
				t.Fatal(err)
			}
			if g := got(p); g != want {
				t.Errorf("%v: through %s, want %s", env, g, want)
			}
		}
	}
	wantFirst(order, "host:443", func(p *Proxies) string { return route(t, p, "host:443") }, "*")
	wantFirst(order[2:], "direct", func(p *Proxies) string { return httpRoute(t, p, "https://host/") }, "http://*")
	wantFirst(order[4:], "direct", func(p *Proxies) string { return httpRoute(t, p, "http://host/") }, "http://*")

	if got := route(t, proxies(t), "host:443"); got != "host:443" {
		t.Errorf("with nothing in the environment: through %s", got)
	}
}

func TestProxy_PX04_PrecedenceOfTheBypass(t *testing.T) {
	base := []string{"https_proxy=proxy:3128"}
	for _, tt := range []struct {
		vars            []string
		direct, proxied string // for gRPC
		http            bool   // whether direct is that for requests too
	}{
		{[]string{"no_grpc_proxy=a", "NO_GRPC_PROXY=b", "no_proxy=b", "NO_PROXY=b"}, "a", "b", false},
		{[]string{"no_grpc_proxy= ", "NO_GRPC_PROXY=a", "no_proxy=b", "NO_PROXY=b"}, "a", "b", false},
		{[]string{"no_grpc_proxy=", "NO_GRPC_PROXY=", "no_proxy=a", "NO_PROXY=b"}, "a", "b", true},
		{[]string{"no_proxy=", "NO_PROXY=a"}, "a", "b", true},
	} {
		p := proxies(t, append(tt.vars, base...)...)
		if got := route(t, p, tt.direct+":443"); got != tt.direct+":443" {
			t.Errorf("%v: %s goes through %s", tt.vars, tt.direct, got)
		}
		if got := route(t, p, tt.proxied+":443"); got != "proxy:3128" {
			t.Errorf("%v: %s goes to %s", tt.vars, tt.proxied, got)
		}
		if got := httpRoute(t, p, "https://"+tt.direct) == "direct"; got != tt.http {
			t.Errorf("%v: the request for %s is direct: %v", tt.vars, tt.direct, got)
		}
	}
}

// PX-02: the bypass list decides, and a loopback address is no exception of its own.
func TestProxy_PX02_LoopbackIsProxiedUnlessListed(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]"} {
		p := proxies(t, "grpc_proxy=proxy:3128", "http_proxy=proxy:3128")
		if got := route(t, p, host+":8080"); got != "proxy:3128" {
			t.Errorf("%s goes to %s", host, got)
		}
		if got := httpRoute(t, p, "http://"+host+":8080"); got != "http://proxy:3128" {
			t.Errorf("a request to %s goes to %s", host, got)
		}
		p = proxies(t, "grpc_proxy=proxy:3128", "no_grpc_proxy=127.0.0.1, localhost, ::1")
		if got := route(t, p, host+":8080"); got != host+":8080" {
			t.Errorf("%s goes to %s", host, got)
		}
	}
}

func TestProxy_PX08_TokenRequests(t *testing.T) {
	p := proxies(t, "https_proxy=http://user:p%40ss@secure:1", "http_proxy=https://plain", "no_proxy=a.example:443,b.example:80")
	for target, want := range map[string]string{
		"https://host/oidc/v1/token": "http://user:p%40ss@secure:1",
		"http://host/oidc/v1/token":  "https://plain:443",
		"https://a.example/":         "direct",
		"https://a.example:8443/":    "http://user:p%40ss@secure:1",
		"http://a.example/":          "https://plain:443",
		"http://b.example/":          "direct",
		"https://b.example/":         "http://user:p%40ss@secure:1",
		"ftp://host/":                "direct",
	} {
		if got := httpRoute(t, p, target); got != want {
			t.Errorf("%s goes through %s, want %s", target, got, want)
		}
	}
	if got := httpRoute(t, proxies(t, "grpc_proxy=only:1"), "https://host"); got != "direct" {
		t.Errorf("grpc_proxy is for gRPC, and not for requests: %s", got)
	}
	r := &http.Request{URL: &url.URL{Scheme: "https", Host: "host"}}
	mine, _ := p.ForHTTP(r)
	mine.Host = "changed"
	if again, _ := p.ForHTTP(r); again.Host != "secure:1" {
		t.Errorf("the caller changed the proxy to %s", again.Host)
	}
}

func TestProxy_PX08_FixedProxy(t *testing.T) {
	u, err := url.Parse("http://user:hunter2@proxy/")
	if err != nil {
		t.Fatal(err)
	}
	p, err := FixedProxy(u)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = "changed"
	if got := route(t, p, "127.0.0.1:443"); got != "proxy:80" {
		t.Errorf("gRPC goes to %s", got)
	}
	for _, target := range []string{"https://host", "http://127.0.0.1"} {
		if got := httpRoute(t, p, target); got != "http://user:hunter2@proxy:80" {
			t.Errorf("%s goes through %s", target, got)
		}
	}
	for _, u := range []*url.URL{nil, {}, {Scheme: "host", Opaque: "3128"}, {Scheme: "socks5", Host: "host"}, {Host: "1::2:3"}, {Host: "a:b"}} {
		if p, err := FixedProxy(u); err == nil || p != nil || !strings.HasPrefix(err.Error(), "proxy: ") {
			t.Errorf("%v: %v", u, err)
		}
	}
}

func TestNoProxyAtAll(t *testing.T) {
	for _, p := range []*Proxies{nil, {}} {
		if got := route(t, p, "host:443"); got != "host:443" {
			t.Errorf("gRPC goes to %s", got)
		}
		if got := httpRoute(t, p, "https://host"); got != "direct" {
			t.Errorf("requests go through %s", got)
		}
	}
}

// In a CGI program HTTP_PROXY is what a client sent as the header Proxy.
func TestHTTPProxyIsNotReadInCGI(t *testing.T) {
	vars := []string{"REQUEST_METHOD=GET", "HTTP_PROXY=evil:1", "http_proxy=evil:1"}
	if got := route(t, proxies(t, vars...), "host:443"); got != "host:443" {
		t.Errorf("gRPC goes to %s", got)
	}
	for _, target := range []string{"https://host", "http://host"} {
		if got := httpRoute(t, proxies(t, vars...), target); got != "direct" {
			t.Errorf("%s goes through %s", target, got)
		}
	}
	if got := route(t, proxies(t, append(vars, "HTTPS_PROXY=good:1")...), "host:443"); got != "good:1" {
		t.Errorf("gRPC goes to %s", got)
	}
}

func TestParseProxy(t *testing.T) {
	for in, want := range map[string]string{
		"http://host:3128":       "http://host:3128",
		"host:3128":              "http://host:3128",
		"host":                   "http://host:80",
		"host.":                  "http://host.:80",
		"http://host/":           "http://host:80",
		"https://host":           "https://host:443",
		"HTTPS://host:08443/":    "https://host:8443",
		"10.0.0.1":               "http://10.0.0.1:80",
		"http://[::1]":           "http://[::1]:80",
		"[::1]:3128":             "http://[::1]:3128",
		"http://[fe80::1%25e]":   "http://[fe80::1%25e]:80",
		"http://u@host":          "http://u@host:80",
		"u:p@host:3128":          "http://u:p@host:3128",
		"http://u:a%2Fb%40@host": "http://u:a%2Fb%40@host:80",
		"http://u:a@b@host":      "http://u:a%40b@host:80",
	} {
		if u, err := parseProxy(in); err != nil || u.String() != want {
			t.Errorf("%s: %v, %v, want %s", in, u, err, want)
		}
	}
}

func TestProxyFromEnvironmentRefuses(t *testing.T) {
	for value, want := range map[string]string{
		"socks5://secretuser:hunter2@host:1080": "SOCKS",
		"socks5h://host":                        "scheme",
		"ftp://host":                            "scheme",
		"://host":                               "not a URL",
		"http://":                               "host is missing",
		"http://secretuser:hunter2@":            "host is missing",
		":3128":                                 "host is missing",
		"host:0":                                "port",
		"host:65536":                            "port",
		"host:http":                             "not a URL",
		"host name":                             "not a URL",
		"höst":                                  "character",
		"2001:db8::1":                           "not a URL",
		"[::1":                                  "not a URL",
		"http://host/path":                      "only a host",
		"http://host//":                         "only a host",
		"http://host?a=b":                       "only a host",
		"http://host?":                          "only a host",
		"http://host#f":                         "only a host",
		"http://secretuser:12/hunter2@host":     "percent-encode",
		"http://secretuser:hunter2/x@host":      "percent-encode",
		"http://secretuser:hunter2%@host":       "percent-encode",
		"secretuser:hunter2#@host:3128":         "percent-encode",
		"secretuser:hunter2://@host:3128":       "scheme",
		"secretuser://hunter2@host:3128":        "scheme",
	} {
		for _, name := range []string{"grpc_proxy", "HTTPS_PROXY", "http_proxy"} {
			p, err := ProxyFromEnvironment(environment(name + "=" + value))
			if err == nil || p != nil || !strings.HasPrefix(err.Error(), name+": ") || !strings.Contains(err.Error(), want) {
				t.Errorf("%s=%s: %v, want an error with %q", name, value, err, want)
				continue
			}
			for _, secret := range []string{"secretuser", "hunter2"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%s=%s: the error repeats %q: %v", name, value, secret, err)
				}
			}
		}
	}
	if _, err := ProxyFromEnvironment(environment("http_proxy=socks5://host", "grpc_proxy=a", "https_proxy=b")); err == nil {
		t.Error("a bad http_proxy counts for http URLs")
	}
	if _, err := ProxyFromEnvironment(environment("HTTP_PROXY=socks5://host", "http_proxy=a")); err != nil {
		t.Errorf("a variable that does not count is looked at: %v", err)
	}
}

func FuzzParseProxy(f *testing.F) {
	for _, s := range []string{"host", "http://u:p@host:1/", "https://[::1]", "[fe80::1%25e]:1", "u:a%2Fb@h", "socks5://h", "http://1.2.3.4:80", "http://u:1/p@h"} {
		f.Add(s)
	}
	messages := map[string]bool{} // of all errors: they are constants, so they repeat nothing
	for _, s := range []string{"://", "x://h", "/", "h/p", "h:0", "ö"} {
		_, err := parseProxy(s)
		if err == nil {
			f.Fatalf("%q is taken", s)
		}
		messages[err.Error()] = true
	}
	if len(messages) != 6 {
		f.Fatalf("%d messages: %v", len(messages), messages)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := parseProxy(s)
		if err != nil {
			if !messages[err.Error()] {
				t.Errorf("%q: an unknown error: %v", s, err)
			}
			return
		}
		host, port, err := net.SplitHostPort(u.Host)
		if err != nil || host == "" || port == "" || u.Scheme != "http" && u.Scheme != "https" {
			t.Errorf("%q is read as %q, whose address is taken apart as %q, %q, %v", s, u, host, port, err)
		}
		if a, err := netip.ParseAddr(host); err == nil && a.Zone() != "" { // which net/url may escape in a way that it does not read
			return
		}
		again, err := parseProxy(u.String())
		if err != nil || again.String() != u.String() {
			t.Errorf("%q is written as %q and read as %v, %v", s, u, again, err)
		}
	})
}
