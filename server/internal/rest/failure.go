package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
)

// failure is a refusal in Unity Catalog's form.
type failure struct {
	status int
	code   string // error_code
	msg    string
}

func (f *failure) Error() string { return f.msg }

func unauthenticated(msg string) error {
	return &failure{http.StatusUnauthorized, "UNAUTHENTICATED", msg}
}

func invalidf(format string, args ...any) error {
	return &failure{http.StatusBadRequest, "INVALID_PARAMETER_VALUE", fmt.Sprintf(format, args...)}
}

func denied(format string, args ...any) error {
	return &failure{http.StatusForbidden, "PERMISSION_DENIED", fmt.Sprintf(format, args...)}
}

// unknown is the answer for what does not exist and for what the caller may not see, alike to the letter.
func unknown(n catalog.Name) error {
	kind := map[string]string{catalog.CatalogType: "Catalog", catalog.SchemaType: "Schema", catalog.TableType: "Table"}[n.Type()]
	return &failure{
		http.StatusNotFound, n.Type() + "_NOT_FOUND",
		fmt.Sprintf("%s '%s' does not exist, or the principal may not see it.", kind, n),
	}
}

// failureOf turns what a handler returned into the answer. ok is false for what the log must say instead of the answer.
func failureOf(err error, about catalog.Name) (_ *failure, ok bool) {
	if f, is := errors.AsType[*failure](err); is {
		return f, true
	}
	if large, is := errors.AsType[*http.MaxBytesError](err); is {
		return &failure{http.StatusRequestEntityTooLarge, "REQUEST_TOO_LARGE", fmt.Sprintf("The request is larger than the limit of %d bytes.", large.Limit)}, true
	}
	switch {
	case errors.Is(err, catalog.ErrInvalid):
		return &failure{http.StatusBadRequest, "INVALID_PARAMETER_VALUE", err.Error()}, true
	case errors.Is(err, catalog.ErrExists):
		return &failure{http.StatusConflict, about.Type() + "_ALREADY_EXISTS", err.Error()}, true
	case errors.Is(err, catalog.ErrNotEmpty):
		return &failure{http.StatusBadRequest, "FAILED_PRECONDITION", err.Error()}, true
	case errors.Is(err, catalog.ErrNotFound):
		return &failure{http.StatusNotFound, "RESOURCE_DOES_NOT_EXIST", err.Error()}, true
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &failure{http.StatusServiceUnavailable, "TEMPORARILY_UNAVAILABLE", "The request was given up before it was done."}, true
	}
	return &failure{http.StatusInternalServerError, "INTERNAL_ERROR", "The server's log says what happened."}, false
}

func (f *failure) write(w http.ResponseWriter) {
	reply(w, f.status, map[string]any{"error_code": f.code, "message": f.msg, "details": []any{}})
}
