package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// The server gives up connections that say nothing within these times, and streams that are not created. See gateway.go and
// handler.go; some seconds come on top.
const (
	gRPCPatience   = 20 * time.Second
	headerPatience = 10 * time.Second
	bodyPatience   = 30 * time.Second
	createPatience = 30 * time.Second
	late           = 10 * time.Second
)

var slowAttacks = []attack{
	{name: "slow: half-open and trickling", slow: true, run: func(t *trial) {
		var all sync.WaitGroup
		together := func(what string, patience time.Duration, want string, f func(nc net.Conn, until time.Time) string, addr string) {
			nc := t.dial(addr)
			if nc == nil {
				return
			}
			all.Go(func() {
				until := time.Now().Add(patience + late)
				_ = nc.SetDeadline(until)
				t.refuse(what, f(nc, until), want)
				nc.Close()
			})
		}
		silent := func(text string) func(net.Conn, time.Time) string {
			return func(nc net.Conn, _ time.Time) string {
				_, _ = io.WriteString(nc, text) // the read tells
				_, err := io.Copy(io.Discard, nc)
				return ended(err)
			}
		}
		trickle := func(text string) func(net.Conn, time.Time) string {
			return func(nc net.Conn, until time.Time) string {
				over := make(chan string, 1)
				go func() { // ends with the connection
					_, err := io.Copy(io.Discard, nc)
					over <- ended(err)
				}()
				for i := 0; time.Now().Before(until); i++ {
					if _, err := io.WriteString(nc, text[i%len(text):i%len(text)+1]); err != nil {
						break
					}
					select {
					case got := <-over:
						return got
					case <-time.After(500 * time.Millisecond):
					}
				}
				return <-over
			}
		}
		hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
		together("gRPC: connect and nothing", gRPCPatience, "closed", silent(""), t.server.grpc)
		together("gRPC: half a preface", gRPCPatience, "closed", silent("PRI * HT"), t.server.grpc)
		together("gRPC: the preface and no settings", gRPCPatience, "closed", silent("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), t.server.grpc)
		together("gRPC: a byte every half second", gRPCPatience, "closed", trickle("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x10\x00\x04"), t.server.grpc)
		together("gRPC: TLS hello and nothing", gRPCPatience, "closed", silent(hello), t.server.grpc)
		together("HTTP: connect and nothing", headerPatience, "closed", silent(""), t.server.http)
		together("HTTP: half a request line", headerPatience, "closed", silent("GET /hea"), t.server.http)
		together("HTTP: headers without end", headerPatience, "closed", trickle("GET /health HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 200)), t.server.http)
		together("HTTP: a body that does not come", bodyPatience, "closed", silent("POST /oidc/v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ngrant"), t.server.http)
		together("HTTP: admin without a token and a body that does not come", bodyPatience, "closed", silent("POST "+adminPrefix+"sql HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"), t.server.http)
		for _, what := range []string{"nothing", "half a message"} {
			all.Go(func() {
				c := t.call(t.peer(), t.token, targetTable)
				if c == nil {
					return
				}
				if what != "nothing" {
					_ = c.send(t.ctx, frame(0, createJSON(targetTable))[:9], false) // the outcome tells
				}
				t.refuse("a stream with "+what+" of its create_stream", c.outcomeWithin(t, createPatience+late), "grpc DeadlineExceeded no create_stream")
			})
		}
		all.Wait()
	}},
	{name: "slow: 1,000 silent connections", slow: true, run: func(t *trial) {
		t.silence(1000, gRPCPatience+late, "")
	}},
	{name: "slow: 1,000 idle HTTP/2 connections", run: func(t *trial) {
		// These are in order, and may stay: the keepalive finds out who is gone. They are held for a moment only.
		n := t.size(1000)
		var peers []*peer
		for range n {
			if p := t.peer(); p != nil {
				peers = append(peers, p)
			}
		}
		t.sent(len(peers))
		ctx, cancel := t.soon()
		defer cancel()
		for i, p := range peers {
			if !p.ping(ctx) {
				t.fault("connection %d of %d answers no ping", i, n)
				break
			}
		}
		t.checkStream(t.peer())
		for _, p := range peers {
			p.close()
		}
	}},
}

// silence opens n connections to both listeners that never speak, and waits until the server has closed all of them.
func (t *trial) silence(n int, within time.Duration, text string) {
	var all sync.WaitGroup
	for i := range n {
		addr := t.server.grpc
		if i%2 == 1 {
			addr = t.server.http
		}
		nc := t.dial(addr)
		if nc == nil {
			break
		}
		all.Go(func() {
			defer nc.Close()
			_ = nc.SetDeadline(time.Now().Add(within))
			_, _ = io.WriteString(nc, text) // the read tells
			_, err := io.Copy(io.Discard, nc)
			t.refuse(fmt.Sprintf("connection %d", i), ended(err), "closed")
		})
	}
	t.checkStream(t.peer())
	all.Wait()
}
