package sink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"
)

// Config says how a [Sink] behaves. The zero value is plaintext and acknowledges at once.
type Config struct {
	// TLS serves TLS with these settings, whose NextProtos the package sets; nil serves plaintext.
	TLS *tls.Config

	// AckDelay is how long after its receipt a message is acknowledged. 0 is at once; negative is an error. The end of a
	// delay is rounded up to a millisecond of the connection's clock, so that all messages of that millisecond have one
	// acknowledgement; it is never early.
	AckDelay time.Duration

	// Check parses every message, counts records and verifies that the first message is create_stream and that offsets
	// are consecutive from 0. It costs a copy of every byte.
	Check bool
}

// Stats counts what has come since [Listen]. A message is counted before its acknowledgement is written.
type Stats struct {
	Connections int64 // accepted
	Messages    int64 // complete, without create_stream
	Bytes       int64 // of those messages, without the five bytes that gRPC puts before each
	Records     int64 // in those messages; 0 without [Config.Check]
}

// Sink is a running server. See the package comment.
type Sink struct {
	cfg Config
	lis net.Listener

	connections, messages, bytes, records atomic.Int64

	fault atomic.Pointer[error]

	closing  sync.Once
	closeErr error
	running  sync.WaitGroup // the accept loop and the connections

	mu     sync.Mutex // guards the following; nothing else is locked or called under it
	open   map[net.Conn]struct{}
	closed bool
}

// Listen starts a sink on addr, such as "127.0.0.1:0". [Sink.Close] ends it.
func Listen(addr string, cfg Config) (*Sink, error) {
	if cfg.AckDelay < 0 {
		return nil, fmt.Errorf("start a sink: AckDelay is %v; it must not be negative", cfg.AckDelay)
	}
	if cfg.TLS != nil {
		cfg.TLS = cfg.TLS.Clone()
		cfg.TLS.NextProtos = []string{"h2"}
	}
	lis, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("start a sink: %w", err)
	}
	s := &Sink{cfg: cfg, lis: lis, open: make(map[net.Conn]struct{})}
	s.running.Go(func() {
		pprof.Do(context.Background(), pprof.Labels("zerobus", "sink accept"), func(context.Context) { s.accept() })
	})
	return s, nil
}

// Addr returns the address that clients connect to, as host:port.
func (s *Sink) Addr() string { return s.lis.Addr().String() }

// Stats returns the counts so far. They are read one by one, so those of a sink at work may be some messages apart.
func (s *Sink) Stats() Stats {
	return Stats{
		Connections: s.connections.Load(),
		Messages:    s.messages.Load(),
		Bytes:       s.bytes.Load(),
		Records:     s.records.Load(),
	}
}

// Err returns the first fault that a client made, or that ended the listener before Close; nil if there was none.
func (s *Sink) Err() error {
	if err := s.fault.Load(); err != nil {
		return *err
	}
	return nil
}

// Close ends all connections at once, without a word to their clients, and returns when no goroutine is left. Later
// calls do the same and return the same.
func (s *Sink) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.closed = true
		for c := range s.open {
			c.Close()
		}
		s.mu.Unlock()
		s.closeErr = s.lis.Close()
	})
	s.running.Wait()
	return s.closeErr
}

func (s *Sink) accept() {
	for {
		raw, err := s.lis.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.fail(fmt.Errorf("accept connections: %w", err))
			}
			return
		}
		if !s.enter(raw) {
			raw.Close()
			return
		}
		s.connections.Add(1)
		s.running.Go(func() {
			defer s.leave(raw)
			pprof.Do(context.Background(), pprof.Labels("zerobus", "sink connection"), func(context.Context) {
				newConn(s, raw).serve()
			})
		})
	}
}

// enter reports whether the connection may be served; after Close has begun it may not.
func (s *Sink) enter(raw net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.open[raw] = struct{}{}
	return true
}

func (s *Sink) leave(raw net.Conn) {
	s.mu.Lock()
	delete(s.open, raw)
	s.mu.Unlock()
	raw.Close()
}

// fail keeps the first fault.
func (s *Sink) fail(err error) { s.fault.CompareAndSwap(nil, &err) }
