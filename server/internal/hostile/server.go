package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	startTime  = 60 * time.Second // what a start may take
	endTime    = 60 * time.Second // what a SIGTERM may take before the process is killed
	answerTime = 15 * time.Second // what one answer may take that is not waited for longer
)

// A server is one process of zerobus serve, in a directory of its own:
//
//	data/   its data directory
//	cwd/    its working directory, where nothing may appear
//	tmp/    its temporary directory, likewise
type server struct {
	dir        string
	grpc, http string // addresses
	adminToken string
	secure     bool // it speaks TLS

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	err  error         // how, after done
	web  *http.Client
}

// startServer starts the binary on ports that the system chooses, and waits until it answers.
func startServer(ctx context.Context, bin, dir string, log io.Writer, flags ...string) (*server, error) {
	return startServerWith(ctx, []string{bin}, dir, log, flags...)
}

// startServerWith is startServer of a command that is not the binary alone.
func startServerWith(ctx context.Context, command []string, dir string, log io.Writer, flags ...string) (*server, error) {
	s := &server{dir: dir, done: make(chan struct{})}
	for _, d := range []string{"data", "cwd", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return nil, err
		}
	}
	s.cmd = exec.Command(command[0], append(append(slices.Clone(command[1:]), "serve", "--data", filepath.Join(dir, "data"), "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"), flags...)...)
	s.cmd.Dir = filepath.Join(dir, "cwd")
	s.cmd.Env = append(os.Environ(), "TMPDIR="+filepath.Join(dir, "tmp"))
	s.cmd.Stderr = log
	leash(s.cmd)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	go func() { // ends with the process
		defer close(s.done)
		for sc, told := bufio.NewScanner(out), false; sc.Scan(); {
			name, value, _ := strings.Cut(sc.Text(), " ")
			scheme, addr, _ := strings.Cut(strings.TrimSpace(value), "://")
			switch name {
			case "streams":
				s.grpc, s.secure = addr, scheme == "https"
			case "http":
				s.http = addr
			case "data":
				if !told {
					close(ready)
					told = true
				}
			}
		}
		_, _ = io.Copy(io.Discard, out)
		s.err = s.cmd.Wait()
	}()
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	select {
	case <-ready:
	case <-s.done:
		return nil, fmt.Errorf("the server ended while it was starting: %v", s.err)
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("the server is not ready: %w", ctx.Err()), s.kill())
	}
	token, err := os.ReadFile(filepath.Join(dir, "data", "admin.token"))
	if err != nil {
		return nil, errors.Join(err, s.kill())
	}
	s.adminToken = strings.TrimSpace(string(token))
	s.web = &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: anyCertificate}}
	return s, nil
}

// alive is an error when the process has ended.
func (s *server) alive() error {
	select {
	case <-s.done:
		return fmt.Errorf("the server has ended by itself: %v", s.err)
	default:
		return nil
	}
}

func (s *server) kill() error {
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.done
	return nil
}

// terminate asks the process to end and waits. An error is one that did not end in order.
func (s *server) terminate() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	t := time.NewTimer(endTime)
	defer t.Stop()
	select {
	case <-s.done:
	case <-t.C:
		return errors.Join(fmt.Errorf("the server has not ended %v after SIGTERM", endTime), s.kill())
	}
	if s.err != nil {
		return fmt.Errorf("the server ended with %w after SIGTERM", s.err)
	}
	return nil
}

// url is one of its web addresses.
func (s *server) url(path string) string {
	if s.secure {
		return "https://" + s.http + path
	}
	return "http://" + s.http + path
}

// do sends a request that net/http can make, and returns status and body; 0 and the error for no answer.
func (s *server) do(ctx context.Context, method, path, auth, contentType string, body []byte) (int, string) {
	r, err := http.NewRequestWithContext(ctx, method, s.url(path), bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	resp, err := s.web.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

// metric reads one of the server's figures, -1 if there is none.
func (s *server) metric(ctx context.Context, name string) float64 {
	_, text := s.do(ctx, http.MethodGet, "/metrics", "", "", nil)
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			if v, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				return v
			}
		}
	}
	return -1
}
