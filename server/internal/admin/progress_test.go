package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// upkeepAPI answers the operations that take long.
type upkeepAPI struct {
	API
	vacuum func(ctx context.Context, o VacuumOptions, p Progress) (Vacuum, error)
}

func (a upkeepAPI) Vacuum(ctx context.Context, table string, o VacuumOptions, p Progress) (Vacuum, error) {
	v, err := a.vacuum(ctx, o, p)
	v.Table = table
	return v, err
}

// ask serves the operation, and asks for it.
func ask(t *testing.T, o VacuumOptions, progress Progress, f func(ctx context.Context, o VacuumOptions, p Progress) (Vacuum, error)) (Vacuum, error) {
	t.Helper()
	s := httptest.NewUnstartedServer(Handler(upkeepAPI{vacuum: f}, "/admin/", "secret", slog.New(slog.DiscardHandler)))
	s.Config.ReadTimeout, s.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	s.Start()
	defer s.Close()
	return NewClient(s.URL+"/admin/", "secret", s.Client()).Vacuum(t.Context(), "main.default.t", o, progress)
}

// An operation outlives the time limits of the server's other requests, and tells how far it is.
func TestProgress_LongOperationsOverHTTP(t *testing.T) {
	told := make(chan string, 100)
	retain := 3 * time.Hour
	var got VacuumOptions
	v, err := ask(t, VacuumOptions{Retain: &retain, Force: true}, func(step string, done, total int64) {
		select {
		case told <- fmt.Sprint(step, " ", done, " ", total):
		default:
		}
	}, func(ctx context.Context, o VacuumOptions, p Progress) (Vacuum, error) {
		got = o
		for len(told) < 3 { // until the client has heard of it, which takes longer than the limits
			p("files deleted", 7, 9)
			if err := ctx.Err(); err != nil {
				return Vacuum{}, err
			}
		}
		return Vacuum{Files: 9, List: []VacuumedFile{{Path: "a"}}}, nil
	})
	if err != nil || v.Files != 9 || v.Table != "main.default.t" || len(v.List) != 1 {
		t.Fatalf("%+v, %v", v, err)
	}
	if s := <-told; s != "files deleted 7 9" {
		t.Error(s)
	}
	if got.Retain == nil || *got.Retain != retain || !got.Force || got.DryRun {
		t.Errorf("asked for %+v", got)
	}
}

func TestProgress_ErrorsBeforeAndAfterTheFirstLine(t *testing.T) {
	_, err := ask(t, VacuumOptions{}, nil, func(context.Context, VacuumOptions, Progress) (Vacuum, error) {
		return Vacuum{}, fmt.Errorf("no table: %w", catalog.ErrNotFound)
	})
	remote, ok := errors.AsType[*RemoteError](err)
	if !ok || remote.Status != http.StatusNotFound || !strings.Contains(remote.Msg, "no table") {
		t.Errorf("before: %v", err)
	}
	heard := make(chan struct{}, 1)
	_, err = ask(t, VacuumOptions{}, func(string, int64, int64) {
		select {
		case heard <- struct{}{}:
		default:
		}
	}, func(ctx context.Context, _ VacuumOptions, p Progress) (Vacuum, error) {
		for len(heard) == 0 && ctx.Err() == nil {
			p("files deleted", 1, 2)
		}
		return Vacuum{}, errors.New("the disk is away")
	})
	if remote, ok = errors.AsType[*RemoteError](err); !ok || remote.Msg != "the disk is away" {
		t.Errorf("after: %v", err)
	}
}

func TestProgress_AnAnswerThatEndsEarlyIsAnError(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"progress":{"step":"a","done":1}}`+"\n")
	}))
	defer s.Close()
	if _, err := NewClient(s.URL, "", s.Client()).Vacuum(t.Context(), "t", VacuumOptions{}, nil); err == nil || !strings.Contains(err.Error(), "ended early") {
		t.Error(err)
	}
}

// The client that goes away ends the operation.
func TestProgress_TheClientGoesAway(t *testing.T) {
	ended := make(chan error, 1)
	begun := make(chan struct{})
	s := httptest.NewServer(Handler(upkeepAPI{vacuum: func(ctx context.Context, _ VacuumOptions, _ Progress) (Vacuum, error) {
		close(begun)
		<-ctx.Done()
		ended <- ctx.Err()
		return Vacuum{}, ctx.Err()
	}}, "/admin/", "secret", slog.New(slog.DiscardHandler)))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	if _, err := NewClient(s.URL+"/admin/", "secret", s.Client()).Vacuum(ctx, "t", VacuumOptions{}, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A writer without deadlines and a recorder of what is written.
func TestProgress_LinesAreJSON(t *testing.T) {
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/admin/table/vacuum", strings.NewReader(`{"table":"t"}`))
	r.Header.Set("Authorization", "Bearer secret")
	Handler(upkeepAPI{vacuum: func(context.Context, VacuumOptions, Progress) (Vacuum, error) { return Vacuum{Files: 2}, nil }}, "/admin/", "secret", slog.New(slog.DiscardHandler)).ServeHTTP(rec, r)
	var l line
	if err := json.Unmarshal(rec.Body.Bytes(), &l); err != nil || l.Result == nil || rec.Code != http.StatusOK || rec.Header().Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%d %s, %v", rec.Code, rec.Body, err)
	}
}
