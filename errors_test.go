package zerobus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zerobus-go/zerobus"
)

func TestError_UT08_KindsOfAServersAnswer(t *testing.T) {
	kinds := []error{
		zerobus.ErrStreamClosed, zerobus.ErrStreamFailed, zerobus.ErrFlushTimeout, zerobus.ErrServerUnresponsive,
		zerobus.ErrInvalidArgument, zerobus.ErrInvalidTableName, zerobus.ErrInvalidState, zerobus.ErrAuth, zerobus.ErrWouldBlock,
		zerobus.ErrNonRetriable,
	}
	for code, want := range map[codes.Code][]error{
		codes.Unavailable:      {},
		codes.Internal:         {},
		codes.Canceled:         {},
		codes.InvalidArgument:  {zerobus.ErrInvalidArgument, zerobus.ErrNonRetriable},
		codes.NotFound:         {zerobus.ErrNonRetriable},
		codes.Unauthenticated:  {zerobus.ErrAuth, zerobus.ErrNonRetriable},
		codes.PermissionDenied: {zerobus.ErrAuth, zerobus.ErrNonRetriable},
	} {
		cause := status.Error(code, "the server's words")
		e := &zerobus.Error{Op: "create stream", Table: table, Offset: -1, Code: code, Retriable: len(want) == 0, Err: cause}
		err := fmt.Errorf("outer: %w", e)
		for _, kind := range kinds {
			is := false
			for _, w := range want {
				is = is || w == kind
			}
			if errors.Is(err, kind) != is {
				t.Errorf("%v: is %q: %v", code, kind, !is)
			}
		}
		if zerobus.IsRetriable(err) != (len(want) == 0) {
			t.Errorf("%v: retriable %v", code, zerobus.IsRetriable(err))
		}
		if s := status.Convert(e); s.Code() != code || s.Message() != "the server's words" {
			t.Errorf("%v: status %v", code, s)
		}
		if !errors.Is(err, cause) {
			t.Errorf("%v: the cause is lost", code)
		}
	}
}

func TestError_Text(t *testing.T) {
	tests := []struct {
		err  *zerobus.Error
		want string
	}{
		{&zerobus.Error{Op: "new", Offset: -1, Err: errors.New("x")}, "zerobus: new: x"},
		{
			&zerobus.Error{Op: "wait", Table: table, StreamID: "s-1", Offset: 7, Err: context.Canceled},
			"zerobus: wait " + table + " (stream s-1) offset 7: context canceled",
		},
		{&zerobus.Error{Op: "ingest", Table: table, Offset: -1}, "zerobus: ingest " + table},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("%q; want %q", got, tt.want)
		}
	}
	if code := status.Code(&zerobus.Error{Op: "x", Offset: -1, Code: codes.ResourceExhausted}); code != codes.ResourceExhausted {
		t.Errorf("status code without a server's: %v", code)
	}
	if zerobus.IsRetriable(nil) || zerobus.IsRetriable(errors.New("x")) {
		t.Error("errors of others are retriable")
	}
}

func TestState_Names(t *testing.T) {
	for s, want := range map[zerobus.State]string{
		zerobus.StateUninitialized: "UNINITIALIZED", zerobus.StateOpened: "OPENED", zerobus.StateFlushing: "FLUSHING",
		zerobus.StateRecovering: "RECOVERING", zerobus.StateClosed: "CLOSED", zerobus.StateFailed: "FAILED", 9: "State(9)", -1: "State(-1)",
	} {
		if s.String() != want {
			t.Errorf("%d is %v; want %s", int(s), s, want)
		}
	}
}
