package dial

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Ports of an endpoint that names none.
const (
	portTLS       = "443"
	portPlaintext = "80"
)

// Endpoint is where a server listens.
type Endpoint struct {
	Host      string // a name or an IP address, without brackets
	Port      string // decimal, 1 to 65535
	Plaintext bool   // HTTP/2 without TLS

	written string // host and port as the user wrote them, without the scheme; empty in an Endpoint made by hand
}

// ParseEndpoint reads "host", "host:port" or either behind "https://" or "http://". Without a scheme it is https. The
// port is 443 for https and 80 for http unless given. An IPv6 address stands in brackets. A single slash at the end is
// taken; user information, a path, a query and a fragment mean nothing to gRPC and are refused.
func ParseEndpoint(s string) (Endpoint, error) {
	if s == "" {
		return Endpoint{}, errors.New("the endpoint is empty; it looks like https://<workspace-id>.zerobus.<region>.cloud.databricks.com")
	}
	if strings.Contains(s, "@") {
		// What stands before the @ may be a password: not in the error.
		return Endpoint{}, errors.New("the endpoint has user information, which is never sent; remove everything up to the @")
	}
	bad := func(what string) (Endpoint, error) {
		return Endpoint{}, fmt.Errorf("endpoint %q: %s", s, what)
	}

	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		scheme, rest = "https", s
	}
	var e Endpoint
	switch strings.ToLower(scheme) {
	case "https":
	case "http":
		e.Plaintext = true
	default:
		return bad("the scheme is neither https nor http")
	}

	rest = strings.TrimSuffix(rest, "/")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		return bad(fmt.Sprintf("only a host and a port are allowed, remove %q", rest[i:]))
	}
	e.written = rest

	var err error
	if e.Host, e.Port, err = splitHostPort(rest); err != nil {
		return bad(err.Error())
	}
	if e.Port == "" {
		e.Port = e.defaultPort()
	}
	return e, nil
}

// splitHostPort takes "host", "host:port", "[ipv6]" and "[ipv6]:port" apart and checks both parts.
func splitHostPort(s string) (host, port string, err error) {
	rest := s
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", errors.New("the bracket around the IPv6 address is not closed")
		}
		// In a URL the % before a zone is itself escaped.
		host, err = url.PathUnescape(s[1:end])
		if err != nil {
			return "", "", errors.New("the zone of the IPv6 address is not escaped as %25")
		}
		if a, err := netip.ParseAddr(host); err != nil || !a.Is6() {
			return "", "", errors.New("there is no IPv6 address in the brackets")
		}
		rest = s[end+1:]
	} else {
		if strings.Count(s, ":") > 1 {
			return "", "", errors.New("more than one colon; write an IPv6 address in brackets, like [::1]:443")
		}
		host, _, _ = strings.Cut(s, ":")
		rest = s[len(host):]
		if err := checkName(host); err != nil {
			return "", "", err
		}
	}
	if rest == "" {
		return host, "", nil
	}
	port, found := strings.CutPrefix(rest, ":")
	if !found {
		return "", "", errors.New("only a port may follow the IPv6 address")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", "", errors.New("the port is not a number from 1 to 65535")
	}
	return host, strconv.FormatUint(n, 10), nil
}

// checkName refuses what no host name contains, so that a slip of the pen is told as such and not as a name that
// cannot be resolved.
func checkName(host string) error {
	if host == "" {
		return errors.New("the host is missing")
	}
	for i := range len(host) {
		c := host[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		default:
			return errors.New("the host has a character that host names do not have")
		}
	}
	return nil
}

func (e Endpoint) defaultPort() string {
	if e.Plaintext {
		return portPlaintext
	}
	return portTLS
}

// Address returns host and port in the form of [net.Dial].
func (e Endpoint) Address() string {
	return net.JoinHostPort(e.Host, e.Port)
}

// String returns the endpoint as a URL with its port.
func (e Endpoint) String() string {
	if e.Plaintext {
		return "http://" + e.Address()
	}
	return "https://" + e.Address()
}

// Target returns the endpoint as the target of grpc.NewClient.
//
// It is a passthrough target: the name goes to the dialer, which looks it up for every connection and tries all of its
// addresses. gRPC's dns resolver looks a name up again only after 30 s, so a server that moved would be missed by a
// supervisor that gives up before that; and it asks for service configurations that nobody publishes.
func (e Endpoint) Target() string {
	// gRPC reads a target as a URL, where the zone of an IPv6 address, such as that of fe80::1%12, would be an escape.
	return "passthrough:///" + strings.ReplaceAll(e.Address(), "%", "%25")
}

// authority returns what calls carry as :authority: the port is left out where it is the scheme's own, as browsers and
// the other clients do it, because a proxy may match the bare name.
func (e Endpoint) authority() string {
	if e.Port != e.defaultPort() {
		return e.Address()
	}
	if strings.Contains(e.Host, ":") {
		return "[" + e.Host + "]"
	}
	return e.Host
}

// WorkspaceID returns the text before the first dot of the endpoint. That is the workspace's number for an endpoint of
// the service. The token request names it, and other clients derive it in the same way: "localhost:8080" for
// http://localhost:8080, "127" for http://127.0.0.1:8080.
func (e Endpoint) WorkspaceID() string {
	s := e.written
	if s == "" {
		s = e.Address()
	}
	id, _, _ := strings.Cut(s, ".")
	return id
}
