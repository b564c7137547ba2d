package catalog

import (
	"errors"
	"fmt"
	"time"
)

// What errors of this package are; compare with errors.Is. Their texts name the object and what to do.
var (
	ErrNotFound       = errors.New("not found")
	ErrExists         = errors.New("exists already")
	ErrNotEmpty       = errors.New("not empty")
	ErrInvalid        = errors.New("invalid")
	ErrBadCredentials = errors.New("client id or secret is wrong")
	ErrBusy           = errors.New("too many logins at once; try again")
	ErrLimited        = errors.New("too many logins have failed; try again later")
	ErrLocked         = errors.New("the catalog is in use by another process")
)

// LimitError refuses a login because too many have failed. It is [ErrLimited].
type LimitError struct {
	RetryAfter time.Duration // until the next login is looked at; more than 0
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("too many logins have failed; try again in %v", e.RetryAfter.Round(time.Second))
}

func (e *LimitError) Unwrap() error { return ErrLimited }

// objectError is a text with a class.
type objectError struct {
	class error
	text  string
}

func (e *objectError) Error() string { return e.text }
func (e *objectError) Unwrap() error { return e.class }

func notFound(format string, args ...any) error {
	return &objectError{ErrNotFound, fmt.Sprintf(format, args...)}
}

func exists(format string, args ...any) error {
	return &objectError{ErrExists, fmt.Sprintf(format, args...)}
}

func notEmpty(format string, args ...any) error {
	return &objectError{ErrNotEmpty, fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error {
	return &objectError{ErrInvalid, fmt.Sprintf(format, args...)}
}
