package sink

import "net"

// source is a connection that says when it is about to read from the socket, which may block: everything that was
// received is used by then.
//
// Under TLS it stands below crypto/tls, which reads one record of 16 KiB after the other. With a buffer the socket is
// read in pieces of that size instead, and before says that the records in one of them are used up.
type source struct {
	net.Conn
	before func() error // an error of it is one of Read
	buf    []byte       // nil reads into what Read is given
	unread []byte       // a part of buf
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.unread) == 0 {
		if err := s.before(); err != nil {
			return 0, err
		}
		if len(p) >= len(s.buf) {
			return s.Conn.Read(p)
		}
		n, err := s.Conn.Read(s.buf)
		if n == 0 {
			return 0, err
		}
		s.unread = s.buf[:n] // an error that came along comes again
	}
	n := copy(p, s.unread)
	s.unread = s.unread[n:]
	return n, nil
}
