package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// An attack is one thing that strangers do.
type attack struct {
	name string
	slow bool // left out by -quick
	run  func(*trial)
}

// A trial is one run of an attack. It counts what was sent and what was refused as expected, and keeps what was not.
type trial struct {
	*arena
	ctx  context.Context
	name string

	mu                 sync.Mutex // guards the following
	requests, refusals int
	faults             []string
	open               []io.Closer

	after []func() // what is to be done when the open ones are closed
}

// A verdict is what is told of a trial.
type verdict struct {
	name                  string
	requests, refusals    int
	took                  time.Duration
	before, during, after figures
	memory                int64 // the peak
	faults                []string
}

const (
	attackTime  = 90 * time.Second       // what one attack may take
	recoverTime = 30 * time.Second       // what the server may take to give back descriptors and streams
	fewFiles    = 8                      // descriptors that come and go: files of commits, connections of ours
	restTime    = 300 * time.Millisecond // after an attack
)

// try runs one attack and judges it. ctx is the run's.
func (a *arena) try(ctx context.Context, k attack, before figures) verdict {
	t := &trial{arena: a, name: k.name}
	pid := a.server.cmd.Process.Pid
	resetPeak(pid)
	a.control.look()
	began := time.Now()
	func() {
		var cancel context.CancelFunc
		t.ctx, cancel = context.WithTimeout(ctx, attackTime)
		defer cancel()
		k.run(t)
		if t.ctx.Err() != nil && ctx.Err() == nil {
			t.fault("the attack was not over within %v", attackTime)
		}
	}()
	v := verdict{name: k.name, took: time.Since(began), before: before, during: a.control.look()}
	for _, c := range t.open {
		c.Close()
	}
	t.ctx = ctx
	for _, f := range t.after {
		f()
	}
	t.checkServer()
	pause(ctx, time.Duration(t.size(int(restTime))))
	v.after = a.control.look()
	var err error
	if v.memory, err = peak(pid); err != nil && a.server.alive() == nil {
		t.fault("%v", err)
	}
	if v.memory > a.cfg.memory<<20 {
		t.fault("the server took %d MiB of memory, more than %d", v.memory>>20, a.cfg.memory)
	}
	for _, text := range a.control.complaints() {
		t.fault("%s", text)
	}
	v.requests, v.refusals, v.faults = t.requests, t.refusals, t.faults
	return v
}

// checkServer asks whether the server is as before.
func (t *trial) checkServer() {
	if err := t.server.alive(); err != nil {
		t.fault("%v", err)
		return
	}
	if code, body := t.server.do(t.ctx, http.MethodGet, "/health", "", "", nil); code != http.StatusOK {
		t.fault("afterwards /health answers %d %s", code, body)
	}
	t.checkStream(t.peer())
	deadline := time.Now().Add(recoverTime)
	for {
		files, err := descriptors(t.server.cmd.Process.Pid)
		streams := t.server.metric(t.ctx, "zerobus_streams_open")
		if err == nil && files <= t.idleFiles+fewFiles && streams == t.idleStreams {
			break
		}
		if time.Now().After(deadline) || t.ctx.Err() != nil {
			t.fault("%v afterwards the server has %d descriptors open and %g streams, before it were %d and %g (%v)",
				recoverTime, files, streams, t.idleFiles, t.idleStreams, err)
			break
		}
		pause(t.ctx, 50*time.Millisecond)
	}
	found, err := strays(t.server.dir)
	if err != nil {
		t.fault("look at the server's files: %v", err)
	}
	for _, f := range found {
		t.fault("a file that does not belong there: %s", f)
	}
}

// checkStream takes a record through a new stream.
func (t *trial) checkStream(p *peer) {
	if p == nil {
		return
	}
	defer p.close()
	ctx, cancel := context.WithTimeout(t.ctx, answerTime)
	defer cancel()
	c := t.stream(p, targetTable)
	if c == nil {
		return
	}
	if err := errors.Join(c.message(ctx, one(0, good(0))), c.half()); err != nil {
		t.fault("afterwards a stream takes nothing: %v", err)
		return
	}
	if got := c.outcome(ctx); got != "grpc OK " || c.acked() != 0 {
		t.fault("afterwards a stream that is in order ends with %q and acknowledged up to %d", got, c.acked())
	}
}

func (t *trial) fault(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	const most = 20 // of one attack
	if len(t.faults) < most {
		t.faults = append(t.faults, fmt.Sprintf(t.name+": "+strings.ReplaceAll(format, "\n", " "), args...))
	}
}

// sent counts requests whose answers nobody looks at.
func (t *trial) sent(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests += n
}

// refuse checks the answer to a request that must be refused, against a pattern.
func (t *trial) refuse(what, got, want string) {
	if t.matches(what, got, want) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.refusals++
	}
}

// take checks the answer to a request that is odd and still allowed.
func (t *trial) take(what, got, want string) { t.matches(what, got, want) }

func (t *trial) matches(what, got, want string) bool {
	t.sent(1)
	ok, err := regexp.MatchString("(?s)^(?:"+want+")", got)
	if err != nil || !ok {
		t.fault("%s: got %.300q, want %s", what, got, want)
		return false
	}
	return true
}

