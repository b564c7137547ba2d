package zerobus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

const secret = "hunter2+secret/="

var credentials = zerobus.ClientCredentials{ID: "id-1", Secret: secret}

func (w *world) createAs(a zerobus.Auth, opts ...zerobus.StreamOption) (*zerobus.Stream, error) {
	return w.sdk.CreateStream(w.Context(), zerobus.Table(table), a, opts...)
}

// A token is for a table: its streams and connections share one, another table has another one.
func TestAuth_ClientCredentialsShareATokenPerTable(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Kill())))
		for range 2 {
			s, err := w.createAs(credentials)
			w.must(err)
			w.ingest(s, 0, 1)
			w.must(s.Close(w.Context()))
		}
		other, err := w.sdk.CreateStream(w.Context(), zerobus.Table("main.default.other"), credentials)
		w.must(err)
		w.must(other.Close(w.Context()))

		reqs := w.srv.TokenRequests()
		if len(reqs) != 2 {
			w.Fatalf("%d token requests; want one for each table", len(reqs))
		}
		for i, name := range []string{table, "main.default.other"} {
			if r := reqs[i]; r.ClientID != "id-1" || r.ClientSecret != secret || !strings.Contains(r.Form.Get("authorization_details"), `"`+name+`"`) {
				w.Errorf("token request %d is not for %s", i, name)
			}
		}
		tokens := map[string]int{}
		for _, c := range w.conns(4) {
			a := c.Metadata().Get("authorization")
			if len(a) != 1 || !strings.HasPrefix(a[0], "Bearer ") {
				w.Fatalf("authorization %v", a)
			}
			tokens[a[0]]++
		}
		if len(tokens) != 2 {
			w.Errorf("%d tokens were used", len(tokens))
		}
	})
}

func TestAuth_AU01_AU02_AU16_HeadersOfTheProvider(t *testing.T) {
	inBubble(t, func(w *world) {
		calls := 0
		s, err := w.createAs(zerobus.HeadersProviderFunc(func(ctx context.Context) ([]zerobus.Header, error) {
			calls++
			target, ok := zerobus.TargetFrom(ctx)
			if !ok || target.Table != table || target.WorkspaceURL != w.srv.WorkspaceURL() || target.WorkspaceID == "" {
				w.Errorf("target %+v, %v", target, ok)
			}
			return []zerobus.Header{{"Authorization", "Bearer x"}, {"X-Route", "blue"}, {"x-route", "green"}}, nil
		}))
		w.must(err)
		w.ingest(s, 0, 1)
		w.must(s.Close(w.Context()))
		md := w.conns(1)[0].Metadata()
		for name, want := range map[string]string{
			"authorization":                   "[Bearer x]",
			"x-route":                         "[blue green]",
			"x-databricks-zerobus-table-name": "[" + table + "]",
			"x-zerobus-sdk":                   "[zerobus-go/" + zerobus.Version + "]",
		} {
			if got := fmt.Sprint(md.Get(name)); got != want {
				w.Errorf("%s is %s; want %s", name, got, want)
			}
		}
		if agent := fmt.Sprint(md.Get("user-agent")); !strings.Contains(agent, "zerobus-go/") {
			w.Errorf("user-agent %s", agent)
		}
		if calls != 1 {
			w.Errorf("%d calls of the provider", calls)
		}
	})
}

func TestAuth_AU03_AU14_BadHeaders(t *testing.T) {
	good := zerobus.Header{Name: "authorization", Value: "Bearer x"}
	for name, headers := range map[string]zerobus.StaticHeaders{
		"AU-06 none":           {},
		"no authorization":     {{"x-route", "blue"}},
		"empty authorization":  {{"authorization", ""}},
		"two authorizations":   {good, good},
		"no name":              {good, {"", "x"}},
		"reserved":             {good, {"grpc-timeout", "1S"}},
		"pseudo header":        {good, {":path", "/"}},
		"space in the name":    {good, {"x route", "x"}},
		"newline in the value": {good, {"x-route", "top-secret\n"}},
		"not ASCII":            {good, {"x-route", "top-secret-é"}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				_, err := w.createAs(headers)
				wantErr(w, err, zerobus.ErrInvalidArgument)
				wantErr(w, err, zerobus.ErrNonRetriable)
				if strings.Contains(err.Error(), "top-secret") {
					w.Errorf("%v shows a value", err)
				}
				w.conns(0)
			})
		})
	}
}

func TestAuth_TableHeaderOfAnotherTableWarns(t *testing.T) {
	inBubble(t, func(w *world) {
		_, err := w.createAs(zerobus.StaticHeaders{{"authorization", "Bearer x"}, {"x-databricks-zerobus-table-name", "a.b.c"}},
			zerobus.WithRecovery(false))
		wantErr(w, err, zerobus.ErrInvalidArgument) // the server of the test refuses it
		if !strings.Contains(w.log.String(), "another table") {
			w.Errorf("no warning in %s", w.log)
		}
	})
}

func TestAuth_AU04_TableNames(t *testing.T) {
	inBubble(t, func(w *world) {
		for _, bad := range []string{"", "a", "a.b", "a.b.c.d", "a..c", ".b.c", "a.b.", "a b.c.d", "a-b.c.d", "a.b.`c`", "a.b.ç", "a.b.c\n", "..", "a.b.c;"} {
			_, err := w.sdk.CreateStream(w.Context(), zerobus.Table(bad), auth)
			wantErr(w, err, zerobus.ErrInvalidTableName)
			wantErr(w, err, zerobus.ErrInvalidArgument)
		}
		s, err := w.sdk.CreateStream(w.Context(), zerobus.Table("catalog_1.schema_2.table_3"), auth)
		w.must(err)
		w.must(s.Close(w.Context()))
		w.conns(1)
	})
}

