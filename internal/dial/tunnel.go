package dial

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// maxAnswer bounds the header of a proxy's answer. Those of real proxies have some hundred bytes.
const maxAnswer = 64 << 10

var (
	errHungUp     = errors.New("the proxy closed the connection before the end of its answer")
	errNotHTTP    = errors.New("the proxy's answer is not HTTP; is there a proxy at this port?")
	errLongAnswer = fmt.Errorf("the header of the proxy's answer has more than %d KiB", maxAnswer>>10)
)

// tunnel connects to servers through one HTTP proxy.
type tunnel struct {
	proxy     *url.URL // as checkProxy returns it
	next      dialFunc
	tls       *tls.Config // nil for an http proxy
	userAgent string
}

func newTunnel(proxy *url.URL, next dialFunc, cfg *tls.Config, userAgent string) *tunnel {
	t := &tunnel{proxy: proxy, next: next, userAgent: userAgent}
	if proxy.Scheme == "https" {
		t.tls = &tls.Config{}
		if cfg != nil {
			t.tls = cfg.Clone()
		}
		// These are about the server, and the proxy is another one.
		t.tls.ServerName = proxy.Hostname()
		t.tls.EncryptedClientHelloConfigList = nil
		t.tls.NextProtos = []string{"http/1.1"}
	}
	return t
}

// dial returns a connection whose other end is addr.
func (t *tunnel) dial(ctx context.Context, addr string) (net.Conn, error) {
	name := t.proxy.Scheme + "://" + t.proxy.Host // and not the user
	raw, err := t.next(ctx, t.proxy.Host)
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %w", name, err)
	}
	// Closing ends every read and write, those of a TLS handshake as well, and unlike a deadline need not be undone.
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	conn, err := t.connect(raw, addr)
	if !stop() {
		err = ctx.Err() // even when the proxy answered: the connection is being closed
	}
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("proxy %s: CONNECT %s: %w", name, addr, err)
	}
	return conn, nil
}

// connect makes a tunnel of a connection to the proxy. It does not close it.
func (t *tunnel) connect(conn net.Conn, addr string) (net.Conn, error) {
	if t.tls != nil {
		secure := tls.Client(conn, t.tls)
		if err := secure.Handshake(); err != nil {
			return nil, err
		}
		conn = secure
	}
	req := &http.Request{
		Method: http.MethodConnect,
		URL:    &url.URL{Host: addr},
		Host:   addr,
		Header: http.Header{"User-Agent": {t.userAgent}}, // none when empty; without the key it would be that of net/http
	}
	if user := t.proxy.User; user != nil {
		password, _ := user.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
		req.Header.Set("Proxy-Authorization", "Basic "+credentials)
	}
	if err := req.Write(conn); err != nil {
		return nil, err
	}

	answer := &answerReader{r: conn, left: maxAnswer}
	buffered := bufio.NewReader(answer)
	for {
		// The body is neither read nor closed, which would read it: after 2xx it is what the server sends.
		resp, err := http.ReadResponse(buffered, req)
		switch {
		case err != nil && answer.err == io.EOF:
			return nil, errHungUp
		case err != nil && answer.err != nil:
			return nil, answer.err
		case err != nil:
			return nil, errNotHTTP // err quotes what was sent, which is of any length and may be our own request
		case resp.StatusCode/100 == 2:
			early, _ := buffered.Peek(buffered.Buffered())
			if len(early) == 0 {
				return conn, nil
			}
			return &earlyConn{Conn: conn, early: early}, nil
		case resp.StatusCode/100 == 1 && resp.StatusCode != http.StatusSwitchingProtocols:
			// Informational, and another answer follows.
		default:
			return nil, t.refusal(resp.StatusCode)
		}
	}
}

// refusal returns the error for a status that is not 2xx. The text is that of the standard: a proxy's own may be
// anything.
func (t *tunnel) refusal(code int) error {
	var hint string
	switch {
	case code != http.StatusProxyAuthRequired:
	case t.proxy.User == nil:
		hint = "; put user and password into the proxy's URL"
	default:
		hint = "; the proxy does not take the user and the password of its URL as basic authentication"
	}
	text := http.StatusText(code)
	if text == "" {
		text = "(unknown status)"
	}
	return fmt.Errorf("%d %s%s", code, text, hint)
}

// answerReader reads an answer's header, of left bytes at most, and keeps the error that ended it: what
// [http.ReadResponse] returns does not tell a broken connection from a bad answer.
type answerReader struct {
	r    io.Reader
	left int
	err  error
}

func (a *answerReader) Read(b []byte) (n int, err error) {
	if a.left == 0 {
		a.err = errLongAnswer
		return 0, a.err
	}
	n, a.err = a.r.Read(b[:min(len(b), a.left)])
	a.left -= n
	return n, a.err
}

// earlyConn is a connection whose first bytes came with the proxy's answer.
type earlyConn struct {
	net.Conn
	early []byte // not read yet
}

func (c *earlyConn) Read(b []byte) (int, error) {
	if len(c.early) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.early)
	if c.early = c.early[n:]; len(c.early) == 0 {
		c.early = nil // lets go of the buffer
	}
	return n, nil
}
