package zerobustest

import (
	"context"
	"net"

	"google.golang.org/grpc/peer"
)

// listener gives every connection an address that leads back to it, which is how a stream finds the connection that it
// runs on.
type listener struct {
	net.Listener
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return traced{conn}, nil
}

type traced struct {
	net.Conn
}

func (c traced) RemoteAddr() net.Addr { return tracedAddr{c.Conn.RemoteAddr(), c.Conn} }

type tracedAddr struct {
	net.Addr
	conn net.Conn
}

// kill breaks the connection that the stream with the context ctx runs on. Over TCP the client sees a reset.
func kill(ctx context.Context) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return
	}
	addr, ok := p.Addr.(tracedAddr)
	if !ok {
		return
	}
	if tcp, ok := addr.conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	addr.conn.Close()
}
