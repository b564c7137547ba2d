package main

import (
	"errors"
	"net"
	"sync"
	"time"
)

// link is a network that takes its time: connections to it go on to an address, and what they carry comes there a delay later, in
// both directions. It has no other bound than the memory.
type link struct {
	net.Listener
	to    string
	delay time.Duration
	wait  sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	open  bool
}

func newLink(to string, delay time.Duration) (*link, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &link{Listener: l, to: to, delay: delay, open: true}
	k.wait.Go(k.serve)
	return k, nil
}

func (k *link) serve() {
	for {
		near, err := k.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", k.to)
		if err != nil {
			near.Close()
			continue
		}
		if !k.keep(near, far) {
			near.Close()
			far.Close()
			return
		}
		k.wait.Go(func() { k.carry(near, far) })
		k.wait.Go(func() { k.carry(far, near) })
	}
}

// keep has the connections closed with the link. False: it is closed.
func (k *link) keep(conns ...net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open {
		k.conns = append(k.conns, conns...)
	}
	return k.open
}

// piece is bytes on their way.
type piece struct {
	due   time.Time
	bytes []byte
}

const (
	pieceBytes = 256 << 10
	pieces     = 1 << 16
)

// carry brings what comes from one connection to the other, and closes that one at the end.
func (k *link) carry(from, to net.Conn) {
	way := make(chan piece, pieces)
	k.wait.Go(func() {
		defer to.Close()
		for p := range way {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.bytes); err != nil {
				from.Close() // ends the loop below
			}
		}
	})
	defer close(way)
	for {
		b := make([]byte, pieceBytes)
		n, err := from.Read(b)
		if n > 0 {
			way <- piece{time.Now().Add(k.delay), b[:n]}
		}
		if err != nil {
			return
		}
	}
}

// close ends the link and its connections.
func (k *link) close() error {
	err := k.Listener.Close()
	k.mu.Lock()
	k.open = false
	for _, c := range k.conns {
		if cerr := c.Close(); !errors.Is(cerr, net.ErrClosed) {
			err = errors.Join(err, cerr)
		}
	}
	k.mu.Unlock()
	k.wait.Wait()
	return err
}
