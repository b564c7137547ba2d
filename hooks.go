package zerobus

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus/internal/conn"
	"github.com/zerobus-go/zerobus/internal/recovery"
)

// A Hook observes the streams of an [SDK], for metrics and traces. It implements any of [ConnectHook], [DisconnectHook],
// [SendHook] and [AckHook].
//
// Hooks are called on goroutines of the SDK, also at the same time. Of one message, OnSend is called before OnAck; of one
// connection, OnConnect before both, and OnDisconnect last. They hold up the connection that they are told of, so they
// should return at once. They must call neither the stream nor the SDK, nor end their goroutine as t.Fatal does. A panic
// is contained and logged. Nothing works differently because there is a hook.
type Hook any

// ConnectHook is told of every connection that was opened.
type ConnectHook interface {
	OnConnect(ConnectEvent)
}

// DisconnectHook is told of every connection that has ended, and of every try that failed to open one.
type DisconnectHook interface {
	OnDisconnect(DisconnectEvent)
}

// SendHook is told of every message with records that was handed to the transport.
type SendHook interface {
	OnSend(SendEvent)
}

// AckHook is told of every acknowledgement that made something durable.
type AckHook interface {
	OnAck(AckEvent)
}

// ConnectEvent is a connection that was opened.
type ConnectEvent struct {
	Table    string        // catalog.schema.table
	StreamID string        // the server's id of the connection
	Number   int           // of the stream's connections, from 1
	Took     time.Duration // from the beginning of the try, token request included
	Unacked  int           // records that are kept, all of which are sent again
}

// DisconnectEvent is the end of a connection, or of a try to open one.
type DisconnectEvent struct {
	Table    string        // catalog.schema.table
	StreamID string        // of the connection; empty for a failed try
	Reason   string        // few values, fit for a label: see the constants, otherwise the name of a gRPC code
	Err      error         // nil when the stream was closed
	Retry    bool          // whether there will be another try
	Wait     time.Duration // before it
	Attempt  int           // of [StreamSettings].RecoveryRetries, that the next try is
	Unacked  int           // records that are kept
}

// Reasons of a [DisconnectEvent].
const (
	ReasonClosed       = "closed"         // the stream was closed
	ReasonRotated      = "rotated"        // the server had asked for it
	ReasonRejected     = "rejected"       // a record was refused, see [WithRejectHandler]
	ReasonUnresponsive = "unresponsive"   // nothing was acknowledged for the ack timeout, or the handshake got no answer
	ReasonEnded        = "ended"          // the server ended the stream without an error
	ReasonProtocol     = "protocol_error" // the server broke the protocol
	ReasonHeaders      = "headers"        // the headers provider or the token request failed
)

// SendEvent is a message that was handed to the transport.
type SendEvent struct {
	Table    string // catalog.schema.table
	StreamID string // of the connection
	Records  int    // in the message
	Bytes    int    // of records and framing
	Resend   bool   // an earlier connection had it already
}

// AckEvent is an acknowledgement, or what the server of a producer, see [WithProducerID], has told when the connection was
// opened: records that an earlier connection had sent.
type AckEvent struct {
	Table    string        // catalog.schema.table
	StreamID string        // of the connection
	Records  int           // that became durable
	Bytes    int           // of these, with framing
	Messages int           // of these
	Latency  time.Duration // since the oldest of the messages was given to the transport
}

// hooks are the hooks by what they observe.
type hooks struct {
	connect    []ConnectHook
	disconnect []DisconnectHook
	send       []SendHook
	ack        []AckHook
}

// newHooks sorts the hooks.
func newHooks(all []Hook) (hooks, error) {
	var hs hooks
	for i, h := range all {
		some := false
		if h, ok := h.(ConnectHook); ok {
			hs.connect, some = append(hs.connect, h), true
		}
		if h, ok := h.(DisconnectHook); ok {
			hs.disconnect, some = append(hs.disconnect, h), true
		}
		if h, ok := h.(SendHook); ok {
			hs.send, some = append(hs.send, h), true
		}
		if h, ok := h.(AckHook); ok {
			hs.ack, some = append(hs.ack, h), true
		}
		if !some {
			return hooks{}, fmt.Errorf("hook %d, a %T, implements none of the hook interfaces", i, h)
		}
	}
	return hs, nil
}

// observe calls every hook with an event. A panic is contained.
func observe[H, E any](p *pipeline, hooks []H, call func(H, E), event E) {
	for _, h := range hooks {
		func() {
			defer func() {
				if r := recover(); r != nil {
					p.log.Error("a hook panicked", "hook", fmt.Sprintf("%T", h), "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
				}
			}()
			call(h, event)
		}()
	}
}

// headersError marks what went wrong before there was a connection to talk about.
type headersError struct{ error }

func (e headersError) Unwrap() error { return e.error }

// GRPCStatus hides a status that a provider's error may have of some other server.
func (e headersError) GRPCStatus() *status.Status { return status.New(codes.Unknown, e.Error()) }

// reason names a failure in few words.
func reason(f recovery.Failure) string {
	var (
		unresponsive *recovery.Unresponsive
		protocol     *conn.ProtocolError
		headers      headersError
	)
	switch {
	case f.Err == nil:
		return ReasonClosed
	case f.Refused:
		return ReasonRejected
	case f.Rotated:
		return ReasonRotated
	case errors.As(f.Err, &headers):
		return ReasonHeaders
	case errors.As(f.Err, &unresponsive), errors.Is(f.Err, conn.ErrNoResponse):
		return ReasonUnresponsive
	case errors.Is(f.Err, conn.ErrEnded):
		return ReasonEnded
	case errors.As(f.Err, &protocol):
		return ReasonProtocol
	}
	return codeOf(nil, f.Err).String()
}
