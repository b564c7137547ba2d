package zerobus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus/internal/recovery"
)

// What went wrong, for errors.Is. An error may be several of these at once: a stream that failed because its table does
// not exist is ErrStreamFailed, ErrStreamClosed and ErrNonRetriable.
var (
	// ErrStreamClosed is a call on a stream that is closed or has failed.
	ErrStreamClosed = errors.New("the stream is closed")

	// ErrStreamFailed is a stream that ended with an error. It does not come back: make a new one.
	ErrStreamFailed = errors.New("the stream has failed")

	// ErrFlushTimeout is a Flush or Close that took longer than [StreamSettings].FlushTimeout. The records are still
	// on their way, or unacknowledged after Close.
	ErrFlushTimeout = errors.New("the flush timeout has passed")

	// ErrAckTimeout is a wait for an acknowledgement whose time was over: that of its context, or
	// [StreamSettings].FlushTimeout for [Stream.WaitForOffset]. The records are still on their way.
	ErrAckTimeout = errors.New("the acknowledgement did not come in time")

	// ErrRejected is a record that the server refused, and that was handed to the reject handler. The stream goes on.
	ErrRejected = errors.New("the server refused the record")

	// ErrProducerTaken is the end of a stream because another one writes as its producer, see [WithProducerID], or has
	// written since this stream was connected last. It is not retriable. What this stream has not seen acknowledged is in
	// [Stream.Unacked]; the other one has been told how much of it is durable.
	ErrProducerTaken = errors.New("another stream writes as this producer")

	// ErrServerUnresponsive is a server that acknowledged nothing for [StreamSettings].ServerAckTimeout.
	ErrServerUnresponsive = errors.New("the server is unresponsive")

	// ErrInvalidArgument is a value that cannot be right, whether the SDK or the server noticed.
	ErrInvalidArgument = errors.New("invalid argument")

	// ErrInvalidTableName is a table name that is not of the form catalog.schema.table. It is an ErrInvalidArgument.
	ErrInvalidTableName = fmt.Errorf("%w: invalid table name", ErrInvalidArgument)

	// ErrInvalidState is a call that makes no sense now, such as asking a living stream for its unacknowledged records.
	ErrInvalidState = errors.New("not possible in this state")

	// ErrAuth is a refused token or a missing privilege.
	ErrAuth = errors.New("authentication or authorization failed")

	// ErrTableNotFound is a table that is not there, or that the principal may not see.
	ErrTableNotFound = errors.New("the table does not exist, or the principal may not see it")

	// ErrWouldBlock is a [Stream.TryIngest] without room.
	ErrWouldBlock = errors.New("no room for the record now")

	// ErrNonRetriable is every error for which another try is of no use. A [HeadersProvider] wraps it to end a
	// stream's tries.
	ErrNonRetriable = errors.New("not worth another try")
)

// Error is the type of the errors of SDK, Stream and Ack, and of the package's functions. Headers providers return errors
// of any type, which an Error then wraps.
type Error struct {
	Op       string // what was asked for: "create stream", "ingest", "flush", "wait", "close", …
	Table    string // empty when no table is concerned
	StreamID string // the server's id of the connection at that time; may be empty
	Offset   int64  // the logical offset concerned; -1 for none

	// Code is the gRPC code: the server's where it gave one, otherwise the nearest.
	Code codes.Code

	// Retriable says whether the same may succeed later, on a new stream where this one has failed.
	Retriable bool

	// Err is the cause. It may be nil.
	Err error

	kind error // a sentinel, or nil
}

// Error tells the operation, the table, the stream and the cause, with the server's own words.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("zerobus: ")
	b.WriteString(e.Op)
	if e.Table != "" {
		fmt.Fprintf(&b, " %s", e.Table)
	}
	if e.StreamID != "" {
		fmt.Fprintf(&b, " (stream %s)", e.StreamID)
	}
	if e.Offset >= 0 {
		fmt.Fprintf(&b, " offset %d", e.Offset)
	}
	if e.kind != nil {
		fmt.Fprintf(&b, ": %v", e.kind)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether the error is of the kind that a sentinel of this package stands for.
func (e *Error) Is(target error) bool {
	if e.kind != nil && errors.Is(e.kind, target) {
		return true
	}
	switch target {
	case ErrNonRetriable:
		return !e.Retriable
	case ErrStreamClosed:
		return e.kind == ErrStreamFailed
	case ErrInvalidArgument:
		return e.Code == codes.InvalidArgument
	case ErrAuth:
		return e.Code == codes.Unauthenticated || e.Code == codes.PermissionDenied
	case ErrTableNotFound:
		return e.Code == codes.NotFound
	case ErrServerUnresponsive:
		var u *recovery.Unresponsive
		return errors.As(e.Err, &u)
	}
	return false
}

// GRPCStatus returns the server's status, or one with Code and the error's text when there is none.
func (e *Error) GRPCStatus() *status.Status {
	if s, ok := recovery.Status(e.Err); ok && s.Code() != codes.Unknown {
		return s
	}
	return status.New(e.Code, e.Error())
}

// IsRetriable reports whether err is worth another try: with a new stream if the stream has failed. Errors that are not
// of this package are not.
func IsRetriable(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Retriable
}

// newError makes an error of a sentinel and a cause, either of which may be nil.
func newError(op, table string, kind, cause error) *Error {
	e := &Error{Op: op, Table: table, Offset: -1, Err: cause, kind: kind}
	e.Code = codeOf(kind, cause)
	switch kind {
	case ErrStreamClosed, ErrInvalidArgument, ErrInvalidTableName, ErrInvalidState, ErrTableNotFound:
	case ErrWouldBlock, ErrFlushTimeout, ErrAckTimeout:
		e.Retriable = true
	default:
		e.Retriable = retriable(cause) && !errors.Is(cause, context.Canceled) // who cancels does not want another try
	}
	return e
}

// retriable judges a cause that may also come from a user's provider.
func retriable(err error) bool {
	return !isTerminal(err) && recovery.Retriable(err)
}

// isTerminal reports whether an error says so itself, by a sentinel.
func isTerminal(err error) bool {
	return errors.Is(err, ErrNonRetriable) || errors.Is(err, ErrAuth) || errors.Is(err, ErrInvalidArgument)
}

func codeOf(kind, cause error) codes.Code {
	if code := recovery.Code(cause); code != codes.Unknown && code != codes.OK {
		return code
	}
	is := func(target error) bool { return errors.Is(kind, target) || errors.Is(cause, target) }
	var unresponsive *recovery.Unresponsive
	switch {
	case is(ErrInvalidArgument):
		return codes.InvalidArgument
	case is(ErrInvalidState), is(ErrStreamClosed):
		return codes.FailedPrecondition
	case is(ErrAuth):
		return codes.Unauthenticated
	case is(ErrTableNotFound):
		return codes.NotFound
	case is(ErrProducerTaken):
		return codes.Aborted
	case is(ErrWouldBlock):
		return codes.ResourceExhausted
	case is(ErrFlushTimeout), is(ErrAckTimeout), is(context.DeadlineExceeded), errors.As(cause, &unresponsive):
		return codes.DeadlineExceeded
	case is(context.Canceled):
		return codes.Canceled
	case is(ErrStreamFailed):
		return codes.Unavailable
	}
	return codes.Unknown
}

// invalid makes an ErrInvalidArgument.
func invalid(op, table, format string, args ...any) *Error {
	return newError(op, table, ErrInvalidArgument, fmt.Errorf(format, args...))
}

// errNilContext is a nil instead of a context.
var errNilContext = errors.New("the context is nil; context.Background() is one that never ends")