// second starts another server for this attack alone, with a table and a token for it; nil after a fault. It is looked at and
// ended after the attack.
func (t *trial) second(name string, command []string, flags ...string) (s *server, token string) {
	flags = append(flags, "--memory-limit", memoryLimit, "--log-level", "warn")
	s, err := startServerWith(t.ctx, command, filepath.Join(filepath.Dir(t.server.dir), name), t.log, flags...)
	if err != nil {
		t.fault("server %s: %v", name, err)
		return nil, ""
	}
	t.after = append(t.after, func() {
		found, err := strays(s.dir)
		if err = errors.Join(err, s.alive(), s.terminate()); err != nil || len(found) > 0 {
			t.fault("server %s: %v; files that do not belong there: %q", name, err, found)
		}
	})
	err = s.must(t.ctx, "CREATE TABLE "+targetTable+" (n BIGINT, text STRING) USING DELTA")
	who, err2 := s.principal(t.ctx, "attacker")
	if err = errors.Join(err, err2); err == nil {
		err = s.grant(t.ctx, who, targetTable)
	}
	if err == nil {
		token, err = s.login(t.ctx, who, targetTable)
	}
	if err != nil {
		t.fault("server %s: %v", name, err)
		return nil, ""
	}
	return s, token
}

// soon bounds the wait for one answer.
func (t *trial) soon() (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.ctx, answerTime)
}

// keep has c closed after the attack.
func (t *trial) keep(c io.Closer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open = append(t.open, c)
}

// anyCertificate is for our own server on loopback addresses, whose certificate is not what is tested.
var anyCertificate = &tls.Config{InsecureSkipVerify: true}

// dial connects to an address of a server.
func (t *trial) dial(addr string) net.Conn {
	d := net.Dialer{Timeout: answerTime}
	nc, err := d.DialContext(t.ctx, "tcp", addr)
	if err != nil {
		t.fault("connect: %v", err)
		return nil
	}
	t.keep(nc)
	return nc
}

// peer is a new HTTP/2 connection to the streams' address. After a fault, it is nil.
func (t *trial) peer(settings ...http2.Setting) *peer {
	nc := t.dial(t.server.grpc)
	if nc == nil {
		return nil
	}
	p, err := newPeer(t.ctx, nc, settings...)
	if err != nil {
		t.fault("begin HTTP/2: %v", err)
		return nil
	}
	return p
}

// call opens a stream on a connection; nil after a fault.
func (t *trial) call(p *peer, token, table string, extra ...string) *call {
	if p == nil {
		return nil
	}
	c, err := p.open(false, grpcHeaders(token, table, extra...)...)
	if err != nil {
		t.fault("open a stream: %v", err)
		return nil
	}
	return c
}

// stream opens a stream of JSON records to a table and waits for the answer; nil after a fault.
func (t *trial) stream(p *peer, table string, extra ...string) *call {
	return t.created(t.call(p, t.token, table, extra...), createJSON(table))
}

func (t *trial) created(c *call, create []byte) *call {
	if c == nil {
		return nil
	}
	ctx, cancel := t.soon()
	defer cancel()
	if err := c.message(ctx, create); err != nil {
		t.fault("create a stream: %v", err)
		return nil
	}
	if c.reply(ctx, 0) == nil {
		t.fault("create a stream: %s", c.outcome(ctx))
		return nil
	}
	return c
}

// ends sends messages and, with half, our end, and returns how the stream ends.
func (t *trial) ends(c *call, half bool, messages ...[]byte) string {
	if c == nil {
		return "no stream"
	}
	ctx, cancel := t.soon()
	defer cancel()
	for _, m := range messages {
		if err := c.message(ctx, m); err != nil && !errors.Is(err, errNoWindow) {
			break // the outcome says why
		}
	}
	if half {
		_ = c.half() // likewise
	}
	return c.outcome(ctx)
}

// raw writes bytes to an address and returns the answer to them, as HTTP: "http 400 body", "closed" or "nothing".
func (t *trial) raw(addr, text string) string { return t.rawWithin(addr, text, answerTime) }

func (t *trial) rawWithin(addr, text string, d time.Duration) string {
	nc := t.dial(addr)
	if nc == nil {
		return "no connection"
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(d)); err != nil {
		return err.Error()
	}
	_, _ = io.WriteString(nc, text) // the server may have had enough
	return answer(nc)
}

// answer reads an HTTP response.
func answer(r io.Reader) string {
	resp, err := http.ReadResponse(bufio.NewReader(r), nil)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "nothing"
	case err != nil:
		return "closed"
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what there is
	return fmt.Sprintf("http %d %s", resp.StatusCode, b)
}

// ask sends an HTTP request as it stands: target is not escaped, headers are whole lines.
func (t *trial) ask(method, target, body string, headers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", method, target)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	return t.raw(t.server.http, b.String()+"\r\n"+body)
}

// sqlAnswer runs a script with the right admin token.
func (t *trial) sqlAnswer(script string) string {
	code, body := t.server.sql(t.ctx, script)
	return fmt.Sprintf("http %d %s", code, body)
}
