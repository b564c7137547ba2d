package gateway

import (
	"errors"
	"fmt"

	"github.com/zerobus-go/zerobus/server/internal/admission"
	"github.com/zerobus-go/zerobus/server/internal/decode"
	"github.com/zerobus-go/zerobus/server/internal/table"
	"github.com/zerobus-go/zerobus/server/internal/wal"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Numbers that clients of the service find in status texts.
const (
	codeOffset   = 4002 // an offset that is not the next one
	codeRecord   = 4044 // a record that cannot be decoded
	codeLifetime = 6002 // the stream has lived long enough
)

// errClosing ends streams when the server ends.
var errClosing = status.Error(codes.Unavailable, "the server is shutting down.")

// coded makes a status whose text ends like the service's: clients look for the number there.
func coded(c codes.Code, code, state int, format string, args ...any) error {
	return status.Errorf(c, "%s. Error Code: %d, Error State: %d.", fmt.Sprintf(format, args...), code, state)
}

// denied turns admission's answer into a status. Codes follow what clients do with them: INVALID_ARGUMENT, not
// FAILED_PRECONDITION, where every client must stop.
func denied(err error) error {
	var d *admission.Denial
	if !errors.As(err, &d) {
		return trouble(err, "")
	}
	c := codes.InvalidArgument
	switch d.Reason {
	case admission.Unauthenticated:
		c = codes.Unauthenticated
	case admission.PermissionDenied:
		c = codes.PermissionDenied
	case admission.NotFound:
		c = codes.NotFound
	case admission.TooMany:
		c = codes.ResourceExhausted
	}
	if d.Code != 0 {
		return coded(c, d.Code, d.State, "%s", d.Msg)
	}
	return status.Error(c, d.Msg+".")
}

// refused is a record that cannot be taken; row is its place in a batch, from 0.
func refused(err error, name string, offset int64, row int, batch bool) error {
	var re *decode.RecordError
	if !errors.As(err, &re) {
		return trouble(err, name)
	}
	at := fmt.Sprintf("table %s, offset %d", name, offset)
	if batch {
		at += fmt.Sprintf(", record %d of the batch", row)
	}
	return coded(codes.InvalidArgument, codeRecord, 3, "Record decoder/encoder error: %s (%s)", re.Error(), at)
}

// trouble is the server's own failure. Clients try again, except after a dropped or broken table.
func trouble(err error, name string) error {
	if _, ok := status.FromError(err); ok {
		return err
	}
	switch {
	case errors.Is(err, table.ErrDropped):
		return status.Errorf(codes.NotFound, "Table %q cannot be found: it was dropped.", name)
	case errors.Is(err, table.ErrBroken):
		return coded(codes.InvalidArgument, 1022, 0, "Failed to open table for write: table %s needs its operator: the server's log says why", name)
	case errors.Is(err, table.ErrClosed), errors.Is(err, wal.ErrClosed):
		return errClosing
	case errors.Is(err, table.ErrTaken):
		return status.Errorf(codes.Aborted, "table %s: another stream writes as this producer.", name)
	case errors.Is(err, table.ErrProducers):
		return status.Errorf(codes.ResourceExhausted, "table %s: %v: use fewer producer ids.", name, err)
	case errors.Is(err, wal.ErrFull):
		return status.Error(codes.ResourceExhausted, "the server's log is full: records that were acknowledged are safe, try again later.")
	case errors.Is(err, wal.ErrTooLarge):
		return status.Errorf(codes.InvalidArgument, "table %s: %v: send smaller batches.", name, err)
	}
	// Details of the server's inside, paths among them, are for its log.
	return status.Error(codes.Unavailable, "the server cannot take records at the moment: its log says why. Try again later.")
}
