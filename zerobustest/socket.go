package zerobustest

import (
	"math"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/zerobus-go/zerobus/internal/wire"
)

const (
	// maxMessage is above every request that the protocol allows, so that one that is too large is answered by us.
	maxMessage = 64 << 20

	// acceptPause is the time until connections are accepted again after an error, such as too many open files.
	acceptPause = 5 * time.Millisecond
)

// socket is one TCP connection, with a gRPC server that has no other one: gRPC sends GOAWAY only when a server stops,
// and then on all of its connections, while later ones shall still be served. It is the connection that gRPC is given,
// so it knows when gRPC begins with it and when it is closed.
type socket struct {
	net.Conn
	grpc *grpc.Server

	beginning sync.Once
	begun     chan struct{} // closed once gRPC reads or writes: a server that stops before that drops its connection

	closing sync.Once
	closed  chan struct{} // closed with the connection, whoever closes it

	leaving bool // GOAWAY is being sent; guarded by Server.mu
}

func (k *socket) Read(b []byte) (int, error) {
	k.beginning.Do(func() { close(k.begun) })
	return k.Conn.Read(b)
}

func (k *socket) Write(b []byte) (int, error) {
	k.beginning.Do(func() { close(k.begun) })
	return k.Conn.Write(b)
}

func (k *socket) Close() error {
	err := k.Conn.Close()
	k.closing.Do(func() { close(k.closed) })
	return err
}

// kill closes the connection in a way that the client sees as a reset, over TCP.
func (k *socket) kill() {
	if tcp, ok := k.Conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	k.Close()
}

// goAway sends GOAWAY and returns once the connection has ended for that: when its last stream has ended.
func (k *socket) goAway() {
	select {
	case <-k.begun:
	case <-k.closed:
	}
	k.grpc.GracefulStop()
}

// oneSocket is a listener that accepts one socket, and fails when that one is closed.
type oneSocket struct {
	socket   *socket
	accepted bool // by gRPC's accepting goroutine, the only one that calls Accept

	closing sync.Once
	closed  chan struct{}
}

func (l *oneSocket) Accept() (net.Conn, error) {
	if !l.accepted {
		l.accepted = true
		return l.socket, nil
	}
	select {
	case <-l.closed:
	case <-l.socket.closed:
	}
	return nil, net.ErrClosed
}

func (l *oneSocket) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return nil
}

func (l *oneSocket) Addr() net.Addr { return l.socket.LocalAddr() }

// accept takes TCP connections until the server is closed.
func (s *Server) accept() {
	defer close(s.accepted)
	for {
		conn, err := s.listener.Accept()
		switch {
		case s.ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return
		case err != nil:
			select {
			case <-time.After(acceptPause):
			case <-s.ctx.Done():
				return
			}
		default:
			s.host(conn)
		}
	}
}

// host serves one TCP connection.
func (s *Server) host(conn net.Conn) {
	k := &socket{Conn: conn, begun: make(chan struct{}), closed: make(chan struct{})}
	k.grpc = grpc.NewServer(append([]grpc.ServerOption{
		grpc.ForceServerCodecV2(wire.Codec()),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(math.MaxUint32),
		grpc.WaitForHandlers(true),
	}, s.credentials...)...)
	k.grpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: wire.Service,
		Streams: []grpc.StreamDesc{{
			StreamName:    strings.TrimPrefix(wire.Method, "/"+wire.Service+"/"),
			ServerStreams: true,
			ClientStreams: true,
			Handler:       func(_ any, stream grpc.ServerStream) error { return s.serve(k, stream) },
		}},
	}, nil)
	s.mu.Lock()
	s.sockets[k] = struct{}{}
	s.mu.Unlock()
	s.running.Go(func() {
		k.grpc.Serve(&oneSocket{socket: k, closed: make(chan struct{})}) // its error is that the socket was closed
		k.Close()
		k.grpc.Stop() // waits for the streams' handlers
		s.mu.Lock()
		delete(s.sockets, k)
		s.mu.Unlock()
	})
}

// GoAway tells the clients on all present TCP connections to open no more streams there, with HTTP/2's GOAWAY, as a
// server does that is about to shut down. The streams go on, and a TCP connection ends with its last one. New streams
// come on new TCP connections, and are served.
//
// GoAway does not wait for the clients: one that opens a stream before it gets to know opens it on the old connection,
// and that stream is served too. After Close nothing happens.
func (s *Server) GoAway() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	for k := range s.sockets {
		if !k.leaving {
			k.leaving = true
			s.running.Go(k.goAway)
		}
	}
}
