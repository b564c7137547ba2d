package recovery

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Terminal reports whether a server that answers with this code would do so again.
func Terminal(code codes.Code) bool {
	switch code {
	case codes.InvalidArgument, codes.NotFound, codes.Unauthenticated, codes.PermissionDenied, codes.OutOfRange,
		codes.Unimplemented:
		return true
	}
	return false
}

// Retriable reports whether trying again may help.
func Retriable(err error) bool {
	if isPassing(err) {
		return true
	}
	if p := (*permanent)(nil); errors.As(err, &p) {
		return false
	}
	return !Terminal(Code(err))
}

// Code returns the gRPC code in err's chain, [codes.Unknown] when there is none, and [codes.OK] for nil.
func Code(err error) codes.Code {
	if err == nil {
		return codes.OK
	}
	if s, ok := Status(err); ok {
		return s.Code()
	}
	return codes.Unknown
}

// Status returns the gRPC status in err's chain. Of several failures in a row, the last one counts, also when it has
// none.
func Status(err error) (*status.Status, bool) {
	if g := (*GaveUp)(nil); errors.As(err, &g) {
		err = g.Last
	}
	var s interface{ GRPCStatus() *status.Status }
	if errors.As(err, &s) {
		return s.GRPCStatus(), true
	}
	return nil, false
}

// Permanent marks an error that trying again would meet again.
func Permanent(err error) error { return &permanent{err} }

type permanent struct{ err error }

func (p *permanent) Error() string { return p.err.Error() }
func (p *permanent) Unwrap() error { return p.err }

// Passing marks an error whose code is terminal, and whose cause is gone: a token that was refused and is not used again.
func Passing(err error) error { return &passing{err} }

type passing struct{ err error }

func (p *passing) Error() string { return p.err.Error() }
func (p *passing) Unwrap() error { return p.err }

// isPassing looks at the last of several failures in a row, which decides.
func isPassing(err error) bool {
	if g := (*GaveUp)(nil); errors.As(err, &g) {
		err = g.Last
	}
	p := (*passing)(nil)
	return errors.As(err, &p)
}

// Unresponsive is a server that does not acknowledge what was sent.
type Unresponsive struct {
	After time.Duration
}

// Error says for how long.
func (e *Unresponsive) Error() string {
	return fmt.Sprintf("the server is unresponsive: nothing was acknowledged for %v", e.After)
}

// GaveUp is the end of a row of failures.
type GaveUp struct {
	Failures int
	First    error // what began the row
	Last     error // what ended it
}

// Error tells the last failure, and the first where it was a different one.
func (e *GaveUp) Error() string {
	text := fmt.Sprintf("%v (gave up after %d failures in a row", e.Last, e.Failures)
	if first := e.First.Error(); first != e.Last.Error() {
		text += ", the first: " + first
	}
	return text + ")"
}

// Unwrap returns the last failure, which decides, and the first.
func (e *GaveUp) Unwrap() []error { return []error{e.Last, e.First} }
