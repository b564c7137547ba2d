package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Proxies says which HTTP proxy a connection goes through. The zero value, and nil, is no proxy at all.
//
// A Proxies does not change once it is made, and may be used by any number of goroutines. It holds the passwords of its
// proxies, and no error made from it repeats a user or a password.
//
// The URL of a proxy is "http://host:port" or "https://host:port"; without a scheme it is http, without a port it is 80
// for http and 443 for https. User and password in it are percent-encoded, and are sent as Proxy-Authorization: Basic.
// A single slash at the end is taken. Anything else behind the host is refused, although it would do no harm, because it
// is most often the rest of a password that has a slash in it: http://user:12/34@host is host "user", port 12.
type Proxies struct {
	// The following are as checkProxy returns them, and nil for direct connections.
	grpc  *url.URL
	https *url.URL // of requests for https URLs
	http  *url.URL // of requests for http URLs

	noGRPC bypass
	noHTTP bypass // of requests for both
}

// ProxyFromEnvironment reads the variables that name proxies. Of each list below, the first one that is not blank counts.
//
//	gRPC                   grpc_proxy GRPC_PROXY https_proxy HTTPS_PROXY http_proxy HTTP_PROXY
//	  but not for          no_grpc_proxy NO_GRPC_PROXY no_proxy NO_PROXY
//	requests, https URLs   https_proxy HTTPS_PROXY http_proxy HTTP_PROXY
//	requests, http URLs    http_proxy HTTP_PROXY
//	  but not for          no_proxy NO_PROXY
//
// The lists of hosts that are reached directly have entries between commas or blanks:
//
//	example.com     this host and those below it, such as api.example.com; .example.com and *.example.com say the same
//	10.1.2.3        an IP address, in any spelling, an IPv6 address with or without brackets
//	10.0.0.0/8      the addresses of a block
//	*               every host
//
// Each of them may end in a port, as in example.com:443, and is then about that port only. Case does not matter. An entry
// that is none of these matches no host: the variables are shared with other programs, which may know more forms. Names
// are not looked up, so a name never matches an address. Unlike net/http, nothing is said about loopback addresses that
// the list does not say: other clients of the protocol reach them through the proxy as well.
//
// A value that counts and is not the URL of a proxy is an error that names its variable.
//
// In a CGI program, which has REQUEST_METHOD in its environment, http_proxy and HTTP_PROXY are not read: there they may
// be what the peer sent as a header named Proxy.
func ProxyFromEnvironment(getenv func(string) string) (*Proxies, error) {
	first := func(names []string) (name, value string) {
		for _, name := range names {
			if value := strings.TrimSpace(getenv(name)); value != "" {
				return name, value
			}
		}
		return "", ""
	}
	forHTTP := []string{"http_proxy", "HTTP_PROXY"}
	if getenv("REQUEST_METHOD") != "" {
		forHTTP = nil
	}
	forHTTPS := append([]string{"https_proxy", "HTTPS_PROXY"}, forHTTP...)
	forGRPC := append([]string{"grpc_proxy", "GRPC_PROXY"}, forHTTPS...)
	never := []string{"no_proxy", "NO_PROXY"}
	neverGRPC := append([]string{"no_grpc_proxy", "NO_GRPC_PROXY"}, never...)

	p := &Proxies{}
	for _, lookup := range []struct {
		proxy **url.URL
		names []string
	}{{&p.grpc, forGRPC}, {&p.https, forHTTPS}, {&p.http, forHTTP}} {
		name, value := first(lookup.names)
		if name == "" {
			continue
		}
		u, err := parseProxy(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		*lookup.proxy = u
	}
	_, hosts := first(neverGRPC)
	p.noGRPC = parseBypass(hosts)
	_, hosts = first(never)
	p.noHTTP = parseBypass(hosts)
	return p, nil
}

// FixedProxy is the proxy u for everything, whatever the environment says. It copies u.
func FixedProxy(u *url.URL) (*Proxies, error) {
	if u == nil {
		return nil, errors.New("proxy: the URL is nil")
	}
	u, err := checkProxy(u)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return &Proxies{grpc: u, https: u, http: u}, nil
}

// ForHTTP returns the proxy of an HTTP request, or nil when there is none. It is for [http.Transport] and its field
// Proxy; the error is always nil.
func (p *Proxies) ForHTTP(r *http.Request) (*url.URL, error) {
	if p == nil {
		return nil, nil
	}
	var proxy *url.URL
	port := r.URL.Port()
	switch r.URL.Scheme {
	case "https":
		proxy = p.https
		if port == "" {
			port = portTLS
		}
	case "http":
		proxy = p.http
		if port == "" {
			port = portPlaintext
		}
	}
	if proxy == nil || p.noHTTP.covers(r.URL.Hostname(), port) {
		return nil, nil
	}
	u := *proxy
	return &u, nil
}

// Dialer returns the dialer of gRPC connections. It takes addresses as [Endpoint.Address] gives them, and calls next with
// the address or with that of the proxy. next makes the TCP connection.
//
// With a proxy, the connection is the tunnel that the proxy opened at a CONNECT request, so what is at its other end is
// the server, and TLS to the server goes through it end to end. A proxy is never asked to forward plaintext in another
// way. ctx bounds all of it. A proxy that refuses is an error that has its status and nothing else of what it sent.
//
// An https proxy is verified as cfg says, as net/http does with the settings of its transport, but under its own name;
// nil means the system's root certificates. cfg is copied. userAgent is what the proxy is told about us; it may be empty.
func (p *Proxies) Dialer(next dialFunc, cfg *tls.Config, userAgent string) dialFunc {
	if p == nil || p.grpc == nil {
		return next
	}
	t := newTunnel(p.grpc, next, cfg, userAgent)
	return func(ctx context.Context, addr string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		if p.noGRPC.covers(host, port) {
			return next(ctx, addr)
		}
		return t.dial(ctx, addr)
	}
}

// dialFunc connects to "host:port".
type dialFunc = func(ctx context.Context, addr string) (net.Conn, error)

// parseProxy reads the URL of a proxy. Errors do not repeat it, nor those of net/url, which do: it may hold a password.
func parseProxy(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		s = "http://" + s // url.Parse would take the host of host:3128 for a scheme
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("it is not a URL; it looks like http://proxy.example:3128, and / ? # @ : % in a user or a password are percent-encoded")
	}
	return checkProxy(u)
}

// checkProxy returns scheme, user, host and port of u, none of the first, third and last empty.
func checkProxy(u *url.URL) (*url.URL, error) {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	switch scheme {
	case "", "http":
		scheme = "http"
		if port == "" {
			port = portPlaintext
		}
	case "https":
		if port == "" {
			port = portTLS
		}
	default: // which may be a user, in user:password@host, and is not repeated
		return nil, errors.New("the scheme is neither http nor https; SOCKS and other kinds of proxies are not supported")
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("only a host and a port are allowed; if the password has one of / ? # in it, percent-encode that")
	}
	host := u.Hostname()
	if a, err := netip.ParseAddr(host); err != nil || a.Is6() && !strings.HasPrefix(u.Host, "[") {
		if err := checkName(host); err != nil {
			return nil, err
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return nil, errors.New("the port is not a number from 1 to 65535")
	}
	return &url.URL{Scheme: scheme, User: u.User, Host: net.JoinHostPort(host, strconv.FormatUint(n, 10))}, nil
}