func TestAuth_AU05_ProviderErrors(t *testing.T) {
	inBubble(t, func(w *world) {
		cause := errors.New("vault sealed")
		fail := func(err error) (zerobus.Auth, *int) {
			calls := 0
			return zerobus.HeadersProviderFunc(func(context.Context) ([]zerobus.Header, error) { calls++; return nil, err }), &calls
		}
		a, calls := fail(cause)
		_, err := w.createAs(a)
		wantErr(w, err, cause, "headers")
		if *calls != 4 || !zerobus.IsRetriable(err) {
			w.Errorf("%d calls, retriable %v", *calls, zerobus.IsRetriable(err))
		}
		for _, kind := range []error{zerobus.ErrNonRetriable, zerobus.ErrAuth, zerobus.ErrInvalidArgument} {
			a, calls = fail(fmt.Errorf("%w: vault sealed", kind))
			_, err = w.createAs(a)
			wantErr(w, err, kind, "vault sealed")
			if *calls != 1 || zerobus.IsRetriable(err) {
				w.Errorf("%v: %d calls, retriable %v", kind, *calls, zerobus.IsRetriable(err))
			}
		}
		w.conns(0)
	})
}

func TestAuth_AU08_RefusedToken(t *testing.T) {
	inBubble(t, func(w *world) {
		for _, status := range []int{400, 401, 403} {
			w.srv.RefuseTokens(status, "invalid_client", "no such principal "+secret)
			before := len(w.srv.TokenRequests())
			_, err := w.createAs(credentials)
			wantErr(w, err, zerobus.ErrAuth, "invalid_client", fmt.Sprint(status))
			wantErr(w, err, zerobus.ErrNonRetriable)
			if n := len(w.srv.TokenRequests()) - before; n != 1 {
				w.Errorf("%d: %d requests", status, n)
			}
		}
		w.conns(0)
	})
}

func TestAuth_AU09_TokenEndpointOutOfOrder(t *testing.T) {
	inBubble(t, func(w *world) {
		for _, status := range []int{408, 429, 500, 503} {
			w.srv.RefuseTokens(status, "temporarily_unavailable", "")
			before := len(w.srv.TokenRequests())
			_, err := w.createAs(credentials, zerobus.WithRecoveryRetries(2))
			wantErr(w, err, nil, fmt.Sprint(status))
			if n := len(w.srv.TokenRequests()) - before; n != 3 || !zerobus.IsRetriable(err) || errors.Is(err, zerobus.ErrAuth) {
				w.Errorf("%d: %d requests, error %v", status, n, err)
			}
		}
	})
}

// A provider that does not heed its context holds nobody up.
func TestAuth_AU15_HangingProvider(t *testing.T) {
	inBubble(t, func(w *world) {
		release := make(chan struct{})
		defer close(release)
		hang := zerobus.HeadersProviderFunc(func(context.Context) ([]zerobus.Header, error) { <-release; return nil, nil })
		start := time.Now()
		_, err := w.createAs(hang, zerobus.WithRecovery(false), zerobus.WithRecoveryTimeout(time.Second))
		wantErr(w, err, context.DeadlineExceeded)
		w.took("create", start, time.Second, time.Second)
	})
}

func TestAuth_AU12_NothingShowsTheSecret(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("x", "auth", credentials, "pointer", &credentials, "any", struct{ C zerobus.ClientCredentials }{credentials})
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "auth", credentials)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%T %[1]v"} {
		fmt.Fprintf(&out, verb+"\n", credentials)
		fmt.Fprintf(&out, verb+"\n", &credentials)
		fmt.Fprintf(&out, verb+"\n", []any{credentials})
		fmt.Fprintf(&out, verb+"\n", zerobus.StaticHeaders{{"authorization", "Bearer " + secret}})
	}
	b, err := json.Marshal(map[string]any{"c": credentials, "h": zerobus.StaticHeaders{{"authorization", secret}}})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	if strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), fmt.Sprintf("%x", secret)) {
		t.Errorf("the secret is shown:\n%s", &out)
	}
	if !strings.Contains(out.String(), "id-1") {
		t.Error("the id is not shown")
	}

	inBubble(t, func(w *world) {
		w.srv.Script(zerobustest.Refuse(codes.Unauthenticated, "bad token"))
		_, refused := w.createAs(credentials)
		w.srv.RefuseTokens(500, "oops", secret)
		_, failed := w.createAs(credentials)
		_, foreign := credentials.Headers(w.Context())
		wantErr(w, foreign, zerobus.ErrInvalidArgument)
		token := strings.TrimPrefix(w.conns(1)[0].Metadata().Get("authorization")[0], "Bearer ")
		for _, text := range []string{refused.Error(), failed.Error(), foreign.Error(), w.log.String()} {
			if strings.Contains(text, "hunter2") || token == "" || strings.Contains(text, token) {
				w.Errorf("the secret or the token is shown: %s", text)
			}
		}
	})
}

func TestAuth_CredentialsNeedAWorkspace(t *testing.T) {
	inBubble(t, func(w *world) {
		sdk, err := zerobus.New(w.srv.Endpoint(), "", zerobus.WithDialer(w.srv.Dialer()))
		w.must(err)
		defer sdk.Close()
		_, err = sdk.CreateStream(w.Context(), zerobus.Table(table), credentials)
		wantErr(w, err, zerobus.ErrInvalidArgument, "workspace")
		s, err := sdk.CreateStream(w.Context(), zerobus.Table(table), auth) // CR-15
		w.must(err)
		w.must(s.Close(w.Context()))
	})
}
