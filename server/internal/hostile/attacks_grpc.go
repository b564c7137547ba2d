package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"strings"
	"sync"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// maxRequest is the payload of a request that the server takes, and slack what it reads beyond that to say so.
const (
	maxRequest = 10 << 20
	slack      = 1 << 20
)

var grpcAttacks = []attack{
	{name: "grpc: wrong calls", run: func(t *trial) {
		ctx, cancel := t.soon()
		defer cancel()
		p := t.peer()
		if p == nil {
			return
		}
		replaced := func(name, value string) []string {
			h := grpcHeaders(t.token, targetTable)
			for i := 0; i < len(h); i += 2 {
				if h[i] == name {
					h[i+1] = value
				}
			}
			return h
		}
		for _, tt := range []struct{ what, name, value, want string }{
			{"no such method", ":path", "/databricks.zerobus.Zerobus/DropEverything", "grpc Unimplemented"},
			{"no such service", ":path", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "grpc Unimplemented"},
			{"path without method", ":path", "/", "grpc Unimplemented"},
			{"path with ..", ":path", "/databricks.zerobus.Zerobus/../../etc/passwd", "grpc Unimplemented"},
			{"path that is none", ":path", "*", "grpc Unimplemented|rst|goaway"},
			{"path of 32 KiB", ":path", "/" + strings.Repeat("a", 32<<10) + "/b", "grpc Unimplemented"},
			{"persistent stream", ":path", "/databricks.zerobus.Zerobus/PersistentStream", "grpc Unimplemented"},
			{"JSON content type", "content-type", "application/json", "http 415|grpc"},
			{"no gRPC at all", "content-type", "text/html; charset=\"", "http 415|grpc"},
			{"another codec", "content-type", "application/grpc+json", "grpc|http"},
		} {
			c, err := p.open(true, replaced(tt.name, tt.value)...)
			if err != nil {
				t.fault("%s: %v", tt.what, err)
				return
			}
			t.refuse(tt.what, c.outcome(ctx), tt.want)
		}
	}},
	{name: "grpc: compression", run: func(t *trial) {
		ctx, cancel := t.soon()
		defer cancel()
		var bomb bytes.Buffer
		z := gzip.NewWriter(&bomb)
		for range 64 {
			_, _ = z.Write(make([]byte, 1<<20)) // into memory
		}
		_ = z.Close()
		for _, tt := range []struct {
			what, encoding string
			flag           byte
		}{
			{"compressed without an encoding", "", 1}, {"gzip bomb of 64 MiB", "gzip", 1}, {"unknown encoding", "evil", 1}, {"flag 2", "", 2}, {"flag 255", "gzip", 255},
		} {
			var extra []string
			if tt.encoding != "" {
				extra = []string{"grpc-encoding", tt.encoding}
			}
			c := t.call(t.peer(), t.token, targetTable, extra...)
			if c == nil {
				return
			}
			_ = c.send(ctx, frame(tt.flag, bomb.Bytes()), false) // the outcome tells
			t.refuse(tt.what, c.outcome(ctx), "grpc (Unimplemented|Internal|InvalidArgument|ResourceExhausted)")
		}
	}},
	{name: "grpc: lengths of messages", run: func(t *trial) {
		ctx, cancel := t.soon()
		defer cancel()
		for what, n := range map[string]uint32{"4 GiB": 1<<32 - 1, "2 GiB": 1 << 31, "1 byte above what is read": maxRequest + slack + 1} {
			c := t.call(t.peer(), t.token, targetTable)
			if c == nil {
				return
			}
			_ = c.send(ctx, append(binary.BigEndian.AppendUint32([]byte{0}, n), make([]byte, 1000)...), false) // the outcome tells
			t.refuse("length prefix of "+what, c.outcome(ctx), "grpc ResourceExhausted")
		}
		// A length that does not come, and the end: no message.
		c := t.call(t.peer(), t.token, targetTable)
		if c == nil {
			return
		}
		_ = c.send(ctx, append(binary.BigEndian.AppendUint32([]byte{0}, maxRequest), 1, 2, 3), true) // the outcome tells
		t.refuse("the end within a message", c.outcome(ctx), "grpc (Internal|InvalidArgument|Unknown|Unavailable)")
	}},
	{name: "grpc: message sizes", run: func(t *trial) {
		// The limit is on the payload, 10 MiB; up to 1 MiB more is read in order to say so.
		ctx := t.ctx
		for _, tt := range []struct {
			what string
			size int
			want string
		}{
			{"a record at the limit", maxRequest, "grpc OK"},
			{"a byte above it", maxRequest + 1, "grpc InvalidArgument .*limit"},
			{"far above it", maxRequest + slack - 100, "grpc InvalidArgument .*limit"},
			{"beyond what is read", maxRequest + slack + 100, "grpc ResourceExhausted"},
		} {
			c := t.stream(t.peer(), targetTable)
			if c == nil {
				return
			}
			text := "fine"
			if tt.size > maxRequest {
				text = marker
			}
			record := `{"n":1,"text":"` + text + `"}`
			record = strings.Repeat(" ", tt.size-len(record)) + record
			_ = errors.Join(c.message(ctx, one(0, record)), c.half()) // the outcome tells
			if got := c.outcome(ctx); tt.size > maxRequest {
				t.refuse(tt.what, got, tt.want)
			} else {
				t.take(tt.what, got, tt.want)
			}
		}
	}},
	{name: "grpc: many large messages at once", run: func(t *trial) {
		// Each is read into memory whole before it can be refused: what that costs is in the bound on memory.
		n := 16
		if t.cfg.quick {
			n = 4
		}
		big := []byte(`{"text":"` + marker + `"` + strings.Repeat(" ", maxRequest+slack-200) + `}`)
		msg := single(0, wire.JSON, big)
		var all sync.WaitGroup
		for range n {
			c := t.stream(t.peer(), targetTable)
			if c == nil {
				return
			}
			all.Go(func() {
				_ = c.message(t.ctx, msg) // the outcome tells
				t.refuse("a message of 11 MiB", c.outcome(t.ctx), "grpc (InvalidArgument|ResourceExhausted)")
			})
		}
		all.Wait()
	}},
	{name: "grpc: large messages that stop", run: func(t *trial) {
		// All but the last byte of the largest message, on several streams, and then nothing: the memory is taken until somebody
		// gives up.
		n := 64
		if t.cfg.quick {
			n = 2
		}
		part := append(binary.BigEndian.AppendUint32([]byte{0}, maxRequest+slack), make([]byte, maxRequest+slack-1)...)
		var all sync.WaitGroup
		for range n {
			c := t.stream(t.peer(), targetTable)
			if c == nil {
				return
			}
			all.Go(func() {
				ctx, cancel := t.soon()
				defer cancel()
				_ = c.send(ctx, part, false) // what the server lets in
				t.sent(1)
			})
		}
		all.Wait()
	}},
	{name: "grpc: 100,000 tiny messages", run: func(t *trial) {
		c := t.stream(t.peer(), targetTable)
		if c == nil {
			return
		}
		n := t.size(100_000)
		const at = 500
		for i := 0; i < n; i += at {
			var b []byte
			for k := range at {
				b = append(b, frame(0, single(int64(i+k), wire.JSON, []byte("{}")))...)
			}
			if err := c.send(t.ctx, b, false); err != nil {
				t.fault("message %d: %v", i, err)
				return
			}
			t.sent(at)
		}
		_ = c.half() // the outcome tells
		t.take("the end", c.outcome(t.ctx), "grpc OK")
		if got := c.acked() + 1; got < int64(n) {
			t.fault("%d messages and %d acknowledged", n, got)
		}
	}},
	{name: "grpc: empty messages", run: func(t *trial) {
		// The first one is no create_stream, and the 99,999 behind it are nobody's.
		c := t.call(t.peer(), t.token, targetTable)
		if c == nil {
			return
		}
		_ = c.send(t.ctx, bytes.Repeat(frame(0, nil), t.size(100_000)), false) // the outcome tells
		t.refuse("empty messages", c.outcome(t.ctx), "grpc InvalidArgument .*create_stream")
	}},
}
