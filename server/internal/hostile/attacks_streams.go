package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

var streamAttacks = []attack{
	{name: "streams: as many as there may be", slow: true, run: func(t *trial) { // -quick fills the small server instead
		n := t.cfg.open - int(t.idleStreams)
		var peers []*peer
		for range 4 {
			p := t.peer()
			if p == nil {
				return
			}
			peers = append(peers, p)
		}
		calls := make([]*call, 0, n)
		for i := range n {
			c := t.call(peers[i%len(peers)], t.token, targetTable)
			if c == nil {
				return
			}
			if err := c.message(t.ctx, createJSON(targetTable)); err != nil {
				t.fault("stream %d: %v", i, err)
				return
			}
			calls = append(calls, c)
		}
		for i, c := range calls {
			if c.reply(t.ctx, 0) == nil {
				t.fault("stream %d of %d: %s", i, n, c.outcomeWithin(t, time.Second))
				return
			}
		}
		t.sent(n)
		if got := t.server.metric(t.ctx, "zerobus_streams_open"); got != float64(t.cfg.open) {
			t.fault("%g streams are open, not %d", got, t.cfg.open)
		}
		for range 20 {
			t.refuse("one more", t.ends(t.call(peers[0], t.token, targetTable), false, createJSON(targetTable)), "grpc ResourceExhausted .*open streams")
		}
		for i, c := range calls { // lightly active
			if i%10 == 0 {
				if err := c.message(t.ctx, one(0, good(i))); err != nil {
					t.fault("stream %d: %v", i, err)
					return
				}
			}
		}
		for i, c := range calls {
			if i%10 == 0 && c.reply(t.ctx, 1) == nil {
				t.fault("stream %d of %d is not acknowledged: %s", i, n, c.outcomeWithin(t, time.Second))
				return
			}
		}
		t.sent(n / 10)
		pause(t.ctx, time.Second)
		for _, p := range peers {
			p.close()
		}
	}},
	{name: "streams: opened and closed", run: func(t *trial) {
		p := t.peer()
		if p == nil {
			return
		}
		for i := range t.size(10_000) {
			c := t.stream(p, targetTable)
			if c == nil {
				return
			}
			var err error
			switch i % 3 {
			case 0:
				err = c.cancel(http2.ErrCodeCancel)
			case 1:
				err = c.half()
				if got := c.outcomeWithin(t, answerTime); got != "grpc OK " {
					t.fault("half-close: %s", got)
				}
			default:
				err = errors.Join(c.message(t.ctx, one(0, good(i))), c.cancel(http2.ErrCodeNo))
			}
			if err != nil {
				t.fault("stream %d: %v", i, err)
				return
			}
			c.forget()
			t.sent(1)
		}
	}},
	{name: "streams: connections opened and closed", run: func(t *trial) {
		for range t.size(1000) {
			p := t.peer()
			if p == nil {
				return
			}
			c := t.call(p, t.token, targetTable)
			if c == nil {
				return
			}
			_ = c.send(t.ctx, frame(0, createJSON(targetTable)), false) // it is closed anyway
			p.close()
			t.sent(1)
		}
	}},
	{name: "streams: a small server with TLS", run: func(t *trial) {
		const most = 8
		s, token := t.second("small", []string{t.bin}, "--max-streams", fmt.Sprint(most), "--tls", "auto")
		if s == nil {
			return
		}
		secure := func(cfg *tls.Config) (*peer, error) {
			nc := t.dial(s.grpc)
			if nc == nil {
				return nil, errors.New("no connection")
			}
			c := tls.Client(nc, cfg)
			ctx, cancel := t.soon()
			defer cancel()
			if err := c.HandshakeContext(ctx); err != nil {
				return nil, err
			}
			return newPeer(ctx, c)
		}
		h2 := func(cfg *tls.Config) *tls.Config {
			cfg.InsecureSkipVerify = true
			if cfg.NextProtos == nil {
				cfg.NextProtos = []string{"h2"}
			}
			return cfg
		}
		p, err := secure(h2(&tls.Config{}))
		if err != nil {
			t.fault("the small server: TLS: %v", err)
			return
		}
		open := func() *call { return t.call(p, token, targetTable) }
		var calls []*call
		for range most {
			if c := t.created(open(), createJSON(targetTable)); c != nil {
				calls = append(calls, c)
			}
		}
		for range 100 {
			t.refuse("one stream more than 8", t.ends(open(), false, createJSON(targetTable)), "grpc ResourceExhausted .*open streams")
		}
		if len(calls) > 0 {
			t.take("one ends", t.ends(calls[0], true, one(0, good(0))), "grpc OK")
			t.take("and another one has its place", t.ends(open(), true, createJSON(targetTable), one(0, good(0))), "grpc OK")
		}
		for what, cfg := range map[string]*tls.Config{
			"TLS 1.0": {MaxVersion: tls.VersionTLS10}, "TLS 1.1": {MaxVersion: tls.VersionTLS11}, "another protocol": {NextProtos: []string{"evil"}},
			"weak ciphers": {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}},
		} {
			_, err := secure(h2(cfg))
			t.refuse(what, fmt.Sprint(err), "remote error|tls: ")
		}
		for what, text := range map[string]string{
			"plaintext HTTP/2": begun, "plaintext HTTP": "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", "a TLS record of 64 KiB": "\x16\x03\x01\xff\xff" + strings.Repeat("x", 70_000), "an alert": "\x15\x03\x01\x00\x02\x02\x28", "garbage": strings.Repeat("\x00\xff", 4096), "a hello of nothing": "\x16\x03\x01\x00\x04\x01\x00\x00\x00",
		} {
			for _, addr := range []string{s.grpc, s.http} {
				nc := t.dial(addr)
				if nc == nil {
					return
				}
				_ = nc.SetDeadline(time.Now().Add(answerTime))
				_, _ = io.WriteString(nc, text) // the read tells
				halfClose(nc)
				_, err := io.Copy(io.Discard, nc)
				t.refuse(what, ended(err), "closed")
				nc.Close()
			}
		}
	}},
	{name: "streams: connections for all files", run: func(t *trial) {
		const files = 192
		s, token := t.second("files", []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, files), t.bin})
		if s == nil {
			return
		}
		nc := t.dial(s.grpc)
		if nc == nil {
			return
		}
		p, err := newPeer(t.ctx, nc)
		if err != nil {
			t.fault("begin HTTP/2: %v", err)
			return
		}
		honest := t.created(t.call(p, token, targetTable), createJSON(targetTable))
		if honest == nil {
			return
		}
		ctx, cancel := t.soon()
		defer cancel()
		var silent []net.Conn
		const records = 200
		for i := range records {
			for _, addr := range []string{s.grpc, s.http} {
				if nc := t.dial(addr); nc != nil { // the kernel takes it, whatever the server does
					silent = append(silent, nc)
					t.sent(1)
				}
			}
			if err := honest.message(ctx, one(int64(i), good(i))); err != nil {
				t.fault("record %d: %v", i, err)
				return
			}
		}
		if n, err := descriptors(s.cmd.Process.Pid); err != nil || n < files/3 || n >= files {
			t.fault("the server has %d of %d descriptors open (%v)", n, files, err)
		}
		if got := t.ends(honest, true); got != "grpc OK " || honest.acked() != records-1 {
			t.fault("the honest stream ended with %q, acknowledged up to %d", got, honest.acked())
		}
		for _, nc := range silent {
			nc.Close()
		}
		// Now there is room again; what was acknowledged is in the table.
		code, body := s.do(t.ctx, http.MethodPost, adminPrefix+"table/flush", "Bearer "+s.adminToken, "application/json", []byte(`{"table":"`+targetTable+`"}`))
		t.take("the commit afterwards", fmt.Sprint(code, " ", body), "200 ")
		code, body = s.do(t.ctx, http.MethodPost, adminPrefix+"table/describe", "Bearer "+s.adminToken, "application/json", []byte(`{"table":"`+targetTable+`"}`))
		t.take("the table afterwards", fmt.Sprint(code, " ", body), fmt.Sprintf(`200 .*"rows":%d,`, records))
	}},
}
