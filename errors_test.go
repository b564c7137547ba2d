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

// The cause can be reached through any number of wrappings, and its code decides, whatever the words are.
func TestError_UT08_ChainsAndWords(t *testing.T) {
	inBubble(t, func(w *world) {
		cause := errors.New("vault sealed")
		provider := func(err error) zerobus.Auth {
			return zerobus.HeadersProviderFunc(func(context.Context) ([]zerobus.Header, error) { return nil, err })
		}
		_, err := w.createAs(provider(fmt.Errorf("read the secret: %w", fmt.Errorf("open the vault: %w", cause))), zerobus.WithRecovery(false))
		var e *zerobus.Error
		if !errors.As(fmt.Errorf("outer: %w", err), &e) || e.Op != "create stream" || e.Table != table || e.Offset != -1 {
			w.Errorf("error %+v", e)
		}
		wantErr(w, err, cause, "read the secret: open the vault: vault sealed")

		for text, tt := range map[string]struct {
			err       error
			retriable bool
		}{
			"permission denied, unauthenticated, not found": {errors.New("permission denied, unauthenticated, not found"), true},
			"please retry, it is only unavailable":          {fmt.Errorf("%w: please retry, it is only unavailable", zerobus.ErrNonRetriable), false},
			"UNAVAILABLE says the code":                     {status.Error(codes.Unavailable, "NOT_FOUND: no table"), true},
			"NOT_FOUND says the code of another server":     {status.Error(codes.NotFound, "UNAVAILABLE: try again"), true},
		} {
			_, err := w.createAs(provider(tt.err), zerobus.WithRecovery(false))
			if zerobus.IsRetriable(err) != tt.retriable || errors.Is(err, zerobus.ErrNonRetriable) == tt.retriable {
				w.Errorf("%s: retriable is %v: %v", text, zerobus.IsRetriable(err), err)
			}
		}
	})
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
