package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startTime = 60 * time.Second // what a start may take
	endTime   = 25 * time.Second // what a SIGTERM may take, as zerobus serve says
	hangTime  = 60 * time.Second // then the server is given up
)

// A server is zerobus serve, one process after the other.
type server struct {
	bin, data  string
	grpc, http string // addresses
	log        *serverLog

	cmd   *exec.Cmd
	ready chan struct{} // closed when the process answers
	done  chan struct{} // closed when it has ended
	err   error         // how, after done
}

// launch starts a process and does not wait until it is ready.
func (s *server) launch(l life) error {
	s.cmd = exec.Command(s.bin, "serve", "--data", s.data, "--grpc-listen", s.grpc, "--http-listen", s.http,
		"--commit-interval", l.commit, "--stream-lifetime", l.lifetime)
	s.cmd.Stderr = s.log
	leash(s.cmd)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	fmt.Fprintf(s.log, "--- process %d, %s\n", s.cmd.Process.Pid, strings.Join(s.cmd.Args[1:], " "))
	cmd, ready, done := s.cmd, make(chan struct{}), make(chan struct{})
	s.ready, s.done = ready, done
	go func() { // ends with the process
		defer close(done)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			if strings.HasPrefix(sc.Text(), "data ") {
				close(ready)
				break
			}
		}
		_, _ = io.Copy(io.Discard, out)
		s.err = cmd.Wait()
	}()
	return nil
}

// await waits until the process is ready.
func (s *server) await(ctx context.Context) error {
	t := time.NewTimer(startTime)
	defer t.Stop()
	select {
	case <-s.ready:
		return nil
	case <-s.done:
		return &endedError{fmt.Errorf("the server ended while it was starting: %v", s.err)}
	case <-t.C:
		return fmt.Errorf("the server is not ready after %v", startTime)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// endedError is a server that has ended without being asked to.
type endedError struct{ error }

// alive is an error when the process has ended by itself.
func (s *server) alive() error {
	select {
	case <-s.done:
		return &endedError{fmt.Errorf("the server has ended by itself: %v", s.err)}
	default:
		return nil
	}
}

// kill ends the process as kill -9 does, and waits for its end.
func (s *server) kill() error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.done
	return nil
}

// terminate asks the process to end and returns how long that took. An error is one that did not end in order or in time.
func (s *server) terminate() (time.Duration, error) {
	began := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	t := time.NewTimer(hangTime)
	defer t.Stop()
	select {
	case <-s.done:
	case <-t.C:
		return hangTime, errors.Join(fmt.Errorf("the server has not ended %v after SIGTERM", hangTime), s.kill())
	}
	took := time.Since(began)
	switch {
	case s.err != nil:
		return took, fmt.Errorf("the server ended with %w, %v after SIGTERM", s.err, took.Round(time.Millisecond))
	case took > endTime:
		return took, fmt.Errorf("the server took %v to end after SIGTERM, more than %v", took.Round(time.Millisecond), endTime)
	}
	return took, nil
}

// tool runs another command of the program.
func (s *server) tool(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	var errw bytes.Buffer
	cmd := exec.CommandContext(ctx, s.bin, append(args, "--data", s.data)...)
	cmd.Stderr = &errw
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("zerobus %s: %w\n%s", strings.Join(args, " "), err, errw.Bytes())
	}
	return out, nil
}

// A serverLog keeps what the servers say in a file, and looks for what a full disk makes them say.
type serverLog struct {
	mu      sync.Mutex
	file    io.Writer
	noSpace int // writes that speak of it
}

// Write implements io.Writer.
func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Contains(p, []byte("no space left on device")) {
		l.noSpace++
	}
	return l.file.Write(p)
}

func (l *serverLog) complaints() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.noSpace
}

// freePorts finds two loopback addresses that a server can take again after each restart. They are below those that the
// system gives to outgoing connections: a client that dials while there is no server could else be given the very port, and
// talk to itself.
func freePorts(r *rand.Rand) (grpc, http string, err error) {
	var found []string
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 15_000+r.IntN(15_000)))
		if err != nil {
			continue
		}
		defer l.Close()
		if found = append(found, l.Addr().String()); len(found) == 2 {
			return found[0], found[1], nil
		}
	}
	return "", "", errors.New("no free ports from 15000 to 29999")
}
