package zerobustest

import (
	"fmt"
	"strings"

	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// String tells in one line what the connection saw and how it ended, for a test that fails. No header is in it.
func (c *Connection) String() string {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	return c.summary()
}

// Log returns a line for each connection so far, so that a test can say what the server saw: t.Log(srv.Log()).
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.connections) == 0 {
		return "no connections"
	}
	lines := make([]string, len(s.connections))
	for i, c := range s.connections {
		lines[i] = c.summary()
	}
	return strings.Join(lines, "\n")
}

// summary is the text of String. What clients and tests sent is quoted, so that it stays one line.
//
// server.mu is held.
func (c *Connection) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "connection %d: ", c.number)
	if c.create == nil {
		b.WriteString("no stream created")
	} else {
		kind := wire.RecordType(c.create.RecordType)
		if kind == wire.Unspecified {
			kind = wire.Proto
		}
		records := 0
		for _, r := range c.requests {
			records += len(r.Records)
		}
		fmt.Fprintf(&b, "table %q, %v, requests: %d, records: %d, ", c.create.Table, kind, len(c.requests), records)
		if c.producer != nil {
			fmt.Fprintf(&b, "producer %q, ", c.header(producerID))
		}
		if c.acked < 0 {
			b.WriteString("nothing acknowledged")
		} else {
			fmt.Fprintf(&b, "acknowledged up to %d", c.acked)
		}
	}
	if c.closed {
		b.WriteString(", half-closed")
	}
	switch {
	case !c.done:
		b.WriteString(", open")
	case c.err == nil:
		b.WriteString(", ended OK")
	default:
		st := status.Convert(c.err)
		fmt.Fprintf(&b, ", ended %v %q", st.Code(), st.Message())
	}
	return b.String()
}
