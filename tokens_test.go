package zerobus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// authentic runs f with a server that checks tokens.
func authentic(t *testing.T, f func(w *world)) {
	inBubble(t, func(w *world) {
		w.srv.Close()
		w.srv = zerobustest.New(zerobustest.InMemory(), zerobustest.Authentic())
		defer w.srv.Close()
		w.sdk = w.newSDK()
		defer w.sdk.Close()
		f(w)
	})
}

func (w *world) openWith(a zerobus.Auth, opts ...zerobus.StreamOption) *zerobus.Stream {
	w.Helper()
	s, err := w.sdk.CreateStream(w.Context(), zerobus.Table(table), a, opts...)
	w.must(err)
	return s
}

func (w *world) wantTokenRequests(n int) {
	w.Helper()
	if got := len(w.srv.TokenRequests()); got != n {
		w.Errorf("%d token requests; want %d", got, n)
	}
}

func TestTokens_AreKeptForATable(t *testing.T) {
	authentic(t, func(w *world) {
		for range 3 {
			w.must(w.openWith(credentials).Close(w.Context()))
		}
		w.wantTokenRequests(1)
		s, err := w.sdk.CreateStream(w.Context(), zerobus.Table("main.default.other"), credentials)
		w.must(err)
		w.must(s.Close(w.Context()))
		w.wantTokenRequests(2)
		time.Sleep(56 * time.Minute) // less than five minutes are left of the hour
		w.must(w.openWith(credentials).Close(w.Context()))
		w.wantTokenRequests(3)
	})
}

// A token that was revoked since costs one retry, without a wait.
func TestTokens_ARefusedOneIsReplacedOnce(t *testing.T) {
	authentic(t, func(w *world) {
		w.must(w.openWith(credentials).Close(w.Context()))
		w.srv.RevokeTokens()
		start := time.Now()
		s := w.openWith(credentials)
		w.took("create", start, 0, 0)
		w.wantTokenRequests(2)

		// The same in the middle of a stream.
		w.srv.RevokeTokens()
		w.srv.Connections()[len(w.srv.Connections())-1].Kill()
		w.ingest(s, 0, 1)
		w.must(s.Close(w.Context()))
		w.wantTokenRequests(3)
		wantRecords(w, "durable", w.srv.Records(table), 0, 1)
	})
}

// A token that is refused although it was requested for this very connection will not get better.
func TestTokens_AFreshOneThatIsRefusedEndsIt(t *testing.T) {
	inBubble(t, func(w *world) {
		for _, code := range []codes.Code{codes.Unauthenticated, codes.PermissionDenied} {
			before := len(w.srv.TokenRequests())
			w.srv.Script(zerobustest.Refuse(code, "who are you"))
			_, err := w.sdk.CreateStream(w.Context(), zerobus.Table(table), credentials)
			wantErr(w, err, zerobus.ErrAuth, "who are you")
			if zerobus.IsRetriable(err) {
				w.Errorf("%v is retriable", err)
			}
			w.wantTokenRequests(before + 1)
		}
		// It was not kept either. Of a kept one that is refused, and whose successor is refused, the second decides.
		w.must(w.openWith(credentials).Close(w.Context()))
		w.wantTokenRequests(3)
		w.srv.Script(zerobustest.Refuse(codes.Unauthenticated, "first"), zerobustest.Refuse(codes.Unauthenticated, "second"))
		_, err := w.sdk.CreateStream(w.Context(), zerobus.Table(table), credentials)
		wantErr(w, err, zerobus.ErrNonRetriable, "second")
		w.wantTokenRequests(4)
	})
}

// A server that takes every token and then does not is not asked for ever.
func TestTokens_ExpiryInTheMiddleIsHealedButBounded(t *testing.T) {
	inBubble(t, func(w *world) {
		expired := zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Unauthenticated, "token expired")))
		w.srv.Script(expired)
		s := w.openWith(credentials)
		w.ingest(s, 0, 1)
		w.must(s.Close(w.Context()))
		w.wantTokenRequests(2)

		w.srv.Otherwise(expired)
		s = w.openWith(credentials)
		w.ingest(s, 0, 1)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrAuth, "token expired", "4 failures")
		// Privileges that are taken away are not a matter of the token.
		w.srv.Otherwise(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.PermissionDenied, "no MODIFY"))))
		n := len(w.srv.Connections())
		s = w.openWith(credentials)
		w.ingest(s, 0, 1)
		wantErr(w, s.Flush(w.Context()), zerobus.ErrNonRetriable, "no MODIFY")
		w.conns(n + 1)
	})
}

func TestTokens_OAuthHeadersProvider(t *testing.T) {
	authentic(t, func(w *world) {
		p := zerobus.NewOAuthHeadersProvider(zerobus.OAuthConfig{
			WorkspaceURL: w.srv.WorkspaceURL(), WorkspaceID: "42", Credentials: credentials, HTTPClient: w.srv.HTTPClient(),
		})
		for range 2 {
			w.must(w.openWith(p).Close(w.Context()))
		}
		w.wantTokenRequests(1)
		if got := w.srv.TokenRequests()[0].Form.Get("resource"); got != "api://databricks/workspaces/42/zerobusDirectWriteApi" {
			w.Errorf("resource %q", got)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(verb, p); got != "OAuth headers provider" {
				w.Errorf("%s prints %q", verb, got)
			}
		}
		_, err := zerobus.NewOAuthHeadersProvider(zerobus.OAuthConfig{}).Headers(w.Context())
		wantErr(w, err, zerobus.ErrInvalidArgument)
	})
}

func TestTokens_Fetch(t *testing.T) {
	inBubble(t, func(w *world) {
		cfg := zerobus.OAuthConfig{
			WorkspaceURL: w.srv.WorkspaceURL(), WorkspaceID: "1234", Table: table, Credentials: credentials, HTTPClient: w.srv.HTTPClient(),
		}
		token, err := zerobus.FetchToken(w.Context(), cfg)
		w.must(err)
		if token.Access == "" || token.ExpiresIn != time.Hour || fmt.Sprintf("%+v", token) != "token (hidden), expires in 1h0m0s" {
			w.Errorf("token %+v", token)
		}
		w.srv.RefuseTokens(403, "access_denied", "scope not assigned")
		_, err = zerobus.FetchToken(w.Context(), cfg)
		wantErr(w, err, zerobus.ErrAuth, "access_denied")
		w.srv.RefuseTokens(503, "", "")
		_, err = zerobus.FetchToken(w.Context(), cfg)
		if !zerobus.IsRetriable(err) {
			w.Errorf("%v is not retriable", err)
		}
		_, err = zerobus.FetchToken(w.Context(), zerobus.OAuthConfig{})
		wantErr(w, err, zerobus.ErrInvalidArgument)
		_, err = zerobus.FetchToken(nil, cfg) //lint:ignore SA1012 that is the test
		wantErr(w, err, zerobus.ErrInvalidArgument)
	})
}

func TestTokens_FromElsewhere(t *testing.T) {
	inBubble(t, func(w *world) {
		n := 0
		p := zerobus.BearerTokens(func(context.Context) (string, error) {
			if n++; n == 1 {
				return "", errors.New("the manager is busy")
			}
			return fmt.Sprint("token-", n), nil
		})
		w.must(w.openWith(p).Close(w.Context()))
		if got := w.conns(1)[0].Metadata()["authorization"]; len(got) != 1 || got[0] != "Bearer token-2" {
			w.Errorf("authorization %v", got)
		}
		_, err := w.sdk.CreateStream(w.Context(), zerobus.Table(table), zerobus.BearerTokens(nil))
		wantErr(w, err, zerobus.ErrInvalidArgument)
	})
}
